"""Quotas: how many of each resource a project may have.

The resources of a project are counted by an index, at a cost independent of their number. Creations close to the limit
are serialised: each waits for the previous value of a counter and increments it, in the transaction that creates the
resource. So of several requests that find one place left, in any processes, one succeeds and the others fail. Creations
far from the limit do not wait for each other.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ovenbird.api.errors.quota import OverQuota
from ovenbird.model import cloud
from ovenbird.model.cloud import Quota, QuotaTurn
from ovenbird.model.counted import LOAD_BALANCER, NETWORK
from ovenbird.model.settings import QUOTAS, UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import ColumnOf, Row

NEAR = 256
"""The number of free places below which creations are serialized. To exceed a limit, more creations than this would
have to run at once without seeing each other."""

COUNTED: Mapping[str, ColumnOf[Row, str] | None] = dict.fromkeys(QUOTAS) | {
    counted.member: rows.BY_NAME["project_id"] for rows, counted in cloud.COUNTED.items()
}
"""The column that counts each resource; None for resources with quotas that this API does not have."""

SERVICES: Mapping[str, tuple[str, ...]] = {
    service: tuple([counted.member for counted in cloud.COUNTED.values() if counted.service == service])
    for service in (NETWORK, LOAD_BALANCER)
}
"""The resources whose quotas each API shows, by service type."""

DEFAULT_QUOTAS: Mapping[str, int] = {resource: setting.default for resource, setting in QUOTAS.items()}
"""Defaults with authentication."""
NONE: Mapping[str, int] = dict.fromkeys(COUNTED, UNLIMITED)
"""Defaults without authentication, where callers cannot be told apart."""


class Quotas:
    """The quotas of all projects.

    Arguments:
        databases: contain the quotas and the resources.
        usual: the quota of each resource where the settings have none.
    """

    def __init__(self, databases: Databases, usual: Mapping[str, int] = DEFAULT_QUOTAS) -> None:
        self.databases = databases
        self.usual = usual

    def default(self, resource: str) -> int:
        """Return the default limit of a resource, for projects without a quota of their own."""
        given = QUOTAS[resource].given(self.databases.store)
        return self.usual[resource] if given is None else given

    def limit(self, project: str, *, resource: str) -> int:
        """Return a project's limit of a resource; -1 for no limit."""
        row = self._row(project, resource)
        return row.maximum if row is not None else self.default(resource)

    def used(self, project: str, *, resource: str) -> int:
        """Return how many instances of a resource a project has."""
        column = COUNTED[resource]
        return 0 if column is None else self.databases.store.table(column.owner).index(column).count(project)

    def claim(self, draft: Draft, resource: str, projects: Iterable[str]) -> None:
        """Check that a draft may create a resource in each of some projects, and ensure this at the commit.

        Several claims of one draft add up.

        Arguments:
            draft: the transaction.
            resource: its name: `port`.
            projects: the project of each new resource.

        Raises:
            OverQuota: a limit would be exceeded.
        """
        if resource not in COUNTED:
            return
        for project, number in Counter(projects).items():
            limit = self.limit(project, resource=resource)
            if limit == UNLIMITED:
                continue
            draft.claimed[project, resource] += number
            wanted = draft.claimed[project, resource]
            left = limit - self.used(project, resource=resource) - wanted
            if left < 0:
                raise OverQuota(resource=resource)
            if left < NEAR:
                self._take_turn(draft, project, resource)

    def _take_turn(self, draft: Draft, project: str, resource: str) -> None:
        if ("turn", project, resource) in draft.made:
            return
        draft.made["turn", project, resource] = None
        values = {"project_id": project, "resource": resource}
        row: QuotaTurn | None = self._find(QuotaTurn, project, resource)
        if row is None:
            draft.transaction.insert(QuotaTurn, values | {"number": 1})  # of two that do so the index lets one through
            return
        draft.transaction.wait(row, {"number": row["number"]})
        draft.transaction.update(row, {"number": row["number"] + 1})

    def _row(self, project: str, resource: str) -> Quota | None:
        found: Quota | None = self._find(Quota, project, resource)
        return found

    def _find(self, rows: Any, project: str, resource: str) -> Any:
        found = self.databases.store.table(rows).index(rows.project_id, rows.resource).rows((project, resource))
        return found[0] if found else None

    # -- changing -----------------------------------------------------------------------------------------------------

    def of(self, project: str) -> list[Quota]:
        """Return the quotas set for a project."""
        return list(self.databases.store.select(Quota.project_id, project))

    def set(self, draft: Draft, project: str, limits: Mapping[str, int]) -> None:
        """Write a project's quotas; those not given stay.

        Arguments:
            draft: the transaction.
            project: whose quotas.
            limits: by resource; -1 for none.
        """
        for resource, maximum in limits.items():
            row = self._row(project, resource)
            self._take_turn(draft, project, resource)
            if row is None:
                values = {"project_id": project, "resource": resource, "maximum": maximum}
                draft.transaction.insert(Quota, values)
            elif row["maximum"] != maximum:
                draft.transaction.update(row, {"maximum": maximum})
