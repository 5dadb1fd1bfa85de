"""Find the instance that sent a request, from the network and the source address.

Only ports that are bound to this chassis are searched, since a localport's packets never leave the chassis; port
security guarantees that the source address is the port's own. An address that two ports share identifies no instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.metadata.errors import UnknownInstanceError
from ovenbird.metadata.network import local_instances
from ovenbird.model.sb import PortBinding
from ovenbird.net.addresses import ip_bytes, link_local, mac_bytes
from ovenbird.net.errors import PacketError
from ovenbird.net.numbers import integer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.rows import UUID, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancePort:
    """One port of an instance.

    Arguments:
        network: the id of its network.
        port: the logical port's name.
        device: the instance's id.
        project: the id of the project that it belongs to.
        name: the port's name, which may be empty.
        mac: its hardware address.
        cidrs: its addresses, each with its prefix length.
        mtu: the MTU of its network in bytes; 0 if it is not known.
        address: the source address of the request.
        public: its floating IP; empty for none.
    """

    network: str
    port: str
    device: str
    project: str
    name: str
    mac: str
    cidrs: tuple[str, ...]
    mtu: int
    address: str
    public: str = ""


def find_instance(southbound: Store, chassis: UUID, network: str, datapath: UUID, address: str) -> InstancePort:
    """Return the instance that has an address.

    Arguments:
        southbound: Southbound's rows.
        chassis: this chassis's UUID.
        network: the network's id.
        datapath: the UUID of its datapath binding.
        address: the source address, IPv4 or IPv6, without a zone.

    Raises:
        UnknownInstanceError: no instance has the address, or several have it.
    """
    wanted = ip_bytes(address)
    ports = [
        port
        for port in local_instances(southbound, chassis)
        if PortBinding.datapath.raw(port) == datapath and wanted in _addresses(port)
    ]
    where = f"{address} on network {network}"
    if not ports:
        raise UnknownInstanceError(f"{where} asks for metadata: no port that is bound here has that address")
    if len(ports) > 1:
        several = ", ".join(sorted(port.logical_port for port in ports))
        raise UnknownInstanceError(f"{where} asks for metadata: several ports here have that address: {several}")
    port = ports[0]
    if not port.external_ids.get("neutron:device_id"):
        name = port.logical_port
        raise UnknownInstanceError(
            f"{where} asks for metadata: its port {name} has no device_id, and belongs to no instance"
        )
    ids = port.external_ids
    mtu = ids.get("neutron:mtu", "")
    return InstancePort(
        network=network,
        port=port.logical_port,
        device=ids["neutron:device_id"],
        project=ids.get("neutron:project_id", ""),
        name=ids.get("neutron:port_name", ""),
        mac=next((mac for mac, _ in _pairs(port)), ""),
        cidrs=tuple(ids.get("neutron:cidrs", "").split()),
        mtu=integer(mtu) or 0,
        address=address,
        public=next(iter(sorted(ids.get("neutron:port_fip", "").split())), ""),
    )


def _pairs(port: PortBinding) -> Iterator[tuple[str, list[str]]]:
    """Yield the hardware addresses of a port with their IP addresses; those that have any come first."""
    for text in sorted(port.mac, key=lambda text: (" " not in text, text)):
        mac, *addresses = text.split() or [""]
        if ":" in mac:
            yield mac, addresses


def _addresses(port: PortBinding) -> set[bytes]:
    """Return the possible source addresses of a port's requests: its fixed IPs, and IPv6 link-local addresses."""
    texts = [cidr.partition("/")[0] for cidr in port.external_ids.get("neutron:cidrs", "").split()]
    fixed = bool(texts)
    found = set()
    for mac, addresses in _pairs(port):
        try:
            found.add(link_local(mac_bytes(mac)))
        except PacketError:
            continue  # `router`, `dynamic` and other keywords are not hardware addresses
        if not fixed:
            texts += addresses
    for text in texts:
        try:
            found.add(ip_bytes(text))
        except PacketError:
            continue  # `dynamic` and other keywords are not IP addresses
    return found
