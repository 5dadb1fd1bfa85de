"""SCTP packets: the first chunk, and the abort that answers it (RFC 9260)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.errors import PacketError

INIT, ABORT = 1, 6
_HEADER = struct.Struct(">HHII")
_CHUNK = struct.Struct(">BBH")
_REFLECTED = 1
_POLYNOMIAL = 0x82F63B78


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_REMAINDERS = tuple(_remainder(byte) for byte in range(256))


def crc32c(data: bytes) -> int:
    """Return the checksum of bytes (RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _REMAINDERS[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Sctp:
    """A packet with its first chunk; `value` is what follows the chunk's header, other chunks included."""

    sport: int
    dport: int
    tag: int
    chunk: int
    flags: int = 0
    value: bytes = b""

    def encode(self) -> bytes:
        """Encode with the checksum, as one chunk."""
        body = _CHUNK.pack(self.chunk, self.flags, _CHUNK.size + len(self.value)) + self.value
        checksum = crc32c(_HEADER.pack(self.sport, self.dport, self.tag, 0) + body)
        head = _HEADER.pack(self.sport, self.dport, self.tag, int.from_bytes(checksum.to_bytes(4, "little"), "big"))
        return head + body

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode without checking the checksum.

        Raises:
            PacketError: the packet is truncated.
        """
        if len(data) < _HEADER.size + _CHUNK.size:
            raise PacketError(f"SCTP packet of {len(data)} bytes")
        sport, dport, tag, _ = _HEADER.unpack_from(data)
        chunk, flags, _ = _CHUNK.unpack_from(data, _HEADER.size)
        return cls(
            sport=sport, dport=dport, tag=tag, chunk=chunk, flags=flags, value=data[_HEADER.size + _CHUNK.size :]
        )

    def abort(self) -> Sctp | None:
        """Return the abort that answers this packet (section 8.4), or `None` for an abort, which must not be answered.

        Raises:
            PacketError: the packet opens an association and is truncated.
        """
        if self.chunk == ABORT:
            return None
        if self.chunk != INIT:
            return Sctp(sport=self.dport, dport=self.sport, tag=self.tag, chunk=ABORT, flags=_REFLECTED)
        if len(self.value) < 4:
            raise PacketError(f"SCTP association begun in {len(self.value)} bytes")
        return Sctp(sport=self.dport, dport=self.sport, tag=int.from_bytes(self.value[:4], "big"), chunk=ABORT)
