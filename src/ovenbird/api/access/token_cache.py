"""A cache of authenticated callers, bounded in number and time, by a hash of their credentials.

Keys are keyed hashes with a key that each process generates, so the content cannot be used to authenticate. If several
requests need the same result at once, one of them obtains it and the others wait.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ovenbird.api.access.auth import Caller

MOST_TOKENS = 10_000
"""How many callers are cached; the oldest is dropped first."""


class CallerCache:
    """Authenticated callers by their credentials.

    Arguments:
        most: how many are kept.
        clock: seconds since 1970.
    """

    def __init__(self, most: int = MOST_TOKENS, clock: Callable[[], float] = time.time) -> None:
        self.most = most
        self.clock = clock
        self._key = secrets.token_bytes(32)
        self._callers: dict[bytes, tuple[Caller, float]] = {}
        self._asking: dict[bytes, asyncio.Task[tuple[Caller, float]]] = {}

    def __len__(self) -> int:
        return len(self._callers)

    def hash(self, *proof: bytes) -> bytes:
        """Return the key of a caller's credentials."""
        digest = blake2b(key=self._key, digest_size=32)
        for part in proof:
            digest.update(len(part).to_bytes(4, "big") + part)
        return digest.digest()

    def get(self, key: bytes) -> Caller | None:
        """Return the caller with these credentials, if the entry is still valid."""
        found = self._callers.get(key)
        if found is None:
            return None
        if found[1] <= self.clock():
            self._callers.pop(key, None)
            return None
        return found[0]

    def clear(self) -> None:
        """Drop all callers."""
        self._callers.clear()
        self._asking.clear()

    async def ask(self, key: bytes, question: Callable[[], Awaitable[tuple[Caller, float]]]) -> Caller:
        """Return a caller, determined by a question and then cached.

        Arguments:
            key: hash of the credentials.
            question: returns the caller, and until when (seconds since 1970) the answer is valid.

        Raises:
            Exception: what the question raised; that is not cached.
        """
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(_answer(question))
            task.add_done_callback(lambda done: self._told(key, done))
        caller, _ = await asyncio.shield(task)  # a client that disconnects does not cancel the task for others
        return caller

    def _told(self, key: bytes, task: asyncio.Task[tuple[Caller, float]]) -> None:
        if self._asking.get(key) is not task:
            return  # the cache was cleared meanwhile, so the answer may be out of date
        del self._asking[key]
        if task.cancelled() or task.exception() is not None:
            return
        self._callers.pop(key, None)
        while len(self._callers) >= self.most:
            del self._callers[next(iter(self._callers))]
        self._callers[key] = task.result()


async def _answer(question: Callable[[], Awaitable[tuple[Caller, float]]]) -> tuple[Caller, float]:
    return await question()
