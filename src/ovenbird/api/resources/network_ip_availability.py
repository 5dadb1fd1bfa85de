"""The number of addresses of networks, and of those in use (Networking API v2.0, "Network IP availability").

The total is the size of a subnet's allocation pools, or of the whole subnet if it has none. As in Neutron, every
address of a port counts as used, inside the pools or not.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api import query
from ovenbird.api.access.rules import SERVICE
from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.errors.network import NetworkNotFound
from ovenbird.api.ports.ipam import parse_pool
from ovenbird.api.read_only_resource import ReadOnlyResource
from ovenbird.api.values import integer
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import FixedAddress, Network, Subnet
from ovenbird.net.ip import ip_network

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

VERSION = "ip_version"
"""The filter that selects subnets instead of networks."""


class NetworkIPAvailabilities(ReadOnlyResource):
    """``/v2.0/network-ip-availabilities``."""

    member = "network_ip_availability"
    collection = "network_ip_availabilities"
    path = "network-ip-availabilities"
    identity = "network_id"
    extensions: ClassVar[Mapping[str, str]] = {
        "network-ip-availability": "Network IP Availability",
    }
    rules: ClassVar[Mapping[str, str]] = {
        "get_network_ip_availability": SERVICE,
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "network_id": shown(),
        "network_name": shown(),
        "project_id": shown(),
        "total_ips": shown(),
        "used_ips": shown(),
        "subnet_ip_availability": shown(filterable=False),
        VERSION: shown(integer(4, 6)),
    }

    def values(self) -> list[dict[str, Any]]:
        """Return the availability of every network."""
        return [_availability(network) for network in self.databases.cloud.store.table(Network).rows.values()]

    def select(self, filters: Mapping[str, query.Wanted]) -> list[dict[str, Any]]:
        """Return the availability of the selected networks, over their subnets of the selected IP version."""
        rest = {name: wanted for name, wanted in filters.items() if name != VERSION}
        found = []
        for network in self.databases.cloud.store.table(Network).rows.values():
            value = _availability(network, filters.get(VERSION))
            if (VERSION not in filters or value["subnet_ip_availability"]) and query.matches(value, rest):
                found.append(value)
        return found

    def find(self, uuid: str) -> dict[str, Any]:
        """Return the availability of one network.

        Raises:
            NetworkNotFound: the network does not exist.
        """
        network = self.databases.cloud.store.table(Network).rows.get(UUID(uuid))
        if network is None:
            raise NetworkNotFound(id=uuid)
        return _availability(network)

    def not_found(self, uuid: str) -> Exception:
        """Return the error for an unknown id."""
        return NetworkNotFound(id=uuid)


def _availability(network: Network, versions: query.Wanted | None = None) -> dict[str, Any]:
    """Return the availability of a network, over all its subnets or those of some IP versions."""
    subnets = []
    for subnet in network.referrers(Subnet.network):
        try:
            counted = _of_subnet(subnet)
        except Exception:
            log.exception("subnet %s of network %s cannot be shown", subnet.uuid, network.uuid)
            continue
        if versions is None or counted[VERSION] in versions:
            subnets.append(counted)
    return {
        "network_id": network.uuid,
        "network_name": network.name,
        "project_id": network.project_id,
        "tenant_id": network.project_id,
        "total_ips": sum(subnet["total_ips"] for subnet in subnets),
        "used_ips": sum(subnet["used_ips"] for subnet in subnets),
        "subnet_ip_availability": subnets,
    }


def _of_subnet(subnet: Subnet) -> dict[str, Any]:
    network = ip_network(subnet.cidr)
    pools = [parse_pool(pool) for pool in subnet.allocation_pools]
    return {
        "subnet_id": subnet.uuid,
        "subnet_name": subnet.name,
        VERSION: network.version,
        "cidr": subnet.cidr,
        "total_ips": sum(last - first + 1 for first, last in pools) if pools else network.num_addresses,
        "used_ips": len(subnet.referrers(FixedAddress.subnet)),
    }
