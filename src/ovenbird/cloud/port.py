"""Ports: a logical switch port each, its addresses, port security, DHCP options and port groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.cloud import names
from ovenbird.cloud.extra_dhcp import named_for_ovn
from ovenbird.cloud.network import PORTS_OF_SWITCH, SWITCH_PORTS, network_mtu
from ovenbird.cloud.security_group import PORTS_OF_GROUP
from ovenbird.cloud.subnet import DHCP_OPTIONS, dhcp_options
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

INFRASTRUCTURE = "network:"
"""Prefix of the device owners that Neutron trusts: routers, DHCP, metadata."""

UNPLUGGED_OWNERS = frozenset(("network:floatingip",))
"""Device owners whose port holds an address and is connected to nothing."""

ROUTER_OWNERS = "network:router_"
"""Prefix of the device owners of routers' ports."""

LOCALPORT_OWNERS = frozenset(("network:distributed",))
"""Device owners whose port is on every chassis at once."""


@view
def fixed_addresses(port: cloud.Port) -> tuple[tuple[str, UUID], ...]:
    """Return a port's addresses, each with its subnet's UUID, in the order that Neutron shows them."""
    taken = port.referrers(cloud.FixedAddress.port)
    return tuple(sorted((fixed.address, cloud.FixedAddress.subnet.raw(fixed)) for fixed in taken))


@view
def floating_address(association: cloud.FloatingIPAssociation) -> str:
    """Return the address of a floating IP."""
    return next((address for address, _ in fixed_addresses(association.floating_ip.port)), "")


def trusted(port: cloud.Port) -> bool:
    """Return whether a port belongs to the network itself, which polices others and not itself."""
    return port.device_owner.startswith(INFRASTRUCTURE)


def secured(port: cloud.Port) -> bool:
    """Return whether a port may send and receive only what was allowed."""
    return port.port_security_enabled and not trusted(port)


def port_security(port: cloud.Port) -> tuple[frozenset[str], frozenset[str]]:
    """Return what a port may send from, as OVN writes it, and further MACs that are thus its own."""
    mac = port.mac_address
    own = [mac, *[address for address, _ in fixed_addresses(port)]]
    allowed, macs = set(), set()
    for pair in sorted(port.allowed_address_pairs):
        other, address = pair.split()
        if other == mac:
            own.append(address)
        else:
            allowed.add(pair)
            macs.add(other)
    allowed.add(" ".join(own))
    return frozenset(allowed), frozenset(macs)


@rule(cloud.Port)
def switch_port(port: cloud.Port) -> Iterator[Fact]:
    """Yield the logical switch port of a port, as a member of its switch."""
    owner = port.device_owner
    if owner in UNPLUGGED_OWNERS:
        return
    fixed = fixed_addresses(port)
    if owner.startswith(ROUTER_OWNERS):
        options = router_options(port)
        if options:
            yield SWITCH_PORTS(
                port.uuid,
                "router",
                frozenset(("router",)),
                frozenset(),
                port.admin_state_up,
                None,
                options,
                None,
                None,
                _external_ids(port, fixed),
            )
            yield PORTS_OF_SWITCH(names.switch(cloud.Port.network.raw(port)), SWITCH_PORTS.uuid(port.uuid))
            return
    addresses = {" ".join([port.mac_address, *[address for address, _ in fixed]])}
    allowed: frozenset[str] = frozenset()
    if secured(port):
        allowed, more = port_security(port)
        addresses |= more
    elif not trusted(port):
        addresses.add("unknown")
    options = (("requested-chassis", port.host),) if port.host else ()
    v4, v6 = (_options_row(port, fixed, version) for version in (4, 6))
    yield SWITCH_PORTS(
        port.uuid,
        "localport" if owner in LOCALPORT_OWNERS else "",
        frozenset(addresses),
        allowed,
        port.admin_state_up,
        None,
        options,
        v4,
        v6,
        _external_ids(port, fixed),
    )
    yield PORTS_OF_SWITCH(names.switch(cloud.Port.network.raw(port)), SWITCH_PORTS.uuid(port.uuid))


def router_options(port: cloud.Port) -> names.Pairs:
    """Return the options of the switch's side of a router's port; none for a port that belongs to no router."""
    peer = ("router-port", names.router_port(port.uuid))
    if port.referrers(cloud.RouterGateway.port):
        return (("exclude-lb-vips-from-garp", "true"), ("nat-addresses", "router"), peer)
    return (peer,) if port.referrers(cloud.RouterInterface.port) else ()


@rule(cloud.Port)
def port_groups(port: cloud.Port) -> Iterator[Fact]:
    """Yield a port's membership in the port groups of its security groups, and in the one that drops the rest."""
    if not secured(port):
        return
    uuid = SWITCH_PORTS.uuid(port.uuid)
    yield PORTS_OF_GROUP(names.DROP_GROUP, uuid)
    for group in cloud.Port.security_groups.raw(port):
        yield PORTS_OF_GROUP(names.port_group(group), uuid)


@rule(cloud.Port)
def port_dhcp(port: cloud.Port) -> Iterator[Fact]:
    """Yield the DHCP options of a port that wants its own, on top of its subnet's."""
    for version in (4, 6):
        subnet = _dhcp_subnet(port, fixed_addresses(port), version)
        extra = port.dhcpv4_options if version == 4 else port.dhcpv6_options
        if subnet is None or not extra:
            continue
        options = dict(dhcp_options(subnet)) | named_for_ovn(extra, version)
        ids = (
            ("neutron:network_id", cloud.Port.network.raw(port)),
            (names.REVISION, str(port.revision_number)),
            ("port_id", port.uuid),
            ("subnet_id", subnet.uuid),
        )
        yield DHCP_OPTIONS(ids, subnet.cidr, tuple(sorted(options.items())))


def _options_row(port: cloud.Port, fixed: tuple[tuple[str, UUID], ...], version: int) -> UUID | None:
    """Return the DHCP options row that a port uses for an IP version."""
    subnet = _dhcp_subnet(port, fixed, version)
    if subnet is None:
        return None
    extra = port.dhcpv4_options if version == 4 else port.dhcpv6_options
    return DHCP_OPTIONS.uuid((subnet.uuid, port.uuid if extra else ""))


def _dhcp_subnet(port: cloud.Port, fixed: tuple[tuple[str, UUID], ...], version: int) -> cloud.Subnet | None:
    """Return the first of a port's subnets with DHCP for an IP version; the network's own ports ask nobody."""
    extra = port.dhcpv4_options if version == 4 else port.dhcpv6_options
    if trusted(port) or extra.get("dhcp_disabled", "").lower() == "true":
        return None
    subnets = port.home.store.table(cloud.Subnet)
    for address, uuid in fixed:
        if (6 if ":" in address else 4) == version:
            subnet = subnets.get(uuid)
            if subnet is not None and dhcp_options(subnet):
                return subnet
    return None


def _external_ids(port: cloud.Port, fixed: tuple[tuple[str, UUID], ...]) -> names.Pairs:
    network = port.network
    subnets = port.home.store.table(cloud.Subnet)
    cidrs = []
    for address, uuid in fixed:
        subnet = subnets.get(uuid)
        if subnet is not None:
            cidrs.append(f"{address}/{subnet.cidr.rpartition('/')[2]}")
    ids = {
        "neutron:port_name": port.name,
        "neutron:device_id": port.device_id,
        "neutron:device_owner": port.device_owner,
        "neutron:project_id": port.project_id,
        "neutron:network_name": names.switch(network.uuid),
        "neutron:security_group_ids": " ".join(sorted(cloud.Port.security_groups.raw(port))),
        "neutron:cidrs": " ".join(cidrs),
        "neutron:vnic_type": port.vnic_type,
        "neutron:port_capabilities": "",
        "neutron:mtu": str(network_mtu(network)),
        names.REVISION: str(port.revision_number),
    }
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
