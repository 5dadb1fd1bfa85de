# ruff: noqa: N818 (the classes have the names that Neutron sends as "type")
"""Errors of requests about tap mirrors."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NeutronError, NotFound


class TapMirrorNotFound(NotFound):
    """No tap mirror has this id."""

    message = "Tap Mirror {id} does not exist"


class TapMirrorTunnelConflict(Conflict):
    """A tunnel id is in use, by another mirror or for the other direction of this one."""

    message = "Tap Mirror with tunnel_id {tunnel_id} already exists"


class PortDoesNotBelongToTenant(NeutronError):
    """The port and the mirror are of different projects."""

    status = 403
    message = "The specified port does not belong to the tenant"


class PortCannotBeMirrored(BadRequest):
    """The port has no interface on a host."""

    kind = "BadRequest"
    message = "Bad tap mirror request: port {port_id} ({device_owner}) has no interface whose packets could be copied."
