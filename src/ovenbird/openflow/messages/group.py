"""Messages about groups and meters (OpenFlow 1.5.1, sections 7.3.4.3, 7.3.4.5 and 7.3.5.11).

How a select group chooses among its buckets is a property of the group that Netronome has defined and Open vSwitch
takes (ovs-ofctl(8), `selection_method`).
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.actions import Action, decode_actions, encode_actions
from ovenbird.openflow.errors import DecodeError, EncodeError
from ovenbird.openflow.fields import FIELDS, field_named
from ovenbird.openflow.match import decode_oxm, encode_oxm
from ovenbird.openflow.messages.wire import (
    entries,
    frame,
    frame_multipart,
    kind,
    multipart_reply,
    multipart_request,
    properties,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_BUCKET = struct.Struct(">HHI")
_GROUP_MOD = struct.Struct(">HBxIH2xI")
_DESCRIPTION = struct.Struct(">HBxIH6x")
_WEIGHT = struct.Struct(">HHH2x")
_WATCH = struct.Struct(">HHI")
_SELECTION = struct.Struct(">HHIII16sQ")
_NETRONOME, _SELECTION_METHOD, _EXPERIMENTER = 0x154D, 1, 0xFFFF
_SYMMETRIC = 1 << 32
ANY_PORT = 0xFFFFFFFF
"""No port to watch."""
ALL_GROUPS = 0xFFFFFFFC
ALL_METERS = 0xFFFFFFFF
_ALL_BUCKETS = 0xFFFFFFFF
_LONGEST = 0xFFFF
MOST_BYTES = 0xF000
"""Bytes of buckets that a group may have, so that it fits into a message, also into one that describes it.

Larger groups can be made, by further messages that insert buckets; but the switch's description of such a group, by
which a controller that starts knows it again, is malformed (Open vSwitch 3.1).
"""


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


class BucketProperty(IntEnum):
    """The properties of a bucket."""

    WEIGHT = 0
    WATCH_PORT = 1
    WATCH_GROUP = 2


@dataclass(frozen=True, slots=True)
class Bucket:
    """One alternative of a group; `weight` counts in select groups (elsewhere 0), `watch_*` in fast failover."""

    actions: tuple[Action, ...]
    _: KW_ONLY
    weight: int = 0
    watch_port: int = ANY_PORT
    watch_group: int = ANY_PORT


def _encode_buckets(buckets: Iterable[Bucket], group_type: GroupType) -> bytes:
    """Encode buckets as struct ofp_bucket; each is known by its place, and those of a select group have a weight.

    Raises:
        EncodeError: an action has no encoding, or a number is out of its range.
    """
    out = []
    try:
        for number, bucket in enumerate(buckets):
            actions = encode_actions(bucket.actions)
            rest = _WEIGHT.pack(BucketProperty.WEIGHT, 8, bucket.weight) if group_type is GroupType.SELECT else b""
            if bucket.watch_port != ANY_PORT:
                rest += _WATCH.pack(BucketProperty.WATCH_PORT, 8, bucket.watch_port)
            if bucket.watch_group != ANY_PORT:
                rest += _WATCH.pack(BucketProperty.WATCH_GROUP, 8, bucket.watch_group)
            out.append(_BUCKET.pack(8 + len(actions) + len(rest), len(actions), number) + actions + rest)
    except struct.error as error:
        raise EncodeError(f"bucket with a value out of range: {error}") from None
    return b"".join(out)


def fitting(buckets: Iterable[Bucket]) -> tuple[Bucket, ...]:
    """Return the first buckets of a select group, as many as there is room for.

    Raises:
        EncodeError: an action has no encoding, or a number is out of its range.
    """
    found: list[Bucket] = []
    size = 0
    for bucket in buckets:
        size += len(_encode_buckets((bucket,), GroupType.SELECT))
        if size > MOST_BYTES:
            break
        found.append(bucket)
    return tuple(found)


def _decode_buckets(data: bytes) -> tuple[Bucket, ...]:
    buckets, offset = [], 0
    while offset < len(data):
        length, size, _ = _BUCKET.unpack_from(data, offset)
        start, end = offset + 8 + size, offset + length
        if length < 8 + size or end > len(data):
            raise DecodeError(f"bucket of {length} bytes")
        rest = dict(properties(data[start:end]))
        (weight,) = struct.unpack_from(">H", rest.get(BucketProperty.WEIGHT, bytes(2)))
        port, group = [
            int.from_bytes(rest[kind_], "big") if kind_ in rest else ANY_PORT
            for kind_ in (BucketProperty.WATCH_PORT, BucketProperty.WATCH_GROUP)
        ]
        actions = decode_actions(data[offset + 8 : start])
        buckets.append(Bucket(actions, weight=weight, watch_port=port, watch_group=group))
        offset = end
    return tuple(buckets)


@dataclass(frozen=True, slots=True)
class Selection:
    """How a select group chooses a bucket.

    Arguments:
        method: `dp_hash`, by the datapath's own hash of the 5-tuple, or `hash`, by the switch's hash of `fields`.
        fields: main names of `FIELDS`; the switch reports them in its own order.
        parameter: for `dp_hash` the algorithm in the upper 32 bits (`_SYMMETRIC`), and the basis in the lower ones.
    """

    method: str = ""
    fields: frozenset[str] = frozenset()
    _: KW_ONLY
    parameter: int = 0

    @classmethod
    def of(cls, *fields: str, symmetric: bool = False) -> Self:
        """Return the choice by fields, or by the datapath's hash.

        Arguments:
            fields: names of ovs-fields(7), aliases allowed; none for the datapath's hash.
            symmetric: whether that hash is the same in both directions of a connection.

        Raises:
            EncodeError: no field has the name.
        """
        if fields:
            return cls("hash", frozenset([field_named(name).name for name in fields]))
        return cls("dp_hash", parameter=_SYMMETRIC if symmetric else 0)

    def encode(self) -> bytes:
        """Encode as the property of a group; without a method there is none, and the switch has its default.

        Raises:
            EncodeError: a value has no encoding.
        """
        if not self.method:
            return b""
        fields = encode_oxm({name: (FIELDS[name].mask, FIELDS[name].mask) for name in self.fields})
        length, method = _SELECTION.size + len(fields), self.method.encode()
        head = _SELECTION.pack(_EXPERIMENTER, length, _NETRONOME, _SELECTION_METHOD, 0, method, self.parameter)
        return (head + fields).ljust((length + 7) & ~7, b"\0")


def _decode_selection(data: bytes) -> Selection:
    for number, value in properties(data):
        if number == _EXPERIMENTER and struct.unpack_from(">II", value) == (_NETRONOME, _SELECTION_METHOD):
            method, parameter = struct.unpack_from(">12x16sQ", value)
            name = method.split(b"\0", 1)[0].decode("ascii", "backslashreplace")
            return Selection(name, frozenset(decode_oxm(value[36:])), parameter=parameter)
    return Selection()


@kind(15)
@dataclass(frozen=True, slots=True)
class GroupMod:
    """Add, change or delete a group, or all of them (`ALL_GROUPS`)."""

    command: ModCommand
    group_id: int
    group_type: GroupType = GroupType.ALL
    buckets: tuple[Bucket, ...] = ()
    selection: Selection = Selection()

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_GROUP_MOD.

        Raises:
            EncodeError: a bucket has no encoding, or there are too many for a message.
        """
        buckets = _encode_buckets(self.buckets, self.group_type)
        if len(buckets) > _LONGEST:
            raise EncodeError(f"{len(self.buckets)} buckets of {len(buckets)} bytes in one group")
        head = _GROUP_MOD.pack(self.command, self.group_type, self.group_id, len(buckets), _ALL_BUCKETS)
        return frame(15, xid=xid, body=head + buckets + self.selection.encode())

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body.

        Raises:
            DecodeError: the group is malformed.
        """
        command, group_type, group_id, size, _ = _GROUP_MOD.unpack_from(body)
        end = _checked(_GROUP_MOD.size + size, body)
        buckets = _decode_buckets(body[_GROUP_MOD.size : end])
        return cls(ModCommand(command), group_id, GroupType(group_type), buckets, _decode_selection(body[end:]))


def _checked(end: int, data: bytes) -> int:
    if end > len(data):
        raise DecodeError(f"group whose buckets end at {end} of {len(data)} bytes")
    return end


@dataclass(frozen=True, slots=True)
class GroupDesc:
    """One group in the switch."""

    group_id: int
    group_type: GroupType
    buckets: tuple[Bucket, ...]
    selection: Selection = Selection()

    def encode(self) -> bytes:
        """Encode as struct ofp_group_desc."""
        buckets = _encode_buckets(self.buckets, self.group_type)
        rest = buckets + self.selection.encode()
        length = _DESCRIPTION.size + len(rest)
        return _DESCRIPTION.pack(length, self.group_type, self.group_id, len(buckets)) + rest

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a struct ofp_group_desc.

        Raises:
            DecodeError: the group is malformed.
        """
        _, group_type, group_id, size = _DESCRIPTION.unpack_from(data)
        end = _checked(_DESCRIPTION.size + size, data)
        buckets = _decode_buckets(data[_DESCRIPTION.size : end])
        return cls(group_id, GroupType(group_type), buckets, _decode_selection(data[end:]))


@multipart_request(7)
@dataclass(frozen=True, slots=True)
class GroupDescRequest:
    """Request one group, or all of them."""

    group_id: int = ALL_GROUPS

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_GROUP_DESC."""
        return frame_multipart(7, xid=xid, body=struct.pack(">I4x", self.group_id))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        return cls(struct.unpack_from(">I", body)[0])


@multipart_reply(7)
@dataclass(frozen=True, slots=True)
class GroupDescReply:
    """Groups of the switch; `more` is true if another part of the reply follows."""

    groups: tuple[GroupDesc, ...]
    more: bool = False

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_GROUP_DESC's reply."""
        groups = b"".join([group.encode() for group in self.groups])
        return frame(19, xid=xid, body=struct.pack(">HH4x", 7, self.more) + groups)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body, from the flags on.

        Raises:
            DecodeError: a group is malformed.
        """
        groups = [GroupDesc.decode(each) for each in entries(body, "group description", shortest=_DESCRIPTION.size)]
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
