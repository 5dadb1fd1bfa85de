"""Edits: facts that ask for changes to rows of a database.

An edit is a discrepancy that a rule has found. Each knows which table it is about and how to put itself into a
transaction, so that `southbound.row_edits` writes the edits of any feature without knowing it.

New values of columns are made by `to`, `keys` and `members`, of which the type checker knows the row's class and the
column's type. What is of another form than the column is refused when it is made, by the rule that asks for it, and not
by the database later.
"""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, NamedTuple, ParamSpec, Protocol, TypeVar, overload

from ovenbird.engine.facts import NamedRelation
from ovenbird.engine.rows import UUID, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.engine.facts import Fact, Pairs
    from ovenbird.engine.rows import ColumnOf, ReferenceOf, Store
    from ovenbird.ovsdb.transaction import Transaction

P = ParamSpec("P")
E = TypeVar("E", bound="Fact")
R = TypeVar("R", bound=Row)
T = TypeVar("T")


class Now(Enum):
    """A value that is computed when the edit is written."""

    MILLISECONDS = "milliseconds since the epoch"


NOW: Final = Now.MILLISECONDS
"""In the place of a value: the time of writing in milliseconds since the epoch; in a map, its digits."""


class Change(NamedTuple, Generic[R]):
    """The new value of a column of a row of class `R`.

    Arguments:
        name: the column's.
        value: of a map, pairs of the keys that change, each with its new value or None; of a set, all elements, or
            pairs of those that come (True) and go (False); of other columns, the value.
    """

    name: str
    value: Any


@overload
def to(column: ColumnOf[R, T], value: T) -> Change[R]: ...
@overload
def to(column: ColumnOf[R, T], value: frozenset[T]) -> Change[R]: ...
@overload
def to(column: ColumnOf[R, int], value: Now) -> Change[R]: ...
def to(column: ColumnOf[R, Any], value: object) -> Change[R]:
    """Give a column another value.

    Arguments:
        column: one that is not a map; `keys` changes those.
        value: all elements of a set column, the UUID of a reference, or the atom.

    Raises:
        TypeError: the value is of another form than the column.
    """
    if isinstance(column.default, dict) or column.many != isinstance(value, frozenset):
        raise TypeError(f"{column}: {value!r} is of another form than the column")
    return Change(column.name, value)


def keys(column: ColumnOf[R, Pairs], *pairs: tuple[str, str | Now | None]) -> Change[R]:
    """Change keys of a map column, and leave the others alone.

    Arguments:
        column: a map of strings.
        pairs: keys and their values; None removes one.

    Raises:
        TypeError: the column is not a map.
    """
    if not isinstance(column.default, dict):
        raise TypeError(f"{column} is not a map")
    return Change(column.name, pairs)


def members(column: ReferenceOf[R, Any, frozenset[UUID]], *pairs: tuple[UUID, bool]) -> Change[R]:
    """Add references to a set of them (True) or remove them (False), and leave the others alone.

    Arguments:
        column: a set of references.
        pairs: the UUIDs, and whether each is to be in the set.

    Raises:
        TypeError: the column is not a set.
    """
    if not column.many:
        raise TypeError(f"{column} is not a set")
    return Change(column.name, pairs)


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
    changes: tuple[Change[Any], ...]
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


class ColumnEdits(EditRelation[..., WantedColumns]):
    """Edits of columns.

    Arguments:
        name: what reports call them.
        after_flows: as for all edits.
    """

    __slots__ = ()

    def __init__(self, name: str, *, after_flows: bool = False) -> None:
        super().__init__(name, WantedColumns, after_flows=after_flows)

    def __call__(  # type: ignore[override]  # its content is typed
        self, row: R, *changes: Change[R], holder: ColumnOf[R, UUID | None] | None = None
    ) -> WantedColumns:
        """Make the edit of a row.

        Arguments:
            row: the row.
            changes: its new values.
            holder: the column that says who has the row, as of `WantedColumns`.
        """
        return WantedColumns(self, type(row), row.uuid, changes, holder.name if holder is not None else "")


class SurplusRow(NamedTuple):
    """A row to delete.

    Arguments:
        relation: `REMOVAL`.
        row_class: of the row.
        uuid: the row's.
    """

    relation: EditRelation[..., Any]
    row_class: type[Row]
    uuid: UUID

    @property
    def subject(self) -> str:
        """The row."""
        return f"the removal of {self.row_class.TABLE} {self.uuid}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Delete the row, if it exists.

        Arguments:
            store: the database's rows.
            transaction: on that database.
        """
        row = store.table(self.row_class).rows.get(self.uuid)
        if row is not None:
            transaction.delete(row)


EDIT = ColumnEdits("edit")
EDIT_AFTER_FLOWS = ColumnEdits("edit after the flows", after_flows=True)
REMOVAL = EditRelation("row to delete", SurplusRow)
