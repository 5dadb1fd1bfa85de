"""A port's addresses and port security."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.views import view
from ovenbird.model import cloud
from ovenbird.model.shared_address import INFRASTRUCTURE
from ovenbird.net.addresses import is_mac
from ovenbird.net.errors import PacketError
from ovenbird.net.ip import ip_interface

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID


@view
def fixed_addresses(port: cloud.Port) -> tuple[tuple[str, UUID], ...]:
    """Return a port's addresses, each with its subnet's UUID, in the order that Neutron shows them."""
    taken = port.referrers(cloud.FixedAddress.port)
    return tuple(sorted((fixed.address, cloud.FixedAddress.subnet.raw(fixed)) for fixed in taken))


def trusted(port: cloud.Port) -> bool:
    """Return whether a port belongs to the network itself, and so has no port security."""
    return port.device_owner.startswith(INFRASTRUCTURE)


def secured(port: cloud.Port) -> bool:
    """Return whether a port has port security."""
    return port.port_security_enabled and not trusted(port)


def is_pair(pair: str) -> bool:
    """Return whether an allowed address pair has a valid MAC and a valid address or prefix."""
    mac, _, address = pair.partition(" ")
    try:
        ip_interface(address)
    except PacketError:
        return False
    return is_mac(mac)


def port_security(port: cloud.Port) -> tuple[frozenset[str], frozenset[str]]:
    """Return a port's `port_security`, and the further MACs that it allows."""
    mac = port.mac_address
    own = [mac, *[address for address, _ in fixed_addresses(port)]]
    allowed, macs = set(), set()
    for pair in sorted(port.allowed_address_pairs):
        other, _, address = pair.partition(" ")
        if not is_pair(pair):
            continue
        if other == mac:
            own.append(address)
        else:
            allowed.add(pair)
            macs.add(other)
    allowed.add(" ".join(own))
    return frozenset(allowed), frozenset(macs)
