# ruff: noqa: N818 (the classes have the names that Neutron sends as "type")
"""Errors of requests that cannot be parsed, are not permitted, or cannot be served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.api.errors.base import BadRequest, Conflict, NeutronError, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping


class HTTPBadRequest(BadRequest):
    """The body, an attribute or the query is invalid."""

    message = "{reason}"


class BadLimitRequest(BadRequest):
    """The page size is not a non-negative number."""

    kind = "BadRequest"
    message = "Bad limit request: Limit must be an integer 0 or greater and not '{limit}'."


class HTTPNotFound(NotFound):
    """There is no such URL."""

    message = "The resource could not be found."


class HTTPMethodNotAllowed(NeutronError):
    """The resource does not support the method."""

    status = 405
    message = "The method is not allowed for this resource."


class HTTPRequestEntityTooLarge(NeutronError):
    """The request's body is too large."""

    status = 413
    message = "The request's body is longer than {most} bytes."

    def headers(self) -> Mapping[str, str]:
        """Return the header that closes the connection: the rest of the body is not read."""
        return {"connection": "close"}


class TooManyBodies(NeutronError):
    """The process is receiving as many bytes of bodies as it may."""

    status = 503
    message = "Too much is being received at this moment; try again."

    def headers(self) -> Mapping[str, str]:
        """Return the header that says when to try again; the rest of the body is not read."""
        return {"connection": "close", "retry-after": "5"}


class InvalidInput(BadRequest):
    """A value is well formed but not permitted."""

    message = "Invalid input for operation: {error_message}."


class PolicyNotAuthorized(NeutronError):
    """The policy forbids the request."""

    status = 403
    message = "{rule} is disallowed by policy"


class NotAuthorized(NeutronError):
    """The request is for others to make, whatever the policy says."""

    status = 403
    message = "Not authorized."


class RevisionNumberConstraintFailed(NeutronError):
    """If-Match named another revision."""

    status = 412
    message = "Constrained to {expected}, but current revision is {current}"


class RetryRequest(Conflict):
    """Concurrent changes kept conflicting."""

    message = "The request lost to concurrent changes; try again."


class ServiceUnavailable(NeutronError):
    """The database cannot be reached; whether a change was made is unknown."""

    status = 503
    message = "The database is not reachable."


class DatabaseNotWritable(ServiceUnavailable):
    """The database's disk is full or failing; read requests are still served."""

    kind = "ServiceUnavailable"
    message = "The database cannot be written now."
