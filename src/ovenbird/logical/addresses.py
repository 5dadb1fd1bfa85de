"""The addresses of logical ports as text: what `addresses` and `networks` columns hold, read into values.

An entry of Logical_Switch_Port.addresses is an Ethernet address followed by any number of IP addresses, or one of the
words `unknown`, `router`, `dynamic`, ovn-nb(5). An entry that does not parse is left out by whoever reads it, as the
original does; what is wrong with it is for the program that wrote it to know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.net.addresses import ipv6_bytes, ipv6_text
from ovenbird.net.errors import PacketError
from ovenbird.net.ip import ip_network, ipv4_interface, ipv6_interface

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")
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
    """Return what an entry of `addresses` or `port_security` says, or None if it is not of that form."""
    plain = _PLAIN.fullmatch(text)
    if plain is not None:  # nine entries of ten, at a quarter of the cost
        return Addresses(plain[1].lower(), (plain[2],))
    words = text.split()
    if not words or _MAC.fullmatch(words[0]) is None:
        return None
    ipv4: list[str] = []
    ipv6: list[str] = []
    for word in words[1:]:
        try:
            if ":" in word:
                ipv6.append(str(ipv6_interface(word).ip))
            else:
                ipv4.append(str(ipv4_interface(word).ip))
        except PacketError:
            return None
    return Addresses(words[0].lower(), tuple(ipv4), tuple(ipv6))


def canonical(text: str) -> str:
    """Return an IP address, or a network without host bits, in canonical form; the empty string if it is neither."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return ""
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def link_local(mac: str) -> str:
    """Return the IPv6 link-local address that an Ethernet address gives (RFC 4291, appendix A)."""
    b = bytes.fromhex(mac.replace(":", ""))
    eui64 = bytes([b[0] ^ 2, b[1], b[2], 0xFF, 0xFE, b[3], b[4], b[5]])
    return ipv6_text(b"\xfe\x80\0\0\0\0\0\0" + eui64)


def solicited_node(ipv6: str) -> str:
    """Return the solicited-node multicast address of an IPv6 address (RFC 4291, section 2.7.1)."""
    return ipv6_text(b"\xff\x02" + bytes(9) + b"\x01\xff" + ipv6_bytes(ipv6)[13:])


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
