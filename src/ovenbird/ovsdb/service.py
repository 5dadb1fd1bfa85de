"""What a server serves, without I/O: databases, the `_Server` database that describes them, locks, sessions, waits.

The owner supplies the three things that need I/O: `later` (run a function after some seconds, or soon), `sync` (write a
database's journal to disk, then run a function) and `now`. Commits in process and commits by clients take the same
path: `publish` informs the sessions, and requests whose `wait` did not hold are tried again after the commit.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from ovenbird.ovsdb import notation
from ovenbird.ovsdb.conversion import convert
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.errors import BadSyntax, NotSupported, OvsdbError, UnknownDatabase
from ovenbird.ovsdb.lock import Locks
from ovenbird.ovsdb.schema import DatabaseSchema

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.ovsdb.commit import Commit
    from ovenbird.ovsdb.monitor import Monitor
    from ovenbird.ovsdb.session import Session

_log = logging.getLogger(__name__)

SERVER_SCHEMA: dict[str, Any] = {
    "name": "_Server",
    "version": "1.2.0",
    "tables": {
        "Database": {
            "columns": {
                "name": {"type": "string"},
                "model": {"type": {"key": {"type": "string", "enum": ["set", ["clustered", "relay", "standalone"]]}}},
                "connected": {"type": "boolean"},
                "leader": {"type": "boolean"},
                "schema": {"type": {"key": "string", "min": 0}},
                "cid": {"type": {"key": "uuid", "min": 0}},
                "sid": {"type": {"key": "uuid", "min": 0}},
                "index": {"type": {"key": "integer", "min": 0}},
            },
        },
    },
}
"""The schema of `_Server` (ovsdb-server(5))."""


class Timer(Protocol):
    """A function that will run later."""

    def cancel(self) -> None:
        """Cancel it."""


def _soon(_seconds: float, function: Callable[[], None]) -> Timer:
    """Call a function at once; for use without an event loop."""
    function()
    return _DONE


class _Done:
    def cancel(self) -> None:
        """Do nothing: it ran already."""


_DONE = _Done()


def _sync_now(database: Database, done: Callable[[OvsdbError | None], None]) -> None:
    """Sync a journal at once."""
    error: OvsdbError | None = None
    if database.journal is not None:
        try:
            database.journal.sync()
        except OvsdbError as failure:
            error = failure
    done(error)


class Service:
    """The databases of one server, with its locks and shared monitors.

    Arguments:
        later: runs a function after some seconds.
        sync: puts a database's journal on the disk, then calls back with the error, if there was one.
    """

    def __init__(
        self,
        later: Callable[[float, Callable[[], None]], Timer] = _soon,
        sync: Callable[[Database, Callable[[OvsdbError | None], None]], None] = _sync_now,
    ) -> None:
        self.later = later
        self.sync = sync
        self.now = time.monotonic
        self.id = notation.new_uuid()
        self.read_only = False
        """Whether clients are read-only, as those of a backup."""
        self.locks = Locks()
        self.databases: dict[str, Database] = {}
        self.sessions: dict[Session, None] = {}
        self._monitors: dict[Any, list[Any]] = {}  # key -> [monitor, how many use it]
        self._unsubscribe: dict[str, Callable[[], None]] = {}
        self._retrying: set[str] = set()
        self.directory = Database(DatabaseSchema.from_json(SERVER_SCHEMA))
        self.add(self.directory)

    def add(self, database: Database) -> None:
        """Serve a database.

        Raises:
            ValueError: one of its name is served already.
        """
        if database.name in self.databases:
            raise ValueError(f"database {database.name} is served already")
        self.databases[database.name] = database
        self._unsubscribe[database.name] = database.subscribe(lambda commit: self.publish(database, commit))
        transaction = self.directory.transaction()
        transaction.insert(
            "Database",
            {
                "name": database.name,
                "model": "standalone",
                "connected": True,
                "leader": True,
                "schema": orjson.dumps(database.schema.to_json()).decode(),
            },
        )
        transaction.commit()

    def remove(self, name: str) -> Database:
        """Stop serving a database; its monitors are cancelled."""
        database = self.databases.pop(name)
        self._unsubscribe.pop(name)()
        for session in tuple(self.sessions):
            session.database_gone(database)
        transaction = self.directory.transaction()
        for row in tuple(self.directory.tables["Database"].table.rows.values()):
            if row["name"] == name:
                transaction.delete(row)
        transaction.commit()
        return database

    def database(self, name: Any, method: str, params: Any) -> Database:
        """Return a database by its name.

        Arguments:
            name: what a request has in the name's place.
            method: the request's, for the error.
            params: the request's, for the error.

        Raises:
            BadSyntax: the name is not a string.
            UnknownDatabase: it is not served.
        """
        if type(name) is not str:
            raise BadSyntax(f"{method} request params must begin with <db-name>", params)
        found = self.databases.get(name)
        if found is None:
            raise UnknownDatabase(f"{method} request specifies unknown database {name}", params)
        return found

    def convert(self, name: str, schema: DatabaseSchema) -> Database:
        """Return a database with another schema, and its journal; the contents that both schemas have are kept.

        To be followed by `replace`, before anything else happens.

        Raises:
            NotSupported: the database's rows have typed classes, made for its schema.
            ConstraintViolation, ReferentialIntegrityViolation: the contents do not fit.
        """
        old = self.databases[name]
        if old.typed or name == "_Server":
            raise NotSupported(
                f"database {name} is not converted while it is served, since this process compiles its rows: "
                "stop it, convert the file (ovsdb-tool convert), and start it again"
            )
        return convert(old, schema)

    def replace(self, new: Database) -> None:
        """Serve a converted database in place of the old one, which takes no more commits."""
        old = self.remove(new.name)
        old.replaced, old.journal = True, None
        self.add(new)

    # -- sessions -------------------------------------------------------------------------------------------------

    def share(self, monitor: Monitor) -> Monitor:
        """Return the shared monitor that equals this one; release it with `unshare`."""
        entry = self._monitors.setdefault(monitor.key, [monitor, 0])
        entry[1] += 1
        shared: Monitor = entry[0]
        return shared

    def unshare(self, monitor: Monitor) -> None:
        """Release a shared monitor."""
        key = monitor.key
        entry = self._monitors[key]
        entry[1] -= 1
        if not entry[1]:
            del self._monitors[key]

    def publish(self, database: Database, commit: Commit) -> None:
        """Notify the sessions of a commit, and have waiting requests tried again."""
        waiting = False
        for session in tuple(self.sessions):
            session.publish(database, commit)
            waiting = waiting or session.waits_for(database)
        if waiting and database.name not in self._retrying:
            self._retrying.add(database.name)
            self.later(0, lambda: self._retry(database))

    def _retry(self, database: Database) -> None:
        self._retrying.discard(database.name)
        for session in tuple(self.sessions):
            session.retry(database)
