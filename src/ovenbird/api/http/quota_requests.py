"""Requests about quotas (Networking API v2.0, "Quotas extension", "Quotas details extension")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from ovenbird.api import attributes
from ovenbird.api.access.quotas import SERVICES, Quotas
from ovenbird.api.access.rules import ADMIN, MANAGER, each
from ovenbird.api.attributes import Attribute
from ovenbird.api.errors.quota import QuotaMissingTenant, TenantQuotaNotFound
from ovenbird.api.errors.request import HTTPBadRequest, PolicyNotAuthorized
from ovenbird.api.http.endpoints import Call, Endpoint
from ovenbird.api.values import boolean, integer
from ovenbird.model.cloud import Quota
from ovenbird.model.counted import NETWORK
from ovenbird.model.settings import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft

HIGHEST_QUOTA = 2_147_483_647
ATTRIBUTES = {name: Attribute(integer(UNLIMITED, HIGHEST_QUOTA)) for name in SERVICES[NETWORK]} | {
    name: Attribute(boolean) for name in ("force", "check_limit")
}
OF_CALLER = ("tenant", "project")
"""Addresses that say which project the caller acts for."""


class QuotaRequests(Endpoint):
    """Answers requests at ``/v2.0/quotas``.

    Arguments:
        quotas: the quotas.
    """

    extensions: ClassVar[Mapping[str, str]] = {
        "quota-check-limit": "Quota engine limit check",
        "quota-check-limit-default": "Quota engine limit check by default",
        "quota_details": "Quota details management support",
        "quotas": "Quota management support",
    }
    rules: ClassVar[Mapping[str, str]] = each(ADMIN, "update_quota", "delete_quota") | {"get_quota": MANAGER}

    def __init__(self, quotas: Quotas) -> None:
        self.quotas = quotas

    async def list(self, call: Call) -> bytes:
        """Return the quotas of the projects that have some of their own.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
        """
        _demand(call, "get_quota")
        projects = dict.fromkeys(row.project_id for row in self.quotas.databases.store.table(Quota))
        return orjson.dumps({"quotas": [self._limits(p) | {"project_id": p, "tenant_id": p} for p in projects]})

    async def show(self, call: Call, uuid: str) -> bytes:
        """Return a project's quotas, or which project is the caller's.

        Arguments:
            call: the request.
            uuid: whose quotas, or one of ``OF_CALLER``.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
        """
        project = uuid.removesuffix(".json")
        if project in OF_CALLER:
            if not call.caller.project:
                raise QuotaMissingTenant
            return orjson.dumps({project: {f"{project}_id": call.caller.project}})
        _demand_sight(call, project)
        return orjson.dumps({"quota": self._limits(project)})

    async def update(self, call: Call, uuid: str) -> bytes:
        """Change a project's quotas.

        Arguments:
            call: the request.
            uuid: whose quotas.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
            HTTPBadRequest: a limit is invalid, or lower than the present use without ``force``.
        """
        project, body = uuid.removesuffix(".json"), await call.body()
        _demand(call, "update_quota")
        limits = attributes.parse(ATTRIBUTES, attributes.member_of(body, "quota"), creating=False)
        force = limits.pop("force", False)
        limits.pop("check_limit", None)  # what it asks for is what happens anyway

        def build(draft: Draft) -> None:
            if not force:
                self._check(project, limits)
            self.quotas.set(draft, project, limits)

        await self.quotas.databases.change(call.caller, build)
        return orjson.dumps({"quota": self._limits(project)})

    async def delete(self, call: Call, uuid: str) -> None:
        """Reset a project's quotas to the defaults.

        Arguments:
            call: the request.
            uuid: whose quotas.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
            TenantQuotaNotFound: the project has the default quotas.
        """
        project = uuid.removesuffix(".json")
        _demand(call, "delete_quota")

        def build(draft: Draft) -> None:
            own = self.quotas.of(project)
            if not own:
                raise TenantQuotaNotFound(tenant_id=project)
            for row in own:
                draft.transaction.delete(row)

        await self.quotas.databases.change(call.caller, build)

    def _limits(self, project: str) -> dict[str, Any]:
        return {name: self.quotas.limit(project, resource=name) for name in SERVICES[NETWORK]}

    def _check(self, project: str, limits: Mapping[str, int]) -> None:
        for name, limit in limits.items():
            used = self.quotas.used(project, resource=name)
            if UNLIMITED < limit < used:
                raise HTTPBadRequest(
                    reason=f"Quota limit {limit} for {name} must be greater than or equal to already used {used}"
                )


class DefaultQuotas(Endpoint):
    """The endpoint ``/v2.0/quotas/PROJECT/default``: the default quotas.

    Arguments:
        quotas: the quotas.
    """

    def __init__(self, quotas: Quotas) -> None:
        self.quotas = quotas

    async def list(self, call: Call) -> bytes:
        """Return them.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
        """
        _demand_sight(call, call.parent)
        return orjson.dumps({"quota": {name: self.quotas.default(name) for name in SERVICES[NETWORK]}})


class QuotaDetails(Endpoint):
    """The endpoint ``/v2.0/quotas/PROJECT/details``: a project's quotas and their use.

    Arguments:
        quotas: the quotas.
    """

    def __init__(self, quotas: Quotas) -> None:
        self.quotas = quotas

    async def list(self, call: Call) -> bytes:
        """Return them.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
        """
        _demand_sight(call, call.parent)
        limit, used = self.quotas.limit, self.quotas.used
        details = {
            name: {"limit": limit(call.parent, resource=name), "used": used(call.parent, resource=name), "reserved": 0}
            for name in SERVICES[NETWORK]
        }
        return orjson.dumps({"quota": details})


def _demand_sight(call: Call, project: str) -> None:
    """Check that the caller may read a project's quotas; those of the own project always."""
    if project != call.caller.project:
        _demand(call, "get_quota")


def _demand(call: Call, rule: str) -> None:
    """Check a rule whose target is the caller's own project, as Neutron does for all of quotas."""
    facts = {"project_id": call.caller.project, "tenant_id": call.caller.project}
    if call.access is not None and not call.access.allows(rule, facts.__getitem__):
        raise PolicyNotAuthorized(rule=f"rule:{rule}")
