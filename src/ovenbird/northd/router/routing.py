"""Routes: the next hop of a packet by its destination, or by its source.

ovn-northd(8), Logical Router Datapaths, "Ingress Table 12", "13" and "14"; ovn-nb(5), Logical_Router_Static_Route. The
longest prefix is used; of equal ones, connected networks come first, then routes by destination, then those by source.
Routes of one router with the same prefix, policy and table share the traffic: each yields the group's flow, which is
one fact, and the flow of its own next hop. A route with BFD exists only while its session is up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.findings import finding
from ovenbird.engine.ids import Pool
from ovenbird.engine.lookups import select
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.net.addresses import ip_bytes, ip_text
from ovenbird.net.errors import PacketError
from ovenbird.northd.ir.addresses import network_text, parse_network
from ovenbird.northd.ir.datapath_groups import ROUTERS
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import (
    NextHop,
    enabled,
    gateway_chassis,
    port_of,
    resolve_next_hop,
    router_port_of,
    source_for,
)
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.router.ecmp_nexthops import NEXTHOP, monitored
from ovenbird.northd.router.ecmp_symmetric_reply import Pinned, pinned_flows
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import GROUP, MEMBER, ROUTE_TABLE
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.flow import FlowBuilder

PRE = stage("lr_in_ip_routing_pre")
ROUTING = stage("lr_in_ip_routing")
ROUTING_ECMP = stage("lr_in_ip_routing_ecmp")

ROUTE = nb.LogicalRouterStaticRoute

ROUTE_TABLES = Pool("number of a route table", 1, 0xFFFF_FFFF)
"""One scope for each router; 0 is the main table."""

ROUTE_GROUPS = Pool("group of equal routes", 1, 65_535)
"""One scope for each router."""

BY_SOURCE, BY_DESTINATION, CONNECTED = 0, 1, 2
"""Added to three times the prefix length: the precedence among routes with equal prefixes."""

BFD_PORT = "udp.dst == 3784"

TRANSPORTS = ("tcp", "udp", "sctp")
"""The protocols that have ports."""

flow = flow_builder("routing")

Key = tuple[str, bool, str]
"""The key of routes that form one group: the prefix, whether it is a source prefix, and the route table."""


def key_of(prefix: str, *, policy: str | None, table: str) -> Key | None:
    """Return a route's key, or None if its prefix does not parse.

    Arguments:
        prefix: the route's `ip_prefix`.
        policy: `src-ip`, or `dst-ip` or None for the usual one.
        table: the name of the route table, empty for the main one.
    """
    found = parse_network(prefix)
    return (network_text(found), policy == "src-ip", table) if found is not None else None


def _keys(values: list[Any]) -> tuple[Key, ...]:
    key = key_of(
        values[ROUTE.ip_prefix.index], policy=values[ROUTE.policy.index], table=values[ROUTE.route_table.index]
    )
    return (key,) if key is not None else ()


EQUAL = ComputedIndex(
    ROUTE.ip_prefix, ROUTE.policy, ROUTE.route_table, keys=_keys, parent=nb.LogicalRouter.static_routes
)
"""A router's routes by key."""


class Member(NamedTuple):
    """A route with a usable next hop.

    Arguments:
        uuid: the row's.
        nexthop: in canonical form; empty if the destination itself is the next hop.
        way: its output port, and source address.
        symmetric: whether it has `ecmp_symmetric_reply`.
        fields: what it wants packets to be told apart by (`selection_fields`).
    """

    uuid: UUID
    nexthop: str
    way: NextHop
    symmetric: bool
    fields: frozenset[str]


@singleton
def every_router() -> Iterator[Fact]:
    """Start in the main route table, and drop packets without a route."""
    yield ROUTERS.row
    yield flow(PRE, ROUTERS, 0, "1", f"{ROUTE_TABLE} = 0; next;")
    yield flow(ROUTING, ROUTERS, 0, "1", "drop;")
    yield flow(ROUTING_ECMP, ROUTERS, 150, f"{GROUP} == 0", "next;")
    yield flow(ROUTING_ECMP, ROUTERS, 0, "1", "drop;")


# -- connected networks -----------------------------------------------------------------------------------------------


@rule(nb.LogicalRouterPort)
def connected(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Make the routes to a port's own networks, and select the route table of packets that come in by it."""
    port = router_port_of(lrp)
    if port is None:
        return
    # Of several addresses in one network the first is the source: flows for each would contradict each other.
    for subnet in {subnet.network: subnet for subnet in reversed((*port.ipv4, *port.ipv6))}.values():
        address = "ip6" if ":" in subnet.ip else "ip4"
        match = f"{address}.dst == {subnet.network}"
        if subnet.network == "fe80::/64":  # link-local: there is one on every link
            match = f"inport == {port.quoted} && {match}"
        yield from _route(port.datapath, 3 * subnet.length + CONNECTED, match, NextHop(port, subnet.ip), "", port.uuid)
    if table := port.options.get("route_table"):
        number = ROUTE_TABLES.get(table, scope=port.router)
        yield flow(
            PRE, port.datapath, 100, f"inport == {port.quoted}", f"{ROUTE_TABLE} = {number}; next;", hint=port.uuid
        )


@view
def watched(name: str) -> bool:
    """Return whether a router port has BFD sessions."""
    return bool(select(nb.BFD.logical_port, name))


def _route(
    where: UUID, priority: int, match: str, way: NextHop, nexthop: str, hint: str, make: FlowBuilder = flow
) -> Iterator[Fact]:
    six = "ip6." in match
    act = f"{GROUP} = 0; {towards(way, nexthop, six)} flags.loopback = 1; next;"
    yield make(ROUTING, where, priority, match, f"ip.ttl--; {act}", hint=hint)
    if watched(way.port.name):  # BFD packets keep their time to live, 255 (RFC 5881, section 5)
        yield make(ROUTING, where, priority + 1, f"{match} && {BFD_PORT}", act, hint=hint)


def towards(way: NextHop, nexthop: str, six: bool) -> str:
    """Return the actions of a route: they set next hop, source address and output port.

    Arguments:
        way: the port and the source address.
        nexthop: empty for the packet's own destination.
        six: whether it is for IPv6.
    """
    xx, address = ("xx", "ip6") if six else ("", "ip4")
    port = way.port
    hop = nexthop or f"{address}.dst"
    return f"{xx}reg0 = {hop}; {xx}reg1 = {way.source}; eth.src = {port.mac}; outport = {port.quoted};"


# -- static routes ----------------------------------------------------------------------------------------------------


@rule(ROUTE)
def static(route: nb.LogicalRouterStaticRoute) -> Iterator[Fact]:
    """Make the flows of a static route, alone or as a member of an ECMP group."""
    router = route.referrer(nb.LogicalRouter.static_routes)
    key = key_of(route.ip_prefix, policy=route.policy, table=route.route_table)
    if router is None or not enabled(router):
        return
    if key is None:
        yield finding(route, f"{told(route)} is left out: {route.ip_prefix!r} is not an IP network")
        return
    where, (priority, match) = datapath(router), _match(router, key)
    if discarding := discards(router, key):
        yield flow(ROUTING, where, priority, match, "drop;", hint=discarding)
        if route.nexthop != "discard":
            yield finding(route, f"{told(route)} drops all traffic: another route to {key[0]} has the next hop discard")
        return
    members = group(router, key)
    mine = next((number for number, member in enumerate(members, 1) if member.uuid == route.uuid), 0)
    if not mine:
        if route.nexthop != "discard" and not _session_down(route):
            yield finding(route, f"{told(route)} is left out: {_why_not(router, route, key)}")
        return
    member = members[mine - 1]
    symmetric = member.symmetric and bool(gateway_chassis(router))
    yield from member_flows(flow, (where, priority, match), router, key, members, mine, alone=not symmetric)
    if symmetric:  # a single one, too: its connections stay with it when another one comes
        yield from pinned_flows(where, Pinned(member.way, key[0], key[1], match), route.uuid)
        yield from monitored(member.way.port, member.nexthop)


def member_flows(
    make: FlowBuilder,
    at: tuple[UUID, int, str],
    router: nb.LogicalRouter,
    key: Key,
    members: tuple[Member, ...],
    number: int,
    *,
    alone: bool = True,
) -> Iterator[Fact]:
    """Yield the flows of one of several equal routes, among them that of the whole group.

    Arguments:
        make: makes the flows.
        at: the datapath, the priority and the match of the group.
        router: the router.
        key: the group's.
        members: the group, at least one route.
        number: which one, from 1.
        alone: whether a single route needs no group.
    """
    where, priority, match = at
    member = members[number - 1]
    if len(members) == 1 and alone:
        yield from _route(where, priority, match, member.way, member.nexthop, member.uuid, make)
        return
    group_number = ROUTE_GROUPS.get(key, scope=router.uuid)
    begin = f"ip.ttl--; flags.loopback = 1; {GROUP} = {group_number}; {MEMBER} = "
    yield make(ROUTING, where, priority, match, f"{begin}{choice(members)}")
    chosen = f"{GROUP} == {group_number} && {MEMBER} == {number}"
    act = f"{towards(member.way, member.nexthop, ':' in key[0])} next;"
    yield make(ROUTING_ECMP, where, 100, chosen, act, hint=member.uuid)


def choice(members: tuple[Member, ...]) -> str:
    """Return the actions that choose one of several routes.

    Packets are told apart by what all members ask for, or else by the hash of the datapath. Ports are fields of their
    own in each protocol (ovn-nb(5), Logical_Router_Static_Route, `selection_fields`); the switch leaves out the fields
    that a packet has not.
    """
    if len(members) == 1:
        return "1; next;"
    numbers = ", ".join(str(n) for n in range(1, len(members) + 1))
    common = frozenset.intersection(*(member.fields for member in members))
    ports = [name for name in common if name.startswith("tp_")]
    if not common:
        return f"select({numbers});"
    fields = (common - frozenset(ports)) | ({"ip_proto"} if ports else set())
    fields |= {name.replace("tp", protocol) for name in ports for protocol in TRANSPORTS}
    return f'select(values=({numbers}); hash_fields="{",".join(sorted(fields))}");'


def _match(router: nb.LogicalRouter, key: Key) -> tuple[int, str]:
    """Return the priority and the match of routes with a key."""
    network, by_source, table = key
    address = "ip6" if ":" in network else "ip4"
    match = f"{address}.{'src' if by_source else 'dst'} == {network}"
    rank = BY_SOURCE if by_source else CONNECTED if is_connected(router, key) else BY_DESTINATION
    if table or rank == BY_DESTINATION:
        number = ROUTE_TABLES.get(table, scope=router.uuid) if table else 0
        match = f"{ROUTE_TABLE} == {number} && {match}"
    return 3 * int(network.rpartition("/")[2]) + rank, match


@view
def way_of(router: nb.LogicalRouter, route: nb.LogicalRouterStaticRoute) -> NextHop | None:
    """Return the output port of a static route that is in use, and its source address; None of any other."""
    key = key_of(route.ip_prefix, policy=route.policy, table=route.route_table)
    if key is None or discards(router, key):
        return None
    return next((member.way for member in group(router, key) if member.uuid == route.uuid), None)


@view
def is_connected(router: nb.LogicalRouter, key: Key) -> bool:
    """Return whether a router's routes with a key lead to networks that are connected to another zone's routers.

    They have `options:origin` from `ovn-ic` (ovn-ic-sb(5), Route), and rank like the router's own networks.
    """
    return all(route.options.get("origin") == "connected" for route in EQUAL.rows(router.uuid, key))


@view
def discards(router: nb.LogicalRouter, key: Key) -> str:
    """Return the UUID of the `discard` route among a router's routes with a key, or None.

    It takes precedence over all others with that key, as in newer releases of OVN; in 23.03 the outcome is undefined.
    """
    return min((route.uuid for route in EQUAL.rows(router.uuid, key) if route.nexthop == "discard"), default="")


def told(route: nb.LogicalRouterStaticRoute) -> str:
    """Describe a route."""
    router = route.referrer(nb.LogicalRouter.static_routes)
    where = f"router {router.name}: " if router is not None else ""
    return f"{where}static route {route.ip_prefix} via {route.nexthop}"


@view
def group(router: nb.LogicalRouter, key: Key) -> tuple[Member, ...]:
    """Return the usable routes of a router with a key, in a stable order."""
    found = [member for route in EQUAL.rows(router.uuid, key) if (member := _member(router, route, key)) is not None]
    return tuple(sorted(found, key=lambda member: member.uuid))


def _member(router: nb.LogicalRouter, route: nb.LogicalRouterStaticRoute, key: Key) -> Member | None:
    text = route.nexthop
    if text == "discard" or _session_down(route):
        return None
    nexthop = next_hop(text)
    if (text and not nexthop) or (nexthop and (":" in nexthop) != (":" in key[0])):
        return None
    way = _way(router, nexthop, route.output_port, ":" in key[0])
    if way is None:
        return None
    return Member(route.uuid, nexthop, way, flag(route.options, "ecmp_symmetric_reply"), route.selection_fields)


def _why_not(router: nb.LogicalRouter, route: nb.LogicalRouterStaticRoute, key: Key) -> str:
    """Return why a route is not usable."""
    hop = next_hop(route.nexthop)
    if route.nexthop and not hop:
        return f"{route.nexthop!r} is not an IP address"
    if hop and (":" in hop) != (":" in key[0]):
        return "its prefix and its next hop are of different IP versions"
    if route.output_port is not None and port_of(router, route.output_port) is None:
        return f"the router has no port {route.output_port!r}"
    if route.output_port is not None:
        return f"port {route.output_port} has no address of that IP version"
    return (
        f"no port of the router has a network that contains {hop}" if hop else "it has neither next hop nor output port"
    )


def _way(router: nb.LogicalRouter, nexthop: str, output: str | None, six: bool) -> NextHop | None:
    if output is None:
        return resolve_next_hop(router, nexthop) if nexthop else None
    port = port_of(router, output)
    if port is None:
        return None
    subnets = port.ipv6 if six else port.ipv4
    source = source_for(port, nexthop) if nexthop else None
    if source is None and subnets:  # no address is near the next hop, but the port was asked for
        source = subnets[0].ip
    return NextHop(port, source) if source is not None else None


def next_hop(text: str) -> str:
    """Return a next hop in canonical form; the empty string if it is not an address."""
    try:
        return ip_text(ip_bytes(text))
    except PacketError:
        return ""


def _session_down(route: nb.LogicalRouterStaticRoute) -> bool:
    session = route.bfd
    return session is not None and session.dst_ip == route.nexthop and session.status in (None, "down", "admin_down")


def _in_words(route: nb.LogicalRouterStaticRoute) -> tuple[str, str]:
    table = f" in route table {route.route_table}" if route.route_table else ""
    source = " for sources" if route.policy == "src-ip" else ""
    out = f" out of {route.output_port}" if route.output_port else ""
    return f"static route {route.ip_prefix}{source} via {route.nexthop}{out}{table}", ""


FEATURE = Feature(
    "routing",
    rules=(every_router, connected, static),
    outputs=(NEXTHOP,),
    hints=(HintedTable(nb.LogicalRouterPort), HintedTable(ROUTE, _in_words, (nb.LogicalRouter.static_routes,))),
)
