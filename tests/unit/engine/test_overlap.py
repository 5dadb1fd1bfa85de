"""Rows that share elements find each other, and hear of it only when they begin to share, or cease to."""

import random

import pytest

from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Rows
from ovenbird.engine.overlap import Overlap
from ovenbird.engine.rows import Column, References, Row, Store
from ovenbird.engine.rules import rule
from support.engine.things import Box, Label, Thing, settle

LABEL = Rows(Label, [Label.name], values=[Label.text])


class Basket(Row, table="Basket"):
    name: Column[str] = Column("")
    things: References[Thing] = References(frozenset(), many=True, target="Thing")


SHARING = Overlap(Box.things, other=Basket.things)


@rule(Box)
def baskets(box):
    """The baskets with something that a box has too."""
    yield LABEL(box.name, " ".join(sorted(basket.name for basket in SHARING.rows(box))))


class World:
    def __init__(self):
        self.source, self.target = Store("s", [Thing, Box, Basket]), Store("t", [Label])
        self.boxes, self.baskets = self.source.table(Box), self.source.table(Basket)
        self.engine = Engine([self.source], [baskets])
        self.engine.bind(LABEL, self.target)

    def put(self, table, name, things, *, told):
        """Make a row have those things, or insert it; with the elements that come and go told, or not."""
        column = table.row_class.things.index
        if (row := table.rows.get(name)) is None:
            table.insert(name, [name, frozenset(things), {}][: len(table.row_class.COLUMNS)])
            return
        before, after = row.values[column], frozenset(things)
        if before != after:
            delta = {column: (after - before, before - after)} if told else None
            table.modify(row, {column: after}, delta)

    def run(self):
        """Return what is said of the boxes, and how often the rule ran."""
        self.engine.run()
        ran = self.engine.ran["baskets"]
        settle(self.engine, self.target)
        return {row.values[0]: row.values[1] for row in self.target.table(Label).rows.values()}, ran


def test_one_more_element_in_common_runs_no_rule():
    w = World()
    w.put(w.boxes, "box", "abc", told=True)
    w.put(w.baskets, "one", "a", told=True)
    assert w.run() == ({"box": "one"}, 1)
    w.put(w.baskets, "one", "ab", told=True)
    assert w.run() == ({"box": "one"}, 0)
    w.put(w.boxes, "box", "bc", told=True)
    assert w.run() == ({"box": "one"}, 0)
    w.put(w.baskets, "two", "cd", told=True)
    assert w.run() == ({"box": "one two"}, 1)
    w.baskets.delete(w.baskets.rows["one"])
    assert w.run() == ({"box": "two"}, 1)
    w.put(w.boxes, "box", "b", told=True)
    assert w.run() == ({"box": ""}, 1)


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
def test_after_any_edits_the_answer_is_what_the_sets_say(told):
    w, chance = World(), random.Random(7)
    for step in range(300):
        table = chance.choice([w.boxes, w.baskets])
        name = chance.choice("123")
        if name in table.rows and chance.random() < 0.2:
            table.delete(table.rows[name])
        else:
            w.put(table, name, chance.sample("abcdefgh", chance.randint(0, 3)), told=told)
        if step % 3 == 0:
            want = {
                box.uuid: " ".join(sorted(b.uuid for b in w.baskets.rows.values() if b.values[1] & box.values[1]))
                for box in w.boxes.rows.values()
            }
            assert w.run()[0] == want
    for table in (w.boxes, w.baskets):
        for row in list(table.rows.values()):
            table.delete(row)
    w.run()
    assert not w.boxes.kept[SHARING].groups
