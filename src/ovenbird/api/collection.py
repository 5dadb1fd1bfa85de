"""Requests on a resource: list, create (one or many), show, update, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson

from ovenbird.api import attributes, query
from ovenbird.api.errors import HTTPBadRequest
from ovenbird.engine.rows import Row

if TYPE_CHECKING:
    from ovenbird.api.auth import Caller
    from ovenbird.api.databases import Draft
    from ovenbird.api.query import Query
    from ovenbird.api.resource import Resource
    from ovenbird.engine.rows import UUID

R = TypeVar("R", bound=Row)


class Collection(Generic[R]):
    """Answers requests on one resource; every answer is a body already encoded.

    Arguments:
        resource: which.
    """

    def __init__(self, resource: Resource[R]) -> None:
        self.resource = resource
        self._opening = f'{{"{resource.collection}":['.encode()
        self._member = f'{{"{resource.member}":'.encode()

    def list(self, query_string: bytes, base: str) -> bytes:
        """Return the resources that a query asks for.

        Arguments:
            query_string: undecoded.
            base: URL of the collection, for links to other pages.

        Raises:
            HTTPBadRequest: the query makes no sense.
        """
        resource = self.resource
        asked = query.parse(query_string, resource.filterable)
        renderings = resource.renderings
        if asked.plain:
            found = [renderings.of(row).json for row in resource.table.rows.values()]
            return self._opening + b",".join(found) + b"]}"
        if not (asked.fields or asked.sort or asked.paged):
            chosen = [renderings.of(row) for row in resource.candidates(asked.filters)]
            kept = [r.json for r in chosen if query.matches(r.value, asked.filters)]
            return self._opening + b",".join(kept) + b"]}"
        return self._selected(asked, query_string, base)

    def _selected(self, asked: Query, query_string: bytes, base: str) -> bytes:
        """Return a list that is sorted, cut to a page, or reduced to some fields."""
        resource = self.resource
        values = [resource.renderings.of(row).value for row in resource.candidates(asked.filters)]
        page = query.arrange([v for v in values if query.matches(v, asked.filters)], asked)
        body: dict[str, Any] = {resource.collection: [query.only(asked.fields, value) for value in page]}
        if links := query.links(base, query_string, asked, page):
            body[f"{resource.collection}_links"] = links
        return orjson.dumps(body)

    def show(self, uuid: str, query_string: bytes) -> bytes:
        """Return one resource.

        Raises:
            NotFound: it is not there.
        """
        rendering = self.resource.renderings.of(self.resource.get(uuid))
        fields = query.parse(query_string, self.resource.filterable).fields if query_string else ()
        if fields:
            return orjson.dumps({self.resource.member: query.only(fields, rendering.value)})
        return self._member + rendering.json + b"}"

    async def create(self, caller: Caller, body: Any) -> bytes:
        """Create one resource, or several at once: all of them or none.

        Raises:
            NeutronError: it cannot be.
        """
        resource = self.resource
        bulk = isinstance(body, dict) and resource.collection in body
        given = (
            attributes.members_of(body, resource.member, resource.collection)
            if bulk
            else [attributes.member_of(body, resource.member)]
        )
        parsed = [attributes.parse(resource.attributes, one, creating=True) for one in given]

        def build(draft: Draft) -> list[UUID]:
            return [resource.create(draft, dict(values)) for values in parsed]

        uuids = await resource.databases.change(caller, build)
        made = [resource.renderings.of(resource.get(uuid)).json for uuid in uuids]
        return self._opening + b",".join(made) + b"]}" if bulk else self._member + made[0] + b"}"

    async def update(self, caller: Caller, uuid: str, body: Any, revision: int | None) -> bytes:
        """Change a resource.

        Arguments:
            caller: who asked.
            uuid: which.
            body: what to change.
            revision: what its revision must be; None for any.

        Raises:
            NeutronError: it cannot be.
        """
        resource = self.resource
        given = attributes.member_of(body, resource.member)
        resource.get(uuid)
        parsed = attributes.parse(resource.attributes, given, creating=False)

        def build(draft: Draft) -> None:
            row = resource.get(uuid)
            resource.check_revision(row, revision)
            resource.update(draft, row, dict(parsed))

        await resource.databases.change(caller, build)
        return self.show(uuid, b"")

    async def delete(self, caller: Caller, uuid: str, revision: int | None) -> None:
        """Delete a resource.

        Raises:
            NeutronError: it cannot go.
        """
        resource = self.resource

        def build(draft: Draft) -> None:
            row = resource.get(uuid)
            resource.check_revision(row, revision)
            resource.delete(draft, row)

        await resource.databases.change(caller, build)

    async def act(self, caller: Caller, uuid: str, action: str, body: Any) -> bytes:
        """Do one of a resource's actions.

        Raises:
            NeutronError: it cannot be.
        """
        resource = self.resource
        if not isinstance(body, dict):
            raise HTTPBadRequest(reason="Resource body required")
        method = getattr(resource, resource.actions[action])
        answer = await resource.databases.change(caller, lambda draft: method(draft, resource.get(uuid), body))
        return self.show(uuid, b"") if answer is None else orjson.dumps(answer)

    # -- tags ---------------------------------------------------------------------------------------------------------

    def tags(self, uuid: str) -> frozenset[str]:
        """Return a resource's tags.

        Raises:
            NotFound: there is no such resource.
        """
        found: frozenset[str] = self.resource.get(uuid)["tags"]
        return found

    async def set_tags(self, caller: Caller, uuid: str, tags: frozenset[str]) -> None:
        """Give a resource these tags and no others.

        Raises:
            NeutronError: there is no such resource, or a tag is too long.
        """
        for tag in tags:
            if not 0 < len(tag) <= 255:
                raise HTTPBadRequest(reason=f"Invalid input for tags. Reason: '{tag}' is not a valid tag.")

        def build(draft: Draft) -> None:
            draft.update(self.resource.get(uuid), {"tags": tags})

        await self.resource.databases.change(caller, build)
