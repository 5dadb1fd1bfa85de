"""The encoding of messages, and the registry of their decoders.

A message is a header (version, type, length, transaction id) and a body (OpenFlow 1.5.1, section 7.1). A message class
is a frozen dataclass with `encode(xid)`; the decorators register the decoder of its body under its number: the type,
the experimenter's number and subtype, or the multipart type. An unregistered type decodes to `Unknown`, since the peer
may support newer messages.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from ovenbird.dataclass import dataclass
from ovenbird.openflow.errors import DecodeError, EncodeError, OpenFlowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = 6  # OpenFlow 1.5
NICIRA = 0x00002320

EXPERIMENTER = 4
MULTIPART_REQUEST = 18
MULTIPART_REPLY = 19

HEADER = struct.Struct(">BBHI")
_EXPERIMENTER = struct.Struct(">BBHIII")
_MULTIPART = struct.Struct(">BBHIHH4x")


class Message(Protocol):
    """One OpenFlow message: a frozen value, encoded with the transaction id of its transmission."""

    def encode(self, xid: int = 0) -> bytes:
        """Encode as one OpenFlow 1.5 message; raise `EncodeError` for a value with no encoding."""
        ...


class _Decodable(Message, Protocol):
    @classmethod
    def decode(cls, body: bytes) -> Message: ...


_Class = TypeVar("_Class", bound=_Decodable)
_Key = tuple[int, int, int]
_DECODERS: dict[_Key, type[_Decodable]] = {}


def kind(number: int) -> Callable[[type[_Class]], type[_Class]]:
    """Register a class as the decoder of message type `number`."""
    return _register((number, 0, 0))


def experimenter(vendor: int, *, subtype: int) -> Callable[[type[_Class]], type[_Class]]:
    """Register a class as the decoder of an experimenter's message."""
    return _register((EXPERIMENTER, vendor, subtype))


def multipart_request(number: int) -> Callable[[type[_Class]], type[_Class]]:
    """Register a class as the decoder of a multipart request of type `number`."""
    return _register((MULTIPART_REQUEST, number, 0))


def multipart_reply(number: int) -> Callable[[type[_Class]], type[_Class]]:
    """Register a class as the decoder of a multipart reply of type `number`; its first two body bytes are the flags."""
    return _register((MULTIPART_REPLY, number, 0))


def _register(key: _Key) -> Callable[[type[_Class]], type[_Class]]:
    def register(cls: type[_Class]) -> type[_Class]:
        _DECODERS[key] = cls
        return cls

    return register


def frame(number: int, *, xid: int, body: bytes = b"") -> bytes:
    """Prepend a message header to a body.

    Arguments:
        number: the message's type.
        xid: the transaction id.
        body: what follows the header.

    Raises:
        EncodeError: the message would be over 65,535 bytes.
    """
    try:
        return HEADER.pack(VERSION, number, len(body) + 8, xid) + body
    except struct.error:
        raise EncodeError(f"message of {len(body) + 8} bytes") from None


def frame_experimenter(vendor: int, *, subtype: int, xid: int, body: bytes = b"") -> bytes:
    """Prepend a message header and an experimenter's header to a body.

    Arguments:
        vendor: the experimenter's id.
        subtype: the experimenter's own message type.
        xid: the transaction id.
        body: what follows the headers.

    Raises:
        EncodeError: the message would be over 65,535 bytes.
    """
    try:
        return _EXPERIMENTER.pack(VERSION, EXPERIMENTER, len(body) + 16, xid, vendor, subtype) + body
    except struct.error:
        raise EncodeError(f"message of {len(body) + 16} bytes") from None


def frame_multipart(number: int, *, xid: int, body: bytes = b"") -> bytes:
    """Prepend a message header and a multipart request's header to a body.

    Arguments:
        number: the multipart type.
        xid: the transaction id.
        body: what follows the headers.

    Raises:
        EncodeError: the message would be over 65,535 bytes.
    """
    return _MULTIPART.pack(VERSION, MULTIPART_REQUEST, len(body) + 16, xid, number, 0) + body


def properties(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the properties of a message or of a part of one, in order: type, and what follows type and length.

    Each is padded to a multiple of 8 bytes, which its length does not count (OpenFlow 1.5.1, section 7.2.1.2).

    Raises:
        DecodeError: one is truncated.
    """
    offset = 0
    while offset < len(data):
        number, length = struct.unpack_from(">HH", data, offset)
        if length < 4 or offset + length > len(data):
            raise DecodeError(f"property {number} of {length} bytes")
        yield number, data[offset + 4 : offset + length]
        offset += (length + 7) & ~7


def entries(body: bytes, kind_: str, *, shortest: int, at: int = 0) -> Iterator[bytes]:
    """Return the entries of a multipart reply, in order; each has its own length in two of its bytes.

    Arguments:
        body: of the reply, from the flags on.
        kind_: what an entry is, for the error.
        shortest: the bytes of the shortest entry.
        at: the offset of the length in an entry.

    Raises:
        DecodeError: one is truncated.
    """
    offset = 6
    while offset < len(body):
        (length,) = struct.unpack_from(">H", body, offset + at)
        if length < shortest or offset + length > len(body):
            raise DecodeError(f"{kind_} of {length} bytes")
        yield body[offset : offset + length]
        offset += length


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of an unregistered type; `body` follows the common header."""

    number: int
    body: bytes

    def encode(self, xid: int = 0) -> bytes:
        """Encode the message as it was received."""
        return frame(self.number, xid=xid, body=self.body)


def decode_message(data: bytes) -> tuple[int, Message]:
    """Decode a complete message; return its transaction id and value, `Unknown` for unregistered types.

    Raises:
        DecodeError: the length is wrong, the body malformed, or the version not 1.5 (only Hello may have another).
    """
    if len(data) < 8:
        raise DecodeError(f"message of {len(data)} bytes")
    version, number, length, xid = HEADER.unpack_from(data)
    if length != len(data):
        raise DecodeError(f"the message's header gives {length} bytes, but it has {len(data)}")
    if version != VERSION and number != 0:
        raise DecodeError(f"message of OpenFlow version {version:#x}")
    key, start = (number, 0, 0), 8
    if number in {EXPERIMENTER, MULTIPART_REQUEST, MULTIPART_REPLY}:
        if length < 16:
            raise DecodeError(f"message type {number} of {length} bytes")
        vendor, subtype = struct.unpack_from(">II", data, 8)
        key = (number, vendor, subtype) if number == EXPERIMENTER else (number, vendor >> 16, 0)
        start = {EXPERIMENTER: 16, MULTIPART_REQUEST: 16}.get(number, 10)
    cls = _DECODERS.get(key)
    if cls is None:
        return xid, Unknown(number, data[8:])
    try:
        return xid, cls.decode(data[start:])
    except DecodeError:
        raise
    except (OpenFlowError, struct.error, ValueError, IndexError) as error:
        raise DecodeError(f"malformed {cls.__name__}: {error}") from None


class Empty:
    """A message that consists of its header, of type `_NUMBER`."""

    __slots__ = ()
    _NUMBER = 0

    def encode(self, xid: int = 0) -> bytes:
        """Encode as one OpenFlow 1.5 message."""
        return frame(self._NUMBER, xid=xid)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body.

        Raises:
            DecodeError: it is not empty.
        """
        if body:
            raise DecodeError(f"{cls.__name__} with a body of {len(body)} bytes")
        return cls()
