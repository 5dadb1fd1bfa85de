"""Errors of requests about trunks."""

from __future__ import annotations

from ovenbird.api.errors.base import Conflict, NotFound


class TrunkNotFound(NotFound):
    """No trunk has this id."""

    message = "Trunk {id} could not be found."


class SubPortNotFound(NotFound):
    """The port is not a sub-port of the trunk."""

    message = "SubPort {port_id} on trunk {trunk_id} could not be found."


class TrunkPortInUse(Conflict):
    """The port is a sub-port already."""

    message = "Port {port_id} is in use by another trunk."


class ParentPortInUse(Conflict):
    """The port is a parent port already, or is bound in a way that excludes a trunk."""

    message = "Port {port_id} is currently in use and is not eligible for use as a parent port."


class DuplicateSubPort(Conflict):
    """Another sub-port of the trunk has the VLAN tag."""

    message = (
        "segmentation_type {segmentation_type} and segmentation_id {segmentation_id} already in use on trunk "
        "{trunk_id}."
    )


class SubPortMtuGreaterThanTrunkPortMtu(Conflict):
    """Packets of the sub-port would not fit through the parent port."""

    message = "MTU {port_mtu} of subport {port_id} cannot be greater than MTU {trunk_mtu} of trunk {trunk_id}."


class PortInUseAsTrunkParent(Conflict):
    """A parent port is deleted after its trunk."""

    message = "Port {port_id} is currently a parent port for trunk {trunk_id}."


class PortInUseAsSubPort(Conflict):
    """A sub-port is deleted after it has left its trunk."""

    message = "Port {port_id} is currently a subport for trunk {trunk_id}."


class TrunkInUse(Conflict):
    """The parent port is bound in a way that excludes a change."""

    message = "Trunk {trunk_id} is currently in use."


class TrunkDisabled(Conflict):
    """A trunk whose administrative state is down keeps its sub-ports."""

    message = "Trunk {trunk_id} is currently disabled."
