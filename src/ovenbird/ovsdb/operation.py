"""The ten operations of `transact` (RFC 7047, section 5.2), executed on a staged transaction.

`execute` runs the operations of one request. A `wait` that does not hold yet raises `NotYet`: the caller drops what was
staged and executes the request again after the next commit, until the request's timeout.

`ovsdb-client restore` empties every table and inserts the rows of the backup again. It omits their UUIDs, but names
each row after its former UUID (`row` and the UUID, with `_` for `-`); the original assigns new UUIDs. Ids that others
keep, such as an API's, would be lost: here such a request gives each row the UUID in its name, and a row that exists
already changes only where it differs from the backup.
"""

# ruff: noqa: S101 - the assertions say what the type checker cannot know
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.engine.gc_pause import gc_paused
from ovenbird.engine.rows import UUID, Row
from ovenbird.ovsdb import notation
from ovenbird.ovsdb.condition import Where
from ovenbird.ovsdb.errors import (
    Aborted,
    BadSyntax,
    ConstraintViolation,
    DuplicateUuid,
    DuplicateUuidName,
    NotAllowed,
    NotOwner,
    OvsdbError,
    TimedOut,
)
from ovenbird.ovsdb.mutation import Mutation, calculate, parse_mutation
from ovenbird.ovsdb.rbac import Authority
from ovenbird.ovsdb.table import UUID_COLUMN
from ovenbird.ovsdb.transaction import Staged, StagedEdit, Transaction
from ovenbird.ovsdb.types import MAX_INTEGER, is_identifier, is_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ovenbird.ovsdb.database import Database
    from ovenbird.ovsdb.table import BoundTable

_OWN = ("_uuid", "_version")
Found = tuple[UUID, list[Any], Row | None]


class NotYet(Exception):  # noqa: N818 - not an error: the request is tried again
    """The condition of a `wait` is not true yet; `timeout` is in milliseconds, or `None` for ever."""

    def __init__(self, timeout: int | None) -> None:
        super().__init__(timeout)
        self.timeout = timeout


class Execution:
    """The execution of one `transact` request.

    Arguments:
        database: the database it is for.
        holds: whether the client holds a lock.
        waited: milliseconds since the request was received; a `wait` fails after its timeout.
        authority: what the client may change.
        read_only: whether it may change nothing.
    """

    def __init__(
        self,
        database: Database,
        holds: Callable[[str], bool],
        waited: float,
        authority: Authority | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        self.database = database
        self.tables = database.tables
        self.transaction = Transaction(database.tables)
        self.names = notation.Names()
        self.holds = holds
        self.waited = waited
        self.read_only = read_only
        self.authority = authority or Authority(database.tables, role="", client="")
        self.durable = False
        self._where = ""

    @gc_paused
    def run(self, operations: list[Any]) -> list[Any]:
        """Execute all operations and commit; return the `result` of the reply, errors included.

        Raises:
            NotYet: the condition of a `wait` is not true, before its timeout.
        """
        results: list[Any] = []
        if self._restores(operations):
            self.names = notation.RestoredNames()
        for number, operation in enumerate(operations, 1):
            self._where = f"Parsing ovsdb operation {number} of {len(operations)} failed: "
            try:
                results.append(self._execute(operation))
            except OvsdbError as error:
                results.append(error.to_json())
                results += [None] * (len(operations) - number)
                return results
        try:
            self.database.commit(self.transaction, holds=self.holds)
        except OvsdbError as error:
            results.append(error.to_json())
        return results

    def _restores(self, operations: list[Any]) -> bool:
        """Return whether a request empties every table, as the restore of a backup does."""
        if len(operations) < len(self.tables):
            return False
        emptied = {
            table
            for operation in operations
            if type(operation) is dict and operation.get("op") == "delete" and operation.get("where") == []
            if type(table := operation.get("table")) is str
        }
        return emptied >= self.tables.keys()

    def _execute(self, operation: Any) -> dict[str, Any]:
        if type(operation) is not dict:
            raise BadSyntax(f"{self._where}Object expected.", operation)
        name = operation.get("op")
        if not is_identifier(name):
            what = "Type mismatch for member 'op'." if "op" in operation else "Required 'op' member is missing."
            raise BadSyntax(f"{self._where}{what}", operation)
        found = _OPERATIONS.get(name)
        if found is None:
            raise BadSyntax(f'{self._where}No operation "{name}"', operation)
        function, members = found
        for member, (required, right) in members.items():
            if member not in operation:
                if required:
                    raise BadSyntax(f"{self._where}Required '{member}' member is missing.", operation)
            elif not right(operation[member]):
                raise BadSyntax(f"{self._where}Type mismatch for member '{member}'.", operation)
        for member in operation:
            if member != "op" and member not in members:
                raise BadSyntax(f"{self._where}Member '{member}' is present but not allowed here.", operation)
        result = function(self, operation)
        if self.read_only and name not in _READS:  # only now, as the original: what else is wrong is said first
            raise NotAllowed(f"{name} operation not allowed when database server is in read only mode")
        return result

    def _table(self, operation: Mapping[str, Any]) -> BoundTable:
        table = self.tables.get(operation["table"])
        if table is None:
            raise BadSyntax(f"{self._where}No table named {operation['table']}.", operation)
        return table

    def _rows(self, table: BoundTable, where: Where) -> Iterator[Found]:
        """Yield the rows that match a condition, as the transaction sees them."""
        staged = self.transaction.staged.get(table.name)
        rows: Mapping[UUID, Row] = table.table.rows
        if where.uuid is not None:
            row = rows.get(where.uuid)
            rows = {} if row is None else {where.uuid: row}
            change = staged.get(where.uuid) if staged else None
            staged = {where.uuid: change} if change is not None else None
        else:
            rows = self._candidates(table, where, rows)
        if not staged:
            for uuid, row in where.among(rows):
                yield uuid, row.values, row
            return
        for uuid, row in list(rows.items()):
            change = staged.get(uuid)
            if change is None:
                values = row.values
            elif change.deleted:
                continue
            else:
                values = change.freeze()
            if where.matches(uuid, values):
                yield uuid, values, row
        for uuid, change in list(staged.items()):
            if change.row is None and where.matches(uuid, change.freeze()):
                yield uuid, change.values, None

    def _candidates(self, table: BoundTable, where: Where, rows: Mapping[UUID, Row]) -> Mapping[UUID, Row]:
        """Return candidate rows for a condition: by a unique index, if a clause gives its key, and the staged ones."""
        for index in self.database.integrity.unique[table.name]:
            if len(index.positions) != 1:
                continue
            for clause in where.clauses:
                if clause.position == index.positions[0] and clause.function == "==" and type(clause.value) is not dict:
                    found = [index.rows.get(clause.value), *self.transaction.staged.get(table.name, ())]
                    return {uuid: rows[uuid] for uuid in found if uuid is not None and uuid in rows}
        return rows

    def _staged(self, table: BoundTable, uuid: UUID, row: Row | None) -> Staged:
        known = self.transaction.staged.get(table.name, {}).get(uuid)
        if known is not None:
            return known
        assert row is not None
        return self.transaction.stage_row(table, row)

    # -- the operations -------------------------------------------------------------------------------------------

    def insert(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Execute `insert` (section 5.2.1), with ovsdb-server's `uuid` member.

        Raises:
            BadSyntax, UnknownColumn, ConstraintViolation: the operation is not well formed.
            DuplicateUuid, DuplicateUuidName: another row has the id or the name.
        """
        table = self._table(operation)
        uuid: UUID | None = None
        if "uuid" in operation:
            if not is_uuid(operation["uuid"]):
                raise BadSyntax("bad uuid", operation["uuid"])
            uuid = UUID(operation["uuid"].lower())
            if uuid in table.table.rows or uuid in self.transaction.staged.get(table.name, {}):
                raise DuplicateUuid(f"Table {table.name} has a row with this UUID, or had one.", operation["uuid"])
        name = operation.get("uuid-name")
        if name is not None:
            if not self.names.claim(name, table=table.name):
                raise DuplicateUuidName('An earlier "insert" operation has this "uuid-name".', name)
            if uuid is not None:
                self.names[name] = uuid
            uuid = self.names[name]
        given = table.decode_row(self._without_own(operation["row"])[0], self.names)
        values = table.defaults.copy()
        for position, value in given.items():
            values[position] = value
        for column in table.bad_defaults:
            column.type.check(values[table.position[column.name]])
        self.authority.check_insert(table, values)
        deleted = None if uuid is None else self.transaction.staged.get(table.name, {}).get(uuid)
        if isinstance(deleted, StagedEdit) and deleted.deleted and isinstance(self.names, notation.RestoredNames):
            deleted.reinsert(values)
            return {"uuid": ["uuid", uuid]}
        return {"uuid": ["uuid", self.transaction.stage_insert(table, values, uuid)]}

    def select(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Execute `select` (section 5.2.2)."""
        table = self._table(operation)
        where = Where.from_json(table, operation["where"], self.names)
        columns = self._columns(table, operation.get("columns"))
        rows = [self._project(table, columns, uuid, values) for uuid, values, _ in self._rows(table, where)]
        distinct = "columns" in operation and "_uuid" not in columns and "_version" not in columns
        return {"rows": _distinct(rows) if distinct else rows}

    def update(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Execute `update` (section 5.2.3).

        Raises:
            BadSyntax, UnknownColumn: the operation is not well formed.
            ConstraintViolation: a column is immutable, or a value breaks a constraint.
        """
        table = self._table(operation)
        for name in operation["row"]:
            if name in ("_uuid", "_version") or (name in table.position and not table.column(name)[1].mutable):
                raise ConstraintViolation(f"Cannot update immutable column {name} in table {table.name}.", operation)
        given = table.decode_row(operation["row"], self.names)
        where = Where.from_json(table, operation["where"], self.names)
        found = list(self._rows(table, where))
        self.authority.check_change(table, given, (values for _, values, _ in found), "modification of")
        for uuid, _, row in found:
            staged = self._staged(table, uuid, row)
            for position, value in given.items():
                staged.put(position, value)
        return {"count": len(found)}

    def mutate(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Execute `mutate` (section 5.2.4)."""
        table = self._table(operation)
        mutations = [parse_mutation(table, mutation, self.names) for mutation in operation["mutations"]]
        where = Where.from_json(table, operation["where"], self.names)
        found = list(self._rows(table, where))
        positions = [mutation.position for mutation in mutations]
        self.authority.check_change(table, positions, (values for _, values, _ in found), "mutate operation on")
        for uuid, _, row in found:
            staged = self._staged(table, uuid, row)
            for mutation in mutations:
                _mutate(staged, mutation)
        return {"count": len(found)}

    def delete(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Execute `delete` (section 5.2.5)."""
        table = self._table(operation)
        where = Where.from_json(table, operation["where"], self.names)
        found = list(self._rows(table, where))
        self.authority.check_delete(table, (values for _, values, _ in found))
        for uuid, _, row in found:
            self.transaction.remove(self._staged(table, uuid, row))
        return {"count": len(found)}

    def wait(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Execute `wait` (section 5.2.6).

        Raises:
            BadSyntax, UnknownColumn, ConstraintViolation: the operation is not well formed.
            NotYet: its condition is not true, before its timeout.
            TimedOut: its condition is not true, after its timeout.
        """
        table = self._table(operation)
        until = operation["until"]
        if until not in ("==", "!="):
            raise BadSyntax(f'{self._where}"until" must be "==" or "!="', operation)
        where = Where.from_json(table, operation["where"], self.names)
        columns = self._columns(table, operation.get("columns"))
        wanted = [self._project_wanted(table, columns, row) for row in operation["rows"]]
        found = [
            tuple(self._hashable(table, column, uuid, values) for column in columns)
            for uuid, values, _ in self._rows(table, where)
        ]
        if (set(wanted) == set(found)) is (until == "=="):
            return {}
        timeout = operation.get("timeout")
        if timeout is not None and self.waited >= timeout:
            raise TimedOut('"where" clause test failed' if not timeout else f'"wait" timed out after {timeout} ms')
        raise NotYet(timeout)

    def commit(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Execute `commit` (section 5.2.7)."""
        self.durable = self.durable or operation["durable"]
        return {}

    def abort(self, _operation: Mapping[str, Any]) -> dict[str, Any]:
        """Execute `abort` (section 5.2.8).

        Raises:
            Aborted: always.
        """
        raise Aborted("aborted by request")

    def comment(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Execute `comment` (section 5.2.9)."""
        self.transaction.comment(operation["comment"])
        return {}

    def assert_(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Execute `assert` (section 5.2.10).

        Raises:
            NotOwner: the session does not hold the lock.
        """
        if not self.holds(operation["lock"]):
            raise NotOwner(f"Asserted lock {operation['lock']} not held.")
        return {}

    # -- columns --------------------------------------------------------------------------------------------------

    def _columns(self, table: BoundTable, json: Any) -> list[str]:
        if json is None:
            return [*table.position, "_uuid", "_version"]
        if not all(type(name) is str for name in json) or len(set(json)) != len(json):
            raise BadSyntax("array of distinct column names expected", json)
        for name in json:
            if name not in table.position and name not in ("_uuid", "_version"):
                raise BadSyntax(f"{name} is not a valid column name", json)
        return list(json)

    @staticmethod
    def _project(table: BoundTable, columns: list[str], uuid: UUID, values: list[Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for name in columns:
            if name == "_uuid":
                answer[name] = ["uuid", uuid]
            elif name == "_version":
                answer[name] = ["uuid", table.version(uuid)]
            else:
                position = table.position[name]
                encode = table.encoders[position]
                answer[name] = values[position] if encode is None else encode(values[position])
        return answer

    @staticmethod
    def _hashable(table: BoundTable, column: str, uuid: UUID, values: list[Any]) -> Any:
        if column == "_uuid":
            return uuid
        if column == "_version":
            return table.version(uuid)
        value = values[table.position[column]]
        return frozenset(value.items()) if type(value) is dict else value

    def _without_own(self, json: Any) -> tuple[Any, dict[str, Any]]:
        """Return a `<row>` without the columns that the server itself fills, and the values given for those.

        ovsdb-server accepts them in the row of an `insert` too, and ignores them.
        """
        if type(json) is not dict or json.keys().isdisjoint(_OWN):
            return json, {}
        special = {name: _uuid_of(json[name], self.names) for name in _OWN if name in json}
        return {name: value for name, value in json.items() if name not in _OWN}, special

    def _project_wanted(self, table: BoundTable, columns: list[str], json: Any) -> tuple[Any, ...]:
        given, special = self._without_own(json)
        values = table.defaults.copy()
        for position, value in table.decode_row(given, self.names).items():
            values[position] = value
        return tuple(
            special.get(column) if column in ("_uuid", "_version") else self._hashable(table, column, UUID(""), values)
            for column in columns
        )


def _uuid_of(json: Any, names: notation.Names) -> Any:
    return notation.decoder(UUID_COLUMN.type)(json, names)


def _mutate(staged: Staged, mutation: Mutation) -> None:
    position, mutator, operand = mutation.position, mutation.mutator, mutation.value
    if mutator == "insert":
        staged.edit(position, insert=operand, delete=())
    elif mutator == "delete":
        staged.edit(position, insert=(), delete=operand)
    else:
        type_ = staged.table.layout[position].type
        staged.put(position, calculate(type_, mutator, staged.freeze()[position], operand=operand))


def _distinct(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without duplicates, which `select` of some columns must not have."""
    seen: set[str] = set()
    answer = []
    for row in rows:
        key = repr(row)
        if key not in seen:
            seen.add(key)
            answer.append(row)
    return answer


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda json: type(json) is kind


def _timeout(json: Any) -> bool:
    if type(json) is float and json.is_integer():
        return 0 <= json < MAX_INTEGER
    return json is None or (type(json) is int and 0 <= json <= MAX_INTEGER)


_READS = frozenset(("select", "wait", "comment", "abort", "assert", "commit"))
_Members = dict[str, tuple[bool, "Callable[[Any], bool]"]]
_TABLE: _Members = {"table": (True, is_identifier)}
_WHERE: _Members = {**_TABLE, "where": (True, _is(list))}

_OPERATIONS: dict[str, tuple[Callable[[Execution, Mapping[str, Any]], dict[str, Any]], _Members]] = {
    "insert": (
        Execution.insert,
        {**_TABLE, "row": (True, _is(dict)), "uuid-name": (False, is_identifier), "uuid": (False, _is(str))},
    ),
    "select": (Execution.select, {**_WHERE, "columns": (False, _is(list))}),
    "update": (Execution.update, {**_WHERE, "row": (True, _is(dict))}),
    "mutate": (Execution.mutate, {**_WHERE, "mutations": (True, _is(list))}),
    "delete": (Execution.delete, _WHERE),
    "wait": (
        Execution.wait,
        {
            **_WHERE,
            "timeout": (False, _timeout),
            "columns": (False, _is(list)),
            "until": (True, _is(str)),
            "rows": (True, _is(list)),
        },
    ),
    "commit": (Execution.commit, {"durable": (True, _is(bool))}),
    "abort": (Execution.abort, {}),
    "comment": (Execution.comment, {"comment": (True, _is(str))}),
    "assert": (Execution.assert_, {"lock": (True, is_identifier)}),
}
