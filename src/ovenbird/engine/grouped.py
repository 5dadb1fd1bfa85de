"""Values that a function of each row contributes to groups: "the chassis near a router".

A ``GroupedValues`` is a rule whose pairs of (group, value) are read by other rules instead of being output. They are
counted, so that a row that contributes a value which its group has already affects no reader. It runs for every row,
whether the groups are read or not; a new reader finds the result, at a cost of the group's length. It is meant for few
readers that would otherwise have to search many rows over several tables, each of which changes separately.

A function must not read, directly or indirectly, what it contributes to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ovenbird.engine import tracking
from ovenbird.engine.rules import Rule, Run
from ovenbird.engine.value_counts import CountsByGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Row

R = TypeVar("R", bound="Row")
K = TypeVar("K", bound="Hashable")
V = TypeVar("V", bound="Hashable")


class Gathering(Run):
    """The function applied to one subject, with its latest pairs.

    Arguments:
        engine: the engine that runs it.
        rule: the function.
        subject: the row.
    """

    __slots__ = ("pairs",)

    rule: GroupedValues[Any, Any]

    def __init__(self, engine: Any, rule: GroupedValues[Any, Any], subject: Row | None) -> None:
        super().__init__(engine, rule, subject)
        self.pairs: dict[tuple[Hashable, Hashable], None] = {}

    def compute(self) -> tuple[Fact, ...]:
        """Run the function and count its pairs; there are no facts."""
        self._hold(dict.fromkeys(super().compute()))
        return ()

    def end(self) -> None:
        """Retract the pairs and drop all dependencies."""
        super().end()
        self._hold({})

    def _hold(self, pairs: dict[Any, None]) -> None:
        before, self.pairs = self.pairs, pairs
        if before != pairs:
            kept = self.rule.kept(self.engine)
            for pair in pairs:
                if pair not in before:
                    kept.count(pair[0], value=pair[1])
            for pair in before:
                if pair not in pairs:
                    kept.discount(pair[0], value=pair[1])


class GroupedValues(Rule, Generic[K, V]):
    """A function of one row that yields pairs of (group, value); make one with the decorator ``grouped_values``."""

    __slots__ = ()

    run = Gathering
    keeps: type[Any] = CountsByGroup
    """What counts the pairs of an engine's rows."""

    def values(self, group: K) -> frozenset[V]:
        """Return the values that the rows contribute to a group. The caller depends on these alone.

        Raises:
            LookupError: nothing is being computed, so there is no engine to ask.
        """
        node = tracking.reader
        if node is None:
            raise LookupError(f"{self}: asked for outside of a computation")
        values: frozenset[V] = self.kept(node.engine).values(group)
        return values

    def kept(self, engine: Any) -> Any:
        """Return what an engine's rows give."""
        found = engine.grouped_values.get(self)
        if found is None:
            found = engine.grouped_values[self] = self.keeps()
        return found


def grouped_values(subject: type[R]) -> Callable[[Callable[[R], Iterable[tuple[K, V]]]], GroupedValues[K, V]]:
    """Make a function of ``subject``'s rows one whose pairs are grouped; list it among the rules."""

    def decorate(body: Callable[[R], Iterable[tuple[K, V]]]) -> GroupedValues[K, V]:
        return GroupedValues(body, subject)

    return decorate
