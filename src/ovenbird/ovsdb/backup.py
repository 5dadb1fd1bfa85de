"""The backup of an active server: a replica that makes a local database equal to the remote one (ovsdb(7)).

Updates become transactions of the local database, with the same UUIDs: they are written to its journal and sent to its
clients. On each new connection the whole content is compared, and the differences are applied in one transaction;
until then clients read the old content. The owner must keep others from writing meanwhile (`Service.read_only`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ovenbird.engine.gc_pause import gc_paused
from ovenbird.ovsdb.errors import Disconnected, NotSupported, OvsdbError, ProtocolError, UnknownDatabase
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.row_updates import RowUpdater

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ovenbird.engine.rows import UUID, Row
    from ovenbird.ovsdb.commit import Commit, RowChange
    from ovenbird.ovsdb.database import Database
    from ovenbird.ovsdb.schema import DatabaseSchema
    from ovenbird.ovsdb.table import BoundTable
    from ovenbird.ovsdb.tls_keys import TlsKeys
    from ovenbird.ovsdb.transport import Remote

_log = logging.getLogger(__name__)

REFUSED = 60.0
"""Seconds until a server whose content cannot be replicated is tried again; reading it may take long."""


class Backup(Replica):
    """Follows one database of an active server.

    Arguments:
        database: the database here.
        active: the remote of the active server, such as `ssl:host:port`.
        excluded: tables that are not replicated.
        own_id: the id of this server, which must not follow itself.
        keys: for `ssl:` remotes.
        probe: seconds of silence before the active server is probed; 0 never.

    Raises:
        ValueError: `active` is no remote.
    """

    def __init__(
        self,
        database: Database,
        active: str,
        excluded: Collection[str] = (),
        *,
        own_id: str = "",
        keys: TlsKeys | None = None,
        probe: float = 60.0,
    ) -> None:
        super().__init__(active, database=database.name, keys=keys, probe=probe)
        self.failure = ""
        """Why the content of the last server cannot be replicated; empty if it can."""
        self._target = database
        self._excluded = frozenset(excluded)
        self._own_id = own_id

    def follow(self) -> None:
        """Start connecting, and return at once."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"backup of {self.database}")

    def stop(self) -> None:
        """Stop replication."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._drop()

    async def _serve(self, remote: Remote) -> bool:
        try:
            done = await super()._serve(remote)
        except UnknownDatabase:  # it may come, and asking costs nothing
            raise
        except (OvsdbError, ProtocolError) as error:
            self._fail(error)
        except (OSError, Disconnected, TimeoutError):
            if not self.failure:
                raise
        else:
            if not self.failure:
                return done
        self._drop()
        await asyncio.sleep(REFUSED)
        self.failure = ""
        return False

    def _fail(self, error: Exception) -> None:
        self.failure = str(error)
        _log.error("database %s cannot be replicated, next attempt in %.0f s: %s", self.database, REFUSED, error)

    async def _suitable(self) -> bool:
        if self._own_id:
            try:
                found = await self.call("get_server_id", [])
            except OvsdbError as error:
                if "unknown method" not in str(error):
                    raise
            else:
                if found == self._own_id:
                    raise NotSupported("the active server is this one")
        return await super()._suitable()

    def _updater_of(self, schema: DatabaseSchema) -> RowUpdater:
        return BackupUpdater(self._target, schema, self._excluded, self._fail)


class BackupUpdater(RowUpdater):
    """The tables of a database that follow those of a server.

    Arguments:
        database: the database.
        schema: the schema of the server.
        excluded: tables that are not replicated.
        failed: called with the refusal, if the database refuses changes.

    Raises:
        NotSupported: the database lacks a table or column of the server's, or has it with another type.
    """

    resumable = False

    def __init__(
        self,
        database: Database,
        schema: DatabaseSchema,
        excluded: frozenset[str],
        failed: Callable[[Exception], None],
    ) -> None:
        self.schema = schema
        self.omitted = {}
        self.store = database.store
        self.tables = {name: table for name, table in database.tables.items() if name not in excluded}
        self._database = database
        self._failed = failed
        for table in schema.tables.values():
            if table.name in excluded:
                continue
            here = database.schema.tables.get(table.name)
            columns = {} if here is None else {column.name: column for column in here.columns}
            for column in table.columns:
                if columns.get(column.name) != column:
                    what = f"column {column.name} of table {table.name}"
                    raise NotSupported(
                        f"schema {schema.version} there has another {what} than {database.schema.version} here"
                    )

    def request(self, conditions: dict[str, list[Any]], *, conditional: bool) -> dict[str, Any]:
        """Return the monitor request for the columns that the server has."""
        del conditions, conditional
        there = self.schema.tables
        return {name: [{"columns": list(there[name].position)}] for name in self.tables if name in there}

    def _modified(self, table: BoundTable, uuid: UUID, row: Row | None, diffs: dict[str, Any]) -> RowChange | None:
        if row is None:  # only rows of excluded tables refer to it, so it was collected here
            return None
        return super()._modified(table, uuid, row, diffs)

    @gc_paused
    def _put(self, changes: dict[str, list[RowChange]], last_id: str) -> Commit:
        """Commit the changes to the database.

        Raises:
            ProtocolError: it refuses them.
        """
        del last_id
        transaction = self._database.transaction()
        try:
            for some in changes.values():
                for change in some:
                    if change.row is None:
                        assert change.new is not None  # noqa: S101 - it is neither here nor there otherwise
                        transaction.stage_insert(change.table, change.new, change.uuid)
                        continue
                    staged = transaction.stage_row(change.table, change.row)
                    if change.new is None:
                        transaction.remove(staged)
                    for position in change.columns:
                        if change.table.layout[position].type.is_set:
                            insert, delete = change.delta(position)
                            staged.edit(position, insert=insert, delete=delete)
                        else:
                            staged.put(position, change.new[position])  # type: ignore[index]
            return transaction.commit()
        except OvsdbError as refusal:
            self._failed(refusal)
            raise ProtocolError(str(refusal)) from refusal
