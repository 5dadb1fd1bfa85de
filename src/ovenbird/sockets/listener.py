"""A listener with limits on connections, which reserves file descriptors for more important listeners.

asyncio's own servers accept every connection, and when no descriptor is left they log a traceback for each place in the
backlog, repeatedly. Here a connection beyond a limit is closed at once, so that its client notices and other clients do
not wait behind it. A listener with a larger reserve stops accepting before one with a smaller reserve.

A new descriptor has the lowest free number (accept(2), open(2)), from which follows how many are left.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import socket
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.dataclass import dataclass

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

BACKLOG = 512
"""Connections that the kernel keeps until they are accepted."""

AT_ONCE = 32
"""Connections that are accepted before the event loop runs other callbacks."""

PAUSE = 1.0
"""Seconds for which nothing is accepted after the system had no descriptor or memory for a connection."""

HANDSHAKE = 10.0
"""Seconds for a TLS handshake."""

_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits on the connections of a listener.

    Arguments:
        connections: concurrent connections of all peers.
        per_source: concurrent connections of one source, as `source_of` defines it.
        reserve: descriptors of the process that the listener leaves to others; at most a quarter of all.
    """

    connections: int
    per_source: int
    reserve: int = 64


def source_of(address: Any) -> str:
    """Return the source that a peer's address belongs to: the IPv4 or link-local address itself, or the IPv6 /64.

    Arguments:
        address: as accept(2) returns it; all peers of a unix socket have the source "", which has no limit of its own.
    """
    if not isinstance(address, tuple):
        return ""
    host = str(address[0]).partition("%")[0]
    if ":" not in host or host.startswith("fe80:"):
        return host
    packed = socket.inet_pton(socket.AF_INET6, host)
    if packed.startswith(bytes(10) + b"\xff\xff"):  # an IPv4 peer of an IPv6 socket
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return packed[:8].hex()


class Listener:
    """Accepts connections at some sockets and gives each a protocol.

    Arguments:
        name: its name in the log.
        factory: makes the protocol of a connection.
        limits: the limits on connections.
        context: for TLS, the context or a function that returns it for each connection and may raise `OSError`.
        source: returns the source of a peer's address.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[], asyncio.BaseProtocol],
        limits: Limits,
        context: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None,
        source: Callable[[Any], str] = source_of,
    ) -> None:
        self._source_of = source
        self.name = name
        self.limits = limits
        self.sockets: list[socket.socket] = []
        self.refused = 0
        """The number of connections that were closed because a limit was reached."""
        self._factory = factory
        self._context = context
        self._loop: asyncio.AbstractEventLoop
        self._open: set[_Accepted] = set()
        self._of: Counter[str] = Counter()
        self._starting: set[asyncio.Task[None]] = set()
        self._paused: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._open)

    def start(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on these bound sockets until `close`; requires a running event loop."""
        self._loop = asyncio.get_running_loop()
        for listening in sockets:
            listening.setblocking(False)
            listening.listen(BACKLOG)
            self.sockets.append(listening)
            self._loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Stop accepting. Existing connections stay open."""
        if self._paused is not None:
            self._paused.cancel()
        for listening in self.sockets:
            self._loop.remove_reader(listening)
            listening.close()
        self.sockets = []

    async def wait_closed(self) -> None:
        """Wait for the connections that were being set up when `close` was called."""
        if self._starting:
            await asyncio.wait(self._starting)

    # -- accepting ----------------------------------------------------------------------------------------------------

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                plain, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause(error)
                return
            source = self._source_of(address)
            why = self._objection(plain.fileno(), source)
            if why:
                plain.close()
                self.refused += 1
                log.warning("%s: connection of %s refused: %s", self.name, source or "a unix socket", why)
                continue
            accepted = _Accepted(self, source, plain)
            accepted.setblocking(False)
            self._open.add(accepted)
            self._of[source] += 1
            task = self._loop.create_task(self._begin(accepted))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    def _objection(self, descriptor: int, source: str) -> str:
        """Return why another connection cannot be accepted; empty if it can."""
        limits = self.limits
        if len(self._open) >= limits.connections:
            return f"there are {len(self._open)} connections"
        if source and self._of[source] >= limits.per_source:
            return f"it has {self._of[source]} connections"
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if most != resource.RLIM_INFINITY and descriptor >= most - min(limits.reserve, most // 4):
            return f"few of {most} descriptors are left"
        return ""

    def _pause(self, error: OSError) -> None:
        """Stop accepting for `PAUSE` seconds, since accepting would fail again at once."""
        log.warning("%s: accepts no connections for %g s: %s", self.name, PAUSE, error.strerror)
        for listening in self.sockets:
            self._loop.remove_reader(listening)
        self._paused = self._loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        self._paused = None
        for listening in self.sockets:
            self._loop.add_reader(listening, self._accept, listening)

    async def _begin(self, accepted: _Accepted) -> None:
        """Give a connection its protocol, after the TLS handshake if there is one."""
        limit = None if self._context is None else HANDSHAKE
        try:
            context = self._context() if callable(self._context) else self._context
            await self._loop.connect_accepted_socket(self._factory, accepted, ssl=context, ssl_handshake_timeout=limit)
        except (OSError, TimeoutError) as error:
            level = logging.INFO if self._context is None else logging.WARNING  # wrong keys need an operator
            why = str(error) or "the peer ends it during the handshake"
            log.log(level, "%s: connection of %s ends: %s", self.name, accepted.source or "a unix socket", why)
            accepted.close()
        except BaseException:
            accepted.close()
            raise

    def left(self, accepted: _Accepted) -> None:
        """Remove a closed connection from the counts."""
        if accepted in self._open:
            self._open.discard(accepted)
            self._of[accepted.source] -= 1
            if not self._of[accepted.source]:
                del self._of[accepted.source]


class _Accepted(socket.socket):
    """A connection's socket, which notifies its listener when it is closed.

    Arguments:
        listener: the listener that accepted it.
        source: the source of the peer's address.
        plain: the socket as it was accepted; it is detached.
    """

    def __init__(self, listener: Listener, source: str, plain: socket.socket) -> None:
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        self.source = source
        self._listener = listener

    def close(self) -> None:
        """Close the socket."""
        super().close()
        self._listener.left(self)


def unix_socket(path: str) -> socket.socket:
    """Return a socket bound to a path; a socket that is left there is replaced.

    Raises:
        OSError: the socket cannot be bound, for example since another kind of file is there.
    """
    with contextlib.suppress(FileNotFoundError):
        if Path(path).is_socket():
            Path(path).unlink()
    with contextlib.ExitStack() as undo:
        one = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        one.bind(path)
        undo.pop_all()
    return one


async def bound(host: str, port: int, *, dual: bool = False) -> list[socket.socket]:
    """Return sockets bound to every address of a host.

    Arguments:
        host: a name or an address; empty for every address of this machine.
        port: TCP port; 0 for a free one.
        dual: whether an IPv6 socket accepts IPv4 too, as for `::`.

    Raises:
        OSError: an address cannot be bound.
    """
    loop = asyncio.get_running_loop()
    flags = socket.AI_PASSIVE
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=flags)
    with contextlib.ExitStack() as undo:
        sockets = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = undo.enter_context(socket.socket(family, kind, protocol))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
            one.bind(address)
            sockets.append(one)
        undo.pop_all()
    return sockets
