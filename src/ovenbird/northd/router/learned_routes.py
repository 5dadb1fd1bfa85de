"""Routes that chassis learned outside of the virtual network: rows of Learned_Route become routes.

ovn-sb(5) of OVN 25.03, Learned_Route; written by controllers, from the kernel's routing tables. A learned route ranks
below static ones: it is used if its router has no usable static route to the same network. (ovn-northd gives it a
priority of its own for that.) Equal learned routes share the traffic. A row is kept as long as its router learns routes
at the port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.facts import KeyRows
from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import find, get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.northd.ir.addresses import network_text, parse_network
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import LRP, NextHop, router_port_of, source_for
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.router.redistribution import learns
from ovenbird.northd.router.routing import BY_DESTINATION, Member, discards, group, member_flows, next_hop
from ovenbird.pipeline.registers import ROUTE_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

MOST_EQUAL = 64
"""The largest number of learned routes that share the traffic to one network."""

LEARNED_ROUTE = KeyRows(sb.LearnedRoute)
"""Routes that chassis learned; rows that no rule wants to keep are removed."""

_ROUTE = sb.LearnedRoute

flow = flow_builder("dynamic_routing")


def _keys(values: list[Any]) -> tuple[tuple[UUID, str], ...]:
    found = parse_network(values[_ROUTE.ip_prefix.index])
    return ((values[_ROUTE.datapath.index], network_text(found)),) if found is not None else ()


EQUALLY_LEARNED = ComputedIndex(_ROUTE.ip_prefix, _ROUTE.datapath, keys=_keys)
"""Learned routes by datapath and network."""


@view
def _port(row: sb.LearnedRoute) -> nb.LogicalRouterPort | None:
    """Return the router port at which a route was learned, if it is one of that router, and learns."""
    binding = get(sb.PortBinding, _ROUTE.logical_port.raw(row))
    lrp = find(LRP.name, binding.logical_port) if binding is not None else None
    port = router_port_of(lrp) if lrp is not None else None
    if lrp is None or port is None or port.datapath != _ROUTE.datapath.raw(row):
        return None
    return lrp if learns(lrp) else None


@view
def _member(row: sb.LearnedRoute) -> Member | None:
    """Return a learned route that can be used."""
    lrp = _port(row)
    port = router_port_of(lrp) if lrp is not None else None
    nexthop = next_hop(row.nexthop)
    source = source_for(port, nexthop) if port is not None and nexthop else None
    if port is None or source is None or (":" in nexthop) != (":" in row.ip_prefix):
        return None
    return Member(row.uuid, nexthop, NextHop(port, source), symmetric=False, fields=frozenset())


@view
def _equal(where: UUID, network: str) -> tuple[Member, ...]:
    """Return the usable learned routes to a network, in a stable order; those beyond the largest number are left out.

    Arguments:
        where: the router's datapath.
        network: the network in canonical form.
    """
    members = [member for row in EQUALLY_LEARNED.rows((where, network)) if (member := _member(row)) is not None]
    members.sort(key=lambda member: (member.nexthop, member.way.port.name, member.uuid))
    found: dict[tuple[str, str], Member] = {}
    for member in members:  # the same network may be written in two ways
        found.setdefault((member.nexthop, member.way.port.name), member)
    return tuple(found.values())[:MOST_EQUAL]


@rule(sb.LearnedRoute)
def learned_route(row: sb.LearnedRoute) -> Iterator[Fact]:
    """Keep a learned route, and make its flows."""
    lrp = _port(row)
    router = lrp.referrer(nb.LogicalRouter.ports) if lrp is not None else None
    if router is None:
        return
    yield LEARNED_ROUTE(row.uuid)
    found, member = parse_network(row.ip_prefix), _member(row)
    if found is None or member is None:
        yield finding(row, f"router {router.name}: {in_words(row)[0]} is left out: {_why_not(row, lrp)}")
        return
    network = network_text(found)
    key = (network, False, "")
    if discards(router, key) or group(router, key):
        return
    where, members = datapath(router), _equal(datapath(router), network)
    number = next((number for number, each in enumerate(members, 1) if each.uuid == row.uuid), 0)
    if number:
        family = "ip6" if found.version == 6 else "ip4"
        at = (where, 3 * found.prefixlen + BY_DESTINATION, f"{ROUTE_TABLE} == 0 && {family}.dst == {network}")
        yield from member_flows(flow, at, router, key, members, number)


def _why_not(row: sb.LearnedRoute, lrp: nb.LogicalRouterPort | None) -> str:
    """Return why a learned route cannot be used."""
    if parse_network(row.ip_prefix) is None:
        return "its prefix is not an IP network"
    if not next_hop(row.nexthop):
        return "its next hop is not an IP address"
    if (":" in row.nexthop) != (":" in row.ip_prefix):
        return "its prefix and its next hop are of different IP versions"
    return f"port {lrp.name if lrp is not None else '?'} is in no network around its next hop"


def in_words(row: sb.LearnedRoute) -> tuple[str, str]:
    """Describe a learned route."""
    port = row.logical_port.logical_port
    return f"learned route {row.ip_prefix} via {row.nexthop} at {port}", ""
