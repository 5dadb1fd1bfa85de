"""Parses list requests: filters, fields, sorting, pagination (Networking API v2.0, "Filtering", "Pagination").

The values of one filter are alternatives; all filters must match. Each value is converted like the attribute's own
values (``admin_state_up=yes``, ``mac_address=FA:16:3E:…``), so that all notations that a request may use are found. A
list attribute matches if one of its elements does; elements that are objects are given as
``fixed_ips=ip_address=10.0.0.5``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from ovenbird.api.attributes import ALIASES
from ovenbird.api.errors.request import BadLimitRequest, HTTPBadRequest, InvalidInput
from ovenbird.api.values import WrongTypeError, boolean
from ovenbird.dataclass import dataclass, field
from ovenbird.net.numbers import integer
from ovenbird.ovsdb.types import is_uuid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

SUBSTRING = "_substr"
"""Suffix of a member's name: the value contains the given text."""

TAG_FILTERS = frozenset(("tags", "tags-any", "not-tags", "not-tags-any"))


NULL = frozenset(("", "None", "null"))
"""The text for null in a filter."""

MOST_TERMS = 100
"""Maximum fields, or substrings, in one request: each is examined for every resource."""

Converter = Callable[[Any], Any]


class Wanted(dict[Any, None]):
    """The values of a filter, in order; derived forms are cached."""

    @cached_property
    def members(self) -> dict[str, frozenset[str]]:
        """Values such as ``ip_address=10.0.0.5``, by the text before the first equals sign."""
        found: dict[str, list[str]] = {}
        for item in self:
            member, _, value = str(item).partition("=")
            found.setdefault(member, []).append(value)
        return {member: frozenset(values) for member, values in found.items()}

    @cached_property
    def tags(self) -> frozenset[str]:
        """The values that commas separate."""
        return frozenset(tag for value in self for tag in str(value).split(","))


@dataclass(frozen=True, slots=True)
class Query:
    """A list request.

    Arguments:
        filters: values by attribute.
        fields: the attributes to show; all if empty.
        sort: the attributes to sort by, each with whether the order is descending.
        limit: the page size.
        marker: id of the resource after which the page starts.
        reverse: whether the page ends before the marker instead.
    """

    filters: dict[str, Wanted] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    marker: str | None = None
    reverse: bool = False

    @property
    def plain(self) -> bool:
        """Whether it selects all resources in any order."""
        return not (self.filters or self.fields or self.sort or self.paged)

    @property
    def paged(self) -> bool:
        """Whether it selects a page, so that the order matters."""
        return self.limit is not None or self.marker is not None


EVERYTHING = Query()


def parse(query_string: bytes, filterable: Mapping[str, Converter | None]) -> Query:
    """Parse a query string.

    Arguments:
        query_string: as received, undecoded.
        filterable: by attribute that the list may be filtered and sorted by, the converter of its values.

    Raises:
        HTTPBadRequest: it is invalid.
    """
    if not query_string:
        return EVERYTHING
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
        given.setdefault(ALIASES.get(name, name), []).append(value)
    fields = tuple(dict.fromkeys(name for name in given.pop("fields", ()) if name))
    if len(fields) > MOST_TERMS:
        raise HTTPBadRequest(reason=f"{len(fields)} fields exceed the maximum of {MOST_TERMS}")
    keys, directions = given.pop("sort_key", []), given.pop("sort_dir", [])
    limit = _limit(given.pop("limit", [None])[-1])
    marker = given.pop("marker", [""])[-1] or None
    if marker is not None and is_uuid(marker):
        marker = marker.lower()
    reverse = given.pop("page_reverse", [""])[-1].lower() == "true"
    unknown = sorted(set(given) - set(filterable) - TAG_FILTERS)
    if unknown:
        raise HTTPBadRequest(reason=f"{unknown} is invalid attribute for filtering")
    filters = {name: _wanted(name, values, filterable.get(name)) for name, values in given.items()}
    return Query(filters, fields, _sort(keys, directions, filterable), limit, marker, reverse)


def _wanted(name: str, texts: list[str], convert: Converter | None) -> Wanted:
    """Return the converted values of a filter.

    Raises:
        InvalidInput: one is not a value of the attribute.
        NeutronError: the attribute's own error.
    """
    wanted = Wanted()
    for text in texts:
        if text in NULL or name in TAG_FILTERS:
            wanted[text] = None
        elif convert is None:
            wanted.update(dict.fromkeys(_any_type(text)))
        else:
            try:
                wanted[convert(text)] = None
            except WrongTypeError as error:
                raise InvalidInput(error_message=f"{name}: {error}") from error
            except (ValueError, TypeError):  # nothing has such a value, or it cannot be asked for
                wanted[text] = None
    if sum(len(values) for member, values in wanted.members.items() if member.endswith(SUBSTRING)) > MOST_TERMS:
        raise HTTPBadRequest(reason=f"{name} asks for more than {MOST_TERMS} substrings")
    return wanted


def _any_type(text: str) -> Iterator[Any]:
    """Yield the values that a text may stand for, for an attribute without a type."""
    yield text
    if (number := integer(text)) is not None:
        yield number
    with suppress(WrongTypeError):
        yield boolean(text)


def _limit(value: str | None) -> int | None:
    if value is None:
        return None
    number = integer(value)
    if number is None:
        raise BadLimitRequest(limit=value)
    return number or None


def _sort(keys: list[str], directions: list[str], allowed: Collection[str]) -> tuple[tuple[str, bool], ...]:
    unknown = [key for key in keys if ALIASES.get(key, key) not in allowed]
    if unknown:
        raise HTTPBadRequest(reason=f"{unknown} is invalid attribute for sort keys")
    if directions and len(directions) != len(keys):
        raise HTTPBadRequest(reason="The number of sort_keys and sort_dirs must be same")
    if any(direction not in ("asc", "desc") for direction in directions):
        raise HTTPBadRequest(reason="sort_dir must be 'asc' or 'desc'")
    directions = directions or ["asc"] * len(keys)
    found: dict[str, bool] = {}
    for key, direction in zip(keys, directions, strict=True):
        found.setdefault(ALIASES.get(key, key), direction == "desc")  # what is sorted by again is in order already
    return tuple(found.items())


# -- filters ----------------------------------------------------------------------------------------------------------


def matches(shown: dict[str, Any], filters: Mapping[str, Wanted]) -> bool:
    """Return whether a resource matches the filters."""
    for name, wanted in filters.items():
        if name in TAG_FILTERS:
            if not _tags_match(name, frozenset(shown.get("tags", ())), wanted):
                return False
        elif not _value_matches(shown.get(name), wanted):
            return False
    return True


def _value_matches(value: Any, wanted: Wanted) -> bool:
    if value is None:
        return None in wanted or not NULL.isdisjoint(wanted)
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return _records_match(value, wanted.members)
        return any(item in wanted for item in value)
    if isinstance(value, dict):
        return str(value) in wanted
    return value in wanted


def _records_match(records: list[dict[str, Any]], members: Mapping[str, frozenset[str]]) -> bool:
    """Return whether, for each member in the filter, some record has one of the values."""
    for member, values in members.items():
        if member.endswith(SUBSTRING):
            name = member.removesuffix(SUBSTRING)
            if not any(value in str(record.get(name)) for record in records for value in values):
                return False
        elif not any(str(record.get(member)) in values for record in records):
            return False
    return True


def _tags_match(how: str, tags: frozenset[str], wanted: Wanted) -> bool:
    asked = wanted.tags
    found = bool(asked & tags) if how.endswith("any") else asked <= tags
    return found != how.startswith("not")


def only(fields: Sequence[str], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return some fields of a resource; all if none are given."""
    return {name: shown[name] for name in fields if name in shown} if fields else dict(shown)


# -- order and pages --------------------------------------------------------------------------------------------------


def arrange(shown: list[dict[str, Any]], query: Query, identity: str = "id") -> list[dict[str, Any]]:
    """Return the requested page of resources in the requested order; equal sort keys are ordered by id.

    Arguments:
        shown: the resources.
        query: the query.
        identity: the attribute that has a resource's id.

    Raises:
        HTTPBadRequest: the marker is not among them.
    """
    if not (query.sort or query.paged):
        return shown
    ordered = sorted(shown, key=lambda s: str(s[identity]))
    for name, descending in reversed(query.sort):
        ordered.sort(key=lambda s, n=name: _sort_key(s.get(n)), reverse=descending)  # type: ignore[misc]
    if query.marker is not None:
        at = next((i for i, s in enumerate(ordered) if s[identity] == query.marker), None)
        if at is None:
            raise HTTPBadRequest(reason=f"marker '{query.marker}' could not be found")
        ordered = ordered[:at] if query.reverse else ordered[at + 1 :]
    if query.limit is not None:
        ordered = ordered[-query.limit :] if query.reverse else ordered[: query.limit]
    return ordered


def _sort_key(value: Any) -> tuple[bool, Any]:
    """Return the sort key of an attribute's value, which may be null or not comparable itself."""
    if value is None:
        return (False, "")
    return (True, value) if isinstance(value, str | int) else (True, repr(value))


def links(
    base: str, query_string: bytes, query: Query, page: Sequence[dict[str, Any]], identity: str = "id"
) -> list[dict[str, str]]:
    """Return the links to the next and previous page.

    Arguments:
        base: the list's URL without query.
        query_string: of the request.
        query: the same, parsed.
        page: the resources shown, with their ids.
        identity: the attribute that has a resource's id.
    """
    if query.limit is None:
        return []
    kept = [
        (name, value)
        for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
        if name not in ("marker", "page_reverse")
    ]
    answer = []
    if query.reverse or len(page) >= query.limit:
        on = [*kept, ("marker", page[-1][identity])] if page else kept
        answer.append({"rel": "next", "href": f"{base}?{urlencode(on)}"})
    if not query.reverse or len(page) >= query.limit:
        back = [*kept, *([("marker", page[0][identity])] if page else ()), ("page_reverse", "True")]
        answer.append({"rel": "previous", "href": f"{base}?{urlencode(back)}"})
    return answer
