"""The tree of a match as it was written, without expansion or simplification (ovn-sb(5), table Logical_Flow).

Invariants: `And` holds no `And` and `Or` no `Or` directly; both hold at least two terms; a comparison's constants are
either all integers (and address sets) or all strings (and port groups). Spans give a node's position in the text and
are ignored when nodes are compared. `str(node)` is text that parses to an equal node.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING

from ovenbird.dataclass import KW_ONLY, dataclass, field
from ovenbird.lang.lexer import Format, format_constant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.lang.symbols import Symbol

Span = tuple[int, int]
_NOWHERE: Span = (0, 0)


class Relop(StrEnum):
    """A relational operator."""

    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="

    @property
    def turned(self) -> Relop:
        """Return the equivalent operator for exchanged operands."""
        return _TURNED[self]

    @property
    def negated(self) -> Relop:
        """Return the operator that holds exactly when this one does not."""
        return _NEGATED[self]


_EQ, _NE, _LT, _LE, _GT, _GE = Relop
_TURNED = {_EQ: _EQ, _NE: _NE, _LT: _GT, _LE: _GE, _GT: _LT, _GE: _LE}
_NEGATED = {_EQ: _NE, _NE: _EQ, _LT: _GE, _LE: _GT, _GT: _LE, _GE: _LT}


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer constant, perhaps masked, and the format it was written in."""

    value: int
    _: KW_ONLY
    mask: int | None = None
    format: Format = Format.DECIMAL

    @property
    def width(self) -> int:
        """Return how many bits a field needs to hold the constant."""
        return (self.value if self.mask is None else self.mask).bit_length()

    def __str__(self) -> str:
        return format_constant(self.value, mask=self.mask, form=self.format)


@dataclass(frozen=True, slots=True)
class String:
    """A string constant: a port's name."""

    value: str

    def __str__(self) -> str:
        return json.dumps(self.value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class AddressSet:
    """`$name`: the members of an address set."""

    name: str
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"${self.name}"


@dataclass(frozen=True, slots=True)
class PortGroup:
    """`@name`: the members of a port group."""

    name: str
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"@{self.name}"


Constant = Integer | String | AddressSet | PortGroup


@dataclass(frozen=True, slots=True)
class FieldRef:
    """A symbol or some bits of it: `n_bits` from bit `ofs` of the symbol up; both are 0 for a string."""

    symbol: Symbol
    _: KW_ONLY
    ofs: int
    n_bits: int
    span: Span = field(default=_NOWHERE, compare=False)

    @classmethod
    def whole(cls, symbol: Symbol, span: Span = _NOWHERE) -> FieldRef:
        """Return the reference to all of `symbol`."""
        return cls(symbol, ofs=0, n_bits=symbol.width, span=span)

    def __str__(self) -> str:
        if self.n_bits == self.symbol.width:
            return self.symbol.name
        if self.n_bits == 1:
            return f"{self.symbol.name}[{self.ofs}]"
        return f"{self.symbol.name}[{self.ofs}..{self.ofs + self.n_bits - 1}]"


@dataclass(frozen=True, slots=True)
class Boolean:
    """The literal 0 or 1."""

    value: bool

    def __str__(self) -> str:
        return "1" if self.value else "0"


@dataclass(frozen=True, slots=True)
class Test:
    """A field's name alone: the field is not zero, the predicate holds."""

    __test__ = False  # not for pytest to collect

    ref: FieldRef

    def __str__(self) -> str:
        return str(self.ref)


@dataclass(frozen=True, slots=True)
class Compare:
    """A field compared with one constant or, in braces, with a set of them; the field stands on the left."""

    ref: FieldRef
    relation: Relop
    constants: tuple[Constant, ...]
    braces: bool = False
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        constants = ", ".join(map(str, self.constants))
        return f"{self.ref} {self.relation} {'{' + constants + '}' if self.braces else constants}"


@dataclass(frozen=True, slots=True)
class Resident:
    """`is_chassis_resident("port")`; the span is the string's."""

    port: str
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"is_chassis_resident({json.dumps(self.port, ensure_ascii=False)})"


@dataclass(frozen=True, slots=True)
class Not:
    """`!` before one operand."""

    term: Expr

    def __str__(self) -> str:
        bare = isinstance(self.term, (Test, Boolean, Resident))
        return f"!{self.term}" if bare else f"!({self.term})"


@dataclass(frozen=True, slots=True)
class And:
    """Terms that all hold."""

    terms: tuple[Expr, ...]

    def __str__(self) -> str:
        return " && ".join(f"({term})" if isinstance(term, Or) else str(term) for term in self.terms)


@dataclass(frozen=True, slots=True)
class Or:
    """Terms of which at least one holds."""

    terms: tuple[Expr, ...]

    def __str__(self) -> str:
        return " || ".join(f"({term})" if isinstance(term, And) else str(term) for term in self.terms)


Expr = Boolean | Test | Compare | Resident | Not | And | Or


def conjunction(terms: list[Expr]) -> Expr:
    """Return the conjunction of `terms` (at least one), with nested conjunctions flattened."""
    flat: list[Expr] = []
    for term in terms:
        flat.extend(term.terms) if isinstance(term, And) else flat.append(term)
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def disjunction(terms: list[Expr]) -> Expr:
    """Return the disjunction of `terms` (at least one), with nested disjunctions flattened."""
    flat: list[Expr] = []
    for term in terms:
        flat.extend(term.terms) if isinstance(term, Or) else flat.append(term)
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def leaves(expr: Expr) -> Iterator[Boolean | Test | Compare | Resident]:
    """Yield the leaves of an expression from left to right, without the operators around them."""
    match expr:
        case And(terms) | Or(terms):
            for term in terms:
                yield from leaves(term)
        case Not(term):
            yield from leaves(term)
        case _:
            yield expr
