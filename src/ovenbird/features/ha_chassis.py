"""Groups of chassis that take over from each other: copied for the ports that refer to them.

ovn-sb(5), HA_Chassis_Group. `ref_chassis` is left alone: it belongs to routing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.lookups import find
from ovenbird.logical.tables import HA_CHASSIS, HA_CHASSIS_GROUP
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
