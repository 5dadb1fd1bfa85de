"""The networks that have instances on this chassis, and their localports.

The localport of a network is the Port_Binding of type `localport` whose `neutron:device_id` is `ovnmeta-<network>`;
its addresses are in `neutron:cidrs` (Neutron's convention). A network is served while a port of the same datapath is
bound to this chassis.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.model.sb import PortBinding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.rows import UUID, Store

log = logging.getLogger(__name__)

DEVICE = "ovnmeta-"
"""Prefix of the device id of a network's localport, and of its namespace's name."""

INSTANCE_TYPES = ("", "external")
"""Types of the port bindings that instances have."""

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")


def outer_name(network: str) -> str:
    """Return the name of the outer end of a network's cable, which is plugged into the integration bridge."""
    return f"tap{network[:10]}0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network that is served.

    Arguments:
        id: its id; the first ten characters name its devices.
        datapath: its datapath binding's UUID.
        port: the localport's name.
        mac: the localport's hardware address.
        cidrs: the localport's addresses, each with its prefix length, in order.
    """

    id: str
    datapath: UUID
    port: str
    mac: str
    cidrs: tuple[str, ...]

    @property
    def outer(self) -> str:
        """The end of the cable that is plugged into the integration bridge."""
        return outer_name(self.id)

    @property
    def inner(self) -> str:
        """The end of the cable inside the namespace."""
        return f"tap{self.id[:10]}1"


def local_instances(southbound: Store, chassis: UUID) -> Iterator[PortBinding]:
    """Yield the instances' ports that are bound to a chassis, or have it as an additional chassis (live migration)."""
    seen = set()
    for column in (PortBinding.chassis, PortBinding.additional_chassis):
        for port in southbound.select(column, chassis):
            if port.type in INSTANCE_TYPES and port.uuid not in seen:
                seen.add(port.uuid)
                yield port


def networks(southbound: Store, chassis: UUID) -> dict[str, Network]:
    """Return the networks to serve on a chassis, by id."""
    inhabited = {PortBinding.datapath.raw(port) for port in local_instances(southbound, chassis)}
    found: dict[str, Network] = {}
    for port in southbound.select(PortBinding.type, "localport"):
        datapath = PortBinding.datapath.raw(port)
        if datapath not in inhabited:
            continue
        network = _network(port, datapath)
        if network is None:
            continue
        other = found.get(network.id)
        if other is None or network.port < other.port:
            found[network.id] = network
    return found


def _network(port: PortBinding, datapath: UUID) -> Network | None:
    """Return the network of a localport; None if the localport does not serve metadata."""
    ids = port.external_ids
    device = ids.get("neutron:device_id", "")
    if not device.startswith(DEVICE):
        return None
    network = device.removeprefix(DEVICE)
    mac = next((word for text in sorted(port.mac) for word in text.split()[:1] if _MAC.fullmatch(word)), None)
    if mac is None or not _ID.fullmatch(network):
        log.warning("localport %s is not served: it lacks a MAC address or the name of its network", port.logical_port)
        return None
    return Network(
        id=network,
        datapath=datapath,
        port=port.logical_port,
        mac=mac.lower(),
        cidrs=tuple(ids.get("neutron:cidrs", "").split()),
    )
