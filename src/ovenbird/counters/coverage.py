"""Coverage counters: how often something has happened in this process, in total and lately (ovsdb-server(1)).

A counter is made where its event happens, when the module is imported, and costs one addition for each event. Counters
of events that Open vSwitch or OVN count too have the originals' names, for programs that read `coverage/show`.
"""

from __future__ import annotations

from collections import deque
from zlib import crc32

SECONDS = 5.0
"""How often the owner of the process takes a sample of all counters."""
_MINUTE = 12
"""Samples in a minute."""
_HOUR = 60
"""Minutes in an hour."""


class Counter:
    """The number of times that an event has happened; whoever sees the event adds to `count`.

    Arguments:
        name: the event's.
    """

    __slots__ = ("_hour", "_minute", "_samples", "count", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self._samples = 0
        self._minute: deque[int] = deque((0,), _MINUTE + 1)
        self._hour: deque[int] = deque((0,), _HOUR + 1)

    def sample(self) -> None:
        """Note the count, `SECONDS` after the last time."""
        self._minute.append(self.count)
        self._samples += 1
        if self._samples % _MINUTE == 0:
            self._hour.append(self.count)

    @property
    def rates(self) -> tuple[float, float, float]:
        """Events a second in the last complete `SECONDS`, in the last minute, and in the last hour."""
        last = self._minute[-1]
        latest = last - self._minute[-2] if len(self._minute) > 1 else 0
        minute, hour = last - self._minute[0], last - self._hour[0]
        return latest / SECONDS, minute / (SECONDS * _MINUTE), hour / (SECONDS * _MINUTE * _HOUR)


_counters: dict[str, Counter] = {}


def counter(name: str) -> Counter:
    """Return the counter of an event, which is made if it is new."""
    return _counters.setdefault(name, Counter(name))


def sample() -> None:
    """Note the counts of all counters."""
    for each in _counters.values():
        each.sample()


def read(name: str) -> int | None:
    """Return how often an event has happened; None if nobody counts it."""
    found = _counters.get(name)
    return found.count if found is not None else None


def show() -> str:
    """Return all counters that are not 0, with their rates, as `coverage/show` prints them."""
    hit = [each for each in _counters.values() if each.count]
    digest = crc32(" ".join(sorted(each.name for each in hit)).encode())
    lines = [f"Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash={digest:08x}:"]
    for each in hit:
        latest, minute, hour = each.rates
        lines.append(f"{each.name:<24} {latest:5.1f}/sec {minute:9.3f}/sec {hour:13.4f}/sec   total: {each.count}")
    lines.append(f"{len(_counters) - len(hit)} events never hit")
    return "".join(f"{line}\n" for line in lines)
