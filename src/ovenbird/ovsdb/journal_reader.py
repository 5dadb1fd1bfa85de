"""Read a journal: its records, damage in it, and the rows that its transactions leave (see `journal`).

A file may end in a record that was being written when the process or the machine stopped: it is short, or its last
bytes did not reach the disk and read as zeros. That commit, or its durability, was not acknowledged to any client, so
such a record is *torn* and can be cut off. Anything else that is not a record is *damage*: acknowledged commits are in
it or after it, and only an operator can decide to continue without them.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from ovenbird.dataclass import dataclass
from ovenbird.ovsdb import notation
from ovenbird.ovsdb.errors import DatabaseCorrupt, InputOutputError, OvsdbError
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.types import is_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ovenbird.ovsdb.table import BoundTable

_HEADER = re.compile(rb"OVSDB (JSON|CLUSTER) (\d{1,18}) ([0-9a-f]{40})\n")
_MAGIC = b"OVSDB JSON "
_BEGUN = re.compile(rb"OVSDB JSON \d{0,18}( [0-9a-f]{0,40})?\Z")
_LONGEST_HEADER = 80

Rows = dict[str, dict[str, list[Any]]]
"""Values by table and UUID."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: where it begins, and its JSON."""

    offset: int
    json: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The unusable end of a journal.

    Arguments:
        offset: where it begins, in bytes.
        lost: how many bytes there are from there on.
        reason: what is wrong.
        torn: whether it is only an incomplete last record.
    """

    offset: int
    lost: int
    reason: str
    torn: bool = False

    def __str__(self) -> str:
        return f"{self.reason} at byte {self.offset}, with {self.lost} bytes from there to the end"


def read_records(data: bytes) -> tuple[list[Record], Damage | None]:
    """Return all records up to the first invalid one, and the damage from there on, if any.

    Raises:
        DatabaseCorrupt: it is another file, or a clustered database.
    """
    records: list[Record] = []
    offset = 0
    while offset < len(data):
        header = _HEADER.match(data, offset)
        if header is None:
            if offset == 0 and not data.startswith(_MAGIC) and not data.startswith(b"OVSDB CLUSTER"):
                raise DatabaseCorrupt("not a database of the standalone format")
            tail = data[offset : offset + _LONGEST_HEADER]
            early = _MAGIC.startswith(tail) or _BEGUN.match(tail) is not None
            return records, _damage(data, offset, early=early, reason="no record begins")
        if header[1] == b"CLUSTER":
            raise DatabaseCorrupt("a clustered database cannot be opened as a standalone one")
        end = header.end() + int(header[2])
        body = data[header.end() : end]
        whole = _matches(header, body)
        if end > len(data):
            return records, _damage(data, offset, early=not whole, reason="a record's length is wrong")
        if not whole:
            early = end == len(data) and body.endswith(b"\0")
            return records, _damage(data, offset, early=early, reason="a record does not match its checksum")
        try:
            records.append(Record(offset, orjson.loads(body)))
        except orjson.JSONDecodeError as error:
            return records, Damage(offset=offset, lost=len(data) - offset, reason=f"a record is not JSON ({error})")
        offset = end
    return records, None


def _matches(header: re.Match[bytes], body: bytes) -> bool:
    return hashlib.sha1(body, usedforsecurity=False).hexdigest().encode() == header[3]


def _damage(data: bytes, offset: int, *, early: bool, reason: str) -> Damage:
    """Return what is wrong from an offset on.

    Arguments:
        data: the file.
        offset: where the last whole record ends.
        early: whether it looks like an incomplete record.
        reason: what is wrong if it is not.
    """
    lost = len(data) - offset
    blank = data.find(b"\0", offset) == offset and not data[offset:].strip(b"\0")
    if (early or blank) and not _is_record_behind(data, offset):
        return Damage(offset=offset, lost=lost, reason="the last record ends early", torn=True)
    return Damage(offset=offset, lost=lost, reason=reason)


def _is_record_behind(data: bytes, offset: int) -> bool:
    """Return whether a complete record begins behind an offset; encoded JSON has no line ends that look like one."""
    at = data.find(_MAGIC, offset + 1)
    while at >= 0:
        header = _HEADER.match(data, at)
        if header is not None:
            end = header.end() + int(header[2])
            if end <= len(data) and _matches(header, data[header.end() : end]):
                return True
        at = data.find(_MAGIC, at + 1)
    return False


def stored_schema(path: Path) -> DatabaseSchema:
    """Return the schema in a journal, without reading the rest.

    Raises:
        InputOutputError: it cannot be read.
        OvsdbError: it is no such file.
    """
    try:
        with path.open("rb") as file:
            records, _ = read_records(_first_record(file))
    except OSError as error:
        raise InputOutputError(f"cannot open {path}: {error.strerror}") from error
    return schema_of(path, records)


def _first_record(file: BinaryIO) -> bytes:
    head = file.readline(_LONGEST_HEADER)
    header = _HEADER.match(head)
    return head if header is None else head + file.read(int(header[2]))


def schema_of(path: Path, records: Sequence[Record]) -> DatabaseSchema:
    """Return the schema that a journal begins with.

    Raises:
        DatabaseCorrupt: it begins with something else.
    """
    if not records:
        raise DatabaseCorrupt(f"{path}: no schema in it")
    try:
        return DatabaseSchema.from_json(records[0].json)
    except OvsdbError as error:
        raise DatabaseCorrupt(f"{path}: no schema in its first record: {error.details}") from error


class SenselessRecord(Exception):  # noqa: N818 - what it is
    """A complete record does not fit the schema or the rows before it.

    Arguments:
        offset: where it begins.
        reason: what is wrong.
    """

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


def replay(tables: Mapping[str, BoundTable], records: Sequence[Record]) -> Rows:
    """Return the rows after a sequence of transactions.

    Raises:
        SenselessRecord: the first that does not fit.
    """
    rows: Rows = {name: {} for name in tables}
    for record in records:
        try:
            _apply(tables, rows, record.json)
        except OvsdbError as error:
            raise SenselessRecord(record.offset, error.details or str(error)) from error
    return rows


def _apply(tables: Mapping[str, BoundTable], rows: Rows, json: Any) -> None:
    if type(json) is not dict:
        raise DatabaseCorrupt("a record is not an object")
    is_diff = json.get("_is_diff", False) is True
    for name, changes in json.items():
        if name.startswith("_"):
            continue
        table = tables.get(name)
        if table is None:
            raise DatabaseCorrupt(f"a record changes table {name}, which the schema does not have")
        if type(changes) is not dict:
            raise DatabaseCorrupt(f"a record's changes of table {name} are not an object")
        contents = rows[name]
        for uuid, row in changes.items():
            if row is None:
                contents.pop(uuid, None)
            else:
                _apply_row(table, contents, uuid, row, is_diff)


def _apply_row(table: BoundTable, contents: dict[str, list[Any]], uuid: str, json: Any, is_diff: bool) -> None:
    values = contents.get(uuid)
    fresh = values is None
    if values is None:
        if not is_uuid(uuid):
            raise DatabaseCorrupt(f"a record changes row {uuid!r} of table {table.name}, which is not a UUID")
        values = contents[uuid] = table.defaults.copy()
    if type(json) is not dict:
        raise DatabaseCorrupt(f"a record's row {uuid} of table {table.name} is not an object")
    for name, value in json.items():
        position = table.position.get(name)
        if position is None:
            raise DatabaseCorrupt(
                f"a record changes column {name} of table {table.name}, which the schema does not have"
            )
        try:
            if fresh or not is_diff:
                values[position] = table.decoders[position](value, None)
            else:
                values[position] = decode_diff(table, position, old=values[position], json=value)
        except OvsdbError as error:
            type_ = table.layout[position].type
            raise DatabaseCorrupt(
                f"table {table.name} column {name} of type {type_.describe()}: {error.details or error}"
            ) from error


def decode_diff(table: BoundTable, position: int, *, old: Any, json: Any) -> Any:
    """Return the new value of a column.

    Arguments:
        table: the column's.
        position: the column's in its table.
        old: the value before.
        json: the diff, as a journal of ovsdb(5) has it.
    """
    type_ = table.layout[position].type
    diff = table.diff_decoders[position](json, None)
    return notation.apply_diff(type_, old, diff=diff) if type_.high > 1 else diff
