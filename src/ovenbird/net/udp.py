"""UDP datagrams (RFC 768, RFC 8200 section 8.1)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.checksum import pseudo_checksum
from ovenbird.net.errors import PacketError


@dataclass(frozen=True, slots=True, kw_only=True)
class Udp:
    """A datagram."""

    sport: int
    dport: int
    payload: bytes

    def encode(self, *, src: bytes, dst: bytes) -> bytes:
        """Encode with the checksum between two IP addresses.

        Raises:
            PacketError: the datagram would be over 65,535 bytes.
        """
        length = 8 + len(self.payload)
        if length > 0xFFFF:
            raise PacketError(f"UDP datagram of {length} bytes")
        segment = struct.pack(">HHHH", self.sport, self.dport, length, 0) + self.payload
        checksum = (
            pseudo_checksum(src=src, dst=dst, proto=17, segment=segment) or 0xFFFF
        )  # 0 on the wire means there is none
        return segment[:6] + checksum.to_bytes(2, "big") + self.payload

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode without checking the checksum.

        Raises:
            PacketError: the datagram is truncated.
        """
        if len(data) < 8:
            raise PacketError(f"UDP datagram of {len(data)} bytes")
        sport, dport, length, _ = struct.unpack_from(">HHHH", data)
        if not 8 <= length <= len(data):
            raise PacketError(f"UDP length {length} in {len(data)} bytes")
        return cls(sport=sport, dport=dport, payload=data[8:length])
