"""Routers: the gateway to an external network, extra routes, and the actions that add and remove interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, MEMBER, READER, each, tags
from ovenbird.api.attributes import UNSET, Attribute, shown
from ovenbird.api.errors.request import HTTPBadRequest
from ovenbird.api.errors.router import (
    InvalidRoutes,
    RouterInUse,
    RouterNotFound,
    RoutesExhausted,
)
from ovenbird.api.ports.port_bindings import is_unhosted
from ovenbird.api.ports.router_gateways import (
    RouterGateways,
    gateway_info,
    gateway_infos,
    more_of_first,
    render_gateway,
)
from ovenbird.api.ports.router_interfaces import (
    RouterInterfaces,
    check_new,
    check_reachable,
    given,
    listed_routes,
    router_ports,
)
from ovenbird.api.resource import STANDARD, Resource, project_of, standard
from ovenbird.api.resources.availability_zone import ROUTER, check_hints
from ovenbird.api.resources.flavor import chosen_flavor
from ovenbird.api.values import (
    WrongTypeError,
    address,
    boolean,
    list_of,
    mapping,
    network_of,
    never,
    optional,
    prefix,
    record,
    text,
)
from ovenbird.model import settings
from ovenbird.model.cloud import (
    AutoAllocatedTopology,
    FixedAddress,
    Router,
    gateways_of,
)
from ovenbird.model.cloud import RouterInterface as Interface
from ovenbird.net.ip import ip_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import UUID, ColumnOf

ROUTES = list_of(record(("destination", "nexthop"), destination=prefix, nexthop=address))
LOOSE_ROUTES = record(("destination", "nexthop"), destination=network_of, nexthop=address)


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
        "external_gateway_info.qos_policy_id": "policies",
        "subnet_id": "subnets",  # of the actions that add and remove interfaces
        "port_id": "ports",
        "router.external_gateways.network_id": "networks",  # of those that change gateways
        "router.external_gateways.external_fixed_ips.subnet_id": "subnets",
        "router.external_gateways.qos_policy_id": "policies",
    }
    extensions: ClassVar[Mapping[str, str]] = {
        "enable-default-route-bfd": "Enable Default Route BFD",
        "enable-default-route-ecmp": "Enable Default Route ECMP",
        "external-gateway-multihoming": "Neutron L3 External Gateway Multihoming",
        "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
        "extraroute": "Neutron Extra Route",
        "extraroute-atomic": "Atomically add/remove extra routes",
        "l3-ha": "HA Router extension",
        "qos-gateway-ip": "Router gateway IP QoS",
        "router": "Neutron L3 Router",
        "router-enable-snat": 'Exposes the router "enable_snat" read-only configuration flag',
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
        **each(ADMIN, *(f"{verb}_router:enable_default_route_{what}" for verb in ("create", "update")
                         for what in ("bfd", "ecmp"))),
        **each(MEMBER, *(f"{verb}_external_gateways{part}" for verb in ("add", "update", "remove")
                          for part in ("", ":external_gateways"))),
        **each(MEMBER, *(f"{verb}_external_gateways:external_gateways:network_id" for verb in ("add", "update"))),
        **each(ADMIN, *(f"{verb}_external_gateways:external_gateways:{part}" for verb in ("add", "update")
                         for part in ("enable_snat", "external_fixed_ips"))),
        **tags("router", reader=READER, member=MEMBER),
    }  # fmt: skip
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default="", column="name"),
        "admin_state_up": Attribute(boolean, default=True, column="admin_state_up"),
        "external_gateway_info": Attribute(gateway_info, default=UNSET, filterable=False),
        "external_gateways": shown(filterable=False),
        "enable_default_route_bfd": Attribute(optional(boolean), default=None, filterable=False),
        "enable_default_route_ecmp": Attribute(optional(boolean), default=None, filterable=False),
        "enable_snat": shown(boolean),
        "routes": Attribute(ROUTES, default=UNSET, post=False, filterable=False),
        "distributed": Attribute(_always, default=None, explicit=True, sought=boolean),
        "ha": Attribute(_always, default=None, explicit=True, sought=boolean),
        "availability_zone_hints": Attribute(list_of(text()), default=[], put=False),
        "enable_ndp_proxy": Attribute(never, default=False, explicit=True, sought=boolean),
        "flavor_id": Attribute(str, default=UNSET, put=False),
        "status": shown(),
        "availability_zones": shown(filterable=False),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {"name": Router.name}
    actions: ClassVar[Mapping[str, str]] = {
        "add_router_interface": "add_interface",
        "remove_router_interface": "remove_interface",
        "add_extraroutes": "add_routes",
        "remove_extraroutes": "remove_routes",
        "add_external_gateways": "add_gateways",
        "update_external_gateways": "update_gateways",
        "remove_external_gateways": "remove_gateways",
    }

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.gateways = RouterGateways(databases)
        self.interfaces = RouterInterfaces(databases)

    def render(self, row: Router) -> dict[str, Any]:
        """Return what the API shows of a router."""
        gateways = gateways_of(row)
        shown_gateways = [render_gateway(outside) for outside in gateways]
        enable_snat = gateways[0].enable_snat if gateways else True
        unhosted = any(is_unhosted(self.databases, outside.port) for outside in gateways)
        routes = sorted(route.split() for route in row.routes)
        hints = sorted(row.availability_zone_hints)
        return {
            **standard(row),
            "name": row.name,
            "status": "ERROR" if unhosted else "ACTIVE",
            "admin_state_up": row.admin_state_up,
            "external_gateway_info": shown_gateways[0] | more_of_first(gateways[0]) if gateways else None,
            "external_gateways": shown_gateways,
            "enable_snat": enable_snat,
            "enable_default_route_bfd": row.enable_default_route_bfd,
            "enable_default_route_ecmp": row.enable_default_route_ecmp,
            "routes": [{"destination": to, "nexthop": via} for to, via in routes],
            "distributed": True,
            "ha": True,
            "enable_ndp_proxy": False,
            "flavor_id": Router.flavor.raw(row),
            "availability_zone_hints": hints,
            "availability_zones": hints,
            "tags": sorted(row.tags),
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new router, with its gateway if it has one."""
        project = project_of(draft, values)
        hints = check_hints(self.databases, ROUTER, values["availability_zone_hints"])
        stored = self.stored(values) | _switches(values) | {"project_id": project, "availability_zone_hints": hints}
        if "flavor_id" in values:
            stored["flavor"] = chosen_flavor(self.databases, values["flavor_id"]).uuid
        uuid = draft.insert(Router, stored)
        if values.get("external_gateway_info"):
            self.gateways.open(draft, uuid, project, values["external_gateway_info"])
        return uuid

    def update(self, draft: Draft, row: Router, values: dict[str, Any]) -> None:
        """Write a change of a router."""
        stored = self.stored(values) | _switches(values)
        outside: Iterable[UUID] | None = None
        if "external_gateway_info" in values:
            outside = self.gateways.replace(draft, row, values["external_gateway_info"])
        if "routes" in values:
            stored["routes"] = checked_routes(row, values["routes"], outside)
        elif outside is not None:
            check_reachable(row, listed_routes(row), outside)
        draft.update(row, stored)

    def delete(self, draft: Draft, row: Router) -> None:
        """Write the removal of a router with its gateway; a router with interfaces cannot be removed."""
        if row.referrers(Interface.router):
            raise RouterInUse(id=row.uuid)
        self.gateways.update(draft, row, [])
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

    def add_gateways(self, draft: Draft, row: Router, body: Mapping[str, Any]) -> None:
        """Open further gateways; those that exist stay.

        Arguments:
            draft: the transaction.
            row: the router.
            body: the request's, parsed.
        """
        self._change_gateways(draft, row, body, self.gateways.add)

    def update_gateways(self, draft: Draft, row: Router, body: Mapping[str, Any]) -> None:
        """Replace the list of gateways.

        Arguments:
            draft: the transaction.
            row: the router.
            body: the request's, parsed.
        """
        self._change_gateways(draft, row, body, self.gateways.update)

    def remove_gateways(self, draft: Draft, row: Router, body: Mapping[str, Any]) -> None:
        """Close some of the gateways.

        Arguments:
            draft: the transaction.
            row: the router.
            body: the request's, parsed.
        """
        self._change_gateways(draft, row, body, self.gateways.remove)

    def _change_gateways(
        self,
        draft: Draft,
        row: Router,
        body: Mapping[str, Any],
        change: Callable[[Draft, Router, list[dict[str, Any]]], set[UUID]],
    ) -> None:
        """Change the gateways as a request says; one that names none changes nothing."""
        try:
            member = mapping(body.get("router"))
            given = gateway_infos(member["external_gateways"]) if "external_gateways" in member else None
        except ValueError as error:
            raise HTTPBadRequest(reason=f"Invalid input for external_gateways. Reason: {error}.") from error
        if given is None:
            return
        check_reachable(row, listed_routes(row), change(draft, row, given))
        draft.touch(row)


def _switches(values: Mapping[str, Any]) -> dict[str, bool]:
    """Return the switches that a request sets; null leaves one as it is."""
    names = ("enable_default_route_bfd", "enable_default_route_ecmp")
    return {name: values[name] for name in names if values.get(name) is not None}


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
        outside = [FixedAddress.subnet.raw(f) for one in gateways_of(router)
                   for f in one.port.referrers(FixedAddress.port)]  # fmt: skip
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
