"""A schema's table bound to the engine's: what all parts of the server and the replica work with.

The order of columns is that of the row class; `layout[i]` describes `row.values[i]`. The JSON functions of each column
are looked up here once, when a table is first used, so that the hot paths are loops over plain tuples.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.engine.rows import (
    UUID,
    Column,
    OptionalReference,
    Reference,
    References,
    Row,
    Store,
    Table,
    make_row_class,
)
from ovenbird.ovsdb import normalize, notation
from ovenbird.ovsdb.errors import BadSyntax, UnknownColumn
from ovenbird.ovsdb.schema import ColumnSchema, DatabaseSchema, TableSchema
from ovenbird.ovsdb.types import UNLIMITED, Atomic, BaseType, ColumnType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

UUID_COLUMN = ColumnSchema("_uuid", ColumnType(BaseType(Atomic.UUID)), mutable=False)
VERSION_COLUMN = ColumnSchema("_version", ColumnType(BaseType(Atomic.UUID)), mutable=False)

Plan = tuple[tuple[str, int, Any, "notation.Encode | None"], ...]
"""The encoding of rows: (column name, position, default value, encoder) of each column."""


@dataclass(frozen=True, slots=True)
class ReferenceColumn:
    """A column that refers to rows, and how."""

    position: int
    name: str
    type: ColumnType
    _: KW_ONLY
    key: BaseType | None
    value: BaseType | None

    def targets(self, value: Any, *, weak: bool) -> list[tuple[str, UUID]]:
        """Return (table, row) of every reference of one kind in a value or in one side of a delta."""
        answer: list[tuple[str, UUID]] = []
        if value is None:
            return answer
        key, base = self.key, self.value
        if key is not None and key.weak is weak and key.ref_table is not None:
            table = key.ref_table
            if type(value) is str:
                return [(table, UUID(value))]
            answer = [(table, uuid) for uuid in value]
        if base is not None and base.weak is weak and base.ref_table is not None:
            answer += [(base.ref_table, uuid) for uuid in value.values()]
        return answer

    def names(self, value: Any, table: str, uuid: UUID, *, weak: bool) -> bool:
        """Return whether a value has a reference of one kind to a row, without examining all its members.

        Arguments:
            value: the column's.
            table: the name of the row's table.
            uuid: the row's.
            weak: the kind.
        """
        key, base = self.key, self.value
        if value is None:
            return False
        if key is not None and key.weak is weak and key.ref_table == table:
            found = value == uuid if type(value) is str else uuid in value
            if found:
                return True
        return base is not None and base.weak is weak and base.ref_table == table and uuid in value.values()


_FEW = 3
"""How many columns of another type an error names."""


class BoundTable:
    """One table of a database: schema, engine table, and per-column functions by position.

    Arguments:
        schema: the table's schema.
        table: the engine's table, whose row class has the schema's columns.
    """

    def __init__(self, schema: TableSchema, table: Table[Any]) -> None:
        self.schema = schema
        self.name = schema.name
        self.table = table
        classes = table.row_class.COLUMNS
        self.layout = tuple(_column(schema, column) for column in classes)
        self.position = {column.name: index for index, column in enumerate(self.layout)}
        self.defaults: list[Any] = [
            c.type.default if c.name in schema.position and c.type.default != k.default else k.default
            for c, k in zip(self.layout, classes, strict=True)
        ]
        self.references = tuple(_reference(i, c) for i, c in enumerate(self.layout) if c.type.references)
        self.weak = tuple(r for r in self.references if any(b is not None and b.weak for b in (r.key, r.value)))
        self.strong = tuple(r for r in self.references if any(b is not None and not b.weak for b in (r.key, r.value)))
        self.bad_defaults = tuple(c for c in self.layout if c.name in schema.position and not _allows_default(c.type))
        self.versions: dict[UUID, int] = {}
        self.present = frozenset(schema.position)
        self.partial = not self.present.issuperset(self.position)
        """Whether the server lacks some of the columns; writes to them are left out."""
        self.missing = not schema.columns
        """Whether it lacks the table; likewise."""

    @cached_property
    def decoders(self) -> list[notation.Decode]:
        """The functions from JSON to values, by position."""
        return [notation.decoder(column.type) for column in self.layout]

    @cached_property
    def decoding(self) -> dict[str, tuple[int, notation.Decode]]:
        """The positions of columns and these functions, by name."""
        return {column.name: (i, self.decoders[i]) for i, column in enumerate(self.layout)}

    @cached_property
    def encoders(self) -> list[notation.Encode | None]:
        """The functions from values to JSON, by position."""
        return [notation.encoder(column.type) for column in self.layout]

    @cached_property
    def diff_decoders(self) -> list[notation.Decode]:
        """The functions from JSON to diffs of values, by position."""
        return [notation.decoder(diff_type(column.type)) for column in self.layout]

    @cached_property
    def diff_encoders(self) -> list[notation.Encode | None]:
        """The functions from diffs of values to JSON, by position."""
        return [notation.encoder(diff_type(column.type)) for column in self.layout]

    @cached_property
    def normalizers(self) -> list[Callable[[Any], Any]]:
        """The functions from what clients give to values, by position."""
        return [normalize.normalizer(column.type) for column in self.layout]

    @cached_property
    def types(self) -> list[type | None]:
        """The Python types that are all that has to be checked of some columns' values, by position."""
        return [_plain_type(column.type) for column in self.layout]

    def column(self, name: str) -> tuple[int, ColumnSchema]:
        """Return a column's position and schema.

        Raises:
            UnknownColumn: the schema, or the server, has no such column.
        """
        position = self.position.get(name)
        if position is None or name not in self.present:
            raise UnknownColumn(f"No column {name} in table {self.name}.")
        return position, self.layout[position]

    def lacks(self, name: str) -> bool:
        """Return whether the row class has a column that the server lacks."""
        return self.partial and name in self.position and name not in self.present

    def plan(self, names: Iterable[str] | None = None) -> Plan:
        """Return the encoding of these columns, or of all in the schema."""
        if names is None:
            names = [column.name for column in self.layout if column.name in self.present]
        positions = [self.position[name] for name in names]
        return tuple((self.layout[i].name, i, self.defaults[i], self.encoders[i]) for i in positions)

    def decode_row(self, json: Any, names: notation.Names | None = None) -> dict[int, Any]:
        """Return the values of a `<row>` by position.

        Raises:
            BadSyntax, UnknownColumn, ConstraintViolation: as RFC 7047, section 5.2.1 has it.
        """
        if type(json) is not dict:
            raise BadSyntax("row must be JSON object", json)
        answer = {}
        for name, value in json.items():
            position = self.position.get(name)
            if position is None:
                raise UnknownColumn(f"No column {name} in table {self.name}.", json)
            answer[position] = self.decoders[position](value, names)
        return answer

    def version(self, uuid: UUID) -> str:
        """Return a row's `_version`: it changes whenever the row does."""
        digest = hashlib.md5(f"{uuid} {self.versions.get(uuid, 0)}".encode(), usedforsecurity=False).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def encode_row(plan: Plan, values: Sequence[Any]) -> dict[str, Any]:
    """Return the JSON of a row's columns that do not have their default values."""
    row = {}
    for name, position, default, encode in plan:
        value = values[position]
        if value is not default and value != default:  # nearly all that are equal are the very same
            row[name] = value if encode is None else encode(value)
    return row


def diff_type(type_: ColumnType) -> ColumnType:
    """Return the type that diffs of a column have: any number of members where the column holds several."""
    return notation.relaxed(type_, high=UNLIMITED) if type_.high > 1 else type_


def _column(schema: TableSchema, column: Column[Any]) -> ColumnSchema:
    """Return the schema of a row class's column; what the class says where the schema does not have it."""
    if column.name in schema.position:
        return schema.column(column.name)
    type_ = column.type
    if isinstance(type_, ColumnSchema):
        return type_
    return ColumnSchema(column.name, type_ if isinstance(type_, ColumnType) else ColumnType(BaseType(Atomic.STRING)))


def _reference(position: int, column: ColumnSchema) -> ReferenceColumn:
    key, value = column.type.key, column.type.value
    return ReferenceColumn(
        position,
        column.name,
        column.type,
        key=key if key.ref_table is not None else None,
        value=value if value is not None and value.ref_table is not None else None,
    )


def _allows_default(type_: ColumnType) -> bool:
    if type_.low == 0:
        return True
    return not any(
        base.constrained and not _accepts(base, base.default) for base in (type_.key, type_.value) if base is not None
    )


def _accepts(base: BaseType, atom: Any) -> bool:
    if base.enum is not None:
        return atom in base.enum
    size = len(atom) if base.atomic is Atomic.STRING else atom
    return (base.low is None or size >= base.low) and (base.high is None or size <= base.high)


def _plain_type(type_: ColumnType) -> type | None:
    """Return the Python type if it is all that has to be checked of a value of this column type, else `None`."""
    if not type_.is_scalar or type_.key.constrained or type_.key.atomic is Atomic.UUID:
        return None
    return type(type_.key.default)


def row_class(schema: TableSchema) -> type[Row]:
    """Return a row class made for a table that has no typed one."""
    columns = {}
    for column in schema.columns:
        type_ = column.type
        target = type_.key.ref_table
        kind: type[Column[Any]] = Column
        if target is not None and not type_.is_map:
            kind = Reference if type_.is_scalar else OptionalReference if type_.is_optional else References

        def make(
            name: str,
            kind: type[Column[Any]] = kind,
            type_: ColumnType = type_,
            target: str | None = target if not type_.is_map else None,
        ) -> Column[Any]:
            return kind(type_.default, type=type_, many=type_.is_set, target=target, name=name)

        columns[column.name] = make
    return make_row_class(schema.name, columns)


def bind(
    schema: DatabaseSchema,
    row_classes: Iterable[type[Row]] = (),
    *,
    store: Store | None = None,
    partial: bool = False,
) -> tuple[Store, dict[str, BoundTable]]:
    """Return the store and the bound tables of a database.

    Arguments:
        schema: the database's schema.
        row_classes: typed classes of some of its tables; the others get classes made for them.
        store: an existing store with these classes, to bind again to another schema; a new one if `None`.
        partial: bind the given classes' tables only, whose columns may differ from the schema's (for a replica).

    Raises:
        UnknownColumn: a class's columns are not the schema's, and `partial` is not set.
    """
    given: Mapping[str, type[Row]] = {cls.TABLE: cls for cls in row_classes}
    if not partial:
        for name, cls in given.items():
            if name not in schema.tables:
                raise UnknownColumn(f"schema {schema.name} {schema.version} has no table {name}")
            if different := set(cls.BY_NAME) ^ set(schema.tables[name].position):
                raise UnknownColumn(
                    f"schema {schema.name} {schema.version} is of another release than this program: column "
                    f"{name}.{min(different)} is only in one of them"
                )
        if wrong := mistyped(schema, given.values()):
            raise UnknownColumn(f"schema {schema.name} {schema.version} is not this program's: {wrong}")
    if store is None:
        tables = given if partial else _classes(schema, given)
        store = Store(schema.name, tables.values())
    return store, {
        name: BoundTable(schema.tables.get(name, TableSchema(name, ())), table) for name, table in store.tables.items()
    }


def mistyped(schema: DatabaseSchema, row_classes: Iterable[type[Row]]) -> str:
    """Return which columns have a type whose values cannot be read as those that are expected, a few of them by name.

    Arguments:
        schema: of a server.
        row_classes: the expected classes; tables and columns that the server lacks are ignored.
    """
    wrong = []
    for row_class in row_classes:
        table = schema.tables.get(row_class.TABLE)
        for column in row_class.COLUMNS if table is not None else ():
            expected = column.type
            if table is None or column.name not in table.position or not isinstance(expected, ColumnType):
                continue
            found = table.column(column.name).type
            if not found.reads_as(expected):
                wrong.append(f"{table.name}.{column.name} is {found.describe()}, not {expected.describe()}")
    more = f"; and {len(wrong) - _FEW} more" if len(wrong) > _FEW else ""
    return "; ".join(wrong[:_FEW]) + more


def _classes(schema: DatabaseSchema, given: Mapping[str, type[Row]]) -> dict[str, type[Row]]:
    return {name: given.get(name) or row_class(table) for name, table in schema.tables.items()}
