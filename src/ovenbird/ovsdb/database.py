"""A database in process: its tables and their commits.

A commit is first written to the journal, then applied to the engine's tables, then given to the subscribers as a
`Commit`. If the journal cannot be written nothing else happens, so that memory and file never differ.
"""

# ruff: noqa: S101 - the assertions say what the type checker cannot know
from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from ovenbird.engine.gc_pause import gc_paused
from ovenbird.ovsdb import notation
from ovenbird.ovsdb.commit import Commit, RowChange, put
from ovenbird.ovsdb.errors import NotOwner, TimedOut, UnknownDatabase
from ovenbird.ovsdb.integrity import Assessment, Integrity
from ovenbird.ovsdb.table import BoundTable, bind
from ovenbird.ovsdb.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovenbird.engine.rows import UUID, Row, Store
    from ovenbird.ovsdb.journal import Journal
    from ovenbird.ovsdb.schema import DatabaseSchema

_log = logging.getLogger(__name__)

HISTORY = 1000
"""Commits that `monitor_cond_since` can resume from."""
HISTORY_ROWS = 100_000
"""Maximum row changes in the history, so that memory stays bounded."""


class LocalTransaction(Transaction):
    """A transaction of a database in process."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.tables)
        self._database = database

    def commit(self) -> Commit:
        """Commit at once; see `Database.commit`."""
        return self._database.commit(self)


class Database:
    """The rows of one schema, changed by transactions alone.

    Arguments:
        schema: the schema.
        row_classes: typed row classes for some or all tables.
        journal: where commits are kept; in memory only if `None`.
    """

    def __init__(
        self,
        schema: DatabaseSchema,
        row_classes: Iterable[type[Row]] = (),
        journal: Journal | None = None,
    ) -> None:
        self.schema = schema
        self.name = schema.name
        self.journal = journal
        self.replaced = False
        """Whether this database was replaced by a converted one."""
        self.store: Store
        self.tables: dict[str, BoundTable]
        classes = tuple(row_classes)
        self.store, self.tables = bind(schema, classes)
        self.integrity = Integrity(self.tables)
        self.told: set[str] = set()
        """The tables whose operations are logged (`ovsdb-server/tlog-set`)."""
        self.last_id = notation.new_uuid()
        self.serial = 0
        self.history: deque[Commit] = deque()
        self._history_rows = 0
        self.history_start = self.last_id
        """The transaction id just before the oldest commit of the history."""
        self._subscribers: list[Callable[[Commit], None]] = []
        self.typed = bool(classes)
        """Whether row classes were given, which only fit this schema."""

    def transaction(self) -> LocalTransaction:
        """Return a new transaction."""
        return LocalTransaction(self)

    def subscribe(self, callback: Callable[[Commit], None]) -> Callable[[], None]:
        """Call a function after each commit; return a function that ends this."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    @gc_paused
    def commit(self, transaction: Transaction, *, holds: Callable[[str], bool] = lambda _name: False) -> Commit:
        """Check and apply a transaction, completely or not at all.

        Arguments:
            transaction: what to commit.
            holds: whether the committing client holds a lock.

        Returns:
            The commit; without changes where the transaction changed nothing.

        Raises:
            OvsdbError: a constraint, reference, `wait` or lock does not hold, or the journal cannot be written.
        """
        if self.replaced:
            raise UnknownDatabase(f"database {self.name} was converted to another schema")
        for name in transaction.locks:
            if not holds(name):
                raise NotOwner(f"Asserted lock {name} not held.")
        for table, uuid, expected in transaction.waits:
            row = table.table.rows.get(uuid)
            if row is None or any(row.values[position] != value for position, value in expected.items()):
                raise TimedOut(f"row {uuid} of table {table.name} is not as expected")
        changes, shift = Assessment(self.integrity, transaction).run()
        comment = "\n".join(transaction.comments)
        if not changes:
            return Commit(self.last_id, {}, comment)
        commit = Commit(notation.new_uuid(), changes, comment)
        if self.journal is not None:
            self.journal.append(commit)
        self._apply(commit, shift)
        self._remember(commit)
        for callback in tuple(self._subscribers):
            try:
                callback(commit)
            except Exception:  # noqa: BLE001 - the commit is done, even if a listener fails
                _log.exception("subscriber of database %s failed", self.name)
        return commit

    def _apply(self, commit: Commit, shift: dict[str, dict[UUID, int]]) -> None:
        self.integrity.record(commit.changes)
        for name, steps in shift.items():
            counts = self.integrity.counts[name]
            for uuid, step in steps.items():
                count = counts.get(uuid, 0) + step
                if count:
                    counts[uuid] = count
                else:
                    counts.pop(uuid, None)
        edits = put(commit.changes)
        self.serial += 1
        for change in edits:
            if change.new is None:
                change.table.versions.pop(change.uuid, None)
            else:
                change.table.versions[change.uuid] = self.serial
        self.last_id = commit.id

    def _remember(self, commit: Commit) -> None:
        self.history.append(commit)
        self._history_rows += commit.size
        while self.history and (len(self.history) > HISTORY or self._history_rows > HISTORY_ROWS):
            oldest = self.history.popleft()
            self._history_rows -= oldest.size
            self.history_start = oldest.id

    def since(self, transaction_id: str) -> list[Commit] | None:
        """Return the commits after one, oldest first; `None` if that one is not in the history."""
        if transaction_id == self.last_id:
            return []
        answer: list[Commit] = []
        for commit in reversed(self.history):
            if commit.id == transaction_id:
                return answer[::-1]
            answer.append(commit)
        return answer[::-1] if transaction_id == self.history_start else None

    @gc_paused
    def load(self, rows: Iterable[tuple[BoundTable, UUID, list[Any]]]) -> None:
        """Fill an empty database with rows from a journal, without checking them or notifying subscribers."""
        changes: dict[str, list[RowChange]] = {}
        for table, uuid, values in rows:
            row = table.table.insert(uuid, values)
            changes.setdefault(table.name, []).append(RowChange(table, uuid, row, values))
        counts = self.integrity.counts
        for name, some in changes.items():
            for reference in self.tables[name].strong:
                for change in some:
                    assert change.new is not None
                    for target, uuid in reference.targets(change.new[reference.position], weak=False):
                        if uuid != change.uuid or target != name:
                            counts[target][uuid] = counts[target].get(uuid, 0) + 1
        self.integrity.record(changes)
