"""Outputs: keep the rows of a table equal to the facts of a relation.

An ``Output`` knows both sides by key: the wanted row from the facts, and the row in the table. A key is *dirty* when
either side has changed: a wave added or removed facts, or a client edited the table. ``plan`` visits the dirty keys
only and produces the smallest edits that make both sides equal, so creating a row and reverting another client's edit
are the same operation.
"""

from __future__ import annotations

import logging
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, cast

from ovenbird.engine.facts import frozen
from ovenbird.engine.missing_columns import Reduced, Spread
from ovenbird.engine.serial_uuids import serial_uuid, serial_uuids
from ovenbird.engine.tracking import Source
from ovenbird.engine.withheld import Withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence

    from ovenbird.engine.facts import Fact, Members, Rows
    from ovenbird.engine.rows import UUID, Column, Row, SetDeltas, Table

log = logging.getLogger(__name__)


class Editor(Protocol):
    """The receiver of a plan's edits: a database transaction."""

    def insert_rows(self, table: type[Row], rows: Mapping[UUID, list[Any]]) -> None:
        """Add rows, each given by all its values in column order; the lists become the rows' own."""

    def update(self, row: Row, values: Mapping[str, Any]) -> None:
        """Give a row new values of the columns named."""

    def mutate(self, row: Row, column: str, *, insert: Iterable[Any] = (), delete: Iterable[Any] = ()) -> None:
        """Add elements to a set column and remove others.

        Arguments:
            row: whose column.
            column: its name.
            insert: elements to add.
            delete: elements to remove.
        """

    def delete(self, row: Row) -> None:
        """Remove a row."""


class Handle(Source):
    """The UUID that the row of a key has or will have; it exists while a rule refers to it.

    Arguments:
        output: the output of the row's table.
        key: the row's key.
        uuid: the row's UUID.
    """

    __slots__ = ("key", "output", "uuid")

    def __init__(self, output: Output, key: Hashable, uuid: UUID) -> None:
        self.readers = {}
        self.output = output
        self.key = key
        self.uuid = uuid

    def unread(self) -> None:
        """Let the engine forget the handle at the end of the wave."""
        self.output.engine.unread.append(self)

    def dispose(self) -> None:
        """Forget the UUID; an existing row keeps it."""
        self.output.handles.pop(self.key, None)


class Output:
    """One output table of an engine.

    Arguments:
        engine: whose facts.
        relation: the facts that are the table's rows.
        table: the present table.
        members: relations whose facts are elements of the rows' set columns.
        lacking: columns that cannot be written, since the server has none of them.
        mine: whether a row that is found is for this engine to write, where several have rows in one table.
    """

    def __init__(
        self,
        engine: Any,
        relation: Rows[Any],
        table: Table[Any],
        members: Sequence[Members[Any, Any]],
        lacking: Collection[Column[Any]] = (),
        mine: Callable[[Any], bool] | None = None,
    ) -> None:
        self.engine = engine
        self.relation = relation
        self.table = table
        self.members = tuple(members)
        self.mine = mine
        self.actual: dict[Hashable, Row] = {}
        self.handles: dict[Hashable, Handle] = {}
        self.dirty: dict[Hashable, object] = {}  # an ordered set of keys
        self.surplus: dict[Row, None] = {}
        self._keys: dict[Row, Hashable] = {}
        self._planned: dict[UUID, Hashable] = {}
        self.rejected: dict[Hashable, Fact | None] = {}
        self.barred: set[Any] = set()
        self.lifted: set[Hashable] = set()
        """Rejected keys whose facts have changed since; the driver that writes the plans empties it."""
        self._given: dict[Hashable, Fact] = {}  # what facts that have gone wanted of others' rows, until the next plan
        self._last: tuple[dict[Hashable, object], dict[Hashable, Any], dict[Hashable, None]] = ({}, {}, {})
        self._wanted: dict[Hashable, Fact | list[Fact]] = {}
        self._sets: dict[Hashable, dict[Members[Any, Any], dict[Any, None]]] = {}
        self._edits: dict[Hashable, dict[Members[Any, Any], set[Any]]] = {}
        self._suspect: dict[Hashable, None] = {}
        self._withheld: Withheld | Spread | None = None
        self._within: list[Output] = []
        self._follow_groups(lacking)
        lost = {relation.start + i: frozen(c.default) for i, c in enumerate(relation.columns) if c in lacking}
        self._reduced = Reduced(lost) if lost else None
        self._columns = 0
        for column in (*relation.columns, *relation.empty):
            self._columns |= column.bit
        self._mine = self._columns
        for member in self.members:
            self._mine |= member.column.bit
        self._is_map = tuple(isinstance(c.default, dict) for c in relation.columns)
        maps = [c for c, is_map in zip(relation.columns, self._is_map, strict=True) if is_map]
        self._maps = tuple((c.index, {} if c.default else c.default) for c in maps)  # empty ones are most often one
        self._unowned, self._layout = _layout(relation)
        self.inserted(table.rows.values())
        table.watchers.append(self)

    def _follow_groups(self, lacking: Collection[Column[Any]]) -> None:
        """Withhold facts about rows without vital elements, and about rows that refer to such rows.

        If the server lacks the column that refers to groups, facts about each element replace those about the group.
        """
        relation = self.relation
        if any(member.vital for member in self.members):
            self._withheld = Withheld(1)
            self._within.append(self)
        elif relation.within is not None:
            members, column, alone = relation.within
            place = relation.columns.index
            at = relation.start + place(column)
            spread = alone is not None and column in lacking
            self._withheld = Spread(at, alone=relation.start + place(alone)) if spread else Withheld(at)
            self.engine.outputs[members.rows]._within.append(self)  # noqa: SLF001 (another of the same class)

    # -- what the facts want --------------------------------------------------------------------------------------

    def absorb(self, *, added: Sequence[Fact], removed: Sequence[Fact]) -> None:
        """Process a wave's facts about rows."""
        if self._withheld is not None:
            added, removed = self._withheld.added(added), self._withheld.removed(removed)
        self._absorb(added=added, removed=removed)

    def _absorb(self, *, added: Sequence[Fact], removed: Sequence[Fact]) -> None:
        """Process facts that begin or cease to count."""
        if self._reduced is not None:
            added, removed = self._reduced.added(added), self._reduced.removed(removed)
        wanted, dirty, rejected = self._wanted, self.dirty, self.rejected
        gone, come = self.relation.keys(removed), self.relation.keys(added)
        for key in (*gone, *come) if rejected else ():
            if rejected.pop(key, key) is not key:
                self.lifted.add(key)
        if self.relation.returned:
            self._given.update(zip(gone, removed, strict=True))
        for key, fact in zip(gone, removed, strict=True):
            dirty[key] = None
            held = wanted[key]
            if isinstance(held, list):
                held.remove(fact)
                if len(held) == 1:
                    wanted[key] = held[0]
            else:
                del wanted[key]
        fresh = dict(zip(come, added, strict=True))
        dirty.update(fresh)
        if len(fresh) == len(added) and (not wanted or wanted.keys().isdisjoint(fresh)):
            wanted.update(fresh)
            return
        for key, fact in zip(come, added, strict=True):
            held_now = wanted.setdefault(key, fact)
            if held_now is not fact:
                if isinstance(held_now, list):
                    held_now.append(fact)
                else:
                    wanted[key] = [held_now, fact]

    def absorb_members(self, member: Members[Any, Any], *, added: Collection[Fact], removed: Collection[Fact]) -> None:
        """Process a wave's facts about elements of the rows' sets.

        Arguments:
            member: the relation of the facts.
            added: facts that are new.
            removed: facts that no rule yields any more.
        """
        for _, key, _ in (*added, *removed) if self.rejected else ():
            if self.rejected.pop(key, key) is not key:
                self.lifted.add(key)
                self._doubt(key)
        actual, sets = self.actual, self._sets
        for _, key, element in removed:
            self.barred.discard(element)
            of_row = sets[key]
            del of_row[member][element]
            if not of_row[member]:
                del of_row[member]
                if not of_row:
                    del sets[key]
            self._edit(key, member, element)
        known: dict[Hashable, dict[Any, None]] = {}
        for _, key, element in added:
            elements = known.get(key)
            if elements is None:
                of_row = sets.setdefault(key, {})
                elements = known[key] = of_row.setdefault(member, {})
            elements[element] = None
            if key in actual:  # else the row will be inserted with them
                self._edit(key, member, element)
        if member.vital:
            for key in dict.fromkeys([fact[1] for fact in (*removed, *added)]):
                self._turn(key, populated=bool(self._sets.get(key, {}).get(member)))
            for output in self._within:
                if isinstance(spread := output._withheld, Spread):  # noqa: SLF001
                    output._absorb(added=spread.joined(added), removed=spread.left(removed))  # noqa: SLF001

    def _turn(self, group: Hashable, *, populated: bool) -> None:
        """Count the facts about a row, and those that refer to it, if and only if it has elements."""
        for output in self._within:
            if output._withheld is not None and (facts := output._withheld.turn(group, populated)):  # noqa: SLF001
                output._absorb(added=facts if populated else (), removed=() if populated else facts)  # noqa: SLF001

    def wanted(self, key: Hashable) -> Fact | None:
        """Return the fact that the row of ``key`` should be equal to; of conflicting ones, the least."""
        held = self._wanted.get(key)
        return self._least(key, held) if isinstance(held, list) else held

    def _least(self, key: Hashable, facts: list[Fact]) -> Fact:
        log.warning("%s: rules disagree about the row %r: %r", self.relation.name, key, facts)
        return min(facts, key=repr)

    def reference(self, key: Hashable) -> UUID:
        """Return the UUID that the row of ``key`` has or will have; the caller depends on it."""
        if self.relation.named:
            return cast("UUID", key)
        handle = self.handles.get(key)
        if handle is None:
            row = self.actual.get(key)
            handle = self.handles[key] = Handle(self, key, row.uuid if row is not None else serial_uuid())
        handle.track()
        return handle.uuid

    # -- what is there --------------------------------------------------------------------------------------------

    def inserted(self, rows: Iterable[Row]) -> None:
        """Process inserted rows."""
        planned, actual, keys = self._planned, self.actual, self._keys
        if self.relation.named and self.relation.update_only and not self.members:  # none is planned, each key is once
            fresh = {row.uuid: row for row in rows}
            actual.update(zip(fresh, fresh.values(), strict=True))
            keys.update(zip(fresh.values(), fresh, strict=True))
            for uuid in fresh.keys() & self._wanted.keys():
                self._doubt(uuid)
            return
        for row in rows:
            key = planned.pop(row.uuid, None) if planned else None
            if key is not None and actual.setdefault(key, row) is row:  # our own insertion, just as it was planned
                keys[row] = key
            else:
                self._appeared(row)

    def _appeared(self, row: Row) -> None:
        """Process a row that was not inserted by the last plan."""
        key = self._key_of(row)
        if key is None:
            return
        if key in self.actual:
            self.surplus[row] = None
            return
        self.actual[key] = row
        self._keys[row] = key
        handle = self.handles.get(key)
        if handle is not None and handle.uuid != row.uuid:
            handle.uuid = row.uuid
            handle.touch()
        self._doubt(key)

    def modified(self, row: Row, mask: int, deltas: SetDeltas | None) -> None:
        """Process a modified row."""
        if mask & self._mine:
            self._compare(row, mask, deltas)

    def review(self) -> None:
        """Ask of every row again whether it is this engine's, since what decides that has changed."""
        for row in list(self.table.rows.values()):
            if row in self._keys or row in self.surplus or self._key_of(row) is not None:
                self._compare(row, self._columns, None)

    def _key_of(self, row: Row) -> Hashable | None:
        """Return the key of a row that is found; None if it is left alone."""
        return self.relation.key_of(row) if self.mine is None or self.mine(row) else None

    def _compare(self, row: Row, mask: int, deltas: SetDeltas | None) -> None:
        key = self._key_of(row)
        known = self._keys.get(row)
        if known != key or known is None:  # it is no longer the row it was
            self.deleted(row)
            handle = self.handles.get(known)
            if handle is not None and handle.uuid == row.uuid:  # another one will be that: this keeps its UUID
                handle.uuid = serial_uuid()
                handle.touch()
            self._appeared(row)
            return
        if mask & self._columns:
            self.dirty[key] = None
        for member in self.members:
            if mask & member.column.bit:
                delta = deltas.get(member.column.index) if deltas is not None else None
                if delta is None:
                    self._suspect[key] = None
                else:
                    for element in (*delta[0], *delta[1]):
                        self._edit(key, member, element)

    def deleted(self, row: Row) -> None:
        """Process a deleted row; a surplus row with the same key takes its place."""
        self.surplus.pop(row, None)
        self.rejected.pop(row, None)
        key = self._keys.pop(row, None)
        if key is None:
            return
        del self.actual[key]
        self._doubt(key)
        for other in list(self.surplus):
            if self._key_of(other) == key:
                del self.surplus[other]
                self._appeared(other)
                break

    # -- making them agree ----------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether there is nothing to plan."""
        return not (self.dirty or self._suspect or self._edits or self.surplus)

    @property
    def unsettled(self) -> list[Hashable]:
        """The keys, and surplus rows, that the next plan covers."""
        return list(dict.fromkeys((*self.surplus, *self.dirty, *self._suspect, *self._edits)))

    def plan(self, editor: Editor, only: Collection[Hashable] | None = None) -> None:
        """Write the edits that make the rows of dirty keys equal to the facts, and mark these keys clean.

        Arguments:
            editor: the transaction.
            only: the part of `unsettled` to cover; all by default.
        """
        if self.idle:  # as most outputs are in most waves
            self._last = ({}, {}, {})
            return
        update_only, actual, rejected = self.relation.update_only, self.actual, self.rejected
        if only is None:
            dirty, edits, suspect = self.dirty, self._edits, self._suspect
            self.dirty, self._edits, self._suspect = {}, {}, {}
        else:
            dirty, edits, suspect = _taken(self.dirty, only), _taken(self._edits, only), _taken(self._suspect, only)
        self._last = (dirty, edits, suspect)
        for row in [row for row in _among(self.surplus, only) if row not in rejected]:
            self._drop(editor, row)
        missing: list[Hashable] = [] if actual else list(dirty)
        for key in dirty if actual else ():
            row_now = actual.get(key)
            if row_now is None:
                missing.append(key)
                continue
            if key in rejected:
                continue
            fact = self.wanted(key)
            if fact is not None:
                self._update(editor, row_now, fact)
            elif not update_only:
                self._drop(editor, row_now)
            elif key in self._given:
                self._take_back(editor, row_now, self._given[key])
        for key in dirty if self._given else ():
            self._given.pop(key, None)
        if missing and not update_only:
            self._insert(editor, missing)
        for key in (*suspect, *edits):
            row_now = self.actual.get(key)
            if row_now is not None and key in self._wanted and key not in self.rejected:
                self._update_sets(editor, key, row_now, None if key in suspect else edits[key])

    def undo(self, culprits: Collection[str]) -> bool:
        """Undo the last plan, whose transaction the database refused.

        Arguments:
            culprits: UUIDs that the refusal names. Rows of the plan among them, and elements to be added to sets, are
                left out from now on, until their facts change; everything else is planned again.

        Returns:
            Whether any of ``culprits`` was found in the plan.
        """
        found = False
        for uuid, key in self._planned.items():
            if uuid in culprits and key in self._last[0] and key not in self.rejected:
                self.rejected[key] = self.wanted(key)
                found = True
        self._planned.clear()
        for surplus in self.surplus if culprits else ():
            if surplus.uuid in culprits and surplus not in self.rejected:
                self.rejected[surplus] = None
                found = True
        for key in {**self._last[0], **self._last[1], **self._last[2]}:
            row = self.actual.get(key)
            elements = {e for m in self._sets.get(key, {}).values() for e in m if e in culprits} - self.barred
            if elements:
                self.barred |= elements
                found = True
            elif row is not None and row.uuid in culprits and key not in self.rejected:
                self.rejected[key] = self.wanted(key)
                found = True
            self._doubt(key)
        self._last = ({}, {}, {})
        return found

    def planned_key(self, uuid: UUID, row: Row | None) -> Hashable | None:
        """Return the key, or surplus row, that an edit of the last plan belongs to; None if that is another output's.

        Arguments:
            uuid: the UUID of the row.
            row: the row, None if it is to be inserted.
        """
        if row is None:
            return self._planned.get(uuid)
        return row if row in self.surplus else self._keys.get(row)

    def reject(self, key: Hashable) -> None:
        """Leave a key, or a surplus row, out of plans until its facts change."""
        self.rejected[key] = None if key in self.surplus else self.wanted(key)

    def has_changed(self) -> bool:
        """Return whether the facts of a rejected key have changed; its row may still not be valid by itself.

        Of rows that refer to each other, each may have been left out because of the other.
        """
        found = bool(self.lifted)
        self.lifted.clear()
        return found

    def reconsider(self) -> bool:
        """Include what was left out in the next plan again; return whether there was anything."""
        found = bool(self.rejected or self.barred)
        for key in self.rejected:
            if key not in self.surplus:
                self._doubt(key)
        if self.barred:
            for key in self._sets:
                self._suspect[key] = None
        self.rejected.clear()
        self.barred.clear()
        self.lifted.clear()
        return found

    def suspect_all(self) -> None:
        """Compare every key in the next plan: after a lost connection, or when another process has written."""
        self._planned.clear()
        self.rejected.clear()
        self.barred.clear()
        for key in (*self.actual, *self._wanted):
            self._doubt(key)

    def _insert(self, editor: Editor, missing: Iterable[Hashable]) -> None:
        """Insert the rows of those keys that have a fact; none of them has a row."""
        wanted, sets, handles, rejected = self._wanted, self._sets, self.handles, self.rejected
        found = [(key, held) for key in missing if (held := wanted.get(key)) is not None]
        if rejected:
            found = [(key, held) for key, held in found if key not in rejected]
        if not found:
            return
        keys = [key for key, _ in found]
        rows = []
        layout, unowned, maps = self._layout, self._unowned, self._maps
        for key, held in found:
            fact = self._least(key, held) if isinstance(held, list) else held
            row = list(layout(fact + unowned))
            for at, empty in maps:
                row[at] = dict(row[at]) if row[at] else empty
            rows.append(row)
        for key, row in zip(keys, rows, strict=True) if sets else ():
            for member, elements in sets.get(key, {}).items():
                row[member.column.index] = frozenset(elements) - self.barred
        uuids: Sequence[Any] = keys if self.relation.named else serial_uuids(len(keys))
        if handles:
            uuids = [handles[key].uuid if key in handles else uuid for key, uuid in zip(keys, uuids, strict=True)]
        self._planned.update(zip(uuids, keys, strict=True))
        editor.insert_rows(self.relation.row_class, dict(zip(uuids, rows, strict=True)))

    def _drop(self, editor: Editor, row: Row) -> None:
        """Delete a row, unless that is left to the database."""
        if self.relation.collected:
            self.surplus.pop(row, None)
        else:
            editor.delete(row)

    def _take_back(self, editor: Editor, row: Row, given: Fact) -> None:
        """Reset columns of another owner's row to their defaults, if they still have the values of a removed fact."""
        own = zip(self.relation.columns, given[self.relation.start :], strict=True)
        changes = {c.name: c.default for c, value in own if value != c.default and row.values[c.index] == value}
        if changes:
            editor.update(row, changes)

    def _update(self, editor: Editor, row: Row, fact: Fact) -> None:
        changes: dict[str, Any] = {}
        stored = row.values
        for column, is_map, value in zip(self.relation.columns, self._is_map, fact[self.relation.start :], strict=True):
            want = dict(value) if is_map else value
            if column in self.relation.parts:
                there = stored[column.index]
                given = {k: v for k, v in want.items() if there.get(k) != v}
                gone = [k for k in self.relation.parts[column] if k in there and k not in want]
                if given or gone:
                    editor.mutate(row, column.name, insert=given, delete=(*given, *gone))
            elif stored[column.index] != want:
                changes[column.name] = want
        for column in self.relation.empty:
            if stored[column.index] != column.default:
                changes[column.name] = column.default
        if changes:
            editor.update(row, changes)

    def _update_sets(
        self, editor: Editor, key: Hashable, row: Row, edits: dict[Members[Any, Any], set[Any]] | None
    ) -> None:
        """Make the sets of a row equal to the facts: only the elements of ``edits``, or all."""
        wanted = self._sets.get(key, {})
        for member in self.members if edits is None else edits:
            want = wanted.get(member, {})
            there = row.values[member.column.index]
            if edits is None and want.keys() == there:  # most often: the echo of our own edit
                continue
            elements = want.keys() | there if edits is None else edits[member]
            add = [e for e in elements if e in want and e not in there and e not in self.barred]
            drop = [e for e in elements if e in there and e not in want and self._owns(member, e)]
            if add or drop:
                editor.mutate(row, member.column.name, insert=add, delete=drop)

    def _owns(self, member: Members[Any, Any], element: Any) -> bool:
        """Return whether rules own an element of a row's set."""
        if member.among is None:
            return True
        row = self.table.store.tables[member.column.target or ""].rows.get(element)
        return row is not None and member.among(row)

    def _edit(self, key: Hashable, member: Members[Any, Any], element: Any) -> None:
        self._edits.setdefault(key, {}).setdefault(member, set()).add(element)

    def _doubt(self, key: Hashable) -> None:
        self.dirty[key] = None
        if self.members:
            self._suspect[key] = None


def _among(pending: Mapping[Any, object], only: Collection[Hashable] | None) -> Iterable[Any]:
    """Return the intersection of pending and wanted keys, at the cost of the smaller set; all pending by default."""
    if only is None:
        return pending
    return [key for key in pending if key in only] if len(pending) < len(only) else [k for k in only if k in pending]


def _taken(pending: dict[Hashable, Any], only: Collection[Hashable]) -> dict[Hashable, Any]:
    """Remove and return the pending keys that are wanted."""
    return {key: pending.pop(key) for key in _among(pending, only)}


def _layout(relation: Rows[Any]) -> tuple[tuple[Any, ...], Callable[[tuple[Any, ...]], Sequence[Any]]]:
    """Return the values of columns that are not in facts, and a getter that makes a row of a fact and these values."""
    columns = relation.row_class.COLUMNS
    given = {column.index: relation.start + i for i, column in enumerate(relation.columns)}
    length = relation.start + len(relation.columns)
    unowned = [column for column in columns if column.index not in given]
    given |= {column.index: length + i for i, column in enumerate(unowned)}
    places = [given[column.index] for column in columns]
    if places == list(range(places[0], places[0] + len(places))):
        layout: Any = itemgetter(slice(places[0], places[0] + len(places)))
    else:
        layout = itemgetter(*places)
    return tuple(relation.initial.get(column.name, column.default) for column in unowned), layout
