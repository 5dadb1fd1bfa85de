"""Requests of the load balancing API: Octavia's addresses, queries, answers and errors.

The addresses are those of Octavia below `/load-balancer`, and also at the root, so that clients which know one endpoint
alone reach both APIs. Lists are those of the network API but for `sort=KEY:DIR,...`, and for other projects' resources,
which are refused (403) and not hidden (404), as by Octavia.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode

import orjson
from starlette.responses import Response
from starlette.routing import Route

from ovenbird.api import attributes, query
from ovenbird.api.access.auth import Unauthorized
from ovenbird.api.access.authorization import Authorization
from ovenbird.api.errors.base import NeutronError, NotFound
from ovenbird.api.errors.load_balancing import (
    InvalidFilter,
    LoadBalancingNotFound,
    NotImplementedByProvider,
    PolicyForbidden,
    QuotaMet,
    UnsupportedOption,
    ValidationFailure,
    VIPAddressConflict,
)
from ovenbird.api.errors.port import IpAddressAlreadyAllocated
from ovenbird.api.errors.quota import OverQuota
from ovenbird.api.errors.request import HTTPBadRequest, HTTPMethodNotAllowed, HTTPNotFound
from ovenbird.api.http.balancing_quotas import BalancingQuotas
from ovenbird.api.http.endpoints import Call, origin
from ovenbird.api.load_balancing import rules
from ovenbird.api.load_balancing.health_monitor import HealthMonitors
from ovenbird.api.load_balancing.listener import BalancedListeners
from ovenbird.api.load_balancing.load_balancer import PROVIDERS, LoadBalancers
from ovenbird.api.load_balancing.member import MOST_MEMBERS, PoolMembers
from ovenbird.api.load_balancing.pool import Pools
from ovenbird.api.load_balancing.status import status_tree
from ovenbird.api.query import Query, Wanted
from ovenbird.api.values import boolean
from ovenbird.engine.rows import UUID, Row

if TYPE_CHECKING:
    import builtins
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from starlette.requests import Request

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.api.load_balancing.service import BalancingResource
    from ovenbird.api.resource import Resource

    Handler = Callable[[Request], Awaitable[Response]]

R = TypeVar("R", bound=Row)

KINDS: tuple[type[BalancingResource[Any]], ...] = (LoadBalancers, BalancedListeners, Pools, HealthMonitors)
"""The resources with collections of their own."""

PARTS: tuple[type[BalancingResource[Any]], ...] = (*KINDS, PoolMembers)

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


class BalancingCollection(Generic[R]):
    """Handles requests for one resource of load balancing.

    Arguments:
        resource: which.
        others: the resources of the network API, by collection.
    """

    def __init__(self, resource: BalancingResource[R], others: Mapping[str, Resource[Any]]) -> None:
        self.resource = resource
        self.others = others

    # -- reading ------------------------------------------------------------------------------------------------------

    async def list(self, call: Call) -> Response:
        """Return the resources that a query selects, of the projects that the caller may see.

        Raises:
            NeutronError: the query is invalid, or for a project that the caller may not see.
        """
        resource, asked = self.resource, parsed(call, self.resource)
        named = asked.filters.pop("project_id", Wanted())
        if call.access is None or self._may(call, "get_all-global", ""):
            rows: Iterable[R] = resource.table.rows.values()
            if named:
                rows = [row for project in named for row in self._of_project(project)]
        else:
            project = next(iter(named), call.caller.project)
            self._demand(call, "get_all", project)
            rows = self._of_project(project)
        return self._selected(call, asked, rows)

    def _of_project(self, project: str) -> builtins.list[R]:
        return self.resource.table.select(self.resource.row_class.BY_NAME["project_id"], project)

    def _selected(self, call: Call, asked: Query, rows: Iterable[R]) -> Response:
        resource = self.resource
        shown = [(row, resource.renderings.of(row).value) for row in rows]
        if asked.filters:
            shown = [one for one in shown if query.matches(one[1] | resource.facts(one[0]), asked.filters)]
        if not asked.sort:
            asked = Query(asked.filters, asked.fields, (("created_at", False),), asked.limit, asked.marker,
                          asked.reverse)  # fmt: skip
        page = query.arrange([value for _, value in shown], asked)
        body = {
            resource.collection: [query.only(asked.fields, value) for value in page],
            f"{resource.collection}_links": _links(call, asked, page),
        }
        return answer(body)

    async def show(self, call: Call, uuid: str) -> Response:
        """Return one resource."""
        row = self.row(call, uuid)
        self._demand(call, "get_one", row["project_id"])
        fields = parsed(call, self.resource).fields
        return answer({self.resource.member: query.only(fields, self.resource.renderings.of(row).value)})

    def row(self, call: Call, uuid: str) -> R:
        """Return the row with an id; for a nested resource, in that parent.

        Raises:
            LoadBalancingNotFound: there is none.
        """
        row = self.resource.get(uuid)
        parent = self.resource.parent
        if parent is not None and self.resource.row_class.BY_NAME[parent.column].raw(row) != call.parent:
            raise LoadBalancingNotFound(resource=self.resource.title, id=uuid)
        return row

    # -- changing -----------------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Response:
        """Create a resource.

        Raises:
            NeutronError: the request is refused.
        """
        resource = self.resource
        given = dict(attributes.member_of(await call.body(), resource.member))
        values = resource.parse(given, creating=True)
        if resource.parent is not None:
            values[resource.parent.attribute] = call.parent

        def build(draft: Draft) -> UUID:
            self._demand(call, "post", self._project(call, values))
            self._see(call, values)
            return resource.create(draft, dict(values))

        uuid = await resource.databases.change(call.caller, build)
        row = resource.get(uuid)
        return answer({resource.member: resource.created(row)}, 201)

    def _project(self, call: Call, values: Mapping[str, Any]) -> str:
        """Return the project of a new resource: that of its parent, or what the request says."""
        store = self.resource.databases.store
        for kind in PARTS:
            name = f"{kind.member}_id"
            if values.get(name) is not None:
                found = store.table(kind.row_class).get(UUID(values[name]))
                if found is None:
                    raise LoadBalancingNotFound(resource=kind.title, id=values[name])
                project: str = found["project_id"]
                return project
        return values.get("project_id") or call.caller.project

    async def update(self, call: Call, uuid: str) -> Response:
        """Change a resource.

        Raises:
            NeutronError: the request is refused.
        """
        resource = self.resource
        values = resource.parse(attributes.member_of(await call.body(), resource.member), creating=False)

        def build(draft: Draft) -> None:
            row = self.row(call, uuid)
            self._demand(call, "put", row["project_id"])
            resource.update(draft, row, dict(values))

        await resource.databases.change(call.caller, build)
        return answer({resource.member: resource.renderings.of(resource.get(uuid)).value})

    async def delete(self, call: Call, uuid: str) -> Response:
        """Delete a resource; a load balancer with its parts, if the request says so."""
        resource = self.resource
        cascade = _flag(call, "cascade")

        def build(draft: Draft) -> None:
            row = self.row(call, uuid)
            self._demand(call, "delete", row["project_id"])
            if cascade and isinstance(resource, LoadBalancers):
                resource.delete_all(draft, row)  # type: ignore[arg-type]  # its rows are load balancers
            else:
                resource.delete(draft, row)

        await resource.databases.change(call.caller, build)
        return Response(status_code=204)

    # -- who may what -------------------------------------------------------------------------------------------------

    def _may(self, call: Call, action: str, project: str) -> bool:
        return may(call, rules.action(self.resource.policy_name, what=action), project=project)

    def _demand(self, call: Call, action: str, project: str) -> None:
        demand(call, rules.action(self.resource.policy_name, what=action), project=project)

    def _see(self, call: Call, values: Mapping[str, Any]) -> None:
        """Check that the caller sees the networks, subnets and ports that a request names."""
        if call.access is None:
            return
        authorization = Authorization(call.access, call.caller, self.resource, self.others)
        try:
            authorization.see(values)
        except NotFound as error:
            raise ValidationFailure(reason=str(error)) from None


class MemberCollection(BalancingCollection[Any]):
    """Handles requests for the members of a pool.

    Arguments:
        resource: the members.
        others: the resources of the network API, by collection.
        pools: the pools.
    """

    def __init__(self, resource: PoolMembers, others: Mapping[str, Resource[Any]], pools: Pools) -> None:
        super().__init__(resource, others)
        self.members = resource
        self.pools = pools

    async def list(self, call: Call) -> Response:
        """Return the members that a query selects."""
        pool, asked = self.pools.get(call.parent), parsed(call, self.resource)
        self._demand(call, "get_all", pool.project_id)
        return self._selected(call, asked, self.members.table.select(self._column, pool.uuid))

    @property
    def _column(self) -> Any:
        return self.resource.row_class.BY_NAME["pool"]

    async def replace(self, call: Call) -> Response:
        """Make a pool's members those of the request.

        Raises:
            NeutronError: the request is refused.
        """
        body = await call.body()
        given = body.get("members") if isinstance(body, dict) else None
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise HTTPBadRequest(reason="Unable to find 'members' in request body")
        if len(given) > MOST_MEMBERS:
            raise HTTPBadRequest(reason=f"{len(given)} members exceed the maximum of {MOST_MEMBERS} in one request")
        additive = _flag(call, "additive_only")

        def build(draft: Draft) -> None:
            pool = self.pools.get(call.parent)
            self._demand(call, "put", pool.project_id)
            for one in given:
                self._see(call, one)
            self.members.batch(draft, pool, given, additive=additive)

        await self.resource.databases.change(call.caller, build)
        return Response(status_code=202)


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


def may(call: Call, rule: str, *, project: str) -> bool:
    """Return whether the caller may do something with a resource of a project.

    Arguments:
        call: the request.
        rule: the name of the rule about it.
        project: the project.
    """
    facts = {"project_id": project, "tenant_id": project}
    return call.access is None or call.access.allows(rule, facts.__getitem__)


def demand(call: Call, rule: str, *, project: str) -> None:
    """Check that the caller may do something with a resource of a project.

    Arguments:
        call: the request.
        rule: the name of the rule about it.
        project: the project.

    Raises:
        PolicyForbidden: it may not.
    """
    if not may(call, rule, project=project):
        raise PolicyForbidden


def parsed(call: Call, resource: BalancingResource[Any]) -> Query:
    """Return a request's query; Octavia's `sort=KEY:DIR,...` and `sort_key=A,B` are as several keys.

    Raises:
        HTTPBadRequest: it is invalid.
    """
    given: list[tuple[str, str]] = []
    for name, value in parse_qsl(call.query.decode("latin-1"), keep_blank_values=True):
        if name == "sort":
            for part in value.split(","):
                key, _, direction = part.partition(":")
                given += [("sort_key", key), ("sort_dir", direction or "asc")]
        elif name in ("sort_key", "sort_dir"):
            given += [(name, part) for part in value.split(",")]
        elif not (name == "limit" and value == "infinite"):
            given.append((name, value))
    known = {*resource.filterable, *OTHERS, *query.TAG_FILTERS}
    if any(name not in known for name, _ in given):
        raise InvalidFilter
    return query.parse(urlencode(given).encode(), resource.filterable)


OTHERS = frozenset(("fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse", "project_id", "tenant_id"))
"""The parts of a query that are no filters, or filters of every list."""


def _links(call: Call, asked: Query, page: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the links to other pages, as Octavia gives them."""
    if asked.limit is None or not page:
        return []
    kept = [
        (name, value)
        for name, value in parse_qsl(call.query.decode("latin-1"))
        if name in ("limit", "sort", "sort_key", "sort_dir", "fields")
    ]
    found = []
    if asked.marker is not None:
        back = urlencode([*kept, ("marker", page[0]["id"]), ("page_reverse", "True")])
        found.append({"rel": "previous", "href": f"{call.url}?{back}"})
    if len(page) >= asked.limit:
        found.append({"rel": "next", "href": f"{call.url}?{urlencode([*kept, ('marker', page[-1]['id'])])}"})
    return found


def _flag(call: Call, name: str) -> bool:
    """Return a boolean of the query.

    Raises:
        HTTPBadRequest: it is none.
    """
    for key, value in parse_qsl(call.query.decode("latin-1")):
        if key == name:
            try:
                return boolean(value)
            except ValueError as error:
                raise HTTPBadRequest(reason=f"Invalid input for {name}: {error}") from None
    return False


def _part(request: Request, name: str) -> str:
    return unquote(request.path_params[name]).removesuffix(".json")


def _allow(request: Request, *methods: str) -> None:
    """Refuse other methods than these; HEAD goes with GET."""
    if request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
        raise HTTPMethodNotAllowed


def answer(body: Mapping[str, Any], status: int = 200) -> Response:
    """Return a response with a body of JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")


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
