"""The operating status of load balancers and their parts, computed from what they consist of and from the probes.

A part that is switched off is OFFLINE. A pool of which all members fail their probes is in ERROR, and DEGRADED if some
do. What uses pools is as bad as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.model.load_balancing import HealthMonitor, Listener, LoadBalancer, Member, Pool
from ovenbird.model.member_health import DEGRADED, ERROR, OFFLINE, ONLINE, member_status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.api.databases import Databases
    from ovenbird.engine.rows import Store


def _southbound(databases: Databases) -> Store | None:
    return databases.southbound.store if databases.southbound is not None else None


def status_of_member(databases: Databases, row: Member) -> str:
    """Return a member's operating status."""
    return member_status(row, _southbound(databases))


def status_of_pool(databases: Databases, row: Pool) -> str:
    """Return a pool's operating status; one that no listener uses is OFFLINE."""
    if not (row.admin_state_up and row.referrers(Listener.default_pool)):
        return OFFLINE
    members = [one for one in row.referrers(Member.pool) if one.admin_state_up]
    return _together([status_of_member(databases, one) for one in members])


def status_of_listener(databases: Databases, row: Listener) -> str:
    """Return a listener's operating status."""
    if not row.admin_state_up:
        return OFFLINE
    pool = row.default_pool
    return ONLINE if pool is None else _together([status_of_pool(databases, pool)])


def status_of_load_balancer(databases: Databases, row: LoadBalancer) -> str:
    """Return a load balancer's operating status."""
    if not row.admin_state_up:
        return OFFLINE
    return _together([status_of_pool(databases, pool) for pool in row.referrers(Pool.load_balancer)])


def _together(states: Iterable[str]) -> str:
    found = [state for state in states if state != OFFLINE]
    if found and all(state == ERROR for state in found):
        return ERROR
    return DEGRADED if any(state in (ERROR, DEGRADED) for state in found) else ONLINE


def status_tree(databases: Databases, row: LoadBalancer) -> dict[str, Any]:
    """Return a load balancer with its listeners, their pools, and those members and health monitors, by status."""
    listeners = sorted(row.referrers(Listener.load_balancer), key=lambda one: (one.created_at, one.uuid))
    return {
        **_named(row, status_of_load_balancer(databases, row)),
        "listeners": [
            {
                **_named(one, status_of_listener(databases, one)),
                "pools": [_pool(databases, pool) for pool in (one.default_pool,) if pool is not None],
            }
            for one in listeners
        ],
    }


def _pool(databases: Databases, row: Pool) -> dict[str, Any]:
    monitor: HealthMonitor | None = row.referrer(HealthMonitor.pool)
    members = sorted(row.referrers(Member.pool), key=lambda one: (one.created_at, one.uuid))
    shown = _named(row, status_of_pool(databases, row))
    if monitor is not None:
        shown["health_monitor"] = {**_named(monitor, status_of_monitor(monitor)), "type": monitor.type}
    shown["members"] = [
        {
            **_named(one, status_of_member(databases, one)),
            "address": one.address,
            "protocol_port": one.protocol_port,
        }
        for one in members
    ]
    return shown


def status_of_monitor(row: HealthMonitor) -> str:
    """Return a health monitor's operating status."""
    return ONLINE if row.admin_state_up else OFFLINE


def _named(row: Any, operating: str) -> dict[str, Any]:
    return {"id": row.uuid, "name": row.name, "operating_status": operating, "provisioning_status": "ACTIVE"}
