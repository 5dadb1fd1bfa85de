"""Typed rows in tracked tables: the store that servers, replicas, compilers and the API share.

A row class declares its columns as descriptors. Reading one inside a computation records that column of that row;
outside of a computation it is a plain read. Values are held by position in ``row.values``:

- a scalar column holds its atom; an optional one the atom or ``None``; a set a ``frozenset`` or an equivalent type; a
  map a ``dict`` that is never mutated; a reference the UUID string of its row;
- reference columns *read* as rows (``lsp.dhcpv4_options`` is the row or ``None``, ``switch.acls`` a list of rows), and
  ``Column.raw`` gives the stored UUIDs.

Only the owner of a table (a server that commits, a replica that applies an update) calls ``insert``, ``modify`` and
``delete``. These never fail half-way: the caller has validated the change before.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NewType, Protocol, Self, TypeVar, cast, overload

from ovenbird.engine import tracking
from ovenbird.engine.errors import NotUniqueError
from ovenbird.engine.indexes import Index
from ovenbird.engine.tracking import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UUID = NewType("UUID", str)

T = TypeVar("T")
R = TypeVar("R", bound="Row")
S = TypeVar("S", bound="Row")
V = TypeVar("V")
W = TypeVar("W")
OwnerT_co = TypeVar("OwnerT_co", bound="Row", covariant=True)
StoredT_co = TypeVar("StoredT_co", covariant=True)
KeyT_contra = TypeVar("KeyT_contra", contravariant=True)
TargetT_contra = TypeVar("TargetT_contra", bound="Row", contravariant=True)

EXISTENCE = 1
"""The bit of a reader's mask for the row's existence; column ``i`` is bit ``i + 1``."""


class Column(Generic[T]):
    """One column of a row class.

    Arguments:
        default: value of a row that does not give one.
        type: the column's type as its schema language has it; the engine only carries it.
        many: whether the value is a frozenset, so that an index on the column files a row under each element.
        target: name of the table that the column's UUIDs refer to, if any.
        name: the column's name in the schema, where the attribute has to differ.
        mutable: whether a row's value may change after it was inserted.
        ephemeral: whether the value may be lost with the server.
    """

    __slots__ = (
        "attribute", "bit", "default", "ephemeral", "index", "many", "mutable", "name", "owner", "target", "type",
    )  # fmt: skip

    def __init__(
        self,
        default: Any,
        *,
        type: Any = None,  # noqa: A002
        many: bool = False,
        target: str | None = None,
        name: str = "",
        mutable: bool = True,
        ephemeral: bool = False,
    ) -> None:
        self.default = default
        self.type = type
        self.many = many
        self.target = target
        self.name = name
        self.mutable = mutable
        self.ephemeral = ephemeral
        self.attribute = name
        self.index = -1
        self.bit = 0
        self.owner: type[Row] = Row

    def __set_name__(self, owner: type[Row], name: str) -> None:
        self.attribute = name
        self.name = self.name or name
        self.owner = owner

    @overload
    def __get__(self: Column[frozenset[V]], row: None, owner: type[S]) -> ColumnOf[S, V]: ...
    @overload
    def __get__(self: Column[dict[V, W]], row: None, owner: type[S]) -> ColumnOf[S, tuple[tuple[V, W], ...]]: ...
    @overload
    def __get__(self, row: None, owner: type[S]) -> ColumnOf[S, T]: ...
    @overload
    def __get__(self, row: Row, owner: type[Row] | None = None) -> T: ...
    def __get__(self, row: Row | None, owner: type[Row] | None = None) -> Any:
        if row is None:
            return self
        node = tracking.reader
        if node is not None:
            readers = row.readers
            mask = readers.get(node)
            if mask is None:
                readers[node] = self.bit
                node.deps.append(row)
            elif not mask & self.bit:
                readers[node] = mask | self.bit
        return row.values[self.index]

    def __set__(self, row: Row, value: object) -> None:
        raise AttributeError(f"{self}: rows change in transactions only")

    def raw(self, row: Row) -> Any:
        """Return the stored value (UUIDs where the column holds references), tracked like any other read."""
        return Column.__get__(self, row)

    def __repr__(self) -> str:
        return f"{self.owner.TABLE}.{self.name}"


if TYPE_CHECKING:

    class ColumnOf(Column[Any], Generic[OwnerT_co, KeyT_contra]):
        """A column as its row class gives it, for type checkers alone: whose it is, and what its rows are found by.

        Rows are found by the column's value, by an element of a set, by the UUID that a reference holds.
        """

        owner: type[OwnerT_co]

    class ReferenceOf(ColumnOf[OwnerT_co, "UUID | None"], Generic[OwnerT_co, TargetT_contra, StoredT_co]):
        """A column that refers to rows, as its row class gives it: with the rows it refers to, and what is stored."""

        def raw(self, row: Row) -> StoredT_co:
            """Return the stored UUIDs."""


class Reference(Column[R]):
    """A column that always refers to a row."""

    __slots__ = ()

    @overload  # type: ignore[override]
    def __get__(self, row: None, owner: type[S]) -> ReferenceOf[S, R, UUID]: ...
    @overload
    def __get__(self, row: Row, owner: type[Row] | None = None) -> R: ...
    def __get__(self, row: Any, owner: type[Row] | None = None) -> Any:
        if row is None:
            return self
        found = row.home.store.tables[self.target].get(Column.__get__(self, row))
        if found is None:
            raise LookupError(f"{row!r}: {self.name} names a row that is not here")
        return found


class OptionalReference(Column["R | None"], Generic[R]):
    """A column that refers to a row or to none."""

    __slots__ = ()

    @overload  # type: ignore[override]
    def __get__(self, row: None, owner: type[S]) -> ReferenceOf[S, R, UUID | None]: ...
    @overload
    def __get__(self, row: Row, owner: type[Row] | None = None) -> R | None: ...
    def __get__(self, row: Any, owner: type[Row] | None = None) -> Any:
        if row is None:
            return self
        uuid = Column.__get__(self, row)
        return None if uuid is None else row.home.store.tables[self.target].get(uuid)


class References(Column["list[R]"], Generic[R]):
    """A column that refers to any number of rows; reads as those that are here, ordered by UUID."""

    __slots__ = ()

    @overload  # type: ignore[override]
    def __get__(self, row: None, owner: type[S]) -> ReferenceOf[S, R, frozenset[UUID]]: ...
    @overload
    def __get__(self, row: Row, owner: type[Row] | None = None) -> list[R]: ...
    def __get__(self, row: Any, owner: type[Row] | None = None) -> Any:
        if row is None:
            return self
        get = row.home.store.tables[self.target].get
        return [r for uuid in sorted(self.raw(row)) if (r := get(uuid)) is not None]


class Row(Source):
    """A row: its UUID, the table it lives in, its values by column position. Subclasses list the columns.

    Class arguments:
        table: the table's name, if the class is named otherwise.
        indexes: the column names of each unique index.
        root: whether rows live without being referred to (RFC 7047, section 3.2, `isRoot`).
        max_rows: how many rows the table may have, or None.

    Arguments:
        home: the table.
        uuid: the row's UUID.
        values: the values, in the order of the columns.
    """

    __slots__ = ("home", "uuid", "values")

    TABLE: ClassVar[str] = ""
    COLUMNS: ClassVar[tuple[ColumnOf[Any, Any], ...]] = ()
    BY_NAME: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {}
    DEFAULTS: ClassVar[list[Any]] = []
    INDEXES: ClassVar[tuple[tuple[str, ...], ...]] = ()
    ROOT: ClassVar[bool] = True
    MAX_ROWS: ClassVar[int | None] = None

    def __init_subclass__(
        cls,
        *,
        table: str = "",
        indexes: tuple[tuple[str, ...], ...] = (),
        root: bool = True,
        max_rows: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.TABLE = table or cls.__name__
        cls.INDEXES = indexes
        cls.ROOT = root
        cls.MAX_ROWS = max_rows
        cls.COLUMNS = cast("Any", tuple(c for c in vars(cls).values() if isinstance(c, Column)))
        for i, column in enumerate(cls.COLUMNS):
            column.index = i
            column.bit = 2 << i
        cls.BY_NAME = {c.name: c for c in cls.COLUMNS}
        cls.DEFAULTS = [c.default for c in cls.COLUMNS]

    def __init__(self, home: Table[Any], uuid: UUID, values: list[Any]) -> None:
        self.readers = {}
        self.home = home
        self.uuid = uuid
        self.values = values

    def watch(self, mask: int) -> list[Any]:
        """Return the stored values by position, to read many columns at once where speed matters.

        Arguments:
            mask: the bits of all columns that will be read; the caller depends on exactly those.
        """
        node = tracking.reader
        if node is not None:
            known = self.readers.get(node)
            if known is None:
                self.readers[node] = mask
                node.deps.append(self)
            else:
                self.readers[node] = known | mask
        return self.values

    def referrers(self, column: ReferenceOf[S, Self, Any]) -> list[S]:
        """Return the rows whose ``column`` refers to this row, in the same store, oldest first; tracked."""
        return self.home.store.table(column.owner).index(column).rows(self.uuid)

    def referrer(self, column: ReferenceOf[S, Self, Any]) -> S | None:
        """Return the one row whose ``column`` refers to this row, or None; the first where there are several."""
        rows = self.referrers(column)
        return rows[0] if rows else None

    def exists(self) -> bool:
        """Return whether the row is still in its table (untracked)."""
        return self.home.rows.get(self.uuid) is self

    def __getitem__(self, name: str) -> Any:
        return type(self).BY_NAME[name].raw(self)

    def __repr__(self) -> str:
        name = self.values[type(self).BY_NAME["name"].index] if "name" in type(self).BY_NAME else ""
        return f"<{self.TABLE} {name or self.uuid}>"


SetDeltas = Mapping[int, tuple[Iterable[Any], Iterable[Any]]]
"""Elements added to and removed from set columns, by column position."""


class Watcher(Protocol):
    """Receives each change to a table, after it has taken effect."""

    def inserted(self, rows: Sequence[Any]) -> None:
        """React to new rows."""

    def modified(self, row: Any, mask: int, deltas: SetDeltas | None) -> None:
        """React to a changed row.

        Arguments:
            row: the row, with its new values.
            mask: the bits of its changed columns.
            deltas: for some or all changed set columns, the elements added and removed.
        """

    def deleted(self, row: Any) -> None:
        """React to a row's removal; its values are still readable."""


class Missing(Source):
    """The absence of a row that was looked up by UUID; it exists while it has readers."""

    __slots__ = ("table", "uuid")

    def __init__(self, table: Table[Any], uuid: UUID) -> None:
        super().__init__()
        self.table = table
        self.uuid = uuid

    def unread(self) -> None:
        """Forget the absence."""
        self.table.missing.pop(self.uuid, None)


class Table(Generic[R]):
    """The rows of one class in one store, by UUID, with indexes and membership tracked.

    Arguments:
        store: the store it belongs to.
        row_class: the class of its rows.
    """

    __slots__ = ("_indexes", "kept", "members", "missing", "name", "row_class", "rows", "store", "watchers")

    def __init__(self, store: Store, row_class: type[R]) -> None:
        self.store = store
        self.name = row_class.TABLE
        self.row_class = row_class
        self.rows: dict[UUID, R] = {}
        self.members = Source()
        self.missing: dict[UUID, Missing] = {}
        self.watchers: list[Watcher] = []
        self.kept: dict[Any, Any] = {}
        """Computed indexes and the like, which are watchers too, by what they were requested with."""
        self._indexes: dict[tuple[Column[Any], ...], Index[R, Any]] = {}

    def get(self, uuid: UUID) -> R | None:
        """Return the row, or None; the caller depends on its being there."""
        row = self.rows.get(uuid)
        node = tracking.reader
        if node is not None:
            if row is not None:
                if node not in row.readers:
                    row.readers[node] = EXISTENCE
                    node.deps.append(row)
            else:
                self.missing.setdefault(uuid, Missing(self, uuid)).track()
        return row

    def all(self) -> list[R]:
        """Return every row; the caller depends on the table's membership."""
        self.members.track()
        return list(self.rows.values())

    def __iter__(self) -> Iterator[R]:
        return iter(self.all())

    def __len__(self) -> int:
        self.members.track()
        return len(self.rows)

    @overload
    def index(self, column: ColumnOf[R, V], /) -> Index[R, V]: ...
    @overload
    def index(self, first: ColumnOf[R, V], second: ColumnOf[R, W], /) -> Index[R, tuple[V, W]]: ...
    @overload
    def index(self, *columns: ColumnOf[R, Any]) -> Index[R, Any]: ...
    def index(self, *columns: Column[Any]) -> Index[R, Any]:
        """Return the index on ``columns``, made on first use; one ``many`` column files a row under each element."""
        found = self._indexes.get(columns)
        if found is None:
            found = self._indexes[columns] = Index(columns)
            for row in self.rows.values():
                found.add(row)
        return found

    def select(self, column: ColumnOf[R, V], value: V) -> list[R]:
        """Return the rows whose ``column`` equals ``value`` (or, for a set, contains it), oldest first; tracked."""
        return self.index(column).rows(value)

    def find(self, column: ColumnOf[R, V], value: V) -> R | None:
        """Return the one row whose ``column`` equals ``value``, or None; tracked.

        Raises:
            NotUniqueError: several rows have that value.
        """
        rows = self.index(column).rows(value)
        if len(rows) > 1:
            raise NotUniqueError(f"{len(rows)} rows of {self.name} have {column.name} {value!r}")
        return rows[0] if rows else None

    # -- changes: for the table's owner alone ---------------------------------------------------------------------

    def insert(self, uuid: UUID, values: list[Any]) -> R:
        """Add a row. ``values`` has one value a column, in column order, and becomes the row's own list."""
        return self.insert_all([(uuid, values)])[0]

    def insert_all(self, contents: Iterable[tuple[UUID, list[Any]]]) -> list[R]:
        """Add rows, each given by its UUID and its values as ``insert`` has them."""
        row_class, present = self.row_class, self.rows
        rows = []
        for uuid, values in contents:
            row = present[uuid] = row_class(self, uuid, values)
            rows.append(row)
        for index in self._indexes.values():
            for row in rows:
                index.add(row)
        for row in rows if self.missing else ():
            if missing := self.missing.get(row.uuid):
                missing.touch()
        if self.members.readers:
            self.members.touch()
        for watcher in self.watchers:
            watcher.inserted(rows)
        return rows

    def modify(
        self,
        row: R,
        changes: Mapping[int, Any],
        deltas: SetDeltas | None = None,
    ) -> None:
        """Give a row new values by column position.

        Arguments:
            row: the row.
            changes: new values; those equal to the present ones must have been left out.
            deltas: elements added and removed, by the position of set columns, so that an index on a set of ten
                thousand costs
                what changed; None where they are not known.
        """
        values = row.values
        mask = 0
        for i in changes:
            mask |= 2 << i
        affected = [index for index in self._indexes.values() if index.mask & mask]
        old = list(values) if affected else values
        for i, value in changes.items():
            values[i] = value
        for index in affected:
            index.update(row, old, deltas)
        if row.readers:
            for node in [node for node, read in row.readers.items() if read & mask]:
                node.invalidate()
        for watcher in self.watchers:
            watcher.modified(row, mask, deltas)

    def delete(self, row: R) -> None:
        """Remove ``row``."""
        del self.rows[row.uuid]
        for index in self._indexes.values():
            index.remove(row)
        if row.readers:
            row.touch()
        if self.members.readers:
            self.members.touch()
        for watcher in self.watchers:
            watcher.deleted(row)


class Store:
    """The tables of one database.

    Arguments:
        name: the database's name.
        row_classes: the class of each table's rows.
    """

    def __init__(self, name: str, row_classes: Iterable[type[Row]]) -> None:
        self.name = sys.intern(name)
        self.tables: dict[str, Table[Any]] = {c.TABLE: Table(self, c) for c in row_classes}
        self._by_class: dict[type[Row], Table[Any]] = {t.row_class: t for t in self.tables.values()}

    def table(self, row_class: type[R]) -> Table[R]:
        """Return the table of ``row_class``'s rows.

        Raises:
            KeyError: this store has no such table.
        """
        return self._by_class[row_class]

    def has(self, row_class: type[Row]) -> bool:
        """Return whether the store holds rows of that very class."""
        return row_class in self._by_class

    def select(self, column: ColumnOf[R, V], value: V) -> list[R]:
        """Return the rows of the column's table with that value; see ``Table.select``."""
        return self.table(column.owner).select(column, value)

    def find(self, column: ColumnOf[R, V], value: V) -> R | None:
        """Return the one row of the column's table with that value, or None; see ``Table.find``."""
        return self.table(column.owner).find(column, value)


def make_row_class(table: str, columns: Mapping[str, Callable[[str], Column[Any]]]) -> type[Row]:
    """Make a row class at run time, for a schema that has no typed classes.

    Arguments:
        table: the table's name.
        columns: for each column's name, what makes its descriptor when given that name.
    """
    taken = set(dir(Row)) | {"uuid", "home", "values", "readers"}
    body: dict[str, Any] = {"__slots__": ()}
    for name, make in columns.items():
        body[name + "_" if name in taken else name] = make(name)
    return types.new_class(table, (Row,), {"table": table}, lambda namespace: namespace.update(body))
