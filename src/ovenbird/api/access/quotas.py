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
from ovenbird.model.settings import QUOTAS, UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import ColumnOf, Row

NEAR = 256
"""Places left from which on creations take turns. More than this would have to be under way at once, unseen by each
other, to exceed a limit."""

COUNTED: Mapping[str, ColumnOf[Row, str] | None] = dict.fromkeys(QUOTAS) | {
    counted.member: rows.BY_NAME["project_id"] for rows, counted in cloud.COUNTED.items()
}
"""The column that counts each resource; None for those that clients set quotas of and this API has none of."""

DEFAULT_QUOTAS: Mapping[str, int] = {resource: setting.default for resource, setting in QUOTAS.items()}
"""Defaults where people log in."""
NONE: Mapping[str, int] = dict.fromkeys(COUNTED, UNLIMITED)
"""Defaults where nobody has to say who he is, and so nobody needs to be kept from what is another's."""


class Quotas:
    """The quotas of all projects.

    Arguments:
        databases: where they are, and what they count.
        usual: the quota of each resource where the settings have none.
    """

    def __init__(self, databases: Databases, usual: Mapping[str, int] = DEFAULT_QUOTAS) -> None:
        self.databases = databases
        self.usual = usual

    def default(self, resource: str) -> int:
        """Return how many of a resource a project may have that has no quota of its own."""
        given = QUOTAS[resource].given(self.databases.store)
        return self.usual[resource] if given is None else given

    def limit(self, project: str, *, resource: str) -> int:
        """Return how many of a resource a project may have; -1 for any number."""
        row = self._row(project, resource)
        return row.maximum if row is not None else self.default(resource)

    def used(self, project: str, *, resource: str) -> int:
        """Return how many of a resource a project has."""
        column = COUNTED[resource]
        return 0 if column is None else self.databases.store.table(column.owner).index(column).count(project)

    def claim(self, draft: Draft, resource: str, projects: Iterable[str]) -> None:
        """Check that a draft may create a resource once in each of some projects, and see to it that it stays so.

        What a draft claims of a resource several times adds up.

        Arguments:
            draft: the transaction.
            resource: its name: `port`.
            projects: one for each that is created.

        Raises:
            OverQuota: it may not.
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
        """Return the quotas that a project has of its own."""
        return list(self.databases.store.select(Quota.project_id, project))

    def set(self, draft: Draft, project: str, limits: Mapping[str, int]) -> None:
        """Write a project's quotas; those not named stay.

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
