"""Edits: facts that ask for changes to rows of a database.

An edit is a discrepancy that a rule has found. Each knows which table it is about and how to put itself into a
transaction, so that `southbound.row_edits` writes the edits of any feature without knowing it.
"""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING, Any, Concatenate, Final, NamedTuple, ParamSpec, Protocol, TypeVar

from ovenbird.engine.facts import NamedRelation

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Row, Store
    from ovenbird.ovsdb.transaction import Transaction

P = ParamSpec("P")
E = TypeVar("E", bound="Fact")

Changes = tuple[tuple[str, Any], ...]
"""New values by the name of the column. A map column's value is given as a tuple of pairs, of which only those keys are
changed (None removes one), and so may be a set column's, of which only those members come (True) or go (False)."""


class Now(Enum):
    """A value that is computed when the edit is written."""

    MILLISECONDS = "milliseconds since the epoch"


NOW: Final = Now.MILLISECONDS
"""In the place of a value: the time of writing in milliseconds since the epoch; in a map, its digits."""


class Edit(Protocol):
    """A fact of an `EditRelation`."""

    @property
    def relation(self) -> EditRelation[..., Any]:
        """The kind of fact."""

    @property
    def row_class(self) -> type[Row]:
        """A table of the database that the edit is for."""

    @property
    def subject(self) -> str:
        """The edit's subject, for logs."""

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Put the edit into a transaction; an edit of a deleted row changes nothing.

        Arguments:
            store: the database's rows.
            transaction: on that database.
        """


class EditRelation(NamedRelation[P, E]):
    """A kind of edits.

    Arguments:
        name: what reports call it.
        make: the class of the facts, which are `Edit`s.
        after_flows: whether they are written only when the switch has confirmed every flow of the wave that yielded
            them.
    """

    __slots__ = ("after_flows",)

    def __init__(self, name: str, make: Callable[Concatenate[Any, P], E], *, after_flows: bool = False) -> None:
        super().__init__(name, make)
        self.after_flows = after_flows


class WantedColumns(NamedTuple):
    """New values for columns of a row.

    Arguments:
        relation: `EDIT` or `EDIT_AFTER_FLOWS`.
        row_class: of the row.
        uuid: the row's.
        changes: the new values.
        holder: the column that says who has the row, if several clients may take it for themselves. An edit that takes
            the row from another one waits between two attempts; one that gives it up holds only while the column has
            not changed.
    """

    relation: EditRelation[..., Any]
    row_class: type[Row]
    uuid: UUID
    changes: Changes
    holder: str = ""

    @property
    def subject(self) -> str:
        """The row, and the columns that are to change."""
        return f"{self.row_class.TABLE} {self.uuid}: {', '.join(name for name, _ in self.changes)}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Put the changes into a transaction.

        Arguments:
            store: the database's rows.
            transaction: on that database.
        """
        row = store.table(self.row_class).rows.get(self.uuid)
        if row is None:
            return
        if (self.holder, None) in self.changes:  # what another one has taken stays its
            transaction.wait(row, {self.holder: row[self.holder]})
        now = int(time.time() * 1000)
        for name, value in self.changes:
            column = self.row_class.BY_NAME[name]
            if isinstance(column.default, dict):
                put = {key: str(now) if each is NOW else each for key, each in value if each is not None}
                transaction.mutate(row, name, delete=[key for key, _ in value], insert=put)
            elif column.many and isinstance(value, tuple):
                gained, lost = [m for m, there in value if there], [m for m, there in value if not there]
                transaction.mutate(row, name, insert=gained, delete=lost)
            else:
                transaction.update(row, {name: now if value is NOW else value})


EDIT = EditRelation("edit", WantedColumns)
EDIT_AFTER_FLOWS = EditRelation("edit after the flows", WantedColumns, after_flows=True)
