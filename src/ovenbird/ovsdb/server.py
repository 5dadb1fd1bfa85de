"""The asyncio server: listeners and connections around a `Service`, and the in-process `Client` of a served database.

A durable commit is acknowledged after an fsync; commits that arrive during one share the next. Other commits reach the
operating system at once and the disk within `SYNC_INTERVAL` seconds.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.counters.coverage import counter
from ovenbird.ovsdb import heap
from ovenbird.ovsdb.compaction import Compaction
from ovenbird.ovsdb.errors import InputOutputError, OvsdbError
from ovenbird.ovsdb.journal import ROWS_AT_ONCE
from ovenbird.ovsdb.peer_limits import PeerLimits
from ovenbird.ovsdb.rbac import FULL, ClientAccess
from ovenbird.ovsdb.service import Service, Timer
from ovenbird.ovsdb.session import Session
from ovenbird.ovsdb.transport import Connection, Remote, connect, listen

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.engine.rows import Store
    from ovenbird.ovsdb.commit import Commit
    from ovenbird.ovsdb.database import Database, LocalTransaction
    from ovenbird.ovsdb.journal import Journal
    from ovenbird.ovsdb.schema import DatabaseSchema
    from ovenbird.ovsdb.tls_keys import TlsKeys
    from ovenbird.ovsdb.transaction import Transaction
    from ovenbird.sockets.listener import Listener

_log = logging.getLogger(__name__)

PROBE_INTERVAL = 5.0
"""Seconds of silence on a TCP or TLS connection before the peer is probed (ovsdb-server(1))."""
SYNC_INTERVAL = 0.2
"""Seconds after which a commit that need not be durable is synced."""
COMPACTION_PAUSE, COMPACTION_PAUSE_MAX = 4, 0.05
"""Pause between two steps of a compaction, as a multiple of a step's time, and its maximum in seconds.

A change takes several turns of the event loop. With a step between any two of them it would take several times as long.
"""
RECONNECT = (1.0, 8.0)
"""Shortest and longest pause between attempts to connect to an active remote, in seconds."""


_SUCCEEDED, _REFUSED = counter("txn_success"), counter("txn_error")
_SYNCED, _COMPACTED = counter("journal_synced"), counter("journal_compacted")


class Server:
    """Serves databases on sockets.

    Arguments:
        keys: for `ssl:` and `pssl:` remotes.
        probe: seconds of silence before a peer on TCP or TLS is probed; 0 never.
    """

    def __init__(self, keys: TlsKeys | None = None, probe: float = PROBE_INTERVAL) -> None:
        self.service = Service(self._later, self._sync)
        self.keys = keys
        self.trims = False
        """Whether unused memory is returned to the system after a compaction."""
        self._limits = PeerLimits()
        self._probe = probe
        self._listeners: dict[Remote, Listener] = {}
        self._dialers: dict[Remote, asyncio.Task[None]] = {}
        self._connections: set[Connection] = set()
        self._peers: dict[Remote, Peers] = {}
        self._syncs: dict[str, _Sync] = {}
        self._clients: list[LocalClient] = []

    @staticmethod
    def _later(seconds: float, function: Callable[[], None]) -> Timer:
        loop = asyncio.get_running_loop()
        return loop.call_later(seconds, function) if seconds else loop.call_soon(function)

    def _sync(self, database: Database, done: Callable[[OvsdbError | None], None]) -> None:
        sync = self._syncs.get(database.name)
        if sync is None or database.journal is None:
            done(None)
        else:
            sync.request(done)

    def add(self, database: Database) -> LocalClient:
        """Serve a database; return the client through which this process uses it."""
        self.service.add(database)
        if database.journal is not None:
            self._syncs[database.name] = sync = _Sync(lambda: self.service.databases[database.name], self.compacted)
            database.journal.on_write = sync.soon
        client = LocalClient(self.service, database)
        self._clients.append(client)
        return client

    def compacted(self) -> None:
        """Clean up after a compaction."""
        _COMPACTED.count += 1
        if self.trims:
            heap.trim()

    async def listen(
        self,
        remote: str | Remote,
        access: ClientAccess = FULL,
        *,
        probe: float | None = None,
        pause: float | None = None,
    ) -> None:
        """Serve at a remote: accept connections at a passive one, keep connecting to an active one.

        Arguments:
            remote: the remote.
            access: the permissions of its clients.
            probe: seconds of silence before they are probed, 0 never; by default the server's, and never on this host.
            pause: longest pause in seconds, at least 1, between attempts to connect to an active remote.

        Raises:
            OSError: the address cannot be bound, or this server serves there already.
            ValueError: it is invalid, or keys are missing.
        """
        at = Remote.parse(remote) if isinstance(remote, str) else remote
        if at in self._listeners or at in self._dialers:
            raise OSError(errno.EADDRINUSE, "this server serves there already")
        if probe is None:
            probe = self._probe if at.probed else 0
        peers = Peers(access, probe)
        if at.passive:
            self._listeners[at] = await listen(at, lambda: self._accept(peers), self.keys)
            if at.kind != "unix":
                _log.info("%s: listening on port %d", at, self.port(at))
        else:
            self._dialers[at] = asyncio.create_task(self._dial(at, peers, max(pause or RECONNECT[1], RECONNECT[0])))
        self._peers[at] = peers

    def status(self, remote: str) -> tuple[bool, dict[str, str]]:
        """Return whether a client is connected at a remote, and the `status` that its row gets (ovn-sb(5))."""
        at = Remote.parse(remote)
        peers = self._peers.get(at)
        if peers is None:
            return False, {"state": "VOID"}
        count = len(peers.connections)
        if not at.passive:
            return count > 0, peers.status()
        status = {"n_connections": str(count)} if count > 1 else {}
        if at.kind != "unix":
            status["bound_port"] = str(self.port(at))
        if at.kind == "ssl" and self.keys is not None:
            try:
                self.keys.server()
            except OSError as error:
                status["last_error"] = str(error)
        return count > 0, status

    @property
    def remotes(self) -> list[Remote]:
        """The remotes of this server."""
        return [*self._listeners, *self._dialers]

    def port(self, remote: str | Remote) -> int:
        """Return the actual port of a listener, for `ptcp:0`."""
        at = Remote.parse(remote) if isinstance(remote, str) else remote
        name: Any = self._listeners[at].sockets[0].getsockname()
        return int(name[1])

    async def unlisten(self, remote: str | Remote) -> None:
        """Stop serving at a remote, and close its connections, which have its permissions."""
        at = Remote.parse(remote) if isinstance(remote, str) else remote
        listener = self._listeners.pop(at, None)
        if listener is not None:
            listener.close()
            if at.kind == "unix":
                Path(at.path).unlink(missing_ok=True)  # noqa: ASYNC240 - one system call
        dialer = self._dialers.pop(at, None)
        if dialer is not None:
            dialer.cancel()
        peers = self._peers.pop(at, None)
        for connection in tuple(peers.connections) if peers is not None else ():
            connection.close()

    def set_read_only(self, read_only: bool) -> None:
        """Make the server read-only or writable; after a change, all clients have to connect again."""
        if self.service.read_only != read_only:
            self.service.read_only = read_only
            self.reconnect()

    def reconnect(self) -> None:
        """Close the connections of all clients, which connect again."""
        for connection in tuple(self._connections):
            connection.close()

    @property
    def unsent(self) -> int:
        """How many bytes are queued for all clients."""
        return sum([connection.unsent for connection in self._connections])

    def _accept(self, peers: Peers, ended: Callable[[], None] = lambda: None) -> Connection:
        """Return a connection, which has a session once it is made: a handshake that fails leaves none."""
        connection = Connection(peers.probe, self._limits)
        connection.on_made = partial(self._begin, connection, peers, ended)
        return connection

    def _begin(self, connection: Connection, peers: Peers, ended: Callable[[], None]) -> None:
        session = Session(self.service, connection.send, connection.close, peers.access, lambda: connection.identity)
        self._connections.add(connection)
        peers.add(connection)

        def clogged() -> None:
            session.clogged = True

        def lost(_error: Exception | None) -> None:
            self._connections.discard(connection)
            peers.remove(connection)
            session.ended()
            ended()

        connection.on_message = session.receive
        connection.on_clogged = clogged
        connection.on_unclogged = session.unclogged
        connection.on_lost = lost

    async def _dial(self, remote: Remote, peers: Peers, longest: float) -> None:
        pause = RECONNECT[0]
        while True:
            gone = asyncio.Event()
            try:
                await connect(remote, partial(self._accept, peers, gone.set), self.keys)
            except OSError as error:
                peers.last_error = error.strerror or str(error)
                _log.info("%s: %s; trying again in %.0f s", remote, error, pause)
            else:
                pause = RECONNECT[0]
                await gone.wait()
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def close(self) -> None:
        """Close every listener and connection, and sync the journals."""
        for remote in self.remotes:
            await self.unlisten(remote)
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # aborted connections end in the next turn of the loop
        for sync in self._syncs.values():
            await sync.close()
        for database in self.service.databases.values():
            if database.journal is not None:
                database.journal.close()


class Peers:
    """The clients at one remote.

    Arguments:
        access: their permissions.
        probe: seconds of silence before they are probed; 0 never.
    """

    def __init__(self, access: ClientAccess, probe: float) -> None:
        self.access = access
        self.probe = probe
        self.connections: set[Connection] = set()
        self.last_error = ""
        self._connected = self._disconnected = math.inf

    def add(self, connection: Connection) -> None:
        """Note a connection."""
        self.connections.add(connection)
        self._connected = time.monotonic()

    def remove(self, connection: Connection) -> None:
        """Note the end of a connection."""
        self.connections.discard(connection)
        self._disconnected = time.monotonic()

    def status(self) -> dict[str, str]:
        """Return the `status` of a remote with connections."""
        now, answer = time.monotonic(), {"state": "ACTIVE" if self.connections else "BACKOFF"}
        for name, moment in (("sec_since_connect", self._connected), ("sec_since_disconnect", self._disconnected)):
            if moment <= now:
                answer[name] = str(int(now - moment))
        if self.last_error:
            answer["last_error"] = self.last_error
        return answer


class _Sync:
    """Syncs one journal in a thread: one fsync for all waiting commits, the next for those made meanwhile."""

    def __init__(self, database: Callable[[], Database], compacted: Callable[[], None]) -> None:
        self._database = database  # asked each time: a conversion puts another in its place
        self._compacted = compacted
        self._waiting: list[Callable[[OvsdbError | None], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._compacting: asyncio.Task[None] | None = None

    def request(self, done: Callable[[OvsdbError | None], None]) -> None:
        self._waiting.append(done)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def soon(self) -> None:
        if self._timer is None and self._task is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # a commit before the event loop runs is synced by the next, or on close
                return
            self._timer = loop.call_later(SYNC_INTERVAL, lambda: self.request(lambda _error: None))

    async def _run(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                error = await self._once()
                for done in waiting:
                    done(error)
        finally:
            self._task = None

    async def _once(self) -> OvsdbError | None:
        database = self._database()
        journal = database.journal
        if journal is None:
            return None
        try:
            if journal.wants_compaction and self._compacting is None:
                self._compacting = asyncio.get_running_loop().create_task(self._compact(journal, database))
            await asyncio.get_running_loop().run_in_executor(None, journal.sync)
            _SYNCED.count += 1
        except InputOutputError as error:
            _log.error("database %s is not durable: %s", database.name, error)
            return error
        return None

    async def _compact(self, journal: Journal, database: Database) -> None:
        """Compact in small steps, which take a fifth of the time; commits go on in the rest."""
        compaction = Compaction(journal, database)
        try:
            began = time.monotonic()
            while compaction.step(ROWS_AT_ONCE):
                took = time.monotonic() - began
                await asyncio.sleep(min(COMPACTION_PAUSE * took, COMPACTION_PAUSE_MAX))
                began = time.monotonic()
                if not compaction.current:
                    return
            await asyncio.get_running_loop().run_in_executor(None, compaction.write)
            if compaction.current:
                compaction.take_over()
                self._compacted()
        except InputOutputError as error:
            _log.warning("database %s is not compacted now: %s", database.name, error)
            journal.put_off()
        finally:
            compaction.end()
            self._compacting = None

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            await self._task
        if self._compacting is not None:
            if (journal := self._database().journal) is not None:
                journal.compaction = None
            await self._compacting


class LocalClient:
    """The `Client` of a database in this process, without copies and JSON.

    Arguments:
        service: the service that serves it, whose locks it shares.
        database: the database.
    """

    def __init__(self, service: Service, database: Database) -> None:
        self._service = service
        self.database = database
        self.store: Store = database.store
        self._granted: dict[str, asyncio.Future[None]] = {}
        self._lost: dict[str, Callable[[], None]] = {}

    @property
    def schema(self) -> DatabaseSchema:
        """The database's schema."""
        return self.database.schema

    @property
    def connected(self) -> bool:
        """Always true."""
        return True

    async def answers(self, seconds: float) -> bool:
        """Return True."""
        del seconds
        return self.connected

    def transaction(self) -> LocalTransaction:
        """Return a new transaction."""
        return self.database.transaction()

    def commit_now(self, transaction: Transaction) -> Commit:
        """Commit without waiting for the disk; see `Database.commit`."""
        try:
            commit = self.database.commit(transaction, holds=lambda name: self._service.locks.holds(self, name))
        except OvsdbError:
            _REFUSED.count += 1
            raise
        _SUCCEEDED.count += 1
        return commit

    async def synchronized(self) -> None:
        """Return at once."""

    async def commit(self, transaction: Transaction, *, durable: bool = False, until: float | None = None) -> Commit:
        """Commit.

        Arguments:
            transaction: made on this database.
            durable: whether to return only when it is on the disk.
            until: as for a replica; it has no effect, since there is no connection to lose.

        Raises:
            OvsdbError: the database refused, or the disk failed.
        """
        del until
        commit = self.commit_now(transaction)
        if durable and self.database.journal is not None:
            synced: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def done(error: OvsdbError | None) -> None:
                if not synced.done():
                    if error is None:
                        synced.set_result(None)
                    else:
                        synced.set_exception(error)

            self._service.sync(self.database, done)
            await synced
        return commit

    def on_change(self, callback: Callable[[Commit], None]) -> Callable[[], None]:
        """Call a function after each commit; return a function that ends this."""
        return self.database.subscribe(callback)

    async def lock(self, name: str, on_lost: Callable[[], None] | None = None) -> None:
        """Return when this client holds a lock."""
        if on_lost is not None:
            self._lost[name] = on_lost
        if not self._service.locks.lock(self, name):
            future = self._granted[name] = asyncio.get_running_loop().create_future()
            await future

    async def unlock(self, name: str) -> None:
        """Release a lock, or stop waiting for it."""
        self._lost.pop(name, None)
        future = self._granted.pop(name, None)
        if future is not None:
            future.cancel()
        self._service.locks.unlock(self, name)

    def granted(self, name: str) -> None:
        """Note that a lock is held (called by the locks)."""
        future = self._granted.pop(name, None)
        if future is not None and not future.done():
            future.set_result(None)

    def stolen(self, name: str) -> None:
        """Note that a lock was stolen (called by the locks)."""
        callback = self._lost.get(name)
        if callback is not None:
            callback()
