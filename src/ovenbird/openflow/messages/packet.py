"""Packets to and from the controller: NXT_PACKET_IN2, NXT_RESUME, packet_out.

See ovs-actions(7), "The controller action", and OpenFlow 1.5.1, section 7.3.6.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.actions import Action, Port, decode_actions, encode_actions
from ovenbird.openflow.errors import DecodeError, EncodeError
from ovenbird.openflow.match import Match, decode_oxm, encode_oxm, in_registers
from ovenbird.openflow.messages.wire import NICIRA, experimenter, frame, frame_experimenter, kind, properties

_NO_BUFFER = 0xFFFFFFFF

# Property types (NXPINT_*).
_PACKET, _FULL_LEN, _BUFFER_ID, _TABLE_ID, _COOKIE, _REASON, _METADATA, _USERDATA, _CONTINUATION = range(9)


def _property(number: int, value: bytes) -> bytes:
    length = len(value) + 4
    return struct.pack(">HH", number, length) + value + bytes(-length % 8)


@experimenter(NICIRA, subtype=30)
@dataclass(frozen=True, slots=True)
class PacketIn:
    """A packet that a flow sent to the controller.

    `metadata` are the packet's metadata fields (registers, in_port_oxm, ct_state, ...), `userdata` is that of the
    `Controller` action, `continuation` is opaque state of the switch (empty unless the action paused the packet).
    `full_len` is the packet's length before truncation.
    """

    packet: bytes
    metadata: Match
    _: KW_ONLY
    userdata: bytes = b""
    continuation: bytes = b""
    cookie: int = 0
    table: int = 0
    reason: int = 0
    full_len: int = 0

    def _encode_body(self) -> bytes:
        out = _property(_PACKET, self.packet) + _property(_METADATA, encode_oxm(self.metadata))
        if self.full_len and self.full_len != len(self.packet):
            out += _property(_FULL_LEN, self.full_len.to_bytes(4, "big"))
        if self.userdata:
            out += _property(_USERDATA, self.userdata)
        if self.continuation:
            out += _property(_CONTINUATION, self.continuation)
        out += _property(_TABLE_ID, bytes([self.table])) + _property(_REASON, bytes([self.reason]))
        return out + _property(_COOKIE, bytes(4) + self.cookie.to_bytes(8, "big"))

    def encode(self, xid: int = 0) -> bytes:
        """Encode as NXT_PACKET_IN2."""
        return frame_experimenter(NICIRA, subtype=30, xid=xid, body=self._encode_body())

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body; properties of unknown types are skipped.

        Raises:
            DecodeError: a property is malformed.
        """
        props = dict(properties(body))
        packet = props.get(_PACKET, b"")
        full_len = props.get(_FULL_LEN)
        return cls(
            packet,
            Match(in_registers(decode_oxm(props.get(_METADATA, b"")))),
            userdata=props.get(_USERDATA, b""),
            continuation=props.get(_CONTINUATION, b""),
            cookie=int.from_bytes(props.get(_COOKIE, b"")[4:], "big"),
            table=int.from_bytes(props.get(_TABLE_ID, b"")[:1], "big"),
            reason=int.from_bytes(props.get(_REASON, b"")[:1], "big"),
            full_len=len(packet) if full_len is None else int.from_bytes(full_len, "big"),
        )

    def resume(self, packet: bytes | None = None, metadata: Match | None = None) -> Resume:
        """Return the message that resumes the paused packet, with its bytes or metadata replaced if given.

        Raises:
            EncodeError: the packet-in is not paused.
        """
        if not self.continuation:
            raise EncodeError("the packet-in is not paused: it has no continuation")
        return Resume(
            replace(
                self,
                packet=self.packet if packet is None else packet,
                metadata=self.metadata if metadata is None else metadata,
                full_len=0,
            )
        )


@experimenter(NICIRA, subtype=28)
@dataclass(frozen=True, slots=True)
class Resume:
    """Resume a paused packet where its flow paused it."""

    packet_in: PacketIn

    def encode(self, xid: int = 0) -> bytes:
        """Encode as NXT_RESUME."""
        return frame_experimenter(NICIRA, subtype=28, xid=xid, body=self.packet_in._encode_body())  # noqa: SLF001 - same file, same form

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        return cls(PacketIn.decode(body))


@kind(13)
@dataclass(frozen=True, slots=True, kw_only=True)
class PacketOut:
    """Run actions on a packet as if it had arrived on `in_port`; actions at the beginning set its metadata."""

    packet: bytes
    actions: tuple[Action, ...] | bytes
    in_port: int = Port.CONTROLLER

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_PACKET_OUT.

        Raises:
            EncodeError: a value is out of its range.
        """
        actions = self.actions if isinstance(self.actions, bytes) else encode_actions(self.actions)
        match = Match.exact(in_port_oxm=self.in_port).encode()
        try:
            head = struct.pack(">IH2x", _NO_BUFFER, len(actions))
        except struct.error as error:
            raise EncodeError(f"packet_out with a value out of range: {error}") from None
        return frame(13, xid=xid, body=head + match + actions + self.packet)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body.

        Raises:
            DecodeError: the actions are longer than the message, or the match is malformed.
        """
        _, length = struct.unpack_from(">IH2x", body)
        match, start = Match.decode(body, 8)
        end = start + length
        if end > len(body):
            raise DecodeError(f"packet_out with {length} bytes of actions")
        in_port, _ = match.get("in_port_oxm", (Port.CONTROLLER, 0))
        return cls(packet=body[end:], actions=decode_actions(body[start:end]), in_port=in_port)
