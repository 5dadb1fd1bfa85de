"""ARP for IPv4 over Ethernet (RFC 826)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.errors import PacketError

REQUEST, REPLY = 1, 2
_ARP = struct.Struct(">HHBBH6s4s6s4s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arp:
    """An ARP packet: operation, then hardware and protocol address of sender and target."""

    op: int
    sha: bytes
    spa: bytes
    tha: bytes
    tpa: bytes

    def encode(self) -> bytes:
        """Encode the 28 bytes."""
        return _ARP.pack(1, 0x0800, 6, 4, self.op, self.sha, self.spa, self.tha, self.tpa)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode; bytes after the packet are padding.

        Raises:
            PacketError: the packet is truncated, or not for Ethernet and IPv4.
        """
        if len(data) < _ARP.size:
            raise PacketError(f"ARP packet of {len(data)} bytes")
        hardware, protocol, hlen, plen, op, sha, spa, tha, tpa = _ARP.unpack_from(data)
        if (hardware, protocol, hlen, plen) != (1, 0x0800, 6, 4):
            raise PacketError(f"ARP for hardware {hardware} and protocol {protocol:#x}")
        return cls(op=op, sha=sha, spa=spa, tha=tha, tpa=tpa)
