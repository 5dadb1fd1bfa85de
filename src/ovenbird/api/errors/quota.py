"""Errors of requests about quotas."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NotFound


class OverQuota(Conflict):
    """The project's quota would be exceeded.

    Arguments:
        resource: of what it would have too many.
    """

    message = "Quota exceeded for resources: ['{resource}']."

    def __init__(self, *, resource: str) -> None:
        super().__init__(resource=resource)
        self.resource = resource


class TenantQuotaNotFound(NotFound):
    """The project has the default quotas."""

    message = "Quota for tenant {tenant_id} could not be found."


class QuotaMissingTenant(BadRequest):
    """The caller acts for no project."""

    message = "Tenant-id was missing from quota request."
