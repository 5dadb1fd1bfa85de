"""A commit: what one transaction changed, as the journal, monitors and the engine read it.

It is made once and shared. Diffs of set and map columns are computed at most once, and where the transaction knows the
touched members, from these alone.
"""

# ruff: noqa: S101 - the assertions say what the type checker cannot know
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ovenbird.ovsdb import notation
from ovenbird.ovsdb.errors import ConstraintViolation
from ovenbird.ovsdb.shared_set import SharedSet

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID, Row
    from ovenbird.ovsdb.table import BoundTable


class RowChange:
    """A new row; what other changes add to that is in `RowEdit`. Tens of thousands are made at once, so it is small.

    Arguments:
        table: the row's table.
        uuid: its UUID.
        row: the row, `None` until it is in the table.
        new: its values.
    """

    __slots__ = ("new", "row", "table", "uuid")

    old: list[Any] | None = None
    """The values that the row had; `None` for a new one."""
    columns: Sequence[int] = ()
    """The positions of what changed in a row that was there and remains."""

    def __init__(self, table: BoundTable, uuid: UUID, row: Row | None, new: list[Any] | None) -> None:
        self.table = table
        self.uuid = uuid
        self.row = row
        self.new = new

    def delta(self, position: int) -> notation.ValueDelta:
        """Return which members a set or map column of an existing row gained and lost.

        Raises:
            TypeError: the row is new.
        """
        raise TypeError(f"row {self.uuid} is new, column {position} has not changed")

    def diff(self, position: int) -> Any:
        """Return the diff of a changed column, as a canonical value."""
        assert self.new is not None
        type_ = self.table.layout[position].type
        return notation.diff_from_delta(type_, self.delta(position)) if type_.high > 1 else self.new[position]


class RowEdit(RowChange):
    """The change of an existing row: it is deleted, or some of its columns are changed.

    Arguments:
        table: the row's table.
        uuid: its UUID.
        row: the row.
        old: the values that it had.
        new: its new values; `None` if it is deleted.
        columns: the positions of what changed.
        deltas: what set and map columns gained and lost, as far as that is known.
    """

    __slots__ = ("_deltas", "columns", "old")

    def __init__(
        self,
        table: BoundTable,
        uuid: UUID,
        row: Row | None,
        *,
        old: list[Any],
        new: list[Any] | None,
        columns: tuple[int, ...] = (),
        deltas: dict[int, notation.ValueDelta] | None = None,
    ) -> None:
        self.table = table
        self.uuid = uuid
        self.row = row
        self.new = new
        self.old: list[Any] = old
        self.columns = columns
        self._deltas = {} if deltas is None else deltas

    def delta(self, position: int) -> notation.ValueDelta:
        """Return which members a set or map column gained and lost; the result is cached."""
        found = self._deltas.get(position)
        if found is None:
            assert self.new is not None
            type_ = self.table.layout[position].type
            found = self._deltas[position] = notation.delta_of(type_, old=self.old[position], new=self.new[position])
        return found


Changes = Mapping[str, Sequence[RowChange]]
"""The changes of each changed table, by name."""


def put(changes: Changes) -> list[RowChange]:
    """Apply changes to the tables: first new rows, those of one table together, then all others.

    Returns:
        The changes of rows that were there.
    """
    edits: list[RowChange] = []
    for some in changes.values():
        old = [change for change in some if change.old is not None]
        edits += old
        if len(old) == len(some):
            continue
        fresh = [change for change in some if change.old is None] if old else some
        contents: Any = [(change.uuid, change.new) for change in fresh]
        for change, row in zip(fresh, some[0].table.table.insert_all(contents), strict=True):
            change.row = row
    for change in edits:
        table, row, new = change.table, change.row, change.new
        assert row is not None
        if new is None:
            table.table.delete(row)
        else:
            deltas = {i: change.delta(i) for i in change.columns if table.layout[i].type.is_set}
            table.table.modify(row, {i: new[i] for i in change.columns}, deltas or None)
    return edits


def unwritable(changes: Iterable[RowChange]) -> ConstraintViolation:
    """Return the error for changes with a string that OVSDB does not permit: not Unicode, or with U+0000.

    Such strings cannot be sent (RFC 7047, section 3.1), nor read back from a file by ovsdb-server.
    """
    for change in changes:
        for position, value in enumerate(change.new or ()):
            if not all(map(_is_text, _strings(value))):
                column = f"column {change.table.layout[position].name} of row {change.uuid} in {change.table.name}"
                refusal = ConstraintViolation(f"{column} has a string with U+0000 or half of a surrogate pair")
                refusal.row = change.uuid
                return refusal
    return ConstraintViolation("a string has U+0000 or half of a surrogate pair")


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    elif not isinstance(value, frozenset | SharedSet):
        value = [value]
    return [atom for atom in value if isinstance(atom, str)]


def _is_text(string: str) -> bool:
    return "\0" not in string and not any("\ud800" <= character <= "\udfff" for character in string)


class Commit:
    """What one transaction, or one batch of a server's updates, changed.

    Arguments:
        id: the transaction's id, by which `monitor_cond_since` resumes.
        changes: the rows it changed, by table; none when it changed nothing.
        comment: the transaction's comments, one a line.
    """

    __slots__ = ("changes", "comment", "id")

    def __init__(self, id: UUID, changes: Changes, comment: str = "") -> None:  # noqa: A002
        self.id = id
        self.changes = changes
        self.comment = comment

    @property
    def size(self) -> int:
        """How many rows changed."""
        return sum(map(len, self.changes.values()))
