"""The least value that rows give a group concerns its readers when it becomes another one, and at no other time."""

from hypothesis import given
from hypothesis import strategies as st

from ovenbird.engine.least import Orders


class Asked(Orders):
    """Orders whose groups note how often readers would have been told."""

    def __init__(self):
        super().__init__()
        self.told = 0

    def _of(self, group):
        order = super()._of(group)
        order.readers = {self: 1}
        return order

    def invalidate(self):
        self.told += 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=200))
def test_the_least_value_is_known_after_any_changes(steps):
    asked, values = Asked(), []
    for comes, value in steps:
        before, told = min(values, default=None), asked.told
        if comes:
            values.append(value)
            asked.count("g", value=value)
        elif value in values:
            values.remove(value)
            asked.discount("g", value=value)
        assert asked.least("g") == min(values, default=None)
        assert asked.told - told == (min(values, default=None) != before)
        assert len(asked.orders["g"].heap) <= 2 * len(set(values)) + 18


def test_a_group_without_values_and_readers_is_gone():
    orders = Orders()
    orders.count("g", value=1)
    orders.discount("g", value=1)
    assert orders.orders == {}
