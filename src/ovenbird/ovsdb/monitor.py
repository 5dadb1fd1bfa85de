"""Monitors: the updates that a client receives (RFC 7047, 4.1.5-4.1.7; ovsdb-server(7), 4.1.12-4.1.16).

A `Monitor` is a value shared by all clients with equal requests: an update is composed and encoded once per commit,
however many clients receive it. What a row means to a monitor follows from its old and new values and the condition:
the row came into view, went out of it, or changed within it. The same function serves commits, changed conditions,
resumed clients, and slow clients, which receive the difference between what they know and what is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.dataclass import dataclass
from ovenbird.engine.gc_pause import gc_paused
from ovenbird.ovsdb import notation
from ovenbird.ovsdb.condition import AnyOf
from ovenbird.ovsdb.errors import BadSyntax
from ovenbird.ovsdb.table import BoundTable, encode_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.engine.rows import UUID
    from ovenbird.ovsdb.commit import Commit, RowChange
    from ovenbird.ovsdb.database import Database
    from ovenbird.ovsdb.table import Plan

Pending = dict[tuple[str, "UUID"], "list[Any] | None"]
"""The rows changed since a client's last update, with the values that it knows (`None`: it does not know the row)."""

_EVENTS = ("initial", "insert", "delete", "modify")
_ALL = AnyOf([])


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A monitor's view of one table: the columns for each kind of event, and the condition."""

    table: BoundTable
    initial: Plan | None
    insert: Plan | None
    modify: Plan | None
    delete: Plan | None
    modified: Mapping[int, str]
    condition: AnyOf
    where: Any
    version: bool

    def sees(self, uuid: UUID, values: list[Any] | None) -> bool:
        """Return whether a row with these values is in view."""
        return values is not None and (self.condition.always or self.condition.matches(uuid, values))


def merge(commits: Iterable[Commit], pending: Pending | None = None) -> Pending:
    """Return the total change of several commits and of the changes that were pending before."""
    answer: Pending = {} if pending is None else pending
    for commit in commits:
        for name, changes in commit.changes.items():
            for change in changes:
                answer.setdefault((name, change.uuid), change.old)
    return answer


class Monitor:
    """A monitor of one database.

    Arguments:
        database: the database.
        requests: the `<monitor-requests>`, or `<monitor-cond-requests>` for version 2.
        version: 1 for `update`, 2 for `update2` and `update3`.

    Raises:
        BadSyntax, UnknownColumn: the requests are not well formed for the database.
    """

    def __init__(self, database: Database, requests: Any, version: int) -> None:
        if type(requests) is not dict:
            raise BadSyntax("monitor requests must be an object", requests)
        self.database = database
        self.version = version
        self.views: dict[str, TableView] = {}
        for name, parts in requests.items():
            table = database.tables.get(name)
            if table is None:
                raise BadSyntax(f"no table named {name}", requests)
            self.views[name] = _view(table, parts if type(parts) is list else [parts], version)
        self._encoded: tuple[Commit | None, bytes | None] = (None, None)

    def with_conditions(self, requests: Any) -> Monitor:
        """Return a monitor that differs in its conditions, as `monitor_cond_change` asks.

        Raises:
            BadSyntax, UnknownColumn: the requests are not well formed, or name a table that is not monitored.
        """
        if type(requests) is not dict:
            raise BadSyntax("monitor requests must be an object", requests)
        changed = Monitor(self.database, {}, self.version)
        changed.views = dict(self.views)
        for name, parts in requests.items():
            view = self.views.get(name)
            if view is None:
                raise BadSyntax(f"table {name} is not monitored", requests)
            where: list[Any] = []
            for part in parts if type(parts) is list else [parts]:
                if type(part) is not dict or type(part.get("where", [])) is not list:
                    raise BadSyntax("a condition change is an object with a where", part)
                where += part.get("where", [])
            changed.views[name] = replace(view, condition=AnyOf.from_json(view.table, where), where=where)
        return changed

    @property
    def key(self) -> tuple[Any, ...]:
        """The key by which equal monitors are shared."""
        views = [
            (
                name,
                view.initial and [p[0] for p in view.initial],
                view.insert and [p[0] for p in view.insert],
                view.modify and [p[0] for p in view.modify],
                view.delete and [p[0] for p in view.delete],
                view.where,
                view.version,
            )
            for name, view in sorted(self.views.items())
        ]
        return self.database.name, id(self.database), self.version, orjson.dumps(views)

    # -- updates to send ----------------------------------------------------------------------------------------------

    @gc_paused
    def initial(self) -> dict[str, Any]:
        """Return the rows in view, as the reply to the monitor request."""
        answer = {}
        for name, view in self.views.items():
            if view.initial is None or view.condition.never:
                continue
            rows = view.table.table.rows
            chosen: Iterable[tuple[UUID, list[Any]]] = ((uuid, row.values) for uuid, row in rows.items())
            if not view.condition.always:
                chosen = ((uuid, values) for uuid, values in chosen if view.condition.matches(uuid, values))
            if view.version or self.version == 1:
                kind = "new" if self.version == 1 else "initial"
                told: dict[UUID, Any] = {u: {kind: self._whole(view, view.initial, u, v)} for u, v in chosen}
            else:
                plan = view.initial
                told = {uuid: {"initial": encode_row(plan, values)} for uuid, values in chosen}
            if told:
                answer[name] = told
        return answer

    def update(self, commit: Commit) -> bytes | None:
        """Return the encoded `<table-updates>` of a commit, `None` where the monitor sees none of it."""
        if self._encoded[0] is not commit:
            updates: dict[str, Any] = {}
            for name, changes in commit.changes.items():
                view = self.views.get(name)
                if view is None:
                    continue
                told = [(c.uuid, self._tell(view, c.uuid, c.old, c.new, c)) for c in changes]
                if rows := {uuid: update for uuid, update in told if update is not None}:
                    updates[name] = rows
            self._encoded = (commit, orjson.dumps(updates) if updates else None)
        return self._encoded[1]

    def difference(self, pending: Pending) -> dict[str, Any]:
        """Return the updates from the values that a client knows to the present ones."""
        updates: dict[str, Any] = {}
        for (name, uuid), old in pending.items():
            view = self.views.get(name)
            if view is None:
                continue
            row = view.table.table.rows.get(uuid)
            told = self._tell(view, uuid, old, None if row is None else row.values, None)
            if told is not None:
                updates.setdefault(name, {})[uuid] = told
        return updates

    def transition(self, to: Monitor) -> dict[str, Any]:
        """Return the updates from this monitor's view to that of another one with other conditions."""
        updates: dict[str, Any] = {}
        for name, view in to.views.items():
            before = self.views[name]
            if before.condition is view.condition:
                continue
            for uuid, row in view.table.table.rows.items():
                seen, sees = before.sees(uuid, row.values), view.sees(uuid, row.values)
                if seen is sees:
                    continue
                told = self._came(view, uuid, row.values) if sees else self._went(view, uuid, row.values)
                if told is not None:
                    updates.setdefault(name, {})[uuid] = told
        return updates

    def _tell(
        self,
        view: TableView,
        uuid: UUID,
        old: list[Any] | None,
        new: list[Any] | None,
        change: RowChange | None,
    ) -> dict[str, Any] | None:
        """Return the `<row-update>` of one row, or `None`."""
        seen, sees = view.sees(uuid, old), view.sees(uuid, new)
        if sees and new is not None:
            if seen and old is not None:
                return self._changed(view, uuid, old, new, change)
            return self._came(view, uuid, new)
        return self._went(view, uuid, old) if seen and old is not None else None

    def _came(self, view: TableView, uuid: UUID, values: list[Any]) -> dict[str, Any] | None:
        if view.insert is None:
            return None
        return {"insert" if self.version > 1 else "new": self._whole(view, view.insert, uuid, values)}

    def _went(self, view: TableView, uuid: UUID, values: list[Any]) -> dict[str, Any] | None:
        if view.delete is None:
            return None
        return {"delete": None} if self.version > 1 else {"old": self._whole(view, view.delete, uuid, values)}

    def _changed(
        self,
        view: TableView,
        uuid: UUID,
        old: list[Any],
        new: list[Any],
        change: RowChange | None,
    ) -> dict[str, Any] | None:
        if view.modify is None:
            return None
        modified, table = view.modified, view.table
        if change is not None:
            positions = [i for i in change.columns if i in modified]
        else:
            positions = [i for i in modified if old[i] != new[i]]
        if not positions:
            return None
        if self.version == 1:
            before = {}
            for i in positions:
                encode = table.encoders[i]
                before[modified[i]] = old[i] if encode is None else encode(old[i])
            return {"old": before, "new": self._whole(view, view.modify, uuid, new)}
        row = {}
        for i in positions:
            if change is not None:
                diff = change.diff(i)
            else:
                type_ = table.layout[i].type
                diff = (
                    notation.diff_from_delta(type_, notation.delta_of(type_, old=old[i], new=new[i]))
                    if type_.high > 1
                    else new[i]
                )
            encode = table.diff_encoders[i]
            row[modified[i]] = diff if encode is None else encode(diff)
        if view.version:
            row["_version"] = ["uuid", table.version(uuid)]
        return {"modify": row}

    def _whole(self, view: TableView, plan: Plan, uuid: UUID, values: list[Any]) -> dict[str, Any]:
        """Return a row: every column in version 1, those that are not default in version 2."""
        if self.version > 1:
            row = encode_row(plan, values)
        else:
            row = {name: values[i] if encode is None else encode(values[i]) for name, i, _, encode in plan}
        if view.version:
            row["_version"] = ["uuid", view.table.version(uuid)]
        return row


def _view(table: BoundTable, parts: list[Any], version: int) -> TableView:
    columns: dict[str, list[str]] = {event: [] for event in _EVENTS}
    wanted: set[str] = set()
    where: list[Any] = []
    members = {"columns", "select", "where"} if version > 1 else {"columns", "select"}
    seen: set[str] = set()
    with_version = False
    unconditional = False
    for part in parts:
        if type(part) is not dict or not set(part) <= members:
            raise BadSyntax("a monitor request is an object with columns, select and where", part)
        names = part.get("columns", [*table.position, "_version"])
        if type(names) is not list or not all(type(name) is str for name in names):
            raise BadSyntax("array of column names expected", part)
        for name in names:
            if name not in table.position and name not in ("_uuid", "_version"):
                raise BadSyntax(f"{name} is not a valid column name", part)
            if name in seen:
                raise BadSyntax(f"column {name} mentioned multiple times", part)
            seen.add(name)
        with_version = with_version or "_version" in names
        select = part.get("select", {})
        if (
            type(select) is not dict
            or not set(select) <= set(_EVENTS)
            or not all(type(v) is bool for v in select.values())
        ):
            raise BadSyntax("select is an object of booleans", part)
        clauses = part.get("where", [])
        if type(clauses) is not list:
            raise BadSyntax("array expected", part)
        unconditional = unconditional or not clauses
        where += clauses
        for event in _EVENTS:
            if select.get(event, True):
                wanted.add(event)
                columns[event] += [name for name in names if name in table.position]
    plans = {event: table.plan(columns[event]) if event in wanted else None for event in _EVENTS}
    condition = AnyOf.from_json(table, where)
    return TableView(
        table=table,
        initial=plans["initial"],
        insert=plans["insert"],
        modify=plans["modify"],
        delete=plans["delete"],
        modified={table.position[name]: name for name in columns["modify"]},
        condition=_ALL if unconditional else condition,
        where=[] if unconditional else where,
        version=with_version,
    )
