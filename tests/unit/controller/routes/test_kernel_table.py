"""A routing table as the kernel tells of it: what is missing, surplus and learned, and when there is a doubt."""

import contextlib
import struct

from hypothesis import given
from hypothesis import strategies as st

from ovenbird.controller.facts import EXCHANGED_ROUTER, BoundPort
from ovenbird.controller.routes import kernel_table
from ovenbird.controller.routes.kernel_table import KernelTable
from ovenbird.net import rtnetlink
from ovenbird.net.errors import PacketError
from ovenbird.net.rtnetlink import APPEND, DEL_ROUTE, NEW_ROUTE, REPLACE, UNICAST, Hop, KernelRoute

OURS = KernelRoute(table=7, address=bytes((10, 0, 0, 0)), length=8, priority=100)


def other(third, hop, priority=20, **values):
    """Return a route of BGP's to 198.51.THIRD.0/24."""
    hops = tuple(Hop(bytes((192, 0, 2, last)), 3) for last in ([hop] if isinstance(hop, int) else hop))
    return KernelRoute(7, bytes((198, 51, third, 0)), 24, priority, 186, UNICAST, hops)._replace(**values)


def learned(table):
    return {(key.prefix, key.nexthop) for key in table.learned(table.hops)}


def exchanged(*routes, interface=""):
    table = KernelTable(7)
    ports = (BoundPort(binding="lrp", interface=interface),)
    table.routers["d"] = EXCHANGED_ROUTER(datapath="d", table=7, vrf="", ports=ports)
    table.replace(routes)
    table.stale = False
    return table


def test_wanted_routes_are_added_and_others_deleted():
    table = exchanged(OURS)
    assert (list(table.missing), list(table.surplus)) == ([], [OURS])
    table.want(OURS)
    second = OURS._replace(priority=1000)
    table.want(second)
    assert (list(table.missing), list(table.surplus)) == ([second], [])
    table.added(second, 0)
    table.release(second)
    assert (list(table.missing), list(table.surplus)) == ([], [second])
    table.deleted(second)
    table.want(second)
    table.added(second, 17)
    assert (list(table.missing), table.refused) == ([], {second: 17})
    table.release(second)
    assert not table.refused
    table.want(second)
    table.release(second)  # while it is being added
    table.added(second, 0)
    assert list(table.surplus) == [second]


def test_an_ipv6_blackhole_has_the_loopback_interface_in_the_kernel():
    six = KernelRoute(table=7, address=bytes(16), length=64, priority=100)
    table = exchanged(six._replace(hops=(Hop(b"", 1),)))
    table.want(six)
    assert not table.missing
    assert not table.surplus


def test_routes_of_others_behind_next_hops_are_learned():
    local = KernelRoute(7, bytes((192, 0, 2, 0)), 24, 0, 2, UNICAST, (Hop(b"", 3),))
    link_local = KernelRoute(7, bytes.fromhex("fe80") + bytes(14), 64, 0, 186, UNICAST, (Hop(bytes(15) + b"\1", 3),))
    default = KernelRoute(7, bytes(4), 0, 20, 186, UNICAST, (Hop(bytes((192, 0, 2, 9)), 3),))
    table = exchanged(other(1, [1, 2]), other(2, 1, kind=rtnetlink.BLACKHOLE), local, link_local, default)
    assert learned(table) == {
        ("198.51.1.0/24", "192.0.2.1"), ("198.51.1.0/24", "192.0.2.2"), ("0.0.0.0/0", "192.0.2.9"),
    }  # fmt: skip


def test_changes_are_followed():
    table = exchanged(other(1, 1))
    table.hear(NEW_ROUTE, other(2, 1), flags=0)
    table.hear(NEW_ROUTE, other(1, 9), flags=REPLACE)
    table.hear(NEW_ROUTE, other(2, 1, priority=30), flags=0)
    assert learned(table) == {("198.51.1.0/24", "192.0.2.9"), ("198.51.2.0/24", "192.0.2.1")}
    table.hear(DEL_ROUTE, other(2, 1), flags=0)
    assert ("198.51.2.0/24", "192.0.2.1") in learned(table)  # the other metric's
    table.hear(DEL_ROUTE, other(2, 1, priority=30), flags=0)
    assert learned(table) == {("198.51.1.0/24", "192.0.2.9")}
    assert not table.stale


def test_incomplete_notifications_make_a_table_stale():
    for kind, flags, route in (
        (DEL_ROUTE, 0, other(5, 1)), (NEW_ROUTE, 0, OURS), (DEL_ROUTE, 0, OURS), (DEL_ROUTE, 0, other(1, 2)),
    ):  # fmt: skip
        table = exchanged(other(1, 1))
        table.hear(kind, route, flags=flags)
        assert table.stale, route
    table = exchanged(other(1, 1))
    table.hear(NEW_ROUTE, other(1, 2), flags=APPEND)
    assert learned(table) == {("198.51.1.0/24", "192.0.2.1"), ("198.51.1.0/24", "192.0.2.2")}
    assert not table.stale
    table.hear(DEL_ROUTE, other(1, 2), flags=0)
    assert table.stale


def test_there_is_a_largest_number_and_room_is_used(monkeypatch):
    monkeypatch.setattr(kernel_table, "MOST_ROUTES", 3)
    table = exchanged(*(other(n, 1) for n in range(5)))
    assert (len(learned(table)), table.beyond) == (3, True)
    table.hear(NEW_ROUTE, other(7, 1), flags=0)
    assert len(learned(table)) == 3
    table.hear(DEL_ROUTE, other(0, 1), flags=0)
    assert table.stale
    table.replace([other(n, 1) for n in range(1, 4)])
    assert (len(learned(table)), table.beyond) == (3, False)


def test_a_port_may_learn_only_over_one_interface():
    assert not learned(exchanged(other(1, 1), interface="no-such-interface"))
    looped = other(1, 1, hops=(Hop(bytes((192, 0, 2, 1)), 1),))
    assert learned(exchanged(looped, interface="lo"))


ATTRIBUTES = st.lists(st.tuples(st.sampled_from([1, 4, 5, 6, 9, 15, 18, 30]), st.binary(max_size=24)), max_size=4)
FLAGS = st.sampled_from([0, REPLACE, APPEND])


@given(st.lists(st.tuples(st.sampled_from([2, 10]), st.integers(0, 128), ATTRIBUTES, FLAGS, st.booleans()), max_size=5))
def test_no_message_of_the_kernels_breaks_a_table(messages):
    table = exchanged()
    for family, length, attributes, flags, goes in messages:
        body = struct.pack("=8BI", family, length, 0, 0, 7, 186, 0, UNICAST, 0)
        for kind, value in attributes:
            body += struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
        with contextlib.suppress(PacketError):
            if route := rtnetlink.decode_route(body):
                table.hear(DEL_ROUTE if goes else NEW_ROUTE, route, flags=flags)
    assert all(count > 0 for count in table.hops.values())
    learned(table)
