"""Constructors of typed column descriptors for row classes (RFC 7047, section 3.2).

An atom's constructor (`string`, `integer`, `boolean`, `real`, `enum`, `uuid`) makes a column of one. `optional`, `many`
and `mapping` build on those: `optional(integer(1, 4095))` is a column of at most one VLAN. References name the table
they point to; they are strong unless declared weak. Every column accepts `mutable=False` (it keeps the value it was
inserted with) and `ephemeral=True` (it may be lost with the server).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from ovenbird.engine.rows import UUID, Column, OptionalReference, Reference, References
from ovenbird.ovsdb.schema import ColumnSchema, DatabaseSchema, TableSchema
from ovenbird.ovsdb.types import UNLIMITED, Atomic, BaseType, ColumnType

if TYPE_CHECKING:
    from ovenbird.engine.rows import Row

K = TypeVar("K")
V = TypeVar("V")


class Flags(TypedDict, total=False):
    """The properties of a column besides its type."""

    mutable: bool
    ephemeral: bool


def _one(key: BaseType, flags: Flags) -> Column[Any]:
    return Column(key.default, type=ColumnType(key), **flags)


def string(*, max_length: int | None = None, **flags: Unpack[Flags]) -> Column[str]:
    """Make a column of one string, of at most `max_length` characters."""
    return _one(BaseType(Atomic.STRING, high=max_length), flags)


def enum(*choices: str, **flags: Unpack[Flags]) -> Column[str]:
    """Make a column of one string out of `choices`; its default is the empty string all the same."""
    return _one(BaseType(Atomic.STRING, enum=frozenset(choices)), flags)


def integer(minimum: int | None = None, maximum: int | None = None, **flags: Unpack[Flags]) -> Column[int]:
    """Make a column of one 64-bit integer between `minimum` and `maximum`, both included."""
    return _one(BaseType(Atomic.INTEGER, low=minimum, high=maximum), flags)


def real(**flags: Unpack[Flags]) -> Column[float]:
    """Make a column of one real number."""
    return _one(BaseType(Atomic.REAL), flags)


def boolean(**flags: Unpack[Flags]) -> Column[bool]:
    """Make a column of one boolean."""
    return _one(BaseType(Atomic.BOOLEAN), flags)


def uuid(**flags: Unpack[Flags]) -> Column[UUID]:
    """Make a column of one UUID that refers to nothing."""
    return _one(BaseType(Atomic.UUID), flags)


def optional(atom: Column[K], **flags: Unpack[Flags]) -> Column[K | None]:
    """Make a column of at most one of `atom`'s values."""
    return Column(None, type=ColumnType(atom.type.key, low=0), **flags)


def many(
    atom: Column[K], *, minimum: int = 0, maximum: int = UNLIMITED, **flags: Unpack[Flags]
) -> Column[frozenset[K]]:
    """Make a column of a set of values.

    Arguments:
        atom: the column that one of the values would make.
        minimum: the fewest members, 0 or 1.
        maximum: the most members, from 1.
        flags: as of every column.
    """
    column_type = ColumnType(atom.type.key, low=minimum, high=maximum)
    return Column(column_type.default, type=column_type, many=True, **flags)


def strings(*, minimum: int = 0, maximum: int = UNLIMITED, **flags: Unpack[Flags]) -> Column[frozenset[str]]:
    """Make a column of a set of strings; `minimum` is 0 or 1."""
    return many(string(), minimum=minimum, maximum=maximum, **flags)


def mapping(key: Column[K], value: Column[V], **flags: Unpack[Flags]) -> Column[dict[K, V]]:
    """Make a column of any number of pairs, each key once."""
    return Column({}, type=ColumnType(key.type.key, value=value.type.key, low=0, high=UNLIMITED), **flags)


def string_map(**flags: Unpack[Flags]) -> Column[dict[str, str]]:
    """Make a column of any number of pairs of strings."""
    return mapping(string(), string(), **flags)


def reference_map(key: Column[K], table: str, *, weak: bool = False, **flags: Unpack[Flags]) -> Column[dict[K, UUID]]:
    """Make a column of pairs whose values refer to rows; reads as UUIDs.

    Arguments:
        key: the column that one of the keys would make.
        table: the name of the table referred to.
        weak: whether a pair is removed together with its row; otherwise the row cannot be deleted.
        flags: as of every column.
    """
    return mapping(key, reference(table, weak=weak), **flags)


def reference(table: str, *, weak: bool = False, **flags: Unpack[Flags]) -> Reference[Any]:
    """Make a column that refers to exactly one row of `table`."""
    key = _to(table, weak=weak)
    return Reference(key.default, type=ColumnType(key), target=table, **flags)


def optional_reference(table: str, *, weak: bool = False, **flags: Unpack[Flags]) -> OptionalReference[Any]:
    """Make a column that refers to at most one row of `table`."""
    return OptionalReference(None, type=ColumnType(_to(table, weak=weak), low=0), target=table, **flags)


def references(
    table: str, *, weak: bool = False, minimum: int = 0, maximum: int = UNLIMITED, **flags: Unpack[Flags]
) -> References[Any]:
    """Make a column that refers to a set of rows.

    Arguments:
        table: the name of the table referred to.
        weak: whether a reference is removed together with its row; otherwise the row cannot be deleted.
        minimum: the fewest members, 0 or 1.
        maximum: the most members, from 1.
        flags: as of every column.
    """
    column_type = ColumnType(_to(table, weak=weak), low=minimum, high=maximum)
    return References(column_type.default, type=column_type, many=True, target=table, **flags)


def _to(table: str, *, weak: bool) -> BaseType:
    return BaseType(Atomic.UUID, ref_table=table, weak=weak)


def database_schema(name: str, *, version: str, checksum: str, rows: tuple[type[Row], ...]) -> DatabaseSchema:
    """Return the schema of a database with these row classes.

    A table's columns keep the order of the class, so that a column's position is the same in both.

    Arguments:
        name: the database's name.
        version: as in 7.0.0.
        checksum: the `cksum` member, which OVN's build computes over the schema file.
        rows: one class a table.
    """
    tables = {row.TABLE: _table_schema(row) for row in rows}
    return DatabaseSchema(name, version=version, tables=tables, checksum=checksum)


def _table_schema(row: type[Row]) -> TableSchema:
    columns = tuple(ColumnSchema(c.name, c.type, mutable=c.mutable, ephemeral=c.ephemeral) for c in row.COLUMNS)
    limit = UNLIMITED if row.MAX_ROWS is None else row.MAX_ROWS
    return TableSchema(row.TABLE, columns, row.ROOT, limit, row.INDEXES)
