"""A replica: the asynchronous client of a remote server, whose rows are engine rows (the remote `Client`).

It reconnects without end, to each of its remotes in turn. It resumes from the last transaction that it has
(`monitor_cond_since`), and uses `monitor_cond` and `monitor` with older servers. It never guesses: a commit whose reply
was lost raises `Disconnected`. A server sends the updates of a transaction before its reply, so a commit's own writes
are visible when it returns. With `leader_only` it disconnects from servers of a cluster that are not the leader.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any

from ovenbird.counters.coverage import counter
from ovenbird.ovsdb import jsonrpc
from ovenbird.ovsdb.calls import LATE, Calls
from ovenbird.ovsdb.client_locks import ClientLocks
from ovenbird.ovsdb.commit import Commit, unwritable
from ovenbird.ovsdb.errors import (
    ClusterError,
    Disconnected,
    NotServingError,
    OvsdbError,
    ProtocolError,
    TimedOut,
    UnknownDatabase,
    from_json,
)
from ovenbird.ovsdb.outcome import Outcome, outcome
from ovenbird.ovsdb.row_updates import RowUpdater
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.table import mistyped
from ovenbird.ovsdb.transact_request import encode_transaction, row_of
from ovenbird.ovsdb.transaction import Transaction
from ovenbird.ovsdb.transport import Connection, Remote, connect, parse_remotes
from ovenbird.ovsdb.types import NIL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from ovenbird.engine.rows import Row, Store
    from ovenbird.ovsdb.tls_keys import TlsKeys

_log = logging.getLogger(__name__)

BACKOFF = (0.1, 8.0)
"""Shortest and longest pause between attempts to connect, in seconds; the longest is the original's."""
_PLACES = re.compile(r"^\[[^\]]*\] | \(_ssl\.c:\d+\)$")
"""The source position in OpenSSL and Python at the end of TLS errors."""
HANDSHAKE = 30.0
"""Seconds for a server to send its schema and state; its contents may take longer."""
FEW = 8
"""How many missing tables and columns of a server a log line names."""
_SUCCEEDED, _UNCHANGED, _REFUSED = counter("txn_success"), counter("txn_unchanged"), counter("txn_error")
_TRY_AGAIN, _ABORTED = counter("txn_try_again"), counter("txn_aborted")
_MONITOR_ID = "ovenbird"
_SERVER_ID = "_Server"


class Replica:
    """A remote database.

    Arguments:
        remotes: of the servers, such as `tcp:a:6641,tcp:b:6641`.
        database: the database's name.
        row_classes: row classes of the tables to mirror; every table, with classes made for them, if none are given.
        conditions: for some tables, the clauses any one of which puts a row in view (none given: every row).
        omitted: for some tables, columns that are not monitored and keep their defaults.
        leader_only: whether to use only the leader of a cluster.
        keys: for `ssl:` remotes.
        probe: seconds of silence before the server is probed; 0 never.
        lacks: returns why a server with a given schema cannot be used (it is tried again), or an empty text.

    Raises:
        ValueError: a remote is invalid.
    """

    def __init__(
        self,
        remotes: str,
        *,
        database: str,
        row_classes: Iterable[type[Row]] = (),
        conditions: Mapping[str, list[Any]] | None = None,
        omitted: Mapping[str, Collection[str]] | None = None,
        leader_only: bool = False,
        keys: TlsKeys | None = None,
        probe: float = 5.0,
        lacks: Callable[[DatabaseSchema], str] = lambda _: "",
    ) -> None:
        self._remotes = parse_remotes(remotes)
        self.database = database
        self._classes = tuple(row_classes)
        self._conditions: dict[str, list[Any]] = dict(conditions or {})
        self._omitted: Mapping[str, Collection[str]] = omitted or {}
        self._acknowledged: dict[str, list[Any]] | None = None
        self._changing = 0
        self._leader_only = leader_only
        self._keys = keys
        self._probe = probe
        self._probed = False
        self._lacks = lacks
        self._updater: RowUpdater | None = None
        self._calls = Calls(database)
        self._last_id = NIL
        self._monitoring = ""
        self._synced = asyncio.Event()
        self._gone = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[Commit], None]] = []
        self._locks = ClientLocks(self._calls, self._synced.is_set)
        self.failures: dict[Remote, str] = {}
        """Why each server could not be followed that has failed since one last was; said once."""

    # -- the client -----------------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The rows, once `start` has returned."""
        return self._present().store

    @property
    def schema(self) -> DatabaseSchema:
        """The server's schema."""
        return self._present().schema

    @property
    def connected(self) -> bool:
        """Whether the rows are kept up to date by a server now."""
        return self._synced.is_set()

    @property
    def unreachable(self) -> bool:
        """Whether every server has failed since one was last followed."""
        return all(remote in self.failures for remote in self._remotes)

    def _present(self) -> RowUpdater:
        if self._updater is None:
            raise Disconnected(f"database {self.database} has not been reached yet")
        return self._updater

    async def start(self) -> None:
        """Start connecting, and return when the rows have been received."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"replica of {self.database}")
        await self.synchronized()

    async def synchronized(self) -> None:
        """Return when the rows are kept up to date by a server.

        Raises:
            Disconnected: the replica is closed.
        """
        waiter = asyncio.create_task(self._synced.wait())
        task = self._task
        if task is None:
            waiter.cancel()
            raise Disconnected(f"database {self.database} is closed: it is not connected again")
        try:
            await asyncio.wait((waiter, task), return_when=asyncio.FIRST_COMPLETED)
            if not waiter.done():
                await task  # raises what ended it
                raise Disconnected("the replica is closed")
        finally:
            waiter.cancel()  # also where the caller is cancelled

    async def close(self) -> None:
        """Close the connection and stop connecting."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def transaction(self) -> Transaction:
        """Return a new transaction."""
        return Transaction(self._present().tables)

    async def commit(self, transaction: Transaction, *, durable: bool = False, until: float | None = None) -> Commit:
        """Commit; when this returns, `store` shows the outcome.

        The changes arrive through `on_change`, as those of all clients; the returned commit has the transaction's id.

        Arguments:
            transaction: made on this replica's store.
            durable: whether to return only when it is on the server's disk.
            until: the event loop's time until which it is sent again after an unknown outcome; None for one attempt.

        Raises:
            OvsdbError: the server refused; nothing was changed.
            Disconnected: the outcome is unknown, or there is no connection.
        """
        operations = encode_transaction(transaction)
        if durable:
            operations.append({"op": "commit", "durable": True})
        if operations and until is None:
            await self._transact(transaction, operations)
        elif not operations:
            _UNCHANGED.count += 1
        else:
            try:
                async with asyncio.timeout_at(until):
                    await self._transact_once(transaction, operations)
            except TimeoutError:
                raise Disconnected(f"database {self.database} could not be reached in time") from None
        return Commit(self._last_id, {}, "\n".join(transaction.comments))  # type: ignore[arg-type]

    async def _transact(self, transaction: Transaction, operations: list[dict[str, Any]]) -> None:
        try:
            results = await self._calls.answered(list, "transact", [self.database, *operations])
        except Disconnected:
            _ABORTED.count += 1
            raise
        except ProtocolError as error:
            raise unwritable(staged for rows in transaction.staged.values() for staged in rows.values()) from error
        for number, result in enumerate(results):
            if type(result) is dict and "error" in result:
                refusal = from_json(result)
                (_TRY_AGAIN if isinstance(refusal, TimedOut) else _REFUSED).count += 1
                refusal.row = row_of(operations[number]) if number < len(operations) else None
                raise refusal
        _SUCCEEDED.count += 1

    async def _transact_once(self, transaction: Transaction, operations: list[dict[str, Any]]) -> None:
        """Send the same transaction until its outcome is known; it is committed once at most.

        If a reply is lost, a new leader may still commit the transaction. So it is sent again if its rows are not there
        yet: the UUIDs of its rows, and its `wait`s, make a second commit fail.
        """
        lost = False
        while True:
            try:
                await self._transact(transaction, operations)
            except (Disconnected, ClusterError) as error:
                _log.info("database %s: a transaction is tried again: %s", self.database, error)
                lost = True
            except OvsdbError as error:
                found = outcome(transaction) if lost else Outcome.ABSENT
                if found is Outcome.UNKNOWN:
                    raise Disconnected(f"database {self.database}: whether a change was made is unknown") from error
                if found is Outcome.ABSENT:
                    raise
                return
            else:
                return
            await asyncio.sleep(BACKOFF[0])
            await self.synchronized()
            if outcome(transaction) is Outcome.COMMITTED:
                return

    def on_change(self, callback: Callable[[Commit], None]) -> Callable[[], None]:
        """Call a function after each batch of changes is in `store`; return a function that ends this."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def start_over(self) -> None:
        """Connect again and read all rows anew, since the database may have been rebuilt."""
        self._last_id = NIL
        self._calls.give_up()

    def set_probe(self, probe: float) -> None:
        """Set the seconds of silence after which the server is probed; 0 for never."""
        if probe != self._probe:
            self._probe = probe
            if self._calls.connection is not None and self._probed:
                self._calls.connection.set_probe(probe)

    async def set_conditions(self, conditions: Mapping[str, list[Any]]) -> None:
        """Change the conditions of some tables; when this returns, the rows are those of the new conditions.

        Several changes may be pending at once: the server handles them in order, and the rows of one can be processed
        while it searches for those of the next.

        Raises:
            OvsdbError: the server refuses them.
            Disconnected: there is no connection now; they apply from the next one on.
        """
        changed = {name: where for name, where in conditions.items() if self._conditions.get(name) != where}
        self._conditions.update(changed)
        if not changed:
            return
        await self.synchronized()
        if self._monitoring != "monitor":
            self._acknowledged = None  # until the server has made them all, a new connection starts afresh
            self._changing += 1
            updater = self._present()
            requests = {
                name: [{"where": updater.condition(name, where)}]
                for name, where in changed.items()
                if name in updater.schema.tables
            }
            try:
                await self.call("monitor_cond_change", [_MONITOR_ID, _MONITOR_ID, requests])
            finally:
                self._changing -= 1
            if not self._changing:
                self._acknowledged = dict(self._conditions)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While entered, keep the rows unchanged; what the server sends meanwhile is received, and waits."""
        connection = self._calls.connection
        if connection is None:
            yield
            return
        connection.hold()
        try:
            yield
        finally:
            connection.release()

    async def lock(self, name: str, on_lost: Callable[[], None] | None = None) -> None:
        """Return when this client holds a lock, which is requested again on each new connection.

        A client whose lock was stolen stays in the queue for it (RFC 7047, section 4.1.10), and can wait here again.
        """
        await self._locks.lock(name, on_lost)

    async def unlock(self, name: str) -> None:
        """Release a lock, or stop waiting for it."""
        await self._locks.unlock(name)

    async def steal(self, name: str, on_lost: Callable[[], None] | None = None) -> None:
        """Steal a lock from its holder.

        Raises:
            Disconnected: there is no connection.
        """
        await self._locks.steal(name, on_lost)

    def holds(self, name: str) -> bool:
        """Return whether this client holds a lock, as far as it knows."""
        return self._locks.holds(name)

    async def call(self, method: str, params: Any) -> Any:
        """Call a method of the server.

        Raises:
            OvsdbError: it answers with an error.
            Disconnected: there is no connection, or it was lost before the answer.
            ProtocolError: the parameters have a string that OVSDB cannot have; nothing was sent.
        """
        return await self._calls.call(method, params)

    async def answers(self, seconds: float) -> bool:
        """Return whether the server answers within some seconds; concurrent callers share one echo."""
        return self.connected and await self._calls.answers(seconds)

    # -- the connection -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        pause, at = BACKOFF[0], 0
        failures = self.failures
        while True:
            remote = self._remotes[at % len(self._remotes)]
            at += 1
            try:
                if await self._serve(remote):
                    pause = BACKOFF[0]
                    failures.clear()
            except NotServingError as error:
                _log.info("%s: %s", remote, error)
            except (OSError, Disconnected, ProtocolError, TimeoutError, OvsdbError) as error:
                reason = _reason(error)
                if failures.get(remote) != reason:
                    failures[remote] = reason
                    _log.warning("%s: connection attempt failed (%s); trying again in the background", remote, reason)
            except Exception as error:  # noqa: BLE001 - an answer can be wrong in any way, and is its server's mistake
                reason = repr(error)
                if failures.get(remote) != reason:
                    failures[remote] = reason
                    _log.warning("%s: the server's messages cannot be used: %s", remote, reason)
            finally:
                self._drop()
            await asyncio.sleep(pause)
            if at % len(self._remotes) == 0:
                pause = min(2 * pause, BACKOFF[1])

    async def _serve(self, remote: Remote) -> bool:
        """Connect to a server and follow it until the connection ends; return whether its rows were received."""
        self._gone = asyncio.Event()
        gone = self._gone
        connection = await connect(remote, lambda: Connection(self._probe if remote.probed else 0), self._keys)
        self._probed = remote.probed
        self._calls.connection = connection
        connection.on_message = self._receive
        connection.on_lost = lambda error: self._lost(gone, remote, error)
        async with asyncio.timeout(HANDSHAKE):
            if not await self._suitable():
                raise NotServingError("not the leader, or not part of the cluster now; trying another server")
            schema = DatabaseSchema.from_json(await self.call("get_schema", [self.database]))
        if wrong := mistyped(schema, self._classes):
            raise ProtocolError(f"{self.database} cannot be read: {wrong}")
        if lack := self._lacks(schema):
            raise ProtocolError(lack)
        if self._updater is None or self._updater.schema != schema:
            self._last_id = NIL
            self._updater = self._updater_of(schema)
            if missing := [*_missing(schema, self._classes)]:
                few, more = ", ".join(missing[:FEW]), f" and {len(missing) - FEW} more" if len(missing) > FEW else ""
                _log.warning("%s: %s lacks %s%s (database needs upgrade?)", remote, self.database, few, more)
        await self._monitor(self._updater)
        _log.info("%s: connected", remote)
        await self._locks.ask_all()
        await self._wait_for_end(gone, remote)
        return True

    async def _wait_for_end(self, gone: asyncio.Event, remote: Remote) -> None:
        """Return when the connection has ended; a server without probes gets an echo now and then, for the log."""
        while not gone.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if remote.probed else LATE):
                    await gone.wait()
                return
            with contextlib.suppress(Disconnected):
                await self.call("echo", [])

    def _updater_of(self, schema: DatabaseSchema) -> RowUpdater:
        """Return the updater of rows for a server with this schema; present rows stay."""
        store = None if self._updater is None else self._updater.store
        return RowUpdater(schema, self._classes, store, self._omitted)

    async def _suitable(self) -> bool:
        """Return whether this server may be used, and monitor that if it has a `_Server` database."""
        request = {"Database": [{"columns": ["name", "model", "connected", "leader"]}]}
        try:
            rows = await self.call("monitor", [_SERVER_ID, _SERVER_ID, request])
        except UnknownDatabase:
            return True  # older than `_Server`: standalone
        await self.call("set_db_change_aware", [True])
        return self._judge(rows)

    def _judge(self, updates: Any) -> bool:
        for told in updates.get("Database", {}).values():
            row = told.get("new")
            if row is not None and row.get("name") == self.database:
                if not row.get("connected", True):
                    return False
                if self._leader_only and row.get("model") == "clustered" and not row.get("leader"):
                    return False
        return True

    async def _monitor(self, updater: RowUpdater) -> None:
        wanted = dict(self._conditions)
        last = self._last_id if self._acknowledged == wanted and updater.resumable else NIL
        conditional = updater.request(wanted, conditional=True)
        # The method is set before the call: updates may follow the reply in the same chunk of bytes.
        for method, params in (
            ("monitor_cond_since", [self.database, _MONITOR_ID, conditional, last]),
            ("monitor_cond", [self.database, _MONITOR_ID, conditional]),
            ("monitor", [self.database, _MONITOR_ID, updater.request({}, conditional=False)]),
        ):
            self._monitoring = method
            self._acknowledged = wanted
            try:
                await self._calls.call(method, params, self._initial)
            except OvsdbError as error:
                if "unknown method" not in str(error):
                    raise
            else:
                return
        raise ProtocolError("the server supports no method of monitoring")

    def _initial(self, result: Any) -> None:
        """Apply the reply to the monitor request, when it comes and before any update behind it."""
        updater = self._present()
        if self._monitoring == "monitor_cond_since":
            found, last_id, updates = result
        else:
            found, last_id, updates = False, self._last_id, result
        commit = self._applied(updater, updates, last_id, whole=not found)
        self._synced.set()
        self._tell(commit)

    def _applied(self, updater: RowUpdater, updates: Any, last_id: str, *, whole: bool = False) -> Commit:
        """Apply a transaction's updates; if they are invalid, the next connection reads all rows again."""
        self._last_id = NIL
        commit = updater.apply(updates, last_id, whole=whole)
        self._last_id = last_id
        return commit

    def _receive(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method is None:
            self._calls.receive(message)
            return
        params: Any = message.get("params")
        match method:
            case "update3" if params[0] == _MONITOR_ID:
                self._tell(self._applied(self._present(), params[2], params[1]))
            case "update2" | "update" if params[0] == _MONITOR_ID:
                self._tell(self._applied(self._present(), params[1], self._last_id))
            case "update" if params[0] == _SERVER_ID:
                if not self._judge(params[1]):
                    _log.info("database %s: the server lost its leader or its leadership", self.database)
                    self._calls.give_up()
            case "echo":
                if self._calls.connection is not None:
                    self._calls.connection.send(jsonrpc.reply(params, id_=message.get("id")))
            case "locked":
                self._locks.grant(params[0])
            case "stolen":
                self._locks.lose(params[0])
            case "monitor_canceled":
                self._calls.give_up()
            case _:
                _log.debug("ignoring %s", method)

    def _tell(self, commit: Commit) -> None:
        if commit.changes:
            for callback in tuple(self._callbacks):
                try:
                    callback(commit)
                except Exception:  # noqa: BLE001 - the commit is done, even if a listener fails
                    _log.exception("listener of database %s failed", self.database)

    def _lost(self, gone: asyncio.Event, remote: Remote, error: Exception | None) -> None:
        if not gone.is_set() and self._synced.is_set():
            _log.warning("%s: connection %s", remote, f"dropped ({_reason(error)})" if error else "closed")
        gone.set()
        if gone is self._gone:
            self._drop()

    def _drop(self) -> None:
        """Forget a connection that ended."""
        self._synced.clear()
        self._monitoring = ""
        self._calls.drop()
        self._locks.drop()


def _missing(schema: DatabaseSchema, row_classes: Iterable[type[Row]]) -> Iterator[str]:
    """Yield the tables and columns that a server lacks: they are read as if they were empty."""
    for row_class in row_classes:
        table = schema.tables.get(row_class.TABLE)
        if table is None:
            yield row_class.TABLE
            continue
        yield from (f"{table.name}.{c.name}" for c in row_class.COLUMNS if c.name not in table.position)


def _reason(error: Exception) -> str:
    """Return why a connection failed, without addresses, which stand before it."""
    if isinstance(error, ssl.SSLError | socket.gaierror):  # their numbers are none of the system's
        return _PLACES.sub("", str(error.strerror or error))
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
