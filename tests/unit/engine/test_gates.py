"""Rules with a condition run for the rows that meet it, and for nobody else."""

from __future__ import annotations

from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Relation
from ovenbird.engine.rows import Store
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from support.engine.things import Box, Thing

SIZE, NAME = Relation("size"), Relation("name")


@view
def least(box):
    return int(box.labels.get("least", "10"))


def is_big(thing):
    box = thing.referrer(Box.things)
    return thing.size >= (least(box) if box is not None else 10)


@rule(Thing, when=is_big)
def size(thing):
    yield (SIZE, thing.size)


@rule(Thing, when=is_big)
def name(thing):
    yield (NAME, thing.name)


def world():
    store = Store("source", [Thing, Box])
    things = store.table(Thing)
    rows = [things.insert(f"thing-{n}", [f"t{n}", n, None]) for n in (1, 20)]
    return store, things, rows, Engine([store], [size, name])


def test_rules_run_where_the_condition_is_met():
    _, things, (small, _), engine = world()
    deltas = engine.run()
    assert deltas[SIZE].added == [(SIZE, 20)]
    assert engine.ran == {"is_big": 2, "size": 1, "name": 1}
    things.modify(small, {Thing.size.index: 30})
    deltas = engine.run()
    assert (deltas[SIZE].added, deltas[NAME].added) == ([(SIZE, 30)], [(NAME, "t1")])
    assert engine.ran == {"is_big": 1, "size": 1, "name": 1}
    things.modify(small, {Thing.name.index: "other"})
    assert engine.run()[NAME].removed == [(NAME, "t1")]
    assert engine.ran == {"name": 1}, "the condition did not read the name"
    things.modify(small, {Thing.size.index: 2})
    deltas = engine.run()
    assert (deltas[SIZE].removed, deltas[NAME].removed) == ([(SIZE, 30)], [(NAME, "other")])
    assert engine.idle
    things.modify(small, {Thing.name.index: "nobody's business"})
    assert engine.idle


def test_a_gate_depends_on_other_rows_that_it_reads():
    store, _, (small, big), engine = world()
    box = store.table(Box).insert("box", ["b", frozenset([small.uuid, big.uuid]), {}])
    engine.run()
    store.table(Box).modify(box, {Box.labels.index: {"least": "1"}})
    assert engine.run()[SIZE].added == [(SIZE, 1)]
    store.table(Box).modify(box, {Box.labels.index: {"least": "100"}})
    assert sorted(engine.run()[SIZE].removed) == [(SIZE, 1), (SIZE, 20)]


def test_a_row_that_goes_takes_everything_with_it():
    _, things, (small, big), engine = world()
    engine.run()
    assert engine.run_count() == 4
    for row in (small, big):
        things.delete(row)
    assert engine.run()[SIZE].removed == [(SIZE, 20)]
    assert engine.run_count() == 0
    assert not engine.owners
    assert not small.readers
    assert not big.readers


def test_a_condition_that_fails_is_reported_and_changes_nothing(caplog):
    _, things, (_, big), engine = world()
    engine.run()
    things.modify(big, {Thing.size.index: "no number"})
    deltas = engine.run()
    assert list(engine.failures.values())
    assert "is_big" in caplog.text
    assert deltas[SIZE].added == [(SIZE, "no number")]
    things.modify(big, {Thing.size.index: 3})
    assert sorted(map(str, engine.run()[SIZE].removed)) == [str((SIZE, "no number"))]
    assert not engine.failures


def test_a_closed_engine_depends_on_nothing():
    _, _, rows, engine = world()
    engine.run()
    engine.close()
    assert not any(row.readers for row in rows)
