"""Incremental equals from scratch: random rules over random edits, compared after each edit with a fresh engine.

A random program is a list of views, each a short list of steps over a thing or a box; later views may call earlier
ones. Rules turn views into facts. Names repeat, so facts have several owners, and rows and keys collide.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ovenbird.engine import rules as engine_rules
from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Members, Rows
from ovenbird.engine.lookups import rows, select
from ovenbird.engine.rows import Store
from ovenbird.engine.views import view
from support.engine.things import Box, Edits, Group, Label, Thing, contents, settle

LABEL = Rows(Label, [Label.name, Label.text], values=[Label.labels])
GROUP = Rows(Group, [Group.name])
MEMBERS = Members(GROUP, Group.members)

STEPS = {
    "name": lambda t: t.name,
    "size": lambda t: t.size,
    "odd": lambda t: t.size % 2,
    "next": lambda t: n.name if (n := t.next) is not None else None,
    "next size": lambda t: n.size // 3 if (n := t.next) is not None else -1,
    "before": lambda t: sorted(p.name for p in t.referrers(Thing.next)),
    "boxes": lambda t: len(t.referrers(Box.things)),
    "box names": lambda t: sorted(b.name for b in t.referrers(Box.things)),
    "siblings": lambda t: sorted(s.name for b in t.referrers(Box.things) for s in b.things),
    "namesakes": lambda t: len(select(Thing.name, t.name)),
    "population": lambda _: len(rows(Thing)) // 2,
    "fragile": lambda t: 6 // t.size,
}
step = st.one_of(st.sampled_from(sorted(STEPS)), st.integers(0, 3))
programs = st.lists(st.lists(step, min_size=1, max_size=4), min_size=1, max_size=5)
names = st.sampled_from(["a", "b", "c", "d"])
sizes = st.integers(0, 9)


def labels(i, computed):
    """Return a rule that labels each thing with a view of it."""

    @engine_rules.rule(Thing)
    def facts(thing):
        yield LABEL(f"{i}:{thing.name}", computed(thing), (("size", str(thing.size // 4)),) if i == 1 else ())

    return facts


def compile_program(program):
    """Return one rule for each view of the program, and a rule of sets."""
    views = []

    def make(steps):
        @view
        def computed(thing):
            out = []
            for s in steps:
                if isinstance(s, str):
                    out.append(STEPS[s](thing))
                elif s < at:
                    following = thing.next
                    out.append(views[s](following if following is not None and thing.size > 4 else thing))
            return str(out)

        at = len(views)
        return computed

    made = []
    for steps in program:
        views.append(make(steps))

        made.append(labels(len(views), views[-1]))

    @engine_rules.rule(Box)
    def group(box):
        yield GROUP(box.name)

    @engine_rules.rule(Thing)
    def member(thing):
        for box in thing.referrers(Box.things):
            yield MEMBERS(box.name, thing.name)
            if thing.size > 6:
                yield LABEL(thing.name, GROUP.uuid(box.name)[:0], ())

    return [*made, group, member]


class Machine(RuleBasedStateMachine):
    @initialize(program=programs)
    def start(self, program):
        self.source = Store("source", [Thing, Box])
        self.target = Store("target", [Label, Group])
        self.rules = compile_program(program)
        self.engine = self.make(self.target)
        self.serial = 0
        for name, size in (("a", 1), ("b", 5), ("a", 0)):
            self.add_thing(name, size)
        self.source.table(Box).insert(self.uuid(), ["a", frozenset(self.source.table(Thing).rows), {}])

    def make(self, target):
        engine = Engine([self.source], self.rules)
        engine.bind(LABEL, target)
        engine.bind(GROUP, target, MEMBERS)
        return engine

    def uuid(self):
        self.serial += 1
        return f"u{self.serial:03}"

    def pick(self, row_class, data):
        table = self.source.table(row_class)
        return table.rows[data.draw(st.sampled_from(sorted(table.rows)))]

    def some_things(self, data):
        return data.draw(st.frozensets(st.sampled_from(sorted(self.source.table(Thing).rows) or ["none"]), max_size=4))

    def has_thing(self):
        return bool(self.source.table(Thing).rows)

    def has_box(self):
        return bool(self.source.table(Box).rows)

    def add_thing(self, name, size):
        self.source.table(Thing).insert(self.uuid(), [name, size, None])

    @rule(name=names, size=sizes)
    def new_thing(self, name, size):
        self.add_thing(name, size)

    @rule(name=names, data=st.data())
    def add_box(self, name, data):
        self.source.table(Box).insert(self.uuid(), [name, self.some_things(data), {}])

    @precondition(has_thing)
    @rule(data=st.data(), size=sizes)
    def resize(self, data, size):
        thing = self.pick(Thing, data)
        if thing.values[1] != size:
            self.source.table(Thing).modify(thing, {1: size})

    @precondition(has_thing)
    @rule(data=st.data(), name=names)
    def rename(self, data, name):
        thing = self.pick(Thing, data)
        if thing.values[0] != name:
            self.source.table(Thing).modify(thing, {0: name})

    @precondition(has_thing)
    @rule(data=st.data())
    def link(self, data):
        thing, other = self.pick(Thing, data), self.pick(Thing, data)
        if thing.values[2] != other.uuid:
            self.source.table(Thing).modify(thing, {2: other.uuid})

    @precondition(has_box)
    @rule(data=st.data())
    def refill(self, data):
        box, things = self.pick(Box, data), self.some_things(data)
        if box.values[1] != things:
            self.source.table(Box).modify(box, {1: things})

    @precondition(has_thing)
    @rule(data=st.data())
    def drop_thing(self, data):
        self.source.table(Thing).delete(self.pick(Thing, data))

    @precondition(has_box)
    @rule(data=st.data())
    def drop_box(self, data):
        self.source.table(Box).delete(self.pick(Box, data))

    @precondition(has_thing)
    @rule(data=st.data(), name=names, runs=st.integers(0, 3))
    def change_more_during_a_wave(self, data, name, runs):
        table = self.source.table(Thing)
        self.add_thing(name, 3)
        table.delete(self.pick(Thing, data))
        self.engine.advance(runs)
        thing = self.pick(Thing, data)
        if data.draw(st.booleans()):
            table.delete(thing)
        else:
            table.modify(thing, {1: thing.values[1] + 1})

    @precondition(lambda self: bool(self.target.table(Label).rows))
    @rule(data=st.data(), text=names)
    def vandalise(self, data, text):
        row = self.target.table(Label).rows[data.draw(st.sampled_from(sorted(self.target.table(Label).rows)))]
        if data.draw(st.booleans()):
            self.target.table(Label).delete(row)
        else:
            Edits(self.target).update(row, {"text": text})

    @invariant()
    def incremental_is_from_scratch(self):
        if not hasattr(self, "engine"):
            return
        settle(self.engine, self.target)
        fresh = Store("fresh", [Label, Group])
        other = self.make(fresh)
        settle(other, fresh)
        assert contents(self.target, Label, Group) == contents(fresh, Label, Group)
        assert set(self.engine.owners) == set(other.owners)
        for table in self.source.tables.values():  # the other engine goes; so must its traces
            table.watchers = [w for w in table.watchers if w.engine is not other]
            for source in (table.members, *table.rows.values(), *table.missing.values()):
                source.readers = {r: m for r, m in source.readers.items() if r.engine is not other}
            for index in table._indexes.values():
                for bucket in index.buckets.values():
                    bucket.readers = {r: m for r, m in bucket.readers.items() if r.engine is not other}


Machine.TestCase.settings = settings(max_examples=75, stateful_step_count=25)
TestIncremental = Machine.TestCase
