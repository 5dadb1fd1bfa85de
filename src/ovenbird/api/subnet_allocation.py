"""Allocation of subnets from the prefixes of a subnet pool.

Subnets of a pool do not overlap: each allocation, and each change of the pool's prefixes, increments the pool's
revision in the same transaction, so that of two concurrent requests the second is prepared again. As in Neutron, the
smallest free block that is large enough is used, and of several the first, so that large blocks remain.

The time grows with the number of subnets in the pool, by a few milliseconds for a thousand.
"""

from __future__ import annotations

from bisect import bisect, insort
from functools import lru_cache
from typing import TYPE_CHECKING

from ovenbird.api.errors.subnet_pool import (
    MaxPrefixSubnetAllocationError,
    MinPrefixSubnetAllocationError,
    SubnetAllocationError,
    SubnetPoolQuotaExceeded,
)
from ovenbird.model.cloud import Subnet
from ovenbird.net.addresses import ipv4_text, ipv6_text
from ovenbird.net.ip import ip_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.api.databases import Draft
    from ovenbird.model.cloud import SubnetPool

Range = tuple[int, int]
"""First and last address of a block, as integers."""

BITS = {4: 32, 6: 128}
"""Bits of an address, by IP version."""

QUOTA_UNIT = {4: 32, 6: 64}
"""Prefix length of the blocks in which a pool's quota counts, by IP version."""


@lru_cache(1 << 16)
def address_range(cidr: str) -> tuple[int, int, int]:
    """Return the IP version of a block, its first and its last address; blocks that share none are sorted by that."""
    block = ip_network(cidr)
    return block.version, int(block.network_address), int(block.broadcast_address)


class Allocated:
    """What a draft finds of a pool's blocks allocated: before it, and by itself.

    Arguments:
        pool: which.
    """

    def __init__(self, pool: SubnetPool) -> None:
        subnets: list[Subnet] = pool.referrers(Subnet.subnet_pool)
        self.blocks: list[Range] = sorted(address_range(subnet.cidr)[1:] for subnet in subnets)
        self.owned: dict[str, int] = {}
        """Addresses, by the project that has them."""
        for subnet in subnets:
            self.count(subnet.project_id, address_range(subnet.cidr)[1:])

    def count(self, project: str, block: Range) -> None:
        """Note that a block is a project's."""
        self.owned[project] = self.owned.get(project, 0) + block[1] - block[0] + 1

    def add(self, project: str, block: Range) -> None:
        """Note that a block is allocated."""
        insort(self.blocks, block)
        self.count(project, block)


def allocated(draft: Draft, pool: SubnetPool) -> Allocated:
    """Return what is allocated of a pool, in the database and by a draft."""
    key = ("allocated", pool.uuid)
    if key not in draft.made:
        draft.made[key] = Allocated(pool)
    found: Allocated = draft.made[key]
    return found


def allocate(draft: Draft, pool: SubnetPool, length: int, block: Range | None, project: str) -> str:
    """Write that a block of a pool is allocated, and return it.

    Arguments:
        draft: the transaction.
        pool: the pool.
        length: the block's prefix length, from 0 to the bits of the pool's IP version.
        block: which one; None for any of the length.
        project: whose it becomes; the pool's quota counts by project.

    Raises:
        NeutronError: its size is not one of the pool's, it is taken, there is none left, or the project has too much.
    """
    if length > pool.max_prefixlen:
        raise MaxPrefixSubnetAllocationError(prefixlen=length, max_prefixlen=pool.max_prefixlen)
    if length < pool.min_prefixlen:
        raise MinPrefixSubnetAllocationError(prefixlen=length, min_prefixlen=pool.min_prefixlen)
    size = 1 << BITS[pool.ip_version] - length
    there = allocated(draft, pool)
    if pool.default_quota:  # 0 limits nothing, as in Neutron
        unit = 1 << BITS[pool.ip_version] - QUOTA_UNIT[pool.ip_version]
        if there.owned.get(project, 0) + size > pool.default_quota * unit:
            raise SubnetPoolQuotaExceeded
    prefixes = sorted(address_range(prefix)[1:] for prefix in pool.prefixes)
    if block is None:
        first = smallest_free(prefixes, taken=there.blocks, size=size)
        if first is None:
            raise SubnetAllocationError(reason=f"Insufficient prefix space to allocate subnet size /{length}")
        block = first, first + size - 1
    elif not is_free(prefixes, taken=there.blocks, block=block):
        raise SubnetAllocationError(reason="Cannot allocate requested subnet from the available set of prefixes")
    there.add(project, block)
    draft.touch(pool)
    written = ipv4_text if pool.ip_version == 4 else ipv6_text
    return f"{written(block[0])}/{length}"


def overlaps(blocks: list[Range], block: Range) -> bool:
    """Return whether a block shares addresses with one of others, which are sorted and share none."""
    at = bisect(blocks, block)
    return any(first <= block[1] and block[0] <= last for first, last in blocks[max(at - 1, 0) : at + 1])


def is_free(prefixes: list[Range], *, taken: list[Range], block: Range) -> bool:
    """Return whether a block is in one of the prefixes and not allocated.

    Arguments:
        prefixes: first and last number of each, sorted.
        taken: likewise.
        block: its first and last number.
    """
    return any(low <= block[0] and block[1] <= high for low, high in prefixes) and not overlaps(taken, block)


def smallest_free(prefixes: list[Range], *, taken: list[Range], size: int) -> int | None:
    """Return where the smallest free block begins that is large enough; None if there is none.

    Arguments:
        prefixes: first and last number of each, sorted.
        taken: likewise.
        size: how many addresses it has to hold.
    """
    best: tuple[int, int] | None = None
    for first, last in gaps(prefixes, taken):
        if last - first + 1 < size:
            continue
        for start, held in aligned(first, last):
            if held >= size and (best is None or held < best[0]):
                best = held, start
    return None if best is None else best[1]


def gaps(prefixes: Iterable[Range], taken: list[Range]) -> Iterator[Range]:
    """Return what is not taken of the prefixes; both are sorted, and none shares addresses with another of its list."""
    at = 0
    for low, high in prefixes:
        start = low
        while at < len(taken) and taken[at][0] <= high:
            first, last = taken[at]
            if first > start:
                yield start, first - 1
            start = max(start, last + 1)
            at += 1
        if start <= high:
            yield start, high


def aligned(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Return the blocks that addresses in a row are made of, as few as can be: where each begins, and its size."""
    while first <= last:
        size = 1 << (last - first + 1).bit_length() - 1
        if first:
            size = min(size, first & -first)
        yield first, size
        first += size
