"""IPv4 packets (RFC 791)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.checksum import internet_checksum
from ovenbird.net.errors import PacketError

ICMP, IGMP, TCP, UDP, SCTP = 1, 2, 6, 17, 132
_HEADER = struct.Struct(">BBHHHBBH4s4s")


@dataclass(frozen=True, slots=True, kw_only=True)
class IPv4:
    """A packet; `fragment` is the 16 bits of flags and offset, `options` a multiple of 4 bytes up to 40."""

    src: bytes
    dst: bytes
    proto: int
    payload: bytes
    ttl: int = 64
    tos: int = 0
    ident: int = 0
    fragment: int = 0
    options: bytes = b""

    def encode(self) -> bytes:
        """Encode, computing lengths and checksum.

        Raises:
            PacketError: the packet would be over 65,535 bytes.
        """
        words = 5 + len(self.options) // 4
        total = words * 4 + len(self.payload)
        if len(self.options) % 4 or words > 15 or total > 0xFFFF:
            raise PacketError(f"IPv4 packet of {total} bytes with {len(self.options)} bytes of options")
        fields = (0x40 | words, self.tos, total, self.ident, self.fragment, self.ttl, self.proto)
        checksum = internet_checksum(_HEADER.pack(*fields, 0, self.src, self.dst) + self.options)
        return _HEADER.pack(*fields, checksum, self.src, self.dst) + self.options + self.payload

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode; bytes after the packet's length are padding.

        Raises:
            PacketError: the packet is truncated, of another version, or its header's checksum is wrong.
        """
        if len(data) < 20:
            raise PacketError(f"IPv4 packet of {len(data)} bytes")
        version, tos, total, ident, fragment, ttl, proto, _, src, dst = _HEADER.unpack_from(data)
        header = (version & 15) * 4
        if version >> 4 != 4 or not 20 <= header <= total <= len(data):
            sizes = f"{header} bytes of header, {total} of packet, {len(data)} in all"
            raise PacketError(f"IPv4 version {version >> 4}, {sizes}")
        if internet_checksum(data[:header]):
            raise PacketError("wrong IPv4 header checksum")
        return cls(
            src=src,
            dst=dst,
            proto=proto,
            payload=data[header:total],
            ttl=ttl,
            tos=tos,
            ident=ident,
            fragment=fragment,
            options=data[20:header],
        )
