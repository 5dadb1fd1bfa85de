"""Limits on what the peers of a server may use together: bytes that they leave unfinished or unread, and for how long.

Messages and replies may be as large as a database, so there is no small limit for each. Unfinished messages may have
`UNFINISHED` bytes together: beyond that the connection with the longest one is closed. Unread replies may have `UNREAD`
bytes together: beyond that requests are not processed until peers have read. A peer that makes no progress with either
for `PATIENCE` seconds is disconnected, and sooner while others wait for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ovenbird.dataclass import KW_ONLY, dataclass

if TYPE_CHECKING:
    from ovenbird.ovsdb.transport import Connection

_log = logging.getLogger(__name__)

UNFINISHED = 1 << 30
"""Maximum bytes of all incomplete messages."""
UNREAD = 1 << 30
"""Maximum bytes of replies and updates that slow peers have not read."""
PATIENCE = 60.0
"""Seconds for which a peer may make no progress with an incomplete message or unread replies."""
HASTE = 10.0
"""Seconds instead, while `UNREAD` is exceeded."""
SLOWEST = 64 * 1024
"""Minimum bytes a second of a message, after `PATIENCE` seconds."""
INTERVAL = 2.5
"""Seconds between checks of the peers' progress."""


@dataclass(slots=True)
class _Backlog:
    """A peer's unread bytes, and since when it has read nothing."""

    _: KW_ONLY
    size: int
    since: float


class PeerLimits:
    """The limits that the connections of one server share."""

    def __init__(self) -> None:
        self._coming: dict[Connection, tuple[int, float]] = {}  # bytes of an unfinished message, and when it began
        self._coming_bytes = 0
        self._unread: dict[Connection, _Backlog] = {}
        self._unread_bytes = 0
        self._waiting: dict[Connection, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        """Whether no more requests may be handled for now."""
        return self._unread_bytes > UNREAD

    def received(self, connection: Connection, pending: int) -> None:
        """Record how many bytes of an incomplete message a connection has."""
        size, since = self._coming.pop(connection, (0, 0.0))
        self._coming_bytes += pending - size
        if not pending:
            return
        self._coming[connection] = pending, since if pending > size > 0 else asyncio.get_running_loop().time()
        self._watch()
        if self._coming_bytes > UNFINISHED:
            longest = max(self._coming, key=lambda one: self._coming[one][0])
            self._drop(
                longest, f"incomplete messages of all clients have {self._coming_bytes} bytes, its own the most of them"
            )

    def clogged(self, connection: Connection) -> None:
        """Record that a connection's send buffer is full."""
        self._resize(connection, connection.unsent)
        self._watch()

    def unclogged(self, connection: Connection) -> None:
        """Record that its peer has read."""
        backlog = self._unread.pop(connection, None)
        if backlog is not None:
            self._unread_bytes -= backlog.size
            self._go_on()

    def wait(self, connection: Connection) -> None:
        """Have a connection resumed once more requests may be handled."""
        self._waiting[connection] = None

    def gone(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._waiting.pop(connection, None)
        self.received(connection, 0)
        self.unclogged(connection)

    def _resize(self, connection: Connection, size: int) -> None:
        now = asyncio.get_running_loop().time()
        backlog = self._unread.setdefault(connection, _Backlog(size=0, since=now))
        self._unread_bytes += size - backlog.size
        if size < backlog.size:
            backlog.since = now
        backlog.size = size

    def _go_on(self) -> None:
        while self._waiting and not self.full:
            connection = next(iter(self._waiting))
            del self._waiting[connection]
            connection.go_on()

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._look)

    def _look(self) -> None:
        """Close the connections of peers that make no progress."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._unread):
            self._resize(connection, connection.unsent)
        patience = HASTE if self.full else PATIENCE
        for connection, backlog in tuple(self._unread.items()):
            if now - backlog.since >= patience:
                self._drop(connection, f"it has read nothing of {backlog.size} bytes for {now - backlog.since:.0f} s")
        for connection, (size, since) in tuple(self._coming.items()):
            if now - since >= PATIENCE + size / SLOWEST:
                self._drop(connection, f"a message has {size} bytes and no end after {now - since:.0f} s")
        self._go_on()
        if self._coming or self._unread:
            self._watch()

    def _drop(self, connection: Connection, why: str) -> None:
        _log.warning("%s: connection dropped: %s", connection.peer, why)
        connection.abort()
        self.gone(connection)
