# ruff: noqa: RUF001 (digits of other scripts are the point)
"""One strict parser of addresses, prefixes and interfaces, and nobody who has another."""

from __future__ import annotations

import ast
import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ovenbird
from ovenbird.net.ip import ip_address, ip_interface, ip_network, ipv4_network, is_address

NOT_ADDRESSES = [
    "", " ", "x", "10.0.0", "10.0.0.256", "10.0.0.1 ", " 10.0.0.1", "10.0.0.1\n", "10.0.0.01", "010.0.0.1", "+1.0.0.1",
    "0x7f.0.0.1", "10.0.0.1/32", "167772161", "1٠.0.0.1", "١.٢.٣.٤", "10.0.0.1\0", "10。0。0。1",
    "fd00::5%a b", "fd00::5%", "fe80::1%eth0", "fe80::1%1", "::1%%", "fd00::5 ", "fd00::٥", "fd00::5\n", "[::1]",
    "fd00::5/64", ":::", "1::2::3", "::ffff:10.0.0.256", "::ffff:10.0.0.1%x", "12345::", ":", "fd00::_5",
]  # fmt: skip
NOT_LENGTHS = ["", "33", "-1", "+1", "024", "٢٤", " 24", "24 ", "24\n", "1_0", "255.0.255.0", "0.0.0.255", "/24", "x"]


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_texts_that_are_not_addresses_are_refused(text):
    for parse in (ip_address, ip_interface, ip_network):
        if "/" not in text or parse is ip_address:
            with pytest.raises(ValueError, match=r"is not|valid"):
                parse(text)
    assert not is_address(text)


@pytest.mark.parametrize("value", [5, 5.0, True, None, b"\x0a\0\0\1", ["10.0.0.1"]])
def test_values_that_are_not_strings_are_refused(value):
    for parse in (ip_address, ip_interface, ip_network):
        with pytest.raises(ValueError, match="not a string"):
            parse(value)


@pytest.mark.parametrize("length", NOT_LENGTHS)
def test_invalid_prefix_lengths_are_refused(length):
    with pytest.raises(ValueError, match="length"):
        ip_interface(f"10.0.0.0/{length}")
    if not length.isdigit():
        with pytest.raises(ValueError, match="length"):
            ip_interface(f"fd00::/{length}")


def test_a_netmask_is_a_length_and_host_bits_are_told():
    assert str(ip_network("10.1.0.0/255.255.0.0")) == "10.1.0.0/16"
    assert str(ip_network("0.0.0.0/0.0.0.0")) == "0.0.0.0/0"
    assert str(ip_network("10.0.0.7")) == "10.0.0.7/32"
    assert str(ip_interface("fd00::5")) == "fd00::5/128"
    with pytest.raises(ValueError, match="host bits"):
        ip_network("10.0.0.1/24")
    assert str(ipv4_network("10.0.0.1/24", strict=False)) == "10.0.0.0/24"
    with pytest.raises(ValueError, match="length"):
        ip_network("fd00::/255.255.0.0")


@given(st.text("0123456789abcdefABCDEF:./%x\0 ", max_size=24) | st.text(max_size=12))
def test_addresses_are_those_of_inet_pton(text):
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        packed = socket.inet_pton(family, text)
    except (OSError, ValueError):
        packed = None
    assert is_address(text) == (packed is not None)
    if packed is not None:
        assert ip_address(text).packed == packed


@given(st.ip_addresses(), st.integers(0, 128))
def test_valid_addresses_are_equal_to_the_standard_librarys(address, length):
    assert ip_address(str(address)) == address
    text = f"{address}/{min(length, address.max_prefixlen)}"
    assert ip_interface(text) == ipaddress.ip_interface(text)
    assert ip_network(text, strict=False) == ipaddress.ip_network(text, strict=False)


def test_only_net_ip_parses_addresses_with_the_standard_library():
    """Its types may be named, and asked about; none is made elsewhere, and its functions are not imported."""
    found = []
    top = Path(ovenbird.__file__).parent
    for path in sorted(top.rglob("*.py")):
        if path == top / "net" / "ip.py":
            continue
        types = set()
        for node in ast.walk(ast.parse(path.read_text())):
            bad = isinstance(node, ast.Import) and any(alias.name == "ipaddress" for alias in node.names)
            if isinstance(node, ast.ImportFrom) and node.module == "ipaddress":
                types |= {alias.asname or alias.name for alias in node.names}
                bad = any(not alias.name.startswith("IPv") for alias in node.names)
            bad |= isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in types
            if bad:
                found.append(f"{path.relative_to(top)}:{node.lineno}")
    assert found == []
