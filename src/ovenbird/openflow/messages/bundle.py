"""Bundles: many changes that the switch makes at once or not at all (OpenFlow 1.5.1, section 7.3.9)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.openflow.errors import EncodeError
from ovenbird.openflow.messages.flow import Command
from ovenbird.openflow.messages.wire import VERSION, Message, decode_message, frame, kind

_ADD = struct.Struct(">BBHII2xH")
_ADD_FLOW = struct.Struct(">BBHII2xH BBHIQQBBHHHIIIH2x")  # the bundle's header, then the flow_mod's
_ANY = 0xFFFFFFFF
ATOMIC, ORDERED = 1, 2


class BundleControlType(IntEnum):
    """The kind of a bundle control message."""

    OPEN_REQUEST = 0
    OPEN_REPLY = 1
    CLOSE_REQUEST = 2
    CLOSE_REPLY = 3
    COMMIT_REQUEST = 4
    COMMIT_REPLY = 5
    DISCARD_REQUEST = 6
    DISCARD_REPLY = 7


@kind(33)
@dataclass(frozen=True, slots=True)
class BundleControl:
    """Open, close, commit or discard a bundle, or reply to this."""

    bundle_id: int
    control: BundleControlType
    flags: int = ATOMIC | ORDERED

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_BUNDLE_CONTROL."""
        return frame(33, xid=xid, body=struct.pack(">IHH", self.bundle_id, self.control, self.flags))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        bundle_id, control, flags = struct.unpack_from(">IHH", body)
        return cls(bundle_id, BundleControlType(control), flags)


def encode_bundle_add(bundle_id: int, message: bytes, *, xid: int, flags: int = ATOMIC | ORDERED) -> bytes:
    """Put an encoded message into a bundle.

    Arguments:
        bundle_id: of the open bundle.
        message: the message, whose header must have the same transaction id `xid` (OpenFlow 1.5.1, section 7.3.9.6).
        xid: the transaction id.
        flags: the flags with which the bundle was opened.
    """
    return _ADD.pack(VERSION, 34, 16 + len(message), xid, bundle_id, flags) + message


FlowChange = tuple[tuple[int, int, bytes], tuple[bytes, int] | None]
"""Table, priority and encoded match of a flow; its new encoded instructions and cookie, or None to delete it."""


def encode_flow_change(bundle_id: int, change: FlowChange, *, xid: int, flags: int = ATOMIC | ORDERED) -> bytes:
    """Encode a change of a flow as a flow_mod in a bundle, as `encode_bundle_add` does for an encoded message.

    A controller that starts sends a hundred thousand of these; therefore one `pack` writes both headers.

    Arguments:
        bundle_id: of the open bundle.
        change: the change.
        xid: the transaction id.
        flags: the flags with which the bundle was opened.

    Raises:
        EncodeError: a value of the flow is out of its range.
    """
    (table, priority, match), content = change
    instructions, cookie = content or (b"", 0)
    command = Command.DELETE_STRICT if content is None else Command.ADD
    length = 48 + len(match) + len(instructions)
    try:
        return (
            _ADD_FLOW.pack(
                VERSION, 34, 16 + length, xid, bundle_id, flags,
                VERSION, 14, length, xid, cookie, 0, table, command, 0, 0, priority, _ANY, _ANY, _ANY, 0,
            )
            + match
            + instructions
        )  # fmt: skip
    except struct.error as error:
        raise EncodeError(f"flow_mod with a value out of range: {error}") from None


@kind(34)
@dataclass(frozen=True, slots=True)
class BundleAdd:
    """Put a message into a bundle."""

    bundle_id: int
    message: Message
    flags: int = ATOMIC | ORDERED

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_BUNDLE_ADD_MESSAGE."""
        return encode_bundle_add(self.bundle_id, self.message.encode(xid), xid=xid, flags=self.flags)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body; properties after the message are skipped."""
        bundle_id, flags, length = struct.unpack_from(">I2xH2xH", body)
        return cls(bundle_id, decode_message(body[8 : 8 + length])[1], flags)
