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
"""Bytes of all bodies that a process is receiving at once."""

MOST_OF_ONE = MOST_HELD // 4
"""Bytes of those that come from one caller, or from one address where callers are not known."""

DEEPEST = 32
"""Levels of lists and objects within one another."""

MOST_VALUES = 500_000
"""Values in lists and objects, by the signs between and before them; each costs many times what its text does."""

INTEGERS = range(-(1 << 63), 1 << 63)


class Bodies:
    """The bodies that are being received.

    Arguments:
        most: bytes of all of them.
        most_of_one: bytes of those of one sender, so that nobody alone takes what there is for all.
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
            TooManyBodies: it would be too much together with others.
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
    """Return whose a request is: a user's in a project, or where nobody has to log in an address's."""
    caller: Caller | None = request.scope.get(CALLER)
    return (caller.user, caller.project) if caller is not None and caller.user else peer(request.scope)


BODIES = Bodies()
"""Those of this process, whose memory they fill."""


async def read(request: Request) -> Any:
    """Return what a request's body says.

    Raises:
        HTTPBadRequest, HTTPRequestEntityTooLarge, TooManyBodies: it is none that can be taken.
    """
    return parse(await BODIES.read(request))


def parse(raw: bytes) -> Any:
    """Return what a request's body says.

    Raises:
        HTTPBadRequest: it is no JSON, too much of it, or none that a database can hold.
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
    """Refuse what no database can hold.

    Arguments:
        body: the JSON.
        nul: whether there may be U+0000 in it, which nobody can write but by an escape.
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
