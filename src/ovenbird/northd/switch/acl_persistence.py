"""ACLs whose connections outlive changes of other ACLs, and of their own match (`options:persist-established`).

ovn-nb(5), ACL; OVN 25.03. A connection that such an ACL allows is committed with the ACL's number, and from then on its
packets pass in the ACL's direction regardless of other ACLs. The number is in Southbound's table ACL_ID, in a row with
the ACL's UUID, so that hosts flush the connections of an ACL that loses the option or is deleted. Northd of 25.03 has
one flow for the connections of all such ACLs, which are allowed until they are flushed; here each ACL has a flow of its
own, so that its connections are no longer allowed when the flow is removed, even if the switch cannot flush them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.errors import IdsExhaustedError
from ovenbird.engine.facts import NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.ids import Pool, seed
from ovenbird.model import nb, sb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.datapath_groups import PERSISTENT
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.switch_port import global_flag
from ovenbird.northd.switch.acl_samples import ESTABLISHED as OLD
from ovenbird.northd.switch.acl_samples import sample_action
from ovenbird.northd.switch.conntrack import ACL as STAGES
from ovenbird.northd.switch.conntrack import COMMITTING
from ovenbird.pipeline.registers import (
    ACL_ID,
    COMMIT,
    ESTABLISHED,
    HINT_BLOCK,
    HINT_DROP,
    LABEL,
    LABEL_SET,
    PERSISTS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID, Store
    from ovenbird.northd.ir.datapath_groups import DatapathGroup

IDS = Pool("number of a persistent ACL", 1, 32_767)
"""ovn-sb(5), ACL_ID."""

OWNER, PERSISTENT_MARK = "ct_label[80..95]", "ct_mark[6]"
"""Where a connection has its ACL's number, and that it has one; 25.03 calls them ct_label.acl_id and
ct_mark.allow_established, names that programs of 23.03 cannot read."""


class AclIdRow(NamedTuple):
    """A number; the columns are those of ovn-sb(5)."""

    relation: Relation
    uuid: UUID
    id: int


ACL_IDS = NamedRows(sb.ACLID, AclIdRow)

flow = flow_builder("acl")


def persists(acl: nb.ACL) -> bool:
    """Return whether connections of an ACL outlive changes of ACLs."""
    return bool(acl.action == "allow-related") and flag(acl.options, "persist-established")


def number_of(acl: nb.ACL) -> int:
    """Return the number that connections of an ACL have; 0 if they do not outlive changes, or none is free."""
    if not persists(acl):
        return 0
    try:
        return IDS.get(acl.uuid)
    except IdsExhaustedError:  # `row_of` reports it
        return 0


def row_of(acl: nb.ACL) -> Iterator[Fact]:
    """Write an ACL's number to Southbound, for the hosts."""
    if number := number_of(acl):
        yield ACL_IDS(acl.uuid, number)
    elif persists(acl):
        yield finding(acl, f"ACL {acl.priority} {acl.direction} {acl.match!r}: its connections do not outlive changes")


def commit_with(acl: nb.ACL) -> str:
    """Return the actions that have a connection committed with its ACL's number, with a space behind them."""
    number = number_of(acl)
    return f"{ACL_ID} = {number}; {PERSISTS} = 1; " if number else ""


def passing(acl: nb.ACL, where: UUID | DatapathGroup) -> Iterator[Fact]:
    """Let packets of an ACL's connections pass, in its direction; replies pass as those of all connections do."""
    if not (number := number_of(acl)):
        return
    valid = " && !ct.inv" if global_flag("use_ct_inv_match", True) else ""
    match = f"ct.est && !ct.rel && !ct.new{valid} && !ct.rpl && ct_mark.blocked == 0 && {OWNER} == {number}"
    at = STAGES[acl.direction == "to-lport"]
    done = f"{HINT_DROP} = 0; {HINT_BLOCK} = 0; {ESTABLISHED} = 1; " if at is STAGES[0] else ""
    yield flow(at, where, 65_532, match, f"{sample_action(acl, OLD)}{done}next;", hint=acl.uuid)


def commits() -> Iterator[Fact]:
    """Commit connections with their ACLs' numbers, on switches with such ACLs; with 0 if their ACL has none."""
    yield PERSISTENT.row
    owner = f"{PERSISTENT_MARK} = {PERSISTS}; {OWNER} = {ACL_ID};"
    for at in COMMITTING:
        for labelled, label in ((0, ""), (1, f" ct_label.label = {LABEL};")):
            act = f"ct_commit {{ ct_mark.blocked = 0; {owner}{label} }}; next;"
            yield flow(at, PERSISTENT, 110, f"{COMMIT} == 1 && {LABEL_SET} == {labelled}", act)


def keep_ids(engine: Engine, _: Store, southbound: Store) -> None:
    """Keep the numbers that Southbound has.

    Arguments:
        engine: the engine whose numbers are reserved.
        southbound: Southbound's rows.
    """
    for row in southbound.table(sb.ACLID).rows.values():
        seed(engine, IDS, row.uuid, row.id)
