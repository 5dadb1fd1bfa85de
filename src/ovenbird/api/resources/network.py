"""Networks, with the provider attributes that define how each is carried between hosts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, MEMBER, READER, each, tags
from ovenbird.api.access.sharing import (
    EVERY_PROJECT,
    EXTERNAL,
    SHARED,
    grant,
    is_shared,
    policies,
    policy_for,
    release_dependents,
    share,
    unshare,
)
from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.errors.network import (
    BadNetworkRequest,
    DefaultExternalNetworkExists,
    FlatNetworkInUse,
    InvalidSharedSetting,
    NetworkInUse,
    NetworkNotFound,
    NoNetworkAvailable,
    TunnelIdInUse,
    VlanIdInUse,
    VlanQinqDriverError,
    VlanTransparencyDriverError,
)
from ovenbird.api.errors.port import ExternalNetworkInUse
from ovenbird.api.errors.request import InvalidInput
from ovenbird.api.errors.subnet import NetworkMTUSubnetConflict
from ovenbird.api.ports.metadata_ports import MetadataPorts
from ovenbird.api.ports.service_ports import ServicePorts
from ovenbird.api.qos import (
    check_network,
    check_port,
    check_taken_away,
    default_policy,
    find_policy,
    has_policy,
    is_bound,
    ports_without_own,
)
from ovenbird.api.resource import STANDARD, Resource, project_of, standard
from ovenbird.api.resources.availability_zone import NETWORK, check_hints
from ovenbird.api.values import boolean, domain, integer, list_of, optional, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.model import settings
from ovenbird.model.cloud import (
    AutoAllocatedTopology,
    DefaultExternalNetwork,
    FloatingIP,
    Network,
    NetworkSegment,
    Port,
    RBACPolicy,
    RouterGateway,
    Subnet,
    SubnetPool,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import UUID, ColumnOf, ReferenceOf

MINIMUM_MTU = {4: settings.MINIMUM_MTU, 6: 1280}
"""The smallest MTU of a link in bytes, by IP version (RFC 791; RFC 8200, section 5)."""

TUNNELS = ("geneve", "vxlan", "gre")
TYPES = frozenset(("local", "flat", "vlan", *TUNNELS))
TRANSPARENT = frozenset(("local", "geneve", "vxlan", "vlan"))
"""The types of networks that can be VLAN transparent."""
TENANT_TYPE = "geneve"
TUNNEL_IDS = (1, 65_535)
"""The range from which tunnel ids are allocated, as Neutron's default ``vni_ranges``."""

MOST_TUNNEL_ID = 16_777_215
"""The largest tunnel id: a VNI has 24 bits."""

CHOICES = 64
"""The number of random tunnel ids that are tried before the range counts as exhausted."""

NETWORK_PARTS: tuple[ReferenceOf[Any, Network, Any], ...] = (
    Subnet.network,
    NetworkSegment.network,
    DefaultExternalNetwork.network,
    AutoAllocatedTopology.network,
)
"""The columns of the rows that are deleted with their network, besides ports."""

PROVIDER = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")


def _mtu(value: Any) -> int:
    """Convert an MTU; 0 selects the largest that the network can carry."""
    return integer(0, 65_535)(value)


def _one_segment(value: Any) -> None:
    """Refuse the attribute `segments`: a network has one segment, given by the provider attributes."""
    if value is not None:
        raise InvalidInput(error_message="a network has one segment here: give the provider attributes, not segments")


PUBLIC = "rule:shared or rule:external or rule:context_is_advsvc"


class Networks(Resource[Network]):
    """``/v2.0/networks``."""

    member = "network"
    collection = "networks"
    row_class = Network
    not_found = NetworkNotFound
    references: ClassVar[Mapping[str, str]] = {"qos_policy_id": "policies"}
    extensions: ClassVar[Mapping[str, str]] = {
        "auto-allocated-topology": "Auto Allocated Topology Services",
        "external-net": "Neutron external network",
        "net-mtu": "Network MTU",
        "net-mtu-writable": "Network MTU (writable)",
        "network_availability_zone": "Network Availability Zone",
        "provider": "Provider Network",
        "qinq": "QinQ networks",
        "vlan-transparent": "Vlantransparent",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(MEMBER, "create_network", "update_network", "delete_network"),
        "get_network": f"{READER} or rule:service_api or {PUBLIC}",
        **each(MEMBER, "create_network:port_security_enabled", "update_network:port_security_enabled"),
        **each(
            ADMIN,
            *(f"{verb}_network:provider:{part}" for verb in ("create", "get", "update")
              for part in ("network_type", "physical_network", "segmentation_id")),
            *(f"{verb}_network:{part}" for verb in ("create", "update")
              for part in ("shared", "router:external", "is_default", "segments")),
            "get_network:segments",
        ),
        **tags("network", reader=f"{READER} or {PUBLIC}", member=MEMBER),
    }  # fmt: skip
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default="", column="name"),
        "admin_state_up": Attribute(boolean, default=True, column="admin_state_up"),
        "shared": Attribute(boolean, default=False),
        "router:external": Attribute(boolean, default=False, column="external"),
        "is_default": Attribute(boolean, default=False),
        "mtu": Attribute(_mtu, default=0, sought=integer(), column="mtu"),
        "port_security_enabled": Attribute(boolean, default=True, column="port_security_enabled"),
        "vlan_transparent": Attribute(boolean, default=False, put=False, column="vlan_transparent"),
        "qinq": Attribute(boolean, default=False, put=False, column="qinq"),
        "dns_domain": Attribute(domain, default="", column="dns_domain"),
        "availability_zone_hints": Attribute(list_of(text(), null=False), default=[], put=False),
        "provider:network_type": Attribute(text(32), default=None, explicit=True),
        "provider:physical_network": Attribute(text(64), default=None, explicit=True),
        "provider:segmentation_id": Attribute(integer(0), default=None, explicit=True),
        "segments": Attribute(_one_segment, default=None, put=False, filterable=False, explicit=True),
        "qos_policy_id": Attribute(optional(uuid_value), default=None),
        "status": shown(),
        "subnets": shown(filterable=False),
        "availability_zones": shown(filterable=False),
        "ipv4_address_scope": shown(filterable=False),
        "ipv6_address_scope": shown(filterable=False),
        "l2_adjacency": shown(filterable=False),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {"name": Network.name}

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.ports = ServicePorts(databases)
        self.metadata = MetadataPorts(databases)

    def render(self, row: Network) -> dict[str, Any]:
        """Return what the API shows of a network."""
        segments: list[NetworkSegment] = row.referrers(NetworkSegment.network)
        segment = segments[0] if segments else None
        external = {"is_default": bool(row.referrers(DefaultExternalNetwork.network))} if row.external else {}
        return {
            **standard(row),
            **external,
            "name": row.name,
            "status": "ACTIVE",
            "admin_state_up": row.admin_state_up,
            "shared": is_shared(row),
            "router:external": row.external,
            "mtu": row.mtu,
            "vlan_transparent": row.vlan_transparent,
            "qinq": row.qinq,
            "port_security_enabled": row.port_security_enabled,
            "dns_domain": row.dns_domain,
            "subnets": [subnet.uuid for subnet in row.referrers(Subnet.network)],
            "availability_zone_hints": sorted(row.availability_zone_hints),
            "availability_zones": sorted(row.availability_zone_hints),
            "ipv4_address_scope": address_scope(row, 4),
            "ipv6_address_scope": address_scope(row, 6),
            "l2_adjacency": True,
            "qos_policy_id": Network.qos_policy.raw(row),
            "provider:network_type": segment.network_type if segment else "local",
            "provider:physical_network": segment.physical_network if segment else None,
            "provider:segmentation_id": segment.segmentation_id if segment else None,
            "tags": sorted(row.tags),
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new network and its segment."""
        segment = self._segment(draft, values)
        kind = segment["network_type"] if segment is not None else "local"
        _check_tags_of_instances(kind, transparent=values["vlan_transparent"], qinq=values["qinq"])
        largest = self._largest_mtu(kind)
        mtu = values["mtu"] or largest
        _check_mtu(mtu, largest)
        project = project_of(draft, values)
        policy = find_policy(self.databases, values["qos_policy_id"]) or default_policy(self.databases, project)
        stored = self.stored(values) | {
            "project_id": project,
            "availability_zone_hints": check_hints(self.databases, NETWORK, values["availability_zone_hints"]),
            "mtu": mtu,
            **has_policy(draft, policy, project=project),
        }
        uuid = draft.insert(Network, stored)
        check_network(policy, uuid)
        for name, action in (("shared", SHARED), ("router:external", EXTERNAL)):
            if values[name]:
                share(draft, RBACPolicy.network, uuid, project=stored["project_id"], action=action)
        if values["is_default"]:
            self._check_no_default(draft, uuid)
        if values["router:external"] and values["is_default"]:
            self._make_default(draft, uuid)
        draft.made["metadata", uuid] = self.metadata.open(draft, uuid, stored["project_id"])
        if segment is not None:
            draft.transaction.insert(NetworkSegment, {**segment, "network": uuid})
        return uuid

    def update(self, draft: Draft, row: Network, values: dict[str, Any]) -> None:
        """Write a change of a network."""
        if row.external and values.get("router:external") is False:
            ports: list[Port] = row.referrers(Port.network)
            if any(port.referrers(RouterGateway.port) or port.referrers(FloatingIP.port) for port in ports):
                raise ExternalNetworkInUse(id=row.uuid)
        shown = self.render(row)
        if any(values[name] != shown[name] for name in PROVIDER if name in values):
            raise InvalidInput(
                error_message="Plugin does not support updating the following provider network attributes: "
                + ", ".join(PROVIDER)
            )
        if "mtu" in values:
            largest = self._largest_mtu(shown["provider:network_type"])
            values["mtu"] = values["mtu"] or largest
            _check_mtu(values["mtu"], largest)
            versions = {6 if ":" in subnet.cidr else 4 for subnet in row.referrers(Subnet.network)}
            if values["mtu"] < (least := max((MINIMUM_MTU[version] for version in versions), default=0)):
                raise NetworkMTUSubnetConflict(net_id=row.uuid, mtu=least)
        self._share(draft, row, values)
        default = row.referrer(DefaultExternalNetwork.network)
        external = values.get("router:external", row.external)
        wanted = external and values.get("is_default", default is not None)
        if default is None and wanted:
            self._make_default(draft, row.uuid)
        elif default is not None and not wanted:
            draft.transaction.delete(default)
        stored = self.stored(values)
        if "qos_policy_id" in values:
            stored |= self._change_policy(draft, row, values["qos_policy_id"])
        draft.update(row, stored)

    def _change_policy(self, draft: Draft, row: Network, uuid: str | None) -> dict[str, Any]:
        """Return the columns of a network with another QoS policy, or none."""
        check_taken_away(draft, row.qos_policy)
        policy = find_policy(self.databases, uuid)
        if uuid != Network.qos_policy.raw(row):
            check_network(policy, row.uuid)
            for port in ports_without_own(row) if policy is not None else ():
                check_port(policy, port.uuid, vnic=port.vnic_type, bound=is_bound(self.databases, port))
        return has_policy(draft, policy, project=row.project_id)

    def _share(self, draft: Draft, row: Network, values: Mapping[str, Any]) -> None:
        """Write the RBAC policies that the attributes `shared` and `router:external` stand for."""
        everyone = policy_for(row, EVERY_PROJECT)
        if values.get("shared") and everyone is None:
            share(draft, RBACPolicy.network, row.uuid, project=row.project_id)
        elif values.get("shared") is False and everyone is not None:
            _check_unshared(row, everyone)
            release_dependents(draft, everyone)
            draft.transaction.delete(everyone)
        external = values.get("router:external", row.external)
        if external and not row.external:
            share(draft, RBACPolicy.network, row.uuid, project=row.project_id, action=EXTERNAL)
        elif row.external and not external:
            for policy in policies(row, EXTERNAL):
                draft.transaction.delete(policy)

    def _check_no_default(self, draft: Draft, uuid: UUID) -> None:
        """Check that no other network is the default external one."""
        found = [DefaultExternalNetwork.network.raw(row) for row in self.databases.store.table(DefaultExternalNetwork)]
        made = draft.made.get((DefaultExternalNetwork,))
        for other in (*found, *(() if made is None else (made,))):
            if other != uuid:
                raise DefaultExternalNetworkExists(net_id=other)

    def _make_default(self, draft: Draft, uuid: UUID) -> None:
        """Write that a network is the default external one; of several requests the table's limit lets one through."""
        self._check_no_default(draft, uuid)
        draft.made[DefaultExternalNetwork,] = uuid
        draft.transaction.insert(DefaultExternalNetwork, {"network": uuid})

    def _largest_mtu(self, kind: str) -> int:
        """Return the largest MTU of a network of a type."""
        return settings.PHYSICAL_MTU.of(self.databases.store) - settings.TUNNEL_OVERHEAD * (kind in TUNNELS)

    def delete(self, draft: Draft, row: Network) -> None:
        """Write the removal of an unused network with its subnets, service ports and unused floating IPs."""
        self.delete_with(draft, row, ())

    def delete_with(self, draft: Draft, row: Network, leaving: Collection[Port]) -> None:
        """Write the removal of a network.

        Arguments:
            draft: the transaction.
            row: the network.
            leaving: ports that the transaction removes already.

        Raises:
            NetworkInUse: it has ports in use.
        """
        ports: list[Port] = [port for port in row.referrers(Port.network) if port not in leaving]
        if not all(map(self.ports.goes_along, ports)):
            raise NetworkInUse(id=row.uuid)
        for port in ports:
            self.ports.delete(draft, port)
        for column in NETWORK_PARTS:
            for dependent in row.referrers(column):
                draft.transaction.delete(dependent)
        unshare(draft, row)
        draft.transaction.delete(row)

    # -- segments -----------------------------------------------------------------------------------------------------

    def _segment(self, draft: Draft, values: dict[str, Any]) -> dict[str, Any] | None:
        """Return the checked and reserved segment of a new network; None for a local network."""
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


def address_scope(network: Network, version: int) -> UUID | None:
    """Return the address scope of a network's subnets of an IP version, which is one for all of them; None for none.

    Arguments:
        network: the network.
        version: 4 or 6.
    """
    for subnet in network.referrers(Subnet.network):
        pool = subnet.subnet_pool
        if pool is not None and pool.ip_version == version:
            scope: UUID | None = SubnetPool.address_scope.raw(pool)
            if scope is not None:
                return scope
    return None


def _check_unshared(row: Network, everyone: RBACPolicy) -> None:
    """Check that a network has no subnets and no ports of projects that depend on the policy for every project.

    Ports of the network itself are allowed.

    Arguments:
        row: the network.
        everyone: the policy.

    Raises:
        InvalidSharedSetting: it has a subnet or a port of such a project.
    """
    ports: list[Port] = row.referrers(Port.network)
    projects = {port.project_id for port in ports if not port.device_owner.startswith("network:")}
    projects |= {subnet.project_id for subnet in row.referrers(Subnet.network)}
    for project in projects - {row.project_id}:
        if grant(row, project, but=everyone) is None:
            raise InvalidSharedSetting(network=row.name)


def _check_tags_of_instances(kind: str, *, transparent: bool, qinq: bool) -> None:
    """Check that a network of a type can carry the VLAN tags of instances, as Neutron's OVN driver does.

    Arguments:
        kind: the network's type.
        transparent: whether it is to carry them.
        qinq: whether it is to carry them inside of an S-tag.

    Raises:
        BadNetworkRequest, VlanTransparencyDriverError, VlanQinqDriverError: it cannot.
    """
    if transparent and qinq:
        raise BadNetworkRequest(
            reason="Attributes 'vlan_transparent' and 'qinq' can not be set to True for the same network"
        )
    if transparent and kind not in TRANSPARENT:
        raise VlanTransparencyDriverError
    if qinq and kind != "vlan":
        raise VlanQinqDriverError


def _check_mtu(mtu: int, largest: int) -> None:
    """Check that an MTU is not larger than the network can carry.

    Raises:
        InvalidInput: it is larger.
    """
    if mtu > largest:
        raise InvalidInput(error_message=f"Requested MTU is too big, maximum is {largest}")


def _check_provider(kind: str, physical: str | None, number: int | None) -> None:
    """Check that the provider attributes fit the network's type, as Neutron's type drivers do.

    Raises:
        InvalidInput: they do not.
    """
    if kind not in TYPES:
        raise InvalidInput(error_message=f"network_type value '{kind}' not supported")
    if kind == "flat" and not physical:
        raise InvalidInput(error_message="physical_network required for flat provider network")
    if kind == "vlan" and not physical:
        what = "segmentation_id requires physical_network" if number is not None else "physical_network required"
        raise InvalidInput(error_message=f"{what} for VLAN provider network")
    if kind == "local" and physical:
        raise InvalidInput(error_message="physical_network prohibited for local provider network")
    if kind in TUNNELS and physical:
        raise InvalidInput(error_message=f"provider:physical_network specified for {kind} network")
    if kind in ("flat", "local") and number is not None:
        raise InvalidInput(error_message=f"segmentation_id prohibited for {kind} provider network")
    highest = 4094 if kind == "vlan" else MOST_TUNNEL_ID
    if number is not None and not 1 <= number <= highest:
        raise InvalidInput(error_message=f"segmentation_id out of range (1 through {highest})")
