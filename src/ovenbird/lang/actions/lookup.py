"""Actions that call a subroutine table: neighbours, learned MACs, and checks of the packet.

The tables match fixed fields: a neighbour's port in outport (inport for the lookups that compare), its address in reg0
or xxreg0, its MAC in eth.src; a learned MAC in eth.dst or eth.src. For the call, arguments in other fields are copied
to these fields, whose values are saved on the stack. The result is in a bit of `flags`; it is stored in its destination
after the fields have been restored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lang.actions.action import (
    Action,
    Keyword,
    Noted,
    check_result,
    check_width,
    field_requires,
    parse_typed_field,
)
from ovenbird.lang.actions.layout import ETH_DST, ETH_SRC, INPORT, NEIGHBOR_IP4, NEIGHBOR_IP6, OUTPORT, bits_of
from ovenbird.lang.actions.machine import Check
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.lang.parser import check_writable
from ovenbird.openflow.actions import CheckPktLarger as OpenFlowCheckPktLarger
from ovenbird.openflow.actions import CopyField, Resubmit, SetField, StackPop, StackPush
from ovenbird.pipeline.flag_bits import FlagBit
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.lang.actions.machine import Machine
    from ovenbird.lang.ast import FieldRef
    from ovenbird.openflow.actions import Action as OpenFlowAction
    from ovenbird.openflow.fields import Subfield

# (the field that holds an argument, the field where the table expects it)
Argument = tuple["FieldRef", "Subfield"]


def with_arguments(arguments: Sequence[Argument], body: Sequence[OpenFlowAction]) -> list[OpenFlowAction]:
    """Return `body` between actions that copy the arguments to their fields and actions that restore the fields."""
    pairs = [(bits_of(ref), target) for ref, target in arguments]
    pairs = [(source, target) for source, target in pairs if source != target]
    return [
        *(StackPush(target) for _, target in pairs),
        *(StackPush(source) for source, _ in reversed(pairs)),
        *(StackPop(target) for _, target in pairs),
        *body,
        *(StackPop(target) for _, target in reversed(pairs)),
    ]


def ask(table: int, flag: FlagBit) -> list[OpenFlowAction]:
    """Return the call of a subroutine whose result is a flag."""
    bit = flag.bits
    return [SetField.bits(bit, 0), Resubmit(table)]


def _set_bit(machine: Machine, dst: FieldRef, answer: bool) -> bool:
    machine.packet.set(dst, int(answer))
    return True


def _comma_separated(cursor: Cursor, *widths: int) -> list[FieldRef]:
    """Parse `(field, field, ...)` of the given widths, 0 for a string."""
    cursor.expect("(")
    refs = []
    for index, width in enumerate(widths):
        if index:
            cursor.expect(",")
        refs.append(parse_typed_field(cursor, width))
    cursor.expect(")")
    return refs


@dataclass(frozen=True, slots=True)
class _GetNeighbor(Action):
    """Set eth.dst to the MAC of the neighbour with an address behind a port; to zero if it is unknown."""

    NAME: ClassVar[str]
    ADDRESS: ClassVar[Subfield]

    _: KW_ONLY
    port: FieldRef
    address: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """Parse port and address."""
        port, address = _comma_separated(cursor, 0, cls.ADDRESS.n_bits)
        return cls(port=port, address=address)

    def format(self) -> str:
        """Write the action."""
        return f"{self.NAME}({self.port}, {self.address});"

    def requires(self) -> tuple[str, ...]:
        """Return the fields' prerequisites."""
        return field_requires(self.port, self.address)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return the call."""
        body: list[OpenFlowAction] = [SetField.bits(ETH_DST, 0), Resubmit(OFTable.MAC_BINDING)]
        return with_arguments(((self.port, OUTPORT), (self.address, self.ADDRESS)), body)

    def evaluate(self, machine: Machine) -> bool:
        """Look the neighbour up."""
        packet = machine.packet
        mac = machine.neighbor(
            packet.get(self.port), address=packet.get(self.address), ipv6=self.ADDRESS is NEIGHBOR_IP6
        )  # fmt: skip
        packet["eth_dst"] = mac or 0
        return True


@dataclass(frozen=True, slots=True)
class GetArp(_GetNeighbor):
    """`get_arp(P, A);`."""

    NAME, ADDRESS = "get_arp", NEIGHBOR_IP4


@dataclass(frozen=True, slots=True)
class GetNd(_GetNeighbor):
    """`get_nd(P, A);`."""

    NAME, ADDRESS = "get_nd", NEIGHBOR_IP6


@dataclass(frozen=True, slots=True)
class _PutNeighbor(Action):
    """Send a neighbour's MAC to the controller."""

    NAME: ClassVar[str]
    ADDRESS: ClassVar[Subfield]
    OPCODE: ClassVar[Opcode]

    _: KW_ONLY
    port: FieldRef
    address: FieldRef
    mac: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """Parse port, address and MAC."""
        port, address, mac = _comma_separated(cursor, 0, cls.ADDRESS.n_bits, 48)
        return cls(port=port, address=address, mac=mac)

    def format(self) -> str:
        """Write the action."""
        return f"{self.NAME}({self.port}, {self.address}, {self.mac});"

    def requires(self) -> tuple[str, ...]:
        """Return the fields' prerequisites."""
        return field_requires(self.port, self.address, self.mac)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return a packet-in with port, address and MAC in inport, reg0 or xxreg0, and eth.src."""
        arguments = ((self.port, INPORT), (self.address, self.ADDRESS), (self.mac, ETH_SRC))
        return with_arguments(arguments, [Userdata(self.OPCODE).controller(ctx)])

    def evaluate(self, machine: Machine) -> bool:
        """Record the neighbour."""
        packet, ipv6 = machine.packet, self.ADDRESS is NEIGHBOR_IP6
        machine.learn_neighbor(
            packet.get(self.port), address=packet.get(self.address), mac=packet.get(self.mac), ipv6=ipv6
        )
        return True


@dataclass(frozen=True, slots=True)
class PutArp(_PutNeighbor):
    """`put_arp(P, A, E);`."""

    NAME, ADDRESS, OPCODE = "put_arp", NEIGHBOR_IP4, Opcode.PUT_ARP


@dataclass(frozen=True, slots=True)
class PutNd(_PutNeighbor):
    """`put_nd(P, A, E);`."""

    NAME, ADDRESS, OPCODE = "put_nd", NEIGHBOR_IP6, Opcode.PUT_ND


@dataclass(frozen=True, slots=True)
class _LookupNeighbor(Action):
    """Set a bit to whether a neighbour with this address and MAC is known behind the port."""

    NAME: ClassVar[str]
    ADDRESS: ClassVar[Subfield]

    dst: FieldRef
    _: KW_ONLY
    port: FieldRef
    address: FieldRef
    mac: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> Self:
        """Parse port, address and MAC."""
        result = check_result(cursor, dst)
        port, address, mac = _comma_separated(cursor, 0, cls.ADDRESS.n_bits, 48)
        return cls(result, port=port, address=address, mac=mac)

    def format(self) -> str:
        """Write the action."""
        return f"{self.dst} = {self.NAME}({self.port}, {self.address}, {self.mac});"

    def requires(self) -> tuple[str, ...]:
        """Return the fields' prerequisites."""
        return field_requires(self.dst, self.port, self.address, self.mac)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return the call."""
        arguments = ((self.port, INPORT), (self.address, self.ADDRESS), (self.mac, ETH_SRC))
        body = ask(OFTable.MAC_LOOKUP, FlagBit.MAC_FOUND)
        return [*with_arguments(arguments, body), CopyField(src=FlagBit.MAC_FOUND.bits, dst=bits_of(self.dst))]

    def evaluate(self, machine: Machine) -> bool:
        """Look the neighbour up."""
        packet, ipv6 = machine.packet, self.ADDRESS is NEIGHBOR_IP6
        known = machine.neighbor(packet.get(self.port), address=packet.get(self.address), ipv6=ipv6)
        return _set_bit(machine, self.dst, known is not None and known == packet.get(self.mac))


@dataclass(frozen=True, slots=True)
class LookupArp(_LookupNeighbor):
    """`R = lookup_arp(P, A, M);`."""

    NAME, ADDRESS = "lookup_arp", NEIGHBOR_IP4


@dataclass(frozen=True, slots=True)
class LookupNd(_LookupNeighbor):
    """`R = lookup_nd(P, A, M);`."""

    NAME, ADDRESS = "lookup_nd", NEIGHBOR_IP6


@dataclass(frozen=True, slots=True)
class _LookupAddress(Action):
    """Set a bit to whether a neighbour with this address is known behind the port."""

    NAME: ClassVar[str]
    ADDRESS: ClassVar[Subfield]

    dst: FieldRef
    _: KW_ONLY
    port: FieldRef
    address: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> Self:
        """Parse port and address."""
        result = check_result(cursor, dst)
        port, address = _comma_separated(cursor, 0, cls.ADDRESS.n_bits)
        return cls(result, port=port, address=address)

    def format(self) -> str:
        """Write the action."""
        return f"{self.dst} = {self.NAME}({self.port}, {self.address});"

    def requires(self) -> tuple[str, ...]:
        """Return the fields' prerequisites."""
        return field_requires(self.dst, self.port, self.address)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return the call; the table writes eth.dst too, so the field is saved and restored."""
        body = [StackPush(ETH_DST), *ask(OFTable.MAC_BINDING, FlagBit.MAC_FOUND), StackPop(ETH_DST)]
        arguments = ((self.port, OUTPORT), (self.address, self.ADDRESS))
        return [*with_arguments(arguments, body), CopyField(src=FlagBit.MAC_FOUND.bits, dst=bits_of(self.dst))]

    def evaluate(self, machine: Machine) -> bool:
        """Look the neighbour up."""
        packet, ipv6 = machine.packet, self.ADDRESS is NEIGHBOR_IP6
        known = machine.neighbor(packet.get(self.port), address=packet.get(self.address), ipv6=ipv6)
        return _set_bit(machine, self.dst, known is not None)


@dataclass(frozen=True, slots=True)
class LookupArpIp(_LookupAddress):
    """`R = lookup_arp_ip(P, A);`."""

    NAME, ADDRESS = "lookup_arp_ip", NEIGHBOR_IP4


@dataclass(frozen=True, slots=True)
class LookupNdIp(_LookupAddress):
    """`R = lookup_nd_ip(P, A);`."""

    NAME, ADDRESS = "lookup_nd_ip", NEIGHBOR_IP6


@dataclass(frozen=True, slots=True)
class GetFdb(Action):
    """`P = get_fdb(A);`: the port behind which a MAC was learned, or key 0 if it is unknown."""

    dst: FieldRef
    _: KW_ONLY
    mac: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> GetFdb:
        """Parse the MAC."""
        check_width(cursor, dst, 0)
        check_writable(dst, text=cursor.text)
        (mac,) = _comma_separated(cursor, 48)
        return cls(dst, mac=mac)

    def format(self) -> str:
        """Write the action."""
        return f"{self.dst} = get_fdb({self.mac});"

    def requires(self) -> tuple[str, ...]:
        """Return the fields' prerequisites."""
        return field_requires(self.dst, self.mac)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return the call; the table writes the result to outport."""
        dst = bits_of(self.dst)
        body: list[OpenFlowAction] = [SetField.bits(OUTPORT, 0), Resubmit(OFTable.GET_FDB)]
        if dst != OUTPORT:
            body = [StackPush(OUTPORT), *body, CopyField(src=OUTPORT, dst=dst), StackPop(OUTPORT)]
        return with_arguments(((self.mac, ETH_DST),), body)

    def evaluate(self, machine: Machine) -> bool:
        """Look the MAC up."""
        packet = machine.packet
        packet.set(self.dst, machine.forwarding(packet.get(self.mac)) or 0)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class PutFdb(Action):
    """`put_fdb(P, A);`: send a MAC and its port to the controller."""

    port: FieldRef
    mac: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor) -> PutFdb:
        """Parse port and MAC."""
        port, mac = _comma_separated(cursor, 0, 48)
        return cls(port=port, mac=mac)

    def format(self) -> str:
        """Write the action."""
        return f"put_fdb({self.port}, {self.mac});"

    def requires(self) -> tuple[str, ...]:
        """Return the fields' prerequisites."""
        return field_requires(self.port, self.mac)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return a packet-in with port and MAC in inport and eth.src."""
        arguments = ((self.port, INPORT), (self.mac, ETH_SRC))
        return with_arguments(arguments, [Userdata(Opcode.PUT_FDB).controller(ctx)])

    def evaluate(self, machine: Machine) -> bool:
        """Record the MAC and its port."""
        packet = machine.packet
        machine.learn_forwarding(packet.get(self.mac), port=packet.get(self.port))
        return True


@dataclass(frozen=True, slots=True)
class LookupFdb(Action):
    """`R = lookup_fdb(P, A);`: whether a MAC was learned behind this port."""

    dst: FieldRef
    _: KW_ONLY
    port: FieldRef
    mac: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> LookupFdb:
        """Parse port and MAC."""
        bit = check_result(cursor, dst)
        port, mac = _comma_separated(cursor, 0, 48)
        return cls(bit, port=port, mac=mac)

    def format(self) -> str:
        """Write the action."""
        return f"{self.dst} = lookup_fdb({self.port}, {self.mac});"

    def requires(self) -> tuple[str, ...]:
        """Return the fields' prerequisites."""
        return field_requires(self.dst, self.port, self.mac)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return the call."""
        arguments = ((self.port, INPORT), (self.mac, ETH_SRC))
        body = ask(OFTable.LOOKUP_FDB, FlagBit.FDB_FOUND)
        return [*with_arguments(arguments, body), CopyField(src=FlagBit.FDB_FOUND.bits, dst=bits_of(self.dst))]

    def evaluate(self, machine: Machine) -> bool:
        """Look the MAC up."""
        packet = machine.packet
        return _set_bit(machine, self.dst, machine.forwarding(packet.get(self.mac)) == packet.get(self.port))


@dataclass(frozen=True, slots=True)
class MacCacheUse(Noted, Keyword):
    """`mac_cache_use;`: the packet uses a learned neighbour, whose flow counts it (OVN 23.09 and later)."""

    NAME = "mac_cache_use"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return one resubmit."""
        return [Resubmit(OFTable.MAC_CACHE_USE)]


# Check -> (its table, the flag that holds the result)
_CHECKS = {
    Check.IN_PORT_SEC: (OFTable.CHK_IN_PORT_SEC, FlagBit.PORT_SEC_FAILED),
    Check.OUT_PORT_SEC: (OFTable.CHK_OUT_PORT_SEC, FlagBit.PORT_SEC_FAILED),
    Check.HAIRPIN: (OFTable.CHK_LB_HAIRPIN, FlagBit.HAIRPIN),
    Check.HAIRPIN_REPLY: (OFTable.CHK_LB_HAIRPIN_REPLY, FlagBit.HAIRPIN),
    Check.LB_AFFINITY: (OFTable.CHK_LB_AFFINITY, FlagBit.LB_AFFINITY),
    Check.ECMP_NH_MAC: (OFTable.ECMP_NH_MAC, FlagBit.ECMP_NH_FOUND),
    Check.ECMP_NH: (OFTable.ECMP_NH, FlagBit.ECMP_NH_FOUND),
}


@dataclass(frozen=True, slots=True)
class Ask(Action):
    """`R = check();` for every `Check`: port security, hairpins, affinity, ECMP next hops."""

    dst: FieldRef
    check: Check

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef, check: Check) -> Ask:
        """Parse empty parentheses.

        Arguments:
            cursor: the cursor, after the name of the action.
            dst: the field that receives the result.
            check: the check that the action performs.

        Raises:
            LangError: the parentheses are not empty, or the field cannot receive the result.
        """
        cursor.no_arguments(check.value)
        return cls(check_result(cursor, dst), check)

    def format(self) -> str:
        """Write the action."""
        return f"{self.dst} = {self.check.value}();"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.dst)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return the call."""
        table, flag = _CHECKS[self.check]
        return [*ask(table, flag), CopyField(src=flag.bits, dst=bits_of(self.dst))]

    def evaluate(self, machine: Machine) -> bool:
        """Perform the machine's check and store the result."""
        return _set_bit(machine, self.dst, machine.check(self.check))


@dataclass(frozen=True, slots=True)
class CheckPacketLarger(Action):
    """`R = check_pkt_larger(L);`: whether the packet is longer than L bytes."""

    dst: FieldRef
    length: int

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> CheckPacketLarger:
        """Parse the length."""
        cursor.expect("(")
        length = cursor.expect_int(1 << 16)
        cursor.expect(")")
        return cls(check_result(cursor, dst), length)

    def format(self) -> str:
        """Write the action."""
        return f"{self.dst} = check_pkt_larger({self.length});"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.dst)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return one check_pkt_larger."""
        return [OpenFlowCheckPktLarger(self.length, bits_of(self.dst))]

    def evaluate(self, machine: Machine) -> bool:
        """Store 0: a microflow has no length."""
        machine.note(self, "assuming a small packet")
        return _set_bit(machine, self.dst, answer=False)
