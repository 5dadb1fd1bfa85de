"""IGMP, by which IPv4 hosts report their multicast groups (RFC 1112, RFC 2236, RFC 3376)."""

from __future__ import annotations

import struct

from ovenbird.net.checksum import internet_checksum
from ovenbird.net.errors import PacketError
from ovenbird.net.ipv4 import IGMP, IPv4
from ovenbird.net.membership import ROBUSTNESS, Membership, MembershipKind, code, is_multicast, records

QUERY, V1_REPORT, V2_REPORT, LEAVE, V3_REPORT = 0x11, 0x12, 0x16, 0x17, 0x22

PROTOCOLS = {V1_REPORT: "IGMPv1", V2_REPORT: "IGMPv2", LEAVE: "IGMPv2", V3_REPORT: "IGMPv3"}
"""What reports are called, by their type."""

ALL_HOSTS = bytes([224, 0, 0, 1])
ROUTER_ALERT = bytes([0x94, 4, 0, 0])
"""The IP option of these packets (RFC 2113)."""
INTERNETWORK_CONTROL = 0xC0
"""The type of service of these packets (RFC 3376, section 4)."""

_TENTHS = 10
_MOST_SECONDS = 31_744
"""The longest interval that its 8-bit code can represent."""


def decode(packet: IPv4) -> Membership:
    """Decode a packet.

    Raises:
        PacketError: it is not a complete IGMP message, or does not come from the local link.
    """
    data = packet.payload
    if packet.proto != IGMP or packet.fragment & 0x3FFF or packet.ttl != 1:
        raise PacketError(f"IGMP in protocol {packet.proto} with a time to live of {packet.ttl}")
    if len(data) < 8 or internet_checksum(data):
        raise PacketError(f"IGMP message of {len(data)} bytes, or with a wrong checksum")
    kind, group = data[0], data[4:8]
    if kind == QUERY:
        return Membership(kind=MembershipKind.QUERY)
    if kind == V3_REPORT:
        return records(data[8:], count=int.from_bytes(data[6:8], "big"), width=4, protocol=PROTOCOLS[kind])
    if kind not in (V1_REPORT, V2_REPORT, LEAVE):
        return Membership(kind=MembershipKind.OTHER)
    if not is_multicast(group):
        raise PacketError(f"IGMP report of a group {group.hex()}")
    return Membership(
        kind=MembershipKind.REPORT,
        joined=() if kind == LEAVE else (group,),
        left=(group,) if kind == LEAVE else (),
        protocol=PROTOCOLS[kind],
    )


def general_query(source: bytes, *, max_response: int, interval: int) -> IPv4:
    """Return a general query, which all hosts answer with all their groups.

    Arguments:
        source: the querier's IPv4 address.
        max_response: seconds within which hosts must answer, 1 to 25.
        interval: seconds between queries.
    """
    flags = bytes([ROBUSTNESS, code(min(interval, _MOST_SECONDS), bits=8)])
    message = struct.pack(">BBH4s", QUERY, code(max_response * _TENTHS, bits=8), 0, bytes(4)) + flags + bytes(2)
    checksum = internet_checksum(message)
    return IPv4(
        src=source,
        dst=ALL_HOSTS,
        proto=IGMP,
        payload=message[:2] + checksum.to_bytes(2, "big") + message[4:],
        ttl=1,
        tos=INTERNETWORK_CONTROL,
        options=ROUTER_ALERT,
    )
