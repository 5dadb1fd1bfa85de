"""The journal: ovsdb-server's standalone file format (ovsdb(5), "Standalone Format"; `ovsdb-tool show-log` reads it).

A file is a sequence of records: a line `OVSDB JSON <length> <sha1>`, then that many bytes of JSON. The first record is
the schema; each other one is a transaction: `{table: {uuid: {column: value} | null}}` with `_date`, `_comment`, and
`_is_diff` where the values of changed set and map columns are diffs. Defaults of new rows are left out.

`append` hands a record to the operating system before anyone learns of the commit, so a killed process loses nothing;
`sync` puts it on the disk, so a durable commit survives the machine. A record that a crash tore is cut off on open, and
reported. While this object lives, the file is locked as the original does it, against a second server.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.engine.rows import UUID, Row
from ovenbird.ovsdb import notation
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.errors import BadSyntax, DatabaseCorrupt, InputOutputError, OvsdbError
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.table import diff_type, encode_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ovenbird.ovsdb.commit import Commit, RowChange
    from ovenbird.ovsdb.compaction import Compaction
    from ovenbird.ovsdb.table import BoundTable, Plan

_log = logging.getLogger(__name__)

_HEADER = re.compile(rb"OVSDB (JSON|CLUSTER) (\d+) ([0-9a-f]{40})\n")
COMPACT_MINIMUM = 10 * 1024 * 1024
"""Bytes below which a journal is not worth compacting; above, twice its last compacted size (ovsdb-server(1))."""
ROWS_AT_ONCE = 256
"""How many rows become bytes together: what is built for them is used again for the next, while caches hold it."""
_PARTS_AT_ONCE = 1024  # Linux's IOV_MAX (writev(2))
COMPACT_COMMITS, COMPACT_SECONDS = 100, 600.0
"""Commits, or else seconds, since the last compaction before which there is none (ovsdb-server(1))."""


@dataclass(frozen=True, slots=True)
class Torn:
    """What was cut off the end of a journal: `lost` bytes from `offset` on, because of `reason`."""

    offset: int
    lost: int
    reason: str


def record(json: Any) -> bytes:
    """Return one record of a journal."""
    return b"".join(record_of([orjson.dumps(json), b"\n"]))


def record_of(parts: Sequence[bytes]) -> Sequence[bytes]:
    """Return the record whose body is these parts, one after the other, as parts: they may be many megabytes."""
    digest = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return [b"OVSDB JSON %d %s\n" % (sum(map(len, parts)), digest.hexdigest().encode()), *parts]


def piece(rows: Mapping[UUID, Any]) -> bytes:
    """Return some rows of one table as they stand in a record's body."""
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
    """Write all of `parts`, one after the other, however often the system has to be asked; return how many bytes."""
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


def read_records(data: bytes) -> tuple[list[Any], Torn | None]:
    """Return the JSON of every whole record, and what is wrong with the rest, if there is any.

    Raises:
        DatabaseCorrupt: it is another file, or a clustered database.
    """
    records: list[Any] = []
    offset = 0
    while offset < len(data):
        header = _HEADER.match(data, offset)
        if header is None:
            if offset == 0 and not data.startswith(b"OVSDB JSON"):
                raise DatabaseCorrupt("not a database of the standalone format")
            return records, Torn(offset, len(data) - offset, "incomplete or damaged record header")
        if header[1] == b"CLUSTER":
            raise DatabaseCorrupt("a clustered database cannot be opened as a standalone one")
        end = header.end() + int(header[2])
        body = data[header.end() : end]
        if len(body) < int(header[2]):
            return records, Torn(offset, len(data) - offset, "the last record ends early")
        if hashlib.sha1(body, usedforsecurity=False).hexdigest().encode() != header[3]:
            return records, Torn(offset, len(data) - offset, "a record does not match its checksum")
        try:
            records.append(orjson.loads(body))
        except orjson.JSONDecodeError as error:
            return records, Torn(offset, len(data) - offset, f"a record is not JSON: {error}")
        offset = end
    return records, None


class Journal:
    """An open journal file. Make one with `create` or `open_database`.

    Arguments:
        path: the file.
        descriptor: the file, open for appending.
        size: its length in bytes.
    """

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self._fd = descriptor
        self.size = size
        self.compacted_size = size
        self._commits = 0  # since the last compaction, as is the time
        self._compacted_at = time.monotonic()
        self.torn: Torn | None = None
        self.unsynced = False
        self._renamed = False
        self.on_write: Callable[[], None] = lambda: None
        """Called after each record; whoever syncs the file in the background sets it."""
        self._lock = _lock(path)
        self._plans: dict[BoundTable, tuple[Plan, frozenset[int]]] = {}
        self.compaction: Compaction | None = None
        """The compaction under way, which wants to know of commits."""

    def append(self, commit: Commit) -> None:
        """Write a commit.

        Raises:
            InputOutputError: it could not be written; the file is as before.
        """
        if self.compaction is not None:
            self.compaction.keep(commit)
        parts = self._encode(commit)
        if parts:
            self._write(record_of(parts))
            self._commits += 1

    def _encode(self, commit: Commit) -> Sequence[bytes]:
        """Return the body of a commit's record as parts; none if nothing in it is kept."""
        tables = {}
        for name, changes in commit.changes.items():
            kept = self.plan(changes[0].table)[1]
            some = [c for c in changes if c.old is None or c.new is None or not kept.isdisjoint(c.columns)]
            if some:
                tables[name] = self._pieces(some)
        if not tables:
            return ()
        notes: dict[str, Any] = {"_date": int(time.time() * 1000), "_is_diff": True}
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
                encode, diff = table.diff_encoders[position], change.diff(position)
                row[table.layout[position].name] = diff if encode is None else encode(diff)
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
            self.size += write_all(self._fd, parts)
        except OSError as error:
            os.ftruncate(self._fd, self.size)
            raise InputOutputError(f"cannot write to {self.path}: {error.strerror}") from error
        self.unsynced = True
        self.on_write()

    def read(self, offset: int, length: int) -> bytes:
        """Return part of the file; callable from any thread."""
        return os.pread(self._fd, length, offset)

    def sync(self) -> None:
        """Put everything appended so far on the disk; callable from any thread.

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

    def replaced(self, descriptor: int, size: int) -> None:
        """Go on with the file that took this one's name."""
        os.dup2(descriptor, self._fd, inheritable=False)  # the number stays, since a sync may be using it in a thread
        os.close(descriptor)
        self.size = self.compacted_size = size
        self.unsynced = self._renamed = True
        self.put_off()

    def put_off(self) -> None:
        """Want no compaction for a while."""
        self._commits = 0
        self._compacted_at = time.monotonic()
        self._plans.clear()  # the schema may be another one now

    def close(self) -> None:
        """Sync and close the file."""
        if self._fd >= 0:
            if self.unsynced:
                self.sync()
            os.close(self._fd)
            os.close(self._lock)
            self._fd = -1
            self.compaction = None


def _lock(path: Path) -> int:
    """Lock the file's name as the original does: a lock on `.<name>.~lock~` beside it."""
    lock = path.with_name(f".{path.name}.~lock~")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise InputOutputError(f"{path}: cannot lock: another process has this database open") from error
    return descriptor


def sync_folder(folder: Path) -> None:
    """Put a folder's list of files on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create(path: Path, schema: DatabaseSchema) -> None:
    """Write a new journal that holds a schema and no rows.

    Raises:
        InputOutputError: it cannot be written, or there is a file already.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, record(schema.to_json()))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)
    except OSError as error:
        raise InputOutputError(f"cannot create {path}: {error.strerror}") from error


def open_database(path: Path, row_classes: Iterable[type[Row]] = ()) -> Database:
    """Open a journal and return its database, which writes to it from now on.

    A torn end is cut off, logged, and kept as `database.journal.torn`.

    Arguments:
        path: the file.
        row_classes: typed row classes for some or all tables.

    Raises:
        InputOutputError: it cannot be read, or another process has it open.
        DatabaseCorrupt: it is no such file, or a whole record in it makes no sense.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        data = path.read_bytes()
    except OSError as error:
        raise InputOutputError(f"cannot open {path}: {error.strerror}") from error
    journal = Journal(path, descriptor, len(data))
    try:
        records, journal.torn = read_records(data)
        if not records:
            raise DatabaseCorrupt(f"{path}: no schema in it")
        database = Database(DatabaseSchema.from_json(records[0]), row_classes, journal)
        database.load(_replay(database, records[1:]))
    except OvsdbError:
        journal.close()
        raise
    if journal.torn is not None:
        _log.warning(
            "%s: %s; cutting off %d bytes at %d", path, journal.torn.reason, journal.torn.lost, journal.torn.offset
        )
        os.ftruncate(descriptor, journal.torn.offset)
        journal.size = journal.torn.offset
        journal.sync()
    journal.compacted_size = journal.size
    return database


def _replay(database: Database, records: list[Any]) -> Iterator[tuple[BoundTable, UUID, list[Any]]]:
    """Yield the rows that a journal's transactions leave."""
    rows: dict[str, dict[str, list[Any]]] = {name: {} for name in database.tables}
    for entry in records:
        is_diff = entry.pop("_is_diff", False) is True
        for name, changes in entry.items():
            if name.startswith("_"):
                continue
            table = database.tables.get(name)
            if table is None:
                raise DatabaseCorrupt(f"a record changes table {name}, which the schema does not have")
            for uuid, json in changes.items():
                _replay_row(table, rows[name], uuid, json, is_diff)
    for name, contents in rows.items():
        table = database.tables[name]
        for uuid, values in contents.items():
            yield table, UUID(uuid), values


def _replay_row(table: BoundTable, rows: dict[str, list[Any]], uuid: str, json: Any, is_diff: bool) -> None:
    if json is None:
        rows.pop(uuid, None)
        return
    values = rows.get(uuid)
    fresh = values is None
    if values is None:
        values = rows[uuid] = table.defaults.copy()
    for name, value in json.items():
        position = table.position.get(name)
        if position is None:
            raise DatabaseCorrupt(
                f"a record changes column {name} of table {table.name}, which the schema does not have"
            )
        type_ = table.layout[position].type
        try:
            if fresh or not is_diff:
                values[position] = table.decoders[position](value, None)
            else:
                values[position] = decode_diff(table, position, values[position], value)
        except BadSyntax as error:
            raise DatabaseCorrupt(
                f"table {table.name} column {name} of type {type_.describe()}: {error.details}"
            ) from error


def decode_diff(table: BoundTable, position: int, old: Any, json: Any) -> Any:
    """Return the new value of a column, given its old one and the JSON of a diff."""
    type_ = table.layout[position].type
    diff = notation.decoder(diff_type(type_))(json, None)
    return notation.apply_diff(type_, old, diff) if type_.high > 1 else diff
