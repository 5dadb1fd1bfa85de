"""Groups of chassis that take over from each other: copied for the ports that refer to them, and who depends on them.

ovn-sb(5), HA_Chassis_Group. `ref_chassis` are the chassis whose instances reach a gateway through its routers: they and
the group's members watch each other by BFD (ovn-architecture(7), "High Availability for Distributed Gateways"). A
gateway port in a physical network is the end of the way: what goes on from there does so outside of tunnels. The
original goes on, so that there every chassis watches every gateway of an external network, whoever's it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.lookups import find, get
from ovenbird.engine.views import view
from ovenbird.logical.routers import CENTRAL, attached, home_chassis, physical, router_peer, seen, switch_peer
from ovenbird.logical.tables import HA_CHASSIS, HA_CHASSIS_GROUP, REF_CHASSIS
from ovenbird.logical.traits import named_uuid
from ovenbird.model import nb, sb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact


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


def dependents(switch: nb.LogicalSwitch, chassis: sb.Chassis) -> Iterator[Fact]:
    """Yield that a chassis, with a port of ``switch``, depends on the groups that the switch leads to."""
    for group in groups_behind(switch):
        yield REF_CHASSIS(group, chassis.uuid)


@view
def groups_behind(switch: nb.LogicalSwitch) -> tuple[str, ...]:
    """Return the groups of several chassis that play gateways which a switch leads to, sorted."""
    return tuple(sorted({name for router in _routers(switch) for name in groups_around(router)}))


@view
def groups_around(router: nb.LogicalRouter) -> tuple[str, ...]:
    """Return those of a router's own gateway ports and of the routers that it leads to."""
    reached, ahead = {router}, [router]
    while ahead:
        for other in neighbours(ahead.pop()):
            if other not in reached:
                reached.add(other)
                ahead.append(other)
    return tuple(sorted({name for each in reached for name in own_groups(each)}))


@view
def own_groups(router: nb.LogicalRouter) -> tuple[str, ...]:
    """Return the groups of several chassis that play a router's gateway ports; one alone has nobody to give way to."""
    if home_chassis(router):
        return ()
    found = []
    for lrp in CENTRAL.rows(router.uuid, True):
        group = lrp.ha_chassis_group
        candidates = lrp.gateway_chassis if group is None else group.ha_chassis
        if len(candidates) > 1:
            found.append(lrp.name if group is None else group.name)
    return tuple(sorted(found))


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
        return (other,) if other is not None else ()
    port, lsp = seen(lrp), switch_peer(lrp.name)
    switch = lsp.referrer(nb.LogicalSwitch.ports) if lsp is not None else None
    if port is None or switch is None or (port.central and physical(switch)):
        return ()
    routers = _routers(switch)
    return routers if len(routers) > 1 else ()


def _routers(switch: nb.LogicalSwitch) -> tuple[nb.LogicalRouter, ...]:
    """Return the routers that a switch leads to, but for those that it is the outside of."""
    outside = physical(switch)
    found = {port.router: None for _, port in attached(switch) if not (outside and port.central)}
    return tuple([router for uuid in found if (router := get(nb.LogicalRouter, uuid)) is not None])
