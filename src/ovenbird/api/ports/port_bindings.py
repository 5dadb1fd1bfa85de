"""Port bindings: whether a port can be bound on its host, and how Nova has to plug it.

Only the host is stored. The result of binding is computed from the current state of the host's chassis, so ports become
bound when their chassis registers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.model.binding_profile import is_external
from ovenbird.model.chassis import physical_networks
from ovenbird.model.cloud import NetworkSegment
from ovenbird.model.nb import LogicalRouter, LogicalRouterPort
from ovenbird.model.sb import Chassis, PortBinding
from ovenbird.model.sub_ports import place_in_trunk

if TYPE_CHECKING:
    from ovenbird.api.databases import Databases
    from ovenbird.model.cloud import Port

UNBOUND, BOUND, FAILED = "unbound", "ovs", "binding_failed"
"""``binding:vif_type`` of a port without a host, of one that its host can bind, and of one that it cannot."""


GATEWAY_BINDINGS = ("cr-lrp-", "lrp-")
"""What comes before the id of a gateway's port in the name of that which is bound to the gateway's chassis: by northd's
naming where routers are distributed, or of the router's side of the port where the whole router is on that chassis."""


def binding(databases: Databases, port: Port) -> tuple[str, dict[str, Any]]:
    """Return a port's ``binding:vif_type`` and ``binding:vif_details``."""
    if not port.host:
        return (UNBOUND if place_in_trunk(port) is None else BOUND), {}  # a sub-port goes where its parent port does
    return binding_on(databases, port, port.host, direct=is_external(port))


def binding_on(databases: Databases, port: Port, host: str, *, direct: bool) -> tuple[str, dict[str, Any]]:
    """Return the VIF type and details of a port on a host.

    Arguments:
        databases: contain the host's chassis.
        port: the port.
        host: the host, which need not be the port's own.
        direct: whether the port is to be connected without a virtual switch.
    """
    if direct:
        return FAILED, {}
    if databases.southbound is None:
        return BOUND, details("system")
    chassis = chassis_of(databases, host)
    if chassis is None or not _reaches(chassis, port):
        return FAILED, {}
    return BOUND, details(chassis.other_config.get("datapath-type") or "system")


def gateway_host(databases: Databases, port: Port) -> str:
    """Return the host of a router's gateway; empty while there is none."""
    if databases.southbound is None:
        return ""
    for prefix in GATEWAY_BINDINGS:
        bound = databases.southbound.store.find(PortBinding.logical_port, f"{prefix}{port.uuid}")
        if bound is not None and (chassis := bound.chassis) is not None:
            return str(chassis.hostname)
    return ""


def is_unhosted(databases: Databases, port: Port) -> bool:
    """Return whether Northbound has a router's gateway, and no chassis can host it."""
    if databases.northbound is None:
        return False
    found = databases.northbound.store.find(LogicalRouterPort.name, f"lrp-{port.uuid}")
    if found is None or found.gateway_chassis or found.ha_chassis_group is not None:
        return False
    router = found.referrer(LogicalRouter.ports)
    return router is not None and not router.options.get("chassis")


def chassis_of(databases: Databases, host: str) -> Chassis | None:
    """Return the chassis with a host name, or else with that chassis name."""
    if databases.southbound is None:
        return None
    store = databases.southbound.store
    for column in (Chassis.hostname, Chassis.name):
        found: list[Chassis] = store.select(column, host)
        if found:
            return found[0]
    return None


def details(datapath_type: str) -> dict[str, Any]:
    """Return the VIF details with which Nova plugs a bound port."""
    return {
        "port_filter": True,
        "connectivity": "l2",
        "bridge_name": "br-int",
        "datapath_type": datapath_type,
        "bound_drivers": {"0": "ovn"},
    }


def _reaches(chassis: Chassis, port: Port) -> bool:
    """Return whether a chassis is connected to the physical network of a port's network, if it has one."""
    segment: NetworkSegment | None = port.network.referrer(NetworkSegment.network)
    physical = segment.physical_network if segment is not None else None
    return physical is None or physical in physical_networks(chassis)
