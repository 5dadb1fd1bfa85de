"""Sharing: which projects may use a resource besides its owner, by RBAC policies.

A policy gives one project, or all, the right to use a resource (`access_as_shared`) or a network as an external one
(`access_as_external`). A row that depends on a policy refers to it, so that the database refuses to delete a policy in
use, whichever process created the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.model.cloud import (
    AddressGroup,
    AddressScope,
    FloatingIP,
    Network,
    Port,
    QosPolicy,
    RBACPolicy,
    RouterGateway,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetPool,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import UUID, ColumnOf, ReferenceOf, Row, Store

SHARED = "access_as_shared"
EXTERNAL = "access_as_external"
EVERY_PROJECT = "*"
"""The target of a policy for all projects."""

POLICIES_ABOUT: dict[type[Row], ReferenceOf[RBACPolicy, Any, UUID | None]] = {
    Network: RBACPolicy.network,
    SecurityGroup: RBACPolicy.security_group,
    AddressGroup: RBACPolicy.address_group,
    SubnetPool: RBACPolicy.subnet_pool,
    AddressScope: RBACPolicy.address_scope,
    QosPolicy: RBACPolicy.qos_policy,
}
"""The column by which policies refer to each kind of resource that can be shared."""

FACTS = {"shared": SHARED, "router:external": EXTERNAL}
"""The access that a policy rule asks for by each field."""

DEPENDENTS: tuple[ReferenceOf[Any, RBACPolicy, Any], ...] = (
    Port.allowed_by,
    Subnet.allowed_by,
    SubnetPool.allowed_by,
    SecurityGroupRule.allowed_by,
    RouterGateway.allowed_by,
    Network.allowed_by,
    FloatingIP.allowed_by,
)
"""The columns of the rows that depend on policies."""


def shares(rows: type[Row], store: Store, action: str, *, targets: tuple[str, ...]) -> Callable[[Any], bool]:
    """Return a function of a resource's id: whether a policy with one of some targets gives an access to it.

    Lists call it for every row, most of which no policy is about.

    Arguments:
        rows: the kind of resource.
        store: the rows.
        action: the access.
        targets: projects, or `EVERY_PROJECT`.
    """
    policies = store.table(RBACPolicy)
    count, find = policies.index(RBACPolicy.target_project).count, policies.index(POLICIES_ABOUT[rows]).rows

    def given(uuid: Any) -> bool:
        return any(map(count, targets)) and any(
            policy.target_project in targets and policy.action == action for policy in find(uuid)
        )

    return given


def policies(row: Row, action: str) -> list[RBACPolicy]:
    """Return the policies that give an access to a resource."""
    found: list[RBACPolicy] = row.referrers(POLICIES_ABOUT[type(row)])
    return [policy for policy in found if policy.action == action]


def policy_for(row: Row, target: str, *, action: str = SHARED) -> RBACPolicy | None:
    """Return the policy with a target; None if there is none.

    Arguments:
        row: the resource.
        target: a project's id, or `EVERY_PROJECT`.
        action: the access.
    """
    return next((policy for policy in policies(row, action) if policy.target_project == target), None)


def is_shared(row: Row) -> bool:
    """Return whether every project may use a resource."""
    return policy_for(row, EVERY_PROJECT) is not None


def grant(row: Any, project: str, *, action: str = SHARED, but: RBACPolicy | None = None) -> RBACPolicy | None:
    """Return the policy by which a project may use a resource of another; None if it needs none, or there is none.

    Arguments:
        row: the resource.
        project: the project that uses it.
        action: the access.
        but: a policy that does not count.
    """
    if row.project_id == project:
        return None
    found = [p for p in policies(row, action) if p.target_project in (EVERY_PROJECT, project)]
    return next((policy for policy in found if but is None or policy.uuid != but.uuid), None)


def grants(draft: Draft, project: str, used: Iterable[Any], action: str = SHARED) -> frozenset[UUID]:
    """Return the policies by which a project may use resources, for the column `allowed_by` of the row that uses them.

    The commit fails if one of them then has another target; the reference makes it fail if one is gone.

    Arguments:
        draft: the transaction.
        project: the project that uses them.
        used: the resources.
        action: the access.
    """
    found = [policy for row in used if (policy := grant(row, project, action=action)) is not None]
    for policy in found:
        draft.transaction.wait(policy, {"target_project": policy.target_project})
    return frozenset(policy.uuid for policy in found)


def share(draft: Draft, column: ColumnOf[RBACPolicy, Any], uuid: UUID, *, project: str, action: str = SHARED) -> None:
    """Write a policy that gives every project access to a resource, as its attribute `shared` does.

    Arguments:
        draft: the transaction.
        column: the column that refers to this kind of resource.
        uuid: the resource.
        project: its owner, which owns the policy too.
        action: the access.
    """
    values = {"project_id": project, column.name: uuid, "action": action, "target_project": EVERY_PROJECT}
    draft.insert(RBACPolicy, values)


def unshare(draft: Draft, row: Row) -> None:
    """Write the removal of the policies about a resource that is deleted itself."""
    for policy in row.referrers(POLICIES_ABOUT[type(row)]):
        draft.transaction.delete(policy)


def release_dependents(draft: Draft, policy: RBACPolicy, target: str = "") -> None:
    """Make the rows that depend on a policy depend on another one, before it is deleted or has another target.

    Whether they may lose it is for the caller to check.

    Arguments:
        draft: the transaction.
        policy: the policy.
        target: its new target; empty if it is deleted.
    """
    row = subject(policy)
    for column in DEPENDENTS:
        for dependent in policy.referrers(column):
            project = owner(dependent)
            if target in (EVERY_PROJECT, project):
                continue
            other = grant(row, project, action=policy.action, but=policy)
            added = () if other is None else (other.uuid,)
            draft.transaction.mutate(dependent, column.name, insert=added, delete=(policy.uuid,))


def subject(policy: RBACPolicy) -> Any:
    """Return the resource that a policy is about.

    Raises:
        LookupError: the policy is about none.
    """
    for column in POLICIES_ABOUT.values():
        uuid = column.raw(policy)
        if uuid is not None:
            return policy.home.store.tables[column.target or ""].rows[uuid]
    raise LookupError(f"{policy!r} is about nothing")


def owner(dependent: Any) -> str:
    """Return the project that owns a row which depends on a policy."""
    project: str = dependent.router.project_id if isinstance(dependent, RouterGateway) else dependent.project_id
    return project


def users(row: Any, action: str) -> Iterator[str]:
    """Yield the projects that use a resource, also those that an administrator let use it without a policy."""
    if action == EXTERNAL:
        ports: list[Port] = row.referrers(Port.network)
        yield from (gateway.router.project_id for port in ports for gateway in port.referrers(RouterGateway.port))
        return
    yield from (project for column in USES[type(row)] for user in row.referrers(column) if (project := owner(user)))


USES: dict[type[Row], tuple[ReferenceOf[Any, Any, Any], ...]] = {
    Network: (Port.network,),
    SecurityGroup: (Port.security_groups,),
    AddressGroup: (SecurityGroupRule.remote_address_group,),
    SubnetPool: (Subnet.subnet_pool,),
    AddressScope: (SubnetPool.address_scope,),
    QosPolicy: (Port.qos_policy, Network.qos_policy, FloatingIP.qos_policy, RouterGateway.qos_policy),
}
"""The columns by which each kind of shared resource is used."""
