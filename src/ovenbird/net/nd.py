"""Neighbour discovery: solicitations, advertisements and their options (RFC 4861)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.errors import PacketError
from ovenbird.net.icmp import Icmp

ROUTER_SOLICIT, ROUTER_ADVERT, NEIGHBOR_SOLICIT, NEIGHBOR_ADVERT = 133, 134, 135, 136
SOURCE_LLA, TARGET_LLA, PREFIX_INFORMATION, MTU, ROUTE_INFORMATION, RDNSS, DNSSL = 1, 2, 3, 5, 24, 25, 31
ROUTER, SOLICITED, OVERRIDE = 0x80000000, 0x40000000, 0x20000000
FOREVER = 0xFFFFFFFF
"""The lifetime, in seconds, that never expires."""

Options = tuple[tuple[int, bytes], ...]


def encode_options(options: Options) -> bytes:
    """Encode (type, value) options, each padded with zeros to a multiple of 8 bytes.

    Raises:
        PacketError: an option is longer than 2,040 bytes, the largest value of its length field.
    """
    out = b""
    for kind, value in options:
        units = (len(value) + 9) // 8
        if units > 255:
            raise PacketError(f"neighbour discovery option of {len(value)} bytes")
        out += bytes([kind, units]) + value.ljust(units * 8 - 2, b"\0")
    return out


def decode_options(data: bytes) -> Options:
    """Decode options.

    Raises:
        PacketError: an option has length 0 (RFC 4861, section 4.6), or is truncated.
    """
    options, offset = [], 0
    while offset < len(data):
        size = data[offset + 1] * 8 if offset + 1 < len(data) else 0
        if not size or offset + size > len(data):
            raise PacketError(f"neighbour discovery option of {size} bytes in {len(data) - offset}")
        options.append((data[offset], data[offset + 2 : offset + size]))
        offset += size
    return tuple(options)


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A neighbour solicitation (type 135) or advertisement (136); `flags` are the advertisement's R, S and O."""

    type: int
    target: bytes
    flags: int = 0
    options: Options = ()

    def icmp(self) -> Icmp:
        """Return the ICMPv6 message that carries it."""
        return Icmp(
            type=self.type, code=0, body=self.flags.to_bytes(4, "big") + self.target + encode_options(self.options)
        )

    @classmethod
    def of(cls, message: Icmp) -> Self:
        """Read an ICMPv6 message.

        Raises:
            PacketError: it is neither a solicitation nor an advertisement of a neighbour.
        """
        if message.type not in {NEIGHBOR_SOLICIT, NEIGHBOR_ADVERT} or message.code or len(message.body) < 20:
            raise PacketError(f"ICMPv6 type {message.type} of {len(message.body)} bytes is no neighbour message")
        flags = int.from_bytes(message.body[:4], "big")
        return cls(message.type, message.body[4:20], flags, decode_options(message.body[20:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterAdvert:
    """A router advertisement; lifetimes in seconds, reachable time and retransmission timer in milliseconds."""

    hop_limit: int
    flags: int
    lifetime: int
    reachable_time: int = 0
    retrans_timer: int = 0
    options: Options = ()

    def icmp(self) -> Icmp:
        """Return the ICMPv6 message that carries it."""
        head = struct.pack(">BBHII", self.hop_limit, self.flags, self.lifetime, self.reachable_time, self.retrans_timer)
        return Icmp(type=ROUTER_ADVERT, code=0, body=head + encode_options(self.options))

    @classmethod
    def of(cls, message: Icmp) -> Self:
        """Read an ICMPv6 message.

        Raises:
            PacketError: it is no router advertisement.
        """
        if message.type != ROUTER_ADVERT or message.code or len(message.body) < 12:
            raise PacketError(f"ICMPv6 type {message.type} of {len(message.body)} bytes is no router advertisement")
        hop_limit, flags, lifetime, reachable, retrans = struct.unpack_from(">BBHII", message.body)
        return cls(
            hop_limit=hop_limit,
            flags=flags,
            lifetime=lifetime,
            reachable_time=reachable,
            retrans_timer=retrans,
            options=decode_options(message.body[12:]),
        )


def prefix_information(prefix: bytes, length: int, *, autonomous: bool) -> tuple[int, bytes]:
    """Return the prefix information option of a prefix that is on the link for ever (RFC 4861, section 4.6.2).

    Arguments:
        prefix: an address of the prefix, 16 bytes.
        length: of the prefix, in bits from 0 to 128.
        autonomous: whether hosts may form addresses from it (SLAAC).
    """
    return PREFIX_INFORMATION, struct.pack(">BBII4x16s", length, 0x80 | autonomous << 6, FOREVER, FOREVER, prefix)
