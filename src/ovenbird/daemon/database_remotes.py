"""Remotes that a database names: `db:DB,TABLE,COLUMN` (ovsdb-server(1)), and the rows that describe them.

Where the column refers to rows (as `SB_Global.connections` does), a row's `target` is a remote, `role` and `read_only`
say what its clients may do, `inactivity_probe` when they are probed, and `max_backoff` how long an active remote waits
at most before it reconnects. A change of these closes the remote's connections. The server writes the columns
`is_connected` and `status` of the row.

A remote that cannot be served now (its port is taken, its address not there yet) is tried again; the reason is logged
once and stands in the row's `status:last_error`, as do errors in the keys of a TLS remote.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ovenbird.daemon.errors import UsageError
from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.ovsdb.errors import OvsdbError
from ovenbird.ovsdb.rbac import FULL, ClientAccess
from ovenbird.ovsdb.transport import Remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovenbird.engine.rows import Column, Row, Table
    from ovenbird.ovsdb.commit import Commit
    from ovenbird.ovsdb.database import Database
    from ovenbird.ovsdb.server import Server

log = logging.getLogger(__name__)

STATUS_INTERVAL = 2.5
"""Seconds between two updates of remotes' status in rows, as in ovsdb-server, and between attempts at failed ones."""

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what a remote without a host, and `[::]`, stand for
"""Addresses that stand for all addresses of this machine."""


def database_column(server: Server, spec: str) -> tuple[Table[Row], Column[Any]]:
    """Return the table and column that `db:DB,TABLE,COLUMN` names (ovsdb-server(1)).

    Raises:
        UsageError: it has another form, or there is no such column.
    """
    parts = spec.removeprefix("db:").split(",")
    if len(parts) != 3:
        raise UsageError(f"{spec}: not of the form db:DB,TABLE,COLUMN")
    name, table, column = parts
    database = server.service.databases.get(name)
    if database is None or table not in database.tables:
        raise UsageError(f"{spec}: no database {name} with a table {table}")
    bound = database.tables[table].table
    if column not in bound.row_class.BY_NAME:
        raise UsageError(f"{spec}: table {table} has no column {column}")
    return bound, bound.row_class.BY_NAME[column]


def database_text(server: Server, text: str) -> str:
    """Return the value of an option's text: for `db:DB,TABLE,COLUMN`, the first string in that column."""
    if not text.startswith("db:"):
        return text
    try:
        table, column = database_column(server, text)
    except UsageError as e:
        log.warning("%s", e)
        return ""
    values = [row.values[column.index] for row in table.rows.values()]
    return next((value for value in values if type(value) is str and value), "")


def replaces(target: str, *, remote: str) -> bool:
    """Return whether a target replaces a passive remote: it has the same port, at the same or all addresses."""
    try:
        at, given = Remote.parse(remote), Remote.parse(target)
    except ValueError:
        return False
    if not given.passive or "unix" in (at.kind, given.kind) or given.port != at.port:
        return False
    return given.address in (at.address, *EVERYWHERE)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The options of a remote; None for the default probes and pauses."""

    access: ClientAccess = FULL
    _: KW_ONLY
    probe: float | None = None
    pause: float | None = None


class DatabaseRemotes:
    """Keeps a server's remotes equal to a column of one of its databases.

    Arguments:
        server: the server.
        spec: the remote as given.
        otherwise: a passive remote that is served while the database has none that replaces it.

    Raises:
        UsageError: there is no such column.
    """

    def __init__(self, server: Server, spec: str, *, otherwise: str | None = None) -> None:
        self.server = server
        self.spec = spec
        self.otherwise = otherwise
        self._open: dict[str, _Wanted] = {}
        self._failed: dict[str, str] = {}
        self._applying = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._database: Database | None = None
        self._stop: Callable[[], None] = lambda: None
        self._bind(*database_column(server, spec))
        self._stop_directory = server.service.directory.subscribe(self._databases_changed)
        self._start(self._repeat())

    @property
    def open(self) -> set[str]:
        """The remotes that are served."""
        return set(self._open)

    @property
    def failed(self) -> dict[str, str]:
        """The remotes that cannot be served now, and why."""
        return dict(self._failed)

    async def apply(self) -> None:
        """Open missing remotes, and close those that are not wanted or have other options."""
        async with self._applying:
            wanted = self._wanted()
            for remote in [remote for remote, how in self._open.items() if wanted.get(remote) != how]:
                del self._open[remote]
                await self.server.unlisten(remote)
            failed, self._failed = self._failed, {}
            for remote, how in wanted.items():
                if remote not in self._open:
                    try:
                        await self.server.listen(remote, how.access, probe=how.probe, pause=how.pause)
                        self._open[remote] = how
                    except (OSError, ValueError) as e:
                        self._failed[remote] = why = str(getattr(e, "strerror", None) or e)
                        if failed.get(remote) != why:
                            log.warning("%s: cannot serve at %s: %s; trying again", self.spec, remote, why)
        self._write_status()

    async def close(self) -> None:
        """Stop following the column, and close its remotes."""
        self._stop()
        self._stop_directory()
        for task in self._tasks:
            task.cancel()
        async with self._applying:
            for remote in self._open:
                await self.server.unlisten(remote)
            self._open = {}

    def _bind(self, table: Table[Row], column: Column[Any]) -> None:
        self._table, self._column = table, column
        self._database = self.server.service.databases[table.store.name]
        self._stop = self._database.subscribe(self._changed)

    def _databases_changed(self, _: Commit) -> None:
        """Follow the column in the present database of that name, which may have been converted."""
        name = self._table.store.name
        if self.server.service.databases.get(name) is self._database:
            return
        self._stop()
        self._database, self._stop = None, lambda: None
        try:
            self._bind(*database_column(self.server, self.spec))
        except UsageError as e:
            log.warning("%s; it is not served", e)
        self._start(self.apply())

    def _elements(self) -> Iterator[Any]:
        for row in self._table.rows.values():
            value = row.values[self._column.index]
            yield from value if isinstance(value, frozenset) else [value] if value else []

    def _rows(self) -> Iterator[Row]:
        """Yield the rows that describe remotes."""
        if self._column.target is not None and self._database is not None:
            rows = self._table.store.tables[self._column.target].rows
            yield from (row for uuid in self._elements() if (row := rows.get(uuid)) is not None and row["target"])

    def _wanted(self) -> dict[str, _Wanted]:
        wanted: dict[str, _Wanted] = {}
        if self._column.target is not None:
            wanted = {row["target"]: _described(row) for row in self._rows()}
        elif self._database is not None:
            wanted = dict.fromkeys(self._elements(), _Wanted())
        if self.otherwise is not None and not any(replaces(target, remote=self.otherwise) for target in wanted):
            wanted[self.otherwise] = _Wanted()
        return wanted

    def _changed(self, commit: Commit) -> None:
        tables = (self._table.name, self._column.target)
        if not commit.changes.keys().isdisjoint(tables) and self._wanted() != self._open:
            self._start(self.apply())

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(STATUS_INTERVAL)
            try:
                if self._failed:
                    await self.apply()
                else:
                    self._write_status()
            except Exception:
                log.exception("%s: the status of remotes is not known", self.spec)

    def _status(self, remote: str) -> tuple[bool, dict[str, str]]:
        if remote in self._failed:
            return False, {"state": "BACKOFF", "last_error": self._failed[remote]}
        return self.server.status(remote) if remote in self._open else (False, {})

    def _write_status(self) -> None:
        """Write changes of the remotes' status into their rows, unless these belong to another server."""
        if self.server.service.read_only or self._database is None:
            return
        transaction = self._database.transaction()
        for row in self._rows():
            connected, status = self._status(row["target"])
            for name, value in (("is_connected", connected), ("status", status)):
                if name in type(row).BY_NAME and row[name] != value:
                    transaction.update(row, {name: value})
        if not transaction.empty:
            try:
                transaction.commit()
            except OvsdbError as refusal:
                log.warning("%s: the status of remotes cannot be written: %s", self.spec, refusal)


def _described(row: Row) -> _Wanted:
    """Return the options of a remote in its row."""

    def column(name: str, default: Any) -> Any:
        return row[name] if name in type(row).BY_NAME else default

    def seconds(name: str) -> float | None:
        milliseconds = column(name, None)
        return None if milliseconds is None else max(milliseconds, 0) / 1000

    access = ClientAccess(column("role", ""), bool(column("read_only", False)))
    return _Wanted(access, probe=seconds("inactivity_probe"), pause=seconds("max_backoff"))
