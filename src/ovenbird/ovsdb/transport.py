"""Connections: remotes as ovsdb(7) writes them, and the asyncio protocol of servers and replicas.

`punix:FILE ptcp:PORT[:HOST] pssl:PORT[:HOST]` listen; `unix:FILE tcp:HOST:PORT ssl:HOST:PORT` connect. A host may be
an IPv6 address in brackets. Besides `server` and `replica`, only this module uses sockets.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from ovenbird.counters.coverage import counter
from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.ovsdb.errors import ProtocolError
from ovenbird.ovsdb.jsonrpc import Framer
from ovenbird.sockets.listener import HANDSHAKE, Limits, Listener, bound, unix_socket
from ovenbird.sockets.run_directory import socket_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.ovsdb.peer_limits import PeerLimits
    from ovenbird.ovsdb.tls_keys import TlsKeys

_log = logging.getLogger(__name__)

LIMITS = Limits(connections=16_384, per_source=4_096, reserve=64)
"""Maximum connections at one passive remote: every hypervisor of a large cloud, even behind one address."""
DEFAULT_PORT = 6640  # RFC 7047, section 6.1
CONNECT = 10.0
"""Seconds to connect, including name resolution and the TLS handshake."""
HIGH_WATER = 4 * 1024 * 1024
"""Unread bytes from which a peer's connection counts as clogged."""

_CONNECTED, _LISTENED = counter("stream_open"), counter("pstream_open")
_SENT, _RECEIVED = counter("jsonrpc_sent"), counter("jsonrpc_received")

_NO_KEYS = "TLS needs a private key, a certificate and a CA certificate"
_ANY = "0.0.0.0"  # noqa: S104 - ovsdb(7): without a host, all of them
_PASSIVE = re.compile(r"p(tcp|ssl):(\d*)(?::(.+))?\Z")
_ACTIVE = re.compile(r"(tcp|ssl):(\[[^\]]+\]|[^:]+)(?::(\d+))?\Z")


@dataclass(frozen=True, slots=True)
class Remote:
    """One end of connections: `kind` is unix, tcp or ssl; `address` a path or a host."""

    kind: str
    _: KW_ONLY
    address: str
    port: int = 0
    passive: bool = False

    @classmethod
    def parse(cls, text: str) -> Remote:
        """Parse a remote.

        Raises:
            ValueError: it is none.
        """
        if text.startswith(("unix:", "punix:")) and text.partition(":")[2]:
            return cls("unix", address=text.partition(":")[2], port=0, passive=text.startswith("p"))
        if found := _PASSIVE.match(text):
            return cls(found[1], address=_host(found[3] or _ANY), port=_port(found[2]), passive=True)
        if found := _ACTIVE.match(text):
            return cls(found[1], address=_host(found[2]), port=_port(found[3]))
        raise ValueError(f"{text!r} is not a remote, such as unix:FILE, tcp:HOST:PORT, punix:FILE or ptcp:PORT")

    @property
    def path(self) -> str:
        """Where a unix socket is; a relative path begins in Open vSwitch's run directory."""
        return socket_path(self.address)

    @property
    def probed(self) -> bool:
        """Whether the original probes idle connections of this kind."""
        return self.kind != "unix"

    def __str__(self) -> str:
        kind = f"p{self.kind}" if self.passive else self.kind
        if self.kind == "unix":
            return f"{kind}:{self.address}"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{kind}:{self.port}:{host}" if self.passive else f"{kind}:{host}:{self.port}"


def _port(digits: str | None) -> int:
    port = int(digits or DEFAULT_PORT)
    if port > 0xFFFF:  # getaddrinfo(3) would take another one for it
        raise ValueError(f"{digits} is not a port: ports are numbers from 1 to 65535")
    return port


def _host(text: str) -> str:
    host = text.strip("[]")
    try:
        host.encode("idna")  # as getaddrinfo(3) is asked for it
    except UnicodeError:
        raise ValueError(f"{text} is not a host name") from None
    return host


def parse_remotes(text: str) -> list[Remote]:
    """Parse remotes separated by commas.

    Raises:
        ValueError: one of them is none.
    """
    return [Remote.parse(part.strip()) for part in text.split(",") if part.strip()]


def lacks_remote(text: str) -> str:
    """Return why a text, such as a setting in a database, is not a remote to connect to; empty if it is one."""
    try:
        remotes = parse_remotes(text)
    except ValueError as error:
        return str(error)
    passive = next((remote for remote in remotes if remote.passive), None)
    if passive is not None:
        return f"{passive} listens for connections; one to connect to is needed"
    return "" if remotes else "no remote"


class Connection(asyncio.Protocol):
    """A JSON-RPC connection: frames what comes in, counts what is unread, probes when idle.

    Subclasses or owners set `on_message`, `on_lost`, and where they care `on_made`, `on_clogged`, `on_unclogged`. One
    whose TLS handshake fails is neither made nor lost.

    Arguments:
        probe: seconds of silence after which the peer is asked for an echo, and dropped after as many more; 0 never.
        limits: what the connection shares with others of a server.
    """

    def __init__(self, probe: float = 0, limits: PeerLimits | None = None) -> None:
        self._limits = limits
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._probe = probe
        self._timer: asyncio.TimerHandle | None = None
        self._heard = True
        self._backlog: deque[dict[str, Any]] = deque()
        self._stopped = False
        self._held = False
        self.clogged = False
        self.on_made: Callable[[], None] = lambda: None
        self.on_message: Callable[[dict[str, Any]], None] = lambda _message: None
        self.on_lost: Callable[[Exception | None], None] = lambda _error: None
        self.on_clogged: Callable[[], None] = lambda: None
        self.on_unclogged: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (called by asyncio)."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self.set_probe(self._probe)
        self.on_made()

    def set_probe(self, probe: float) -> None:
        """Probe the peer after so many seconds of silence from now on; 0 never."""
        self._probe = probe
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(probe, self._tick) if probe else None

    def _tick(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not self._heard and not self._stopped:
            _log.error("%s: no response to inactivity probe after %g seconds, disconnecting", self.peer, self._probe)
            self._transport.abort()
            return
        if not self.clogged:
            self.send(b'{"id":"echo","method":"echo","params":[]}')
        self._heard = False
        self._timer = asyncio.get_running_loop().call_later(self._probe, self._tick)

    @property
    def peer(self) -> str:
        """Who is at the other end, for logs."""
        if self._transport is None:
            return "closed connection"
        return str(self._transport.get_extra_info("peername") or "unix socket")

    @property
    def identity(self) -> str:
        """The first common name in the peer's certificate; empty if it showed none that was verified."""
        certificate: Any = None if self._transport is None else self._transport.get_extra_info("peercert")
        names = [value for part in (certificate or {}).get("subject", ()) for key, value in part if key == "commonName"]
        return names[0] if names else ""

    @property
    def unsent(self) -> int:
        """How many bytes are queued for the peer."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, data: bytes) -> None:
        """Queue bytes for the peer."""
        if self._transport is not None:
            _SENT.count += 1
            self._transport.write(data)

    def close(self) -> None:
        """Close after what is queued has been sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes (called by asyncio)."""
        self._heard = True
        try:
            messages = self._framer.feed(data)
        except ProtocolError as error:
            self._fail(error)
            return
        _RECEIVED.count += len(messages)
        if self._limits is not None:
            self._limits.received(self, self._framer.pending)
        if self._held:
            self._keep(messages)
            return
        was_empty = not self._backlog
        self._backlog += messages
        if was_empty:
            self._drain()

    def _keep(self, messages: list[dict[str, Any]]) -> None:
        """Keep messages for later, but for echoes: an answer that waits would look like the end."""
        for message in messages:
            if message.get("method") == "echo":
                self.on_message(message)
            else:
                self._backlog.append(message)

    def _drain(self, limit: int = sys.maxsize) -> None:
        """Handle messages until none is left, the peer stops reading, or they are to be held."""
        backlog = self._backlog
        try:
            while (
                backlog and limit > 0 and not (self.clogged or self._held or self._transport is None or self._waits())
            ):
                limit -= 1
                self.on_message(backlog.popleft())
        except ProtocolError as error:
            backlog.clear()
            self._fail(error)
        except Exception:  # noqa: BLE001 - a listener may raise anything, and no caller would close the connection
            _log.exception("%s: a message cannot be handled", self.peer)
            self.abort()

    def _waits(self) -> bool:
        """Return whether others have left too much unread, and if so wait until they have not."""
        if self._limits is None or not self._limits.full:
            return False
        self._stop()
        self._limits.wait(self)
        return True

    def hold(self) -> None:
        """Go on receiving, so that the peer can go on too, but keep messages until `release`."""
        self._held = True

    def release(self) -> None:
        """Handle what was held, one message at a time between other things, and from now on what comes."""
        self._held = False
        self._drain(1)
        if self._backlog and not self.clogged:
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if not self._held:
            self.release()

    def _fail(self, error: ProtocolError) -> None:
        _log.warning("%s: %s", self.peer, error)
        self.close()

    def pause_writing(self) -> None:
        """Learn that the peer does not read (called by asyncio)."""
        self.clogged = True
        self._stop()
        self.on_clogged()
        if self._limits is not None:
            self._limits.clogged(self)

    def resume_writing(self) -> None:
        """Learn that the peer reads again (called by asyncio)."""
        self.clogged = False
        self.on_unclogged()
        if self._limits is not None:
            self._limits.unclogged(self)
        self.go_on()

    def go_on(self) -> None:
        """Handle what came before the connection stopped, and read again, unless there is a reason to stop anew."""
        if not self.clogged:
            self._drain()
        if self.clogged or (self._limits is not None and self._limits.full and self._backlog):
            return
        if self._stopped and self._transport is not None and not self._transport.is_closing():
            self._stopped = False
            self._heard = True
            self._transport.resume_reading()

    def _stop(self) -> None:
        if not self._stopped and self._transport is not None and not self._transport.is_closing():
            self._stopped = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End (called by asyncio)."""
        self._transport = None
        self._backlog.clear()
        self._framer = Framer()  # what had come of a message may be much, and connections end in cycles of references
        if self._timer is not None:
            self._timer.cancel()
        if self._limits is not None:
            self._limits.gone(self)
        self.on_lost(exc)


async def listen(remote: Remote, factory: Callable[[], Connection], keys: TlsKeys | None = None) -> Listener:
    """Accept connections at a passive remote.

    Arguments:
        remote: `ptcp:`, `pssl:` or `punix:`.
        factory: makes what serves one connection.
        keys: for `pssl:`.

    Raises:
        OSError: the address is not to be had.
        ValueError: TLS is asked for without keys.
    """
    if remote.kind == "ssl" and keys is None:
        raise ValueError(_NO_KEYS)
    if remote.kind == "unix":
        sockets = [unix_socket(remote.path)]
    else:
        sockets = await bound(
            remote.address, remote.port, dual=remote.address == "::"
        )  # as the originals' libraries do
    listener = Listener(str(remote), factory, LIMITS, None if keys is None or remote.kind != "ssl" else keys.server)
    listener.start(sockets)
    _LISTENED.count += 1
    return listener


async def connect(remote: Remote, factory: Callable[[], Connection], keys: TlsKeys | None = None) -> Connection:
    """Connect to an active remote.

    Arguments:
        remote: `tcp:`, `ssl:` or `unix:`.
        factory: makes what serves the connection.
        keys: for `ssl:`.

    Raises:
        OSError: the peer does not answer in time, or the keys are missing or invalid now.
    """
    try:
        async with asyncio.timeout(CONNECT):
            connection = await _connect(remote, factory, keys)
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"no connection after {CONNECT:g} s") from error
    _CONNECTED.count += 1
    return connection


async def _connect(remote: Remote, factory: Callable[[], Connection], keys: TlsKeys | None) -> Connection:
    loop = asyncio.get_running_loop()
    if remote.kind == "unix":
        _, connection = await loop.create_unix_connection(factory, remote.path)
        return connection
    if remote.kind != "ssl":
        _, connection = await loop.create_connection(factory, remote.address, remote.port)
        return connection
    if keys is None:
        raise OSError(_NO_KEYS)
    transport, connection = await loop.create_connection(
        factory, remote.address, remote.port, ssl=keys.client(), server_hostname="", ssl_handshake_timeout=HANDSHAKE
    )
    try:
        keys.connected(transport.get_extra_info("ssl_object"))
    except OSError:
        transport.abort()
        raise
    return connection
