"""External ports: hosts and devices that are not connected to a virtual switch, and the chassis that act for them.

A bare metal host or an SR-IOV function is connected to the physical network itself. One chassis answers its DHCP
requests, routes for it and serves its metadata: the first live one of an HA chassis group (ovn-nb(5), `external`). The
group consists of

- the gateway chassis of the router that its network is connected to, so that packets take no detour;
- else the chassis with `ovn-cms-options=enable-chassis-as-extport-host`, in an order of its own for each port;
- else the chassis that may be gateways to its physical network, in one order for the whole network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import gateway, names
from ovenbird.cloud.router import chassis_of, segment_of
from ovenbird.engine import lookups
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.views import view
from ovenbird.model import cloud, nb, sb
from ovenbird.model.chassis import offers_external_ports, physical_networks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID

GROUP = "neutron:ha_chassis_group"
"""The external id of a group's member: the group's name."""


class ChassisGroupRow(NamedTuple):
    """A group of chassis, without its members."""

    relation: Relation
    name: str
    external_ids: Pairs


class GroupMemberRow(NamedTuple):
    """A chassis in a group."""

    relation: Relation
    external_ids: Pairs
    chassis_name: str
    priority: int


def _own_group(row: nb.HAChassisGroup) -> str | None:
    return row.name if row.name.startswith("neutron-") else None


def _own_chassis(row: nb.HAChassis) -> tuple[Pairs, str] | None:
    ids = row.external_ids
    return (tuple(sorted(ids.items())), row.chassis_name) if GROUP in ids else None


HA_GROUPS = NamedRows(nb.HAChassisGroup, ChassisGroupRow, key=nb.HAChassisGroup.name, key_of=_own_group)
HA_CHASSIS = NamedRows(
    nb.HAChassis, GroupMemberRow, key=(nb.HAChassis.external_ids, nb.HAChassis.chassis_name), key_of=_own_chassis
)
CHASSIS_OF_GROUP = Members(HA_GROUPS, nb.HAChassisGroup.ha_chassis)


@view
def external_hosts(physical_network: str | None) -> tuple[tuple[str, str], ...]:
    """Return names and host names of the chassis that can host the external ports of a network."""
    return tuple(
        sorted(
            (chassis.name, chassis.hostname)
            for chassis in lookups.rows(sb.Chassis)
            if offers_external_ports(chassis)
            and (physical_network is None or physical_network in physical_networks(chassis))
        )
    )


@view
def gateways_of(network: cloud.Network) -> tuple[str, ...]:
    """Return the chassis of a network's gateway; none without a route to the outside."""
    for interface in network.referrers(cloud.RouterInterface.network):
        outside = cloud.first_gateway(interface.router)
        if outside is not None and (chosen := chassis_of(outside)):
            return chosen
    return ()


def holders(port: cloud.Port) -> tuple[str, tuple[str, ...]]:
    """Return the name of the HA group of an external port, and its chassis by descending priority."""
    network = port.network
    name = names.switch(network.uuid)
    if chosen := gateways_of(network):
        return name, chosen
    _, physical = segment_of(network)
    if hosts := external_hosts(physical):
        elsewhere = tuple(chassis for chassis, host in hosts if port.host not in (chassis, host))
        return f"neutron-extport-{port.uuid}", gateway.by_chance(port.uuid, elsewhere)
    return name, gateway.by_chance(network.uuid, gateway.candidates(physical, network.availability_zone_hints))


def group_of(port: cloud.Port) -> UUID | None:
    """Return the HA group of an external port; None while no chassis can host it."""
    name, chosen = holders(port)
    return HA_GROUPS.uuid(name) if chosen else None


def chassis_group(port: cloud.Port) -> Iterator[Fact]:
    """Yield the HA group of an external port."""
    name, chosen = holders(port)
    network = port.network
    hints = ",".join(sorted(network.availability_zone_hints))
    ids = (("neutron:availability_zone_hints", hints), ("neutron:network_id", network.uuid))
    yield HA_GROUPS(name, external_ids=ids)
    member = ((GROUP, name),)
    for place, chassis in enumerate(chosen):
        yield HA_CHASSIS(member, chassis_name=chassis, priority=gateway.MOST - place)
        yield CHASSIS_OF_GROUP(name, HA_CHASSIS.uuid((member, chassis)))
