"""The chassis that a port is bound on: several during a live migration (ovn-nb(5), `requested-chassis`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.local.local_data import (
    is_additional,
    is_resident,
    parent_port,
)
from ovenbird.controller.local.settings import settings
from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.views import view
from ovenbird.model.sb import PortBinding

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID

ACTIVATED = "additional-chassis-activated"
"""The key of Port_Binding.options that names the additional chassis where the port has been activated."""
_PB = PortBinding
_SPREAD = ComputedIndex(
    _PB.additional_chassis,
    _PB.datapath,
    keys=lambda values: (values[_PB.datapath.index],) if values[_PB.additional_chassis.index] else (),
)
"""The ports that have additional chassis, by datapath."""


def locations(port: PortBinding) -> list[tuple[UUID, UUID | None]]:
    """Return the chassis that a port is on, the main one first, each with the requested encap."""
    main = _PB.chassis.raw(port)
    found = [(main, _PB.encap.raw(port))] if main is not None else []
    if not _PB.additional_chassis.raw(port):
        return found
    encaps = {encap.chassis_name: encap.uuid for encap in port.additional_encap}
    return found + [(chassis.uuid, encaps.get(chassis.name)) for chassis in port.additional_chassis]


@view
def spread_here(datapath: UUID) -> tuple[int, ...]:
    """Return the keys of a datapath's ports that are on this chassis and on others."""
    return tuple([port.tunnel_key for port in _SPREAD.rows(datapath) if is_resident(port)])


def claimed_encaps(port: PortBinding, wanted: UUID | None) -> tuple[tuple[UUID, bool], ...]:
    """Return which encaps of this chassis to add to (True) and remove from (False) a port's `additional_encap`."""
    mine = settings().chassis
    there = {encap.uuid for encap in port.additional_encap if encap.chassis_name == mine}
    gained = {wanted} - there if wanted is not None else set()
    return (*((uuid, True) for uuid in sorted(gained)), *((uuid, False) for uuid in sorted(there - {wanted})))


@view
def is_blocked(port: PortBinding) -> bool:
    """Return whether a port is blocked here: this is an additional chassis, and the port is not activated yet."""
    host = parent_port(port)
    if host is None or not is_additional(port) or host.options.get("activation-strategy") != "rarp":
        return False
    return settings().chassis not in host.options.get(ACTIVATED, "").split(",")
