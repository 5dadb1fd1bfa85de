"""Routes that availability zones advertise to each other, through the routers connected to a transit switch.

A router advertises its static routes of the route table of its port on the transit switch, and the networks of its
other ports; the next hop is its address on the transit switch. Where several rows of a zone make the same route,
connected networks come first. What other zones advertise on a transit switch becomes a static route of each router
connected to it, with `external_ids:ic-learned-route`, unless the router has a route of its own to the prefix
(ovn-nb(5), ovn-ic-sb(5)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.facts import Members, NamedRows, Rows
from ovenbird.engine.findings import finding
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.least import least_of
from ovenbird.engine.lookups import find, get
from ovenbird.engine.rows import UUID
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.ic.availability_zone import is_ours, zone
from ovenbird.ic.bounds import LONGEST_TEXT, excess, is_taken, left_out
from ovenbird.ic.port_binding import ROUTER_ID
from ovenbird.ic.route_exchange import Prefix, is_next_hop, parse_prefix, route_exchange
from ovenbird.model import ic_sb, nb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation

LEARNED_ROUTE = "ic-learned-route"
CONNECTED, STATIC = "connected", "static"


class TransitPort(NamedTuple):
    """A router's port on a transit switch.

    Arguments:
        transit_switch: the switch's name.
        name: the router port's.
        route_table: the one that the port's traffic is routed by; empty for the main one.
        ipv4: its first IPv4 address, empty without any: the next hop of what it advertises.
        ipv6: the same of IPv6; link-local ones are not known beyond the link.
    """

    transit_switch: str
    name: str
    route_table: str
    ipv4: str
    ipv6: str

    def next_hop(self, prefix: Prefix) -> str:
        """Return the next hop for a prefix; empty if there is none of that family."""
        return self.ipv4 if prefix.address.version == 4 else self.ipv6


class RouteKey(NamedTuple):
    """The key of an advertised route of this zone: no two rows have all of it in common."""

    transit_switch: str
    route_table: str
    ip_prefix: str
    nexthop: str


class AdvertisedRow(NamedTuple):
    """A route of this zone; the columns are those of ovn-ic-sb(5)."""

    relation: Relation
    transit_switch: str
    route_table: str
    ip_prefix: str
    nexthop: str
    availability_zone: UUID
    origin: str
    external_ids: Pairs


class LearnedKey(NamedTuple):
    """The key of a learned route."""

    router: UUID
    ip_prefix: str
    nexthop: str
    route_table: str
    origin: str


class LearnedRow(NamedTuple):
    """A route of another zone in a router of this one; the columns are those of ovn-nb(5)."""

    relation: Relation
    key: LearnedKey
    ip_prefix: str
    nexthop: str
    route_table: str
    options: Pairs
    external_ids: Pairs


def is_learned(route: nb.LogicalRouterStaticRoute) -> bool:
    """Return whether a static route comes from another zone."""
    return LEARNED_ROUTE in route.external_ids


def _learned_key(route: nb.LogicalRouterStaticRoute) -> LearnedKey | None:
    routers = route.referrers(nb.LogicalRouter.static_routes) if is_learned(route) else ()
    if not routers:
        return None
    origin = route.options.get("origin", "")
    return LearnedKey(
        routers[0].uuid,
        ip_prefix=route.ip_prefix,
        nexthop=route.nexthop,
        route_table=route.route_table,
        origin=origin,
    )


_ROUTE = ic_sb.Route
_STATIC = nb.LogicalRouterStaticRoute
ADVERTISED = NamedRows(
    _ROUTE,
    AdvertisedRow,
    key=(_ROUTE.transit_switch, _ROUTE.route_table, _ROUTE.ip_prefix, _ROUTE.nexthop),
    parts=(_ROUTE.external_ids,),
)
LEARNED = NamedRows(
    _STATIC, LearnedRow, key_of=_learned_key, parts=(_STATIC.options, _STATIC.external_ids), collected=True
)
ROUTERS: Rows[UUID] = Rows(nb.LogicalRouter, update_only=True)
ROUTES_OF_ROUTER = Members(ROUTERS, nb.LogicalRouter.static_routes, among=is_learned)


# -- routers and their ports on transit switches ----------------------------------------------------------------------


def _router_of(binding: ic_sb.PortBinding) -> tuple[nb.LogicalRouter, str] | None:
    """Return the router and the router port behind a port of this zone, or None."""
    if not is_ours(binding):
        return None
    port = find(nb.LogicalSwitchPort.name, binding.logical_port)
    name = port.options.get("router-port") if port is not None else None
    uuid = binding.external_ids.get(ROUTER_ID)
    router = get(nb.LogicalRouter, UUID(uuid)) if uuid is not None else None
    return (router, name) if router is not None and name is not None else None


@view
def route_table(name: str) -> str:
    """Return the route table of a router port; empty for the main one."""
    port = find(nb.LogicalRouterPort.name, name)
    return port.options.get("route_table", "") if port is not None else ""


@grouped_values(ic_sb.PortBinding)
def transit_ports(binding: ic_sb.PortBinding) -> Iterator[tuple[UUID, TransitPort]]:
    """Yield the port of a router on a transit switch, by router."""
    found = _router_of(binding)
    if found is None:
        return
    router, name = found
    addresses = [parse_prefix(word) for word in binding.address.split()[1:]]
    four = [str(each.address) for each in addresses if each is not None and each.address.version == 4]
    six = [str(each.address) for each in addresses if each is not None and each.address.version == 6]
    yield (
        router.uuid,
        TransitPort(
            binding.transit_switch,
            name=name,
            route_table=route_table(name),
            ipv4=next(iter(four), ""),
            ipv6=next((text for text in six if is_next_hop(text)), ""),
        ),
    )


@grouped_values(ic_sb.PortBinding)
def transit_routers(binding: ic_sb.PortBinding) -> Iterator[tuple[str, tuple[UUID, str]]]:
    """Yield a router and the route table of its port, by transit switch."""
    found = _router_of(binding)
    if found is not None:
        yield binding.transit_switch, (found[0].uuid, route_table(found[1]))


@rule(ic_sb.PortBinding)
def bad_addresses(binding: ic_sb.PortBinding) -> Iterator[Fact]:
    """Report a port of this zone whose addresses no route can lead to."""
    if is_ours(binding) and not any(map(parse_prefix, binding.address.split()[1:])):
        yield finding(binding, f"port {binding.logical_port} has no addresses: routes through it are not advertised")


# -- what this zone advertises ----------------------------------------------------------------------------------------


def _keys(
    router: nb.LogicalRouter, prefix: Prefix | None, *, table: str | None, besides: str = ""
) -> tuple[RouteKey, ...]:
    """Return the routes to a prefix that a router advertises.

    Arguments:
        router: the router.
        prefix: None advertises nothing.
        table: the route table that the route is in; None for what is in all of them.
        besides: the name of the router port that the prefix is of, if it is one's.
    """
    ports = transit_ports.values(router.uuid)
    if prefix is None or not ports or not route_exchange().advertises(prefix):
        return ()
    if any(port.name == besides for port in ports):
        return ()
    return tuple(
        RouteKey(port.transit_switch, route_table=table or "", ip_prefix=str(prefix), nexthop=next_hop)
        for port in sorted(ports)
        if table in (None, port.route_table) and (next_hop := port.next_hop(prefix))
    )


@view
def static_keys(route: nb.LogicalRouterStaticRoute) -> tuple[RouteKey, ...]:
    """Return the routes that a static route is advertised as."""
    router = route.referrer(nb.LogicalRouter.static_routes)
    if router is None or is_learned(route) or route.policy == "src-ip" or parse_prefix(route.nexthop) is None:
        return ()
    if not is_next_hop(route.nexthop.partition("/")[0]):
        return ()
    return _keys(router, parse_prefix(route.ip_prefix), table=route.route_table)


@view
def connected_keys(port: nb.LogicalRouterPort) -> tuple[RouteKey, ...]:
    """Return the routes that the networks of a router port are advertised as."""
    router = port.referrer(nb.LogicalRouter.ports)
    if router is None:
        return ()
    prefixes = map(parse_prefix, sorted(port.networks))
    return tuple(key for prefix in prefixes for key in _keys(router, prefix, table=None, besides=port.name))


@least_of(nb.LogicalRouterStaticRoute)
def static_makers(route: nb.LogicalRouterStaticRoute) -> Iterator[tuple[RouteKey, UUID]]:
    """Yield which static route may be advertised as a route."""
    for key in static_keys(route):
        yield key, route.uuid


@least_of(nb.LogicalRouterPort)
def connected_makers(port: nb.LogicalRouterPort) -> Iterator[tuple[RouteKey, UUID]]:
    """Yield which router port's network may be advertised as a route."""
    for key in connected_keys(port):
        yield key, port.uuid


def _advertised(key: RouteKey, *, origin: str, maker: UUID) -> Iterator[Fact]:
    mine = zone()
    if mine is not None:
        yield ADVERTISED(*key, availability_zone=mine, origin=origin, external_ids=(("nb-id", maker),))


@rule(nb.LogicalRouterStaticRoute)
def static_route(route: nb.LogicalRouterStaticRoute) -> Iterator[Fact]:
    """Advertise a static route."""
    for key in static_keys(route):
        if connected_makers.least(key) is None and static_makers.least(key) == route.uuid:
            yield from _advertised(key, origin=STATIC, maker=route.uuid)


@rule(nb.LogicalRouterPort)
def connected_route(port: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Advertise the networks of a router port."""
    for key in dict.fromkeys(connected_keys(port)):
        if connected_makers.least(key) == port.uuid:
            yield from _advertised(key, origin=CONNECTED, maker=port.uuid)


# -- what it learns ---------------------------------------------------------------------------------------------------


@rule(nb.LogicalRouter)
def learning_router(router: nb.LogicalRouter) -> Iterator[Fact]:
    """Own the learned routes of every router, so that those that no zone advertises any more are removed."""
    yield ROUTERS(router.uuid)


@grouped_values(nb.LogicalRouterStaticRoute)
def own_routes(route: nb.LogicalRouterStaticRoute) -> Iterator[tuple[tuple[str, str], UUID]]:
    """Yield, by prefix and route table, the routers that have a route of their own."""
    if not is_learned(route):
        for router in route.referrers(nb.LogicalRouter.static_routes):
            yield (route.ip_prefix, route.route_table), router.uuid


@view
def learned_keys(route: ic_sb.Route) -> tuple[LearnedKey, ...]:
    """Return the routes that a route of another zone may become in routers of this one."""
    if not is_taken(route) or excess(route):
        return ()
    prefix, table = parse_prefix(route.ip_prefix), route.route_table
    if prefix is None or not is_next_hop(route.nexthop) or not route_exchange().learns(prefix):
        return ()
    own = own_routes.values((route.ip_prefix, table))
    return tuple(
        LearnedKey(router, ip_prefix=route.ip_prefix, nexthop=route.nexthop, route_table=table, origin=route.origin)
        for router, of_port in sorted(transit_routers.values(route.transit_switch))
        if table in ("", of_port) and router not in own
    )


@least_of(ic_sb.Route)
def learned_makers(route: ic_sb.Route) -> Iterator[tuple[LearnedKey, UUID]]:
    """Yield which row of another zone may be learned as a route."""
    for key in learned_keys(route):
        yield key, route.uuid


@rule(ic_sb.Route)
def learned_route(route: ic_sb.Route) -> Iterator[Fact]:
    """Add a route of another zone to the routers on its transit switch; of several that are the same, one."""
    if is_taken(route):
        why = excess(route)
        if not why and (parse_prefix(route.ip_prefix) is None or not is_next_hop(route.nexthop)):
            why = "it has no prefix or next hop"
        if why:
            yield left_out(route, f"route {route.ip_prefix[:LONGEST_TEXT]} by {route.nexthop}", why=why)
    options, ids = (("origin", route.origin),), ((LEARNED_ROUTE, route.uuid),)
    for key in dict.fromkeys(learned_keys(route)):
        if learned_makers.least(key) == route.uuid:
            yield LEARNED(key, *key[1:4], options=options, external_ids=ids)
            yield ROUTES_OF_ROUTER(key.router, LEARNED.uuid(key))
