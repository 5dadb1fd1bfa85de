"""The configuration that a chassis reports for scheduling (ovn-controller(8), "Configuration").

Its controller copies these keys from the switch's database to `other_config` of the chassis's row in Southbound. Each
function reads tracked columns, so a rule or view that calls it depends on what it read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model.sb import Chassis, ChassisPrivate

if TYPE_CHECKING:
    from ovenbird.ovsdb.transaction import Client

BRIDGE_MAPPINGS = "ovn-bridge-mappings"
CMS_OPTIONS = "ovn-cms-options"

GATEWAY = "enable-chassis-as-gw"
"""The option of a chassis that can be a gateway."""

EXTERNAL_HOST = "enable-chassis-as-extport-host"
"""The option of a chassis that can host external ports."""

ZONES = "availability-zones"
"""The option that lists a chassis's availability zones, separated by colons."""


def chassis_setting(chassis: Chassis, name: str) -> str:
    """Return a setting that a chassis reports; older controllers report it in `external_ids`."""
    return chassis.other_config.get(name) or chassis.external_ids.get(name, "")


def physical_networks(chassis: Chassis) -> frozenset[str]:
    """Return the physical networks that a chassis is connected to."""
    pairs = chassis_setting(chassis, BRIDGE_MAPPINGS).split(",")
    return frozenset(pair.partition(":")[0].strip() for pair in pairs if ":" in pair)


def offers_gateway(chassis: Chassis) -> bool:
    """Return whether a chassis can be a gateway."""
    return GATEWAY in _cms_options(chassis)


def offers_external_ports(chassis: Chassis) -> bool:
    """Return whether a chassis can host external ports."""
    return EXTERNAL_HOST in _cms_options(chassis)


def availability_zones(chassis: Chassis) -> frozenset[str]:
    """Return the availability zones that a chassis is in."""
    for option in _cms_options(chassis):
        name, _, value = option.partition("=")
        if name == ZONES:
            return frozenset(zone for zone in value.split(":") if zone)
    return frozenset()


def _cms_options(chassis: Chassis) -> list[str]:
    return [option.strip() for option in chassis_setting(chassis, CMS_OPTIONS).split(",")]


def answering(southbound: Client) -> type[Chassis | ChassisPrivate]:
    """Return the table with the `nb_cfg` that chassis have acknowledged: Chassis_Private since OVN 20.09."""
    if southbound.store.table(ChassisPrivate).rows or not southbound.connected:
        return ChassisPrivate
    return Chassis if southbound.transaction().lacks(ChassisPrivate) else ChassisPrivate


def answering_row(southbound: Client, name: str) -> Chassis | ChassisPrivate | None:
    """Return the row with the `nb_cfg` that a chassis has acknowledged; None if there is none."""
    if answering(southbound) is Chassis:
        return southbound.store.find(Chassis.name, name)
    return southbound.store.find(ChassisPrivate.name, name)
