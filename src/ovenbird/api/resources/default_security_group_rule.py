"""Templates of rules: new security groups receive a rule for each, the default groups of projects for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, each
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.other import AddressGroupNotFound
from ovenbird.api.errors.request import HTTPBadRequest
from ovenbird.api.errors.security_group import (
    DefaultSecurityGroupRuleExists,
    DefaultSecurityGroupRuleNotFound,
    DuplicateDefaultSgRuleInPost,
    SecurityGroupNotFound,
)
from ovenbird.api.resource import Resource
from ovenbird.api.resources.security_group_rule import RULE, check, equal_forms
from ovenbird.api.rule_templates import COPIED, take_turn
from ovenbird.api.values import boolean, optional, text, uuid
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import AddressGroup, DefaultSecurityGroupRule, SecurityGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft

PARENT = "PARENT"
"""The `remote_group_id` of templates whose rules name their own group."""

GROUP_KINDS = ("used_in_default_sg", "used_in_non_default_sg")
MOST_TEMPLATES = 1000
"""The largest number of templates: each new group has a rule for every one."""


class DefaultSecurityGroupRules(Resource[DefaultSecurityGroupRule]):
    """``/v2.0/default-security-group-rules``."""

    member = "default_security_group_rule"
    collection = "default_security_group_rules"
    row_class = DefaultSecurityGroupRule
    not_found = DefaultSecurityGroupRuleNotFound
    taggable = False
    extensions: ClassVar[Mapping[str, str]] = {"security-groups-default-rules": "Default rules for security groups"}
    rules: ClassVar[Mapping[str, str]] = {
        **each(
            ADMIN,
            "create_default_security_group_rule",
            "update_default_security_group_rule",  # Neutron has no policy for this, since templates cannot be changed
            "delete_default_security_group_rule",
        ),
        "get_default_security_group_rule": "role:reader",
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid),
        "project_id": Attribute(text(), put=False, filterable=False),
        "description": Attribute(text(1024), default="", put=False, column="description"),
        **RULE,
        "remote_group_id": Attribute(optional(text()), default=None, put=False),
        **{name: Attribute(boolean, default=REQUIRED, put=False, column=name) for name in GROUP_KINDS},
    }

    def render(self, row: DefaultSecurityGroupRule) -> dict[str, Any]:
        """Return what the API shows of a template."""
        group = PARENT if row.remote_parent else DefaultSecurityGroupRule.remote_group.raw(row)
        return {
            "id": row.uuid,
            "direction": row.direction,
            "ethertype": row.ethertype,
            "protocol": row.protocol,
            "port_range_min": row.port_range_min,
            "port_range_max": row.port_range_max,
            "remote_ip_prefix": row.remote_ip_prefix,
            "remote_group_id": group,
            "remote_address_group_id": DefaultSecurityGroupRule.remote_address_group.raw(row),
            "used_in_default_sg": row.used_in_default_sg,
            "used_in_non_default_sg": row.used_in_non_default_sg,
            "description": row.description,
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new template, if no equal one is for the same groups."""
        check(values)
        store = self.databases.store
        group, addresses = values["remote_group_id"], values["remote_address_group_id"]
        own = group == PARENT
        if group is not None and not own and store.table(SecurityGroup).get(UUID(group.lower())) is None:
            raise SecurityGroupNotFound(id=group)
        if addresses is not None and store.table(AddressGroup).get(UUID(addresses)) is None:
            raise AddressGroupNotFound(id=addresses)
        if len(self.table) >= MOST_TEMPLATES:
            raise HTTPBadRequest(reason=f"a cloud has at most {MOST_TEMPLATES} templates of rules")
        stored = {name: values[name] for name in COPIED if name in values} | {
            "remote_parent": own,
            "remote_group": None if own or group is None else group.lower(),
            "remote_address_group": addresses,
        }
        self._check_new(draft, stored, values)
        take_turn(store, draft)
        return draft.insert(DefaultSecurityGroupRule, self.stored(values) | stored)

    def _check_new(self, draft: Draft, stored: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Check that no equal template, in the database or in this draft, is for the same groups."""
        forms = [tuple(one.values()) for one in equal_forms(dict(stored))]
        for row in self.table:
            if tuple(row.BY_NAME[name].raw(row) for name in stored) in forms and any(
                values[use] and row[use] for use in GROUP_KINDS
            ):
                raise DefaultSecurityGroupRuleExists(rule_id=row.uuid)
        for use in (use for use in GROUP_KINDS if values[use]):
            if any((DefaultSecurityGroupRule, use, form) in draft.made for form in forms):
                raise DuplicateDefaultSgRuleInPost
            draft.made[DefaultSecurityGroupRule, use, tuple(stored.values())] = None

    def update(self, draft: Draft, row: DefaultSecurityGroupRule, values: dict[str, Any]) -> None:
        """Write nothing: no attribute of a template can be changed."""

    def delete(self, draft: Draft, row: DefaultSecurityGroupRule) -> None:
        """Write the removal of a template; rules that were made from it stay."""
        take_turn(self.databases.store, draft)
        draft.transaction.delete(row)
