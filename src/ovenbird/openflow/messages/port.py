"""Messages about ports: port descriptions and their changes (OpenFlow 1.5.1, sections 7.2.1 and 7.4.3)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.messages.wire import (
    entries,
    frame,
    frame_multipart,
    kind,
    multipart_reply,
    multipart_request,
    properties,
)

_PORT = struct.Struct(">IH2x6s2x16sII")
_ETHERNET = struct.Struct(">HH4x6I")
_ETHERNET_PROPERTY = 0
_NUMBERS = ("curr", "advertised", "supported", "peer", "curr_speed", "max_speed")
_ANY = 0xFFFFFFFF


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
        numbers = (self.curr, self.advertised, self.supported, self.peer, self.curr_speed, self.max_speed)
        head = _PORT.pack(
            self.port_no, _PORT.size + _ETHERNET.size, self.hw_addr, self.name.encode(), self.config, self.state
        )
        return head + _ETHERNET.pack(_ETHERNET_PROPERTY, _ETHERNET.size, *numbers)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a struct ofp_port; bytes of the name that are not UTF-8 become escapes.

        Raises:
            DecodeError: a property is malformed; those of unknown types are skipped.
        """
        port_no, _, hw_addr, name, config, state = _PORT.unpack_from(data)
        text = name.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
        speeds = dict(properties(data[_PORT.size :])).get(_ETHERNET_PROPERTY, b"")
        numbers = struct.unpack_from(">4x6I", speeds) if speeds else ()
        return cls(port_no, hw_addr, text, config=config, state=state, **dict(zip(_NUMBERS, numbers, strict=False)))


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
        return cls(PortReason(body[0]), PortDesc.decode(body[8:]))


@multipart_request(13)
@dataclass(frozen=True, slots=True)
class PortDescRequest:
    """Request all ports."""

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_PORT_DESC."""
        return frame_multipart(13, xid=xid, body=struct.pack(">I4x", _ANY))

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
        """Decode the body, from the flags on.

        Raises:
            DecodeError: a port is malformed.
        """
        ports = [PortDesc.decode(each) for each in entries(body, "port description", shortest=_PORT.size, at=4)]
        return cls(tuple(ports), bool(body[1] & 1))
