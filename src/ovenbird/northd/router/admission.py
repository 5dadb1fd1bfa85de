"""Admission and delivery: which packets a router accepts and sends at its ports, and the default flows.

ovn-northd(8), Logical Router Datapaths, "Ingress Table 0", "18", "19" and "Egress Table 6". Frames to a distributed
gateway port's own MAC are accepted on the chassis where it is active; on any, if its switch has a VTEP gateway. A port
with `gateway_mtu` checks the size of packets in both directions; a packet that is too large is answered with ICMP,
unless `gateway_mtu_bypass` exempts it. The ICMP error quotes a translated packet as it is after translation; the error
is therefore sent through the connection tracking of the gateway that it leaves by, which translates both, so that the
sender recognises the packet (RFC 5508, section 4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import number
from ovenbird.northd.ir.datapath_groups import ROUTERS
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import LRP, RouterPort, enabled, has_gateways, peer_switch_port, router_port_of
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.ir.table_miss import table_misses
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import DNAT_LOCAL, LOOPED, QUOTES_INSIDE, TOO_LARGE
from ovenbird.pipeline.stages import ROUTER_EGRESS, ROUTER_INGRESS, stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ovenbird.engine.facts import Fact

ADMISSION = stage("lr_in_admission")
IP_INPUT = stage("lr_in_ip_input")
MEASURE = stage("lr_in_chk_pkt_len")
REFUSE = stage("lr_in_larger_pkts")
TRANSLATED_HERE = stage("lr_out_chk_dnat_local")
UNDNAT = stage("lr_out_undnat")
SNAT = stage("lr_out_snat")
DELIVERY = stage("lr_out_delivery")

ERRORS = 300
"""The priority of flows for ICMP errors that quote a translated packet: above all translations."""

ETHERNET = 14
"""Octets that a frame has beyond the MTU; a VLAN tag is not counted."""

flow = flow_builder("admission")


def _measures(values: list[Any]) -> tuple[bool, ...]:
    return (True,) if "gateway_mtu" in values[LRP.options.index] else ()


MEASURED = ComputedIndex(LRP.options, keys=_measures, parent=nb.LogicalRouter.ports)
"""A router's ports with `gateway_mtu`."""


@rule(nb.LogicalRouter)
def membership(router: nb.LogicalRouter) -> Iterator[Fact]:
    """Put a router into the datapath group of all routers."""
    if enabled(router):
        yield ROUTERS.includes(datapath(router))


@singleton
def every_router() -> Iterator[Fact]:
    """Drop what no port admits, and install the default flow of every router stage."""
    yield ROUTERS.row
    yield flow(ADMISSION, ROUTERS, 100, "vlan.present || eth.src[40]", "drop;")
    yield flow(TRANSLATED_HERE, ROUTERS, 0, "1", f"{DNAT_LOCAL} = 0; next;")
    yield from table_misses(flow, (*ROUTER_INGRESS, *ROUTER_EGRESS), ROUTERS)


@rule(nb.LogicalRouterPort)
def router_port(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Admit packets for the port, deliver packets that leave by it, and check their length."""
    port = router_port_of(lrp)
    if port is None:
        return
    where, name, hint, mtu = port.datapath, port.quoted, port.uuid, mtu_of(port)
    if port.enabled:
        act = f"xreg0[0..47] = {port.mac}; next;"
        met = peer_switch_port(port.name)
        resident = "" if met is not None and has_gateways(met.switch) else port.resident
        cast, own = f"eth.mcast && inport == {name}", f"eth.dst == {port.mac} && inport == {name}{resident}"
        if mtu:
            measure = f"{TOO_LARGE} = check_pkt_larger({mtu + ETHERNET}); "
            if careless := port.options.get("gateway_mtu_bypass"):
                yield flow(ADMISSION, where, 55, f"{cast} && ({careless})", act, hint=hint)
                yield flow(ADMISSION, where, 55, f"{own} && ({careless})", act, hint=hint)
            act = f"{measure}{act}"
        yield flow(ADMISSION, where, 50, cast, act, hint=hint)
        yield flow(ADMISSION, where, 50, own, act, hint=hint)
        yield flow(DELIVERY, where, 100, f"outport == {name}", "output;", hint=hint)
    if mtu:
        yield from _measured(port, mtu)
    others = [(limit, quoted) for limit, quoted in limits(lrp) if quoted != name]
    if others:
        yield from _quoting_inside(port)
    for limit, quoted in others:
        match = f"inport == {name} && outport == {quoted}"
        for family, answer, meter in _too_large(port, limit, f"{QUOTES_INSIDE} = 1; "):
            yield flow(REFUSE, where, 150, f"{match} && {family}", answer, hint=hint, meter=meter)


def _quoting_inside(port: RouterPort) -> Iterator[Fact]:
    """Translate ICMP errors about packets whose destination was translated when they came in by the port."""
    match = f"icmp && {QUOTES_INSIDE} == 1 && outport == {port.quoted}"
    if port.chassis:
        yield flow(SNAT, port.datapath, ERRORS, match, "ct_snat;", hint=port.uuid)
    elif port.is_distributed_gateway:
        yield flow(UNDNAT, port.datapath, ERRORS, f"{match}{port.resident}", "ct_dnat_in_czone;", hint=port.uuid)


def mtu_of(port: RouterPort) -> int:
    """Return a port's `gateway_mtu`, or 0."""
    return number(port.options, "gateway_mtu", 0)


@view
def router_limits(router: nb.LogicalRouter) -> tuple[tuple[int, str], ...]:
    """Return the MTU and the quoted name of each port of a router that has one."""
    ports = [port for lrp in MEASURED.rows(router.uuid, True) if (port := router_port_of(lrp)) is not None]
    return tuple(sorted((mtu, port.quoted) for port in ports if (mtu := mtu_of(port))))


def limits(lrp: nb.LogicalRouterPort) -> tuple[tuple[int, str], ...]:
    """Return the same for the router of a port."""
    router = lrp.referrer(nb.LogicalRouter.ports)
    return router_limits(router) if router is not None else ()


def _measured(port: RouterPort, mtu: int) -> Iterator[Fact]:
    goes = f"outport == {port.quoted}"
    if careless := port.options.get("gateway_mtu_bypass"):
        yield flow(MEASURE, port.datapath, 55, f"{goes} && ({careless})", "next;", hint=port.uuid)
    measure = f"{TOO_LARGE} = check_pkt_larger({mtu + ETHERNET}); next;"
    yield flow(MEASURE, port.datapath, 50, goes, measure, hint=port.uuid)
    # RFC 1812, section 4.3.2.7: no error is sent about what was for many.
    cast = f"inport == {port.quoted} && ip && eth.mcast && {TOO_LARGE} && {LOOPED} == 0"
    yield flow(IP_INPUT, port.datapath, 155, cast, "drop;", hint=port.uuid)
    for family, answer, meter in _too_large(port, mtu):
        match = f"inport == {port.quoted} && {family}"
        yield flow(IP_INPUT, port.datapath, 150, match, answer, hint=port.uuid, meter=meter)


def _too_large(port: RouterPort, mtu: int, first: str = "") -> Iterator[tuple[str, str, str | None]]:
    """Yield, for each IP version, a match, the actions that answer too large packets from ``port``, and their meter.

    Arguments:
        port: where the packet came in.
        mtu: the MTU to report, in bytes.
        first: the first actions on the answer.
    """
    once = f"{TOO_LARGE} && {LOOPED} == 0"
    begin = f"{first}{LOOPED} = 1; {TOO_LARGE} = 0; eth.dst = {port.mac};"
    again = f"next(pipeline=ingress, table={ADMISSION.table}); }};"
    if port.ipv4:
        turn = f"ip4.dst = ip4.src; ip4.src = {port.ipv4[0].ip}; ip.ttl = 255;"
        answer = f"icmp4_error {{{begin} {turn} {too_large('ip4', mtu)} {again}"
        yield f"ip4 && {once}", answer, port.meters.get("icmp4-error")
    if port.ipv6:
        turn = f"ip6.dst = ip6.src; ip6.src = {port.ipv6[0].ip}; ip.ttl = 255;"
        answer = f"icmp6_error {{{begin} {turn} {too_large('ip6', mtu)} {again}"
        yield f"ip6 && {once}", answer, port.meters.get("icmp6-error")


def too_large(ip: str, mtu: int) -> str:
    """Return the actions that fill in an ICMP error about a packet that was too large.

    Arguments:
        ip: `ip4` (RFC 1191) or `ip6` (RFC 4443, section 3.2).
        mtu: the MTU to report, in bytes.
    """
    if ip == "ip4":
        return (
            "icmp4.type = 3; /* Destination Unreachable. */ icmp4.code = 4; /* Frag Needed and DF was Set. */ "
            f"icmp4.frag_mtu = {mtu};"
        )
    return f"icmp6.type = 2; /* Packet Too Big. */ icmp6.code = 0; icmp6.frag_mtu = {mtu};"


FEATURE = Feature("admission", rules=(membership, every_router, router_port), hints=(HintedTable(LRP),))
