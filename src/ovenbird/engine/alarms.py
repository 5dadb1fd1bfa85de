"""Alarms: points in time that rules wait for.

A pure function cannot read the time. It can read whether an alarm has gone off; a reader that found that it has not
runs again when it does. Alarms go off only at the beginning of a wave, in the order of their times, and no more in one
wave than ``limit`` permits; ``pause`` tells when the next wave is needed.
"""

from __future__ import annotations

import time
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from ovenbird.engine import tracking
from ovenbird.engine.tracking import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

PACE = 5000
"""Milliseconds between waves while more alarms are due than one wave may ring."""


def now() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def due(key: Hashable, moment: int) -> bool:
    """Return whether a moment has come; the caller depends on it.

    Arguments:
        key: tells alarms of the same moment apart, so that they can ring in different waves.
        moment: milliseconds since the epoch.

    Raises:
        LookupError: nothing is being computed.
    """
    node = tracking.reader
    if node is None:
        raise LookupError(f"{key}: asked for the time outside of a computation")
    alarms: Alarms = node.engine.alarms
    return alarms.due(node.engine, (key, moment))


class Alarm(Source):
    """A time that readers wait for; it exists while it has readers."""

    __slots__ = ("alarms", "engine", "key", "rung")

    def __init__(self, alarms: Alarms, engine: Any, key: tuple[Hashable, int]) -> None:
        super().__init__()
        self.alarms = alarms
        self.engine = engine
        self.key = key
        self.rung = False

    def unread(self) -> None:
        """Let the engine drop the alarm at the end of the wave, unless it has been read again."""
        self.engine.unread.append(self)

    def dispose(self) -> None:
        """Drop the alarm for good."""
        if self.alarms.waiting.get(self.key) is self:
            del self.alarms.waiting[self.key]


class Alarms:
    """The alarms of one engine.

    Arguments:
        clock: gives the time in milliseconds since the epoch.
    """

    __slots__ = ("_not_before", "_queue", "_sequence", "clock", "limit", "waiting")

    def __init__(self, clock: Callable[[], int] = now) -> None:
        self.clock = clock
        self.limit: Callable[[], int] = lambda: 0
        """Returns how many alarms may ring in one wave; 0 for any number."""
        self.waiting: dict[tuple[Hashable, int], Alarm] = {}
        self._queue: list[tuple[int, int, Alarm]] = []
        self._sequence = 0
        self._not_before = 0

    def due(self, engine: Any, key: tuple[Hashable, int]) -> bool:
        """Return whether the alarm has rung; make it if there is none."""
        alarm = self.waiting.get(key)
        if alarm is None:
            alarm = self.waiting[key] = Alarm(self, engine, key)
            self._sequence += 1
            heappush(self._queue, (key[1], self._sequence, alarm))
            if len(self._queue) > 64 + 2 * len(self.waiting):  # most are of moments that nobody waits for any more
                self._queue = [entry for entry in self._queue if self._alive(entry[2])]
                heapify(self._queue)
        alarm.track()
        return alarm.rung

    def ring(self) -> None:
        """Ring the alarms that are due, at most as many as one wave may."""
        if not self._queue:
            return
        moment, limit, rung = self.clock(), self.limit(), 0
        if moment < self._not_before:
            return
        while self._queue and self._queue[0][0] <= moment:
            if limit and rung >= limit:
                self._not_before = moment + PACE
                return
            alarm = heappop(self._queue)[2]
            if self._alive(alarm):
                alarm.rung = True
                alarm.touch()
                rung += 1

    @property
    def pause(self) -> float | None:
        """Seconds until the next alarm is due, or None without alarms."""
        while self._queue and not self._alive(self._queue[0][2]):
            heappop(self._queue)
        if not self._queue:
            return None
        return max(0, max(self._queue[0][0], self._not_before) - self.clock()) / 1000

    def _alive(self, alarm: Alarm) -> bool:
        return self.waiting.get(alarm.key) is alarm
