"""Locks: names that one client at a time holds (RFC 7047, sections 4.1.8-4.1.10).

The clients of a lock are a queue whose head holds it. A client that steals the lock goes to the head, and the former
holder stays next in the queue.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from ovenbird.ovsdb.errors import BadSyntax


class Holder(Protocol):
    """A client that can hold locks."""

    def granted(self, name: str) -> None:
        """React to getting a lock that was waited for."""

    def stolen(self, name: str) -> None:
        """React to the theft of a lock by another client."""


class Locks:
    """The locks of one server."""

    def __init__(self) -> None:
        self._queues: dict[str, list[Holder]] = {}
        self._asked: Counter[Holder] = Counter()

    def count(self, holder: Holder) -> int:
        """Return how many locks a client holds or waits for."""
        return self._asked[holder]

    def holds(self, holder: Holder, name: str) -> bool:
        """Return whether a client holds a lock."""
        queue = self._queues.get(name)
        return queue is not None and queue[0] is holder

    def lock(self, holder: Holder, name: str, *, steal: bool = False) -> bool:
        """Request a lock; return whether it is held at once.

        Arguments:
            holder: the client.
            name: the lock's.
            steal: whether to take it from its present holder instead of waiting.

        Raises:
            BadSyntax: the client has requested it before.
        """
        queue = self._queues.setdefault(name, [])
        if any(waiter is holder for waiter in queue):
            raise BadSyntax('must issue "unlock" before new "lock"', name)
        self._asked[holder] += 1
        if not steal:
            queue.append(holder)
            return queue[0] is holder
        queue.insert(0, holder)
        if len(queue) > 1:
            queue[1].stolen(name)
        return True

    def unlock(self, holder: Holder, name: str) -> None:
        """Release a lock, or stop waiting for it.

        Raises:
            BadSyntax: the client has not requested it.
        """
        queue = self._queues.get(name, [])
        at = next((i for i, waiter in enumerate(queue) if waiter is holder), None)
        if at is None:
            raise BadSyntax('"unlock" without "lock" or "steal"', name)
        del queue[at]
        self._asked[holder] -= 1
        if not self._asked[holder]:
            del self._asked[holder]
        if not queue:
            del self._queues[name]
        elif at == 0:
            queue[0].granted(name)

    def release(self, holder: Holder) -> None:
        """Release all locks that a client holds or waits for."""
        for name in [name for name, queue in self._queues.items() if any(waiter is holder for waiter in queue)]:
            self.unlock(holder, name)
