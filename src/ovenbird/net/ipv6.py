"""IPv6 packets (RFC 8200)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.errors import PacketError

ICMPV6 = 58
# Extension headers of the common form: next header, length in 8-byte units beyond the first; 44 is the fragment header.
_EXTENSIONS = frozenset({0, 43, 60, 135, 139, 140})
_FRAGMENT, _AUTHENTICATION = 44, 51
_HEADER = struct.Struct(">IHBB16s16s")


@dataclass(frozen=True, slots=True, kw_only=True)
class IPv6:
    """A packet; `next_header` is the type of the payload's first header, which may be an extension header."""

    src: bytes
    dst: bytes
    next_header: int
    payload: bytes
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0

    def encode(self) -> bytes:
        """Encode the packet.

        Raises:
            PacketError: the payload is over 65,535 bytes.
        """
        if len(self.payload) > 0xFFFF:
            raise PacketError(f"IPv6 payload of {len(self.payload)} bytes")
        first = 6 << 28 | self.traffic_class << 20 | self.flow_label
        length = len(self.payload)
        return _HEADER.pack(first, length, self.next_header, self.hop_limit, self.src, self.dst) + self.payload

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode; bytes after the packet's length are padding.

        Raises:
            PacketError: the packet is truncated, or of another version.
        """
        if len(data) < 40:
            raise PacketError(f"IPv6 packet of {len(data)} bytes")
        first, length, next_header, hop_limit, src, dst = _HEADER.unpack_from(data)
        if first >> 28 != 6 or 40 + length > len(data):
            raise PacketError(f"IPv6 version {first >> 28}, payload of {length} in {len(data)} bytes")
        payload = data[40 : 40 + length]
        return cls(
            src=src,
            dst=dst,
            next_header=next_header,
            payload=payload,
            hop_limit=hop_limit,
            traffic_class=first >> 20 & 0xFF,
            flow_label=first & 0xFFFFF,
        )

    def upper(self) -> tuple[int, bytes]:
        """Return the upper-layer protocol and its bytes, after the extension headers.

        Raises:
            PacketError: one is truncated.
        """
        proto, data = self.next_header, self.payload
        while proto in _EXTENSIONS or proto in {_FRAGMENT, _AUTHENTICATION}:
            if len(data) < 8:
                raise PacketError(f"IPv6 extension header {proto} of {len(data)} bytes")
            size = 8 if proto == _FRAGMENT else (data[1] + 2) * 4 if proto == _AUTHENTICATION else (data[1] + 1) * 8
            if size > len(data):
                raise PacketError(f"IPv6 extension header {proto} of {size} bytes in {len(data)}")
            proto, data = data[0], data[size:]
        return proto, data
