# ruff: noqa: N818 (the classes have the names that Neutron sends as "type")
"""Errors of requests about flavors and service profiles."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NeutronError, NotFound


class FlavorNotFound(NotFound):
    """No flavor has this id."""

    message = "Flavor {id} could not be found."


class FlavorInUse(Conflict):
    """Routers have the flavor."""

    message = "Flavor {id} is used by some service instance."


class FlavorDisabled(NeutronError):
    """The flavor is not enabled."""

    status = 503
    message = "Flavor is not enabled."


class InvalidServiceType(BadRequest):
    """There are no flavors for this kind of service."""

    message = "Invalid service type {service_type}."


class ServiceProfileNotFound(NotFound):
    """No service profile has this id."""

    message = "Service Profile {id} could not be found."


class ServiceProfileInUse(Conflict):
    """Flavors have the service profile."""

    message = "Service Profile {id} is used by some service instance."


class ServiceProfileDisabled(NeutronError):
    """The flavor's service profiles are not enabled."""

    status = 503
    message = "Service Profile is not enabled."


class ServiceProfileDriverNotFound(NotFound):
    """There is no such driver."""

    message = "Service Profile driver {driver} could not be found."


class ServiceProfileEmpty(BadRequest):
    """A service profile says nothing."""

    message = "Service Profile needs either a driver or metainfo."


class FlavorServiceProfileBindingExists(Conflict):
    """The flavor has the service profile already."""

    message = "Service Profile {profile} is already associated with flavor {flavor}."


class FlavorServiceProfileBindingNotFound(NotFound):
    """The flavor does not have the service profile."""

    message = "Service Profile {profile} is not associated with flavor {flavor}."
