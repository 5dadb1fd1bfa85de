"""The encoding of actions, and the registry of their decoders.

Every action starts with a type and a length that is a multiple of 8; type 0xffff with Nicira's vendor number and a
subtype is one of Open vSwitch's extensions (OpenFlow 1.5.1, section 7.2.6; ovs-actions(7)). An action is one class: the
decorators `standard` and `nicira` register it under its number, and its `decode` receives exactly its own bytes,
including the header.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from ovenbird.openflow.errors import DecodeError, EncodeError
from ovenbird.openflow.fields import Subfield
from ovenbird.openflow.match import decode_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovenbird.openflow.fields import Field

NICIRA = 0x00002320
_EXPERIMENTER = 0xFFFF
_NX_HEADER = struct.Struct(">HHIH")


class Action(Protocol):
    """One action of a flow: a frozen value that can be encoded."""

    def encode(self) -> bytes:
        """Encode as one OpenFlow 1.5 action, padded to 8 bytes; raise `EncodeError` for a value with no encoding."""
        ...


class _Decodable(Action, Protocol):
    @classmethod
    def decode(cls, data: bytes) -> Action: ...


_Class = TypeVar("_Class", bound=_Decodable)
_STANDARD: dict[int, type[_Decodable]] = {}
_NICIRA: dict[int, type[_Decodable]] = {}


def standard(kind: int) -> Callable[[type[_Class]], type[_Class]]:
    """Register a class as the decoder of OpenFlow's action type `kind`."""

    def register(cls: type[_Class]) -> type[_Class]:
        _STANDARD[kind] = cls
        return cls

    return register


def nicira(subtype: int) -> Callable[[type[_Class]], type[_Class]]:
    """Register a class as the decoder of the Nicira action `subtype`."""

    def register(cls: type[_Class]) -> type[_Class]:
        _NICIRA[subtype] = cls
        return cls

    return register


def pack_nicira(subtype: int, body: bytes) -> bytes:
    """Prepend a Nicira action's header to its body, and pad the result to 8 bytes.

    Raises:
        EncodeError: the action would be over 65,535 bytes.
    """
    length = (len(body) + 17) & ~7
    if length > 0xFFFF:
        raise EncodeError(f"action of {length} bytes")
    return _NX_HEADER.pack(_EXPERIMENTER, length, NICIRA, subtype) + body.ljust(length - 10, b"\0")


def encode_actions(actions: Iterable[Action]) -> bytes:
    """Encode a list of actions, one after the other.

    Raises:
        EncodeError: a value has no encoding.
    """
    try:
        return b"".join([action.encode() for action in actions])
    except (struct.error, OverflowError) as error:
        raise EncodeError(f"action with a value out of range: {error}") from None


def decode_actions(data: bytes) -> tuple[Action, ...]:
    """Decode a list of actions.

    Raises:
        DecodeError: one is unknown, malformed, or nested too deep.
    """
    actions = []
    offset = 0
    try:
        while offset < len(data):
            kind, length = struct.unpack_from(">HH", data, offset)
            if length < 8 or length % 8 or offset + length > len(data):
                raise DecodeError(f"action type {kind} with a length of {length} bytes")
            actions.append(_decode_one(kind, data[offset : offset + length]))
            offset += length
    except struct.error as error:
        raise DecodeError(f"truncated action: {error}") from None
    except RecursionError:
        raise DecodeError("actions nested too deep") from None
    except EncodeError as error:
        raise DecodeError(f"action with an impossible value: {error}") from None
    return tuple(actions)


def _decode_one(kind: int, data: bytes) -> Action:
    if kind != _EXPERIMENTER:
        cls = _STANDARD.get(kind)
        if cls is None:
            raise DecodeError(f"unknown action type {kind}")
        return cls.decode(data)
    vendor, subtype = struct.unpack_from(">IH", data, 4)
    if vendor != NICIRA:
        raise DecodeError(f"action of an unknown vendor {vendor:#x}")
    cls = _NICIRA.get(subtype)
    if cls is None:
        raise DecodeError(f"unknown Nicira action {subtype}")
    return cls.decode(data)


def pack_ofs_n_bits(bits: Subfield) -> int:
    """Return Nicira's 16-bit `ofs_nbits`: offset in the high 10 bits, width minus one in the low 6.

    Raises:
        EncodeError: there are more than 64 bits.
    """
    if bits.n_bits > 64:
        raise EncodeError(f"{bits} is wider than the 64 bits of this action")
    return bits.ofs << 6 | (bits.n_bits - 1)


def short_header(field: Field) -> bytes:
    """Return a field's 4-byte OXM header, for actions without room for an experimenter's header.

    Raises:
        EncodeError: the field has no 4-byte header.
    """
    if len(field.header) != 4:
        raise EncodeError(f"{field.name} has no 4-byte header, which this action needs")
    return field.header


def unpack_subfield(data: bytes, offset: int, *, ofs_n_bits: int) -> tuple[Subfield, int]:
    """Decode a subfield from an OXM header and an `ofs_nbits`.

    Arguments:
        data: the bytes that hold the header.
        offset: where it begins.
        ofs_n_bits: as `pack_ofs_n_bits` makes it.

    Returns:
        The subfield, and the offset after the header.

    Raises:
        DecodeError: the header is cut short, or of an unknown field.
    """
    field, _, _, end = decode_header(data, offset)
    return Subfield(field, ofs=ofs_n_bits >> 6, n_bits=(ofs_n_bits & 0x3F) + 1), end


class Plain:
    """An action that consists of its header: `_BYTES` is its encoding."""

    __slots__ = ()
    _BYTES = b""

    def encode(self) -> bytes:
        """Encode as one OpenFlow 1.5 action."""
        return self._BYTES

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes.

        Raises:
            DecodeError: the length is wrong.
        """
        if len(data) != len(cls._BYTES):
            raise DecodeError(f"{cls.__name__} of {len(data)} bytes")
        return cls()
