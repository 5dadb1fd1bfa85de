"""The OpenFlow fields that hold a packet's logical state, behind symbols and registers (ovn-architecture(7))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.lang.errors import FieldError
from ovenbird.lang.symbols import OVERLAYS
from ovenbird.openflow.fields import FIELDS, Subfield

if TYPE_CHECKING:
    from ovenbird.lang.ast import FieldRef


def register(name: str) -> Subfield:
    """Return a whole field of Open vSwitch; for reg0-9, the bits of the wide register that contains it."""
    root, ofs = OVERLAYS.get(name, (name, 0))
    return Subfield(FIELDS[root], ofs=ofs, n_bits=FIELDS[name].bits)


INPORT = register("reg14")
OUTPORT = register("reg15")
ETH_SRC = register("eth_src")
ETH_DST = register("eth_dst")
NEIGHBOR_IP4 = register("reg0")  # holds the address that tables mac_binding and mac_lookup match
NEIGHBOR_IP6 = register("xxreg0")


def bits_of(ref: FieldRef) -> Subfield:
    """Return the bits of the Open vSwitch field that hold a symbol or some bits of it.

    Raises:
        FieldError: Open vSwitch has no such field.
    """
    symbol = ref.symbol
    if symbol.field is None:
        raise FieldError(f"{symbol.name} cannot be read or written by a packet's actions.", span=ref.span)
    return Subfield(symbol.field, ofs=symbol.ofs + ref.ofs, n_bits=ref.n_bits or symbol.field.bits)
