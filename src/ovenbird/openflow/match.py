"""Matches: the packets that a flow applies to.

A match is an immutable mapping from a field's name to `(value, mask)`; a mask of all ones is an exact match, and a
field that is absent is a wildcard. On the wire it is a list of OXM entries (OpenFlow 1.5.1, section 7.2.3), which
`encode` writes in the order of the field table, so that prerequisites come first. The switch requires that bits outside
the mask are zero.

Encoding is a hot path (a hundred thousand flows are encoded in one batch), hence the tuples below in place of field
objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from ovenbird.openflow.errors import DecodeError, EncodeError
from ovenbird.openflow.fields import BY_CODE_POINT, FIELDS, field_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.openflow.fields import Field

# name -> (rank, all ones, bytes, header of an exact entry, header of a masked entry)
_WIRE = {f.name: (f.rank, f.mask, f.n_bytes, f.header, f.masked_header) for f in FIELDS.values()}
_RANK = {f.name: f.rank for f in FIELDS.values()}.__getitem__
_PADDING = [b"\0" * (-n % 8) for n in range(8)]
_HALVES = {f"xreg{n}": (f"reg{2 * n}", f"reg{2 * n + 1}") for n in range(8)}
_ANY = bytes.fromhex("0001000400000000")


def encode_oxm(fields: Mapping[str, tuple[int, int]]) -> bytes:
    """Encode fields as a bare OXM list, in table order.

    Raises:
        EncodeError: a name is not that of a field, or a value or its mask has no encoding.
    """
    out = []
    wire = _WIRE
    try:
        for name in sorted(fields, key=_RANK) if len(fields) > 1 else fields:
            value, mask = fields[name]
            _, ones, n_bytes, header, masked_header = wire[name]
            if value | mask != mask:
                raise EncodeError(f"{name}={value:#x} has bits outside its mask {mask:#x}")
            if mask == ones:
                out.append(header + value.to_bytes(n_bytes, "big"))
            elif n_bytes != 124:
                out.append(masked_header + value.to_bytes(n_bytes, "big") + mask.to_bytes(n_bytes, "big"))
            else:
                out.append(_variable(FIELDS[name], value, mask))
    except KeyError as missing:
        raise EncodeError(f"no match field is called {missing}") from None
    except OverflowError:
        raise EncodeError(f"{name}={value:#x}/{mask:#x} does not fit its {n_bytes} bytes") from None
    return b"".join(out)


def _variable(field: Field, value: int, mask: int) -> bytes:
    """Encode a masked tun_metadata field in as few words as its mask needs; the switch aligns it at the low end."""
    n_bytes = max(4, (mask.bit_length() + 31) // 32 * 4)
    header = field.code_points[0].header(n_bytes, masked=True)
    return header + value.to_bytes(n_bytes, "big") + mask.to_bytes(n_bytes, "big")


def decode_header(data: bytes, offset: int) -> tuple[Field, bool, int, int]:
    """Read the OXM header at `offset`.

    Returns:
        The field, whether a mask follows the value, the length of what follows the header, and the offset after it.

    Raises:
        DecodeError: the header is cut short, or its code point is not in `FIELDS`.
    """
    end = offset + 4
    if end > len(data):
        raise DecodeError("truncated OXM header")
    head = int.from_bytes(data[offset:end], "big")
    length = head & 0xFF
    experimenter = 0
    if head >> 16 == 0xFFFF:
        experimenter = int.from_bytes(data[end : end + 4], "big")
        end += 4
        length -= 4
        if end > len(data) or length < 0:
            raise DecodeError("truncated experimenter OXM header")
    field = BY_CODE_POINT.get((head >> 16, head >> 9 & 0x7F, experimenter))
    if field is None:
        raise DecodeError(f"unknown OXM class {head >> 16:#x} field {head >> 9 & 0x7F} experimenter {experimenter:#x}")
    return field, bool(head & 0x100), length, end


def decode_oxm(data: bytes) -> dict[str, tuple[int, int]]:
    """Decode a bare OXM list into name -> (value, mask).

    Raises:
        DecodeError: a field is unknown or occurs twice, or a value is of a wrong length.
    """
    fields: dict[str, tuple[int, int]] = {}
    offset = 0
    while offset < len(data):
        field, masked, length, offset = decode_header(data, offset)
        size = length // 2 if masked else length
        if (size != field.n_bytes and not (field.n_bytes == 124 and size > 0)) or (masked and length % 2):
            raise DecodeError(f"{field.name} with a body of {length} bytes")
        if offset + length > len(data):
            raise DecodeError(f"truncated value of {field.name}")
        if field.name in fields:
            raise DecodeError(f"{field.name} occurs twice")
        value = int.from_bytes(data[offset : offset + size], "big")
        mask = int.from_bytes(data[offset + size : offset + length], "big") if masked else field.mask
        fields[field.name] = (value, mask)
        offset += length
    return fields


def in_registers(fields: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Return fields with registers of 32 bits in place of those of 64, in which the switch reports them all.

    A switch that speaks OpenFlow 1.5 knows only these, as packet registers (section 7.2.3.10).
    """
    out = {}
    for name, (value, mask) in fields.items():
        halves = _HALVES.get(name)
        if halves is None:
            out[name] = (value, mask)
            continue
        for half, shift in zip(halves, (32, 0), strict=True):
            if part := mask >> shift & 0xFFFFFFFF:
                out[half] = (value >> shift & 0xFFFFFFFF, part)
    return out


class Match(Mapping[str, tuple[int, int]]):
    """An immutable mapping of field names (main names of `FIELDS`) to `(value, mask)`; equal and hashable by content.

    The constructor does not check the fields; `encode` does. `Match.exact` is more convenient for whole fields.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, tuple[int, int]] = {}) -> None:
        self._fields = dict(fields)

    @classmethod
    def exact(cls, **values: int) -> Self:
        """Return a match on whole fields; aliases of ovs-fields(7) are allowed."""
        return cls({(field := field_named(name)).name: (value, field.mask) for name, value in values.items()})

    def with_field(self, name: str, value: int, *, mask: int | None = None) -> Self:
        """Return this match with one field added or replaced.

        Arguments:
            name: of the field.
            value: with no bits outside of the mask.
            mask: which bits are matched; None for all.
        """
        field = field_named(name)
        return type(self)({**self._fields, field.name: (value, field.mask if mask is None else mask)})

    def __getitem__(self, name: str) -> tuple[int, int]:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Match) and self._fields == other._fields

    def __hash__(self) -> int:
        return hash(frozenset(self._fields.items()))

    def __repr__(self) -> str:
        return f"Match({self!s})"

    def __str__(self) -> str:
        """Format in the order of the encoding, as `eth_type=0x800,ip_src=0xa000000/0xff000000`."""
        return ",".join(
            f"{name}={value:#x}" if mask == FIELDS[name].mask else f"{name}={value:#x}/{mask:#x}"
            for name, (value, mask) in sorted(self._fields.items(), key=lambda item: _RANK(item[0]))
        )

    def encode(self) -> bytes:
        """Encode as `struct ofp_match` of type OXM, padded to 8 bytes.

        Raise `EncodeError` for a value with no encoding.
        """
        if not self._fields:
            return _ANY
        body = encode_oxm(self._fields)
        length = len(body) + 4
        return (0x10000 | length).to_bytes(4, "big") + body + _PADDING[length & 7]

    @classmethod
    def decode(cls, data: bytes, offset: int = 0) -> tuple[Self, int]:
        """Decode the `struct ofp_match` at `offset`; return it and the offset after its padding.

        Raises:
            DecodeError: there is no match, or it is malformed.
        """
        if offset + 4 > len(data) or data[offset : offset + 2] != b"\0\x01":
            raise DecodeError("not an OXM match")
        length = int.from_bytes(data[offset + 2 : offset + 4], "big")
        end = offset + (length + 7) // 8 * 8
        if length < 4 or end > len(data):
            raise DecodeError(f"match of {length} bytes in {len(data) - offset}")
        return cls(decode_oxm(data[offset + 4 : offset + length])), end
