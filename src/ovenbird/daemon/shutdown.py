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
"""Seconds from the signal until the process is ended forcibly."""
LAST_WORD = 0.2
"""Seconds for logging that, which may block."""


class Ending:
    """The shutdown of a process on a signal.

    Arguments:
        clean_up: removes what the process must not leave behind if it is ended forcibly.
    """

    def __init__(self, clean_up: Callable[[], None]) -> None:
        self.asked = False
        """Whether a signal has asked the process to end."""
        self._clean_up = clean_up
        self._tell: Callable[[], None] = lambda: None

    def watch(self) -> None:
        """Handle SIGTERM and SIGINT from now on."""
        signal.signal(signal.SIGALRM, self._cut_short)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def pass_to(self, loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
        """Set `stopping` at the signal, or at once if it was received already."""
        if self.asked:
            stopping.set()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stopping.set)

        self._tell = tell

    def _ask(self, _number: int, _frame: object) -> None:
        # Runs between any two instructions of the process, even while the event loop is blocked.
        if not self.asked:
            self.asked = True
            signal.setitimer(signal.ITIMER_REAL, END_TIMEOUT)
        self._tell()

    def _cut_short(self, _number: int, _frame: object) -> None:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, LAST_WORD)
        self._clean_up()
        log.warning("pending work takes more than %g s: the process ends without it", END_TIMEOUT)
        os._exit(0)


class Workers(ThreadPoolExecutor):
    """An event loop's threads, which are not waited for at the end."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let idle threads end (called by asyncio)."""
        del wait, cancel_futures
        super().shutdown(wait=False, cancel_futures=True)


def leave(status: int) -> int:
    """Return an exit status, or end the process with it if the interpreter's own shutdown could block.

    The interpreter would wait for threads; and after a signal the time limit runs, but the interpreter removes the
    handler of SIGALRM first, so that the alarm would kill the process.
    """
    if threading.active_count() > 1 or signal.getitimer(signal.ITIMER_REAL)[0]:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status
