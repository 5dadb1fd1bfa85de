"""Whether new security groups are stateful, where the request does not say so: for a project, or for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import MANAGER, READER, each
from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.errors.security_group import (
    SecurityGroupDefaultStatefulnessAlreadyExists,
    SecurityGroupDefaultStatefulnessNotFound,
)
from ovenbird.api.resource import Resource
from ovenbird.api.values import boolean, optional, text, uuid
from ovenbird.model.cloud import DefaultStatefulness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import UUID, Store


class DefaultStatefulnesses(Resource[DefaultStatefulness]):
    """``/v2.0/security-groups-default-statefulness``."""

    member = "security_groups_default_statefulness"
    collection = "security_groups_default_statefulness"
    row_class = DefaultStatefulness
    not_found = SecurityGroupDefaultStatefulnessNotFound
    taggable = False
    extensions: ClassVar[Mapping[str, str]] = {
        "security-groups-default-statefulness": "Security Groups Default Statefulness"
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(MANAGER, *(f"{verb}_security_groups_default_statefulness" for verb in ("create", "update", "delete"))),
        "get_security_groups_default_statefulness": READER,
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid),
        "project_id": Attribute(optional(text()), default=None, put=False, column="project_id"),
        "stateful": Attribute(boolean, default=True, column="stateful"),
    }

    def render(self, row: DefaultStatefulness) -> dict[str, Any]:
        """Return what the API shows of a setting."""
        return {"id": row.uuid, "project_id": row.project_id, "tenant_id": row.project_id, "stateful": row.stateful}

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write the setting of a project, or of all without one."""
        key = (DefaultStatefulness.project_id, values["project_id"])
        if self.databases.is_taken(draft, key):
            raise SecurityGroupDefaultStatefulnessAlreadyExists(project_id=values["project_id"] or "system-wide")
        self.databases.take(draft, key)
        return draft.insert(DefaultStatefulness, self.stored(values))

    def update(self, draft: Draft, row: DefaultStatefulness, values: dict[str, Any]) -> None:
        """Write a change of a setting."""
        draft.update(row, self.stored(values))

    def delete(self, draft: Draft, row: DefaultStatefulness) -> None:
        """Write the removal of a setting."""
        draft.transaction.delete(row)


def default_statefulness(store: Store, project: str) -> bool:
    """Return whether a new security group of a project is stateful, where the request does not say so.

    Arguments:
        store: Cloud's rows.
        project: the project's id.
    """
    for owner in (project, None):
        row = store.table(DefaultStatefulness).find(DefaultStatefulness.project_id, owner)
        if row is not None:
            return row.stateful
    return True
