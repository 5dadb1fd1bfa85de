"""Stopwatches: the durations of repeated operations, as OVN's `stopwatch/show` prints them.

A stopwatch keeps no samples: two moving averages, and an estimate of the 95th percentile by the algorithm P2 (Jain and
Chlamtac, 1985), whose five markers are all that it needs.
"""

from __future__ import annotations

import math
import time

_SHORT, _LONG = 0.5, 0.01
"""The weight of a new sample in the moving averages."""
_QUANTILE = 0.95
_RISES = (0.0, _QUANTILE / 2, _QUANTILE, (1 + _QUANTILE) / 2, 1.0)
"""How much the desired position of each marker rises with a sample."""


class Stopwatch:
    """The durations of one kind of work, in milliseconds."""

    __slots__ = ("_heights", "_places", "_wanted", "long", "maximum", "minimum", "samples", "short")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self.samples = 0
        self.minimum, self.maximum = math.inf, 0.0
        self.short = self.long = 0.0
        self._heights: list[float] = []
        self._places = [1, 2, 3, 4, 5]
        self._wanted = [1.0, *(1 + 4 * rise for rise in _RISES[1:4]), 5.0]

    def since(self, started: float) -> None:
        """Add a sample: work that began at this time of `time.perf_counter` and ends now."""
        self.add((time.perf_counter() - started) * 1000)

    def add(self, milliseconds: float) -> None:
        """Add a sample."""
        self.samples += 1
        self.minimum, self.maximum = min(self.minimum, milliseconds), max(self.maximum, milliseconds)
        if self.samples == 1:
            self.short = self.long = milliseconds
        self.short += _SHORT * (milliseconds - self.short)
        self.long += _LONG * (milliseconds - self.long)
        if self.samples <= 5:
            self._heights.append(milliseconds)
            self._heights.sort()
        else:
            self._place(milliseconds)

    @property
    def percentile(self) -> float:
        """The estimate of the 95th percentile, in milliseconds."""
        if not self._heights:
            return 0.0
        return self._heights[2] if self.samples > 5 else self._heights[-1]

    def show(self) -> str:
        """Return the lines about it."""
        figures = (
            ("Total samples", f"{self.samples}"),
            ("Maximum", f"{int(self.maximum)} msec"),
            ("Minimum", f"{int(self.minimum) if self.samples else 0} msec"),
            ("95th percentile", f"{self.percentile:.6f} msec"),
            ("Short term average", f"{self.short:.6f} msec"),
            ("Long term average", f"{self.long:.6f} msec"),
        )
        return "".join(f"  {name}: {figure}\n" for name, figure in figures)

    def _place(self, value: float) -> None:
        """Move the markers for the sixth sample or a later one."""
        heights, places = self._heights, self._places
        heights[0] = min(heights[0], value)
        heights[4] = max(heights[4], value)
        for i in range(1, 5):
            if value < heights[i] or i == 4:
                for k in range(i, 5):
                    places[k] += 1
                break
        for i, rise in enumerate(_RISES):
            self._wanted[i] += rise
        for i in (1, 2, 3):
            off = self._wanted[i] - places[i]
            if (off >= 1 and places[i + 1] - places[i] > 1) or (off <= -1 and places[i - 1] - places[i] < -1):
                step = 1 if off > 0 else -1
                height = self._curved(i, step)
                heights[i] = height if heights[i - 1] < height < heights[i + 1] else self._straight(i, step)
                places[i] += step

    def _curved(self, i: int, step: int) -> float:
        """Return a marker's height one step further, on the parabola through it and its neighbours."""
        q, n = self._heights, self._places
        above = (n[i] - n[i - 1] + step) * (q[i + 1] - q[i]) / (n[i + 1] - n[i])
        below = (n[i + 1] - n[i] - step) * (q[i] - q[i - 1]) / (n[i] - n[i - 1])
        return q[i] + step / (n[i + 1] - n[i - 1]) * (above + below)

    def _straight(self, i: int, step: int) -> float:
        """Return a marker's height one step further, on the line to that neighbour."""
        q, n = self._heights, self._places
        return q[i] + step * (q[i + step] - q[i]) / (n[i + step] - n[i])


_stopwatches: dict[str, Stopwatch] = {}


def stopwatch(name: str) -> Stopwatch:
    """Return the stopwatch of a kind of work, which is made if it is new."""
    return _stopwatches.setdefault(name, Stopwatch())


def reset(name: str | None = None) -> None:
    """Forget the samples of one stopwatch, if there is such a one, or of all."""
    for each, watch in _stopwatches.items():
        if name in (None, each):
            watch.reset()


def show(name: str | None = None) -> str | None:
    """Return what `stopwatch/show` prints about one stopwatch, or all; None if there is none by that name."""
    found = {each: watch for each, watch in _stopwatches.items() if name in (None, each)}
    if name is not None and not found:
        return None
    return "".join(f"Statistics for '{each}'\n{watch.show()}" for each, watch in found.items())
