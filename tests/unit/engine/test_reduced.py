"""Facts in a table without some of the columns: each is a row about every member of its group, and there once."""

import random

from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Members, Rows
from ovenbird.engine.rows import UUID, Store
from ovenbird.engine.rules import rule
from support.engine.things import Box, Group, Label, Thing, settle

GROUPS = Rows(Group, [Group.name])
MEMBERS = Members(GROUPS, Group.members, vital=True)
LABELS = Rows(Label, [Label.name, Label.text, Label.note, Label.labels], within=(MEMBERS, Label.text, Label.note))
"""Of a group (`text`) or of one thing (`note`)."""


@rule(Box)
def said(box: Box):
    """Say two things of a group that are one without labels, and one that others say of theirs too."""
    yield GROUPS(box.name)
    yield LABELS("same", box.name, "", (("a", "b"),))
    yield LABELS("same", box.name, "", ())
    yield LABELS(f"by {box.name}", box.name, "", ())
    yield LABELS("one", None, "x", ())


@rule(Thing)
def member(thing: Thing):
    """Put a thing into the group that it names."""
    yield MEMBERS(thing.name, str(thing.size))


def world(*order):
    store = Store("world", [Thing, Box, Group, Label])
    return store, bound(store, *order)


def bound(store, *order):
    engine = Engine([store], order)
    engine.bind(GROUPS, store, MEMBERS)
    engine.bind(LABELS, store, lacking=(Label.text, Label.labels))
    return engine


def labels(store):
    rows = store.table(Label).rows.values()
    assert not any(row.text or row.labels for row in rows)
    return sorted((row.name, row.note) for row in rows)


def test_a_fact_about_a_group_is_one_fact_for_each_member():
    store, engine = world(said, member)
    boxes, things = store.table(Box), store.table(Thing)
    box = boxes.insert(UUID("b"), ["g", frozenset(), {}])
    settle(engine, store)
    assert labels(store) == [("one", "x")]
    things.insert(UUID("1"), ["g", 1, None])
    two = things.insert(UUID("2"), ["g", 2, None])
    settle(engine, store)
    assert labels(store) == [("by g", "1"), ("by g", "2"), ("one", "x"), ("same", "1"), ("same", "2")]
    assert settle(engine, store) == []
    things.delete(two)
    settle(engine, store)
    assert labels(store) == [("by g", "1"), ("one", "x"), ("same", "1")]
    boxes.delete(box)
    settle(engine, store)
    assert labels(store) == []


def test_in_any_order_and_after_a_restart_there_is_the_same():
    for seed in range(20):
        choose = random.Random(seed)
        store, engine = world(*choose.sample([said, member], 2))
        boxes, things = store.table(Box), store.table(Thing)
        for number in range(60):
            table = choose.choice([boxes, things])
            if table.rows and choose.random() < 0.45:
                table.delete(choose.choice(list(table.rows.values())))
            else:
                name = choose.choice("gh")
                values = [name, frozenset(), {}] if table is boxes else [name, choose.randrange(3), None]
                table.insert(UUID(f"{number}"), values)
            if choose.random() < 0.5:
                settle(engine, store)
        settle(engine, store)
        named = {box.name for box in boxes.rows.values()}
        there = {(thing.name, str(thing.size)) for thing in things.rows.values() if thing.name in named}
        want = {("same", size) for _, size in there} | {(f"by {name}", size) for name, size in there}
        assert labels(store) == sorted(want | ({("one", "x")} if named else set()))
        engine.close()
        assert settle(bound(store, said, member), store) == []
