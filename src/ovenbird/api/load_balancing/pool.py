"""Pools: members among which the connections of listeners are distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.attributes import REQUIRED, Attribute
from ovenbird.api.errors.load_balancing import (
    DuplicatePool,
    InvalidOption,
    LoadBalancingNotFound,
    UnsupportedOption,
    ValidationFailure,
)
from ovenbird.api.load_balancing import rules
from ovenbird.api.load_balancing.health_monitor import HealthMonitors
from ovenbird.api.load_balancing.member import MOST_MEMBERS, PoolMembers
from ovenbird.api.load_balancing.service import (
    COMMON,
    DESCRIBED,
    OTHER_PROTOCOLS,
    PROTOCOLS,
    BalancingResource,
    Site,
    choice,
    ids,
    site,
    unused,
)
from ovenbird.api.load_balancing.status import status_of_pool
from ovenbird.api.values import address, boolean, integer, mapping, optional, record
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.load_balancing import HealthMonitor, Listener, LoadBalancer, Member, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases, Draft

ALGORITHMS = ("SOURCE_IP_PORT", "SOURCE_IP")
OTHER_ALGORITHMS = ("ROUND_ROBIN", "LEAST_CONNECTIONS")
PERSISTENT = ("SOURCE_IP",)
OTHERWISE_PERSISTENT = ("HTTP_COOKIE", "APP_COOKIE")

_PERSISTENCE = record(
    (),
    type=choice("session persistence", PERSISTENT, others=OTHERWISE_PERSISTENT),
    cookie_name=optional(str),
    persistence_timeout=optional(integer(0, 2_147_483_647)),
    persistence_granularity=optional(address),
)


def _persistence(value: Any) -> dict[str, Any]:
    """Convert the session persistence of a pool; none is an empty object."""
    if not value:
        return {}
    found = _PERSISTENCE(value)
    if not found.get("type"):
        raise ValueError("a type is needed")
    if found.get("cookie_name"):
        raise ValidationFailure(reason="Cookie names are not supported for this type of session persistence.")
    return found


def _members(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > MOST_MEMBERS:
        raise ValueError(f"a list of at most {MOST_MEMBERS} members is needed")
    return [mapping(one) for one in value]


class Pools(BalancingResource[Pool]):
    """``/v2/lbaas/pools``."""

    member = "pool"
    collection = "pools"
    title = "Pool"
    row_class = Pool
    rules: ClassVar[Mapping[str, str]] = rules.of("pool")
    references: ClassVar[Mapping[str, str]] = {"members.subnet_id": "subnets"}
    wanted: ClassVar[Mapping[str, str]] = {"members.subnet_id": "Subnet"}
    attributes: ClassVar[Mapping[str, Attribute]] = (
        COMMON
        | DESCRIBED
        | {
            "loadbalancer_id": Attribute(optional(uuid_value), default=None, put=False),
            "listener_id": Attribute(optional(uuid_value), default=None, put=False, filterable=False),
            "protocol": Attribute(
                choice("pool protocol", PROTOCOLS, others=OTHER_PROTOCOLS), default=REQUIRED, put=False
            ),
            "lb_algorithm": Attribute(
                choice("algorithm", ALGORITHMS, others=OTHER_ALGORITHMS), default=REQUIRED, column="lb_algorithm"
            ),
            "session_persistence": Attribute(_persistence, default={}, filterable=False),
            "admin_state_up": Attribute(boolean, default=True, column="admin_state_up"),
            "members": Attribute(_members, default=[], put=False, filterable=False),
            "healthmonitor": Attribute(mapping, default={}, put=False, filterable=False),
        }
        | {
            name: unused(name)
            for name in ("tls_container_ref", "ca_tls_container_ref", "crl_container_ref", "tls_ciphers")
        }
        | {name: unused(name) for name in ("tls_versions", "alpn_protocols", "tls_enabled")}
    )

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.members = PoolMembers(databases)
        self.monitors = HealthMonitors(databases)

    def render(self, row: Pool) -> dict[str, Any]:
        """Return what the API shows of a pool."""
        monitor: HealthMonitor | None = row.referrer(HealthMonitor.pool)
        return {
            **self._own(row),
            "loadbalancers": ids([row.load_balancer]),
            "members": ids(row.referrers(Member.pool)),
            "healthmonitor_id": monitor.uuid if monitor is not None else None,
        }

    def full(self, row: Pool) -> dict[str, Any]:
        """Return a pool with its members and its health monitor."""
        monitor: HealthMonitor | None = row.referrer(HealthMonitor.pool)
        members = sorted(row.referrers(Member.pool), key=lambda one: one.uuid)
        return {
            **self._own(row),
            "members": [self.members.full(one) for one in members],
            "healthmonitor": self.monitors.full(monitor) if monitor is not None else None,
        }

    def _own(self, row: Pool) -> dict[str, Any]:
        persistence = None
        if row.session_persistence is not None:
            persistence = {
                "type": row.session_persistence,
                "cookie_name": None,
                "persistence_timeout": row.persistence_timeout,
                "persistence_granularity": row.persistence_granularity,
            }
        return {
            **self.common(row),
            "description": row.description,
            "operating_status": status_of_pool(self.databases, row),
            "admin_state_up": row.admin_state_up,
            "protocol": row.protocol,
            "lb_algorithm": row.lb_algorithm,
            "session_persistence": persistence,
            "listeners": ids(row.referrers(Listener.default_pool)),
            "tls_container_ref": None,
            "ca_tls_container_ref": None,
            "crl_container_ref": None,
            "tls_enabled": False,
            "tls_ciphers": None,
            "tls_versions": [],
            "alpn_protocols": [],
        }

    def facts(self, row: Pool) -> dict[str, Any]:
        """Return what a list can be filtered by besides what is shown."""
        return {"loadbalancer_id": Pool.load_balancer.raw(row)}

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new pool of a stored load balancer, which may be the default pool of a listener."""
        store = self.databases.store
        listener = None
        if values["listener_id"] is not None:
            listener = store.table(Listener).get(UUID(values["listener_id"]))
            if listener is None:
                raise LoadBalancingNotFound(resource="Listener", id=values["listener_id"])
        wanted = values["loadbalancer_id"] or (Listener.load_balancer.raw(listener) if listener is not None else None)
        if wanted is None:
            raise ValidationFailure(reason="Must provide at least one of: loadbalancer_id, listener_id")
        balancer = store.table(LoadBalancer).get(UUID(wanted))
        if balancer is None:
            raise LoadBalancingNotFound(resource="Load Balancer", id=wanted)
        if listener is not None:
            if Listener.load_balancer.raw(listener) != balancer.uuid:
                raise InvalidOption(value=listener.uuid, option="listener_id")
            check_protocol(values["protocol"], listener=listener.protocol)
            if Listener.default_pool.raw(listener) is not None:
                raise DuplicatePool
        uuid = self.insert(draft, site(balancer), values)
        if listener is not None:
            draft.update(listener, {"default_pool": uuid})
        return uuid

    def insert(self, draft: Draft, where: Site, values: Mapping[str, Any]) -> UUID:
        """Write a new pool with its members and its health monitor.

        Arguments:
            draft: the transaction.
            where: the load balancer, which may be new.
            values: parsed attributes.

        Raises:
            NeutronError: the pool or a part of it is refused.
        """
        self.databases.quotas.claim(draft, "pool", [where.project])
        stored = self.stored(values) | {
            "load_balancer": where.uuid,
            "project_id": where.project,
            "protocol": values["protocol"],
            **_persistent(values["session_persistence"], values["protocol"]),
        }
        uuid = draft.insert(Pool, stored)
        taken: set[tuple[str, int]] = set()
        for given in values["members"]:
            member = self.members.parse(given, creating=True)
            self.members.insert(draft, where, uuid, member, taken=taken, monitored=bool(values["healthmonitor"]))
            taken.add((address(member["address"]), member["protocol_port"]))
        if values["healthmonitor"]:
            given = {"pool_id": uuid, **values["healthmonitor"]}
            monitor = self.monitors.parse(given, creating=True)
            self.monitors.insert(draft, where, uuid, values["protocol"], monitor)
        return uuid

    def update(self, draft: Draft, row: Pool, values: dict[str, Any]) -> None:
        """Write a change of a pool."""
        stored = self.stored(values)
        if "session_persistence" in values:
            stored |= _persistent(values["session_persistence"], row.protocol)
        draft.update(row, stored)

    def delete(self, draft: Draft, row: Pool) -> None:
        """Write the removal of a pool with its parts; listeners of which it is the default pool have none then."""
        for listener in row.referrers(Listener.default_pool):
            draft.update(listener, {"default_pool": None})
        self.remove(draft, row)

    def remove(self, draft: Draft, row: Pool) -> None:
        """Write the removal of a pool to which no listener refers any more."""
        self.members.remove(draft, row.referrers(Member.pool))
        for monitor in row.referrers(HealthMonitor.pool):
            draft.transaction.delete(monitor)
        draft.transaction.delete(row)


def check_protocol(pool: str, *, listener: str) -> None:
    """Check that a pool can be the default pool of a listener, by the protocols of both.

    Raises:
        ValidationFailure: it cannot.
    """
    if pool != listener:
        raise ValidationFailure(
            reason=f"The pool protocol '{pool}' is invalid while the listener protocol is '{listener}'."
        )


def _persistent(given: Mapping[str, Any], protocol: str) -> dict[str, Any]:
    """Return the columns about session persistence.

    Raises:
        ValidationFailure: Octavia's API takes the timeout for some protocols only.
    """
    timeout, granularity = given.get("persistence_timeout"), given.get("persistence_granularity")
    if protocol == "TCP" and (timeout or granularity):
        raise ValidationFailure(
            reason="persistence_timeout and persistence_granularity is only for UDP and SCTP protocol pools."
        )
    if granularity not in (None, "255.255.255.255"):
        raise UnsupportedOption(reason="persistence_granularity is not supported: each client has its own member")
    return {
        "session_persistence": given.get("type"),
        "persistence_timeout": timeout,
        "persistence_granularity": granularity,
    }
