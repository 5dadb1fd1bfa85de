"""Actions of connection tracking and address translation (ovn-sb(5), ct_next to ct_commit_nat; ovs-actions(7), ct).

When an action sends the packet through the connection tracker and on to the next table, a copy with the connection's
state continues there; the rest of the action list runs on the unchanged packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lang.actions.action import Action, Keyword, Noted, encode_all, format_all
from ovenbird.lang.actions.assign import Load, Move, check_compatible, load_constant
from ovenbird.lang.actions.context import logical_table
from ovenbird.lang.actions.machine import Translation, Zone
from ovenbird.lang.ast import FieldRef, Integer
from ovenbird.lang.errors import ParseError
from ovenbird.lang.lexer import Format
from ovenbird.lang.parser import check_writable, parse_field
from ovenbird.lang.symbols import SYMBOLS, Scope
from ovenbird.net.addresses import ipv4_text, ipv6_text
from ovenbird.openflow.actions import Ct, Nat, Resubmit
from ovenbird.openflow.actions import CtClear as OpenFlowCtClear
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.lang.actions.machine import Machine
    from ovenbird.openflow.actions import Action as OpenFlowAction


def nat(translation: Translation) -> Nat:
    """Return a translation as OpenFlow's nat."""
    if translation.address is None:
        return Nat(src=translation.source) if translation.source else Nat()
    return Nat(
        src=translation.source,
        dst=not translation.source,
        addr_min=translation.address.to_bytes(16 if translation.ipv6 else 4, "big"),
        port_min=translation.port,
        port_max=translation.port_max,
    )


def track_and_go(machine: Machine, zone: Zone, translation: Translation | None, *, commit: bool = False) -> bool:
    """Send a copy through the tracker and on to the next table; the packet itself does not change.

    Arguments:
        machine: the state to act on.
        zone: the conntrack zone.
        translation: the translation to apply; None for none.
        commit: whether to commit the connection.
    """
    original = machine.packet
    machine.packet = original.copy()
    try:
        if commit:
            machine.commit(zone, translation, mark=(0, 0), label=(0, 0))
        else:
            machine.track(zone, translation)
        machine.next(None, None)
    finally:
        machine.packet = original
    return True


_ZONES = {"dnat": Zone.DNAT, "snat": Zone.SNAT}


@dataclass(frozen=True, slots=True)
class _InZone(Action):
    """`action;`, `action(dnat);`, `action(snat);`: in the zone of plain tracking, or in that of a router's translation.

    A switch has one zone for each of its ports, whatever is said. OVN knows the words since 24.03.
    """

    NAME: ClassVar[str]

    zone: str = ""

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """Parse nothing, or `dnat` or `snat` in parentheses.

        Raises:
            LangError: something else is in the parentheses.
        """
        return cls(_zone(cursor) if cursor.take("(") else "")

    def format(self) -> str:
        """Write the action."""
        return f"{self.NAME}({self.zone});" if self.zone else f"{self.NAME};"

    def requires(self) -> tuple[str, ...]:
        """Require IP."""
        return ("ip",)

    def zone_of(self, place: Context | Machine) -> Zone:
        """Return the zone that is meant in a datapath."""
        return Zone.PORT if place.is_switch else _ZONES.get(self.zone, Zone.DNAT)


def _zone(cursor: Cursor) -> str:
    """Parse the name of a zone and a closing parenthesis."""
    for zone in _ZONES:
        if cursor.take_name(zone):
            cursor.expect(")")
            return zone
    raise cursor.syntax_error('expecting "dnat" or "snat"')


@dataclass(frozen=True, slots=True)
class CtNext(_InZone):
    """`ct_next;`, `ct_next(dnat);`, `ct_next(snat);`."""

    NAME = "ct_next"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one ct that goes on to the next table."""
        return [Ct(self.zone_of(ctx).bits, table=logical_table(ctx, None, None))]

    def evaluate(self, machine: Machine) -> bool:
        """Track the packet and run the next table on it."""
        return track_and_go(machine, self.zone_of(machine), None)


@dataclass(frozen=True, slots=True)
class CtCommitToZone(_InZone):
    """`ct_commit_to_zone(dnat);`, `ct_commit_to_zone(snat);`: commit without a translation, and go on."""

    NAME = "ct_commit_to_zone"

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """Parse the zone.

        Raises:
            LangError: there is none.
        """
        cursor.expect("(")
        return cls(_zone(cursor))

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one ct with commit that goes on to the next table."""
        return [Ct(self.zone_of(ctx).bits, commit=True, table=logical_table(ctx, None, None))]

    def evaluate(self, machine: Machine) -> bool:
        """Commit a copy, and run the next table on it."""
        return track_and_go(machine, self.zone_of(machine), None, commit=True)


@dataclass(frozen=True, slots=True)
class CtClear(Keyword):
    """`ct_clear;`."""

    NAME = "ct_clear"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return one ct_clear."""
        return [OpenFlowCtClear()]

    def evaluate(self, machine: Machine) -> bool:
        """Clear the packet's connection state."""
        machine.clear_tracking()
        return True


@dataclass(frozen=True, slots=True)
class CtCommit(Action):
    """`ct_commit { ct_mark = ...; ct_label = ...; };`, with assignments only to ct_mark, ct_label and their bits.

    The older `ct_commit;` and `ct_commit(ct_mark=..., ct_label=...);` parse to the same value. Where the switch
    supports it, the commit includes a source translation without an address, so that its tuple differs from those of
    translated connections.
    """

    assignments: tuple[Load | Move, ...] = ()

    @classmethod
    def parse(cls, cursor: Cursor) -> CtCommit:
        """Parse nothing, a block of assignments, or the older key-value pairs."""
        if cursor.take("("):
            return cls(_old_arguments(cursor))
        if cursor.token.kind != "{":
            return cls()
        cursor.advance()
        assignments: list[Load | Move] = []
        while not cursor.take("}"):
            assignments.append(_commit_assignment(cursor))
            cursor.expect(";")
        return cls(tuple(assignments))

    def format(self) -> str:
        """Write the form in braces."""
        return f"ct_commit {{ {format_all(self.assignments)} }};" if self.assignments else "ct_commit { };"

    def requires(self) -> tuple[str, ...]:
        """Require IP."""
        return ("ip",)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one ct with commit."""
        source = (Nat(src=True),) if ctx.zero_snat else ()
        inner = (*source, *encode_all(self.assignments, ctx))
        return [Ct(Zone.flow(ctx).bits, commit=True, actions=inner)]

    def evaluate(self, machine: Machine) -> bool:
        """Commit the connection; the packet does not change."""
        mark, label = [0, 0], [0, 0]
        for assignment in self.assignments:
            bits = assignment.dst
            ofs, ones = bits.symbol.ofs + bits.ofs, (1 << bits.n_bits) - 1
            target = mark if bits.symbol.field is SYMBOLS["ct_mark"].field else label
            if isinstance(assignment, Move):
                value, mask = machine.packet.get(assignment.src), ones
            else:
                constant = assignment.value
                value = constant.value if isinstance(constant, Integer) else 0
                mask = ones if not isinstance(constant, Integer) or constant.mask is None else constant.mask & ones
            target[0] = target[0] & ~(mask << ofs) | (value & mask) << ofs
            target[1] |= mask << ofs
        machine.commit(Zone.flow(machine), None, mark=(mark[0], mark[1]), label=(label[0], label[1]))
        return True


def _commit_assignment(cursor: Cursor) -> Load | Move:
    dst = parse_field(cursor)
    check_writable(dst, Scope.CT_COMMIT, cursor.text)
    if dst.symbol.scope is not Scope.CT_COMMIT:
        raise ParseError(f"Field {dst.symbol.name} is not modifiable.", text=cursor.text, span=dst.span)
    cursor.expect("=")
    if cursor.token.kind == "id":
        src = parse_field(cursor)
        check_compatible(cursor, dst=dst, src=src, verb="assign", preposition="to")
        return Move(dst=dst, src=src)
    return Load(dst, load_constant(cursor, dst))


def _old_arguments(cursor: Cursor) -> tuple[Load, ...]:
    assignments: list[Load] = []
    while not cursor.take(")"):
        token = cursor.token
        if not (cursor.take_name("ct_mark") or cursor.take_name("ct_label")):
            raise cursor.syntax_error("expecting `ct_mark' or `ct_label'")
        dst = FieldRef.whole(SYMBOLS[token.name], (token.start, token.end))
        cursor.expect("=")
        assignments.append(Load(dst, load_constant(cursor, dst)))
        cursor.take(",")
    return tuple(assignments)


@dataclass(frozen=True, slots=True)
class _Translate(Action):
    """Translate in one zone: to a given address and commit, or without an address as the connection is translated."""

    NAME: ClassVar[str]
    ZONE: ClassVar[Zone]
    SOURCE: ClassVar[bool]

    address: Integer | None = None
    _: KW_ONLY
    port: int = 0
    port_max: int = 0

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """Parse the arguments."""
        address, low, high = _translation_arguments(cursor)
        return cls(address, port=low, port_max=high)

    def format(self) -> str:
        """Write the action."""
        if self.address is None:
            return f"{self.NAME};"
        ports = f", {self.port}" if self.port else ""
        if self.port_max:
            ports += f"-{self.port_max}"
        return f"{self.NAME}({self.address}{ports});"

    def requires(self) -> tuple[str, ...]:
        """Require IP."""
        return ("ip",)

    @property
    def translation(self) -> Translation:
        """The translation that the action applies."""
        if self.address is None:
            return Translation()
        ipv6 = self.address.format is Format.IPV6
        return Translation(self.SOURCE, self.address.value, ipv6, port=self.port, port_max=self.port_max)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one ct that goes on to the next table."""
        table = logical_table(ctx, None, None)
        return [Ct(self.ZONE.bits, commit=self.address is not None, table=table, actions=(nat(self.translation),))]

    def evaluate(self, machine: Machine) -> bool:
        """Translate a copy and run the next table on it."""
        return track_and_go(machine, self.ZONE, self.translation, commit=self.address is not None)


def _translation_arguments(cursor: Cursor) -> tuple[Integer | None, int, int]:
    """Parse nothing or `(address)`, `(address, port)`, `(address, low-high)`."""
    if not cursor.take("("):
        return None, 0, 0
    token = cursor.token
    if token.kind != "integer" or token.format not in (Format.IPV4, Format.IPV6):
        raise cursor.syntax_error("expecting IPv4 or IPv6 address")
    cursor.advance()
    low = high = 0
    if cursor.take(","):
        if cursor.token.value == 0:
            raise cursor.syntax_error("range can't be 0")
        low = cursor.expect_int(1 << 16)
        if cursor.take("-"):
            if cursor.token.value <= low:
                raise cursor.syntax_error("range high should be greater than range low")
            high = cursor.expect_int(1 << 16)
    cursor.expect(")")
    return Integer(token.value, mask=None, format=token.format), low, high


@dataclass(frozen=True, slots=True)
class CtDnat(_Translate):
    """`ct_dnat;`, `ct_dnat(IP);`."""

    NAME, ZONE, SOURCE = "ct_dnat", Zone.DNAT, False


@dataclass(frozen=True, slots=True)
class CtSnat(_Translate):
    """`ct_snat;`, `ct_snat(IP);`."""

    NAME, ZONE, SOURCE = "ct_snat", Zone.SNAT, True


@dataclass(frozen=True, slots=True)
class CtDnatInCommonZone(_Translate):
    """`ct_dnat_in_czone;`, `ct_dnat_in_czone(IP);`: in the zone that both translations share."""

    NAME, ZONE, SOURCE = "ct_dnat_in_czone", Zone.DNAT, False


@dataclass(frozen=True, slots=True)
class CtSnatInCommonZone(_Translate):
    """`ct_snat_in_czone;`, `ct_snat_in_czone(IP);`: in the zone that both translations share."""

    NAME, ZONE, SOURCE = "ct_snat_in_czone", Zone.DNAT, True


@dataclass(frozen=True, slots=True)
class CtCommitNat(_InZone):
    """`ct_commit_nat;`, `ct_commit_nat(snat);`: apply the connection's existing translation, and commit."""

    NAME = "ct_commit_nat"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one ct with commit that goes on to the next table."""
        table = logical_table(ctx, None, None)
        return [Ct(self.zone_of(ctx).bits, commit=True, table=table, actions=(Nat(),))]

    def evaluate(self, machine: Machine) -> bool:
        """Translate and commit a copy, and run the next table on it."""
        return track_and_go(machine, self.zone_of(machine), Translation(), commit=True)


@dataclass(frozen=True, slots=True)
class CtSnatToVip(Noted, Keyword):
    """`ct_snat_to_vip;`: call the table that translates the source of hairpinned traffic to the load balancer's VIP."""

    NAME = "ct_snat_to_vip"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return one resubmit."""
        return [Resubmit(OFTable.CT_SNAT_HAIRPIN)]


def format_address(address: int, *, ipv6: bool, port: int = 0) -> str:
    """Write an endpoint: `10.0.0.1`, `10.0.0.1:80`, `fd00::1`, `[fd00::1]:80`.

    Arguments:
        address: as a number.
        ipv6: whether it is an IPv6 address.
        port: from 1 to 65,535; 0 for none.
    """
    if not ipv6:
        return f"{ipv4_text(address)}:{port}" if port else ipv4_text(address)
    return f"[{ipv6_text(address)}]:{port}" if port else ipv6_text(address)
