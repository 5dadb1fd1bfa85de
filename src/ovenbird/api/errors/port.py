# ruff: noqa: N818 (the classes have the names that Neutron sends as "type")
"""Errors of requests about ports."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NeutronError, NotFound


class BadPortRequest(BadRequest):
    """The parts of a request do not fit together."""

    kind = "BadRequest"
    message = "Bad port request: {reason}"


class PortNotFound(NotFound):
    """No port has this id."""

    message = "Port {id} could not be found."


class IpAddressAlreadyAllocated(Conflict):
    """Another port has the address."""

    message = "IP address {address} already allocated in subnet {subnet}"


class IpAddressGenerationFailure(Conflict):
    """Every address of the pools is taken."""

    message = "No more IP addresses available on network {network}."


class InvalidIpForNetwork(BadRequest):
    """No subnet of the network has the address."""

    message = "IP address {address} is not a valid IP for any of the subnets on the specified network."


class InvalidIpForSubnet(BadRequest):
    """The subnet does not have the address."""

    message = "IP address {address} is not a valid IP for the specified subnet."


class AllocationOnAutoAddressSubnet(BadRequest):
    """Hosts of the subnet generate their addresses from their MACs."""

    message = (
        "IPv6 address {ip} cannot be directly assigned to a port on subnet {subnet_id} as the subnet is configured for "
        "automatic addresses"
    )


class PortBound(Conflict):
    """A bound port keeps its MAC."""

    message = (
        "Unable to complete operation on port {port_id}, port is already bound, port type: {vif_type}, old_mac "
        "{old_mac}, new_mac {new_mac}."
    )


class MacAddressInUse(Conflict):
    """Another port of the network has the MAC."""

    message = "Unable to complete operation for network {network}. The mac address {mac} is in use."


class MacAddressGenerationFailure(NeutronError):
    """No free MAC was found."""

    status = 503
    message = "Unable to generate unique mac on network {network}."


class PortSecurityAndIPRequiredForSecurityGroups(BadRequest):
    """Security groups have no effect without port security."""

    message = "Port security must be enabled and port must have an IP address in order to use security groups."


class PortSecurityPortHasSecurityGroup(Conflict):
    """Port security cannot be disabled on a port with security groups."""

    message = (
        "Port has security group associated. Cannot disable port security or IP address until security group is "
        "removed."
    )


class AddressPairAndPortSecurityRequired(Conflict):
    """Address pairs have no effect without port security."""

    message = "Port Security must be enabled in order to have allowed address pairs on a port."


class AllowedAddressPairsMissingIP(BadRequest):
    """An address pair lacks its IP address."""

    message = "AllowedAddressPair must contain ip_address"


class DuplicateAddressPairInRequest(BadRequest):
    """An address pair is given twice."""

    message = "Request contains duplicate address pair: mac_address {mac} ip_address {address}."


class AllowedAddressPairExhausted(BadRequest):
    """More address pairs than a port may have."""

    message = "The number of allowed address pair exceeds the maximum {quota}."


class ServicePortInUse(Conflict):
    """The port belongs to a router, a floating IP or the network, and is deleted with it."""

    message = "Port {port_id} cannot be deleted directly via the port API: {reason}."


class GatewayIpInUse(Conflict):
    """A router has the gateway's address."""

    message = "Current gateway ip {ip_address} already in use by port {port_id}. Unable to update."


class ExternalNetworkInUse(Conflict):
    """Routers have their gateway on the network."""

    message = "External network {id} cannot be updated to be made non-external, since it has existing gateway ports."


class PortBoundNUMAAffinityPolicy(Conflict):
    """A bound port keeps its NUMA affinity policy."""

    message = (
        "Unable to complete operation on port {port_id}, port is already bound to host {host_id}, "
        "numa_affinity_policy {numa_affinity_policy}."
    )


class PortBindingNotFound(NotFound):
    """The port has no binding for the host."""

    message = "Binding for port {port_id} for host {host} could not be found."


class PortBindingAlreadyActive(Conflict):
    """The binding is the active one."""

    message = "Binding for port {port_id} on host {host} is already active."


class PortBindingAlreadyExists(Conflict):
    """The port has a binding for the host."""

    message = "Binding for port {port_id} on host {host} already exists."


class PortBindingError(NeutronError):
    """The host cannot bind the port."""

    message = "Binding for port {port_id} on host {host} could not be created or updated."


class NoBindingsOfPort(BadRequest):
    """Ports of instances and of shared file systems alone have several bindings."""

    kind = "BadRequest"
    message = "Bad port request: Invalid port {port_id}. Operation only valid on compute and shared filesystem ports."
