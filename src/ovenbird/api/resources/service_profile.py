"""Service profiles: how flavors are provided. OVN is the one driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, each
from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.errors.flavor import (
    ServiceProfileDriverNotFound,
    ServiceProfileEmpty,
    ServiceProfileInUse,
    ServiceProfileNotFound,
)
from ovenbird.api.resource import Resource
from ovenbird.api.resources.flavor import OVN_DRIVER, switchable
from ovenbird.api.values import boolean, optional, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.model.cloud import Flavor, ServiceProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import UUID


class ServiceProfiles(Resource[ServiceProfile]):
    """``/v2.0/service_profiles``."""

    member = "service_profile"
    collection = "service_profiles"
    path = "service_profiles"
    row_class = ServiceProfile
    not_found = ServiceProfileNotFound
    taggable = False
    rules: ClassVar[Mapping[str, str]] = each(
        ADMIN, *(f"{verb}_service_profile" for verb in ("create", "get", "update", "delete"))
    )
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "description": Attribute(optional(text(1024)), default=""),
        "driver": Attribute(text(1024), default="", column="driver"),
        "metainfo": Attribute(text(4096), default="", column="metainfo"),
        "enabled": Attribute(optional(boolean), default=True),
    }

    def render(self, row: ServiceProfile) -> dict[str, Any]:
        """Return what the API shows of a service profile."""
        return {
            "id": row.uuid,
            "description": row.description,
            "driver": row.driver,
            "metainfo": row.metainfo,
            "enabled": row.enabled,
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new service profile."""
        _check_driver(values["driver"])
        if not values["driver"] and not values["metainfo"]:
            raise ServiceProfileEmpty
        return draft.insert(ServiceProfile, self.stored(values) | switchable(values))

    def update(self, draft: Draft, row: ServiceProfile, values: dict[str, Any]) -> None:
        """Write a change of a service profile that no flavor has."""
        _check_driver(values.get("driver", ""))
        _check_unused(row)
        draft.update(row, self.stored(values) | switchable(values))

    def delete(self, draft: Draft, row: ServiceProfile) -> None:
        """Write the removal of a service profile that no flavor has."""
        _check_unused(row)
        draft.transaction.delete(row)


def _check_driver(driver: str) -> None:
    if driver not in ("", OVN_DRIVER):
        raise ServiceProfileDriverNotFound(driver=driver)


def _check_unused(row: ServiceProfile) -> None:
    if row.referrers(Flavor.service_profiles):
        raise ServiceProfileInUse(id=row.uuid)
