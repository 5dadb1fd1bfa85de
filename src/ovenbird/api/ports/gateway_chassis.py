"""The chassis of a router's gateways: which host them now, and which could."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model.chassis import availability_zones, offers_gateway, physical_networks
from ovenbird.model.cloud import NetworkSegment, gateways_of
from ovenbird.model.nb import LogicalRouter, LogicalRouterPort
from ovenbird.model.sb import Chassis

if TYPE_CHECKING:
    from ovenbird.api.databases import Databases
    from ovenbird.model.cloud import Router, RouterGateway

MOST_CHASSIS = 5
"""The chassis of one gateway that a schedule has, of which the first has this priority; Neutron's limit."""

HIGHEST_PRIORITY = 32_767
"""Of Gateway_Chassis (ovn-nb(5))."""


def hosting(databases: Databases, router: Router) -> dict[str, int]:
    """Return the chassis that host a router's gateways, with their priorities: of its own schedule, or Northbound's."""
    if router.has_own_schedule:
        return dict(router.gateway_chassis)
    if databases.northbound is None:
        return {}
    found: dict[str, int] = {}
    for outside in gateways_of(router):
        port = databases.northbound.store.find(LogicalRouterPort.name, f"lrp-{outside.port.uuid}")
        if port is None:
            continue
        for one in port.gateway_chassis:
            found.setdefault(one.chassis_name, one.priority)
        row = port.referrer(LogicalRouter.ports)
        if row is not None and (home := row.options.get("chassis")):
            found.setdefault(home, MOST_CHASSIS)
    return found


def can_host(databases: Databases, name: str, outside: RouterGateway) -> bool:
    """Return whether a chassis can host a gateway.

    Arguments:
        databases: Southbound has the chassis.
        name: of the chassis.
        outside: the gateway.
    """
    southbound = databases.southbound
    chassis: Chassis | None = None if southbound is None else southbound.store.find(Chassis.name, name)
    if chassis is None or not offers_gateway(chassis):
        return False
    segment: NetworkSegment | None = outside.port.network.referrer(NetworkSegment.network)
    physical = None if segment is None else segment.physical_network
    zones = outside.router.availability_zone_hints
    return (physical is None or physical in physical_networks(chassis)) and (
        not zones or bool(zones & availability_zones(chassis))
    )
