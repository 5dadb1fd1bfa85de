"""The journal: ovsdb-server's standalone file format (ovsdb(5), "Standalone Format"; `ovsdb-tool show-log` reads it).

A file is a sequence of records: a line `OVSDB JSON <length> <sha1>`, then that many bytes of JSON. The first record is
the schema; each other one is a transaction: `{table: {uuid: {column: value} | null}}` with `_date`, `_comment`, and
`_is_diff` where the values of changed set and map columns are diffs. Defaults of new rows are left out.

`append` hands a record to the operating system before the commit is announced, so a killed process loses nothing;
`sync` writes it to disk, so a durable commit survives a crash of the machine. A record that a crash left incomplete is
cut off on open, and reported; a file with any other damage is not opened, or set aside first (`journal_reader`,
`OnDamage`). While this object exists the file is locked against a second server, as by the original.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import re
import time
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.engine.rows import UUID
from ovenbird.ovsdb.commit import unwritable
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.errors import DamagedJournal, InputOutputError
from ovenbird.ovsdb.journal_reader import Damage, SenselessRecord, read_records, replay, schema_of
from ovenbird.ovsdb.jsonrpc import has_nul
from ovenbird.ovsdb.table import encode_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ovenbird.engine.rows import Row
    from ovenbird.ovsdb.commit import Commit, RowChange
    from ovenbird.ovsdb.compaction import Compaction
    from ovenbird.ovsdb.schema import DatabaseSchema
    from ovenbird.ovsdb.table import BoundTable, Plan

_log = logging.getLogger(__name__)

COMPACT_MINIMUM = 10 * 1024 * 1024
"""Bytes below which a journal is not worth compacting; above, twice its last compacted size (ovsdb-server(1))."""
ROWS_AT_ONCE = 256
"""How many rows are encoded together, so that their temporary objects stay in the processor's cache."""
_PARTS_AT_ONCE = 1024  # Linux's IOV_MAX (writev(2))
COMPACT_COMMITS, COMPACT_SECONDS = 100, 600.0
"""Minimum commits, or else seconds, between compactions (ovsdb-server(1))."""


_LEFTOVER = re.compile(r"\.tmp\d*\Z")
"""Suffixes of the files that a killed compaction or creation leaves, ours or ovsdb-server's."""
_locked: set[Path] = set()
"""Files that this process has locked: the kernel's locks exclude only other processes (fcntl(2))."""


class OnDamage(StrEnum):
    """What to do with a file that is damaged other than by an incomplete last record."""

    REFUSE = "refuse"
    """Do not open it."""
    SET_ASIDE = "set-aside"
    """Keep a copy of the file, and use the part before the damage."""


def record(json: Any) -> bytes:
    """Return one record of a journal."""
    return b"".join(record_of([orjson.dumps(json), b"\n"]))


def record_of(parts: Sequence[bytes]) -> Sequence[bytes]:
    """Return a record, as parts, whose body is the concatenation of these parts, which may be many megabytes."""
    digest = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return [b"OVSDB JSON %d %s\n" % (sum(map(len, parts)), digest.hexdigest().encode()), *parts]


def piece(rows: Mapping[UUID, Any]) -> bytes:
    """Encode some rows of one table for a record's body."""
    return orjson.dumps(rows)[1:-1]


def body(tables: Mapping[str, Iterable[bytes]], notes: dict[str, Any]) -> Sequence[bytes]:
    """Return the body of a record as parts, given the pieces of each table: one or more."""
    parts = [b"{"]
    for name, some in tables.items():
        parts.append(b'"%s":{' % name.encode())
        for each in some:
            parts += (each, b",")
        parts[-1] = b"},"
    return [*parts, orjson.dumps(notes)[1:], b"\n"]


def write_all(descriptor: int, parts: Sequence[bytes]) -> int:
    """Write all `parts`, with as many system calls as it takes; return the number of bytes."""
    size = 0
    for at in range(0, len(parts), _PARTS_AT_ONCE):
        some = parts[at : at + _PARTS_AT_ONCE]
        length = sum(map(len, some))
        size += length
        written = os.writev(descriptor, some)
        left = memoryview(b"".join(some))[written:] if written < length else None
        while left:
            left = left[os.write(descriptor, left) :]
    return size


class Journal:
    """An open journal file. Make one with `create` or `open_database`.

    Arguments:
        path: the file, no symbolic link.
        descriptor: the file, open for appending.
        size: its length in bytes.
        lock: what `_lock` returned for it.
    """

    def __init__(self, path: Path, *, descriptor: int, size: int, lock: int) -> None:
        self.path = path
        self._fd = descriptor
        self.size = size
        self.compacted_size = size
        self._commits = 0  # since the last compaction, as is the time
        self._compacted_at = time.monotonic()
        self.damage: Damage | None = None
        """The damage that was cut off when it was opened."""
        self.diffs = True
        """Whether changed sets and maps are written as differences, which servers before 2.15 cannot read."""
        self.unsynced = False
        self._torn = False  # whether a write failed and what it left could not be cut off
        self.failure = ""
        """Why the last write failed; empty if it did not."""
        self._renamed = False
        self.on_write: Callable[[], None] = lambda: None
        """Called after each record; set by a server that syncs the file in the background."""
        self._lock = lock
        self._plans: dict[BoundTable, tuple[Plan, frozenset[int]]] = {}
        self.compaction: Compaction | None = None
        """The present compaction, which is notified of commits."""

    def append(self, commit: Commit) -> None:
        """Write a commit.

        Raises:
            InputOutputError: it could not be written; the file is as before.
            ConstraintViolation: it has a string that OVSDB cannot have.
        """
        try:
            parts = self._encode(commit)
        except TypeError as error:  # of half a surrogate pair
            raise unwritable(change for changes in commit.changes.values() for change in changes) from error
        if any(map(has_nul, parts)):
            raise unwritable(change for changes in commit.changes.values() for change in changes)
        if self.compaction is not None:
            self.compaction.keep(commit)
        if parts:
            self._write(record_of(parts))
            self._commits += 1

    def _encode(self, commit: Commit) -> Sequence[bytes]:
        """Return the body of a commit's record as parts; none if all its columns are ephemeral."""
        tables = {}
        for name, changes in commit.changes.items():
            kept = self.plan(changes[0].table)[1]
            some = [c for c in changes if c.old is None or c.new is None or not kept.isdisjoint(c.columns)]
            if some:
                tables[name] = self._pieces(some)
        if not tables:
            return ()
        notes: dict[str, Any] = {"_date": int(time.time() * 1000)}
        if self.diffs:
            notes["_is_diff"] = True
        if commit.comment:
            notes["_comment"] = commit.comment
        return body(tables, notes)

    def _pieces(self, changes: Sequence[RowChange]) -> Iterator[bytes]:
        """Yield the rows of a table: what a new row has besides defaults, diffs of a changed one, or `null`."""
        table = changes[0].table
        plan, kept = self.plan(table)

        def edit(change: RowChange) -> dict[str, Any] | None:
            if change.new is None:
                return None
            row = {}
            for position in kept.intersection(change.columns):
                if self.diffs:
                    encode, value = table.diff_encoders[position], change.diff(position)
                else:
                    encode, value = table.encoders[position], change.new[position]
                row[table.layout[position].name] = value if encode is None else encode(value)
            return row

        for at in range(0, len(changes), ROWS_AT_ONCE):
            some = changes[at : at + ROWS_AT_ONCE]
            yield piece({c.uuid: edit(c) if c.old is not None else encode_row(plan, c.new or ()) for c in some})

    def plan(self, table: BoundTable) -> tuple[Plan, frozenset[int]]:
        """Return how a table's rows are encoded, and the positions of the columns that are kept."""
        found = self._plans.get(table)
        if found is None:
            kept = [column.name for column in table.layout if not column.ephemeral]
            found = self._plans[table] = (table.plan(kept), frozenset(table.position[name] for name in kept))
        return found

    def _write(self, parts: Sequence[bytes]) -> None:
        try:
            if self._torn:  # a record behind half of another would be lost
                self.cut(self.size)
            self._torn = True
            size = write_all(self._fd, parts)
        except OSError as error:
            with contextlib.suppress(OSError):  # else the next write has to do it first
                self.cut(self.size)
            if not self.failure:
                _log.warning(
                    "%s: write failed (%s): changes are refused until writes succeed", self.path, error.strerror
                )
            self.failure = f"cannot write to {self.path}: {error.strerror}"
            raise InputOutputError(self.failure) from error
        if self.failure:
            _log.info("%s: can be written again", self.path)
        self._torn, self.failure = False, ""
        self.size += size
        self.unsynced = True
        self.on_write()

    def cut(self, size: int) -> None:
        """Cut the file off at a length.

        Raises:
            OSError: it cannot be.
        """
        os.ftruncate(self._fd, size)
        self.size, self._torn = size, False

    def read(self, offset: int, *, length: int) -> bytes:
        """Return part of the file; callable from any thread."""
        return os.pread(self._fd, length, offset)

    def sync(self) -> None:
        """Sync everything appended so far to the disk; callable from any thread.

        Raises:
            InputOutputError: the disk failed.
        """
        renamed, self.unsynced, self._renamed = self._renamed, False, False
        try:
            if renamed:
                sync_folder(self.path.parent)
            os.fdatasync(self._fd)
        except OSError as error:
            raise InputOutputError(f"cannot sync {self.path}: {error.strerror}") from error

    @property
    def wants_compaction(self) -> bool:
        """Whether the file has grown enough, by enough commits or for long enough, to be worth compacting."""
        if self.size <= max(COMPACT_MINIMUM, 2 * self.compacted_size):
            return False
        return self._commits >= COMPACT_COMMITS or time.monotonic() - self._compacted_at >= COMPACT_SECONDS

    def replaced(self, *, descriptor: int, size: int) -> None:
        """Continue with the file that replaced this one."""
        os.dup2(descriptor, self._fd, inheritable=False)  # the number stays, since a sync may be using it in a thread
        os.close(descriptor)
        self.size = self.compacted_size = size
        self.unsynced = self._renamed = True
        self.put_off()

    def put_off(self) -> None:
        """Postpone the next compaction."""
        self._commits = 0
        self._compacted_at = time.monotonic()
        self._plans.clear()  # the schema may be another one now

    def close(self) -> None:
        """Sync and close the file."""
        if self._fd >= 0:
            if self.unsynced:
                self.sync()
            os.close(self._fd)
            _unlock(self.path, self._lock)
            self._fd = -1
            self.compaction = None


def _lock(path: Path) -> int:
    """Lock the file as ovsdb-server does, by `.<name>.~lock~` beside it.

    Raises:
        InputOutputError: it cannot be locked, or is locked already.
    """
    if path in _locked:
        raise InputOutputError(f"{path}: this process has this database open already")
    lock = path.with_name(f".{path.name}.~lock~")
    descriptor = -1
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if descriptor < 0:
            raise InputOutputError(f"{path}: cannot lock: {lock}: {error.strerror}") from error
        os.close(descriptor)
        raise InputOutputError(f"{path}: cannot lock: another process has this database open") from error
    _locked.add(path)
    return descriptor


def _unlock(path: Path, descriptor: int) -> None:
    os.close(descriptor)
    _locked.discard(path)


def sync_folder(folder: Path) -> None:
    """Sync a directory to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create(path: Path, schema: DatabaseSchema) -> None:
    """Write a new journal with a schema and no rows, atomically.

    Raises:
        InputOutputError: it cannot be written, or there is a file already.
    """
    beside = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        try:
            _write_file(beside, [record(schema.to_json())])
            os.link(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise InputOutputError(f"cannot create {path}: {error.strerror}") from error


def _write_file(path: Path, parts: Sequence[bytes]) -> None:
    """Write and sync a new file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        write_all(descriptor, parts)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_database(
    path: Path, row_classes: Iterable[type[Row]] = (), *, on_damage: OnDamage = OnDamage.REFUSE
) -> Database:
    """Open a journal and return its database, which writes to it from now on.

    An incomplete last record is cut off, logged, and reported as `database.journal.damage`. Files of killed compactions
    are removed.

    Arguments:
        path: the file.
        row_classes: typed row classes for some or all tables.
        on_damage: what to do with other damage.

    Raises:
        InputOutputError: it cannot be read, or is open already.
        DatabaseCorrupt: it is not a journal, or it is damaged and `on_damage` is to refuse.
        OvsdbError: its schema does not fit the row classes.
    """
    path = path.resolve()
    if not path.exists():
        raise InputOutputError(f"cannot open {path}: {os.strerror(errno.ENOENT)}")
    lock = _lock(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        data = path.read_bytes()
    except OSError as error:
        _unlock(path, lock)
        raise InputOutputError(f"cannot open {path}: {error.strerror}") from error
    journal = Journal(path, descriptor=descriptor, size=len(data), lock=lock)
    try:
        _remove_leftovers(path)
        database = _opened(journal, data, tuple(row_classes), on_damage)
    except BaseException:
        journal.close()
        raise
    journal.compacted_size = journal.size
    return database


def _opened(journal: Journal, data: bytes, row_classes: tuple[type[Row], ...], on_damage: OnDamage) -> Database:
    """Return the database of a journal's data, and cut off the damaged part."""
    records, damage = read_records(data)
    database = Database(schema_of(journal.path, records), row_classes, journal)
    try:
        rows = replay(database.tables, records[1:])
    except SenselessRecord as bad:
        damage = Damage(offset=bad.offset, lost=len(data) - bad.offset, reason=bad.reason)
        rows = {}
    if damage is not None:
        if not damage.torn and on_damage is OnDamage.REFUSE:
            raise DamagedJournal(f"{journal.path} is damaged: {damage}")
        rows = rows or replay(database.tables, [r for r in records[1:] if r.offset < damage.offset])
        _cut_off(journal, data, damage)
    database.load(
        (database.tables[name], UUID(uuid), values)
        for name, contents in rows.items()
        for uuid, values in contents.items()
    )
    return database


def _cut_off(journal: Journal, data: bytes, damage: Damage) -> None:
    """Cut off an incomplete record; before cutting off other damage, copy the whole file."""
    path = journal.path
    try:
        if damage.torn:
            _log.warning("%s: %s; cut off", path, damage)
        else:
            copy = _set_aside(path, data)
            _log.warning("%s is damaged: %s; cut off there, and the whole file is kept as %s", path, damage, copy)
        journal.cut(damage.offset)
    except OSError as error:
        raise InputOutputError(f"cannot make a copy of the damaged {path}: {error.strerror}") from error
    journal.sync()
    journal.damage = damage


def _set_aside(path: Path, data: bytes) -> Path:
    """Write a copy of a journal beside it, and return its path."""
    name = f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    for number in count():
        copy = path.with_name(f"{name}.{number}" if number else name)
        try:
            _write_file(copy, [data])
        except FileExistsError:
            continue
        break
    sync_folder(path.parent)
    return copy


def _remove_leftovers(path: Path) -> None:
    """Remove the files that compactions or creations of this journal left when they were killed."""
    for other in path.parent.iterdir():
        if other.name.startswith(path.name) and _LEFTOVER.fullmatch(other.name, len(path.name)):
            _log.info("%s: removed; a killed compaction had left it", other)
            other.unlink(missing_ok=True)
