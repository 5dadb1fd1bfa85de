"""Router policies: decisions that take precedence over a router's routes.

ovn-northd(8), Logical Router Datapaths, "Ingress Table 15" and "16"; ovn-nb(5), Logical_Router_Policy. A policy allows
or drops packets, or reroutes them to another next hop; with several next hops, connections are distributed over them.
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
from ovenbird.northd.ir.flow import FlowBuilder
from ovenbird.northd.ir.router_port import NextHop, enabled, resolve_next_hop
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.router.routing import next_hop, towards
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import GROUP, MEMBER
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

POLICY = stage("lr_in_policy")
POLICY_ECMP = stage("lr_in_policy_ecmp")

POLICY_GROUPS = Pool("group of a policy's next hops", 1, 65_535)
"""One scope for each router."""

flow = FlowBuilder("router_policies")


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
    where, priority, match, hint = datapath(router), row.priority, row.match, row.uuid
    mark = f"pkt.mark = {value}; " if (value := number(row.options, "pkt_mark", 0, high=0xFFFF_FFFF)) else ""
    if row.action == "drop":
        yield flow(POLICY, where, priority, match, "drop;", hint=hint)
    elif row.action == "allow":
        yield flow(POLICY, where, priority, match, f"{mark}{GROUP} = 0; next;", hint=hint)
    else:
        yield from _reroute(row, router, where, mark)


def _reroute(row: nb.LogicalRouterPolicy, router: nb.LogicalRouter, where: UUID, mark: str) -> Iterator[Fact]:
    """Reroute to the policy's next hops; if one of them is in no network of the router, the policy has no effect."""
    hops = sorted(row.nexthops) or ([row.nexthop] if row.nexthop else [])
    ways = [(hop, way) for text in hops for hop, way in _ways(router, text)]
    if not ways or len(ways) != len(hops):
        lost = [text for text in hops if not any(_ways(router, text))] or ["nothing"]
        yield finding(
            row,
            f"router {router.name}: policy {row.priority} {row.match!r} is left out: no port of the router has a "
            f"network that contains {', '.join(lost)}",
        )
        return
    actions = [f"{mark}{towards(way, hop, ':' in hop)} flags.loopback = 1;" for hop, way in ways]
    if len(actions) == 1:
        act = f"{actions[0]} {GROUP} = 0; next;"
        yield flow(POLICY, where, row.priority, row.match, act, hint=row.uuid)
        return
    number = POLICY_GROUPS.get(row.uuid, scope=router.uuid)
    members = ", ".join(str(n) for n in range(1, len(actions) + 1))
    act = f"{GROUP} = {number}; {MEMBER} = select({members});"
    yield flow(POLICY, where, row.priority, row.match, act, hint=row.uuid)
    for member, act in enumerate(actions, 1):
        yield flow(
            POLICY_ECMP, where, 100, f"{GROUP} == {number} && {MEMBER} == {member}", f"{act} next;", hint=row.uuid
        )


def _ways(router: nb.LogicalRouter, text: str) -> Iterator[tuple[str, NextHop]]:
    hop = next_hop(text)
    way = resolve_next_hop(router, hop) if hop else None
    if way is not None:
        yield hop, way


def _told(row: nb.LogicalRouterPolicy) -> tuple[str, str]:
    hops = sorted(row.nexthops) or ([row.nexthop] if row.nexthop else [])
    via = f" via {', '.join(hops)}" if row.action == "reroute" else ""
    return f"routing policy {row.priority} {row.action}{via}", row.match


FEATURE = Feature(
    "router_policies",
    rules=(every_router, policy),
    hints=(HintedTable(nb.LogicalRouterPolicy, _told, (nb.LogicalRouter.policies,)),),
)
