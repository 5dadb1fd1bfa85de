"""Endpoints: resources, read-only resources, nested resources, quotas and extensions, each at its path.

An endpoint takes a call and returns an encoded body. A method that it does not implement is answered with 405.
`catalogue` has all endpoints by path; `app` finds the one for a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from ovenbird.api.errors.request import (
    HTTPMethodNotAllowed,
    HTTPNotFound,
    NotAuthorized,
    PolicyNotAuthorized,
    RevisionNumberConstraintFailed,
)
from ovenbird.api.http import json_body
from ovenbird.api.read_only_resource import PartlyWritable
from ovenbird.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from ovenbird.api.access.auth import Caller
    from ovenbird.api.access.policy import Access
    from ovenbird.api.read_only_resource import ReadOnlyResource

_REVISION = re.compile(r"revision_number=([0-9]{1,19})\Z")


@dataclass(frozen=True, slots=True)
class Call:
    """A request, with its caller.

    Arguments:
        request: as it came.
        caller: the caller of the request.
        access: what the caller may see and do; None for unlimited access.
        parent: the id of a nested resource's parent; empty for others.
    """

    request: Request
    caller: Caller
    access: Access | None
    parent: str = ""

    @property
    def query(self) -> bytes:
        """The query string, undecoded."""
        query: bytes = self.request.scope["query_string"]
        return query

    @property
    def url(self) -> str:
        """The URL without a query, for links to other pages of a list."""
        return f"{origin(self.request)}{quote(self.request.scope['path'].removesuffix('.json'))}"

    @property
    def revision(self) -> int | None:
        """The revision that If-Match constrains a change to; None for any.

        Raises:
            RevisionNumberConstraintFailed: If-Match has another form.
        """
        wanted = self.request.headers.get("if-match")
        if wanted is None:
            return None
        found = _REVISION.match(wanted.strip())
        if found is None:
            raise RevisionNumberConstraintFailed(expected=wanted, current="another")
        return int(found[1])

    async def body(self) -> Any:
        """Return the request's body, parsed.

        Raises:
            HTTPBadRequest, HTTPRequestEntityTooLarge, TooManyBodies: it is invalid or too large.
        """
        return await json_body.read(self.request)

    def may(self, rule: str) -> bool:
        """Return whether the caller may do something that does not concern a project's resource."""
        return self.access is None or self.access.allows(rule, _NO_FACTS.__getitem__)


class Endpoint:
    """The handler of a URL; methods that a subclass does not implement answer 405.

    Each method raises a NeutronError if it refuses the request.
    """

    async def list(self, call: Call) -> bytes:
        """Return the resources that the caller sees and the query selects.

        Raises:
            HTTPMethodNotAllowed: the endpoint has no list.
        """
        del call
        raise HTTPMethodNotAllowed

    async def show(self, call: Call, uuid: str) -> bytes:
        """Return one.

        Arguments:
            call: the request.
            uuid: its id, or the other name that identifies it in URLs.

        Raises:
            HTTPMethodNotAllowed: the endpoint shows no single resources.
        """
        del call, uuid
        raise HTTPMethodNotAllowed

    async def create(self, call: Call) -> bytes:
        """Create a resource from the body, and return it.

        Raises:
            HTTPMethodNotAllowed: the endpoint creates nothing.
        """
        del call
        raise HTTPMethodNotAllowed

    async def update(self, call: Call, uuid: str) -> bytes:
        """Update a resource from the body, and return it.

        Arguments:
            call: the request.
            uuid: its id, or the other name that identifies it in URLs.

        Raises:
            HTTPMethodNotAllowed: the endpoint updates nothing.
        """
        del call, uuid
        raise HTTPMethodNotAllowed

    async def delete(self, call: Call, uuid: str) -> None:
        """Remove one.

        Arguments:
            call: the request.
            uuid: its id, or the other name that identifies it in URLs.

        Raises:
            HTTPMethodNotAllowed: the endpoint deletes nothing.
        """
        del call, uuid
        raise HTTPMethodNotAllowed


class ReadOnlyEndpoint(Endpoint):
    """The endpoint of a read-only resource.

    Arguments:
        resource: which.
    """

    def __init__(self, resource: ReadOnlyResource) -> None:
        self.resource = resource

    async def list(self, call: Call) -> bytes:
        """Return the resources that the query selects; none if the policy hides them from the caller."""
        if not call.may(f"get_{self.resource.member}"):
            return orjson.dumps({self.resource.collection: []})
        return await self.resource.list(call.query, call.url)

    async def show(self, call: Call, uuid: str) -> bytes:
        """Return one resource.

        Raises:
            NotAuthorized: single ones are for other callers.
        """
        self._demand(call, "get", uuid)
        if self.resource.single and not call.may(self.resource.single):
            raise NotAuthorized
        return self.resource.show(uuid, call.query)

    async def update(self, call: Call, uuid: str) -> bytes:
        """Update the writable attributes of a resource."""
        self._demand(call, "update", uuid)
        if not isinstance(self.resource, PartlyWritable):
            raise HTTPMethodNotAllowed
        return await self.resource.update(uuid, await call.body())

    async def delete(self, call: Call, uuid: str) -> None:
        """Delete the rows that a resource is derived from."""
        self._demand(call, "delete", uuid)
        if not isinstance(self.resource, PartlyWritable):
            raise HTTPMethodNotAllowed
        await self.resource.delete(uuid)

    def _demand(self, call: Call, verb: str, uuid: str) -> None:
        """Check a rule; raise NotFound if the caller does not see the resource."""
        if not call.may(f"get_{self.resource.member}"):
            raise self.resource.not_found(uuid)
        if not call.may(rule := f"{verb}_{self.resource.member}"):
            raise PolicyNotAuthorized(rule=f"rule:{rule}")


class Extensions(Endpoint):
    """The endpoint ``/v2.0/extensions``.

    Arguments:
        names: name by alias.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = dict(sorted(names.items()))

    async def list(self, call: Call) -> bytes:
        """Return all of them."""
        del call
        return orjson.dumps({"extensions": [self._shown(alias) for alias in self.names]})

    async def show(self, call: Call, uuid: str) -> bytes:
        """Return one, by its alias."""
        del call
        if uuid not in self.names:
            raise HTTPNotFound
        return orjson.dumps({"extension": self._shown(uuid)})

    def _shown(self, alias: str) -> dict[str, Any]:
        return {
            "alias": alias,
            "name": self.names[alias],
            "description": self.names[alias],
            "updated": "2026-01-01T00:00:00-00:00",
            "links": [],
        }


class EmptyCollection(Endpoint):
    """The endpoint of a collection that clients list although this API does not support it: it is empty.

    Arguments:
        collection: its name in bodies.
    """

    def __init__(self, collection: str) -> None:
        self.collection = collection

    async def list(self, call: Call) -> bytes:
        """Return an empty list."""
        del call
        return orjson.dumps({self.collection: []})

    async def show(self, call: Call, uuid: str) -> bytes:
        """Raise HTTPNotFound: the collection is empty."""
        del call, uuid
        raise HTTPNotFound


_NO_FACTS: dict[str, Any] = {}


def origin(request: Request) -> str:
    """Return scheme, host and port of the request's URL."""
    return f"{request.url.scheme}://{request.headers.get('host') or request.url.netloc}"
