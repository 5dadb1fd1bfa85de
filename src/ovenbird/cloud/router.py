"""Routers: a logical router for each, with a router port for each of its ports, its routes, and SNAT (ovn-nb(5)).

A router's port is one port in Cloud and two in Northbound: the switch port of type `router`, whose name is the port's
UUID, and the router port, whose name is `lrp-` and the same UUID.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import gateway, names
from ovenbird.cloud.addressing import fixed_addresses
from ovenbird.cloud.bgp import DYNAMIC_ROUTING, gateway_redistribution, is_announced, network_redistribution
from ovenbird.cloud.network import ON_A_WIRE, network_mtu
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import cloud, nb, settings
from ovenbird.net.ip import ip_address, ip_network, is_address, is_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID

ROUTER_OPTIONS = names.pairs(always_learn_from_arp_request="false", dynamic_neigh_routers="true")
"""As Neutron's: routers on an external network resolve each other by ARP, and learn only what they requested."""

LARGEST_MTU = 65535
"""Bytes; IPv4's limit (RFC 791), and `gateway_mtu`'s."""

IS_STATIC_ROUTE = "neutron:is_static_route"

DEFAULT_ROUTE = {4: "0.0.0.0/0", 6: "::/0"}


class RouterRow(NamedTuple):
    """A logical router, without its ports and other members."""

    relation: Relation
    name: str
    enabled: bool | None
    options: Pairs
    external_ids: Pairs


class RouterPortRow(NamedTuple):
    """A logical router port; the columns are those of ovn-nb(5)."""

    relation: Relation
    name: str
    mac: str
    networks: frozenset[str]
    enabled: bool | None
    options: Pairs
    ipv6_ra_configs: Pairs
    external_ids: Pairs


class RouteRow(NamedTuple):
    """A static route."""

    relation: Relation
    external_ids: Pairs
    ip_prefix: str
    nexthop: str
    output_port: str | None
    bfd: UUID | None


class BfdSessionRow(NamedTuple):
    """A BFD session with the next hop of a route."""

    relation: Relation
    logical_port: str
    dst_ip: str
    external_ids: Pairs


class SnatRow(NamedTuple):
    """The source NAT of a subnet."""

    relation: Relation
    external_ids: Pairs
    type: str
    logical_ip: str
    external_ip: str
    gateway_port: UUID | None


class GatewayChassisRow(NamedTuple):
    """A chassis that can host a gateway, with its priority."""

    relation: Relation
    name: str
    chassis_name: str
    priority: int


def _own_router(row: nb.LogicalRouter) -> str | None:
    return row.name if row.name.startswith("neutron-") else None


def _own_port(row: nb.LogicalRouterPort | nb.GatewayChassis) -> str | None:
    return row.name if row.name.startswith("lrp-") else None


def _own_route(row: nb.LogicalRouterStaticRoute) -> tuple[Pairs, str, str, str | None] | None:
    ids = row.external_ids
    if names.ROUTER_NAME not in ids:
        return None
    return tuple(sorted(ids.items())), row.ip_prefix, row.nexthop, row.output_port


def _own_session(row: nb.BFD) -> tuple[str, str] | None:
    return (row.logical_port, row.dst_ip) if names.ROUTER_NAME in row.external_ids else None


def _own_snat(row: nb.NAT) -> tuple[Pairs, str, str, str] | None:
    ids = row.external_ids
    if row.type != "snat" or names.ROUTER_NAME not in ids:
        return None
    return tuple(sorted(ids.items())), row.type, row.logical_ip, row.external_ip


ROUTERS = NamedRows(nb.LogicalRouter, RouterRow, key=nb.LogicalRouter.name, key_of=_own_router)
ROUTER_PORTS = NamedRows(nb.LogicalRouterPort, RouterPortRow, key=nb.LogicalRouterPort.name, key_of=_own_port)
_ROUTE = nb.LogicalRouterStaticRoute
STATIC_ROUTES = NamedRows(
    _ROUTE,
    RouteRow,
    key=(_ROUTE.external_ids, _ROUTE.ip_prefix, _ROUTE.nexthop, _ROUTE.output_port),
    key_of=_own_route,
)
BFD_SESSIONS = NamedRows(nb.BFD, BfdSessionRow, key=(nb.BFD.logical_port, nb.BFD.dst_ip), key_of=_own_session)
SNATS = NamedRows(
    nb.NAT,
    SnatRow,
    key=(nb.NAT.external_ids, nb.NAT.type, nb.NAT.logical_ip, nb.NAT.external_ip),
    key_of=_own_snat,
)
GATEWAY_CHASSIS = NamedRows(nb.GatewayChassis, GatewayChassisRow, key=nb.GatewayChassis.name, key_of=_own_port)
PORTS_OF_ROUTER = Members(ROUTERS, nb.LogicalRouter.ports)
ROUTES_OF_ROUTER = Members(ROUTERS, nb.LogicalRouter.static_routes)
NAT_OF_ROUTER = Members(ROUTERS, nb.LogicalRouter.nat)
CHASSIS_OF_PORT = Members(ROUTER_PORTS, nb.LogicalRouterPort.gateway_chassis)


# -- what rules share -------------------------------------------------------------------------------------------------


@view
def snat_addresses(router: cloud.Router) -> tuple[tuple[str, UUID | None], ...]:
    """Return the source NAT address of each gateway of a router that has one, with its `gateway_port`."""
    found = []
    for outside in cloud.gateways_of(router):
        address = next((address for address, _ in fixed_addresses(outside.port) if ":" not in address), None)
        if outside.enable_snat and address is not None:
            found.append((address, gateway_port(outside)))
    return tuple(found)


def gateway_port(outside: cloud.RouterGateway) -> UUID | None:
    """Return the router port that translates addresses of a gateway, for a router with several; otherwise None."""
    several = len(outside.router.referrers(cloud.RouterGateway.router)) > 1
    return ROUTER_PORTS.uuid(names.router_port(cloud.RouterGateway.port.raw(outside))) if several else None


@view
def inner_mtu(router: cloud.Router) -> int:
    """Return the least MTU of a router's internal networks, for `gateway_mtu`."""
    interfaces = router.referrers(cloud.RouterInterface.router)
    return min((network_mtu(interface.network) for interface in interfaces), default=LARGEST_MTU)


@view
def segment_of(network: cloud.Network) -> tuple[str, str | None]:
    """Return a network's type, and its physical network, if it has one."""
    segment: cloud.NetworkSegment | None = network.referrer(cloud.NetworkSegment.network)
    return ("local", None) if segment is None else (segment.network_type, segment.physical_network)


@view
def chassis_of(outside: cloud.RouterGateway) -> tuple[str, ...]:
    """Return the names of a gateway's chassis, by descending priority."""
    port, router = outside.port, outside.router
    _, physical = segment_of(port.network)
    among = gateway.candidates(physical, router.availability_zone_hints)
    if router.has_own_schedule:
        return tuple(sorted(set(among) & router.gateway_chassis.keys(), key=lambda name: _rank(router, name)))
    if settings.GATEWAY_SCHEDULER.of(port.home.store) == "chance":
        return gateway.by_chance(port.uuid, among)
    return gateway.least_loaded(port.uuid, among)


def _rank(router: cloud.Router, chassis: str) -> tuple[int, str]:
    return -router.gateway_chassis[chassis], chassis


@view
def is_on_wires(router: cloud.Router) -> bool:
    """Return whether all of a router's internal networks are on physical networks, so that it needs no tunnel."""
    networks = [interface.network for interface in router.referrers(cloud.RouterInterface.router)]
    return bool(networks) and all(segment_of(network)[0] in ON_A_WIRE for network in networks)


@view
def home(router: cloud.Router) -> str:
    """Return the chassis of a gateway router; empty for a distributed router."""
    outside = cloud.first_gateway(router)
    if outside is None or segment_of(outside.port.network)[1] is not None:
        return ""
    return next(iter(chassis_of(outside)), "")


def subnets_of(port: cloud.Port) -> list[tuple[str, cloud.Subnet]]:
    """Return a port's addresses, each with its subnet."""
    table = port.home.store.table(cloud.Subnet)
    return [(address, subnet) for address, uuid in fixed_addresses(port) if (subnet := table.get(uuid)) is not None]


def _networks(fixed: list[tuple[str, cloud.Subnet]]) -> frozenset[str]:
    return frozenset(f"{address}/{subnet.cidr.rpartition('/')[2]}" for address, subnet in fixed)


def _port_ids(port: cloud.Port, router: str, fixed: list[tuple[str, cloud.Subnet]], *, outside: bool) -> Pairs:
    ids = {
        names.REVISION: str(port.revision_number),
        "neutron:subnet_ids": " ".join(sorted({subnet.uuid for _, subnet in fixed})),
        "neutron:network_name": names.switch(cloud.Port.network.raw(port)),
        names.ROUTER_NAME: names.router(router),
        gateway.IS_GATEWAY: str(outside),
    }
    return tuple(sorted(ids.items()))


# -- rules ------------------------------------------------------------------------------------------------------------


@rule(cloud.Router)
def logical_router(router: cloud.Router) -> Iterator[Fact]:
    """Yield the logical router of a router."""
    ids = {
        "neutron:router_name": router.name,
        names.REVISION: str(router.revision_number),
        "neutron:availability_zone_hints": ",".join(sorted(router.availability_zone_hints)),
    }
    yield ROUTERS(
        names.router(router.uuid),
        enabled=router.admin_state_up,
        options=_router_options(router),
        external_ids=tuple(sorted(ids.items())),
    )


def _router_options(router: cloud.Router) -> Pairs:
    options = dict(ROUTER_OPTIONS)
    if is_announced(router):
        options[DYNAMIC_ROUTING] = "true"
    if chassis := home(router):
        options[gateway.HOME] = chassis
    if age := settings.MAC_BINDING_AGE.of(router.home.store):
        options["mac_binding_age_threshold"] = str(age)
    return tuple(sorted(options.items()))


@rule(cloud.Router)
def extra_routes(router: cloud.Router) -> Iterator[Fact]:
    """Yield a router's extra routes."""
    name = names.router(router.uuid)
    ids = ((IS_STATIC_ROUTE, "true"), (names.ROUTER_NAME, name))
    for route in router.routes:
        prefix, _, nexthop = route.partition(" ")
        if not (is_prefix(prefix) and is_address(nexthop)):
            yield finding(router, f"router {router.uuid}: route {route!r} has no prefix or next hop, and is left out")
            continue
        yield STATIC_ROUTES(ids, ip_prefix=prefix, nexthop=nexthop, output_port=None, bfd=None)
        yield ROUTES_OF_ROUTER(name, STATIC_ROUTES.uuid((ids, prefix, nexthop, None)))


@rule(cloud.RouterInterface)
def internal_port(interface: cloud.RouterInterface) -> Iterator[Fact]:
    """Yield the router port on an internal network, and the SNAT of its subnets."""
    port = interface.port
    fixed = subnets_of(port)
    if not fixed:
        return
    router = cloud.RouterInterface.router.raw(interface)
    name = names.router_port(port.uuid)
    network = port.network
    options: Pairs = ()
    if segment_of(network)[0] in ON_A_WIRE:  # one chassis has the router's MAC there, unless each has one of its own
        by_wire = _avoids_tunnels(interface.router)
        options = (("reside-on-redirect-chassis", "false" if by_wire else "true"),)
    yield ROUTER_PORTS(
        name=name,
        mac=port.mac_address,
        networks=_networks(fixed),
        enabled=None if port.admin_state_up else False,
        options=(*network_redistribution(interface), *options),
        ipv6_ra_configs=router_advertisements(network, fixed),
        external_ids=_port_ids(port, router, fixed, outside=False),
    )
    yield PORTS_OF_ROUTER(names.router(router), ROUTER_PORTS.uuid(name))
    for address, through in snat_addresses(interface.router):
        for subnet in {subnet for _, subnet in fixed if ":" not in subnet.cidr}:
            ids = ((names.ROUTER_NAME, names.router(router)), ("neutron:subnet_id", subnet.uuid))
            yield SNATS(ids, type="snat", logical_ip=subnet.cidr, external_ip=address, gateway_port=through)
            yield NAT_OF_ROUTER(names.router(router), SNATS.uuid((ids, "snat", subnet.cidr, address)))


@rule(cloud.RouterGateway)
def external_port(outside: cloud.RouterGateway) -> Iterator[Fact]:
    """Yield the router port on an external network, its chassis, and the default routes through it."""
    port = outside.port
    fixed = subnets_of(port)
    if not fixed:
        return
    router = cloud.RouterGateway.router.raw(outside)
    name, router_name = names.router_port(port.uuid), names.router(router)
    yield ROUTER_PORTS(
        name=name,
        mac=port.mac_address,
        networks=_networks(fixed),
        enabled=None,
        options=(*gateway_redistribution(outside), *_gateway_options(outside)),
        ipv6_ra_configs=(),
        external_ids=_port_ids(port, router, fixed, outside=True),
    )
    yield PORTS_OF_ROUTER(router_name, ROUTER_PORTS.uuid(name))
    if not chassis_of(outside):
        yield finding(outside.router, _unhosted(outside))
    chosen = () if home(outside.router) else chassis_of(outside)
    own = outside.router.gateway_chassis if outside.router.has_own_schedule else {}
    for place, chassis in enumerate(chosen):
        row = f"{name}_{chassis}"
        priority = own.get(chassis, gateway.MOST - place)
        yield GATEWAY_CHASSIS(name=row, chassis_name=chassis, priority=priority)
        yield CHASSIS_OF_PORT(name, GATEWAY_CHASSIS.uuid(row))
    if outside.router.enable_default_route_ecmp or cloud.first_gateway(outside.router) is outside:
        yield from _default_routes(outside, {subnet for _, subnet in fixed})


def _default_routes(outside: cloud.RouterGateway, subnets: set[cloud.Subnet]) -> Iterator[Fact]:
    """Yield the default routes through a gateway, each with a BFD session if that is enabled."""
    router_name = names.router(cloud.RouterGateway.router.raw(outside))
    name = names.router_port(cloud.RouterGateway.port.raw(outside))
    watched = outside.router.enable_default_route_bfd
    for subnet in subnets:
        nexthop = subnet.gateway_ip
        if nexthop is None:
            continue
        if not (is_prefix(subnet.cidr) and is_address(nexthop)):
            yield finding(
                subnet, f"subnet {subnet.uuid}: there is no default route, since {nexthop!r} is not an IP address"
            )
            continue
        block = ip_network(subnet.cidr)
        ids = (
            (gateway.IS_GATEWAY, "true"),
            (IS_STATIC_ROUTE, "true"),
            (names.ROUTER_NAME, router_name),
            ("neutron:subnet_id", subnet.uuid),
        )
        prefix = DEFAULT_ROUTE[block.version]
        out = None if ip_address(nexthop) in block and not watched else name
        session = None
        if watched:
            yield BFD_SESSIONS(logical_port=name, dst_ip=nexthop, external_ids=((names.ROUTER_NAME, router_name),))
            session = BFD_SESSIONS.uuid((name, nexthop))
        yield STATIC_ROUTES(ids, ip_prefix=prefix, nexthop=nexthop, output_port=out, bfd=session)
        yield ROUTES_OF_ROUTER(router_name, STATIC_ROUTES.uuid((ids, prefix, nexthop, out)))


def _unhosted(outside: cloud.RouterGateway) -> str:
    """Return the finding that no chassis can host a router's gateway, and what one would need."""
    router, (_, physical) = outside.router, segment_of(outside.port.network)
    needs = ["enable-chassis-as-gw in ovn-cms-options"]
    if hints := ":".join(sorted(router.availability_zone_hints)):
        needs.append(f"one of the availability zones {hints}")
    if physical is not None:
        needs.append(f"{physical} in ovn-bridge-mappings")
    what = (
        f"router {router.uuid} ({router.name}): no chassis can host its gateway {names.router_port(outside.port.uuid)}"
    )
    return f"{what}, and no traffic passes through it: a chassis needs {', '.join(needs)}"


def _gateway_options(outside: cloud.RouterGateway) -> Pairs:
    mtu = ("gateway_mtu", str(min(network_mtu(outside.port.network), inner_mtu(outside.router))))
    return (mtu, ("redirect-type", "bridged")) if _avoids_tunnels(outside.router) else (mtu,)


def _avoids_tunnels(router: cloud.Router) -> bool:
    """Return whether each chassis routes itself, and reaches the gateway through physical networks (`redirect-type`).

    Packets of a physical network's MTU do not fit into tunnels.
    """
    return settings.DISTRIBUTED_FLOATING_IP.of(router.home.store) and is_on_wires(router)


def router_advertisements(network: cloud.Network, fixed: list[tuple[str, cloud.Subnet]]) -> Pairs:
    """Return a router port's ``ipv6_ra_configs`` (RFC 4861); empty if no subnet has an IPv6 RA mode."""
    modes = [subnet.ipv6_ra_mode for _, subnet in fixed if subnet.ipv6_ra_mode is not None]
    if not modes:
        return ()
    servers = [
        server
        for _, subnet in fixed
        if subnet.ipv6_ra_mode == "slaac"
        for _, server in sorted(subnet.dns_nameservers.items())
        if ":" in server
    ]
    configs = {
        "address_mode": modes[0].replace("-", "_"),
        "send_periodic": "true",
        "mtu": str(network_mtu(network)),
    }
    if servers:  # the one option that clients which ask no DHCP server have of knowing any (RFC 8106)
        configs["rdnss"] = servers[0]
    return tuple(sorted(configs.items()))
