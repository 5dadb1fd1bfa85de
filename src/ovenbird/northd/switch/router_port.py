"""A switch's ports that lead to routers, to other switches and to physical networks.

Requests for a router's address are sent to that router and to the ports that are not routers, not to every router of
the switch; requests of a router are sent to no other router where there are other ports. ovn-northd(8), "Ingress Table
25", priorities 80 and 75; as in newer releases of the original, only broadcast and multicast requests are matched.
Connections are not tracked at these ports: their packets belong to the zones of the instances at the other end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model import nb
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.load_balancer import balances
from ovenbird.northd.ir.router_port import is_tracked, router_port_by_name
from ovenbird.northd.ir.switch_port import only_routers
from ovenbird.northd.shared.arp_requests import asked, asks_as, asks_for
from ovenbird.northd.switch.acl import stateful
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.switch_port import SwitchPort

L2_LOOKUP = stage("ls_in_l2_lkup")
IN_PRE_ACL, OUT_PRE_ACL = stage("ls_in_pre_acl"), stage("ls_out_pre_acl")
IN_PRE_LB, OUT_PRE_LB = stage("ls_in_pre_lb"), stage("ls_out_pre_lb")

flow = flow_builder("router_port")


def port(port: SwitchPort) -> Iterator[Fact]:
    """Skip connection tracking at ports to other networks; forward requests for a router's addresses to it."""
    where, hint = port.datapath, port.hint
    yield from _untracked(port)
    peer = router_port_by_name(port.options.get("router-port", "")) if port.type == "router" else None
    if peer is None or not (port.enabled and peer.enabled):
        return
    alone = only_routers(port.switch)
    act = asked(port.quoted, alone=alone)
    for subnet in (*peer.ipv4, *peer.ipv6):
        yield flow(L2_LOOKUP, where, 80, asks_for(subnet.ip), act, hint=hint)
    if alone:  # a router's own requests then go to every other router, which might translate the address
        return
    yield flow(L2_LOOKUP, where, 75, asks_as(peer.mac), 'outport = "_MC_flood_l2"; output;', hint=hint)


def _untracked(port: SwitchPort) -> Iterator[Fact]:
    """Skip connection tracking at a port; on a switch without stateful ACLs, clear the state that a router has set.

    ACLs at a port to a distributed gateway port may ask for tracking there, in a zone that controllers give the port.
    On a switch with load balancers, packets from a physical network are tracked, so that they can be balanced.
    """
    tracks, stages = stateful(port.switch), []
    if tracks and not (port.type == "router" and is_tracked(port.options)):
        stages.append((IN_PRE_ACL, OUT_PRE_ACL))
    if port.type != "localnet" or not balances(port.switch):
        stages.append((IN_PRE_LB, OUT_PRE_LB))
    came, goes = f"ip && inport == {port.quoted}", f"ip && outport == {port.quoted}"
    for ingress, egress in stages:
        yield flow(ingress, port.datapath, 110, came, "next;", hint=port.hint, port=port.name)
        act = "next;" if tracks or port.type == "switch" else "ct_clear; next;"
        yield flow(egress, port.datapath, 110, goes, act, hint=port.hint, port=port.name)


FEATURE = Feature(
    "router_port",
    port=port,
    types=frozenset({"router", "switch", "localnet"}),
    hints=(HintedTable(nb.LogicalSwitchPort),),
)
