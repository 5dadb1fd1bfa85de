"""What is said of a group's members counts while it has any: its row, and the rows that refer to it."""

from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Members, Rows
from ovenbird.engine.rows import UUID, Store
from ovenbird.engine.rules import rule
from support.engine.things import Box, Group, Label, Thing, contents, settle

GROUPS = Rows(Group, [Group.name])
MEMBERS = Members(GROUPS, Group.members, vital=True)
LABELS = Rows(Label, [Label.name, Label.text], within=(MEMBERS, Label.text, Label.note))


@rule(Box)
def said(box: Box):
    """Say two things of a group, and something of nobody's."""
    yield GROUPS(box.name)
    yield LABELS(f"one of {box.name}", box.name)
    yield LABELS(f"two of {box.name}", box.name)
    yield LABELS(box.name, None)


@rule(Thing)
def member(thing: Thing):
    """Put a thing into the group that it names."""
    yield MEMBERS(thing.name, str(thing.size))


def world(*order):
    store = Store("world", [Thing, Box, Group, Label])
    engine = Engine([store], order)
    engine.bind(GROUPS, store, MEMBERS)
    engine.bind(LABELS, store)
    return store, engine


def labels(store):
    return sorted(row.name for row in store.table(Label).rows.values())


def test_rows_come_and_go_with_the_first_and_the_last_member():
    store, engine = world(said, member)
    box = store.table(Box).insert(UUID("b"), ["g", frozenset(), {}])
    settle(engine, store)
    assert (labels(store), list(store.table(Group).rows)) == (["g"], [])
    one = store.table(Thing).insert(UUID("1"), ["g", 1, None])
    settle(engine, store)
    assert labels(store) == ["g", "one of g", "two of g"]
    assert [row.members for row in store.table(Group).rows.values()] == [{"1"}]
    two = store.table(Thing).insert(UUID("2"), ["g", 2, None])
    assert len(settle(engine, store)) == 1
    store.table(Thing).delete(one)
    assert len(settle(engine, store)) == 1
    store.table(Thing).delete(two)
    settle(engine, store)
    assert (labels(store), list(store.table(Group).rows)) == (["g"], [])
    store.table(Box).delete(box)
    settle(engine, store)
    assert labels(store) == []


def test_the_order_of_facts_about_a_group_does_not_matter():
    """Both at once, either rule first, and both gone at once."""
    worlds = [world(said, member), world(member, said)]
    for store, engine in worlds:
        box = store.table(Box).insert(UUID("b"), ["g", frozenset(), {}])
        thing = store.table(Thing).insert(UUID("1"), ["g", 1, None])
        settle(engine, store)
        assert labels(store) == ["g", "one of g", "two of g"]
        again = Engine([store], [said, member])
        again.bind(GROUPS, store, MEMBERS)
        again.bind(LABELS, store)
        assert settle(again, store) == []
        again.close()
        store.table(Box).delete(box)
        store.table(Thing).delete(thing)
        settle(engine, store)
    assert contents(worlds[0][0], Group, Label) == contents(worlds[1][0], Group, Label) == {"Group": [], "Label": []}
