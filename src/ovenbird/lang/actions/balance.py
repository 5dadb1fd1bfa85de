"""Actions that choose among alternatives by an OpenFlow group: ct_lb and its kin, select, fwd_group."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lang.actions.action import Action, field_requires
from ovenbird.lang.actions.conntrack import format_address, nat, track_and_go
from ovenbird.lang.actions.context import Bucket, GroupSpec, logical_table
from ovenbird.lang.actions.layout import OUTPORT, bits_of
from ovenbird.lang.actions.machine import Translation, Zone
from ovenbird.lang.ast import String
from ovenbird.lang.errors import FieldError
from ovenbird.lang.lexer import Format
from ovenbird.lang.parser import check_writable
from ovenbird.openflow.actions import Ct, Group, Nat, Resubmit, SetField
from ovenbird.openflow.fields import ALIASES, FIELDS
from ovenbird.pipeline.openflow_tables import OFTable
from ovenbird.pipeline.stages import Pipeline

if TYPE_CHECKING:
    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.lang.actions.machine import Machine
    from ovenbird.lang.ast import FieldRef
    from ovenbird.openflow.actions import Action as OpenFlowAction

# Bits of ct_mark or ct_label that a load-balanced connection carries.
_NATTED = 1 << 1
_SNAT_FLAGS = {"skip_snat": 1 << 2, "force_snat": 1 << 3}


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend of a load balancer.

    Arguments:
        address: as a number.
        ipv6: whether this is an IPv6 address.
        port: 0 keeps the packet's port.
        at: the name of the logical port that it is behind, where only local backends are chosen.
    """

    address: int
    ipv6: bool = False
    port: int = 0
    _: KW_ONLY
    at: str = ""

    def __str__(self) -> str:
        to = format_address(self.address, ipv6=self.ipv6, port=self.port)
        return f"{String(self.at)}:{to}" if self.at else to


@dataclass(frozen=True, slots=True)
class _LoadBalance(Action):
    """Translate to one of the backends and commit; without backends, translate as the connection was before."""

    NAME: ClassVar[str]
    FIELD: ClassVar[str]
    LOCAL: ClassVar[bool] = False

    backends: tuple[Backend, ...] = ()
    hash_fields: tuple[str, ...] = ()
    ct_flag: str = ""

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """Parse the arguments."""
        return cls(*_load_balance_arguments(cursor, local=cls.LOCAL))

    def format(self) -> str:
        """Write the action."""
        if not self.backends:
            return f"{self.NAME};"
        hashed = f'; hash_fields="{",".join(self.hash_fields)}"' if self.hash_fields else ""
        flag = f"; {self.ct_flag}" if self.ct_flag else ""
        return f"{self.NAME}(backends={','.join(map(str, self.backends))}{hashed}{flag});"

    def requires(self) -> tuple[str, ...]:
        """Require IP."""
        return ("ip",)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one ct, or a group with a ct per backend."""
        zone, table = Zone.flow(ctx).bits, logical_table(ctx, None, None)
        if not self.backends:
            return [Ct(zone, table=table, actions=(Nat(),))]
        mark = [SetField.of(self.FIELD, _NATTED, mask=_NATTED)]
        if self.ct_flag:
            mark.append(SetField.of(self.FIELD, _SNAT_FLAGS[self.ct_flag], mask=_SNAT_FLAGS[self.ct_flag]))
        buckets = [
            Bucket((Ct(zone, commit=True, table=table, actions=(nat(_translation(backend)), *mark)),))
            for backend in self.backends
            if not backend.at or ctx.is_local(backend.at)
        ]
        return [Group(ctx.group(GroupSpec(tuple(buckets), self.hash_fields)))] if buckets else []

    def evaluate(self, machine: Machine) -> bool:
        """Translate a copy, commit it with its flags, and run the next table on it."""
        zone = Zone.flow(machine)
        if not self.backends:
            return track_and_go(machine, zone, Translation(told=True))
        backend = self.backends[machine.choose([100] * len(self.backends))]
        bits = _NATTED | _SNAT_FLAGS.get(self.ct_flag, 0)
        original = machine.packet
        machine.packet = original.copy()
        try:
            flags, none = (bits, bits), (0, 0)
            by_mark = self.FIELD == "ct_mark"
            machine.commit(
                zone, _translation(backend), mark=flags if by_mark else none, label=none if by_mark else flags
            )
            machine.next(None, None)
        finally:
            machine.packet = original
        return True


def _translation(backend: Backend) -> Translation:
    return Translation(address=backend.address, ipv6=backend.ipv6, port=backend.port)


@dataclass(frozen=True, slots=True)
class CtLb(_LoadBalance):
    """`ct_lb;`, `ct_lb(backends=...; hash_fields=...; flag);`: flags in ct_label."""

    NAME, FIELD = "ct_lb", "ct_label"


@dataclass(frozen=True, slots=True)
class CtLbMark(_LoadBalance):
    """`ct_lb_mark;`, `ct_lb_mark(backends=...; hash_fields=...; flag);`: flags in ct_mark."""

    NAME, FIELD = "ct_lb_mark", "ct_mark"


@dataclass(frozen=True, slots=True)
class CtLbMarkLocal(_LoadBalance):
    """`ct_lb_mark_local(backends="port":IP...; hash_fields=...; flag);`: only to backends on this chassis.

    A packet is dropped where there are none. In a trace all backends are local, as all ports are.
    """

    NAME, FIELD, LOCAL = "ct_lb_mark_local", "ct_mark", True


def _load_balance_arguments(cursor: Cursor, *, local: bool) -> tuple[tuple[Backend, ...], tuple[str, ...], str]:
    backends: list[Backend] = []
    hash_fields: tuple[str, ...] = ()
    ct_flag = ""
    if not cursor.take("(") or cursor.take(")"):
        return (), (), ""
    if not cursor.take_name("backends"):
        raise cursor.syntax_error("expecting backends")
    cursor.expect("=")
    while cursor.token.kind not in (";", ")"):
        backends.append(_backend(cursor, local=local))
        if not cursor.take(","):
            break
    if cursor.take(";") and cursor.take_name("hash_fields"):
        cursor.expect("=")
        hash_fields = _hash_fields(cursor)
        cursor.take(";")
    if cursor.token.kind == "id":
        ct_flag = cursor.token.name
        if ct_flag not in _SNAT_FLAGS:
            raise cursor.syntax_error("expecting skip_snat or force_snat")
        cursor.advance()
    cursor.expect(")")
    return tuple(backends), hash_fields, ct_flag


def _backend(cursor: Cursor, *, local: bool) -> Backend:
    at = ""
    if local:
        if cursor.token.kind != "string" or not cursor.token.name:
            raise cursor.syntax_error("expecting logical port name for distributed load balancer")
        at = cursor.advance().name
        cursor.expect(":")
    bracket = cursor.take("[")
    token = cursor.token
    if token.kind != "integer" or token.format not in ((Format.IPV6,) if bracket else (Format.IPV4, Format.IPV6)):
        raise cursor.syntax_error("expecting IPv6 address" if bracket else "expecting IP address")
    cursor.advance()
    ipv6 = token.format is Format.IPV6
    if bracket:
        cursor.expect("]")
    port = 0
    if (bracket or not ipv6) and cursor.take(":"):
        if cursor.token.value == 0:
            raise cursor.syntax_error("expecting port number")
        port = cursor.expect_int(1 << 16)
    return Backend(token.value, ipv6, port, at=at)


def _hash_fields(cursor: Cursor) -> tuple[str, ...]:
    """Parse a string of names of fields, with commas between them.

    Raises:
        FieldError: Open vSwitch has no field of that name.
    """
    token = cursor.token
    names = tuple([name.strip() for name in cursor.expect("string").name.split(",") if name.strip()])
    for name in names:
        if name not in FIELDS and name not in ALIASES:
            message = f"Open vSwitch has no field {name!r} to hash."
            raise FieldError(message, text=cursor.text, span=(token.start, token.end))
    return names


def _choices(cursor: Cursor) -> tuple[tuple[int, int], ...]:
    """Parse numbers with their weights, up to a closing parenthesis."""
    choices: list[tuple[int, int]] = []
    while not cursor.take(")"):
        number = cursor.expect_int(1 << 16)
        weight = 100
        if cursor.take("="):
            if cursor.token.kind == "integer" and cursor.token.value == 0:
                raise cursor.syntax_error("weight can't be 0")
            weight = cursor.expect_int(1 << 16)
        choices.append((number, weight))
        cursor.take(",")
    if len(choices) < 2:
        raise cursor.syntax_error("expecting at least 2 group members")
    return tuple(choices)


@dataclass(frozen=True, slots=True)
class Select(Action):
    """`R = select(N1=W1, N2=W2, ...);`: store one of the numbers, chosen by weight, and go to the next table.

    `R = select(values=(N1=W1, ...); hash_fields="...");`, which OVN knows since 24.09, chooses by fields of the packet.
    """

    dst: FieldRef
    choices: tuple[tuple[int, int], ...]
    hash_fields: tuple[str, ...] = ()

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> Select:
        """Parse the numbers and their weights.

        Raises:
            LangError: there are fewer than two, a weight is 0, or the destination is too narrow.
        """
        check_writable(dst, text=cursor.text)
        if dst.n_bits < 16:
            message = f'cannot use {dst.n_bits}-bit field {dst} for "select", which requires at least 16 bits.'
            raise FieldError(message, text=cursor.text, span=dst.span)
        cursor.expect("(")
        if not cursor.take_name("values"):
            return cls(dst, _choices(cursor))
        cursor.expect("=")
        cursor.expect("(")
        choices = _choices(cursor)
        fields: tuple[str, ...] = ()
        if cursor.take(";"):
            if not cursor.take_name("hash_fields"):
                raise cursor.syntax_error("expecting hash_fields")
            cursor.expect("=")
            fields = _hash_fields(cursor)
        cursor.expect(")")
        return cls(dst, choices, fields)

    def format(self) -> str:
        """Write the action."""
        numbers = ", ".join([f"{number}={weight}" for number, weight in self.choices])
        if not self.hash_fields:
            return f"{self.dst} = select({numbers});"
        return f'{self.dst} = select(values=({numbers}); hash_fields="{",".join(self.hash_fields)}");'

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.dst)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return a group whose buckets store a number and resubmit to the next table."""
        dst = bits_of(self.dst)
        go_on = Resubmit(logical_table(ctx, None, None))
        buckets = [Bucket((SetField.bits(dst, number), go_on), weight) for number, weight in self.choices]
        return [Group(ctx.group(GroupSpec(tuple(buckets), self.hash_fields, symmetric=not self.hash_fields)))]

    def evaluate(self, machine: Machine) -> bool:
        """Store the machine's choice in a copy and run the next table on it."""
        original = machine.packet
        machine.packet = original.copy()
        try:
            chosen = machine.choose([weight for _, weight in self.choices])
            machine.packet.set(self.dst, self.choices[chosen][0])
            machine.next(None, None)
        finally:
            machine.packet = original
        return True


@dataclass(frozen=True, slots=True)
class ForwardGroup(Action):
    """`fwd_group(liveness="true", childports="p1", "p2");`: output to one of several ports."""

    ports: tuple[str, ...]
    liveness: bool = False

    @classmethod
    def parse(cls, cursor: Cursor) -> ForwardGroup:
        """Parse the arguments.

        Raises:
            LangError: they are not `liveness` and at least one child port.
        """
        cursor.expect("(")
        liveness = False
        if cursor.take_name("liveness"):
            cursor.expect("=")
            if cursor.token.name not in ("true", "false"):
                raise cursor.syntax_error("expecting true or false")
            liveness = cursor.advance().name == "true"
            cursor.expect(",")
        if not cursor.take_name("childports"):
            raise cursor.syntax_error("expecting childports")
        cursor.expect("=")
        ports = []
        while True:
            if cursor.token.kind != "string":
                raise cursor.syntax_error("expecting logical switch port")
            ports.append(cursor.advance().name)
            if not cursor.take(","):
                break
        cursor.expect(")")
        return cls(tuple(ports), liveness)

    def format(self) -> str:
        """Write the action."""
        liveness = 'liveness="true", ' if self.liveness else ""
        return f"fwd_group({liveness}childports={', '.join([str(String(port)) for port in self.ports])});"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return a group whose buckets set outport and output; ports that do not exist are left out."""
        output = Resubmit(OFTable.OUTPUT_LARGE_PKT_DETECT if ctx.pipeline == Pipeline.INGRESS else OFTable.SAVE_INPORT)
        keys = [(port, key) for port in self.ports if (key := ctx.port_key(port))]
        buckets = [
            Bucket((SetField.bits(OUTPORT, key), output), weight=1, watch=port if self.liveness else "")
            for port, key in keys
        ]
        return [Group(ctx.group(GroupSpec(tuple(buckets))))] if buckets else []

    def evaluate(self, machine: Machine) -> bool:
        """Output to the machine's choice."""
        keys = [key for port in self.ports if (key := machine.port_key(port))]
        if keys:
            original = machine.packet
            machine.packet = original.copy()
            try:
                machine.packet["reg15"] = keys[machine.choose([100] * len(keys))]
                machine.output()
            finally:
                machine.packet = original
        return True
