"""Instructions of flows (OpenFlow 1.5.1, section 7.2.5)."""

from __future__ import annotations

import struct

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.actions.wire import Action, decode_actions, encode_actions
from ovenbird.openflow.errors import DecodeError, EncodeError

_HEADER = struct.Struct(">HH4x")


@dataclass(frozen=True, slots=True)
class GotoTable:
    """Continue in a later table."""

    table: int

    def encode(self) -> bytes:
        """Encode as OFPIT_GOTO_TABLE."""
        return struct.pack(">HHB3x", 1, 8, self.table)


@dataclass(frozen=True, slots=True)
class WriteMetadata:
    """Write the bits of the metadata field that are set in `mask`."""

    metadata: int
    _: KW_ONLY
    mask: int = 0xFFFF_FFFF_FFFF_FFFF

    def encode(self) -> bytes:
        """Encode as OFPIT_WRITE_METADATA."""
        return struct.pack(">HH4xQQ", 2, 24, self.metadata, self.mask)


@dataclass(frozen=True, slots=True)
class WriteActions:
    """Merge actions into the action set, which runs at the pipeline's end."""

    actions: tuple[Action, ...]

    def encode(self) -> bytes:
        """Encode as OFPIT_WRITE_ACTIONS."""
        return _with_actions(3, encode_actions(self.actions))


@dataclass(frozen=True, slots=True)
class ApplyActions:
    """Run actions now, in order."""

    actions: tuple[Action, ...]

    def encode(self) -> bytes:
        """Encode as OFPIT_APPLY_ACTIONS."""
        return _with_actions(4, encode_actions(self.actions))


@dataclass(frozen=True, slots=True)
class ClearActions:
    """Empty the action set."""

    def encode(self) -> bytes:
        """Encode as OFPIT_CLEAR_ACTIONS."""
        return _HEADER.pack(5, 8)


Instruction = GotoTable | WriteMetadata | WriteActions | ApplyActions | ClearActions


def _with_actions(kind: int, actions: bytes) -> bytes:
    if len(actions) > 0xFFF7:
        raise EncodeError(f"{len(actions)} bytes of actions in one flow")
    return _HEADER.pack(kind, len(actions) + 8) + actions


def encode_apply(actions: bytes) -> bytes:
    """Return the instructions for encoded actions: OFPIT_APPLY_ACTIONS; none for none, and the flow drops packets."""
    return _with_actions(4, actions) if actions else b""


def decode_instructions(data: bytes) -> tuple[Instruction, ...]:
    """Decode a list of instructions.

    Raises:
        DecodeError: one is unknown or malformed.
    """
    instructions: list[Instruction] = []
    offset = 0
    try:
        while offset < len(data):
            kind, length = struct.unpack_from(">HH", data, offset)
            if length < 8 or offset + length > len(data):
                raise DecodeError(f"instruction {kind} of {length} bytes")
            instructions.append(_decode_one(kind, data[offset : offset + length]))
            offset += length
    except struct.error as error:
        raise DecodeError(f"truncated instruction: {error}") from None
    return tuple(instructions)


def _decode_one(kind: int, data: bytes) -> Instruction:
    match kind:
        case 1:
            return GotoTable(data[4])
        case 2:
            metadata, mask = struct.unpack(">8xQQ", data)
            return WriteMetadata(metadata, mask=mask)
        case 3:
            return WriteActions(decode_actions(data[8:]))
        case 4:
            return ApplyActions(decode_actions(data[8:]))
        case 5:
            return ClearActions()
    raise DecodeError(f"unknown instruction {kind}")
