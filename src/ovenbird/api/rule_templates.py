"""The templates of security group rules, of which each new group receives some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.model.cloud import DefaultSecurityGroupRule, RuleTemplates

if TYPE_CHECKING:
    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import UUID, Store

COPIED = (
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group",
    "remote_address_group",
)
"""The columns that a rule has from its template."""

NEUTRONS: list[dict[str, Any]] = [
    {"direction": "egress", "remote_parent": False, "used_in_non_default_sg": True},
    {"direction": "ingress", "remote_parent": True, "used_in_non_default_sg": False},
]
"""The templates of a new cloud, each for both IP versions: everything may leave, members of the default group may reach
each other."""


def templates(store: Store, *, default: bool) -> list[DefaultSecurityGroupRule]:
    """Return the templates for the rules of a new group.

    Arguments:
        store: Cloud's rows.
        default: whether it is the default group of a project.
    """
    used = "used_in_default_sg" if default else "used_in_non_default_sg"
    return [row for row in store.table(DefaultSecurityGroupRule) if row[used]]


def rule_of(template: DefaultSecurityGroupRule, group: UUID) -> dict[str, Any]:
    """Return the columns that a rule of a new group has from its template.

    Arguments:
        template: the template.
        group: the group's id.
    """
    values = {name: template.BY_NAME[name].raw(template) for name in COPIED}
    return values | {"remote_group": group} if template.remote_parent else values


def store_templates(store: Store, draft: Draft) -> None:
    """Write Neutron's templates, if templates have never been written.

    If several processes do it at once, the table's limit of one row lets one through.

    Arguments:
        store: Cloud's rows.
        draft: the transaction.
    """
    if len(store.table(RuleTemplates)):
        return
    draft.transaction.insert(RuleTemplates, {"number": 1})
    for values in NEUTRONS:
        words = {"description": f"Legacy default SG rule for {values['direction']} traffic", "used_in_default_sg": True}
        for ethertype in ("IPv4", "IPv6"):
            draft.insert(DefaultSecurityGroupRule, values | words | {"ethertype": ethertype})


def take_turn(store: Store, draft: Draft) -> None:
    """Make the commit fail if another request has changed templates meanwhile.

    Arguments:
        store: Cloud's rows.
        draft: the transaction.
    """
    if (RuleTemplates,) in draft.made:
        return
    draft.made[RuleTemplates,] = None
    for row in store.table(RuleTemplates):
        draft.transaction.wait(row, {"number": row.number})
        draft.transaction.update(row, {"number": row.number + 1})
