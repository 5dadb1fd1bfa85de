"""Counts of the values that a column has in a group of rows: "the chassis that a network's ports are on".

Readers of a group run again only when its first row with some value appears or its last one disappears, so another row
with a value that exists already affects none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.engine import tracking
from ovenbird.engine.tracking import Source

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from ovenbird.engine.rows import Column, Row, SetDeltas, Table


class ValueCounts:
    """A way to count the rows of one table.

    Arguments:
        group: the column whose value names a group.
        value: the column whose values are counted in it; rows where it is None do not count.
    """

    __slots__ = ("group", "value")

    def __init__(self, group: Column[Any], value: Column[Any]) -> None:
        self.group = group
        self.value = value

    def values(self, group: Hashable) -> frozenset[Any]:
        """Return the values in a group, references as UUIDs. The caller depends on these alone.

        Raises:
            LookupError: nothing is being computed, so there is no engine to ask.
        """
        node = tracking.reader
        if node is None:
            raise LookupError(f"{self.group.owner.TABLE}: asked for outside of a computation")
        table = node.engine.tables[self.group.owner]
        counts: Counts = table.kept.get(self) or Counts(self, table)
        return counts.values(group)


class Tally(Source):
    """How often one group has each value."""

    __slots__ = ("counts", "key", "tallies")

    def __init__(self, tallies: dict[Hashable, Tally], key: Hashable) -> None:
        self.readers = {}
        self.tallies = tallies
        self.key = key
        self.counts: dict[Any, int] = {}

    def unread(self) -> None:
        """Disappear when empty."""
        if not self.counts:
            self.tallies.pop(self.key, None)


class Tallies:
    """Counted values by group; a group that is empty and that nobody reads disappears."""

    __slots__ = ("tallies",)

    def __init__(self) -> None:
        self.tallies: dict[Hashable, Tally] = {}

    def values(self, group: Hashable) -> frozenset[Any]:
        """Return the values in a group; the caller depends on them."""
        tally = self._of(group)
        tally.track()
        return frozenset(tally.counts)

    def count(self, group: Hashable, value: Hashable, number: int = 1) -> None:
        """Count a value once more, or several times; tell readers if the group did not have it.

        Arguments:
            group: where it counts.
            value: the value.
            number: how many times, from 1.
        """
        tally = self._of(group)
        before = tally.counts.get(value, 0)
        tally.counts[value] = before + number
        if not before:
            tally.touch()

    def discount(self, group: Hashable, value: Hashable, number: int = 1) -> None:
        """Count a value once less, or several times; tell readers if the group has it no more.

        Arguments:
            group: where it counts.
            value: the value.
            number: how many times, from 1.
        """
        tally = self.tallies[group]
        tally.counts[value] -= number
        if tally.counts[value]:
            return
        del tally.counts[value]
        if tally.readers:
            tally.touch()
        elif not tally.counts:
            del self.tallies[group]

    def _of(self, group: Hashable) -> Tally:
        tally = self.tallies.get(group)
        if tally is None:
            tally = self.tallies[group] = Tally(self.tallies, group)
        return tally


class Counts(Tallies):
    """What a ``ValueCounts`` says of one table, kept as the table changes."""

    __slots__ = ("distinct", "filed", "mask")

    def __init__(self, distinct: ValueCounts, table: Table[Any]) -> None:
        super().__init__()
        self.distinct = distinct
        self.mask = distinct.group.bit | distinct.value.bit
        self.filed: dict[Row, tuple[Hashable, Hashable]] = {}
        self.inserted(table.rows.values())
        table.kept[distinct] = self
        table.watchers.append(self)

    def inserted(self, rows: Iterable[Row]) -> None:
        """Count new rows."""
        for row in rows:
            self._file(row)

    def _file(self, row: Row) -> None:
        value = row.values[self.distinct.value.index]
        if value is not None:
            filed = self.filed[row] = (row.values[self.distinct.group.index], value)
            self.count(*filed)

    def modified(self, row: Row, mask: int, deltas: SetDeltas | None) -> None:  # noqa: ARG002 (a watcher's signature)
        """Count a row where it belongs now."""
        if mask & self.mask:
            self.deleted(row)
            self._file(row)

    def deleted(self, row: Row) -> None:
        """Count a row no more."""
        filed = self.filed.pop(row, None)
        if filed is not None:
            self.discount(*filed)
