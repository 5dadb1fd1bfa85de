"""Errors of requests about RBAC policies."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NotFound


class RbacPolicyNotFound(NotFound):
    """No RBAC policy has this id."""

    message = "RBAC policy of type unknown with ID {id} not found"


class RbacPolicyInUse(Conflict):
    """A project uses the resource by this policy alone."""

    message = (
        "RBAC policy on object {object_id} cannot be removed because other objects depend on it.\nDetails: {details}"
    )


class DuplicateRbacPolicy(Conflict):
    """There is such a policy."""

    message = "An RBAC policy already exists with those values."


class InvalidActionForType(BadRequest):
    """Resources of this type cannot be accessed like that."""

    message = "Invalid action '{action}' for object type '{object_type}'. Valid actions: {valid_actions}"
