"""Messages about flows: flow_mod, flow_removed, flow and aggregate statistics.

OpenFlow 1.3.5, sections 7.3.4 and 7.3.5. `FlowMod.encode` is the hottest path of the package. Its match and
instructions may be bytes that were encoded before.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.errors import DecodeError, EncodeError
from ovenbird.openflow.instructions import Instruction, decode_instructions
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages.wire import (
    VERSION,
    frame,
    frame_multipart,
    kind,
    multipart_reply,
    multipart_request,
)

_FLOW_MOD = struct.Struct(">BBHIQQBBHHHIIIH2x")
_REMOVED = struct.Struct(">QHBBIIHHQQ")
_STATS = struct.Struct(">HBxIIHHHH4xQQQ")
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


@kind(11)
@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRemoved:
    """A flow was removed: by idle timeout (reason 0), hard timeout (1), deletion (2), or its group's deletion (3)."""

    cookie: int
    priority: int
    reason: int
    table: int
    duration: float
    idle_timeout: int
    hard_timeout: int
    n_packets: int
    n_bytes: int
    match: Match

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_FLOW_REMOVED."""
        seconds = int(self.duration)
        head = _REMOVED.pack(
            self.cookie, self.priority, self.reason, self.table, seconds, int((self.duration - seconds) * 1e9),
            self.idle_timeout, self.hard_timeout, self.n_packets, self.n_bytes,
        )  # fmt: skip
        return frame(11, xid=xid, body=head + self.match.encode())

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        cookie, priority, reason, table, sec, nsec, idle, hard, n_packets, n_bytes = _REMOVED.unpack_from(body)
        match, _ = Match.decode(body, _REMOVED.size)
        return cls(
            cookie=cookie,
            priority=priority,
            reason=reason,
            table=table,
            duration=sec + nsec / 1e9,
            idle_timeout=idle,
            hard_timeout=hard,
            n_packets=n_packets,
            n_bytes=n_bytes,
            match=match,
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
        """Encode as OFPMP_FLOW."""
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
    """One flow in the switch; `instructions` are kept as the switch encoded them."""

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


@multipart_reply(1)
@dataclass(frozen=True, slots=True)
class FlowStatsReply:
    """Flows in the switch; `more` is true if another part of the reply follows."""

    flows: tuple[FlowStats, ...]
    more: bool = False

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_FLOW's reply."""
        out = []
        for flow in self.flows:
            seconds = int(flow.duration)
            tail = flow.match.encode() + flow.instructions
            head = _STATS.pack(
                _STATS.size + len(tail), flow.table, seconds, int((flow.duration - seconds) * 1e9), flow.priority,
                flow.idle_timeout, flow.hard_timeout, flow.flags, flow.cookie, flow.n_packets, flow.n_bytes,
            )  # fmt: skip
            out.append(head + tail)
        return frame(19, xid=xid, body=struct.pack(">HH4x", 1, self.more) + b"".join(out))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body, from the flags on.

        Raises:
            DecodeError: a flow is malformed.
        """
        flows = []
        offset = 6
        while offset < len(body):
            length, table, sec, nsec, priority, idle, hard, flags, cookie, n_packets, n_bytes = _STATS.unpack_from(
                body, offset
            )
            match, start = Match.decode(body, offset + _STATS.size)
            if not start <= offset + length <= len(body):
                raise DecodeError(f"flow statistics of {length} bytes")
            flows.append(
                FlowStats(
                    table=table,
                    priority=priority,
                    match=match,
                    instructions=body[start : offset + length],
                    cookie=cookie,
                    flags=flags,
                    idle_timeout=idle,
                    hard_timeout=hard,
                    duration=sec + nsec / 1e9,
                    n_packets=n_packets,
                    n_bytes=n_bytes,
                )
            )
            offset += length
        return cls(tuple(flows), bool(body[1] & 1))


@multipart_request(2)
@dataclass(frozen=True, slots=True)
class AggregateStatsRequest(FlowStatsRequest):
    """Request sums over the flows that a `FlowStatsRequest` would list."""

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_AGGREGATE."""
        return frame_multipart(2, xid=xid, body=self._body())


@multipart_reply(2)
@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateStatsReply:
    """Sums over flows."""

    n_packets: int
    n_bytes: int
    n_flows: int

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_AGGREGATE's reply."""
        return frame(19, xid=xid, body=struct.pack(">HH4xQQI4x", 2, 0, self.n_packets, self.n_bytes, self.n_flows))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body, from the flags on."""
        n_packets, n_bytes, n_flows = struct.unpack(">6xQQI4x", body)
        return cls(n_packets=n_packets, n_bytes=n_bytes, n_flows=n_flows)
