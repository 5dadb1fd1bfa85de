"""Addresses as numbers, bytes and text.

A MAC address is 6 bytes, an IPv4 address 4, an IPv6 address 16; as numbers they are big-endian. Text is parsed
strictly: a text that is not exactly an address raises `PacketError`.
"""

from __future__ import annotations

import re
import socket

from ovenbird.net.errors import PacketError

_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){5}")
BROADCAST = b"\xff" * 6
ZERO_MAC = bytes(6)
ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
LINK_LOCAL_PREFIX = bytes.fromhex("fe80000000000000")


def mac_bytes(text: str) -> bytes:
    """Parse `aa:bb:cc:dd:ee:ff`; leading zeros of a part may be left out, as Open vSwitch allows.

    Raises:
        PacketError: the text is not a MAC address.
    """
    if not _MAC.fullmatch(text):
        raise PacketError(f"{text!r} is not a MAC address")
    return bytes([int(part, 16) for part in text.split(":")])


def is_mac(text: str) -> bool:
    """Return whether a text is a MAC address."""
    return _MAC.fullmatch(text) is not None


def mac_number(text: str) -> int:
    """Parse a MAC address as `mac_bytes` does, to a number."""
    return int.from_bytes(mac_bytes(text), "big")


def mac_text(mac: bytes | int) -> str:
    """Format a MAC address in lower case."""
    return (mac.to_bytes(6, "big") if isinstance(mac, int) else mac).hex(":")


def ipv4_bytes(text: str) -> bytes:
    """Parse a dotted quad.

    Raises:
        PacketError: the text is not an IPv4 address.
    """
    try:
        return socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        raise PacketError(f"{text!r} is not an IPv4 address") from None


def ipv4_text(address: bytes | int) -> str:
    """Format an IPv4 address."""
    return socket.inet_ntop(socket.AF_INET, address.to_bytes(4, "big") if isinstance(address, int) else address)


def ipv6_bytes(text: str) -> bytes:
    """Parse an IPv6 address.

    Raises:
        PacketError: the text is not an IPv6 address, or has a zone (`%eth0`).
    """
    try:
        return socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        raise PacketError(f"{text!r} is not an IPv6 address") from None


def ipv6_text(address: bytes | int) -> str:
    """Format an IPv6 address in its canonical short form (RFC 5952)."""
    return socket.inet_ntop(socket.AF_INET6, address.to_bytes(16, "big") if isinstance(address, int) else address)


def ip_bytes(text: str) -> bytes:
    """Parse an address of either family: 4 bytes or 16."""
    return ipv6_bytes(text) if ":" in text else ipv4_bytes(text)


def ip_text(address: bytes) -> str:
    """Format an address of 4 or 16 bytes."""
    return ipv4_text(address) if len(address) == 4 else ipv6_text(address)


def prefix_mask(length: int, *, bits: int) -> int:
    """Return the netmask of a prefix as a number.

    Arguments:
        length: of the prefix, from 0 to `bits`.
        bits: of an address, 32 or 128.

    Raises:
        PacketError: the length is out of its range.
    """
    if not 0 <= length <= bits:
        raise PacketError(f"a prefix of {length} bits of {bits}")
    return (1 << bits) - (1 << (bits - length))


def interface_id(mac: bytes) -> bytes:
    """Return the modified EUI-64 interface identifier of a MAC address (RFC 4291, appendix A)."""
    return bytes([mac[0] ^ 2, mac[1], mac[2], 0xFF, 0xFE, mac[3], mac[4], mac[5]])


def link_local(mac: bytes) -> bytes:
    """Return the link-local IPv6 address made from a MAC address (RFC 4862, section 5.3)."""
    return LINK_LOCAL_PREFIX + interface_id(mac)


def solicited_node(address: bytes) -> bytes:
    """Return the solicited-node multicast address of an IPv6 address (RFC 4291, section 2.7.1)."""
    return bytes.fromhex("ff0200000000000000000001ff") + address[13:]


def multicast_mac(group: bytes) -> bytes:
    """Return the Ethernet address of an IPv4 or IPv6 multicast group (RFC 1112, section 6.4; RFC 2464, section 7)."""
    if len(group) == 4:
        return b"\x01\x00\x5e" + bytes([group[1] & 0x7F]) + group[2:]
    return b"\x33\x33" + group[12:]
