"""Apply the `<table-updates>` of a server, of every version of the protocol, to engine tables, as one batch.

Batches are minimal: a full resynchronisation deletes the rows that are gone and modifies only the values that differ,
so that what computes from the rows recomputes only what changed while the connection was down.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ovenbird.engine.gc_pause import gc_paused
from ovenbird.engine.rows import UUID
from ovenbird.ovsdb import notation
from ovenbird.ovsdb.commit import Commit, RowChange, RowEdit, put
from ovenbird.ovsdb.errors import OvsdbError, ProtocolError
from ovenbird.ovsdb.table import bind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ovenbird.engine.rows import Row, Store
    from ovenbird.ovsdb.schema import DatabaseSchema
    from ovenbird.ovsdb.table import BoundTable


class RowUpdater:
    """The tables of a replica.

    Arguments:
        schema: the schema of the server.
        row_classes: the row classes of the tables to mirror; all tables, with classes made for them, if there are none.
        store: the store that has these classes already, on later connections.
        omitted: columns by table that are not asked for.
    """

    resumable = True
    """Whether the rows are consistent with the server's updates, so that a new connection can resume from them."""

    def __init__(
        self,
        schema: DatabaseSchema,
        row_classes: Iterable[type[Row]],
        store: Store | None,
        omitted: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        classes = tuple(row_classes)
        self.schema = schema
        self.omitted = omitted
        self.store, self.tables = bind(schema, classes, store=store, partial=bool(classes) or store is not None)

    def request(self, conditions: dict[str, list[Any]], *, conditional: bool) -> dict[str, Any]:
        """Return the monitor request for the replicated columns that the server has."""
        answer: dict[str, Any] = {}
        for name, table in self.tables.items():
            if name in self.schema.tables:
                omitted = self.omitted.get(name, ())
                wanted = [c.name for c in table.layout if c.name in table.present and c.name not in omitted]
                part: dict[str, Any] = {"columns": wanted}
                if conditional and name in conditions:
                    part["where"] = self.condition(name, conditions[name])
                answer[name] = [part]
        return answer

    def condition(self, name: str, where: list[Any]) -> list[Any]:
        """Return a condition without the clauses about columns that the server lacks: no row is in view for them."""
        lacks = self.tables[name].lacks
        there = [clause for clause in where if type(clause) is bool or not lacks(clause[0])]
        return there if there or not where else [False]  # none at all would be every row

    @gc_paused
    def apply(self, updates: Any, last_id: str, *, whole: bool = False) -> Commit:
        """Apply updates to the tables; return the effective changes.

        Arguments:
            updates: `<table-updates>` of `update` or `update2`, initial contents included.
            last_id: the id of the last transaction in them.
            whole: whether they are the complete contents, so that other rows are deleted.

        Raises:
            ProtocolError: they do not fit the schema; nothing was applied.
        """
        changes: dict[str, list[RowChange]] = {}
        try:
            for name, rows in updates.items():
                table = self.tables[name]
                told = [self._change(table, UUID(uuid), update) for uuid, update in rows.items()]
                if real := [change for change in told if change is not None]:
                    changes[name] = real
        except (OvsdbError, KeyError, AttributeError, TypeError) as error:
            raise ProtocolError(f"updates do not fit the schema of {self.schema.name}: {error!r}") from error
        if whole:
            for name, table in self.tables.items():
                present = updates.get(name, {})
                gone = [
                    RowEdit(table, u, r, old=r.values, new=None)
                    for u, r in table.table.rows.items()
                    if u not in present
                ]
                if gone:
                    changes.setdefault(name, []).extend(gone)
        return self._put(changes, last_id)

    def _put(self, changes: dict[str, list[RowChange]], last_id: str) -> Commit:
        """Apply changes to the tables."""
        put(changes)
        return Commit(UUID(last_id), changes)

    def _change(self, table: BoundTable, uuid: UUID, told: dict[str, Any]) -> RowChange | None:
        row = table.table.rows.get(uuid)
        if "modify" in told:
            return self._modified(table, uuid, row, told["modify"])
        content = told.get("insert")
        if content is None:
            content = told.get("initial", told.get("new"))
        if content is None:
            return None if row is None else RowEdit(table, uuid, row, old=row.values, new=None)
        values = table.defaults.copy()
        decoding = table.decoding
        for name, json in content.items():
            if name in decoding:
                at, decode = decoding[name]
                values[at] = decode(json, None)
        if row is None:
            return RowChange(table, uuid, None, values)
        columns = tuple(i for i, (old, new) in enumerate(zip(row.values, values, strict=True)) if old != new)
        return RowEdit(table, uuid, row, old=row.values.copy(), new=values, columns=columns) if columns else None

    def _modified(self, table: BoundTable, uuid: UUID, row: Row | None, diffs: dict[str, Any]) -> RowChange | None:
        if row is None:
            raise ProtocolError(f"row {uuid} of table {table.name} is modified before it is inserted")
        values = row.values.copy()
        deltas: dict[int, notation.ValueDelta] = {}
        columns = []
        for name, json in diffs.items():
            at = table.position.get(name)
            if at is None:
                continue
            type_ = table.layout[at].type
            diff = table.diff_decoders[at](json, None)
            old = values[at]
            if type_.is_set:
                deltas[at] = diff - old, diff & old
            values[at] = notation.apply_diff(type_, old, diff=diff) if type_.high > 1 else diff
            columns.append(at)
        return RowEdit(table, uuid, row, old=row.values.copy(), new=values, columns=tuple(columns), deltas=deltas)
