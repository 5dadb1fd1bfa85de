"""Access control lists: the packets that a switch permits, by its own ACLs and those of its ports' port groups.

ovn-nb(5), ACL; ovn-northd(8), "Ingress Table 4", "8", "17" and "Egress Table 4". An ACL of a port group is one set of
flows for the datapath group "has a port in that port group", so it costs the same for one switch and for five hundred;
each port yields the groups of its switch. Whether a switch tracks connections depends on its ACLs and on whether it has
load balancers; on a switch that does not, ACLs are plain flows without hints. There are therefore two such datapath
groups for each port group, and a port yields the one for its switch. The first ACL that makes a switch track
connections costs one run for each port in a group, and so does the first load balancer. What tiers and
samples add is in `acl_tiers` and `acl_samples`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.overlap import Overlap
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.copp import meters
from ovenbird.northd.ir.datapath_groups import (
    FILTERED,
    PERSISTENT,
    STATEFUL,
    SWITCHES,
    TRACKING,
    DatapathGroup,
    port_group,
)
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.load_balancer import balances
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.ir.switch_port import global_flag
from ovenbird.northd.shared.meters import METER, METER_BAND, log_action
from ovenbird.northd.switch.acl_persistence import (
    ACL_IDS,
    commit_with,
    commits,
    keep_ids,
    passing,
    persists,
    row_of,
)
from ovenbird.northd.switch.acl_samples import ESTABLISHED as OLD
from ovenbird.northd.switch.acl_samples import NEW, by_state, label_of, sample_action
from ovenbird.northd.switch.acl_tiers import PLACES, AclPlace, owner_tiers, place_of, tiered_switch
from ovenbird.northd.switch.conntrack import ACL as STAGES
from ovenbird.northd.switch.conntrack import PRE_ACL
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import (
    COMMIT,
    ESTABLISHED,
    HINT_ALLOW,
    HINT_ALLOW_NEW,
    HINT_BLOCK,
    HINT_DROP,
    LABEL,
    LABEL_SET,
    STATELESS,
)
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.switch_port import SwitchPort

flow = flow_builder("acl")

ALLOWING = ("allow", "allow-related")

OFFSET = 1000
"""Added to an ACL's priority, so that other flows fit below and above."""

_BLOCK = "ct_commit { ct_mark.blocked = 1; }; "
_REJECT = {
    "from-lport": stage("ls_out_qos_mark").jump,
    "to-lport": stage("ls_in_l2_lkup").jump,
}


class AclKinds(NamedTuple):
    """What kinds of ACLs a switch or port group has.

    Arguments:
        present: whether there are any.
        tracking: whether any track connections.
        persistent: whether any have connections that outlive changes of ACLs.
    """

    present: bool
    tracking: bool
    persistent: bool


@view
def acl_kinds(owner: nb.LogicalSwitch | nb.PortGroup) -> AclKinds:
    """Return the kinds of a switch's or port group's ACLs."""
    acls = owner.acls
    related = [acl for acl in acls if acl.action == "allow-related"]
    return AclKinds(present=bool(acls), tracking=bool(related), persistent=any(map(persists, related)))


PORT_GROUPS_ON_SWITCHES = Overlap(nb.LogicalSwitch.ports, other=nb.PortGroup.ports)
"""The port groups with a port on a switch."""


class SwitchAcls(NamedTuple):
    """What a switch needs for its ACLs and those of the port groups with a port on it.

    Arguments:
        tracking: whether any track connections.
        persistent: whether any have connections that outlive changes of ACLs.
        tiers: those of all of them, as from `owner_tiers`.
    """

    tracking: bool
    persistent: bool
    tiers: frozenset[tuple[int, int]]


@view
def switch_acls(switch: nb.LogicalSwitch) -> SwitchAcls:
    """Return what a switch needs for ACLs."""
    owners: list[nb.LogicalSwitch | nb.PortGroup] = [switch, *PORT_GROUPS_ON_SWITCHES.rows(switch)]
    kinds = {owner: acl_kinds(owner) for owner in owners}
    return SwitchAcls(
        tracking=any(each.tracking for each in kinds.values()),
        persistent=any(each.persistent for each in kinds.values()),
        tiers=frozenset().union(*[owner_tiers(owner) for owner, each in kinds.items() if each.present]),
    )


def stateful(switch: nb.LogicalSwitch) -> bool:
    """Return whether a switch has ACLs that track connections: its own, or those of its ports' groups."""
    return switch_acls(switch).tracking


@view
def tracking(switch: nb.LogicalSwitch) -> bool:
    """Return whether a switch tracks connections, for ACLs or load balancers."""
    return stateful(switch) or balances(switch)


def drops_by_default() -> bool:
    """Return whether packets that no ACL allows are dropped on switches with ACLs (`default_acl_drop`)."""
    return global_flag("default_acl_drop", False)


@rule(nb.LogicalSwitch)
def acl_groups(switch: nb.LogicalSwitch) -> Iterator[Fact]:
    """Put a switch into the datapath groups that its own ACLs call for."""
    if acl_kinds(switch).present and drops_by_default():
        yield FILTERED.includes(datapath(switch))
    kinds, tracks = switch_acls(switch), tracking(switch)
    if kinds.tracking:
        yield STATEFUL.includes(datapath(switch))
    if tracks:
        yield TRACKING.includes(datapath(switch))
    if kinds.persistent:
        yield PERSISTENT.includes(datapath(switch))
    if kinds.tiers:
        yield from tiered_switch(datapath(switch), kinds.tiers, tracks=tracks, drops=drops_by_default())


@view
def groups_by_port_group(group: nb.PortGroup, switch: nb.LogicalSwitch) -> tuple[Fact, ...]:
    """Return the datapath groups that a switch is in because of a port group with a port on it.

    If the switch has a meter for rejections, that includes the port group's flows for this meter.
    """
    if not acl_kinds(group).present:
        return ()
    where, meter, tracks = datapath(switch), meters(switch).get("reject", ""), tracking(switch)
    members = port_group(group.uuid, meter=meter, tracks=tracks)
    found = [members.includes(where)]
    if meter:
        found.append(members.row)
        for acl in group.acls:
            found += _flows(acl, members, meter, tracks=tracks)
    if drops_by_default():
        found.append(FILTERED.includes(where))
    return tuple(found)


def port(port: SwitchPort) -> Iterable[Fact]:
    """Put the port's switch into the datapath groups that the port's groups call for."""
    return [fact for group in port.groups for fact in groups_by_port_group(group, port.switch)]


@singleton
def neighbor_discovery() -> Iterator[Fact]:
    """Let neighbour discovery pass regardless of ACLs; treat what no ACL matches, and commit with ACLs' numbers."""
    yield SWITCHES.row
    for place in PLACES:
        yield flow(place.first, SWITCHES, 65_532, "nd || nd_ra || nd_rs || mldv1 || mldv2", "next;")
    if drops_by_default():
        yield FILTERED.row
        for place in PLACES:
            yield flow(place.first, FILTERED, 1, "1", "drop;")
    yield from commits()


@rule(nb.ACL)
def acl_flows(acl: nb.ACL) -> Iterator[Fact]:
    """Make the flows of one ACL, for its switch or port group."""
    yield from row_of(acl)
    for switch in acl.referrers(nb.LogicalSwitch.acls):
        yield from _flows(acl, datapath(switch), meters(switch).get("reject"), tracks=tracking(switch))
    for group in acl.referrers(nb.PortGroup.acls):
        for tracks in (True,) if acl_kinds(group).tracking else (True, False):
            members = port_group(group.uuid, tracks=tracks)
            yield members.row
            yield from _flows(acl, members, tracks=tracks)


def _flows(acl: nb.ACL, where: UUID | DatapathGroup, meter: str | None = None, *, tracks: bool) -> Iterable[Fact]:
    """Yield the flows of an ACL for datapaths that either all track connections, or all do not."""
    action, place = acl.action, place_of(acl)
    log, bands = log_action(acl, {"drop": "drop", "reject": "reject"}.get(action, "allow"))
    yield from bands
    if action == "allow-stateless" and tracks:
        pre_acl = PRE_ACL[acl.direction == "to-lport"]
        yield flow(pre_acl, where, acl.priority + OFFSET, acl.match, f"{STATELESS} = 1; next;", hint=acl.uuid)
    at, tier = place.at(acl.tier)
    meter = meter if action == "reject" else None
    for condition, act in _verdicts(acl, place, log, tracks=tracks):
        match = f"{tier}{condition}({acl.match})" if tier or condition else acl.match
        yield flow(at, where, acl.priority + OFFSET, match, act, hint=acl.uuid, meter=meter)
    if tracks and action in ALLOWING:
        yield from _without_match(acl, where, log)
        yield from passing(acl, where)


def _verdicts(acl: nb.ACL, place: AclPlace, log: str, *, tracks: bool) -> Iterator[tuple[str, str]]:
    """Yield conditions, to precede the ACL's match, and actions.

    On switches with connection tracking they use the hints of `ls_in_acl_hint`; on others, one flow takes every packet.
    """
    action, on = acl.action, place.on(acl.tier)
    new, old = sample_action(acl, NEW), sample_action(acl, OLD)
    refuses = action in ("drop", "reject")
    verdict = _refusal(acl) if refuses else place.jump(acl.tier + 1) if action == "pass" else on
    if not tracks or action == "allow-stateless":
        yield "", f"{log}{new}{verdict}"
    elif refuses:
        yield from by_state(acl, f"{HINT_DROP} == 1 && ", act=f"{log}{verdict}")
        yield f"{HINT_BLOCK} == 1 && ", f"{_BLOCK}{log}{old}{verdict}"
    elif action == "pass":
        yield from by_state(acl, "", act=f"{log}{verdict}")
    else:
        label = f"{LABEL_SET} = 1; {LABEL} = {value}; " if (value := label_of(acl)) else ""
        commit = f"{COMMIT} = 1; {commit_with(acl)}{label}"
        yield f"{HINT_ALLOW_NEW} == 1 && ", f"{commit}{log}{new}{verdict}"
        yield from by_state(acl, f"{HINT_ALLOW} == 1 && ", act=f"{commit if label else ''}{log}{verdict}")


def _refusal(acl: nb.ACL) -> str:
    """Return the actions by which a packet is dropped or rejected."""
    if acl.action == "drop":
        return "/* drop */"
    swap = "/* eth.dst <-> eth.src; ip.dst <-> ip.src; is implicit. */ outport <-> inport;"
    return f"reg0 = 0; reject {{ {swap} {_REJECT[acl.direction]}; }};"


def _without_match(acl: nb.ACL, where: UUID | DatapathGroup, log: str) -> Iterator[Fact]:
    """Log and sample what passes without a match since it belongs to a connection that the ACL labelled.

    That is replies and related packets in the other direction, and of related ones those in its own are sampled, too.
    """
    sample, own = sample_action(acl, OLD), acl.direction == "to-lport"
    if not (acl.label and acl.log and flag(acl.options, "log-related")):
        log = ""
    if not log and not sample:
        return
    valid = " && !ct.inv" if global_flag("use_ct_inv_match", True) else ""
    same = f"ct_mark.blocked == 0 && ct_label.label == {label_of(acl)}"
    opposite = STAGES[not own]
    done = f"{HINT_DROP} = 0; {HINT_BLOCK} = 0; {ESTABLISHED} = 1; " if opposite is STAGES[0] else ""
    reply = f"ct.est && !ct.rel && !ct.new{valid} && ct.rpl && {same}"
    yield flow(opposite, where, 65_533, reply, f"{log}{sample}{done}next;", hint=acl.uuid)
    for stage_, logs in ((opposite, log), (STAGES[own], "")):
        done = f"{ESTABLISHED} = 1; " if stage_ is STAGES[0] else ""
        related = f"!ct.est && ct.rel && !ct.new{valid} && {same}"
        if logs or sample:
            yield flow(stage_, where, 65_533, related, f"{logs}{sample}{done}ct_commit_nat;", hint=acl.uuid)


def _told(acl: nb.ACL) -> tuple[str, str]:
    tier = f"tier {acl.tier} " if acl.tier else ""
    return f"acl {acl.direction} {tier}{acl.priority} {acl.action}", acl.match


FEATURE = Feature(
    "acl",
    rules=(acl_groups, neighbor_discovery, acl_flows),
    port=port,
    needs=("groups",),
    outputs=(METER_BAND, METER, ACL_IDS),
    start=keep_ids,
    hints=(HintedTable(nb.ACL, _told, (nb.LogicalSwitch.acls, nb.PortGroup.acls)),),
)
