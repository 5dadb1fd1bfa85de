"""Symmetric replies: packets of a connection return the way it came, where several equal routes may exist.

ovn-northd(8), Logical Router Datapaths, "Ingress Table 5", "9", "13" and "17". A gateway router stores the neighbour's
MAC and its own port with the connection; packets of such a connection skip the choice among equal routes.

A packet that arrives by a route with symmetric replies may also be a reply to a connection of another route, if its
destination is within that route; for a default route everything is. It is then treated as a reply; if it is none, its
connection is stored anew, as later releases do with each packet. In 23.03 both flows have one priority, and it is
undefined which of the two matches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.southbound_rows import PORT_KEYS
from ovenbird.northd.shared.binding import requested_key
from ovenbird.pipeline.registers import ECMP_KNOWN
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.router_port import NextHop

DEFRAG = stage("lr_in_defrag")
ECMP_STATEFUL = stage("lr_in_ecmp_stateful")
ROUTING = stage("lr_in_ip_routing")
POLICY = stage("lr_in_policy")
RESOLVE = stage("lr_in_arp_resolve")

flow = flow_builder("routing")


class Pinned(NamedTuple):
    """A next hop whose connections are remembered, for symmetric replies.

    Arguments:
        way: the port and the source address.
        network: the route's prefix.
        by_source: whether the route is by source.
        match: the route's match.
    """

    way: NextHop
    network: str
    by_source: bool
    match: str


def pinned_flows(where: UUID, pinned: Pinned, hint: str) -> Iterator[Fact]:
    """Yield the flows that remember where connections come from, and send their replies back there.

    Arguments:
        where: the router's Logical_Router row.
        pinned: the routes of one prefix with `ecmp_symmetric_reply`.
        hint: the stage-hint of the flows.
    """
    port = pinned.way.port
    six = ":" in pinned.network
    address, xx = ("ip6", "xx") if six else ("ip4", "")
    came = f"inport == {port.quoted} && {address}.{'dst' if pinned.by_source else 'src'} == {pinned.network}"
    yield flow(DEFRAG, where, 99, came, f"{ECMP_KNOWN} = chk_ecmp_nh_mac(); ct_next;", hint=hint)
    yield flow(DEFRAG, where, 100, pinned.match, f"{ECMP_KNOWN} = chk_ecmp_nh(); ct_next;", hint=hint)
    key = PORT_KEYS.get(port.name, scope=port.router, want=requested_key(port.options))
    note = f"ct_commit {{ ct_label.ecmp_reply_eth = eth.src; ct_mark.ecmp_reply_port = {key}; }};"
    for protocol in ("tcp", "udp", "sctp"):
        act = f"{note} commit_ecmp_nh(ipv6 = {str(six).lower()}, proto = {protocol}); next;"
        yield flow(ECMP_STATEFUL, where, 100, f"{came} && (ct.new && !ct.est) && {protocol}", act, hint=hint)
        again = f"{came} && (!ct.rpl && ct.est) && {protocol} && {ECMP_KNOWN} == 0"
        yield flow(ECMP_STATEFUL, where, 100, again, act, hint=hint)
    noted = f"ct.rpl && {ECMP_KNOWN} == 1 && ct_mark.ecmp_reply_port == {key}"
    back = f"eth.src = {port.mac}; {xx}reg1 = {pinned.way.source}; outport = {port.quoted};"
    act = f"ip.ttl--; flags.loopback = 1; {back} next;"
    yield flow(ROUTING, where, 10_300, f"{noted} && {pinned.match}", act, hint=hint)
    yield flow(POLICY, where, 65_535, noted, "next;", hint=hint)
    mac = "push(xxreg1); xxreg1 = ct_label; eth.dst = xxreg1[32..79]; pop(xxreg1); next;"
    yield flow(RESOLVE, where, 200, noted, mac, hint=hint)
