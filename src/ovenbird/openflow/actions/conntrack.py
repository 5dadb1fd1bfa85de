"""Connection tracking: ct, nat and ct_clear (ovs-actions(7))."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.actions.wire import (
    Action,
    Plain,
    decode_actions,
    encode_actions,
    nicira,
    pack_nicira,
    pack_ofs_n_bits,
    short_header,
    unpack_subfield,
)
from ovenbird.openflow.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from ovenbird.openflow.fields import Subfield

# Width in bytes of each range that NAT can carry, by its bit in `range_present`.
_RANGE_BYTES = (4, 4, 16, 16, 2, 2)


@nicira(35)
@dataclass(frozen=True, slots=True)
class Ct:
    """Send the packet through the connection tracker.

    `zone` is a number or the 16 bits that hold it. `table` is the table in which a copy with the connection's state
    continues; without it there is no copy. `actions` (Nat, and for `commit` actions that set ct_mark and ct_label)
    apply to the connection. `alg` is a helper's port: 21 for FTP, 69 for TFTP, 0 for none. `force` replaces a
    connection of the opposite direction.
    """

    zone: int | Subfield = 0
    _: KW_ONLY
    commit: bool = False
    force: bool = False
    table: int | None = None
    alg: int = 0
    actions: tuple[Action, ...] = ()

    def encode(self) -> bytes:
        """Encode as NXAST_CT."""
        if isinstance(self.zone, int):
            zone_src, zone = bytes(4), self.zone
        else:
            zone_src, zone = short_header(self.zone.field), pack_ofs_n_bits(self.zone)
        flags, table = self.commit | self.force << 1, 255 if self.table is None else self.table
        body = struct.pack(">H4sHB3xH", flags, zone_src, zone, table, self.alg)
        return pack_nicira(35, body + encode_actions(self.actions))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes."""
        flags, source, number, table, alg = struct.unpack_from(">10xHIHB3xH", data)
        zone = unpack_subfield(data, 12, ofs_n_bits=number)[0] if source else number
        actions = decode_actions(data[24:])
        return cls(
            zone,
            commit=bool(flags & 1),
            force=bool(flags & 2),
            table=None if table == 255 else table,
            alg=alg,
            actions=actions,
        )


@nicira(36)
@dataclass(frozen=True, slots=True, kw_only=True)
class Nat:
    """Translate addresses within `Ct`; if neither `src` nor `dst` is set, as the connection is translated already.

    Addresses are 4 or 16 bytes; `addr_max` and `port_max` end a range; empty and 0 mean none.
    """

    src: bool = False
    dst: bool = False
    addr_min: bytes = b""
    addr_max: bytes = b""
    port_min: int = 0
    port_max: int = 0
    persistent: bool = False
    hash: bool = False
    random: bool = False

    def encode(self) -> bytes:
        """Encode as NXAST_NAT.

        Raises:
            EncodeError: the range has no start, an address has a wrong length, or both `src` and `dst` are set.
        """
        if (self.src and self.dst) or (self.addr_max and not self.addr_min) or (self.port_max and not self.port_min):
            raise EncodeError(f"contradictory {self}")
        flags = self.src | self.dst << 1 | self.persistent << 2 | self.hash << 3 | self.random << 4
        present, ranges = 0, b""
        for bit, address in enumerate((self.addr_min, self.addr_max)):
            if address:
                if len(address) not in {4, 16}:
                    raise EncodeError(f"NAT address of {len(address)} bytes")
                present |= 1 << bit << (2 if len(address) == 16 else 0)
                ranges += address
        for bit, port in ((4, self.port_min), (5, self.port_max)):
            if port:
                present |= 1 << bit
                ranges += port.to_bytes(2, "big")
        return pack_nicira(36, struct.pack(">2xHH", flags, present) + ranges)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode from the action's own bytes.

        Raises:
            DecodeError: they are cut short.
        """
        flags, present = struct.unpack_from(">12xHH", data)
        offset, values = 16, []
        for bit, size in enumerate(_RANGE_BYTES):
            there = present >> bit & 1
            values.append(data[offset : offset + size] if there else b"")
            offset += size * there
        if offset > len(data):
            raise DecodeError("truncated nat")
        low, high = values[0] or values[2], values[1] or values[3]
        ports = [int.from_bytes(value, "big") for value in values[4:]]
        flag = [bool(flags >> bit & 1) for bit in range(5)]
        return cls(
            src=flag[0],
            dst=flag[1],
            addr_min=low,
            addr_max=high,
            port_min=ports[0],
            port_max=ports[1],
            persistent=flag[2],
            hash=flag[3],
            random=flag[4],
        )


@nicira(43)
@dataclass(frozen=True, slots=True)
class CtClear(Plain):
    """Clear the packet's connection tracking state."""

    _BYTES = pack_nicira(43, b"")
