"""The routers that answer ARP and ND for load balancers' addresses: those with the network, or all, or none.

ovn-nb(5), Load_Balancer, `options:neighbor_responder` and `add_route`; ovn-northd(8), "Ingress Table 3" of routers and
"25" of switches. The addresses that a router answers for are an address set of its own, so that one more is one element
regardless of the router's ports. The ports with the network of an address are found by an index, not among all routers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.lookups import get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import canonical, quote, scan_ips
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.load_balancer import LB, Users, balancer, router_groups, router_users
from ovenbird.northd.ir.router_port import (
    ATTACHED,
    LRP,
    RouterPort,
    enabled,
    number_of,
    peer_switch_port,
    router_peers,
    router_port_by_name,
    router_port_of,
    source_for,
)
from ovenbird.northd.ir.southbound_rows import IN_NAT_ADDRESSES, datapath
from ovenbird.northd.ir.switch_port import only_routers
from ovenbird.northd.router.nat_rule import nat_rule
from ovenbird.northd.router.neighbor_resolution import ARP_REPLY
from ovenbird.northd.shared.address_sets import ADDRESS_SET, IN_ADDRESS_SET
from ovenbird.northd.shared.arp_requests import asked, asks_for
from ovenbird.northd.shared.binding import router_key
from ovenbird.pipeline.registers import GROUP
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.socket_address import SocketAddress

INPUT = stage("lr_in_ip_input")
ROUTING = stage("lr_in_ip_routing")
RESOLVE = stage("lr_in_arp_resolve")
L2_LOOKUP = stage("ls_in_l2_lkup")

flow = flow_builder("router_load_balancer")


# -- what routers have, by the groups of balancers that they use -------------------------------------------------------


@grouped_values(LRP)
def networks(lrp: nb.LogicalRouterPort) -> Iterator[tuple[tuple[UUID, int] | tuple[UUID, int, int, int], Any]]:
    """Yield, for each group, the ports of its routers by network, and the prefix lengths of these networks."""
    port, router = router_port_of(lrp), lrp.referrer(nb.LogicalRouter.ports)
    if port is None or router is None:
        return
    for group in router_groups(router):
        for width, subnets in ((32, port.ipv4), (128, port.ipv6[:-1])):
            for subnet in subnets:
                yield (group, width), subnet.length
                yield (group, width, subnet.low, subnet.length), port.name


@grouped_values(nb.NAT)
def translated(nat: nb.NAT) -> Iterator[tuple[tuple[UUID, str], nb.LogicalRouter]]:
    """Yield, for each group, its routers by the external addresses of their NAT."""
    router, outer = nat.referrer(nb.LogicalRouter.nat), canonical(nat.external_ip)
    if router is not None and outer and enabled(router):
        for group in router_groups(router):
            yield (group, outer), router


def _outer(values: list[object]) -> tuple[str, ...]:
    text = values[nb.NAT.external_ip.index]
    return (outer,) if isinstance(text, str) and (outer := canonical(text)) else ()


OUTSIDE = ComputedIndex(nb.NAT.external_ip, keys=_outer, parent=nb.LogicalRouter.nat)
"""A router's translations by external address."""


ANYWHERE = ComputedIndex(nb.NAT.external_ip, keys=_outer)
"""All routers' translations by external address."""


def _own(values: list[object]) -> list[str]:
    texts = values[LRP.networks.index]
    return [ip for ip, _ in scan_ips(" ".join(sorted(texts)))[0]] if isinstance(texts, frozenset) else []


OWN = ComputedIndex(LRP.networks, keys=_own)
"""All router ports by their own addresses."""


def translating_to(row: LB, users: Users, at: SocketAddress) -> list[UUID]:
    """Return the datapaths of routers that use a load balancer and translate to one of its addresses.

    Arguments:
        row: the load balancer.
        users: the groups through which routers use it.
        at: the virtual address.
    """
    found = {router for user in users for router in translated.values((user, at.ip))}
    for router in row.referrers(nb.LogicalRouter.load_balancer):
        if enabled(router) and OUTSIDE.rows(router.uuid, at.ip):
            found.add(router)
    return sorted(datapath(router) for router in found)


# -- which ports are near ----------------------------------------------------------------------------------------------


class Near(NamedTuple):
    """A router port in whose network a virtual address is, or whose router answers for the address anyway.

    Arguments:
        ip: the address.
        port: the port's name.
        router: the router.
        inside: whether the address is in a network of the port's.
        answers: whether the router answers for it.
    """

    ip: str
    port: str
    router: UUID
    inside: bool
    answers: bool


@view
def near(row: LB) -> tuple[Near, ...]:
    """Return the router ports at which ARP and ND requests for a load balancer's addresses may arrive."""
    users, made = router_users(row), balancer(row)
    found: dict[Near, None] = {}
    for ip, six in dict.fromkeys([(vip.at.ip, vip.at.six) for vip in made.vips]) if users else ():
        if made.responder == "all":
            for port in _ports(row, users):
                inside = ip[0] != "^" and source_for(port, ip) is not None
                found[Near(ip=ip, port=port.name, router=port.router, inside=inside, answers=True)] = None
        elif ip[0] != "^":
            for name in sorted(_around(row, users, ip, 128 if six else 32)):
                there = router_port_by_name(name)
                if there is not None:
                    found[
                        Near(ip=ip, port=name, router=there.router, inside=True, answers=made.responder != "none")
                    ] = None
    return tuple(found)


def _routers(row: LB, users: Users) -> list[nb.LogicalRouter]:
    """Return all routers that use a load balancer."""
    found = dict.fromkeys(row.referrers(nb.LogicalRouter.load_balancer))
    for user in users:
        if (group := get(nb.LoadBalancerGroup, user)) is not None:
            found.update(dict.fromkeys(group.referrers(nb.LogicalRouter.load_balancer_group)))
    return [router for router in found if enabled(router)]


def _ports(row: LB, users: Users) -> list[RouterPort]:
    """Return all ports of the routers that use a load balancer."""
    ports = [router_port_of(lrp) for router in _routers(row, users) for lrp in router.ports]
    return [port for port in ports if port is not None]


def _around(row: LB, users: Users, ip: str, width: int) -> set[str]:
    """Return the names of the ports in whose network an address is, of the routers that use a load balancer."""
    number = number_of(ip)
    found: set[str] = set()
    for user in users:
        for length in networks.values((user, width)):
            low = number >> width - length << width - length
            found |= networks.values((user, width, low, length))
    for router in row.referrers(nb.LogicalRouter.load_balancer):
        if enabled(router):
            for host_bits in range(width + 1):
                low = number >> host_bits << host_bits
                found |= {lrp.name for lrp in ATTACHED.rows(router.uuid, (width, low, width - host_bits))}
    return found


@grouped_values(LB)
def answered(row: LB) -> Iterator[tuple[UUID, str]]:
    """Yield, for each router, the IP versions of the virtual addresses that it answers for."""
    for each in near(row):
        if each.answers:
            yield each.router, "ip6" if ":" in each.ip else "ip4"


_AT_HOSTS = "distributed"
"""What a group or router has that uses a distributed load balancer, beside virtual addresses."""


@grouped_values(LB)
def virtual(row: LB) -> Iterator[tuple[tuple[UUID, str], bool]]:
    """Yield the virtual addresses of each group, and of each router that uses the balancer directly."""
    users, made = router_users(row), balancer(row)
    found = {vip.at.ip for vip in made.vips} if users else set()
    if found and made.places is not None:
        found.add(_AT_HOSTS)
    for ip in found:
        for user in users:
            yield (user, ip), True
        for router in row.referrers(nb.LogicalRouter.load_balancer):
            yield (router.uuid, ip), True


def is_virtual(router: nb.LogicalRouter, ip: str) -> bool:
    """Return whether an address is a virtual one of a load balancer that the router uses."""
    users = (router.uuid, *router_groups(router))
    return any(virtual.values((user, ip)) for user in users)


def balances_at_hosts(router: nb.LogicalRouter) -> bool:
    """Return whether a router uses a load balancer by which each chassis reaches its own backends (`distributed`)."""
    return is_virtual(router, _AT_HOSTS)


# -- answers -----------------------------------------------------------------------------------------------------------


def _set_name(router: nb.LogicalRouter, family: str) -> str:
    """Return the name of the address set of what a router answers for, as ovn-northd names it."""
    return f"_rtr_lb_{router_key(router)}_{family}"


@rule(LRP)
def responder(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Answer ARP and ND for virtual addresses at a port; at a distributed gateway port only where it is active."""
    port, router = router_port_of(lrp), lrp.referrer(nb.LogicalRouter.ports)
    if port is None or router is None:
        return
    for family in sorted(answered.values(router.uuid)):
        name = _set_name(router, family)
        if family == "ip4":
            asks, reply, meter = f"arp.op == 1 && arp.tpa == ${name}", ARP_REPLY, None
        else:
            asks, meter = f"nd_ns && nd.target == ${name}", port.meters.get("nd-na")
            reply = (
                "nd_na { eth.src = xreg0[0..47]; ip6.src = nd.target; nd.tll = xreg0[0..47]; outport = inport; "
                "flags.loopback = 1; output; };"
            )
        match = f"inport == {port.quoted} && {asks}{port.resident}"
        yield flow(INPUT, port.datapath, 90, match, reply, hint=port.uuid, meter=meter)


@rule(LB)
def virtual_addresses(row: LB) -> Iterator[Fact]:
    """Put virtual addresses into the sets that routers answer for, forward requests to these, and announce them."""
    for each in near(row):
        port, router = router_port_by_name(each.port), get(nb.LogicalRouter, each.router)
        if port is None or router is None:
            continue
        if each.answers:
            name = _set_name(router, "ip6" if ":" in each.ip else "ip4")
            yield (ADDRESS_SET, name)
            yield (IN_ADDRESS_SET, name, each.ip)
        yield from _outside(each, port)


def _outside(each: Near, port: RouterPort) -> Iterator[Fact]:
    """In the switch behind a router port, forward ARP and ND requests for an address to the router, and announce it."""
    met = peer_switch_port(port.name)
    if met is None or not port.enabled or met.lsp.enabled is False:
        return
    where, lsp = datapath(met.switch), met.lsp
    first = min(claims.values((met.switch.uuid, each.ip)), default="") == lsp.name
    if each.inside and first and not _is_of_another(each.ip, port, met.switch):
        act = asked(quote(lsp.name), alone=only_routers(met.switch))
        yield flow(L2_LOOKUP, where, 80, asks_for(each.ip), act, hint=lsp.uuid)
    options, gateway = lsp.options, port.chassis or port.is_distributed_gateway
    announces = options.get("nat-addresses") == "router" and not flag(options, "exclude-lb-vips-from-garp")
    if each.answers and announces and gateway and each.ip[0] != "^":
        resident = port.resident.replace(" && ", " ")
        yield IN_NAT_ADDRESSES((lsp.name, where), f"{port.mac} {each.ip}{resident}")


def _is_of_another(ip: str, port: RouterPort, switch: nb.LogicalSwitch) -> bool:
    """Return whether another router on a switch has an address itself, or as external address of its NAT."""
    others = [router_port_of(lrp) for lrp in OWN.rows(ip)]
    others += [made.outside for nat in ANYWHERE.rows(ip) if (made := nat_rule(nat)) is not None]
    for other in others:
        met = peer_switch_port(other.name) if other is not None and other.router != port.router else None
        if met is not None and met.switch is switch:
            return True
    return False


@grouped_values(LB)
def claims(row: LB) -> Iterator[tuple[tuple[UUID, str], str]]:
    """Yield, for each switch and address, the ports to routers that have the address; of several, the first is used."""
    for each in near(row):
        met = peer_switch_port(each.port) if each.inside else None
        if met is not None:
            yield (met.switch.uuid, each.ip), met.lsp.name


# -- routes for neighbours ---------------------------------------------------------------------------------------------


class PeerRoute(NamedTuple):
    """A neighbouring router's route to a virtual address: its output port, and the port that is the next hop."""

    out: str
    to: str


@view
def routes(row: LB) -> tuple[tuple[UUID, str, PeerRoute], ...]:
    """Return the routes of neighbouring routers to a load balancer's addresses, each with the router and the address.

    A router that has the address itself needs no route.
    """
    users, made = router_users(row), balancer(row)
    found = []
    for port in _ports(row, users) if users and made.adds_route else ():
        met = peer_switch_port(port.name)
        for _, other in router_peers(met.switch) if met is not None else ():
            router = get(nb.LogicalRouter, other.router) if other.router != port.router else None
            if router is not None:
                ips = {vip.at.ip for vip in made.vips if vip.at.ip[0] != "^" and not is_virtual(router, vip.at.ip)}
                found += [(router.uuid, ip, PeerRoute(out=other.name, to=port.name)) for ip in sorted(ips)]
    return tuple(found)


@grouped_values(LB)
def all_routes(row: LB) -> Iterator[tuple[tuple[UUID, str], PeerRoute]]:
    """Yield, for each router and address, its routes; of several it takes the first."""
    for router, ip, way in routes(row):
        yield (router, ip), way


@rule(LB)
def neighbor_routes(row: LB) -> Iterator[Fact]:
    """Give neighbouring routers routes to a load balancer's addresses (`add_route`)."""
    for router, ip, way in routes(row):
        other, port = router_port_by_name(way.out), router_port_by_name(way.to)
        if other is not None and port is not None and min(all_routes.values((router, ip)), default=way) == way:
            yield from _route(ip, other, port)


def _route(ip: str, other: RouterPort, port: RouterPort) -> Iterator[Fact]:
    """Route an address to a neighbouring router's port."""
    six = ":" in ip
    width, family, xx, subnets = (128, "ip6", "xx", other.ipv6) if six else (32, "ip4", "", other.ipv4)
    if not subnets:
        return
    way = f"{xx}reg0 = {family}.dst; {xx}reg1 = {subnets[0].ip}; eth.src = {other.mac}; outport = {other.quoted};"
    act = f"ip.ttl--; {GROUP} = 0; {way} flags.loopback = 1; next;"
    yield flow(ROUTING, other.datapath, 3 * width + 2, f"{family}.dst == {ip}/{width}", act, hint=other.uuid)
    known = f"outport == {other.quoted} && {xx}reg0 == {ip}"
    yield flow(RESOLVE, other.datapath, 100, known, f"eth.dst = {port.mac}; next;", hint=other.uuid)


RULES = (
    *(networks, translated, answered, virtual, claims, all_routes),
    *(responder, virtual_addresses, neighbor_routes),
)
