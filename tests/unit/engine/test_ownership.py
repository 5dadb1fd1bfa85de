"""Rows that rules name by UUID, and rows of somebody else of which rules own some columns."""

import pytest

from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Members, Rows
from ovenbird.engine.rows import UUID, Column, Row, Store
from ovenbird.engine.rules import rule
from support.engine.things import Box, Edits, Group, Label, Thing, settle

NAME = UUID("0b7bb7f4-0000-4000-8000-000000000001")
NAMED = Rows(Label, values=[Label.name])
STATUS = Rows(Label, values=[Label.note], update_only=True)
LABELS = Rows(Label, [Label.name], values=[Label.text])
BOXES = Rows(Box, [Box.name], values=[Box.labels])
PAIR = Rows(Label, [Label.name, Label.text])
"""Rows that are nothing but their key."""
GROUPS = Rows(Group, values=[Group.name], update_only=True)
IN_GROUP = Members(GROUPS, Group.members)


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


def boxed(its_rule, relation):
    """Make a world of one thing, whose rule makes boxes too, and settle it."""
    store = Store("world", [Thing, Label, Box])
    store.table(Thing).insert(UUID("t"), ["x", 1, None])
    engine = Engine([store], [its_rule])
    engine.bind(relation, store)
    engine.bind(BOXES, store)
    settle(engine, store)
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


def test_rows_of_another_owner_are_updated_but_neither_made_nor_removed():
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


def test_sets_in_rows_of_another_owner_are_corrected_even_if_the_rows_came_first():
    @rule(Thing)
    def member(thing: Thing):
        yield GROUPS(NAME, thing.name)
        yield IN_GROUP(NAME, thing.name)

    store = Store("world", [Thing, Group])
    store.table(Group).insert(NAME, ["", frozenset(["stale"])])
    store.table(Thing).insert(UUID("t"), ["a", 1, None])
    engine = Engine([store], [member])
    engine.bind(GROUPS, store, IN_GROUP)
    settle(engine, store)
    assert store.table(Group).rows[NAME].members == {"a"}


def test_a_row_that_is_nothing_but_its_key_is_found_again_and_referred_to():
    @rule(Thing)
    def pair(thing: Thing):
        yield PAIR("a", thing.name)
        yield BOXES(thing.name, (("label", PAIR.uuid(("a", thing.name))),))

    store, _ = boxed(pair, PAIR)
    (label,) = store.table(Label).all()
    assert (label.name, label.text) == ("a", "x")
    assert [row.labels for row in store.table(Box).all()] == [{"label": label.uuid}]
    again = Engine([store], [pair])
    again.bind(PAIR, store)
    again.bind(BOXES, store)
    assert settle(again, store) == []


def test_rows_that_are_nothing_but_a_key_have_no_members():
    with pytest.raises(ValueError, match="cannot have members"):
        Members(PAIR, Group.members)


class Marked(Row, table="Marked"):
    """Output: a map that is not empty by default."""

    name: Column[str] = Column("")
    marks: Column[dict[str, str]] = Column({"a": "b"})


def test_a_map_that_rules_leave_empty_is_empty():
    marked = Rows(Marked, [Marked.name], values=[Marked.marks])

    @rule(Thing)
    def mark(thing: Thing):
        yield marked(thing.name, ())

    store = Store("world", [Thing, Marked])
    store.table(Thing).insert(UUID("t"), ["x", 1, None])
    engine = Engine([store], [mark])
    engine.bind(marked, store)
    edits = Edits(store)
    engine.run()
    engine.outputs[marked].plan(edits)
    assert [row.marks for row in store.table(Marked).all()] == [{}]


@rule(Thing)
def labelled(thing: Thing):
    yield LABELS("label", "")
    yield BOXES("box", (("label", LABELS.uuid("label")),))


def test_a_renamed_row_is_inserted_again_under_another_uuid():
    store, engine = boxed(labelled, LABELS)
    (first,) = store.table(Label).all()
    Edits(store).update(first, {"name": "renamed"})
    settle(engine, store)
    (second,) = store.table(Label).all()
    assert second.uuid != first.uuid
    assert [row.labels for row in store.table(Box).all()] == [{"label": second.uuid}]


def test_a_renamed_row_is_replaced_by_an_existing_one():
    store, engine = boxed(labelled, LABELS)
    (first,) = store.table(Label).all()
    edits = Edits(store)
    edits.insert(Label, {"name": "label"}, UUID("twin"))
    edits.update(first, {"name": "renamed"})
    settle(engine, store)
    assert [row.uuid for row in store.table(Label).all()] == ["twin"]
    assert [row.labels for row in store.table(Box).all()] == [{"label": "twin"}]


def test_a_column_that_rules_leave_empty_is_emptied():
    """What somebody else once wrote there goes, at the start and later."""
    relation = Rows(Label, [Label.name], empty=[Label.note])

    @rule(Thing)
    def its_label(thing: Thing):
        yield relation(thing.name)

    store = Store("world", [Thing, Label])
    store.table(Thing).insert(UUID("t"), ["a", 1, None])
    store.table(Label).insert(UUID("l"), ["a", "theirs", {}, "left over"])
    engine = Engine([store], [its_label])
    engine.bind(relation, store)
    assert settle(engine, store) == [("update", "Label", {"note": ""})]
    label = store.table(Label).rows[UUID("l")]
    store.table(Label).modify(label, {Label.note.index: "again"})
    settle(engine, store)
    assert (label.note, label.text) == ("", "theirs")


OWN_LABELS = Rows(Label, [Label.name], values=[Label.text])
COLLECTED = Rows(Label, [Label.name], values=[Label.text], collected=True)
SHELVES = Rows(Box, update_only=True)
ON_SHELF = Members(SHELVES, Box.things, among=lambda thing: thing.size > 0)


@rule(Thing)
def own_label(thing: Thing):
    if thing.size != 7:
        yield OWN_LABELS(thing.name, "ours")


def test_rows_that_are_not_this_engines_are_left_alone_until_they_are():
    store = Store("world", [Thing, Label])
    mine = {"first"}
    store.table(Label).insert(UUID("1"), ["a", "old", {}, "first"])
    store.table(Label).insert(UUID("2"), ["b", "old", {}, "second"])
    engine = Engine([store], [own_label])
    output = engine.bind(OWN_LABELS, store, mine=lambda row: row.note in mine)
    settle(engine, store)
    assert [row.name for row in store.table(Label)] == ["b"]
    mine.add("second")
    output.review()
    settle(engine, store)
    assert not store.table(Label).rows


@rule(Thing)
def collected(thing: Thing):
    if thing.size != 7:
        yield COLLECTED(thing.name, "ours")


def test_rows_that_the_database_collects_are_not_deleted():
    store = Store("world", [Thing, Label])
    thing = store.table(Thing).insert(UUID("t"), ["a", 1, None])
    engine = Engine([store], [collected])
    engine.bind(COLLECTED, store)
    settle(engine, store)
    store.table(Thing).modify(thing, {Thing.size.index: 7})
    assert settle(engine, store) == []
    assert [row.name for row in store.table(Label)] == ["a"]
    store.table(Thing).modify(thing, {Thing.size.index: 8})
    settle(engine, store)
    assert [row.name for row in store.table(Label)] == ["a"]


@rule(Box)
def shelf(box: Box):
    yield SHELVES(box.uuid)


@rule(Thing)
def on_shelf(thing: Thing):
    if thing.size == 2:
        yield ON_SHELF(UUID("box"), thing.uuid)


def test_references_to_other_rows_stay_in_a_set():
    """Rules own those to things with a size; the thing without one was put there by somebody else."""
    store = Store("world", [Thing, Box])
    for uuid, size in (("wanted", 2), ("unwanted", 1), ("others", 0)):
        store.table(Thing).insert(UUID(uuid), [uuid, size, None])
    box = store.table(Box).insert(UUID("box"), ["b", frozenset({"unwanted", "others"}), {}])
    engine = Engine([store], [shelf, on_shelf])
    engine.bind(SHELVES, store, ON_SHELF)
    settle(engine, store)
    assert Box.things.raw(box) == {"wanted", "others"}
