"""Rows that rules name by UUID, and rows of somebody else of which rules own some columns."""

from things import Edits, Label, Thing, settle

from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Rows
from ovenbird.engine.rows import UUID, Store
from ovenbird.engine.rules import rule

NAME = UUID("0b7bb7f4-0000-4000-8000-000000000001")
NAMED = Rows(Label, values=[Label.name])
STATUS = Rows(Label, values=[Label.note], theirs=True)


@rule(Thing)
def named(thing: Thing):
    yield NAMED(NAME, thing.name)


@rule(Thing)
def status(thing: Thing):
    yield STATUS(NAME, f"size {thing.size}")


def world(*rules, relation):
    store = Store("world", [Thing, Label])
    engine = Engine([store], rules)
    engine.bind(relation, store)
    return store, engine


def test_a_row_without_key_columns_has_the_uuid_that_its_rule_says():
    store, engine = world(named, relation=NAMED)
    thing = store.table(Thing).insert(UUID("t"), ["a", 1, None])
    settle(engine, store)
    assert store.table(Label).rows[NAME].name == "a"
    again = Engine([store], [named])
    again.bind(NAMED, store)
    assert settle(again, store) == []
    store.table(Thing).delete(thing)
    settle(engine, store)
    assert not store.table(Label).rows


def test_rows_of_somebody_else_are_updated_but_neither_made_nor_removed():
    store, engine = world(status, relation=STATUS)
    thing = store.table(Thing).insert(UUID("t"), ["a", 7, None])
    assert settle(engine, store) == []
    Edits(store).insert(Label, {"name": "mine"}, NAME)
    settle(engine, store)
    assert store.table(Label).rows[NAME].note == "size 7"
    store.table(Thing).delete(thing)
    assert settle(engine, store) == []
    assert store.table(Label).rows[NAME].name == "mine"


def test_watching_many_columns_depends_on_exactly_those():
    seen = []

    @rule(Thing)
    def watch(thing: Thing):
        seen.append(thing.watch(Thing.name.bit | Thing.size.bit)[Thing.name.index])
        return ()

    store = Store("world", [Thing, Label])
    engine = Engine([store], [watch])
    thing = store.table(Thing).insert(UUID("t"), ["a", 1, None])
    engine.run()
    store.table(Thing).modify(thing, {Thing.next.index: "t"})
    engine.run()
    store.table(Thing).modify(thing, {Thing.size.index: 2})
    engine.run()
    assert seen == ["a", "a"]
