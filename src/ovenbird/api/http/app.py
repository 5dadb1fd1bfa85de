"""The ASGI application: addresses and methods to collections, exceptions to Neutron's error bodies."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from ovenbird.api.access.auth import Open, Unauthorized
from ovenbird.api.access.quotas import DEFAULT_QUOTAS
from ovenbird.api.databases import Databases
from ovenbird.api.errors.database import from_database_error
from ovenbird.api.errors.other import TagNotFound
from ovenbird.api.errors.request import (
    HTTPBadRequest,
    HTTPMethodNotAllowed,
    HTTPNotFound,
    InvalidInput,
    PolicyNotAuthorized,
    RevisionNumberConstraintFailed,
    ServiceUnavailable,
)
from ovenbird.api.http import json_body
from ovenbird.api.http.collection import Collection
from ovenbird.api.http.extensions import EXTENSIONS, extension
from ovenbird.api.http.front import Front
from ovenbird.api.http.quota_requests import QuotaRequests
from ovenbird.api.http.request_log import CALLER, REQUEST_ID, peer
from ovenbird.api.read_only_resource import PartlyWritable, ReadOnlyResource
from ovenbird.api.resources import EMPTY, READ_ONLY, RESOURCES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from ovenbird.api.access.auth import Authenticator, Caller
    from ovenbird.api.access.policy import Access, Policy
    from ovenbird.ovsdb.transaction import Client

log = logging.getLogger(__name__)

_REVISION = re.compile(r"revision_number=([0-9]{1,19})\Z")


def create_app(
    cloud: Client,
    northbound: Client | None = None,
    southbound: Client | None = None,
    *,
    durable: bool = True,
    authenticator: Authenticator | None = None,
    policy: Policy | None = None,
    quotas: Mapping[str, int] = DEFAULT_QUOTAS,
) -> Starlette:
    """Return the application.

    Arguments:
        cloud: client of Cloud.
        northbound: client of Northbound, for ports' status; None where it is not known.
        southbound: client of Southbound, for chassis; None where they are not known.
        durable: whether a change is on disk before it is answered.
        authenticator: knows who is asking; None believes everybody.
        policy: says who may do what; None lets everybody do everything.
        quotas: how many of each resource a project may have that nothing else is said of.
    """
    databases = Databases(cloud, northbound, southbound, durable=durable, quotas=quotas)
    return Api(databases, authenticator or Open(), policy).application()


class Api:
    """The API over some databases.

    Arguments:
        databases: which.
        authenticator: knows who is asking.
        policy: says who may do what; None lets everybody do everything.
    """

    def __init__(self, databases: Databases, authenticator: Authenticator, policy: Policy | None) -> None:
        self.databases = databases
        self.authenticator = authenticator
        self.policy = policy
        made = {resource.collection: resource(databases) for resource in RESOURCES}
        self.collections: dict[str, Collection[Any]] = {r.path: Collection(r, made) for r in made.values()}
        self.quotas = QuotaRequests(databases.quotas)
        self.read_only = {kind.path or kind.collection: kind(databases) for kind in READ_ONLY}

    def application(self) -> Starlette:
        """Return the ASGI application."""
        routes = {
            "/v2.0/quotas": self.on_quotas,
            "/v2.0/quotas/{project}": self.on_quotas,
            "/v2.0/quotas/{project}/{what}": self.on_quotas,
            "/v2.0/{collection}": self.on_collection,
            "/v2.0/{collection}/{id}": self.on_member,
            "/v2.0/{collection}/{id}/tags": self.on_tags,
            "/v2.0/{collection}/{id}/tags/{tag:path}": self.on_tag,
            "/v2.0/{collection}/{id}/{action}": self.on_action,
            "/": self.on_root,
            "/v2.0": self.on_version,
            "/healthcheck": self.on_healthcheck,
        }
        methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]
        made = Starlette(
            routes=[
                Route(path.replace("{collection}", "{collection:str}"), _guarded(handler), methods=methods)
                for path, handler in routes.items()
            ],
            exception_handlers={404: _not_found},
            middleware=[Middleware(Front)],
        )
        made.router.redirect_slashes = False
        return made

    # -- resources ----------------------------------------------------------------------------------------------------

    async def on_collection(self, request: Request) -> Response:
        """List or create."""
        name = _name(request, "collection")
        caller, access = await self._who(request)
        if name == "extensions":
            _allow(request, "GET")
            return _json({"extensions": [extension(alias) for alias in EXTENSIONS]})
        if name in EMPTY:
            _allow(request, "GET")
            return _json({EMPTY[name]: []})
        if name in self.read_only:
            return await self.on_read_only(request, access, self.read_only[name])
        collection = self._collection(name)
        if request.method == "POST":
            body = await collection.create(caller, access, await json_body.read(request))
            return Response(body, 201, media_type="application/json")
        _allow(request, "GET", "POST")
        await collection.resource.ensure_defaults(caller)
        query_string = request.scope["query_string"]
        base = f"{_origin(request)}/v2.0/{name}" if query_string else ""
        return Response(collection.list(access, query_string, base), media_type="application/json")

    async def on_member(self, request: Request) -> Response:
        """Show, update or delete.

        Raises:
            HTTPNotFound: there is no such collection.
        """
        name, uuid = _name(request, "collection"), unquote(request.path_params["id"])
        caller, access = await self._who(request)
        if name == "extensions":
            _allow(request, "GET")
            if uuid not in EXTENSIONS:
                raise HTTPNotFound
            return _json({"extension": extension(uuid)})
        if name in self.read_only:
            return await self.on_read_only_member(request, access, self.read_only[name], uuid)
        collection = self._collection(name)
        if request.method == "PUT":
            body = await collection.update(caller, access, uuid, await json_body.read(request), _revision(request))
            return Response(body, media_type="application/json")
        if request.method == "DELETE":
            await collection.delete(caller, access, uuid, _revision(request))
            return Response(status_code=204)
        _allow(request, "GET", "PUT", "DELETE")
        return Response(collection.show(access, uuid, request.scope["query_string"]), media_type="application/json")

    async def on_read_only(self, request: Request, access: Access | None, resource: ReadOnlyResource) -> Response:
        """List what nobody creates.

        Arguments:
            request: the request.
            access: what the caller may see and do; None for everything.
            resource: the collection.
        """
        _allow(request, "GET")
        if not _may(access, f"get_{resource.member}"):
            return _json({resource.collection: []})
        base = f"{_origin(request)}/v2.0/{resource.path or resource.collection}"
        body = await resource.list(request.scope["query_string"], base)
        return Response(body, media_type="application/json")

    async def on_read_only_member(
        self, request: Request, access: Access | None, resource: ReadOnlyResource, uuid: str
    ) -> Response:
        """Show, update or delete one of what nobody creates.

        Arguments:
            request: the request.
            access: what the caller may see and do; None for everything.
            resource: the collection.
            uuid: the member's id.

        Raises:
            NotFound: it is not there, or the caller does not see it.
            PolicyNotAuthorized: not for the caller.
        """
        if not _may(access, f"get_{resource.member}"):
            raise resource.not_found(uuid)
        verb = {"PUT": "update", "DELETE": "delete"}.get(request.method, "get")
        if not _may(access, rule := f"{verb}_{resource.member}"):
            raise PolicyNotAuthorized(rule=f"rule:{rule}")
        if isinstance(resource, PartlyWritable) and request.method == "DELETE":
            await resource.delete(uuid)
            return Response(status_code=204)
        if isinstance(resource, PartlyWritable) and request.method == "PUT":
            return Response(await resource.update(uuid, await json_body.read(request)), media_type="application/json")
        _allow(request, "GET")
        return Response(resource.show(uuid, request.scope["query_string"]), media_type="application/json")

    async def on_action(self, request: Request) -> Response:
        """Do something to a resource that is no plain update.

        Raises:
            HTTPNotFound: there is no such action.
        """
        collection, action = self._collection(_name(request, "collection")), _name(request, "action")
        if action not in collection.resource.actions:
            raise HTTPNotFound
        _allow(request, "PUT")
        caller, access = await self._who(request)
        uuid = unquote(request.path_params["id"])
        body = await collection.action(caller, access, uuid, action, await json_body.read(request))
        return Response(body, media_type="application/json")

    async def on_quotas(self, request: Request) -> Response:
        """Do what there is to do about quotas."""
        caller, access = await self._who(request)
        path = [unquote(request.path_params.get(part, "")).removesuffix(".json") for part in ("project", "what")]
        body = await json_body.read(request) if request.method == "PUT" else None
        answer = await self.quotas.answer(request.method, caller, access, (path[0], path[1]), body)
        return _json(answer) if answer is not None else Response(status_code=204)

    async def on_tags(self, request: Request) -> Response:
        """Show, add, replace or remove all tags of a resource."""
        collection, uuid = self._tagged(request)
        caller, access = await self._who(request)
        if request.method in ("PUT", "POST"):
            given = _tags_in(await json_body.read(request))
            if request.method == "PUT":
                await collection.set_tags(caller, access, "update", uuid, lambda _: given)
            else:
                await collection.set_tags(caller, access, "create", uuid, lambda tags: tags | given)
                return _json({"tags": sorted(given)})
        elif request.method == "DELETE":
            await collection.set_tags(caller, access, "delete", uuid, lambda _: frozenset())
            return Response(status_code=204)
        else:
            _allow(request, "GET", "POST", "PUT", "DELETE")
        return _json({"tags": sorted(collection.tags(access, uuid))})

    async def on_tag(self, request: Request) -> Response:
        """Show, add or remove one tag of a resource.

        Raises:
            TagNotFound: the resource does not have it.
        """
        collection, uuid = self._tagged(request)
        caller, access = await self._who(request)
        tag = unquote(request.path_params["tag"])
        if request.method == "PUT":
            await collection.set_tags(caller, access, "update", uuid, lambda tags: tags | {tag})
            return Response(status_code=201)
        if tag not in collection.tags(access, uuid):
            raise TagNotFound(tag=tag)
        if request.method == "DELETE":
            await collection.set_tags(caller, access, "delete", uuid, lambda tags: tags - {tag})
        else:
            _allow(request, "GET", "PUT", "DELETE")
        return Response(status_code=204)

    async def _who(self, request: Request) -> tuple[Caller, Access | None]:
        """Return who is asking and what they may do; None for everything.

        Raises:
            Unauthorized: nobody known.
            ServiceUnavailable: whatever is asked for, it cannot be answered yet.
        """
        headers = request.scope["headers"]
        caller = self.authenticator.known(headers)
        if caller is None:
            caller = await self.authenticator.identify(headers)
        request.scope[CALLER] = caller
        await self.databases.present()
        if self.policy is None:
            return caller, None
        access = self.policy.access(caller)
        return access.caller, access

    def _collection(self, name: str) -> Collection[Any]:
        found = self.collections.get(name)
        if found is None:
            raise HTTPNotFound
        return found

    def _tagged(self, request: Request) -> tuple[Collection[Any], str]:
        collection = self._collection(_name(request, "collection"))
        if not collection.resource.taggable:
            raise HTTPNotFound
        return collection, unquote(request.path_params["id"])

    # -- discovery ----------------------------------------------------------------------------------------------------

    async def on_root(self, request: Request) -> Response:
        """List the API's versions."""
        _allow(request, "GET")
        return _json({"versions": [_version(request)]})

    async def on_version(self, request: Request) -> Response:
        """List the version's resources."""
        _allow(request, "GET")
        await self._who(request)
        origin = _origin(request)
        resources = [
            {
                "name": c.resource.member,
                "collection": c.resource.collection,
                "links": [{"rel": "self", "href": f"{origin}/v2.0/{path}"}],
            }
            for path, c in self.collections.items()
        ]
        return _json({"resources": resources})

    async def on_healthcheck(self, request: Request) -> Response:
        """Tell a load balancer, which does not log in, whether requests can be served (as oslo.middleware does)."""
        _allow(request, "GET")
        if not self.databases.cloud.connected:
            return Response("DATABASE NOT REACHABLE", 503, media_type="text/plain")
        return Response("OK", media_type="text/plain")


def _version(request: Request) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": f"{_origin(request)}/v2.0/"}],
    }


def _guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler whose exceptions are answers."""

    async def handle(request: Request) -> Response:
        try:
            _check_address(request)
            return await handler(request)
        except asyncio.CancelledError:  # the service ends, and this request does not: nobody else cancels one
            log.warning("%s: %s %s: the service ends", request.scope[REQUEST_ID], request.method, request.url.path)
            return _json(ServiceUnavailable().body(), ServiceUnavailable.status)
        except Exception as error:
            answer = from_database_error(error)
            if isinstance(answer, Unauthorized) and answer.refused:
                log.warning("%s: %s: login refused: %s", request.scope[REQUEST_ID], peer(request.scope), answer.refused)
            elif isinstance(answer, ServiceUnavailable):  # nothing is wrong here; a trace says nothing
                log.warning("%s: %s %s: %s", request.scope[REQUEST_ID], request.method, request.url.path, error)
            elif answer.status >= 500 and answer is not error:
                log.exception(
                    "%s: %s %s failed",
                    request.scope[REQUEST_ID],
                    request.method,
                    request.url.path,
                    exc_info=error,
                )
            return _json(answer.body(), answer.status, answer.headers())

    return handle


def _check_address(request: Request) -> None:
    """Refuse an address that names what no database can hold (RFC 7047, section 3.1)."""
    if "\0" in unquote(request.scope["path"]):
        raise HTTPBadRequest(reason="the address has the character U+0000 in it")


async def _not_found(_request: Request, _error: Exception) -> Response:
    return _json(HTTPNotFound().body(), 404)


def _json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


_NO_FACTS: dict[str, Any] = {}


def _may(access: Access | None, rule: str) -> bool:
    """Return whether a caller may do something that is about no resource of a project."""
    return access is None or access.allows(rule, _NO_FACTS.__getitem__)


def _tags_in(body: Any) -> frozenset[str]:
    tags = body.get("tags") if isinstance(body, dict) else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidInput(error_message="Invalid tags body")
    if len(set(tags)) < len(tags):
        raise InvalidInput(error_message="Duplicate items in the list of tags")
    return frozenset(tags)


def _allow(request: Request, *methods: str) -> None:
    """Refuse other methods than these; HEAD goes with GET."""
    if request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
        raise HTTPMethodNotAllowed


def _name(request: Request, part: str) -> str:
    """Return the collection that an address names; Neutron's clients may add ``.json``."""
    name: str = request.path_params[part]
    return name.removesuffix(".json")


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host') or request.url.netloc}"


def _revision(request: Request) -> int | None:
    """Return the revision that If-Match constrains a change to."""
    wanted = request.headers.get("if-match")
    if wanted is None:
        return None
    found = _REVISION.match(wanted.strip())
    if found is None:
        raise RevisionNumberConstraintFailed(expected=wanted, current="another")
    return int(found[1])
