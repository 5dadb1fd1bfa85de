"""DNS queries, and answers to them from a table (RFC 1035), with EDNS (RFC 6891).

An answer is never larger than what the client takes: 512 bytes, or what its OPT record offers, at most 1,232 bytes,
which no link fragments. Records beyond that are left out and the answer is not marked as truncated: the client would
ask the same server by TCP, where nobody answers for these names.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import NamedTuple, Self

from ovenbird.dataclass import dataclass
from ovenbird.net.errors import PacketError

DNS_PORT = 53
A, PTR, AAAA, OPT, ANY = 1, 12, 28, 41, 255
IN = 1
REFUSED, BADVERS = 5, 16
"""Codes of answers (RFC 1035, section 4.1.1; RFC 6891, section 6.1.3)."""

PLAIN_SIZE, LARGEST_SIZE = 512, 1232
"""The largest answer in bytes without and with EDNS."""

_HEADER = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")
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


class Edns(NamedTuple):
    """What a query's OPT record says: the largest answer in bytes that its sender takes, and the version of EDNS."""

    size: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsQuery:
    """A standard query with one question; `name` keeps its case, `wire` is the question as it came."""

    ident: int
    flags: int
    name: str
    qtype: int
    qclass: int
    wire: bytes
    edns: Edns | None = None

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a query; records after the question are ignored, but for OPT.

        Raises:
            PacketError: it is not a standard query with exactly one question and an uncompressed name.
        """
        if len(data) < 12:
            raise PacketError(f"DNS message of {len(data)} bytes")
        ident, flags, questions, answers, authorities, additional = _HEADER.unpack_from(data)
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
            ident=ident,
            flags=flags,
            name=".".join(labels),
            qtype=qtype,
            qclass=qclass,
            wire=data[12 : offset + 5],
            edns=_edns(data, offset + 5, records=answers + authorities + additional),
        )

    def encode(self) -> bytes:
        """Encode as a query."""
        return _HEADER.pack(self.ident, self.flags, 1, 0, 0, 0) + self.wire

    def answer(self, records: tuple[tuple[int, bytes], ...], *, ttl: int = 3600, rcode: int = 0) -> bytes:
        """Build the answer, with as many of the records as the client takes.

        Arguments:
            records: (type, data) of each record.
            ttl: seconds for which the records may be cached.
            rcode: 0 for success, 3 for no such name (RFC 1035, section 4.1.1).
        """
        opt, room = b"", PLAIN_SIZE
        if self.edns is not None:
            rcode = rcode if self.edns.version == 0 else BADVERS
            opt = b"\0" + _RECORD.pack(OPT, LARGEST_SIZE, rcode >> 4 << 24, 0)
            room = min(max(self.edns.size, PLAIN_SIZE), LARGEST_SIZE)
        room -= _HEADER.size + len(self.wire) + len(opt)
        given = [
            b"\xc0\x0c" + _RECORD.pack(kind, IN, ttl, len(data)) + data  # the name is at offset 12
            for kind, data in (() if rcode else records)
        ]
        ends = accumulate(map(len, given))
        given = given[: sum(end <= room for end in ends)]
        flags = _RESPONSE | _AUTHORITATIVE | (self.flags & _RECURSION_DESIRED) | _RECURSION_AVAILABLE | (rcode & 15)
        head = _HEADER.pack(self.ident, flags, 1, len(given), 0, 1 if opt else 0)
        return b"".join((head, self.wire, *given, opt))


def _edns(data: bytes, offset: int, *, records: int) -> Edns | None:
    """Return what the OPT record of a message says; None if there is none, or the records are malformed.

    Arguments:
        data: the message.
        offset: where the records begin.
        records: their number; each takes 11 bytes at least.
    """
    for _ in range(records):
        name = offset
        while offset < len(data) and 0 < data[offset] < 64:
            offset += 1 + data[offset]
        offset += 1 if data[offset : offset + 1] == b"\0" else 2
        if offset + _RECORD.size > len(data):
            return None
        kind, size, more, length = _RECORD.unpack_from(data, offset)
        if kind == OPT and offset == name + 1:
            return Edns(size, version=more >> 16 & 0xFF)
        offset += _RECORD.size + length
    return None
