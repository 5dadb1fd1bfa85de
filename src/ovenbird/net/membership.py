"""The common parts of IGMP and MLD: queries, joins and leaves of multicast groups (RFC 3376, RFC 3810)."""

from __future__ import annotations

import struct
from enum import Enum

from ovenbird.dataclass import dataclass
from ovenbird.net.errors import PacketError

MODE_IS_INCLUDE, MODE_IS_EXCLUDE, TO_INCLUDE, TO_EXCLUDE, ALLOW_SOURCES, BLOCK_SOURCES = range(1, 7)
"""Types of group records (RFC 3376, section 4.2.12; RFC 3810, section 5.2.12)."""

ROBUSTNESS = 2
"""The robustness variable: one less than this number of packets may be lost (RFC 3376, section 8.1)."""


class MembershipKind(Enum):
    """The kind of a message."""

    QUERY = "query"
    REPORT = "report"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The content of a message.

    Arguments:
        kind: whether it is a query of a multicast router, a report of a host, or neither.
        joined: addresses of the groups that the sender joins or is a member of.
        left: addresses of the groups that the sender leaves.
        protocol: of a report, the protocol and its version: `IGMPv3`; empty otherwise.
    """

    kind: MembershipKind
    joined: tuple[bytes, ...] = ()
    left: tuple[bytes, ...] = ()
    protocol: str = ""


def is_multicast(address: bytes) -> bool:
    """Return whether an IPv4 or IPv6 address is a multicast address."""
    return address[0] >> 4 == 14 if len(address) == 4 else address[0] == 255


def records(data: bytes, *, count: int, width: int, protocol: str) -> Membership:
    """Decode the group records of a report.

    A record without sources concerns all sources. A record that only blocks sources is ignored, since the sender may
    still want other sources of the group.

    Arguments:
        data: the records.
        count: the number of records.
        width: the length of an address in bytes.
        protocol: as `Membership` has it.

    Raises:
        PacketError: a record is truncated.
    """
    joined: dict[bytes, None] = {}
    left: dict[bytes, None] = {}
    at = 0
    for _ in range(count):
        if at + 4 + width > len(data):
            raise PacketError(f"group record at byte {at} of {len(data)}")
        kind, auxiliary, sources = struct.unpack_from(">BBH", data, at)
        group = data[at + 4 : at + 4 + width]
        at += 4 + width + sources * width + auxiliary * 4
        if at > len(data):
            raise PacketError(f"group record up to byte {at} of {len(data)}")
        if not is_multicast(group):
            continue
        if kind in (MODE_IS_INCLUDE, TO_INCLUDE) and not sources:
            left[group] = None
        elif kind in (MODE_IS_INCLUDE, MODE_IS_EXCLUDE, TO_INCLUDE, TO_EXCLUDE, ALLOW_SOURCES):
            joined[group] = None
    return Membership(kind=MembershipKind.REPORT, joined=tuple(joined), left=tuple(left), protocol=protocol)


def code(value: int, *, bits: int) -> int:
    """Encode a time as in queries: a large one as mantissa and exponent (RFC 3376, section 4.1.1).

    Arguments:
        value: the time in the unit of the field, at most the largest value that the code can represent.
        bits: the width of the code: 8, or 16 for the response time of MLD (RFC 3810, section 5.1.3).
    """
    mantissa = bits - 4
    if value < 1 << bits - 1:
        return value
    exponent = min(value.bit_length() - mantissa - 1, 10)
    return 1 << bits - 1 | (exponent - 3 & 7) << mantissa | (value >> exponent) & (1 << mantissa) - 1
