"""What rows give a group is there for whoever asks, in the same wave, and concerns them only when it differs."""

import pytest

from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Rows
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.rows import Store
from ovenbird.engine.rules import rule
from support.engine.things import Box, Label, Thing, settle

LABEL = Rows(Label, [Label.name], values=[Label.text])


@grouped_values(Thing)
def held(thing):
    """A thing gives each box that it is in its size, and zero to a group of all."""
    if thing.size < 0:
        raise ValueError(thing.name)
    for box in thing.referrers(Box.things):
        yield box.name, thing.size
        yield box.name, thing.size
        yield "all", 0


@rule(Box)
def sizes(box):
    """The sizes of what a box holds."""
    yield LABEL(box.name, " ".join(map(str, sorted(held.values(box.name)))))


class World:
    def __init__(self, rules):
        self.source, self.target = Store("s", [Thing, Box]), Store("t", [Label])
        self.things, self.boxes = self.source.table(Thing), self.source.table(Box)
        self.engine = Engine([self.source], rules)
        self.engine.bind(LABEL, self.target)
        for name in ("a", "b", "c"):
            self.things.insert(name, [name, 1, None])
        for name in ("x", "y"):
            self.boxes.insert(name, [name, frozenset(), {}])

    def put(self, box, *things):
        self.boxes.modify(self.boxes.rows[box], {Box.things.index: frozenset(things)})

    def resize(self, thing, size):
        self.things.modify(self.things.rows[thing], {Thing.size.index: size})

    def run(self):
        """Return what is said of the boxes, and how often that rule ran."""
        self.engine.run()
        ran = self.engine.ran["sizes"]
        settle(self.engine, self.target)
        return {row.values[0]: row.values[1] for row in self.target.table(Label).rows.values()}, ran


@pytest.mark.parametrize("rules", [[held, sizes], [sizes, held]], ids=["first", "last"])
def test_grouped_values_are_read_in_the_wave_in_which_they_change(rules):
    w = World(rules)
    w.put("x", "a", "b")
    w.resize("b", 2)
    w.engine.run()
    assert w.engine.idle
    assert w.run()[0] == {"x": "1 2", "y": ""}


def test_only_a_value_that_comes_or_goes_concerns_readers():
    w = World([held, sizes])
    w.put("x", "a")
    w.run()
    w.put("x", "a", "b")
    assert w.run() == ({"x": "1", "y": ""}, 0)
    w.resize("a", 2)
    assert w.run() == ({"x": "1 2", "y": ""}, 1)
    w.resize("b", 2)
    assert w.run() == ({"x": "2", "y": ""}, 1)
    w.put("y", "c")
    assert w.run() == ({"x": "2", "y": "1"}, 1)


def test_a_row_that_is_removed_or_fails_withdraws_its_facts():
    w = World([held, sizes])
    w.put("x", "a", "b")
    w.resize("b", 2)
    w.run()
    w.things.delete(w.things.rows["a"])
    assert w.run() == ({"x": "2", "y": ""}, 1)
    w.resize("b", -1)
    assert w.run() == ({"x": "", "y": ""}, 1)
    assert [repr(e) for e in w.engine.failures.values()] == ["ValueError('b')"]
    w.resize("b", 3)
    assert w.run() == ({"x": "3", "y": ""}, 1)
    assert not w.engine.failures


def test_nothing_is_left_of_groups_without_values_and_readers():
    w = World([held, sizes])
    w.put("x", "a")
    w.run()
    groups = held.kept(w.engine).groups
    assert set(groups) == {"x", "y", "all"}
    w.put("x")
    w.run()
    assert set(groups) == {"x", "y"}
    w.boxes.delete(w.boxes.rows["x"])
    w.run()
    assert set(groups) == {"y"}


def test_engines_over_the_same_rows_gather_for_themselves():
    w = World([held, sizes])
    w.put("x", "a")
    w.run()
    other = Engine([w.source], [held])
    other.run()
    assert set(held.kept(other).groups) == {"x", "all"}
    other.close()
    w.put("y", "b")
    assert w.run()[0] == {"x": "1", "y": "1"}


def test_a_lookup_outside_of_a_computation_is_an_error():
    with pytest.raises(LookupError, match="outside of a computation"):
        held.values("x")
