"""Where a packet's logical state lives in OpenFlow: tables and registers (ovn-architecture(7)).

The numbers are those of OVN 23.03, so that flows of ours and of the original read alike; no action knows them, all
ask here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from ovenbird.lang.errors import FieldError
from ovenbird.lang.symbols import OVERLAYS
from ovenbird.openflow.fields import FIELDS, Subfield

if TYPE_CHECKING:
    from ovenbird.lang.ast import FieldRef


class Pipeline(StrEnum):
    """Half of a logical datapath."""

    INGRESS = "ingress"
    EGRESS = "egress"


@dataclass(frozen=True, slots=True)
class Tables:
    """OpenFlow's number of each table that an action may send a packet to.

    `ingress` and `egress` are the first tables of the pipelines, each of `stages` tables; `output` is where `output`
    leads from ingress, `deliver` where it leads from egress. The others are subroutines that a lookup resubmits to.
    """

    ingress: int = 8
    output: int = 37
    egress: int = 42
    deliver: int = 64
    mac_binding: int = 66
    mac_lookup: int = 67
    lb_hairpin: int = 68
    lb_hairpin_reply: int = 69
    snat_hairpin: int = 70
    get_fdb: int = 71
    lookup_fdb: int = 72
    in_port_sec: int = 73
    out_port_sec: int = 75
    ecmp_nh_mac: int = 76
    ecmp_nh: int = 77
    lb_affinity: int = 78
    stages: int = 29


class FlagBit(IntEnum):
    """Bits of `flags`: where a packet may go, and where a subroutine leaves its answer."""

    LOOPBACK = 0  # back out of the port that it came from, too
    FROM_VTEP = 1
    LOCAL_ONLY = 4  # to no other chassis
    MAC_FOUND = 6
    HAIRPIN = 7
    FDB_FOUND = 8
    FROM_LOCALPORT = 10
    PORT_SEC_FAILED = 12
    ECMP_NH_FOUND = 13
    LB_AFFINITY = 14

    @property
    def bits(self) -> Subfield:
        """Return the bit as OpenFlow knows it."""
        return Subfield(FIELDS["reg10"], self.value, 1)

    @property
    def mask(self) -> int:
        """Return the bit as a number of the whole register."""
        return 1 << self.value


def register(name: str) -> Subfield:
    """Return a whole field of Open vSwitch; reg0-9 as the bits of the wide register that they are."""
    root, ofs = OVERLAYS.get(name, (name, 0))
    return Subfield(FIELDS[root], ofs, FIELDS[name].bits)


INPORT = register("reg14")
OUTPORT = register("reg15")
ETH_SRC = register("eth_src")
ETH_DST = register("eth_dst")
NEIGHBOR_IP4 = register("reg0")  # where tables mac_binding and mac_lookup find the address asked about
NEIGHBOR_IP6 = register("xxreg0")


def bits_of(ref: FieldRef) -> Subfield:
    """Return what a symbol or some bits of it are in Open vSwitch.

    Raises:
        FieldError: it has no such field.
    """
    symbol = ref.symbol
    if symbol.field is None:
        raise FieldError(f"{symbol.name} cannot be read or written by a packet's actions.", "", *ref.span)
    return Subfield(symbol.field, symbol.ofs + ref.ofs, ref.n_bits or symbol.field.bits)
