"""An editor without a database: a plan applied to a store at once, for tables that exist in this process alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.engine.rows import UUID, Row, Store


class StoreEditor:
    """An `outputs.Editor` that writes to a store directly, without a transaction.

    Arguments:
        store: whose rows change.
    """

    __slots__ = ("store",)

    def __init__(self, store: Store) -> None:
        self.store = store

    def insert_rows(self, table: type[Row], rows: Mapping[UUID, list[Any]]) -> None:
        """Add rows, each given by all its values in column order; the lists become the rows' own."""
        self.store.table(table).insert_all(rows.items())

    def update(self, row: Row, values: Mapping[str, Any]) -> None:
        """Give a row new values of the columns named."""
        columns = type(row).BY_NAME
        row.home.modify(row, {columns[name].index: value for name, value in values.items()})

    def mutate(self, row: Row, column: str, *, insert: Iterable[Any] = (), delete: Iterable[Any] = ()) -> None:
        """Add elements to a set column and remove others.

        Arguments:
            row: whose column.
            column: its name.
            insert: elements to add, none of which is there.
            delete: elements to remove, all of which are there.
        """
        at = type(row).BY_NAME[column].index
        gained, lost = frozenset(insert), frozenset(delete)
        row.home.modify(row, {at: row.values[at] - lost | gained}, {at: (gained, lost)})

    def delete(self, row: Row) -> None:
        """Remove a row."""
        row.home.delete(row)
