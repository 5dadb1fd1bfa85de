"""Ports: a logical switch port for each, with its type, addresses, port security, DHCP options and port groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import names
from ovenbird.cloud.addressing import fixed_addresses, is_pair, port_security, secured
from ovenbird.cloud.external_port import chassis_group, group_of
from ovenbird.cloud.extra_dhcp import merged, named_for_ovn
from ovenbird.cloud.network import PORTS_OF_SWITCH, SWITCH_PORTS, network_mtu
from ovenbird.cloud.qos import policy_of, port_qos, queue_options
from ovenbird.cloud.security_group import PORTS_OF_GROUP
from ovenbird.cloud.subnet import DHCP_OPTIONS, STATELESS, dhcp_options
from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import cloud, settings
from ovenbird.model.binding_profile import Profile, capabilities, container, is_external, migrating_to, profile, vtep
from ovenbird.model.load_balancing import VIP_OWNER
from ovenbird.model.shared_address import shared_address
from ovenbird.model.sub_ports import place_in_trunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs
    from ovenbird.engine.rows import UUID

UNPLUGGED_OWNERS = frozenset(("network:floatingip",))
"""Device owners of ports that only reserve an address."""

ROUTER_OWNERS = "network:router_"
"""Prefix of the device owners of routers' ports."""

LOCALPORT_OWNERS = frozenset(("network:distributed", "ovn-lb-hm:distributed"))
"""Device owners of localports: metadata, and the health checks of load balancers."""

BARE_METAL = "baremetal"
"""The VNIC type of bare metal hosts."""

LOAD_BALANCER = "ovn-lb-vip-"
"""The name prefix of VIP ports, for whose addresses a load balancer answers until they are bound."""

UNKNOWN = "unknown"
"""The address of a port with unknown addresses (ovn-nb(5), `addresses`)."""


class PortKind(NamedTuple):
    """The kind of a switch port: columns of Logical_Switch_Port.

    Arguments:
        type: its type; empty for an interface of an instance.
        options: its options.
        parent: the parent port of a container's port.
        tag: the VLAN of a container's port.
        group: the HA group of an external port.
    """

    type: str
    options: Pairs = ()
    parent: str | None = None
    tag: int | None = None
    group: UUID | None = None


@view
def floating_address(association: cloud.FloatingIPAssociation) -> str:
    """Return the address of a floating IP."""
    return next((address for address, _ in fixed_addresses(association.floating_ip.port)), "")


@rule(cloud.Port)
def switch_port(port: cloud.Port) -> Iterator[Fact]:
    """Yield the logical switch port of a port, as a member of its switch."""
    if port.device_owner in UNPLUGGED_OWNERS:
        return
    fixed = fixed_addresses(port)
    told = profile(port)
    kind = kind_of(port, told)
    policy = policy_of(port)
    addresses, allowed = _addresses(port, kind)
    for pair in port.allowed_address_pairs:
        if not is_pair(pair):
            yield finding(port, f"port {port.uuid}: the address pair {pair!r} is invalid and has no effect")
    dhcpv4, dhcpv6 = (_options_row(port, fixed, v) if kind.type != "router" else None for v in (4, 6))
    yield SWITCH_PORTS(
        name=port.uuid,
        type=kind.type,
        addresses=addresses,
        external_ids=_external_ids(port, fixed, told),
        options=kind.options if policy is None else queue_options(port, policy, kind.options),
        port_security=allowed,
        enabled=port.admin_state_up,
        parent_name=kind.parent,
        tag_request=kind.tag,
        dhcpv4_options=dhcpv4,
        dhcpv6_options=dhcpv6,
        ha_chassis_group=kind.group,
    )
    yield PORTS_OF_SWITCH(names.switch(cloud.Port.network.raw(port)), SWITCH_PORTS.uuid(port.uuid))
    if kind.group is not None:
        yield from chassis_group(port)
    if policy is not None:
        yield from port_qos(port, policy)


def kind_of(port: cloud.Port, told: Profile) -> PortKind:
    """Return the kind of a port."""
    owner = port.device_owner
    if owner.startswith(ROUTER_OWNERS) and (options := router_options(port)):
        return PortKind("router", options)
    if physical := vtep(told):
        switch, logical_switch = physical
        return PortKind("vtep", (("vtep-logical-switch", logical_switch), ("vtep-physical-switch", switch)))
    if is_external(port):
        return PortKind("external", group=group_of(port))
    if owner in LOCALPORT_OWNERS:
        return PortKind("localport", _where(port, told))
    if shared := shared_address(port, [address for address, _ in fixed_addresses(port)]):
        address, parents = shared
        return PortKind("virtual", (("virtual-ip", address), ("virtual-parents", ",".join(parents))))
    return PortKind("", _where(port, told), *(place_in_trunk(port) or container(told)))


def router_options(port: cloud.Port) -> Pairs:
    """Return the options of the switch's side of a router's port; none for a port that belongs to no router."""
    peer = ("router-port", names.router_port(port.uuid))
    if port.referrers(cloud.RouterGateway.port):
        return (("exclude-lb-vips-from-garp", "true"), ("nat-addresses", "router"), peer)
    return (peer,) if port.referrers(cloud.RouterInterface.port) else ()


def _where(port: cloud.Port, told: Profile) -> Pairs:
    """Return the options with the chassis that may bind a port: its host, and its migration target.

    During a live migration both chassis have the port, and packets to it go to both. Packets from the new one are
    dropped until the hypervisor there has announced the instance by RARP (ovn-nb(5), `activation-strategy`).
    """
    host, target = port.host, migrating_to(told)
    if not host:
        return ()
    if not target or target == host:
        return (("requested-chassis", host),)
    where = ("requested-chassis", f"{host},{target}")
    strategy = settings.MIGRATION_ACTIVATION.of(port.home.store)
    return (("activation-strategy", strategy), where) if strategy else (where,)


def _addresses(port: cloud.Port, kind: PortKind) -> tuple[frozenset[str], frozenset[str]]:
    """Return a port's `addresses` and `port_security`."""
    if kind.type == "router":
        return frozenset(("router",)), frozenset()
    if kind.type == "vtep":
        return frozenset((UNKNOWN,)), frozenset()
    addresses = {" ".join([port.mac_address, *[address for address, _ in fixed_addresses(port)]])}
    allowed: frozenset[str] = frozenset()
    if secured(port):
        allowed, more = port_security(port)
        addresses |= more
    elif not kind.type:
        addresses.add(UNKNOWN)
    if (
        port.name.startswith(LOAD_BALANCER) and not port.device_owner and not port.host
    ) or port.device_owner == VIP_OWNER:
        addresses = set()
    return frozenset(addresses), allowed


@rule(cloud.Port)
def port_groups(port: cloud.Port) -> Iterator[Fact]:
    """Yield a port's membership in the port groups of its security groups, and in the drop group."""
    if not secured(port):
        return
    uuid = SWITCH_PORTS.uuid(port.uuid)
    yield PORTS_OF_GROUP(names.DROP_GROUP, uuid)
    for group in cloud.Port.security_groups.raw(port):
        yield PORTS_OF_GROUP(names.port_group(group), uuid)


@rule(cloud.Port)
def port_dhcp(port: cloud.Port) -> Iterator[Fact]:
    """Yield the DHCP options of a port with extra DHCP options, in addition to its subnet's."""
    for version in (4, 6):
        subnet = _dhcp_subnet(port, fixed_addresses(port), version)
        extra = port.dhcpv4_options if version == 4 else port.dhcpv6_options
        if subnet is None or not extra:
            continue
        own: dict[str, str] = {}
        for name, value in extra.items():
            known = named_for_ovn({name: value}, version, bare_metal=port.vnic_type == BARE_METAL)
            if not known:
                yield finding(
                    port, f"port {port.uuid}: the DHCP option {name}={value!r} is not supported, and is left out"
                )
            own |= known
        ids = (
            ("neutron:network_id", cloud.Port.network.raw(port)),
            (names.REVISION, str(port.revision_number)),
            ("port_id", port.uuid),
            ("subnet_id", subnet.uuid),
        )
        options = merged(dict(dhcp_options(subnet)), extra=own)
        yield DHCP_OPTIONS(external_ids=ids, cidr=subnet.cidr, options=tuple(sorted(options.items())))


def _options_row(port: cloud.Port, fixed: tuple[tuple[str, UUID], ...], version: int) -> UUID | None:
    """Return the DHCP options row that a port uses for an IP version."""
    subnet = _dhcp_subnet(port, fixed, version)
    if subnet is None:
        return None
    extra = port.dhcpv4_options if version == 4 else port.dhcpv6_options
    return DHCP_OPTIONS.uuid((subnet.uuid, port.uuid if extra else ""))


def _dhcp_subnet(port: cloud.Port, fixed: tuple[tuple[str, UUID], ...], version: int) -> cloud.Subnet | None:
    """Return the subnet whose DHCP options a port gets for an IP version; the network's own ports have none.

    It is the first with DHCP; for IPv6 the first with stateful DHCP, if there is one.
    """
    extra = port.dhcpv4_options if version == 4 else port.dhcpv6_options
    if port.device_owner.startswith(names.NETWORK_DEVICES) or extra.get("dhcp_disabled", "").lower() == "true":
        return None
    found = []
    subnets = port.home.store.table(cloud.Subnet)
    for address, uuid in fixed:
        if (6 if ":" in address else 4) == version:
            subnet = subnets.get(uuid)
            if subnet is not None and dhcp_options(subnet):
                found.append(subnet)
    return next((subnet for subnet in found if subnet.ipv6_address_mode != STATELESS), found[0] if found else None)


def _external_ids(port: cloud.Port, fixed: tuple[tuple[str, UUID], ...], told: Profile) -> Pairs:
    network = port.network
    subnets = port.home.store.table(cloud.Subnet)
    cidrs = []
    scopes = {}
    for address, uuid in fixed:
        subnet = subnets.get(uuid)
        if subnet is not None:
            cidrs.append(f"{address}/{subnet.cidr.rpartition('/')[2]}")
            pool = subnet.subnet_pool
            if pool is not None and (scope := cloud.SubnetPool.address_scope.raw(pool)) is not None:
                scopes[f"neutron:subnet_pool_addr_scope{pool.ip_version}"] = scope
    ids = {
        "neutron:port_name": port.name,
        "neutron:device_id": port.device_id,
        "neutron:device_owner": port.device_owner,
        "neutron:project_id": port.project_id,
        "neutron:network_name": names.switch(network.uuid),
        "neutron:security_group_ids": " ".join(sorted(cloud.Port.security_groups.raw(port))),
        "neutron:cidrs": " ".join(cidrs),
        "neutron:vnic_type": port.vnic_type,
        "neutron:port_capabilities": ";".join(capabilities(told)),
        "neutron:mtu": str(network_mtu(network)),
        names.REVISION: str(port.revision_number),
    }
    ids |= scopes
    if port.host:
        ids["neutron:host_id"] = port.host
    floating = [
        floating_address(association)
        for taken in port.referrers(cloud.FixedAddress.port)
        for association in taken.referrers(cloud.FloatingIPAssociation.fixed)
    ]
    if floating:
        ids["neutron:port_fip"] = " ".join(sorted(floating))
    return tuple(sorted(ids.items()))
