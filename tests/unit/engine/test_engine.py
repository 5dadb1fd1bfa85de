from __future__ import annotations

import logging

import pytest

from ovenbird.engine import tracking
from ovenbird.engine.engine import Engine
from ovenbird.engine.errors import CycleError, NotUniqueError
from ovenbird.engine.facts import Members, Relation, Rows
from ovenbird.engine.ids import Pool
from ovenbird.engine.lookups import find, select
from ovenbird.engine.rows import Store
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from support.engine.things import Box, Edits, Group, Label, Thing, contents, settle

LABEL = Rows(Label, [Label.name], values=[Label.text, Label.labels])
GROUP = Rows(Group, [Group.name])
GROUP_MEMBERS = Members(GROUP, Group.members)
NUMBERED = Relation("numbered")


@view
def is_big(thing):
    return thing.size >= 10


@rule(Thing)
def label(thing):
    box = thing.referrer(Box.things)
    if box is not None:
        yield LABEL(thing.name, f"{'big' if is_big(thing) else 'small'} in {box.name}", (("box", box.name),))


@rule(Box)
def group(box):
    yield GROUP(box.name)


@rule(Thing)
def membership(thing):
    for box in thing.referrers(Box.things):
        yield GROUP_MEMBERS(box.name, thing.name)


class World:
    def __init__(self, rules=(label, group, membership)):
        self.source = Store("source", [Thing, Box])
        self.target = Store("target", [Label, Group])
        self.things, self.boxes = self.source.table(Thing), self.source.table(Box)
        self.rules = rules
        self.engine = self.make()

    def make(self):
        engine = Engine([self.source], self.rules)
        engine.bind(LABEL, self.target)
        engine.bind(GROUP, self.target, GROUP_MEMBERS)
        return engine

    def settle(self):
        return settle(self.engine, self.target)

    def outputs(self):
        return contents(self.target, Label, Group)


@pytest.fixture
def world():
    w = World()
    for i in range(3):
        w.things.insert(f"t{i}", [f"thing{i}", i * 6, None])
    w.boxes.insert("b0", ["box0", frozenset({"t0", "t1"}), {}])
    w.boxes.insert("b1", ["box1", frozenset({"t2"}), {}])
    w.settle()
    return w


def test_rules_make_rows_and_sets(world):
    assert world.outputs() == {
        "Label": [
            ("thing0", "small in box0", ("box",), ""),
            ("thing1", "small in box0", ("box",), ""),
            ("thing2", "big in box1", ("box",), ""),
        ],
        "Group": [("box0", ("thing0", "thing1")), ("box1", ("thing2",))],
    }


def test_a_change_reruns_what_read_it_and_nothing_else(world):
    world.things.modify(world.things.rows["t1"], {1: 20})
    world.engine.run()
    assert world.engine.ran == {"is_big": 1, "label": 1}


def test_a_view_that_keeps_its_value_stops_the_wave(world):
    world.things.modify(world.things.rows["t1"], {1: 7})
    world.engine.run()
    assert world.engine.ran == {"is_big": 1}


def test_a_change_of_a_column_that_was_not_read_runs_no_rule(world):
    world.boxes.modify(world.boxes.rows["b0"], {2: {"a": "b"}})
    world.engine.run()
    assert not world.engine.ran


def test_adding_one_element_to_a_set_concerns_that_element_alone(world):
    world.things.insert("t9", ["thing9", 1, None])
    world.boxes.modify(world.boxes.rows["b0"], {1: frozenset({"t0", "t1", "t9"})}, {1: ({"t9"}, ())})
    ops = world.settle()
    assert sorted(op[0] for op in ops) == ["insert", "mutate"]
    assert ("mutate", "Group", "members", frozenset({"thing9"}), frozenset()) in ops


def test_the_plan_is_the_smallest(world):
    world.things.modify(world.things.rows["t2"], {1: 0})
    assert world.settle() == [("update", "Label", {"text": "small in box1"})]


def test_a_fact_of_two_owners_goes_with_the_last():
    @rule(Thing)
    def kinds(thing):
        yield LABEL("small" if thing.size < 10 else "big", "", ())

    w = World((kinds,))
    for i, size in enumerate((1, 2, 30)):
        w.things.insert(f"t{i}", [f"thing{i}", size, None])
    w.settle()
    assert [r[0] for r in w.outputs()["Label"]] == ["big", "small"]
    w.things.delete(w.things.rows["t0"])
    assert w.settle() == []
    w.things.delete(w.things.rows["t1"])
    assert [op[0] for op in w.settle()] == ["delete"]


def test_an_edited_or_deleted_output_row_is_repaired(world):
    before = world.outputs()
    rows = {row.values[0]: row for row in world.target.table(Label).rows.values()}
    edits = Edits(world.target)
    edits.update(rows["thing0"], {"text": "nonsense"})
    edits.delete(rows["thing1"])
    edits.update(rows["thing2"], {"name": "renamed"})
    group0 = next(g for g in world.target.table(Group).rows.values() if g.values[0] == "box0")
    edits.mutate(group0, "members", insert={"intruder"}, delete={"thing0"})
    assert world.outputs() != before
    world.settle()
    assert world.outputs() == before


def test_an_unowned_column_is_left_alone(world):
    row = next(iter(world.target.table(Label).rows.values()))
    Edits(world.target).update(row, {"note": "mine"})
    assert world.settle() == []


def test_a_duplicate_output_row_is_removed_and_steps_in_when_needed(world):
    edits = Edits(world.target)
    edits.insert(Label, {"name": "thing0"}, "twin")
    ops = world.settle()
    assert [op[0] for op in ops] == ["delete"]
    assert len(world.outputs()["Label"]) == 3


def test_a_second_engine_takes_over_without_an_edit(world):
    world.engine = world.make()
    assert world.settle() == []


def test_rows_of_other_owners_are_left_alone():
    mine = Rows(
        Label, [Label.name], values=[Label.text], key_of=lambda r: r.values[0] if r.values[3] != "theirs" else None
    )

    @singleton
    def one():
        yield mine("a", "x")

    target = Store("target", [Label])
    target.table(Label).insert("u", ["b", "", {}, "theirs"])
    engine = Engine([], [one])
    engine.bind(mine, target)
    assert [op[0] for op in settle(engine, target)] == ["insert"]
    assert len(target.table(Label).rows) == 2


def test_a_rule_that_raises_is_reported_and_stops_no_other(caplog):
    @rule(Thing)
    def fragile(thing):
        yield LABEL(f"{12 // thing.size}", "", ())

    w = World((fragile, group))
    w.things.insert("t0", ["zero", 0, None])
    w.things.insert("t1", ["one", 1, None])
    w.boxes.insert("b0", ["box", frozenset(), {}])
    with caplog.at_level(logging.ERROR):
        w.settle()
    assert "<Thing zero>" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert [str(e) for e in w.engine.failures.values()] == ["integer division or modulo by zero"]
    assert [r[0] for r in w.outputs()["Label"]] == ["12"]
    assert len(w.outputs()["Group"]) == 1
    w.things.modify(w.things.rows["t0"], {1: 3})  # retried when what it read changes
    w.settle()
    assert not w.engine.failures
    assert [r[0] for r in w.outputs()["Label"]] == ["12", "4"]


def test_a_view_that_raises_raises_in_its_readers_until_it_recovers():
    @view
    def inverse(thing):
        return 10 // thing.size

    @rule(Thing)
    def reader(thing):
        yield LABEL(thing.name, str(inverse(thing)), ())

    w = World((reader,))
    w.things.insert("t0", ["zero", 0, None])
    w.settle()
    assert len(w.engine.failures) == 1
    w.things.modify(w.things.rows["t0"], {1: 5})
    w.settle()
    assert not w.engine.failures
    assert w.outputs()["Label"][0][1] == "2"


def test_a_view_that_reads_itself_is_an_error():
    @view
    def loop(thing):
        return loop(thing.next)

    @rule(Thing)
    def reader(thing):
        yield LABEL(thing.name, loop(thing), ())

    w = World((reader,))
    w.things.insert("t0", ["snake", 0, "t0"])
    w.settle()
    assert [type(e) for e in w.engine.failures.values()] == [CycleError]


def test_absence_is_tracked():
    @rule(Thing)
    def chain(thing):
        following = thing.next
        yield LABEL(thing.name, following.name if following is not None else "end", ())

    @rule(Box)
    def wish(box):
        found = find(Thing.name, box.name)
        yield GROUP(f"{box.name} {'found' if found else 'missing'}")

    w = World((chain, wish))
    w.things.insert("t0", ["first", 0, "t1"])
    w.boxes.insert("b0", ["second", frozenset(), {}])
    w.settle()
    assert w.outputs()["Label"] == [("first", "end", (), "")]
    w.things.insert("t1", ["second", 0, None])
    w.settle()
    assert w.outputs()["Label"][0] == ("first", "second", (), "")
    assert w.outputs()["Group"] == [("second found", ())]
    w.things.delete(w.things.rows["t1"])
    w.settle()
    assert w.outputs() == {"Label": [("first", "end", (), "")], "Group": [("second missing", ())]}


def test_find_refuses_to_choose():
    store = Store("s", [Thing])
    store.table(Thing).insert("a", ["same", 0, None])
    store.table(Thing).insert("b", ["same", 0, None])
    assert len(store.select(Thing.name, "same")) == 2
    with pytest.raises(NotUniqueError, match="2 rows of Thing have name 'same'"):
        store.find(Thing.name, "same")


def test_references_to_derived_rows_follow_the_row_that_is_there():
    tag = Rows(Label, [Label.name], values=[Label.text])

    @rule(Thing)
    def pointer(thing):
        yield GROUP(thing.name)
        yield tag(thing.name, GROUP.uuid(thing.name))

    def engine():
        e = Engine([w.source], [pointer])
        e.bind(GROUP, w.target)
        e.bind(tag, w.target)
        return e

    w = World((pointer,))
    w.things.insert("t0", ["a", 0, None])
    w.engine = engine()
    w.settle()

    def agree():
        (group_row,) = w.target.table(Group).rows.values()
        (label_row,) = w.target.table(Label).rows.values()
        return group_row.uuid == label_row.values[1]

    assert agree()
    w.engine = engine()  # a new process refers to the row that exists
    assert w.settle() == []
    (group_row,) = w.target.table(Group).rows.values()
    w.target.table(Group).delete(group_row)
    w.target.table(Group).insert("made-by-hand", ["a", frozenset()])
    w.settle()
    assert agree()


def test_tracked_state_returns_to_its_size_after_add_delete_cycles(world):
    def size():
        e = world.engine
        tables = [*world.source.tables.values(), *world.target.tables.values()]
        return {
            "memo": len(e.memo),
            "owners": len(e.owners),
            "runs": e.run_count(),
            "readers": sum(len(r.readers) for t in tables for r in t.rows.values()),
            "buckets": sum(len(i.buckets) for t in tables for i in t._indexes.values()),
            "missing": sum(len(t.missing) for t in tables),
            "outputs": [
                (len(o.actual), len(o._keys), len(o._planned), len(o.handles), len(o._wanted), len(o._sets))
                for o in e.outputs.values()
            ],
        }

    before = size()
    for cycle in range(5):
        for i in range(20):
            world.things.insert(f"n{i}", [f"new{cycle}-{i}", i, f"n{i + 1}"])
        world.boxes.insert("bn", ["new", frozenset(f"n{i}" for i in range(20)), {}])
        world.settle()
        world.boxes.delete(world.boxes.rows["bn"])
        for i in range(20):
            world.things.delete(world.things.rows[f"n{i}"])
        world.settle()
        assert size() == before


def test_select_by_set_element():
    @rule(Thing)
    def boxes_of(thing):
        yield LABEL(thing.name, ",".join(sorted(b.name for b in select(Box.things, thing.uuid))), ())

    w = World((boxes_of,))
    w.things.insert("t0", ["t", 0, None])
    w.boxes.insert("b0", ["x", frozenset({"t0"}), {}])
    w.boxes.insert("b1", ["y", frozenset({"t0"}), {}])
    w.settle()
    assert w.outputs()["Label"][0][1] == "x,y"


def test_nothing_is_tracked_outside_of_a_computation(world):
    thing = world.things.rows["t0"]
    readers = dict(thing.readers)
    assert thing.size == 0
    assert thing.referrer(Box.things).name == "box0"
    assert is_big(thing) is False
    assert thing.readers == readers
    assert tracking.reader is None
    with pytest.raises(LookupError, match="outside of a computation"):
        find(Thing.name, "x")


def test_rules_that_disagree_about_a_row_are_reported(caplog):
    @rule(Thing)
    def contradict(thing):
        yield LABEL("same", thing.name, ())

    w = World((contradict,))
    w.things.insert("t0", ["b", 0, None])
    w.things.insert("t1", ["a", 0, None])
    w.settle()
    assert "disagree about the row 'same'" in caplog.text
    assert w.outputs()["Label"][0][1] == "a"
    w.things.delete(w.things.rows["t1"])
    w.settle()
    assert w.outputs()["Label"][0][1] == "b"


def test_a_refused_transaction_is_planned_again_without_its_culprits(world):
    """What the database names in its refusal is left out, everything else goes in; a change of mind lifts the ban."""

    class Nothing(Edits):
        def insert(self, table, values, uuid=None):
            self.ops.append((uuid, values["name"]))
            return uuid

        def mutate(self, row, column, *, insert=(), delete=()):
            self.ops.append((row.uuid, column, *insert))

    for i in (7, 8):
        world.things.insert(f"t{i}", [f"thing{i}", 1, None])
    world.boxes.modify(world.boxes.rows["b0"], {1: frozenset({"t0", "t1", "t7", "t8"})})
    world.engine.run()
    labels, groups = world.engine.outputs[LABEL], world.engine.outputs[GROUP]
    refused = Nothing(world.target)
    labels.plan(refused)
    groups.plan(refused)
    culprit = next(op[0] for op in refused.ops if op[1] == "thing7")
    assert labels.undo({culprit})
    assert groups.undo({"thing8"})
    world.settle()
    assert [r[0] for r in world.outputs()["Label"]] == ["thing0", "thing1", "thing2", "thing8"]
    assert world.outputs()["Group"][0] == ("box0", ("thing0", "thing1", "thing7"))
    world.things.modify(world.things.rows["t7"], {1: 50})
    world.things.modify(world.things.rows["t8"], {0: "thing9"})
    world.settle()
    assert [r[0] for r in world.outputs()["Label"]] == ["thing0", "thing1", "thing2", "thing7", "thing9"]
    assert world.outputs()["Group"][0] == ("box0", ("thing0", "thing1", "thing7", "thing9"))


def test_a_closed_engine_leaves_no_trace_in_the_tables(world):
    tables = [*world.source.tables.values(), *world.target.tables.values()]
    world.engine.close()
    assert not any(t.watchers or t.members.readers or t.missing for t in tables)
    assert not any(row.readers for t in tables for row in t.rows.values())
    assert not any(b.readers for t in tables for i in t._indexes.values() for b in i.buckets.values())
    assert not world.engine.memo
    world.engine = world.make()
    assert world.settle() == []


def test_work_done_ahead_is_settled_by_the_wave_that_follows(world):
    for i in range(3, 9):
        world.things.insert(f"t{i}", [f"thing{i}", i, None])
    world.boxes.modify(world.boxes.rows["b1"], {1: frozenset(world.things.rows)})
    before = world.outputs()
    steps = 1
    while world.engine.advance(2):
        steps += 1
    assert steps > 4
    assert world.outputs() == before
    assert not world.engine.idle
    world.settle()
    assert world.engine.ran.total() == 0  # all was done
    assert world.outputs() != before
    assert world.engine.idle


def test_an_id_that_the_wave_still_asks_for_is_kept_while_it_is_under_way():
    numbers = Pool("number", 1, 9)
    source = Store("source", [Thing, Box])
    things = source.table(Thing)

    @rule(Thing)
    def numbered(thing):
        yield NUMBERED(thing.name, numbers.get(thing.name))

    engine = Engine([source], [numbered])
    first = things.insert("t0", ["a", 0, None])
    things.insert("t1", ["b", 0, None])
    engine.run()
    things.delete(first)
    things.insert("t2", ["c", 0, None])
    things.insert("t3", ["a", 0, None])
    while engine.advance(1):
        pass
    (delta,) = engine.run().values()
    assert [fact[1:] for fact in delta.added] == [("c", 3)]
    assert delta.removed == []
