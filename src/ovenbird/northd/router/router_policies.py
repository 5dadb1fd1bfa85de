"""Router policies: decisions that take precedence over a router's routes.

ovn-northd(8), Logical Router Datapaths, "Ingress Table 15" and "16"; ovn-nb(5), Logical_Router_Policy. A policy allows
or drops packets, or reroutes them to another next hop; with several next hops, connections are distributed over them.
A next hop with a BFD session of the policy counts while the session is up. Chains are in `policy_chains`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.findings import finding
from ovenbird.engine.ids import Pool
from ovenbird.engine.rules import rule, singleton
from ovenbird.model import nb
from ovenbird.model.options import number
from ovenbird.northd.ir.datapath_groups import ROUTERS
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import NextHop, enabled, resolve_next_hop
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.router.policy_chains import (
    CHAINED,
    CHAINS,
    CHAINS_ECMP,
    POLICY,
    POLICY_ECMP,
    UNDECIDED,
    PolicyPlace,
    hops_of,
    jump,
    place_of,
    returns,
)
from ovenbird.northd.router.routing import next_hop, towards
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import GROUP, MEMBER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

POLICY_GROUPS = Pool("group of a policy's next hops", 1, 65_535)
"""One scope for each router."""

flow = flow_builder("router_policies")


@singleton
def every_router() -> Iterator[Fact]:
    """Leave packets that match no policy to the routes."""
    yield ROUTERS.row
    yield flow(POLICY, ROUTERS, 0, "1", f"{GROUP} = 0; next;")
    yield flow(POLICY_ECMP, ROUTERS, 150, f"{GROUP} == 0", "next;")
    yield flow(POLICY_ECMP, ROUTERS, 0, "1", "drop;")


@rule(nb.LogicalRouterPolicy)
def policy(row: nb.LogicalRouterPolicy) -> Iterator[Fact]:
    """Make the flows of one policy."""
    router = row.referrer(nb.LogicalRouter.policies)
    if router is None or not enabled(router):
        return
    place = place_of(router, row.chain)
    if row.chain:
        yield from _chained(datapath(router))
    mark = f"pkt.mark = {value}; " if (value := number(row.options, "pkt_mark", 0, high=0xFFFF_FFFF)) else ""
    if row.action == "reroute":
        yield from _reroute(row, router, place, mark)
    elif row.action != "jump":
        act = "drop;" if row.action == "drop" else f"{mark}{GROUP} = 0; {place.decided}"
        yield _flow(row, router, place, act)
    elif not row.jump_chain or returns(router, (row.chain or "", row.jump_chain)):
        why = "it would never end" if row.jump_chain else "it names no chain"
        yield finding(row, f"router {router.name}: the jump of policy {row.priority} {row.match!r} is left out: {why}")
    else:
        yield _flow(row, router, place, f"{mark}{jump(router, row.jump_chain)}")
        yield from _chained(datapath(router))


def _chained(where: UUID) -> Iterator[Fact]:
    """Leave packets that match no policy of a chain to the routes."""
    yield from (CHAINED.row, CHAINED.includes(where))
    yield flow(CHAINS, CHAINED, 0, "1", f"{GROUP} = 0; {UNDECIDED}")
    yield flow(CHAINS_ECMP, CHAINED, 0, "1", "drop;")


def _flow(row: nb.LogicalRouterPolicy, router: nb.LogicalRouter, place: PolicyPlace, act: str) -> Fact:
    match = f"{place.condition}({row.match})" if place.condition else row.match
    return flow(place.first, datapath(router), row.priority, match, act, hint=row.uuid)


def _reroute(row: nb.LogicalRouterPolicy, router: nb.LogicalRouter, place: PolicyPlace, mark: str) -> Iterator[Fact]:
    """Reroute to the policy's next hops; if one of them is in no network of the router, the policy has no effect."""
    hops = hops_of(row)
    ways = [(hop, way) for text in hops for hop, way in _ways(router, text)]
    if not ways or len(ways) != len(hops):
        lost = [text for text in hops if not any(_ways(router, text))] or ["nothing"]
        yield finding(
            row,
            f"router {router.name}: policy {row.priority} {row.match!r} is left out: no port of the router has a "
            f"network that contains {', '.join(lost)}",
        )
        return
    down = {(each.logical_port, next_hop(each.dst_ip)) for each in row.bfd_sessions if each.status != "up"}
    actions = [
        f"{mark}{towards(way, hop, ':' in hop)} flags.loopback = 1;"
        for hop, way in ways
        if (way.port.name, hop) not in down
    ]
    if not actions:
        return
    if len(actions) == 1:
        yield _flow(row, router, place, f"{actions[0]} {GROUP} = 0; {place.decided}")
        return
    number = POLICY_GROUPS.get(row.uuid, scope=router.uuid)
    members = ", ".join(str(n) for n in range(1, len(actions) + 1))
    yield _flow(row, router, place, f"{GROUP} = {number}; {MEMBER} = select({members});")
    for member, act in enumerate(actions, 1):
        match = f"{GROUP} == {number} && {MEMBER} == {member}"
        yield flow(place.ecmp, datapath(router), 100, match, f"{act} {place.chosen}", hint=row.uuid)


def _ways(router: nb.LogicalRouter, text: str) -> Iterator[tuple[str, NextHop]]:
    hop = next_hop(text)
    way = resolve_next_hop(router, hop) if hop else None
    if way is not None:
        yield hop, way


def _told(row: nb.LogicalRouterPolicy) -> tuple[str, str]:
    via = f" via {', '.join(hops_of(row))}" if row.action == "reroute" else ""
    to = f" to {row.jump_chain}" if row.action == "jump" else ""
    chain = f"of chain {row.chain} " if row.chain else ""
    return f"routing policy {chain}{row.priority} {row.action}{via}{to}", row.match


FEATURE = Feature(
    "router_policies",
    rules=(every_router, policy),
    hints=(HintedTable(nb.LogicalRouterPolicy, _told, (nb.LogicalRouter.policies,)),),
)
