# ruff: noqa: N818 (the classes have the names that Neutron sends as "type")
"""What the API answers when it refuses: one class for each of Neutron's errors, with its status and its words.

The class's name is the ``type`` of the body ``{"NeutronError": {"type", "message", "detail"}}``. Errors of the
database that nobody has turned into a better one are in ``TRANSLATED``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.ovsdb.errors import (
    Aborted,
    ConstraintViolation,
    Disconnected,
    OvsdbError,
    ReferentialIntegrityViolation,
    TimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class NeutronError(Exception):
    """An answer other than success. Keyword arguments fill the message's places."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = ""
    """The body's ``type``, where that is not the class's name."""
    message: ClassVar[str] = "An unknown exception occurred."

    def __init__(self, **values: Any) -> None:
        super().__init__(self.message.format(**values))

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        return error_body(self.kind or type(self).__name__, str(self))

    def headers(self) -> Mapping[str, str]:
        """Return the answer's own headers."""
        return {}


class BadRequest(NeutronError):
    """The request makes no sense."""

    status = 400


class NotFound(NeutronError):
    """There is no such thing."""

    status = 404
    message = "An unknown exception occurred."


class Conflict(NeutronError):
    """The request makes sense, but not with what is there."""

    status = 409


# -- requests ---------------------------------------------------------------------------------------------------------


class HTTPBadRequest(BadRequest):
    """The body, an attribute or a query is not as it should be."""

    message = "{reason}"


class BadLimitRequest(BadRequest):
    """A page has a number of resources."""

    kind = "BadRequest"
    message = "Bad limit request: Limit must be an integer 0 or greater and not '{limit}'."


class HTTPNotFound(NotFound):
    """No resource has this address."""

    message = "The resource could not be found."


class HTTPMethodNotAllowed(NeutronError):
    """The resource does not do that."""

    status = 405
    message = "The method is not allowed for this resource."


class InvalidInput(BadRequest):
    """A value is well formed and wrong."""

    message = "Invalid input for operation: {error_message}."


class PolicyNotAuthorized(NeutronError):
    """The caller may not do that."""

    status = 403
    message = "{rule} is disallowed by policy"


class RevisionNumberConstraintFailed(NeutronError):
    """If-Match named another revision."""

    status = 412
    message = "Constrained to {expected}, but current revision is {current}"


class RetryRequest(Conflict):
    """Others kept changing the same thing."""

    message = "The request lost to concurrent changes; try again."


class ServiceUnavailable(NeutronError):
    """The database cannot be reached; whether a change was made is unknown."""

    status = 503
    message = "The database is not reachable."


# -- quotas -----------------------------------------------------------------------------------------------------------


class OverQuota(Conflict):
    """The project has as many as it may have."""

    message = "Quota exceeded for resources: ['{resource}']."


class TenantQuotaNotFound(NotFound):
    """The project has the default quotas."""

    message = "Quota for tenant {tenant_id} could not be found."


class QuotaMissingTenant(BadRequest):
    """The caller acts for no project."""

    message = "Tenant-id was missing from quota request."


# -- networks ---------------------------------------------------------------------------------------------------------


class NetworkNotFound(NotFound):
    """No network has this id."""

    message = "Network {id} could not be found."


class NetworkInUse(Conflict):
    """Ports are on the network."""

    message = "Unable to complete operation on network {id}. There are one or more ports still in use on the network."


class FlatNetworkInUse(Conflict):
    """A physical network carries one flat network."""

    message = "Unable to create the flat network. Physical network {physical_network} is in use."


class VlanIdInUse(Conflict):
    """A VLAN carries one network."""

    message = "Unable to create the network. The VLAN {vlan_id} on physical network {physical_network} is in use."


class TunnelIdInUse(Conflict):
    """A tunnel id carries one network."""

    message = "Unable to create the network. The tunnel ID {tunnel_id} is in use."


class NoNetworkAvailable(Conflict):
    """No segment is left."""

    message = "Unable to create the network. No tenant network is available for allocation."


# -- subnets ----------------------------------------------------------------------------------------------------------


class SubnetNotFound(NotFound):
    """No subnet has this id."""

    message = "Subnet {id} could not be found."


class SubnetInUse(Conflict):
    """Ports have addresses of the subnet."""

    message = "Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet."


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
    """No port has such an owner."""

    message = "Subnet service type {service_type} does not correspond to a valid device owner."


class InvalidInputSubnetServiceType(BadRequest):
    """Not even a name."""

    message = "Subnet service type {service_type} is not a string."


class BadSubnetRequest(BadRequest):
    """The parts of a request do not fit together."""

    kind = "BadRequest"
    message = "Bad subnets request: {reason}."


class InvalidAllocationPool(BadRequest):
    """A pool is no range."""

    message = "The allocation pool {pool} is not valid."


class OutOfBoundsAllocationPool(BadRequest):
    """A pool leaves its subnet."""

    message = "The allocation pool {pool} spans beyond the subnet cidr {cidr}."


class OverlappingAllocationPools(Conflict):
    """Two pools share addresses."""

    message = "Found overlapping allocation pools: {pool_1} {pool_2} for subnet {cidr}."


class GatewayConflictWithAllocationPools(Conflict):
    """The gateway's address would be given to a port."""

    message = "Gateway ip {address} conflicts with allocation pool {pool}."


# -- ports ------------------------------------------------------------------------------------------------------------


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
    """Hosts of the subnet have the address that follows from their MAC."""

    message = (
        "IPv6 address {ip} cannot be directly assigned to a port on subnet {subnet_id} as the subnet is configured for "
        "automatic addresses"
    )


class PortBound(Conflict):
    """What is plugged keeps its MAC."""

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
    """Security groups without port security would filter nothing."""

    message = "Port security must be enabled and port must have an IP address in order to use security groups."


class PortSecurityPortHasSecurityGroup(Conflict):
    """Port security cannot go before the groups do."""

    message = (
        "Port has security group associated. Cannot disable port security or IP address until security group is "
        "removed."
    )


class AddressPairAndPortSecurityRequired(Conflict):
    """Address pairs without port security would allow nothing more."""

    message = "Port Security must be enabled in order to have allowed address pairs on a port."


class AllowedAddressPairsMissingIP(BadRequest):
    """A pair is of a MAC and an address."""

    message = "AllowedAddressPair must contain ip_address"


class DuplicateAddressPairInRequest(BadRequest):
    """The same pair twice."""

    message = "Request contains duplicate address pair: mac_address {mac} ip_address {address}."


class AllowedAddressPairExhausted(BadRequest):
    """More address pairs than a port may have."""

    message = "The number of allowed address pair exceeds the maximum {quota}."


class ServicePortInUse(Conflict):
    """The port belongs to a router, a floating IP or the network, and goes with it."""

    message = "Port {port_id} cannot be deleted directly via the port API: {reason}."


class GatewayIpInUse(Conflict):
    """A router has the gateway's address."""

    message = "Current gateway ip {ip_address} already in use by port {port_id}. Unable to update."


class ExternalNetworkInUse(Conflict):
    """Routers have their gateway on the network."""

    message = "External network {id} cannot be updated to be made non-external, since it has existing gateway ports."


# -- routers and floating IPs -----------------------------------------------------------------------------------------


class BadRouterRequest(BadRequest):
    """The parts of a request do not fit together."""

    kind = "BadRequest"
    message = "Bad router request: {reason}"


class BadFloatingIPRequest(BadRequest):
    """The parts of a request do not fit together."""

    kind = "BadRequest"
    message = "Bad floatingip request: {reason}"


class RouterNotFound(NotFound):
    """No router has this id."""

    message = "Router {id} could not be found"


class RouterInUse(Conflict):
    """The router has interfaces."""

    message = "Router {id} still has ports"


class SubnetMismatchForPort(BadRequest):
    """The port has no address in the subnet."""

    message = "Subnet on port {port_id} does not match the requested subnet {subnet_id}"


class RouterInterfaceNotFound(NotFound):
    """The port is none of the router's."""

    message = "Router {router_id} does not have an interface with id {port_id}"


class RouterInterfaceNotFoundForSubnet(NotFound):
    """The router has no address in the subnet."""

    message = "Router {router_id} has no interface on subnet {subnet_id}"


class RouterInterfaceInUseByFloatingIP(Conflict):
    """Floating IPs stand for addresses of the subnet."""

    message = (
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one or "
        "more floating IPs."
    )


class RouterInterfaceInUseByRoute(Conflict):
    """The next hop of a route is in the subnet."""

    message = (
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one or "
        "more routes."
    )


class RouterExternalGatewayInUseByFloatingIp(Conflict):
    """Floating IPs need the gateway."""

    message = (
        "Gateway cannot be updated for router {router_id}, since a gateway to external network {net_id} is required by "
        "one or more floating IPs."
    )


class PortInUse(Conflict):
    """The port has a device already."""

    message = (
        "Unable to complete operation on port {port_id} for network {net_id}. Port already has an attached device "
        "{device_id}."
    )


class InvalidRoutes(BadRequest):
    """A route leads nowhere."""

    message = "Invalid format for routes: {routes}, {reason}"


class RoutesExhausted(BadRequest):
    """More routes than a router may have."""

    message = "Unable to complete operation for {router_id}. The number of routes exceeds the maximum {quota}."


class FloatingIPNotFound(NotFound):
    """No floating IP has this id."""

    message = "Floating IP {id} could not be found"


class ExternalGatewayForFloatingIPNotFound(NotFound):
    """No router leads from the port to the external network."""

    message = (
        "External network {external_network_id} is not reachable from subnet {subnet_id}.  Therefore, cannot associate "
        "Port {port_id} with a Floating IP."
    )


class FloatingIPPortAlreadyAssociated(Conflict):
    """The address has a floating IP of this network."""

    message = (
        "Cannot associate floating IP {floating_ip_address} ({fip_id}) with port {port_id} using fixed IP {fixed_ip}, "
        "as that fixed IP already has a floating IP on external network {net_id}."
    )


# -- the rest ---------------------------------------------------------------------------------------------------------


class AgentNotFound(NotFound):
    """No agent has this id."""

    message = "Agent {id} could not be found."


class AvailabilityZoneNotFound(NotFound):
    """No chassis is in the zone."""

    message = "AvailabilityZone {availability_zone} could not be found."


class AddressGroupNotFound(NotFound):
    """No address group has this id."""

    message = "Address group {id} could not be found."


class AddressGroupInUse(Conflict):
    """Security group rules name the group."""

    message = "Address group {id} is in use on one or more security group rules."


class AddressesNotFound(NotFound):
    """The group does not have the addresses."""

    message = "Addresses {addresses} not found in the address group {address_group_id}."


class AddressesAlreadyExist(BadRequest):
    """The group has the addresses."""

    message = "Addresses {addresses} already exist in the address group {address_group_id}."


# -- security groups --------------------------------------------------------------------------------------------------


class SecurityGroupNotFound(NotFound):
    """No security group has this id."""

    message = "Security group {id} does not exist"


class SecurityGroupConflict(Conflict):
    """The groups do not go together."""

    message = "Error {reason} while attempting the operation."


class SecurityGroupInUse(Conflict):
    """Ports are members of the group."""

    message = "Security Group {id} in use."


class SecurityGroupCannotRemoveDefault(Conflict):
    """Ports that name no group need the default one."""

    message = "Insufficient rights for removing default security group."


class SecurityGroupCannotUpdateDefault(Conflict):
    """The default group keeps its name."""

    message = "Updating default security group not allowed."


class SecurityGroupDefaultAlreadyExists(Conflict):
    """A project has one default group."""

    message = "Default security group already exists."


class SecurityGroupRuleNotFound(NotFound):
    """No rule has this id."""

    message = "Security group rule {id} does not exist"


class SecurityGroupRuleExists(Conflict):
    """The group says so already."""

    message = "Security group rule already exists. Rule id is {id}."


class DuplicateSecurityGroupRuleInPost(Conflict):
    """The request says so twice."""

    message = "Duplicate Security Group Rule in POST."


class InvalidCIDR(BadRequest):
    """Neither a prefix nor an address."""

    message = "Invalid CIDR {input} given as IP prefix."


class SecurityGroupRuleInvalidEtherType(BadRequest):
    """Neither IPv4 nor IPv6."""

    message = "Security group rule for ethertype '{ethertype}' not supported. Allowed values are ['IPv4', 'IPv6']."


class SecurityGroupRuleInvalidProtocol(BadRequest):
    """Not an IP protocol."""

    message = (
        "Security group rule protocol {protocol} not supported. Only protocol values {values} and integer "
        "representations [0 to 255] are supported."
    )


class SecurityGroupEthertypeConflictWithProtocol(BadRequest):
    """The protocol belongs to the other IP version."""

    message = "Invalid ethertype {ethertype} for protocol {protocol}."


class SecurityGroupProtocolRequiredWithPorts(BadRequest):
    """Ports of what."""

    message = "Must also specify protocol if port range is given."


class SecurityGroupInvalidProtocolForPort(BadRequest):
    """The protocol has no ports."""

    message = "Invalid protocol {protocol} for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP."


class SecurityGroupInvalidPortRange(BadRequest):
    """The range is backwards, or half."""

    message = "For TCP/UDP protocols, port_range_min must be <= port_range_max"


class SecurityGroupInvalidPortValue(BadRequest):
    """Not a port."""

    message = "Invalid value for port {port}"


class SecurityGroupInvalidIcmpValue(BadRequest):
    """Not an ICMP type or code."""

    message = "Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255."


class SecurityGroupMissingIcmpType(BadRequest):
    """A code means nothing without a type."""

    message = "ICMP code (port-range-max) {value} is provided but ICMP type (port-range-min) is missing."


class SecurityGroupMultipleRemoteEntites(BadRequest):
    """One remote is enough."""

    message = "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided."


class SecurityGroupRuleParameterConflict(BadRequest):
    """The prefix belongs to the other IP version."""

    message = "Conflicting value ethertype {ethertype} for CIDR {cidr}"


class TagNotFound(NotFound):
    """The resource has no such tag."""

    message = "Tag {tag} could not be found."


TRANSLATED: tuple[tuple[type[Exception], type[NeutronError]], ...] = (
    (Disconnected, ServiceUnavailable),
    (TimedOut, RetryRequest),
    (ConstraintViolation, RetryRequest),
    (ReferentialIntegrityViolation, RetryRequest),
    (Aborted, RetryRequest),
    (OvsdbError, NeutronError),
)
"""What an error that comes from below is to the caller; the first line that fits."""


def translate(error: Exception) -> NeutronError:
    """Return the API's error for one that a request ran into."""
    if isinstance(error, NeutronError):
        return error
    for below, above in TRANSLATED:
        if isinstance(error, below):
            return above()
    return NeutronError()


def error_body(kind: str, message: str) -> dict[str, Any]:
    """Return the JSON of an error."""
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}
