"""The ASGI application: addresses and methods to collections, exceptions to Neutron's error bodies."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from ovenbird.api.auth import caller_of
from ovenbird.api.collection import Collection
from ovenbird.api.databases import Databases
from ovenbird.api.derived import Adjustable, Derived
from ovenbird.api.errors import (
    HTTPBadRequest,
    HTTPMethodNotAllowed,
    HTTPNotFound,
    RevisionNumberConstraintFailed,
    TagNotFound,
    translate,
)
from ovenbird.api.extensions import EXTENSIONS, extension
from ovenbird.api.resources import DERIVED, EMPTY, RESOURCES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from ovenbird.ovsdb.transaction import Client

log = logging.getLogger(__name__)

_REVISION = re.compile(r"revision_number=(\d+)\Z")

LARGEST_BODY = 8 << 20
"""Bytes of a request's body; a bulk creation of ten thousand ports has two million."""


def create_app(
    cloud: Client, northbound: Client | None = None, southbound: Client | None = None, *, durable: bool = True
) -> Starlette:
    """Return the application.

    Arguments:
        cloud: client of Cloud.
        northbound: client of Northbound, for ports' status; None where it is not known.
        southbound: client of Southbound, for chassis; None where they are not known.
        durable: whether a change is on disk before it is answered.
    """
    return Api(Databases(cloud, northbound, southbound, durable=durable)).application()


class Api:
    """The API over some databases.

    Arguments:
        databases: which.
    """

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        made = [resource(databases) for resource in RESOURCES]
        self.collections: dict[str, Collection[Any]] = {resource.path: Collection(resource) for resource in made}
        self.derived = {kind.collection: kind(databases) for kind in DERIVED}

    def application(self) -> Starlette:
        """Return the ASGI application."""
        routes = {
            "/v2.0/{collection}": self.on_collection,
            "/v2.0/{collection}/{id}": self.on_member,
            "/v2.0/{collection}/{id}/tags": self.on_tags,
            "/v2.0/{collection}/{id}/tags/{tag:path}": self.on_tag,
            "/v2.0/{collection}/{id}/{action}": self.on_action,
            "/": self.on_root,
            "/v2.0": self.on_version,
            "/v2.0/": self.on_version,
        }
        methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]
        return Starlette(
            routes=[
                Route(path.replace("{collection}", "{collection:str}"), _guarded(handler), methods=methods)
                for path, handler in routes.items()
            ],
            exception_handlers={404: _not_found},
        )

    # -- resources ----------------------------------------------------------------------------------------------------

    async def on_collection(self, request: Request) -> Response:
        """List or create."""
        name = _name(request, "collection")
        if name == "extensions":
            _allow(request, "GET")
            return _json({"extensions": [extension(alias) for alias in EXTENSIONS]})
        if name in EMPTY:
            _allow(request, "GET")
            return _json({name: []})
        if name in self.derived:
            return await self.on_derived(request, self.derived[name])
        collection = self._collection(name)
        if request.method == "POST":
            return Response(await collection.create(caller_of(request.scope["headers"]), await _body(request)), 201,
                            media_type="application/json")  # fmt: skip
        _allow(request, "GET", "POST")
        await collection.resource.prepare(caller_of(request.scope["headers"]))
        query_string = request.scope["query_string"]
        base = f"{_origin(request)}/v2.0/{name}" if query_string else ""
        return Response(collection.list(query_string, base), media_type="application/json")

    async def on_member(self, request: Request) -> Response:
        """Show, update or delete."""
        name, uuid = _name(request, "collection"), unquote(request.path_params["id"])
        if name == "extensions":
            _allow(request, "GET")
            if uuid not in EXTENSIONS:
                raise HTTPNotFound
            return _json({"extension": extension(uuid)})
        if name in self.derived:
            return await self.on_derived_member(request, self.derived[name], uuid)
        collection = self._collection(name)
        caller = caller_of(request.scope["headers"])
        if request.method == "PUT":
            body = await collection.update(caller, uuid, await _body(request), _revision(request))
            return Response(body, media_type="application/json")
        if request.method == "DELETE":
            await collection.delete(caller, uuid, _revision(request))
            return Response(status_code=204)
        _allow(request, "GET", "PUT", "DELETE")
        return Response(collection.show(uuid, request.scope["query_string"]), media_type="application/json")

    async def on_derived(self, request: Request, derived: Derived) -> Response:
        """List what nobody creates."""
        _allow(request, "GET")
        base = f"{_origin(request)}/v2.0/{derived.collection}"
        body = await derived.list(request.scope["query_string"], base)
        return Response(body, media_type="application/json")

    async def on_derived_member(self, request: Request, derived: Derived, uuid: str) -> Response:
        """Show, update or delete one of what nobody creates."""
        if isinstance(derived, Adjustable) and request.method == "DELETE":
            await derived.delete(uuid)
            return Response(status_code=204)
        if isinstance(derived, Adjustable) and request.method == "PUT":
            return Response(await derived.update(uuid, await _body(request)), media_type="application/json")
        _allow(request, "GET")
        return Response(derived.show(uuid, request.scope["query_string"]), media_type="application/json")

    async def on_action(self, request: Request) -> Response:
        """Do something to a resource that is no plain update."""
        collection, action = self._collection(_name(request, "collection")), _name(request, "action")
        if action not in collection.resource.actions:
            raise HTTPNotFound
        _allow(request, "PUT")
        caller, uuid = caller_of(request.scope["headers"]), unquote(request.path_params["id"])
        return Response(await collection.act(caller, uuid, action, await _body(request)), media_type="application/json")

    async def on_tags(self, request: Request) -> Response:
        """Show, replace or remove all tags of a resource."""
        collection, uuid = self._tagged(request)
        if request.method == "PUT":
            body = await _body(request)
            tags = body.get("tags") if isinstance(body, dict) else None
            if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
                raise HTTPBadRequest(reason="Invalid tags body")
            await collection.set_tags(caller_of(request.scope["headers"]), uuid, frozenset(tags))
        elif request.method == "DELETE":
            await collection.set_tags(caller_of(request.scope["headers"]), uuid, frozenset())
            return Response(status_code=204)
        else:
            _allow(request, "GET", "PUT", "DELETE")
        return _json({"tags": sorted(collection.tags(uuid))})

    async def on_tag(self, request: Request) -> Response:
        """Show, add or remove one tag of a resource."""
        collection, uuid = self._tagged(request)
        tag = unquote(request.path_params["tag"])
        tags = collection.tags(uuid)
        if request.method == "PUT":
            await collection.set_tags(caller_of(request.scope["headers"]), uuid, tags | {tag})
            return Response(status_code=201)
        if tag not in tags:
            raise TagNotFound(tag=tag)
        if request.method == "DELETE":
            await collection.set_tags(caller_of(request.scope["headers"]), uuid, tags - {tag})
        else:
            _allow(request, "GET", "PUT", "DELETE")
        return Response(status_code=204)

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
            return await handler(request)
        except Exception as error:
            answer = translate(error)
            if answer.status >= 500:
                log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
            return _json(answer.body(), answer.status)

    return handle


async def _not_found(_request: Request, _error: Exception) -> Response:
    return _json(HTTPNotFound().body(), 404)


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


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


async def _body(request: Request) -> Any:
    """Return a request's JSON.

    Raises:
        HTTPBadRequest: it is none, or too large.
    """
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise HTTPBadRequest(reason="The request's body is too large")
        parts.append(part)
    try:
        return orjson.loads(b"".join(parts))
    except orjson.JSONDecodeError as error:
        raise HTTPBadRequest(reason=f"Malformed request body: {error}") from error
