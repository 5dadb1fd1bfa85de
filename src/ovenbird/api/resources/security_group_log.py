"""Logs of security groups: which accepted and dropped packets controllers write lines about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import MANAGER, each
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.log import (
    InvalidLogResourceType,
    InvalidResourceConstraint,
    LogResourceNotFound,
    ResourceNotFound,
    TargetResourceNotFound,
)
from ovenbird.api.read_only_resource import ReadOnlyResource
from ovenbird.api.resource import STANDARD, Resource, project_of, standard
from ovenbird.api.values import boolean, one_of, optional, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import Port, SecurityGroup, SecurityGroupLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import ColumnOf

SECURITY_GROUP = "security_group"
"""The only type of resources that can be logged."""


class SecurityGroupLogs(Resource[SecurityGroupLog]):
    """``/v2.0/log/logs``."""

    member = "log"
    collection = "logs"
    path = "log/logs"
    row_class = SecurityGroupLog
    not_found = LogResourceNotFound
    taggable = False
    extensions: ClassVar[Mapping[str, str]] = {"logging": "Logging API Extension"}
    rules: ClassVar[Mapping[str, str]] = each(MANAGER, "create_log", "get_log", "update_log", "delete_log")
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default="", column="name"),
        "resource_type": Attribute(text(), default=REQUIRED, put=False),
        "resource_id": Attribute(optional(uuid_value), default=None, put=False, column="security_group"),
        "target_id": Attribute(optional(uuid_value), default=None, put=False, column="port"),
        "event": Attribute(one_of("ACCEPT", "DROP", "ALL"), default="ALL", put=False, column="event"),
        "enabled": Attribute(boolean, default=True, column="enabled"),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {
        "resource_id": SecurityGroupLog.security_group,
        "target_id": SecurityGroupLog.port,
    }

    def render(self, row: SecurityGroupLog) -> dict[str, Any]:
        """Return what the API shows of a log."""
        return {
            **standard(row),
            "name": row.name,
            "resource_type": SECURITY_GROUP,
            "resource_id": SecurityGroupLog.security_group.raw(row),
            "target_id": SecurityGroupLog.port.raw(row),
            "event": row.event,
            "enabled": row.enabled,
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new log, if the caller owns what is to be logged."""
        if values["resource_type"] != SECURITY_GROUP:
            raise InvalidLogResourceType(resource_type=values["resource_type"])
        group, port = values["resource_id"], values["target_id"]
        if group is not None and not self._owned(draft, SecurityGroup, group):
            raise ResourceNotFound(resource_id=group)
        if port is not None:
            found: Port | None = self._owned(draft, Port, port)
            if found is None:
                raise TargetResourceNotFound(target_id=port)
            if group is not None and group not in Port.security_groups.raw(found):
                raise InvalidResourceConstraint(resource_id=group, target_id=port)
        return draft.insert(SecurityGroupLog, self.stored(values) | {"project_id": project_of(draft, values)})

    def _owned(self, draft: Draft, kind: Any, uuid: str) -> Any:
        """Return a resource that the caller owns; None if there is none."""
        row = self.databases.store.table(kind).get(UUID(uuid))
        own = row is not None and (draft.caller.admin or row.project_id == draft.caller.project)
        return row if own else None

    def update(self, draft: Draft, row: SecurityGroupLog, values: dict[str, Any]) -> None:
        """Write a change of a log."""
        draft.update(row, self.stored(values))

    def delete(self, draft: Draft, row: SecurityGroupLog) -> None:
        """Write the removal of a log."""
        draft.transaction.delete(row)


class LoggableResources(ReadOnlyResource):
    """``/v2.0/log/loggable-resources``."""

    member = "loggable_resource"
    collection = "loggable_resources"
    path = "log/loggable-resources"
    identity = "type"
    attributes: ClassVar[Mapping[str, Attribute]] = {"type": shown()}
    rules: ClassVar[Mapping[str, str]] = {"get_loggable_resource": MANAGER}

    def values(self) -> list[dict[str, Any]]:
        """Return the types of what can be logged."""
        return [{"type": SECURITY_GROUP}]
