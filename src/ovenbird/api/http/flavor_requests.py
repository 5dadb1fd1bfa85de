"""Requests about which service profiles a flavor has (Networking API v2.0, "Flavors framework")."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import orjson

from ovenbird.api import attributes
from ovenbird.api.access.rules import ADMIN, READER, each
from ovenbird.api.attributes import REQUIRED, Attribute
from ovenbird.api.errors.flavor import (
    FlavorNotFound,
    FlavorServiceProfileBindingExists,
    FlavorServiceProfileBindingNotFound,
    ServiceProfileDisabled,
    ServiceProfileNotFound,
)
from ovenbird.api.errors.request import PolicyNotAuthorized
from ovenbird.api.http.endpoints import Call, Endpoint
from ovenbird.api.resources.flavor import OVN_DRIVER
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import Flavor, ServiceProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases, Draft

PROFILE_ATTRIBUTES = {"id": Attribute(uuid_value, default=REQUIRED)}


class ProfilesOfFlavor(Endpoint):
    """``/v2.0/flavors/ID/service_profiles``.

    Arguments:
        databases: where flavors are.
    """

    extensions: ClassVar[Mapping[str, str]] = {}
    rules: ClassVar[Mapping[str, str]] = {
        **each(ADMIN, "create_flavor_service_profile", "delete_flavor_service_profile"),
        "get_flavor_service_profile": READER,
    }

    def __init__(self, databases: Databases) -> None:
        self.databases = databases

    async def create(self, call: Call) -> bytes:
        """Add a service profile to a flavor, and return the flavor's id, as Neutron does.

        Raises:
            NeutronError: the request is refused.
        """
        _demand(call, "create_flavor_service_profile")
        given = attributes.member_of(await call.body(), "service_profile")
        profile = UUID(attributes.parse(PROFILE_ATTRIBUTES, given, creating=True)["id"])

        def build(draft: Draft) -> None:
            row, present = self._present(call)
            if self.databases.store.table(ServiceProfile).get(profile) is None:
                raise ServiceProfileNotFound(id=profile)
            if profile in present:
                raise FlavorServiceProfileBindingExists(profile=profile, flavor=row.uuid)
            draft.update(row, {"service_profiles": present | {profile}})

        await self.databases.change(call.caller, build)
        return orjson.dumps({"service_profile": {"id": self._flavor(call).uuid}})

    async def show(self, call: Call, uuid: str) -> bytes:
        """Return that a flavor has a service profile.

        Arguments:
            call: the request.
            uuid: the service profile's id.

        Raises:
            NeutronError: the request is refused.
        """
        _demand(call, "get_flavor_service_profile")
        row, present = self._present(call)
        if uuid not in present:
            raise FlavorServiceProfileBindingNotFound(profile=uuid, flavor=row.uuid)
        return orjson.dumps({"service_profile": {"service_profile_id": uuid, "flavor_id": row.uuid}})

    async def delete(self, call: Call, uuid: str) -> None:
        """Take a service profile from a flavor.

        Arguments:
            call: the request.
            uuid: the service profile's id.

        Raises:
            NeutronError: the request is refused.
        """
        _demand(call, "delete_flavor_service_profile")

        def build(draft: Draft) -> None:
            row, present = self._present(call)
            if uuid not in present:
                raise FlavorServiceProfileBindingNotFound(profile=uuid, flavor=row.uuid)
            draft.update(row, {"service_profiles": present - {UUID(uuid)}})

        await self.databases.change(call.caller, build)

    def _flavor(self, call: Call) -> Flavor:
        found = self.databases.store.table(Flavor).get(UUID(call.parent))
        if found is None:
            raise FlavorNotFound(id=call.parent)
        return found

    def _present(self, call: Call) -> tuple[Flavor, frozenset[UUID]]:
        row = self._flavor(call)
        return row, frozenset(profile.uuid for profile in row.service_profiles)


class NextProviders(ProfilesOfFlavor):
    """``/v2.0/flavors/ID/next_providers``."""

    async def list(self, call: Call) -> bytes:
        """Return the provider that a new resource of a flavor would have.

        Raises:
            NeutronError: there is none.
        """
        _demand(call, "get_flavor_service_profile")
        row = self._flavor(call)
        profiles = sorted(row.service_profiles, key=lambda profile: (not profile.enabled, profile.uuid))
        if not profiles:
            raise FlavorServiceProfileBindingNotFound(profile="", flavor=row.uuid)
        if not profiles[0].enabled:
            raise ServiceProfileDisabled
        return orjson.dumps({"next_providers": [{"provider": "ovn", "driver": profiles[0].driver or OVN_DRIVER}]})


def _demand(call: Call, rule: str) -> None:
    if not call.may(rule):
        raise PolicyNotAuthorized(rule=f"rule:{rule}")
