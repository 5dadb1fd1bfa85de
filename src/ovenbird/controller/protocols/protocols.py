"""All protocols of a chassis: gratuitous ARP, router advertisements, BFD, prefix delegation, probes, IGMP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ovenbird.controller.facts import (
    ADVERTISED,
    ANNOUNCED,
    DELEGATION,
    HEARD_BEFORE,
    PROBED_BACKEND,
    SESSION,
    SNOOPED,
    WITHDRAWN,
)
from ovenbird.controller.protocols.bfd_sessions import Sessions
from ovenbird.controller.protocols.garp import Announcer
from ovenbird.controller.protocols.multicast_snooping import Snoopers
from ovenbird.controller.protocols.periodic_ra import Advertiser
from ovenbird.controller.protocols.prefix_delegation import Delegations
from ovenbird.controller.protocols.service_monitors import ServiceMonitors
from ovenbird.lang.actions.userdata import Opcode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ovenbird.driver.engine_driver import Sink
    from ovenbird.engine.facts import Relation
    from ovenbird.engine.rows import Store
    from ovenbird.openflow.messages import Message, PacketIn


class _Speaks(Protocol):
    """The interface that the protocols share."""

    def absorb(self, *, added: Iterable[Any], removed: Iterable[Any]) -> None: ...

    def close(self) -> None: ...


class Protocols:
    """The protocols that one chassis runs.

    Arguments:
        send: sends a message to the switch.
        own: the controller's own rows, where outcomes are recorded.
        wake: is called when there is a new outcome.
        reaches: returns whether the switch has its flows and takes packets.
    """

    def __init__(
        self, send: Callable[[Message], None], own: Store, wake: Callable[[], None], reaches: Callable[[], bool]
    ) -> None:
        self.announcer = Announcer(send)
        self.advertiser = Advertiser(send)
        self.sessions = Sessions(send, own, wake)
        self.delegations = Delegations(send, own, wake)
        self.service_monitors = ServiceMonitors(send, own, wake, reaches)
        self.snoopers = Snoopers(send, own, wake)
        self.listeners: Mapping[Opcode, Callable[[PacketIn], None]] = {
            Opcode.BFD_MSG: self.sessions.receive,
            Opcode.HANDLE_DHCPV6_REPLY: self.delegations.receive,
            Opcode.IGMP: self.snoopers.receive,
            Opcode.HANDLE_SVC_CHECK: self.service_monitors.receive,
        }
        self._by_relation: dict[Relation, _Speaks] = {
            ANNOUNCED: self.announcer, ADVERTISED: self.advertiser, SESSION: self.sessions,
            DELEGATION: self.delegations, PROBED_BACKEND: self.service_monitors, SNOOPED: self.snoopers,
        }  # fmt: skip

    def attach(self, southbound: Store) -> None:
        """Use these rows from now on."""
        self.delegations.attach(southbound)
        self.snoopers.attach(southbound)

    def sinks(self) -> list[tuple[Relation, Sink]]:
        """Return the consumer of each protocol's facts, by relation."""
        speakers: list[tuple[Relation, Sink]] = [
            (relation, speaker.absorb) for relation, speaker in self._by_relation.items()
        ]
        return [*speakers, (HEARD_BEFORE, self.snoopers.adopt), (WITHDRAWN, self.snoopers.forget)]

    def close(self) -> None:
        """Stop sending."""
        for speaker in self._by_relation.values():
            speaker.close()
