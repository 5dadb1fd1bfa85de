"""IPAM: allocation pools, and the choice of a free address.

The database decides about each allocation, by a unique index. This module only proposes an address, in a time that does
not depend on the number of allocations: each process walks through the pools of a subnet in a circle, from its last
position, and skips allocated addresses.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ovenbird.api.errors.subnet import (
    GatewayConflictWithAllocationPools,
    InvalidAllocationPool,
    OutOfBoundsAllocationPool,
    OverlappingAllocationPools,
)
from ovenbird.net.addresses import ipv4_text, ipv6_text
from ovenbird.net.ip import ip_address, ip_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from ipaddress import IPv4Network, IPv6Network

Pool = tuple[int, int]
"""First and last address of a range, as integers."""

REMEMBERED = 10_000
"""How many subnets' last allocations a process remembers; a subnet that was dropped costs one search."""


def hosts(network: IPv4Network | IPv6Network) -> Pool:
    """Return the range of host addresses: without network and broadcast address."""
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.num_addresses <= 2:  # RFC 3021: a point-to-point link uses both
        return first, last
    return first + 1, last - 1 if network.version == 4 else last


def default_pools(cidr: str, *, gateway: str | None) -> list[str]:
    """Return pools of all host addresses of a subnet except the gateway's."""
    network = ip_network(cidr)
    first, last = hosts(network)
    if gateway is None or ip_address(gateway) not in network:
        return [_text(network.version, (first, last))]
    at = int(ip_address(gateway))
    parts = [(first, at - 1), (at + 1, last)] if first <= at <= last else [(first, last)]
    return [_text(network.version, part) for part in parts if part[0] <= part[1]]


def parse_pool(pool: str) -> Pool:
    """Return a pool as integers."""
    first, _, last = pool.partition("-")
    return int(ip_address(first)), int(ip_address(last))


def check_pools(cidr: str, pools: Iterable[tuple[str, str]]) -> list[str]:
    """Check the pools of a request, and return them in the database's form.

    Arguments:
        cidr: of the subnet.
        pools: first and last address of each, as valid addresses.

    Raises:
        InvalidAllocationPool, OutOfBoundsAllocationPool, OverlappingAllocationPools: they are invalid.
    """
    network = ip_network(cidr)
    low, high = hosts(network)
    ranges = []
    for first, last in pools:
        a, b = ip_address(first), ip_address(last)
        shown = f"{first}-{last}"
        if a.version != network.version or b.version != network.version or int(a) > int(b):
            raise InvalidAllocationPool(pool=shown)
        if int(a) < low or int(b) > high:
            raise OutOfBoundsAllocationPool(pool=shown, cidr=cidr)
        ranges.append((int(a), int(b), shown))
    ranges.sort()
    for one, other in pairwise(ranges):
        if other[0] <= one[1]:
            raise OverlappingAllocationPools(pool_1=one[2], pool_2=other[2], cidr=cidr)
    return [_text(network.version, (a, b)) for a, b, _ in ranges]


def check_gateway(gateway: str | None, pools: Iterable[str]) -> None:
    """Check that the gateway's address is in no pool.

    Raises:
        GatewayConflictWithAllocationPools: it is in one.
    """
    if gateway is None:
        return
    at = int(ip_address(gateway))
    for pool in pools:
        first, last = parse_pool(pool)
        if first <= at <= last and (":" in gateway) == (":" in pool):
            raise GatewayConflictWithAllocationPools(address=gateway, pool=pool)


def eui64(cidr: str, *, mac: str) -> str:
    """Return the address that a host generates from its MAC in an IPv6 prefix (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return ipv6_text(int(ip_network(cidr).network_address) | int.from_bytes(identifier, "big"))


class Allocator:
    """Proposes free addresses; each process has one."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def propose(self, subnet: str, pools: Iterable[str], is_taken: Callable[[str], bool], taken: int) -> str | None:
        """Return an address of a subnet's pools that is free in this process's view, or None.

        Arguments:
            subnet: the subnet's id.
            pools: its pools.
            is_taken: whether an address is taken.
            taken: how many addresses of the subnet are taken, in or outside of pools.
        """
        ranges = sorted(parse_pool(pool) for pool in pools)
        size = sum(last - first + 1 for first, last in ranges)
        written = ipv6_text if any(":" in pool for pool in pools) else ipv4_text
        start = self._next.get(subnet, 0)
        # Of taken + 1 different addresses one is free. Two processes that walk in step part as soon as one loses.
        for step in range(min(size, taken + 1)):
            at = (start + step) % size
            address = written(_nth(ranges, at))
            if not is_taken(address):
                if len(self._next) > REMEMBERED:
                    self._next.clear()
                self._next[subnet] = at + 1
                return address
        return None


def _nth(ranges: list[Pool], n: int) -> int:
    for first, last in ranges:
        if n <= last - first:
            return first + n
        n -= last - first + 1
    raise IndexError(n)


def _text(version: int, pool: Pool) -> str:
    written = ipv4_text if version == 4 else ipv6_text
    return f"{written(pool[0])}-{written(pool[1])}"
