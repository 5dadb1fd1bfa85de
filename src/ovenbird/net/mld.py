"""MLD, by which IPv6 hosts report their multicast groups in ICMPv6 messages (RFC 2710, RFC 3810)."""

from __future__ import annotations

import struct

from ovenbird.net.addresses import ALL_NODES
from ovenbird.net.checksum import pseudo_checksum
from ovenbird.net.errors import PacketError
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv6 import ICMPV6, IPv6
from ovenbird.net.membership import ROBUSTNESS, Membership, MembershipKind, code, is_multicast, records

QUERY, V1_REPORT, DONE, V2_REPORT = 130, 131, 132, 143

PROTOCOLS = {V1_REPORT: "MLDv1", DONE: "MLDv1", V2_REPORT: "MLDv2"}
"""What reports are called, by their type."""

_HOP_BY_HOP = 0
_ROUTER_ALERT = bytes([ICMPV6, 0, 5, 2, 0, 0, 1, 0])
"""The hop-by-hop header with the router alert option (RFC 2711), padded."""
_MILLISECONDS = 1000
_MOST_SECONDS = 31_744
"""The longest interval that its 8-bit code can represent."""


def decode(packet: IPv6) -> Membership:
    """Decode a packet.

    Raises:
        PacketError: it is not a complete MLD message, or does not come from the local link.
    """
    protocol, data = packet.upper()
    if protocol != ICMPV6 or packet.hop_limit != 1:
        raise PacketError(f"MLD in protocol {protocol} with a hop limit of {packet.hop_limit}")
    if len(data) < 8 or pseudo_checksum(src=packet.src, dst=packet.dst, proto=ICMPV6, segment=data):
        raise PacketError(f"MLD message of {len(data)} bytes, or with a wrong checksum")
    kind = data[0]
    if kind == V2_REPORT:
        return records(data[8:], count=int.from_bytes(data[6:8], "big"), width=16, protocol=PROTOCOLS[kind])
    if len(data) < 24:
        raise PacketError(f"MLD message of type {kind} of {len(data)} bytes")
    if kind == QUERY:
        return Membership(kind=MembershipKind.QUERY)
    group = data[8:24]
    if kind not in (V1_REPORT, DONE) or not is_multicast(group):
        raise PacketError(f"MLD message of type {kind} about {group.hex()}")
    return Membership(
        kind=MembershipKind.REPORT,
        joined=() if kind == DONE else (group,),
        left=(group,) if kind == DONE else (),
        protocol=PROTOCOLS[kind],
    )


def general_query(source: bytes, *, max_response: int, interval: int) -> IPv6:
    """Return a general query, which all nodes answer with all their groups.

    Arguments:
        source: the querier's link-local address.
        max_response: seconds within which nodes must answer, 1 to 25.
        interval: seconds between queries.
    """
    head = struct.pack(">H2x16x", code(max_response * _MILLISECONDS, bits=16))
    body = head + bytes([ROBUSTNESS, code(min(interval, _MOST_SECONDS), bits=8), 0, 0])
    message = Icmp(type=QUERY, code=0, body=body).encode_v6(src=source, dst=ALL_NODES)
    return IPv6(src=source, dst=ALL_NODES, next_header=_HOP_BY_HOP, payload=_ROUTER_ALERT + message, hop_limit=1)
