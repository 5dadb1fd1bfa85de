"""Health monitors: how the members of a pool are probed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.attributes import REQUIRED, Attribute
from ovenbird.api.errors.load_balancing import (
    DuplicateHealthMonitor,
    LoadBalancingNotFound,
    ValidationFailure,
)
from ovenbird.api.load_balancing import rules
from ovenbird.api.load_balancing.probes import Probes
from ovenbird.api.load_balancing.service import COMMON, BalancingResource, Site, choice, ids, site, unused
from ovenbird.api.load_balancing.status import status_of_monitor
from ovenbird.api.values import boolean, integer
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.load_balancing import HealthMonitor, Member, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases, Draft

MONITOR_TYPES = ("TCP", "UDP-CONNECT")
OTHER_TYPES = ("HTTP", "HTTPS", "PING", "TLS-HELLO", "SCTP")

RETRIES = integer(1, 10)


class HealthMonitors(BalancingResource[HealthMonitor]):
    """``/v2/lbaas/healthmonitors``."""

    member = "healthmonitor"
    collection = "healthmonitors"
    title = "Health Monitor"
    row_class = HealthMonitor
    rules: ClassVar[Mapping[str, str]] = rules.of("healthmonitor")
    attributes: ClassVar[Mapping[str, Attribute]] = COMMON | {
        "pool_id": Attribute(uuid_value, default=REQUIRED, put=False),
        "type": Attribute(
            choice("health monitor type", MONITOR_TYPES, others=OTHER_TYPES), default=REQUIRED, put=False
        ),
        "delay": Attribute(integer(0, 2_147_483_647), default=REQUIRED, column="delay"),
        "timeout": Attribute(integer(0, 2_147_483_647), default=REQUIRED, column="timeout"),
        "max_retries": Attribute(RETRIES, default=REQUIRED, column="max_retries"),
        "max_retries_down": Attribute(RETRIES, default=3, column="max_retries_down"),
        "admin_state_up": Attribute(boolean, default=True, column="admin_state_up"),
        **{name: unused(name) for name in ("http_method", "url_path", "expected_codes", "http_version", "domain_name")},
    }

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.probes = Probes(databases)

    def render(self, row: HealthMonitor) -> dict[str, Any]:
        """Return what the API shows of a health monitor."""
        return {**self.full(row), "pools": ids([row.pool])}

    def full(self, row: HealthMonitor) -> dict[str, Any]:
        """Return a health monitor without what it belongs to."""
        return {
            **self.common(row),
            "operating_status": status_of_monitor(row),
            "type": row.type,
            "delay": row.delay,
            "timeout": row.timeout,
            "max_retries": row.max_retries,
            "max_retries_down": row.max_retries_down,
            "admin_state_up": row.admin_state_up,
            "http_method": None,
            "url_path": None,
            "expected_codes": None,
            "http_version": None,
            "domain_name": None,
        }

    def facts(self, row: HealthMonitor) -> dict[str, Any]:
        """Return what a list can be filtered by besides what is shown."""
        return {"pool_id": HealthMonitor.pool.raw(row)}

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write the health monitor of a pool, whose members are probed from now on."""
        pool = self.databases.store.table(Pool).get(UUID(values["pool_id"]))
        if pool is None:
            raise LoadBalancingNotFound(resource="Pool", id=values["pool_id"])
        if pool.referrers(HealthMonitor.pool):
            raise DuplicateHealthMonitor
        draft.touch(pool)
        for member in pool.referrers(Member.pool):
            self.probes.begin(draft, member)
        return self.insert(draft, site(pool.load_balancer), pool.uuid, pool.protocol, values)

    def insert(self, draft: Draft, where: Site, pool: UUID, protocol: str, values: Mapping[str, Any]) -> UUID:
        """Write the health monitor of a pool, which may be new, but not its members.

        Arguments:
            draft: the transaction.
            where: the load balancer.
            pool: the pool's id.
            protocol: the pool's.
            values: parsed attributes.
        """
        _check_type(values["type"], protocol)
        self.databases.quotas.claim(draft, "health_monitor", [where.project])
        stored = self.stored(values) | {"pool": pool, "type": values["type"], "project_id": where.project}
        return draft.insert(HealthMonitor, stored)

    def update(self, draft: Draft, row: HealthMonitor, values: dict[str, Any]) -> None:
        """Write a change of a health monitor."""
        draft.update(row, self.stored(values))

    def delete(self, draft: Draft, row: HealthMonitor) -> None:
        """Write the removal of a health monitor; the members of its pool are not probed any more."""
        draft.touch(row.pool)
        self.probes.end(draft, row.pool.referrers(Member.pool))
        draft.transaction.delete(row)


def _check_type(kind: str, protocol: str) -> None:
    """Check that the members of a pool can be probed by a type of health monitor.

    Raises:
        ValidationFailure: Octavia's API refuses it.
    """
    if kind == "UDP-CONNECT" and protocol == "TCP":
        raise ValidationFailure(reason=f"The {kind} type is only supported for pools of type UDP/SCTP.")
