"""Declarations of attributes: what a request may set, how it is validated, and the default.

Each resource has one table of attributes by name. Errors that depend on the body only are found here, with Neutron's
messages; checks that depend on other rows belong to the resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ovenbird.api.errors.request import HTTPBadRequest, InvalidInput
from ovenbird.api.values import WrongTypeError
from ovenbird.dataclass import KW_ONLY, dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class NoValue:
    """The type of the two markers below."""

    __slots__ = ()


REQUIRED: Final = NoValue()
"""The default of an attribute that a request must give."""

UNSET: Final = NoValue()
"""The default of an attribute whose value the resource determines itself if the request gives none."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a resource.

    Arguments:
        convert: checks and converts a value that a request gives.
        default: the value when a creation gives none; ``REQUIRED`` or ``UNSET`` where there is no fixed one.
        post: whether a creation may give it.
        put: whether an update may.
        filterable: whether a list may be filtered and sorted by it.
        sought: converts values of filters that ``convert`` does not accept: an element of a list, or a value
            that only the API writes.
        column: the column that stores the value unchanged; empty if the resource converts it.
        explicit: whether its policy rule is checked even if a creation gives the default value; as
            in Neutron, where the default is `ATTR_NOT_SPECIFIED`.
    """

    convert: Callable[[Any], Any] | None = None
    default: Any = UNSET
    _: KW_ONLY
    post: bool = True
    put: bool = True
    filterable: bool = True
    explicit: bool = False
    sought: Callable[[Any], Any] | None = None
    column: str = ""


def shown(sought: Callable[[Any], Any] | None = None, *, filterable: bool = True) -> Attribute:
    """Return a read-only attribute."""
    return Attribute(post=False, put=False, filterable=filterable, sought=sought)


MOST_AT_ONCE = 10_000
"""Maximum resources of one bulk creation."""

ALIASES = {"tenant_id": "project_id"}
"""Older names of attributes; both are shown."""


def member_of(body: Any, name: str) -> Mapping[str, Any]:
    """Return the resource in a request's body.

    Raises:
        HTTPBadRequest: it is missing, or not an object.
    """
    if not isinstance(body, dict) or not body:
        raise HTTPBadRequest(reason="Resource body required")
    member = body.get(name)
    if not isinstance(member, dict):
        raise HTTPBadRequest(reason=f"Unable to find '{name}' in request body")
    return member


def members_of(body: Any, name: str, *, collection: str) -> list[Mapping[str, Any]]:
    """Return the resources in a bulk request's body.

    Arguments:
        body: the body, parsed.
        name: of one resource: `port`.
        collection: of several: `ports`.

    Raises:
        HTTPBadRequest: there are none, or one is not an object.
    """
    items = body[collection]
    if not isinstance(items, list) or not items:
        raise HTTPBadRequest(reason="Resources required")
    if len(items) > MOST_AT_ONCE:
        raise HTTPBadRequest(reason=f"{len(items)} resources exceed the maximum of {MOST_AT_ONCE} in one request")
    return [member_of(item if isinstance(item, dict) and name in item else {name: item}, name) for item in items]


def parse(table: Mapping[str, Attribute], given: Mapping[str, Any], *, creating: bool) -> dict[str, Any]:
    """Return the values of a request, converted; for a creation, defaults are filled in.

    Arguments:
        table: the resource's attributes.
        given: the resource as the request has it.
        creating: whether it is a creation rather than an update.

    Raises:
        HTTPBadRequest, InvalidInput: an attribute is unknown, not permitted, missing or invalid.
    """
    values = current_names(given)
    unknown = [name for name in values if name not in table]
    if unknown:
        raise HTTPBadRequest(reason=f"Unrecognized attribute(s) '{', '.join(sorted(unknown))}'")
    for name in values:
        attribute = table[name]
        if creating and not attribute.post:
            raise HTTPBadRequest(reason=f"Attribute '{name}' not allowed in POST")
        if not creating and not attribute.put:
            raise HTTPBadRequest(reason=f"Cannot update read-only attribute {name}")
    parsed = {name: _convert(name, table[name], value) for name, value in values.items()}
    if creating:
        _fill(table, parsed)
    return parsed


def _fill(table: Mapping[str, Attribute], parsed: dict[str, Any]) -> None:
    for name, attribute in table.items():
        if name in parsed or not attribute.post:
            continue
        if attribute.default is REQUIRED:
            raise HTTPBadRequest(reason=f"Failed to parse request. Required attribute '{name}' not specified")
        if attribute.default is not UNSET:
            parsed[name] = attribute.default


def current_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request's attributes, with older names replaced.

    Raises:
        HTTPBadRequest: both names of an attribute are given, with different values.
    """
    values = dict(given)
    for old, name in ALIASES.items():
        if old in values:
            value = values.pop(old)
            if values.setdefault(name, value) != value:
                raise HTTPBadRequest(reason=f"'{name}' and '{old}' do not match")
    return values


def _convert(name: str, attribute: Attribute, value: Any) -> Any:
    if attribute.convert is None:
        return value
    try:
        return attribute.convert(value)
    except WrongTypeError as error:
        raise InvalidInput(error_message=f"{name}: {error}") from error
    except ValueError as error:
        raise HTTPBadRequest(reason=f"Invalid input for {name}. Reason: {error}.") from error


def filterable(table: Mapping[str, Attribute]) -> dict[str, Callable[[Any], Any] | None]:
    """Return, by attribute, the converter of filter values; lists may be sorted by the same attributes."""
    return {name: attribute.sought or attribute.convert for name, attribute in table.items() if attribute.filterable}
