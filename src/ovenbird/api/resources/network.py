"""Networks, with the provider attributes that say how each is carried between hosts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.attributes import UNSET, Attribute, shown
from ovenbird.api.errors import (
    ExternalNetworkInUse,
    FlatNetworkInUse,
    InvalidInput,
    NetworkInUse,
    NetworkNotFound,
    NoNetworkAvailable,
    TunnelIdInUse,
    VlanIdInUse,
)
from ovenbird.api.metadata_ports import MetadataPorts
from ovenbird.api.resource import STANDARD, Resource, project_of, renamed, standard
from ovenbird.api.resources.availability_zone import NETWORK, check_hints
from ovenbird.api.service_ports import ServicePorts
from ovenbird.api.values import boolean, dns_name, integer, list_of, one_of, optional, text
from ovenbird.model.cloud import FloatingIP, Network, NetworkSegment, Port, RouterGateway, Subnet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import UUID, Column

UNDERLAY_MTU = 1500
TUNNEL_OVERHEAD = 58
"""Geneve over IPv4 with OVN's option: 14 Ethernet, 20 IP, 8 UDP, 8 Geneve, 8 option."""

TUNNELS = ("geneve", "vxlan", "gre")
TENANT_TYPE = "geneve"
TUNNEL_IDS = (1, 65_535)
"""Range that tunnel ids are chosen from, as Neutron's default ``vni_ranges``."""

CHOICES = 64
"""How many random tunnel ids are tried before the range counts as full."""

COLUMNS = {
    "name": "name",
    "description": "description",
    "admin_state_up": "admin_state_up",
    "shared": "shared",
    "router:external": "external",
    "mtu": "mtu",
    "port_security_enabled": "port_security_enabled",
    "dns_domain": "dns_domain",
}


class Networks(Resource[Network]):
    """``/v2.0/networks``."""

    member = "network"
    collection = "networks"
    row_class = Network
    not_found = NetworkNotFound
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default=""),
        "admin_state_up": Attribute(boolean, default=True),
        "shared": Attribute(boolean, default=False),
        "router:external": Attribute(boolean, default=False),
        "mtu": Attribute(integer(68, 65_535), default=UNSET),
        "port_security_enabled": Attribute(boolean, default=True),
        "dns_domain": Attribute(dns_name, default=""),
        "availability_zone_hints": Attribute(list_of(text()), default=[], put=False),
        "provider:network_type": Attribute(
            optional(one_of("local", "flat", "vlan", *TUNNELS)), default=None, put=False
        ),
        "provider:physical_network": Attribute(optional(text(64)), default=None, put=False),
        "provider:segmentation_id": Attribute(optional(integer(0, 16_777_215)), default=None, put=False),
        "status": shown(),
        "subnets": shown(filterable=False),
        "availability_zones": shown(filterable=False),
        "ipv4_address_scope": shown(filterable=False),
        "ipv6_address_scope": shown(filterable=False),
        "l2_adjacency": shown(filterable=False),
    }
    indexed: ClassVar[Mapping[str, Column[Any]]] = {"name": Network.name}

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.ports = ServicePorts(databases)
        self.metadata = MetadataPorts(databases)

    def render(self, row: Network) -> dict[str, Any]:
        """Return what the API shows of a network."""
        segments: list[NetworkSegment] = row.referrers(NetworkSegment.network)
        segment = segments[0] if segments else None
        return {
            **standard(row),
            "name": row.name,
            "status": "ACTIVE",
            "admin_state_up": row.admin_state_up,
            "shared": row.shared,
            "router:external": row.external,
            "mtu": row.mtu,
            "port_security_enabled": row.port_security_enabled,
            "dns_domain": row.dns_domain,
            "subnets": [subnet.uuid for subnet in row.referrers(Subnet.network)],
            "availability_zone_hints": sorted(row.availability_zone_hints),
            "availability_zones": sorted(row.availability_zone_hints),
            "ipv4_address_scope": None,
            "ipv6_address_scope": None,
            "l2_adjacency": True,
            "provider:network_type": segment.network_type if segment else "local",
            "provider:physical_network": segment.physical_network if segment else None,
            "provider:segmentation_id": segment.segmentation_id if segment else None,
            "tags": sorted(row.tags),
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new network, and the segment that carries it."""
        segment = self._segment(draft, values)
        mtu = values.get("mtu")
        if not mtu:
            tunnelled = segment is not None and segment["network_type"] in TUNNELS
            mtu = UNDERLAY_MTU - (TUNNEL_OVERHEAD if tunnelled else 0)
        stored = renamed(values, COLUMNS) | {
            "project_id": project_of(draft, values),
            "availability_zone_hints": check_hints(self.databases, NETWORK, values["availability_zone_hints"]),
            "mtu": mtu,
        }
        uuid = draft.insert(Network, stored)
        self.metadata.open(draft, uuid, stored["project_id"])
        if segment is not None:
            draft.transaction.insert(NetworkSegment, {**segment, "network": uuid})
        return uuid

    def update(self, draft: Draft, row: Network, values: dict[str, Any]) -> None:
        """Write a change of a network."""
        if row.external and values.get("router:external") is False:
            ports: list[Port] = row.referrers(Port.network)
            if any(port.referrers(RouterGateway.port) or port.referrers(FloatingIP.port) for port in ports):
                raise ExternalNetworkInUse(id=row.uuid)
        draft.update(row, renamed(values, COLUMNS))

    def delete(self, draft: Draft, row: Network) -> None:
        """Write the removal of a network with its subnets; ports other than that of the metadata service keep it."""
        own = self.metadata.of(row.uuid)
        if self.databases.store.table(Port).index(Port.network).count(row.uuid) > (own is not None):
            raise NetworkInUse(id=row.uuid)
        if own is not None:
            self.ports.delete(draft, own)
        for column in (Subnet.network, NetworkSegment.network):
            for dependent in row.referrers(column):
                draft.transaction.delete(dependent)
        draft.transaction.delete(row)

    # -- segments -----------------------------------------------------------------------------------------------------

    def _segment(self, draft: Draft, values: dict[str, Any]) -> dict[str, Any] | None:
        """Return the segment of a new network, checked and reserved; None for a local one."""
        kind = values["provider:network_type"]
        physical, number = values["provider:physical_network"], values["provider:segmentation_id"]
        if kind is None:
            if physical is not None or number is not None:
                raise InvalidInput(error_message="network_type required")
            kind = TENANT_TYPE
        _check_provider(kind, physical, number)
        if kind == "local":
            return None
        if kind in ("vlan", *TUNNELS) and number is None:
            number = self._free_number(draft, kind, physical)
        if self._is_taken(draft, kind, physical, number):
            if kind == "flat":
                raise FlatNetworkInUse(physical_network=physical)
            if kind == "vlan":
                raise VlanIdInUse(vlan_id=number, physical_network=physical)
            raise TunnelIdInUse(tunnel_id=number)
        self.databases.take(draft, *_segment_key(kind, physical, number))
        return {"network_type": kind, "physical_network": physical, "segmentation_id": number}

    def _is_taken(self, draft: Draft, kind: str, physical: str | None, number: int | None) -> bool:
        return self.databases.is_taken(draft, *_segment_key(kind, physical, number))

    def _free_number(self, draft: Draft, kind: str, physical: str | None) -> int:
        low, high = (1, 4094) if kind == "vlan" else TUNNEL_IDS
        for _ in range(CHOICES):
            number = low + secrets.randbelow(high - low + 1)
            if not self._is_taken(draft, kind, physical, number):
                return number
        for number in range(low, high + 1):
            if not self._is_taken(draft, kind, physical, number):
                return number
        raise NoNetworkAvailable


def _segment_key(kind: str, physical: str | None, number: int | None) -> tuple[tuple[Any, Any], ...]:
    return (
        (NetworkSegment.network_type, kind),
        (NetworkSegment.physical_network, physical),
        (NetworkSegment.segmentation_id, number),
    )


def _check_provider(kind: str, physical: str | None, number: int | None) -> None:
    """Check that the provider attributes fit the network's type, as Neutron's type drivers do."""
    if kind in ("flat", "vlan") and not physical:
        raise InvalidInput(error_message=f"physical_network required for {kind} provider network")
    if kind not in ("flat", "vlan") and physical:
        raise InvalidInput(error_message=f"provider:physical_network specified for {kind} network")
    if kind in ("flat", "local") and number is not None:
        raise InvalidInput(error_message=f"provider:segmentation_id specified for {kind} network")
    if kind == "vlan" and number is not None and not 1 <= number <= 4094:
        raise InvalidInput(error_message="segmentation_id out of range (1 through 4094)")
