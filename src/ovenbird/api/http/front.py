"""Middleware for all requests: the request id, trailing slashes, and the request log.

Neutron's answers carry `x-openstack-request-id` (oslo.middleware, `RequestId`), which clients show and operators search
for in logs. A trailing slash in a path is ignored, as by Neutron.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

from ovenbird.api.http.request_log import REQUEST_ID, RequestLog

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Front:
    """An ASGI application that wraps another.

    Arguments:
        application: which answers the requests.
    """

    def __init__(self, application: ASGIApp) -> None:
        self.application = application
        self._log = RequestLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its response back (the ASGI specification, "Applications").

        Arguments:
            scope: the connection and the request's head; it gets the request's id.
            receive: returns the next part of the request's body.
            send: takes the parts of the response.
        """
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
            self._log.report(scope, status=status, length=length, seconds=time.perf_counter() - begun)
