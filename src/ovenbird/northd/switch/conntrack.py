"""Connection tracking in a switch: which packets are tracked, hints for ACLs, and commits.

Only switches in the datapath group ``TRACKING`` track connections, because of ACLs or of load balancers, and set the
hints that ACLs match (ovn-northd(8), "Ingress Table 7"). ACLs of other switches match none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rules import singleton
from ovenbird.northd.ir.datapath_groups import STATEFUL, TRACKING
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.switch_port import global_flag
from ovenbird.pipeline.registers import (
    COMMIT,
    DEFRAG,
    ESTABLISHED,
    HINT_ALLOW,
    HINT_ALLOW_NEW,
    HINT_BLOCK,
    HINT_DROP,
    LABEL,
    LABEL_SET,
)
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

PRE_ACL = (stage("ls_in_pre_acl"), stage("ls_out_pre_acl"))
PRE_LB = (stage("ls_in_pre_lb"), stage("ls_out_pre_lb"))
PRE_STATEFUL = (stage("ls_in_pre_stateful"), stage("ls_out_pre_stateful"))
HINT = (stage("ls_in_acl_hint"), stage("ls_out_acl_hint"))
ACL = (stage("ls_in_acl"), stage("ls_out_acl"))
AFTER_LB = stage("ls_in_acl_after_lb")
COMMITTING = (stage("ls_in_stateful"), stage("ls_out_stateful"))

NEIGHBORS = "nd || nd_rs || nd_ra || mldv1 || mldv2"

flow = flow_builder("conntrack")

_NEW = f"{HINT_ALLOW_NEW} = 1; {HINT_DROP} = 1; next;"
_OLD = f"{HINT_ALLOW} = 1; {HINT_BLOCK} = 1; next;"
_HINTS = (
    (5, "!ct.trk", f"{HINT_ALLOW} = 1; {HINT_DROP} = 1; next;"),
    (7, "ct.new && !ct.est", _NEW),
    (6, "!ct.new && ct.est && !ct.rpl && ct_mark.blocked == 1", _NEW),
    (4, "!ct.new && ct.est && !ct.rpl && ct_mark.blocked == 0", _OLD),
    (3, "!ct.est", f"{HINT_DROP} = 1; next;"),
    (2, "ct.est && ct_mark.blocked == 1", f"{HINT_DROP} = 1; next;"),
    (1, "ct.est && ct_mark.blocked == 0", f"{HINT_BLOCK} = 1; next;"),
)


@singleton
def tracking() -> Iterator[Fact]:
    """Send IP to connection tracking on switches with stateful ACLs, and commit allowed connections."""
    yield from (STATEFUL.row, TRACKING.row)
    dhcp6 = "(udp && udp.src == 546 && udp.dst == 547)"
    for pre_acl in PRE_ACL:
        yield flow(pre_acl, STATEFUL, 110, "eth.mcast", "next;")
        yield flow(pre_acl, STATEFUL, 110, f"{NEIGHBORS} || {dhcp6}", "next;")
        yield flow(pre_acl, STATEFUL, 100, "ip", f"{DEFRAG} = 1; next;")
    for pre_stateful in PRE_STATEFUL:
        yield flow(pre_stateful, STATEFUL, 100, f"{DEFRAG} == 1", "ct_next;")
    for hint in HINT:
        for priority, match, act in _HINTS:
            yield flow(hint, TRACKING, priority, match, act)
    marked, plain = f"{COMMIT} == 1 && {LABEL_SET} == 1", f"{COMMIT} == 1 && {LABEL_SET} == 0"
    for committing in COMMITTING:
        yield flow(committing, TRACKING, 100, plain, "ct_commit { ct_mark.blocked = 0; }; next;")
        with_label = f"ct_commit {{ ct_mark.blocked = 0; ct_label.label = {LABEL}; }}; next;"
        yield flow(committing, TRACKING, 100, marked, with_label)


@singleton
def connections() -> Iterator[Fact]:
    """Let replies and related packets of committed connections pass, drop invalid ones, commit by default."""
    yield TRACKING.row
    checks_invalid = global_flag("use_ct_inv_match", True)
    valid, invalid = (" && !ct.inv", "ct.inv || ") if checks_invalid else ("", "")
    reply = f"ct.est && !ct.rel && !ct.new{valid} && ct.rpl && ct_mark.blocked == 0"
    related = f"!ct.est && ct.rel && !ct.new{valid} && ct_mark.blocked == 0"
    done = f"{ESTABLISHED} = 1; "
    yield flow(ACL[0], TRACKING, 65_532, reply, f"{HINT_DROP} = 0; {HINT_BLOCK} = 0; {done}next;")
    yield flow(ACL[0], TRACKING, 65_532, related, f"{done}ct_commit_nat;")
    yield flow(ACL[1], TRACKING, 65_532, reply, "next;")
    yield flow(ACL[1], TRACKING, 65_532, related, "ct_commit_nat;")
    yield flow(AFTER_LB, TRACKING, 65_532, f"{ESTABLISHED} == 1", "next;")
    drops = global_flag("default_acl_drop", False)
    for acl in ACL:
        yield flow(acl, TRACKING, 65_532, f"{invalid}(ct.est && ct.rpl && ct_mark.blocked == 1)", "drop;")
        yield flow(acl, TRACKING, 1, "ip && !ct.est", "drop;" if drops else f"{COMMIT} = 1; next;")
        yield flow(acl, TRACKING, 2, "ip && ct.est && ct_mark.blocked == 1", f"{COMMIT} = 1; next;")


FEATURE = Feature("conntrack", rules=(tracking, connections))
