"""Addresses: text, bytes, masks and the addresses made from other addresses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.net import addresses
from ovenbird.net.errors import PacketError


@given(st.ip_addresses())
def test_text_and_bytes_agree_with_the_standard_library(address):
    assert addresses.ip_bytes(str(address)) == address.packed
    assert ipaddress.ip_address(addresses.ip_text(address.packed)) == address


@given(st.binary(min_size=6, max_size=6))
def test_mac_addresses_read_back(mac):
    assert addresses.mac_bytes(addresses.mac_text(mac)) == mac
    assert addresses.mac_text(int.from_bytes(mac, "big")) == addresses.mac_text(mac)


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::g", "1.2.3.4/8", "fe80::1%eth0", "\0:"])
def test_an_invalid_address_is_a_packet_error(text):
    with pytest.raises(PacketError):
        addresses.ip_bytes(text)


NOT_MACS = ["", "00:00:00:00:00", "00:00:00:00:00:00:00", "00-00-00-00-00-00", "0g:00:00:00:00:00"]


@pytest.mark.parametrize("text", NOT_MACS)
def test_an_invalid_mac_address_is_a_packet_error(text):
    with pytest.raises(PacketError):
        addresses.mac_bytes(text)


@given(st.sampled_from([32, 128]).flatmap(lambda bits: st.tuples(st.integers(0, bits), st.just(bits))))
def test_a_prefix_is_the_mask_of_its_network(case):
    length, bits = case
    network = ipaddress.ip_network(("0.0.0.0" if bits == 32 else "::", length))
    assert addresses.prefix_mask(length, bits=bits) == int(network.netmask)


def test_a_prefix_is_not_longer_than_an_address():
    with pytest.raises(PacketError):
        addresses.prefix_mask(33, bits=32)


def test_addresses_made_from_addresses():
    mac = addresses.mac_bytes("02:11:22:33:44:55")
    assert addresses.ipv6_text(addresses.link_local(mac)) == "fe80::11:22ff:fe33:4455"
    target = addresses.ipv6_bytes("fd00::12:3456")
    group = addresses.solicited_node(target)
    assert addresses.ipv6_text(group) == "ff02::1:ff12:3456"
    assert addresses.mac_text(addresses.multicast_mac(group)) == "33:33:ff:12:34:56"
    assert addresses.mac_text(addresses.multicast_mac(addresses.ipv4_bytes("239.129.2.3"))) == "01:00:5e:01:02:03"
