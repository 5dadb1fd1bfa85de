"""Conditions: which rows an operation or a monitor selects (RFC 7047, 5.1; ovsdb-server(7), 4.1.12).

A clause is compiled to a test `(uuid, values) -> bool`. All clauses of an operation must hold; a monitor selects a row
when any of its clauses holds. Clauses that name rows by `_uuid` are evaluated by a lookup instead of a scan.
"""

# ruff: noqa: N818 - errors are named as the RFC names them
from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ovenbird.dataclass import dataclass
from ovenbird.engine.rows import UUID
from ovenbird.ovsdb import notation
from ovenbird.ovsdb.errors import BadSyntax, OvsdbError, UnknownColumn
from ovenbird.ovsdb.table import UUID_COLUMN, VERSION_COLUMN, BoundTable
from ovenbird.ovsdb.types import UNLIMITED, Atomic, ColumnType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.engine.rows import Row

Values = list[Any]
Test = Callable[[UUID, Values], bool]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FUNCTIONS = frozenset((*_ORDER, "==", "!=", "includes", "excludes"))


class UnknownFunction(OvsdbError):
    """A clause names an unknown function."""

    error = "unknown function"


@dataclass(frozen=True, slots=True)
class Clause:
    """One test of one column.

    Arguments:
        position: the column's position, -1 for `_uuid`, -2 for `_version`, -3 for a bare `true` or `false`.
        function: the function's name.
        value: the canonical value compared with.
        test: the compiled test.
    """

    position: int
    function: str
    value: Any
    test: Test


def parse_clause(table: BoundTable, json: Any, names: notation.Names | None = None) -> Clause:
    """Return a clause from its JSON.

    Arguments:
        table: whose rows are asked for.
        json: a `<condition>` of RFC 7047, section 5.1, or a boolean (ovsdb-server(7)).
        names: the named UUIDs of the transaction; None where there are none.

    Raises:
        BadSyntax, UnknownColumn, UnknownFunction, ConstraintViolation: it is not well formed for this table.
    """
    if type(json) is bool:
        return Clause(-3, "true" if json else "false", None, lambda _uuid, _values: json)
    if type(json) is not list or len(json) != 3 or type(json[0]) is not str or type(json[1]) is not str:
        raise BadSyntax("Parse error in condition.", json)
    name, function, raw = json
    if name in ("_uuid", "_version"):
        position, type_ = (-1, UUID_COLUMN.type) if name == "_uuid" else (-2, VERSION_COLUMN.type)
    elif name in table.position:
        position = table.position[name]
        type_ = table.layout[position].type
    else:
        raise UnknownColumn(f"No column {name} in table {table.name}.", json)
    if function not in _FUNCTIONS:
        raise UnknownFunction(f"No function named {function}.")
    if function in _ORDER:
        numeric = type_.value is None and type_.high == 1 and type_.key.atomic in (Atomic.INTEGER, Atomic.REAL)
        if not numeric:
            raise BadSyntax(
                f'Type mismatch: "{function}" operator may not be applied to column {name} of type {type_.describe()}.',
                json,
            )
    operand = type_
    if function in _ORDER:
        operand = ColumnType(type_.key)
    elif not type_.is_scalar:
        if function == "includes":
            operand = notation.relaxed(type_)
        elif function == "excludes":
            operand = notation.relaxed(type_, high=UNLIMITED)
    value = notation.decoder(operand)(raw, names)
    return Clause(position, function, value, _compile(table, position, type_, operand, function, value))


def _compile(
    table: BoundTable,
    position: int,
    type_: ColumnType,
    operand: ColumnType,
    function: str,
    value: Any,
) -> Test:
    """Return the test of one clause."""
    if position == -1:
        wanted = function in ("==", "includes")
        return lambda uuid, _values: (uuid == value) is wanted
    if position == -2:
        wanted = function in ("==", "includes")
        return lambda uuid, _values: (table.version(uuid) == value) is wanted
    if function == "==" or (type_.is_scalar and function == "includes"):
        return lambda _uuid, values: bool(values[position] == value)
    if function == "!=" or (type_.is_scalar and function == "excludes"):
        return lambda _uuid, values: bool(values[position] != value)
    if function in _ORDER:
        compare = _ORDER[function]
        return lambda _uuid, values: values[position] is not None and compare(values[position], value)
    several = notation.members(operand, value)
    if type_.value is not None:
        pairs = several.items()
        if function == "includes":
            return lambda _uuid, values: pairs <= values[position].items()
        return lambda _uuid, values: pairs.isdisjoint(values[position].items())
    if function == "includes":
        return lambda _uuid, values: several <= notation.members(type_, values[position])
    return lambda _uuid, values: several.isdisjoint(notation.members(type_, values[position]))


class Where:
    """The condition of an operation: every clause must hold.

    Arguments:
        clauses: its clauses.
    """

    __slots__ = ("_tests", "clauses", "uuid")

    def __init__(self, clauses: list[Clause]) -> None:
        self.clauses = clauses
        self._tests = [clause.test for clause in clauses]
        named = [c.value for c in clauses if c.position == -1 and c.function in ("==", "includes")]
        self.uuid: UUID | None = named[0] if named else None
        """The only row that can match, if a clause gives its UUID."""

    @classmethod
    def from_json(cls, table: BoundTable, json: Any, names: notation.Names | None = None) -> Where:
        """Parse the `where` of an operation.

        Arguments:
            table: whose rows are asked for.
            json: a list of conditions (RFC 7047, section 5.1).
            names: the named UUIDs of the transaction; None where there are none.

        Raises:
            BadSyntax, UnknownColumn, UnknownFunction, ConstraintViolation: it is not well formed for this table.
        """
        if type(json) is not list:
            raise BadSyntax("array expected", json)
        return cls([parse_clause(table, clause, names) for clause in json])

    def matches(self, uuid: UUID, values: Values) -> bool:
        """Return whether a row matches."""
        return all(test(uuid, values) for test in self._tests)

    def among(self, rows: Mapping[UUID, Row]) -> list[tuple[UUID, Row]]:
        """Return the rows that are meant; where one column has to have one value, without a call for each row."""
        if len(self.clauses) == 1 and self.clauses[0].position >= 0 and self.clauses[0].function == "==":
            position, value = self.clauses[0].position, self.clauses[0].value
            return [pair for pair in rows.items() if pair[1].values[position] == value]
        return [pair for pair in rows.items() if self.matches(pair[0], pair[1].values)]


class AnyOf:
    """The condition of a monitored table: one clause suffices, none at all means every row.

    Equality tests on one column (ovn-controller sends hundreds, one a datapath) become one set lookup.

    Arguments:
        clauses: its clauses.
    """

    __slots__ = ("_equal", "_tests", "always", "never", "uuids")

    def __init__(self, clauses: list[Clause]) -> None:
        self.always = not clauses or any(c.function == "true" for c in clauses)
        useful = [c for c in clauses if c.function != "false"]
        self.never = bool(clauses) and not useful
        self.uuids = frozenset(c.value for c in useful if c.position == -1 and c.function in ("==", "includes"))
        """The UUIDs in `_uuid` clauses."""
        equal: dict[int, set[Any]] = {}
        self._tests: list[Test] = []
        for clause in useful:
            if clause.position == -1 and clause.function in ("==", "includes"):
                continue
            if clause.function == "==" and clause.position >= 0 and type(clause.value) is not dict:
                equal.setdefault(clause.position, set()).add(clause.value)
            elif clause.function != "true":
                self._tests.append(clause.test)
        self._equal = tuple(equal.items())

    @classmethod
    def from_json(cls, table: BoundTable, json: Any) -> AnyOf:
        """Parse the `where` of a monitor request.

        Raises:
            BadSyntax, UnknownColumn, UnknownFunction, ConstraintViolation: it is not well formed for this table.
        """
        if type(json) is not list:
            raise BadSyntax("array expected", json)
        return cls([parse_clause(table, clause) for clause in json])

    def matches(self, uuid: UUID, values: Values) -> bool:
        """Return whether a row is in the monitor's view."""
        if self.always:
            return True
        if uuid in self.uuids:
            return True
        for position, wanted in self._equal:
            value = values[position]
            if type(value) is not dict and value in wanted:
                return True
        return any(test(uuid, values) for test in self._tests)
