"""Collections of the load balancing API: lists, creations, changes and removals of one kind of resource.

They differ from those of the network API where Octavia's do: lists have `sort=KEY:DIR,...` and links, and other
projects' resources are refused (403) and not hidden (404).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.responses import Response

from ovenbird.api import attributes, query
from ovenbird.api.access.authorization import Authorization
from ovenbird.api.errors.base import NotFound
from ovenbird.api.errors.load_balancing import (
    InvalidFilter,
    LoadBalancingNotFound,
    PolicyForbidden,
    ValidationFailure,
)
from ovenbird.api.errors.request import HTTPBadRequest
from ovenbird.api.load_balancing import rules
from ovenbird.api.load_balancing.health_monitor import HealthMonitors
from ovenbird.api.load_balancing.listener import BalancedListeners
from ovenbird.api.load_balancing.load_balancer import LoadBalancers
from ovenbird.api.load_balancing.member import MOST_MEMBERS, PoolMembers
from ovenbird.api.load_balancing.pool import Pools
from ovenbird.api.query import Query, Wanted
from ovenbird.api.values import boolean
from ovenbird.engine.rows import UUID, Row

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.api.http.endpoints import Call
    from ovenbird.api.load_balancing.service import BalancingResource
    from ovenbird.api.resource import Resource

R = TypeVar("R", bound=Row)

KINDS: tuple[type[BalancingResource[Any]], ...] = (LoadBalancers, BalancedListeners, Pools, HealthMonitors)
"""The resources with collections of their own."""

PARTS: tuple[type[BalancingResource[Any]], ...] = (*KINDS, PoolMembers)


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


def answer(body: Mapping[str, Any], status: int = 200) -> Response:
    """Return a response with a body of JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")
