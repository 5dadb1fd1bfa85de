"""Actions that write fields: assignment, exchange, the stack, ip.ttl-- and the MTU of ICMP errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.lang.actions.action import Action, Noted, field_requires
from ovenbird.lang.actions.layout import bits_of
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.lang.ast import FieldRef, Integer, String
from ovenbird.lang.constant import parse_constant
from ovenbird.lang.errors import FieldError
from ovenbird.lang.parser import check_constant, check_writable, parse_field
from ovenbird.openflow.actions import CopyField, DecTtl, SetField, StackPop, StackPush

if TYPE_CHECKING:
    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.lang.actions.machine import Machine
    from ovenbird.openflow.actions import Action as OpenFlowAction


@dataclass(frozen=True, slots=True)
class Load(Action):
    """`field = constant;`: a port's name to a string field, an integer (perhaps masked) to another."""

    dst: FieldRef
    value: Integer | String

    def format(self) -> str:
        """Write the assignment."""
        return f"{self.dst} = {self.value};"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.dst)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one set_field."""
        bits = bits_of(self.dst)
        value = self.value
        if isinstance(value, String):
            return [SetField.bits(bits, ctx.port_key(value.value) if value.value else 0)]
        ones = (1 << bits.n_bits) - 1  # a constant for some bits in brackets may be as wide as the whole symbol
        mask = ones if value.mask is None else value.mask & ones
        return [SetField(bits.field, (value.value & mask) << bits.ofs, mask=mask << bits.ofs)]

    def evaluate(self, machine: Machine) -> bool:
        """Set the field."""
        packet, value = machine.packet, self.value
        if isinstance(value, String):
            packet.set(self.dst, machine.port_key(value.value) if value.value else 0)
        else:
            ones = (1 << self.dst.n_bits) - 1
            mask = ones if value.mask is None else value.mask & ones
            packet.set(self.dst, packet.get(self.dst) & ~mask | value.value & mask)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(Action):
    """`field1 = field2;`."""

    dst: FieldRef
    src: FieldRef

    def format(self) -> str:
        """Write the assignment."""
        return f"{self.dst} = {self.src};"

    def requires(self) -> tuple[str, ...]:
        """Return both fields' prerequisites."""
        return field_requires(self.dst, self.src)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return one move."""
        return [CopyField(src=bits_of(self.src), dst=bits_of(self.dst))]

    def evaluate(self, machine: Machine) -> bool:
        """Copy the value."""
        machine.packet.set(self.dst, machine.packet.get(self.src))
        return True


@dataclass(frozen=True, slots=True)
class Exchange(Action):
    """`field1 <-> field2;`."""

    a: FieldRef
    b: FieldRef

    def format(self) -> str:
        """Write the exchange."""
        return f"{self.a} <-> {self.b};"

    def requires(self) -> tuple[str, ...]:
        """Return both fields' prerequisites."""
        return field_requires(self.a, self.b)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return the exchange, done by the stack."""
        a, b = bits_of(self.a), bits_of(self.b)
        return [StackPush(b), StackPush(a), StackPop(b), StackPop(a)]

    def evaluate(self, machine: Machine) -> bool:
        """Exchange the values."""
        packet = machine.packet
        a, b = packet.get(self.a), packet.get(self.b)
        packet.set(self.b, a)
        packet.set(self.a, b)
        return True


@dataclass(frozen=True, slots=True)
class Push(Action):
    """`push(field);`."""

    src: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor) -> Push:
        """Parse `(field)`."""
        return cls(_in_parentheses(cursor))

    def format(self) -> str:
        """Write the action."""
        return f"push({self.src});"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.src)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return one push."""
        return [StackPush(bits_of(self.src))]

    def evaluate(self, machine: Machine) -> bool:
        """Push the value."""
        machine.stack.append(machine.packet.get(self.src))
        return True


@dataclass(frozen=True, slots=True)
class Pop(Action):
    """`pop(field);`."""

    dst: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor) -> Pop:
        """Parse `(field)`."""
        dst = _in_parentheses(cursor)
        check_writable(dst, text=cursor.text)
        return cls(dst)

    def format(self) -> str:
        """Write the action."""
        return f"pop({self.dst});"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.dst)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return one pop."""
        return [StackPop(bits_of(self.dst))]

    def evaluate(self, machine: Machine) -> bool:
        """Pop a value, truncated to the field's width; an empty stack changes nothing, as in Open vSwitch."""
        if machine.stack:
            machine.packet.set(self.dst, machine.stack.pop() & ((1 << bits_of(self.dst).n_bits) - 1))
        return True


@dataclass(frozen=True, slots=True)
class DecrementTtl(Action):
    """`ip.ttl--;`: decrement the TTL, and drop the packet when it expires."""

    def format(self) -> str:
        """Write the action."""
        return "ip.ttl--;"

    def requires(self) -> tuple[str, ...]:
        """Require IP."""
        return ("ip",)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return one dec_ttl."""
        return [DecTtl()]

    def evaluate(self, machine: Machine) -> bool:
        """Decrement the TTL; return False when it expires."""
        ttl = machine.packet["nw_ttl"]
        if ttl <= 1:
            machine.note(self, "TTL spent")
            return False
        machine.packet["nw_ttl"] = ttl - 1
        return True


@dataclass(frozen=True, slots=True)
class FragMtu(Noted):
    """`icmp4.frag_mtu = mtu;`, `icmp6.frag_mtu = mtu;`: written by the controller (RFC 1191, RFC 4443)."""

    dst: FieldRef
    mtu: Integer

    def format(self) -> str:
        """Write the assignment."""
        return f"{self.dst} = {self.mtu};"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.dst)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one controller action that pauses the packet."""
        six = self.dst.symbol.name == "icmp6.frag_mtu"
        opcode = Opcode.PUT_ICMP6_FRAG_MTU if six else Opcode.PUT_ICMP4_FRAG_MTU
        payload = self.mtu.value.to_bytes(4 if six else 2, "big")
        return [Userdata(opcode, None, payload).controller(ctx, pause=True)]


def _in_parentheses(cursor: Cursor) -> FieldRef:
    cursor.expect("(")
    ref = parse_field(cursor)
    cursor.expect(")")
    return ref


def parse_assignment(cursor: Cursor) -> Action:
    """Parse a statement that starts with a field.

    Raises:
        LangError: it is not an assignment or exchange, or the fields are not compatible.
    """
    if cursor.peek().kind == "--":
        if not cursor.take_name("ip.ttl"):
            raise cursor.syntax_error("expecting action")
        cursor.advance()
        return DecrementTtl()
    dst = parse_field(cursor)
    if cursor.take("<->"):
        return _exchange(cursor, dst)
    if cursor.token.kind != "=":
        raise cursor.syntax_error("expecting `=' or `<->'")
    cursor.advance()
    token = cursor.token
    if token.kind == "id":
        function = cursor.registry.functions.get(token.name)
        if function is not None and cursor.peek().kind == "(":
            cursor.advance()
            return function(cursor, dst)
        return _move(cursor, dst)
    return parse_load(cursor, dst)


def parse_load(cursor: Cursor, dst: FieldRef) -> Load | FragMtu:
    """Parse the constant of an assignment to a field that is writable everywhere."""
    check_writable(dst, text=cursor.text)
    value = load_constant(cursor, dst)
    if dst.symbol.field is None and isinstance(value, Integer):
        return FragMtu(dst, value)
    return Load(dst, value)


def load_constant(cursor: Cursor, dst: FieldRef) -> Integer | String:
    """Parse a constant that fits a field.

    Raises:
        LangError: there is no such constant, or it is a set.
    """
    token = cursor.token
    if token.kind in ("macro", "group"):
        raise cursor.syntax_error("expecting constant")
    value = parse_constant(cursor)
    check_constant(dst, value, cursor.text, (token.start, token.end))
    if not isinstance(value, (Integer, String)):
        raise cursor.syntax_error("expecting constant")
    return value


def _move(cursor: Cursor, dst: FieldRef) -> Move:
    src = parse_field(cursor)
    check_writable(dst, text=cursor.text)
    check_compatible(cursor, dst=dst, src=src, verb="assign", preposition="to")
    return Move(dst=dst, src=src)


def check_compatible(cursor: Cursor, *, dst: FieldRef, src: FieldRef, verb: str, preposition: str) -> None:
    """Check that two fields exist in a packet and have the same type and width.

    Arguments:
        cursor: the text that holds both, for the error.
        dst: the field that is written.
        src: the field that is read.
        verb: the operation, for the error: "assign".
        preposition: the preposition that goes with the verb: "to".

    Raises:
        FieldError: one of them does not exist in a packet, or their types or widths differ.
    """
    if src.symbol.is_predicate:
        raise FieldError(
            f"Predicate symbol {src.symbol.name} used where field required.", text=cursor.text, span=src.span
        )
    if dst.symbol.is_string != src.symbol.is_string:
        first, second = ("string", "integer") if src.symbol.is_string else ("integer", "string")
        message = f"Can't {verb} {first} field ({src}) {preposition} {second} field ({dst})."
        raise FieldError(message, text=cursor.text, span=src.span)
    if dst.n_bits != src.n_bits:
        message = f"Can't {verb} {src.n_bits}-bit value {preposition} {dst.n_bits}-bit destination."
        raise FieldError(message, text=cursor.text, span=src.span)
    for ref in (dst, src):
        if ref.symbol.field is None:
            raise FieldError(f"Field {ref.symbol.name} takes constants only.", text=cursor.text, span=ref.span)


def _exchange(cursor: Cursor, dst: FieldRef) -> Exchange:
    src = parse_field(cursor)
    check_compatible(cursor, dst=dst, src=src, verb="exchange", preposition="with")
    check_writable(dst, text=cursor.text)
    check_writable(src, text=cursor.text)
    return Exchange(dst, src)
