"""What a list request asks for: filters, fields, sorting, paging (Networking API v2.0, "Filtering", "Pagination").

Values of one filter are alternatives, filters together must all hold. A value that is itself a list matches when one
of its elements does; elements that are objects are asked for as ``fixed_ips=ip_address=10.0.0.5``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from ovenbird.api.attributes import ALIASES
from ovenbird.api.errors.request import BadLimitRequest, HTTPBadRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

TAG_FILTERS = frozenset(("tags", "tags-any", "not-tags", "not-tags-any"))


@dataclass(frozen=True, slots=True)
class Query:
    """A list request.

    Arguments:
        filters: wanted values by attribute.
        fields: what to show of each resource; everything if empty.
        sort: attributes to sort by, each with whether it descends.
        limit: how many to show at most.
        marker: id of the resource after which the page starts.
        reverse: whether the page ends before the marker instead.
    """

    filters: dict[str, list[str]] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    marker: str | None = None
    reverse: bool = False

    @property
    def plain(self) -> bool:
        """Whether it asks for everything, in any order."""
        return not (self.filters or self.fields or self.sort or self.paged)

    @property
    def paged(self) -> bool:
        """Whether it asks for a part, so that the order matters."""
        return self.limit is not None or self.marker is not None


EVERYTHING = Query()


def parse(query_string: bytes, filterable: Collection[str]) -> Query:
    """Return what a query string asks for.

    Arguments:
        query_string: as it came, undecoded.
        filterable: attributes by which the list may be filtered and sorted.

    Raises:
        HTTPBadRequest: it asks for something that cannot be.
    """
    if not query_string:
        return EVERYTHING
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
        given.setdefault(ALIASES.get(name, name), []).append(value)
    fields = tuple(name for name in given.pop("fields", ()) if name)
    keys, directions = given.pop("sort_key", []), given.pop("sort_dir", [])
    limit = _limit(given.pop("limit", [None])[-1])
    marker = given.pop("marker", [None])[-1] or None
    reverse = given.pop("page_reverse", [""])[-1].lower() == "true"
    unknown = sorted(set(given) - set(filterable) - TAG_FILTERS)
    if unknown:
        raise HTTPBadRequest(reason=f"{unknown} is invalid attribute for filtering")
    return Query(given, fields, _sort(keys, directions, filterable), limit, marker, reverse)


def _limit(value: str | None) -> int | None:
    if value is None:
        return None
    try:
        limit = int(value)
    except ValueError:
        limit = -1
    if limit < 0:
        raise BadLimitRequest(limit=value)
    return limit or None


def _sort(keys: list[str], directions: list[str], allowed: Collection[str]) -> tuple[tuple[str, bool], ...]:
    unknown = [key for key in keys if ALIASES.get(key, key) not in allowed]
    if unknown:
        raise HTTPBadRequest(reason=f"{unknown} is invalid attribute for sort keys")
    if directions and len(directions) != len(keys):
        raise HTTPBadRequest(reason="The number of sort_keys and sort_dirs must be same")
    if any(direction not in ("asc", "desc") for direction in directions):
        raise HTTPBadRequest(reason="sort_dir must be 'asc' or 'desc'")
    directions = directions or ["asc"] * len(keys)
    return tuple((ALIASES.get(k, k), d == "desc") for k, d in zip(keys, directions, strict=True))


# -- filters ----------------------------------------------------------------------------------------------------------


def matches(shown: dict[str, Any], filters: dict[str, list[str]]) -> bool:
    """Return whether a resource is among those asked for."""
    for name, wanted in filters.items():
        if name in TAG_FILTERS:
            if not _tags_match(name, frozenset(shown.get("tags", ())), wanted):
                return False
        elif not _value_matches(shown.get(name), wanted):
            return False
    return True


def _value_matches(value: Any, wanted: list[str]) -> bool:
    if isinstance(value, str):
        return value in wanted
    if isinstance(value, bool):
        return any(w.lower() in (("true", "1") if value else ("false", "0")) for w in wanted)
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return _records_match(value, wanted)
        return any(item in wanted for item in value)
    if value is None:
        return any(w in ("", "None", "null") for w in wanted)
    return str(value) in wanted


def _records_match(records: list[dict[str, Any]], wanted: list[str]) -> bool:
    """Return whether, for each member asked for, some record has one of its values."""
    by_member: dict[str, list[str]] = {}
    for item in wanted:
        member, _, value = item.partition("=")
        by_member.setdefault(member, []).append(value)
    for member, values in by_member.items():
        if member.endswith("_substr"):
            name = member.removesuffix("_substr")
            if not any(value in str(record.get(name)) for record in records for value in values):
                return False
        elif not any(str(record.get(member)) in values for record in records):
            return False
    return True


def _tags_match(how: str, tags: frozenset[str], wanted: list[str]) -> bool:
    asked = frozenset(tag for value in wanted for tag in value.split(","))
    found = bool(asked & tags) if how.endswith("any") else asked <= tags
    return found != how.startswith("not")


def only(fields: Sequence[str], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return some fields of a resource; all of them if none is named."""
    return {name: shown[name] for name in fields if name in shown} if fields else dict(shown)


# -- order and pages --------------------------------------------------------------------------------------------------


def arrange(shown: list[dict[str, Any]], query: Query) -> list[dict[str, Any]]:
    """Return resources in the order and the part asked for; ids decide what the sort keys leave open.

    Raises:
        HTTPBadRequest: the marker is not among them.
    """
    if not (query.sort or query.paged):
        return shown
    ordered = sorted(shown, key=lambda s: s.get("id") or s["name"])
    for name, descending in reversed(query.sort):
        ordered.sort(key=lambda s, n=name: _sort_key(s.get(n)), reverse=descending)  # type: ignore[misc]
    if query.marker is not None:
        at = next((i for i, s in enumerate(ordered) if s["id"] == query.marker), None)
        if at is None:
            raise HTTPBadRequest(reason=f"marker '{query.marker}' could not be found")
        ordered = ordered[:at] if query.reverse else ordered[at + 1 :]
    if query.limit is not None:
        ordered = ordered[-query.limit :] if query.reverse else ordered[: query.limit]
    return ordered


def _sort_key(value: Any) -> tuple[bool, Any]:
    """Order values of one attribute, some of which may be null or not comparable by themselves."""
    if value is None:
        return (False, "")
    return (True, value) if isinstance(value, str | int) else (True, repr(value))


def links(base: str, query_string: bytes, query: Query, page: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the links to the pages beside one.

    Arguments:
        base: the list's URL without query.
        query_string: of the request.
        query: the same, parsed.
        page: the resources shown, with their ids.
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
        on = [*kept, ("marker", page[-1]["id"])] if page else kept
        answer.append({"rel": "next", "href": f"{base}?{urlencode(on)}"})
    if not query.reverse or len(page) >= query.limit:
        back = [*kept, *([("marker", page[0]["id"])] if page else ()), ("page_reverse", "True")]
        answer.append({"rel": "previous", "href": f"{base}?{urlencode(back)}"})
    return answer
