"""Errors of requests about subnet pools."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NotFound


class SubnetPoolNotFound(NotFound):
    """No subnet pool has this id."""

    message = "Subnet pool {id} could not be found."


class SubnetPoolDeleteError(BadRequest):
    """The pool cannot be deleted."""

    message = "Unable to delete subnet pool: {reason}."


class EmptySubnetPoolPrefixList(BadRequest):
    """The pool has no prefixes."""

    message = "Empty subnet pool prefix list."


class PrefixVersionMismatch(BadRequest):
    """The prefixes are of different IP versions."""

    message = "Cannot mix IPv4 and IPv6 prefixes in a subnet pool."


class IllegalSubnetPoolPrefixBounds(BadRequest):
    """The prefix lengths of a pool are inconsistent."""

    message = "Illegal prefix bounds: {prefix_type}={prefixlen}, {base_prefix_type}={base_prefixlen}."


class IllegalSubnetPoolPrefixUpdate(BadRequest):
    """The pool's prefixes cannot be changed to these."""

    message = "Illegal update to prefixes: {msg}."


class IllegalSubnetPoolUpdate(BadRequest):
    """The pool cannot onboard the subnets."""

    message = "Illegal subnetpool update : {reason}."


class MinPrefixSubnetAllocationError(BadRequest):
    """The subnet would be larger than the pool allows."""

    message = "Unable to allocate subnet with prefix length {prefixlen}, minimum allowed prefix is {min_prefixlen}."


class MaxPrefixSubnetAllocationError(BadRequest):
    """The subnet would be smaller than the pool allows."""

    message = "Unable to allocate subnet with prefix length {prefixlen}, maximum allowed prefix is {max_prefixlen}."


class SubnetPoolQuotaExceeded(Conflict):
    """The project's quota of the pool would be exceeded."""

    message = "Per-project subnet pool prefix quota exceeded."


class SubnetAllocationError(Conflict):
    """The pool has no such block to give; Neutron answers 500, as if it had failed itself."""

    message = "Failed to allocate subnet: {reason}."


class NetworkSubnetPoolAffinityError(BadRequest):
    """The network's subnets of an IP version are from one pool, or all from none."""

    message = "Subnets hosted on the same network must be allocated from the same subnet pool."
