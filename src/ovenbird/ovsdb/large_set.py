"""Sets of thousands that change by a few members: a port group's ports.

Where transactions copied such a set, one more member would cost what the set has. A `LargeSet` is another set, shared
with those that it came from, and its difference from that one: their symmetric difference, so that changing it again is
a symmetric difference of the small part alone. When that has grown to the root of the set's size, the whole is copied
once. Like a frozenset it is a value: it never changes, equals every set with the same members, and has their hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain, filterfalse
from typing import Any

LARGE = 1024
"""Sets with fewer members are copied: that takes three microseconds."""


class LargeSet(AbstractSet[Any]):
    """A set that differs from another in a few members. Make one with `exchange`.

    Arguments:
        shared: the other set.
        differs: what is in either but not in both.
        size: how many members it has.
    """

    __slots__ = ("_differs", "_shared", "_size")

    def __init__(self, shared: frozenset[Any], *, differs: frozenset[Any], size: int) -> None:
        self._shared = shared
        self._differs = differs
        self._size = size

    def exchange(self, members: frozenset[Any]) -> frozenset[Any] | LargeSet:
        """Return the symmetric difference with a few members."""
        differs = self._differs ^ members
        if len(differs) ** 2 > len(self._shared):
            return differs ^ self._shared  # in this order the large one is copied, not taken in one by one
        taken = sum([member in self for member in members])
        return LargeSet(self._shared, differs=differs, size=self._size + len(members) - 2 * taken)

    def __contains__(self, member: object) -> bool:
        return (member in self._shared) is not (member in self._differs)

    def __iter__(self) -> Iterator[Any]:
        shared, differs = self._shared, self._differs
        return chain(filterfalse(differs.__contains__, shared), filterfalse(shared.__contains__, differs))

    def __len__(self) -> int:
        return self._size

    def __eq__(self, other: object) -> bool:
        if type(other) is LargeSet and other._shared is self._shared:
            return self._differs == other._differs
        if not isinstance(other, AbstractSet):
            return NotImplemented
        return len(self) == len(other) and frozenset(self) == other

    def __hash__(self) -> int:
        return hash(frozenset(self))

    def __repr__(self) -> str:
        return repr(frozenset(self))

    @classmethod
    def _from_iterable(cls, members: Iterable[Any]) -> frozenset[Any]:
        """Make what operators return."""
        return frozenset(members)


def exchange(members: frozenset[Any] | LargeSet, *, few: frozenset[Any] | set[Any]) -> frozenset[Any] | LargeSet:
    """Return the symmetric difference of a set and a few members; it costs what those are, however large the set."""
    few = frozenset(few)
    if isinstance(members, LargeSet):
        return members.exchange(few)
    if len(members) >= LARGE:
        return LargeSet(members, differs=frozenset(), size=len(members)).exchange(few)
    return few ^ members
