"""Listeners: the ports at which a load balancer accepts connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.attributes import REQUIRED, Attribute
from ovenbird.api.errors.load_balancing import DuplicateListener, LoadBalancingNotFound, ValidationFailure
from ovenbird.api.load_balancing import rules
from ovenbird.api.load_balancing.pool import Pools, check_protocol
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
from ovenbird.api.load_balancing.status import status_of_listener
from ovenbird.api.values import boolean, integer, list_of, mapping, network_of, optional
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.load_balancing import Listener, LoadBalancer, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases, Draft

TIMEOUTS = {
    "timeout_client_data": 50_000,
    "timeout_member_connect": 5_000,
    "timeout_member_data": 50_000,
    "timeout_tcp_inspect": 0,
}
"""Octavia's defaults, in milliseconds."""

LONGEST_TIMEOUT = 365 * 24 * 3600 * 1000

MOST_CIDRS = 200
"""The largest number of prefixes of clients."""


def _cidr(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"'{value}' is not a valid IP subnet")  # noqa: TRY004 (a request's error)
    return network_of(value)


class BalancedListeners(BalancingResource[Listener]):
    """``/v2/lbaas/listeners``."""

    member = "listener"
    collection = "listeners"
    title = "Listener"
    row_class = Listener
    rules: ClassVar[Mapping[str, str]] = rules.of("listener", "get_stats")
    references: ClassVar[Mapping[str, str]] = {"default_pool.members.subnet_id": "subnets"}
    wanted: ClassVar[Mapping[str, str]] = {"default_pool.members.subnet_id": "Subnet"}
    attributes: ClassVar[Mapping[str, Attribute]] = (
        COMMON
        | DESCRIBED
        | {
            "loadbalancer_id": Attribute(uuid_value, default=REQUIRED, put=False),
            "protocol": Attribute(
                choice("listener protocol", PROTOCOLS, others=OTHER_PROTOCOLS), default=REQUIRED, put=False
            ),
            "protocol_port": Attribute(integer(1, 65_535), default=REQUIRED, put=False),
            "connection_limit": Attribute(integer(-1, 2_147_483_647), default=-1, column="connection_limit"),
            "default_pool_id": Attribute(optional(uuid_value), default=None),
            "default_pool": Attribute(mapping, default={}, put=False, filterable=False),
            "allowed_cidrs": Attribute(list_of(_cidr, most=MOST_CIDRS), default=[], filterable=False),
            "admin_state_up": Attribute(boolean, default=True, column="admin_state_up"),
        }
        | {name: Attribute(integer(0, LONGEST_TIMEOUT), default=usual) for name, usual in TIMEOUTS.items()}
        | {
            name: unused(name)
            for name in (
                "default_tls_container_ref",
                "sni_container_refs",
                "client_ca_tls_container_ref",
                "client_crl_container_ref",
                "tls_ciphers",
                "tls_versions",
                "alpn_protocols",
                "hsts_max_age",
                "hsts_include_subdomains",
                "hsts_preload",
                "insert_headers",
                "l7policies",
            )
        }
        | {"client_authentication": unused("client_authentication", "NONE")}
    )

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.pools = Pools(databases)

    def render(self, row: Listener) -> dict[str, Any]:
        """Return what the API shows of a listener."""
        return {**self.full(row), "loadbalancers": ids([row.load_balancer])}

    def full(self, row: Listener) -> dict[str, Any]:
        """Return a listener without what it belongs to."""
        return {
            **self.common(row),
            "description": row.description,
            "operating_status": status_of_listener(self.databases, row),
            "admin_state_up": row.admin_state_up,
            "protocol": row.protocol,
            "protocol_port": row.protocol_port,
            "connection_limit": row.connection_limit,
            "default_pool_id": Listener.default_pool.raw(row),
            "allowed_cidrs": sorted(row.allowed_cidrs) or None,
            **TIMEOUTS,
            **row.timeouts,
            "default_tls_container_ref": None,
            "sni_container_refs": [],
            "client_ca_tls_container_ref": None,
            "client_authentication": "NONE",
            "client_crl_container_ref": None,
            "tls_ciphers": None,
            "tls_versions": [],
            "alpn_protocols": [],
            "hsts_max_age": None,
            "hsts_include_subdomains": False,
            "hsts_preload": False,
            "insert_headers": {},
            "l7policies": [],
        }

    def facts(self, row: Listener) -> dict[str, Any]:
        """Return what a list can be filtered by besides what is shown."""
        return {"loadbalancer_id": Listener.load_balancer.raw(row)}

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new listener of a stored load balancer."""
        balancer = self.databases.store.table(LoadBalancer).get(UUID(values["loadbalancer_id"]))
        if balancer is None:
            raise LoadBalancingNotFound(resource="Load Balancer", id=values["loadbalancer_id"])
        taken = {(one.protocol, one.protocol_port) for one in balancer.referrers(Listener.load_balancer)}
        where = site(balancer)
        if values["default_pool"]:
            pool = self.pools.parse(values["default_pool"], creating=True)
            check_protocol(pool["protocol"], listener=values["protocol"])
            return self.insert(draft, where, values, taken=taken, pool=self.pools.insert(draft, where, pool))
        pool_id = self._pool(values["default_pool_id"], where.uuid, values["protocol"])
        return self.insert(draft, where, values, taken=taken, pool=pool_id)

    def insert(
        self, draft: Draft, where: Site, values: Mapping[str, Any], *, taken: set[tuple[str, int]], pool: UUID | None
    ) -> UUID:
        """Write a new listener.

        Arguments:
            draft: the transaction.
            where: the load balancer, which may be new.
            values: parsed attributes.
            taken: the protocols and ports of the load balancer's other listeners.
            pool: its default pool.

        Raises:
            NeutronError: the listener is refused.
        """
        key = (values["protocol"], values["protocol_port"])
        if key in taken:
            raise DuplicateListener(protocol=key[0], protocol_port=key[1])
        _check_cidrs(values, where)
        self.databases.quotas.claim(draft, "listener", [where.project])
        stored = self.stored(values) | {
            "load_balancer": where.uuid,
            "project_id": where.project,
            "protocol": values["protocol"],
            "protocol_port": values["protocol_port"],
            "default_pool": pool,
            "allowed_cidrs": frozenset(values["allowed_cidrs"]),
            "timeouts": _timeouts(values, {}),
        }
        return draft.insert(Listener, stored)

    def _pool(self, wanted: str | None, balancer: UUID, protocol: str) -> UUID | None:
        """Return the pool that a request wants as the default pool."""
        if wanted is None:
            return None
        pool = self.databases.store.table(Pool).get(UUID(wanted))
        if pool is None or Pool.load_balancer.raw(pool) != balancer:
            raise LoadBalancingNotFound(resource="Pool", id=wanted)
        check_protocol(pool.protocol, listener=protocol)
        return pool.uuid

    def update(self, draft: Draft, row: Listener, values: dict[str, Any]) -> None:
        """Write a change of a listener."""
        stored = self.stored(values)
        if "default_pool_id" in values:
            balancer = Listener.load_balancer.raw(row)
            stored["default_pool"] = self._pool(values["default_pool_id"], balancer, row.protocol)
        if "allowed_cidrs" in values:
            _check_cidrs(values, site(row.load_balancer))
            stored["allowed_cidrs"] = frozenset(values["allowed_cidrs"])
        if any(name in values for name in TIMEOUTS):
            stored["timeouts"] = _timeouts(values, row.timeouts)
        draft.update(row, stored)

    def delete(self, draft: Draft, row: Listener) -> None:
        """Write the removal of a listener."""
        draft.transaction.delete(row)


def _check_cidrs(values: Mapping[str, Any], where: Site) -> None:
    """Check that clients of the allowed prefixes can reach the load balancer at all."""
    for cidr in values["allowed_cidrs"]:
        if (6 if ":" in cidr else 4) not in where.versions:
            raise ValidationFailure(reason=f"CIDR {cidr} is of another IP version than the load balancer's addresses.")


def _timeouts(values: Mapping[str, Any], before: Mapping[str, int]) -> dict[str, int]:
    after = {**before, **{name: values[name] for name in TIMEOUTS if name in values}}
    return {name: value for name, value in after.items() if value != TIMEOUTS[name]}
