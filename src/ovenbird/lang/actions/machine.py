"""The interface between an action's `evaluate` and its caller: the tracer, or a test.

The machine holds the packet and the state that outlives it (connections, neighbours, learned addresses). Connection
tracking is simulated: `track` finds the connections that earlier packets and actions committed.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from ovenbird.dataclass import KW_ONLY, dataclass, field
from ovenbird.lang.actions.layout import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovenbird.lang.actions.action import Action
    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.microflow import Microflow
    from ovenbird.openflow.fields import Subfield
    from ovenbird.pipeline.stages import Pipeline


class Zone(Enum):
    """A conntrack zone by its role; the value is the register that holds the zone's number."""

    PORT = "reg13"  # of the logical port in a switch
    DNAT = "reg11"  # of a router; also the zone common to DNAT and SNAT
    SNAT = "reg12"

    @classmethod
    def flow(cls, ctx: Context | Machine) -> Zone:
        """Return the zone of plain connection tracking: the port's in a switch, the DNAT zone in a router."""
        return cls.PORT if ctx.is_switch else cls.DNAT

    @property
    def bits(self) -> Subfield:
        """Return the register's 16 bits that hold the zone's number."""
        whole = register(self.value)
        return type(whole)(whole.field, ofs=0, n_bits=16)


@dataclass(frozen=True, slots=True)
class Translation:
    """A translation of a connection: of the source or the destination, to an address and perhaps a range of ports.

    Without an address the connection's existing translation applies, in either direction. `told` is true for load
    balancing, where `--ct` of a trace gives the connection state for this action too.
    """

    source: bool = False
    address: int | None = None
    ipv6: bool = False
    _: KW_ONLY
    port: int = 0
    port_max: int = 0
    told: bool = field(default=False, compare=False)


class Check(Enum):
    """A check by a subroutine, whose result depends on state outside the packet."""

    IN_PORT_SEC = "check_in_port_sec"
    OUT_PORT_SEC = "check_out_port_sec"
    HAIRPIN = "chk_lb_hairpin"
    HAIRPIN_REPLY = "chk_lb_hairpin_reply"
    LB_AFFINITY = "chk_lb_aff"
    ECMP_NH_MAC = "chk_ecmp_nh_mac"
    ECMP_NH = "chk_ecmp_nh"


class Machine(Protocol):
    """The state that actions act on. Actions that work on a copy replace `packet` and restore it."""

    packet: Microflow
    stack: list[int]

    @property
    def is_switch(self) -> bool:
        """Whether the datapath being traversed is a switch."""

    def port_key(self, name: str) -> int:
        """Return the tunnel key of a port or multicast group; 0 if there is none by that name."""

    def next(self, pipeline: Pipeline | None, table: int | None) -> None:
        """Run a logical table as a subroutine, by default the next one of this pipeline."""

    def output(self) -> None:
        """Output the packet: from ingress run the egress pipeline for outport, from egress deliver the packet."""

    def track(self, zone: Zone, translation: Translation | None = None) -> None:
        """Look the packet's connection up: set ct_state, ct_mark and ct_label, and with a translation apply it."""

    def commit(
        self, zone: Zone, translation: Translation | None, *, mark: tuple[int, int], label: tuple[int, int]
    ) -> None:
        """Commit the packet's connection and set bits of its mark and label.

        Arguments:
            zone: the conntrack zone.
            translation: the translation to apply; None for none.
            mark: value and mask to write to the connection's mark.
            label: value and mask to write to the connection's label.
        """

    def clear_tracking(self) -> None:
        """Clear the packet's connection state."""

    def neighbor(self, port: int, *, address: int, ipv6: bool) -> int | None:
        """Return the MAC of a neighbour, or None if it is not known.

        Arguments:
            port: the tunnel key of the logical port that it is behind.
            address: the neighbour's address, as a number.
            ipv6: whether this is an IPv6 address.
        """

    def learn_neighbor(self, port: int, *, address: int, mac: int, ipv6: bool) -> None:
        """Record a neighbour's MAC.

        Arguments:
            port: the tunnel key of the logical port that it is behind.
            address: the neighbour's address, as a number.
            mac: the neighbour's MAC, as a number.
            ipv6: whether the address is an IPv6 address.
        """

    def forwarding(self, mac: int) -> int | None:
        """Return the key of the port behind which a MAC was learned; None if it is unknown."""

    def learn_forwarding(self, mac: int, *, port: int) -> None:
        """Record the port behind which a MAC is."""

    def check(self, check: Check) -> bool:
        """Return the result of a check: port security fails, or a hairpin, an affinity or a next hop is known."""

    def choose(self, weights: Sequence[int]) -> int:
        """Return the index of the weighted alternative that this packet takes."""

    def answers(self, action: Action) -> bool:
        """Replace the packet by the answer of a service (DHCP, DNS, ...), if there is one; return whether there is."""

    def note(self, action: Action, text: str = "") -> None:
        """Record an action that does not change the packet, such as a log message."""


def run(actions: Sequence[Action], machine: Machine) -> bool:
    """Evaluate actions in order; stop and return False when an action ends the list."""
    return all(action.evaluate(machine) for action in actions)


def run_on(packet: Microflow, actions: Sequence[Action], machine: Machine) -> None:
    """Evaluate actions on another packet, then restore the machine's own packet.

    Arguments:
        packet: the other packet.
        actions: the actions, in order.
        machine: the state to act on.
    """
    original = machine.packet
    machine.packet = packet
    try:
        run(actions, machine)
    finally:
        machine.packet = original
