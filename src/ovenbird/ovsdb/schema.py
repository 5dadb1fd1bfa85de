"""Schemas: columns, tables, databases (RFC 7047, section 3.2; ovsdb(5), ovsdb(7)).

Parsed from and written to the JSON of `.ovsschema` files; `types` has what a column's values may be.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.dataclass import KW_ONLY, dataclass, field
from ovenbird.ovsdb.errors import BadSyntax
from ovenbird.ovsdb.types import UNLIMITED, ColumnType, is_identifier, members

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION = re.compile(r"\d+\.\d+\.\d+\Z")


def _boolean(given: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    value = given.get(name, default)
    if type(value) is not bool:
        raise BadSyntax(f"{name} is true or false", value)
    return value


@dataclass(frozen=True, slots=True)
class ColumnSchema:
    """A column: its name, type, and whether it may change and is kept on disk."""

    name: str
    type: ColumnType
    _: KW_ONLY
    mutable: bool = True
    ephemeral: bool = False

    @classmethod
    def from_json(cls, name: str, json: Any) -> ColumnSchema:
        """Parse a `<column-schema>`."""
        given = members(
            json,
            f"schema for column {name}",
            allowed=frozenset(("type", "mutable", "ephemeral")),
            required=frozenset(("type",)),
        )
        return cls(
            name,
            ColumnType.from_json(given["type"]),
            mutable=_boolean(given, "mutable", default=True),
            ephemeral=_boolean(given, "ephemeral"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the `<column-schema>`."""
        answer: dict[str, Any] = {"type": self.type.to_json()}
        if not self.mutable:
            answer["mutable"] = False
        if self.ephemeral:
            answer["ephemeral"] = True
        return answer


@dataclass(frozen=True)
class TableSchema:
    """A table: its columns in a fixed order, its indexes, and how many rows it may have.

    `position` gives a column's index in the `values` of a row; `_uuid` and `_version` are no columns here.
    """

    name: str
    columns: tuple[ColumnSchema, ...]
    is_root: bool = False
    max_rows: int = UNLIMITED
    indexes: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def position(self) -> dict[str, int]:
        """The index of each column."""
        return {column.name: index for index, column in enumerate(self.columns)}

    @cached_property
    def defaults(self) -> tuple[Any, ...]:
        """The default value of each column."""
        return tuple(column.type.default for column in self.columns)

    def column(self, name: str) -> ColumnSchema:
        """Return a column by its name."""
        return self.columns[self.position[name]]

    @classmethod
    def from_json(cls, name: str, json: Any) -> TableSchema:
        """Parse a `<table-schema>`.

        Raises:
            BadSyntax: it is invalid, or has invalid columns or indexes.
        """
        given = members(
            json,
            f"table schema for table {name}",
            allowed=frozenset(("columns", "maxRows", "isRoot", "indexes")),
            required=frozenset(("columns",)),
        )
        columns = []
        if not isinstance(given["columns"], dict) or not given["columns"]:
            raise BadSyntax("table must have at least one column", json)
        for column in sorted(given["columns"]):
            if not is_identifier(column) or column.startswith("_"):
                raise BadSyntax('names beginning with "_" are reserved and names must be identifiers', json)
            columns.append(ColumnSchema.from_json(column, given["columns"][column]))
        listed = given.get("indexes", [])
        if type(listed) is not list or not all(type(i) is list and {*map(type, i)} <= {str} for i in listed):
            raise BadSyntax("indexes are an array of arrays of column names", json)
        indexes = tuple(tuple(index) for index in listed)
        persistent = {column.name for column in columns if not column.ephemeral}
        for index in indexes:
            if not index or len(set(index)) != len(index) or not set(index) <= persistent:
                raise BadSyntax("an index is made of distinct columns, none ephemeral", json)
        max_rows = given.get("maxRows", UNLIMITED)
        if type(max_rows) is not int or max_rows < 1:
            raise BadSyntax("maxRows must be at least 1", json)
        return cls(name, tuple(columns), _boolean(given, "isRoot"), max_rows, indexes)

    def to_json(self, *, always_root: bool = False) -> dict[str, Any]:
        """Return the `<table-schema>`; `always_root` when no table says that it is a root."""
        answer: dict[str, Any] = {"columns": {column.name: column.to_json() for column in self.columns}}
        if self.max_rows != UNLIMITED:
            answer["maxRows"] = self.max_rows
        if self.is_root and not always_root:
            answer["isRoot"] = True
        if self.indexes:
            answer["indexes"] = [list(index) for index in self.indexes]
        return answer


@dataclass(frozen=True)
class DatabaseSchema:
    """A database: its name, version (x.y.z), and tables. Where no table is a root, all are (RFC 7047, section 3.2)."""

    name: str
    _: KW_ONLY
    version: str
    tables: Mapping[str, TableSchema]
    checksum: str = ""
    source: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_json(cls, json: Any) -> DatabaseSchema:
        """Parse a `<database-schema>`.

        Raises:
            BadSyntax: it is not one, or a reference names a table that is not there.
        """
        given = members(
            json,
            "database schema",
            allowed=frozenset(("name", "version", "cksum", "tables")),
            required=frozenset(("name", "tables")),
        )
        version = given.get("version", "")
        if not is_identifier(given["name"]) or type(version) is not str or (version and not _VERSION.match(version)):
            raise BadSyntax("a schema has an identifier as name and a version x.y.z", json)
        if type(given.get("cksum", "")) is not str:
            raise BadSyntax("a schema's checksum is a string", json)
        if not isinstance(given["tables"], dict):
            raise BadSyntax("tables must be an object", json)
        tables: dict[str, TableSchema] = {}
        for name in sorted(given["tables"]):
            if not is_identifier(name) or name.startswith("_"):
                raise BadSyntax(f'"{name}" is not a valid table name', json)
            tables[name] = TableSchema.from_json(name, given["tables"][name])
        if not any(table.is_root for table in tables.values()):
            tables = {
                name: TableSchema(name, table.columns, True, table.max_rows, table.indexes)
                for name, table in tables.items()
            }
        for table in tables.values():
            for column in table.columns:
                for base in (column.type.key, column.type.value):
                    if base is not None and base.ref_table is not None and base.ref_table not in tables:
                        raise BadSyntax(
                            f"table {table.name} column {column.name} refers to undefined table {base.ref_table}",
                            json,
                        )
        return cls(given["name"], version=version, tables=tables, checksum=given.get("cksum", ""), source=given)

    @classmethod
    def from_text(cls, text: bytes | str) -> DatabaseSchema:
        """Parse the text of an `.ovsschema` file.

        Raises:
            BadSyntax: it is not JSON, or no schema.
        """
        try:
            return cls.from_json(orjson.loads(text))
        except orjson.JSONDecodeError as error:
            raise BadSyntax(f"schema is not JSON: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Return the `<database-schema>`, in the original's order of members and shortest form."""
        answer: dict[str, Any] = {"name": self.name}
        if self.version:
            answer["version"] = self.version
        if self.checksum:
            answer["cksum"] = self.checksum
        all_roots = all(table.is_root for table in self.tables.values())
        answer["tables"] = {name: table.to_json(always_root=all_roots) for name, table in self.tables.items()}
        return answer
