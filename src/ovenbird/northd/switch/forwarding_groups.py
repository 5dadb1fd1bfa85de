"""Forwarding groups: a virtual address, whose connections a switch distributes among some of its ports.

ovn-nb(5), Forwarding_Group; ovn-northd(8), "Ingress Table 19" and "25". The switch answers ARP and neighbour
solicitations for the group's address with the group's MAC, and sends packets to that MAC to one of the ports. With
`liveness`, chassis skip ports on chassis to which the tunnel is down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.model import nb
from ovenbird.net.ip import is_address
from ovenbird.northd.ir.addresses import parse_mac, quote, solicited_node
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

RESPONDER = stage("ls_in_arp_rsp")
L2_LOOKUP = stage("ls_in_l2_lkup")

flow = flow_builder("forwarding_groups")


@rule(nb.ForwardingGroup)
def forwarding_group(group: nb.ForwardingGroup) -> Iterator[Fact]:
    """Yield the flows that answer ARP and ND for a group's address, and distribute packets among its ports."""
    vip, mac = group.vip, parse_mac(group.vmac)
    if not is_address(vip) or not mac:
        wrong = f"the address {vip!r}" if mac else f"the MAC address {group.vmac!r}"
        yield finding(group, f"forwarding group {group.name}: {wrong} is invalid, and the group is left out")
        return
    ports = ",".join([quote(name) for name in sorted(group.child_port)])
    liveness = 'liveness="true",' if group.liveness else ""
    for switch in group.referrers(nb.LogicalSwitch.forwarding_groups):
        where = datapath(switch)
        match, answer = _neighbor_discovery(vip, mac=mac) if ":" in vip else _arp(vip, mac=mac)
        yield flow(RESPONDER, where, 50, match, answer, hint=group.uuid)
        choose = f"fwd_group({liveness}childports={ports});"
        yield flow(L2_LOOKUP, where, 50, f"eth.dst == {mac}", choose, hint=group.uuid)


def _arp(vip: str, *, mac: str) -> tuple[str, str]:
    """Return match and actions of the answer to ARP requests."""
    answer = (
        f"eth.dst = eth.src; eth.src = {mac}; arp.op = 2; /* ARP reply */ arp.tha = arp.sha; arp.sha = {mac}; "
        f"arp.tpa = arp.spa; arp.spa = {vip}; outport = inport; flags.loopback = 1; output;"
    )
    return f"arp.tpa == {vip} && arp.op == 1", answer


def _neighbor_discovery(vip: str, *, mac: str) -> tuple[str, str]:
    """Return match and actions of the answer to neighbour solicitations, which OVN does not have."""
    answer = (
        f"nd_na {{ eth.src = {mac}; ip6.src = {vip}; nd.target = {vip}; nd.tll = {mac}; outport = inport; "
        "flags.loopback = 1; output; };"
    )
    return f"nd_ns && ip6.dst == {{{vip}, {solicited_node(vip)}}} && nd.target == {vip}", answer


def _sentence(group: nb.ForwardingGroup) -> tuple[str, str]:
    """Return a group in words."""
    return f"forwarding group {group.name} ({group.vip}, ports {', '.join(sorted(group.child_port))})", ""


FEATURE = Feature(
    "forwarding_groups",
    rules=(forwarding_group,),
    hints=(HintedTable(nb.ForwardingGroup, _sentence, (nb.LogicalSwitch.forwarding_groups,)),),
)
