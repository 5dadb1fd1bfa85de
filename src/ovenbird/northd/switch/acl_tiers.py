"""Tiers of ACLs: packets that no ACL of one tier decides go to the next tier, and finally to the default.

ovn-nb(5), ACL, `tier` and `pass`. OVN since 23.06 compares a counter in every ACL's flow. Here the flows of the ACLs of
tier 0 are the same as in a switch without tiers, in the stages of OVN 23.03. Packets that none of these ACLs decides,
or that one passes on, go to a stage after all others, whose flows, the ACLs of higher tiers, also compare the tier's
register, and from there back to the stage after the one that they came from. So the flows of tier 0 do not depend on
whether there are tiers, and a switch without tiers has no additional flows. Two sets of `from-lport` ACLs, before and
after load balancing, share a stage; their tiers have different numbers in the register.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.views import view
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.datapath_groups import DatapathGroup
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.switch.conntrack import ACL as FIRST
from ovenbird.northd.switch.conntrack import AFTER_LB
from ovenbird.pipeline.registers import COMMIT, TIER
from ovenbird.pipeline.stages import Stage, stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.model import nb

HIGHEST = 3
"""The last tier."""

flow = flow_builder("acl")


class AclPlace(NamedTuple):
    """Where one of the three sets of ACLs of a switch takes effect.

    Arguments:
        first: the stage of tier 0.
        later: that of the other tiers.
        base: what is added to a tier's number in the register.
        commits: whether connections that no ACL decides about are committed by default.
    """

    first: Stage
    later: Stage
    base: int
    commits: bool

    def jump(self, tier: int) -> str:
        """Return the actions that go on with a tier, 1 to `HIGHEST`, or with the default after the last one."""
        return f"{TIER} = {self.base + tier}; {self.later.jump};"

    def on(self, tier: int) -> str:
        """Return the action by which a packet that an ACL of a tier allows goes on."""
        return "next;" if tier == 0 else f"next(pipeline={self.first.pipeline},table={self.first.table + 1});"

    def at(self, tier: int) -> tuple[Stage, str]:
        """Return a tier's stage, and what precedes the matches of its flows there."""
        return (self.first, "") if tier == 0 else (self.later, f"{TIER} == {self.base + tier} && ")


FROM_LPORT = AclPlace(first=FIRST[0], later=stage("ls_in_acl_tiers"), base=0, commits=True)
AFTER_BALANCING = AclPlace(first=AFTER_LB, later=stage("ls_in_acl_tiers"), base=8, commits=False)
TO_LPORT = AclPlace(first=FIRST[1], later=stage("ls_out_acl_tiers"), base=0, commits=True)
PLACES = (FROM_LPORT, AFTER_BALANCING, TO_LPORT)


def place_of(acl: nb.ACL) -> AclPlace:
    """Return where an ACL takes effect."""
    if acl.direction == "to-lport":
        return TO_LPORT
    return AFTER_BALANCING if flag(acl.options, "apply-after-lb") else FROM_LPORT


@view
def owner_tiers(owner: nb.LogicalSwitch | nb.PortGroup) -> frozenset[tuple[int, int]]:
    """Return the tiers that call for more than the stages of tier 0: those above it, and each with a `pass`.

    Returns:
        The place's number in `PLACES`, and the tier.
    """
    return frozenset((PLACES.index(place_of(acl)), acl.tier) for acl in owner.acls if acl.tier or acl.action == "pass")


def tiered_switch(where: UUID, tiers: Iterable[tuple[int, int]], *, tracks: bool, drops: bool) -> Iterator[Fact]:
    """Put a switch into the datapath groups that its tiers call for, and yield the flows of these groups.

    Arguments:
        where: the switch's datapath.
        tiers: those of its ACLs and of its port groups, as from `owner_tiers`.
        tracks: whether the switch tracks connections.
        drops: whether packets that no ACL allows are dropped by default.
    """
    for number, place in enumerate(PLACES):
        used = sorted({tier for n, tier in tiers if n == number})
        if used:
            group = DatapathGroup("tiers", str(number), *map(str, used), "tracked" if tracks else "untracked")
            yield from (group.row, group.includes(where))
            yield from _ways(place, [tier for tier in used if tier], group)
            yield from _default(place, max(1, *used), group, tracks=tracks and place.commits, drops=drops)


def _ways(place: AclPlace, used: list[int], group: DatapathGroup) -> Iterator[Fact]:
    """Lead packets that no ACL of a tier decides about to the next tier with any."""
    if used:
        yield flow(place.first, group, 3, "1", place.jump(used[0]))
    for tier in range(1, max(used, default=0)):
        following = min(each for each in used if each > tier)
        yield flow(place.later, group, 3, f"{TIER} == {place.base + tier}", place.jump(following))


def _default(place: AclPlace, last: int, group: DatapathGroup, *, tracks: bool, drops: bool) -> Iterator[Fact]:
    """Treat packets that no tier decides about as those are treated that match no ACL of a switch without tiers."""
    numbers = ", ".join(str(place.base + tier) for tier in range(last, HIGHEST + 2))
    undecided, on = f"{TIER} == {{{numbers}}}", place.on(last)
    if tracks:
        blocked = f"{undecided} && ip && ct.est && ct_mark.blocked == 1"
        yield flow(place.later, group, 2, blocked, f"{COMMIT} = 1; {on}")
    if drops:
        yield flow(place.later, group, 1, undecided, "drop;")
    elif tracks:
        yield flow(place.later, group, 1, f"{undecided} && ip && !ct.est", f"{COMMIT} = 1; {on}")
    yield flow(place.later, group, 0, undecided, on)
