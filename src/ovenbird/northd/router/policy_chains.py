"""Chains of router policies: where the policies of each take effect, and which jumps would never end.

ovn-nb(5), Logical_Router_Policy, `chain` and `jump_chain`. OVN since 24.09 compares the number of the chain in the flow
of every policy. Here the flows of policies without a chain are the same as in a router without chains. A `jump` leads
to a stage after all others, whose flows, the policies of chains, also compare the chain's number, and from there back
to the stage after that of policies. Packets that no policy of a chain decides are routed by the routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.ids import Pool
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.datapath_groups import DatapathGroup
from ovenbird.pipeline.registers import POLICY_CHAIN
from ovenbird.pipeline.stages import Stage, stage

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

POLICY = stage("lr_in_policy")
POLICY_ECMP = stage("lr_in_policy_ecmp")
CHAINS = stage("lr_in_policy_chains")
CHAINS_ECMP = stage("lr_in_policy_chains_ecmp")
RESOLVE = stage("lr_in_arp_resolve")

CHAINED = DatapathGroup("routers with chains")
"""Routers with policies in chains."""

POLICY_CHAINS = Pool("chain of policies", 1, 65_535)
"""One scope for each router."""


class PolicyPlace(NamedTuple):
    """Where the policies of a chain take effect.

    Arguments:
        first, ecmp: the stages of policies, and of the choice between several next hops.
        condition: what precedes matches in the first stage.
        decided, chosen: how packets go on from either.
    """

    first: Stage
    ecmp: Stage
    condition: str
    decided: str
    chosen: str


_UNCHAINED = PolicyPlace(first=POLICY, ecmp=POLICY_ECMP, condition="", decided="next;", chosen="next;")


UNDECIDED = f"{POLICY_ECMP.jump};"
"""How packets that no policy of a chain decides about go on."""


def place_of(router: nb.LogicalRouter, chain: str | None) -> PolicyPlace:
    """Return where the policies of a chain, None or empty for those of no chain, take effect."""
    if not chain:
        return _UNCHAINED
    condition = f"{POLICY_CHAIN} == {POLICY_CHAINS.get(chain, scope=router.uuid)} && "
    return PolicyPlace(
        first=CHAINS, ecmp=CHAINS_ECMP, condition=condition, decided=UNDECIDED, chosen=f"{RESOLVE.jump};"
    )


def jump(router: nb.LogicalRouter, chain: str) -> str:
    """Return the actions that go on with the policies of a chain."""
    return f"{POLICY_CHAIN} = {POLICY_CHAINS.get(chain, scope=router.uuid)}; {CHAINS.jump};"


def _jumps(values: list[Any]) -> Iterable[str]:
    return ("",) if values[nb.LogicalRouterPolicy.action.index] == "jump" else ()


JUMPS = ComputedIndex(nb.LogicalRouterPolicy.action, keys=_jumps, parent=nb.LogicalRouter.policies)
"""A router's policies that jump."""


@view
def jumps(router: nb.LogicalRouter) -> frozenset[tuple[str, str]]:
    """Return the chains between which a router's policies jump; none is the empty string."""
    return frozenset((row.chain or "", row.jump_chain or "") for row in JUMPS.rows(router.uuid, ""))


@view
def _components(router: nb.LogicalRouter) -> dict[str, str]:
    """Return a chain of each set of chains that packets can go round in, by the chains of the set (Kosaraju)."""
    onward: dict[str, list[str]] = {}
    back: dict[str, list[str]] = {}
    for here, there in jumps(router):
        onward.setdefault(here, []).append(there)
        back.setdefault(there, []).append(here)
    ended: dict[str, None] = {}  # chains, each after those that it leads to, but for circles
    for start in sorted(onward):
        ended |= dict.fromkeys(_reached(onward, start, known=ended))
    found: dict[str, str] = {}
    for start in reversed(ended):
        if start not in found:
            found |= dict.fromkeys(_reached(back, start, known=found), start)
    return found


def _reached(ways: Mapping[str, list[str]], start: str, *, known: Container[str]) -> list[str]:
    """Return the chains that can be reached from one, each after those that are reached by it; itself last.

    Arguments:
        ways: the chains that each chain leads to.
        start: where to begin.
        known: chains that are left out.
    """
    ended: list[str] = []
    if start in known:
        return ended
    seen, open_ = {start}, [(start, iter(ways.get(start, ())))]
    while open_:
        here, further = open_[-1]
        there = next((each for each in further if each not in seen and each not in known), None)
        if there is None:
            ended.append(here)
            open_.pop()
        else:
            seen.add(there)
            open_.append((there, iter(ways.get(there, ()))))
    return ended


@view
def returns(router: nb.LogicalRouter, jump: tuple[str, str]) -> bool:
    """Return whether packets that jump from one chain to another can come back to the first.

    Arguments:
        router: whose policies.
        jump: the chain that it is in, empty for none, and the one that it leads to.
    """
    chain, there = jump
    found = _components(router)
    return found.get(chain) == found.get(there) is not None


def hops_of(row: nb.LogicalRouterPolicy) -> list[str]:
    """Return the next hops of a policy, as it writes them."""
    return sorted(row.nexthops) or ([row.nexthop] if row.nexthop else [])
