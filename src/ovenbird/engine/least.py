"""The least value of each group: "the configuration that every chassis has installed".

A ``Least`` is a ``GroupedValues`` whose readers depend on the least value of a group only. A row more or less costs the
logarithm of the group's size, and affects readers only if the least value changes.
"""

from __future__ import annotations

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


class Order(Source):
    """The values of one group: how often each occurs, and a heap whose head is a present value."""

    __slots__ = ("counts", "heap", "key", "orders")

    def __init__(self, orders: dict[Hashable, Order], key: Hashable) -> None:
        self.readers = {}
        self.orders = orders
        self.key = key
        self.counts: dict[Any, int] = {}
        self.heap: list[Any] = []

    @property
    def least(self) -> Any | None:
        """The least value, None where there is none."""
        return self.heap[0] if self.heap else None

    def unread(self) -> None:
        """Drop this object if it is empty."""
        if not self.counts:
            self.orders.pop(self.key, None)


class Orders:
    """Ordered values by group; a group that is empty and has no reader is dropped."""

    __slots__ = ("orders",)

    def __init__(self) -> None:
        self.orders: dict[Hashable, Order] = {}

    def least(self, group: Hashable) -> Any | None:
        """Return the least value of a group, None where it has none; the caller depends on that."""
        order = self._of(group)
        order.track()
        return order.least

    def count(self, group: Hashable, *, value: Any) -> None:
        """Count a value once more; tell readers if it is the least now."""
        order = self._of(group)
        before = order.least
        count = order.counts[value] = order.counts.get(value, 0) + 1
        if count == 1:
            heappush(order.heap, value)
            if order.least != before:
                order.touch()

    def discount(self, group: Hashable, *, value: Any) -> None:
        """Count a value once less; tell readers if it was the least."""
        order = self.orders[group]
        before = order.least
        order.counts[value] -= 1
        if order.counts[value]:
            return
        del order.counts[value]
        if len(order.heap) > 2 * len(order.counts) + 16:  # mostly values that are gone
            order.heap = list(order.counts)
            heapify(order.heap)
        while order.heap and order.heap[0] not in order.counts:
            heappop(order.heap)
        if order.least != before:
            order.touch()
        if not order.counts and not order.readers:
            del self.orders[group]

    def _of(self, group: Hashable) -> Order:
        order = self.orders.get(group)
        if order is None:
            order = self.orders[group] = Order(self.orders, group)
        return order


class Least(GroupedValues[K, V], Generic[K, V]):
    """A function of one row that yields pairs of (group, value); make one with the decorator ``least_of``."""

    __slots__ = ()

    keeps = Orders

    def least(self, group: K) -> V | None:
        """Return the least value that rows contribute to a group, None for none. The caller depends on that alone.

        Raises:
            LookupError: nothing is being computed, so there is no engine to ask.
        """
        node = tracking.reader
        if node is None:
            raise LookupError(f"{self}: asked for outside of a computation")
        found: V | None = self.kept(node.engine).least(group)
        return found


def least_of(subject: type[R]) -> Callable[[Callable[[R], Iterable[tuple[K, V]]]], Least[K, V]]:
    """Make a function of ``subject``'s rows one whose least values are kept; list it among the rules."""

    def decorate(body: Callable[[R], Iterable[tuple[K, V]]]) -> Least[K, V]:
        return Least(body, subject)

    return decorate
