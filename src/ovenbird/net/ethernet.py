"""Ethernet II frames with at most one 802.1Q tag (IEEE 802.3, 802.1Q)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.errors import PacketError

IPV4, ARP, VLAN, RARP, IPV6, QINQ = 0x0800, 0x0806, 0x8100, 0x8035, 0x86DD, 0x88A8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ethernet:
    """A frame; `vlan` is the 16-bit tag control information of an 802.1Q tag, or `None`."""

    dst: bytes
    src: bytes
    ethertype: int
    payload: bytes
    vlan: int | None = None

    def encode(self) -> bytes:
        """Encode without padding and frame check sequence."""
        tag = b"" if self.vlan is None else struct.pack(">HH", VLAN, self.vlan)
        return self.dst + self.src + tag + self.ethertype.to_bytes(2, "big") + self.payload

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a frame.

        Raises:
            PacketError: it is truncated.
        """
        if len(data) < 14:
            raise PacketError(f"Ethernet frame of {len(data)} bytes")
        ethertype = int.from_bytes(data[12:14], "big")
        if ethertype != VLAN:
            return cls(dst=data[:6], src=data[6:12], ethertype=ethertype, payload=data[14:])
        if len(data) < 18:
            raise PacketError("Ethernet frame ends in its VLAN tag")
        tci, inner = struct.unpack_from(">HH", data, 14)
        return cls(dst=data[:6], src=data[6:12], ethertype=inner, payload=data[18:], vlan=tci)
