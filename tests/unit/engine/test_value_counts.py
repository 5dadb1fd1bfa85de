"""A group's values concern their readers when one comes or goes, and not when one more row has it."""

from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Rows
from ovenbird.engine.rows import Store
from ovenbird.engine.rules import rule
from ovenbird.engine.value_counts import ValueCounts
from support.engine.things import Label, Thing, settle

LABEL = Rows(Label, [Label.name], values=[Label.text])
POINTED = ValueCounts(Thing.size, value=Thing.next)


@rule(Thing)
def pointed(thing):
    """What the things point at that have the size which a root has negative."""
    if thing.size < 0:
        yield LABEL(thing.name, " ".join(sorted(POINTED.values(-thing.size))))


class World:
    def __init__(self):
        self.source, self.target = Store("s", [Thing]), Store("t", [Label])
        self.things = self.source.table(Thing)
        self.engine = Engine([self.source], [pointed])
        self.engine.bind(LABEL, self.target)
        for name, size in (("a", 0), ("b", 0), ("one", -1), ("two", -2)):
            self.things.insert(name, [name, size, None])
        self.run()

    def add(self, name, size, target):
        self.things.insert(name, [name, size, target])

    def point(self, name, target):
        self.things.modify(self.things.rows[name], {Thing.next.index: target})

    def run(self):
        """Return what is pointed at by things of size one and two, and how often the rule ran for roots."""
        self.engine.run()
        ran = self.engine.ran["pointed"]
        settle(self.engine, self.target)
        found = {row.values[0]: row.values[1] for row in self.target.table(Label).rows.values()}
        return found["one"], found["two"], ran


def test_one_more_row_with_the_same_value_runs_no_rule():
    w = World()
    w.add("x", 1, "a")
    assert w.run() == ("a", "", 2)  # the new thing itself, and the root
    w.add("y", 1, "a")
    assert w.run() == ("a", "", 1)
    w.things.delete(w.things.rows["x"])
    assert w.run() == ("a", "", 0)
    w.things.delete(w.things.rows["y"])
    assert w.run() == ("", "", 1)


def test_rows_move_between_values_and_groups():
    w = World()
    w.add("x", 1, "a")
    w.add("n", 1, None)
    w.run()
    w.point("x", "b")
    assert w.run()[:2] == ("b", "")
    w.point("n", "a")
    assert w.run()[:2] == ("a b", "")
    w.things.modify(w.things.rows["x"], {Thing.size.index: 2})
    assert w.run()[:2] == ("a", "b")
    w.point("x", None)
    assert w.run()[:2] == ("a", "")


def test_nothing_is_left_of_groups_without_rows_and_readers():
    w = World()
    (counts,) = [watcher for watcher in w.things.watchers if type(watcher).__name__ == "TableCounts"]
    for n in range(3, 50):
        w.add(f"t{n}", n, "a")
        w.things.delete(w.things.rows[f"t{n}"])
    w.run()
    assert set(counts.groups) == {1, 2}
    w.things.delete(w.things.rows["two"])
    w.engine.run()
    assert set(counts.groups) == {1}
