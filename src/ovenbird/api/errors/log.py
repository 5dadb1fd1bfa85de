"""Errors of requests about logs of security groups."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, NotFound


class LogResourceNotFound(NotFound):
    """No log has this id."""

    message = "Log resource {id} could not be found."


class InvalidLogResourceType(BadRequest):
    """Nothing of this type can be logged."""

    message = "Invalid input for operation: Invalid log resource_type: {resource_type}."


class ResourceNotFound(NotFound):
    """The resource to log is not there."""

    message = "Resource {resource_id} could not be found."


class TargetResourceNotFound(NotFound):
    """The port to log is not there."""

    message = "Target resource {target_id} could not be found."


class InvalidResourceConstraint(BadRequest):
    """The port to log is not in the security group to log."""

    message = (
        "Invalid input for operation: Invalid resource constraint between resource (security_group {resource_id}) and "
        "target resource (port {target_id})."
    )
