"""The ASGI application: routes paths and methods to endpoints, and turns exceptions into Neutron's error bodies."""

from __future__ import annotations

import asyncio
import logging
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
    ServiceUnavailable,
)
from ovenbird.api.http import json_body
from ovenbird.api.http.catalogue import Catalogue
from ovenbird.api.http.endpoints import Call, origin
from ovenbird.api.http.front import Front
from ovenbird.api.http.load_balancing import LoadBalancing
from ovenbird.api.http.port_binding_requests import PortBindingRequests
from ovenbird.api.http.request_log import CALLER, REQUEST_ID, peer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from ovenbird.api.access.auth import Authenticator, Caller
    from ovenbird.api.access.policy import Access, Policy
    from ovenbird.api.errors.base import NeutronError
    from ovenbird.api.http.collection import Collection
    from ovenbird.api.http.endpoints import Endpoint
    from ovenbird.ovsdb.transaction import Client

log = logging.getLogger(__name__)


def create_app(
    cloud: Client,
    *,
    northbound: Client | None = None,
    southbound: Client | None = None,
    durable: bool = True,
    authenticator: Authenticator | None = None,
    policy: Policy | None = None,
    quotas: Mapping[str, int] = DEFAULT_QUOTAS,
) -> Starlette:
    """Return the application.

    Arguments:
        cloud: client of Cloud.
        northbound: client of Northbound, for ports' status; None if it is not available.
        southbound: client of Southbound, for chassis; None if they are not available.
        durable: whether a response waits until the change is on disk.
        authenticator: authenticates callers; None accepts every request.
        policy: authorizes callers; None permits everything.
        quotas: the default limit of each resource.
    """
    databases = Databases(cloud, northbound=northbound, southbound=southbound, durable=durable, quotas=quotas)
    return Api(databases, authenticator or Open(), policy).application()


class Api:
    """The API over some databases.

    Arguments:
        databases: which.
        authenticator: authenticates callers.
        policy: authorizes callers; None permits everything.
    """

    def __init__(self, databases: Databases, authenticator: Authenticator, policy: Policy | None) -> None:
        self.databases = databases
        self.authenticator = authenticator
        self.policy = policy
        self.catalogue = Catalogue(databases)

    def application(self) -> Starlette:
        """Return the ASGI application."""
        methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]
        routes = [
            Route(f"/v2.0/{name}{rest}", _guarded(handler, whose), methods=methods)
            for name, whose in (("{collection}", ""), *((n, n) for n in self.catalogue.endpoints if "/" in n))
            for rest, handler in {
                "": self.on_collection,
                "/{id}": self.on_member,
                "/{id}/tags": self.on_tags,
                "/{id}/tags/{tag:path}": self.on_tag,
                "/{id}/{nested}": self.on_nested,
                "/{id}/{nested}/{member}": self.on_nested_member,
                "/{id}/{nested}/{member}/activate": self.on_activate,
            }.items()
        ]
        routes.sort(key=lambda route: route.path.startswith("/v2.0/{"))  # addresses of several parts go first
        routes += [
            Route(path, _guarded(handler), methods=methods)
            for path, handler in {
                "/": self.on_root,
                "/v2.0": self.on_version,
                "/healthcheck": self.on_healthcheck,
            }.items()
        ]
        balancing = LoadBalancing(self.databases, self.catalogue.resources, self._call)
        made = Starlette(
            routes=[*balancing.routes(_guarded), *routes],
            exception_handlers={404: _not_found},
            middleware=[Middleware(Front)],
        )
        made.router.redirect_slashes = False
        return made

    # -- resources ----------------------------------------------------------------------------------------------------

    async def on_collection(self, request: Request) -> Response:
        """List or create."""
        call = await self._call(request)
        return await self._collection_answer(call, self._endpoint(request))

    async def on_member(self, request: Request) -> Response:
        """Show, update or delete."""
        call = await self._call(request)
        return await self._member_answer(call, self._endpoint(request), unquote(request.path_params["id"]))

    async def on_nested(self, request: Request) -> Response:
        """List or create nested resources; or perform an action on a resource, or read a part of it.

        Raises:
            HTTPNotFound: there is no such collection, action or part.
        """
        name, nested = _name(request, "collection"), _name(request, "nested")
        endpoint = self.catalogue.nested.get((name, nested))
        if endpoint is not None:
            call = await self._call(request, unquote(request.path_params["id"]))
            return await self._collection_answer(call, endpoint)
        collection = self.catalogue.collections.get(name)
        if collection is not None and nested in collection.resource.reads:
            _allow(request, "GET")
            call = await self._call(request)
            return _encoded(collection.read(call, unquote(request.path_params["id"]), part=nested))
        if collection is None or nested not in collection.resource.actions:
            raise HTTPNotFound
        _allow(request, "PUT")
        call = await self._call(request)
        return _encoded(await collection.action(call, unquote(request.path_params["id"]), action=nested))

    async def on_nested_member(self, request: Request) -> Response:
        """Show, update or delete a nested resource.

        Raises:
            HTTPNotFound: there is no such collection.
        """
        endpoint = self.catalogue.nested.get((_name(request, "collection"), request.path_params["nested"]))
        if endpoint is None:
            raise HTTPNotFound
        call = await self._call(request, unquote(request.path_params["id"]))
        return await self._member_answer(call, endpoint, unquote(request.path_params["member"]))

    async def on_activate(self, request: Request) -> Response:
        """Activate a port's binding.

        Raises:
            HTTPNotFound: it is another resource.
        """
        endpoint = self.catalogue.nested.get((_name(request, "collection"), request.path_params["nested"]))
        if not isinstance(endpoint, PortBindingRequests):
            raise HTTPNotFound
        _allow(request, "PUT")
        call = await self._call(request, unquote(request.path_params["id"]))
        return _encoded(await endpoint.activate(call, unquote(request.path_params["member"])))

    async def _collection_answer(self, call: Call, endpoint: Endpoint) -> Response:
        if call.request.method == "POST":
            return _encoded(await endpoint.create(call), 201)
        _allow(call.request, "GET", "POST")
        return _encoded(await endpoint.list(call))

    async def _member_answer(self, call: Call, endpoint: Endpoint, uuid: str) -> Response:
        method = call.request.method
        if method == "PUT":
            return _encoded(await endpoint.update(call, uuid))
        if method == "DELETE":
            await endpoint.delete(call, uuid)
            return Response(status_code=204)
        _allow(call.request, "GET", "PUT", "DELETE")
        return _encoded(await endpoint.show(call, uuid))

    async def on_tags(self, request: Request) -> Response:
        """Show, add, replace or remove all tags of a resource."""
        collection, uuid = self._tagged(request)
        call = await self._call(request)
        if request.method in ("PUT", "POST"):
            given = _tags_in(await json_body.read(request))
            if request.method == "PUT":
                await collection.set_tags(call, "update", uuid=uuid, change=lambda _: given)
            else:
                await collection.set_tags(call, "create", uuid=uuid, change=lambda tags: tags | given)
                return _json({"tags": sorted(given)})
        elif request.method == "DELETE":
            await collection.set_tags(call, "delete", uuid=uuid, change=lambda _: frozenset())
            return Response(status_code=204)
        else:
            _allow(request, "GET", "POST", "PUT", "DELETE")
        return _json({"tags": sorted(collection.tags(call, uuid))})

    async def on_tag(self, request: Request) -> Response:
        """Show, add or remove one tag of a resource.

        Raises:
            TagNotFound: the resource does not have it.
        """
        collection, uuid = self._tagged(request)
        call = await self._call(request)
        tag = unquote(request.path_params["tag"])
        if request.method == "PUT":
            await collection.set_tags(call, "update", uuid=uuid, change=lambda tags: tags | {tag})
            return Response(status_code=201)
        if tag not in collection.tags(call, uuid):
            raise TagNotFound(tag=tag)
        if request.method == "DELETE":
            await collection.set_tags(call, "delete", uuid=uuid, change=lambda tags: tags - {tag})
        else:
            _allow(request, "GET", "PUT", "DELETE")
        return Response(status_code=204)

    async def _who(self, request: Request) -> tuple[Caller, Access | None]:
        """Return the caller and its access; None for unlimited access.

        Raises:
            Unauthorized: the credentials are missing or wrong.
            ServiceUnavailable: the databases' rows have not been received yet.
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

    async def _call(self, request: Request, parent: str = "") -> Call:
        caller, access = await self._who(request)
        return Call(request, caller, access, parent)

    def _endpoint(self, request: Request) -> Endpoint:
        found = self.catalogue.endpoints.get(_name(request, "collection"))
        if found is None:
            raise HTTPNotFound
        return found

    def _tagged(self, request: Request) -> tuple[Collection[Any], str]:
        collection = self.catalogue.tagged.get(_name(request, "collection"))
        if collection is None:
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
        base = origin(request)
        resources = [
            {
                "name": c.resource.member,
                "collection": c.resource.collection,
                "links": [{"rel": "self", "href": f"{base}/v2.0/{path}"}],
            }
            for path, c in self.catalogue.collections.items()
        ]
        return _json({"resources": resources})

    async def on_healthcheck(self, request: Request) -> Response:
        """Tell load balancers, without authentication, whether requests can be served (as oslo.middleware does)."""
        _allow(request, "GET")
        if not await self.databases.cloud.answers(_HEALTHY):
            return Response("DATABASE NOT REACHABLE", 503, media_type="text/plain")
        return Response("OK", media_type="text/plain")


_HEALTHY = 2.0
"""Seconds within which Cloud must answer the health check; load balancers wait longer."""


def _version(request: Request) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": f"{origin(request)}/v2.0/"}],
    }


def _neutrons(error: NeutronError) -> tuple[int, dict[str, Any]]:
    return error.status, error.body()


def _guarded(
    handler: Callable[[Request], Awaitable[Response]],
    collection: str = "",
    fault: Callable[[NeutronError], tuple[int, dict[str, Any]]] = _neutrons,
) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler whose exceptions become responses.

    Arguments:
        handler: answers requests.
        collection: the collection, if it is not one part of the URL's path.
        fault: returns the status and the body of an error.
    """

    async def handle(request: Request) -> Response:
        if collection:
            request.path_params["collection"] = collection
        try:
            _check_address(request)
            return await handler(request)
        except asyncio.CancelledError:  # the service is shutting down: requests are cancelled for no other reason
            log.warning(
                "%s: %s %s was cancelled: the service is shutting down",
                request.scope[REQUEST_ID],
                request.method,
                request.url.path,
            )
            status, body = fault(ServiceUnavailable())
            return _json(body, status)
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
            status, body = fault(answer)
            return _json(body, status, answer.headers())

    return handle


def _check_address(request: Request) -> None:
    """Refuse a URL with characters that no database can store (RFC 7047, section 3.1)."""
    if "\0" in unquote(request.scope["path"]):
        raise HTTPBadRequest(reason="the address has the character U+0000 in it")


async def _not_found(_request: Request, _error: Exception) -> Response:
    return _json(HTTPNotFound().body(), 404)


def _json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def _encoded(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


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
    """Return the collection in a URL; Neutron's clients may append ``.json``."""
    name: str = request.path_params[part]
    return name.removesuffix(".json")
