"""Errors of requests about routers and floating IPs."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NotFound


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
    """The port is not an interface of the router."""

    message = "Router {router_id} does not have an interface with id {port_id}"


class RouterInterfaceNotFoundForSubnet(NotFound):
    """The router has no address in the subnet."""

    message = "Router {router_id} has no interface on subnet {subnet_id}"


class RouterInterfaceInUseByFloatingIP(Conflict):
    """Floating IPs are associated with addresses of the subnet."""

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
    """A route is invalid."""

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


class PortForwardingNotFound(NotFound):
    """A floating IP has no such port forwarding."""

    message = "Port Forwarding {id} could not be found."


class FipInUseByPortForwarding(Conflict):
    """A floating IP with port forwardings cannot be associated with a port or deleted."""

    message = "Floating IP {id} in use by Port Forwarding resources."


class PortHasBindingFloatingIP(Conflict):
    """The port's address has a floating IP already."""

    message = (
        "Cannot create port forwarding to floating IP {floating_ip_address} ({fip_id}) with port {port_id} using fixed "
        "IP {fixed_ip}, as that port already has a binding floating IP."
    )


class BadPortForwardingRequest(BadRequest):
    """The port forwarding is invalid."""

    kind = "BadRequest"
    message = "Bad port_forwarding request: {reason}."


class PortHasPortForwarding(BadRequest):
    """A port that is the target of port forwardings cannot have a floating IP."""

    message = "Cannot associate floating IP to port {port_id} because it already has a Port Forwarding binding."


class UnableToMatchGateways(BadRequest):
    """A request about gateways means none, or several, of the router's."""

    message = (
        "Unable to match a requested gateway port to existing gateway ports for router {router_id} (reason: {reason})"
    )


class UnableToRemoveGateways(BadRequest):
    """The router has no gateways."""

    message = "Unable to remove extra gateways from a router {router_id} (reason: {reason})"
