"""The OpenFlow fields that hold a packet's logical state, behind symbols and registers (ovn-architecture(7))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.lang.errors import FieldError
from ovenbird.lang.symbols import OVERLAYS
from ovenbird.openflow.fields import FIELDS, Subfield

if TYPE_CHECKING:
    from ovenbird.lang.ast import FieldRef


def register(name: str) -> Subfield:
    """Return a whole field of Open vSwitch; reg0-9 as the bits of the wide register that they are."""
    root, ofs = OVERLAYS.get(name, (name, 0))
    return Subfield(FIELDS[root], ofs=ofs, n_bits=FIELDS[name].bits)


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
        raise FieldError(f"{symbol.name} cannot be read or written by a packet's actions.", span=ref.span)
    return Subfield(symbol.field, ofs=symbol.ofs + ref.ofs, n_bits=ref.n_bits or symbol.field.bits)
