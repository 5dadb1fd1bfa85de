"""HA chassis groups: copied for the ports that refer to them, with the chassis that depend on them.

ovn-sb(5), HA_Chassis_Group. `ref_chassis` are the chassis whose instances reach a gateway through its routers: these
and the group's members monitor each other by BFD (ovn-architecture(7), "High Availability for Distributed Gateways").
The search ends at a gateway port in a physical network, since packets beyond it do not use tunnels. The original
continues, so that there every chassis monitors every gateway of an external network, of any tenant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.lookups import find, get
from ovenbird.engine.value_counts import ValueCounts
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.datapath_groups import named_uuid
from ovenbird.northd.ir.router_port import (
    LRP,
    enabled,
    peer_switch_port,
    physical,
    router_peer,
    router_peers,
    router_port_of,
)
from ovenbird.northd.ir.southbound_rows import datapath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID


class GroupRow(NamedTuple):
    """An HA chassis group, with its members' UUIDs."""

    relation: Relation
    name: str
    ha_chassis: frozenset[UUID]
    external_ids: Pairs


class MemberRow(NamedTuple):
    """A member of an HA chassis group."""

    relation: Relation
    uuid: UUID
    chassis: UUID | None
    priority: int
    external_ids: Pairs


HA_CHASSIS_GROUP = NamedRows(sb.HAChassisGroup, GroupRow, key=sb.HAChassisGroup.name)
REF_CHASSIS = Members(HA_CHASSIS_GROUP, sb.HAChassisGroup.ref_chassis)
"""The chassis with instances that reach a gateway through an HA group (`ref_chassis`)."""
HA_CHASSIS = NamedRows(sb.HAChassis, MemberRow)


def group_facts(group: nb.HAChassisGroup) -> Iterator[Fact]:
    """Yield the Southbound rows of an HA group."""
    members = []
    for member in group.ha_chassis:
        chassis = find(sb.Chassis.name, member.chassis_name)
        uuid = named_uuid("ha chassis", group.uuid, member.uuid)
        yield member_fact(uuid, chassis, name=member.chassis_name, priority=member.priority)
        members.append(uuid)
    ids = tuple(sorted(group.external_ids.items()))
    yield HA_CHASSIS_GROUP(group.name, ha_chassis=frozenset(members), external_ids=ids)


def member_fact(uuid: UUID, chassis: sb.Chassis | None, *, name: str, priority: int) -> Fact:
    """Make the fact of a group's member.

    Arguments:
        uuid: of the row.
        chassis: the chassis, if it is there.
        name: the chassis's name.
        priority: from 0 to 32,767; the highest that is up is active.
    """
    where = chassis.uuid if chassis is not None else None
    return HA_CHASSIS(uuid, chassis=where, priority=priority, external_ids=(("chassis-name", name),))


HOSTS: ValueCounts[UUID] = ValueCounts(sb.PortBinding.datapath, value=sb.PortBinding.chassis)
"""The chassis that hold ports of a datapath. A further port on a chassis that is counted already triggers no rule."""

LINKED = ComputedIndex(
    LRP.peer, keys=lambda values: (True,) if values[LRP.peer.index] else (), parent=nb.LogicalRouter.ports
)
"""A router's ports with a direct peer."""

CHASSIS, CROSSINGS = "chassis", "crossings"


@grouped_values(LRP)
def surroundings(lrp: nb.LogicalRouterPort) -> Iterator[tuple[tuple[UUID, str], UUID]]:
    """Yield, for a router, the chassis with ports on its port's switch, and that switch if it has other routers.

    So the few switches that connect to other routers are found directly, without a walk over all switches.
    """
    port, met = router_port_of(lrp), peer_switch_port(lrp.name)
    if port is None or met is None or (port.is_distributed_gateway and physical(met.switch)):
        return
    for chassis in HOSTS.values(datapath(met.switch)):
        yield (port.router, CHASSIS), chassis
    if len(router_peers(met.switch)) > 1:
        yield (port.router, CROSSINGS), met.switch.uuid


def dependents(router: nb.LogicalRouter, group: str) -> Iterator[Fact]:
    """Yield the chassis that depend on an HA group that hosts a gateway of ``router``."""
    for each in routers_around(router):
        for chassis in surroundings.values((each.uuid, CHASSIS)):
            yield REF_CHASSIS(group, chassis)


@view
def routers_around(router: nb.LogicalRouter) -> frozenset[nb.LogicalRouter]:
    """Return a router and all routers connected to it, directly or through others."""
    reached, ahead = {router}, [router]
    while ahead:
        for other in neighbours(ahead.pop()):
            if other not in reached:
                reached.add(other)
                ahead.append(other)
    return frozenset(reached)


@view
def neighbours(router: nb.LogicalRouter) -> frozenset[nb.LogicalRouter]:
    """Return the routers next to a router: its direct peers, and those on its switches."""
    found: set[nb.LogicalRouter] = set()
    for lrp in LINKED.rows(router.uuid, True):
        peer = router_peer(lrp)
        other = peer.referrer(nb.LogicalRouter.ports) if peer is not None else None
        if other is not None and enabled(other):
            found.add(other)
    for uuid in surroundings.values((router.uuid, CROSSINGS)):
        switch = get(nb.LogicalSwitch, uuid)
        if switch is not None:
            found.update(_routers(switch))
    return frozenset(found - {router})


def _routers(switch: nb.LogicalSwitch) -> Iterator[nb.LogicalRouter]:
    """Yield the routers on a switch; on a physical one, without those whose distributed gateway port is there."""
    outside = physical(switch)
    for _, port in router_peers(switch):
        router = get(nb.LogicalRouter, port.router)
        if router is not None and not (outside and port.is_distributed_gateway):
            yield router
