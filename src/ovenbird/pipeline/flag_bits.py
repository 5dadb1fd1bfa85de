"""The bits of `flags`, as chassis see them (ovn-sb(5), Logical_Flow; ovn-architecture(7), "Logical registers")."""

from __future__ import annotations

from enum import IntEnum

from ovenbird.openflow.fields import FIELDS, Subfield


class FlagBit(IntEnum):
    """Bits of `flags`: where a packet may be output, and the results of subroutines."""

    LOOPBACK = 0  # the packet may be output to its ingress port
    FROM_VTEP = 1
    LOCAL_ONLY = 4  # the packet must not go to another chassis
    MAC_FOUND = 6
    HAIRPIN = 7
    FDB_FOUND = 8
    FROM_LOCALPORT = 10
    PORT_SEC_FAILED = 12
    ECMP_NH_FOUND = 13
    LB_AFFINITY = 14
    FROM_CONTROLLER = 19  # the chassis has made the packet

    @property
    def bits(self) -> Subfield:
        """Return the bit as an OpenFlow subfield."""
        return Subfield(FIELDS["reg10"], ofs=self.value, n_bits=1)

    @property
    def mask(self) -> int:
        """Return the bit as a mask of the whole register."""
        return 1 << self.value
