"""Indexes by values computed from columns, and by parent: "the switch's ports that lead to routers".

A ``ComputedIndex`` names the columns that it depends on and a function from them to keys; with a ``parent``, a set
column of another table, a row is indexed once for each row that refers to it there. A rule can thus find the few
children of a kind without reading a set of ten thousand, and depends on that bucket only. An empty bucket that is not
read disappears, as in a plain index.

The function is called for each new row and whenever one of the columns changes. It must be fast for rows without keys,
which should be nearly all; otherwise a plain index serves better.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ovenbird.engine import tracking
from ovenbird.engine.tracking import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from ovenbird.engine.rows import ColumnOf, ReferenceOf, Row, SetDeltas, Table

log = logging.getLogger(__name__)

R = TypeVar("R", bound="Row")


class ComputedIndex(Generic[R]):
    """A computed index on one table.

    Arguments:
        columns: the columns that the keys are computed from, of one row class.
        keys: returns the keys of a row, given its values by position.
        parent: a column of references to these rows; lookups then give the parent's UUID and the key.
    """

    __slots__ = ("columns", "keys", "parent")

    def __init__(
        self,
        *columns: ColumnOf[R, Any],
        keys: Callable[[list[Any]], Iterable[Hashable]],
        parent: ReferenceOf[Row, Any, Any] | None = None,
    ) -> None:
        self.columns = columns
        self.keys = keys
        self.parent = parent

    def rows(self, *key: Hashable) -> list[R]:
        """Return the rows under a key, oldest first; with a parent, the key is its UUID and the key of the child.

        The caller depends on that bucket alone.

        Raises:
            LookupError: nothing is being computed, so there is no engine to ask.
        """
        node = tracking.reader
        if node is None:
            raise LookupError(f"{self.columns[0].owner.TABLE}: asked for outside of a computation")
        return self.of(node.engine.tables[self.columns[0].owner]).rows(key)

    def of(self, table: Table[R]) -> Files[R]:
        """Return the index of one table; usable outside of a computation too."""
        return table.kept.get(self) or Files(self, table)


class ComputedBucket(Source, Generic[R]):
    """The rows under one key, oldest first."""

    __slots__ = ("files", "held", "key")

    def __init__(self, files: Files[R], key: Any) -> None:
        self.readers = {}
        self.files = files
        self.key = key
        self.held: dict[R, None] = {}

    def unread(self) -> None:
        """Drop this object if it is empty."""
        if not self.held:
            self.files.buckets.pop(self.key, None)


class Files(Generic[R]):
    """The contents of a ``ComputedIndex`` for one table, updated as the table and its parents change."""

    __slots__ = ("buckets", "derived", "filed", "mask", "parents", "table")

    def __init__(self, derived: ComputedIndex[R], table: Table[R]) -> None:
        self.derived = derived
        self.table = table
        self.buckets: dict[Any, ComputedBucket[R]] = {}
        self.filed: dict[R, tuple[Any, ...]] = {}
        self.mask = 0
        for column in derived.columns:
            self.mask |= column.bit
        self.parents = None
        if derived.parent is not None:
            owners = table.store.table(derived.parent.owner)
            self.parents = owners.index(derived.parent)
            owners.watchers.append(Parents(self, derived.parent))
        self.inserted(table.rows.values())
        table.kept[derived] = self
        table.watchers.append(self)

    def rows(self, key: Any) -> list[R]:
        """Return the rows under a key; the caller depends on them."""
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = ComputedBucket(self, key)
        bucket.track()
        return list(bucket.held)

    def refile(self, row: R) -> None:
        """File a row under its present keys."""
        keys: tuple[Any, ...] = ()
        try:
            found = tuple(self.derived.keys(row.values))
        except Exception:  # one row does not stop the transactions of other clients
            log.exception("%r cannot be indexed", row)
            found = ()
        if found:
            if self.parents is None:
                keys = tuple([(key,) for key in found])
            elif (owners := self.parents.buckets.get(row.uuid)) is not None:
                keys = tuple([(owner.uuid, key) for owner in owners.held for key in found])
        self._move(row, keys)

    def _move(self, row: R, keys: tuple[Any, ...]) -> None:
        before = self.filed.get(row, ())
        if before == keys:
            return
        if keys:
            self.filed[row] = keys
        else:
            del self.filed[row]
        for key in before:
            if key not in keys:
                self._take(key, row)
        for key in keys:
            if key not in before:
                bucket = self.buckets.get(key)
                if bucket is None:
                    bucket = self.buckets[key] = ComputedBucket(self, key)
                bucket.held[row] = None
                bucket.touch()

    def _take(self, key: Any, row: R) -> None:
        bucket = self.buckets[key]
        bucket.held.pop(row, None)
        if bucket.readers:
            bucket.touch()
        elif not bucket.held:
            del self.buckets[key]

    def inserted(self, rows: Iterable[R]) -> None:
        """File new rows."""
        for row in rows:
            self.refile(row)

    def modified(self, row: R, mask: int, deltas: SetDeltas | None) -> None:  # noqa: ARG002 (a watcher's signature)
        """File a row again if its keys have changed."""
        if mask & self.mask:
            self.refile(row)

    def deleted(self, row: R) -> None:
        """Remove a row."""
        self._move(row, ())


class Parents:
    """Watches the rows that refer to the filed ones."""

    __slots__ = ("column", "files")

    def __init__(self, files: Files[Any], column: ReferenceOf[Row, Any, Any]) -> None:
        self.files = files
        self.column = column

    def inserted(self, rows: Iterable[Row]) -> None:
        """File the children of new parents."""
        for row in rows:
            self._refile(row.values[self.column.index])

    def modified(self, row: Row, mask: int, deltas: SetDeltas | None) -> None:
        """File the children that were added or removed."""
        if not mask & self.column.bit:
            return
        if deltas is not None and self.column.index in deltas:
            for children in deltas[self.column.index]:
                self._refile(children)
            return
        mine = [child.uuid for child, keys in self.files.filed.items() if any(key[0] == row.uuid for key in keys)]
        self._refile({*mine, *row.values[self.column.index]})

    def deleted(self, row: Row) -> None:
        """File the children of a parent that is gone."""
        self._refile(row.values[self.column.index])

    def _refile(self, uuids: Iterable[Any]) -> None:
        files = self.files
        rows = files.table.rows
        for uuid in uuids:
            if (child := rows.get(uuid)) is not None:
                files.refile(child)
