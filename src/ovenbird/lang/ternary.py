"""Sets of values of one field, as masked values (ternary: each bit is 0, 1 or any).

A masked value `(value, mask)` stands for every number that equals `value` in the 1-bits of `mask`. Invariants: `value &
~mask == 0`; a set is a sorted tuple without duplicates and without a masked value inside another; `EMPTY` has none, and
`ALL` is the one whose mask has no bit. Ranges and complements come out as disjoint masked values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MaskedValue = tuple[int, int]
MaskSet = tuple[MaskedValue, ...]

EMPTY: MaskSet = ()
ALL: MaskSet = ((0, 0),)


def union(masked_values: Iterable[MaskedValue]) -> MaskSet:
    """Return the union of masked values; those that lie inside others are dropped."""
    unique = set(masked_values)
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
    """Return the intersection of two sets."""
    if right in (left, ALL):
        return left
    if left == ALL:
        return right
    if len({mask for _, mask in left} | {mask for _, mask in right}) == 1:
        common = set(right)
        return tuple(masked for masked in left if masked in common)
    return union(
        (value | other, mask | other_mask)
        for value, mask in left
        for other, other_mask in right
        if (value ^ other) & mask & other_mask == 0
    )


def complement(mask_set: MaskSet) -> MaskSet:
    """Return the complement of a set, computed by splitting on one bit after another, the highest first."""
    return tuple(sorted(_complement(mask_set, 0, 0)))


def _complement(masked_values: Iterable[MaskedValue], value: int, mask: int) -> Iterator[MaskedValue]:
    """Yield the part of `(value, mask)` that is in none of the masked values, which have no bits of `mask`."""
    cared = 0
    for _, each in masked_values:
        if not each:
            return
        cared |= each
    if not cared:
        yield value, mask
        return
    bit = 1 << (cared.bit_length() - 1)
    for side in (0, bit):
        rest = [(v & ~bit, m & ~bit) for v, m in masked_values if not m & bit or v & bit == side]
        yield from _complement(rest, value | side, mask | bit)


def between(low: int, high: int, *, width: int) -> MaskSet:
    """Return the numbers of a range as the fewest prefixes.

    Arguments:
        low: the first.
        high: the last, itself included.
        width: of the numbers, in bits.
    """
    ones = (1 << width) - 1
    prefixes: list[MaskedValue] = []
    while low <= high:
        size = (low & -low) or 1 << width  # the largest block that begins at `low` ...
        while low + size - 1 > high:  # ... and does not reach past `high`
            size >>= 1
        prefixes.append((low, ones & ~(size - 1)))
        low += size
    return tuple(prefixes)


def shifted(mask_set: MaskSet, ofs: int) -> MaskSet:
    """Return a set of values of the bits from `ofs` up, as a set of values of the whole field."""
    return tuple((value << ofs, mask << ofs) for value, mask in mask_set) if ofs else mask_set


def covers(outer: MaskSet, *, inner: MaskSet) -> bool:
    """Return whether each masked value of `inner` lies in one of `outer`: sufficient for a superset, not necessary."""
    return all(any(wide & mask == wide and v & wide == w for w, wide in outer) for v, mask in inner)
