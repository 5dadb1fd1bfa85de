"""How tests wait: for what has to happen, never for a time in which it should have.

`until(lambda: port.up)` for programs and files; `await until_async(lambda: port.up)` where what is waited for runs in
the test's own event loop. The limit is generous, since only a test that fails spends it: whatever else the machine
does, a test that passes takes as long as it takes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

T = TypeVar("T")
Errors = tuple[type[Exception], ...]
LIMIT = 120.0
"""Seconds."""
_LONGEST = 0.05
"""Seconds between two looks at most; the first looks follow each other faster."""


class _Patience:
    """What is left of the time.

    Arguments:
        seconds: how long it may take altogether.
        what: what is awaited, for the error.
    """

    def __init__(self, seconds: float, what: str) -> None:
        self._seconds, self._end = seconds, time.monotonic() + seconds
        self._what = f"{what}: " if what else ""
        self._pause = 0.0005

    def pause(self, found: str) -> float:
        """Return the seconds until the next look, where the last one found this.

        Raises:
            AssertionError: the time is over.
        """
        if time.monotonic() > self._end:
            raise AssertionError(f"{self._what}not within {self._seconds:g} s; at the end: {found}")
        self._pause = min(2 * self._pause, _LONGEST)
        return self._pause


def until(condition: Callable[[], T], seconds: float = LIMIT, *, what: str = "", despite: Errors = ()) -> T:
    """Return the first true value that the condition gives.

    Arguments:
        condition: a function without arguments. It may assert: what it asserts does not hold yet, then.
        seconds: how long it may take.
        what: what is awaited, for the error: "br-int on hv1".
        despite: exceptions that mean as little.

    Raises:
        AssertionError: it took longer; with what the condition gave or asserted last.
    """
    patience = _Patience(seconds, what)
    while True:
        try:
            if found := condition():
                return found
        except (AssertionError, *despite) as error:
            time.sleep(patience.pause(str(error) or repr(error)))
        else:
            time.sleep(patience.pause(repr(found)))


async def until_async(
    condition: Callable[[], T | Awaitable[T]], seconds: float = LIMIT, *, what: str = "", despite: Errors = ()
) -> T:
    """Return the first true value that the condition gives, while the event loop runs.

    Arguments:
        condition: a function without arguments, or a coroutine function; as in `until`.
        seconds: how long it may take.
        what: what is awaited, for the error: "br-int on hv1".
        despite: exceptions that mean as little.

    Raises:
        AssertionError: it took longer; with what the condition gave or asserted last.
    """
    patience = _Patience(seconds, what)
    while True:
        try:
            given = condition()
            if found := (await given if isawaitable(given) else given):
                return found
        except (AssertionError, *despite) as error:
            await asyncio.sleep(patience.pause(str(error) or repr(error)))
        else:
            await asyncio.sleep(patience.pause(repr(found)))
