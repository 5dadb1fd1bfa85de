"""Floating IPs: a `dnat_and_snat` row for each, on the router that reaches the port (ovn-nb(5), NAT).

The forwarded ports of a floating IP are load balancers of the router and of its internal networks, as with Neutron, one
for each protocol: its VIPs are the floating IP's single ports, each with one backend (ovn-nb(5), Load_Balancer). Each
port of a range has a load balancer of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import names
from ovenbird.cloud.addressing import fixed_addresses
from ovenbird.cloud.network import SWITCHES
from ovenbird.cloud.router import NAT_OF_ROUTER, ROUTERS, gateway_port, segment_of
from ovenbird.engine import lookups
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import cloud, nb, settings
from ovenbird.model.load_balancing import Member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID


class FloatingIpRow(NamedTuple):
    """The translation of a floating IP; the columns are those of ovn-nb(5), NAT."""

    relation: Relation
    external_ids: Pairs
    type: str
    external_ip: str
    logical_ip: str
    external_mac: str | None
    logical_port: str | None
    gateway_port: UUID | None


class BalancerRow(NamedTuple):
    """The forwarded ports of a floating IP for one protocol; the columns are those of ovn-nb(5), Load_Balancer."""

    relation: Relation
    name: str
    protocol: str
    vips: Pairs
    external_ids: Pairs


PORT_FORWARDING_OWNER = "port_forwarding_plugin"


def _own_balancer(row: nb.LoadBalancer) -> str | None:
    return row.name if row.external_ids.get("neutron:device_owner") == PORT_FORWARDING_OWNER else None


BALANCERS = NamedRows(nb.LoadBalancer, BalancerRow, key=nb.LoadBalancer.name, key_of=_own_balancer)


def _is_ours(row: nb.LoadBalancer) -> bool:
    """Return whether a load balancer has forwarded ports, or is a listener's (`load_balancing`)."""
    return _own_balancer(row) is not None or names.LISTENER in row.external_ids


BALANCERS_OF_ROUTER = Members(ROUTERS, nb.LogicalRouter.load_balancer, among=_is_ours)
BALANCERS_OF_SWITCH = Members(SWITCHES, nb.LogicalSwitch.load_balancer, among=_is_ours)
FLOATING_IPS = names.RowsById(nb.NAT, FloatingIpRow, lambda ids: ids.get("neutron:fip_id"))


@view
def is_up(port_id: str) -> bool:
    """Return whether a port is up in Northbound."""
    found: nb.LogicalSwitchPort | None = lookups.find(nb.LogicalSwitchPort.name, port_id)
    return found is not None and bool(found.up)


@view
def is_backend(fixed: cloud.FixedAddress) -> bool:
    """Return whether an address is a member of a load balancer, whose replies have to pass the router's gateway."""
    index = fixed.home.store.table(Member).index(Member.subnet, Member.address)
    return index.count((cloud.FixedAddress.subnet.raw(fixed), fixed.address)) > 0


@view
def floating_address(floating: cloud.FloatingIP) -> str | None:
    """Return the address of a floating IP, None if its port has none."""
    return next((address for address, _ in fixed_addresses(floating.port)), None)


@rule(cloud.FloatingIPAssociation)
def floating_ip(association: cloud.FloatingIPAssociation) -> Iterator[Fact]:
    """Yield the NAT rule of a floating IP.

    A distributed one is translated on the port's chassis, with a MAC of its own, as long as the port is up.
    """
    floating = association.floating_ip
    outside = floating.port
    address = floating_address(floating)
    if address is None:
        return
    fixed = association.fixed
    port = cloud.FixedAddress.port.raw(fixed)
    router = names.router(cloud.RouterGateway.router.raw(association.gateway))
    distributed = (
        settings.DISTRIBUTED_FLOATING_IP.of(floating.home.store)
        and segment_of(floating.network)[1] is not None
        and is_up(port)
        and not is_backend(fixed)
    )
    mac = outside.mac_address
    ids = (
        ("neutron:fip_external_mac", mac),
        ("neutron:fip_id", floating.uuid),
        ("neutron:fip_network_id", cloud.FloatingIP.network.raw(floating)),
        ("neutron:fip_port_id", port),
        (names.REVISION, str(floating.revision_number)),
        (names.ROUTER_NAME, router),
    )
    yield FLOATING_IPS(
        external_ids=ids,
        type="dnat_and_snat",
        external_ip=address,
        logical_ip=fixed.address,
        external_mac=mac if distributed else None,
        logical_port=port if distributed else None,
        gateway_port=gateway_port(association.gateway),
    )
    yield NAT_OF_ROUTER(router, FLOATING_IPS.uuid(floating.uuid))


@rule(cloud.FloatingIP)
def port_forwardings(floating: cloud.FloatingIP) -> Iterator[Fact]:
    """Yield the load balancers of a floating IP's forwarded ports."""
    address = floating_address(floating)
    if address is None:
        return
    vips: dict[tuple[cloud.Router, str, str], list[tuple[str, str]]] = {}
    for forwarding in floating.referrers(cloud.PortForwarding.floating_ip):
        for external, internal in forwarded_ports(forwarding):
            name = f"pf-floatingip-{floating.uuid}-{forwarding.protocol}"
            if forwarding.external_last is not None:
                name = f"{name}-{external}"
            balancer = (forwarding.gateway.router, forwarding.protocol, name)
            pair = (f"{address}:{external}", f"{forwarding.fixed.address}:{internal}")
            vips.setdefault(balancer, []).append(pair)
    for (router, protocol, name), pairs in vips.items():
        ids = (
            ("neutron:device_owner", PORT_FORWARDING_OWNER),
            ("neutron:fip_id", floating.uuid),
            (names.REVISION, str(floating.revision_number)),
            (names.ROUTER_NAME, names.router(router.uuid)),
        )
        yield BALANCERS(name=name, protocol=protocol, vips=tuple(sorted(pairs)), external_ids=ids)
        yield BALANCERS_OF_ROUTER(names.router(router.uuid), BALANCERS.uuid(name))
        for network in inner_networks(router):
            yield BALANCERS_OF_SWITCH(names.switch(network), BALANCERS.uuid(name))


@view
def inner_networks(router: cloud.Router) -> frozenset[str]:
    """Return the ids of a router's internal networks."""
    interfaces = router.referrers(cloud.RouterInterface.router)
    return frozenset(cloud.RouterInterface.network.raw(interface) for interface in interfaces)


def forwarded_ports(forwarding: cloud.PortForwarding) -> Iterator[tuple[int, int]]:
    """Yield each external port of a port forwarding with its internal port."""
    first, last = forwarding.external_port, forwarding.external_last
    step = 0 if forwarding.internal_last is None else 1
    for place in range((first if last is None else last) - first + 1):
        yield first + place, forwarding.internal_port + place * step
