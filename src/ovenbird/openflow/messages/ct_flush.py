"""The message that flushes connections with given endpoints or labels from conntrack (NXT_CT_FLUSH).

Open vSwitch has it since 3.1, with labels since 3.4; an older one refuses it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Self

from ovenbird.dataclass import dataclass
from ovenbird.openflow.messages.wire import NICIRA, experimenter, frame_experimenter

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORIGINAL, _REPLY, _ZONE, _LABELS, _LABELS_MASK = 0, 1, 2, 5, 6
_SRC, _DST, _SRC_PORT, _DST_PORT = 0, 1, 2, 3
_MAPPED = bytes(10) + b"\xff\xff"
"""The prefix of an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2)."""


@experimenter(NICIRA, subtype=32)
@dataclass(frozen=True, slots=True, kw_only=True)
class CtFlush:
    """Flush the connections that all of the criteria match; those without a zone match in all zones.

    Arguments:
        protocol: IP protocol number; 0 for any.
        destination: destination IP address of the connections, of 4 or 16 bytes; empty for any.
        destination_port: destination port; 0 for any.
        source: source IP address of the replies, likewise.
        source_port: source port of the replies; 0 for any.
        zone: conntrack zone; None for any.
        labels: bits that the connections' `ct_label` has, of 128.
        labels_mask: which of these bits count.
    """

    protocol: int = 0
    destination: bytes = b""
    destination_port: int = 0
    source: bytes = b""
    source_port: int = 0
    zone: int | None = None
    labels: int = 0
    labels_mask: int = 0

    def encode(self, xid: int = 0) -> bytes:
        """Encode as NXT_CT_FLUSH."""
        body = struct.pack(">B7x", self.protocol)
        if self.destination:
            body += _nested(_ORIGINAL, _tuple(_DST, self.destination, _DST_PORT, self.destination_port))
        if self.source:
            body += _nested(_REPLY, _tuple(_SRC, self.source, _SRC_PORT, self.source_port))
        if self.zone is not None:
            body += _property(_ZONE, self.zone.to_bytes(2, "big"))
        if self.labels_mask:
            body += _property(_LABELS, self.labels.to_bytes(16, "big"))
            body += _property(_LABELS_MASK, self.labels_mask.to_bytes(16, "big"))
        return frame_experimenter(NICIRA, subtype=32, xid=xid, body=body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        found: dict[tuple[int, int], bytes] = {}
        plain: dict[int, bytes] = {}
        for kind, content in _properties(body[8:]):
            if kind in (_ORIGINAL, _REPLY):
                found |= {(kind, part): value for part, value in _properties(content[4:])}
            else:
                plain[kind] = content
        return cls(
            protocol=body[0],
            destination=_address(found.get((_ORIGINAL, _DST), b"")),
            destination_port=int.from_bytes(found.get((_ORIGINAL, _DST_PORT), b"")),
            source=_address(found.get((_REPLY, _SRC), b"")),
            source_port=int.from_bytes(found.get((_REPLY, _SRC_PORT), b"")),
            zone=int.from_bytes(plain[_ZONE]) if _ZONE in plain else None,
            labels=int.from_bytes(plain.get(_LABELS, b"")),
            labels_mask=int.from_bytes(plain.get(_LABELS_MASK, b"")),
        )


@dataclass(frozen=True, slots=True)
class CtFlushProbe:
    """A CtFlush for TCP to 255.255.255.255, of which there is none, with labels too short.

    A switch that knows labels refuses it, an older one passes over them.
    """

    def encode(self, xid: int = 0) -> bytes:
        """Encode as NXT_CT_FLUSH."""
        body = struct.pack(">B7x", 6) + _nested(_ORIGINAL, _tuple(_DST, b"\xff" * 4, _DST_PORT, 1))
        return frame_experimenter(NICIRA, subtype=32, xid=xid, body=body + _property(_LABELS, bytes(2)))


def _property(kind: int, content: bytes) -> bytes:
    length = 4 + len(content)
    return struct.pack(">HH", kind, length) + content + bytes(-length % 8)


def _nested(kind: int, content: bytes) -> bytes:
    return _property(kind, bytes(4) + content)


def _tuple(address_kind: int, address: bytes, port_kind: int, port: int) -> bytes:
    found = _property(address_kind, _MAPPED + address if len(address) == 4 else address)
    return found + _property(port_kind, port.to_bytes(2, "big")) if port else found


def _address(value: bytes) -> bytes:
    return value.removeprefix(_MAPPED)


def _properties(body: bytes) -> Iterator[tuple[int, bytes]]:
    while body:
        kind, length = struct.unpack_from(">HH", body)
        if not 4 <= length <= len(body):
            raise struct.error
        yield kind, body[4:length]
        body = body[(length + 7) & ~7 :]
