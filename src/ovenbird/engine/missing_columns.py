"""Facts for tables that lack some of the columns: for servers with an older schema.

A missing column has its default, so facts that differ in it only become one row. If the missing column refers to a
group, a fact about a group becomes one fact for each of its members: adding or removing a fact costs one step for each
member of its group, and adding or removing a member one step for each fact of the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from ovenbird.engine.facts import Fact


class Reduced:
    """The facts of one relation without some of its columns.

    Arguments:
        defaults: what a fact has at the places of columns that are not there.
    """

    __slots__ = ("_count", "_defaults")

    def __init__(self, defaults: Mapping[int, Any]) -> None:
        self._defaults = tuple(defaults.items())
        self._count: dict[Fact, int] = {}

    def added(self, facts: Iterable[Fact]) -> list[Fact]:
        """Count new facts and return their reduced forms, as far as these are new."""
        count, fresh = self._count, []
        for fact in map(self._reduce, facts):
            number = count[fact] = count.get(fact, 0) + 1
            if number == 1:
                fresh.append(fact)
        return fresh

    def removed(self, facts: Iterable[Fact]) -> list[Fact]:
        """Forget removed facts and return their reduced forms, as far as no other fact has the same."""
        count, gone = self._count, []
        for fact in map(self._reduce, facts):
            count[fact] -= 1
            if not count[fact]:
                del count[fact]
                gone.append(fact)
        return gone

    def _reduce(self, fact: Fact) -> Fact:
        values = list(fact)
        for at, default in self._defaults:
            values[at] = default
        return tuple(values)


class Spread:
    """The facts of one relation, where a fact about a group is replaced by one for each member; None is no group.

    Arguments:
        group: the position of the group in a fact.
        alone: the position of the single element in a fact without group.
    """

    __slots__ = ("_alone", "_filed", "_group", "_members")

    def __init__(self, group: int, *, alone: int) -> None:
        self._group = group
        self._alone = alone
        self._filed: dict[Hashable, dict[Fact, None]] = {}
        self._members: dict[Hashable, dict[Any, None]] = {}

    def added(self, facts: Iterable[Fact]) -> list[Fact]:
        """File new facts and return them member by member."""
        answer = []
        for fact in facts:
            group = fact[self._group]
            if group is None:
                answer.append(fact)
            else:
                self._filed.setdefault(group, {})[fact] = None
                answer += [self._about(fact, member) for member in self._members.get(group, ())]
        return answer

    def removed(self, facts: Iterable[Fact]) -> list[Fact]:
        """Forget facts that are gone and return them member by member."""
        answer = []
        for fact in facts:
            group = fact[self._group]
            if group is None:
                answer.append(fact)
                continue
            filed = self._filed[group]
            del filed[fact]
            if not filed:
                del self._filed[group]
            answer += [self._about(fact, member) for member in self._members.get(group, ())]
        return answer

    def joined(self, members: Iterable[Fact]) -> list[Fact]:
        """Add members, each a fact of (group, member); return the facts that this adds."""
        answer = []
        for _, group, member in members:
            self._members.setdefault(group, {})[member] = None
            answer += [self._about(fact, member) for fact in self._filed.get(group, ())]
        return answer

    def left(self, members: Iterable[Fact]) -> list[Fact]:
        """Remove members; return the facts that this removes."""
        answer = []
        for _, group, member in members:
            there = self._members[group]
            del there[member]
            if not there:
                del self._members[group]
            answer += [self._about(fact, member) for fact in self._filed.get(group, ())]
        return answer

    def turn(self, group: Hashable, populated: bool) -> Sequence[Fact]:  # noqa: ARG002 (as `Withheld` has it)
        """Do nothing: a group without members has no facts here."""
        return ()

    def _about(self, fact: Fact, member: Any) -> Fact:
        values = list(fact)
        values[self._group], values[self._alone] = None, member
        return tuple(values)
