"""Neighbours of a router: which addresses it answers for, learning, known neighbours, requests for others.

ovn-northd(8), Logical Router Datapaths, "Ingress Table 1", "2", "3" (ARP and ND), "17" and "21". Each port with known
addresses yields the flows for the routers of its switch: a new port costs as many flows as its switch has routers.
`mac_binding` decides which learned neighbours are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import find, get
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.net.addresses import ipv6_bytes
from ovenbird.northd.ir.addresses import braced, quote, solicited_node
from ovenbird.northd.ir.copp import meters
from ovenbird.northd.ir.datapath_groups import ALWAYS_LEARN, LEARN_KNOWN_ONLY, ROUTERS, DatapathGroup
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import (
    LSP,
    RouterPort,
    enabled,
    number_of,
    redirect_port,
    router_peer,
    router_peers,
    router_port_by_name,
    router_port_of,
)
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.router.routing import next_hop
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import NEIGHBOR_KNOWN, NEIGHBOR_WANTED
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.addresses import Addresses
    from ovenbird.northd.ir.switch_port import SwitchPort

LOOKUP_NEIGHBOR = stage("lr_in_lookup_neighbor")
LEARN = stage("lr_in_learn_neighbor")
INPUT = stage("lr_in_ip_input")
RESOLVE = stage("lr_in_arp_resolve")
REQUEST = stage("lr_in_arp_request")
SNAT = stage("lr_out_snat")

_SM = sb.StaticMACBinding


class StaticBindingRow(NamedTuple):
    """A neighbour of a router port that is configured."""

    relation: Relation
    logical_port: str
    ip: str
    mac: str
    override_dynamic_mac: bool
    datapath: UUID


STATIC_MAC_BINDING = NamedRows(_SM, StaticBindingRow, key=(_SM.logical_port, _SM.ip))

NOBODY = "00:00:00:00:00:00"

flow = flow_builder("neighbor_resolution")

_ARP = f"{NEIGHBOR_KNOWN} = lookup_arp(inport, arp.spa, arp.sha); "
_SAYS = f"{NEIGHBOR_KNOWN} = lookup_nd(inport, nd.target, nd.tll); "
_ASKS = f"{NEIGHBOR_KNOWN} = lookup_nd(inport, ip6.src, nd.sll); "
_WANTED = f"{NEIGHBOR_WANTED} = 1; "


# -- every router -----------------------------------------------------------------------------------------------------


@view
def eager(router: nb.LogicalRouter) -> bool:
    """Return whether a router learns from every ARP request."""
    return flag(router.options, "always_learn_from_arp_request", default=True)


UNMETERED_ROUTERS = DatapathGroup("routers without meters")
"""Routers without control plane protection."""

_CONTROLLED = (
    (LEARN, 95, "nd_na && nd.tll == 0", "put_nd(inport, nd.target, eth.src); next;", "nd-na"),
    (LEARN, 90, "arp", "put_arp(inport, arp.spa, arp.sha); next;", "arp"),
    (LEARN, 90, "nd_na", "put_nd(inport, nd.target, nd.tll); next;", "nd-na"),
    (LEARN, 90, "nd_ns", "put_nd(inport, ip6.src, nd.sll); next;", "nd-ns"),
    (
        REQUEST,
        100,
        f"eth.dst == {NOBODY} && ip4",
        "arp { eth.dst = ff:ff:ff:ff:ff:ff; arp.spa = reg1; arp.tpa = reg0; arp.op = 1; output; };",
        "arp-resolve",
    ),
    (REQUEST, 100, f"eth.dst == {NOBODY} && ip6", "nd_ns { nd.target = xxreg0; output; };", "nd-ns-resolve"),
)
"""The flows that punt to the controller: stage, priority, match, actions, and the kind of packet that is metered."""


@rule(nb.LogicalRouter)
def way_of_learning(router: nb.LogicalRouter) -> Iterator[Fact]:
    """Put a router into the group of its way of learning; learn and request neighbours, within the router's meters."""
    if not enabled(router):
        return
    where, limits = datapath(router), meters(router)
    yield (ALWAYS_LEARN if eager(router) else LEARN_KNOWN_ONLY).includes(where)
    if not limits:
        yield UNMETERED_ROUTERS.includes(where)
        return
    for at, priority, match, act, kind in _CONTROLLED:
        yield flow(at, where, priority, match, act, meter=limits.get(kind))


@singleton
def learning() -> Iterator[Fact]:
    """Learn neighbours from ARP and ND packets, unless they are known already."""
    yield from (ROUTERS.row, ALWAYS_LEARN.row, LEARN_KNOWN_ONLY.row, UNMETERED_ROUTERS.row)
    for at, priority, match, act, _ in _CONTROLLED:
        yield flow(at, UNMETERED_ROUTERS, priority, match, act)
    for routers, said, asked in (
        (ALWAYS_LEARN, "", ""),
        (LEARN_KNOWN_ONLY, _WANTED, f"{NEIGHBOR_WANTED} = lookup_nd_ip(inport, ip6.src); "),
    ):
        yield flow(LOOKUP_NEIGHBOR, routers, 100, "arp.op == 2", f"{_ARP}{said}next;")
        yield flow(LOOKUP_NEIGHBOR, routers, 100, "nd_na", f"{_SAYS}{said}next;")
        yield flow(LOOKUP_NEIGHBOR, routers, 100, "nd_ns", f"{_ASKS}{asked}next;")
    look = f"{NEIGHBOR_KNOWN} = lookup_nd(inport, ip6.src, nd.tll); {NEIGHBOR_WANTED} = lookup_nd_ip(inport, ip6.src);"
    yield flow(
        LOOKUP_NEIGHBOR, LEARN_KNOWN_ONLY, 110, "nd_na && ip6.src == fe80::/10 && ip6.dst == ff00::/8", f"{look} next;"
    )
    yield flow(LOOKUP_NEIGHBOR, ROUTERS, 0, "1", f"{NEIGHBOR_KNOWN} = 1; next;")
    yield flow(LEARN, ALWAYS_LEARN, 100, f"{NEIGHBOR_KNOWN} == 1", "next;")
    yield flow(LEARN, LEARN_KNOWN_ONLY, 100, f"{NEIGHBOR_KNOWN} == 1 || {NEIGHBOR_WANTED} == 0", "next;")
    for priority, match, act in (
        (95, "nd_ns && (ip6.src == 0 || nd.sll == 0)", "next;"),
        (0, "1", "drop;"),
    ):
        yield flow(LEARN, ROUTERS, priority, match, act)


@singleton
def resolving() -> Iterator[Fact]:
    """Look next hops up among the learned neighbours, and send ARP and ND requests for those that are unknown."""
    yield ROUTERS.row
    for priority, match, act in (
        (500, "ip4.mcast || ip6.mcast", "next;"),
        (1, "ip4", "get_arp(outport, reg0); next;"),
        (1, "ip6", "get_nd(outport, xxreg0); next;"),
        (0, "1", "drop;"),
    ):
        yield flow(RESOLVE, ROUTERS, priority, match, act)
    yield flow(REQUEST, ROUTERS, 0, "1", "output;")
    yield flow(SNAT, ROUTERS, 120, "nd_ns", "next;")


@rule(nb.LogicalRouterStaticRoute)
def next_hop_solicitation(route: nb.LogicalRouterStaticRoute) -> Iterator[Fact]:
    """Solicit an IPv6 next hop that is configured, at its solicited-node address."""
    router = route.referrer(nb.LogicalRouter.static_routes)
    if router is None or not enabled(router) or ":" not in route.nexthop:
        return
    hop = next_hop(route.nexthop)
    if not hop:
        return
    node = solicited_node(hop)
    mac = "33:33:" + ":".join(f"{octet:02x}" for octet in ipv6_bytes(node)[12:])
    ask = f"nd_ns {{ eth.dst = {mac}; ip6.dst = {node}; nd.target = {hop}; output; }};"
    match, meter = f"eth.dst == {NOBODY} && ip6 && xxreg0 == {hop}", meters(router).get("nd-ns-resolve")
    yield flow(REQUEST, datapath(router), 200, match, ask, hint=route.uuid, meter=meter)


# -- router ports -----------------------------------------------------------------------------------------------------


@rule(nb.LogicalRouterPort)
def router_port(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Learn from neighbours in the port's networks and answer them; know the MAC of the peer router port."""
    port = router_port_of(lrp)
    router = lrp.referrer(nb.LogicalRouter.ports)
    if port is None or router is None:
        return
    where, hint, came = port.datapath, port.uuid, f"inport == {port.quoted}"
    learns = eager(router)
    redirect = redirect_port(lrp)
    resident = f" && is_chassis_resident({quote(redirect)})" if redirect else ""
    for subnet in port.ipv4:
        near = f"arp.spa == {subnet.network}"
        if learns:
            yield flow(
                LOOKUP_NEIGHBOR,
                where,
                100,
                f"{came} && {near} && arp.op == 1{port.resident}",
                f"{_ARP}next;",
                hint=hint,
            )
        else:
            mine = f"{came} && {near} && arp.tpa == {subnet.ip} && arp.op == 1{port.resident}"
            yield flow(LOOKUP_NEIGHBOR, where, 110, mine, f"{_ARP}{_WANTED}next;", hint=hint)
            known = f"{_ARP}{NEIGHBOR_WANTED} = lookup_arp_ip(inport, arp.spa); next;"
            yield flow(LOOKUP_NEIGHBOR, where, 100, f"{came} && {near} && arp.op == 1{port.resident}", known, hint=hint)
        asks = f"{came} && arp.op == 1 && arp.tpa == {subnet.ip} && {near}{resident}"
        yield flow(INPUT, where, 90, asks, ARP_REPLY, hint=hint)
    for subnet in port.ipv6:
        group = f"{{{subnet.ip}, {solicited_node(subnet.ip)}}}"
        asks = f"{came} && ip6.dst == {group} && nd_ns && nd.target == {subnet.ip}{port.resident}"
        yield flow(INPUT, where, 90, asks, ND_REPLY, hint=hint, meter=port.meters.get("nd-na"))
    if port.is_distributed_gateway and port.options.get("redirect-type") == "bridged":
        away = f"outport == {port.quoted} && !is_chassis_resident({quote(port.redirect)})"
        yield flow(RESOLVE, where, 50, away, f"eth.dst = {port.mac}; next;", hint=hint)
    yield from _link(lrp, port)


ARP_REPLY = (
    "eth.dst = eth.src; eth.src = xreg0[0..47]; arp.op = 2; /* ARP reply */ arp.tha = arp.sha; "
    "arp.sha = xreg0[0..47]; arp.tpa <-> arp.spa; outport = inport; flags.loopback = 1; output;"
)
"""Answers with the MAC of the port that the request came to."""

ND_REPLY = (
    "nd_na_router { eth.src = xreg0[0..47]; ip6.src = nd.target; nd.tll = xreg0[0..47]; outport = inport; "
    "flags.loopback = 1; output; };"
)


def _link(lrp: nb.LogicalRouterPort, port: RouterPort) -> Iterator[Fact]:
    peer = router_peer(lrp)
    other = router_port_of(peer) if peer is not None else None
    if other is not None:
        yield from _known_router(port, other)


def _known_router(port: RouterPort, other: RouterPort) -> Iterator[Fact]:
    """Resolve the addresses of another router's port at ``port``."""
    for knows in _known_as(other):
        match = f"outport == {port.quoted} && {knows}"
        yield flow(RESOLVE, port.datapath, 100, match, _leads_to(other), hint=port.uuid)


def _known_as(port: RouterPort) -> list[str]:
    """Return the matches of next hops that are a router port, of each IP version."""
    found = (("reg0", port.ipv4), ("xxreg0", port.ipv6))
    return [f"{register} == {braced([s.ip for s in subnets])}" for register, subnets in found if subnets]


def _leads_to(port: RouterPort) -> str:
    """Return the actions that send a packet to a router port."""
    return f"eth.dst = {port.mac}; next;"


# -- hosts ------------------------------------------------------------------------------------------------------------


class PeerRouterPort(NamedTuple):
    """What the flows of its neighbours need of a router port.

    Arguments:
        datapath: the router's.
        match: the beginning of a match of packets that leave by it.
        ipv4, ipv6: its networks, as first and last address.
    """

    datapath: UUID
    match: str
    ipv4: tuple[tuple[int, int], ...]
    ipv6: tuple[tuple[int, int], ...]


@view
def peer_router_ports(switch: nb.LogicalSwitch) -> tuple[PeerRouterPort, ...]:
    """Return the router ports connected to a switch."""
    return tuple(
        [
            PeerRouterPort(
                port.datapath,
                f"outport == {port.quoted} && ",
                ipv4=tuple([(s.low, s.high) for s in port.ipv4]),
                ipv6=tuple([(s.low, s.high) for s in port.ipv6]),
            )
            for _, port in router_peers(switch)
        ]
    )


def port(port: SwitchPort) -> Iterator[Fact]:
    """Resolve the port's addresses at the routers of its switch."""
    kind = port.type
    if kind == "router":
        yield from _beside(port)
    elif kind == "virtual":
        yield from _virtual(port)
    elif port.enabled and port.addresses and (found := peer_router_ports(port.switch)):
        for address in port.addresses:
            yield from _known_host(found, address, address.mac, port.hint)


def _known_host(found: Sequence[PeerRouterPort], address: Addresses, mac: str, hint: str) -> Iterator[Fact]:
    act = f"eth.dst = {mac}; next;"
    for register, ips in (("reg0", address.ipv4), ("xxreg0", address.ipv6)):
        for ip in ips:
            number = number_of(ip)
            for neighbor in found:
                for low, high in neighbor.ipv4 if register == "reg0" else neighbor.ipv6:
                    if low <= number <= high:
                        yield flow(
                            RESOLVE, neighbor.datapath, 100, f"{neighbor.match}{register} == {ip}", act, hint=hint
                        )
                        break


def _beside(port: SwitchPort) -> list[Fact]:
    """Resolve the addresses of the router behind this port at the other routers of the switch."""
    name = port.options.get("router-port", "")
    mine = router_port_by_name(name)
    if mine is None:
        return []
    act = _leads_to(mine)
    return [
        flow(RESOLVE, where, 100, f"{match}{knows}", act, hint=hint)
        for knows in _known_as(mine)
        for other, where, match, hint in knowing_routers(port.switch)
        if other != name
    ]


@view
def knowing_routers(switch: nb.LogicalSwitch) -> tuple[tuple[str, UUID, str, str], ...]:
    """Return the router ports of a switch whose routers resolve neighbouring routers by flows.

    Those with `dynamic_neigh_routers` do not: they resolve them by ARP.

    Returns:
        Of each port its name, its datapath, the beginning of a match on what leaves by it, and its UUID.
    """
    peers = [port for _, port in router_peers(switch) if not asks_routers(port.router)]
    return tuple([(port.name, port.datapath, f"outport == {port.quoted} && ", port.uuid) for port in peers])


@view
def asks_routers(uuid: UUID) -> bool:
    """Return whether a router resolves neighbouring routers by ARP instead of by flows (`dynamic_neigh_routers`)."""
    router = get(nb.LogicalRouter, uuid)
    return router is not None and flag(router.options, "dynamic_neigh_routers")


def _virtual(port: SwitchPort) -> Iterator[Fact]:
    """Resolve a virtual address to the parent port that holds it; send requests for it while no parent does."""
    ip = port.virtual_ip
    if not ip and (text := port.options.get("virtual-ip")):
        yield finding(port.lsp, f"port {port.name}: its virtual-ip {text!r} is not an IP address")
    if not ip or not port.options.get("virtual-parents"):
        return
    binding = find(sb.PortBinding.logical_port, port.name)
    parent = binding.virtual_parent if binding is not None and binding.chassis is not None else None
    macs = [NOBODY]
    if parent and (row := find(LSP.name, parent)) is not None:
        macs = [text.split()[0] for text in sorted(row.addresses) if text[:1].isalnum() and ":" in text]
    register, number = "xxreg0" if ":" in ip else "reg0", number_of(ip)
    for mac in macs:
        for neighbor in peer_router_ports(port.switch):
            if any(low <= number <= high for low, high in (neighbor.ipv6 if ":" in ip else neighbor.ipv4)):
                match = f"{neighbor.match}{register} == {ip}"
                yield flow(RESOLVE, neighbor.datapath, 100, match, f"eth.dst = {mac}; next;", hint=port.hint)


# -- what is configured and what was learned --------------------------------------------------------------------------


@rule(nb.StaticMACBinding)
def static_binding(row: nb.StaticMACBinding) -> Iterator[Fact]:
    """Copy a configured neighbour to Southbound."""
    port = router_port_by_name(row.logical_port)
    if port is not None:
        yield STATIC_MAC_BINDING(
            logical_port=row.logical_port,
            ip=row.ip,
            mac=row.mac,
            override_dynamic_mac=row.override_dynamic_mac,
            datapath=port.datapath,
        )


FEATURE = Feature(
    "neighbor_resolution",
    rules=(way_of_learning, learning, resolving, next_hop_solicitation, router_port, static_binding),
    port=port,
    outputs=(STATIC_MAC_BINDING,),
    hints=(HintedTable(nb.LogicalRouterPort), HintedTable(LSP)),
)
