"""Rules that branch: each argument has a computation of its own, in the same wave."""

from __future__ import annotations

from ovenbird.engine.branches import Branches, branching
from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Relation
from ovenbird.engine.lookups import get
from ovenbird.engine.rows import Store
from support.engine.things import Box, Thing

CONTENT, EMPTY = Relation("content"), Relation("empty box")


def content(box, uuid):
    thing = get(Thing, uuid)
    yield (CONTENT, box.name, thing.name, 100 // thing.size)


@branching(Box, content)
def contents(box):
    """Look at each thing of a full box by itself; say of an empty one that it is."""
    uuids = sorted(Box.things.raw(box))
    return (Branches(uuids),) if uuids else [(EMPTY, box.name)]


def world():
    store = Store("source", [Thing, Box])
    things = [store.table(Thing).insert(f"thing-{n}", [f"t{n}", n, None]) for n in (1, 2, 5)]
    box = store.table(Box).insert("box", ["b", frozenset([things[0].uuid, things[1].uuid]), {}])
    return store, things, box, Engine([store], [contents])


def put(store, box, *things):
    store.table(Box).modify(box, {Box.things.index: frozenset([thing.uuid for thing in things])})


def test_branches_run_in_the_wave_of_their_rule():
    _, _, _, engine = world()
    deltas = engine.run()
    assert deltas[CONTENT].added == [(CONTENT, "b", "t1", 100), (CONTENT, "b", "t2", 50)]
    assert engine.ran == {"contents": 1, "content": 2}
    assert engine.idle


def test_a_branch_runs_again_by_itself():
    store, (_, second, _), _, engine = world()
    engine.run()
    store.table(Thing).modify(second, {Thing.size.index: 4})
    deltas = engine.run()
    assert (deltas[CONTENT].removed, deltas[CONTENT].added) == ([(CONTENT, "b", "t2", 50)], [(CONTENT, "b", "t2", 25)])
    assert engine.ran == {"content": 1}


def test_an_argument_that_comes_or_goes_concerns_no_other():
    store, (first, second, third), box, engine = world()
    engine.run()
    put(store, box, second, third)
    deltas = engine.run()
    assert (deltas[CONTENT].removed, deltas[CONTENT].added) == ([(CONTENT, "b", "t1", 100)], [(CONTENT, "b", "t5", 20)])
    assert engine.ran == {"contents": 1, "content": 1}
    assert not first.readers, "who has ended depends on nothing"


def test_a_rule_may_branch_at_one_time_and_yield_facts_at_another():
    store, (first, *_), box, engine = world()
    engine.run()
    put(store, box)
    deltas = engine.run()
    assert len(deltas[CONTENT].removed) == 2
    assert deltas[EMPTY].added == [(EMPTY, "b")]
    assert engine.run_count() == 1
    put(store, box, first)
    deltas = engine.run()
    assert deltas[EMPTY].removed == [(EMPTY, "b")]
    assert deltas[CONTENT].added == [(CONTENT, "b", "t1", 100)]
    assert engine.run_count() == 2


def test_a_failing_branch_affects_only_itself(caplog):
    store, (first, *_), _, engine = world()
    store.table(Thing).modify(first, {Thing.size.index: 0})
    assert engine.run()[CONTENT].added == [(CONTENT, "b", "t2", 50)]
    assert "content(<Box b>, 'thing-1') failed: ZeroDivisionError" in caplog.text
    store.table(Thing).modify(first, {Thing.size.index: 10})
    assert engine.run()[CONTENT].added == [(CONTENT, "b", "t1", 10)]
    assert not engine.failures


def test_a_rule_that_fails_has_no_branches_until_it_does_not():
    store, (first, second, _), box, engine = world()
    engine.run()
    store.table(Box).modify(box, {Box.things.index: frozenset([1, "no UUID"])})
    assert len(engine.run()[CONTENT].removed) == 2
    assert engine.run_count() == 1
    put(store, box, first, second)
    assert len(engine.run()[CONTENT].added) == 2


def test_a_row_that_goes_takes_its_branches_with_it():
    store, things, box, engine = world()
    engine.run()
    store.table(Thing).modify(things[0], {Thing.size.index: 20})
    store.table(Box).delete(box)
    assert len(engine.run()[CONTENT].removed) == 2
    assert engine.ran == {}, "a branch whose subject is gone does not run"
    assert engine.run_count() == 0
    assert not engine.owners
    assert not any(thing.readers for thing in things)


def test_an_engine_that_closes_leaves_no_branch_behind():
    _, things, _, engine = world()
    engine.run()
    assert len(engine.close()[CONTENT].removed) == 2
    assert not any(thing.readers for thing in things)
