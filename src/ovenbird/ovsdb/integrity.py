"""The constraints between rows that a transaction must meet to commit (RFC 7047, sections 3.2 and 4.1.3; ovsdb(7)).

Strong references are counted: a row with strong references to it cannot be deleted, and a row of a non-root table
without any is deleted. Weak references to deleted rows are removed. Tables keep to `maxRows`, and indexes are unique.
Everything is computed from the staged changes and three counts kept here, so the cost follows the change and not the
size of the database. A row's reference to itself does not count, as in the original.
"""

# ruff: noqa: S101 - the assertions say what the type checker cannot know
from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ovenbird.ovsdb import notation
from ovenbird.ovsdb.commit import RowEdit
from ovenbird.ovsdb.errors import ConstraintViolation, ReferentialIntegrityViolation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovenbird.engine.rows import UUID
    from ovenbird.ovsdb.commit import Changes, RowChange
    from ovenbird.ovsdb.table import BoundTable, ReferenceColumn
    from ovenbird.ovsdb.transaction import Staged, Transaction

Key = Any


class Integrity:
    """The counts of one database.

    Arguments:
        tables: its tables.
    """

    def __init__(self, tables: Mapping[str, BoundTable]) -> None:
        self.tables = tables
        self.counts: dict[str, dict[UUID, int]] = {name: {} for name in tables}
        self.referrers: dict[str, dict[UUID, dict[tuple[str, UUID], None]]] = {name: {} for name in tables}
        self.unique: dict[str, list[UniqueIndex]] = {
            name: [UniqueIndex(table, columns) for columns in table.schema.indexes] for name, table in tables.items()
        }

    def record(self, changes: Changes) -> None:
        """Update weak referrers and indexes by a commit's changes; call before rows change."""
        for name, some in changes.items():
            for index in self.unique[name]:
                index.refile(some)
            for reference in self.tables[name].weak:
                self._record_weak(reference, some)

    def _record_weak(self, reference: ReferenceColumn, changes: Sequence[RowChange]) -> None:
        at = reference.position
        for change in changes:
            old, new = change.old, change.new
            gained: Any = None
            lost: Any = None
            if old is None:
                gained = new[at] if new is not None else None
            elif new is None:
                lost = old[at]
            elif at in change.columns:
                gained, lost = sides(change, reference)
            source = (change.table.name, change.uuid)
            for target, uuid in reference.targets(lost, weak=True) if lost else ():
                if new is None or not any(r.names(new[r.position], target, uuid, weak=True) for r in change.table.weak):
                    self._forget(target, uuid, source)
            for target, uuid in reference.targets(gained, weak=True) if gained else ():
                self.referrers[target].setdefault(uuid, {})[source] = None

    def _forget(self, target: str, uuid: UUID, source: tuple[str, UUID]) -> None:
        known = self.referrers[target].get(uuid)
        if known is not None:
            known.pop(source, None)
            if not known:
                del self.referrers[target][uuid]


def sides(change: RowChange, reference: ReferenceColumn) -> tuple[Any, Any]:
    """Return what a changed reference column gained and lost."""
    if reference.type.high > 1:
        return change.delta(reference.position)
    assert change.old is not None
    assert change.new is not None
    return change.new[reference.position], change.old[reference.position]


class UniqueIndex:
    """The keys of one unique index, and the row that has each."""

    __slots__ = ("columns", "names", "positions", "rows", "table")

    def __init__(self, table: BoundTable, names: tuple[str, ...]) -> None:
        self.table = table
        self.names = names
        self.positions = tuple(table.position[name] for name in names)
        self.columns = frozenset(self.positions)
        self.rows: dict[Key, UUID] = {}

    def key(self, values: list[Any]) -> Key:
        """Return the key that a row with these values has."""
        if len(self.positions) == 1:
            value = values[self.positions[0]]
            return frozenset(value.items()) if type(value) is dict else value
        return tuple([frozenset(v.items()) if type(v := values[i]) is dict else v for i in self.positions])

    def moving(self, changes: Sequence[RowChange]) -> list[RowChange]:
        """Return those of a table's changes that can move their rows within the index."""
        return [change for change in changes if not change.columns or not self.columns.isdisjoint(change.columns)]

    def refile(self, changes: Sequence[RowChange]) -> None:
        """Remove the rows' old keys, and add their new ones."""
        moving = self.moving(changes)
        for change in moving:
            if change.old is not None:
                self.rows.pop(self.key(change.old), None)
        self.rows.update(self.keys(moving))

    def keys(self, changes: Sequence[RowChange]) -> dict[Key, UUID]:
        """Return the rows by their new keys; of several with the same key, the last."""
        return {self.key(change.new): change.uuid for change in changes if change.new is not None}


class Assessment:
    """The check of one transaction: `run` returns its changes, or raises and changes nothing."""

    def __init__(self, integrity: Integrity, transaction: Transaction) -> None:
        self.integrity = integrity
        self.tables = integrity.tables
        self.transaction = transaction
        self.staged = transaction.staged
        self.shift: dict[str, dict[UUID, int]] = {}
        self.dead: list[Staged] = []

    def run(self) -> tuple[Changes, dict[str, dict[UUID, int]]]:
        """Return the changes, and the changes of strong reference counts.

        Raises:
            ReferentialIntegrityViolation, ConstraintViolation: it cannot be committed.
        """
        for rows in self.staged.values():
            for staged in rows.values():
                if staged.live:
                    staged.freeze()
        self._count_references()
        self._keep_referenced()
        self._collect_garbage()
        self._check_max_rows()
        self._clear_weak()
        changes = self._changes()
        self._check_indexes(changes)
        return changes, self.shift

    # -- strong references ----------------------------------------------------------------------------------------

    def _count_references(self) -> None:
        for name, rows in self.staged.items():
            strong = self.tables[name].strong
            if not strong:
                continue
            fresh = []
            for staged in rows.values():
                row = staged.row
                if row is None:
                    fresh.append(staged)
                elif staged.deleted:
                    for reference in strong:
                        self._count(staged, reference, row.values[reference.position], -1)
                else:
                    self._count_modified(staged, row.values)
            for reference in strong if fresh else ():
                self._count_fresh(name, reference, fresh)

    def _count_fresh(self, name: str, reference: ReferenceColumn, fresh: list[Staged]) -> None:
        """Count the references of new rows; where a column holds one, those to the same row at once."""
        at, key = reference.position, reference.key
        if reference.type.is_map or reference.type.high > 1 or key is None or key.ref_table == name:
            for staged in fresh:
                if value := staged.values[at]:
                    self._count(staged, reference, value, 1)
            return
        shift = self.shift.setdefault(key.ref_table or "", {})
        for uuid, number in Counter([staged.values[at] for staged in fresh]).items():
            if uuid is None:
                continue
            if not self._exists(key.ref_table or "", uuid):
                culprit = next(staged for staged in fresh if staged.values[at] == uuid)
                raise _nonexistent(culprit, reference, key.ref_table or "", uuid)
            shift[uuid] = shift.get(uuid, 0) + number

    def _count_modified(self, staged: Staged, old: list[Any]) -> None:
        for reference in staged.table.strong:
            at = reference.position
            if at not in staged.changed:
                continue
            if reference.type.high > 1:
                gained, lost = staged.delta(at)
            else:
                gained, lost = staged.values[at], old[at]
            self._count(staged, reference, lost, -1)
            self._count(staged, reference, gained, 1)

    def _count(self, staged: Staged, reference: ReferenceColumn, value: Any, step: int) -> None:
        for target, uuid in reference.targets(value, weak=False):
            if uuid == staged.uuid and target == staged.table.name:
                continue
            shift = self.shift.get(target)
            if shift is None:
                shift = self.shift[target] = {}
            before = shift.get(uuid)
            if step > 0 and not self._exists(target, uuid):
                raise _nonexistent(staged, reference, target, uuid)
            shift[uuid] = step if before is None else before + step

    def _exists(self, table: str, uuid: UUID) -> bool:
        rows = self.staged.get(table)
        if rows is not None:
            staged = rows.get(uuid)
            if staged is not None:
                return not staged.deleted
        return uuid in self.tables[table].table.rows

    def _references_to(self, table: str, uuid: UUID) -> int:
        shift = self.shift.get(table)
        return self.integrity.counts[table].get(uuid, 0) + (shift.get(uuid, 0) if shift else 0)

    def _keep_referenced(self) -> None:
        for name, rows in self.staged.items():
            for staged in rows.values():
                if staged.deleted:
                    self.dead.append(staged)
                    left = self._references_to(name, staged.uuid)
                    if left > 0:
                        raise ReferentialIntegrityViolation(
                            f"cannot delete {name} row {staged.uuid} because of {left} remaining reference(s)",
                        )

    def _collect_garbage(self) -> None:
        doubtful: list[tuple[str, UUID]] = []
        for name, rows in self.staged.items():
            if not self.tables[name].schema.is_root:
                doubtful += [(name, uuid) for uuid in rows]
        for name, shift in self.shift.items():
            if not self.tables[name].schema.is_root:
                doubtful += [(name, uuid) for uuid, step in shift.items() if step < 0]
        while doubtful:
            name, uuid = doubtful.pop()
            if not self._exists(name, uuid) or self._references_to(name, uuid) > 0:
                continue
            table = self.tables[name]
            staged = self.staged.get(name, {}).get(uuid)
            if staged is None:
                staged = self.transaction.stage_row(table, table.table.rows[uuid])
            for reference in table.strong:
                value = staged.values[reference.position]
                self._count(staged, reference, value, -1)
                doubtful += [
                    (target, other)
                    for target, other in reference.targets(value, weak=False)
                    if not self.tables[target].schema.is_root
                ]
            if self.transaction.remove(staged):
                self.dead.append(staged)

    # -- the rest -------------------------------------------------------------------------------------------------

    def _check_max_rows(self) -> None:
        for name, rows in self.staged.items():
            table = self.tables[name]
            limit = table.schema.max_rows
            if limit > len(table.table.rows) + len(rows):
                continue
            count = len(table.table.rows) + sum((s.row is None) - s.deleted for s in rows.values())
            if count > limit:
                raise ConstraintViolation(
                    f'transaction causes "{name}" table to contain {count} rows, '
                    f"greater than the schema-defined limit of {limit} row(s)",
                )

    def _clear_weak(self) -> None:
        """Remove weak references to rows that do not exist, or are deleted."""
        for staged in self.dead:
            for source, uuid in tuple(self.integrity.referrers[staged.table.name].get(staged.uuid, ())):
                if not self._exists(source, uuid):
                    continue
                table = self.tables[source]
                referrer = self.staged.get(source, {}).get(uuid)
                if referrer is None:
                    referrer = self.transaction.stage_row(table, table.table.rows[uuid])
                for reference in table.weak:
                    value = referrer.values[reference.position]
                    if reference.names(value, staged.table.name, staged.uuid, weak=True):
                        self._drop(referrer, reference, {staged.uuid})
        for name, rows in self.staged.items():
            weak = self.tables[name].weak
            for reference in weak:
                at = reference.position
                for staged in [staged for staged in rows.values() if staged.values[at]]:
                    if staged.deleted or (staged.row is not None and at not in staged.changed):
                        continue
                    value = staged.values[at]
                    if staged.row is not None and reference.type.high > 1:
                        value = staged.delta(at)[0]
                    gone = {u for t, u in reference.targets(value, weak=True) if not self._exists(t, u)}
                    if gone:
                        self._drop(staged, reference, gone)

    @staticmethod
    def _drop(staged: Staged, reference: ReferenceColumn, gone: set[UUID]) -> None:
        type_, at = reference.type, reference.position
        key_weak = reference.key is not None and reference.key.weak
        old = staged.values[at]
        if type_.value is not None:
            value_weak = reference.value is not None and reference.value.weak
            lost: Any = frozenset(k for k, v in old.items() if (key_weak and k in gone) or (value_weak and v in gone))
            count = len(old) - len(lost)
        else:
            lost = frozenset(gone)
            there = notation.members(type_, old)
            count = len(there) - sum([member in there for member in lost])
        if count < type_.low:
            raise ConstraintViolation(
                f"Deletion of a row that column {reference.name} in table {staged.table.name} row {staged.uuid} names "
                f"weakly would leave {count} values there, fewer than the minimum of {type_.low}",
            )
        staged.edit(at, insert=(), delete=lost)
        staged.freeze()

    def _changes(self) -> Changes:
        """Return the effective changes; rows that end with their old values are left out."""
        changes: dict[str, Sequence[RowChange]] = {}
        for name, rows in self.staged.items():
            real = [change for staged in rows.values() if (change := _change(staged)) is not None]
            if real:
                changes[name] = real
        return changes

    def _check_indexes(self, changes: Changes) -> None:
        for name, some in changes.items():
            for index in self.integrity.unique[name]:
                moving = index.moving(some)
                keys = index.keys(moving)
                if len(keys) < len(moving) or not index.rows.keys().isdisjoint(keys):
                    self._check_index(index, moving)

    @staticmethod
    def _check_index(index: UniqueIndex, moving: list[RowChange]) -> None:
        """Check that no rows share a key."""
        freed = {change.uuid for change in moving}
        fresh: dict[Key, UUID] = {}
        for change in moving:
            if change.new is None:
                continue
            key = index.key(change.new)
            rival = fresh.setdefault(key, change.uuid)
            if rival == change.uuid:
                held = index.rows.get(key)
                rival = change.uuid if held is None or held in freed else held
            if rival != change.uuid:
                raise _not_unique(index, change, rival)


def _nonexistent(staged: Staged, reference: ReferenceColumn, target: str, uuid: UUID) -> ReferentialIntegrityViolation:
    return ReferentialIntegrityViolation(
        f"Table {staged.table.name} column {reference.name} row {staged.uuid} references nonexistent row "
        f"{uuid} in table {target}.",
    )


def _not_unique(index: UniqueIndex, change: RowChange, rival: UUID) -> ConstraintViolation:
    assert change.new is not None
    shown = ", ".join(str(change.new[position]) for position in index.positions)
    columns = ", ".join(f'"{name}"' for name in index.names)
    plural = "s" if len(index.names) > 1 else ""
    return ConstraintViolation(
        f'Transaction causes multiple rows in "{index.table.name}" table to have identical values ({shown}) for index '
        f"on column{plural} {columns}.  The rows have UUIDs {rival} and {change.uuid}.",
    )


def _change(staged: Staged) -> RowChange | None:
    """Return the effective change of a staged row; the staged row itself, if it is new."""
    row = staged.row
    if row is None:
        return staged
    if staged.deleted:
        return RowEdit(staged.table, staged.uuid, row, old=row.values, new=None)
    old, new = row.values, staged.values
    deltas: dict[int, notation.ValueDelta] = {}
    columns = []
    for position in staged.changed:
        if staged.touched and position in staged.touched and staged.table.layout[position].type.high > 1:
            delta = staged.delta(position)
            if delta[0] or delta[1]:
                deltas[position] = delta
                columns.append(position)
        elif old[position] != new[position]:
            columns.append(position)
    if not columns:
        return None
    return RowEdit(
        staged.table, staged.uuid, row, old=old.copy(), new=new, columns=tuple(sorted(columns)), deltas=deltas
    )
