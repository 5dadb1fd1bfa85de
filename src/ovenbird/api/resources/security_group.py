"""Security groups, and the default group that each project receives when it first needs one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import MEMBER, OWN, READER, SERVICE, each, tags
from ovenbird.api.access.sharing import grants, is_shared, unshare
from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.errors.quota import OverQuota
from ovenbird.api.errors.security_group import (
    SecurityGroupCannotRemoveDefault,
    SecurityGroupCannotUpdateDefault,
    SecurityGroupDefaultAlreadyExists,
    SecurityGroupInUse,
    SecurityGroupNotFound,
)
from ovenbird.api.resource import STANDARD, Resource, project_of, standard
from ovenbird.api.resources.default_statefulness import default_statefulness
from ovenbird.api.resources.security_group_rule import render_rule
from ovenbird.api.rule_templates import rule_of, templates
from ovenbird.api.values import boolean, text
from ovenbird.model.cloud import (
    DefaultSecurityGroup,
    DefaultSecurityGroupRule,
    Port,
    SecurityGroup,
    SecurityGroupLog,
    SecurityGroupRule,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.access.auth import Caller
    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import UUID, ColumnOf, ReferenceOf

DEFAULT = "default"
REFERRING_TO_GROUP: tuple[ReferenceOf[Any, SecurityGroup, Any], ...] = (
    SecurityGroupRule.security_group,
    SecurityGroupRule.remote_group,
    DefaultSecurityGroupRule.remote_group,
    SecurityGroupLog.security_group,
)
"""The columns of what goes along with a group."""

SEES_GROUP = f"{READER} or rule:shared_security_group"


class SecurityGroups(Resource[SecurityGroup]):
    """``/v2.0/security-groups``."""

    member = "security_group"
    collection = "security_groups"
    row_class = SecurityGroup
    not_found = SecurityGroupNotFound
    extensions: ClassVar[Mapping[str, str]] = {
        "security-group": "security-group",
        "security-groups-shared-filtering": "Security group filtering on the shared field",
        "stateful-security-group": "Stateful security group",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(MEMBER, "create_security_group", "update_security_group", "delete_security_group"),
        "get_security_group": SEES_GROUP,
        "create_default_security_group": f"{SERVICE} or (role:reader and {OWN})",
        **tags("security_group", reader=SEES_GROUP, member=MEMBER),
    }
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default="", column="name"),
        "stateful": Attribute(boolean, column="stateful"),
        "shared": shown(),
        "security_group_rules": shown(filterable=False),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {
        "name": SecurityGroup.name,
        "project_id": SecurityGroup.project_id,
    }

    async def ensure_defaults(self, caller: Caller) -> None:
        """Create the default group of the caller's project, which a list of groups always contains."""
        table = self.databases.store.table(DefaultSecurityGroup)
        if not caller.project:
            return
        if table.find(DefaultSecurityGroup.project_id, caller.project) is not None:
            return
        with contextlib.suppress(OverQuota):  # the existing groups can still be listed
            await self.databases.change(caller, lambda draft: default_group(self.databases, draft, caller.project))

    def render(self, row: SecurityGroup) -> dict[str, Any]:
        """Return what the API shows of a security group."""
        return {
            **standard(row),
            "name": row.name,
            "stateful": row.stateful,
            "shared": is_shared(row),
            "security_group_rules": [render_rule(r) for r in row.referrers(SecurityGroupRule.security_group)],
            "tags": sorted(row.tags),
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new group, with the rules of the templates."""
        if values["name"].lower() == DEFAULT:
            raise SecurityGroupDefaultAlreadyExists
        project = project_of(draft, values)
        default_group(self.databases, draft, project)
        stateful = values.get("stateful")
        if stateful is None:
            stateful = default_statefulness(self.databases.store, project)
        return new_group(self.databases, draft, self.stored(values) | {"project_id": project, "stateful": stateful})

    def update(self, draft: Draft, row: SecurityGroup, values: dict[str, Any]) -> None:
        """Write a change of a group."""
        if "name" in values:
            if row.referrers(DefaultSecurityGroup.security_group):
                raise SecurityGroupCannotUpdateDefault
            if values["name"].lower() == DEFAULT:
                raise SecurityGroupDefaultAlreadyExists
        if values.get("stateful", row.stateful) != row.stateful and self._members(row):
            raise SecurityGroupInUse(id=row.uuid)
        draft.update(row, values)

    def delete(self, draft: Draft, row: SecurityGroup) -> None:
        """Write the removal of a group without members, of its rules, and of those that name it as remote."""
        default = row.referrers(DefaultSecurityGroup.security_group)
        if default and not draft.caller.admin:
            raise SecurityGroupCannotRemoveDefault
        if self._members(row):
            raise SecurityGroupInUse(id=row.uuid)
        rules = {rule: None for column in REFERRING_TO_GROUP for rule in row.referrers(column)}
        for one in (*rules, *default):
            draft.transaction.delete(one)
        unshare(draft, row)
        draft.transaction.delete(row)

    def _members(self, row: SecurityGroup) -> int:
        return self.databases.store.table(Port).index(Port.security_groups).count(row.uuid)


def default_group(databases: Databases, draft: Draft, project: str) -> UUID:
    """Return the default group of a project, written into the draft if the project has none.

    If several requests create it at once, the unique index lets one succeed; the others find it when they try again.

    Arguments:
        databases: the databases with the existing groups.
        draft: the transaction.
        project: the project's id.
    """
    found = databases.store.table(DefaultSecurityGroup).find(DefaultSecurityGroup.project_id, project)
    if found is not None:
        group: UUID = DefaultSecurityGroup.security_group.raw(found)
        return group
    made: UUID | None = draft.made.get((DEFAULT, project))
    if made is None:
        stateful = default_statefulness(databases.store, project)
        values = {"name": DEFAULT, "description": "Default security group", "stateful": stateful}
        made = draft.made[DEFAULT, project] = new_group(databases, draft, values | {"project_id": project})
        draft.transaction.insert(DefaultSecurityGroup, {"project_id": project, "security_group": made})
    return made


def new_group(databases: Databases, draft: Draft, values: dict[str, Any]) -> UUID:
    """Write a group with a rule for each template, and return its id.

    Arguments:
        databases: the databases with the templates.
        draft: the transaction.
        values: the values of the row's columns, by name; the name tells whether it is a default group.

    Raises:
        OverQuota: the project may not have so many rules.
    """
    project = values["project_id"]
    chosen = templates(databases.store, default=values["name"] == DEFAULT)
    databases.quotas.claim(draft, "security_group_rule", [project] * len(chosen))
    group = draft.insert(SecurityGroup, values)
    for template in chosen:
        rule = rule_of(template, group) | {"security_group": group, "project_id": project}
        addresses = template.remote_address_group
        used = () if addresses is None else (addresses,)
        draft.insert(SecurityGroupRule, rule | {"allowed_by": grants(draft, project, used)})
    return group
