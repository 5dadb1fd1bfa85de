"""What a process does about Python's cyclic garbage collector: the one place that switches it.

Rows, facts and flows live long, and few cycles of references become garbage. A collector that runs after every 700 new
containers visits all that lives again and again: encoding forty thousand rows then takes five times as long. So it runs
rarely (``tune``), not while a batch is built (``gc_paused``), and not during a cold start (``GcPause``), the results
of which it does not visit later either.
"""

from __future__ import annotations

import functools
import gc
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_pauses: set[GcPause] = set()


def tune() -> None:
    """Make the garbage collector run rarely, as suits a daemon."""
    gc.set_threshold(200_000, 50, 100)


class GcPause:
    """A period without garbage collection, for making objects that live as long as the process.

    Several may overlap, in one coroutine or in many: the collector runs again when the last one has ended. One that
    ends without `keep`, such as by an exception, leaves what was made in it to the collector.
    """

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:
        """Pause, also again after the end."""
        _pauses.add(self)
        gc.disable()

    def keep(self) -> None:
        """End the pause, and exempt all present objects from collection permanently (`gc.freeze`)."""
        if self in _pauses:
            gc.freeze()
            self.end()

    def end(self) -> None:
        """End the pause, if it has not ended yet."""
        _pauses.discard(self)
        if not _pauses:
            gc.enable()


def gc_paused(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function, run without the cyclic collector; nested uses and a collector that is off are fine."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        if not gc.isenabled():
            return function(*args, **kwargs)
        gc.disable()
        try:
            return function(*args, **kwargs)
        finally:
            if not _pauses:  # else one has begun meanwhile, in another thread
                gc.enable()

    return wrapped
