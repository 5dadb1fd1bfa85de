"""Router interfaces: how a subnet or a port is added to a router and removed from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api.access.sharing import policy_for
from ovenbird.api.errors.port import PortNotFound, ServicePortInUse
from ovenbird.api.errors.router import (
    BadRouterRequest,
    InvalidRoutes,
    PortInUse,
    RouterInterfaceInUseByFloatingIP,
    RouterInterfaceInUseByRoute,
    RouterInterfaceNotFound,
    RouterInterfaceNotFoundForSubnet,
    SubnetMismatchForPort,
)
from ovenbird.api.errors.subnet import SubnetNotFound
from ovenbird.api.ports.fixed_ips import release
from ovenbird.api.ports.service_ports import INTERFACE_OWNER, ServicePorts
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import (
    FixedAddress,
    FloatingIPAssociation,
    Port,
    PortForwarding,
    Router,
    RouterGateway,
    RouterInterface,
    Subnet,
)
from ovenbird.net.ip import ip_address, ip_network
from ovenbird.ovsdb.types import is_uuid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ovenbird.api.databases import Databases, Draft


class RouterInterfaces:
    """Adds and removes interfaces of routers; each increments the router's revision, so that concurrent ones conflict.

    Arguments:
        databases: contain them.
    """

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.ports = ServicePorts(databases)

    def add(self, draft: Draft, router: Router, body: Mapping[str, Any]) -> dict[str, Any]:
        """Write a new interface, and return the response.

        Arguments:
            draft: the transaction.
            router: the router.
            body: the request's, parsed: `subnet_id` or `port_id`.

        Raises:
            NeutronError: the request is refused.
        """
        subnet_id, port_id = given(body)
        draft.touch(router)
        if port_id is not None:
            return self._add_port(draft, router, self._port(port_id))
        return self._add_subnet(draft, router, self._subnet(str(subnet_id)))

    def remove(self, draft: Draft, router: Router, body: Mapping[str, Any]) -> dict[str, Any]:
        """Write the removal of an interface, or of one of its subnets, and return the response.

        Arguments:
            draft: the transaction.
            router: the router.
            body: the request's, parsed: `subnet_id`, `port_id` or both.

        Raises:
            NeutronError: there is none, or it is in use.
        """
        subnet_id, port_id = given(body)
        draft.touch(router)
        interface = self._found(router, subnet_id, port_id)
        port = interface.port
        fixed: list[FixedAddress] = port.referrers(FixedAddress.port)
        leaving = [f for f in fixed if port_id is not None or FixedAddress.subnet.raw(f) == subnet_id]
        _check_unused(router, interface, leaving)
        subnets = [FixedAddress.subnet.raw(f) for f in leaving]
        if len(leaving) < len(fixed):
            for one in leaving:
                release(draft, one)
            draft.touch(port)
        else:
            draft.transaction.delete(interface)
            self.ports.delete(draft, port)
        return _answer(router, port.uuid, Port.network.raw(port), subnets)

    # -- adding -------------------------------------------------------------------------------------------------------

    def _add_subnet(self, draft: Draft, router: Router, subnet: Subnet) -> dict[str, Any]:
        """Add a subnet's gateway address to a router; IPv6 addresses of one network share a port."""
        if subnet.gateway_ip is None:
            raise BadRouterRequest(reason="Subnet for router interface must have a gateway IP.")
        own = draft.caller.admin or subnet.project_id == draft.caller.project
        if not own and policy_for(subnet.network, draft.caller.project) is None:
            raise BadRouterRequest(
                reason=f"Cannot add interface to router because subnet {subnet.uuid} is not owned "
                "by project making the request."
            )
        self._check_new(router, [subnet])
        network = subnet.network
        wanted = [{"subnet_id": subnet.uuid, "ip_address": subnet.gateway_ip}]
        shared = self._ipv6_port(router, network.uuid) if ":" in subnet.cidr else None
        if shared is not None:
            chosen = self.ports.addresses.choose(
                draft, network, wanted, mac=shared.mac_address, device_owner=INTERFACE_OWNER
            )
            self.ports.addresses.write(draft, shared.uuid, chosen)
            draft.touch(shared)
            return _answer(router, shared.uuid, network.uuid, [subnet.uuid])
        port, _ = self.ports.create(
            draft, network, owner=INTERFACE_OWNER, device=router.uuid, project=router.project_id, wanted=wanted
        )
        values = {"router": router.uuid, "network": network.uuid, "port": port}
        draft.transaction.insert(RouterInterface, values)
        return _answer(router, port, network.uuid, [subnet.uuid])

    def _add_port(self, draft: Draft, router: Router, port: Port) -> dict[str, Any]:
        """Attach an existing port to a router."""
        network = Port.network.raw(port)
        if port.device_id:
            raise PortInUse(port_id=port.uuid, net_id=network, device_id=port.device_id)
        subnets = [fixed.subnet for fixed in port.referrers(FixedAddress.port)]
        if not subnets:
            raise BadRouterRequest(reason="Router port must have at least one fixed IP.")
        if sum(":" not in subnet.cidr for subnet in subnets) > 1:
            raise BadRouterRequest(reason="Cannot have multiple IPv4 subnets on router port.")
        self._check_new(router, subnets)
        draft.transaction.insert(RouterInterface, {"router": router.uuid, "network": network, "port": port.uuid})
        draft.update(port, {"device_owner": INTERFACE_OWNER, "device_id": router.uuid, "security_groups": frozenset()})
        return _answer(router, port.uuid, network, [subnet.uuid for subnet in subnets])

    def _ipv6_port(self, router: Router, network: UUID) -> Port | None:
        """Return the port with a router's IPv6 addresses on a network."""
        for interface in router.referrers(RouterInterface.router):
            if RouterInterface.network.raw(interface) == network:
                port: Port = interface.port
                if all(":" in fixed.address for fixed in port.referrers(FixedAddress.port)):
                    return port
        return None

    def _check_new(self, router: Router, subnets: Iterable[Subnet]) -> None:
        """Check that new subnets do not overlap with a router's."""
        held = connected(router)
        for subnet in subnets:
            block = ip_network(subnet.cidr)
            for other in held:
                if other is subnet:
                    raise BadRouterRequest(reason=f"Router already has a port on subnet {subnet.uuid}.")
                theirs = ip_network(other.cidr)
                if theirs.version == block.version and theirs.overlaps(block):
                    raise BadRouterRequest(
                        reason=f"Cidr {subnet.cidr} of subnet {subnet.uuid} overlaps with cidr "
                        f"{other.cidr} of subnet {other.uuid}."
                    )

    # -- removing -----------------------------------------------------------------------------------------------------

    def _found(self, router: Router, subnet_id: str | None, port_id: str | None) -> RouterInterface:
        interfaces: list[RouterInterface] = router.referrers(RouterInterface.router)
        for interface in interfaces:
            port = interface.port
            if port_id is not None and port.uuid != port_id:
                continue
            subnets = [FixedAddress.subnet.raw(fixed) for fixed in port.referrers(FixedAddress.port)]
            if subnet_id is None or subnet_id in subnets:
                return interface
            if port_id is not None:
                raise SubnetMismatchForPort(subnet_id=subnet_id, port_id=port_id)
        if port_id is not None:
            raise RouterInterfaceNotFound(router_id=router.uuid, port_id=port_id)
        raise RouterInterfaceNotFoundForSubnet(router_id=router.uuid, subnet_id=self._subnet(str(subnet_id)).uuid)

    # -- what bodies name ---------------------------------------------------------------------------------------------

    def _port(self, uuid: str) -> Port:
        port = self.databases.store.table(Port).get(UUID(uuid))
        if port is None:
            raise PortNotFound(id=uuid)
        return port

    def _subnet(self, uuid: str) -> Subnet:
        subnet = self.databases.store.table(Subnet).get(UUID(uuid))
        if subnet is None:
            raise SubnetNotFound(id=uuid)
        return subnet


def router_ports(router: Router) -> list[Port]:
    """Return the ports of a router, including its gateway's."""
    interfaces, gateways = router.referrers(RouterInterface.router), router.referrers(RouterGateway.router)
    return [*(row.port for row in interfaces), *(row.port for row in gateways)]


def connected(router: Router) -> list[Subnet]:
    """Return the subnets that a router is connected to, including external ones."""
    return [fixed.subnet for port in router_ports(router) for fixed in port.referrers(FixedAddress.port)]


def _check_unused(router: Router, interface: RouterInterface, leaving: Iterable[FixedAddress]) -> None:
    """Check that neither floating IPs nor routes use the addresses that are removed from a router."""
    associations: Sequence[FloatingIPAssociation] = interface.referrers(FloatingIPAssociation.interface)
    forwardings: Sequence[PortForwarding] = interface.referrers(PortForwarding.interface)
    used = {user.fixed for user in associations} | {user.fixed for user in forwardings}
    needed = {FixedAddress.subnet.raw(fixed) for fixed in used}
    hops = [ip_address(route.split()[1]) for route in router.routes]
    for fixed in leaving:
        subnet = fixed.subnet
        if subnet.uuid in needed:
            raise RouterInterfaceInUseByFloatingIP(router_id=router.uuid, subnet_id=subnet.uuid)
        block = ip_network(subnet.cidr)
        if any(hop in block for hop in hops):
            raise RouterInterfaceInUseByRoute(router_id=router.uuid, subnet_id=subnet.uuid)


def check_stays_connected(port: Port, subnets: Collection[UUID]) -> None:
    """Check that a router's routes and floating IPs stay valid when the addresses of one of its ports change.

    Arguments:
        port: any port.
        subnets: the new subnets of its addresses.

    Raises:
        NeutronError: one would not.
    """
    interfaces: list[RouterInterface] = port.referrers(RouterInterface.port)
    gateways: list[RouterGateway] = port.referrers(RouterGateway.port)
    if (interfaces or gateways) and not subnets:
        raise ServicePortInUse(port_id=port.uuid, reason="Router port must have at least one IP.")
    for interface in interfaces:
        fixed: list[FixedAddress] = port.referrers(FixedAddress.port)
        _check_unused(interface.router, interface, [f for f in fixed if FixedAddress.subnet.raw(f) not in subnets])
    for outside in gateways:
        router = outside.router
        check_reachable(router, listed_routes(router), subnets)


def check_reachable(router: Router, routes: list[dict[str, str]], outside: Iterable[UUID]) -> None:
    """Check that the next hops of a router's routes are in its networks after a change of its gateway.

    Arguments:
        router: the router.
        routes: its new routes.
        outside: the new subnets of its gateway.

    Raises:
        InvalidRoutes: one is not.
    """
    inside = [port for interface in router.referrers(RouterInterface.router) if (port := interface.port)]
    subnets = {FixedAddress.subnet.raw(fixed) for port in inside for fixed in port.referrers(FixedAddress.port)}
    table = router.home.store.table(Subnet)
    blocks = [ip_network(subnet.cidr) for uuid in {*subnets, *outside} if (subnet := table.get(uuid)) is not None]
    for route in routes:
        hop = ip_address(route["nexthop"])
        if not any(hop in block for block in blocks):
            raise InvalidRoutes(routes=routes, reason="the nexthop is not connected with router")


def listed_routes(router: Router) -> list[dict[str, str]]:
    """Return a router's extra routes as the API shows them."""
    return [dict(zip(("destination", "nexthop"), route.split(), strict=True)) for route in sorted(router.routes)]


def check_new(body: Mapping[str, Any]) -> None:
    """Check that a new interface is given by a subnet or a port, not both.

    Raises:
        BadRouterRequest: it is not.
    """
    subnet_id, port_id = given(body)
    if subnet_id is not None and port_id is not None:
        raise BadRouterRequest(reason="Cannot specify both subnet-id and port-id.")


def given(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the ids of the subnet and of the port that identify an interface.

    Raises:
        BadRouterRequest: both are missing, or one is not a UUID.
    """
    subnet, port = body.get("subnet_id"), body.get("port_id")
    if subnet is None and port is None:
        raise BadRouterRequest(reason="Either subnet_id or port_id must be specified.")
    for value in (subnet, port):
        if value is not None and not (isinstance(value, str) and is_uuid(value)):
            raise BadRouterRequest(reason=f"'{value}' is not a valid UUID.")
    return subnet and subnet.lower(), port and port.lower()


def _answer(router: Router, port: str, network: str, subnets: list[Any]) -> dict[str, Any]:
    return {
        "id": router.uuid,
        "tenant_id": router.project_id,
        "project_id": router.project_id,
        "port_id": port,
        "network_id": network,
        "subnet_id": subnets[0] if subnets else None,
        "subnet_ids": subnets,
        "tags": sorted(router.tags),
    }
