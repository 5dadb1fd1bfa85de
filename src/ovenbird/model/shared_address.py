"""Shared addresses: a port's address that other ports may use too; it belongs to the port that announced it last.

A port that is on no host, and whose address is in the `allowed_address_pairs` of other ports of its network, is of type
`virtual` (ovn-nb(5), Logical_Switch_Port). The chassis of those ports, its parents, watch for their ARP and neighbour
discovery, and bind it where its address was announced: a floating IP and routers follow it there. This is how the
addresses of keepalived, of Octavia's amphorae and of OpenShift's ingress work.

A port with a host, or one that belongs to the network itself, is never virtual, so address pairs of other ports cannot
take its address away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.model.cloud import Port
from ovenbird.net.ip import ip_network

if TYPE_CHECKING:
    from collections.abc import Iterable


def _paired(values: list[Any]) -> Iterable[tuple[Any, str]]:
    """Return the network and each single address in a port's address pairs; prefixes are skipped."""
    pairs = values[Port.allowed_address_pairs.index]
    if not pairs:
        return ()
    network = values[Port.network.index]
    return dict.fromkeys((network, address) for pair in pairs if (address := single_address(pair.rpartition(" ")[2])))


def single_address(text: str) -> str:
    """Return the address of a pair; empty if the pair has a prefix of several addresses."""
    if "/" not in text:
        return text
    try:
        block = ip_network(text)
    except ValueError:
        return ""
    return str(block.network_address) if block.num_addresses == 1 else ""


INFRASTRUCTURE = "network:"
"""Prefix of the device owners that belong to the network itself: routers, DHCP, metadata."""

PAIRED = ComputedIndex(Port.network, Port.allowed_address_pairs, keys=_paired)
"""Ports by network and each single address of their pairs."""


def shared_address(port: Port, addresses: Iterable[str]) -> tuple[str, tuple[str, ...]] | None:
    """Return the address that a port shares, and the ports that may use it; None for a port that is not virtual.

    If other ports may use several of its addresses it is the first: a virtual port has one.

    Arguments:
        port: any port.
        addresses: the port's own addresses, in order.
    """
    if port.host or port.device_owner.startswith(INFRASTRUCTURE):
        return None
    network = Port.network.raw(port)
    for address in addresses:
        sharing = [other.uuid for other in PAIRED.of(port.home).rows(((network, address),)) if other.uuid != port.uuid]
        if sharing:
            return address, tuple(sorted(sharing))
    return None
