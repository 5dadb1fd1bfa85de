"""Errors of requests about networks."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NotFound


class NetworkNotFound(NotFound):
    """No network has this id."""

    message = "Network {id} could not be found."


class NetworkInUse(Conflict):
    """Ports are on the network."""

    message = "Unable to complete operation on network {id}. There are one or more ports still in use on the network."


class InvalidSharedSetting(Conflict):
    """Other projects use the network, which would no longer be shared with them."""

    message = "Unable to reconfigure sharing settings for network {network}. Multiple projects are using it."


class VlanTransparencyDriverError(BadRequest):
    """Networks of this type do not carry VLAN tags of instances."""

    message = "Backend does not support VLAN Transparency."


class VlanQinqDriverError(BadRequest):
    """Networks of this type have no tag of their own."""

    message = "Backend does not support VLAN QinQ."


class BadNetworkRequest(BadRequest):
    """The attributes of the network contradict each other."""

    kind = "BadRequest"
    message = "Bad network request: {reason}."


class FlatNetworkInUse(Conflict):
    """A physical network carries one flat network."""

    message = "Unable to create the flat network. Physical network {physical_network} is in use."


class VlanIdInUse(Conflict):
    """A VLAN carries one network."""

    message = "Unable to create the network. The VLAN {vlan_id} on physical network {physical_network} is in use."


class TunnelIdInUse(Conflict):
    """A tunnel id carries one network."""

    message = "Unable to create the network. The tunnel ID {tunnel_id} is in use."


class NoNetworkAvailable(Conflict):
    """No segment is left."""

    message = "Unable to create the network. No tenant network is available for allocation."


class BadTopologyRequest(BadRequest):
    """The query asks for fields that topologies do not have."""

    kind = "BadRequest"
    message = "Bad auto_allocate request: Unrecognized field."


class AutoAllocationFailure(Conflict):
    """The cloud lacks what a topology is made from."""

    message = "Deployment error: {reason}."


class DefaultExternalNetworkExists(Conflict):
    """Another external network is the default one."""

    message = "A default external network already exists: {net_id}."
