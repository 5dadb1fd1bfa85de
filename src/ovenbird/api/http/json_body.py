"""Parses the JSON body of a request, and refuses what the databases cannot store.

Strings contain no U+0000 and integers have 64 bits (RFC 7047, section 3.1). Deeper nesting than any attribute has is
refused, since it could exhaust the stack. If an object has a name twice, the last value is used, as everywhere in
Python (RFC 8259, section 4, leaves it open).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import ClientDisconnect

from ovenbird.api.errors.request import HTTPBadRequest, HTTPRequestEntityTooLarge, TooManyBodies
from ovenbird.api.http.request_log import CALLER, peer

if TYPE_CHECKING:
    from collections.abc import Hashable

    from starlette.requests import Request

    from ovenbird.api.access.auth import Caller

LARGEST = 8 << 20
"""Bytes of a request's body; a bulk creation of ten thousand ports has two million."""

MOST_HELD = 64 << 20
"""Maximum bytes of all bodies that a process is receiving at once."""

MOST_OF_ONE = MOST_HELD // 4
"""Maximum bytes of those from one caller, or from one address without authentication."""

DEEPEST = 32
"""Maximum nesting of lists and objects."""

MOST_VALUES = 500_000
"""Maximum values in lists and objects, counted by their separators; each takes many times the memory of its text."""

INTEGERS = range(-(1 << 63), 1 << 63)


class Bodies:
    """The bodies that are being received.

    Arguments:
        most: maximum bytes of all of them.
        most_of_one: maximum bytes of one sender's, so that no sender can use up the total.
    """

    def __init__(self, *, most: int = MOST_HELD, most_of_one: int = MOST_OF_ONE) -> None:
        self.most = most
        self.most_of_one = most_of_one
        self.held = 0
        self.held_of: Counter[Hashable] = Counter()
        """Bytes by sender."""

    async def read(self, request: Request) -> bytes:
        """Return a request's body.

        Raises:
            HTTPRequestEntityTooLarge: it is too large.
            TooManyBodies: together with others it would exceed a limit.
        """
        parts, size, sender = [], 0, _sender(request)
        try:
            async for part in request.stream():
                size += len(part)
                self.held += len(part)
                self.held_of[sender] += len(part)
                if size > LARGEST:
                    raise HTTPRequestEntityTooLarge(most=LARGEST)
                if self.held > self.most or self.held_of[sender] > self.most_of_one:
                    raise TooManyBodies
                parts.append(part)
            return b"".join(parts)
        except ClientDisconnect:
            raise HTTPBadRequest(reason="The connection ended within the request") from None
        finally:
            self.held -= size
            self.held_of[sender] -= size
            if not self.held_of[sender]:
                del self.held_of[sender]


def _sender(request: Request) -> Hashable:
    """Return a request's sender: user and project, or the address without authentication."""
    caller: Caller | None = request.scope.get(CALLER)
    return (caller.user, caller.project) if caller is not None and caller.user else peer(request.scope)


BODIES = Bodies()
"""The bodies of this process."""


async def read(request: Request) -> Any:
    """Return a request's body, parsed.

    Raises:
        HTTPBadRequest, HTTPRequestEntityTooLarge, TooManyBodies: it is invalid or too large.
    """
    return parse(await BODIES.read(request))


def parse(raw: bytes) -> Any:
    """Return a request's body, parsed.

    Raises:
        HTTPBadRequest: it is not JSON, has too many values, or has values that no database can store.
    """
    if sum(raw.count(sign) for sign in (b",", b"[", b"{")) > MOST_VALUES:
        raise HTTPBadRequest(reason=f"The request's body has more than {MOST_VALUES} values")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise HTTPBadRequest(reason=f"Malformed request body: {error}") from error
    _check(body, nul=b"\\u0000" in raw)
    return body


def _check(body: Any, *, nul: bool) -> None:
    """Refuse values that no database can store.

    Arguments:
        body: the JSON.
        nul: whether it may contain U+0000, which JSON can express only by an escape.
    """
    level = [body]
    for _ in range(DEEPEST + 1):
        deeper: list[Any] = []
        for value in level:
            if type(value) is dict:
                deeper += value.values()
                if nul and any("\0" in name for name in value):
                    raise HTTPBadRequest(reason="a name has the character U+0000 in it")
            elif type(value) is list:
                deeper += value
            elif type(value) is int:
                if value not in INTEGERS:
                    raise HTTPBadRequest(reason=f"{value} is not an integer of 64 bits")
            elif nul and type(value) is str and "\0" in value:
                raise HTTPBadRequest(reason="a string has the character U+0000 in it")
        if not deeper:
            return
        level = deeper
    raise HTTPBadRequest(reason=f"The request's body is deeper than {DEEPEST} levels")
