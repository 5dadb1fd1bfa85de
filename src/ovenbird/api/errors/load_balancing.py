# ruff: noqa: N818 (named as the others that are answers)
"""Errors of the load balancing API, which has a body of its own for them (Octavia's, from WSME)."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NeutronError, NotFound


class LoadBalancingNotFound(NotFound):
    """There is no such resource."""

    message = "{resource} {id} not found."


class InvalidSubresource(BadRequest):
    """The request refers to something that is not there, or that the caller does not see."""

    message = "{resource} {id} not found."


class PolicyForbidden(NeutronError):
    """The policy forbids the request."""

    status = 403
    message = "Policy does not allow this request to be performed."


class ValidationFailure(BadRequest):
    """The parts of a request do not fit together, or to what is there."""

    message = "Validation failure: {reason}"


class InvalidOption(BadRequest):
    """A value is not possible for an attribute."""

    message = "{value} is not a valid option for {option}"


class InvalidFilter(BadRequest):
    """A list is filtered by something that its resources do not have."""

    message = "One or more arguments are either duplicate or invalid"


class UnsupportedOption(NeutronError):
    """Octavia's API has the option, and the provider does not."""

    status = 501
    message = "Provider 'ovn' does not support a requested option: {reason}"


class NotImplementedByProvider(NeutronError):
    """Octavia's API has the action, and the provider does not."""

    status = 501
    message = "Provider 'ovn' does not support a requested action: {reason}"


class ProviderNotEnabled(BadRequest):
    """There is no such provider."""

    message = "Provider '{provider}' is not enabled."


class DuplicateListener(Conflict):
    """Another listener has the port."""

    message = (
        "Another Listener on this Load Balancer is already using protocol {protocol} and protocol_port {protocol_port}"
    )


class DuplicateMember(Conflict):
    """Another member has the address and port."""

    message = "Another member on this pool is already using ip {address} on protocol_port {protocol_port}"


class DuplicatePool(Conflict):
    """The listener has a default pool."""

    message = "This listener already has a default pool"


class DuplicateHealthMonitor(Conflict):
    """The pool has a health monitor."""

    message = "This pool already has a health monitor"


class QuotaMet(NeutronError):
    """The project's quota would be exceeded."""

    status = 403
    message = "Quota has been met for resources: {resource}"


class VIPAddressConflict(Conflict):
    """The address for the virtual address is taken."""

    message = "The VIP IP address is already in use: {reason}"
