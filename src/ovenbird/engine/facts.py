"""Facts: what rules yield, as tuples whose first element is the relation.

A ``Rows`` fact is the content of one output row: key columns, which identify the row, then value columns. A ``Members``
fact is one element of a set column of such a row. Any other ``Relation`` is for a consumer of its own (a switch's flow
table). Facts are hashable and compared by value; a fact that two rules yield has two owners, and disappears when both
have withdrawn it. Map columns are given as tuples of pairs, set columns as frozensets.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypedDict, TypeVar, Unpack, overload

from ovenbird.engine import tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence

    from ovenbird.engine.rows import UUID, Column, ColumnOf, ReferenceOf, Row

Fact = tuple[Any, ...]

Pairs = tuple[tuple[str, str], ...]
"""A map's value in a fact, sorted."""

P = ParamSpec("P")
F = TypeVar("F", bound=Fact)
K = TypeVar("K")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
V = TypeVar("V")
R = TypeVar("R", bound="Row")


class Relation:
    """A kind of fact. Calling it makes one: a tuple of the relation and the content.

    Arguments:
        name: what reports call it.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *content: Any) -> Fact:
        """Make a fact of this kind."""
        return (self, *content)

    def __repr__(self) -> str:
        return f"<{self.name}>"


class NamedRelation(Relation, Generic[P, F]):
    """A kind of facts whose content has names: each is a named tuple, whose first field is the relation.

    Making one costs several times a plain tuple, and the type checker sees what is in it. Relations of millions of
    facts are made of plain tuples.

    Arguments:
        name: what reports call it.
        make: the class of the facts.
    """

    __slots__ = ("make",)

    def __init__(self, name: str, make: Callable[Concatenate[Any, P], F]) -> None:
        super().__init__(name)
        self.make = make

    def __call__(self, *content: P.args, **named: P.kwargs) -> F:
        """Make a fact of this kind."""
        return self.make(self, *content, **named)


class Rows(Relation, Generic[K]):
    """Rows of an output table, as plain tuples; ``KeyRows`` and ``NamedRows`` are those that a type checker sees into.

    Arguments:
        row_class: the table's row class.
        key: the columns that identify a row among those that rules make. Without any, a fact begins with a key that no
            column holds; unless ``key_of`` finds it in a stored row, it is the UUID that the row has or will have.
        values: further columns that rules own; all other columns have other owners and are not written.
        initial: values of unowned columns at insertion, by column.
        key_of: returns the key of a row found in the table, or None for a row that is left alone. By default the
            stored values of the key columns.
        update_only: the rows have another owner: rules own only their value columns, and no row is
            inserted or deleted.
        returned: with `update_only`: a value that a fact set, and that is still there when its fact is removed,
            goes back to the column's default. Otherwise it stays.
        empty: further columns that rules own and always leave at their defaults.
        parts: map columns among the values of which rules own only the keys that a fact has: others stay.
        keys: such columns of which rules also own some keys that a fact does not have, and these keys.
        collected: the table is none of roots (RFC 7047, section 3.2): a row goes when nothing refers to it, so that
            rules drop references, and delete no row.
        within: vital elements of other rows, the column that refers to one of these rows, and the column that refers
            to a single element instead, if there is one: a fact counts only while the row that it refers to has any.
    """

    __slots__ = (
        "collected", "columns", "empty", "initial", "key", "key_columns", "key_of", "named", "parts", "returned",
        "row_class", "start", "update_only", "value_columns", "whole", "within",
    )  # fmt: skip

    def __init__(
        self,
        row_class: type[Row],
        key: Sequence[Column[Any]] = (),
        *,
        values: Sequence[Column[Any]] = (),
        initial: dict[Column[Any], Any] | None = None,
        key_of: Callable[[Any], Hashable | None] | None = None,
        update_only: bool = False,
        returned: bool = False,
        empty: Sequence[Column[Any]] = (),
        parts: Sequence[Column[Any]] = (),
        keys: Mapping[Column[Any], Collection[str]] | None = None,
        collected: bool = False,
        within: tuple[Members[Any, Any], Column[Any], Column[Any] | None] | None = None,
    ) -> None:
        super().__init__(row_class.TABLE)
        self.row_class = row_class
        self.key_columns = tuple(key)
        self.value_columns = tuple(values)
        self.columns = self.key_columns + self.value_columns
        self.empty = tuple(empty)
        self.parts: dict[Column[Any], Collection[str]] = dict.fromkeys(parts, ()) | dict(keys or {})
        self.collected = collected
        self.within = within
        self.initial = {c.name: v for c, v in (initial or {}).items()}
        self.named = not self.key_columns and key_of is None
        self.key_of = key_of or self._stored_key
        self.update_only = update_only
        self.returned = returned
        self.start = 1 if self.key_columns else 2  # where the columns' values begin in a fact
        n = len(self.key_columns)
        self.whole = n > 1 and not self.value_columns and key_of is None
        """Whether a fact has only a key, and so is the key itself."""
        self.key: Callable[[Fact], Hashable] = itemgetter(1 if n <= 1 else slice(1, n + 1))
        """Returns the key of a fact: the value of the only key column, or a tuple."""

    def keys(self, facts: Sequence[Fact]) -> Sequence[Hashable]:
        """Return the keys of facts."""
        return facts if self.whole else list(map(self.key, facts))

    def uuid(self, key: K) -> UUID:
        """Return the UUID that the row with this key has or will have, for rules that refer to the row.

        Arguments:
            key: the value of the key column; of several columns a tuple.

        Raises:
            LookupError: no rule is running.
        """
        node = tracking.reader
        if node is None:
            raise LookupError(f"{self}: asked for a row's UUID outside of a computation")
        given: Any = key
        uuid: UUID = node.engine.outputs[self].reference((self, *given) if self.whole else given)
        return uuid

    def _stored_key(self, row: Row) -> Hashable:
        """Return the key of a stored row: the values of its key columns, maps as sorted tuples."""
        values = row.values
        if self.named:
            return row.uuid
        if len(self.key_columns) == 1:
            key: Hashable = frozen(values[self.key_columns[0].index])
            return key
        several = tuple([frozen(values[c.index]) for c in self.key_columns])
        return (self, *several) if self.whole else several


class KeyRows(Rows[K]):
    """Rows of which rules say nothing but the key: one column, or the UUID.

    Arguments:
        row_class: the table's row class.
        key: the key column; the UUID if there is none.
    """

    __slots__ = ()

    @overload
    def __init__(self: KeyRows[UUID], row_class: type[R]) -> None: ...
    @overload
    def __init__(self, row_class: type[R], key: ColumnOf[R, K]) -> None: ...
    def __init__(self, row_class: type[Row], key: Any = None) -> None:
        super().__init__(row_class, () if key is None else (key,))

    def __call__(self, key: K) -> Fact:
        """Make the fact that a row is there."""
        return (self, key)


class Ownership(TypedDict, total=False):
    """What else there is to say of rows; see ``Rows``."""

    initial: dict[Column[Any], Any]
    update_only: bool
    returned: bool
    empty: Sequence[Column[Any]]
    parts: Sequence[Column[Any]]
    keys: Mapping[Column[Any], Collection[str]]
    collected: bool
    within: tuple[Members[Any, Any], Column[Any], Column[Any] | None]


class NamedRows(Rows[K], Generic[K, P, F]):
    """Rows whose columns have names in their facts: each fact is a named tuple, whose first field is the relation.

    The further fields are the columns: those of the key, then those of the values. Without key columns the first of
    them is the key, which no column holds.

    Arguments:
        row_class: the table's row class.
        make: the class of the facts.
        key: the key column, or several.
        key_of: for a row found in the table, its key, or None if the row is to be left alone.
        how: what else `Rows` takes.

    Raises:
        TypeError: a field is no column, or the first ones are not the key.
    """

    __slots__ = ("make",)

    @overload
    def __init__(
        self: NamedRows[UUID, P, F],
        row_class: type[R],
        make: Callable[Concatenate[Any, P], F],
        **how: Unpack[Ownership],
    ) -> None: ...
    @overload
    def __init__(
        self,
        row_class: type[R],
        make: Callable[Concatenate[Any, P], F],
        *,
        key_of: Callable[[R], K | None],
        **how: Unpack[Ownership],
    ) -> None: ...
    @overload
    def __init__(
        self,
        row_class: type[R],
        make: Callable[Concatenate[Any, P], F],
        *,
        key: ColumnOf[R, K],
        key_of: Callable[[R], K | None] | None = None,
        **how: Unpack[Ownership],
    ) -> None: ...
    @overload
    def __init__(
        self: NamedRows[tuple[A, B], P, F],
        row_class: type[R],
        make: Callable[Concatenate[Any, P], F],
        *,
        key: tuple[ColumnOf[R, A], ColumnOf[R, B]],
        key_of: Callable[[R], tuple[A, B] | None] | None = None,
        **how: Unpack[Ownership],
    ) -> None: ...
    @overload
    def __init__(
        self: NamedRows[tuple[A, B, C], P, F],
        row_class: type[R],
        make: Callable[Concatenate[Any, P], F],
        *,
        key: tuple[ColumnOf[R, A], ColumnOf[R, B], ColumnOf[R, C]],
        key_of: Callable[[R], tuple[A, B, C] | None] | None = None,
        **how: Unpack[Ownership],
    ) -> None: ...
    @overload
    def __init__(
        self: NamedRows[tuple[A, B, C, D], P, F],
        row_class: type[R],
        make: Callable[Concatenate[Any, P], F],
        *,
        key: tuple[ColumnOf[R, A], ColumnOf[R, B], ColumnOf[R, C], ColumnOf[R, D]],
        key_of: Callable[[R], tuple[A, B, C, D] | None] | None = None,
        **how: Unpack[Ownership],
    ) -> None: ...
    def __init__(
        self, row_class: type[Row], make: Any, *, key: Any = (), key_of: Any = None, **how: Unpack[Ownership]
    ) -> None:
        columns = key if isinstance(key, tuple) else (key,)
        fields, size = make._fields[1:], len(columns)
        if tuple(columns_of(row_class, fields[:size])) != columns:
            raise TypeError(f"{make.__name__}: its fields do not begin with the key {columns}")
        super().__init__(row_class, columns, values=columns_of(row_class, fields[size or 1 :]), key_of=key_of, **how)
        self.make = make

    def __call__(self, *content: P.args, **named: P.kwargs) -> F:
        """Make a fact of this kind."""
        made: F = self.make(self, *content, **named)
        return made


def maker(relation: NamedRelation[P, F] | NamedRows[Any, P, F]) -> Callable[P, F]:
    """Return a function that makes facts of a relation as calling it does, in a third of the time.

    It is for relations that have a fact for each port: calling a relation or a class by keywords packs them into a
    dictionary, calling a function does not.

    Arguments:
        relation: whose facts are named tuples.
    """
    made: Any = relation.make
    defaults = made._field_defaults
    fields = made._fields[1:]
    names = {"_relation": relation, "_class": made, "_new": tuple.__new__}
    names |= {f"_default_{name}": default for name, default in defaults.items()}
    parameters = ", ".join(f"{name}=_default_{name}" if name in defaults else name for name in fields)
    body = f"lambda {parameters}: _new(_class, (_relation, {', '.join(fields)},))"
    function: Callable[P, F] = eval(body, names)  # noqa: S307 - of the names of fields alone, as namedtuple does
    return function


class Members(Relation, Generic[K, V]):
    """Elements of a set column of output rows: facts of (key of the row, element).

    Arguments:
        rows: the relation of the rows, which must have more than a key of several columns.
        column: the set column, all elements of which rules own, unless `among` says otherwise.
        vital: whether rows without any element are left out, as are the rows that refer to them (`Rows.within`).
        among: of a column that refers to rows: whether rules own the reference to a row. Others are left alone.

    Raises:
        ValueError: rows that are nothing but a key of several columns cannot have members.
    """

    __slots__ = ("among", "column", "rows", "vital")

    @overload
    def __init__(
        self: Members[K, UUID],
        rows: Rows[K],
        column: ReferenceOf[Row, Any, frozenset[UUID]],
        *,
        vital: bool = False,
        among: Callable[[Any], bool] | None = None,
    ) -> None: ...
    @overload
    def __init__(self, rows: Rows[K], column: ColumnOf[Row, V], *, vital: bool = False) -> None: ...
    def __init__(
        self, rows: Rows[K], column: Column[Any], *, vital: bool = False, among: Callable[[Any], bool] | None = None
    ) -> None:
        super().__init__(f"{rows.name}.{column.name}")
        if rows.whole:
            raise ValueError(f"{self}: rows that are nothing but a key of several columns cannot have members")
        self.rows = rows
        self.column = column
        self.vital = vital
        self.among = among

    def __call__(self, key: K, element: V) -> Fact:
        """Make the fact that the row of a key has an element."""
        return (self, key, element)


def columns_of(row_class: type[Row], fields: Iterable[str]) -> list[Column[Any]]:
    """Return the columns that fields of a fact's class are named after.

    Raises:
        TypeError: one is named after none.
    """
    columns = {column.attribute: column for column in row_class.COLUMNS}
    if unknown := [name for name in fields if name not in columns]:
        raise TypeError(f"{row_class.TABLE} has no columns {unknown}")
    return [columns[name] for name in fields]


def frozen(value: Any) -> Any:
    """Return a column's value in the hashable form that facts use: a map as a sorted tuple of pairs."""
    return tuple(sorted(value.items())) if type(value) is dict else value
