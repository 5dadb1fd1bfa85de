"""Sets of values of one field, as sums of cubes.

A cube `(value, mask)` holds every number that equals `value` in the 1-bits of `mask`. Invariants: `value & ~mask ==
0`; a set is a sorted tuple without duplicates and without a cube inside another; `EMPTY` has no cube and `ALL` is the
cube that masks nothing. Ranges and complements come out as disjoint cubes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Cube = tuple[int, int]
MaskSet = tuple[Cube, ...]

EMPTY: MaskSet = ()
ALL: MaskSet = ((0, 0),)


def union(cubes: Iterable[Cube]) -> MaskSet:
    """Return the set of all that one of `cubes` holds, with cubes inside others left out."""
    unique = set(cubes)
    if len(unique) < 2:
        return tuple(unique)
    by_mask: dict[int, set[int]] = {}
    for value, mask in unique:
        by_mask.setdefault(mask, set()).add(value)
    if len(by_mask) > 1:
        for mask, values in by_mask.items():
            for wider, holders in by_mask.items():
                if wider != mask and wider & mask == wider:
                    unique.difference_update([(value, mask) for value in values if value & wider in holders])
    return tuple(sorted(unique))


def intersection(left: MaskSet, right: MaskSet) -> MaskSet:
    """Return the set of what both sets hold."""
    if right in (left, ALL):
        return left
    if left == ALL:
        return right
    if len({mask for _, mask in left} | {mask for _, mask in right}) == 1:
        common = set(right)
        return tuple(cube for cube in left if cube in common)
    return union(
        (value | other, mask | other_mask)
        for value, mask in left
        for other, other_mask in right
        if (value ^ other) & mask & other_mask == 0
    )


def complement(cubes: MaskSet) -> MaskSet:
    """Return the set of all that `cubes` does not hold, by splitting on one bit after another, the highest first."""
    return tuple(sorted(_complement(cubes, 0, 0)))


def _complement(cubes: Iterable[Cube], value: int, mask: int) -> Iterator[Cube]:
    """Yield what of the cube `(value, mask)` none of `cubes`, which have no bit of `mask` left, holds."""
    cared = 0
    for _, each in cubes:
        if not each:
            return
        cared |= each
    if not cared:
        yield value, mask
        return
    bit = 1 << (cared.bit_length() - 1)
    for side in (0, bit):
        rest = [(v & ~bit, m & ~bit) for v, m in cubes if not m & bit or v & bit == side]
        yield from _complement(rest, value | side, mask | bit)


def between(low: int, high: int, *, width: int) -> MaskSet:
    """Return the numbers of a range as the fewest prefixes.

    Arguments:
        low: the first.
        high: the last, itself included.
        width: of the numbers, in bits.
    """
    ones = (1 << width) - 1
    cubes: list[Cube] = []
    while low <= high:
        size = (low & -low) or 1 << width  # the largest block that begins at `low` ...
        while low + size - 1 > high:  # ... and does not reach past `high`
            size >>= 1
        cubes.append((low, ones & ~(size - 1)))
        low += size
    return tuple(cubes)


def shifted(cubes: MaskSet, ofs: int) -> MaskSet:
    """Return the set for the field of which `cubes` speaks about the bits from `ofs` up."""
    return tuple((value << ofs, mask << ofs) for value, mask in cubes) if ofs else cubes


def covers(outer: MaskSet, *, inner: MaskSet) -> bool:
    """Say whether each cube of `inner` lies in a single cube of `outer` (enough for a superset, not necessary)."""
    return all(any(wide & mask == wide and v & wide == w for w, wide in outer) for v, mask in inner)
