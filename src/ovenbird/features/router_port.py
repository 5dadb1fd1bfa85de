"""How a switch treats the ports that lead to routers, and to physical networks.

Who asks for a router's address is heard by that router and the other ports, not by every router of the switch; what a
router itself asks goes to no other router where there are other ports. ovn-northd(8), "Ingress Table 25", priorities 80
and 75; only what goes to all is meant, as newer releases of the original have it. Connections are not tracked at these
ports: their packets belong to the instances' zones at the other end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.features.acl import stateful
from ovenbird.logical.feature import Feature
from ovenbird.logical.flow import Author
from ovenbird.logical.pipeline import stage
from ovenbird.logical.ports import only_routers
from ovenbird.logical.routers import named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.logical.ports import SwitchPort

LOOKUP = stage("ls_in_l2_lkup")
IN_PRE_ACL, OUT_PRE_ACL = stage("ls_in_pre_acl"), stage("ls_out_pre_acl")
IN_PRE_LB, OUT_PRE_LB = stage("ls_in_pre_lb"), stage("ls_out_pre_lb")

flow = Author("router_port")


def port(port: SwitchPort) -> Iterator[Fact]:
    """Skip connection tracking at router and localnet ports; lead requests for a router's addresses to it."""
    where, hint = port.datapath, port.hint
    yield from _untracked(port)
    peer = named(port.options.get("router-port", "")) if port.type == "router" else None
    if peer is None or not (port.enabled and peer.enabled):
        return
    alone = only_routers(port.switch)
    act = asked(port.quoted, alone=alone)
    for subnet in (*peer.ipv4, *peer.ipv6):
        yield flow(LOOKUP, where, 80, asks_for(subnet.ip), act, hint)
    if alone:  # a router's own requests then go to every other router, which might translate the address
        return
    yield flow(LOOKUP, where, 75, asks_as(peer.mac), 'outport = "_MC_flood_l2"; output;', hint)


def _untracked(port: SwitchPort) -> Iterator[Fact]:
    """Skip connection tracking at a port; where the switch does not track at all, forget what a router has found."""
    tracks = stateful(port.switch)
    came, goes = f"ip && inport == {port.quoted}", f"ip && outport == {port.quoted}"
    for ingress, egress in (
        ((IN_PRE_ACL, OUT_PRE_ACL), (IN_PRE_LB, OUT_PRE_LB)) if tracks else ((IN_PRE_LB, OUT_PRE_LB),)
    ):
        yield flow(ingress, port.datapath, 110, came, "next;", port.hint, port.name)
        yield flow(egress, port.datapath, 110, goes, "next;" if tracks else "ct_clear; next;", port.hint, port.name)


def asks_for(ip: str) -> str:
    """Return the match of a request to all for an address's MAC; one to a known MAC goes where any packet goes."""
    asks = f"nd_ns && nd.target == {ip}" if ":" in ip else f"arp.op == 1 && arp.tpa == {ip}"
    return f"flags[1] == 0 && eth.mcast && {asks}"


def asks_as(mac: str) -> str:
    """Return the match of what a router itself asks of all, or tells them, by its MAC."""
    return f"eth.src == {{{mac}}} && eth.mcast && (arp.op == 1 || rarp.op == 3 || nd_ns)"


def asked(port: str, *, alone: bool) -> str:
    """Return the actions that lead a request to the router that answers it.

    Arguments:
        port: the switch port to the router, as a constant of the match language.
        alone: whether the switch has no ports but those to routers, so that nobody else need hear it.
    """
    out = f"outport = {port}; output;"
    return out if alone else f'clone {{{out} }}; outport = "_MC_flood_l2"; output;'


FEATURE = Feature("router_port", port=port, types=frozenset({"router", "localnet"}))
