"""Ports: connections to a network, with a MAC, fixed IPs, port security and security groups.

A port's status is read from Northbound (``Logical_Switch_Port.up``) when the port is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, MEMBER, NET_MEMBER, NET_READER, ON_NETWORK, OWN, SERVICE, each, tags
from ovenbird.api.access.sharing import grants
from ovenbird.api.attributes import REQUIRED, UNSET, Attribute, shown
from ovenbird.api.errors.network import NetworkNotFound
from ovenbird.api.errors.port import (
    AddressPairAndPortSecurityRequired,
    AllowedAddressPairExhausted,
    AllowedAddressPairsMissingIP,
    BadPortRequest,
    DuplicateAddressPairInRequest,
    PortBound,
    PortBoundNUMAAffinityPolicy,
    PortNotFound,
    PortSecurityAndIPRequiredForSecurityGroups,
    PortSecurityPortHasSecurityGroup,
)
from ovenbird.api.errors.request import InvalidInput
from ovenbird.api.errors.router import PortInUse
from ovenbird.api.errors.security_group import SecurityGroupConflict, SecurityGroupNotFound
from ovenbird.api.ports.address_pairs import check_metadata, check_stays_shared
from ovenbird.api.ports.binding_profiles import (
    check_profile,
    profile_text,
    profile_value,
    shown_profile,
    with_capability,
)
from ovenbird.api.ports.fixed_ips import AddressAllocator
from ovenbird.api.ports.macs import reserve_mac
from ovenbird.api.ports.port_bindings import BOUND, binding, gateway_host
from ovenbird.api.ports.removal import remove_port
from ovenbird.api.ports.router_interfaces import check_stays_connected
from ovenbird.api.ports.service_ports import FLOATING_OWNER, GATEWAY_OWNER, is_service_port, refuse_service_port
from ovenbird.api.ports.trunk_ports import refuse_trunk_port, release_trunk, trunk_details
from ovenbird.api.qos import check_port, check_taken_away, find_policy, is_bound, resource_request
from ovenbird.api.resource import MOST_TAGS, STANDARD, Parent, Resource, project_of, standard
from ovenbird.api.resources.security_group import default_group
from ovenbird.api.values import (
    WrongTypeError,
    address,
    boolean,
    dns_name,
    domain,
    duplicates,
    list_of,
    loose_prefix,
    mac,
    one_of,
    optional,
    record,
    text,
)
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model import settings
from ovenbird.model.cloud import FixedAddress, InactiveBinding, Network, Port, SecurityGroup
from ovenbird.model.nb import LogicalSwitchPort
from ovenbird.model.sub_ports import place_in_trunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.api.query import Wanted
    from ovenbird.engine.rows import ColumnOf

INFRASTRUCTURE = "network:"
"""Prefix of the device owners of the network's own ports, which have no security groups."""

VNIC_TYPES = tuple(sorted(Port.vnic_type.type.key.enum))

MAY_BE_BLANK = ("router", "classless-static-route")
"""Extra DHCP options that may have an empty value, which means that the option is not sent."""


MOST_OPTIONS = 100
"""The largest number of extra DHCP options of a port, more than chassis support."""

MOST_ADDRESSES = 100
"""The largest number of fixed IPs of a port."""


def _host(value: Any) -> str:
    """Convert a host's name; null unbinds the port."""
    return "" if value is None else text()(value)


def host_name(value: Any) -> str:
    """Convert the name of a host within its domain.

    Raises:
        WrongTypeError: the value is not a string.
        ValueError: it is not a valid name, or contains a domain.
    """
    if not isinstance(value, str):
        raise WrongTypeError(f"Input value {value} must be string type")
    word = dns_name(value.lower())
    if "." in word:
        raise ValueError(f"'{word}' contains a domain; a domain is given in dns_domain")
    return word


def _address_pairs(value: Any) -> list[dict[str, Any]]:
    """Convert allowed address pairs; the MAC of a pair defaults to the port's own."""
    if value is not None and not isinstance(value, list):
        raise ValueError("Allowed address pairs must be a list.")
    pairs: list[dict[str, Any]] = []
    for one in value or ():
        if isinstance(one, dict) and "ip_address" not in one:
            raise AllowedAddressPairsMissingIP
        pairs.append(_PAIR(one))
    for pair in duplicates(pairs):
        raise DuplicateAddressPairInRequest(mac=pair.get("mac_address"), address=pair["ip_address"])
    return pairs


def loose_prefix_or_address(value: Any) -> str:
    """Convert an address or a prefix; the host bits of a prefix may be set."""
    return loose_prefix(value) if "/" in str(value) else address(value)


_PAIR = record(("ip_address",), ip_address=loose_prefix_or_address, mac_address=mac)


def _tag(value: Any) -> str:
    """Convert a tag."""
    word = text()(value)
    if not word:
        raise ValueError(f"'{word}' is not a valid tag")
    return word


def _filled(value: Any) -> str:
    """Convert a string that is not blank."""
    word = text()(value)
    if not word.strip():
        raise ValueError(f"'{word}' is blank")
    return word


def _dhcp_options(value: Any) -> list[dict[str, Any]]:
    """Convert extra DHCP options; a null value removes an option, and some options may have an empty value."""
    if value is not None and not isinstance(value, list):
        raise InvalidInput(error_message=f"Invalid data format for extra dhcp options: '{value}'")
    if value is not None and len(value) > MOST_OPTIONS:
        raise InvalidInput(error_message=f"{len(value)} extra dhcp options exceed the maximum of {MOST_OPTIONS}")
    options = []
    for one in value or ():
        blank = isinstance(one, dict) and one.get("opt_name") in MAY_BE_BLANK
        fields = {
            "opt_name": _filled,
            "opt_value": optional(text() if blank else _filled),
            "ip_version": one_of(4, 6, "4", "6"),
        }
        try:
            options.append(record(("opt_name", "opt_value"), **fields)(one))
        except ValueError:
            raise InvalidInput(error_message=f"No valid key specs matched for: {one}") from None
    keys = [(option["opt_name"], int(option.get("ip_version", 4))) for option in options]
    if len(set(keys)) < len(keys):
        raise InvalidInput(error_message="an extra dhcp option is given twice")
    return options


def _fixed_ips(value: Any) -> list[dict[str, str]]:
    """Convert the addresses of a port."""
    if not isinstance(value, list):
        raise ValueError(f"Invalid data format for fixed IP: '{value}'")  # noqa: TRY004 (a request's error)
    if len(value) > MOST_ADDRESSES:
        raise ValueError(f"{len(value)} fixed IPs exceed the maximum of {MOST_ADDRESSES}")
    wanted = [_FIXED(one) for one in value]
    for ip in duplicates([one["ip_address"] for one in wanted if "ip_address" in one]):
        raise ValueError(f"Duplicate IP address '{ip}'")
    return wanted


def _sought_fixed_ip(value: str) -> str:
    """Convert a filter for fixed IPs, ``ip_address=ADDRESS`` or ``subnet_id=ID``; other values are not changed."""
    member, _, given = value.partition("=")
    convert = {"ip_address": address, "subnet_id": uuid_value}.get(member, str)
    try:
        return f"{member}={convert(given)}"
    except ValueError:
        return value


_FIXED = record((), subnet_id=uuid_value, ip_address=address)


PORT_OWNER = f"({NET_MEMBER} or (role:member and {OWN}))"
SERVED_PORT = f"{MEMBER} or rule:service_api"
SOMEBODYS_DEVICE = "not rule:compute_device and not rule:baremetal_device and not rule:manila_device"
PAIRS = ("allowed_address_pairs", "allowed_address_pairs:mac_address", "allowed_address_pairs:ip_address")


class Ports(Resource[Port]):
    """``/v2.0/ports``."""

    member = "port"
    collection = "ports"
    row_class = Port
    not_found = PortNotFound
    parent = Parent(attribute="network_id", column="network", called="network", rows=Network)
    references: ClassVar[Mapping[str, str]] = {
        "network_id": "networks",
        "security_groups": "security_groups",
        "fixed_ips.subnet_id": "subnets",
        "qos_policy_id": "policies",
    }
    extensions: ClassVar[Mapping[str, str]] = {
        "allowed-address-pairs": "Allowed Address Pairs",
        "binding": "Port Binding",
        "dns-domain-ports": "dns_domain for ports",
        "dns-integration": "DNS Integration",
        "data-plane-status": "Port data plane status extension",
        "extra_dhcp_opt": "Neutron Extra DHCP options",
        "ip_allocation": "IP Allocation",
        "port-device-profile": "Port device profile",
        "port-hardware-offload-type": "Port hardware offload",
        "port-mac-address-regenerate": "Neutron Port MAC address regenerate",
        "port-numa-affinity-policy": "Port NUMA affinity policy",
        "port-numa-affinity-policy-socket": 'Port NUMA affinity policy "socket"',
        "port-security": "Port Security",
        "port-resource-request": "Port Resource Request",
        "port-resource-request-groups": "Port Resource Request Groups",
        "port-security-groups-filtering": "Port filtering on security groups",
        "port-trusted-vif": "Port trusted vif",
        "qos-port-network-policy": "QoS port network policy ID",
        "uplink-status-propagation": "Uplink status propagation extension",
        "uplink-status-propagation-updatable": "Uplink status propagation updatable extension",
        "tag-ports-during-bulk-creation": "Tag Ports During Bulk Creation",
    }
    rules: ClassVar[Mapping[str, str]] = {
        "create_port": f"{ON_NETWORK} or rule:shared",
        "get_port": f"{SERVICE} or {NET_READER} or (role:reader and {OWN})",
        "update_port": SERVED_PORT,
        "delete_port": f"{SERVICE} or (service_roles:service and {PORT_OWNER}) "
                       f"or ({SOMEBODYS_DEVICE} and {PORT_OWNER})",
        **each(f"not rule:network_device or {ON_NETWORK}", "create_port:device_owner", "update_port:device_owner"),
        **each(SERVED_PORT, "create_port:device_id", "update_port:device_id"),
        "create_port:mac_address": ON_NETWORK,
        "update_port:mac_address": f"{SERVICE} or (role:manager and rule:network_owner)",
        "create_port:fixed_ips": f"{ON_NETWORK} or rule:shared",
        "update_port:fixed_ips": ON_NETWORK,
        **each(ON_NETWORK, "create_port:fixed_ips:ip_address", "update_port:fixed_ips:ip_address"),
        **each(f"{ON_NETWORK} or rule:shared", "create_port:fixed_ips:subnet_id", "update_port:fixed_ips:subnet_id"),
        **each(ON_NETWORK, *(f"{verb}_port:{part}" for verb in ("create", "update")
                              for part in ("port_security_enabled", *PAIRS))),
        **each(SERVICE, "create_port:binding:host_id", "update_port:binding:host_id"),
        **each("rule:service_api", "create_port:binding:profile", "update_port:binding:profile"),
        **each(SERVED_PORT, "create_port:binding:vnic_type", "update_port:binding:vnic_type"),
        **each(SERVICE, *(f"get_port:binding:{part}" for part in ("vif_type", "vif_details", "host_id", "profile"))),
        "get_port:resource_request": ADMIN,
        **each(ADMIN, *(f"{verb}_port:trusted" for verb in ("create", "get", "update"))),
        "update_port:data_plane_status": f"{ADMIN} or role:data_plane_integrator",
        **tags("port", reader=f"rule:context_is_advsvc or {ADMIN} or {NET_READER} or (role:reader and {OWN})",
                member=f"{MEMBER} or rule:context_is_advsvc"),
        "delete_port:tags": f"rule:context_is_advsvc or {MEMBER} or {NET_MEMBER}",
    }  # fmt: skip
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default="", column="name"),
        "network_id": Attribute(uuid_value, default=REQUIRED, put=False),
        "admin_state_up": Attribute(boolean, default=True, column="admin_state_up"),
        "mac_address": Attribute(optional(mac), default=UNSET, column="mac_address"),
        "fixed_ips": Attribute(_fixed_ips, default=UNSET, sought=_sought_fixed_ip),
        "device_id": Attribute(text(), default="", column="device_id"),
        "device_owner": Attribute(text(), default="", column="device_owner"),
        "port_security_enabled": Attribute(boolean, default=UNSET, column="port_security_enabled"),
        "security_groups": Attribute(list_of(uuid_value), default=UNSET, sought=uuid_value),
        "allowed_address_pairs": Attribute(_address_pairs, default=[], filterable=False, explicit=True),
        "extra_dhcp_opts": Attribute(_dhcp_options, default=[], filterable=False),
        "binding:host_id": Attribute(_host, default="", explicit=True, column="host"),
        "binding:vnic_type": Attribute(one_of(*VNIC_TYPES), default="normal", column="vnic_type"),
        "binding:profile": Attribute(profile_value, default={}, filterable=False, explicit=True),
        "binding:vif_type": shown(),
        "binding:vif_details": shown(filterable=False),
        "dns_name": Attribute(host_name, default="", column="dns_name"),
        "propagate_uplink_status": Attribute(boolean, default=True),
        "numa_affinity_policy": Attribute(
            one_of("required", "preferred", "legacy", "socket", None),
            default=None,
            filterable=False,
            column="numa_affinity_policy",
        ),
        "device_profile": Attribute(
            lambda value: optional(text())(value) or None,
            default=None,
            put=False,
            filterable=False,
            column="device_profile",
        ),
        "hardware_offload_type": Attribute(
            one_of("switchdev"), put=False, filterable=False, column="hardware_offload_type"
        ),
        "trusted": Attribute(boolean, filterable=False, column="trusted"),
        "data_plane_status": Attribute(
            one_of("ACTIVE", "DOWN", None), post=False, filterable=False, column="data_plane_status"
        ),
        "dns_domain": Attribute(domain, default="", column="dns_domain"),
        "tags": Attribute(list_of(_tag, most=MOST_TAGS), default=[], put=False),
        "trunk_details": shown(filterable=False),
        "status": shown(),
        "ip_allocation": shown(),
        "dns_assignment": shown(filterable=False),
        "qos_policy_id": Attribute(optional(uuid_value), default=None),
        "qos_network_policy_id": shown(),
        "resource_request": shown(filterable=False),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {
        "device_id": Port.device_id,
        "network_id": Port.network,
        "name": Port.name,
        "mac_address": Port.mac_address,
        "security_groups": Port.security_groups,
        "binding:host_id": Port.host,
    }

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.addresses = AddressAllocator(databases)

    # -- showing ------------------------------------------------------------------------------------------------------

    def render(self, row: Port) -> dict[str, Any]:
        """Return what the API shows of a port."""
        mac_address = row.mac_address
        vif_type, vif_details = binding(self.databases, row)
        fixed = sorted((f.address, FixedAddress.subnet.raw(f)) for f in row.referrers(FixedAddress.port))
        pairs = [pair.split() for pair in sorted(row.allowed_address_pairs)]
        return {
            **standard(row),
            "name": row.name,
            "network_id": Port.network.raw(row),
            "mac_address": mac_address,
            "admin_state_up": row.admin_state_up,
            "status": port_status(self.databases, row),
            "device_id": row.device_id,
            "device_owner": row.device_owner,
            "fixed_ips": [{"subnet_id": subnet, "ip_address": ip} for ip, subnet in fixed],
            "port_security_enabled": row.port_security_enabled,
            "security_groups": sorted(Port.security_groups.raw(row)),
            "allowed_address_pairs": [{"mac_address": m, "ip_address": ip} for m, ip in pairs],
            "extra_dhcp_opts": [*_options(row.dhcpv4_options, 4), *_options(row.dhcpv6_options, 6)],
            "binding:host_id": row.host if row.device_owner != GATEWAY_OWNER else gateway_host(self.databases, row),
            "binding:vnic_type": row.vnic_type,
            "binding:profile": shown_profile(row),
            "binding:vif_type": vif_type,
            "binding:vif_details": vif_details,
            "dns_name": row.dns_name,
            "dns_domain": row.dns_domain,
            "propagate_uplink_status": not row.hides_uplink_status,
            "numa_affinity_policy": row.numa_affinity_policy,
            "device_profile": row.device_profile,
            "hardware_offload_type": row.hardware_offload_type,
            "trusted": row.trusted,
            "data_plane_status": row.data_plane_status,
            "dns_assignment": self._names(row, [ip for ip, _ in fixed]),
            "ip_allocation": "immediate" if fixed else "none",
            "qos_policy_id": Port.qos_policy.raw(row),
            "qos_network_policy_id": Network.qos_policy.raw(row.network),
            "resource_request": resource_request(row),
            "tags": sorted(row.tags),
            **trunk_details(row),
        }

    def _names(self, row: Port, addresses: Iterable[str]) -> list[dict[str, str]]:
        """Return the DNS names of a port's addresses; an address without a name gets one derived from itself."""
        store = self.databases.store
        domain = settings.domain(store, row.dns_domain, row.network.dns_domain)
        host = row.dns_name
        named = [(ip, host or f"host-{ip.replace('.', '-').replace(':', '-')}") for ip in addresses]
        end = f".{domain}." if domain else "."
        return [{"ip_address": ip, "hostname": name, "fqdn": f"{name}{end}"} for ip, name in named]

    def candidates(self, filters: Mapping[str, Wanted]) -> Iterable[Port]:
        """Return rows that include all that the filters match."""
        wanted = [w.partition("=") for w in filters.get("fixed_ips", ()) if "id" not in filters]
        for member, column in (("ip_address", FixedAddress.address), ("subnet_id", FixedAddress.subnet)):
            values = [value for name, _, value in wanted if name == member]
            if values:
                store = self.databases.store
                found = [fixed.port for value in values for fixed in store.select(column, value)]
                return list(dict.fromkeys(found))
        return super().candidates(filters)

    # -- changing -----------------------------------------------------------------------------------------------------

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new port, with its addresses and the default security group as needed."""
        network = self.databases.store.table(Network).get(UUID(values["network_id"]))
        if network is None:
            raise NetworkNotFound(id=values["network_id"])
        draft.expect(network)  # a concurrent new subnet may be one in which every port gets an address (SLAAC)
        project = project_of(draft, values)
        own = values["device_owner"].startswith(INFRASTRUCTURE)
        secured = values.setdefault("port_security_enabled", network.port_security_enabled and not own)
        mac_address = reserve_mac(self.databases, draft, network, values.get("mac_address"))
        groups = values.get("security_groups")
        if groups is None:
            groups = [default_group(self.databases, draft, project)] if secured and not own else []
        policy = find_policy(self.databases, values["qos_policy_id"])
        used = [network, *self._groups(groups if values.get("security_groups") else ()), *([policy] if policy else ())]
        self._check_number(values)
        _check_security(secured, groups, values["allowed_address_pairs"])
        check_metadata(self.databases, values["network_id"], values["allowed_address_pairs"])
        if values.get("hardware_offload_type"):
            values["binding:profile"] = with_capability(values["binding:profile"], values["hardware_offload_type"])
        check_profile(self.databases, values["binding:profile"], values["binding:vnic_type"])
        chosen = self.addresses.choose(
            draft, network, values.get("fixed_ips"), mac=mac_address, device_owner=values["device_owner"]
        )
        stored = (
            self.stored(values)
            | _stored(values, mac_address)
            | {
                "project_id": project,
                "network": network.uuid,
                "mac_address": mac_address,
                "security_groups": frozenset(groups),
                "qos_policy": policy.uuid if policy else None,
                "allowed_by": grants(draft, project, used),
                "tags": frozenset(values["tags"]),
            }
        )
        uuid = draft.insert(Port, stored)
        check_port(policy or network.qos_policy, uuid, vnic=values["binding:vnic_type"])
        self.addresses.write(draft, uuid, chosen)
        return uuid

    def update(self, draft: Draft, row: Port, values: dict[str, Any]) -> None:
        """Write a change of a port."""
        if any(values.get(name, before) != before for name, before in _device(row).items()) and is_service_port(row):
            raise PortInUse(port_id=row.uuid, net_id=Port.network.raw(row), device_id=row.device_id)
        owner = values.get("device_owner", row.device_owner)
        if (owner == FLOATING_OWNER) != (row.device_owner == FLOATING_OWNER):
            raise BadPortRequest(reason=f"Updating device_owner to or from {FLOATING_OWNER} is not supported")
        network = row.network
        mac_address: str = values.get("mac_address", row.mac_address)
        if mac_address != row.mac_address:
            if self._is_plugged(row):
                raise PortBound(
                    port_id=row.uuid, vif_type=BOUND, old_mac=row.mac_address, new_mac=mac_address or "a random one"
                )
            mac_address = values["mac_address"] = reserve_mac(self.databases, draft, network, mac_address)
        if values.get("binding:vnic_type", row.vnic_type) != row.vnic_type:
            self._check_unbound(row)
        if "numa_affinity_policy" in values and binding(self.databases, row)[0] == BOUND:
            raise PortBoundNUMAAffinityPolicy(
                port_id=row.uuid, host_id=row.host, numa_affinity_policy=values["numa_affinity_policy"]
            )
        groups = values.get("security_groups", Port.security_groups.raw(row))
        policy = row.qos_policy
        if "qos_policy_id" in values:
            check_taken_away(draft, policy)
            policy = find_policy(self.databases, values["qos_policy_id"])
        if "security_groups" in values or "qos_policy_id" in values:
            used = [network, *self._groups(groups), *([policy] if policy else ())]
        secured = values.get("port_security_enabled", row.port_security_enabled)
        if not secured and row.port_security_enabled and groups and "security_groups" not in values:
            raise PortSecurityPortHasSecurityGroup
        self._check_number(values)
        _check_security(secured, groups, values.get("allowed_address_pairs", row.allowed_address_pairs))
        check_metadata(self.databases, Port.network.raw(row), values.get("allowed_address_pairs", ()))
        check_stays_shared(row, values)
        if "binding:profile" in values:
            check_profile(self.databases, values["binding:profile"], values.get("binding:vnic_type", row.vnic_type))
        stored = self.stored(values) | _stored(values, mac_address, row)
        if "security_groups" in values:
            stored["security_groups"] = frozenset(groups)
        if "qos_policy_id" in values:
            stored["qos_policy"] = policy.uuid if policy else None
            if stored["qos_policy"] != Port.qos_policy.raw(row):
                vnic = values.get("binding:vnic_type", row.vnic_type)
                check_port(policy, row.uuid, vnic=vnic, bound=is_bound(self.databases, row))
        if "security_groups" in values or "qos_policy_id" in values:
            stored["allowed_by"] = grants(draft, row.project_id, used)
        if mac_address != row.mac_address and "fixed_ips" not in values:
            self.addresses.follow(draft, row, mac_address)
        if "fixed_ips" in values:
            check_stays_connected(row, self.addresses.replace(draft, row, values["fixed_ips"], mac_address))
        if stored.get("host", row.host) != row.host:
            _move(draft, row, stored["host"])
        draft.update(row, stored)

    def delete(self, draft: Draft, row: Port) -> None:
        """Write the removal of a port that is no router's or floating IP's."""
        refuse_service_port(row)
        refuse_trunk_port(row)
        remove_port(draft, row)

    def _check_number(self, values: Mapping[str, Any]) -> None:
        """Check that a request does not have more allowed address pairs than a port may have."""
        most = settings.MAX_ADDRESS_PAIRS.of(self.databases.store)
        if len(values.get("allowed_address_pairs", ())) > most:
            raise AllowedAddressPairExhausted(quota=most)

    def _groups(self, groups: Iterable[str]) -> list[SecurityGroup]:
        """Return security groups, which have to exist, and to be all stateful or all stateless."""
        table = self.databases.store.table(SecurityGroup)
        found = []
        for group in groups:
            one = table.get(UUID(group))
            if one is None:
                raise SecurityGroupNotFound(id=group)
            found.append(one)
        if len({one.stateful for one in found}) > 1:
            raise SecurityGroupConflict(
                reason="Cannot apply both stateful and stateless security groups on the same port at the same time"
            )
        return found

    def _is_plugged(self, row: Port) -> bool:
        return binding(self.databases, row)[0] == BOUND and not row.device_owner.startswith(INFRASTRUCTURE)

    def _check_unbound(self, row: Port) -> None:
        """Check that the attributes of a port's binding may change."""
        if row.host or place_in_trunk(row) is not None:
            raise PortInUse(port_id=row.uuid, net_id=Port.network.raw(row), device_id=row.device_id)


def _move(draft: Draft, row: Port, host: str) -> None:
    """Write what a port's move to another host means for its trunk and for its inactive bindings."""
    if row.host:
        release_trunk(draft, row)
    for inactive in row.referrers(InactiveBinding.port):
        if inactive.host == host:
            draft.transaction.delete(inactive)


def _device(row: Port) -> dict[str, str]:
    return {"device_id": row.device_id, "device_owner": row.device_owner}


def port_status(databases: Databases, row: Port) -> str:
    """Return ACTIVE if a port is up in Northbound, else DOWN; N/A for ports that are never plugged in.

    The status of a router's gateway is read from Southbound: it is ACTIVE while a chassis hosts it.
    """
    if row.device_owner == FLOATING_OWNER:
        return "N/A"
    northbound = databases.northbound
    if northbound is None or not row.admin_state_up:
        return "DOWN"
    if row.device_owner == GATEWAY_OWNER and databases.southbound is not None:
        return "ACTIVE" if gateway_host(databases, row) else "DOWN"
    switch_port = northbound.store.find(LogicalSwitchPort.name, row.uuid)
    return "ACTIVE" if switch_port is not None and switch_port.up else "DOWN"


def _check_security(secured: bool, groups: Iterable[str], pairs: Iterable[Any]) -> None:
    """Check that security groups and allowed address pairs are used only with port security."""
    if secured:
        return
    if groups:
        raise PortSecurityAndIPRequiredForSecurityGroups
    if pairs:
        raise AddressPairAndPortSecurityRequired


def _stored(values: dict[str, Any], mac_address: str, row: Port | None = None) -> dict[str, Any]:
    """Return the attributes that the database stores in another form."""
    stored: dict[str, Any] = {}
    if "allowed_address_pairs" in values:
        pairs = [(p.get("mac_address") or mac_address, p["ip_address"]) for p in values["allowed_address_pairs"]]
        for i, (owner, ip) in enumerate(pairs):
            if (owner, ip) in pairs[:i]:
                raise DuplicateAddressPairInRequest(mac=owner, address=ip)
        stored["allowed_address_pairs"] = frozenset(f"{owner} {ip}" for owner, ip in pairs)
    if "extra_dhcp_opts" in values:
        for version, name in ((4, "dhcpv4_options"), (6, "dhcpv6_options")):
            options = dict(getattr(row, name)) if row is not None else {}
            for option in values["extra_dhcp_opts"]:
                if int(option.get("ip_version", 4)) != version:
                    continue
                if option["opt_value"] is None:
                    options.pop(option["opt_name"], None)
                else:
                    options[option["opt_name"]] = option["opt_value"]
            if len(options) > MOST_OPTIONS:
                raise InvalidInput(error_message=f"a port has at most {MOST_OPTIONS} extra dhcp options")
            stored[name] = options
    if "propagate_uplink_status" in values:
        stored["hides_uplink_status"] = not values["propagate_uplink_status"]
    if "binding:profile" in values:
        stored["binding_profile"] = profile_text(values["binding:profile"])
    return stored


def _options(options: Mapping[str, str], version: int) -> list[dict[str, Any]]:
    return [{"opt_name": name, "opt_value": value, "ip_version": version} for name, value in sorted(options.items())]
