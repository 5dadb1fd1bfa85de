"""Pools of a subnet, and proposals of free addresses."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.api.ports.ipam import Allocator, default_pools, eui64, parse_pool


@pytest.mark.parametrize(
    ("cidr", "gateway", "pools"),
    [
        ("10.0.0.0/24", "10.0.0.1", ["10.0.0.2-10.0.0.254"]),
        ("10.0.0.0/24", "10.0.0.254", ["10.0.0.1-10.0.0.253"]),
        ("10.0.0.0/24", "10.0.0.9", ["10.0.0.1-10.0.0.8", "10.0.0.10-10.0.0.254"]),
        ("10.0.0.0/24", None, ["10.0.0.1-10.0.0.254"]),
        ("10.0.0.0/24", "192.0.2.1", ["10.0.0.1-10.0.0.254"]),
        ("10.0.0.0/30", "10.0.0.1", ["10.0.0.2-10.0.0.2"]),
        ("10.0.0.0/31", "10.0.0.0", ["10.0.0.1-10.0.0.1"]),
        ("10.0.0.7/32", "10.0.0.7", []),
        ("fd00::/64", "fd00::1", ["fd00::2-fd00::ffff:ffff:ffff:ffff"]),
    ],
)
def test_default_pools_are_every_host_but_the_gateway(cidr, gateway, pools):
    assert default_pools(cidr, gateway=gateway) == pools


def test_eui64_is_rfc_4291s():
    assert eui64("2001:db8::/64", mac="34:56:78:9a:bc:de") == "2001:db8::3656:78ff:fe9a:bcde"


@given(
    pools=st.lists(st.integers(0, 30), min_size=2, max_size=6, unique=True),
    taken=st.sets(st.integers(0, 63)),
    start=st.integers(0, 40),
)
def test_every_free_address_of_the_pools_is_found_before_giving_up(pools, taken, start):
    base = int(ip_address("10.0.0.0"))
    ends = sorted(pools)
    ranges = list(zip(ends[::2], ends[1::2], strict=False))
    texts = [f"{ip_address(base + a)}-{ip_address(base + b)}" for a, b in ranges]
    inside = {base + i for a, b in ranges for i in range(a, b + 1)}
    used = {base + i for i in taken}
    allocator = Allocator()
    allocator._next["s"] = start
    proposed = set()
    while True:
        address = allocator.propose("s", texts, lambda a: int(ip_address(a)) in used, len(used))
        if address is None:
            break
        proposed.add(int(ip_address(address)))
        used.add(int(ip_address(address)))
    assert proposed == inside - {base + i for i in taken}


def test_a_choice_costs_the_same_with_ten_thousand_taken():
    network = ip_network("10.0.0.0/16")
    pools, used, asked = default_pools(str(network), gateway="10.0.0.1"), set(), 0

    def is_taken(address):
        nonlocal asked
        asked += 1
        return address in used

    allocator = Allocator()
    for _ in range(10_000):
        used.add(allocator.propose("s", pools, is_taken, len(used)))
    assert len(used) == asked == 10_000


def test_a_released_address_is_reused_last():
    allocator, used = Allocator(), set()
    pools = ["10.0.0.1-10.0.0.3"]

    def take():
        address = allocator.propose("s", pools, used.__contains__, len(used))
        used.add(address)
        return address

    assert [take(), take()] == ["10.0.0.1", "10.0.0.2"]
    used.discard("10.0.0.1")
    assert [take(), take()] == ["10.0.0.3", "10.0.0.1"]
    assert allocator.propose("s", pools, used.__contains__, 3) is None
    assert parse_pool(pools[0])[1] - parse_pool(pools[0])[0] == 2
