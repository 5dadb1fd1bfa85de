"""Rules that wait for a moment run again when it has come, and not before."""

import pytest

from ovenbird.engine.alarms import PACE, due
from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Rows
from ovenbird.engine.rows import Store
from ovenbird.engine.rules import rule
from support.engine.things import Label, Thing, settle

LABEL = Rows(Label, [Label.name])


@rule(Thing)
def alive(thing):
    """A thing is there until the moment that its size says."""
    if not due(thing.name, thing.size):
        yield LABEL(thing.name)


class World:
    def __init__(self, limit=0):
        self.source, self.target = Store("s", [Thing]), Store("t", [Label])
        self.things = self.source.table(Thing)
        self.now = 1000
        self.engine = Engine([self.source], [alive], lambda: self.now)
        self.engine.alarms.limits[str] = lambda: limit
        self.engine.bind(LABEL, self.target)

    def add(self, name, until):
        self.things.insert(name, [name, until, None])

    def change(self, name, until):
        self.things.modify(self.things.rows[name], {Thing.size.index: until})

    def at(self, now):
        """Return what is there after a wave at a moment, and how often the rule ran."""
        self.now = now
        self.engine.run()
        ran = self.engine.ran["alive"]
        settle(self.engine, self.target)
        return {row.values[0] for row in self.target.table(Label).rows.values()}, ran


def test_an_alarm_runs_only_the_rules_that_wait_for_it():
    w = World()
    for name, until in (("a", 2000), ("b", 3000), ("c", 2000)):
        w.add(name, until)
    assert w.at(1000) == ({"a", "b", "c"}, 3)
    assert w.engine.alarms.pause == 1.0
    assert w.at(1999) == ({"a", "b", "c"}, 0)
    assert w.at(2000) == ({"b"}, 2)
    assert w.engine.alarms.pause == 1.0
    assert w.at(9000) == (set(), 1)
    assert w.engine.alarms.pause is None


def test_an_alarm_in_the_past_goes_off_in_the_next_wave():
    w = World()
    w.add("a", 10)
    w.engine.run()
    assert w.engine.alarms.pause == 0
    assert w.at(1000) == (set(), 1)


def test_an_alarm_that_was_postponed_does_not_go_off_early():
    w = World()
    w.add("a", 2000)
    w.at(1000)
    w.change("a", 5000)
    assert w.at(1001) == ({"a"}, 1)
    assert w.at(2000) == ({"a"}, 0)
    assert w.at(5000) == (set(), 1)


def test_a_wave_rings_no_more_than_the_limit_and_the_next_waits():
    w = World(limit=2)
    for name in "abcde":
        w.add(name, 2000)
    w.at(1000)
    assert len(w.at(2000)[0]) == 3
    assert w.engine.alarms.pause == PACE / 1000
    assert len(w.at(2000 + PACE - 1)[0]) == 3
    assert len(w.at(2000 + PACE)[0]) == 1
    assert len(w.at(2000 + 2 * PACE)[0]) == 0


def test_alarms_that_no_rule_waits_for_are_dropped():
    w = World()
    w.add("a", 2000)
    for until in range(2000, 3000):
        w.change("a", until)
        w.engine.run()
    assert len(w.engine.alarms.waiting) == 1
    assert len(w.engine.alarms._queues[str].entries) < 100
    w.things.delete(w.things.rows["a"])
    w.engine.run()
    assert not w.engine.alarms.waiting
    assert w.engine.alarms.pause is None


def test_time_is_not_told_outside_of_a_rule():
    with pytest.raises(LookupError, match="outside"):
        due("a", 1)
