from __future__ import annotations

import pytest

from ovenbird.engine.branches import Branches, branching
from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Rows
from ovenbird.engine.findings import FINDING
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.rows import Store
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from support.engine.things import Label, Thing, settle

LABEL = Rows(Label, [Label.name], values=[Label.text])
KEYS = Pool("key", 1, 4)


@rule(Thing)
def number(thing):
    """A thing's size, when positive, is the number it wants."""
    yield LABEL(thing.name, str(KEYS.get(thing.name, want=thing.size or None)))


class World:
    def __init__(self):
        self.source, self.target = Store("s", [Thing]), Store("t", [Label])
        self.things = self.source.table(Thing)
        self.engine = Engine([self.source], [number])
        self.engine.bind(LABEL, self.target)

    def add(self, name, want=0):
        self.things.insert(name, [name, want, None])

    def numbers(self):
        settle(self.engine, self.target)
        return {r.values[0]: int(r.values[1]) for r in self.target.table(Label).rows.values()}

    def lacking(self):
        """Return the names of the things about which there is a finding that no key is left for them."""
        assert not self.engine.failures
        found = [self.things.rows[fact[2]].values[0] for fact in self.engine.owners if fact[0] is FINDING]
        assert len(found) == len(set(found))
        return found


def test_numbers_are_distinct_and_stay():
    w = World()
    w.add("a")
    w.add("b")
    first = w.numbers()
    assert sorted(first.values()) == [1, 2]
    w.add("c")
    w.things.delete(w.things.rows["a"])
    later = w.numbers()
    assert later["b"] == first["b"]
    assert len(set(later.values())) == 2


def test_a_released_number_is_not_given_out_at_once():
    w = World()
    w.add("a")
    assert w.numbers() == {"a": 1}
    w.things.delete(w.things.rows["a"])
    w.add("b")
    assert w.numbers() == {"b": 2}


def test_seeds_survive_a_restart_and_unclaimed_ones_are_dropped():
    w = World()
    seed(w.engine, KEYS, "a", 3)
    seed(w.engine, KEYS, "gone", 1)
    w.add("a")
    w.add("b")
    assert w.numbers() == {"a": 3, "b": 2}
    w.engine.release_unclaimed()
    w.add("c")
    w.add("d")
    assert sorted(w.numbers().values()) == [1, 2, 3, 4]


def test_a_requested_number_is_taken_from_a_holder_that_did_not_request_it():
    w = World()
    w.add("a")
    assert w.numbers() == {"a": 1}
    w.add("b", want=1)
    numbers = w.numbers()
    assert numbers["b"] == 1
    assert numbers["a"] != 1


def test_two_keys_that_request_the_same_number_do_not_share_it():
    w = World()
    w.add("a", want=2)
    w.add("b", want=2)
    numbers = w.numbers()
    assert numbers["a"] == 2
    assert numbers["b"] != 2


def test_exhaustion_is_a_finding_about_the_row_until_an_id_is_released():
    w = World()
    for name in "abcde":
        w.add(name)
    assert len(w.numbers()) == 4
    assert w.lacking() == ["e"]
    (text,) = (fact[3] for fact in w.engine.owners if fact[0] is FINDING)
    assert text == "Thing e: no key from 1 to 4 is free; what needs one is left out"
    w.things.delete(w.things.rows["b"])
    assert sorted(w.numbers().values()) == [1, 2, 3, 4]
    assert not w.lacking()


def test_an_id_outside_of_a_computation_is_refused():
    with pytest.raises(LookupError):
        KEYS.get("x")


def test_empty_scopes_are_removed():
    w = World()
    w.add("a")
    w.numbers()
    w.things.delete(w.things.rows["a"])
    w.numbers()
    assert not w.engine.scopes


def test_a_requested_number_is_given_when_its_holder_is_gone():
    """Until then the other one keeps the number that it has, however often its rule runs."""
    w = World()
    w.add("a", 3)
    w.numbers()
    w.add("b", 3)
    before = w.numbers()
    assert (before["a"], before["b"] == 3) == (3, False)
    for label in list(w.target.table(Label).rows.values()):
        w.target.table(Label).delete(label)
    w.engine.dirty_runs.extend(run for runs in w.engine._runs.values() for run in runs)
    assert w.numbers() == before
    w.things.delete(w.things.rows["a"])
    assert w.numbers() == {"b": 3}
    (scope,) = w.engine.scopes.values()
    assert scope.refused == {}


def test_a_requested_number_is_given_when_its_holder_requests_another():
    w = World()
    w.add("a", 3)
    w.numbers()
    w.add("b", 3)
    w.numbers()
    w.things.modify(w.things.rows["a"], {1: 4})
    assert w.numbers() == {"a": 4, "b": 3}


def test_a_requested_number_moves_a_holder_that_requested_another():
    w = World()
    w.add("a", 2)
    w.numbers()
    w.add("b", 2)
    second = w.numbers()["b"]
    w.add("c", second)
    numbers = w.numbers()
    assert (numbers["a"], numbers["c"]) == (2, second)
    assert len(set(numbers.values())) == 3


def test_a_number_that_is_requested_in_a_full_scope_is_taken_from_its_holder():
    w = World()
    for name in "abcd":
        w.add(name)
    before = w.numbers()
    w.add("e", 2)
    numbers = w.numbers()
    assert numbers["e"] == 2
    assert len(numbers) == len(set(numbers.values())) == 4
    assert len(w.lacking()) == 1
    other = next(name for name, value in before.items() if value == 3)
    w.things.delete(w.things.rows[other])
    numbers = w.numbers()
    assert sorted(numbers.values()) == [1, 2, 3, 4]
    assert numbers["e"] == 2
    assert not w.lacking()


ABOVE = Pool("keys with some to request alone", 1, 2, limit=9)


@rule(Thing)
def number_above(thing):
    yield LABEL(thing.name, str(ABOVE.get(thing.name, want=thing.size or None)))


def test_numbers_above_the_range_are_for_those_who_request_them():
    w = World()
    w.engine.close()
    w.engine = Engine([w.source], [number_above])
    w.engine.bind(LABEL, w.target)
    w.add("asks", 9)
    w.add("asks too", 7)
    w.add("a")
    w.add("b")
    assert w.numbers() == {"asks": 9, "asks too": 7, "a": 1, "b": 2}
    w.add("c")
    w.numbers()
    assert len(w.lacking()) == 1


@view
def key_of(thing):
    return KEYS.get(thing.name)


@rule(Thing)
def number_by_view(thing):
    yield LABEL(thing.name, str(key_of(thing)))


def label_of_part(thing, part):
    yield LABEL(f"{thing.name}{part}", str(KEYS.get((thing.name, part))))


@branching(Thing, label_of_part)
def number_of_parts(thing):
    yield Branches(range(2))


@pytest.mark.parametrize(("numbering", "labels"), [(number_by_view, 4), (number_of_parts, 4)])
def test_exhaustion_is_found_through_views_and_in_branches(numbering, labels):
    w = World()
    w.engine.close()
    w.engine = Engine([w.source], [numbering])
    w.engine.bind(LABEL, w.target)
    for name in "abcde":
        w.add(name)
    assert len(w.numbers()) == labels
    lacking = w.lacking()
    assert lacking
    for name in "abcde":
        if name not in lacking:
            w.things.delete(w.things.rows[name])
    assert len(w.numbers()) == min(labels, len(lacking) * (2 if numbering is number_of_parts else 1))


def test_exhaustion_for_no_row_is_a_failure():
    @singleton
    def all_of_them():
        for n in range(5):
            yield LABEL(str(n), str(KEYS.get(n)))

    w = World()
    w.engine.close()
    w.engine = Engine([w.source], [all_of_them])
    w.engine.bind(LABEL, w.target)
    assert not w.numbers()
    assert [str(error) for error in w.engine.failures.values()] == ["no key from 1 to 4 is free"]


def test_a_narrowed_scope_moves_what_is_outside_and_was_not_requested():
    w = World()
    for name, want in (("a", 0), ("b", 0), ("c", 4)):
        w.add(name, want)
    before = w.numbers()
    assert before == {"a": 1, "b": 2, "c": 4}

    @singleton
    def narrowed():
        """Leave the numbers 2 and 3."""
        KEYS.narrow(2, high=3)
        return ()

    narrow = World()
    narrow.engine = Engine([narrow.source], [narrowed, number])
    narrow.engine.bind(LABEL, narrow.target)
    seed(narrow.engine, KEYS, "a", 1)
    for name, want in (("a", 0), ("b", 0), ("c", 4), ("d", 0)):
        narrow.add(name, want)
    found = narrow.numbers()
    assert found.pop("c") == 4
    assert sorted(found.values()) == [2, 3]
    assert len(narrow.lacking()) == 1
    narrow.things.delete(narrow.things.rows["a"])
    narrow.things.delete(narrow.things.rows["b"])
    assert set(narrow.numbers()) == {"c", "d"}
    assert not narrow.lacking()
