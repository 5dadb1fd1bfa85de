"""The first values of a group do not depend on the order in which they come; only who reads a changed place is told."""

from hypothesis import given
from hypothesis import strategies as st

from ovenbird.engine.first import WaitingLines

LIMIT, VALUES = 4, range(16)


class Reader:
    """A reader of every value's place, which notes whom it is told about."""

    def __init__(self, told, value):
        self.told, self.value = told, value

    def invalidate(self):
        self.told.add(self.value)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(VALUES)), max_size=300))
def test_the_first_values_are_known_after_any_changes(steps):
    lines, values, told = WaitingLines(LIMIT), [], set()
    for value in (*VALUES, None):
        lines._of("g").place(value).readers[Reader(told, value)] = 1
    for comes, value in steps:
        before, exceeded = set(sorted(set(values))[:LIMIT]), len(set(values)) > LIMIT
        told.clear()
        if comes:
            values.append(value)
            lines.count("g", value=value)
        elif value in values:
            values.remove(value)
            lines.discount("g", value=value)
        first, exceeds = set(sorted(set(values))[:LIMIT]), len(set(values)) > LIMIT
        assert {each for each in VALUES if lines.has("g", each)} == first
        assert lines.exceeds("g") == exceeds
        assert told == before ^ first | ({None} if exceeds != exceeded else set())
        assert len(lines.lines["g"].heap) <= 2 * len(set(values)) + 17


def test_a_group_without_values_and_readers_is_gone():
    lines = WaitingLines(LIMIT)
    lines.count("g", value=1)
    lines.discount("g", value=1)
    assert lines.lines == {}
