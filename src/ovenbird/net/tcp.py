"""TCP segments, and the reset that refuses one (RFC 9293)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.checksum import pseudo_checksum
from ovenbird.net.errors import PacketError

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
_HEADER = struct.Struct(">HHIIHHHH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """A segment; `options` is a multiple of 4 bytes up to 40."""

    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int = 0
    urgent: int = 0
    options: bytes = b""
    payload: bytes = b""

    def encode(self, *, src: bytes, dst: bytes) -> bytes:
        """Encode with the checksum between two IP addresses.

        Raises:
            PacketError: the options do not fit.
        """
        words = 5 + len(self.options) // 4
        if len(self.options) % 4 or words > 15:
            raise PacketError(f"{len(self.options)} bytes of TCP options")
        fields = (self.sport, self.dport, self.seq, self.ack, words << 12 | self.flags, self.window)
        rest = self.options + self.payload
        checksum = pseudo_checksum(src=src, dst=dst, proto=6, segment=_HEADER.pack(*fields, 0, self.urgent) + rest)
        return _HEADER.pack(*fields, checksum, self.urgent) + rest

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode without checking the checksum.

        Raises:
            PacketError: the segment is truncated.
        """
        if len(data) < 20:
            raise PacketError(f"TCP segment of {len(data)} bytes")
        sport, dport, seq, ack, flags, window, _, urgent = _HEADER.unpack_from(data)
        header = (flags >> 12) * 4
        if not 20 <= header <= len(data):
            raise PacketError(f"TCP header of {header} in {len(data)} bytes")
        return cls(
            sport=sport,
            dport=dport,
            seq=seq,
            ack=ack,
            flags=flags & 0xFFF,
            window=window,
            urgent=urgent,
            options=data[20:header],
            payload=data[header:],
        )

    def reset(self) -> Tcp | None:
        """Return the reset that answers this segment (section 3.10.7.1); None for a reset, which is never answered."""
        if self.flags & RST:
            return None
        if self.flags & ACK:
            return Tcp(sport=self.dport, dport=self.sport, seq=self.ack, ack=0, flags=RST)
        length = len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)
        return Tcp(sport=self.dport, dport=self.sport, seq=0, ack=(self.seq + length) & 0xFFFFFFFF, flags=RST | ACK)
