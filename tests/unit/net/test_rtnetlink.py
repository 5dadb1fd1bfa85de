"""Routing messages: bytes as the kernel writes them, and what is cut off or odd."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.net import rtnetlink
from ovenbird.net.errors import PacketError
from ovenbird.net.rtnetlink import Hop, KernelRoute

ROUTE = KernelRoute(table=4000, address=bytes((10, 0, 0, 0)), length=8, priority=100)


def bodies(data):
    return [message.body for message in rtnetlink.decode_messages(data)]


@pytest.mark.parametrize(
    "route",
    [
        ROUTE,
        KernelRoute(table=7, address=bytes(15) + b"\1", length=128, priority=1000),
        ROUTE._replace(kind=rtnetlink.UNICAST, hops=(Hop(bytes((192, 0, 2, 1)), 0),)),
        ROUTE._replace(kind=rtnetlink.UNICAST, hops=(Hop(bytes(range(16)), 0),)),  # IPv4 through IPv6
    ],
)
def test_a_request_for_a_route_reads_back(route):
    (message,) = rtnetlink.decode_messages(rtnetlink.encode_route(rtnetlink.NEW_ROUTE, route))
    assert (message.kind, message.flags) == (24, 0x1 | 0x4 | 0x400 | 0x200)
    assert rtnetlink.decode_route(message.body) == route
    assert message.body[:12] == bytes(
        (2 if len(route.address) == 4 else 10, route.length, 0, 0, 0, 84, 0, route.kind)
    ) + bytes(4)


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def test_several_next_hops_are_read_but_for_dead_ones():
    hops = b""
    for flags, interface, last in ((0, 3, 1), (1, 4, 2), (16, 5, 3)):
        gateway = attribute(5, bytes((192, 0, 2, last)))
        hops += struct.pack("=HBBi", 8 + len(gateway), flags, 0, interface) + gateway
    body = struct.pack("=8BI", 2, 16, 0, 0, 0, 186, 0, 1, 0) + attribute(15, struct.pack("=I", 77))
    found = rtnetlink.decode_route(body + attribute(1, bytes((198, 51, 0, 0))) + attribute(9, hops))
    assert found.hops == (Hop(bytes((192, 0, 2, 1)), 3), Hop(bytes((192, 0, 2, 3)), 5))
    assert (found.table, found.protocol, found.length) == (77, 186, 16)


def test_a_default_route_has_no_address_and_other_families_are_no_routes():
    assert rtnetlink.decode_route(struct.pack("=8BI", 10, 0, 0, 0, 254, 2, 0, 1, 0)).address == bytes(16)
    assert rtnetlink.decode_route(struct.pack("=8BI", 28, 0, 0, 0, 254, 2, 0, 1, 0)) is None
    assert rtnetlink.decode_route(struct.pack("=8BI", 2, 33, 0, 0, 254, 2, 0, 1, 0)) is None


def test_a_vrf_device_names_its_table():
    data = rtnetlink.encode_new_vrf("ovnvrf7", 7)
    assert b"ovnvrf7\0" in data
    assert attribute(1, b"vrf") + attribute(2, attribute(1, struct.pack("=I", 7))) in data


@given(st.binary(max_size=200))
def test_junk_is_a_packet_error_at_most(data):
    for read in (rtnetlink.decode_route, rtnetlink.decode_error, rtnetlink.decode_link_flags, bodies):
        with contextlib.suppress(PacketError):
            read(data)


@given(st.data())
def test_a_message_cut_off_anywhere_is_a_packet_error_at_most(data):
    whole = rtnetlink.encode_route(rtnetlink.NEW_ROUTE, ROUTE._replace(hops=(Hop(bytes((1, 2, 3, 4)), 0),)))
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    for octets in (cut, whole):
        with contextlib.suppress(PacketError):
            for body in bodies(octets):
                rtnetlink.decode_route(body[: len(cut)])
