"""What every request passes first: it gets an id, and its address loses a slash at the end.

Neutron's answers carry `x-openstack-request-id` (oslo.middleware, `RequestId`), which clients show and operators look
for in logs; a slash at the end of an address means nothing there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "ovenbird.request_id"
"""Where a request's scope has its id."""


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

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"x-openstack-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        await self.application(scope, receive, answer)
