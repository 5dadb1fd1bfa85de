"""One client's side of the protocol, without I/O: messages in, bytes out (RFC 7047, section 4.1; ovsdb-server(7)).

Updates of a commit are sent before the reply to the `transact` that made it. A client that does not read (`clogged`) is
sent nothing more: for each monitor only *which* rows changed, and what the client knows of them, is kept, which the
size of the database bounds; when the client reads again it receives the difference. The owner reads nothing from a
clogged client.
"""

# ruff: noqa: SLF001 - the table of methods at the end names them
from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.ovsdb import jsonrpc
from ovenbird.ovsdb.errors import (
    BadSyntax,
    NotAllowed,
    OvsdbError,
    PermissionDenied,
    ProtocolError,
    ResourcesExhausted,
    UnknownDatabase,
)
from ovenbird.ovsdb.monitor import Monitor, Pending, merge
from ovenbird.ovsdb.operation import Execution, NotYet
from ovenbird.ovsdb.rbac import FULL, Authority, ClientAccess
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.types import is_identifier, is_uuid

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.ovsdb.commit import Commit
    from ovenbird.ovsdb.database import Database
    from ovenbird.ovsdb.service import Service, Timer

_log = logging.getLogger(__name__)

_MEMBERS = frozenset(("id", "method", "params", "result", "error"))
TOLD = 1024
"""Maximum characters of an operation in the log."""
MONITORS, WAITING, LOCKS = 1024, 256, 1024
"""How many monitors, waiting transactions and locks one client may have."""


class Attached:
    """A session's monitor: its identifier, the method of its updates, and the changes that could not be sent yet.

    Arguments:
        monitor: the monitor, which sessions share.
        id_: the client's identifier of it, any JSON value.
        method: `update`, `update2` or `update3`.
    """

    __slots__ = ("id", "method", "monitor", "pending")

    def __init__(self, monitor: Monitor, id_: Any, method: str) -> None:
        self.monitor = monitor
        self.id = jsonrpc.encode(id_)
        self.method = method
        self.pending: Pending | None = None

    def message(self, updates: bytes, last: str) -> bytes:
        """Return the update notification around encoded `<table-updates>`."""
        since = b'"%s",' % last.encode() if self.method == "update3" else b""
        return b'{"id":null,"method":"%s","params":[%s,%s%s]}' % (self.method.encode(), self.id, since, updates)


class Waiting:
    """A `transact` whose `wait` is not true yet.

    Arguments:
        database: the database.
        id_: the request's id, any JSON value.
        operations: the request's operations.
        since: when it arrived, in seconds of the service's clock.
    """

    __slots__ = ("database", "id", "operations", "since", "timer")

    def __init__(self, database: Database, id_: Any, operations: list[Any], since: float) -> None:
        self.database = database
        self.id = id_
        self.operations = operations
        self.since = since
        self.timer: Timer | None = None


def _tell(database: Database, operations: list[Any]) -> None:
    """Log the operations on tables that somebody watches, up to their first `TOLD` characters."""
    for operation in operations:
        if type(operation) is dict and operation.get("table") in database.told:
            text = orjson.dumps(operation, default=str).decode()
            _log.info("database %s: %s", database.name, text if len(text) <= TOLD else f"{text[:TOLD]}…")


class Refusal(Exception):  # noqa: N818 - an answer
    """An error that is a plain string in the reply."""


class Session:
    """The state of one client.

    Arguments:
        service: the databases.
        send: sends bytes to the client; it never blocks.
        close: closes the connection.
        access: the client's permissions.
        identity: returns the common name in the client's certificate; empty without one.
    """

    def __init__(
        self,
        service: Service,
        send: Callable[[bytes], None],
        close: Callable[[], None],
        access: ClientAccess = FULL,
        identity: Callable[[], str] = str,
    ) -> None:
        self.service = service
        self.send = send
        self.close = close
        self.access = access
        self.identity = identity
        self.clogged = False
        self.change_aware = False
        self.monitors: dict[bytes, Attached] = {}
        self.waiting: dict[bytes, Waiting] = {}
        service.sessions[self] = None

    @property
    def read_only(self) -> bool:
        """Whether the client is read-only."""
        return self.access.read_only or self.service.read_only

    def receive(self, message: dict[str, Any]) -> None:
        """Handle one message of the client.

        Raises:
            ProtocolError: it is not a request, notification or reply; the connection must be closed.
        """
        if not message.keys() <= _MEMBERS:
            raise ProtocolError("a message has members that JSON-RPC does not know")
        if "method" not in message:
            if message.get("id") != "echo" or not {"result", "error"} <= message.keys():
                raise ProtocolError("neither a request nor the reply to a probe")
            return
        if message.get("result") is not None or message.get("error") is not None:
            raise ProtocolError("a request has no result")
        method, params, id_ = message["method"], message.get("params"), message.get("id")
        if type(method) is not str or type(params) is not list:
            raise ProtocolError("a request has a method and an array of params")
        if id_ is None:
            if method == "cancel" and params:
                self._cancel(params[0])
            return
        handler = _METHODS.get(method)
        try:
            if handler is None:
                raise Refusal("unknown method")  # noqa: TRY301 - one place makes the replies
            result = handler(self, params, id_)
        except OvsdbError as error:
            self.send(jsonrpc.error_reply(error.to_json(), id_=id_))
        except Refusal as refusal:
            self.send(jsonrpc.error_reply(str(refusal), id_=id_))
        else:
            if result is not None:
                self.send(jsonrpc.reply(result, id_=id_))

    def ended(self) -> None:
        """Release everything of a client that has disconnected."""
        self.service.sessions.pop(self, None)
        for attached in self.monitors.values():
            self.service.unshare(attached.monitor)
        self.monitors.clear()
        for waiting in self.waiting.values():
            if waiting.timer is not None:
                waiting.timer.cancel()
        self.waiting.clear()
        self.service.locks.release(self)

    # -- the lock holder's side -----------------------------------------------------------------------------------

    def granted(self, name: str) -> None:
        """Notify the client that it holds a lock."""
        self.send(jsonrpc.notification("locked", [name]))

    def stolen(self, name: str) -> None:
        """Notify the client that it has lost a lock."""
        self.send(jsonrpc.notification("stolen", [name]))

    # -- the monitors' side ---------------------------------------------------------------------------------------

    def publish(self, database: Database, commit: Commit) -> None:
        """Send the client a commit's updates, or keep them until it reads again."""
        for attached in self.monitors.values():
            if attached.monitor.database is not database:
                continue
            if self.clogged or attached.pending is not None:
                attached.pending = merge((commit,), attached.pending)
                continue
            updates = attached.monitor.update(commit)
            if updates is not None:
                self.send(attached.message(updates, commit.id))

    def unclogged(self) -> None:
        """Send the updates that were kept while the client did not read."""
        self.clogged = False
        for attached in self.monitors.values():
            pending, attached.pending = attached.pending, None
            if pending:
                updates = attached.monitor.difference(pending)
                if updates:
                    self.send(attached.message(orjson.dumps(updates), attached.monitor.database.last_id))

    def database_gone(self, database: Database) -> None:
        """End monitors and requests of a database that is no longer served."""
        if not self.change_aware:
            self.close()
            return
        for key, attached in tuple(self.monitors.items()):
            if attached.monitor.database is database:
                self.send(jsonrpc.notification("monitor_canceled", [orjson.Fragment(attached.id)]))
                del self.monitors[key]
                self.service.unshare(attached.monitor)
        for key, waiting in tuple(self.waiting.items()):
            if waiting.database is database:
                self._end_waiting(key)
                error = UnknownDatabase(f"database {database.name} was removed")
                self.send(jsonrpc.error_reply(error.to_json(), id_=waiting.id))

    # -- methods --------------------------------------------------------------------------------------------------

    def _list_dbs(self, _params: list[Any], _id: Any) -> Any:
        return list(self.service.databases)

    def _get_schema(self, params: list[Any], _id: Any) -> Any:
        return self._database("get_schema", params).schema.to_json()

    def _get_server_id(self, _params: list[Any], _id: Any) -> Any:
        return self.service.id

    def _echo(self, params: list[Any], _id: Any) -> Any:
        return params

    def _set_db_change_aware(self, params: list[Any], _id: Any) -> Any:
        if len(params) != 1 or type(params[0]) is not bool:
            raise BadSyntax("set_db_change_aware request parameter must be a boolean", params)
        self.change_aware = params[0]
        return {}

    def _convert(self, params: list[Any], id_: Any) -> Any:
        database = self._database("convert", params)
        if len(params) != 2:
            raise BadSyntax("convert request params must be <db-name> and <database-schema>", params)
        if self.access.role not in ("", "root"):
            raise PermissionDenied(
                f'RBAC rules for client "{self.identity()}" role "{self.access.role}" prohibit "convert" of database '
                f"{database.name} (only the root role may convert databases)"
            )
        if self.read_only:  # the original lets it pass
            raise NotAllowed("convert not allowed when database server is in read only mode")
        schema = DatabaseSchema.from_json(params[1])
        if schema.name != database.name:
            raise BadSyntax(f"schema is for database {schema.name}, not {database.name}", params[1])
        converted = self.service.convert(database.name, schema)
        self.send(jsonrpc.reply({}, id_=id_))
        self.service.replace(converted)

    def _transact(self, params: list[Any], id_: Any) -> Any:
        database = self._database("transact", params)
        if jsonrpc.encode(id_) in self.waiting:
            raise BadSyntax("duplicate request ID", id_)
        if database.told:
            _tell(database, params[1:])
        self._execute(Waiting(database, id_, params[1:], self.service.now()))

    def _execute(self, request: Waiting) -> None:
        """Execute a `transact`; reply, or queue it."""
        execution = Execution(
            request.database,
            lambda name: self.service.locks.holds(self, name),
            (self.service.now() - request.since) * 1000,
            Authority(request.database.tables, role=self.access.role, client=self.identity())
            if self.access.role
            else None,
            read_only=self.read_only or request.database is self.service.directory,
        )
        try:
            results = execution.run(request.operations)
        except NotYet as wait:
            if len(self.waiting) >= WAITING:
                full = ResourcesExhausted(f"at most {WAITING} transactions of a client may wait")
                self.send(jsonrpc.error_reply(full.to_json(), id_=request.id))
                return
            key = jsonrpc.encode(request.id)
            if wait.timeout is not None:
                left = max(0.001, request.since + wait.timeout / 1000 - self.service.now())
                request.timer = self.service.later(left, lambda: self._retry_one(key))
            self.waiting[key] = request
            return
        if execution.durable and request.database.journal is not None:
            self.service.sync(request.database, lambda error: self._answer_durable(request.id, results, error))
        else:
            self.send(jsonrpc.reply(results, id_=request.id))

    def _answer_durable(self, id_: Any, results: list[Any], error: OvsdbError | None) -> None:
        if error is not None:
            results = [*results, error.to_json()]
        if self in self.service.sessions:
            self.send(jsonrpc.reply(results, id_=id_))

    def waits_for(self, database: Database) -> bool:
        """Return whether a request of this client waits for a change of a database."""
        return any(waiting.database is database for waiting in self.waiting.values())

    def retry(self, database: Database) -> None:
        """Try the waiting requests on a database again."""
        for key, waiting in tuple(self.waiting.items()):
            if waiting.database is database:
                self._retry_one(key)

    def _retry_one(self, key: bytes) -> None:
        waiting = self._end_waiting(key)
        if waiting is not None:
            self._execute(waiting)

    def _end_waiting(self, key: bytes) -> Waiting | None:
        waiting = self.waiting.pop(key, None)
        if waiting is not None and waiting.timer is not None:
            waiting.timer.cancel()
            waiting.timer = None
        return waiting

    def _cancel(self, id_: Any) -> None:
        waiting = self._end_waiting(jsonrpc.encode(id_))
        if waiting is not None:
            self.send(jsonrpc.error_reply("canceled", id_=waiting.id))

    def _monitor(self, params: list[Any], _id: Any) -> Any:
        return self._attach("monitor", params, 3, "update", 1)[1]

    def _monitor_cond(self, params: list[Any], _id: Any) -> Any:
        return self._attach("monitor_cond", params, 3, "update2", 2)[1]

    def _monitor_cond_since(self, params: list[Any], _id: Any) -> Any:
        database = self._database("monitor_cond_since", params)
        if len(params) != 4 or type(params[3]) is not str:
            raise BadSyntax("monitor_cond_since request params must end with <last-txn-id>", params)
        if not is_uuid(params[3]):
            raise BadSyntax("last-txn-id must be UUID format.", params[3])
        commits = database.since(params[3])
        attached, initial = self._attach("monitor_cond_since", params, 4, "update3", 2, initial=commits is None)
        if commits is not None:
            initial = attached.monitor.difference(merge(commits))
        return [commits is not None, database.last_id, initial]

    def _attach(
        self,
        name: str,
        params: list[Any],
        count: int,
        method: str,
        version: int,
        *,
        initial: bool = True,
    ) -> tuple[Attached, dict[str, Any]]:
        database = self._database(name, params)
        if len(params) != count and not (version == 1 and len(params) > count):  # as the original, which lets more pass
            raise BadSyntax(f"{name} request must have {count} params", params)
        key = jsonrpc.encode(params[1])
        if key in self.monitors:
            raise BadSyntax("duplicate monitor ID", params[1])
        if len(self.monitors) >= MONITORS:
            raise ResourcesExhausted(f"a client has at most {MONITORS} monitors")
        attached = Attached(self.service.share(Monitor(database, params[2], version)), params[1], method)
        self.monitors[key] = attached
        return attached, attached.monitor.initial() if initial else {}

    def _monitor_cond_change(self, params: list[Any], _id: Any) -> Any:
        if len(params) != 3:
            raise BadSyntax("invalid parameter", params)
        old_key, new_key = jsonrpc.encode(params[0]), jsonrpc.encode(params[1])
        attached = self.monitors.get(old_key)
        if attached is None:
            raise BadSyntax("unknown monitor session", params[0])
        if new_key != old_key and new_key in self.monitors:
            raise BadSyntax("duplicate monitor ID", params[1])
        before = attached.monitor
        after = before.with_conditions(params[2])
        if before.version == 1:  # `monitor` has no conditions, and the original says nothing of that
            after = before
        if attached.pending:
            updates = before.difference(attached.pending)
            attached.pending = None
            if updates:
                self.send(attached.message(orjson.dumps(updates), before.database.last_id))
        updates = before.transition(after)
        del self.monitors[old_key]
        attached.id = new_key
        attached.monitor = self.service.share(after)
        self.service.unshare(before)
        self.monitors[new_key] = attached
        if updates:
            self.send(attached.message(orjson.dumps(updates), before.database.last_id))
        return {}

    def _monitor_cancel(self, params: list[Any], _id: Any) -> Any:
        if len(params) != 1:
            raise Refusal("invalid parameters")
        attached = self.monitors.pop(jsonrpc.encode(params[0]), None)
        if attached is None:
            raise Refusal("unknown monitor")
        self.service.unshare(attached.monitor)
        return {}

    def _lock(self, params: list[Any], _id: Any) -> Any:
        return {"locked": self.service.locks.lock(self, self._lock_name("lock", params))}

    def _steal(self, params: list[Any], _id: Any) -> Any:
        return {"locked": self.service.locks.lock(self, self._lock_name("steal", params), steal=True)}

    def _unlock(self, params: list[Any], _id: Any) -> Any:
        self.service.locks.unlock(self, self._lock_name("unlock", params))
        return {}

    def _lock_name(self, method: str, params: list[Any]) -> str:
        if self.read_only:
            raise Refusal("lock and unlock methods not allowed, DB server is read only.")
        if len(params) != 1 or not is_identifier(params[0]):
            raise BadSyntax(f"{method} request params must be <id>", params)
        if method != "unlock" and self.service.locks.count(self) >= LOCKS:
            raise ResourcesExhausted(f"a client has at most {LOCKS} locks")
        return params[0]

    def _database(self, method: str, params: list[Any]) -> Database:
        return self.service.database(params[0] if params else None, method, params)


_METHODS: dict[str, Callable[[Session, list[Any], Any], Any]] = {
    "list_dbs": Session._list_dbs,
    "get_schema": Session._get_schema,
    "get_server_id": Session._get_server_id,
    "echo": Session._echo,
    "set_db_change_aware": Session._set_db_change_aware,
    "convert": Session._convert,
    "transact": Session._transact,
    "monitor": Session._monitor,
    "monitor_cond": Session._monitor_cond,
    "monitor_cond_since": Session._monitor_cond_since,
    "monitor_cond_change": Session._monitor_cond_change,
    "monitor_cancel": Session._monitor_cancel,
    "lock": Session._lock,
    "steal": Session._steal,
    "unlock": Session._unlock,
}
