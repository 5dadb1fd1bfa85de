"""The registers that flows set for the controller: keys, and the requested address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.net.addresses import ipv4_text, ipv6_text

if TYPE_CHECKING:
    from ovenbird.openflow.messages import PacketIn


def register(packet_in: PacketIn, name: str) -> int:
    """Return a packet's register; 0 for one that nothing was written to."""
    fields = packet_in.metadata
    return fields[name][0] if name in fields else 0


def address_asked(packet_in: PacketIn, *, ipv6: bool) -> str:
    """Return the neighbour's address that a flow left in reg0, or in xxreg0, for the controller."""
    if not ipv6:
        return ipv4_text(register(packet_in, "reg0"))
    number = 0
    for name in ("reg0", "reg1", "reg2", "reg3"):
        number = number << 32 | register(packet_in, name)
    return ipv6_text(number)
