"""One OpenFlow connection without I/O: bytes in, events out; messages in, bytes out.

The connection sends hello, checks that the peer speaks OpenFlow 1.5, answers echo requests by itself, numbers
transactions, and splits the stream into messages. A message that cannot be decoded is an event and does not end the
connection, since its frame was valid. A frame that is not OpenFlow raises, and the connection cannot be used any more
(OpenFlow 1.5.1, sections 6.3.1 and 7.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.openflow.errors import DecodeError, NegotiationError
from ovenbird.openflow.messages import VERSION, EchoReply, EchoRequest, Hello, decode_message

if TYPE_CHECKING:
    from ovenbird.openflow.messages import Message


@dataclass(frozen=True, slots=True)
class Received:
    """A message was received, with its transaction id."""

    xid: int
    message: Message


@dataclass(frozen=True, slots=True)
class Malformed:
    """A complete message was received that cannot be decoded."""

    xid: int
    data: bytes
    error: DecodeError


Event = Received | Malformed


class OpenFlowConnection:
    """Protocol state of one side of a connection; both sides are alike.

    The caller sends the bytes that `data_to_send` returns, also directly after the start.
    """

    def __init__(self) -> None:
        self.established = False
        self._received = bytearray()
        self._outgoing = [Hello().encode()]
        self._xid = 0

    def next_xid(self) -> int:
        """Return a new transaction id between 1 and 0x7fffffff; the caller may use the larger ones."""
        self._xid = self._xid % 0x7FFFFFFF + 1
        return self._xid

    def send(self, message: Message, xid: int | None = None) -> int:
        """Queue a message under a new transaction id, or that of the request it answers; return the id."""
        if xid is None:
            xid = self.next_xid()
        self._outgoing.append(message.encode(xid))
        return xid

    def data_to_send(self) -> bytes:
        """Return the bytes to send to the peer, and clear the buffer."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def receive(self, data: bytes) -> list[Event]:
        """Process bytes of the stream, in pieces of any size; return the events that they complete.

        Raises:
            NegotiationError: the peer does not support OpenFlow 1.5.
            DecodeError: the stream is not OpenFlow.
        """
        self._received += data
        events: list[Event] = []
        stream, offset = self._received, 0
        while len(stream) - offset >= 8:
            length = stream[offset + 2] << 8 | stream[offset + 3]
            if length < 8:
                raise DecodeError(f"message of {length} bytes")
            if self.established and stream[offset] != VERSION:  # the length of the last message was wrong
                raise DecodeError(f"message of OpenFlow version {stream[offset]:#x}")
            if len(stream) - offset < length:
                break
            frame = bytes(stream[offset : offset + length])
            offset += length
            if self.established:
                self._take(frame, events)
            else:
                self._negotiate(frame)
        del stream[:offset]
        return events

    def _negotiate(self, frame: bytes) -> None:
        _, hello = decode_message(frame)
        if not isinstance(hello, Hello):
            raise NegotiationError(f"the peer opened with a {type(hello).__name__} and not a Hello")
        # Without a bitmap the header's version is the highest spoken, and so all below it (section 6.3.1).
        if VERSION not in hello.versions and (hello.versions or frame[0] < VERSION):
            spoken = sorted(hello.versions) or [frame[0]]
            raise NegotiationError(f"the peer speaks OpenFlow versions {spoken}, not {VERSION} (OpenFlow 1.5)")
        self.established = True

    def _take(self, frame: bytes, events: list[Event]) -> None:
        xid = int.from_bytes(frame[4:8], "big")
        try:
            _, message = decode_message(frame)
        except DecodeError as error:
            events.append(Malformed(xid, frame, error))
            return
        if isinstance(message, EchoRequest):
            self.send(EchoReply(message.data), xid)
        else:
            events.append(Received(xid, message))
