"""Network address translation: SNAT for a router's networks, DNAT, and floating IPs.

ovn-nb(5), NAT; ovn-northd(8), Logical Router Datapaths, "Ingress Table 3", "4", "7", "17" and "20", "Egress Table 0",
"1", "2", "3" and "5". A gateway router translates on its chassis. Another router translates at one of its distributed
gateway ports: on the chassis where the port is active or, for a rule with a MAC and an instance's port, on the
instance's chassis. There it uses one connection tracking zone for both directions, and packets to another translated
address of the same port are sent back into the ingress pipeline at the end of the egress pipeline.

A router without a gateway of either kind does not translate, and only answers for the external addresses. Each rule
yields its own flows and the memberships that its router needs, so that its cost does not depend on the router's other
rules. `nat_precedence` decides between rules with an address in common.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.findings import finding
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.rules import rule, singleton
from ovenbird.model import nb
from ovenbird.northd.ir.addresses import parse_ip, parse_mac, parse_network, quote, solicited_node
from ovenbird.northd.ir.datapath_groups import DatapathGroup
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import (
    RouterPort,
    distributed_gateway_ports,
    enabled,
    forced_sources,
    gateway_chassis,
    has_gateways,
    peer_switch_port,
    port_of,
    resolve_next_hop,
    router_peers,
    router_port_by_name,
)
from ovenbird.northd.ir.southbound_rows import IN_NAT_ADDRESSES, datapath
from ovenbird.northd.ir.switch_port import only_routers
from ovenbird.northd.router.admission import ETHERNET, mtu_of, too_large
from ovenbird.northd.router.nat_precedence import Say, outranked, who_has_the_say
from ovenbird.northd.router.nat_rule import NatRule, nat_rule, told
from ovenbird.northd.router.neighbor_resolution import ARP_REPLY
from ovenbird.northd.shared.arp_requests import asked, asks_as, asks_for
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import DNAT_LOCAL, LOOPED, TOO_LARGE
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

ADMISSION = stage("lr_in_admission")
INPUT = stage("lr_in_ip_input")
UNSNAT = stage("lr_in_unsnat")
DNAT = stage("lr_in_dnat")
RESOLVE = stage("lr_in_arp_resolve")
REDIRECT = stage("lr_in_gw_redirect")
TRANSLATED_HERE = stage("lr_out_chk_dnat_local")
UNDNAT = stage("lr_out_undnat")
LOOK_UP = stage("lr_out_post_undnat")
SNAT = stage("lr_out_snat")
POST_SNAT = stage("lr_out_post_snat")
LOOP = stage("lr_out_egr_loop")
L2_LOOKUP = stage("ls_in_l2_lkup")

NAT_ROUTERS = DatapathGroup("translating routers")
"""Routers with a translation."""

NAT_GATEWAY_ROUTERS = DatapathGroup("translating gateway routers")
"""Gateway routers with a translation."""

NO_REPLY = "(!ct.trk || !ct.rpl)"
"""The match of packets that are not known replies: replies in connections without translation are not translated."""

UNTRANSLATED = "ct_mark[15]"
"""The mark of connections that came in by a distributed gateway port without translation."""

DISTRIBUTED_BASE = 128
"""Added to the priority of source translations at a distributed gateway port, which precede all others."""

flow = flow_builder("nat")

_CLEARED = " ".join(f"reg{n} = 0;" for n in range(10))


@singleton
def every_translating_router() -> Iterator[Fact]:
    """Look packets up in connection tracking where connections were translated: in a gateway router, all of them."""
    yield from (NAT_ROUTERS.row, NAT_GATEWAY_ROUTERS.row)
    yield flow(TRANSLATED_HERE, NAT_ROUTERS, 50, "ip && ct_mark.natted == 1", f"{DNAT_LOCAL} = 1; next;")
    yield flow(UNDNAT, NAT_GATEWAY_ROUTERS, 100, "nd || nd_rs || nd_ra", "next;")
    yield flow(UNDNAT, NAT_GATEWAY_ROUTERS, 50, "ip", "flags.loopback = 1; ct_dnat;")
    yield flow(LOOK_UP, NAT_GATEWAY_ROUTERS, 50, "ip && ct.new", "ct_commit { } ; next;")


@rule(nb.NAT)
def nat(nat: nb.NAT) -> Iterator[Fact]:
    """Make the flows of one NAT rule, and answer ARP and ND for its external address."""
    yield from _beside_gateways(nat)
    made = nat_rule(nat)
    if made is None:
        yield from _inactive_nat(nat)
        return
    yield NAT_ROUTERS.includes(made.datapath)
    say = who_has_the_say(made)
    yield from outranked(nat, made, say)
    if say.outside.hint == made.hint:
        yield from _arp_responder(made)
        yield from _outside(made)
    if made.sources:
        if say.outside.hint == made.hint or not say.outside.sources:
            yield from _unsnat(made)
        if say.inside.hint == made.hint:
            yield from _snat(made)
    if made.destinations:
        yield from _dnat(made, say)
    if made.port is None:
        yield NAT_GATEWAY_ROUTERS.includes(made.datapath)
    else:
        yield from _at_port(made, made.port, say)
    if made.mac:
        yield from _beside_bridge(nat, made)


@rule(nb.LogicalRouter)
def forced_source(router: nb.LogicalRouter) -> Iterator[Fact]:
    """Give DNATed packets a source address of the gateway router, so that replies come back to it."""
    if not enabled(router) or not gateway_chassis(router):
        return
    where = datapath(router)
    for ip in forced_sources(router):
        family = "ip6" if ":" in ip else "ip4"
        yield flow(UNSNAT, where, 110, f"{family} && {family}.dst == {ip}", "ct_snat;", hint=router.uuid)
        match = f"flags.force_snat_for_dnat == 1 && {family}"
        yield flow(SNAT, where, 100, match, f"ct_snat({ip});", hint=router.uuid)


def _inactive_nat(nat: nb.NAT) -> Iterator[Fact]:
    """Answer ARP and ND for a NAT rule without effect, as ovn-northd does, and report why it has none."""
    router = nat.referrer(nb.LogicalRouter.nat)
    if router is None or not enabled(router):
        return
    yield finding(nat, f"{told(nat)} has no effect: {_why_not(nat, router)}")
    outer = parse_ip(nat.external_ip)
    if not outer:
        return
    yield flow(INPUT, datapath(router), 90, *_answer(outer))
    way = resolve_next_hop(router, outer)
    if way is not None and nat.type != "snat":
        yield from _redirect_arp(way.port, outer)


def _why_not(nat: nb.NAT, router: nb.LogicalRouter) -> str:
    """Return why a NAT rule has no effect."""
    outer, inner = parse_ip(nat.external_ip), parse_network(nat.logical_ip)
    if not outer:
        return f"{nat.external_ip!r} is not an IP address"
    if inner is None or (nat.type != "snat" and inner.prefixlen != inner.max_prefixlen):
        return f"{nat.logical_ip!r} is not an IP address" + (" or network" if nat.type == "snat" else "")
    if (":" in outer) != (inner.version == 6):
        return "its two addresses are of different IP versions"
    if nat.allowed_ext_ips is not None and nat.exempted_ext_ips is not None:
        return "it has both allowed and exempted external addresses"
    if nat.external_mac is not None and not parse_mac(nat.external_mac):
        return f"{nat.external_mac!r} is not an Ethernet address"
    if nat.gateway_port is not None:
        return f"{nat.gateway_port.name} is not a distributed gateway port of the router"
    if distributed_gateway_ports(router):
        return f"no distributed gateway port of the router has a network with {outer}, and gateway_port is not set"
    return "the router has neither a chassis nor a distributed gateway port"


def _answer(outer: str) -> tuple[str, str]:
    """Return the match of ARP or ND requests for an address, and the actions that answer."""
    if ":" not in outer:
        return f"arp.op == 1 && arp.tpa == {outer}", ARP_REPLY
    asks = f"ip6.dst == {{{outer}, {solicited_node(outer)}}} && nd_ns && nd.target == {outer}"
    reply = (
        "nd_na { eth.src = xreg0[0..47]; ip6.src = nd.target; nd.tll = xreg0[0..47]; outport = inport; "
        "flags.loopback = 1; output; };"
    )
    return asks, reply


def _arp_responder(made: NatRule) -> Iterator[Fact]:
    """Answer ARP and ND for the external address; at a gateway port only where the translation is active."""
    where, (asks, reply) = made.datapath, _answer(made.outer)
    yield flow(INPUT, where, 90, asks, reply)
    if made.port is not None:
        asks = f"inport == {made.port.quoted} && {asks}"
        yield flow(INPUT, where, 91, asks, "drop;")
        if made.mac:
            reply = reply.replace("xreg0[0..47]", made.mac)
        yield flow(INPUT, where, 92, f"{asks} && {made.here}", reply)


def _unsnat(made: NatRule) -> Iterator[Fact]:
    """Translate the destinations of replies back to the logical address."""
    match = f"ip && {made.ip}.dst == {made.outer}"
    if made.port is None:
        yield flow(UNSNAT, made.datapath, 90, match, "next;" if made.stateless else "ct_snat;", hint=made.hint)
        return
    match += f" && inport == {made.port.quoted} && flags.loopback =="
    act = "next;" if made.stateless else "ct_snat_in_czone;"
    yield flow(UNSNAT, made.datapath, 100, f"{match} 0{made.where_active}", act, hint=made.hint)
    if not made.stateless:
        again = f"{match} 1 && flags.use_snat_zone == 1{made.where_active}"
        yield flow(UNSNAT, made.datapath, 100, again, "ct_snat;", hint=made.hint)


def _dnat(made: NatRule, say: Say) -> Iterator[Fact]:
    """Translate the destinations of new connections, and the sources of their replies."""
    where, hint, port = made.datapath, made.hint, made.port
    match = f"ip && {made.ip}.dst == {made.outer}"
    begin, zone = "flags.loopback = 1; ", ""
    if port is None:
        begin = f"flags.force_snat_for_dnat = 1; {begin}" if made.forced else begin
    else:
        match += f" && inport == {port.quoted}{made.where_active}"
        begin, zone = "", "_in_czone"
    act = f"{made.ip}.dst={made.inner}; next;" if made.stateless else f"ct_dnat{zone}({made.inner}{made.ports});"
    if say.incoming.hint == hint:
        peers = f" && {made.ip}.src == ${made.allowed}" if made.allowed else ""
        if made.exempted and made.match:
            peers = f" && {made.ip}.src != ${made.exempted}"
        elif made.exempted:
            yield flow(DNAT, where, 102, f"{match} && {made.ip}.src == ${made.exempted}", "next;", hint=hint)
        yield flow(DNAT, where, made.order(100), f"{match}{made.condition}{peers}", f"{begin}{act}", hint=hint)
    if port is not None and say.replies.hint == hint:
        match = f"ip && {made.ip}.src == {made.inner} && outport == {port.quoted}{made.where_active}"
        act = "next;" if made.stateless else "ct_dnat_in_czone;"
        yield flow(UNDNAT, where, 100, match, f"eth.src = {made.mac}; {act}" if made.mac else act, hint=hint)


def _snat(made: NatRule) -> Iterator[Fact]:
    """Translate the sources of leaving packets; of several rules without a match, the longest prefix wins."""
    where, hint, priority = made.datapath, made.hint, made.length + 1
    match = f"ip && {made.ip}.src == {made.inner}"
    zone = begin = ""
    if made.port is not None:
        priority += DISTRIBUTED_BASE
        match += f" && outport == {made.port.quoted} && {made.here}"
        begin, zone = f"eth.src = {made.mac}; " if made.mac else "", "_in_czone"
        yield from _untranslated(made, made.port, made.order(priority))
    priority = made.order(priority)
    match += made.condition
    if made.exempted and made.match:
        match += f" && {made.ip}.dst != ${made.exempted}"
    elif made.exempted:
        yield flow(SNAT, where, priority + 2, f"{match} && {made.ip}.dst == ${made.exempted}", "next;", hint=hint)
    if made.allowed:
        match += f" && {made.ip}.dst == ${made.allowed}"
    if made.stateless:
        yield flow(SNAT, where, priority, match, f"{begin}{made.ip}.src={made.outer}; next;", hint=hint)
        return
    to = f"({made.outer}{made.ports});"
    if made.port is None:
        yield flow(SNAT, where, priority, f"{match} && {NO_REPLY}", f"ct_snat{to}", hint=hint)
        return
    if not made.mac:
        match += f" && {UNTRANSLATED} == 0"
    # Towards a destination that is translated here too, the source gets a zone of its own.
    both, own_zone = f"{match} && {DNAT_LOCAL} == 1", f"{begin}{DNAT_LOCAL} = 0; ct_snat{to}"
    if made.match:  # the next priority is that of other rules
        match += f" && {DNAT_LOCAL} == 0"
    yield flow(SNAT, where, priority, match, f"{begin}ct_snat{zone}{to}", hint=hint)
    yield flow(SNAT, where, priority if made.match else priority + 1, both, own_zone, hint=hint)


def _untranslated(made: NatRule, port: RouterPort, priority: int) -> Iterator[Fact]:
    """Mark connections that come in to the logical address itself, so that their replies keep their source.

    Releases of OVN since 24.03 do so; 23.03 translates such replies, which the peer then does not recognise. The mark
    is kept in the zone in which a distributed router translates, where translated connections are tracked already.
    Incoming packets are marked without a lookup of their state, and leaving packets are looked up just before they
    would be translated: later stages and datapaths see the same state as with 23.03. Stateless and exempted
    translations are left out.

    Arguments:
        made: the translation.
        port: its distributed gateway port.
        priority: of the translation among those of sources.
    """
    where, hint = made.datapath, made.hint
    leaves = f"ip && {made.ip}.src == {made.inner} && outport == {port.quoted} && {made.here}"
    comes = f"ip && {made.ip}.dst == {made.inner} && inport == {port.quoted} && {made.here}"
    leaves += made.condition
    if made.exempted and made.match:
        leaves += f" && {made.ip}.dst != ${made.exempted}"
    elif made.exempted and (made.stateless or not made.destinations):
        yield flow(LOOK_UP, where, priority + 2, f"{leaves} && {made.ip}.dst == ${made.exempted}", "next;", hint=hint)
    if made.allowed:
        comes, leaves = f"{comes} && {made.ip}.src == ${made.allowed}", f"{leaves} && {made.ip}.dst == ${made.allowed}"
    if made.stateless:
        yield flow(LOOK_UP, where, priority, leaves, "next;", hint=hint)
        if not made.match:  # which is about leaving packets, so that others of the same address may be marked
            yield flow(POST_SNAT, where, priority, comes, "next;", hint=hint)
    elif not made.mac:
        if not made.destinations:
            yield flow(LOOK_UP, where, priority, f"{leaves} && !ct.trk", "ct_dnat_in_czone;", hint=hint)
        note = f"ct_commit {{ {UNTRANSLATED} = 1; }}; next;"
        yield flow(POST_SNAT, where, priority, f"{comes} && !ct.trk", note, hint=hint)


def _at_port(made: NatRule, port: RouterPort, say: Say) -> Iterator[Fact]:
    """Yield the flows that only distributed gateway ports need: admission, resolution, redirection and the loopback."""
    where, ip, outer = made.datapath, made.ip, made.outer
    mac = made.mac or port.mac
    goes = f"outport == {port.quoted}"
    if made.mac:
        yield from _at_host(made, port, say)
    if made.stateless:
        yield from _peers_elsewhere(made, port)
    if not made.destinations:
        yield flow(INPUT, where, 120, f"inport == {port.quoted} && {ip}.src == {outer}", "next;")
    if say.outside.hint == made.hint:
        yield flow(RESOLVE, where, 100, f"{goes} && {made.register} == {outer}", f"eth.dst = {mac}; next;")
    yield flow(RESOLVE, where, 150, f"inport == {port.quoted} && {goes} && {ip}.dst == {outer}", "drop;")
    yield flow(TRANSLATED_HERE, where, 50, f"ip && {ip}.dst == {outer} && {made.here}", f"{DNAT_LOCAL} = 1; next;")
    back = (
        'clone { ct_clear; inport = outport; outport = ""; eth.dst <-> eth.src; flags = 0; flags.loopback = 1; '
        f"flags.use_snat_zone = {DNAT_LOCAL}; {_CLEARED} {LOOPED} = 1; "
        f"next(pipeline=ingress, table={ADMISSION.table}); }};"
    )
    yield flow(LOOP, where, 100, f"{ip}.dst == {outer} && {goes} && {made.here}", back)


def _at_host(made: NatRule, port: RouterPort, say: Say) -> Iterator[Fact]:
    """Yield the flows by which the instance's chassis admits a distributed translation's MAC, and sends from it."""
    where, hint, ip, outer, mac = made.datapath, made.hint, made.ip, made.outer, made.mac
    mtu = mtu_of(port)
    measure = f"{TOO_LARGE} = check_pkt_larger({mtu + ETHERNET}); " if mtu else ""
    own = f"eth.dst == {mac} && inport == {port.quoted} && {made.here}"
    yield flow(ADMISSION, where, 50, own, f"{measure}xreg0[0..47] = {port.mac}; next;", hint=hint)
    leaves = f"{ip}.src == {made.inner} && outport == {port.quoted} && {made.here}"
    register = "reg1" if ip == "ip4" else "xxreg1"
    if say.leaving.hint == hint:
        yield flow(REDIRECT, where, 100, leaves, f"eth.src = {mac}; {register} = {outer}; next;", hint=hint)
    if mtu and say.outside.hint == hint:
        match = f"inport == {port.quoted} && {TOO_LARGE} && {LOOPED} == 0 && {ip} && {ip}.dst == {outer}"
        answer = (
            f"{LOOPED} = 1; {TOO_LARGE} = 0; eth.dst = eth.src; eth.src = {mac}; {ip}.dst = {ip}.src; "
            f"{ip}.src = {outer}; ip.ttl = 254; {too_large(ip, mtu)} outport = {port.quoted}; "
            "flags.loopback = 1; output;"
        )
        yield flow(INPUT, where, 160, match, f"icmp{ip[2]}_error {{ {answer} }};", hint=hint)


def _beside_bridge(nat: nb.NAT, made: NatRule) -> Iterator[Fact]:
    """Resolve the next hop on the instance's chassis, where other packets are redirected through a physical network."""
    router = nat.referrer(nb.LogicalRouter.nat)
    if router is None:
        return
    get = "get_arp(outport, reg0)" if made.ip == "ip4" else "get_nd(outport, xxreg0)"
    for name in distributed_gateway_ports(router):
        port = port_of(router, name)
        if port is not None and port.options.get("redirect-type") == "bridged":
            match = f"outport == {port.quoted} && {made.ip}.src == {made.inner} && {made.here}"
            yield flow(RESOLVE, made.datapath, 90, match, f"{get}; next;", hint=made.hint)


def _peers_elsewhere(made: NatRule, port: RouterPort) -> Iterator[Fact]:
    """Yield the redirection flows of peers that a stateless translation allows or exempts."""
    peers = f"outport == {port.quoted} && {made.ip}.src == $"
    if made.allowed:
        act = f"outport = {quote(port.redirect)}; next;"
        yield flow(REDIRECT, made.datapath, 75, f"{peers}{made.allowed}", act, hint=made.hint)
        yield flow(REDIRECT, made.datapath, 70, f"ip && {made.ip}.dst == {made.outer}", "drop;", hint=made.hint)
    elif made.exempted:
        yield flow(REDIRECT, made.datapath, 75, f"{peers}{made.exempted}", "drop;", hint=made.hint)


# -- the switch outside -----------------------------------------------------------------------------------------------


def _outside(made: NatRule) -> Iterator[Fact]:
    """In the external switch, forward packets for the external address to the router, and announce it."""
    port = made.outside
    met = peer_switch_port(port.name) if port is not None else None
    if port is None or met is None:
        return
    lsp, where = met.lsp, datapath(met.switch)
    own = any(subnet.ip == made.outer for subnet in (*port.ipv4, *port.ipv6))
    if not own:  # of its own addresses, the port's feature says it; other routers ask for those of `snat` too
        yield from _redirect_arp(port, made.outer)
    if made.mac:
        if "router" in lsp.addresses:
            out = f"outport = {quote(lsp.name)}; output;"
            yield flow(L2_LOOKUP, where, 50, f"eth.dst == {made.mac} && {made.here}", out, hint=lsp.uuid)
        yield flow(L2_LOOKUP, where, 75, asks_as(made.mac), 'outport = "_MC_flood_l2"; output;', hint=lsp.uuid)
    if made.ip == "ip4" and not own and lsp.options.get("nat-addresses") == "router":
        resident = f" {made.here}" if made.port is not None else ""
        yield IN_NAT_ADDRESSES((lsp.name, where), f"{made.mac or port.mac} {made.outer}{resident}")


def _redirect_arp(port: RouterPort, outer: str) -> Iterator[Fact]:
    """In the switch behind a router port, forward ARP and ND requests for an external address to the router."""
    met = peer_switch_port(port.name)
    if met is None or not port.enabled or met.lsp.enabled is False:
        return
    act = asked(quote(met.lsp.name), alone=only_routers(met.switch))
    yield flow(L2_LOOKUP, datapath(met.switch), 80, asks_for(outer), act, hint=met.lsp.uuid)


@grouped_values(nb.LogicalSwitch)
def beside_gateways(switch: nb.LogicalSwitch) -> Iterator[tuple[UUID, str]]:
    """Yield the router ports on a switch that has VTEP gateways, each with its router."""
    if has_gateways(switch):
        for _, port in router_peers(switch):
            yield port.router, port.name


def _beside_gateways(nat: nb.NAT) -> Iterator[Fact]:
    """Forward requests for an external address to the router on all its switches that have VTEP gateways.

    The original does so on every switch of the router, in as many flows as it has translations times networks. Where a
    request cannot be expected, since the address is in none of the port's networks, it is flooded instead.
    """
    router, outer = nat.referrer(nb.LogicalRouter.nat), parse_ip(nat.external_ip)
    if router is None or not outer or nat.type == "snat":
        return
    for name in sorted(beside_gateways.values(router.uuid)):
        port = router_port_by_name(name)
        if port is not None:
            yield from _redirect_arp(port, outer)


def _in_words(row: nb.NAT) -> tuple[str, str]:
    return f"nat {row.type} {row.logical_ip} as {row.external_ip}", ""


FEATURE = Feature(
    "nat",
    rules=(every_translating_router, beside_gateways, nat, forced_source),
    outputs=(IN_NAT_ADDRESSES,),
    hints=(
        *map(HintedTable, (nb.LogicalRouter, nb.LogicalSwitchPort)),
        HintedTable(nb.NAT, _in_words, (nb.LogicalRouter.nat,)),
    ),
)
