"""The parser of IP addresses, prefixes and interfaces in text.

The standard library's `ipaddress` accepts more than addresses: anything after a `%` as an IPv6 zone (RFC 4007, section
11), so that one address has any number of spellings and no unique index detects that they are equal; integers and
bytes; the inverse of a netmask. Here a text must be exactly an address in one of its notations (RFC 4291, section 2.2;
inet_pton(3)). A prefix's length is a plain decimal number, or for IPv4 a netmask.

No other module parses addresses with `ipaddress`, whose types these functions return; a test checks this.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from ovenbird.net.addresses import ipv4_bytes, ipv6_bytes
from ovenbird.net.errors import PacketError

_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
_WHOLE = (1 << 32) - 1


def ip_address(text: str) -> IPv4Address | IPv6Address:
    """Parse an address of either version.

    Raises:
        PacketError: the text is not an address; this is a `ValueError`.
    """
    return ipv6_address(text) if ":" in _string(text) else ipv4_address(text)


def is_address(text: str) -> bool:
    """Return whether a text is an IP address."""
    try:
        ip_address(text)
    except PacketError:
        return False
    return True


def is_prefix(text: str) -> bool:
    """Return whether a text is an address, or a prefix whose host bits are zero."""
    try:
        ip_network(text)
    except PacketError:
        return False
    return True


def ipv4_address(text: str) -> IPv4Address:
    """Parse a dotted quad without leading zeros.

    Raises:
        PacketError: it is none.
    """
    return IPv4Address(ipv4_bytes(_string(text)))


def ipv6_address(text: str) -> IPv6Address:
    """Parse an IPv6 address without a zone.

    Raises:
        PacketError: it is none.
    """
    return IPv6Address(ipv6_bytes(_string(text)))


def ip_interface(text: str) -> IPv4Interface | IPv6Interface:
    """Parse an address with its prefix length; without one the prefix is the address itself.

    Raises:
        PacketError: it is none.
    """
    return ipv6_interface(text) if ":" in _string(text) else ipv4_interface(text)


def ipv4_interface(text: str) -> IPv4Interface:
    """Parse an IPv4 address with a prefix length or a netmask.

    Raises:
        PacketError: it is none.
    """
    address, length = _split(text)
    return IPv4Interface((ipv4_bytes(address), _length(text, length, 32)))


def ipv6_interface(text: str) -> IPv6Interface:
    """Parse an IPv6 address with a prefix length.

    Raises:
        PacketError: it is none.
    """
    address, length = _split(text)
    return IPv6Interface((ipv6_bytes(address), _length(text, length, 128)))


def ip_network(text: str, *, strict: bool = True) -> IPv4Network | IPv6Network:
    """Parse a prefix.

    Arguments:
        text: an address and a prefix length, which defaults to the address's whole length.
        strict: whether non-zero host bits are an error.

    Raises:
        PacketError: it is none.
    """
    return ipv6_network(text, strict=strict) if ":" in _string(text) else ipv4_network(text, strict=strict)


def ipv4_network(text: str, *, strict: bool = True) -> IPv4Network:
    """Parse an IPv4 prefix, as `ip_network` does.

    Raises:
        PacketError: it is none.
    """
    address, length = _split(text)
    try:
        return IPv4Network((ipv4_bytes(address), _length(text, length, 32)), strict)
    except ValueError as error:
        raise PacketError(str(error)) from None


def ipv6_network(text: str, *, strict: bool = True) -> IPv6Network:
    """Parse an IPv6 prefix, as `ip_network` does.

    Raises:
        PacketError: it is none.
    """
    address, length = _split(text)
    try:
        return IPv6Network((ipv6_bytes(address), _length(text, length, 128)), strict)
    except ValueError as error:
        raise PacketError(str(error)) from None


def _string(text: str) -> str:
    if not isinstance(text, str):
        raise PacketError(f"{text!r} is not an address: it is not a string")
    return text


def _split(text: str) -> tuple[str, str | None]:
    address, slash, length = _string(text).partition("/")
    return address, length if slash else None


def _length(text: str, given: str | None, bits: int) -> int:
    """Return the length of a prefix: that of the whole address if none is given."""
    if given is None:
        return bits
    if _LENGTH.fullmatch(given) and int(given) <= bits:
        return int(given)
    if bits == 32 and "." in given:
        mask = int.from_bytes(ipv4_bytes(given), "big")
        rest = mask ^ _WHOLE
        if not rest & (rest + 1):  # ones, then zeros
            return mask.bit_count()
    raise PacketError(f"{text!r} has no valid prefix length")
