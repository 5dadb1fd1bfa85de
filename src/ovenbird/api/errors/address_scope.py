"""Errors of requests about address scopes."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NotFound


class AddressScopeNotFound(NotFound):
    """No address scope has this id."""

    message = "Address scope {id} could not be found."


class AddressScopeInUse(Conflict):
    """Subnet pools are in the scope."""

    message = (
        "Unable to complete operation on address scope {id}. There are one or more subnet pools in use on the "
        "address scope."
    )


class AddressScopeUpdateError(BadRequest):
    """The scope cannot be changed like that."""

    message = "Unable to update address scope {id} : {reason}."


class AddressScopePrefixConflict(Conflict):
    """Two pools of a scope would have addresses in common."""

    message = "Failed to associate address scope: subnetpools within an address scope must have unique prefixes."


class IllegalSubnetPoolIpVersionAssociationToAddressScope(BadRequest):
    """The pool and the scope are of different IP versions."""

    message = (
        "Illegal subnetpool association: subnetpool {subnetpool_id} cannot associate with address scope "
        "{address_scope_id} because subnetpool ip_version is not {ip_version}."
    )


class NetworkAddressScopeAffinityError(BadRequest):
    """A network would have subnets of several address scopes."""

    message = (
        "Subnets of the same address family hosted on the same network must all participate in the same address scope."
    )
