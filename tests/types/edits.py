"""What the type checker says of the edits that the controller's rules ask for; see `lookups`."""

from typing import assert_type

from ovenbird.controller.edits import EDIT, NOW, Change, keys, members, to
from ovenbird.engine.rows import UUID
from ovenbird.model import sb


def values(uuid: UUID) -> None:
    assert_type(to(sb.Chassis.hostname, "hv1"), Change[sb.Chassis])
    to(sb.Chassis.hostname, 1)  # type: ignore[misc]
    to(sb.Chassis.hostname, None)  # type: ignore[misc]
    to(sb.Chassis.transport_zones, frozenset(["a"]))
    to(sb.Chassis.transport_zones, frozenset([1]))  # type: ignore[misc]
    to(sb.PortBinding.up, value=None)
    to(sb.PortBinding.up, value="true")  # type: ignore[misc]
    to(sb.PortBinding.chassis, uuid)
    to(sb.PortBinding.chassis, None)
    to(sb.PortBinding.chassis, "hv1")  # type: ignore[misc]
    to(sb.IGMPGroup.ports, frozenset([uuid]))
    to(sb.ChassisPrivate.nb_cfg_timestamp, NOW)
    to(sb.Chassis.hostname, NOW)  # type: ignore[misc]


def parts(uuid: UUID) -> None:
    keys(sb.Chassis.other_config, ("a", "b"), ("c", None), ("d", NOW))
    keys(sb.Chassis.other_config, ("a", 1))  # type: ignore[arg-type]
    keys(sb.Chassis.hostname, ("a", "b"))  # type: ignore[arg-type]
    members(sb.PortBinding.additional_chassis, (uuid, True))
    members(sb.PortBinding.additional_chassis, ("a", True))  # type: ignore[arg-type]
    members(sb.PortBinding.chassis, (uuid, True))  # type: ignore[arg-type]


def rows(port: sb.PortBinding) -> None:
    EDIT(port, to(sb.PortBinding.up, value=True), holder=sb.PortBinding.chassis)
    EDIT(port, to(sb.Chassis.hostname, "hv1"))  # type: ignore[misc]
    EDIT(port, ("up", True))  # type: ignore[arg-type]
    EDIT(port, holder=sb.PortBinding.type)  # type: ignore[arg-type]
