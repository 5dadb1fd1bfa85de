"""A router as an IP host: packets that it answers, and packets that it never forwards.

ovn-northd(8), Logical Router Datapaths, "Ingress Table 3": martians, echo, time exceeded, and the rejection of other
packets to the router itself. Routers with a gateway accept connections to their addresses for translation, so they
reject nothing with an answer; packets to an address used for source translation or by a load balancer are dropped only
if they still have that destination after translation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rules import rule, singleton
from ovenbird.model import nb
from ovenbird.northd.ir.addresses import braced
from ovenbird.northd.ir.datapath_groups import ROUTERS
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import RouterPort, distributed_gateway_ports, is_link_local, router_port_of, shared
from ovenbird.northd.router.load_balancer_addresses import is_virtual
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import LOOPED
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

INPUT = stage("lr_in_ip_input")
ROUTING = stage("lr_in_ip_routing")
RESOLVE = stage("lr_in_arp_resolve")

MARTIANS = (
    "ip4.src_mcast || ip4.src == 255.255.255.255 || ip4.src == 127.0.0.0/8 || ip4.dst == 127.0.0.0/8 || "
    "ip4.src == 0.0.0.0/8 || ip4.dst == 0.0.0.0/8"
)

flow = flow_builder("ip_input")


@singleton
def every_router() -> Iterator[Fact]:
    """Drop packets that no router forwards (RFC 1812, section 5.3)."""
    yield ROUTERS.row
    for priority, match, act in (
        (100, MARTIANS, "drop;"),
        (85, "arp || nd", "drop;"),
        (84, "nd_rs || nd_ra", "next;"),
        (83, "ip6.mcast_rsvd", "drop;"),
        (50, "eth.bcast", "drop;"),
        (32, "ip.ttl == {0, 1} && !ip.later_frag && (ip4.mcast || ip6.mcast)", "drop;"),
        (30, "ip.ttl == {0, 1}", "drop;"),
    ):
        yield flow(INPUT, ROUTERS, priority, match, act)
    yield flow(ROUTING, ROUTERS, 10_550, "nd_rs || nd_ra", "drop;")


@rule(nb.LogicalRouterPort)
def router_port(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Answer ARP, ND and ping for a port's addresses."""
    port = router_port_of(lrp)
    router = lrp.referrer(nb.LogicalRouter.ports)
    if port is None or router is None:
        return
    where, hint = port.datapath, port.uuid
    four, six = [s.ip for s in port.ipv4], [s.ip for s in port.ipv6]
    if four:
        mine = braced(dict.fromkeys([*four, *(s.broadcast for s in port.ipv4 if s.broadcast)]))
        yield flow(INPUT, where, 100, f"ip4.src == {mine} && {LOOPED} == 0", "drop;", hint=hint)
        echo = "ip4.dst <-> ip4.src; ip.ttl = 255; icmp4.type = 0; flags.loopback = 1; next;"
        yield flow(
            INPUT, where, 90, f"ip4.dst == {braced(four)} && icmp4.type == 8 && icmp4.code == 0", echo, hint=hint
        )
    echo = "ip6.dst <-> ip6.src; ip.ttl = 255; icmp6.type = 129; flags.loopback = 1; next;"
    yield flow(INPUT, where, 90, f"ip6.dst == {braced(six)} && icmp6.type == 128 && icmp6.code == 0", echo, hint=hint)
    for field, ips in (("ip4.dst", four), ("ip6.dst", six)):
        common = [ip for ip in ips if shared(router, ip) or is_virtual(router, ip)]
        own = [ip for ip in ips if ip not in common]
        for dropped, at, priority in ((own, INPUT, 60), (common, RESOLVE, 2)):
            if dropped:
                yield flow(at, where, priority, f"{field} == {braced(dropped)}", "drop;", hint=hint)
    for ip in six:
        prefixes = f"ip6.dst == {ip} && udp.src == 547 && udp.dst == 546"
        yield flow(INPUT, where, 100, prefixes, "reg0 = 0; handle_dhcpv6_reply;", hint=hint)
    yield from _time_exceeded(port)
    if not port.chassis and not distributed_gateway_ports(router):
        yield from _unreachable(port)


def _time_exceeded(port: RouterPort) -> Iterator[Fact]:
    """Answer packets whose TTL expires here with ICMP time exceeded, from the port that they came in by."""
    done = f"ip.ttl = 254; outport = {port.quoted}; flags.loopback = 1; output; }};"
    late = "ip.ttl == {0, 1} && !ip.later_frag"
    code = "/* Time exceeded */ icmp{}.code = 0; /* TTL exceeded in transit */"
    # On a distributed gateway port the packet's own destination is a translated address, which answers.
    for subnet in port.ipv4[:1]:
        turn = "ip4.dst <-> ip4.src;" if port.is_distributed_gateway else f"ip4.dst = ip4.src; ip4.src = {subnet.ip};"
        match = f"inport == {port.quoted} && ip4 && {late}"
        answer = f"icmp4 {{eth.dst <-> eth.src; icmp4.type = 11; {code.format(4)} {turn} {done}"
        yield flow(INPUT, port.datapath, 31, match, answer, hint=port.uuid, meter=port.meters.get("icmp4-error"))
    for subnet in port.ipv6[:-1]:
        if is_link_local(subnet.ip):
            continue
        turn = "ip6.dst <-> ip6.src;" if port.is_distributed_gateway else f"ip6.dst = ip6.src; ip6.src = {subnet.ip};"
        match = f"inport == {port.quoted} && ip6 && ip6.src == {subnet.network} && {late}"
        answer = f"icmp6 {{eth.dst <-> eth.src; {turn} icmp6.type = 3; {code.format(6)} {done}"
        yield flow(INPUT, port.datapath, 31, match, answer, hint=port.uuid, meter=port.meters.get("icmp6-error"))


def _unreachable(port: RouterPort) -> Iterator[Fact]:
    """Answer TCP, UDP and other protocols to the router itself with resets and ICMP unreachable."""
    answers = (("ip4", "icmp4", 3, 3, 2, port.ipv4), ("ip6", "icmp6", 1, 4, 3, port.ipv6))
    for ip, icmp, kind, no_port, no_protocol, subnets in answers:
        turn = f"eth.dst <-> eth.src; {ip}.dst <-> {ip}.src;"
        error, reset = port.meters.get(f"{icmp}-error"), port.meters.get("tcp-reset")
        why = f"{icmp} {{{turn} ip.ttl = 255; {icmp}.type = {kind}; {icmp}.code = "
        for subnet in subnets:
            mine = f"{ip} && {ip}.dst == {subnet.ip} && !ip.later_frag"
            for protocol, answer, meter in (
                ("tcp", f"tcp_reset {{{turn} next; }};", reset),
                ("sctp", f"sctp_abort {{{turn} next; }};", reset),
                ("udp", f"{why}{no_port}; next; }};", error),
            ):
                yield flow(INPUT, port.datapath, 80, f"{mine} && {protocol}", answer, hint=port.uuid, meter=meter)
            yield flow(INPUT, port.datapath, 70, mine, f"{why}{no_protocol}; next; }};", hint=port.uuid, meter=error)


FEATURE = Feature("ip_input", rules=(every_router, router_port), hints=(HintedTable(nb.LogicalRouterPort),))
