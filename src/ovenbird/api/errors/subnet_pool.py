# ruff: noqa: N818 (the classes have the names that Neutron sends as "type")
"""Errors of requests about subnet pools."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NeutronError, NotFound


class SubnetPoolNotFound(NotFound):
    """No subnet pool has this id."""

    message = "Subnet pool {id} could not be found."


class SubnetPoolDeleteError(BadRequest):
    """The pool cannot go."""

    message = "Unable to delete subnet pool: {reason}."


class EmptySubnetPoolPrefixList(BadRequest):
    """A pool has nothing to allocate from."""

    message = "Empty subnet pool prefix list."


class PrefixVersionMismatch(BadRequest):
    """A pool is of one IP version."""

    message = "Cannot mix IPv4 and IPv6 prefixes in a subnet pool."


class IllegalSubnetPoolPrefixBounds(BadRequest):
    """The prefix lengths of a pool do not fit together."""

    message = "Illegal prefix bounds: {prefix_type}={prefixlen}, {base_prefix_type}={base_prefixlen}."


class IllegalSubnetPoolPrefixUpdate(BadRequest):
    """The pool's prefixes cannot be these."""

    message = "Illegal update to prefixes: {msg}."


class IllegalSubnetPoolUpdate(BadRequest):
    """The pool cannot take subnets in."""

    message = "Illegal subnetpool update : {reason}."


class MinPrefixSubnetAllocationError(BadRequest):
    """A subnet would be larger than the pool gives them."""

    message = "Unable to allocate subnet with prefix length {prefixlen}, minimum allowed prefix is {min_prefixlen}."


class MaxPrefixSubnetAllocationError(BadRequest):
    """A subnet would be smaller than the pool gives them."""

    message = "Unable to allocate subnet with prefix length {prefixlen}, maximum allowed prefix is {max_prefixlen}."


class SubnetPoolQuotaExceeded(Conflict):
    """The project has as much of the pool as it may have."""

    message = "Per-project subnet pool prefix quota exceeded."


class SubnetAllocationError(Conflict):
    """The pool has no such block to give; Neutron answers 500, as if it had failed itself."""

    message = "Failed to allocate subnet: {reason}."


class NetworkSubnetPoolAffinityError(BadRequest):
    """The network's subnets of an IP version are from one pool, or all from none."""

    message = "Subnets hosted on the same network must be allocated from the same subnet pool."


class NotAuthorized(NeutronError):
    """The network is another project's."""

    status = 403
    message = "Not authorized."
