"""The first values of each group, up to a limit: "the rows of another zone that are used".

A ``First`` is a ``GroupedValues`` that bounds the work of its readers where others decide on the number of rows. Which
values are the first does not depend on the order in which they were added. A reader that asks about a value depends on
that value's position alone: adding or removing a value costs the logarithm of the group's size, and moves at most one
other value into the limit or out of it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ovenbird.engine import tracking
from ovenbird.engine.grouped import GroupedValues
from ovenbird.engine.tracking import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from ovenbird.engine.rows import Row

R = TypeVar("R", bound="Row")
K = TypeVar("K", bound="Hashable")
V = TypeVar("V", bound="Hashable")


class PlaceInLine(Source):
    """Whether one value is among the first, or, under the key `None`, whether some are not; it exists while read."""

    __slots__ = ("key", "line")

    def __init__(self, line: WaitingLine, key: Hashable) -> None:
        self.readers = {}
        self.line = line
        self.key = key

    def unread(self) -> None:
        """Drop this object, and its group if that is empty."""
        self.line.places.pop(self.key, None)
        self.line.drop_if_empty()


class WaitingLine:
    """The values of one group: the first ones in order, and a heap of the others with some that are gone.

    Arguments:
        lines: all groups by key, from which an empty one removes itself.
        key: the group.
        limit: the number of first values.
    """

    __slots__ = ("counts", "first", "heap", "key", "limit", "lines", "others", "places")

    def __init__(self, lines: dict[Hashable, WaitingLine], key: Hashable, limit: int) -> None:
        self.lines = lines
        self.key = key
        self.limit = limit
        self.counts: dict[Any, int] = {}
        self.first: list[Any] = []
        self.others: set[Any] = set()
        self.heap: list[Any] = []
        self.places: dict[Hashable, PlaceInLine] = {}

    def place(self, key: Hashable) -> PlaceInLine:
        """Return the place of a value, or of whether some are left out."""
        found = self.places.get(key)
        if found is None:
            found = self.places[key] = PlaceInLine(self, key)
        return found

    def add(self, value: Any) -> None:
        """Take a new value."""
        if len(self.first) < self.limit:
            insort(self.first, value)
        elif value > self.first[-1]:
            self._put_behind(value)
            return
        else:
            insort(self.first, value)
            last = self.first.pop()
            self._put_behind(last)
            self._touch(last)
        self._touch(value)

    def remove(self, value: Any) -> None:
        """Let a value go, and have the next one move up."""
        if value in self.others:
            self.others.remove(value)
            if len(self.heap) > 2 * len(self.others) + 16:  # mostly values that are gone
                self.heap = list(self.others)
                heapify(self.heap)
        else:
            del self.first[bisect_left(self.first, value)]
            self._touch(value)
            if not self.others:
                return
            while (following := heappop(self.heap)) not in self.others:
                pass
            self.others.remove(following)
            self.first.append(following)
            self._touch(following)
        if not self.others:
            self._touch(None)

    def drop_if_empty(self) -> None:
        """Drop a group without values and readers."""
        if not self.counts and not self.places:
            self.lines.pop(self.key, None)

    def _put_behind(self, value: Any) -> None:
        if not self.others:
            self._touch(None)
        self.others.add(value)
        heappush(self.heap, value)

    def _touch(self, key: Hashable) -> None:
        if (place := self.places.get(key)) is not None:
            place.touch()


class WaitingLines:
    """The values of all groups.

    Arguments:
        limit: how many of each are the first.
    """

    __slots__ = ("limit", "lines")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lines: dict[Hashable, WaitingLine] = {}

    def has(self, group: Hashable, value: Any) -> bool:
        """Return whether a value is among the first of a group; the caller depends on that."""
        line = self._of(group)
        line.place(value).track()
        return value in line.counts and value not in line.others

    def exceeds(self, group: Hashable) -> bool:
        """Return whether a group has more values than the limit; the caller depends on that."""
        line = self._of(group)
        line.place(None).track()
        return bool(line.others)

    def count(self, group: Hashable, *, value: Any) -> None:
        """Count a value once more."""
        line = self._of(group)
        line.counts[value] = line.counts.get(value, 0) + 1
        if line.counts[value] == 1:
            line.add(value)

    def discount(self, group: Hashable, *, value: Any) -> None:
        """Count a value once less."""
        line = self.lines[group]
        line.counts[value] -= 1
        if not line.counts[value]:
            del line.counts[value]
            line.remove(value)
            line.drop_if_empty()

    def _of(self, group: Hashable) -> WaitingLine:
        line = self.lines.get(group)
        if line is None:
            line = self.lines[group] = WaitingLine(self.lines, group, self.limit)
        return line


class First(GroupedValues[K, V], Generic[K, V]):
    """A function of one row that yields pairs of (group, value); make one with the decorator ``first_of``.

    Arguments:
        body: the function.
        subject: the class of its rows.
        limit: the number of first values of a group.
    """

    __slots__ = ("limit",)

    def __init__(self, body: Callable[[Any], Iterable[tuple[K, V]]], subject: type[Row], limit: int) -> None:
        super().__init__(body, subject)
        self.limit = limit

    def kept(self, engine: Any) -> Any:
        """Return what an engine's rows give."""
        found = engine.grouped_values.get(self)
        if found is None:
            found = engine.grouped_values[self] = WaitingLines(self.limit)
        return found

    def has(self, group: K, value: V) -> bool:
        """Return whether a value is among the first of its group. The caller depends on that alone.

        Raises:
            LookupError: nothing is being computed, so there is no engine to ask.
        """
        return bool(self._asked().has(group, value))

    def exceeds(self, group: K) -> bool:
        """Return whether a group has more values than the limit. The caller depends on that alone.

        Raises:
            LookupError: nothing is being computed, so there is no engine to ask.
        """
        return bool(self._asked().exceeds(group))

    def _asked(self) -> Any:
        node = tracking.reader
        if node is None:
            raise LookupError(f"{self}: asked for outside of a computation")
        return self.kept(node.engine)


def first_of(subject: type[R], limit: int) -> Callable[[Callable[[R], Iterable[tuple[K, V]]]], First[K, V]]:
    """Make a function of ``subject``'s rows one whose groups have first values; list it among the rules.

    Arguments:
        subject: the class of the rows.
        limit: how many values of each group are the first, at least 1.
    """

    def decorate(body: Callable[[R], Iterable[tuple[K, V]]]) -> First[K, V]:
        return First(body, subject, limit)

    return decorate
