"""A plan of some of what is pending costs what it plans, however much more there is."""

from __future__ import annotations

from ovenbird.engine.outputs import _among, _taken


class Unwalked(dict):
    """A dictionary that nobody may walk through."""

    def __iter__(self):
        raise AssertionError("walked through")

    items = keys = values = __iter__


def test_few_of_many_are_looked_up():
    pending = Unwalked({number: str(number) for number in range(1000)})
    assert _taken(pending, {3, 5, 5000}) == {3: "3", 5: "5"}
    assert len(pending) == 998
    assert _among(pending, {3, 7}) == [7]


def test_many_of_few_are_walked_through_and_all_by_default():
    pending = {2: "b", 1: "a"}
    assert _among(pending, None) is pending
    assert _taken(pending, range(1000)) == {2: "b", 1: "a"}
    assert not pending
