"""Facts that count only while a row that they refer to has elements in one of its sets.

A fact about all members of a group has no meaning while the group is empty: then neither the group's row nor rows that
refer to it are wanted. Every such fact is indexed by its group, whether it counts or not, so that the first element of
a group, and the removal of its last one, cost one step for each of its facts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from ovenbird.engine.facts import Fact


class Withheld:
    """The facts of one relation by the group that each refers to; a fact without group (None) always counts.

    Arguments:
        at: the position of the group in a fact.
    """

    __slots__ = ("_at", "_filed", "_populated")

    def __init__(self, at: int) -> None:
        self._at = at
        self._filed: dict[Hashable, dict[Fact, None]] = {}
        self._populated: set[Hashable] = set()

    def added(self, facts: Iterable[Fact]) -> list[Fact]:
        """File new facts and return those that count."""
        at, counting, filed = self._at, [], self._filed
        for fact in facts:
            group = fact[at]
            if group is None:
                counting.append(fact)
                continue
            filed.setdefault(group, {})[fact] = None
            if group in self._populated:
                counting.append(fact)
        return counting

    def removed(self, facts: Iterable[Fact]) -> list[Fact]:
        """Forget removed facts and return those that counted."""
        at, counting, filed = self._at, [], self._filed
        for fact in facts:
            group = fact[at]
            if group is not None:
                del filed[group][fact]
                if not filed[group]:
                    del filed[group]
            if group is None or group in self._populated:
                counting.append(fact)
        return counting

    def turn(self, group: Hashable, populated: bool) -> list[Fact]:
        """Record whether a group has elements; return the facts that begin or cease to count by that."""
        if populated is (group in self._populated):
            return []
        if populated:
            self._populated.add(group)
        else:
            self._populated.discard(group)
        return list(self._filed.get(group, ()))
