"""RBAC policies: resources of one project that another project, or every project, may use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, MEMBER, READER, each
from ovenbird.api.access.sharing import (
    EVERY_PROJECT,
    EXTERNAL,
    POLICIES_ABOUT,
    SHARED,
    policies,
    policy_for,
    release_dependents,
    subject,
    users,
)
from ovenbird.api.address_scopes import check_scope_allows
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.rbac import DuplicateRbacPolicy, InvalidActionForType, RbacPolicyInUse, RbacPolicyNotFound
from ovenbird.api.errors.request import InvalidInput
from ovenbird.api.resource import Resource, project_of
from ovenbird.api.values import WrongTypeError, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import (
    AddressGroup,
    AddressScope,
    DefaultExternalNetwork,
    Network,
    QosPolicy,
    RBACPolicy,
    SecurityGroup,
    SubnetPool,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import ColumnOf, Row

SHAREABLE: dict[str, type[Row]] = {
    "address_group": AddressGroup,
    "address_scope": AddressScope,
    "network": Network,
    "qos_policy": QosPolicy,
    "security_group": SecurityGroup,
    "subnetpool": SubnetPool,
}
"""The kinds of resources that can be shared, by `object_type`."""

OBJECT_TYPES = {POLICIES_ABOUT[rows]: name for name, rows in SHAREABLE.items()}

ACTIONS = {"network": (SHARED, EXTERNAL)}
"""The actions of each type; `access_as_shared` alone for others."""

LONGEST_PROJECT = 255
"""Maximum characters of a project's id."""

_PROJECT = re.compile(r"[0-9a-f]{32}\Z")


def _type(value: Any) -> str:
    """Convert a type of resources, in either case."""
    name = value.strip().lower() if isinstance(value, str) else value
    if not isinstance(name, str) or name not in SHAREABLE:
        raise WrongTypeError(f"'{value}' is not a valid RBAC object type")
    return name


def _target(value: Any) -> str:
    """Convert a project's id, or `*`."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_PROJECT:
        raise WrongTypeError(f"'{value}' is not a valid target project ID; expected a UUID or '*'")
    return value


def _is_uuid(project: str) -> bool:
    """Return whether a project's id is a UUID, with or without hyphens, as Keystone's are."""
    return bool(_PROJECT.match(project.replace("-", "").lower()))


class RBACPolicies(Resource[RBACPolicy]):
    """``/v2.0/rbac-policies``."""

    member = "rbac_policy"
    collection = "rbac_policies"
    row_class = RBACPolicy
    not_found = RbacPolicyNotFound
    taggable = False
    extensions: ClassVar[Mapping[str, str]] = {
        "rbac-policies": "RBAC Policies",
        "rbac-address-group": "Add address_group type to RBAC",
        "rbac-address-scope": "Address scope RBAC",
        "rbac-security-groups": "Add security_group type to network RBAC",
        "rbac-subnetpool": "Add subnet pool RBAC",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(MEMBER, "create_rbac_policy", "update_rbac_policy", "delete_rbac_policy"),
        "get_rbac_policy": READER,
        **each(
            f"{ADMIN} or (not field:rbac_policy:target_tenant=* and not field:rbac_policy:target_project=*)",
            "create_rbac_policy:target_tenant",
            "update_rbac_policy:target_tenant",
        ),
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "project_id": Attribute(text(), put=False),
        "object_type": Attribute(_type, default=REQUIRED, put=False),
        "object_id": Attribute(uuid_value, default=REQUIRED, put=False),
        "target_tenant": Attribute(_target, default=REQUIRED, sought=text(), column="target_project"),
        "action": Attribute(text(), default=REQUIRED, put=False, column="action"),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {
        "project_id": RBACPolicy.project_id,
        "target_tenant": RBACPolicy.target_project,
    }

    def render(self, row: RBACPolicy) -> dict[str, Any]:
        """Return what the API shows of a policy."""
        kind, uuid = next(
            (name, uuid) for column, name in OBJECT_TYPES.items() if (uuid := column.raw(row)) is not None
        )
        return {
            "id": row.uuid,
            "project_id": row.project_id,
            "tenant_id": row.project_id,
            "object_type": kind,
            "object_id": uuid,
            "target_tenant": row.target_project,
            "action": row.action,
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new policy; a network that is given as an external one becomes external."""
        kind, action, target = values["object_type"], values["action"], values["target_tenant"]
        column = POLICIES_ABOUT[SHAREABLE[kind]]
        row: Any = self.databases.store.table(SHAREABLE[kind]).get(UUID(values["object_id"]))
        _check_owner(draft, row)
        if row is None:
            raise InvalidInput(error_message=f"{kind} {values['object_id']} could not be found")
        if action not in ACTIONS.get(kind, (SHARED,)):
            raise InvalidActionForType(action=action, object_type=kind, valid_actions=ACTIONS.get(kind, (SHARED,)))
        _check_target(draft, target)
        _check_scope(row, target)
        self._check_new(draft, row, action, target)
        if action == EXTERNAL and not row.external:
            draft.update(row, {"external": True})
        _revise(draft, row)
        stored = {"project_id": project_of(draft, values), "action": action, "target_project": target}
        return draft.insert(RBACPolicy, stored | {column.name: row.uuid})

    def update(self, draft: Draft, row: RBACPolicy, values: dict[str, Any]) -> None:
        """Write another target of a policy, if no project needs the former one."""
        target = values.get("target_tenant", row.target_project)
        shared = subject(row)
        _check_owner(draft, shared)
        if target == row.target_project:
            return
        _check_target(draft, target)
        self._check_new(draft, shared, row.action, target)
        _check_scope(shared, target)
        check_unused(row, target)
        release_dependents(draft, row, target)
        _revise(draft, shared)
        draft.update(row, {"target_project": target})

    def delete(self, draft: Draft, row: RBACPolicy) -> None:
        """Write the removal of a policy that no project needs; a network without any for it is no longer external."""
        shared = subject(row)
        withdraw(draft, row)
        if row.action == EXTERNAL and len(policies(shared, EXTERNAL)) == 1:
            draft.update(shared, {"external": False})
        _revise(draft, shared)

    def _check_new(self, draft: Draft, row: Any, action: str, target: str) -> None:
        """Check that there is no such policy, in the database or in this draft; the index guarantees it."""
        key = (RBACPolicy, row.uuid, action, target)
        if policy_for(row, target, action=action) is not None or key in draft.made:
            raise DuplicateRbacPolicy
        draft.made[key] = None


def withdraw(draft: Draft, policy: RBACPolicy) -> None:
    """Write the removal of a policy that no project needs.

    Raises:
        RbacPolicyInUse: one does.
    """
    check_unused(policy)
    release_dependents(draft, policy)
    draft.transaction.delete(policy)


def check_unused(policy: RBACPolicy, target: str = "") -> None:
    """Check that every project that uses a resource may still do so without a policy, or with its new target.

    Arguments:
        policy: the policy.
        target: its new target; empty if it is deleted.

    Raises:
        RbacPolicyInUse: a project would use the resource without the right to.
    """
    row = subject(policy)
    every_project = policy.action == EXTERNAL and policy.target_project == EVERY_PROJECT
    if every_project and row.referrers(DefaultExternalNetwork.network):
        raise RbacPolicyInUse(object_id=row.uuid, details="Default external networks must be shared to everyone.")
    others = {p.target_project for p in policies(row, policy.action) if p.uuid != policy.uuid}
    if policy.target_project == row.project_id or EVERY_PROJECT in others | {target}:
        return
    if not isinstance(row, QosPolicy):  # one that its own project has stays shared with all, as in Neutron
        others.add(row.project_id)
    for project in users(row, policy.action):
        concerned = policy.target_project in (EVERY_PROJECT, project)
        if concerned and project not in others:
            raise RbacPolicyInUse(object_id=row.uuid, details=f"project_id={project}")


def _check_target(draft: Draft, target: str) -> None:
    """Check that the target of a policy is a UUID, if the ids of projects are: without Keystone they are names.

    Raises:
        InvalidInput: it is not.
    """
    if target != EVERY_PROJECT and _is_uuid(draft.caller.project) and not _is_uuid(target):
        raise InvalidInput(error_message=f"'{target}' is not a valid target project ID; expected a UUID or '*'")


def _check_scope(row: Any, target: str) -> None:
    """Check that the target of a policy about a subnet pool may use the pool's address scope."""
    if isinstance(row, SubnetPool) and row.address_scope is not None:
        check_scope_allows(row.uuid, row.address_scope, target)


def _revise(draft: Draft, row: Any) -> None:
    """Increment the revision of a network whose policies change, as Neutron does for networks alone."""
    if isinstance(row, Network):
        draft.touch(row)


def _check_owner(draft: Draft, row: Any | None) -> None:
    """Check that the caller owns a resource; for others it makes no difference whether it exists."""
    if not draft.caller.admin and (row is None or row.project_id != draft.caller.project):
        raise InvalidInput(error_message="Only admins can manipulate policies on objects they do not own")
