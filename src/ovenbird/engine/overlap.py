"""Which rows have elements in common: "the port groups with a port on a switch".

An ``Overlap`` counts the common elements of two rows' sets. Readers run again only when two rows begin or cease to have
elements in common, so another port of a group with ports on the switch affects none. No rule runs for the elements:
adding or removing an element costs one step for each set on the other side that has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ovenbird.engine.value_counts import CountsByGroup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.engine.indexes import Index
    from ovenbird.engine.rows import ColumnOf, Row, SetDeltas, Table

R = TypeVar("R", bound="Row")
S = TypeVar("S", bound="Row")


class Overlap(Generic[R, S]):
    """An index of the rows of two tables whose sets overlap.

    Arguments:
        column: a set column, of the rows that are asked for.
        other: a set column of the rows that are the answer, with elements of the same kind.
    """

    __slots__ = ("column", "other")

    def __init__(self, column: ColumnOf[R, Any], *, other: ColumnOf[S, Any]) -> None:
        self.column = column
        self.other = other

    def rows(self, row: R) -> frozenset[S]:
        """Return the other rows that share an element with a row. The caller depends only on which rows these are."""
        table = row.home
        counts: Overlaps[R, S] = table.kept.get(self) or Overlaps(self, table)
        return counts.values(row)


class Overlaps(CountsByGroup[R, S], Generic[R, S]):
    """The contents of an ``Overlap`` for two tables, updated as they change."""

    __slots__ = ()

    def __init__(self, overlap: Overlap[R, S], table: Table[Any]) -> None:
        super().__init__()
        others = table.store.table(overlap.other.owner)
        side = Side(self, overlap.column, others.index(overlap.other), asked=True)
        across = Side(self, overlap.other, table.index(overlap.column), asked=False)
        side.inserted(table.rows.values())
        across.members.update((row, row.values[overlap.other.index]) for row in others.rows.values())
        table.kept[overlap] = self
        table.watchers.append(side)
        others.watchers.append(across)


class Side:
    """Watches one of the tables.

    Arguments:
        counts: what to keep.
        column: the set column of this table.
        others: the rows of the other table by the elements of theirs.
        asked: whether it is the rows of this table that are asked for.
    """

    __slots__ = ("asked", "column", "counts", "members", "others")

    def __init__(
        self, counts: CountsByGroup[Any, Any], column: ColumnOf[Row, Any], others: Index[Any, Any], *, asked: bool
    ) -> None:
        self.counts = counts
        self.column = column
        self.others = others
        self.asked = asked
        self.members: dict[Row, frozenset[Any]] = {}
        """The elements that were counted for each row: the same set objects that the rows have."""

    def inserted(self, rows: Iterable[Row]) -> None:
        """Count what new rows share with others."""
        for row in rows:
            self._file(row, row.values[self.column.index], None)

    def modified(self, row: Row, mask: int, deltas: SetDeltas | None) -> None:
        """Count elements added and removed."""
        if mask & self.column.bit:
            at = self.column.index
            self._file(row, row.values[at], deltas.get(at) if deltas is not None else None)

    def deleted(self, row: Row) -> None:
        """Count a row no more."""
        for other, number in self._shared(self.members.pop(row)).items():
            group, value = self._pair(row, other)
            self.counts.discount(group, value=value, number=number)

    def _file(self, row: Row, elements: frozenset[Any], delta: tuple[Iterable[Any], Iterable[Any]] | None) -> None:
        before = self.members.get(row, frozenset())
        self.members[row] = elements
        added, removed = (elements - before, before - elements) if delta is None else delta
        for other, number in self._shared(added).items():
            group, value = self._pair(row, other)
            self.counts.count(group, value=value, number=number)
        for other, number in self._shared(removed).items():
            group, value = self._pair(row, other)
            self.counts.discount(group, value=value, number=number)

    def _shared(self, elements: Iterable[Any]) -> dict[Row, int]:
        """Return how many of the elements each row of the other table has."""
        buckets = self.others.buckets
        found: dict[Row, int] = {}
        for element in elements:
            bucket = buckets.get(element)
            for other in bucket.held if bucket is not None else ():
                found[other] = found.get(other, 0) + 1
        return found

    def _pair(self, row: Row, other: Row) -> tuple[Row, Row]:
        return (row, other) if self.asked else (other, row)
