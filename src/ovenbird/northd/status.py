"""The global rows of the two databases, and status that chassis report.

ovn-nb(5), NB_Global: `nb_cfg` is copied to Southbound for chassis, `sb_cfg` is the value that Southbound has, `hv_cfg`
the value that all chassis have acknowledged. A number is written to Northbound only after it was seen in Southbound
itself, so that a client that waits for it also waits for the flows. A timestamp is that of its number's last change,
also after a restart.
"""

from __future__ import annotations

from os import urandom
from typing import TYPE_CHECKING

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.facts import NamedRows, maker
from ovenbird.engine.least import Least, least_of
from ovenbird.engine.lookups import rows
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model import nb, sb, version
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import parse_mac
from ovenbird.northd.ir.feature import Feature, Setting
from ovenbird.northd.ir.southbound_rows import northbound_uuid
from ovenbird.northd.shared.address_sets import ADDRESS_SET, IN_ADDRESS_SET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID, Store


class SouthboundGlobal(NamedTuple):
    """What northd writes to Southbound's one row of settings."""

    relation: Relation
    only: str
    nb_cfg: int
    options: Pairs
    ipsec: bool


class NorthboundGlobal(NamedTuple):
    """What northd writes to Northbound's one row of settings: times in milliseconds."""

    relation: Relation
    only: str
    options: Pairs
    nb_cfg_timestamp: int
    sb_cfg: int
    sb_cfg_timestamp: int
    hv_cfg: int
    hv_cfg_timestamp: int


class PortUp(NamedTuple):
    """Northbound's view of a port's state."""

    relation: Relation
    uuid: UUID
    up: bool | None


SB_GLOBAL = NamedRows(sb.SBGlobal, SouthboundGlobal, key_of=lambda _: "global")
NB_GLOBAL = NamedRows(nb.NBGlobal, NorthboundGlobal, key_of=lambda _: "global")
PORT_STATUS = NamedRows(nb.LogicalSwitchPort, PortUp, update_only=True)

port_status = maker(PORT_STATUS)
"""Makes a fact of PORT_STATUS; there is one for each port."""

SERVICE_MAC = "svc_monitor_mac"
"""The MAC address that load balancers' probes come from; an address set of that name holds it."""


def random_mac() -> str:
    """Return a locally administered unicast Ethernet address."""
    octets = urandom(6)
    return ":".join(f"{octet:02x}" for octet in (octets[0] & 0xFC | 2, *octets[1:]))


class Changes:
    """When the sequence numbers that northd acknowledges last changed.

    Arguments:
        northbound, southbound: the databases at the start, whose timestamps are kept.
        clock: gives the time in milliseconds.
    """

    __slots__ = ("_clock", "_last")

    def __init__(self, northbound: Store, *, southbound: Store, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._last: dict[str, tuple[int, int]] = {"nb_cfg": (0, 0), "sb_cfg": (0, 0)}
        for row in northbound.table(nb.NBGlobal).rows.values():
            self._last["sb_cfg"] = (row.sb_cfg, row.sb_cfg_timestamp)
            # A number that went down has been seen; of another one the time in the row is its predecessor's.
            seen = next((head.nb_cfg for head in southbound.table(sb.SBGlobal).rows.values()), 0)
            self._last["nb_cfg"] = (seen, row.nb_cfg_timestamp)

    def time(self, name: str, value: int) -> int:
        """Return when the sequence number of that name reached its present value."""
        last = self._last[name]
        if last[0] != value:
            last = self._last[name] = (value, self._clock())
        return last[1]


def status(settings: Sequence[Setting], changes: Changes, *, private: bool = True) -> Feature:
    """Return the feature of this file.

    Arguments:
        settings: the options of NB_Global that other features need.
        changes: knows when sequence numbers changed.
        private: whether chassis acknowledge in Chassis_Private, or in Chassis, as with schemas that lack that table.
    """
    acknowledged = progress if private else former_progress
    settings = (*settings, Setting(SERVICE_MAC, random_mac, lambda text: text if parse_mac(text) else ""))
    chosen = {setting.key: setting.choose() for setting in settings}

    @view
    def options() -> Pairs:
        found = dict(chosen)
        for row in rows(nb.NBGlobal):
            found |= row.options
        for setting in settings:
            found[setting.key] = setting.valid(found[setting.key]) or chosen[setting.key]
        found["northd_internal_version"] = version.INTERNAL
        return tuple(sorted(found.items()))

    @singleton
    def southbound_global() -> Iterator[Fact]:
        for row in rows(nb.NBGlobal):
            yield SB_GLOBAL("global", nb_cfg=row.nb_cfg, options=options(), ipsec=row.ipsec)
            return
        yield SB_GLOBAL("global", nb_cfg=0, options=options(), ipsec=False)

    @singleton
    def northbound_global() -> Iterator[Fact]:
        wanted = reached = 0
        for row in rows(nb.NBGlobal):
            wanted = row.nb_cfg
        for southbound in rows(sb.SBGlobal):
            reached = southbound.nb_cfg
        everywhere, when = reached_by_all(acknowledged)
        # Chassis may still have a higher number, from before Northbound started over.
        everywhere = reached if everywhere is None else min(everywhere, wanted)
        asked, written = changes.time("nb_cfg", wanted), changes.time("sb_cfg", reached)
        yield NB_GLOBAL(
            "global",
            options=options(),
            nb_cfg_timestamp=asked,
            sb_cfg=reached,
            sb_cfg_timestamp=written,
            hv_cfg=everywhere,
            hv_cfg_timestamp=when,
        )

    @singleton
    def service_mac() -> Iterator[Fact]:
        yield ADDRESS_SET(SERVICE_MAC)
        yield IN_ADDRESS_SET(SERVICE_MAC, dict(options())[SERVICE_MAC])

    return Feature(
        "status",
        rules=(acknowledged, southbound_global, northbound_global, service_mac, port_up),
        outputs=(SB_GLOBAL, NB_GLOBAL, PORT_STATUS, ADDRESS_SET, IN_ADDRESS_SET),
    )


@least_of(sb.ChassisPrivate)
def progress(private: sb.ChassisPrivate) -> Iterator[tuple[int | None, int]]:
    """Yield a chassis's `nb_cfg` and, by `nb_cfg`, when it was reached: negated, so that the least is the latest."""
    chassis = private.chassis
    if chassis is not None and not flag(chassis.other_config, "is-remote"):
        yield None, private.nb_cfg
        yield private.nb_cfg, -private.nb_cfg_timestamp


@least_of(sb.Chassis)
def former_progress(chassis: sb.Chassis) -> Iterator[tuple[int | None, int]]:
    """Yield the same for a server without Chassis_Private, where the time is not recorded."""
    if not flag(chassis.other_config, "is-remote"):
        yield None, chassis.nb_cfg


def reached_by_all(chassis: Least[int | None, int]) -> tuple[int | None, int]:
    """Return the lowest `nb_cfg` of all chassis, and when the last one reached it; None and 0 without chassis."""
    least = chassis.least(None)
    return least, 0 if least is None else -(chassis.least(least) or 0)


_PB = sb.PortBinding
_BOUND = ComputedIndex(
    _PB.logical_port,
    _PB.chassis,
    keys=lambda values: () if values[_PB.chassis.index] is None else (values[_PB.logical_port.index],),
)
"""Port bindings that a chassis has claimed, by port name. Unclaimed ones trigger no rule."""


@rule(nb.LogicalSwitchPort)
def port_up(port: nb.LogicalSwitchPort) -> Iterator[Fact]:
    """Set a port's `up` in Northbound: a chassis has claimed it and, if it reports `up`, has installed its flows."""
    up = port.type in ("router", "switch")
    for binding in _BOUND.rows(port.name):
        switch, chassis = port.referrer(nb.LogicalSwitch.ports), binding.chassis
        if switch is not None and chassis is not None and northbound_uuid(binding.datapath) == switch.uuid:
            up = up or not flag(chassis.other_config, "port-up-notif") or binding.up is True
    yield port_status(port.uuid, up)
