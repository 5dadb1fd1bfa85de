"""Actions that change the packet or its metadata: fields, registers, tags, TTLs, and the stack."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.actions.wire import Plain, nicira, pack_nicira, standard
from ovenbird.openflow.errors import DecodeError, EncodeError
from ovenbird.openflow.fields import Field, Subfield, field_named
from ovenbird.openflow.match import decode_header, decode_oxm, encode_oxm

_COPY = struct.Struct(">HHHHH2x")
_U16 = struct.Struct(">HHH2x")
_U8 = struct.Struct(">HHB3x")


@standard(25)
@dataclass(frozen=True, slots=True)
class SetField:
    """Set a field, or the bits of it that are set in `mask`, to a value; bits outside the mask must be zero."""

    field: Field
    value: int
    _: KW_ONLY
    mask: int

    @classmethod
    def of(cls, name: str, value: int, *, mask: int | None = None) -> Self:
        """Return the assignment to a field.

        Arguments:
            name: of the field, or an alias of it (ovs-fields(7)).
            value: with no bits beyond the field's width.
            mask: which bits are assigned; None for all.

        Raises:
            EncodeError: no field has the name.
        """
        field = field_named(name)
        return cls(field, value, mask=field.mask if mask is None else mask)

    @classmethod
    def bits(cls, dst: Subfield, value: int) -> Self:
        """Return the assignment of `value` to a subfield of any width."""
        return cls(dst.field, value << dst.ofs, mask=((1 << dst.n_bits) - 1) << dst.ofs)

    def encode(self) -> bytes:
        """Encode as OFPAT_SET_FIELD."""
        oxm = encode_oxm({self.field.name: (self.value, self.mask)})
        length = (len(oxm) + 11) & ~7
        return struct.pack(">HH", 25, length) + oxm.ljust(length - 4, b"\0")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes.

        Raises:
            DecodeError: they are cut short.
        """
        _, _, length, end = decode_header(data, 4)
        if end + length > len(data):
            raise DecodeError("truncated set_field")
        ((name, (value, mask)),) = decode_oxm(data[4 : end + length]).items()
        return cls(field_named(name), value, mask=mask)


@standard(28)
@dataclass(frozen=True, slots=True, kw_only=True)
class CopyField:
    """Copy one subfield to another of the same width."""

    src: Subfield
    dst: Subfield

    def encode(self) -> bytes:
        """Encode as OFPAT_COPY_FIELD.

        Raises:
            EncodeError: source and destination differ in width.
        """
        if self.src.n_bits != self.dst.n_bits:
            raise EncodeError(f"{self.src} and {self.dst} differ in width")
        fields = self.src.field.header + self.dst.field.header
        length = (_COPY.size + len(fields) + 7) & ~7
        head = _COPY.pack(28, length, self.src.n_bits, self.src.ofs, self.dst.ofs)
        return (head + fields).ljust(length, b"\0")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        _, _, n_bits, src_ofs, dst_ofs = _COPY.unpack_from(data)
        src, _, _, offset = decode_header(data, _COPY.size)
        dst, _, _, _ = decode_header(data, offset)
        return cls(src=Subfield(src, ofs=src_ofs, n_bits=n_bits), dst=Subfield(dst, ofs=dst_ofs, n_bits=n_bits))


def _stack(subtype: int, bits: Subfield) -> bytes:
    body = struct.pack(">H", bits.ofs) + bits.field.header + struct.pack(">H", bits.n_bits)
    return pack_nicira(subtype, body.ljust(14, b"\0"))


def _unstack(data: bytes) -> Subfield:
    (ofs,) = struct.unpack_from(">10xH", data)
    field, _, _, offset = decode_header(data, 12)
    (n_bits,) = struct.unpack_from(">H", data, offset)
    return Subfield(field, ofs=ofs, n_bits=n_bits)


@nicira(27)
@dataclass(frozen=True, slots=True)
class StackPush:
    """Push a subfield on the stack."""

    src: Subfield

    def encode(self) -> bytes:
        """Encode as NXAST_STACK_PUSH."""
        return _stack(27, self.src)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(_unstack(data))


@nicira(28)
@dataclass(frozen=True, slots=True)
class StackPop:
    """Pop the stack's top into a subfield."""

    dst: Subfield

    def encode(self) -> bytes:
        """Encode as NXAST_STACK_POP."""
        return _stack(28, self.dst)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(_unstack(data))


@standard(17)
@dataclass(frozen=True, slots=True)
class PushVlan:
    """Push a VLAN header of the given Ethernet type (0x8100 or 0x88a8)."""

    ethertype: int = 0x8100

    def encode(self) -> bytes:
        """Encode as OFPAT_PUSH_VLAN."""
        return _U16.pack(17, 8, self.ethertype)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(_U16.unpack(data)[2])


@standard(18)
@dataclass(frozen=True, slots=True)
class PopVlan(Plain):
    """Pop the outermost VLAN header."""

    _BYTES = struct.pack(">HH4x", 18, 8)


@standard(19)
@dataclass(frozen=True, slots=True)
class PushMpls:
    """Push an MPLS header of the given Ethernet type (0x8847 or 0x8848)."""

    ethertype: int = 0x8847

    def encode(self) -> bytes:
        """Encode as OFPAT_PUSH_MPLS."""
        return _U16.pack(19, 8, self.ethertype)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(_U16.unpack(data)[2])


@standard(20)
@dataclass(frozen=True, slots=True)
class PopMpls:
    """Pop the outermost MPLS header; `ethertype` is the packet's new Ethernet type."""

    ethertype: int

    def encode(self) -> bytes:
        """Encode as OFPAT_POP_MPLS."""
        return _U16.pack(20, 8, self.ethertype)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(_U16.unpack(data)[2])


@standard(23)
@dataclass(frozen=True, slots=True)
class SetTtl:
    """Set the IPv4 TTL or IPv6 hop limit."""

    ttl: int

    def encode(self) -> bytes:
        """Encode as OFPAT_SET_NW_TTL."""
        return _U8.pack(23, 8, self.ttl)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(_U8.unpack(data)[2])


@standard(24)
@dataclass(frozen=True, slots=True)
class DecTtl(Plain):
    """Decrement the IPv4 TTL or IPv6 hop limit; at 1 or less, send the packet to the controller and stop."""

    _BYTES = struct.pack(">HH4x", 24, 8)


@nicira(21)
@dataclass(frozen=True, slots=True)
class DecTtlCntIds:
    """Decrement as `DecTtl` does, but send an expired packet to the controllers with these ids."""

    controller_ids: tuple[int, ...]

    def encode(self) -> bytes:
        """Encode as NXAST_DEC_TTL_CNT_IDS."""
        count = len(self.controller_ids)
        return pack_nicira(21, struct.pack(f">H4x{count}H", count, *self.controller_ids))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        (count,) = struct.unpack_from(">10xH", data)
        return cls(struct.unpack_from(f">{count}H", data, 16))


@nicira(49)
@dataclass(frozen=True, slots=True)
class CheckPktLarger:
    """Set one bit to 1 if the packet is longer than `pkt_len` bytes, else to 0."""

    pkt_len: int
    dst: Subfield

    def encode(self) -> bytes:
        """Encode as NXAST_CHECK_PKT_LARGER.

        Raises:
            EncodeError: the destination is wider than one bit.
        """
        if self.dst.n_bits != 1:
            raise EncodeError(f"check_pkt_larger stores one bit, not {self.dst}")
        body = struct.pack(">HH", self.pkt_len, self.dst.ofs) + self.dst.field.header
        return pack_nicira(49, body.ljust(14, b"\0"))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        pkt_len, ofs = struct.unpack_from(">10xHH", data)
        return cls(pkt_len, Subfield(decode_header(data, 14)[0], ofs=ofs, n_bits=1))


@nicira(50)
@dataclass(frozen=True, slots=True)
class DeleteField:
    """Remove a tunnel option (tun_metadata0-63) from the packet's metadata."""

    field: Field

    def encode(self) -> bytes:
        """Encode as NXAST_DELETE_FIELD."""
        return pack_nicira(50, self.field.header.ljust(14, b"\0"))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(decode_header(data, 10)[0])
