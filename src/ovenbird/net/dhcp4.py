"""DHCP for IPv4: messages and options (RFC 2131, RFC 2132, RFC 3396).

An option that is longer than 255 bytes is split on the wire and joined when read. The fields `sname` and `file` are
bytes, unless option 52 declares that they contain options, which are then read too.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Self

from ovenbird.dataclass import dataclass, field
from ovenbird.net.errors import PacketError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SERVER_PORT, CLIENT_PORT = 67, 68
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
PAD, END = 0, 255
NETMASK, ROUTER, DNS, HOSTNAME, DOMAIN, MTU = 1, 3, 6, 12, 15, 26
REQUESTED_IP, LEASE_TIME, OVERLOAD, MESSAGE_TYPE, SERVER_ID, PARAMETERS = 50, 51, 52, 53, 54, 55
RENEWAL_TIME, REBINDING_TIME, CLIENT_ID, RELAY_INFORMATION, CLASSLESS_ROUTES = 58, 59, 61, 82, 121
BROADCAST_FLAG = 0x8000
_HEADER = struct.Struct(">BBBBIHH4s4s4s4s16s64s128s4s")
_COOKIE = b"\x63\x82\x53\x63"
_NONE = bytes(4)


def _read_options(data: bytes, options: dict[int, bytes]) -> None:
    """Read options into a dictionary; a missing end and an option cut short are errors."""
    offset = 0
    while offset < len(data) and data[offset] != END:
        code = data[offset]
        if code == PAD:
            offset += 1
            continue
        size = data[offset + 1] if offset + 1 < len(data) else 256
        if offset + 2 + size > len(data):
            raise PacketError(f"DHCP option {code} cut short")
        options[code] = options.get(code, b"") + data[offset + 2 : offset + 2 + size]
        offset += 2 + size


def encode_options(options: Mapping[int, bytes]) -> bytes:
    """Encode options in the mapping's order, with the end mark.

    Raises:
        PacketError: a code or a value is out of its range.
    """
    out = bytearray()
    for code, value in options.items():
        if not PAD < code < END:
            raise PacketError(f"DHCP has no option {code}")
        for start in range(0, len(value) or 1, 255):
            part = value[start : start + 255]
            out += bytes([code, len(part)]) + part
    out.append(END)
    return bytes(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dhcp4:
    """A message: `op` 1 to the server, 2 from it; addresses are 4 bytes; `chaddr` has the client's hardware address."""

    op: int
    xid: int
    chaddr: bytes
    options: Mapping[int, bytes] = field(default_factory=dict)
    ciaddr: bytes = _NONE
    yiaddr: bytes = _NONE
    siaddr: bytes = _NONE
    giaddr: bytes = _NONE
    flags: int = 0
    secs: int = 0
    hops: int = 0
    htype: int = 1
    sname: bytes = b""
    file: bytes = b""

    @property
    def message_type(self) -> int:
        """Return option 53, or 0 for a BOOTP message that has none."""
        return int.from_bytes(self.options.get(MESSAGE_TYPE, b""), "big")

    def encode(self) -> bytes:
        """Encode the message.

        Raises:
            PacketError: a field is too long for its place.
        """
        if len(self.chaddr) > 16 or len(self.sname) > 64 or len(self.file) > 128:
            raise PacketError("DHCP chaddr, sname or file too long")
        return _HEADER.pack(
            self.op, self.htype, len(self.chaddr), self.hops, self.xid, self.secs, self.flags, self.ciaddr, self.yiaddr,
            self.siaddr, self.giaddr, self.chaddr, self.sname, self.file, _COOKIE,
        ) + encode_options(self.options)  # fmt: skip

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a message.

        Raises:
            PacketError: the message is truncated, its cookie is wrong, or an option is malformed.
        """
        if len(data) < _HEADER.size:
            raise PacketError(f"DHCP message of {len(data)} bytes")
        op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, cookie = (
            _HEADER.unpack_from(data)
        )
        if cookie != _COOKIE or hlen > 16:
            raise PacketError(f"DHCP cookie {cookie.hex()}, hardware address of {hlen} bytes")
        options: dict[int, bytes] = {}
        _read_options(data[_HEADER.size :], options)
        overload = options.get(OVERLOAD, b"\0")[-1:]
        if overload in {b"\1", b"\3"}:
            _read_options(file, options)
            file = b""
        if overload in {b"\2", b"\3"}:
            _read_options(sname, options)
            sname = b""
        return cls(
            op=op,
            xid=xid,
            chaddr=chaddr[:hlen],
            options=options,
            ciaddr=ciaddr,
            yiaddr=yiaddr,
            siaddr=siaddr,
            giaddr=giaddr,
            flags=flags,
            secs=secs,
            hops=hops,
            htype=htype,
            sname=sname.rstrip(b"\0"),
            file=file.rstrip(b"\0"),
        )


def classless_routes(routes: Iterable[tuple[bytes, int, bytes]]) -> bytes:
    """Encode option 121 (RFC 3442) from (network, prefix length, router)."""
    return b"".join(bytes([length]) + network[: (length + 7) // 8] + router for network, length, router in routes)
