"""Actions on flows and their execution: conjunction, learn, clone, note, exit, fin_timeout (ovs-actions(7))."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.actions.wire import Action, Plain, decode_actions, encode_actions, nicira, pack_nicira
from ovenbird.openflow.errors import DecodeError, EncodeError
from ovenbird.openflow.fields import Subfield
from ovenbird.openflow.match import decode_header

_CONJUNCTION = struct.Struct(">HHIHBBI")


@nicira(34)
@dataclass(frozen=True, slots=True, kw_only=True)
class Conjunction:
    """Satisfy dimension `clause` (counted from 1) of the `n_clauses` of the conjunctive flow `conj_id`."""

    conj_id: int
    clause: int
    n_clauses: int

    def encode(self) -> bytes:
        """Encode as NXAST_CONJUNCTION.

        Raises:
            EncodeError: the conjunction has no such clause.
        """
        if not 1 <= self.clause <= self.n_clauses <= 64:
            raise EncodeError(f"clause {self.clause} of {self.n_clauses}")
        return _CONJUNCTION.pack(0xFFFF, 16, 0x2320, 34, self.clause - 1, self.n_clauses, self.conj_id)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        _, _, _, _, clause, n_clauses, conj_id = _CONJUNCTION.unpack(data)
        return cls(conj_id=conj_id, clause=clause + 1, n_clauses=n_clauses)


@nicira(8)
@dataclass(frozen=True, slots=True)
class Note:
    """Carry bytes without effect; the encoding pads them with zeros to 6 modulo 8, and decoding keeps the padding."""

    data: bytes

    def encode(self) -> bytes:
        """Encode as NXAST_NOTE."""
        return pack_nicira(8, self.data)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(data[10:])


@nicira(17)
@dataclass(frozen=True, slots=True)
class Exit(Plain):
    """Stop: neither later actions run, nor those of flows that resubmitted to this table."""

    _BYTES = pack_nicira(17, b"")


@nicira(42)
@dataclass(frozen=True, slots=True)
class Clone:
    """Run actions on a copy of the packet; the original does not change."""

    actions: tuple[Action, ...]

    def encode(self) -> bytes:
        """Encode as NXAST_CLONE."""
        return pack_nicira(42, bytes(6) + encode_actions(self.actions))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        return cls(decode_actions(data[16:]))


@nicira(19)
@dataclass(frozen=True, slots=True, kw_only=True)
class FinTimeout:
    """Shorten the flow's timeouts, in seconds, when a TCP packet with FIN or RST passes."""

    idle: int = 0
    hard: int = 0

    def encode(self) -> bytes:
        """Encode as NXAST_FIN_TIMEOUT."""
        return pack_nicira(19, struct.pack(">HH2x", self.idle, self.hard))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        idle, hard = struct.unpack(">10xHH2x", data)
        return cls(idle=idle, hard=hard)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnMatch:
    """The learned flow matches `dst` against `src`: a subfield of this packet, or a number."""

    dst: Subfield
    src: Subfield | int


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnLoad:
    """The learned flow loads `src`, a subfield of this packet or a number, into `dst`."""

    dst: Subfield
    src: Subfield | int


@dataclass(frozen=True, slots=True)
class LearnOutput:
    """The learned flow outputs to the port that a subfield of this packet holds."""

    src: Subfield


LearnSpec = LearnMatch | LearnLoad | LearnOutput


def _bits(bits: Subfield) -> bytes:
    return bits.field.header + bits.ofs.to_bytes(2, "big")


def _encode_spec(spec: LearnSpec) -> bytes:
    """Encode one flow_mod_spec: width, source and destination kinds in 16 bits, then source, then destination."""
    if isinstance(spec, LearnOutput):
        return (2 << 11 | spec.src.n_bits).to_bytes(2, "big") + _bits(spec.src)
    n_bits = spec.dst.n_bits
    head = (1 << 11 if isinstance(spec, LearnLoad) else 0) | n_bits
    if isinstance(spec.src, int):
        if spec.src >> n_bits:
            raise EncodeError(f"{spec.src:#x} does not fit {spec.dst}")
        source = spec.src.to_bytes((n_bits + 15) // 16 * 2, "big")
        return (head | 1 << 13).to_bytes(2, "big") + source + _bits(spec.dst)
    if spec.src.n_bits != n_bits:
        raise EncodeError(f"{spec.src} and {spec.dst} differ in width")
    return head.to_bytes(2, "big") + _bits(spec.src) + _bits(spec.dst)


def _decode_bits(data: bytes, offset: int, n_bits: int) -> tuple[Subfield, int]:
    field, _, _, offset = decode_header(data, offset)
    (ofs,) = struct.unpack_from(">H", data, offset)
    return Subfield(field, ofs=ofs, n_bits=n_bits), offset + 2


def _decode_specs(data: bytes, offset: int) -> tuple[LearnSpec, ...]:
    specs: list[LearnSpec] = []
    while offset + 2 <= len(data):
        (head,) = struct.unpack_from(">H", data, offset)
        if head == 0:
            break
        offset += 2
        n_bits, kind = head & 0x7FF, head >> 11 & 3
        source: Subfield | int
        if head & 1 << 13:
            size = (n_bits + 15) // 16 * 2
            source = int.from_bytes(data[offset : offset + size], "big")
            offset += size
        else:
            source, offset = _decode_bits(data, offset, n_bits)
        if kind == 2 and isinstance(source, Subfield):
            specs.append(LearnOutput(source))
        elif kind < 2:
            dst, offset = _decode_bits(data, offset, n_bits)
            specs.append((LearnMatch, LearnLoad)[kind](dst=dst, src=source))
        else:
            raise DecodeError(f"learn specification {head:#06x}")
    return tuple(specs)


@nicira(16)
@nicira(45)
@dataclass(frozen=True, slots=True)
class Learn:
    """Install a flow made from this packet.

    Timeouts are in seconds, 0 for none; `fin_*` apply after a FIN or RST. With `send_flow_rem` the switch reports the
    removal of a learned flow; `delete_learned` removes the learned flows when this flow is removed; `limit` bounds
    their number (0: no bound).
    """

    table: int
    specs: tuple[LearnSpec, ...]
    _: KW_ONLY
    priority: int = 0x8000
    idle_timeout: int = 0
    hard_timeout: int = 0
    cookie: int = 0
    fin_idle_timeout: int = 0
    fin_hard_timeout: int = 0
    send_flow_rem: bool = False
    delete_learned: bool = False
    limit: int = 0

    def encode(self) -> bytes:
        """Encode as NXAST_LEARN, or NXAST_LEARN2 when there is a limit."""
        body = struct.pack(
            ">HHHQHBxHH", self.idle_timeout, self.hard_timeout, self.priority, self.cookie,
            self.send_flow_rem | self.delete_learned << 1, self.table, self.fin_idle_timeout, self.fin_hard_timeout,
        )  # fmt: skip
        if self.limit:
            body += struct.pack(">IHH", self.limit, 0, 0)
        return pack_nicira(45 if self.limit else 16, body + b"".join(map(_encode_spec, self.specs)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes.

        Raises:
            DecodeError: it has unknown flags, or is malformed.
        """
        subtype, idle, hard, priority, cookie, flags, table, fin_idle, fin_hard = struct.unpack_from(
            ">8xHHHHQHBxHH", data
        )
        limit, offset = 0, 32
        if subtype == 45:
            (limit,) = struct.unpack_from(">I", data, 32)
            offset = 40
        if flags & ~3:
            raise DecodeError(f"learn with flags {flags:#x}")
        return cls(
            table,
            _decode_specs(data, offset),
            priority=priority,
            idle_timeout=idle,
            hard_timeout=hard,
            cookie=cookie,
            fin_idle_timeout=fin_idle,
            fin_hard_timeout=fin_hard,
            send_flow_rem=bool(flags & 1),
            delete_learned=bool(flags & 2),
            limit=limit,
        )
