"""The locks that a client holds or waits for, asked for again on each new connection (RFC 7047, section 4.1.8)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from ovenbird.ovsdb.errors import Disconnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.ovsdb.calls import Calls


class ClientLocks:
    """The locks of one client.

    Arguments:
        calls: to the server.
        connected: returns whether the client follows a server now.
    """

    def __init__(self, calls: Calls, connected: Callable[[], bool]) -> None:
        self._calls = calls
        self._connected = connected
        self._locks: dict[str, _Lock] = {}

    async def lock(self, name: str, on_lost: Callable[[], None] | None = None) -> None:
        """Return when this client holds a lock.

        Who lost a lock stays in line for it (RFC 7047, section 4.1.10), and awaits it here again.

        Arguments:
            name: the lock's.
            on_lost: is called if another client steals it or the connection is lost.
        """
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = _Lock(on_lost)
            if self._connected():
                with contextlib.suppress(Disconnected):  # then the next connection begins with asking for it
                    await self._ask(name, lock)
        lock.on_lost = on_lost
        await lock.held.wait()

    async def unlock(self, name: str) -> None:
        """Release a lock, or stop waiting for it."""
        if self._locks.pop(name, None) is not None and self._connected():
            await self._calls.call("unlock", [name])

    async def steal(self, name: str, on_lost: Callable[[], None] | None = None) -> None:
        """Steal a lock from its holder.

        Arguments:
            name: the lock's.
            on_lost: is called if another client steals it in turn or the connection is lost.

        Raises:
            Disconnected: there is no connection.
        """
        lock = self._locks.setdefault(name, _Lock(on_lost))
        if (await self._calls.answered(dict, "steal", [name])).get("locked"):
            lock.held.set()

    def holds(self, name: str) -> bool:
        """Return whether this client holds a lock, as far as it knows."""
        lock = self._locks.get(name)
        return lock is not None and lock.held.is_set()

    async def ask_all(self) -> None:
        """Ask a new connection for every lock."""
        for name, lock in tuple(self._locks.items()):
            await self._ask(name, lock)

    def grant(self, name: str) -> None:
        """Take note that the server gave us a lock."""
        if name in self._locks:
            self._locks[name].held.set()

    def lose(self, name: str) -> None:
        """Process the notification that another client stole a lock."""
        if name in self._locks:
            self._locks[name].lose()

    def drop(self) -> None:
        """Take note that the connection has ended, and with it every lock."""
        for lock in self._locks.values():
            lock.asked = False
            lock.lose()

    async def _ask(self, name: str, lock: _Lock) -> None:
        if lock.asked:
            return
        lock.asked = True
        if (await self._calls.answered(dict, "lock", [name])).get("locked"):
            lock.held.set()


class _Lock:
    """A lock that the client holds or wants."""

    def __init__(self, on_lost: Callable[[], None] | None) -> None:
        self.held = asyncio.Event()
        self.asked = False  # on this connection
        self.on_lost = on_lost

    def lose(self) -> None:
        if self.held.is_set():
            self.held.clear()
            if self.on_lost is not None:
                self.on_lost()
