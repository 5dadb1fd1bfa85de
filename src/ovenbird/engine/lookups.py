"""Lookups of rows other than the subject, in the one of the engine's stores that has their table.

All lookups are tracked. Outside of a computation there is no engine; use the store's own methods there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ovenbird.engine import tracking

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID, ColumnOf, Row, Table

R = TypeVar("R", bound="Row")
V = TypeVar("V")


def table(row_class: type[R]) -> Table[R]:
    """Return the table of ``row_class``'s rows that the running engine reads.

    Raises:
        LookupError: nothing is being computed, or the engine has no such table.
    """
    node = tracking.reader
    if node is None:
        raise LookupError(f"{row_class.TABLE}: asked for outside of a computation")
    found: Table[R] = node.engine.tables[row_class]
    return found


def rows(row_class: type[R]) -> list[R]:
    """Return every row of the class; the caller depends on the table's membership."""
    return table(row_class).all()


def get(row_class: type[R], uuid: UUID) -> R | None:
    """Return the row with that UUID, or None."""
    return table(row_class).get(uuid)


def find(column: ColumnOf[R, V], value: V) -> R | None:
    """Return the one row whose ``column`` has that value, or None."""
    return table(column.owner).find(column, value)


def select(column: ColumnOf[R, V], value: V) -> list[R]:
    """Return the rows whose ``column`` has (or, for a set, contains) that value, oldest first."""
    return table(column.owner).select(column, value)
