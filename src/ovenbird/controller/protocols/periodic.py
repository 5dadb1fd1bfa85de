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
"""Seconds before something is said first, so that the flows of the same wave are there."""


class Periodic(ABC, Generic[F]):
    """Says something for each fact that is there, as often as `say` wants.

    Arguments:
        send: sends a message to the switch.
    """

    def __init__(self, send: Callable[[Message], None]) -> None:
        self.send = send
        self._timers: dict[F, asyncio.TimerHandle] = {}

    @abstractmethod
    def say(self, fact: F, done: int) -> float | None:
        """Say what a fact stands for, having done so `done` times; return the seconds to the next, None for never."""

    def absorb(self, *, added: Iterable[F], removed: Iterable[F]) -> None:
        """Take in a wave's facts: say what is new, and no longer what has gone."""
        for fact in removed:
            timer = self._timers.pop(fact, None)
            if timer is not None:
                timer.cancel()
        for fact in added:
            self._schedule(fact, FIRST, 0)

    def close(self) -> None:
        """Say nothing any more."""
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
