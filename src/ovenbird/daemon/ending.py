"""The end of a daemon: requested by SIGTERM or SIGINT, and completed within about a second.

Normally the event loop ends what is under way. It may be busy: a compiler may be computing a large network, a write to
a file may block, a request may wait for a database. A daemon can be killed at any time without harm, since all its
state is in the databases and in the switch; so an end that takes too long is cut short. Threads are not waited for: one
may be asking a name server that does not answer.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

log = logging.getLogger(__name__)

END_TIMEOUT = 1.0
"""Seconds from the signal until an end is cut short."""
LAST_WORD = 0.2
"""Seconds for saying so: what blocks may be the log."""


class Ending:
    """The order to end.

    Arguments:
        clean_up: removes what the process must not leave behind if its end is cut short.
    """

    def __init__(self, clean_up: Callable[[], None]) -> None:
        self.asked = False
        """Whether a signal has told the process to end."""
        self._clean_up = clean_up
        self._tell: Callable[[], None] = lambda: None

    def watch(self) -> None:
        """Take SIGTERM and SIGINT as the order from now on."""
        signal.signal(signal.SIGALRM, self._cut_short)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def pass_to(self, loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
        """Set `stopping` when the order comes, or at once if it has come already."""
        if self.asked:
            stopping.set()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stopping.set)

        self._tell = tell

    def _ask(self, _number: int, _frame: object) -> None:
        # Runs between two instructions of whatever the process does, also where the event loop has no turn.
        if not self.asked:
            self.asked = True
            signal.setitimer(signal.ITIMER_REAL, END_TIMEOUT)
        self._tell()

    def _cut_short(self, _number: int, _frame: object) -> None:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, LAST_WORD)
        self._clean_up()
        log.warning("what is under way takes more than %g s: it is given up", END_TIMEOUT)
        os._exit(0)


class Workers(ThreadPoolExecutor):
    """An event loop's threads, which nobody waits for at the end."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let threads end that have nothing to do (called by asyncio)."""
        del wait, cancel_futures
        super().shutdown(wait=False, cancel_futures=True)


def leave(status: int) -> int:
    """Return an exit status, or end the process with it where something would still take its time.

    Threads would be waited for; and where the end was asked for, its time runs, but the interpreter's own end takes the
    handler of the alarm away first: SIGALRM would kill the process.
    """
    if threading.active_count() > 1 or signal.getitimer(signal.ITIMER_REAL)[0]:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status
