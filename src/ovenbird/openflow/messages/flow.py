"""Messages about flows: flow_mod, and descriptions of flows with their statistics.

OpenFlow 1.5.1, sections 7.3.4 and 7.3.5; statistics are OXS fields (section 7.2.4).
`FlowMod.encode` is the hottest path of the package. Its match and instructions may be bytes that were encoded before.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.errors import DecodeError, EncodeError
from ovenbird.openflow.instructions import Instruction, decode_instructions
from ovenbird.openflow.match import Match, in_registers
from ovenbird.openflow.messages.wire import (
    VERSION,
    entries,
    frame,
    frame_multipart,
    kind,
    multipart_reply,
    multipart_request,
)

_FLOW_MOD = struct.Struct(">BBHIQQBBHHHIIIH2x")
_DESCRIPTION = struct.Struct(">H2xBxHHHHHQ")
_STATS = struct.Struct(">HH")
_OXS = struct.Struct(">HBB")
_BASIC = 0x8002
_DURATION, _FLOWS, _PACKETS, _BYTES = 0, 3, 4, 5
_STATS_REQUEST = struct.Struct(">B3xII4xQQ")
_ANY = 0xFFFFFFFF
ALL_TABLES = 255


class Command(IntEnum):
    """What a flow_mod does; the strict forms take priority and match literally."""

    ADD = 0
    MODIFY = 1
    MODIFY_STRICT = 2
    DELETE = 3
    DELETE_STRICT = 4


class FlowFlag(IntFlag):
    """Flags of a flow."""

    SEND_FLOW_REM = 1
    CHECK_OVERLAP = 2
    RESET_COUNTS = 4
    NO_PKT_COUNTS = 8
    NO_BYT_COUNTS = 16


def _instructions(instructions: tuple[Instruction, ...] | bytes) -> bytes:
    if isinstance(instructions, bytes):
        return instructions
    try:
        return b"".join([instruction.encode() for instruction in instructions])
    except struct.error as error:
        raise EncodeError(f"instruction with a value out of range: {error}") from None


@kind(14)
@dataclass(slots=True, unsafe_hash=True, kw_only=True)
class FlowMod:
    """Add, change or delete flows.

    `match` is a `Match` or its encoding, `instructions` a tuple or their encoding; no instructions drop the packet.
    Timeouts are in seconds, 0 for none. With modify and delete, `cookie_mask` restricts to flows with these bits of
    `cookie`, and `out_port` and `out_group` to flows that output there. The class is not frozen because frozen
    dataclasses take three times as long to make.
    """

    table: int
    priority: int
    match: Match | bytes
    instructions: tuple[Instruction, ...] | bytes = ()
    cookie: int = 0
    command: Command = Command.ADD
    cookie_mask: int = 0
    idle_timeout: int = 0
    hard_timeout: int = 0
    flags: int = 0
    out_port: int = _ANY
    out_group: int = _ANY

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_FLOW_MOD.

        Raises:
            EncodeError: a value is out of its range.
        """
        match = self.match
        if not isinstance(match, bytes):
            match = match.encode()
        instructions = self.instructions
        if not isinstance(instructions, bytes):
            instructions = _instructions(instructions)
        try:
            return (
                _FLOW_MOD.pack(
                    VERSION, 14, 48 + len(match) + len(instructions), xid, self.cookie, self.cookie_mask, self.table,
                    self.command, self.idle_timeout, self.hard_timeout, self.priority, _ANY, self.out_port,
                    self.out_group, self.flags,
                )
                + match
                + instructions
            )  # fmt: skip
        except struct.error as error:
            raise EncodeError(f"flow_mod with a value out of range: {error}") from None

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        cookie, cookie_mask, table, command, idle, hard, priority, _, out_port, out_group, flags = struct.unpack_from(
            ">QQBBHHHIIIH2x", body
        )
        match, end = Match.decode(body, 40)
        return cls(
            table=table,
            priority=priority,
            match=match,
            instructions=decode_instructions(body[end:]),
            cookie=cookie,
            command=Command(command),
            cookie_mask=cookie_mask,
            idle_timeout=idle,
            hard_timeout=hard,
            flags=flags,
            out_port=out_port,
            out_group=out_group,
        )


@multipart_request(1)
@dataclass(frozen=True, slots=True)
class FlowStatsRequest:
    """Request the matching flows of a table (255: of all tables) with these bits of the cookie."""

    table: int = ALL_TABLES
    match: Match = Match()
    _: KW_ONLY
    cookie: int = 0
    cookie_mask: int = 0
    out_port: int = _ANY
    out_group: int = _ANY

    def _body(self) -> bytes:
        head = _STATS_REQUEST.pack(self.table, self.out_port, self.out_group, self.cookie, self.cookie_mask)
        return head + self.match.encode()

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_FLOW_DESC."""
        return frame_multipart(1, xid=xid, body=self._body())

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        table, out_port, out_group, cookie, cookie_mask = _STATS_REQUEST.unpack_from(body)
        return cls(
            table,
            Match.decode(body, _STATS_REQUEST.size)[0],
            cookie=cookie,
            cookie_mask=cookie_mask,
            out_port=out_port,
            out_group=out_group,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStats:
    """One flow in the switch, with its statistics; `instructions` are kept as the switch encoded them."""

    table: int
    priority: int
    match: Match
    instructions: bytes
    cookie: int
    flags: int
    idle_timeout: int
    hard_timeout: int
    duration: float
    n_packets: int
    n_bytes: int


def _pack_statistics(*fields: tuple[int, bytes]) -> bytes:
    body = b"".join([_OXS.pack(_BASIC, field << 1, len(value)) + value for field, value in fields])
    return (_STATS.pack(0, _STATS.size + len(body)) + body).ljust((_STATS.size + len(body) + 7) & ~7, b"\0")


def _unpack_statistics(data: bytes, offset: int) -> tuple[dict[int, bytes], int]:
    """Return the values of a struct ofp_stats by field, those of unknown classes left out, and the offset after it."""
    _, length = _STATS.unpack_from(data, offset)
    end, offset = offset + length, offset + _STATS.size
    if end > len(data):
        raise DecodeError(f"statistics of {length} bytes")
    values: dict[int, bytes] = {}
    while offset < end:
        family, field, size = _OXS.unpack_from(data, offset)
        offset += _OXS.size
        if family == _BASIC:
            values[field >> 1] = data[offset : offset + size]
        offset += size
    return values, end + (-length & 7)


def _number(values: dict[int, bytes], field: int) -> int:
    return int.from_bytes(values.get(field, b""), "big")


def _decode_description(data: bytes) -> FlowStats:
    _, table, priority, idle, hard, flags, _, cookie = _DESCRIPTION.unpack_from(data)
    match, start = Match.decode(data, _DESCRIPTION.size)
    values, start = _unpack_statistics(data, start)
    seconds, nanoseconds = divmod(_number(values, _DURATION), 1 << 32)
    return FlowStats(
        table=table,
        priority=priority,
        match=Match(in_registers(match)),
        instructions=data[start:],
        cookie=cookie,
        flags=flags,
        idle_timeout=idle,
        hard_timeout=hard,
        duration=seconds + nanoseconds / 1e9,
        n_packets=_number(values, _PACKETS),
        n_bytes=_number(values, _BYTES),
    )


@multipart_reply(1)
@dataclass(frozen=True, slots=True)
class FlowStatsReply:
    """Flows in the switch; `more` is true if another part of the reply follows."""

    flows: tuple[FlowStats, ...]
    more: bool = False

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_FLOW_DESC's reply."""
        out = []
        for flow in self.flows:
            seconds = int(flow.duration)
            statistics = _pack_statistics(
                (_DURATION, struct.pack(">II", seconds, int((flow.duration - seconds) * 1e9))),
                (_PACKETS, flow.n_packets.to_bytes(8, "big")),
                (_BYTES, flow.n_bytes.to_bytes(8, "big")),
            )
            tail = flow.match.encode() + statistics + flow.instructions
            head = _DESCRIPTION.pack(
                _DESCRIPTION.size + len(tail), flow.table, flow.priority, flow.idle_timeout, flow.hard_timeout,
                flow.flags, 0, flow.cookie,
            )  # fmt: skip
            out.append(head + tail)
        return frame(19, xid=xid, body=struct.pack(">HH4x", 1, self.more) + b"".join(out))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body, from the flags on.

        Raises:
            DecodeError: a flow is malformed.
        """
        flows = [_decode_description(each) for each in entries(body, "flow description", shortest=_DESCRIPTION.size)]
        return cls(tuple(flows), bool(body[1] & 1))


@multipart_request(2)
@dataclass(frozen=True, slots=True)
class AggregateStatsRequest(FlowStatsRequest):
    """Request sums over the flows that a `FlowStatsRequest` would list."""

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_AGGREGATE_STATS."""
        return frame_multipart(2, xid=xid, body=self._body())


@multipart_reply(2)
@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateStatsReply:
    """Sums over flows."""

    n_packets: int
    n_bytes: int
    n_flows: int

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_AGGREGATE_STATS's reply."""
        statistics = _pack_statistics(
            (_FLOWS, self.n_flows.to_bytes(4, "big")),
            (_PACKETS, self.n_packets.to_bytes(8, "big")),
            (_BYTES, self.n_bytes.to_bytes(8, "big")),
        )
        return frame(19, xid=xid, body=struct.pack(">HH4x", 2, 0) + statistics)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body, from the flags on.

        Raises:
            DecodeError: a sum is cut short.
        """
        values, _ = _unpack_statistics(body, 6)
        return cls(
            n_packets=_number(values, _PACKETS), n_bytes=_number(values, _BYTES), n_flows=_number(values, _FLOWS)
        )
