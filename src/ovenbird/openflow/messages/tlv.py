"""Messages about the mapping from Geneve options to tun_metadata fields (ovs-fields(7), "Geneve Fields")."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.openflow.messages.wire import NICIRA, experimenter, frame_experimenter

_MAP = struct.Struct(">HBBH2x")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlvMap:
    """Map a Geneve option (class, type, length in bytes: a multiple of 4 up to 124) to tun_metadata<index>."""

    option_class: int
    option_type: int
    length: int
    index: int

    def encode(self) -> bytes:
        """Encode as struct nx_tlv_map."""
        return _MAP.pack(self.option_class, self.option_type, self.length, self.index)


def _maps(data: bytes) -> tuple[TlvMap, ...]:
    return tuple(
        TlvMap(option_class=option_class, option_type=option_type, length=length, index=index)
        for option_class, option_type, length, index in _MAP.iter_unpack(data)
    )


class TlvCommand(IntEnum):
    """The operation of a TLV table mod."""

    ADD = 0
    DELETE = 1
    CLEAR = 2


@experimenter(NICIRA, subtype=24)
@dataclass(frozen=True, slots=True)
class TlvTableMod:
    """Add or delete mappings, or clear them all."""

    command: TlvCommand
    maps: tuple[TlvMap, ...] = ()

    def encode(self, xid: int = 0) -> bytes:
        """Encode as NXT_TLV_TABLE_MOD."""
        body = struct.pack(">H6x", self.command) + b"".join(one.encode() for one in self.maps)
        return frame_experimenter(NICIRA, subtype=24, xid=xid, body=body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        (command,) = struct.unpack_from(">H6x", body)
        return cls(TlvCommand(command), _maps(body[8:]))


@experimenter(NICIRA, subtype=25)
@dataclass(frozen=True, slots=True)
class TlvTableRequest:
    """Request the mappings."""

    def encode(self, xid: int = 0) -> bytes:
        """Encode as NXT_TLV_TABLE_REQUEST."""
        return frame_experimenter(NICIRA, subtype=25, xid=xid)

    @classmethod
    def decode(cls, _body: bytes) -> Self:
        """Decode the body, which is ignored."""
        return cls()


@experimenter(NICIRA, subtype=26)
@dataclass(frozen=True, slots=True, kw_only=True)
class TlvTableReply:
    """The mappings, and the numbers of option bytes and of fields that the switch can map."""

    max_option_space: int
    max_fields: int
    maps: tuple[TlvMap, ...]

    def encode(self, xid: int = 0) -> bytes:
        """Encode as NXT_TLV_TABLE_REPLY."""
        body = struct.pack(">IH10x", self.max_option_space, self.max_fields)
        return frame_experimenter(NICIRA, subtype=26, xid=xid, body=body + b"".join(one.encode() for one in self.maps))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        space, fields = struct.unpack_from(">IH10x", body)
        return cls(max_option_space=space, max_fields=fields, maps=_maps(body[16:]))
