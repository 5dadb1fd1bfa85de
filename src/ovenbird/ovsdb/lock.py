"""Locks: names that one client at a time holds (RFC 7047, sections 4.1.8-4.1.10).

The clients of a lock are a queue whose head holds it. A client that steals the lock goes to the head, and the former
holder stays next in the queue.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from ovenbird.ovsdb.errors import BadSyntax


class Holder(Protocol):
    """Who may hold locks."""

    def granted(self, name: str) -> None:
        """Learn that a lock waited for is now held."""

    def stolen(self, name: str) -> None:
        """Learn that somebody stole a lock."""


class Locks:
    """The locks of one server."""

    def __init__(self) -> None:
        self._queues: dict[str, list[Holder]] = {}
        self._asked: Counter[Holder] = Counter()

    def count(self, holder: Holder) -> int:
        """Return how many locks somebody holds or waits for."""
        return self._asked[holder]

    def holds(self, holder: Holder, name: str) -> bool:
        """Say whether somebody holds a lock."""
        queue = self._queues.get(name)
        return queue is not None and queue[0] is holder

    def lock(self, holder: Holder, name: str, *, steal: bool = False) -> bool:
        """Ask for a lock; return whether it is held at once.

        Arguments:
            holder: who asks.
            name: the lock's.
            steal: whether whoever holds it loses it, where otherwise the holder waits its turn.

        Raises:
            BadSyntax: the holder asked for it before.
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
        """Give a lock up, or stop waiting for it.

        Raises:
            BadSyntax: the holder never asked for it.
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
        """Give up everything that a holder has or waits for."""
        for name in [name for name, queue in self._queues.items() if any(waiter is holder for waiter in queue)]:
            self.unlock(holder, name)
