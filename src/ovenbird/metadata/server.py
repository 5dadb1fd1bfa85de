"""An HTTP/1.1 server for untrusted guests: h11 on listening sockets, with limits on connections, sizes and time.

An address may have a few connections; a request must be small and complete within `PATIENCE` seconds; a malformed
request ends its connection. One server serves one network. Its handler identifies the guest by the source address only,
never by data in the request.
"""

from __future__ import annotations

import asyncio
import http
import logging
from typing import TYPE_CHECKING, Any

import h11

from ovenbird.metadata.errors import MetadataError, UnknownInstanceError, UpstreamError
from ovenbird.metadata.provider import Request, Response
from ovenbird.sockets.listener import Limits, Listener

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterable

log = logging.getLogger(__name__)

LIMITS = Limits(connections=256, per_source=16)
"""The number of concurrent connections of a network, and of one of its addresses."""

PATIENCE = 15.0
"""Seconds to receive a request, from the connection's start or the last response, and to send a response."""

LARGEST_HEAD = 16 << 10
"""Bytes of a request's first line and headers."""

LARGEST_BODY = 64 << 10
"""Bytes of a request's body; the longest that Nova takes is an encrypted password."""


class MetadataServer:
    """The server of one network.

    Arguments:
        handle: returns the response to the request of a source address.
        name: its name in the log.
        limits: the limits on connections.
    """

    def __init__(
        self,
        handle: Callable[[str, Request], Awaitable[Response]],
        name: str = "metadata",
        limits: Limits = LIMITS,
    ) -> None:
        self._name = name
        self._handle = handle
        self._listener: Listener | None = None
        self._limits = limits
        self._talking: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def connections(self) -> int:
        """The number of connections."""
        return 0 if self._listener is None else len(self._listener)

    @property
    def refused(self) -> int:
        """The number of connections that were closed because a limit was reached."""
        return 0 if self._listener is None else self._listener.refused

    async def start(self, sockets: Iterable[socket.socket]) -> None:
        """Serve the connections to these sockets, which are bound already."""
        self._listener = Listener(self._name, self._protocol, self._limits, source=guest_of)
        self._listener.start(sockets)

    async def stop(self) -> None:
        """Close every socket; afterwards no socket keeps the network's namespace alive."""
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
            await asyncio.sleep(0)  # the tasks of the connections accepted last start
        tasks = list(self._talking)
        for task in tasks:
            self._talking[task].transport.abort()
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await asyncio.sleep(0)  # transports close their sockets in the loop's next round

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(LARGEST_HEAD), self._connected)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        peer = writer.get_extra_info("peername")
        if task is None or peer is None:  # the guest has disconnected already
            writer.close()
            return
        address = guest_of(peer)
        self._talking[task] = writer
        try:
            await self._converse(address, reader, writer)
            writer.close()
            async with asyncio.timeout(PATIENCE):
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.CancelledError) as error:
            log.debug("%s: connection ends: %r", address, error)
        finally:
            writer.transport.abort()  # drops the data that the guest has not received
            del self._talking[task]

    async def _converse(self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection, one after the other."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD)
        try:
            while True:
                async with asyncio.timeout(PATIENCE):
                    request = await _receive(connection, reader, writer)
                if request is None:
                    return
                response = await self._respond(address, request)
                await _send(connection, writer, response, bodiless=request.method == "HEAD")
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return
                connection.start_next_cycle()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await _send(connection, writer, Response(status, f"{status} {error}\n".encode()))

    async def _respond(self, address: str, request: Request) -> Response:
        if not request.target.startswith("/"):
            return _plain(400)
        try:
            return await self._handle(address, request)
        except UnknownInstanceError as error:
            log.warning("%s", error)
            return _plain(404)
        except UpstreamError as error:
            log.warning("%s", error)
            return _plain(error.status)
        except MetadataError as error:
            log.error("%s asks for %s: %s", address, request.target, error)  # noqa: TRY400 - the text is enough
            return _plain(500)
        except Exception:
            log.exception("%s asks for %s", address, request.target)
            return _plain(500)


def guest_of(peer: Any) -> str:
    """Return a guest's source address, which port security guarantees to be its own."""
    return str(peer[0]).partition("%")[0]


def _plain(status: int) -> Response:
    return Response(status, f"{status} {http.HTTPStatus(status).phrase}\n".encode())


async def _receive(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    """Return the next request; None at the end of the connection.

    Raises:
        RemoteProtocolError: it is malformed or too large.
    """
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            connection.receive_data(await reader.read(LARGEST_HEAD))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY:
                raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            method, target = head.method.decode("ascii"), head.target.decode("ascii")
            return Request(method=method, target=target, headers=tuple(head.headers), body=bytes(body))
        else:  # the connection has ended, or the guest requested an upgrade that is not granted
            return None


async def _send(
    connection: h11.Connection, writer: asyncio.StreamWriter, response: Response, *, bodiless: bool = False
) -> None:
    headers = [("content-type", response.content_type), ("content-length", str(len(response.body)))]
    parts = [connection.send(h11.Response(status_code=response.status, headers=headers))]
    if not bodiless and response.status not in (204, 304):
        parts.append(connection.send(h11.Data(data=response.body)))
    parts.append(connection.send(h11.EndOfMessage()))
    writer.write(b"".join(part for part in parts if part))
    async with asyncio.timeout(PATIENCE):
        await writer.drain()
