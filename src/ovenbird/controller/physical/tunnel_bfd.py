"""BFD on tunnels: between gateways, and between gateways and the chassis that use them.

A tunnel is monitored if its other end is in an HA chassis group of several candidates that concerns this chassis
(ovn-architecture(7), "High Availability for Distributed Gateways"). The intervals are in SB_Global.options bfd-min-rx,
bfd-min-tx, bfd-decay-min-rx and bfd-mult, with the switch's defaults. Only packets outside logical networks count: BFD
between logical routers, which passes the same tunnels, is not the switch's (see `protocols.bfd_sessions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.edits import EDIT, keys
from ovenbird.controller.local.gateway import chassis_id, chassis_of, group_members
from ovenbird.controller.local.local_store import progress
from ovenbird.controller.local.settings import integration_bridge, own_chassis
from ovenbird.engine.lookups import find, rows
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.options import flag
from ovenbird.model.sb import Chassis, HAChassis, HAChassisGroup, SBGlobal
from ovenbird.model.vswitch import Interface, Port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

_KEYS = {"bfd-min-rx": "min_rx", "bfd-min-tx": "min_tx", "bfd-decay-min-rx": "decay_min_rx", "bfd-mult": "mult"}


@view
def wanted_bfd() -> tuple[tuple[str, str], ...]:
    """Return Interface.bfd of a tunnel with BFD."""
    head = rows(SBGlobal)
    options = head[0].options if head else {}
    chosen = [(key, value) for name, key in _KEYS.items() if (value := options.get(name))]
    return (("enable", "true"), ("check_tnl_key", "true"), *chosen)


@view
def concerns(group: HAChassisGroup, chassis: Chassis) -> bool:
    """Return whether an HA group requires BFD between this chassis and another one of this availability zone."""
    mine = own_chassis()
    members = frozenset([member.uuid for member in group_members(group)])
    users = HAChassisGroup.ref_chassis.raw(group)
    if len(members) < 2 or (chassis.uuid not in members and flag(chassis.other_config, "is-remote")):
        return False
    if mine in members:
        return chassis.uuid in members or chassis.uuid in users
    return mine in users and chassis.uuid in members


@view
def is_watched(chassis: Chassis) -> bool:
    """Return whether this chassis needs BFD with another one."""
    groups = [group for m in chassis.referrers(HAChassis.chassis) for group in m.referrers(HAChassisGroup.ha_chassis)]
    groups += chassis.referrers(HAChassisGroup.ref_chassis)
    return any(concerns(group, chassis) for group in groups)


@rule(Interface)
def heartbeat(interface: Interface) -> Iterator[Fact]:
    """Enable BFD on the tunnels that need it, and on no others."""
    bridge = integration_bridge()
    if bridge is None or progress().stopping:
        return
    for port in interface.referrers(Port.interfaces):
        end = chassis_id(port)
        if not end:
            continue
        chassis = find(Chassis.name, chassis_of(end))
        now = interface.bfd
        if chassis is not None and is_watched(chassis):
            changes = [(key, value) for key, value in wanted_bfd() if now.get(key) != value]
            if changes:
                yield EDIT(interface, keys(Interface.bfd, *changes))
        elif now.get("enable") == "true" and progress().settled:
            yield EDIT(interface, keys(Interface.bfd, ("enable", "false")))
