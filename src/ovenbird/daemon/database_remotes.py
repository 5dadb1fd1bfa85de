"""Remotes that a database names: `db:DB,TABLE,COLUMN` (ovsdb-server(1)), and the rows that describe them.

Where the column refers to rows (as `SB_Global.connections` does), a row's `target` is a remote, its `role` and
`read_only` are what clients there may do, and `inactivity_probe` is when they are probed. What changes in these closes
the remote's connections. The server writes the columns `is_connected` and `status` of the row.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ovenbird.daemon.errors import UsageError
from ovenbird.ovsdb.errors import OvsdbError
from ovenbird.ovsdb.rbac import FULL, Access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.rows import Column, Row, Table
    from ovenbird.ovsdb.commit import Commit
    from ovenbird.ovsdb.server import Server

log = logging.getLogger(__name__)

STATUS_INTERVAL = 2.5
"""Seconds between two looks at what the rows of remotes say of them (the original's)."""


def database_column(server: Server, spec: str) -> tuple[Table[Row], Column[Any]]:
    """Return the table and column that `db:DB,TABLE,COLUMN` names (ovsdb-server(1)).

    Raises:
        UsageError: it is not of that form, or there is no such column.
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


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How a remote is to be served; None for the usual probes."""

    access: Access = FULL
    probe: float | None = None


class DatabaseRemotes:
    """Keeps a server's remotes as a column of one of its databases says.

    Arguments:
        server: the server.
        spec: the remote as given.
    """

    def __init__(self, server: Server, spec: str) -> None:
        self.server = server
        self.spec = spec
        self.table, self.column = database_column(server, spec)
        self.database = server.service.databases[self.table.store.name]
        self._open: dict[str, _Wanted] = {}
        self._applying = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = self.database.subscribe(self._changed)
        if self.column.target is not None:
            self._start(self._report())

    @property
    def open(self) -> set[str]:
        """The remotes that are served now."""
        return set(self._open)

    async def apply(self) -> None:
        """Open what is wanted and not open, close what is no longer wanted, or not like that."""
        async with self._applying:
            wanted = self._wanted()
            for remote in [remote for remote, how in self._open.items() if wanted.get(remote) != how]:
                await self.server.unlisten(remote)
                del self._open[remote]
            for remote, how in wanted.items():
                if remote not in self._open:
                    try:
                        await self.server.listen(remote, how.access, how.probe)
                        self._open[remote] = how
                    except (OSError, ValueError) as e:
                        log.warning("%s: cannot serve at %s: %s", self.spec, remote, e)
        self._write_status()

    def close(self) -> None:
        """Follow the column no more."""
        self._stop()
        for task in self._tasks:
            task.cancel()

    def _elements(self) -> Iterator[Any]:
        for row in self.table.rows.values():
            value = row.values[self.column.index]
            yield from value if isinstance(value, frozenset) else [value] if value else []

    def _rows(self) -> Iterator[Row]:
        """Yield the rows that describe remotes."""
        if self.column.target is not None:
            rows = self.table.store.tables[self.column.target].rows
            yield from (row for uuid in self._elements() if (row := rows.get(uuid)) is not None and row["target"])

    def _wanted(self) -> dict[str, _Wanted]:
        if self.column.target is None:
            return dict.fromkeys(self._elements(), _Wanted())
        return {row["target"]: _described(row) for row in self._rows()}

    def _changed(self, commit: Commit) -> None:
        if not commit.changes.keys().isdisjoint((self.table.name, self.column.target)) and self._wanted() != self._open:
            self._start(self.apply())

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(STATUS_INTERVAL)
            try:
                self._write_status()
            except Exception:
                log.exception("%s: the status of remotes is not known", self.spec)

    def _write_status(self) -> None:
        """Write what has changed of the remotes' status into their rows, unless those are another server's."""
        if self.server.service.read_only:
            return
        transaction = self.database.transaction()
        for row in self._rows():
            connected, status = self.server.status(row["target"]) if row["target"] in self._open else (False, {})
            for name, value in (("is_connected", connected), ("status", status)):
                if name in type(row).BY_NAME and row[name] != value:
                    transaction.update(row, {name: value})
        if not transaction.empty:
            try:
                transaction.commit()
            except OvsdbError as refusal:
                log.warning("%s: the status of remotes cannot be written: %s", self.spec, refusal)


def _described(row: Row) -> _Wanted:
    """Return how a row says that its remote is to be served."""

    def column(name: str, default: Any) -> Any:
        return row[name] if name in type(row).BY_NAME else default

    milliseconds = column("inactivity_probe", None)
    probe = None if milliseconds is None else milliseconds / 1000
    return _Wanted(Access(column("role", ""), bool(column("read_only", False))), probe)
