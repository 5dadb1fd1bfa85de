"""A small world of rows for the engine's tests: things in boxes, and two output tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.engine.rows import Column, OptionalReference, References, Row, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.engine.engine import Engine


class Thing(Row, table="Thing"):
    name: Column[str] = Column("")
    size: Column[int] = Column(0)
    next: OptionalReference[Thing] = OptionalReference(None, target="Thing")


class Box(Row, table="Box"):
    name: Column[str] = Column("")
    things: References[Thing] = References(frozenset(), many=True, target="Thing")
    labels: Column[dict[str, str]] = Column({})


class Label(Row, table="Label"):
    """Output: one for each thing."""

    name: Column[str] = Column("")
    text: Column[str] = Column("")
    labels: Column[dict[str, str]] = Column({})
    note: Column[str] = Column("")


class Group(Row, table="Group"):
    """Output: a name and a set."""

    name: Column[str] = Column("")
    members: Column[frozenset[str]] = Column(frozenset(), many=True)


class Edits:
    """An editor that applies a plan to a store and remembers it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ops: list[tuple[Any, ...]] = []

    def insert(self, table: type[Row], values: Mapping[str, Any], uuid: Any = None) -> Any:
        self.ops.append(("insert", table.TABLE, dict(values)))
        full = list(table.DEFAULTS)
        for name, value in values.items():
            full[table.BY_NAME[name].index] = value
        self.store.table(table).insert(uuid, full)
        return uuid

    def insert_rows(self, table: type[Row], rows: Mapping[Any, list[Any]]) -> None:
        for uuid, row in rows.items():
            given = {c.name: v for c, v in zip(table.COLUMNS, row, strict=True) if v != c.default}
            self.insert(table, given, uuid)

    def update(self, row: Row, values: Mapping[str, Any]) -> None:
        self.ops.append(("update", row.TABLE, dict(values)))
        row.home.modify(row, {type(row).BY_NAME[n].index: v for n, v in values.items()})

    def mutate(self, row: Row, column: str, *, insert: Iterable[Any] = (), delete: Iterable[Any] = ()) -> None:
        self.ops.append(("mutate", row.TABLE, column, frozenset(insert), frozenset(delete)))
        i = type(row).BY_NAME[column].index
        row.home.modify(row, {i: (row.values[i] - frozenset(delete)) | frozenset(insert)})

    def delete(self, row: Row) -> None:
        self.ops.append(("delete", row.TABLE, row.uuid))
        row.home.delete(row)


def settle(engine: Engine, store: Store) -> list[tuple[Any, ...]]:
    """Run waves and apply plans until nothing is left to do; return the edits made."""
    done: list[tuple[Any, ...]] = []
    for _ in range(20):
        engine.run()
        edits = Edits(store)
        for output in engine.outputs.values():
            output.plan(edits)
        done += edits.ops
        if engine.idle and not edits.ops:
            return done
    raise AssertionError("the engine does not settle")


def contents(store: Store, *row_classes: type[Row]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the values of every row, without UUIDs, in a comparable form."""
    return {
        c.TABLE: sorted(
            tuple(tuple(sorted(v)) if isinstance(v, (frozenset, dict)) else v for v in row.values)
            for row in store.table(c).rows.values()
        )
        for c in row_classes
    }
