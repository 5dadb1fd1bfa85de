"""What every request passes first: it gets an id, its address loses a slash at the end, and its answer is logged.

Neutron's answers carry `x-openstack-request-id` (oslo.middleware, `RequestId`), which clients show and operators look
for in logs; a slash at the end of an address means nothing there. The line of each request has what Neutron's has: the
id, the user and the project, who asked for what, the status, the bytes and the seconds of the answer.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ovenbird.api.access.auth import Caller

REQUEST_ID = "ovenbird.request_id"
"""Where a request's scope has its id."""
CALLER = "ovenbird.caller"
"""Where it has whoever sent it, once that is known."""

requests = logging.getLogger("ovenbird.api.request")
"""Has a line for each request, as many as there are."""
LONGEST = 2048
"""Characters of an address that a line has at most."""


class Front:
    """An ASGI application before another.

    Arguments:
        application: which answers the requests.
    """

    def __init__(self, application: ASGIApp) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        scope[REQUEST_ID] = request_id = f"req-{uuid4()}"
        path: str = scope["path"]
        if path.endswith("/") and scope.get("raw_path", b"/").endswith(b"/"):  # not the %2F that a tag may end with
            scope["path"] = path.rstrip("/") or "/"
        begun, status, length = time.perf_counter(), 0, 0

        async def answer(message: Message) -> None:
            nonlocal status, length
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-openstack-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            else:
                length += len(message.get("body", b""))
            await send(message)

        try:
            await self.application(scope, receive, answer)
        finally:
            if requests.isEnabledFor(logging.INFO):
                _report(scope, status, length, time.perf_counter() - begun)


def _report(scope: Scope, status: int, length: int, seconds: float) -> None:
    """Log a request and its answer; the status is 0 where whoever asked went before it."""
    caller: Caller | None = scope.get(CALLER)
    who = f" {caller.user or '-'} {caller.project or '-'}" if caller is not None else " - -"
    query = scope.get("query_string", b"").decode("latin-1")
    address = scope.get("raw_path", b"").decode("latin-1") + (f"?{query}" if query else "")
    line = f'"{scope["method"]} {address[:LONGEST]} HTTP/{scope["http_version"]}"'
    requests.info("%s%s %s %s status: %d len: %d time: %.6f",
                  scope[REQUEST_ID], who, peer(scope), line, status, length, seconds)  # fmt: skip


def peer(scope: Scope) -> str:
    """Return the address that a request came from."""
    client = scope.get("client")
    return client[0] if client else "-"
