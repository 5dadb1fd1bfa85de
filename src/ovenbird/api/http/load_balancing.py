"""Requests of the load balancing API: Octavia's addresses and errors.

The addresses are those of Octavia below `/load-balancer`, and also at the root, so that clients which know one endpoint
alone reach both APIs. `balancing_collection` has what is the same for each kind of resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from starlette.responses import Response
from starlette.routing import Route

from ovenbird.api import query
from ovenbird.api.access.auth import Unauthorized
from ovenbird.api.errors.load_balancing import (
    LoadBalancingNotFound,
    NotImplementedByProvider,
    QuotaMet,
    UnsupportedOption,
    VIPAddressConflict,
)
from ovenbird.api.errors.port import IpAddressAlreadyAllocated
from ovenbird.api.errors.quota import OverQuota
from ovenbird.api.errors.request import HTTPMethodNotAllowed, HTTPNotFound
from ovenbird.api.http.balancing_collection import (
    KINDS,
    PARTS,
    BalancingCollection,
    MemberCollection,
    answer,
    demand,
    may,
)
from ovenbird.api.http.balancing_quotas import BalancingQuotas
from ovenbird.api.http.endpoints import Call, origin
from ovenbird.api.load_balancing import rules
from ovenbird.api.load_balancing.load_balancer import PROVIDERS
from ovenbird.api.load_balancing.member import PoolMembers
from ovenbird.api.load_balancing.status import status_tree
from ovenbird.engine.rows import UUID

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from ovenbird.api.databases import Databases
    from ovenbird.api.errors.base import NeutronError
    from ovenbird.api.resource import Resource

    Handler = Callable[[Request], Awaitable[Response]]

BALANCING_RULES = rules.SHARED_RULES | rules.of_quotas() | rules.of_provider()
"""The default policy: rule by name."""
for _kind in PARTS:
    BALANCING_RULES |= _kind.rules

BALANCING_ROOTS = ("/load-balancer/v2.0", "/load-balancer/v2", "/v2.0", "/v2")

LAST_MINOR = 30
"""The API's last version is v2.30."""

NOT_PROVIDED = {
    "lbaas/flavors": "flavors",
    "lbaas/flavorprofiles": "flavorprofiles",
    "lbaas/availabilityzones": "availability_zones",
    "lbaas/availabilityzoneprofiles": "availability_zone_profiles",
    "lbaas/l7policies": "l7policies",
    "octavia/amphorae": "amphorae",
}
"""What Octavia has and its `ovn` provider has not: the name in bodies, by that in addresses."""

NO_STATISTICS = {
    "active_connections": 0, "bytes_in": 0, "bytes_out": 0, "request_errors": 0, "total_connections": 0,
}  # fmt: skip
"""Connections are balanced by the switches of all hosts, which do not count them."""


class LoadBalancing:
    """The load balancing API.

    Arguments:
        databases: where its rows are.
        others: the resources of the network API, by collection.
        call_of: authenticates a request, and returns it as a call; the second argument is the parent's id.
    """

    def __init__(
        self,
        databases: Databases,
        others: Mapping[str, Resource[Any]],
        call_of: Callable[[Request, str], Awaitable[Call]],
    ) -> None:
        self.databases = databases
        self.call_of = call_of
        made = {kind.collection: kind(databases) for kind in KINDS}
        self.collections = {name: BalancingCollection(one, others) for name, one in made.items()}
        pools = made["pools"]
        self.members = MemberCollection(PoolMembers(databases), others, pools)  # type: ignore[arg-type]  # it is Pools
        self.quotas = BalancingQuotas(databases.quotas)

    def routes(self, guarded: Callable[..., Handler]) -> list[Route]:
        """Return the routes.

        Arguments:
            guarded: returns a handler whose exceptions become answers, by a function that takes them.
        """
        paths: dict[str, Handler] = {
            "/lbaas/quotas": self.on_quotas,
            "/lbaas/quotas/{id}": self.on_quota,
            "/lbaas/quotas/{id}/default": self.on_default_quota,
            "/lbaas/providers": self.on_providers,
            "/lbaas/providers/{id}/{nested}": self.on_capabilities,
            **{
                f"/{path}{rest}": self.on_missing
                for path in NOT_PROVIDED
                for rest in ("", "/{id}", "/{id}/{nested:path}")
            },
            "/lbaas/pools/{id}/members": self.on_members,
            "/lbaas/pools/{id}/members/{member}": self.on_member,
            "/lbaas/{collection}": self.on_collection,
            "/lbaas/{collection}/{id}": self.on_resource,
            "/lbaas/{collection}/{id}/{nested}": self.on_action,
        }
        methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]
        routes = [
            Route(f"{prefix}{path}", guarded(handler, fault=fault), methods=methods)
            for prefix in BALANCING_ROOTS
            for path, handler in paths.items()
        ]
        versions = guarded(self.on_versions, fault=fault)
        return [*routes, *[Route(f"/load-balancer{end}", versions, methods=methods) for end in ("", "/v2", "/v2.0")]]

    # -- requests -----------------------------------------------------------------------------------------------------

    async def on_versions(self, request: Request) -> Response:
        """List the API's versions, without authentication."""
        _allow(request, "GET")
        base = f"{origin(request)}/load-balancer"
        versions = [
            {
                "id": f"v2.{minor}",
                "status": "CURRENT" if minor == LAST_MINOR else "SUPPORTED",
                "updated": "2026-01-01T00:00:00Z",
                "links": [{"href": f"{base}/v2", "rel": "self"}],
            }
            for minor in range(LAST_MINOR + 1)
        ]
        return answer({"versions": versions})

    async def on_collection(self, request: Request) -> Response:
        """List or create."""
        call, collection = await self.call_of(request, ""), self._collection(request)
        if request.method == "POST":
            return await collection.create(call)
        _allow(request, "GET", "POST")
        return await collection.list(call)

    async def on_resource(self, request: Request) -> Response:
        """Show, change or delete."""
        call, collection = await self.call_of(request, ""), self._collection(request)
        return await _one(collection, call, _part(request, "id"))

    async def on_members(self, request: Request) -> Response:
        """List or create members, or set all of them."""
        call = await self.call_of(request, UUID(_part(request, "id").lower()))
        self.members.pools.get(call.parent)
        if request.method == "POST":
            return await self.members.create(call)
        if request.method == "PUT":
            return await self.members.replace(call)
        _allow(request, "GET", "POST", "PUT")
        return await self.members.list(call)

    async def on_member(self, request: Request) -> Response:
        """Show, change or delete a member."""
        call = await self.call_of(request, UUID(_part(request, "id").lower()))
        self.members.pools.get(call.parent)
        return await _one(self.members, call, _part(request, "member"))

    async def on_action(self, request: Request) -> Response:
        """Show the statuses or the statistics of a resource; refuse a failover.

        Raises:
            NeutronError: there is no such address, or no such resource.
        """
        call, collection = await self.call_of(request, ""), self._collection(request)
        nested = _part(request, "nested")
        name = collection.resource.collection
        if nested in ("status", "statuses") and name == "loadbalancers":
            row = self._permitted(call, collection, "get_status")
            _allow(request, "GET")
            return answer({"statuses": {"loadbalancer": status_tree(self.databases, row)}})
        if nested == "stats" and name in ("loadbalancers", "listeners"):
            self._permitted(call, collection, "get_stats")
            _allow(request, "GET")
            return answer({"stats": NO_STATISTICS})
        if nested == "failover" and name == "loadbalancers":
            self._permitted(call, collection, "put_failover")
            _allow(request, "PUT")
            raise NotImplementedByProvider(reason="there is nothing to fail over: all hosts balance connections")
        raise HTTPNotFound

    def _permitted(self, call: Call, collection: BalancingCollection[Any], action: str) -> Any:
        row = collection.row(call, _part(call.request, "id"))
        demand(call, rules.action(collection.resource.policy_name, what=action), project=row["project_id"])
        return row

    async def on_providers(self, request: Request) -> Response:
        """List the provider, by each of its names."""
        call = await self.call_of(request, "")
        _allow(request, "GET")
        demand(call, rules.action("provider", what="get_all"), project=call.caller.project)
        wanted = [name for key, name in parse_qsl(call.query.decode("latin-1")) if key == "fields"]
        shown: list[Mapping[str, Any]] = [{"name": n, "description": words} for n, words in PROVIDERS.items()]
        return answer({"providers": [query.only(wanted, one) for one in shown], "providers_links": []})

    async def on_capabilities(self, request: Request) -> Response:
        """Refuse to list the capabilities of flavors and availability zones: there are none.

        Raises:
            NotImplementedByProvider: always.
        """
        await self.call_of(request, "")
        raise NotImplementedByProvider(reason="there are no flavors and no availability zones")

    async def on_missing(self, request: Request) -> Response:
        """List what this provider has none of; refuse to make any.

        Raises:
            NeutronError: the request is for a single one.
        """
        await self.call_of(request, "")
        path = request.url.path
        name = next(name for end, name in NOT_PROVIDED.items() if f"/{end}" in path)
        if request.method in ("POST", "PUT", "PATCH"):
            raise UnsupportedOption(reason=f"{name} are not supported")
        if request.method == "GET" and "id" not in request.path_params:
            return answer({name: [], f"{name}_links": []})
        raise LoadBalancingNotFound(resource=name, id=request.path_params.get("id", ""))

    async def on_quotas(self, request: Request) -> Response:
        """List the quotas of the projects that have some of their own."""
        call = await self.call_of(request, "")
        _allow(request, "GET")
        everything = call.access is None or may(call, rules.action("quota", what="get_all-global"), project="")
        if not everything:
            demand(call, rules.action("quota", what="get_all"), project=call.caller.project)
        return answer(self.quotas.listed(None if everything else call.caller.project))

    async def on_quota(self, request: Request) -> Response:
        """Show, change or reset the quotas of a project; show the defaults."""
        call, project = await self.call_of(request, ""), _part(request, "id")
        if project == "defaults":
            _allow(request, "GET")
            demand(call, rules.action("quota", what="get_defaults"), project=call.caller.project)
            return answer(self.quotas.defaults())
        if request.method == "PUT":
            demand(call, rules.action("quota", what="put"), project=project)
            await self.quotas.set(call.caller, project, await call.body())
            return answer(self.quotas.shown(project), 202)
        if request.method == "DELETE":
            demand(call, rules.action("quota", what="delete"), project=project)
            await self.quotas.reset(call.caller, project)
            return Response(status_code=204)
        _allow(request, "GET", "PUT", "DELETE")
        demand(call, rules.action("quota", what="get_one"), project=project)
        return answer(self.quotas.shown(project))

    async def on_default_quota(self, request: Request) -> Response:
        """Show the default quotas."""
        call = await self.call_of(request, "")
        _allow(request, "GET")
        demand(call, rules.action("quota", what="get_defaults"), project=_part(request, "id"))
        return answer(self.quotas.defaults())

    def _collection(self, request: Request) -> BalancingCollection[Any]:
        found = self.collections.get(_part(request, "collection"))
        if found is None:
            raise HTTPNotFound
        return found


async def _one(collection: BalancingCollection[Any], call: Call, uuid: str) -> Response:
    method = call.request.method
    if method == "PUT":
        return await collection.update(call, uuid)
    if method == "DELETE":
        return await collection.delete(call, uuid)
    _allow(call.request, "GET", "PUT", "DELETE")
    return await collection.show(call, uuid)


def _part(request: Request, name: str) -> str:
    return unquote(request.path_params[name]).removesuffix(".json")


def _allow(request: Request, *methods: str) -> None:
    """Refuse other methods than these; HEAD goes with GET."""
    if request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
        raise HTTPMethodNotAllowed


def fault(error: NeutronError) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of an error; those of a failed authentication are Keystone's."""
    if isinstance(error, Unauthorized):
        return error.status, error.body()
    if isinstance(error, OverQuota):
        error = QuotaMet(resource=error.resource)
    elif isinstance(error, IpAddressAlreadyAllocated):
        error = VIPAddressConflict(reason=str(error))
    code = "Server" if error.status >= 500 else "Client"
    return error.status, {"faultcode": code, "faultstring": str(error), "debuginfo": None}
