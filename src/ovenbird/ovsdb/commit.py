"""A commit: what one transaction changed, as values that the journal, monitors and engine wake-ups read.

It is made once and shared. Diffs of set and map columns are computed at most once, from the members that were touched
where the transaction knows them.
"""

# ruff: noqa: S101 - the assertions say what the type checker cannot know
from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ovenbird.ovsdb import notation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovenbird.engine.rows import UUID, Row
    from ovenbird.ovsdb.table import BoundTable


class RowChange:
    """One row's change: `old` is `None` for a new row, `new` for a deleted one; else `columns` are what changed."""

    __slots__ = ("_deltas", "columns", "new", "old", "row", "table", "uuid")

    def __init__(
        self,
        table: BoundTable,
        uuid: UUID,
        row: Row | None,
        old: list[Any] | None,
        new: list[Any] | None,
        columns: tuple[int, ...] = (),
        deltas: dict[int, notation.Delta] | None = None,
    ) -> None:
        self.table = table
        self.uuid = uuid
        self.row = row
        self.old = old
        self.new = new
        self.columns = columns
        self._deltas = deltas

    def delta(self, position: int) -> notation.Delta:
        """Return what a set or map column gained and lost."""
        if self._deltas is None:
            self._deltas = {}
        found = self._deltas.get(position)
        if found is None:
            assert self.old is not None
            assert self.new is not None
            type_ = self.table.layout[position].type
            found = self._deltas[position] = notation.delta_of(type_, self.old[position], self.new[position])
        return found

    def diff(self, position: int) -> Any:
        """Return the diff of a changed column, as a canonical value."""
        assert self.new is not None
        type_ = self.table.layout[position].type
        return notation.diff_from_delta(type_, self.delta(position)) if type_.high > 1 else self.new[position]


def put(changes: Sequence[RowChange]) -> None:
    """Make the tables as the changes say: new rows, those of a table at once, before anything else."""
    for table, group in groupby([change for change in changes if change.old is None], attrgetter("table")):
        fresh = list(group)
        for change, row in zip(fresh, table.table.insert_all([(c.uuid, c.new) for c in fresh]), strict=True):
            change.row = row
    for change in changes:
        table, row, new = change.table.table, change.row, change.new
        if change.old is None:
            continue
        assert row is not None
        if new is None:
            table.delete(row)
        else:
            layout = change.table.layout
            deltas = {i: change.delta(i) for i in change.columns if layout[i].type.is_set}
            table.modify(row, {i: new[i] for i in change.columns}, deltas or None)


class Commit:
    """What one transaction, or one batch of a server's updates, changed.

    Arguments:
        id: the transaction's id, by which `monitor_cond_since` resumes.
        changes: the rows it changed; none when it changed nothing.
        comment: the transaction's comments, one a line.
    """

    __slots__ = ("changes", "comment", "id")

    def __init__(self, id: UUID, changes: Sequence[RowChange], comment: str = "") -> None:  # noqa: A002
        self.id = id
        self.changes = changes
        self.comment = comment
