"""The quotas of the load balancing API (Octavia's API v2, "Quotas")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api import attributes
from ovenbird.api.access.quotas import SERVICES
from ovenbird.api.attributes import Attribute
from ovenbird.api.values import integer
from ovenbird.model.cloud import Quota
from ovenbird.model.counted import LOAD_BALANCER
from ovenbird.model.settings import UNLIMITED

if TYPE_CHECKING:
    from ovenbird.api.access.auth import Caller
    from ovenbird.api.access.quotas import Quotas
    from ovenbird.api.databases import Draft

OLDER = {"loadbalancer": "load_balancer", "healthmonitor": "health_monitor"}
"""Other names of the same quotas; both are shown."""

WITHOUT = ("l7policy", "l7rule")
"""Quotas of what this provider has none of; shown, and taken for clients that set all of them."""

_LIMIT = Attribute(integer(UNLIMITED, 2_147_483_647))
BALANCING_LIMITS = dict.fromkeys((*SERVICES[LOAD_BALANCER], *OLDER, *WITHOUT), _LIMIT)


class BalancingQuotas:
    """The quotas of projects, as Octavia shows them.

    Arguments:
        quotas: the quotas of both APIs.
    """

    def __init__(self, quotas: Quotas) -> None:
        self.quotas = quotas

    def listed(self, project: str | None) -> dict[str, Any]:
        """Return the quotas of the projects that have some of their own.

        Arguments:
            project: the only project; None for all.
        """
        rows = self.quotas.databases.store.table(Quota) if project is None else self.quotas.of(project)
        projects = dict.fromkeys(row.project_id for row in rows if row.resource in SERVICES[LOAD_BALANCER])
        return {"quotas": [self._limits(one) | {"project_id": one} for one in projects], "quotas_links": []}

    def shown(self, project: str) -> dict[str, Any]:
        """Return a project's quotas."""
        return {"quota": self._limits(project)}

    def defaults(self) -> dict[str, Any]:
        """Return the default quotas."""
        return {"quota": _named({name: self.quotas.default(name) for name in SERVICES[LOAD_BALANCER]})}

    async def set(self, caller: Caller, project: str, body: Any) -> None:
        """Change a project's quotas; null stands for the default.

        Arguments:
            caller: the caller.
            project: whose quotas.
            body: the request's, parsed.

        Raises:
            HTTPBadRequest: a limit is invalid.
        """
        given = dict(attributes.member_of(body, "quota"))
        reset = [OLDER.get(name, name) for name, value in given.items() if value is None]
        parsed = attributes.parse(BALANCING_LIMITS, {n: v for n, v in given.items() if v is not None}, creating=False)
        limits = {OLDER.get(name, name): value for name, value in parsed.items() if name not in WITHOUT}

        def build(draft: Draft) -> None:
            for row in self.quotas.of(project):
                if row.resource in reset:
                    draft.transaction.delete(row)
            self.quotas.set(draft, project, limits)

        await self.quotas.databases.change(caller, build)

    async def reset(self, caller: Caller, project: str) -> None:
        """Reset a project's quotas to the defaults.

        Arguments:
            caller: the caller.
            project: whose quotas.
        """

        def build(draft: Draft) -> None:
            for row in self.quotas.of(project):
                if row.resource in SERVICES[LOAD_BALANCER]:
                    draft.transaction.delete(row)

        await self.quotas.databases.change(caller, build)

    def _limits(self, project: str) -> dict[str, Any]:
        return _named({name: self.quotas.limit(project, resource=name) for name in SERVICES[LOAD_BALANCER]})


def _named(limits: dict[str, int]) -> dict[str, Any]:
    """Return limits by all of their names."""
    older = {old: limits[name] for old, name in OLDER.items()}
    return limits | older | dict.fromkeys(WITHOUT, UNLIMITED)
