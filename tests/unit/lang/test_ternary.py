"""Sets of values as masked values, against sets of numbers of four bits."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from ovenbird.lang import ternary
from ovenbird.lang.ternary import ALL, EMPTY, MaskSet

UNIVERSE = range(16)


def numbers(values: MaskSet) -> set[int]:
    return {number for number in UNIVERSE if any(number & mask == value for value, mask in values)}


MASKED = st.builds(lambda value, mask: (value & mask, mask), st.integers(0, 15), st.integers(0, 15))
MASK_SETS = st.lists(MASKED, max_size=6).map(ternary.union)


@given(st.lists(MASKED, max_size=8))
def test_union_holds_what_its_parts_hold_and_no_cube_inside_another(parts: list[tuple[int, int]]) -> None:
    result = ternary.union(parts)
    assert numbers(result) == set().union(*(numbers((part,)) for part in parts))
    assert result == tuple(sorted(result))
    for one, other in combinations(result, 2):
        assert not ternary.covers((one,), inner=(other,))
        assert not ternary.covers((other,), inner=(one,))


@given(MASK_SETS, MASK_SETS)
def test_intersection(left: MaskSet, right: MaskSet) -> None:
    assert numbers(ternary.intersection(left, right)) == numbers(left) & numbers(right)


@given(MASK_SETS)
def test_complement_is_disjoint(values: MaskSet) -> None:
    result = ternary.complement(values)
    assert numbers(result) == set(UNIVERSE) - numbers(values)
    assert sum(len(numbers((masked,))) for masked in result) == len(numbers(result))


def test_between_is_minimal_and_disjoint() -> None:
    for low in UNIVERSE:
        for high in UNIVERSE:
            result = ternary.between(low, high, width=4)
            assert numbers(result) == set(range(low, high + 1))
            assert sum(len(numbers((masked,))) for masked in result) == max(0, high - low + 1)
            assert len(result) <= 6
    assert ternary.between(0, 15, width=4) == ALL
    assert ternary.between(0, -1, width=4) == EMPTY


def test_the_complement_of_many_values_is_fast_and_small() -> None:
    values = ternary.union((n << 8, 0xFFFFFFFF) for n in range(2000))
    assert len(ternary.complement(values)) < 2000 * 24
