"""Messages about ports: port descriptions and their changes (OpenFlow 1.3.5, sections 7.2.1 and 7.4.3)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.messages.wire import frame, frame_multipart, kind, multipart_reply, multipart_request

_PORT = struct.Struct(">I4x6s2x16s8I")
_NUMBERS = ("config", "state", "curr", "advertised", "supported", "peer", "curr_speed", "max_speed")


@dataclass(frozen=True, slots=True)
class PortDesc:
    """One port of the switch; `config` bit 0 is administratively down, `state` bit 0 link down."""

    port_no: int
    hw_addr: bytes
    name: str
    _: KW_ONLY
    config: int
    state: int
    curr: int = 0
    advertised: int = 0
    supported: int = 0
    peer: int = 0
    curr_speed: int = 0
    max_speed: int = 0

    def encode(self) -> bytes:
        """Encode as struct ofp_port."""
        return _PORT.pack(
            self.port_no, self.hw_addr, self.name.encode(), self.config, self.state, self.curr, self.advertised,
            self.supported, self.peer, self.curr_speed, self.max_speed,
        )  # fmt: skip

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> Self:
        """Decode the struct ofp_port at `offset`; bytes of the name that are not UTF-8 become escapes."""
        port_no, hw_addr, name, *numbers = _PORT.unpack_from(data, offset)
        text = name.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
        return cls(port_no, hw_addr, text, **dict(zip(_NUMBERS, numbers, strict=True)))


class PortReason(IntEnum):
    """The change of a port."""

    ADD = 0
    DELETE = 1
    MODIFY = 2


@kind(12)
@dataclass(frozen=True, slots=True)
class PortStatus:
    """A port was added, removed or changed."""

    reason: PortReason
    port: PortDesc

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_PORT_STATUS."""
        return frame(12, xid=xid, body=struct.pack(">B7x", self.reason) + self.port.encode())

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        return cls(PortReason(body[0]), PortDesc.decode(body, 8))


@multipart_request(13)
@dataclass(frozen=True, slots=True)
class PortDescRequest:
    """Request all ports."""

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_PORT_DESC."""
        return frame_multipart(13, xid=xid)

    @classmethod
    def decode(cls, _body: bytes) -> Self:
        """Decode the body, which is ignored."""
        return cls()


@multipart_reply(13)
@dataclass(frozen=True, slots=True)
class PortDescReply:
    """Ports of the switch; `more` is true if another part of the reply follows."""

    ports: tuple[PortDesc, ...]
    more: bool = False

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_PORT_DESC's reply."""
        body = b"".join(port.encode() for port in self.ports)
        return frame(19, xid=xid, body=struct.pack(">HH4x", 13, self.more) + body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body, from the flags on."""
        ports = tuple(PortDesc.decode(body, offset) for offset in range(6, len(body), _PORT.size))
        return cls(ports, bool(body[1] & 1))
