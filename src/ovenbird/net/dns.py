"""DNS queries, and answers to them from a table (RFC 1035)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.errors import PacketError

DNS_PORT = 53
A, PTR, AAAA, ANY = 1, 12, 28, 255
IN = 1
REFUSED = 5
"""A code of answers (RFC 1035, section 4.1.1)."""

_HEADER = struct.Struct(">HHHHHH")
_RESPONSE, _OPCODE, _RECURSION_DESIRED, _RECURSION_AVAILABLE, _AUTHORITATIVE = 0x8000, 0x7800, 0x0100, 0x0080, 0x0400


def encode_name(name: str) -> bytes:
    """Encode a domain name.

    Raises:
        PacketError: a label is empty or over 63 bytes, or the name over 255.
    """
    out = b""
    for label in name.rstrip(".").split(".") if name.rstrip(".") else ():
        data = label.encode("latin-1", "replace")
        if not 0 < len(data) < 64:
            raise PacketError(f"DNS label {label!r}")
        out += bytes([len(data)]) + data
    if len(out) > 254:
        raise PacketError(f"DNS name of {len(out)} bytes")
    return out + b"\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsQuery:
    """A standard query with one question; `name` keeps its case, `wire` is the question as it came."""

    ident: int
    flags: int
    name: str
    qtype: int
    qclass: int
    wire: bytes

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a query; records after the question (EDNS) are ignored.

        Raises:
            PacketError: it is not a standard query with exactly one question and an uncompressed name.
        """
        if len(data) < 12:
            raise PacketError(f"DNS message of {len(data)} bytes")
        ident, flags, questions, _, _, _ = _HEADER.unpack_from(data)
        if flags & (_RESPONSE | _OPCODE) or questions != 1:
            raise PacketError(f"DNS message with flags {flags:#06x} and {questions} questions")
        labels, offset = [], 12
        while offset < len(data) and (size := data[offset]):
            if size > 63 or offset + 1 + size > len(data) or offset + size > 12 + 254:
                raise PacketError("DNS name truncated, compressed, or too long")
            labels.append(data[offset + 1 : offset + 1 + size].decode("latin-1"))
            offset += 1 + size
        if offset + 5 > len(data):
            raise PacketError("DNS question cut short")
        qtype, qclass = struct.unpack_from(">HH", data, offset + 1)
        return cls(
            ident=ident, flags=flags, name=".".join(labels), qtype=qtype, qclass=qclass, wire=data[12 : offset + 5]
        )

    def encode(self) -> bytes:
        """Encode as a query."""
        return _HEADER.pack(self.ident, self.flags, 1, 0, 0, 0) + self.wire

    def answer(self, records: tuple[tuple[int, bytes], ...], *, ttl: int = 3600, rcode: int = 0) -> bytes:
        """Build the answer.

        Arguments:
            records: (type, data) of each record.
            ttl: seconds for which the records may be cached.
            rcode: 0 for success, 3 for no such name (RFC 1035, section 4.1.1).
        """
        flags = _RESPONSE | _AUTHORITATIVE | (self.flags & _RECURSION_DESIRED) | _RECURSION_AVAILABLE | rcode
        out = _HEADER.pack(self.ident, flags, 1, len(records), 0, 0) + self.wire
        for kind, data in records:
            out += struct.pack(">HHHIH", 0xC00C, kind, IN, ttl, len(data)) + data  # 0xc00c: the name at offset 12
        return out
