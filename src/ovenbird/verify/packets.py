"""Packets as the tracer prints and answers them: header fields by their symbols, and the packet that is the reply.

Header fields are the symbols that stand for a whole Open vSwitch field that is not a register, metadata or connection
state (ovn-sb(5), "Symbols").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.lang.microflow import Microflow
from ovenbird.lang.symbols import SYMBOLS, Symbol
from ovenbird.net.addresses import ipv4_text, ipv6_text
from ovenbird.net.ethernet import ARP, IPV4, RARP
from ovenbird.net.ipv4 import ICMP, TCP
from ovenbird.net.ipv6 import ICMPV6
from ovenbird.verify.errors import NoReplyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RESET = 0x004
_ERRORS = (3, 4, 5, 11, 12)
_FIRST_QUESTION = 128  # of ICMPv6; what is below are errors
_ECHO_REPLY = {ICMP: ("icmp_type", 8, 0), ICMPV6: ("icmpv6_type", 128, 129)}
_PAIRS = (
    ("eth_src", "eth_dst"),
    ("ip_src", "ip_dst"),
    ("ipv6_src", "ipv6_dst"),
    ("tcp_src", "tcp_dst"),
    ("udp_src", "udp_dst"),
    ("sctp_src", "sctp_dst"),
)
_TTL = 64

HEADERS: Mapping[str, Symbol] = {
    s.field.name: s
    for s in SYMBOLS.values()
    if s.field is not None
    and s.parent is None
    and s.width == s.field.bits
    and not s.name.startswith(("xxreg", "xreg", "flags", "ct_", "pkt.", "rarp"))
}
"""The symbol of each header field, by the field's name in Open vSwitch."""


def headers(packet: Microflow) -> dict[str, int]:
    """Return the header fields that are not 0."""
    return {name: value for name, value in packet.values.items() if value and name in HEADERS}


def changes(before: Mapping[str, int], *, after: Mapping[str, int]) -> Iterator[str]:
    """Yield assignments of constants that turn one packet's headers into another's."""
    for name, value in after.items():
        if name in HEADERS and before.get(name, 0) != value:
            yield f"{HEADERS[name].name} = {show(name, value)};"


def show(name: str, value: int) -> str:
    """Format a header field's value as in matches: as a MAC or IP address, or a number."""
    symbol = HEADERS[name]
    if symbol.width == 48:
        return ":".join(f"{byte:02x}" for byte in value.to_bytes(6, "big"))
    if symbol.width == 128:
        return ipv6_text(value)
    if name in ("ip_src", "ip_dst", "arp_spa", "arp_tpa"):
        return ipv4_text(value)
    return f"{value:#x}" if name in ("eth_type", "vlan_tci", "tcp_flags") else str(value)


def describe(packet: Microflow, inport: str) -> str:
    """Return the expression that describes a packet.

    Arguments:
        packet: the packet.
        inport: the name of the port it comes from.
    """
    terms = [f'inport == "{inport}"']
    rarp = packet["eth_type"] == RARP
    for name in sorted(headers(packet), key=list(HEADERS).index):
        symbol = HEADERS[name].name
        terms.append(f"{'r' if rarp and symbol.startswith('arp') else ''}{symbol} == {show(name, packet[name])}")
    return " && ".join(terms)


def is_refusal(packet: Microflow) -> bool:
    """Return whether a packet is a TCP reset or an ICMP error, to which there is no reply (RFC 1122, RFC 4443)."""
    if packet["nw_proto"] == TCP:
        return bool(packet["tcp_flags"] & _RESET)
    if packet["eth_type"] == IPV4:
        return packet["nw_proto"] == ICMP and packet["icmp_type"] in _ERRORS
    return packet["nw_proto"] == ICMPV6 and packet["icmpv6_type"] < _FIRST_QUESTION


def reply(packet: Microflow, mac: int | None = None) -> Microflow:
    """Return the packet that answers one: source and destination exchanged, an echo request turned into its reply.

    Arguments:
        packet: what was delivered.
        mac: the replier's MAC, for a broadcast request.

    Raises:
        NoReplyError: there is no reply to such a packet.
    """
    if is_refusal(packet):
        raise NoReplyError("a refusal is not answered")
    answer = Microflow(headers(packet))
    for a, b in _PAIRS:
        answer[a], answer[b] = packet[b], packet[a]
    kind = packet["eth_type"]
    if packet["eth_dst"] >> 40 & 1:
        if mac is None:
            raise NoReplyError("a broadcast packet has no single answer")
        answer["eth_src"] = mac
    if kind == ARP:
        if packet["arp_op"] != 1:
            raise NoReplyError("an ARP reply is not answered")
        answer["arp_op"] = 2
        answer["arp_spa"], answer["arp_tpa"] = packet["arp_tpa"], packet["arp_spa"]
        answer["arp_sha"], answer["arp_tha"] = answer["eth_src"], packet["arp_sha"]
    elif packet["nw_proto"] in _ECHO_REPLY:
        name, request, response = _ECHO_REPLY[packet["nw_proto"]]
        if packet[name] != request:
            raise NoReplyError("of ICMP, only an echo request is answered")
        answer[name] = response
    if packet["nw_ttl"]:
        answer["nw_ttl"] = _TTL
    return answer
