"""Routing daemons at a switch's port that act for a router's port (`routing-protocol-redirect`, `routing-protocols`).

ovn-nb(5), Logical_Router_Port; ovn-northd(8), "Ingress Table 0" and "Ingress Table 28" of OVN 25.03. Packets of the
protocols to the router port's addresses go to the daemon's port; ARP and ND replies of neighbours go to both. The
daemon's port has the router port's addresses as well, and must not answer requests for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule
from ovenbird.model import nb
from ovenbird.northd.ir.addresses import quote
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import LRP, peer_switch_port, router_port_of
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import PORT_SEC_DROP
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

IN_CHECK = stage("ls_in_check_port_sec")
L2_LOOKUP = stage("ls_in_l2_lkup")

PORTS = {"BGP": ("tcp", 179), "BFD": ("udp", 3784)}
"""RFC 4271, section 8.2.1; RFC 5881, section 4."""

flow = flow_builder("routing_protocols")


@rule(LRP)
def redirected(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Send a router port's packets of routing protocols to a daemon at a port of the switch that it leads to."""
    name = lrp.options.get("routing-protocol-redirect", "")
    port = router_port_of(lrp) if name else None
    if port is None or not port.enabled:
        return
    asked = [word.strip() for word in lrp.options.get("routing-protocols", "").split(",") if word.strip()]
    for word in asked:
        if word.upper() not in PORTS:
            yield finding(lrp, f"port {lrp.name}: {word!r} in routing-protocols is left out: it is not BGP or BFD")
    protocols = sorted({PORTS[word.upper()] for word in asked if word.upper() in PORTS})
    peer, daemon = peer_switch_port(lrp.name), find(nb.LogicalSwitchPort.name, name)
    if peer is None or daemon is None or peer.switch not in daemon.referrers(nb.LogicalSwitch.ports):
        yield finding(lrp, f"port {lrp.name}: no routing protocols are redirected: {name} is no port of its switch")
    elif protocols and peer.lsp.enabled is not False:
        where, router = datapath(peer.switch), f"outport = {quote(peer.lsp.name)}; output;"
        yield from _silent(where, daemon.name, lrp.uuid)
        for subnet in (*port.ipv4, *port.ipv6):
            yield from _redirection(where, subnet.ip, protocols, (quote(name), router), lrp.uuid)


def _silent(where: UUID, daemon: str, hint: UUID) -> Iterator[Fact]:
    """Drop a daemon's answers to requests for addresses, and its router advertisements."""
    for told in ("arp.op == 2", "nd_na", "nd_ra"):
        match = f"inport == {quote(daemon)} && {told}"
        yield flow(IN_CHECK, where, 80, match, f"{PORT_SEC_DROP} = 1; next;", hint=hint, port=daemon)


def _redirection(
    where: UUID, ip: str, protocols: list[tuple[str, int]], to: tuple[str, str], hint: UUID
) -> Iterator[Fact]:
    """Yield the flows for one address of the router port.

    Arguments:
        where: the switch's datapath.
        ip: the address.
        protocols: transport protocols and ports.
        to: the daemon's port, quoted, and the actions that output to the router's.
        hint: the router port's UUID.
    """
    daemon, router = to
    six = ":" in ip
    mine, act = f"ip{6 if six else 4}.dst == {ip}", f"outport = {daemon}; output;"
    answers = f"{mine} && nd_na" if six else f"arp.op == 2 && arp.tpa == {ip}"
    yield flow(L2_LOOKUP, where, 100, answers, f"clone {{ {act} }}; {router}", hint=hint)
    for transport, number in protocols:
        for end in ("dst", "src"):  # who connects to the daemon, and whom it connects to
            yield flow(L2_LOOKUP, where, 100, f"{mine} && {transport}.{end} == {number}", act, hint=hint)


FEATURE = Feature("routing_protocols", rules=(redirected,), hints=(HintedTable(LRP),))
