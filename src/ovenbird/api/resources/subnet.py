"""Subnets: address ranges of a network, and their DHCP settings."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, NET_MEMBER, NET_READER, OWN, each, tags
from ovenbird.api.access.sharing import grants
from ovenbird.api.attributes import REQUIRED, UNSET, Attribute, shown
from ovenbird.api.errors.address_scope import NetworkAddressScopeAffinityError
from ovenbird.api.errors.network import NetworkNotFound
from ovenbird.api.errors.port import GatewayIpInUse
from ovenbird.api.errors.request import HTTPBadRequest, InvalidInput
from ovenbird.api.errors.subnet import (
    BadSubnetRequest,
    DNSNameServersExhausted,
    HostRoutesExhausted,
    InvalidInputSubnetServiceType,
    InvalidSubnetServiceType,
    NetworkMTUSubnetConflict,
    SubnetHasMembers,
    SubnetInUse,
    SubnetNotFound,
)
from ovenbird.api.errors.subnet_pool import NetworkSubnetPoolAffinityError, SubnetPoolNotFound
from ovenbird.api.ports.fixed_ips import SELF_ADDRESSED, balanced, release, self_addressed
from ovenbird.api.ports.ipam import check_gateway, check_pools, default_pools, eui64
from ovenbird.api.ports.metadata_ports import MetadataPorts
from ovenbird.api.ports.service_ports import GO_ALONG, METADATA_OWNER
from ovenbird.api.resource import STANDARD, Parent, Resource, project_of, standard
from ovenbird.api.resources.network import MINIMUM_MTU
from ovenbird.api.resources.subnet_pool import default_pool
from ovenbird.api.subnet_allocation import BITS, address_range, allocate, overlaps
from ovenbird.api.values import (
    address,
    boolean,
    integer,
    list_of,
    never,
    nothing,
    one_of,
    optional,
    prefix,
    record,
    text,
)
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import FixedAddress, Network, Port, RouterInterface, Subnet, SubnetPool
from ovenbird.model.load_balancing import Member
from ovenbird.net.addresses import ipv4_text, ipv6_text
from ovenbird.net.ip import ip_address, ip_network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network, IPv6Network

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import ColumnOf

IPV6_MODES = ("slaac", "dhcpv6-stateful", "dhcpv6-stateless")
MOST_NAME_SERVERS, MOST_ROUTES = 5, 20
"""Neutron's default limits for one subnet."""

NOT_HOSTS = ("network:router_", "network:floatingip")
"""Prefixes of the device owners whose ports do not derive their IPv6 addresses from their MAC."""


OWNERS = ("network:", "neutron:", "baremetal:", *"compute:")
"""Prefixes of the device owners that a subnet's service types may name. As in Neutron each letter of `compute:` is a
prefix of its own, so that `octavia:…`, `trunk:…`, `manila:…` and others are accepted; clients depend on this."""


def _cidr(value: Any) -> str | None:
    """Convert a subnet's CIDR; host bits are cleared."""
    if value is None:
        return None
    try:
        if "/" in value:
            return str(ip_network(value, strict=False))
    except (TypeError, ValueError):
        pass
    raise InvalidInput(error_message=f"'{value}' is not a valid IP subnet")


def _pools(value: Any) -> list[dict[str, str]]:
    """Convert allocation pools, each with its first and last address."""
    if value is not None and not isinstance(value, list):
        raise InvalidInput(error_message=f"Invalid data format for IP pool: '{value}'")
    pools: list[dict[str, str]] = list_of(record(("start", "end"), start=address, end=address))(value)
    return pools


def _service_type(value: Any) -> str:
    """Convert a service type: a device owner or its prefix."""
    if not isinstance(value, str):
        raise InvalidInputSubnetServiceType(service_type=value)
    if not value.startswith(OWNERS):
        raise InvalidSubnetServiceType(service_type=value)
    return value


def _pool(value: Any) -> str:
    """Convert a subnet pool's id."""
    if value == "prefix_delegation":
        raise ValueError("prefix delegation is not available here")
    return uuid_value(value)


ON_SUBNET = f"(role:member and {OWN}) or {ADMIN} or {NET_MEMBER}"
SEES_SUBNET = f"(role:reader and {OWN}) or rule:shared or rule:external_network or {ADMIN} or {NET_READER}"


class Subnets(Resource[Subnet]):
    """``/v2.0/subnets``."""

    member = "subnet"
    collection = "subnets"
    row_class = Subnet
    not_found = SubnetNotFound
    parent = Parent(attribute="network_id", column="network", called="network", rows=Network)
    references: ClassVar[Mapping[str, str]] = {"network_id": "networks", "subnetpool_id": "subnetpools"}
    unshown = frozenset(("shared",))
    extensions: ClassVar[Mapping[str, str]] = {
        "subnet-external-network": "Subnet belongs to an external network",
        "subnet-service-types": "Subnet service types",
    }
    rules: ClassVar[Mapping[str, str]] = {
        "create_subnet": f"{ADMIN} or {NET_MEMBER}",
        "get_subnet": f"{SEES_SUBNET} or rule:service_api",
        **each(ON_SUBNET, "update_subnet", "delete_subnet"),
        **each(
            ADMIN,
            "create_subnet:segment_id",
            "get_subnet:segment_id",
            "update_subnet:segment_id",
        ),
        **tags("subnet", reader=SEES_SUBNET, member=ON_SUBNET),
    }
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default="", column="name"),
        "network_id": Attribute(uuid_value, default=REQUIRED, put=False),
        "ip_version": Attribute(integer(), default=UNSET, put=False),
        "cidr": Attribute(_cidr, default=None, put=False),
        "gateway_ip": Attribute(optional(address), default=UNSET, column="gateway_ip"),
        "enable_dhcp": Attribute(boolean, default=True, column="enable_dhcp"),
        "allocation_pools": Attribute(_pools, default=UNSET, filterable=False),
        "dns_nameservers": Attribute(list_of(address), default=[], filterable=False),
        "host_routes": Attribute(
            list_of(record(("destination", "nexthop"), destination=prefix, nexthop=address)),
            default=[],
            filterable=False,
        ),
        "ipv6_ra_mode": Attribute(optional(one_of(*IPV6_MODES)), default=None, put=False, column="ipv6_ra_mode"),
        "ipv6_address_mode": Attribute(
            optional(one_of(*IPV6_MODES)), default=None, put=False, column="ipv6_address_mode"
        ),
        "service_types": Attribute(list_of(_service_type), default=[], filterable=False),
        "subnetpool_id": Attribute(optional(_pool), default=None, put=False),
        "use_default_subnetpool": Attribute(boolean, default=False, put=False, filterable=False),
        "prefixlen": Attribute(integer(0), default=UNSET, put=False, filterable=False),
        "segment_id": Attribute(nothing, default=None, filterable=False),
        "dns_publish_fixed_ip": Attribute(never, default=False, sought=boolean),
        "router:external": shown(boolean),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {
        "network_id": Subnet.network,
        "name": Subnet.name,
        "cidr": Subnet.cidr,
        "subnetpool_id": Subnet.subnet_pool,
    }

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.metadata = MetadataPorts(databases)

    def render(self, row: Subnet) -> dict[str, Any]:
        """Return what the API shows of a subnet."""
        pools = sorted((pool.split("-") for pool in row.allocation_pools), key=lambda p: int(ip_address(p[0])))
        routes = sorted(route.split() for route in row.host_routes)
        return {
            **standard(row),
            "name": row.name,
            "network_id": Subnet.network.raw(row),
            "ip_version": 6 if ":" in row.cidr else 4,
            "cidr": row.cidr,
            "gateway_ip": row.gateway_ip,
            "enable_dhcp": row.enable_dhcp,
            "allocation_pools": [{"start": first, "end": last} for first, last in pools],
            "dns_nameservers": [server for _, server in sorted(row.dns_nameservers.items())],
            "host_routes": [{"destination": to, "nexthop": via} for to, via in routes],
            "ipv6_ra_mode": row.ipv6_ra_mode,
            "ipv6_address_mode": row.ipv6_address_mode,
            "service_types": sorted(row.service_types),
            "subnetpool_id": Subnet.subnet_pool.raw(row),
            "segment_id": None,
            "dns_publish_fixed_ip": False,
            "router:external": row.network.external,
            "tags": sorted(row.tags),
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new subnet, and increment the network's revision, so that concurrent subnets cannot overlap."""
        network = self.databases.store.table(Network).get(values["network_id"])
        if network is None:
            raise NetworkNotFound(id=values["network_id"])
        return self.create_on(draft, network, values)

    def create_on(self, draft: Draft, network: Network, values: dict[str, Any]) -> UUID:
        """Write a new subnet.

        Arguments:
            draft: the transaction.
            network: the subnet's network, which may be new in this transaction.
            values: parsed attributes, defaults filled in.

        Raises:
            NeutronError: the request is refused.
        """
        pool = self._pool(draft, values)
        cidr = values["cidr"] if pool is None else self._allocated(draft, pool, values)
        if cidr is None:
            raise BadSubnetRequest(reason="a subnetpool must be specified in the absence of a cidr")
        block = ip_network(cidr)
        version = values.setdefault("ip_version", block.version)
        if version not in (4, 6):
            raise HTTPBadRequest(reason=f"Invalid input for ip_version. Reason: '{version}' is not in [4, 6].")
        if version != block.version:
            raise InvalidInput(error_message=f"'{cidr}' is not a valid IPv{version} subnet")
        _check_options(values, block.version)
        _check_ipv6_modes(values, block.version, block.prefixlen)
        if values["enable_dhcp"]:
            _check_dhcp(block)
        if block.version == 6 and int(block.network_address) == 0:
            raise InvalidInput(error_message="IPv6 subnet '::' is not supported")
        if block.prefixlen == 0:
            raise InvalidInput(error_message="0 is not allowed as CIDR prefix length")
        if network.mtu < (least := MINIMUM_MTU[block.version]):
            raise NetworkMTUSubnetConflict(net_id=network.uuid, mtu=least)
        self._check_overlap(draft, network, cidr)
        self._check_affinity(draft, network, block.version, pool)
        draft.touch(network)
        if "gateway_ip" not in values:
            values["gateway_ip"] = _default_gateway(block, chosen=values["cidr"] is None)
        _check_gateway_in(cidr, values["gateway_ip"])
        if values.get("allocation_pools"):
            pools = check_pools(cidr, [(p["start"], p["end"]) for p in values["allocation_pools"]])
            check_gateway(values["gateway_ip"], pools)
        else:
            pools = default_pools(cidr, gateway=values["gateway_ip"])
        stored = (
            self.stored(values)
            | _stored(values)
            | {
                "project_id": project_of(draft, values),
                "network": network.uuid,
                "subnet_pool": None if pool is None else pool.uuid,
                "allowed_by": grants(draft, project_of(draft, values), () if pool is None else (pool,)),
                "cidr": cidr,
                "allocation_pools": frozenset(pools),
            }
        )
        uuid = draft.insert(Subnet, stored)
        mode = values["ipv6_address_mode"] or values["ipv6_ra_mode"]
        if values["enable_dhcp"]:
            self.metadata.join(draft, network.uuid, network.project_id, uuid, cidr, pools, mode)
        if mode in SELF_ADDRESSED:
            owners = stored["service_types"]
            self._address_themselves(draft, network.uuid, uuid, cidr, owners)
            draft.after.append(lambda then: self._address_themselves(then, network.uuid, uuid, cidr, owners))
        return uuid

    def update(self, draft: Draft, row: Subnet, values: dict[str, Any]) -> None:
        """Write a change of a subnet."""
        if values.get("enable_dhcp") is False and (row.ipv6_ra_mode or row.ipv6_address_mode):
            raise InvalidInput(error_message="Cannot disable enable_dhcp with ipv6 attributes set")
        _check_options(values, ip_network(row.cidr).version)
        if values.get("enable_dhcp") and not row.enable_dhcp:
            _check_dhcp(ip_network(row.cidr))
        stored = self.stored(values) | _stored(values)
        pools = sorted(row.allocation_pools)
        if "allocation_pools" in values:
            pools = check_pools(row.cidr, [(p["start"], p["end"]) for p in values["allocation_pools"]])
            stored["allocation_pools"] = frozenset(pools)
        gateway = values.get("gateway_ip", row.gateway_ip)
        if "gateway_ip" in values:
            _check_gateway_in(row.cidr, gateway)
            if gateway != row.gateway_ip:
                self._check_gateway_free(row)
        if "gateway_ip" in values or "allocation_pools" in values:
            check_gateway(gateway, pools)
        network = Subnet.network.raw(row)
        if values.get("enable_dhcp", row.enable_dhcp) != row.enable_dhcp:
            if row.enable_dhcp:
                self.metadata.leave(draft, network, row)
            else:
                self.metadata.join(
                    draft,
                    network,
                    row.network.project_id,
                    row.uuid,
                    row.cidr,
                    pools,
                    row.ipv6_address_mode or row.ipv6_ra_mode,
                )
        draft.update(row, stored)

    def delete(self, draft: Draft, row: Subnet) -> None:
        """Write the removal of a subnet with its SLAAC addresses; other addresses in use prevent it."""
        if row.referrers(Member.subnet):
            raise SubnetHasMembers(id=row.uuid)
        taken: list[FixedAddress] = row.referrers(FixedAddress.subnet)
        own = self_addressed(row)
        for fixed in taken:
            owner = fixed.port.device_owner
            if balanced(fixed) or (owner not in GO_ALONG and (not own or owner.startswith(NOT_HOSTS))):
                raise SubnetInUse(id=row.uuid)
        for fixed in taken:
            release(draft, fixed)
        draft.touch(row.network)
        draft.transaction.delete(row)

    def _address_themselves(self, draft: Draft, network: UUID, subnet: UUID, cidr: str, owners: frozenset[str]) -> None:
        """Write the SLAAC addresses of a network's ports in a new subnet, if they do not have them yet.

        Ports that are committed while the subnet is being created may be missed; therefore this is done twice, the
        second time after the subnet exists. Ports that are created later take the subnet into account themselves.
        """
        index = self.databases.store.table(FixedAddress).index(FixedAddress.port)
        for port in self.databases.store.select(Port.network, network):
            owner = port.device_owner
            if owner.startswith(NOT_HOSTS) or owner == METADATA_OWNER or (owners and owner not in owners):
                continue
            if any(FixedAddress.subnet.raw(fixed) == subnet for fixed in index.rows(port.uuid)):
                continue
            draft.expect(port)
            values = {"port": port.uuid, "subnet": subnet, "address": eui64(cidr, mac=port.mac_address)}
            draft.transaction.insert(FixedAddress, values)

    def _check_gateway_free(self, row: Subnet) -> None:
        """Check that no router uses the gateway's address, before it changes."""
        index = self.databases.store.table(FixedAddress).index(FixedAddress.subnet, FixedAddress.address)
        for fixed in index.rows((row.uuid, row.gateway_ip)) if row.gateway_ip else ():
            if fixed.port.referrers(RouterInterface.port):
                raise GatewayIpInUse(ip_address=row.gateway_ip, port_id=fixed.port.uuid)

    def _check_overlap(self, draft: Draft, network: Network, cidr: str) -> None:
        """Check that a new subnet does not overlap with another of the network, stored or in this draft."""
        key = ("subnets", network.uuid)
        if key not in draft.made:
            draft.made[key] = {4: [], 6: []}
            for subnet in network.referrers(Subnet.network):
                insort(draft.made[key][address_range(subnet.cidr)[0]], address_range(subnet.cidr)[1:])
        version, *new = address_range(cidr)
        taken = draft.made[key][version]
        if overlaps(taken, (new[0], new[1])):
            raise InvalidInput(
                error_message=f"Requested subnet with cidr: {cidr} for network: {network.uuid} "
                f"overlaps with another subnet"
            )
        insort(taken, (new[0], new[1]))

    # -- subnet pools -------------------------------------------------------------------------------------------------

    def _pool(self, draft: Draft, values: Mapping[str, Any]) -> SubnetPool | None:
        """Return the pool from which to allocate a new subnet's CIDR; None if the request gives only the CIDR."""
        cidr, wanted = values["cidr"], values["subnetpool_id"]
        if cidr is not None and "prefixlen" in values:
            raise BadSubnetRequest(reason="cidr and prefixlen must not be supplied together")
        if wanted is None and not values["use_default_subnetpool"]:
            return None
        if wanted is not None and values["use_default_subnetpool"]:
            raise BadSubnetRequest(reason="subnetpool_id and use_default_subnetpool cannot both be specified")
        if cidr is None and "allocation_pools" in values:
            raise BadSubnetRequest(reason="allocation_pools allowed only for specific subnet requests.")
        if wanted is not None:
            pool = self.databases.store.table(SubnetPool).get(UUID(wanted))
            if pool is None:
                raise SubnetPoolNotFound(id=wanted)
            return pool
        version = values.get("ip_version") if cidr is None else ip_network(cidr).version
        if version is None:
            raise BadSubnetRequest(reason="ip_version must be specified in the absence of cidr and subnetpool_id")
        pool = default_pool(self.databases, draft, version)
        if pool is None:
            raise BadSubnetRequest(reason=f"No default subnetpool found for IPv{version}")
        return pool

    def _allocated(self, draft: Draft, pool: SubnetPool, values: Mapping[str, Any]) -> str:
        """Allocate a new subnet's CIDR from a pool, write the allocation, and return the CIDR."""
        version, cidr, gateway = pool.ip_version, values["cidr"], values.get("gateway_ip")
        asked = values.get("ip_version", version)
        if asked != version:
            raise BadSubnetRequest(reason=f"Cannot allocate IPv{asked} subnet from IPv{version} subnet pool")
        length = values.get("prefixlen", pool.default_prefixlen)
        if cidr is None and gateway is not None and length <= BITS[version]:
            _check_gateway_version(gateway, version)
            cidr = str(ip_network(f"{gateway}/{length}", strict=False))
        block = None
        if cidr is not None:
            there, *addresses = address_range(cidr)
            if there != version:
                raise InvalidInput(error_message=f"'{cidr}' is not a valid IPv{version} subnet")
            length, block = ip_network(cidr).prefixlen, (addresses[0], addresses[1])
        return allocate(draft, pool, length, block, project_of(draft, values))

    def _check_affinity(self, draft: Draft, network: Network, version: int, pool: SubnetPool | None) -> None:
        """Check that a network's subnets of an IP version are all from one pool, or scope, or all without a pool."""
        key = ("pool", network.uuid, version)
        if key not in draft.made:
            for subnet in network.referrers(Subnet.network):
                if address_range(subnet.cidr)[0] == version:
                    draft.made[key] = subnet.subnet_pool
                    break
        there: SubnetPool | None = draft.made.setdefault(key, pool)
        if there is pool:
            return
        if there is None or pool is None or there.address_scope is None:
            raise NetworkSubnetPoolAffinityError
        if pool.address_scope is not there.address_scope:
            raise NetworkAddressScopeAffinityError
        draft.expect(there)  # another scope of the pool would be one of these subnets alone
        draft.expect(pool)


def _stored(values: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that the database stores in another form."""
    stored: dict[str, Any] = {}
    if "dns_nameservers" in values:
        stored["dns_nameservers"] = dict(enumerate(values["dns_nameservers"]))
    if "host_routes" in values:
        stored["host_routes"] = frozenset(f"{r['destination']} {r['nexthop']}" for r in values["host_routes"])
    if "service_types" in values:
        stored["service_types"] = frozenset(values["service_types"])
    return stored


def _check_gateway_in(cidr: str, gateway: str | None) -> None:
    """Check that a gateway's address is a valid host address; it may be outside of the subnet."""
    if gateway is None:
        return
    block, at = ip_network(cidr), ip_address(gateway)
    _check_gateway_version(gateway, block.version)
    if at.version == 4 and at in (block.network_address, block.broadcast_address):
        raise InvalidInput(error_message="Gateway is not valid on subnet")


def _default_gateway(block: IPv4Network | IPv6Network, *, chosen: bool) -> str:
    """Return the default gateway address of a new subnet; for an IPv4 /32 it is outside of the subnet.

    Arguments:
        block: the subnet's CIDR.
        chosen: whether the CIDR was allocated from a pool; if so the second address of an IPv6 subnet, else the first.

    Raises:
        InvalidInput: there is no such address.
    """
    at = int(block.network_address) + (1 if block.version == 4 or chosen else 0)
    if at >> BITS[block.version]:
        raise InvalidInput(error_message="Gateway is not valid on subnet")
    return ipv4_text(at) if block.version == 4 else ipv6_text(at)


def _check_gateway_version(gateway: str, version: int) -> None:
    """Check that a gateway's address has the subnet's IP version."""
    if (":" in gateway) != (version == 6):
        raise InvalidInput(error_message=f"gateway_ip '{gateway}' does not match the ip_version '{version}'")


def _check_dhcp(block: IPv4Network | IPv6Network) -> None:
    """Check that the addresses of a CIDR can be assigned by DHCP."""
    if block.max_prefixlen - block.prefixlen < 2:
        why = "Subnet has a prefix length that is incompatible with DHCP service enabled"
    elif block.is_multicast:
        why = "Multicast IP subnet is not supported if enable_dhcp is True"
    elif block.is_loopback:
        why = "Loopback IP subnet is not supported if enable_dhcp is True"
    elif block.version == 4 and int(block.network_address) == 0:
        why = "First IP '0.0.0.0' of network is not supported if enable_dhcp is True"
    else:
        return
    raise InvalidInput(error_message=why)


def _check_options(values: Mapping[str, Any], version: int) -> None:
    """Check the number of name servers and routes, and that they have the subnet's IP version."""
    servers, routes = values.get("dns_nameservers", ()), values.get("host_routes", ())
    if len(servers) > MOST_NAME_SERVERS:
        raise DNSNameServersExhausted(subnet_id="new subnet", quota=MOST_NAME_SERVERS)
    if len(routes) > MOST_ROUTES:
        raise HostRoutesExhausted(subnet_id="new subnet", quota=MOST_ROUTES)
    told = [("dns_nameserver", server) for server in servers]
    told += [(name, route[name]) for route in routes for name in ("nexthop", "destination")]
    for name, value in told:
        if (":" in value) != (version == 6):
            raise InvalidInput(error_message=f"{name} '{value}' does not match the ip_version '{version}'")


def _check_ipv6_modes(values: dict[str, Any], version: int, length: int) -> None:
    advertised, addressed = values["ipv6_ra_mode"], values["ipv6_address_mode"]
    if version == 4:
        for name in ("ipv6_ra_mode", "ipv6_address_mode"):
            if values[name] is not None:
                raise InvalidInput(error_message=f"{name} is not valid when ip_version is 4")
        return
    if advertised and addressed and advertised != addressed:
        raise InvalidInput(
            error_message=f"ipv6_ra_mode set to '{advertised}' with ipv6_address_mode set to '{addressed}' is not "
            f"valid. If both attributes are set, they must be the same value"
        )
    if (advertised or addressed) and not values["enable_dhcp"]:
        raise InvalidInput(
            error_message="ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False"
        )
    if (addressed in SELF_ADDRESSED or advertised in SELF_ADDRESSED) and length != 64:
        raise InvalidInput(
            error_message=f"Invalid CIDR {values['cidr']} for IPv6 address mode. OpenStack uses the EUI-64 address "
            f"format, which requires the prefix to be /64"
        )
