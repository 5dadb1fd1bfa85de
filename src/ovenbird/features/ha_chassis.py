"""Groups of chassis that take over from each other: copied for the ports that refer to them, and who depends on them.

ovn-sb(5), HA_Chassis_Group. `ref_chassis` are the chassis whose instances reach a gateway through its routers: they and
the group's members watch each other by BFD (ovn-architecture(7), "High Availability for Distributed Gateways"). A
gateway port in a physical network is the end of the way: what goes on from there does so outside of tunnels. The
original goes on, so that there every chassis watches every gateway of an external network, whoever's it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.distinct import Distinct
from ovenbird.engine.lookups import find, get
from ovenbird.engine.views import view
from ovenbird.logical.routers import attached, enabled, physical, router_peer, seen, switch_peer
from ovenbird.logical.tables import HA_CHASSIS, HA_CHASSIS_GROUP, REF_CHASSIS, datapath
from ovenbird.logical.traits import named_uuid
from ovenbird.model import nb, sb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID


def group_facts(group: nb.HAChassisGroup) -> Iterator[Fact]:
    """Yield the Southbound rows of a group, for whoever refers to it."""
    members = []
    for member in group.ha_chassis:
        chassis = find(sb.Chassis.name, member.chassis_name)
        uuid = named_uuid("ha chassis", group.uuid, member.uuid)
        ids = (("chassis-name", member.chassis_name),)
        yield HA_CHASSIS(uuid, chassis.uuid if chassis is not None else None, member.priority, ids)
        members.append(uuid)
    yield HA_CHASSIS_GROUP(group.name, frozenset(members), tuple(sorted(group.external_ids.items())))


HOSTS = Distinct(sb.PortBinding.datapath, sb.PortBinding.chassis)
"""The chassis that hold ports of a datapath. A port more or less on one that has others there concerns nobody."""


def dependents(router: nb.LogicalRouter, group: str) -> Iterator[Fact]:
    """Yield the chassis that depend on a group that plays a gateway of ``router``."""
    for chassis in hosts_around(router):
        yield REF_CHASSIS(group, chassis)


@view
def hosts_around(router: nb.LogicalRouter) -> frozenset[UUID]:
    """Return the chassis with ports on the switches that lead to a router, directly or through others."""
    return frozenset().union(*[HOSTS.values(where) for where in switches_around(router)])


@view
def switches_around(router: nb.LogicalRouter) -> tuple[UUID, ...]:
    """Return the datapaths of those switches."""
    reached, ahead = {router}, [router]
    while ahead:
        for other in neighbours(ahead.pop()):
            if other not in reached:
                reached.add(other)
                ahead.append(other)
    inside = {switch: None for each in reached for lrp in each.ports if (switch := inside_of(lrp)) is not None}
    return tuple(sorted([datapath(switch) for switch in inside]))


@view
def neighbours(router: nb.LogicalRouter) -> tuple[nb.LogicalRouter, ...]:
    """Return the routers one step from a router: at the other ends of its links, and on its switches."""
    found = {other for lrp in router.ports for other in beyond(lrp)}
    return tuple(sorted(found - {router}, key=lambda other: other.uuid))


@view
def beyond(lrp: nb.LogicalRouterPort) -> tuple[nb.LogicalRouter, ...]:
    """Return the routers that a router port leads to; nearly always its own alone, and then none."""
    if (peer := router_peer(lrp)) is not None:
        other = peer.referrer(nb.LogicalRouter.ports)
        return (other,) if other is not None and enabled(other) else ()
    switch = inside_of(lrp)
    return _routers(switch) if switch is not None and len(attached(switch)) > 1 else ()


@view
def inside_of(lrp: nb.LogicalRouterPort) -> nb.LogicalSwitch | None:
    """Return the switch that a router port is on, unless it is the router's outside, or there is none."""
    port, lsp = seen(lrp), switch_peer(lrp.name)
    switch = lsp.referrer(nb.LogicalSwitch.ports) if lsp is not None else None
    return None if port is None or switch is None or (port.central and physical(switch)) else switch


def _routers(switch: nb.LogicalSwitch) -> tuple[nb.LogicalRouter, ...]:
    """Return the routers that a switch leads to, but for those that it is the outside of."""
    outside = physical(switch)
    found = {port.router: None for _, port in attached(switch) if not (outside and port.central)}
    return tuple([router for uuid in found if (router := get(nb.LogicalRouter, uuid)) is not None])
