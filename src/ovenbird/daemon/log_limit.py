"""A rate limit on log lines, so that nothing that others can make a daemon log fills a disk.

Each place in the source that logs has a token bucket, as in Open vSwitch (vlog(3), "VLOG_WARN_RL"): so many lines at
once, then so many per second. Suppressed lines are counted, and the next line from that place carries the number as
`left_out`. Debug lines are not limited, since they were requested, and those of ACLs have meters of their own.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 100
"""The burst of lines from one place in the source."""

RATE = 1.0
"""The rate of lines from one place in the source, per second."""

METERED = frozenset(("ovenbird.api.request",))
"""Loggers whose callers limit the lines themselves."""

LOG_LIMITS = {"acl_log": (1_000, 100.0), "ovenbird.binding": (10_000, 100.0)}
"""Burst and rate, over all places, of loggers each of whose lines matters."""


class LogLimit(logging.Filter):
    """A filter that limits log lines, shared by any number of handlers.

    Arguments:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._buckets: dict[tuple[str, int], _Bucket] = {}
        self._last: ReferenceType[logging.LogRecord] | None = None  # with it all that an exception's frames hold
        self._passes = True
        self._limited = True
        self._exceptions: set[str] = set()

    def limit(self, *modules: str, limited: bool) -> None:
        """Limit the lines of some modules, or of all where none is named, or let every one of them pass.

        Arguments:
            modules: the names of loggers.
            limited: whether there is a limit from now on.
        """
        if not modules:
            self._limited = limited
            self._exceptions.clear()
        elif limited is self._limited:
            self._exceptions.difference_update(modules)
        else:
            self._exceptions.update(modules)

    def is_limited(self, module: str) -> bool:
        """Return whether there is a limit to a logger's lines."""
        return self._limited is not (module in self._exceptions)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record; the result is the same for all handlers."""
        if record.levelno <= logging.DEBUG or record.name in METERED or not self.is_limited(record.name):
            return True
        if self._last is None or self._last() is not record:
            self._last = ref(record)
            own = LOG_LIMITS.get(record.name)
            place = (record.name, 0) if own else (record.pathname, record.lineno)
            bucket = self._buckets.get(place)
            if bucket is None:
                burst, rate = own or (BURST, RATE)
                bucket = self._buckets[place] = _Bucket(self._clock(), burst=burst, rate=rate)
            self._passes = bucket.take(self._clock())
            if self._passes and bucket.left_out:
                record.left_out, bucket.left_out = bucket.left_out, 0
        return self._passes


class _Bucket:
    """The tokens of one place.

    Arguments:
        at: the time, in seconds.
        burst: lines at once.
        rate: lines a second, in the long run.
    """

    __slots__ = ("at", "burst", "left_out", "rate", "tokens")

    def __init__(self, at: float, *, burst: int, rate: float) -> None:
        self.tokens = float(burst)
        self.at = at
        self.burst = burst
        self.rate = rate
        self.left_out = 0

    def take(self, now: float) -> bool:
        """Take a token, or count the line as suppressed."""
        self.tokens = min(float(self.burst), self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            self.left_out += 1
            return False
        self.tokens -= 1
        return True
