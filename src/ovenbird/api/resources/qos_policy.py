"""QoS policies: what ports, networks, floating IPs and routers' gateways have; their rules say what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import MANAGER, READER, each, tags
from ovenbird.api.access.sharing import EVERY_PROJECT, is_shared, policy_for, share, unshare
from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.errors.qos import QoSPolicyDefaultAlreadyExists, QosPolicyInUse, QosPolicyNotFound
from ovenbird.api.qos import rules_of
from ovenbird.api.resource import STANDARD, Resource, project_of, standard
from ovenbird.api.resources.rbac_policy import withdraw
from ovenbird.api.values import boolean, text
from ovenbird.model.cloud import DefaultQosPolicy, FloatingIP, Network, Port, QosPolicy, RBACPolicy, RouterGateway

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import UUID, ColumnOf, ReferenceOf

SEES_POLICY = f"{READER} or rule:shared_qos_policy"

HOLDERS: tuple[tuple[str, ReferenceOf[Any, QosPolicy, Any]], ...] = (
    ("port", Port.qos_policy),
    ("network", Network.qos_policy),
    ("fip", FloatingIP.qos_policy),
    ("router", RouterGateway.qos_policy),
)
"""What can have a policy, by the name in errors, and the column that refers to the policy."""


class QosPolicies(Resource[QosPolicy]):
    """``/v2.0/qos/policies``."""

    member = "policy"
    collection = "policies"
    path = "qos/policies"
    row_class = QosPolicy
    not_found = QosPolicyNotFound
    extensions: ClassVar[Mapping[str, str]] = {
        "qos": "Quality of Service",
        "qos-default": "QoS default policy",
    }
    rules: ClassVar[Mapping[str, str]] = {
        "shared_qos_policy": "field:policies:shared=True",
        "get_policy": SEES_POLICY,
        **each(MANAGER, "create_policy", "update_policy", "delete_policy"),
        **tags("policy", reader=SEES_POLICY, member=MANAGER),
    }
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default="", column="name"),
        "shared": Attribute(boolean, default=False),
        "is_default": Attribute(boolean, default=False),
        "rules": shown(filterable=False),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {}

    def render(self, row: QosPolicy) -> dict[str, Any]:
        """Return what the API shows of a policy."""
        return {
            **standard(row),
            "name": row.name,
            "shared": is_shared(row),
            "is_default": bool(row.referrers(DefaultQosPolicy.policy)),
            "rules": [
                {name: rule[name] for name in rule.BY_NAME if name != "policy"}
                | {"id": rule.uuid, "qos_policy_id": row.uuid, "type": kind}
                for kind, rule in rules_of(row)
            ],
            "tags": sorted(row.tags),
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new policy."""
        project = project_of(draft, values)
        uuid = draft.insert(QosPolicy, self.stored(values) | {"project_id": project})
        if values["shared"]:
            share(draft, RBACPolicy.qos_policy, uuid, project=project)
        if values["is_default"]:
            self._make_default(draft, project, uuid)
        return uuid

    def update(self, draft: Draft, row: QosPolicy, values: dict[str, Any]) -> None:
        """Write a change of a policy."""
        everyone = policy_for(row, EVERY_PROJECT)
        if values.get("shared") and everyone is None:
            share(draft, RBACPolicy.qos_policy, row.uuid, project=row.project_id)
        elif values.get("shared") is False and everyone is not None:
            withdraw(draft, everyone)
        default = row.referrer(DefaultQosPolicy.policy)
        if values.get("is_default") and default is None:
            self._make_default(draft, row.project_id, row.uuid)
        elif values.get("is_default") is False and default is not None:
            draft.transaction.delete(default)
        draft.update(row, self.stored(values))

    def delete(self, draft: Draft, row: QosPolicy) -> None:
        """Write the removal of a policy that nothing has, with its rules."""
        for what, column in HOLDERS:
            for user in row.referrers(column):
                uuid = RouterGateway.router.raw(user) if isinstance(user, RouterGateway) else user.uuid
                raise QosPolicyInUse(policy_id=row.uuid, object_type=what, object_id=uuid)
        for _, rule in rules_of(row):
            draft.transaction.delete(rule)
        for default in row.referrers(DefaultQosPolicy.policy):
            draft.transaction.delete(default)
        unshare(draft, row)
        draft.transaction.delete(row)

    def _make_default(self, draft: Draft, project: str, uuid: UUID) -> None:
        """Write that a policy is its project's default; the index guarantees that it is the only one."""
        if self.databases.is_taken(draft, (DefaultQosPolicy.project_id, project)):
            raise QoSPolicyDefaultAlreadyExists(project_id=project)
        self.databases.take(draft, (DefaultQosPolicy.project_id, project))
        draft.transaction.insert(DefaultQosPolicy, {"project_id": project, "policy": uuid})
