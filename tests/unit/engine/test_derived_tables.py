"""Derived tables: what rules say to other rules, as rows of a table of this process."""

from __future__ import annotations

from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Members, Relation, Rows
from ovenbird.engine.lookups import select
from ovenbird.engine.rows import Store
from ovenbird.engine.rules import rule
from support.engine.things import Box, Group, Label, Thing

LABEL = Rows(Label, key=(Label.name, Label.text))
GROUP = Rows(Group, key=(Group.name,))
MEMBER = Members(GROUP, Group.members)
SEEN, SIZE = Relation("seen"), Relation("size")


@rule(Thing)
def label(thing):
    if thing.size:
        yield LABEL(thing.name, f"size {thing.size}")


@rule(Box)
def group(box):
    yield GROUP(box.name)
    for uuid in Box.things.raw(box):
        yield MEMBER(box.name, uuid)


@rule(Thing)
def seen(thing):
    yield SEEN(thing.name, tuple([row.text for row in select(Label.name, thing.name)]))


@rule(Group)
def size(row):
    yield SIZE(row.name, len(row.members))


def world():
    source, own = Store("source", [Thing, Box]), Store("own", [Label, Group])
    things = [source.table(Thing).insert(f"thing-{n}", [f"t{n}", n, None]) for n in (1, 2)]
    box = source.table(Box).insert("box", ["b", frozenset([things[0].uuid]), {}])
    engine = Engine([source, own], [label, group, seen, size])
    engine.derive(LABEL, own)
    engine.derive(GROUP, own, MEMBER)
    return source, own, things, box, engine


def labels(own):
    return {(row.name, row.text) for row in own.table(Label).rows.values()}


def settle(engine):
    """Run waves until there are none; return the facts that the last one added, by relation, and how many ran."""
    waves, added = 0, {}
    while not engine.idle:
        waves, added = waves + 1, {relation: delta.added for relation, delta in engine.run().items()}
    return added, waves


def test_facts_are_rows_for_the_next_wave():
    _, own, _, _, engine = world()
    engine.run()
    assert labels(own) == {("t1", "size 1"), ("t2", "size 2")}
    assert not engine.idle
    engine.run()
    assert engine.ran == {"seen": 2, "size": 1}, "those that look at the rows, and nobody else"
    assert engine.idle


def test_a_change_concerns_the_readers_of_its_row_alone():
    source, own, (first, _), _, engine = world()
    settle(engine)
    source.table(Thing).modify(first, {Thing.size.index: 7})
    engine.run()
    assert labels(own) == {("t1", "size 7"), ("t2", "size 2")}
    assert engine.run()[SEEN].added == [SEEN("t1", ("size 7",))]
    assert engine.ran == {"seen": 1}
    source.table(Thing).modify(first, {Thing.size.index: 0})
    assert settle(engine) == ({SEEN: [SEEN("t1", ())]}, 2)


def test_elements_of_sets_come_and_go():
    source, own, (first, second), box, engine = world()
    settle(engine)
    for things, number in (((first, second), 2), ((second,), 1), ((), 0)):
        source.table(Box).modify(box, {Box.things.index: frozenset([thing.uuid for thing in things])})
        settle(engine)
        (row,) = own.table(Group).rows.values()
        assert row.members == {thing.uuid for thing in things}
        assert SIZE("b", number) in engine.owners
    source.table(Box).delete(box)
    settle(engine)
    assert not own.table(Group).rows


def test_a_closed_engine_takes_its_derived_rows_along():
    source, own, _, _, engine = world()
    settle(engine)
    engine.close()
    assert not own.table(Label).rows
    assert not own.table(Group).rows
    again = Engine([source, own], [label, group, seen, size])
    again.derive(LABEL, own)
    settle(again)
    assert labels(own) == {("t1", "size 1"), ("t2", "size 2")}
