"""What the type checker says of rows that are looked up; checked by `make lint`, never run.

Each `type: ignore` stands where a mistake has to be found: without one the comment is unused, and that is an error.
"""

from typing import assert_type

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.lookups import find, select, table
from ovenbird.engine.rows import UUID
from ovenbird.model import nb, sb

JOINED = ComputedIndex(nb.LogicalSwitchPort.type, keys=lambda _: (), parent=nb.LogicalSwitch.ports)


def by_value(uuid: UUID) -> None:
    assert_type(find(sb.Chassis.name, "hv1"), sb.Chassis | None)
    assert_type(select(sb.PortBinding.chassis, uuid), list[sb.PortBinding])
    assert_type(select(nb.LogicalSwitch.ports, uuid), list[nb.LogicalSwitch])
    assert_type(select(nb.LogicalSwitchPort.addresses, "dynamic"), list[nb.LogicalSwitchPort])
    find(sb.Chassis.name, 1)  # type: ignore[misc]
    find(sb.PortBinding.datapath, "an address")  # type: ignore[misc]
    select(nb.LogicalSwitch.ports, nb.LogicalSwitchPort)  # type: ignore[misc]


def by_several_values(uuid: UUID) -> None:
    index = table(sb.PortBinding).index(sb.PortBinding.datapath, sb.PortBinding.tunnel_key)
    assert_type(index.rows((uuid, 1)), list[sb.PortBinding])
    index.rows((1, uuid))  # type: ignore[arg-type]
    table(sb.PortBinding).index(sb.FDB.port_key)  # type: ignore[arg-type]


def by_reference(port: nb.LogicalSwitchPort, binding: sb.PortBinding) -> None:
    assert_type(port.referrer(nb.LogicalSwitch.ports), nb.LogicalSwitch | None)
    assert_type(binding.datapath, sb.DatapathBinding)
    assert_type(binding.chassis, sb.Chassis | None)
    assert_type(sb.PortBinding.chassis.raw(binding), UUID | None)
    port.referrers(nb.LogicalRouter.ports)  # type: ignore[arg-type]
    port.referrers(nb.LogicalSwitchPort.name)  # type: ignore[arg-type]


def by_what_is_kept(uuid: UUID) -> None:
    assert_type(JOINED.rows(uuid, "router"), list[nb.LogicalSwitchPort])
    assert_type(names.values(uuid), frozenset[str])
    names.values(1)  # type: ignore[arg-type]


@grouped_values(nb.LogicalSwitch)
def names(switch: nb.LogicalSwitch) -> list[tuple[UUID, str]]:
    return [(port.uuid, switch.name) for port in switch.ports]
