"""Errors of requests about subnets."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NotFound


class SubnetNotFound(NotFound):
    """No subnet has this id."""

    message = "Subnet {id} could not be found."


class SubnetInUse(Conflict):
    """Ports have addresses of the subnet."""

    message = "Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet."


class SubnetHasMembers(Conflict):
    """Members of load balancers' pools are in the subnet."""

    kind = "SubnetInUse"
    message = "Unable to complete operation on subnet {id}: members of load balancers are in this subnet."


class NetworkMTUSubnetConflict(Conflict):
    """The network's packets are too small for the subnet's IP version."""

    message = "MTU of {net_id} is not valid, subnet requires a minimum of {mtu}"


class DNSNameServersExhausted(BadRequest):
    """More name servers than a subnet may have."""

    message = "Unable to complete operation for {subnet_id}. The number of DNS nameservers exceeds the limit {quota}."


class HostRoutesExhausted(BadRequest):
    """More routes than a subnet may have."""

    message = "Unable to complete operation for {subnet_id}. The number of host routes exceeds the limit {quota}."


class InvalidSubnetServiceType(BadRequest):
    """The service type is not a device owner of ports."""

    message = "Subnet service type {service_type} does not correspond to a valid device owner."


class InvalidInputSubnetServiceType(BadRequest):
    """The service type is not a string."""

    message = "Subnet service type {service_type} is not a string."


class BadSubnetRequest(BadRequest):
    """The parts of a request do not fit together."""

    kind = "BadRequest"
    message = "Bad subnets request: {reason}."


class InvalidAllocationPool(BadRequest):
    """An allocation pool is not a range of addresses."""

    message = "The allocation pool {pool} is not valid."


class OutOfBoundsAllocationPool(BadRequest):
    """An allocation pool is not within its subnet."""

    message = "The allocation pool {pool} spans beyond the subnet cidr {cidr}."


class OverlappingAllocationPools(Conflict):
    """Two pools share addresses."""

    message = "Found overlapping allocation pools: {pool_1} {pool_2} for subnet {cidr}."


class GatewayConflictWithAllocationPools(Conflict):
    """The gateway's address is in an allocation pool."""

    message = "Gateway ip {address} conflicts with allocation pool {pool}."
