"""ICMP for IPv4 (RFC 792) and IPv6 (RFC 4443): messages, and errors about packets."""

from __future__ import annotations

from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.checksum import internet_checksum, pseudo_checksum
from ovenbird.net.errors import PacketError
from ovenbird.net.ipv6 import ICMPV6

ECHO_REPLY, UNREACHABLE, ECHO_REQUEST, TIME_EXCEEDED = 0, 3, 8, 11
V6_UNREACHABLE, V6_TOO_BIG, V6_TIME_EXCEEDED, V6_ECHO_REQUEST, V6_ECHO_REPLY = 1, 2, 3, 128, 129


@dataclass(frozen=True, slots=True, kw_only=True)
class Icmp:
    """A message: type, code, and all that follows the checksum (the first 4 bytes' meaning depends on the type)."""

    type: int
    code: int
    body: bytes

    def encode(self) -> bytes:
        """Encode for IPv4."""
        return self._with(internet_checksum(bytes([self.type, self.code, 0, 0]) + self.body))

    def encode_v6(self, *, src: bytes, dst: bytes) -> bytes:
        """Encode for IPv6, whose checksum covers the addresses."""
        segment = bytes([self.type, self.code, 0, 0]) + self.body
        return self._with(pseudo_checksum(src=src, dst=dst, proto=ICMPV6, segment=segment))

    def _with(self, checksum: int) -> bytes:
        return bytes([self.type, self.code]) + checksum.to_bytes(2, "big") + self.body

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode without checking the checksum.

        Raises:
            PacketError: the message is truncated.
        """
        if len(data) < 4:
            raise PacketError(f"ICMP message of {len(data)} bytes")
        return cls(type=data[0], code=data[1], body=data[4:])

    @classmethod
    def error(cls, kind: int, *, code: int, packet: bytes, rest: int = 0) -> Self:
        """Return an error about an IPv4 packet: it quotes at most 548 of its bytes (RFC 1812, section 4.3.2.3).

        Arguments:
            kind: the ICMP type.
            code: the ICMP code.
            packet: the IPv4 packet.
            rest: the word after the checksum: for "fragmentation needed" the MTU in bytes.
        """
        return cls(type=kind, code=code, body=rest.to_bytes(4, "big") + packet[:548])

    @classmethod
    def error_v6(cls, kind: int, *, code: int, packet: bytes, rest: int = 0) -> Self:
        """Return an error about an IPv6 packet: it quotes what fits the minimum MTU of 1280 (RFC 4443, section 2.4).

        Arguments:
            kind: the ICMPv6 type.
            code: the ICMPv6 code.
            packet: the IPv6 packet.
            rest: the word after the checksum: for "packet too big" the MTU in bytes.
        """
        return cls(type=kind, code=code, body=rest.to_bytes(4, "big") + packet[: 1280 - 48])
