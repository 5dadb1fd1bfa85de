"""Mutations: changes relative to a column's present value (RFC 7047, section 5.1 `<mutation>`).

Insertions and deletions are passed on as deltas, so that adding one member to a set of ten thousand validates one.
"""

# ruff: noqa: N818 - errors are named as the RFC names them
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ovenbird.dataclass import dataclass
from ovenbird.ovsdb import notation
from ovenbird.ovsdb.errors import BadSyntax, ConstraintViolation, DomainError, OvsdbError, RangeError, UnknownColumn
from ovenbird.ovsdb.types import MAX_INTEGER, MIN_INTEGER, UNLIMITED, Atomic, ColumnType

if TYPE_CHECKING:
    from ovenbird.ovsdb.table import BoundTable

_ARITHMETIC = frozenset(("+=", "-=", "*=", "/=", "%="))


class UnknownMutator(OvsdbError):
    """A mutation names an unknown mutator."""

    error = "unknown mutator"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mutation of one column: `value` is a scalar for arithmetic, else the members (a set, or pairs of a map)."""

    position: int
    mutator: str
    value: Any


def parse_mutation(table: BoundTable, json: Any, names: notation.Names | None = None) -> Mutation:
    """Return a mutation from its JSON.

    Arguments:
        table: whose rows are changed.
        json: a `<mutation>` of RFC 7047, section 5.1.
        names: the named UUIDs of the transaction; None where there are none.

    Raises:
        BadSyntax, UnknownColumn, UnknownMutator, ConstraintViolation: it is not well formed for this table.
    """
    if type(json) is not list or len(json) != 3 or type(json[0]) is not str or type(json[1]) is not str:
        raise BadSyntax("Parse error in mutation.", json)
    name, mutator, raw = json
    if name in ("_uuid", "_version"):
        raise ConstraintViolation(f"Cannot mutate immutable column {name} in table {table.name}.", json)
    position = table.position.get(name)
    if position is None:
        raise UnknownColumn(f"No column {name} in table {table.name}.", json)
    column = table.layout[position]
    if not column.mutable:
        raise ConstraintViolation(f"Cannot mutate immutable column {name} in table {table.name}.", json)
    if mutator not in _ARITHMETIC and mutator not in ("insert", "delete"):
        raise UnknownMutator(f"No mutator named {mutator}.")
    type_ = column.type
    mismatch = (
        type_.value is not None or type_.key.atomic not in (Atomic.INTEGER, Atomic.REAL)
        if mutator in _ARITHMETIC
        else type_.is_scalar
    ) or (mutator == "%=" and type_.key.atomic is Atomic.REAL)
    if mismatch:
        raise BadSyntax(
            f'Type mismatch: "{mutator}" operator may not be applied to column {name} of type {type_.describe()}.',
            json,
        )
    return Mutation(position, mutator, _operand(type_, mutator, raw, names))


def _operand(type_: ColumnType, mutator: str, raw: Any, names: notation.Names | None) -> Any:
    if mutator in _ARITHMETIC:
        return notation.decoder(ColumnType(type_.key.without_constraints()))(raw, names)
    operand = notation.relaxed(type_, high=UNLIMITED if mutator == "delete" else None)
    if mutator == "delete" and type_.value is not None:
        try:
            return notation.decoder(operand)(raw, names)
        except OvsdbError:  # no map of pairs, so a set of keys
            operand = ColumnType(type_.key, value=None, low=0, high=UNLIMITED)
    return notation.members(operand, notation.decoder(operand)(raw, names))


def calculate(type_: ColumnType, mutator: str, value: Any, *, operand: Any) -> Any:
    """Return the new value of an arithmetic mutation, checked against the column's constraints.

    Arguments:
        type_: the column's.
        mutator: `+=`, `-=`, `*=`, `/=` or `%=`.
        value: the old value.
        operand: a number of the column's type.

    Raises:
        DomainError: division by zero.
        RangeError: the result does not fit the type.
        ConstraintViolation: the result breaks a constraint, or two members of a set became equal.
    """
    atoms = [_calculate(type_.key.atomic, mutator, atom, operand) for atom in notation.members(type_, value)]
    if type_.key.constrained:
        for atom in atoms:
            type_.key.check(atom)
    answer = frozenset(atoms)
    if len(answer) != len(atoms):
        raise ConstraintViolation(f'Result of "{mutator}" operation contains duplicates.')
    return notation.from_members(type_, answer)


def _calculate(atomic: Atomic, mutator: str, x: Any, y: Any) -> Any:
    if mutator in ("/=", "%=") and y == 0:
        raise DomainError("Division by zero.")
    match mutator:
        case "+=":
            result = x + y
        case "-=":
            result = x - y
        case "*=":
            result = x * y
        case "/=":
            # Integers divide as in C: towards zero.
            result = x / y if atomic is Atomic.REAL else (abs(x) // abs(y)) * (1 if (x < 0) == (y < 0) else -1)
        case _:
            result = int(math.copysign(1, x)) * (abs(x) % abs(y))
    overflow = not math.isfinite(result) if atomic is Atomic.REAL else not MIN_INTEGER <= result <= MAX_INTEGER
    if overflow:
        raise RangeError(f'Result of "{mutator}" operation is out of range.')
    return result
