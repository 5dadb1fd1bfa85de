"""Messages about groups and meters (OpenFlow 1.3.5, sections 7.3.4.2, 7.3.4.4 and 7.3.5.10)."""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.actions import Action, decode_actions, encode_actions
from ovenbird.openflow.errors import DecodeError
from ovenbird.openflow.messages.wire import frame, frame_multipart, kind, multipart_reply, multipart_request

_BUCKET = struct.Struct(">HHII4x")
ANY_PORT = 0xFFFFFFFF
"""No port to watch."""
ALL_GROUPS = 0xFFFFFFFC
ALL_METERS = 0xFFFFFFFF


class GroupType(IntEnum):
    """How a group selects buckets."""

    ALL = 0
    SELECT = 1
    INDIRECT = 2
    FAST_FAILOVER = 3


class ModCommand(IntEnum):
    """What a group_mod or meter_mod does."""

    ADD = 0
    MODIFY = 1
    DELETE = 2


@dataclass(frozen=True, slots=True)
class Bucket:
    """One alternative of a group; `weight` counts in select groups (elsewhere 0), `watch_*` in fast failover."""

    actions: tuple[Action, ...]
    _: KW_ONLY
    weight: int = 0
    watch_port: int = ANY_PORT
    watch_group: int = ANY_PORT

    def encode(self) -> bytes:
        """Encode as struct ofp_bucket."""
        actions = encode_actions(self.actions)
        return _BUCKET.pack(16 + len(actions), self.weight, self.watch_port, self.watch_group) + actions


def _decode_buckets(data: bytes) -> tuple[Bucket, ...]:
    buckets, offset = [], 0
    while offset < len(data):
        length, weight, watch_port, watch_group = _BUCKET.unpack_from(data, offset)
        if length < 16 or offset + length > len(data):
            raise DecodeError(f"bucket of {length} bytes")
        actions = decode_actions(data[offset + 16 : offset + length])
        buckets.append(Bucket(actions, weight=weight, watch_port=watch_port, watch_group=watch_group))
        offset += length
    return tuple(buckets)


@kind(15)
@dataclass(frozen=True, slots=True)
class GroupMod:
    """Add, change or delete a group, or all of them (`ALL_GROUPS`)."""

    command: ModCommand
    group_id: int
    group_type: GroupType = GroupType.ALL
    buckets: tuple[Bucket, ...] = ()

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_GROUP_MOD."""
        buckets = b"".join(bucket.encode() for bucket in self.buckets)
        return frame(15, xid=xid, body=struct.pack(">HBxI", self.command, self.group_type, self.group_id) + buckets)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        command, group_type, group_id = struct.unpack_from(">HBxI", body)
        return cls(ModCommand(command), group_id, GroupType(group_type), _decode_buckets(body[8:]))


@dataclass(frozen=True, slots=True)
class GroupDesc:
    """One group in the switch."""

    group_id: int
    group_type: GroupType
    buckets: tuple[Bucket, ...]


@multipart_request(7)
@dataclass(frozen=True, slots=True)
class GroupDescRequest:
    """Request all groups."""

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_GROUP_DESC."""
        return frame_multipart(7, xid=xid)

    @classmethod
    def decode(cls, _body: bytes) -> Self:
        """Decode the body, which is ignored."""
        return cls()


@multipart_reply(7)
@dataclass(frozen=True, slots=True)
class GroupDescReply:
    """Groups of the switch; `more` is true if another part of the reply follows."""

    groups: tuple[GroupDesc, ...]
    more: bool = False

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_GROUP_DESC's reply."""
        out = struct.pack(">HH4x", 7, self.more)
        for group in self.groups:
            buckets = b"".join(bucket.encode() for bucket in group.buckets)
            out += struct.pack(">HBxI", 8 + len(buckets), group.group_type, group.group_id) + buckets
        return frame(19, xid=xid, body=out)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body, from the flags on.

        Raises:
            DecodeError: a group is malformed.
        """
        groups, offset = [], 6
        while offset < len(body):
            length, group_type, group_id = struct.unpack_from(">HBxI", body, offset)
            if length < 8 or offset + length > len(body):
                raise DecodeError(f"group description of {length} bytes")
            buckets = _decode_buckets(body[offset + 8 : offset + length])
            groups.append(GroupDesc(group_id, GroupType(group_type), buckets))
            offset += length
        return cls(tuple(groups), bool(body[1] & 1))


class MeterFlag(IntFlag):
    """How a meter counts: kilobits or packets per second, with a burst, keeping statistics."""

    KBPS = 1
    PKTPS = 2
    BURST = 4
    STATS = 8


@kind(29)
@dataclass(frozen=True, slots=True)
class MeterMod:
    """Add, change or delete a meter that drops above a rate; `bands` are (rate, burst) in the flags' unit."""

    command: ModCommand
    meter_id: int
    flags: MeterFlag = MeterFlag.PKTPS
    bands: tuple[tuple[int, int], ...] = ()

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_METER_MOD."""
        bands = b"".join(struct.pack(">HHII4x", 1, 16, rate, burst) for rate, burst in self.bands)
        return frame(29, xid=xid, body=struct.pack(">HHI", self.command, self.flags, self.meter_id) + bands)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body.

        Raises:
            DecodeError: a band does not drop, or is truncated.
        """
        command, flags, meter_id = struct.unpack_from(">HHI", body)
        bands = []
        for kind_, length, rate, burst in struct.iter_unpack(">HHII4x", body[8:]):
            if (kind_, length) != (1, 16):
                raise DecodeError(f"meter band of type {kind_} and {length} bytes")
            bands.append((rate, burst))
        return cls(ModCommand(command), meter_id, MeterFlag(flags), tuple(bands))
