"""BFD control packets (RFC 5880, section 4.1), over UDP (RFC 5881)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.errors import PacketError

BFD_PORT = 3784
_PACKET = struct.Struct(">BBBBIIIII")
_VERSION = 1
_POLL, _FINAL, _AUTHENTICATION, _MULTIPOINT = 0x20, 0x10, 0x04, 0x01


class BfdState(IntEnum):
    """The state of a session, which each end sends to the other."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3


class Diagnostic(IntEnum):
    """Why a session went down."""

    NONE = 0
    TIME_EXPIRED = 1
    NEIGHBOR_DOWN = 3
    ADMINISTRATIVELY_DOWN = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A control packet; intervals in microseconds, discriminators 0 for unknown."""

    state: BfdState
    my_discriminator: int
    your_discriminator: int
    detect_mult: int
    desired_min_tx: int
    required_min_rx: int
    diagnostic: int = Diagnostic.NONE
    poll: bool = False
    final: bool = False

    def encode(self) -> bytes:
        """Encode the 24 bytes."""
        flags = self.state << 6 | (_POLL if self.poll else 0) | (_FINAL if self.final else 0)
        return _PACKET.pack(
            _VERSION << 5 | self.diagnostic, flags, self.detect_mult, _PACKET.size, self.my_discriminator,
            self.your_discriminator, self.desired_min_tx, self.required_min_rx, 0,
        )  # fmt: skip

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a control packet.

        Raises:
            PacketError: section 6.8.6 requires that it is discarded; also if it is authenticated.
        """
        if len(data) < _PACKET.size:
            raise PacketError(f"BFD packet of {len(data)} bytes")
        first, flags, mult, length, mine, yours, tx, rx, _ = _PACKET.unpack_from(data)
        if first >> 5 != _VERSION or not _PACKET.size <= length <= len(data):
            raise PacketError(f"BFD version {first >> 5}, {length} bytes in {len(data)}")
        if not mult or not mine or flags & (_AUTHENTICATION | _MULTIPOINT) or (flags & _POLL and flags & _FINAL):
            raise PacketError(f"BFD flags {flags:#04x}, multiplier {mult}, discriminator {mine}")
        state = BfdState(flags >> 6)
        if not yours and state > BfdState.DOWN:
            raise PacketError(f"BFD state {state.name} without your discriminator")
        return cls(
            state=state,
            my_discriminator=mine,
            your_discriminator=yours,
            detect_mult=mult,
            desired_min_tx=tx,
            required_min_rx=rx,
            diagnostic=first & 0x1F,
            poll=bool(flags & _POLL),
            final=bool(flags & _FINAL),
        )
