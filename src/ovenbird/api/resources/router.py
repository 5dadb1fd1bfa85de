"""Routers: the gateway to an external network, extra routes, and the actions that add and remove interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, MEMBER, READER, each, tags
from ovenbird.api.access.sharing import EXTERNAL, grants
from ovenbird.api.attributes import UNSET, Attribute, shown
from ovenbird.api.errors.network import NetworkNotFound
from ovenbird.api.errors.request import HTTPBadRequest
from ovenbird.api.errors.router import (
    BadRouterRequest,
    InvalidRoutes,
    RouterExternalGatewayInUseByFloatingIp,
    RouterInUse,
    RouterNotFound,
    RoutesExhausted,
)
from ovenbird.api.ports.port_bindings import is_unhosted
from ovenbird.api.ports.router_interfaces import (
    RouterInterfaces,
    check_new,
    check_reachable,
    given,
    listed_routes,
    router_ports,
)
from ovenbird.api.ports.service_ports import GATEWAY_OWNER, ServicePorts
from ovenbird.api.resource import STANDARD, Resource, project_of, standard
from ovenbird.api.resources.availability_zone import ROUTER, check_hints
from ovenbird.api.values import (
    WrongTypeError,
    address,
    boolean,
    list_of,
    mapping,
    network_of,
    never,
    prefix,
    record,
    text,
)
from ovenbird.api.values import uuid as uuid_value
from ovenbird.model import settings
from ovenbird.model.cloud import (
    AutoAllocatedTopology,
    FixedAddress,
    FloatingIPAssociation,
    Network,
    Port,
    PortForwarding,
    Router,
    RouterGateway,
    Subnet,
)
from ovenbird.model.cloud import RouterInterface as Interface
from ovenbird.net.ip import ip_address, ip_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import UUID, ColumnOf

ROUTES = list_of(record(("destination", "nexthop"), destination=prefix, nexthop=address))
LOOSE_ROUTES = record(("destination", "nexthop"), destination=network_of, nexthop=address)

GATEWAY = record(
    (),
    network_id=uuid_value,
    enable_snat=boolean,
    external_fixed_ips=list_of(record((), subnet_id=uuid_value, ip_address=address), null=False),
    qos_policy_id=lambda value: value,
)


def _gateway(value: Any) -> dict[str, Any]:
    """Convert a gateway; null and the empty object mean no gateway."""
    given: dict[str, Any] = GATEWAY(mapping(value))
    if given and "network_id" not in given:
        raise ValueError("network_id is required")
    if given.get("qos_policy_id") is not None:
        raise ValueError("qos_policy_id is not available here")
    return given


def _always(value: Any) -> None:
    """Accept true for `distributed` and `ha`, and refuse false: every router is both."""
    if value is not None and not boolean(value):
        raise WrongTypeError("every router is distributed and highly available")


GATEWAY_INFO = "external_gateway_info"


class Routers(Resource[Router]):
    """``/v2.0/routers``."""

    member = "router"
    collection = "routers"
    row_class = Router
    not_found = RouterNotFound
    references: ClassVar[Mapping[str, str]] = {
        "external_gateway_info.network_id": "networks",
        "external_gateway_info.external_fixed_ips.subnet_id": "subnets",
        "subnet_id": "subnets",  # of the actions that add and remove interfaces
        "port_id": "ports",
    }
    extensions: ClassVar[Mapping[str, str]] = {
        "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
        "extraroute": "Neutron Extra Route",
        "extraroute-atomic": "Atomically add/remove extra routes",
        "router": "Neutron L3 Router",
        "router_availability_zone": "Router Availability Zone",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(MEMBER, "create_router", "update_router", "delete_router", "add_router_interface",
                "remove_router_interface", "add_extraroutes", "remove_extraroutes"),
        "get_router": READER,
        **each(ADMIN, *(f"{verb}_router:{part}" for verb in ("create", "get", "update")
                         for part in ("distributed", "ha"))),
        **each(MEMBER, *(f"{verb}_router:{part}" for verb in ("create", "update")
                          for part in (GATEWAY_INFO, f"{GATEWAY_INFO}:network_id"))),
        **each(ADMIN, *(f"{verb}_router:{GATEWAY_INFO}:{part}" for verb in ("create", "update")
                         for part in ("enable_snat", "external_fixed_ips"))),
        **tags("router", reader=READER, member=MEMBER),
    }  # fmt: skip
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default="", column="name"),
        "admin_state_up": Attribute(boolean, default=True, column="admin_state_up"),
        "external_gateway_info": Attribute(_gateway, default=UNSET, filterable=False),
        "routes": Attribute(ROUTES, default=UNSET, post=False, filterable=False),
        "distributed": Attribute(_always, default=None, explicit=True, sought=boolean),
        "ha": Attribute(_always, default=None, explicit=True, sought=boolean),
        "availability_zone_hints": Attribute(list_of(text()), default=[], put=False),
        "enable_ndp_proxy": Attribute(never, default=False, explicit=True, sought=boolean),
        "flavor_id": shown(),
        "status": shown(),
        "availability_zones": shown(filterable=False),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {"name": Router.name}
    actions: ClassVar[Mapping[str, str]] = {
        "add_router_interface": "add_interface",
        "remove_router_interface": "remove_interface",
        "add_extraroutes": "add_routes",
        "remove_extraroutes": "remove_routes",
    }

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.ports = ServicePorts(databases)
        self.interfaces = RouterInterfaces(databases)

    def render(self, row: Router) -> dict[str, Any]:
        """Return what the API shows of a router."""
        outside: RouterGateway | None = row.referrer(RouterGateway.router)
        routes = sorted(route.split() for route in row.routes)
        hints = sorted(row.availability_zone_hints)
        return {
            **standard(row),
            "name": row.name,
            "status": "ERROR" if outside is not None and is_unhosted(self.databases, outside.port) else "ACTIVE",
            "admin_state_up": row.admin_state_up,
            "external_gateway_info": None if outside is None else render_gateway(outside),
            "routes": [{"destination": to, "nexthop": via} for to, via in routes],
            "distributed": True,
            "ha": True,
            "enable_ndp_proxy": False,
            "flavor_id": None,
            "availability_zone_hints": hints,
            "availability_zones": hints,
            "tags": sorted(row.tags),
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new router, with its gateway if it has one."""
        project = project_of(draft, values)
        hints = check_hints(self.databases, ROUTER, values["availability_zone_hints"])
        stored = self.stored(values) | {"project_id": project, "availability_zone_hints": hints}
        uuid = draft.insert(Router, stored)
        if values.get("external_gateway_info"):
            self._open(draft, uuid, project, values["external_gateway_info"], [])
        return uuid

    def update(self, draft: Draft, row: Router, values: dict[str, Any]) -> None:
        """Write a change of a router."""
        stored = self.stored(values)
        outside: Iterable[UUID] | None = None
        if "external_gateway_info" in values:
            outside = self._set_gateway(draft, row, values["external_gateway_info"])
        if "routes" in values:
            stored["routes"] = checked_routes(row, values["routes"], outside)
        elif outside is not None:
            check_reachable(row, listed_routes(row), outside)
        draft.update(row, stored)

    def delete(self, draft: Draft, row: Router) -> None:
        """Write the removal of a router with its gateway; a router with interfaces cannot be removed."""
        if row.referrers(Interface.router):
            raise RouterInUse(id=row.uuid)
        self.close(draft, row)
        for topology in row.referrers(AutoAllocatedTopology.router):
            draft.transaction.update(topology, {"router": None})
        draft.transaction.delete(row)

    # -- actions ------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, body: Mapping[str, Any]) -> None:
        """Check that the ids in the request of an interface action are valid."""
        if action == "add_router_interface":
            check_new(body)
        elif action == "remove_router_interface":
            given(body)

    def add_interface(self, draft: Draft, row: Router, body: Mapping[str, Any]) -> dict[str, Any]:
        """Connect a subnet, or a port's subnets.

        Arguments:
            draft: the transaction.
            row: the router.
            body: the request's, parsed.
        """
        return self.interfaces.add(draft, row, body)

    def remove_interface(self, draft: Draft, row: Router, body: Mapping[str, Any]) -> dict[str, Any]:
        """Disconnect a subnet or a port.

        Arguments:
            draft: the transaction.
            row: the router.
            body: the request's, parsed.
        """
        return self.interfaces.remove(draft, row, body)

    def add_routes(self, draft: Draft, row: Router, body: Mapping[str, Any]) -> None:
        """Add extra routes to the existing ones.

        Arguments:
            draft: the transaction.
            row: the router.
            body: the request's, parsed.
        """
        given = _routes_in(body)
        draft.update(row, {"routes": checked_routes(row, [*listed_routes(row), *given])})

    def remove_routes(self, draft: Draft, row: Router, body: Mapping[str, Any]) -> None:
        """Remove extra routes; routes that do not exist are ignored.

        Arguments:
            draft: the transaction.
            row: the router.
            body: the request's, parsed.
        """
        draft.update(row, {"routes": row.routes - stored_routes(_routes_in(body))})

    # -- the gateway --------------------------------------------------------------------------------------------------

    def _set_gateway(self, draft: Draft, row: Router, given: Mapping[str, Any]) -> Iterable[UUID] | None:
        """Write a change of a gateway, and return its new subnets; None if they do not change."""
        outside: RouterGateway | None = row.referrer(RouterGateway.router)
        if outside is None or not given or Port.network.raw(outside.port) != given["network_id"]:
            self.close(draft, row)
            if given:
                inside = [fixed.subnet.cidr for interface in row.referrers(Interface.router)
                          for fixed in interface.port.referrers(FixedAddress.port)]  # fmt: skip
                return self._open(draft, row.uuid, row.project_id, given, inside)
            return ()
        draft.transaction.update(outside, {"enable_snat": given.get("enable_snat", True)})
        if given.get("external_fixed_ips"):
            port = outside.port
            _check_outside(port.network, given["external_fixed_ips"])
            subnets = self.ports.addresses.replace(draft, port, given["external_fixed_ips"], port.mac_address)
            draft.touch(port)
            return subnets
        return None

    def _open(
        self, draft: Draft, router: UUID, project: str, given: Mapping[str, Any], inside: Iterable[str]
    ) -> list[UUID]:
        """Write a gateway: a port on the external network without a project; return its subnets.

        Arguments:
            draft: the transaction.
            router: the router.
            project: the router's project.
            given: the gateway, as the request has it.
            inside: the CIDRs of the router's other subnets.
        """
        network = self.databases.store.table(Network).get(given["network_id"])
        if network is None:
            raise NetworkNotFound(id=given["network_id"])
        if not network.external:
            raise BadRouterRequest(reason=f"Network {network.uuid} is not an external network.")
        wanted = given.get("external_fixed_ips")
        _check_outside(network, wanted or ())
        port, chosen = self.ports.create(draft, network, owner=GATEWAY_OWNER, device=router, wanted=wanted or None)
        for cidr in inside:
            block = ip_network(cidr)
            for subnet, _ in chosen:
                theirs = ip_network(subnet.cidr)
                if theirs.version == block.version and theirs.overlaps(block):
                    raise BadRouterRequest(
                        reason=f"Cidr {subnet.cidr} of subnet {subnet.uuid} overlaps with cidr "
                        f"{cidr} of a subnet of the router."
                    )
        values = {"router": router, "port": port, "enable_snat": given.get("enable_snat", True)}
        allowed_by = grants(draft, project, [network], EXTERNAL)
        draft.transaction.insert(RouterGateway, values | {"allowed_by": allowed_by})
        return [subnet.uuid for subnet, _ in chosen]

    def close(self, draft: Draft, row: Router) -> None:
        """Write the removal of a router's gateway, if it has one.

        Raises:
            RouterExternalGatewayInUseByFloatingIp: floating IPs use it.
        """
        outside: RouterGateway | None = row.referrer(RouterGateway.router)
        if outside is None:
            return
        used = bool(outside.referrers(FloatingIPAssociation.gateway)) or bool(outside.referrers(PortForwarding.gateway))
        if used:
            raise RouterExternalGatewayInUseByFloatingIp(router_id=row.uuid, net_id=Port.network.raw(outside.port))
        draft.transaction.delete(outside)
        self.ports.delete(draft, outside.port)


def _check_outside(network: Network, wanted: Iterable[Mapping[str, str]]) -> None:
    """Check that the external address of a router is not that of the subnet's gateway."""
    gateways = {subnet.gateway_ip for subnet in network.referrers(Subnet.network)}
    for item in wanted:
        if item.get("ip_address") in gateways:
            raise BadRouterRequest(reason=f"External IP {item['ip_address']} is the same as the gateway IP.")


def render_gateway(outside: RouterGateway) -> dict[str, Any]:
    """Return what the API shows of a router's gateway."""
    port = outside.port
    fixed = sorted((f.address, FixedAddress.subnet.raw(f)) for f in port.referrers(FixedAddress.port))
    return {
        "network_id": Port.network.raw(port),
        "enable_snat": outside.enable_snat,
        "external_fixed_ips": [{"subnet_id": subnet, "ip_address": ip} for ip, subnet in fixed],
    }


def stored_routes(routes: Iterable[Mapping[str, str]]) -> frozenset[str]:
    """Return routes in the form of the database."""
    return frozenset(f"{route['destination']} {route['nexthop']}" for route in routes)


def checked_routes(
    router: Router, routes: list[dict[str, str]], outside: Iterable[UUID] | None = None
) -> frozenset[str]:
    """Check a router's routes, and return them in the form of the database.

    Arguments:
        router: the router.
        routes: its new routes.
        outside: the new subnets of its gateway; None if they do not change.

    Raises:
        InvalidRoutes: a next hop is not in a subnet of the router, is the router itself, or has another IP version.
        RoutesExhausted: there are too many.
    """
    if outside is None:
        gateway: RouterGateway | None = router.referrer(RouterGateway.router)
        outside = (
            () if gateway is None else [FixedAddress.subnet.raw(f) for f in gateway.port.referrers(FixedAddress.port)]
        )
    own = {fixed.address for port in router_ports(router) for fixed in port.referrers(FixedAddress.port)}
    for route in routes:
        hop = ip_address(route["nexthop"])
        if (":" in route["destination"]) != (hop.version == 6):
            raise InvalidRoutes(routes=routes, reason="the nexthop is of another IP version")
        if route["nexthop"] in own:
            raise InvalidRoutes(routes=routes, reason="the nexthop is used by router")
    check_reachable(router, routes, outside)
    stored = stored_routes(routes)
    most = settings.MAX_ROUTES.of(router.home.store)
    if len(stored) > most:
        raise RoutesExhausted(router_id=router.uuid, quota=most)
    return stored


def _routes_in(body: Mapping[str, Any]) -> list[dict[str, str]]:
    given = body.get("router")
    try:
        routes = [LOOSE_ROUTES(route) for route in list_of(mapping)(mapping(given).get("routes"))]
    except ValueError as error:
        raise HTTPBadRequest(reason=f"Invalid input for routes. Reason: {error}.") from error
    return routes
