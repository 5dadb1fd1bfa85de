"""The routes that chassis announce outside of the virtual network: rows of Advertised_Route.

ovn-nb(5), `options:dynamic-routing-redistribute`; ovn-sb(5), Advertised_Route; both of OVN 25.03. A route belongs to a
port of a router that redistributes it. It may *track* another port: the chassis of that port announces it with a better
metric. Each network, address, static route, NAT rule and load balancer makes its own rows; which ports redistribute it
is found in groups of values (`engine.grouped`), which are empty where no router does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.lookups import find, get
from ovenbird.engine.rules import rule
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import canonical
from ovenbird.northd.ir.load_balancer import LB as LOAD_BALANCER
from ovenbird.northd.ir.load_balancer import balancer, router_users
from ovenbird.northd.ir.router_port import (
    LRP,
    LSP,
    RouterPort,
    distributed_gateway_ports,
    enabled,
    gateway_chassis,
    is_link_local,
    peer_switch_port,
    router_peer,
    router_port_by_name,
    router_port_of,
)
from ovenbird.northd.ir.southbound_rows import PORT_BINDING, datapath
from ovenbird.northd.router.nat_rule import nat_rule
from ovenbird.northd.router.redistribution import Redistributed, is_dynamic, redistributes, words
from ovenbird.northd.router.routing import way_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.switch_port import SwitchPort
    from ovenbird.northd.router.nat_rule import NatRule


class AdvertisedRouteRow(NamedTuple):
    """A route to announce; the columns are those of ovn-sb(5)."""

    relation: Relation
    datapath: UUID
    logical_port: UUID
    ip_prefix: str
    tracked_port: UUID | None


_ROUTE = sb.AdvertisedRoute
ADVERTISED_ROUTE = NamedRows(
    _ROUTE,
    AdvertisedRouteRow,
    key=(_ROUTE.datapath, _ROUTE.logical_port, _ROUTE.ip_prefix, _ROUTE.tracked_port),
)


def _bound(port: RouterPort) -> UUID:
    """Return the UUID of a router port's binding."""
    return PORT_BINDING.uuid((port.name, port.datapath))


def _bound_named(name: str) -> UUID | None:
    """Return the UUID of the binding of the router port of that name; None if there is no such port."""
    port = router_port_by_name(name) if name else None
    return _bound(port) if port is not None else None


def _advertised(port: RouterPort, prefix: str, tracked: UUID | None = None) -> Fact:
    return ADVERTISED_ROUTE(port.datapath, _bound(port), prefix, tracked)


Neighbors = frozenset[tuple[Redistributed, str]]
"""Router ports that redistribute what is near them, by name, and what that is."""

BY_NEIGHBORS = frozenset({Redistributed.AS_HOST, Redistributed.NAT, Redistributed.LB})
"""What ports redistribute of what their neighbours have."""

# -- which ports redistribute ------------------------------------------------------------------------------------------


@grouped_values(LRP)
def redistributing(lrp: nb.LogicalRouterPort) -> Iterator[tuple[UUID, tuple[Redistributed, str]]]:
    """Yield, for each switch, the router ports on it that redistribute what their neighbours have, and what that is."""
    modes = redistributes(lrp) & BY_NEIGHBORS
    met = peer_switch_port(lrp.name) if modes and router_port_of(lrp) is not None else None
    if met is None:
        return
    for mode in modes:
        if mode != Redistributed.AS_HOST or lrp.networks:
            yield met.switch.uuid, (mode, lrp.name)


class RouteAdvertiser(NamedTuple):
    """A port that redistributes something, and the router port that the routes track, both by name."""

    port: str
    tracked: str


@grouped_values(LRP)
def advertisers(lrp: nb.LogicalRouterPort) -> Iterator[tuple[tuple[UUID, Redistributed], RouteAdvertiser]]:
    """Yield, for a port's router and for each of its groups of balancers, who redistributes what the router has.

    That is the port itself, and the ports of other routers that are next to it.
    """
    router, near = lrp.referrer(nb.LogicalRouter.ports), _near(lrp)
    if router is None or not (near or redistributes(lrp)) or router_port_of(lrp) is None:
        return
    hosts = [RouteAdvertiser(port=name, tracked=lrp.name) for mode, name in near if mode == Redistributed.AS_HOST]
    for mode, found in (
        (Redistributed.NAT, dict.fromkeys(_nat_advertisers(lrp, near))),
        (Redistributed.LB, dict.fromkeys(_balancer_advertisers(lrp, router, near))),
        (Redistributed.AS_HOST, hosts),
    ):
        for advertiser in found:
            yield (router.uuid, mode), advertiser
            for group in router.load_balancer_group if mode != Redistributed.NAT else ():
                yield (group.uuid, mode), advertiser


def _nat_advertisers(lrp: nb.LogicalRouterPort, near: Neighbors) -> Iterator[RouteAdvertiser]:
    if Redistributed.NAT in redistributes(lrp):
        yield RouteAdvertiser(port=lrp.name, tracked="")
    for mode, name in near:
        if mode == Redistributed.NAT and name != lrp.name:
            yield RouteAdvertiser(port=name, tracked="")


def _balancer_advertisers(
    lrp: nb.LogicalRouterPort, router: nb.LogicalRouter, near: Neighbors
) -> Iterator[RouteAdvertiser]:
    if Redistributed.LB in redistributes(lrp):
        if gateway_chassis(router):
            yield RouteAdvertiser(port=lrp.name, tracked="")
        for name in distributed_gateway_ports(router):  # balanced where one of them is active
            yield RouteAdvertiser(port=lrp.name, tracked=name)
    for mode, name in near:
        if mode == Redistributed.LB and name != lrp.name:
            yield RouteAdvertiser(port=name, tracked=lrp.name)


def _near(lrp: nb.LogicalRouterPort) -> Neighbors:
    """Return the router ports on a port's switch, or its direct peer, that redistribute something, and what that is."""
    met = peer_switch_port(lrp.name)
    if met is not None:
        return redistributing.values(met.switch.uuid)
    peer = router_peer(lrp)
    if peer is None:
        return frozenset()
    modes = redistributes(peer) & BY_NEIGHBORS
    return frozenset((mode, peer.name) for mode in modes if mode != Redistributed.AS_HOST or peer.networks)


# -- what is redistributed ---------------------------------------------------------------------------------------------


@rule(LRP)
def advertised_networks(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Advertise a port's own networks; as hosts, what is on them, of which here the direct peer."""
    port, modes = router_port_of(lrp), redistributes(lrp)
    if port is None:
        return
    for unknown in sorted(words(lrp) - set(Redistributed)):
        yield finding(lrp, f"port {lrp.name}: {unknown!r} in dynamic-routing-redistribute is left out: unknown")
    if Redistributed.CONNECTED in modes:
        for subnet in (*port.ipv4, *port.ipv6):
            if not is_link_local(subnet.ip):
                yield _advertised(port, canonical(subnet.network))
    for mode, name in _near(lrp) if peer_switch_port(lrp.name) is None else ():
        if mode == Redistributed.AS_HOST:
            yield from _addresses_of(port, router_port_by_name(name))


def _addresses_of(port: RouterPort, at: RouterPort | None) -> Iterator[Fact]:
    """Advertise a router port's addresses at another one as hosts."""
    for subnet in (*port.ipv4, *port.ipv6) if at is not None else ():
        if at is not None and not is_link_local(subnet.ip):
            yield _advertised(at, subnet.ip, _bound(port))


def has_advertised_hosts(switch: nb.LogicalSwitch) -> bool:
    """Return whether a router advertises the addresses of a switch's ports."""
    return any(mode == Redistributed.AS_HOST for mode, _ in redistributing.values(switch.uuid))


def hosts(port: SwitchPort) -> Iterator[Fact]:
    """Advertise the addresses of a switch's ports as hosts."""
    for mode, name in sorted(redistributing.values(port.switch.uuid)):
        at = router_port_by_name(name) if mode == Redistributed.AS_HOST else None
        if at is None:
            continue
        peer = router_port_by_name(port.options.get("router-port", "")) if port.type == "router" else None
        if peer is not None:
            yield from _addresses_of(peer, at)
            continue
        for entry in port.addresses:
            for ip in (*entry.ipv4, *entry.ipv6):
                if not is_link_local(ip):
                    yield _advertised(at, ip, port.binding)


@rule(nb.LogicalRouterStaticRoute)
def advertised_static_route(route: nb.LogicalRouterStaticRoute) -> Iterator[Fact]:
    """Advertise a static route that is used, at its output port; one by source leads nowhere for others."""
    router = route.referrer(nb.LogicalRouter.static_routes)
    if router is None or not is_dynamic(router) or route.policy == "src-ip":
        return
    way = way_of(router, route)
    lrp = get(LRP, way.port.uuid) if way is not None else None
    if way is None or lrp is None:
        return
    mode = Redistributed.CONNECTED if route.options.get("origin") == "connected" else Redistributed.STATIC
    prefix = canonical(route.ip_prefix)
    if mode in redistributes(lrp) and not is_link_local(prefix.partition("/")[0]):
        yield _advertised(way.port, prefix)


@rule(nb.NAT)
def advertised_nat(nat: nb.NAT) -> Iterator[Fact]:
    """Advertise the external address of a NAT rule, of the router itself and of its neighbours."""
    router = nat.referrer(nb.LogicalRouter.nat)
    if router is None:
        return
    plain, as_host = (
        advertisers.values((router.uuid, Redistributed.NAT)),
        advertisers.values((router.uuid, Redistributed.AS_HOST)),
    )
    made = nat_rule(nat) if plain or as_host else None
    if made is None:
        return
    tracked = _where_translated(made)
    for advertiser in plain:
        at = router_port_by_name(advertiser.port)
        if at is not None:
            yield _advertised(at, made.outer, tracked)
    several = len(distributed_gateway_ports(router)) > 1 if as_host else False
    for advertiser in as_host:
        at = router_port_by_name(advertiser.port)
        if at is not None and (not several or (made.port is not None and made.port.name == advertiser.tracked)):
            yield _advertised(at, made.outer, _bound_named(advertiser.tracked))


def _where_translated(made: NatRule) -> UUID | None:
    """Return the port where a NAT rule takes place: an instance's, or a distributed gateway port; None if all do."""
    if not made.mac:
        return _bound(made.port) if made.port is not None else None
    lsp = find(LSP.name, made.resident)
    switch = lsp.referrer(nb.LogicalSwitch.ports) if lsp is not None else None
    return PORT_BINDING.uuid((made.resident, datapath(switch))) if switch is not None else None


@rule(LOAD_BALANCER)
def advertised_balancer(row: nb.LoadBalancer) -> Iterator[Fact]:
    """Advertise the virtual addresses of a load balancer, of the routers that use it and of their neighbours."""
    users = {*router_users(row), *[r.uuid for r in row.referrers(nb.LogicalRouter.load_balancer) if enabled(r)]}
    found = {
        each
        for user in users
        for mode in (Redistributed.LB, Redistributed.AS_HOST)
        for each in advertisers.values((user, mode))
    }
    ips = {vip.at.ip for vip in balancer(row).vips if not vip.at.ip.startswith("^")} if found else set()
    for advertiser in found:
        at = router_port_by_name(advertiser.port)
        for ip in sorted(ips) if at is not None else ():
            if at is not None:
                yield _advertised(at, ip, _bound_named(advertiser.tracked))
