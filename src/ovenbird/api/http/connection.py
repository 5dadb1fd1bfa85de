"""A protocol for HTTP connections with limits on memory and time.

uvicorn's protocol answers requests but has no limits of its own. Here a request must be complete within deadlines, the
client must read its answers, and only a few pipelined requests may wait (RFC 9112, section 9.3.2), during which nothing
more is read. Beyond a limit the connection is closed, after the answers to the accepted requests.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ovenbird.dataclass import dataclass

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of a connection.

    Arguments:
        head: bytes of a request's first line and headers, and of a chunked body's trailers.
        body: bytes of a request's body on the wire; a chunked body is longer than its content.
        pipelined: requests that may wait behind the present one.
        head_seconds: from the connection's start, or a request's first byte, until its head is complete.
        body_seconds: from then until its body is.
        slow_seconds: for which a peer may send a body more slowly than the minimum rate.
        stalled_seconds: for which a peer may receive a response more slowly than the minimum rate.
        idle_seconds: from a response to the next request.
        unsent: bytes of unsent responses of all connections; beyond it, the one that has stalled longest is closed.
    """

    head: int = 64 << 10
    body: int = 16 << 20
    pipelined: int = 16
    head_seconds: float = 15.0
    body_seconds: float = 60.0
    slow_seconds: float = 10.0
    stalled_seconds: float = 30.0
    idle_seconds: float = 75.0
    unsent: int = 256 << 20


LEAST_RATE = 1024
"""The minimum rate of sending and receiving, in bytes a second."""


class _Reading(Enum):
    """The part of a request that is being read."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class _TooMuchError(Exception):
    """The request exceeds a limit; no more is read from this connection."""


class _Flow(FlowControl):
    """Flow control that does not resume reading while a connection is held.

    Arguments:
        transport: the connection's.
        connection: which.
    """

    def __init__(self, transport: asyncio.Transport, connection: HttpConnection) -> None:
        super().__init__(transport)
        self._connection = connection

    def resume_reading(self) -> None:
        """Resume reading, unless the connection is held."""
        if not self._connection.held:
            super().resume_reading()


class Connections:
    """The connections of one server, and their limits.

    Arguments:
        bounds: which.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.clogged: dict[HttpConnection, None] = {}
        """The connections with unsent responses, the one that has stalled longest first."""

    def check(self, connections: set[Any], now: float) -> None:
        """Close the connections that have exceeded their deadlines; to be called about once a second.

        Arguments:
            connections: all of them.
            now: the loop's time.
        """
        for connection in tuple(connections):
            connection.check(now)

    def relieve(self) -> None:
        """Close the connections that have stalled longest, until the total of unsent bytes is within the limit."""
        waiting = {connection: connection.unsent for connection in self.clogged}
        total = sum(waiting.values())
        for connection, unsent in waiting.items():
            if total <= self.bounds.unsent:
                return
            connection.transport.abort()
            total -= unsent


class HttpConnection(HttpToolsProtocol):
    """One connection.

    Arguments:
        connections: all of them.
        config: uvicorn's.
        server_state: uvicorn's.
    """

    def __init__(self, connections: Connections, config: Config, server_state: ServerState) -> None:
        super().__init__(config, server_state, {})
        self._all = connections
        self._bounds = connections.bounds
        self._reading = _Reading.HEAD
        self._since = self.loop.time()
        self._size = self._head = 0
        self._ended = False
        self._clogged_since = 0.0
        self._clogged_with = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the connection (called by asyncio)."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self)

    @property
    def held(self) -> bool:
        """Whether reading is paused: enough requests wait, or no more are accepted."""
        return bool(self.pipeline) or self._ended

    # -- reading ------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Process received bytes (called by asyncio)."""
        if self._ended:
            return
        self._unset_keepalive_if_required()
        if self._reading is _Reading.NOTHING:
            self._begin(_Reading.HEAD)
        self._size += len(data)
        if self._size > (self._bounds.body if self._reading is _Reading.BODY else self._bounds.head + len(data)):
            self._end("400 Bad Request")
            return
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade:
            self._end("400 Bad Request")
        except HttpParserError as error:
            if isinstance(error.__context__, _TooMuchError):
                self._end(str(error.__context__))
            else:
                self._end("400 Bad Request")

    def on_message_begin(self) -> None:
        """Start a request (called by the parser)."""
        super().on_message_begin()
        self._begin(_Reading.HEAD)

    def on_url(self, url: bytes) -> None:
        """Process a part of the URL (called by the parser)."""
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Process a header or trailer (called by the parser)."""
        self._measure(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start handling the request, or queue it (called by the parser).

        Raises:
            _TooMuchError: the request is refused, and no more of it is parsed.
        """
        self._begin(_Reading.BODY)
        super().on_headers_complete()
        if len(self.pipeline) > self._bounds.pipelined:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0]
            raise _TooMuchError("")

    def on_message_complete(self) -> None:
        """Finish a request (called by the parser)."""
        super().on_message_complete()
        self._reading = _Reading.NOTHING

    def _begin(self, reading: _Reading) -> None:
        self._reading, self._since, self._size, self._head = reading, self.loop.time(), 0, 0
        self._slow_since, self._slow_at = self._since, 0

    def _measure(self, size: int) -> None:
        self._head += size
        if self._head > self._bounds.head:
            raise _TooMuchError("431 Request Header Fields Too Large")

    def _end(self, status: str) -> None:
        """Stop reading; close after the responses to accepted requests, or after this response if there are none.

        Arguments:
            status: of the response; empty if the peer should try again.
        """
        self._ended = True
        self._reading = _Reading.NOTHING
        self.flow.pause_reading()
        waiting = self.cycle is not None and not self.cycle.response_complete
        if waiting and not self.cycle.more_body:
            self.cycle.keep_alive = False
        elif waiting:  # its body will never be complete
            self.transport.abort()
        else:
            line = f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" if status else ""
            self.transport.write(line.encode("ascii"))
            self.transport.close()

    # -- answering ----------------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """Continue with the next request (called when a response is complete)."""
        waited = bool(self.pipeline)
        super().on_response_complete()
        if waited and not self.pipeline:
            self._since = self.loop.time()
            self.flow.resume_reading()

    @property
    def unsent(self) -> int:
        """Bytes of responses that the peer has not received."""
        return self.transport.get_write_buffer_size()

    def pause_writing(self) -> None:
        """Note that the send buffer is full (called by asyncio)."""
        super().pause_writing()
        self._clogged_since, self._clogged_with = self.loop.time(), self.unsent
        self._all.clogged[self] = None
        self._all.relieve()

    def resume_writing(self) -> None:
        """Note that the send buffer has space again (called by asyncio)."""
        super().resume_writing()
        self._all.clogged.pop(self, None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection (called by asyncio)."""
        self._all.clogged.pop(self, None)
        super().connection_lost(exc)

    # -- deadlines ----------------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Close the connection if it has exceeded a deadline."""
        unsent = self.unsent
        if unsent:
            self._check_taking(unsent, now)
            return
        self._clogged_with = 0
        if self._reading is _Reading.NOTHING or self.pipeline:
            return
        if self._reading is _Reading.BODY:
            if now - self._since > self._bounds.body_seconds or self._sends_slowly(now):
                self.transport.abort()
        elif now - self._since > self._bounds.head_seconds:
            self._end("408 Request Timeout")

    def _sends_slowly(self, now: float) -> bool:
        """Return whether the peer has sent a body below the minimum rate for too long, though it is being read."""
        if self.flow.read_paused or self._size - self._slow_at >= LEAST_RATE * (now - self._slow_since):
            self._slow_since, self._slow_at = now, self._size
        return now - self._slow_since > self._bounds.slow_seconds

    def _check_taking(self, unsent: int, now: float) -> None:
        """Close the connection if the peer has received responses below the minimum rate for too long."""
        if not self._clogged_with or self._clogged_with - unsent >= LEAST_RATE * (now - self._clogged_since):
            self._clogged_since, self._clogged_with = now, unsent
        elif now - self._clogged_since > self._bounds.stalled_seconds:
            self.transport.abort()
