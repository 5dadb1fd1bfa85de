"""Transactions: changes staged beside the tables, so that readers never see uncommitted values (RFC 7047, 4.1.3).

The same staging serves the JSON operations of a server's clients, typed writers in process, and a replica, which
encodes what is staged as operations. Cost is proportional to what is staged: a set that gains a member is examined as a
whole only once, when it is frozen.

A server may be older or newer than our row classes. Tables and columns that it lacks are left out of what is written,
as the original does, and read as their defaults.

`Client` is what code that reads and writes a database depends on: the in-process database and the replica are both one.
"""

# ruff: noqa: S101 - the assertions say what the type checker cannot know
from __future__ import annotations

from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any, Protocol

from ovenbird.engine.rows import UUID, Row, Store
from ovenbird.ovsdb import notation
from ovenbird.ovsdb.commit import RowChange
from ovenbird.ovsdb.errors import BadSyntax, ConstraintViolation, DuplicateUuid, UnknownTable
from ovenbird.ovsdb.shared_set import exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from ovenbird.ovsdb.commit import Commit
    from ovenbird.ovsdb.schema import DatabaseSchema
    from ovenbird.ovsdb.table import BoundTable

_ATOMS = {int, str, NoneType}
"""Types whose valid values are always canonical."""

_ROWS_AT_ONCE = 1024

Target = Row | UUID | str
TableName = str | type[Row]


class Staged(RowChange):
    """A new row of a transaction, the very change that the commit will hold; `StagedEdit` is one that was there.

    `values` is what the row will hold, `live` the sets and maps under construction: the dict, or what the set gains and
    loses, so that a large set is copied once.

    Arguments:
        table: the row's table.
        uuid: the row's UUID.
        values: its values, in the order of the columns.
    """

    __slots__ = ("live", "values")

    changed: AbstractSet[int] = frozenset()
    """The positions of columns given so far; not used for new rows."""
    touched: dict[int, set[Any]] | None = None
    """The members given so far of sets and maps that are changed member by member; not used for new rows."""
    deleted = False

    def __init__(self, table: BoundTable, uuid: UUID, values: list[Any]) -> None:
        self.table = table
        self.uuid = uuid
        self.row = None
        self.new = self.values = values
        self.live: dict[int, Any] | None = None

    def freeze(self) -> list[Any]:
        """Complete the sets and maps under construction, and return the values."""
        if self.live:
            for position, live in self.live.items():
                type_ = self.table.layout[position].type
                if type_.value is None:
                    live = exchange(notation.members(type_, self.values[position]), few=live[0] | live[1])  # noqa: PLW2901
                self.values[position] = notation.from_members(type_, live)
            self.live = None
        return self.values

    def put(self, position: int, value: Any) -> None:
        """Replace the value of a column."""
        self.values[position] = value
        if self.live:
            self.live.pop(position, None)

    def edit(self, position: int, *, insert: Any, delete: Any) -> None:
        """Remove members from a set or map column and then add members.

        Arguments:
            position: the column's in its table.
            insert: members, or pairs, to add.
            delete: members, or pairs, to remove.

        Raises:
            ConstraintViolation: too few or too many would remain.
        """
        type_ = self.table.layout[position].type
        if self.live is None:
            self.live = {}
        present = notation.members(type_, self.values[position])
        live = self.live.get(position)
        if type_.value is None:
            if live is None:
                live = self.live[position] = (set(), set())
            type_.check_count(len(present) + _edit_set(present, live[0], live[1], insert, delete))
        else:
            if live is None:
                live = self.live[position] = dict(present)
            _edit_map(live, insert, delete)
            type_.check_count(len(live))


class StagedEdit(Staged):
    """A transaction's change of an existing row; the commit has a `RowEdit` of the effective change."""

    __slots__ = ("changed", "deleted", "touched")

    def __init__(self, table: BoundTable, row: Row) -> None:
        self.table = table
        self.uuid = row.uuid
        self.row: Row = row
        self.new = self.values = row.values.copy()
        self.live = None
        self.changed: set[int] = set()
        self.touched = None
        self.deleted = False

    def put(self, position: int, value: Any) -> None:
        """Replace the value of a column, and record the column."""
        super().put(position, value)
        self.changed.add(position)
        if self.touched:
            self.touched.pop(position, None)

    def edit(self, position: int, *, insert: Any, delete: Any) -> None:
        """Remove members from a set or map column and then add members, and record them.

        Arguments:
            position: the column's in its table.
            insert: members, or pairs, to add.
            delete: members, or pairs, to remove.

        Raises:
            ConstraintViolation: too few or too many would remain.
        """
        if position not in self.changed or (self.touched and position in self.touched):
            if self.touched is None:
                self.touched = {}
            touched = self.touched.setdefault(position, set())
            touched.update(insert)
            touched.update(delete)
        self.changed.add(position)
        super().edit(position, insert=insert, delete=delete)

    def reinsert(self, values: list[Any]) -> None:
        """Insert a row again that this transaction has deleted; the differences are its change."""
        self.deleted = False
        for position, value in enumerate(values):
            if position in self.changed or self.values[position] != value:
                self.put(position, value)

    def delta(self, position: int) -> notation.ValueDelta:
        """Return the members that a set or map column gains and loses; call after `freeze`."""
        type_ = self.table.layout[position].type
        old, new = self.row.values[position], self.values[position]
        touched = self.touched.get(position) if self.touched else None
        if touched is None:
            return notation.delta_of(type_, old=old, new=new)
        if type_.value is not None:
            changed = [key for key in touched if (key in old) != (key in new) or (key in old and old[key] != new[key])]
            return {k: new[k] for k in changed if k in new}, {k: old[k] for k in changed if k in old}
        return frozenset(m for m in touched if m in new and m not in old), frozenset(
            m for m in touched if m in old and m not in new
        )


def _edit_set(present: frozenset[Any], added: set[Any], removed: set[Any], insert: Any, delete: Any) -> int:
    """Update the members that a set gains and loses; return by how much it grows."""
    for member in delete:
        if member in present:
            removed.add(member)
        else:
            added.discard(member)
    for member in insert:
        if member in present:
            removed.discard(member)
        else:
            added.add(member)
    return len(added) - len(removed)


def _edit_map(members: dict[Any, Any], insert: Any, delete: Any) -> None:
    """Remove pairs (of a dict) or keys from a map, then add pairs whose keys it does not have."""
    if type(delete) is dict:
        for key, value in delete.items():
            if key in members and members[key] == value:
                del members[key]
    else:
        for key in delete:
            members.pop(key, None)
    if insert:
        for key, value in insert.items():
            members.setdefault(key, value)


class Transaction:
    """Changes to rows of one database, made together or not at all.

    Arguments:
        tables: the database's tables by name.
    """

    def __init__(self, tables: Mapping[str, BoundTable]) -> None:
        self.tables = tables
        self.staged: dict[str, dict[UUID, Staged]] = {}
        self.waits: list[tuple[BoundTable, UUID, dict[int, Any]]] = []
        self.locks: list[str] = []
        self.comments: list[str] = []

    # -- typed writes -------------------------------------------------------------------------------------------------

    def insert(self, table: TableName, values: Mapping[str, Any], uuid: UUID | None = None) -> UUID:
        """Add a row; return its UUID, which other rows of this transaction can refer to.

        Arguments:
            table: the table's name or row class.
            values: canonical values by column name; columns not given get their defaults.
            uuid: the row's UUID, a fresh one by default.

        Raises:
            UnknownTable, UnknownColumn, BadSyntax, ConstraintViolation, DuplicateUuid: the row is invalid.
        """
        name = table if isinstance(table, str) else table.TABLE
        bound = self.tables.get(name)
        if bound is None:
            raise UnknownTable(f"No table named {name}.")
        if bound.missing:
            return uuid or notation.new_uuid()
        row = bound.defaults.copy()
        position, types, normalizers = bound.position, bound.types, bound.normalizers
        partial = bound.partial
        for column, value in values.items():
            at = position.get(column, -1)
            if at < 0:
                bound.column(column)
            if partial and column not in bound.present:
                continue
            row[at] = value if type(value) is types[at] else normalizers[at](value)
        for schema in bound.bad_defaults:
            if schema.name not in values:
                schema.type.check(bound.defaults[position[schema.name]])
        return self.stage_insert(bound, row, uuid)

    def insert_rows(self, table: type[Row], rows: Mapping[UUID, list[Any]]) -> None:
        """Add rows given by all their values in the order of the row class's columns; the lists become the rows'.

        Compilers insert rows by this method. Values of many rows are checked together, by column: an atom that is
        in all of them is checked once.

        Raises:
            UnknownTable, BadSyntax, ConstraintViolation, DuplicateUuid: a row is invalid; none is added.
            ValueError: a row has too few values, or too many.
        """
        bound = self.tables.get(table.TABLE)
        if bound is None:
            raise UnknownTable(f"No table named {table.TABLE}.")
        if bound.missing:
            return
        staged = self.staged.setdefault(bound.name, {})
        for present in (staged, bound.table.rows):
            if not present.keys().isdisjoint(rows):
                raise _duplicate(bound, next(uuid for uuid in rows if uuid in present))
        left = iter(rows.values())
        while some := list(islice(left, _ROWS_AT_ONCE)):
            checks = zip(bound.types, bound.normalizers, zip(*some, strict=True), strict=True)
            for at, (plain, normalize, column) in enumerate(checks):
                kinds = set(map(type, column))
                if kinds == {plain}:
                    continue
                if kinds <= _ATOMS:
                    for atom in set(column):
                        normalize(atom)
                else:
                    for row in some:
                        row[at] = normalize(row[at])
        for uuid, row in rows.items():
            staged[uuid] = Staged(bound, uuid, row)

    def update(self, row: Target, values: Mapping[str, Any]) -> None:
        """Change columns of a row.

        Raises:
            UnknownColumn, BadSyntax, ConstraintViolation: a column or value is invalid.
        """
        staged = self.stage(row)
        bound = staged.table
        for name, value in values.items():
            if bound.lacks(name):
                continue
            position, column = bound.column(name)
            if not column.mutable and staged.row is not None:
                raise ConstraintViolation(f"Cannot update immutable column {name} in table {bound.name}.")
            staged.put(position, bound.normalizers[position](value))

    def mutate(
        self,
        row: Target,
        column: str,
        *,
        insert: Iterable[Any] | Mapping[Any, Any] = (),
        delete: Iterable[Any] = (),
    ) -> None:
        """Remove members from a set or map, then add members.

        Arguments:
            row: the row.
            column: a set or map column.
            insert: atoms, or a dict of pairs; keys that the map still has keep their value.
            delete: atoms or keys.

        Raises:
            UnknownColumn, BadSyntax, ConstraintViolation: a column or member is invalid.
        """
        staged = self.stage(row)
        if staged.table.lacks(column):
            return
        position, schema = staged.table.column(column)
        type_ = schema.type
        if not schema.mutable and staged.row is not None:
            raise ConstraintViolation(f"Cannot mutate immutable column {column} in table {staged.table.name}.")
        if type_.is_scalar:
            raise BadSyntax(f"column {column} is neither a set nor a map")
        gained: Any = insert
        if type_.value is not None:
            gained = dict(insert)
            for key, value in gained.items():
                type_.key.check_python(key)
                type_.value.check_python(value)
        else:
            gained = frozenset(insert)
            for atom in gained:
                type_.key.check_python(atom)
        staged.edit(position, insert=gained, delete=frozenset(delete))

    def delete(self, row: Target) -> None:
        """Remove a row."""
        self.remove(self.stage(row))

    def wait(self, row: Target, expected: Mapping[str, Any]) -> None:
        """Commit only if the row is there and holds these values in the database (optimistic concurrency).

        The commit raises `TimedOut` otherwise.
        """
        bound, uuid, _ = self._locate(row)
        there = {name: value for name, value in expected.items() if not bound.lacks(name)}
        self.waits.append((bound, uuid, {bound.column(name)[0]: value for name, value in there.items()}))

    def lacks(self, table: type[Row], columns: Iterable[str] = ()) -> bool:
        """Return whether the server lacks the table, or all of these columns, so that writes to them have no effect."""
        bound = self.tables[table.TABLE]
        names = list(columns)
        return bound.missing or (bool(names) and all(map(bound.lacks, names)))

    def assert_lock(self, name: str) -> None:
        """Commit only if the client holds this lock; the commit raises `NotOwner` otherwise."""
        self.locks.append(name)

    def comment(self, text: str) -> None:
        """Add a comment that the journal keeps."""
        self.comments.append(text)

    @property
    def empty(self) -> bool:
        """Whether nothing is staged."""
        return not any(self.staged.values())

    # -- staging, used by the JSON operations too ---------------------------------------------------------------------

    def stage_insert(self, table: BoundTable, values: list[Any], uuid: UUID | None = None) -> UUID:
        """Stage a row whose values are checked already.

        Arguments:
            table: where.
            values: one for each column, by its position.
            uuid: the row's; None for a new one.

        Raises:
            DuplicateUuid: another row has it.
        """
        rows = self.staged.get(table.name)
        if rows is None:
            rows = self.staged[table.name] = {}
        if uuid is None:
            uuid = notation.new_uuid()
        elif uuid in rows or uuid in table.table.rows:
            raise _duplicate(table, uuid)
        rows[uuid] = Staged(table, uuid, values)
        return uuid

    def stage(self, row: Target) -> Staged:
        """Return the staged form of a row, staging it if need be.

        Raises:
            UnknownTable: there is no such row, or it is deleted by this transaction.
        """
        table, uuid, present = self._locate(row)
        staged = self.staged.get(table.name, {}).get(uuid)
        if staged is None:
            assert present is not None
            staged = self.stage_row(table, present)
        elif staged.deleted:
            raise ConstraintViolation(f"row {uuid} of table {table.name} is deleted in this transaction")
        return staged

    def stage_row(self, table: BoundTable, row: Row) -> Staged:
        """Stage a row of the database that is not staged yet."""
        staged = StagedEdit(table, row)
        self.staged.setdefault(table.name, {})[row.uuid] = staged
        return staged

    def remove(self, staged: Staged) -> bool:
        """Stage a row's deletion, or forget it if it is new; return whether it was there before."""
        if isinstance(staged, StagedEdit):
            staged.deleted = True
            return True
        del self.staged[staged.table.name][staged.uuid]
        return False

    def _locate(self, row: Target) -> tuple[BoundTable, UUID, Row | None]:
        if isinstance(row, Row):
            table = self.tables[row.TABLE]
            present = table.table.rows.get(row.uuid)
            if present is None:
                raise ConstraintViolation(f"row {row.uuid} of table {table.name} is not in the database")
            return table, row.uuid, present
        uuid = UUID(row)
        for name, rows in self.staged.items():
            if uuid in rows:
                return self.tables[name], uuid, rows[uuid].row
        for table in self.tables.values():
            found = table.table.rows.get(uuid)
            if found is not None:
                return table, uuid, found
        raise ConstraintViolation(f"no row {uuid} in the database")


def _duplicate(table: BoundTable, uuid: UUID) -> DuplicateUuid:
    return DuplicateUuid(f"A row of table {table.name} with this UUID exists or is deleted in this transaction.", uuid)


class Client(Protocol):
    """The interface of a database, local or remote, for readers and writers."""

    @property
    def store(self) -> Store:
        """The rows, which engine rules read."""

    @property
    def schema(self) -> DatabaseSchema:
        """The server's schema."""

    @property
    def connected(self) -> bool:
        """Whether commits can be tried now."""

    async def answers(self, seconds: float) -> bool:
        """Return whether the server answers within some seconds."""

    def transaction(self) -> Transaction:
        """Return a new empty transaction."""

    async def synchronized(self) -> None:
        """Return when commits can be tried."""

    async def commit(self, transaction: Transaction, *, durable: bool = False, until: float | None = None) -> Commit:
        """Commit; when this returns, `store` shows the outcome.

        Arguments:
            transaction: what to commit; it cannot be used again.
            durable: return only when it is on the server's disk.
            until: the event loop's time until which it is tried again where a connection is lost; None for never.

        Raises:
            OvsdbError: the database refused; nothing was changed.
            Disconnected: the outcome is unknown.
        """

    def on_change(self, callback: Callable[[Commit], None]) -> Callable[[], None]:
        """Call a function after each batch of changes is in `store`; return a function that ends this."""

    async def lock(self, name: str, on_lost: Callable[[], None] | None = None) -> None:
        """Return when this client holds a lock; `on_lost` is called if it is stolen or the connection is lost."""

    async def unlock(self, name: str) -> None:
        """Release a lock, or stop waiting for it."""
