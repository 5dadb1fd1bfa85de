"""What trunks mean for their ports: what is shown, what is refused, and what a port's move means for its trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api.errors.trunk import PortInUseAsSubPort, PortInUseAsTrunkParent
from ovenbird.model.cloud import SubPort, Trunk

if TYPE_CHECKING:
    from ovenbird.api.databases import Draft
    from ovenbird.model.cloud import Port

VLAN = "vlan"
"""The segmentation type of every sub-port."""


def trunk_details(port: Port) -> dict[str, Any]:
    """Return what the API shows of a port's trunk, as an attribute of the port; nothing for other ports."""
    trunk: Trunk | None = port.referrer(Trunk.port)
    if trunk is None:
        return {}
    found = [shown_sub_port(one) | {"mac_address": one.port.mac_address} for one in ordered_sub_ports(trunk)]
    return {"trunk_details": {"trunk_id": trunk.uuid, "sub_ports": found}}


def ordered_sub_ports(trunk: Trunk) -> list[SubPort]:
    """Return the sub-ports of a trunk by VLAN tag."""
    return sorted(trunk.referrers(SubPort.trunk), key=lambda one: one.segmentation_id)


def shown_sub_port(one: SubPort) -> dict[str, Any]:
    """Return what the API shows of a sub-port."""
    return {
        "port_id": SubPort.port.raw(one),
        "segmentation_type": VLAN,
        "segmentation_id": one.segmentation_id,
    }


def refuse_trunk_port(port: Port) -> None:
    """Refuse to delete a port that is part of a trunk.

    Raises:
        PortInUseAsSubPort, PortInUseAsTrunkParent: it is.
    """
    for one in port.referrers(SubPort.port):
        raise PortInUseAsSubPort(port_id=port.uuid, trunk_id=SubPort.trunk.raw(one))
    for trunk in port.referrers(Trunk.port):
        raise PortInUseAsTrunkParent(port_id=port.uuid, trunk_id=trunk.uuid)


def release_trunk(draft: Draft, parent: Port) -> None:
    """Write that a port leaves its host, with its trunk if it has one."""
    for trunk in parent.referrers(Trunk.port):
        draft.update(trunk, {"released": True})
