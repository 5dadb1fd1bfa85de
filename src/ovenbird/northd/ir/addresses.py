"""Parsers of the addresses of logical ports: the columns `addresses` and `networks`.

An entry of Logical_Switch_Port.addresses is an Ethernet address followed by any number of IP addresses, or one of the
words `unknown`, `router`, `dynamic`, ovn-nb(5). The text is parsed as by the original: blanks before a number, leading
zeros and a plus sign are ignored, a prefix may be a netmask, and everything before the first error counts. The
exception are numbers that the original truncates to eight bits; they are errors here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ovenbird.namedtuple import NamedTuple
from ovenbird.net import addresses
from ovenbird.net.addresses import ip_text, ipv4_text, ipv6_bytes, ipv6_text, mac_bytes
from ovenbird.net.errors import PacketError
from ovenbird.net.ip import ip_interface

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

_HEX = r"\s*(?:0[xX])?0*([0-9a-fA-F]{1,2})"
_MAC = re.compile(rf"{_HEX}:{_HEX}:{_HEX}:{_HEX}:{_HEX}:{_HEX}(?![0-9a-fA-F])", re.ASCII)
_PREFIX = re.compile(rf"{_HEX}:{_HEX}:{_HEX}(?![0-9a-fA-F])", re.ASCII)
_NUMBER = r"\s*\+?0*(\d{1,3})"
_FOUR = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?!\d)", re.ASCII)
_SIX = re.compile(r"\s*([0-9a-fA-F:.]{1,46})", re.ASCII)
_LENGTH = re.compile(r"/\s*([+-]?\d+)", re.ASCII)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PLAIN = re.compile(rf"((?:[0-9a-fA-F]{{2}}:){{5}}[0-9a-fA-F]{{2}}) ({_OCTET}(?:\.{_OCTET}){{3}})")


class Addresses(NamedTuple):
    """An Ethernet address and the IP addresses that go with it.

    Arguments:
        mac: in lower case.
        ipv4: in dotted form, without prefix length.
        ipv6: in canonical form, without prefix length.
    """

    mac: str
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()


def parse_addresses(text: str) -> Addresses | None:
    """Parse an entry of `addresses` or `port_security`, without junk behind it; None if it has no MAC address."""
    return scan_addresses(text)[0]


def scan_addresses(text: str) -> tuple[Addresses | None, str]:
    """Parse an entry of `addresses`: what it says (None if it begins with no MAC address), and the junk behind it."""
    plain = _PLAIN.fullmatch(text)
    if plain is not None:  # nine entries of ten, at a quarter of the cost
        return Addresses(plain[1].lower(), (plain[2],)), ""
    begin = _MAC.match(text)
    if begin is None:
        return None, text
    ips, rest = scan_ips(text[begin.end() :])
    four, six = [ip for ip, _ in ips if ":" not in ip], [ip for ip, _ in ips if ":" in ip]
    return Addresses(_mac_text(begin), ipv4=tuple(four), ipv6=tuple(six)), rest


def parse_mac(text: str) -> str:
    """Return a MAC address in lower case; the empty string if the text is anything else."""
    found = _MAC.fullmatch(text)
    return _mac_text(found) if found is not None else ""


def _mac_text(found: re.Match[str]) -> str:
    return ":".join([f"{int(part, 16):02x}" for part in found.groups()])


def mac_prefix(text: str) -> str:
    """Return the first three octets that a text begins with, in lower case with colons; empty if there are none."""
    found = _PREFIX.match(text)
    octets = [int(part, 16) for part in found.groups()] if found is not None else []
    return ":".join([f"{octet:02x}" for octet in octets]) if any(octets) else ""


def scan_ips(text: str) -> tuple[list[tuple[str, int]], str]:
    """Return the IP addresses that a text begins with, in canonical form with prefix lengths, and the junk behind."""
    found: list[tuple[str, int]] = []
    at = 0
    while at < len(text) and (one := _scan_ip(text, at)) is not None:
        ip, length, at = one
        found.append((ip, length))
    return found, text[at:]


def _scan_ip(text: str, at: int) -> tuple[str, int, int] | None:
    """Return the address at a place of a text, its prefix length and where it ends; None if there is none."""
    four = _four(text, at)
    if four is not None:
        number, end = four
        masked = _four(text, end + 1) if text[end : end + 1] == "/" else None
        if masked is not None:
            mask, end = masked
            length: int | None = _ones(mask, 32)
        else:
            length, end = _length(text, end, 32)
        return (ipv4_text(number), length, end) if length is not None else None
    found = _SIX.match(text, at)
    if found is None:
        return None
    try:
        ip, end = ipv6_text(ipv6_bytes(found[1])), found.end()
        mask_text = _SIX.match(text, end + 1) if text[end : end + 1] == "/" else None
        if mask_text is not None and ":" in mask_text[1]:
            length, end = _ones(int.from_bytes(ipv6_bytes(mask_text[1])), 128), mask_text.end()
        else:
            length, end = _length(text, end, 128)
    except PacketError:
        return None
    return (ip, length, end) if length is not None else None


def _four(text: str, at: int) -> tuple[int, int] | None:
    found = _FOUR.match(text, at)
    octets = [int(part) for part in found.groups()] if found is not None else []
    if found is None or max(octets) > 255:
        return None
    return int.from_bytes(bytes(octets)), found.end()


def _length(text: str, at: int, bits: int) -> tuple[int | None, int]:
    """Return the prefix length at a place of a text and where it ends: all bits without any, None if it is too long."""
    found = _LENGTH.match(text, at)
    if found is None:
        return bits, at
    digits = found[1].lstrip("+0") or "0"
    return (int(digits) if len(digits) <= 3 and 0 <= int(digits) <= bits else None), found.end()


def _ones(mask: int, bits: int) -> int | None:
    rest = mask ^ (1 << bits) - 1
    return mask.bit_count() if not rest & (rest + 1) else None  # ones, then zeros


def parse_interface(text: str) -> IPv4Interface | IPv6Interface | None:
    """Parse `IP[/LENGTH]`: an address and its network, a host network without a length; None for anything else."""
    found, rest = scan_ips(text)
    return ip_interface(f"{found[0][0]}/{found[0][1]}") if len(found) == 1 and not rest else None


def parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """Return the network that an address with a prefix is in; None if the text is anything else."""
    found = parse_interface(text)
    return found.network if found is not None else None


def parse_ip(text: str) -> str:
    """Return an IP address in canonical form; the empty string if the text is anything else."""
    found, rest = scan_ips(text)
    return found[0][0] if len(found) == 1 and not rest and found[0][1] == (128 if ":" in found[0][0] else 32) else ""


def canonical(text: str) -> str:
    """Return an IP address, or a network without host bits, in canonical form; the empty string if it is neither."""
    found = parse_network(text)
    if found is None:
        return ""
    return ip_text(found.network_address.packed) if found.prefixlen == found.max_prefixlen else network_text(found)


def network_text(network: IPv4Network | IPv6Network) -> str:
    """Return a network in canonical form."""
    return f"{ip_text(network.network_address.packed)}/{network.prefixlen}"


def link_local(mac: str) -> str:
    """Return, as text, the IPv6 link-local address that an Ethernet address gives."""
    return ipv6_text(addresses.link_local(mac_bytes(mac)))


def solicited_node(ipv6: str) -> str:
    """Return, as text, the solicited-node multicast address of an IPv6 address."""
    return ipv6_text(addresses.solicited_node(ipv6_bytes(ipv6)))


def braced(items: Iterable[str]) -> str:
    """Return addresses as a constant of the match language: one as it is, several as a set."""
    texts = list(items)
    return texts[0] if len(texts) == 1 else f"{{{', '.join(texts)}}}"


def quote(text: str) -> str:
    """Return a string constant of the match language: in double quotes, with JSON's escapes."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    escaped = "".join(_ESCAPES.get(c) or (c if c >= " " else f"\\u{ord(c):04x}") for c in text)
    return f'"{escaped}"'


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
