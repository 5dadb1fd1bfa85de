"""OpenFlow over asyncio: a session with a switch, and reconnection.

An `OpenFlowSession` is a connection after its hello. `keep_connected` reconnects with growing pauses, for example after
a restart of the switch. When nothing is received for a probe interval, an echo request is sent; after another interval
without data the session ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Self

from ovenbird.counters.coverage import counter
from ovenbird.openflow.bundle import Bundle
from ovenbird.openflow.connection import Malformed, OpenFlowConnection, Received
from ovenbird.openflow.errors import ConnectionLostError, OpenFlowError
from ovenbird.openflow.messages import (
    ATOMIC,
    ORDERED,
    BarrierRequest,
    EchoReply,
    EchoRequest,
    Error,
    FlowStatsReply,
    GroupDescReply,
    Message,
    PortDescReply,
)
from ovenbird.sockets.run_directory import socket_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from types import TracebackType

_log = logging.getLogger(__name__)
CONNECT = 10.0
"""Seconds for a switch to accept a connection and to send its hello."""
_OPENED, _SENT, _RECEIVED = counter("vconn_open"), counter("vconn_sent"), counter("vconn_received")
_STREAMS = counter("stream_open")
_CHUNK = 1 << 20  # bytes written between two waits for the socket's buffer


async def _open(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    method, _, rest = target.partition(":")
    if method == "unix":
        return await asyncio.open_unix_connection(socket_path(rest))
    if method == "tcp":
        host, _, port = rest.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))
    raise ValueError(f"{target!r} is neither unix:PATH nor tcp:HOST:PORT")


class OpenFlowSession:
    """A connection to a switch after negotiation; `connect` makes it.

    Messages that are not replies to a `request` (packet-ins, port changes, errors of messages sent with `send`) are
    passed to `on_message(xid, message)`, which is called from the event loop; an exception in it ends the session and
    is raised by `wait_closed`.

    Arguments:
        reader: the connection's input.
        writer: the connection's output.
        on_message: receives messages that are no replies.
        probe_interval: seconds without input after which an echo request is sent.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_message: Callable[[int, Message], None],
        probe_interval: float,
    ) -> None:
        self._connection = OpenFlowConnection()
        self._reader = reader
        self._writer = writer
        self._on_message = on_message
        self._probe_interval = probe_interval
        self._probing: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[list[Message]]] = {}
        self._parts: dict[int, list[Message]] = {}
        self._bundle: Bundle | None = None
        self._bundles = 0
        self._bundling = asyncio.Lock()
        self._heard = 0
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run())

    @classmethod
    async def connect(
        cls,
        target: str,
        on_message: Callable[[int, Message], None] = lambda _xid, _message: None,
        *,
        probe_interval: float = 5.0,
    ) -> Self:
        """Connect to a switch and negotiate.

        Arguments:
            target: `unix:PATH` or `tcp:HOST:PORT`.
            on_message: called with the transaction id and the value of each message that is not a reply to a request.
            probe_interval: seconds without data after which an echo request is sent; 0 for never.

        Raises:
            OSError: the connection is refused.
            NegotiationError: the switch does not support OpenFlow 1.5.
            ConnectionLostError: the connection ended during negotiation.
            DecodeError: the peer does not speak OpenFlow.
        """  # fmt: skip
        reader, writer = await _open(target)
        _STREAMS.count += 1
        session = cls(reader, writer, on_message, probe_interval)
        session._flush()
        try:
            await session._ready
        except BaseException:
            await session.close()
            raise
        _OPENED.count += 1
        return session

    async def _run(self) -> None:
        """Read until the connection ends; then raise the error in everything that waits."""
        self.set_probe(self._probe_interval)
        end: BaseException = ConnectionLostError("the session was closed")
        try:
            while data := await self._reader.read(1 << 18):
                self._heard += 1
                for event in self._connection.receive(data):
                    self._dispatch(event)
                self._flush()
                if self._connection.established and not self._ready.done():
                    self._ready.set_result(None)
            end = ConnectionLostError("the switch closed the connection")
        except asyncio.CancelledError:
            raise
        except OSError as error:
            end = ConnectionLostError(f"the connection broke: {error}")
        except Exception as error:  # noqa: BLE001 - raised again below, after the waiting requests have failed
            end = error
        finally:
            self.set_probe(0)
            self._writer.close()
            self._fail(end)
        raise end

    def _fail(self, end: BaseException) -> None:
        lost = end if isinstance(end, OpenFlowError) else ConnectionLostError(f"the session ended: {end}")
        answers, self._answers = self._answers, {}
        if not self._ready.done():
            self._ready.set_exception(lost)
        for future in answers.values():
            if not future.done():
                future.set_exception(lost)
                future.exception()  # marks it as retrieved: a waiting caller gets it, and `wait_closed` raises it

    def set_probe(self, interval: float) -> None:
        """Change the probe interval, in seconds; 0 sends no echo requests."""
        if self._probing is not None:
            self._probing.cancel()
        self._probe_interval = interval
        self._probing = asyncio.create_task(self._probe()) if interval else None

    async def _probe(self) -> None:
        while True:
            heard = self._heard
            await asyncio.sleep(self._probe_interval)
            if self._heard != heard:
                continue
            self.send(EchoRequest())
            await asyncio.sleep(self._probe_interval)
            if self._heard == heard:
                _log.warning("no answer for %.1f s: closing the connection", 2 * self._probe_interval)
                self._writer.transport.abort()
                return

    def _flush(self) -> None:
        if (data := self._connection.data_to_send()) and not self._writer.is_closing():
            self._writer.write(data)

    def _dispatch(self, event: Received | Malformed) -> None:
        if isinstance(event, Malformed):
            _log.warning("malformed message: %s", event.error)
            if future := self._take(event.xid):
                future.set_exception(event.error)
            return
        _RECEIVED.count += 1
        xid, message = event.xid, event.message
        if isinstance(message, Error):
            if future := self._take(xid):
                future.set_exception(message.exception(xid))
            elif self._bundle is not None and self._bundle.concerns(xid):
                self._bundle.errors[xid] = message
            else:
                self._on_message(xid, message)
        elif xid in self._answers:
            self._parts.setdefault(xid, []).append(message)
            more = isinstance(message, FlowStatsReply | PortDescReply | GroupDescReply) and message.more
            if not more:
                parts = self._parts[xid]
                if future := self._take(xid):
                    future.set_result(parts)
        elif not isinstance(message, EchoReply):
            self._on_message(xid, message)

    def _take(self, xid: int) -> asyncio.Future[list[Message]] | None:
        self._parts.pop(xid, None)
        future = self._answers.pop(xid, None)
        return None if future is None or future.done() else future

    def send(self, message: Message) -> int:
        """Send a message without waiting.

        Returns its transaction id; an error message of the switch reaches `on_message` with this id.
        """
        _SENT.count += 1
        xid = self._connection.send(message)
        self._flush()
        return xid

    async def request(self, message: Message, xid: int | None = None) -> list[Message]:
        """Send a request and return its replies: several parts for a long statistics reply, otherwise one.

        Raises:
            SwitchError: the switch refuses the request.
            ConnectionLostError: the connection ends before the reply.
        """
        if self._task.done():
            raise ConnectionLostError("the session is closed")
        future: asyncio.Future[list[Message]] = asyncio.get_running_loop().create_future()
        if xid is None:
            xid = self._connection.next_xid()
        _SENT.count += 1
        self._connection.send(message, xid)
        self._answers[xid] = future
        self._flush()
        try:
            return await future
        finally:
            self._take(xid)

    async def accepts(self, message: Message) -> bool:
        """Send a message that has no reply, and return whether the switch does not refuse it.

        Raises:
            ConnectionLostError: the connection ends before that is known.
        """
        future: asyncio.Future[list[Message]] = asyncio.get_running_loop().create_future()
        xid = self._connection.next_xid()
        self._answers[xid] = future
        self._connection.send(message, xid)
        try:
            await self.barrier()
        finally:
            self._take(xid)
        return not (future.done() and future.exception())

    async def barrier(self) -> None:
        """Wait until the switch has processed all messages sent before."""
        await self.request(BarrierRequest())

    async def write(self, frames: Iterable[bytes]) -> None:
        """Send encoded messages, no faster than the switch reads them.

        Raises:
            ConnectionLostError: the connection broke, or was closed.
        """
        waiting: list[bytes] = []
        size = 0
        try:
            for frame in frames:
                waiting.append(frame)
                _SENT.count += 1
                size += len(frame)
                if size >= _CHUNK:
                    self._writer.write(b"".join(waiting))
                    waiting, size = [], 0
                    await self._writer.drain()
            self._writer.write(b"".join(waiting))
            await self._writer.drain()
        except OSError as error:
            raise ConnectionLostError(f"the connection broke: {error}") from None

    async def open_bundle(self, flags: int = ATOMIC | ORDERED) -> Bundle:
        """Return a new bundle, after any other bundle of this session has ended.

        Raises `SwitchError`, `ConnectionLostError`.
        """
        await self._bundling.acquire()
        self._bundles += 1
        bundle = self._bundle = Bundle(self, number=self._bundles, xid=self._connection.next_xid(), flags=flags)
        try:
            await bundle.open()
        except BaseException:
            self.end_bundle()
            raise
        return bundle

    def end_bundle(self) -> None:
        """Permit another bundle to be opened."""
        self._bundle = None
        self._bundling.release()

    async def bundle(self, messages: Iterable[Message], flags: int = ATOMIC | ORDERED) -> None:
        """Make all these changes in the switch atomically.

        Raises the same exceptions as `Bundle.commit`.
        """
        bundle = await self.open_bundle(flags)
        await bundle.add([*messages])
        await bundle.commit()

    async def wait_closed(self) -> None:
        """Wait for the session's end; raise its cause: `ConnectionLostError`, or the exception of `on_message`.

        Returns normally after `close`.
        """
        try:
            await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if not self._task.cancelled():
                raise

    async def close(self) -> None:
        """Close the connection; requests still waiting raise `ConnectionLostError`."""
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # marks it as retrieved; `wait_closed` raises it
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def keep_connected(
    target: str,
    serve: Callable[[OpenFlowSession], Awaitable[None]],
    on_message: Callable[[int, Message], None] = lambda _xid, _message: None,
    *,
    probe_interval: float = 5.0,
    max_backoff: float = 8.0,
) -> None:
    """Connect to a switch and run `serve`; when the connection is lost cancel `serve` and connect again.

    The pause between attempts doubles from 0.1 seconds. Ends when `serve` returns or raises anything other than an
    `OpenFlowError`.

    Arguments:
        target: `unix:PATH` or `tcp:HOST:PORT`.
        serve: called with each session.
        on_message: called with the transaction id and the value of each message that is not a reply to a request.
        probe_interval: seconds without data after which an echo request is sent; 0 for never.
        max_backoff: the longest pause between two attempts, in seconds.
    """
    pause, failure = 0.1, ""
    while True:
        try:
            async with asyncio.timeout(CONNECT):
                session = await OpenFlowSession.connect(target, on_message, probe_interval=probe_interval)
        except (OSError, OpenFlowError) as error:
            reason = str(error) or f"no connection after {CONNECT:g} s"
            if reason != failure:
                failure = reason
                _log.warning("%s: connection attempt failed (%s); trying again in the background", target, reason)
            await asyncio.sleep(pause)
            pause = min(pause * 2, max_backoff)
            continue
        pause, failure = 0.1, ""
        _log.info("%s: connected", target)
        try:
            if await _serve_until_lost(session, serve):
                return
        except OpenFlowError as error:
            _log.warning("%s: %s; connecting again in %.1f s", target, error, pause)
        finally:
            await session.close()
        await asyncio.sleep(pause)


async def _serve_until_lost(session: OpenFlowSession, serve: Callable[[OpenFlowSession], Awaitable[None]]) -> bool:
    """Return true when `serve` has returned; raise the exception that ended it or the session."""

    async def run() -> None:
        await serve(session)

    serving, closed = asyncio.create_task(run()), asyncio.create_task(session.wait_closed())
    try:
        done, _ = await asyncio.wait({serving, closed}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (serving, closed):
            task.cancel()
        await asyncio.wait({serving, closed})
    for task in (closed, serving):
        if not task.cancelled() and (error := task.exception()):
            raise error
    return serving in done
