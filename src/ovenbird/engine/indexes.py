"""Hash indexes over a table's rows, in which each bucket is a separate source.

A reader of the rows under a key depends on that bucket only, not on rows under other keys. An empty bucket that is not
read disappears.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ovenbird.engine import tracking
from ovenbird.engine.tracking import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.engine.rows import Column, Row

R = TypeVar("R", bound="Row")
K = TypeVar("K")


class IndexBucket(Source, Generic[R]):
    """The rows under one key, oldest first."""

    __slots__ = ("held", "index", "key")

    def __init__(self, index: Index[R, Any], key: Any) -> None:
        self.readers = {}
        self.index = index
        self.key = key
        self.held: dict[R, None] = {}

    def unread(self) -> None:
        """Drop this object if it is empty."""
        if not self.held:
            self.index.buckets.pop(self.key, None)


class Index(Generic[R, K]):
    """Rows by the value of one column, by each element of one set column, or by the values of several columns."""

    __slots__ = ("_many", "_only", "_positions", "buckets", "columns", "mask")

    def __init__(self, columns: tuple[Column[Any], ...]) -> None:
        self.columns = columns
        self.buckets: dict[Any, IndexBucket[R]] = {}
        self.mask = 0
        for column in columns:
            self.mask |= column.bit
        self._many = len(columns) == 1 and columns[0].many
        self._only = columns[0].index if len(columns) == 1 else -1
        self._positions = tuple(c.index for c in columns)

    def rows(self, key: K) -> list[R]:
        """Return the rows under ``key``, oldest first; the caller depends on that bucket."""
        bucket = self.buckets.get(key)
        node = tracking.reader
        if node is not None:
            if bucket is None:
                bucket = self.buckets[key] = IndexBucket(self, key)
            if node not in bucket.readers:
                bucket.readers[node] = tracking.WHOLE
                node.deps.append(bucket)
        return list(bucket.held) if bucket is not None else []

    def count(self, key: K) -> int:
        """Return how many rows are under ``key``, untracked; for constraints."""
        bucket = self.buckets.get(key)
        return len(bucket.held) if bucket is not None else 0

    def key_of(self, values: list[Any]) -> Any:
        """Return the key that a row with these values has; the set of keys for a set column."""
        if self._only >= 0:
            return values[self._only]
        return tuple([values[i] for i in self._positions])

    def add(self, row: R) -> None:
        """File a new row."""
        key = self.key_of(row.values)
        if self._many:
            for element in key:
                self._put(element, row)
        else:
            self._put(key, row)

    def remove(self, row: R) -> None:
        """Take a deleted row out."""
        key = self.key_of(row.values)
        if self._many:
            for element in key:
                self._take(element, row)
        else:
            self._take(key, row)

    def update(self, row: R, old: list[Any], deltas: Mapping[int, tuple[Iterable[Any], Iterable[Any]]] | None) -> None:
        """Refile a row.

        Arguments:
            row: with its new values.
            old: its values before, by column position.
            deltas: elements added and removed, by the position of set columns; None where they are not known.
        """
        if self._many:
            if deltas is not None and self._only in deltas:
                added, removed = deltas[self._only]
            else:
                before, after = old[self._only], row.values[self._only]
                added, removed = after - before, before - after
            for element in removed:
                self._take(element, row)
            for element in added:
                self._put(element, row)
            return
        before, after = self.key_of(old), self.key_of(row.values)
        if before != after:
            self._take(before, row)
            self._put(after, row)

    def _put(self, key: Any, row: R) -> None:
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = IndexBucket(self, key)
        bucket.held[row] = None
        if bucket.readers:
            bucket.touch()

    def _take(self, key: Any, row: R) -> None:
        bucket = self.buckets[key]
        del bucket.held[row]
        if bucket.readers:
            bucket.touch()
        elif not bucket.held:
            del self.buckets[key]
