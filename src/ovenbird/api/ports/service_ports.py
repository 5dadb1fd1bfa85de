"""Ports that the cloud creates for itself: of routers, floating IPs, and the metadata service.

Users can see them but not delete them directly: they are deleted with what they were created for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.api.access.sharing import grants
from ovenbird.api.errors.port import ServicePortInUse
from ovenbird.api.ports.fixed_ips import AddressAllocator, balanced
from ovenbird.api.ports.macs import reserve_mac
from ovenbird.api.ports.removal import remove_port
from ovenbird.model.cloud import (
    FixedAddress,
    FloatingIP,
    FloatingIPAssociation,
    Network,
    Port,
    PortForwarding,
    RouterGateway,
    RouterInterface,
)
from ovenbird.model.load_balancing import HealthMonitorPort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.api.ports.fixed_ips import Choice
    from ovenbird.engine.rows import UUID

INTERFACE_OWNER = "network:router_interface"
GATEWAY_OWNER = "network:router_gateway"
FLOATING_OWNER = "network:floatingip"
METADATA_OWNER = "network:distributed"

GO_ALONG = frozenset(("network:dhcp", METADATA_OWNER, "network:floatingip_agent_gateway"))
"""Device owners of the ports that serve a network alone: they go with it, and keep no subnet (Neutron's
`AUTO_DELETE_PORT_OWNERS`)."""


class ServicePorts:
    """Creates and deletes service ports.

    Arguments:
        databases: contain them.
    """

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.addresses = AddressAllocator(databases)

    def create(
        self,
        draft: Draft,
        network: Network,
        *,
        owner: str,
        device: str,
        project: str = "",
        wanted: Sequence[Mapping[str, str]] | None = None,
        name: str = "",
    ) -> tuple[UUID, list[Choice]]:
        """Write a port, and return its id and addresses; the draft has the rows of these, `made["addresses", id]`.

        Arguments:
            draft: the transaction.
            network: the network.
            owner: its ``device_owner``.
            device: its ``device_id``.
            project: the project that owns it; empty for none.
            wanted: its addresses, as for ``AddressAllocator.choose``.
            name: its name.

        Raises:
            NeutronError: the addresses cannot be allocated.
        """
        mac = reserve_mac(self.databases, draft, network)
        chosen = self.addresses.choose(draft, network, wanted, mac=mac, device_owner=owner)
        values = {
            "network": network.uuid,
            "project_id": project,
            "name": name,
            "mac_address": mac,
            "admin_state_up": True,
            "device_owner": owner,
            "device_id": device,
            "vnic_type": "normal",
            "allowed_by": grants(draft, project, [network]) if project else frozenset(),
        }
        uuid = draft.insert(Port, values)
        draft.made["addresses", uuid] = self.addresses.write(draft, uuid, chosen)
        return uuid, chosen

    def goes_along(self, port: Port) -> bool:
        """Return whether a port is deleted with its network: it serves only that, or holds an unused floating IP."""
        held = port.referrer(FloatingIP.port)
        if held is not None:
            users = (FloatingIPAssociation.floating_ip, PortForwarding.floating_ip)
            return not any(held.referrers(column) for column in users)
        return port.device_owner in GO_ALONG and not is_service_port(port)

    def delete(self, draft: Draft, port: Port) -> None:
        """Write the removal of a port with its addresses, and of the floating IP that it holds."""
        for held in port.referrers(FloatingIP.port):
            draft.transaction.delete(held)
        remove_port(draft, port)


def is_service_port(port: Port) -> bool:
    """Return whether a port is a router's, a floating IP's or a load balancer's."""
    owned = (RouterInterface.port, RouterGateway.port, FloatingIP.port, HealthMonitorPort.port)
    return any(port.referrers(column) for column in owned) or has_vip(port)


def has_vip(port: Port) -> bool:
    """Return whether an address of a port is the virtual address of a load balancer."""
    return any(balanced(fixed) for fixed in port.referrers(FixedAddress.port))


def refuse_service_port(port: Port) -> None:
    """Refuse to delete a port that another resource owns.

    Raises:
        ServicePortInUse: it is one.
    """
    for column, what in ((RouterInterface.port, "router"), (RouterGateway.port, "router"), (FloatingIP.port, "fip")):
        if port.referrers(column):
            owner = f"has device owner {port.device_owner}" if what == "router" else "it holds a floating IP"
            raise ServicePortInUse(port_id=port.uuid, reason=owner)
    if has_vip(port) or port.referrers(HealthMonitorPort.port):
        raise ServicePortInUse(port_id=port.uuid, reason="a load balancer uses it")
    if port.device_owner == METADATA_OWNER and port.device_id == metadata_device(Port.network.raw(port)):
        raise ServicePortInUse(port_id=port.uuid, reason=f"has device owner {METADATA_OWNER}")


def metadata_device(network: str) -> str:
    """Return the ``device_id`` of the metadata port of a network, given by its id."""
    return f"ovnmeta-{network}"
