"""Alarms: points in time that rules wait for.

A pure function cannot read the time. It can read whether an alarm has gone off; a reader that found that it has not
runs again when it does. Alarms go off only at the beginning of a wave, in the order of their times, and no more in one
wave than the limit of their kind permits; ``pause`` tells when the next wave is needed.
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
"""Milliseconds between waves while more alarms of a kind are due than one wave may ring."""


def now() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def due(key: Hashable, moment: int) -> bool:
    """Return whether a moment has come; the caller depends on it.

    Arguments:
        key: tells alarms of the same moment apart, so that they can ring in different waves; its type is their kind.
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
    """A time that readers wait for; it exists while it has readers.

    Arguments:
        alarms: the alarms of its engine, which let it go off.
        engine: the engine.
        key: what tells alarms of one time apart, and the time in milliseconds since the epoch.
    """

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


class AlarmQueue:
    """The alarms of one kind, in the order of their times."""

    __slots__ = ("entries", "not_before")

    def __init__(self) -> None:
        self.entries: list[tuple[int, int, Alarm]] = []
        self.not_before = 0
        """When the next ones may ring, after as many as one wave may have rung."""


class Alarms:
    """The alarms of one engine. Alarms whose keys are of one type are of one kind.

    Arguments:
        clock: gives the time in milliseconds since the epoch.
    """

    __slots__ = ("_queues", "_sequence", "clock", "limits", "waiting")

    def __init__(self, clock: Callable[[], int] = now) -> None:
        self.clock = clock
        self.limits: dict[type, Callable[[], int]] = {}
        """By kind, what returns how many alarms may ring in one wave; 0 for any number, as without an entry."""
        self.waiting: dict[tuple[Hashable, int], Alarm] = {}
        self._queues: dict[type, AlarmQueue] = {}
        self._sequence = 0

    def due(self, engine: Any, key: tuple[Hashable, int]) -> bool:
        """Return whether the alarm has rung; make it if there is none."""
        alarm = self.waiting.get(key)
        if alarm is None:
            alarm = self.waiting[key] = Alarm(self, engine, key)
            self._sequence += 1
            queue = self._queues.setdefault(type(key[0]), AlarmQueue())
            heappush(queue.entries, (key[1], self._sequence, alarm))
            if len(queue.entries) > 64 + 2 * len(self.waiting):  # most are of moments that no rule waits for any more
                queue.entries = [entry for entry in queue.entries if self._alive(entry[2])]
                heapify(queue.entries)
        alarm.track()
        return alarm.rung

    def ring(self) -> None:
        """Ring the alarms that are due, of each kind at most as many as one wave may."""
        for kind, queue in self._queues.items():
            if queue.entries:
                self._ring(queue, self.limits[kind]() if kind in self.limits else 0)

    def _ring(self, queue: AlarmQueue, limit: int) -> None:
        moment, rung = self.clock(), 0
        if moment < queue.not_before:
            return
        while queue.entries and queue.entries[0][0] <= moment:
            if limit and rung >= limit:
                queue.not_before = moment + PACE
                return
            alarm = heappop(queue.entries)[2]
            if self._alive(alarm):
                alarm.rung = True
                alarm.touch()
                rung += 1

    @property
    def pause(self) -> float | None:
        """Seconds until the next alarm is due, or None without alarms."""
        moments = []
        for queue in self._queues.values():
            while queue.entries and not self._alive(queue.entries[0][2]):
                heappop(queue.entries)
            if queue.entries:
                moments.append(max(queue.entries[0][0], queue.not_before))
        return max(0, min(moments) - self.clock()) / 1000 if moments else None

    def _alive(self, alarm: Alarm) -> bool:
        return self.waiting.get(alarm.key) is alarm
