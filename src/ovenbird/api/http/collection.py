"""Requests on a resource: list, create (one or many), show, update, delete."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson

from ovenbird.api import attributes, query
from ovenbird.api.access.authorization import Authorization
from ovenbird.api.errors.request import HTTPBadRequest, InvalidInput
from ovenbird.api.resource import MOST_TAGS, project_of
from ovenbird.engine.rows import Row

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Mapping, Sequence

    from ovenbird.api.access.auth import Caller
    from ovenbird.api.access.policy import Access
    from ovenbird.api.databases import Draft
    from ovenbird.api.query import Query
    from ovenbird.api.rendering import Rendering, Representation
    from ovenbird.api.resource import Resource
    from ovenbird.engine.rows import UUID

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row)


class Collection(Generic[R]):
    """Answers requests on one resource; every answer is a body already encoded.

    A request comes with its caller and with what the caller may do; None stands for everything.

    Arguments:
        resource: which.
        resources: every resource, by collection.
    """

    def __init__(self, resource: Resource[R], resources: Mapping[str, Resource[Any]]) -> None:
        self.resource = resource
        self.resources = resources
        self._opening = f'{{"{resource.collection}":['.encode()
        self._member = f'{{"{resource.member}":'.encode()

    def list(self, access: Access | None, query_string: bytes, base: str) -> bytes:
        """Return the resources that a query asks for.

        A filter may ask for attributes that the caller does not see, such as `provider:network_type`, as Neutron's may.

        Arguments:
            access: what the caller may do.
            query_string: undecoded.
            base: URL of the collection, for links to other pages.

        Raises:
            HTTPBadRequest: the query makes no sense.
        """
        resource = self.resource
        asked = query.parse(query_string, resource.filterable)
        renderings = resource.renderings
        rows = resource.table.rows.values() if asked.plain else resource.candidates(asked.filters)
        found = [renderings.of(row) for row in rows]
        if asked.filters:
            found = self._matching(found, asked)
        seen = access.visibility(resource) if access is not None else None
        kept: Sequence[Rendering | Representation] = (
            found if seen is None else [shown for one in found if (shown := seen.of(one)) is not None]
        )
        if not (asked.fields or asked.sort or asked.paged):
            return self._opening + b",".join([shown.json for shown in kept]) + b"]}"
        return self._selected([shown.value for shown in kept], asked, query_string, base)

    def _matching(self, found: builtins.list[Rendering], asked: Query) -> builtins.list[Rendering]:
        """Return the resources that the filters match."""
        unshown = {name: self.resource.reader(name) for name in self.resource.unshown & asked.filters.keys()}
        if not unshown:
            return [one for one in found if query.matches(one.value, asked.filters)]
        known = ((one, one.value | {name: read(one.value) for name, read in unshown.items()}) for one in found)
        return [one for one, facts in known if query.matches(facts, asked.filters)]

    def _selected(self, values: builtins.list[dict[str, Any]], asked: Query, query_string: bytes, base: str) -> bytes:
        """Return a list that is sorted, cut to a page, or reduced to some fields."""
        resource = self.resource
        page = query.arrange(values, asked)
        body: dict[str, Any] = {resource.collection: [query.only(asked.fields, value) for value in page]}
        if links := query.links(base, query_string, asked, page):
            body[f"{resource.collection}_links"] = links
        return orjson.dumps(body)

    def show(self, access: Access | None, uuid: str, query_string: bytes) -> bytes:
        """Return one resource.

        Arguments:
            access: what the caller may see and do; None for everything.
            uuid: the resource's id.
            query_string: of the request, as it came: which fields are asked for.

        Raises:
            NotFound: it is not there, or the caller does not see it.
        """
        shown = self._visible(access, uuid)
        fields = query.parse(query_string, self.resource.filterable).fields if query_string else ()
        if fields:
            return orjson.dumps({self.resource.member: query.only(fields, shown.value)})
        return self._member + shown.json + b"}"

    async def create(self, caller: Caller, access: Access | None, body: Any) -> bytes:
        """Create one resource, or several at once: all of them or none.

        Arguments:
            caller: who asks.
            access: what the caller may see and do; None for everything.
            body: the request's, parsed.

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
        if access is not None:
            authorization = Authorization(access, caller, resource, self.resources)
            for values, one in zip(parsed, given, strict=True):
                authorization.create(values, attributes.current_names(one))

        def build(draft: Draft) -> builtins.list[UUID]:
            quotas = resource.databases.quotas
            quotas.claim(draft, resource.member, [project_of(draft, values) for values in parsed])
            return [resource.create(draft, dict(values)) for values in parsed]

        uuids = await resource.databases.change(caller, build)
        made = [self._written(access, uuid) for uuid in uuids]
        return self._opening + b",".join(made) + b"]}" if bulk else self._member + made[0] + b"}"

    async def update(self, caller: Caller, access: Access | None, uuid: str, body: Any, revision: int | None) -> bytes:
        """Change a resource.

        Arguments:
            caller: who asked.
            access: what the caller may do.
            uuid: which.
            body: what to change.
            revision: what its revision must be; None for any.

        Raises:
            NeutronError: it cannot be.
        """
        resource = self.resource
        given = attributes.member_of(body, resource.member)
        row = resource.get(uuid)
        if access is None:
            parsed = attributes.parse(resource.attributes, given, creating=False)
        else:
            authorization = Authorization(access, caller, resource, self.resources)
            rendering = resource.renderings.of(row)
            authorization.change([f"update_{resource.member}"], rendering, {})  # before the body says what is wrong
            parsed = attributes.parse(resource.attributes, given, creating=False)
            authorization.update(rendering, parsed)

        def build(draft: Draft) -> None:
            row = resource.get(uuid)
            resource.check_revision(row, revision)
            resource.update(draft, row, dict(parsed))

        await resource.databases.change(caller, build)
        return self._member + self._written(access, uuid) + b"}"

    async def delete(self, caller: Caller, access: Access | None, uuid: str, revision: int | None) -> None:
        """Delete a resource.

        Arguments:
            caller: who asks.
            access: what the caller may see and do; None for everything.
            uuid: the resource's id.
            revision: the revision number that it must still have; None for any.

        Raises:
            NeutronError: it cannot go.
        """
        resource = self.resource
        self._authorize(caller, access, uuid, f"delete_{resource.member}")

        def build(draft: Draft) -> None:
            row = resource.get(uuid)
            resource.check_revision(row, revision)
            resource.delete(draft, row)

        await resource.databases.change(caller, build)

    async def action(self, caller: Caller, access: Access | None, uuid: str, action: str, body: Any) -> bytes:
        """Do one of a resource's actions.

        Arguments:
            caller: who asks.
            access: what the caller may see and do; None for everything.
            uuid: the resource's id.
            action: its name: `add_router_interface`.
            body: the request's, parsed.

        Raises:
            NeutronError: it cannot be.
        """
        resource = self.resource
        if not isinstance(body, dict):
            raise HTTPBadRequest(reason="Resource body required")
        self._authorize(caller, access, uuid, action)
        resource.check_action(action, body)
        if access is not None:
            Authorization(access, caller, resource, self.resources).see(body)
        method = getattr(resource, resource.actions[action])
        answer = await resource.databases.change(caller, lambda draft: method(draft, resource.get(uuid), body))
        return self._member + self._written(access, uuid) + b"}" if answer is None else orjson.dumps(answer)

    # -- who sees and may what ----------------------------------------------------------------------------------------

    def _shown(self, access: Access | None, uuid: str) -> Rendering | Representation | None:
        rendering = self.resource.renderings.of(self.resource.get(uuid))
        seen = access.visibility(self.resource) if access is not None else None
        return rendering if seen is None else seen.of(rendering)

    def _visible(self, access: Access | None, uuid: str) -> Rendering | Representation:
        """Return a resource as the caller sees it.

        Raises:
            NotFound: it is not there, or the caller does not see it.
        """
        shown = self._shown(access, uuid)
        if shown is None:
            raise self.resource.not_found(id=uuid)
        return shown

    def _written(self, access: Access | None, uuid: str) -> bytes:
        """Return a resource that the caller has just written; its id alone if the caller may write but not read.

        It is written, whatever happens now: an answer that says something else would have the caller try again.
        """
        try:
            shown = self._shown(access, uuid)
        except Exception:
            log.exception("%s %s, just written, cannot be shown", self.resource.member, uuid)
            shown = None
        return orjson.dumps({"id": uuid}) if shown is None else shown.json

    def _authorize(self, caller: Caller, access: Access | None, uuid: str, rule: str) -> None:
        """Check a change of a resource by one rule.

        Raises:
            NotFound: it is not there, or the caller does not see it.
            PolicyNotAuthorized: the caller may not.
        """
        row = self.resource.get(uuid)
        if access is not None:
            rendering = self.resource.renderings.of(row)
            Authorization(access, caller, self.resource, self.resources).change([rule], rendering, {})

    # -- tags ---------------------------------------------------------------------------------------------------------

    def tags(self, access: Access | None, uuid: str) -> frozenset[str]:
        """Return a resource's tags.

        Raises:
            NotFound: there is no such resource, or the caller does not see it or its tags.
        """
        shown = self._visible(access, uuid)
        if "tags" not in shown.value:
            raise self.resource.not_found(id=uuid)
        return frozenset(shown.value["tags"])

    async def set_tags(
        self,
        caller: Caller,
        access: Access | None,
        verb: str,
        uuid: str,
        change: Callable[[frozenset[str]], frozenset[str]],
    ) -> None:
        """Change a resource's tags.

        Arguments:
            caller: who asked.
            access: what the caller may do.
            verb: what the change is to rules: ``create``, ``update`` or ``delete``.
            uuid: which resource.
            change: returns the tags that it is to have, given those that it has.

        Raises:
            NeutronError: there is no such resource, the caller may not, or a tag is too long, or one too many.
        """
        self._authorize(caller, access, uuid, f"{verb}_{self.resource.member}:tags")

        def build(draft: Draft) -> None:
            row = self.resource.get(uuid)
            before: frozenset[str] = row["tags"]
            after = change(before)
            _check_tags(after - before, len(after))
            if after != before:
                draft.update(row, {"tags": after})

        await self.resource.databases.change(caller, build)


def _check_tags(new: frozenset[str], number: int) -> None:
    for tag in sorted(new):
        if not 0 < len(tag) <= 255:
            raise InvalidInput(error_message=f"'{tag}' is not a valid tag")
    if new and number > MOST_TAGS:
        raise InvalidInput(error_message=f"{number} tags exceed the maximum of {MOST_TAGS}")
