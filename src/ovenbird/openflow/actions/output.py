"""Actions that output the packet: to a port, the controller, a group, a queue, another table, a collector."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.actions.wire import (
    Plain,
    nicira,
    pack_nicira,
    pack_ofs_n_bits,
    short_header,
    standard,
    unpack_subfield,
)
from ovenbird.openflow.errors import DecodeError, EncodeError
from ovenbird.openflow.fields import FIELDS, Subfield

_OUTPUT = struct.Struct(">HHIH6x")
# Significant bytes of each property of NXAST_CONTROLLER2; its length includes padding.
_WIDTHS = (2, 2, 1, 0, 0, 4)
_U32 = struct.Struct(">HHI")
_RESUBMIT = struct.Struct(">HHIHHB3x")


class Port(IntEnum):
    """Reserved ports of OpenFlow 1.1 and later (OpenFlow 1.5.1, section 7.2.1).

    `NONE` is the specification's OFPP_ANY.
    """

    UNSET = 0xFFFFFFF7
    IN_PORT = 0xFFFFFFF8
    TABLE = 0xFFFFFFF9
    NORMAL = 0xFFFFFFFA
    FLOOD = 0xFFFFFFFB
    ALL = 0xFFFFFFFC
    CONTROLLER = 0xFFFFFFFD
    LOCAL = 0xFFFFFFFE
    NONE = 0xFFFFFFFF


def port_to_16(port: int) -> int:
    """Return a port in the 16-bit form of OpenFlow 1.0 and Nicira's actions.

    Raises:
        EncodeError: the port does not fit into 16 bits.
    """
    if 0 <= port < 0xFF00:
        return port
    if 0xFFFFFF00 <= port <= 0xFFFFFFFF:
        return port - 0xFFFF0000
    raise EncodeError(f"port {port:#x} does not fit 16 bits")


def port_from_16(port: int) -> int:
    """Return a 16-bit port in the 32-bit form of OpenFlow 1.1 and later."""
    return port if port < 0xFF00 else port + 0xFFFF0000


@standard(0)
@dataclass(frozen=True, slots=True)
class Output:
    """Send the packet out of a port; `max_len` limits the bytes sent to the controller (0xffff: no limit)."""

    port: int
    _: KW_ONLY
    max_len: int = 0

    def encode(self) -> bytes:
        """Encode as OFPAT_OUTPUT."""
        return _OUTPUT.pack(0, 16, self.port, self.max_len)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        _, _, port, max_len = _OUTPUT.unpack(data)
        return cls(port, max_len=max_len)


@nicira(15)
@dataclass(frozen=True, slots=True)
class OutputReg:
    """Send the packet out of the port whose number a subfield holds."""

    src: Subfield
    max_len: int = 0xFFFF

    def encode(self) -> bytes:
        """Encode as NXAST_OUTPUT_REG."""
        body = struct.pack(">H4sH", pack_ofs_n_bits(self.src), short_header(self.src.field), self.max_len)
        return pack_nicira(15, body + bytes(6))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        ofs_n_bits, max_len = struct.unpack(">10xH4xH6x", data)
        return cls(unpack_subfield(data, 12, ofs_n_bits=ofs_n_bits)[0], max_len)


@nicira(39)
@dataclass(frozen=True, slots=True)
class OutputTrunc:
    """Send the first `max_len` (at least 14) bytes of the packet out of a port."""

    port: int
    _: KW_ONLY
    max_len: int

    def encode(self) -> bytes:
        """Encode as NXAST_OUTPUT_TRUNC."""
        return pack_nicira(39, struct.pack(">HI", port_to_16(self.port), self.max_len))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        port, max_len = struct.unpack(">10xHI", data)
        return cls(port_from_16(port), max_len=max_len)


@nicira(37)
@dataclass(frozen=True, slots=True)
class Controller:
    """Send the packet to the controller, with `userdata` for the packet-in.

    `pause` stops the packet's processing until the controller resumes it with the continuation in the packet-in;
    `meter_id` 0 is no meter; `reason` is 1 (action) by default; `max_len` is in bytes.
    """

    userdata: bytes = b""
    _: KW_ONLY
    max_len: int = 0xFFFF
    controller_id: int = 0
    reason: int = 1
    pause: bool = False
    meter_id: int = 0

    def encode(self) -> bytes:
        """Encode as NXAST_CONTROLLER2, leaving out properties at their default."""
        out = bytes(6)
        if self.max_len != 0xFFFF:
            out += struct.pack(">HHH2x", 0, 8, self.max_len)
        if self.controller_id:
            out += struct.pack(">HHH2x", 1, 8, self.controller_id)
        if self.reason != 1:
            out += struct.pack(">HHB3x", 2, 5, self.reason)
        if self.userdata:
            length = len(self.userdata) + 4
            out += struct.pack(">HH", 3, length) + self.userdata + bytes(-length % 8)
        if self.pause:
            out += struct.pack(">HH4x", 4, 4)
        if self.meter_id:
            out += struct.pack(">HHI", 5, 8, self.meter_id)
        return pack_nicira(37, out)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes.

        Raises:
            DecodeError: a property is unknown or cut short.
        """
        props: dict[int, bytes] = {}
        offset = 16
        while offset < len(data):
            kind, length = struct.unpack_from(">HH", data, offset)
            if kind > 5 or length < 4 or offset + length > len(data):
                raise DecodeError(f"controller2 property {kind} of {length} bytes")
            props[kind] = data[offset + 4 : offset + length]
            offset += (length + 7) & ~7
        number = {kind: int.from_bytes(value[: _WIDTHS[kind]], "big") for kind, value in props.items()}
        return cls(
            props.get(3, b""),
            max_len=number.get(0, 0xFFFF),
            controller_id=number.get(1, 0),
            reason=number.get(2, 1),
            pause=4 in props,
            meter_id=number.get(5, 0),
        )


@nicira(20)
@dataclass(frozen=True, slots=True, kw_only=True)
class PlainController:
    """Send the packet to the controller, in the older form without userdata.

    Open vSwitch uses this form in its replies if it suffices.
    """

    max_len: int = 0xFFFF
    controller_id: int = 0
    reason: int = 1

    def encode(self) -> bytes:
        """Encode as NXAST_CONTROLLER."""
        return pack_nicira(20, struct.pack(">HHBx", self.max_len, self.controller_id, self.reason))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        max_len, controller_id, reason = struct.unpack(">10xHHBx", data)
        return cls(max_len=max_len, controller_id=controller_id, reason=reason)


@nicira(14)
@nicira(44)
@dataclass(frozen=True, slots=True)
class Resubmit:
    """Look the packet up in `table` (255: the current one), as if it had arrived on `in_port` (unchanged by default).

    `ct` swaps the packet's addresses and ports for those of the connection's original direction during the lookup.
    """

    table: int = 255
    _: KW_ONLY
    in_port: int = Port.IN_PORT
    ct: bool = False

    def encode(self) -> bytes:
        """Encode as NXAST_RESUBMIT_TABLE or NXAST_RESUBMIT_TABLE_CT."""
        in_port = 0xFFF8 if self.in_port == Port.IN_PORT else port_to_16(self.in_port)
        return _RESUBMIT.pack(0xFFFF, 16, 0x2320, 44 if self.ct else 14, in_port, self.table)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        _, _, _, subtype, in_port, table = _RESUBMIT.unpack(data)
        return cls(table, in_port=port_from_16(in_port), ct=subtype == 44)


@standard(22)
@dataclass(frozen=True, slots=True)
class Group:
    """Process the packet through a group."""

    group_id: int

    def encode(self) -> bytes:
        """Encode as OFPAT_GROUP."""
        return _U32.pack(22, 8, self.group_id)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(_U32.unpack(data)[2])


@standard(21)
@dataclass(frozen=True, slots=True)
class SetQueue:
    """Choose the queue that later outputs of this packet go through."""

    queue_id: int

    def encode(self) -> bytes:
        """Encode as OFPAT_SET_QUEUE."""
        return _U32.pack(21, 8, self.queue_id)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(_U32.unpack(data)[2])


@standard(29)
@dataclass(frozen=True, slots=True)
class Meter:
    """Pass the packet through a meter, which may drop it.

    Before OpenFlow 1.5 a meter was an instruction of its own (section 7.2.6.14).
    """

    meter_id: int

    def encode(self) -> bytes:
        """Encode as OFPAT_METER."""
        return _U32.pack(29, 8, self.meter_id)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(_U32.unpack(data)[2])


@nicira(5)
@dataclass(frozen=True, slots=True)
class PopQueue(Plain):
    """Restore the queue that the packet had when it arrived."""

    _BYTES = pack_nicira(5, b"")


@nicira(10)
@dataclass(frozen=True, slots=True, kw_only=True)
class Multipath:
    """Hash the packet and store a link number below `n_links` in `dst`.

    `fields` selects the hashed fields (0: Ethernet addresses, 1: symmetric layers 2 to 4, ...), `algorithm` the mapping
    of a hash to a link (0: modulo n, 1: hash threshold, 2: highest random weight, 3: iterative hash, which uses `arg`).
    """

    fields: int
    basis: int
    algorithm: int
    n_links: int
    arg: int
    dst: Subfield

    def encode(self) -> bytes:
        """Encode as NXAST_MULTIPATH."""
        return pack_nicira(
            10,
            struct.pack(
                ">HH2xHHI2xH4s", self.fields, self.basis, self.algorithm, self.n_links - 1, self.arg,
                pack_ofs_n_bits(self.dst), short_header(self.dst.field),
            ),
        )  # fmt: skip

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        fields, basis, algorithm, max_link, arg, ofs_n_bits = struct.unpack(">10xHH2xHHI2xH4x", data)
        return cls(
            fields=fields,
            basis=basis,
            algorithm=algorithm,
            n_links=max_link + 1,
            arg=arg,
            dst=unpack_subfield(data, 28, ofs_n_bits=ofs_n_bits)[0],
        )


@nicira(12)
@nicira(13)
@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Choose a live member port by hash, then output to it, or with `dst` store its number there.

    `fields` as in `Multipath`; `algorithm` 0 takes the first live member, 1 the one of highest random weight.
    """

    fields: int
    basis: int
    algorithm: int
    members: tuple[int, ...]
    dst: Subfield | None = None

    def encode(self) -> bytes:
        """Encode as NXAST_BUNDLE or NXAST_BUNDLE_LOAD."""
        ofs_n_bits = pack_ofs_n_bits(self.dst) if self.dst else 0
        header = short_header(self.dst.field) if self.dst else bytes(4)
        body = struct.pack(
            ">HHH4sHH4s4x", self.algorithm, self.fields, self.basis, FIELDS["in_port"].header, len(self.members),
            ofs_n_bits, header,
        )  # fmt: skip
        ports = b"".join([port_to_16(port).to_bytes(2, "big") for port in self.members])
        return pack_nicira(13 if self.dst else 12, body + ports)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        subtype, algorithm, fields, basis, count, ofs_n_bits = struct.unpack_from(">8xHHHH4xHH8x", data)
        members = struct.unpack_from(f">{count}H", data, 32)
        dst = unpack_subfield(data, 24, ofs_n_bits=ofs_n_bits)[0] if subtype == 13 else None
        return cls(fields=fields, basis=basis, algorithm=algorithm, members=tuple(map(port_from_16, members)), dst=dst)


@nicira(29)
@nicira(41)
@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Send a copy of `probability`/65535 of the packets to an IPFIX collector set.

    `direction` is 0 (default), 1 (ingress) or 2 (egress); with it or a `sampling_port` the newer form is used.
    """

    probability: int
    collector_set_id: int
    obs_domain_id: int = 0
    obs_point_id: int = 0
    sampling_port: int = Port.NONE
    direction: int = 0

    def encode(self) -> bytes:
        """Encode as NXAST_SAMPLE or NXAST_SAMPLE3."""
        body = struct.pack(
            ">HIII", self.probability, self.collector_set_id, self.obs_domain_id, self.obs_point_id
        )  # fmt: skip
        if self.direction == 0 and self.sampling_port == Port.NONE:
            return pack_nicira(29, body)
        return pack_nicira(41, body + struct.pack(">HB5x", port_to_16(self.sampling_port), self.direction))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        probability, collector, domain, point = struct.unpack_from(">10xHIII", data)
        if len(data) == 24:
            return cls(probability=probability, collector_set_id=collector, obs_domain_id=domain, obs_point_id=point)
        port, direction = struct.unpack_from(">24xHB5x", data)
        return cls(
            probability=probability,
            collector_set_id=collector,
            obs_domain_id=domain,
            obs_point_id=point,
            sampling_port=port_from_16(port),
            direction=direction,
        )
