"""Gateways: ports that one of several chassis hosts, and which of them is active.

See ovn-architecture(7), "Distributed Gateway Ports", and ovn-sb(5), HA_Chassis_Group. The candidate of the highest
priority whose tunnel is up is active; by BFD on the tunnels each candidate determines this itself, without a database.
A candidate that receives BFD packets from no other is isolated, and hosts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.local.settings import integration_bridge, own_chassis
from ovenbird.engine.lookups import get
from ovenbird.engine.views import view
from ovenbird.model.sb import Chassis, HAChassisGroup, PortBinding

if TYPE_CHECKING:
    from ovenbird.model.vswitch import Port

HIGHLY_AVAILABLE = ("chassisredirect", "external")
"""The types of ports that can be highly available."""


@view
def chassis_id(port: Port) -> str:
    """Return the remote end of a tunnel port, as `<chassis>@<address>`, or nothing."""
    return port.external_ids.get("ovn-chassis-id", "")


def chassis_of(end: str) -> str:
    """Return the chassis's name of a remote end."""
    return end.rpartition("@")[0]


def address_of(end: str) -> str:
    """Return the address of a remote end."""
    return end.rpartition("@")[2]


@view
def is_alive(port: Port) -> bool:
    """Return whether the BFD session of a tunnel port is up."""
    return any(interface.bfd_status.get("state") == "up" for interface in port.interfaces)


@view
def alive() -> frozenset[str]:
    """Return the names of the chassis with a BFD session that is up."""
    bridge = integration_bridge()
    ports = bridge.ports if bridge is not None else ()
    return frozenset([chassis_of(end) for port in ports if (end := chassis_id(port)) and is_alive(port)])


@view
def group_members(group: HAChassisGroup) -> tuple[Chassis, ...]:
    """Return a group's chassis by descending priority; of equal priorities, the later name is first."""
    members = [(member.priority, member.chassis.name, member.chassis) for member in group.ha_chassis if member.chassis]
    return tuple([chassis for _, _, chassis in sorted(members, key=lambda m: m[:2], reverse=True)])


@view
def candidates(port: PortBinding) -> tuple[Chassis, ...]:
    """Return the chassis that may host a port, by descending priority; none for a port without an HA group."""
    if port.type not in HIGHLY_AVAILABLE:
        return ()
    group_uuid = PortBinding.ha_chassis_group.raw(port)
    group = get(HAChassisGroup, group_uuid) if group_uuid is not None else None
    if group is not None:
        return group_members(group)
    members = [(row.priority, row.chassis.name, row.chassis) for row in port.gateway_chassis if row.chassis]
    return tuple([chassis for _, _, chassis in sorted(members, key=lambda m: m[:2], reverse=True)])


@view
def is_candidate(port: PortBinding) -> bool:
    """Return whether this chassis may host the port."""
    mine = own_chassis()
    return mine is not None and any(chassis.uuid == mine for chassis in candidates(port))


@view
def rivals(port: PortBinding) -> tuple[str, ...]:
    """Return the names of the other chassis that may host a port and are alive."""
    if port.type not in HIGHLY_AVAILABLE:
        return ()
    heard = alive()
    return tuple([chassis.name for chassis in candidates(port) if chassis.name in heard])


@view
def hosts(port: PortBinding) -> bool:
    """Return whether this chassis hosts the port now."""
    mine = own_chassis()
    members = candidates(port)
    if mine is None or not members:
        return False
    if len(members) == 1:
        return members[0].uuid == mine
    heard = alive()
    if not heard:
        return False
    first = next((chassis for chassis in members if chassis.uuid == mine or chassis.name in heard), None)
    return first is not None and first.uuid == mine
