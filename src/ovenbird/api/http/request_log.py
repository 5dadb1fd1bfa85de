"""The request log, with a limit on its rate, so that clients cannot fill the disk.

A line has the same fields as Neutron's: id, user and project, method and path, status, bytes and seconds of the answer.
The limit for each user is above the rate of people and services; all unauthenticated clients share one limit.
Suppressed lines are counted: the next line of the same user has the number as `left_out`.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from ovenbird.api.access.auth import Caller

REQUEST_ID = "ovenbird.request_id"
"""The key of the request's id in its scope."""
CALLER = "ovenbird.caller"
"""The key of the caller in the scope, once authenticated."""

requests = logging.getLogger("ovenbird.api.request")

LONGEST_TARGET, LONGEST_TARGET_OF_STRANGERS = 2048, 256
"""Maximum characters of a URL in a line; for callers that are not authenticated."""
ALL, USER, STRANGERS = (4_000_000, 100_000), (1_000_000, 20_000), (64_000, 1_000)
"""Log budgets in characters, at once and a second: of all callers, of one user, of all without authentication."""
USERS = 1024
"""How many users' budgets are kept; a user that was dropped starts with a full budget again."""


class RequestLog:
    """The lines of one service's requests.

    Arguments:
        clock: gives seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all = _Budget(ALL, clock())
        self._strangers = _Budget(STRANGERS, clock())
        self._users: OrderedDict[str, _Budget] = OrderedDict()

    def report(self, scope: Scope, *, status: int, length: int, seconds: float) -> None:
        """Log a request and its answer.

        Arguments:
            scope: the request's, of ASGI.
            status: of the response; 0 if the client disconnected before it.
            length: of the response's body, in bytes.
            seconds: from the request's head to the response's end.
        """
        if not requests.isEnabledFor(logging.INFO):
            return
        caller: Caller | None = scope.get(CALLER)
        text = _line(scope, caller, status, length, seconds)
        own, now = self._budget(caller), self._clock()
        if self._all.has(now) and own.has(now):
            self._all.left -= len(text)
            own.left -= len(text)
            extra, own.left_out = {"left_out": own.left_out} if own.left_out else {}, 0
            requests.info("%s", text, extra=extra)
        else:
            own.left_out += 1

    def _budget(self, caller: Caller | None) -> _Budget:
        if caller is None:
            return self._strangers
        found = self._users.pop(caller.user, None) or _Budget(USER, self._clock())
        self._users[caller.user] = found
        if len(self._users) > USERS:
            self._users.popitem(last=False)
        return found


class _Budget:
    """A budget of log characters, which refills with time.

    Arguments:
        rate: how many at once, and a second.
        now: the time.
    """

    __slots__ = ("_at", "_burst", "_rate", "left", "left_out")

    def __init__(self, rate: tuple[int, int], now: float) -> None:
        self._burst, self._rate = rate
        self._at = now
        self.left = float(self._burst)
        self.left_out = 0

    def has(self, now: float) -> bool:
        """Return whether any characters are left; the line that uses the last ones is written in full."""
        self.left = min(float(self._burst), self.left + (now - self._at) * self._rate)
        self._at = now
        return self.left > 0


def _line(scope: Scope, caller: Caller | None, status: int, length: int, seconds: float) -> str:
    who = f" {caller.user or '-'} {caller.project or '-'}" if caller is not None else " - -"
    query = scope.get("query_string", b"").decode("latin-1")
    address = scope.get("raw_path", b"").decode("latin-1") + (f"?{query}" if query else "")
    address = address[: LONGEST_TARGET if caller is not None else LONGEST_TARGET_OF_STRANGERS]
    what = f'"{scope["method"]} {address} HTTP/{scope["http_version"]}"'
    return f"{scope[REQUEST_ID]}{who} {peer(scope)} {what} status: {status} len: {length} time: {seconds:.6f}"


def peer(scope: Scope) -> str:
    """Return the address that a request came from."""
    client = scope.get("client")
    return client[0] if client else "-"
