"""Frames that are sent periodically: one for each fact, each with its own interval."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic

from ovenbird.engine.facts import F

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovenbird.openflow.messages import Message

FIRST = 0.05
"""Seconds before the first transmission, so that the flows of the same wave are installed."""


class Periodic(ABC, Generic[F]):
    """Sends something periodically for each present fact, at the intervals that `say` returns.

    Arguments:
        send: sends a message to the switch.
    """

    def __init__(self, send: Callable[[Message], None]) -> None:
        self.send = send
        self._timers: dict[F, asyncio.TimerHandle] = {}

    @abstractmethod
    def say(self, fact: F, done: int) -> float | None:
        """Send for a fact, after `done` earlier times; return the seconds until the next time, None for never."""

    def absorb(self, *, added: Iterable[F], removed: Iterable[F]) -> None:
        """Process a wave's facts: start with new ones, and stop with removed ones."""
        for fact in removed:
            timer = self._timers.pop(fact, None)
            if timer is not None:
                timer.cancel()
        for fact in added:
            self._schedule(fact, FIRST, 0)

    def close(self) -> None:
        """Stop sending."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _schedule(self, fact: F, pause: float, done: int) -> None:
        self._timers[fact] = asyncio.get_running_loop().call_later(pause, self._go_on, fact, done)

    def _go_on(self, fact: F, done: int) -> None:
        pause = self.say(fact, done)
        if pause is None:
            del self._timers[fact]
        else:
            self._schedule(fact, pause, done + 1)
