"""Messages about the session: hello, error, echo, features, configuration, barrier, role, asynchronous messages.

OpenFlow 1.5.1, sections 7.3.1, 7.3.2, 7.3.7 to 7.3.10, 7.5.4 and 7.1.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.errors import SwitchError, error_name
from ovenbird.openflow.messages.wire import NICIRA, VERSION, Empty, experimenter, frame, frame_experimenter, kind


@kind(0)
@dataclass(frozen=True, slots=True)
class Hello:
    """Open a session and list the supported versions; the set is empty if the peer sends no version bitmap."""

    versions: frozenset[int] = frozenset({VERSION})

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_HELLO with a version bitmap."""
        return frame(
            0, xid=xid, body=struct.pack(">HHI", 1, 8, sum(1 << version for version in self.versions if version < 32))
        )

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body; elements other than the version bitmap are skipped, as the specification requires."""
        offset = 0
        versions: frozenset[int] = frozenset()
        while offset + 8 <= len(body):
            element, length = struct.unpack_from(">HH", body, offset)
            if element == 1 and length >= 8:
                (bitmap,) = struct.unpack_from(">I", body, offset + 4)
                versions = frozenset(version for version in range(32) if bitmap >> version & 1)
            offset += max(8, (length + 7) & ~7)
        return cls(versions)


@kind(1)
@dataclass(frozen=True, slots=True)
class Error:
    """The switch refuses a request; `data` begins with the request. An experimenter's `code` is its own type."""

    error_type: int
    _: KW_ONLY
    code: int
    data: bytes = b""

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_ERROR."""
        return frame(1, xid=xid, body=struct.pack(">HH", self.error_type, self.code) + self.data)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        error_type, code = struct.unpack_from(">HH", body)
        return cls(error_type, code=code, data=body[8:] if error_type == 0xFFFF else body[4:])

    def exception(self, xid: int) -> SwitchError:
        """Return the exception to raise for the request `xid`."""
        return SwitchError(self.error_type, code=self.code, xid=xid, data=self.data)

    def __str__(self) -> str:
        return error_name(self.error_type, code=self.code)


@kind(2)
@dataclass(frozen=True, slots=True)
class EchoRequest:
    """Request an echo reply, which shows that the peer is alive."""

    data: bytes = b""

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_ECHO_REQUEST."""
        return frame(2, xid=xid, body=self.data)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        return cls(body)


@kind(3)
@dataclass(frozen=True, slots=True)
class EchoReply:
    """Answer an `EchoRequest` with its data and transaction id."""

    data: bytes = b""

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_ECHO_REPLY."""
        return frame(3, xid=xid, body=self.data)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        return cls(body)


@kind(5)
@dataclass(frozen=True, slots=True)
class FeaturesRequest(Empty):
    """Request the switch's datapath id and capabilities."""

    _NUMBER = 5


@kind(6)
@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesReply:
    """The switch's datapath id and capabilities."""

    datapath_id: int
    n_buffers: int
    n_tables: int
    auxiliary_id: int
    capabilities: int

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_FEATURES_REPLY."""
        body = struct.pack(
            ">QIBB2xI4x", self.datapath_id, self.n_buffers, self.n_tables, self.auxiliary_id, self.capabilities
        )
        return frame(6, xid=xid, body=body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        datapath_id, n_buffers, n_tables, auxiliary_id, capabilities = struct.unpack(">QIBB2xI4x", body)
        return cls(
            datapath_id=datapath_id,
            n_buffers=n_buffers,
            n_tables=n_tables,
            auxiliary_id=auxiliary_id,
            capabilities=capabilities,
        )


@kind(7)
@dataclass(frozen=True, slots=True)
class GetConfigRequest(Empty):
    """Request the switch's configuration."""

    _NUMBER = 7


@kind(8)
@dataclass(frozen=True, slots=True, kw_only=True)
class GetConfigReply:
    """The switch's configuration: fragment handling, and the number of bytes sent to the controller on a table miss."""

    flags: int
    miss_send_len: int

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_GET_CONFIG_REPLY."""
        return frame(8, xid=xid, body=struct.pack(">HH", self.flags, self.miss_send_len))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        flags, miss_send_len = struct.unpack(">HH", body)
        return cls(flags=flags, miss_send_len=miss_send_len)


@kind(9)
@dataclass(frozen=True, slots=True, kw_only=True)
class SetConfig:
    """Set the configuration; a service connection (br.mgmt) gets no asynchronous messages if `miss_send_len` is 0."""

    flags: int = 0
    miss_send_len: int = 0xFFFF

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_SET_CONFIG."""
        return frame(9, xid=xid, body=struct.pack(">HH", self.flags, self.miss_send_len))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        flags, miss_send_len = struct.unpack(">HH", body)
        return cls(flags=flags, miss_send_len=miss_send_len)


@kind(20)
@dataclass(frozen=True, slots=True)
class BarrierRequest(Empty):
    """Request a reply after all messages before this one have been processed."""

    _NUMBER = 20


@kind(21)
@dataclass(frozen=True, slots=True)
class BarrierReply(Empty):
    """All messages before the barrier have been processed."""

    _NUMBER = 21


class Role(IntEnum):
    """A controller's role (OpenFlow 1.5.1, section 7.3.8)."""

    NOCHANGE = 0
    EQUAL = 1
    PRIMARY = 2
    SECONDARY = 3


@kind(24)
@dataclass(frozen=True, slots=True)
class RoleRequest:
    """Request a role; `generation_id` orders the requests to be primary."""

    role: Role
    generation_id: int = 0

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_ROLE_REQUEST."""
        return frame(24, xid=xid, body=struct.pack(">I4xQ", self.role, self.generation_id))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        role, generation_id = struct.unpack(">I4xQ", body)
        return cls(Role(role), generation_id)


@kind(25)
@dataclass(frozen=True, slots=True)
class RoleReply:
    """The current role of the controller."""

    role: Role
    generation_id: int

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPT_ROLE_REPLY."""
        return frame(25, xid=xid, body=struct.pack(">I4xQ", self.role, self.generation_id))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        role, generation_id = struct.unpack(">I4xQ", body)
        return cls(Role(role), generation_id)


@experimenter(NICIRA, subtype=16)
@dataclass(frozen=True, slots=True)
class SetPacketInFormat:
    """Select the form of packet-ins: 0 OpenFlow's, 1 NXT_PACKET_IN, 2 NXT_PACKET_IN2 (the only one decoded here)."""

    format: int = 2

    def encode(self, xid: int = 0) -> bytes:
        """Encode as NXT_SET_PACKET_IN_FORMAT."""
        return frame_experimenter(NICIRA, subtype=16, xid=xid, body=struct.pack(">I", self.format))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        return cls(*struct.unpack(">I", body))


@experimenter(NICIRA, subtype=20)
@dataclass(frozen=True, slots=True)
class SetControllerId:
    """Set the id of this connection; it receives the packets of `Controller` actions with this id."""

    controller_id: int

    def encode(self, xid: int = 0) -> bytes:
        """Encode as NXT_SET_CONTROLLER_ID."""
        return frame_experimenter(NICIRA, subtype=20, xid=xid, body=struct.pack(">6xH", self.controller_id))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        return cls(*struct.unpack(">6xH", body))


@experimenter(NICIRA, subtype=29)
@dataclass(frozen=True, slots=True)
class CtFlushZone:
    """Flush all connections of a conntrack zone."""

    zone: int

    def encode(self, xid: int = 0) -> bytes:
        """Encode as NXT_CT_FLUSH_ZONE."""
        return frame_experimenter(NICIRA, subtype=29, xid=xid, body=struct.pack(">6xH", self.zone))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        return cls(*struct.unpack(">6xH", body))
