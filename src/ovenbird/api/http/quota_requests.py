"""Requests about quotas (Networking API v2.0, "Quotas extension", "Quotas details extension")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api import attributes
from ovenbird.api.access.quotas import COUNTED, Quotas
from ovenbird.api.attributes import Attribute
from ovenbird.api.errors.quota import QuotaMissingTenant, TenantQuotaNotFound
from ovenbird.api.errors.request import HTTPBadRequest, HTTPMethodNotAllowed, HTTPNotFound, PolicyNotAuthorized
from ovenbird.api.values import boolean, integer
from ovenbird.model.cloud import Quota
from ovenbird.model.settings import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.access.auth import Caller
    from ovenbird.api.access.policy import Access
    from ovenbird.api.databases import Draft

MOST = 2_147_483_647
ATTRIBUTES = {name: Attribute(integer(UNLIMITED, MOST)) for name in COUNTED} | {
    name: Attribute(boolean) for name in ("force", "check_limit")
}
OF_CALLER = ("tenant", "project")
"""Addresses that say which project the caller acts for."""


class QuotaRequests:
    """Answers requests at ``/v2.0/quotas`` and below.

    Arguments:
        quotas: the quotas.
    """

    def __init__(self, quotas: Quotas) -> None:
        self.quotas = quotas

    def list(self, caller: Caller, access: Access | None) -> dict[str, Any]:
        """Return the quotas of the projects that have some of their own.

        Raises:
            PolicyNotAuthorized: not for the caller.
        """
        _demand(access, "get_quota", caller.project)
        projects = dict.fromkeys(row.project_id for row in self.quotas.databases.store.table(Quota))
        return {"quotas": [self._limits(p) | {"project_id": p, "tenant_id": p} for p in projects]}

    def show(self, caller: Caller, access: Access | None, project: str, what: str) -> dict[str, Any]:
        """Return a project's quotas, or what they are by default, or how much of them is used.

        Arguments:
            caller: who asks.
            access: what the caller may.
            project: whose quotas, or one of ``OF_CALLER``.
            what: ``""``, ``"default"`` or ``"details"``.

        Raises:
            PolicyNotAuthorized: not for the caller.
            HTTPNotFound: there is no such address.
        """
        if project in OF_CALLER and not what:
            if not caller.project:
                raise QuotaMissingTenant
            return {project: {f"{project}_id": caller.project}}
        if project != caller.project:
            _demand(access, "get_quota", caller.project)
        if what == "":
            return {"quota": self._limits(project)}
        if what == "default":
            return {"quota": {name: self.quotas.default(name) for name in COUNTED}}
        if what == "details":
            return {"quota": self._details(project)}
        raise HTTPNotFound

    async def update(self, caller: Caller, access: Access | None, project: str, body: Any) -> dict[str, Any]:
        """Change a project's quotas.

        Arguments:
            caller: who asks.
            access: what the caller may see and do; None for everything.
            project: whose quotas.
            body: the request's, parsed.

        Raises:
            PolicyNotAuthorized: not for the caller.
            HTTPBadRequest: a limit makes no sense, or is less than there is, which ``force`` allows.
        """
        _demand(access, "update_quota", caller.project)
        limits = attributes.parse(ATTRIBUTES, attributes.member_of(body, "quota"), creating=False)
        force = limits.pop("force", False)
        limits.pop("check_limit", None)  # what it asks for is what happens anyway

        def build(draft: Draft) -> None:
            if not force:
                self._check(project, limits)
            self.quotas.set(draft, project, limits)

        await self.quotas.databases.change(caller, build)
        return {"quota": self._limits(project)}

    async def delete(self, caller: Caller, access: Access | None, project: str) -> None:
        """Give a project the default quotas again.

        Arguments:
            caller: who asks.
            access: what the caller may see and do; None for everything.
            project: whose quotas.

        Raises:
            PolicyNotAuthorized: not for the caller.
            TenantQuotaNotFound: the project has no quotas of its own.
        """
        _demand(access, "delete_quota", caller.project)

        def build(draft: Draft) -> None:
            own = self.quotas.of(project)
            if not own:
                raise TenantQuotaNotFound(tenant_id=project)
            for row in own:
                draft.transaction.delete(row)

        await self.quotas.databases.change(caller, build)

    async def answer(
        self, method: str, caller: Caller, access: Access | None, path: tuple[str, str], body: Any
    ) -> dict[str, Any] | None:
        """Return the answer to a request; None where there is nothing to say.

        Arguments:
            method: of HTTP.
            caller: who asks.
            access: what the caller may.
            path: project and what of it; empty strings where the address ends before.
            body: the request's, decoded, where its method has one.

        Raises:
            NeutronError: it cannot be.
        """
        project, what = path
        if method in ("GET", "HEAD"):
            return self.show(caller, access, project, what) if project else self.list(caller, access)
        if method == "PUT" and project and not what:
            return await self.update(caller, access, project, body)
        if method == "DELETE" and project and not what:
            await self.delete(caller, access, project)
            return None
        raise HTTPMethodNotAllowed

    def _limits(self, project: str) -> dict[str, Any]:
        return {name: self.quotas.limit(project, name) for name in COUNTED}

    def _details(self, project: str) -> dict[str, Any]:
        return {
            name: {"limit": self.quotas.limit(project, name), "used": self.quotas.used(project, name), "reserved": 0}
            for name in COUNTED
        }

    def _check(self, project: str, limits: Mapping[str, int]) -> None:
        for name, limit in limits.items():
            used = self.quotas.used(project, name)
            if UNLIMITED < limit < used:
                raise HTTPBadRequest(
                    reason=f"Quota limit {limit} for {name} must be greater than or equal to already used {used}"
                )


def _demand(access: Access | None, rule: str, project: str) -> None:
    """Check a rule whose target is the caller's own project, as Neutron does for all of quotas."""
    facts = {"project_id": project, "tenant_id": project}
    if access is not None and not access.allows(rule, facts.__getitem__):
        raise PolicyNotAuthorized(rule=f"rule:{rule}")
