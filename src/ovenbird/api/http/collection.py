"""Requests on a resource: list, create (one or many), show, update, delete."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson

from ovenbird.api import attributes, query
from ovenbird.api.access.authorization import Authorization
from ovenbird.api.access.sharing import POLICIES_ABOUT
from ovenbird.api.access.visibility import Visibility
from ovenbird.api.errors.request import (
    HTTPBadRequest,
    HTTPMethodNotAllowed,
    InvalidInput,
    PolicyNotAuthorized,
)
from ovenbird.api.http.endpoints import Call, Endpoint
from ovenbird.api.resource import MOST_TAGS, project_of
from ovenbird.engine.rows import UUID, Row

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ovenbird.api.access.policy import Access
    from ovenbird.api.databases import Draft
    from ovenbird.api.query import Query
    from ovenbird.api.rendering import Rendering, Representation
    from ovenbird.api.resource import Resource

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row)

CALLERS = frozenset(("shared",))
"""What a resource that can be shared shows differently to different callers."""


class Collection(Endpoint, Generic[R]):
    """Handles requests for one resource; results are encoded bodies.

    Arguments:
        resource: which.
        resources: every resource, by collection.
    """

    def __init__(self, resource: Resource[R], resources: Mapping[str, Resource[Any]]) -> None:
        self.resource = resource
        self.resources = resources
        self._opening = f'{{"{resource.collection}":['.encode()
        self._member = f'{{"{resource.member}":'.encode()

    async def list(self, call: Call) -> bytes:
        """Return the resources that a query selects.

        As in Neutron, a filter may use attributes that the caller does not see, such as `provider:network_type`.

        Raises:
            HTTPBadRequest: the query is invalid.
        """
        resource = self.resource
        await resource.ensure_defaults(call.caller)
        asked = query.parse(call.query, resource.filterable)
        renderings = resource.renderings
        found = [renderings.of(row) for row in self._candidates(call, asked)]
        if asked.filters:
            found = self._matching(found, asked, call)
        seen = self._view(call)
        kept: Sequence[Rendering | Representation] = (
            found if seen is None else [shown for one in found if (shown := seen.of(one)) is not None]
        )
        if not (asked.fields or asked.sort or asked.paged):
            return self._opening + b",".join([shown.json for shown in kept]) + b"]}"
        return self._selected([shown.value for shown in kept], asked, call)

    def _candidates(self, call: Call, asked: Query) -> Iterable[R]:  # noqa: ARG002 - a nested one asks for its parent
        """Return candidates for a list, among which are all matching rows."""
        return self.resource.table.rows.values() if asked.plain else self.resource.candidates(asked.filters)

    def _row(self, call: Call, uuid: str) -> R:  # noqa: ARG002 - likewise
        """Return the row with an id.

        Raises:
            NotFound: there is none.
        """
        return self.resource.get(uuid)

    def _matching(self, found: builtins.list[Rendering], asked: Query, call: Call) -> builtins.list[Rendering]:
        """Return the resources that the filters match."""
        resource = self.resource
        names = resource.unshown | CALLERS if resource.row_class in POLICIES_ABOUT else resource.unshown
        unshown = {name: resource.reader(name, project=call.caller.project) for name in names & asked.filters.keys()}
        if not unshown:
            return [one for one in found if query.matches(one.value, asked.filters)]
        known = ((one, one.value | {name: read(one.value) for name, read in unshown.items()}) for one in found)
        return [one for one, facts in known if query.matches(facts, asked.filters)]

    def _selected(self, values: builtins.list[dict[str, Any]], asked: Query, call: Call) -> bytes:
        """Return a list, sorted, limited to a page and reduced to some fields."""
        resource = self.resource
        page = query.arrange(values, asked)
        body: dict[str, Any] = {resource.collection: [query.only(asked.fields, value) for value in page]}
        if links := query.links(call.url, call.query, asked, page):
            body[f"{resource.collection}_links"] = links
        return orjson.dumps(body)

    async def show(self, call: Call, uuid: str) -> bytes:
        """Return one resource.

        Raises:
            NotFound: it is not there, or the caller does not see it.
        """
        shown = self._visible(call, uuid)
        fields = query.parse(call.query, self.resource.filterable).fields if call.query else ()
        if fields:
            return orjson.dumps({self.resource.member: query.only(fields, shown.value)})
        return self._member + shown.json + b"}"

    async def create(self, call: Call) -> bytes:
        """Create one resource, or several at once: all of them or none.

        Raises:
            NeutronError: the request is refused.
        """
        resource, body = self.resource, await call.body()
        bulk = isinstance(body, dict) and resource.collection in body
        if bulk and resource.collection == resource.member:
            bulk = isinstance(body[resource.collection], list)
        given = (
            attributes.members_of(body, resource.member, collection=resource.collection)
            if bulk
            else [attributes.member_of(body, resource.member)]
        )
        parsed = [self._parse(call, one, creating=True) for one in given]
        names = [attributes.current_names(one) for one in given]

        def build(draft: Draft) -> builtins.list[UUID]:
            if call.access is not None:  # each time: what is shared with the caller may have changed
                authorization = self._authorization(call, call.access)
                for values, one in zip(parsed, names, strict=True):
                    authorization.create(values, one)
            quotas = resource.databases.quotas
            quotas.claim(draft, resource.member, [project_of(draft, values) for values in parsed])
            return [resource.create(draft, dict(values)) for values in parsed]

        uuids = await resource.databases.change(call.caller, build)
        made = [self._written(call, uuid) for uuid in uuids]
        return self._opening + b",".join(made) + b"]}" if bulk else self._member + made[0] + b"}"

    def _parse(self, call: Call, given: Mapping[str, Any], *, creating: bool) -> dict[str, Any]:  # noqa: ARG002
        """Return the request's attributes, validated without the database."""
        return attributes.parse(self.resource.attributes, given, creating=creating)

    async def update(self, call: Call, uuid: str) -> bytes:
        """Change a resource.

        Raises:
            NeutronError: the request is refused.
        """
        resource, revision = self.resource, call.revision
        given = attributes.member_of(await call.body(), resource.member)
        parsed = self._parse(call, given, creating=False)  # what is wrong by itself comes first

        def build(draft: Draft) -> None:
            row = self._row(call, uuid)
            if call.access is not None:
                self._authorization(call, call.access).update(resource.renderings.of(row), parsed)
            resource.check_revision(row, revision)
            resource.update(draft, row, dict(parsed))

        await resource.databases.change(call.caller, build)
        return self._member + self._written(call, uuid) + b"}"

    async def delete(self, call: Call, uuid: str) -> None:
        """Delete a resource.

        Raises:
            NeutronError: it cannot be deleted.
        """
        resource, revision = self.resource, call.revision
        self._authorize(call, uuid, f"delete_{resource.policy_name}")

        def build(draft: Draft) -> None:
            row = self._row(call, uuid)
            resource.check_revision(row, revision)
            resource.delete(draft, row)

        await resource.databases.change(call.caller, build)

    async def action(self, call: Call, uuid: str, *, action: str) -> bytes:
        """Perform one of a resource's actions.

        Arguments:
            call: the request.
            uuid: the resource's id.
            action: its name: `add_router_interface`.

        Raises:
            NeutronError: the request is refused.
        """
        resource, body = self.resource, await call.body()
        if not isinstance(body, dict):
            raise HTTPBadRequest(reason="Resource body required")
        method = getattr(resource, resource.actions[action])

        def build(draft: Draft) -> Any:
            row = self._row(call, uuid)
            if call.access is not None:
                given = body.get(resource.member)
                attributes_given = given if isinstance(given, dict) else {}
                self._authorization(call, call.access).act(action, resource.renderings.of(row), attributes_given)
            resource.check_action(action, body)
            if call.access is not None:
                self._authorization(call, call.access).see(body)
            return method(draft, row, body)

        answer = await resource.databases.change(call.caller, build)
        if answer is not None:
            return orjson.dumps(answer)
        written = self._written(call, uuid)
        return written if resource.answers_bare else self._member + written + b"}"

    def read(self, call: Call, uuid: str, *, part: str) -> bytes:
        """Return a part of a resource.

        Arguments:
            call: the request.
            uuid: the resource's id.
            part: its name: `get_subports`.

        Raises:
            NotFound: the resource is not there, or the caller does not see it.
            PolicyNotAuthorized: the policy hides the part.
        """
        self._authorize(call, uuid, part)
        return orjson.dumps(getattr(self.resource, self.resource.reads[part])(self.resource.get(uuid)))

    # -- who sees and may what ----------------------------------------------------------------------------------------

    def _view(self, call: Call) -> Visibility | None:
        """Return the caller's view of the resource; None if the caller sees everything as it is rendered."""
        resource = self.resource
        seen = None
        if call.access is not None:
            seen = call.access.visibility(resource)
        elif resource.row_class in POLICIES_ABOUT:
            seen = Visibility(resource, call.caller.project)
        return None if seen is None or seen.as_rendered else seen

    def _shown(self, call: Call, uuid: str) -> Rendering | Representation | None:
        rendering = self.resource.renderings.of(self.resource.get(uuid))
        seen = self._view(call)
        return rendering if seen is None else seen.of(rendering)

    def _visible(self, call: Call, uuid: str) -> Rendering | Representation:
        """Return a resource as the caller sees it.

        Raises:
            NotFound: it is not there, or the caller does not see it.
        """
        shown = self._shown(call, self._row(call, uuid).uuid)
        if shown is None:
            raise self.resource.not_found(id=uuid)
        return shown

    def _written(self, call: Call, uuid: str) -> bytes:
        """Return a resource that the caller has just written; only its id if the caller may write but not read.

        It is committed, so an error now must not fail the request: the caller would repeat it.
        """
        try:
            shown = self._shown(call, uuid)
        except Exception:
            log.exception("%s %s, just written, cannot be shown", self.resource.member, uuid)
            shown = None
        return orjson.dumps({"id": uuid}) if shown is None else shown.json

    def _authorization(self, call: Call, access: Access) -> Authorization:
        return Authorization(access, call.caller, self.resource, self.resources)

    def _authorize(self, call: Call, uuid: str, rule: str) -> None:
        """Authorize a change of a resource by one rule.

        Raises:
            NotFound: it is not there, or the caller does not see it.
            PolicyNotAuthorized: the policy forbids it.
        """
        row = self._row(call, uuid)
        if call.access is not None:
            self._authorization(call, call.access).change([rule], self.resource.renderings.of(row), {})

    # -- tags ---------------------------------------------------------------------------------------------------------

    def tags(self, call: Call, uuid: str) -> frozenset[str]:
        """Return a resource's tags.

        Raises:
            NotFound: there is no such resource, or the caller does not see it or its tags.
        """
        shown = self._visible(call, uuid)
        if "tags" not in shown.value:
            raise self.resource.not_found(id=uuid)
        return frozenset(shown.value["tags"])

    async def set_tags(
        self, call: Call, verb: str, *, uuid: str, change: Callable[[frozenset[str]], frozenset[str]]
    ) -> None:
        """Change a resource's tags.

        Arguments:
            call: the request.
            verb: the prefix of the rule's name: ``create``, ``update`` or ``delete``.
            uuid: which resource.
            change: returns the new tags, given the present ones.

        Raises:
            NeutronError: the resource is missing, the policy forbids the change, or tags are too long or too many.
        """
        self._authorize(call, uuid, f"{verb}_{self.resource.policy_name}:tags")

        def build(draft: Draft) -> None:
            row = self.resource.get(uuid)
            before: frozenset[str] = row["tags"]
            after = change(before)
            _check_tags(after - before, len(after))
            if after != before:
                draft.update(row, {"tags": after})

        await self.resource.databases.change(call.caller, build)


class NestedCollection(Collection[R]):
    """Handles requests for a nested resource, such as a floating IP's port forwardings.

    If the caller does not see the parent, or the resource is not in that parent, it is not found.

    Raises:
        TypeError: the resource has no parent.
    """

    def __init__(self, resource: Resource[R], resources: Mapping[str, Resource[Any]]) -> None:
        super().__init__(resource, resources)
        if resource.parent is None:
            raise TypeError(f"{type(resource).__name__} has no parent")
        self._attribute = resource.parent.attribute
        self._column = resource.row_class.BY_NAME[resource.parent.column]
        self._parent = resources[resource.within]

    def _candidates(self, call: Call, asked: Query) -> Iterable[R]:
        del asked
        self._check_parent(call)
        return self.resource.table.select(self._column, engine_uuid(call.parent))

    def _row(self, call: Call, uuid: str) -> R:
        self._check_parent(call)
        row = super()._row(call, uuid)
        if self._column.raw(row) != engine_uuid(call.parent):
            raise self.resource.not_found(id=uuid)
        return row

    def _parse(self, call: Call, given: Mapping[str, Any], *, creating: bool) -> dict[str, Any]:
        try:
            self._check_parent(call)
        except self._parent.not_found:
            if creating and self._parent.table.get(engine_uuid(call.parent)) is not None:  # as Neutron answers
                raise PolicyNotAuthorized(rule=f"rule:create_{self.resource.policy_name}") from None
            raise
        values = super()._parse(call, given, creating=creating)
        return values | {self._attribute: engine_uuid(call.parent)} if creating else values

    def _check_parent(self, call: Call) -> None:
        """Refuse a URL whose parent does not exist, or is not visible to the caller."""
        row = self._parent.get(call.parent)
        seen = call.access.visibility(self._parent) if call.access is not None else None
        if seen is not None and not seen.sees(self._parent.renderings.of(row)):
            raise self._parent.not_found(id=call.parent)


class AliasCollection(Collection[R]):
    """Handles requests at the second address of a resource, where each row is found by its id."""

    async def list(self, call: Call) -> bytes:
        """Refuse a list.

        Raises:
            HTTPMethodNotAllowed: always.
        """
        del call
        raise HTTPMethodNotAllowed

    async def create(self, call: Call) -> bytes:
        """Refuse a creation.

        Raises:
            HTTPMethodNotAllowed: always.
        """
        del call
        raise HTTPMethodNotAllowed


def engine_uuid(text: str) -> UUID:
    """Return an id in lower case, as in rows."""
    return UUID(text.lower())


def _check_tags(new: frozenset[str], number: int) -> None:
    for tag in sorted(new):
        if not 0 < len(tag) <= 255:
            raise InvalidInput(error_message=f"'{tag}' is not a valid tag")
    if new and number > MOST_TAGS:
        raise InvalidInput(error_message=f"{number} tags exceed the maximum of {MOST_TAGS}")
