"""Counts of the values that a column has in a group of rows: "the chassis that a network's ports are on".

Readers of a group run again only when its first row with some value appears or its last one disappears, so another row
with a value that exists already affects none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ovenbird.engine import tracking
from ovenbird.engine.tracking import Source

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from ovenbird.engine.rows import ColumnOf, Row, SetDeltas, Table

R = TypeVar("R", bound="Row")
K = TypeVar("K", bound="Hashable")
V = TypeVar("V", bound="Hashable")


class ValueCounts(Generic[V]):
    """Counts of values in the rows of one table, by group.

    Arguments:
        group: the column whose value names a group.
        value: the optional column whose values are counted in it; rows where it is None do not count.
    """

    __slots__ = ("group", "value")

    def __init__(self, group: ColumnOf[R, Any], *, value: ColumnOf[R, V | None]) -> None:
        self.group = group
        self.value = value

    def values(self, group: Hashable) -> frozenset[V]:
        """Return the values in a group, references as UUIDs. The caller depends on these alone.

        Raises:
            LookupError: nothing is being computed, so there is no engine to ask.
        """
        node = tracking.reader
        if node is None:
            raise LookupError(f"{self.group.owner.TABLE}: asked for outside of a computation")
        table = node.engine.tables[self.group.owner]
        counts: TableCounts[V] = table.kept.get(self) or TableCounts(self, table)
        return counts.values(group)


class GroupCounts(Source, Generic[K, V]):
    """How often one group has each value."""

    __slots__ = ("counts", "groups", "key")

    def __init__(self, groups: dict[K, GroupCounts[K, V]], key: K) -> None:
        self.readers = {}
        self.groups = groups
        self.key = key
        self.counts: dict[V, int] = {}

    def unread(self) -> None:
        """Drop this object if it is empty."""
        if not self.counts:
            self.groups.pop(self.key, None)


class CountsByGroup(Generic[K, V]):
    """Counted values by group; a group that is empty and has no reader is dropped."""

    __slots__ = ("groups",)

    def __init__(self) -> None:
        self.groups: dict[K, GroupCounts[K, V]] = {}

    def values(self, group: K) -> frozenset[V]:
        """Return the values in a group; the caller depends on them."""
        counted = self._of(group)
        counted.track()
        return frozenset(counted.counts)

    def count(self, group: K, *, value: V, number: int = 1) -> None:
        """Increase the count of a value; notify readers if the group did not have it.

        Arguments:
            group: where it counts.
            value: the value.
            number: how many times, from 1.
        """
        counted = self._of(group)
        before = counted.counts.get(value, 0)
        counted.counts[value] = before + number
        if not before:
            counted.touch()

    def discount(self, group: K, *, value: V, number: int = 1) -> None:
        """Decrease the count of a value; notify readers if the group no longer has it.

        Arguments:
            group: where it counts.
            value: the value.
            number: how many times, from 1.
        """
        counted = self.groups[group]
        counted.counts[value] -= number
        if counted.counts[value]:
            return
        del counted.counts[value]
        if counted.readers:
            counted.touch()
        elif not counted.counts:
            del self.groups[group]

    def _of(self, group: K) -> GroupCounts[K, V]:
        counted = self.groups.get(group)
        if counted is None:
            counted = self.groups[group] = GroupCounts(self.groups, group)
        return counted


class TableCounts(CountsByGroup["Hashable", V]):
    """The contents of a ``ValueCounts`` for one table, updated as the table changes."""

    __slots__ = ("filed", "mask", "value_counts")

    def __init__(self, value_counts: ValueCounts[V], table: Table[Any]) -> None:
        super().__init__()
        self.value_counts = value_counts
        self.mask = value_counts.group.bit | value_counts.value.bit
        self.filed: dict[Row, tuple[Hashable, V]] = {}
        self.inserted(table.rows.values())
        table.kept[value_counts] = self
        table.watchers.append(self)

    def inserted(self, rows: Iterable[Row]) -> None:
        """Count new rows."""
        for row in rows:
            self._file(row)

    def _file(self, row: Row) -> None:
        value = row.values[self.value_counts.value.index]
        if value is not None:
            group = row.values[self.value_counts.group.index]
            self.filed[row] = (group, value)
            self.count(group, value=value)

    def modified(self, row: Row, mask: int, deltas: SetDeltas | None) -> None:  # noqa: ARG002 (a watcher's signature)
        """Move the count of a row to its present group and value."""
        if mask & self.mask:
            self.deleted(row)
            self._file(row)

    def deleted(self, row: Row) -> None:
        """Count a row no more."""
        filed = self.filed.pop(row, None)
        if filed is not None:
            self.discount(filed[0], value=filed[1])
