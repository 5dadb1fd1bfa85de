"""Sets of thousands of members that change by a few: the ports of a port group.

If transactions copied such a set, adding one member would cost as much as the set is large. A `SharedSet` is another
set, shared with its earlier versions, and the symmetric difference from that set, so that a further change is a
symmetric difference of the small part alone. When the small part has grown to the square root of the set's size, the
whole is copied once. Like a frozenset it is a value: it is immutable, and equals every set with the same members, with
the same hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain, filterfalse
from typing import Any

LARGE = 1024
"""Sets with fewer members are copied: that takes three microseconds."""


class SharedSet(AbstractSet[Any]):
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

    def exchange(self, members: frozenset[Any]) -> frozenset[Any] | SharedSet:
        """Return the symmetric difference with a few members."""
        differs = self._differs ^ members
        if len(differs) ** 2 > len(self._shared):
            return differs ^ self._shared  # in this order the large one is copied, not taken in one by one
        taken = sum([member in self for member in members])
        return SharedSet(self._shared, differs=differs, size=self._size + len(members) - 2 * taken)

    def __contains__(self, member: object) -> bool:
        return (member in self._shared) is not (member in self._differs)

    def __iter__(self) -> Iterator[Any]:
        shared, differs = self._shared, self._differs
        return chain(filterfalse(differs.__contains__, shared), filterfalse(shared.__contains__, differs))

    def __len__(self) -> int:
        return self._size

    def __eq__(self, other: object) -> bool:
        if type(other) is SharedSet and other._shared is self._shared:
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
        """Make the result of set operators."""
        return frozenset(members)


def exchange(members: frozenset[Any] | SharedSet, *, few: frozenset[Any] | set[Any]) -> frozenset[Any] | SharedSet:
    """Return the symmetric difference of a set and a few members, at a cost in proportion to these members only."""
    few = frozenset(few)
    if isinstance(members, SharedSet):
        return members.exchange(few)
    if len(members) >= LARGE:
        return SharedSet(members, differs=frozenset(), size=len(members)).exchange(few)
    return few ^ members
