"""Relay of IP multicast between the switches of a router (`options:mcast_relay`).

ovn-northd(8), Logical Router Datapaths, "Ingress Table 3", "13" and "Egress Table 6". A switch sends all multicast to
routers that relay; they forward it to the switches in which a port has joined the group, and to the ports with the
option `mcast_flood`. The latter receive reports and queries too, with their TTL of 1 unchanged; those with a MAC
address of the router itself are dropped, so that they do not loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.errors import IdsExhaustedError
from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import get
from ovenbird.engine.rules import rule, singleton
from ovenbird.model import nb, sb
from ovenbird.model.options import flag
from ovenbird.northd.ir.datapath_groups import DatapathGroup
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.multicast_group import (
    IN_MULTICAST_GROUP,
    IP_GROUP_KEYS,
    MULTICAST_GROUP,
    floods,
    joined,
    relaying,
    relays,
)
from ovenbird.northd.ir.router_port import LRP, enabled, router_port_of
from ovenbird.northd.ir.southbound_rows import PORT_BINDING, datapath
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.multicast_groups import MROUTERS, STATIC
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.router_port import RouterPort

INPUT = stage("lr_in_ip_input")
ROUTING = stage("lr_in_ip_routing")
DELIVERY = stage("lr_out_delivery")

MULTICAST = "ip4.mcast || ip6.mcast"
CONTROL_PACKETS = ("igmp", "(mldv1 || mldv2)")

DEAF = DatapathGroup("routers that do not relay multicast")
FLOODING = DatapathGroup("routers with flooded ports")
RELAYING = {static: DatapathGroup("routers that relay multicast", f"{static=}") for static in (False, True)}
"""Routers that relay, by whether they have `mcast_flood` ports."""

flow = flow_builder("multicast_relay")


@singleton
def every_router() -> Iterator[Fact]:
    """Yield the common flows: routers that do not relay drop multicast; others flood unregistered groups."""
    yield from (DEAF.row, FLOODING.row, *(group.row for group in RELAYING.values()))
    yield flow(INPUT, DEAF, 82, MULTICAST, "drop;")
    for match in CONTROL_PACKETS:
        yield flow(INPUT, FLOODING, 120, f"{match} && ip.ttl == 1", "next;")
        yield flow(ROUTING, RELAYING[True], 10_460, match.strip("()"), f"clone {{ {_static('')}}};")
    for static, group in RELAYING.items():
        yield flow(INPUT, group, 82, MULTICAST, "next;")
        yield flow(ROUTING, group, 10_450, MULTICAST, f"clone {{ {_static('ip.ttl--; ')}}};" if static else "drop;")


def _static(change: str) -> str:
    return f'outport = "{STATIC[0]}"; {change}next; '


@rule(nb.LogicalRouter)
def membership(router: nb.LogicalRouter) -> Iterator[Fact]:
    """Yield a router's membership in the groups of the common flows."""
    if not enabled(router):
        return
    where, static = datapath(router), floods(router)
    yield (RELAYING[static] if relays(router) else DEAF).includes(where)
    if static:
        yield FLOODING.includes(where)


def _exit(port: RouterPort) -> UUID:
    """Return the port binding for multicast out of a router port: for a distributed gateway port, the redirect port."""
    return PORT_BINDING.uuid((port.redirect if port.is_distributed_gateway else port.name, port.datapath))


@rule(LRP)
def router_port(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Yield the flows that set a port's source MAC and prevent loops; add the port to the flood group if it has one."""
    port, router = router_port_of(lrp), lrp.referrer(nb.LogicalRouter.ports)
    if port is None or router is None:
        return
    where = port.datapath
    if port.enabled and flag(port.options, "mcast_flood"):
        yield MULTICAST_GROUP(where, *STATIC)
        yield (IN_MULTICAST_GROUP, (where, STATIC[0]), _exit(port))
    if not relays(router):
        return
    if port.enabled:
        match = f"({MULTICAST}) && outport == {port.quoted}"
        yield flow(DELIVERY, where, 110, match, f"eth.src = {port.mac}; output;", hint=port.uuid)
    if floods(router):
        for match in CONTROL_PACKETS:
            yield flow(ROUTING, where, 10_550, f"eth.src == {port.mac} && {match}", "drop;", hint=port.uuid)


@rule(sb.IGMPGroup)
def relayed(row: sb.IGMPGroup) -> Iterator[Fact]:
    """Forward packets for a group to a switch with members of it."""
    group = joined(row)
    if group is None or not group.members or group.address == MROUTERS or not group.is_routable:
        return
    for uuid in relaying.values(group.switch.uuid):
        lrp = get(LRP, uuid)
        router = lrp.referrer(nb.LogicalRouter.ports) if lrp is not None else None
        port = router_port_of(lrp) if lrp is not None else None
        if router is None or port is None or flag(port.options, "mcast_flood"):
            continue
        where, address, version = port.datapath, group.address, group.ip.version
        try:
            key = IP_GROUP_KEYS.get(address, scope=where)
        except IdsExhaustedError as error:  # until another group is removed
            yield finding(router, f"router {router.name}: {error}: further groups are not relayed")
            continue
        yield MULTICAST_GROUP(where, address, key)
        yield (IN_MULTICAST_GROUP, (where, address), _exit(port))
        static = f"clone {{ {_static('ip.ttl--; ')}}}; " if floods(router) else ""
        match = f"ip{version} && ip{version}.dst == {address}"
        yield flow(ROUTING, where, 10_500, match, f'{static}outport = "{address}"; ip.ttl--; next;')


FEATURE = Feature(
    "multicast_relay",
    rules=(every_router, membership, router_port, relayed),
    outputs=(MULTICAST_GROUP, IN_MULTICAST_GROUP),
    hints=(HintedTable(LRP),),
    drops={
        (INPUT, 82): "the router does not relay multicast",
        (ROUTING, 10_450): "no port of a switch beside the router has joined that multicast group",
    },
)
