"""Flavors: choices that an administrator offers for a kind of service, here for routers alone.

The one provider of routers is OVN, so that all flavors of routers have the same effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, each
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.flavor import (
    FlavorDisabled,
    FlavorInUse,
    FlavorNotFound,
    FlavorServiceProfileBindingNotFound,
    InvalidServiceType,
    ServiceProfileDisabled,
)
from ovenbird.api.resource import Resource
from ovenbird.api.values import boolean, list_of, optional, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import Flavor, Router

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases, Draft

ROUTER_SERVICE = "L3_ROUTER_NAT"
OVN_DRIVER = "neutron.services.ovn_l3.service_providers.ovn.OvnDriver"
"""The name that service profiles have for it in Neutron."""


class Flavors(Resource[Flavor]):
    """``/v2.0/flavors``."""

    member = "flavor"
    collection = "flavors"
    row_class = Flavor
    not_found = FlavorNotFound
    taggable = False
    extensions: ClassVar[Mapping[str, str]] = {"flavors": "Neutron Service Flavors", "l3-flavors": "Router Flavor"}
    rules: ClassVar[Mapping[str, str]] = {
        **each(ADMIN, "create_flavor", "update_flavor", "delete_flavor"),
        "get_flavor": "role:reader",
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "name": Attribute(text(), default="", column="name"),
        "description": Attribute(optional(text(1024)), default=""),
        "service_type": Attribute(text(), default=REQUIRED, put=False, column="service_type"),
        "service_profiles": Attribute(list_of(uuid_value), default=[], filterable=False),
        "enabled": Attribute(optional(boolean), default=True),
    }

    def render(self, row: Flavor) -> dict[str, Any]:
        """Return what the API shows of a flavor."""
        return {
            "id": row.uuid,
            "name": row.name,
            "description": row.description,
            "service_type": row.service_type,
            "service_profiles": sorted(profile.uuid for profile in row.service_profiles),
            "enabled": row.enabled,
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new flavor; its service profiles are added by requests of their own."""
        if values["service_type"] != ROUTER_SERVICE:
            raise InvalidServiceType(service_type=values["service_type"])
        return draft.insert(Flavor, self.stored(values) | switchable(values))

    def update(self, draft: Draft, row: Flavor, values: dict[str, Any]) -> None:
        """Write a change of a flavor."""
        draft.update(row, self.stored(values) | switchable(values))

    def delete(self, draft: Draft, row: Flavor) -> None:
        """Write the removal of a flavor that no router has."""
        if row.referrers(Router.flavor):
            raise FlavorInUse(id=row.uuid)
        draft.transaction.delete(row)


def chosen_flavor(databases: Databases, uuid: str) -> Flavor:
    """Return the flavor of a new router.

    Raises:
        NeutronError: there is none, it is disabled, or it has no service profile that can be used.
    """
    found = databases.store.table(Flavor).get(UUID(uuid))
    if found is None:
        raise FlavorNotFound(id=uuid)
    profiles = found.service_profiles
    if not profiles:
        raise FlavorServiceProfileBindingNotFound(profile="", flavor=uuid)
    if not found.enabled:
        raise FlavorDisabled
    if not any(profile.enabled for profile in profiles):
        raise ServiceProfileDisabled
    return found


def switchable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request says of a description, which null empties, and of whether it is enabled."""
    columns: dict[str, Any] = {}
    if "description" in values:
        columns["description"] = values["description"] or ""
    if values.get("enabled") is not None:
        columns["enabled"] = values["enabled"]
    return columns
