"""Authorization: whether a caller may make a change.

To create a resource, a caller must pass the rule for the resource, and the rule for each attribute that is given with
another value than its default; likewise for a change. The error is 403 if the caller may see the resource, and 404
otherwise. The same applies to resources that a request refers to: a network of another project can be neither used nor
detected.
"""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Any

from ovenbird.api.errors.request import HTTPBadRequest, PolicyNotAuthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ovenbird.api.access.auth import Caller
    from ovenbird.api.access.policy import Access
    from ovenbird.api.rendering import Rendering
    from ovenbird.api.resource import Resource


class Authorization:
    """Authorizes one caller's changes of one resource.

    Arguments:
        access: what the caller may do.
        caller: who.
        resource: what is to be changed.
        others: every resource, by collection.
    """

    def __init__(
        self, access: Access, caller: Caller, resource: Resource[Any], others: Mapping[str, Resource[Any]]
    ) -> None:
        self.access = access
        self.caller = caller
        self.resource = resource
        self.others = others

    def create(self, values: Mapping[str, Any], given: Iterable[str]) -> None:
        """Authorize a creation.

        Arguments:
            values: the new resource's attributes, with defaults.
            given: names of the attributes that the request gives.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
            HTTPBadRequest: the resource would belong to another project.
            NotFound: it refers to a resource that the caller does not see.
        """
        resource = self.resource
        project = values.get("project_id", self.caller.project)
        if project != self.caller.project and not self.access.admin:
            raise HTTPBadRequest(
                reason="Specifying 'project_id' or 'tenant_id' other than the authenticated project in request "
                "requires admin privileges"
            )
        self.see(values)
        chosen = {
            name: values[name]
            for name in given
            if resource.attributes[name].explicit or values[name] != resource.attributes[name].default
        }
        verb = f"create_{resource.policy_name}"
        names = [verb, *self._known(verb, chosen)]
        whole = {**values, "project_id": project}
        self._demand(names, lambda name: resource.reader(name, project=self.caller.project)(whole))

    def update(self, rendering: Rendering, values: Mapping[str, Any]) -> None:
        """Authorize a change of some attributes; their rules may read the new values.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
            NotFound: the caller does not see the resource, or one that the change refers to.
        """
        self.change([f"update_{self.resource.policy_name}"], rendering, values)
        verb = f"update_{self.resource.policy_name}"
        self._demand_of(rendering, [verb, *self._known(verb, values)], ChainMap(dict(values), rendering.value))

    def change(self, names: Iterable[str], rendering: Rendering, given: Mapping[str, Any]) -> None:
        """Authorize a change by the rules of these names, which read the present resource.

        Arguments:
            names: of the rules.
            rendering: the resource.
            given: the request's attributes, which do not influence the rules.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
            NotFound: the caller does not see the resource, or one that the change refers to.
        """
        self._demand_of(rendering, names, rendering.value)
        self.see(given)

    def act(self, action: str, rendering: Rendering, given: Mapping[str, Any]) -> None:
        """Authorize an action, by its rule and those about the attributes that the request gives.

        Arguments:
            action: its name.
            rendering: the resource.
            given: the request's attributes.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
            NotFound: the caller does not see the resource.
        """
        self._demand_of(rendering, [action, *self._known(action, given)], rendering.value)

    def _demand_of(self, rendering: Rendering, names: Iterable[str], values: Mapping[str, Any]) -> None:
        """Check rules about an existing resource; raise NotFound for one that the caller does not see."""
        try:
            self._demand(names, lambda name: self.resource.reader(name, project=self.caller.project)(values))
        except PolicyNotAuthorized:
            seen = self.access.visibility(self.resource)
            if seen is not None and not seen.sees(rendering):
                raise self.resource.not_found(id=rendering.value["id"]) from None
            raise

    def _demand(self, names: Iterable[str], fact: Callable[[str], Any]) -> None:
        names = list(names)
        if not all(self.access.allows(name, fact) for name in names):
            raise PolicyNotAuthorized(rule=_together(names))

    def _known(self, verb: str, given: Mapping[str, Any]) -> Iterator[str]:
        """Return the names of the rules about setting these attributes and their members by a rule's request."""
        for name, value in given.items():
            rule = f"{verb}:{name}"
            parts = dict.fromkeys(part for one in _records(value) for part in one)
            for wanted in (rule, *(f"{rule}:{part}" for part in parts)):
                if self.access.knows(wanted):
                    yield wanted

    def see(self, values: Mapping[str, Any]) -> None:
        """Check that the resources that a request refers to exist, and that the caller sees them.

        Raises:
            NotFound: the caller sees no such resource.
        """
        for path, collection in self.resource.references.items():
            other = self.others[collection]
            seen = self.access.visibility(other)
            if seen is None:
                continue
            for uuid in named(values, path):
                if not seen.sees(other.renderings.of(other.get(uuid))):
                    raise other.not_found(id=uuid)


def named(values: Mapping[str, Any], path: str) -> Iterator[str]:
    """Return the ids that a request refers to.

    Arguments:
        values: its attributes.
        path: an attribute, or with dots a member of its value.
    """
    name, _, rest = path.partition(".")
    value = values.get(name)
    for item in value if isinstance(value, list) else [value]:
        if rest and isinstance(item, dict):
            yield from named(item, rest)
        elif isinstance(item, str):
            yield item


def _records(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _together(names: list[str]) -> str:
    """Return the conjunction of rules, in oslo.policy's notation."""
    text = f"rule:{names[0]}"
    for name in names[1:]:
        text = f"({text} and rule:{name})"
    return text
