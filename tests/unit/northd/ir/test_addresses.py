"""Addresses of ports as text."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.net.addresses import ipv6_text
from ovenbird.northd.ir.addresses import Addresses, link_local, parse_addresses, quote, scan_addresses, solicited_node

MACS = st.binary(min_size=6, max_size=6).map(lambda b: b.hex(":"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00:00:00:00:00:01", Addresses("00:00:00:00:00:01")),
        ("0A:00:00:00:00:01 10.0.0.1", Addresses("0a:00:00:00:00:01", ("10.0.0.1",))),
        ("0a:00:00:00:00:01  10.0.0.1/24 10.0.0.2", Addresses("0a:00:00:00:00:01", ("10.0.0.1", "10.0.0.2"))),
        ("0a:00:00:00:00:01 FD00::1 10.0.0.1", Addresses("0a:00:00:00:00:01", ("10.0.0.1",), ("fd00::1",))),
        ("0a:00:00:00:00:01 fd00:0::0:1/64", Addresses("0a:00:00:00:00:01", (), ("fd00::1",))),
    ],
)
def test_valid_addresses_are_parsed(text, value):
    assert parse_addresses(text) == value


@pytest.mark.parametrize("text", ["", "unknown", "router", "10.0.0.1", "0a:00:00:00:00", "0a:00:00:00:00:100"])
def test_invalid_addresses_are_not_parsed(text):
    assert parse_addresses(text) is None


@pytest.mark.parametrize(
    ("text", "rest"),
    [("10.0.0.256", "10.0.0.256"), ("10.0.0", "10.0.0"), ("x", "x"), ("fd00::g", "g"), ("10.0.0.1/33", "10.0.0.1/33"),
     ("10.0.0.9.1", ".1"), ("10.0.0.9/24x", "x"), ("fd00::9%eth0 10.0.0.1", "%eth0 10.0.0.1")],
)  # fmt: skip
def test_addresses_before_an_error_are_parsed(text, rest):
    parsed, left = scan_addresses(f"0a:00:00:00:00:01 10.0.0.8 {text}")
    assert parsed.mac == "0a:00:00:00:00:01"
    assert parsed.ipv4[0] == "10.0.0.8"
    assert left.strip() == rest


@given(MACS, st.lists(st.ip_addresses(v=4), max_size=3), st.lists(st.ip_addresses(v=6), max_size=3))
def test_formatted_addresses_are_parsed_to_the_same_values(mac, four, six):
    text = " ".join([mac, *map(str, four), *map(str, six)])
    assert parse_addresses(text) == Addresses(mac, tuple(map(str, four)), tuple(ipv6_text(ip.packed) for ip in six))


@given(st.text("0123456789abcdefABCDEF:. /", max_size=40))
def test_nonsense_never_raises(text):
    parsed = parse_addresses(text)
    assert parsed is None or all(IPv4Address(ip) for ip in parsed.ipv4)


def test_link_local_and_solicited_node():
    assert link_local("00:00:00:00:ff:01") == "fe80::200:ff:fe00:ff01"
    assert solicited_node("fd00::12:3456") == "ff02::1:ff12:3456"


@given(MACS)
def test_link_local_is_one(mac):
    assert IPv6Address(link_local(mac)).is_link_local


def test_names_are_quoted_as_json():
    assert quote("p0") == '"p0"'
    assert quote('a"b\\c\n\x01') == '"a\\"b\\\\c\\n\\u0001"'
