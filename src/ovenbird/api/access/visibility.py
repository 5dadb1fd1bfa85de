"""What one caller sees of a resource: which rows, which of their attributes, and whether they are shared with it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ovenbird.api.access.sharing import POLICIES_ABOUT
from ovenbird.api.attributes import ALIASES
from ovenbird.model.cloud import RBACPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.api.access.policy import PartiallyEvaluated
    from ovenbird.api.rendering import Rendering, Representation
    from ovenbird.api.resource import Resource

MOST_OUTCOMES = 10_000
"""How many combinations of facts are cached with their result."""

_ABSENT = object()
"""The value of a field that a row does not have."""


class Visibility:
    """A caller's view of a resource.

    Arguments:
        resource: which.
        project: the caller's project.
        whole: the rule for reading a row.
        parts: the rules for reading attributes, except those that always allow it.
    """

    def __init__(
        self,
        resource: Resource[Any],
        project: str,
        whole: PartiallyEvaluated = True,
        parts: Mapping[str, PartiallyEvaluated] = MappingProxyType({}),
    ) -> None:
        self._whole = whole
        self._parts = parts
        evaluated = (whole, *parts.values())
        read = [rule.fields for rule in evaluated if not isinstance(rule, bool)]
        self._fields = tuple(sorted(frozenset().union(*read)))
        self._readers = [resource.reader(name, project=project) for name in self._fields]
        self._shared = resource.reader("shared", project=project) if resource.row_class in POLICIES_ABOUT else None
        self._outcomes: dict[tuple[Any, ...], frozenset[str] | None] = {}
        self._store, self._project = resource.databases.store, project

    @property
    def as_rendered(self) -> bool:
        """Whether the caller now sees everything as it is rendered: nothing is shared with its project by name."""
        if self._fields or self._decide(()) != frozenset():
            return False
        return not self._store.table(RBACPolicy).index(RBACPolicy.target_project).count(self._project)

    def of(self, rendering: Rendering) -> Rendering | Representation | None:
        """Return the caller's view of a row; None if the caller does not see the row."""
        hidden = self.hidden(rendering.value)
        if hidden is None:
            return None
        if self._shared is not None and not rendering.value["shared"] and self._shared(rendering.value):
            return rendering.without(hidden, shared=True)
        return rendering.without(hidden) if hidden else rendering

    def sees(self, rendering: Rendering) -> bool:
        """Return whether the caller sees a row."""
        return self.hidden(rendering.value) is not None

    def hidden(self, values: Mapping[str, Any]) -> frozenset[str] | None:
        """Return the attributes that the caller does not see; None if the caller does not see the row."""
        try:
            key = tuple([read(values) for read in self._readers])
        except KeyError:  # hardly ever: a rule of the policy file asks for an attribute that this resource lacks
            key = tuple([_read(reader, values) for reader in self._readers])
        try:
            return self._outcomes[key]
        except KeyError:
            pass
        except TypeError:  # a list or an object, which a rule of the policy file may ask for
            return self._decide(key)
        if len(self._outcomes) >= MOST_OUTCOMES:
            self._outcomes.clear()
        outcome = self._outcomes[key] = self._decide(key)
        return outcome

    def _decide(self, key: tuple[Any, ...]) -> frozenset[str] | None:
        target = {name: value for name, value in zip(self._fields, key, strict=True) if value is not _ABSENT}

        def holds(rule: PartiallyEvaluated) -> bool:
            return rule if isinstance(rule, bool) else rule.test(target)

        if not holds(self._whole):
            return None
        hidden = {name for name, rule in self._parts.items() if not holds(rule)}
        return frozenset(hidden | {old for old, name in ALIASES.items() if name in hidden})


def _read(reader: Callable[[Mapping[str, Any]], Any], values: Mapping[str, Any]) -> Any:
    try:
        return reader(values)
    except KeyError:
        return _ABSENT
