"""Load balancers: virtual addresses with listeners, pools, members and monitors, created one by one or at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.attributes import UNSET, Attribute
from ovenbird.api.errors.load_balancing import ProviderNotEnabled, ValidationFailure
from ovenbird.api.load_balancing import rules
from ovenbird.api.load_balancing.listener import BalancedListeners
from ovenbird.api.load_balancing.pool import check_protocol
from ovenbird.api.load_balancing.service import (
    COMMON,
    DESCRIBED,
    OVN,
    BalancingResource,
    Site,
    ids,
    unsupported,
    unused,
)
from ovenbird.api.load_balancing.status import status_of_load_balancer
from ovenbird.api.load_balancing.vip import VirtualAddresses
from ovenbird.api.values import address, boolean, mapping, optional, record, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.model.cloud import FixedAddress, Subnet
from ovenbird.model.load_balancing import Listener, LoadBalancer, Pool
from ovenbird.ovsdb.notation import new_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import UUID

PROVIDERS = {
    OVN: "OVN's load balancing in the switches of all hosts.",
    "octavia": "An alias of ovn.",
}
"""The names that a request may have for the provider, with their descriptions."""

MOST_PARTS = 200
"""The largest number of listeners, and of pools, that a creation has."""

NAME_ONLY = frozenset(("name",))

_ADDITIONAL = record(("subnet_id",), subnet_id=uuid_value, ip_address=optional(address))


def _provider(value: Any) -> str:
    if value not in PROVIDERS:
        raise ProviderNotEnabled(provider=text()(value))
    return OVN


def _several(convert: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    """Make a converter of a bounded list of objects."""

    def each(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > MOST_PARTS:
            raise ValueError(f"a list of at most {MOST_PARTS} is needed")
        return [convert(one) for one in value]

    return each


SUBNETS = (
    "vip_subnet_id",
    "additional_vips.subnet_id",
    "pools.members.subnet_id",
    "listeners.default_pool.members.subnet_id",
)


class LoadBalancers(BalancingResource[LoadBalancer]):
    """``/v2/lbaas/loadbalancers``."""

    member = "loadbalancer"
    collection = "loadbalancers"
    title = "Load Balancer"
    row_class = LoadBalancer
    rules: ClassVar[Mapping[str, str]] = rules.of("loadbalancer", "get_stats", "get_status") | {
        rules.action("loadbalancer", what="put_failover"): "rule:load-balancer:admin"
    }
    references: ClassVar[Mapping[str, str]] = dict.fromkeys(SUBNETS, "subnets") | {
        "vip_network_id": "networks",
        "vip_port_id": "ports",
    }
    wanted: ClassVar[Mapping[str, str]] = dict.fromkeys(SUBNETS, "Subnet") | {
        "vip_network_id": "Network",
        "vip_port_id": "Port",
    }
    attributes: ClassVar[Mapping[str, Attribute]] = (
        COMMON
        | DESCRIBED
        | {
            "vip_subnet_id": Attribute(optional(uuid_value), default=None, put=False),
            "vip_network_id": Attribute(optional(uuid_value), default=None, put=False),
            "vip_port_id": Attribute(optional(uuid_value), default=None, put=False),
            "vip_address": Attribute(optional(address), default=None, put=False),
            "additional_vips": Attribute(_several(_ADDITIONAL), default=[], put=False, filterable=False),
            "admin_state_up": Attribute(boolean, default=True, column="admin_state_up"),
            "provider": Attribute(_provider, default=OVN, put=False),
            "listeners": Attribute(_several(mapping), default=[], put=False, filterable=False),
            "pools": Attribute(_several(mapping), default=[], put=False, filterable=False),
            "flavor_id": Attribute(unsupported("flavor_id"), default=UNSET, put=False),
            "availability_zone": Attribute(unsupported("availability_zone"), default=UNSET, put=False),
            "vip_qos_policy_id": Attribute(unsupported("vip_qos_policy_id"), default=UNSET),
            "vip_sg_ids": unused("vip_sg_ids"),
            "vip_vnic_type": unused("vip_vnic_type", "normal"),
        }
    )

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.addresses = VirtualAddresses(databases)
        self.listeners = BalancedListeners(databases)
        self.pools = self.listeners.pools

    def render(self, row: LoadBalancer) -> dict[str, Any]:
        """Return what the API shows of a load balancer."""
        return {
            **self._own(row),
            "listeners": ids(row.referrers(Listener.load_balancer)),
            "pools": ids(row.referrers(Pool.load_balancer)),
        }

    def created(self, row: LoadBalancer) -> dict[str, Any]:
        """Return what the answer to a creation shows: all parts."""
        return self.full(row)

    def full(self, row: LoadBalancer) -> dict[str, Any]:
        """Return a load balancer with all its parts."""
        return {
            **self._own(row),
            "listeners": [self.listeners.full(one) for one in row.referrers(Listener.load_balancer)],
            "pools": [self.pools.full(one) for one in row.referrers(Pool.load_balancer)],
        }

    def _own(self, row: LoadBalancer) -> dict[str, Any]:
        vip = row.vip
        others = sorted(row.additional_vips, key=lambda one: one.port.name)
        return {
            **self.common(row),
            "description": row.description,
            "operating_status": status_of_load_balancer(self.databases, row),
            "admin_state_up": row.admin_state_up,
            "vip_address": vip.address,
            "vip_port_id": FixedAddress.port.raw(vip),
            "vip_subnet_id": FixedAddress.subnet.raw(vip),
            "vip_network_id": Subnet.network.raw(vip.subnet),
            "vip_qos_policy_id": None,
            "vip_sg_ids": [],
            "vip_vnic_type": "normal",
            "additional_vips": [
                {"subnet_id": FixedAddress.subnet.raw(one), "ip_address": one.address} for one in others
            ],
            "provider": OVN,
            "flavor_id": None,
            "availability_zone": None,
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new load balancer with its parts."""
        project = values.get("project_id") or draft.caller.project
        if not project:
            raise ValidationFailure(reason="Missing project ID in request where one is required.")
        uuid = new_uuid()
        self.databases.quotas.claim(draft, "load_balancer", [project])
        vip, additional, subnets = self.addresses.allocate(draft, uuid, project, values)
        stored = self.stored(values) | {
            "project_id": project,
            "vip": vip,
            "additional_vips": frozenset(additional),
            "on_users_port": values["vip_port_id"] is not None,
        }
        draft.insert(LoadBalancer, stored, uuid)
        self._insert_parts(draft, Site(uuid, project, subnets), values)
        return uuid

    def _insert_parts(self, draft: Draft, where: Site, values: Mapping[str, Any]) -> None:
        """Write the listeners and pools of a new load balancer; listeners refer to pools by their names."""
        listeners = [self.listeners.parse({**one, "loadbalancer_id": where.uuid}, creating=True)
                     for one in values["listeners"]]  # fmt: skip
        given = list(values["pools"])
        for listener in listeners:
            pool = listener["default_pool"]
            if pool and not pool.get("name"):
                raise ValidationFailure(reason="Pools must be named when creating a fully populated loadbalancer.")
            if pool and not pool.keys() <= NAME_ONLY:
                given.append(pool)
        names = [one.get("name") for one in given]
        if len(set(names)) < len(names):
            raise ValidationFailure(reason="Pool names must be unique when creating a fully populated loadbalancer.")
        parsed = [self.pools.parse(one, creating=True) for one in given]
        made = {one["name"]: (self.pools.insert(draft, where, one), one["protocol"]) for one in parsed}
        taken: set[tuple[str, int]] = set()
        for listener in listeners:
            pool = None
            if listener["default_pool"]:
                name = listener["default_pool"]["name"]
                if name not in made:
                    raise ValidationFailure(reason=f"Pool '{name}' was referenced but no full definition was found.")
                pool, protocol = made[name]
                check_protocol(protocol, listener=listener["protocol"])
            self.listeners.insert(draft, where, listener, taken=taken, pool=pool)
            taken.add((listener["protocol"], listener["protocol_port"]))

    def update(self, draft: Draft, row: LoadBalancer, values: dict[str, Any]) -> None:
        """Write a change of a load balancer."""
        draft.update(row, self.stored(values))

    def delete(self, draft: Draft, row: LoadBalancer) -> None:
        """Write the removal of a load balancer without parts."""
        children = [*row.referrers(Listener.load_balancer), *row.referrers(Pool.load_balancer)]
        if children:
            raise ValidationFailure(reason=f"Cannot delete Load Balancer {row.uuid} - it has children")
        self.delete_all(draft, row)

    def delete_all(self, draft: Draft, row: LoadBalancer) -> None:
        """Write the removal of a load balancer with its parts."""
        for listener in row.referrers(Listener.load_balancer):
            draft.transaction.delete(listener)
        for pool in row.referrers(Pool.load_balancer):
            self.pools.remove(draft, pool)
        self.addresses.release(draft, row)
        draft.transaction.delete(row)
