"""Members: the backends of a pool, one by one or all in one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.attributes import REQUIRED, Attribute
from ovenbird.api.errors.load_balancing import (
    DuplicateMember,
    InvalidOption,
    LoadBalancingNotFound,
    UnsupportedOption,
    ValidationFailure,
)
from ovenbird.api.load_balancing import rules
from ovenbird.api.load_balancing.probes import Probes
from ovenbird.api.load_balancing.service import COMMON, BalancingResource, Site, site, unused
from ovenbird.api.load_balancing.status import status_of_member
from ovenbird.api.resource import Parent
from ovenbird.api.values import address, boolean, integer, optional
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.load_balancing import HEAVIEST, HealthMonitor, Member, Pool
from ovenbird.net.ip import ip_address, ip_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.model.cloud import Subnet

PORT = integer(1, 65_535)

MOST_MEMBERS = 1000
"""The largest number of members that one request sets."""


RESET = frozenset(("weight", "backup", "admin_state_up", "monitor_address", "monitor_port"))
"""The attributes that a member gets anew by a request that sets all members, also if the request does not give them."""


def _as_given(value: Any) -> str:
    """Check an address, and return it as it is: Octavia shows addresses as requests have them."""
    address(value)
    return str(value)


class PoolMembers(BalancingResource[Member]):
    """``/v2/lbaas/pools/ID/members``."""

    member = "member"
    collection = "members"
    within = "pools"
    title = "Member"
    row_class = Member
    parent = Parent(attribute="pool_id", column="pool", called="pool", rows=Pool)
    rules: ClassVar[Mapping[str, str]] = rules.of("member")
    references: ClassVar[Mapping[str, str]] = {"subnet_id": "subnets"}
    wanted: ClassVar[Mapping[str, str]] = {"subnet_id": "Subnet"}
    attributes: ClassVar[Mapping[str, Attribute]] = COMMON | {
        "address": Attribute(_as_given, default=REQUIRED, put=False, sought=address),
        "protocol_port": Attribute(PORT, default=REQUIRED, put=False),
        "weight": Attribute(integer(0, HEAVIEST), default=1, column="weight"),
        "backup": Attribute(boolean, default=False, column="backup"),
        "subnet_id": Attribute(optional(uuid_value), default=None, put=False),
        "monitor_address": Attribute(optional(_as_given), default=None, column="monitor_address"),
        "monitor_port": Attribute(optional(PORT), default=None, column="monitor_port"),
        "admin_state_up": Attribute(boolean, default=True, column="admin_state_up"),
        "request_sriov": unused("request_sriov"),
        "vnic_type": unused("vnic_type", "normal"),
    }

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.probes = Probes(databases)

    def render(self, row: Member) -> dict[str, Any]:
        """Return what the API shows of a member."""
        return {
            **self.common(row),
            "operating_status": status_of_member(self.databases, row),
            "admin_state_up": row.admin_state_up,
            "address": row.spelling or row.address,
            "protocol_port": row.protocol_port,
            "weight": row.weight,
            "backup": row.backup,
            "subnet_id": Member.subnet.raw(row),
            "monitor_address": row.monitor_address,
            "monitor_port": row.monitor_port,
            "vnic_type": "normal",
        }

    def facts(self, row: Member) -> dict[str, Any]:
        """Return what a list can be filtered by besides what is shown: addresses are equal however they are written."""
        return {"address": row.address}

    def full(self, row: Member) -> dict[str, Any]:
        """Return a member; it has no parts."""
        return self.render(row)

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new member of a stored pool."""
        pool = self.databases.store.table(Pool).get(UUID(values["pool_id"]))
        if pool is None:
            raise LoadBalancingNotFound(resource="Pool", id=values["pool_id"])
        draft.touch(pool)
        return self.add(draft, pool, values)

    def add(self, draft: Draft, pool: Pool, values: Mapping[str, Any]) -> UUID:
        """Write a new member of a stored pool, without the change of the pool's revision.

        Arguments:
            draft: the transaction.
            pool: the pool.
            values: parsed attributes.
        """
        monitored = bool(pool.referrers(HealthMonitor.pool))
        taken = {(one.address, one.protocol_port) for one in pool.referrers(Member.pool)}
        return self.insert(draft, site(pool.load_balancer), pool.uuid, values, taken=taken, monitored=monitored)

    def insert(
        self,
        draft: Draft,
        where: Site,
        pool: UUID,
        values: Mapping[str, Any],
        *,
        taken: set[tuple[str, int]],
        monitored: bool,
    ) -> UUID:
        """Write a new member of a pool, which may be new.

        Arguments:
            draft: the transaction.
            where: the load balancer.
            pool: the pool's id.
            values: parsed attributes.
            taken: the addresses and ports of the pool's other members.
            monitored: whether the pool has a health monitor.

        Raises:
            NeutronError: the member is refused.
        """
        at = address(values["address"])
        key = (at, values["protocol_port"])
        if key in taken:
            raise DuplicateMember(address=at, protocol_port=values["protocol_port"])
        self._check_address(at)
        if (6 if ":" in at else 4) not in where.versions:
            raise UnsupportedOption(reason=f"member {at} is of another IP version than the load balancer's addresses")
        self.databases.quotas.claim(draft, "member", [where.project])
        subnet = self._subnet(where, at, values["subnet_id"])
        stored = self.stored(values) | {
            "pool": pool,
            "project_id": where.project,
            "address": at,
            "spelling": None if values["address"] == at else values["address"],
            "protocol_port": values["protocol_port"],
            "subnet": None if subnet is None else subnet.uuid,
            "probed_from": self.probes.port(draft, subnet) if monitored and subnet is not None else None,
        }
        return draft.insert(Member, stored)

    def _subnet(self, where: Site, at: str, wanted: str | None) -> Subnet | None:
        """Return the subnet of a member: the one that is given, or that of a virtual address which has its address."""
        if wanted is not None:
            return self.subnet(wanted)
        return next((s for s in where.subnets if ip_address(at) in ip_network(s.cidr)), None)

    def _check_address(self, at: str) -> None:
        """Refuse addresses that are no host's."""
        parsed = ip_address(at)
        if parsed.is_multicast or parsed.is_unspecified or parsed.is_loopback:
            raise InvalidOption(value=at, option="member address")

    def update(self, draft: Draft, row: Member, values: dict[str, Any]) -> None:
        """Write a change of a member."""
        draft.update(row, self.stored(values))

    def delete(self, draft: Draft, row: Member) -> None:
        """Write the removal of a member."""
        draft.touch(row.pool)
        self.remove(draft, [row])

    def remove(self, draft: Draft, rows: Iterable[Member]) -> None:
        """Write the removal of members of a pool, without the change of its revision."""
        leaving = list(rows)
        self.probes.end(draft, leaving, deleted=True)
        for row in leaving:
            draft.transaction.delete(row)

    def batch(self, draft: Draft, pool: Pool, wanted: list[Mapping[str, Any]], *, additive: bool) -> None:
        """Write what makes a pool's members those of a request.

        Arguments:
            draft: the transaction.
            pool: the pool.
            wanted: the attributes of each member, as the request gives them.
            additive: whether members stay that the request does not have.

        Raises:
            ValidationFailure: the request has a member twice.
        """
        parsed = [self.parse(one, creating=True) for one in wanted]
        present = {(one.address, one.protocol_port): one for one in pool.referrers(Member.pool)}
        keys = [(address(one["address"]), one["protocol_port"]) for one in parsed]
        if len(set(keys)) < len(keys):
            raise ValidationFailure(reason="Member must be updated only once in the same request.")
        draft.touch(pool)
        gone = [] if additive else [row for key, row in present.items() if key not in set(keys)]
        draft.claimed[pool.project_id, "member"] -= len(gone)
        for key, values, given in zip(keys, parsed, wanted, strict=True):
            if key in present:
                self.update(draft, present[key], {n: v for n, v in values.items() if n in RESET or n in given})
            else:
                self.add(draft, pool, values)
        self.remove(draft, gone)  # last: a port from which others are probed now is kept
