"""Read-only resources: rows that other parts write, such as chassis, as the API shows them.

They are few and depend on the clock as well as on rows, so they are computed again at each request.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api import query
from ovenbird.api.attributes import filterable
from ovenbird.api.errors.request import HTTPNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.attributes import Attribute
    from ovenbird.api.databases import Databases


class ReadOnlyResource(ABC):
    """A kind of read-only resource.

    Arguments:
        databases: contain the rows.
    """

    member: ClassVar[str]
    """Its name in bodies, singular."""
    collection: ClassVar[str]
    """Its name in bodies and addresses, plural."""
    path: ClassVar[str] = ""
    """The last part of its URL, if it differs from the collection's name in bodies."""
    identity: ClassVar[str] = "id"
    """The attribute that identifies a resource, in URLs and as the marker of pages."""
    single: ClassVar[str] = ""
    """A policy rule for showing a single one, besides that for reading them; empty for none."""
    attributes: ClassVar[Mapping[str, Attribute]]
    extensions: ClassVar[Mapping[str, str]] = {}
    """The API extensions that it implements: name by alias."""
    rules: ClassVar[Mapping[str, str]] = {}
    """Its default policy rules."""

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.filterable = filterable(self.attributes)

    @abstractmethod
    def values(self) -> list[dict[str, Any]]:
        """Return all resources, as they are shown."""

    def select(self, filters: Mapping[str, query.Wanted]) -> list[dict[str, Any]]:
        """Return candidates for filters."""
        return [value for value in self.values() if query.matches(value, filters)]

    def not_found(self, _uuid: str) -> Exception:
        """Return the error for an unknown id."""
        return HTTPNotFound()

    def find(self, uuid: str) -> dict[str, Any]:
        """Return one resource, as it is shown.

        Raises:
            NotFound: it is not there.
        """
        for value in self.values():
            if value.get(self.identity) == uuid:
                return value
        raise self.not_found(uuid)

    async def list(self, query_string: bytes, base: str) -> bytes:
        """Return the resources that a query selects, encoded; arguments are those of ``Collection.list``.

        Raises:
            HTTPBadRequest: the query is invalid.
        """
        asked = query.parse(query_string, self.filterable)
        page = query.arrange(self.select(asked.filters), asked, self.identity)
        body: dict[str, Any] = {self.collection: [query.only(asked.fields, value) for value in page]}
        if links := query.links(base, query_string, asked, page, self.identity):
            body[f"{self.collection}_links"] = links
        return _encoded(body)

    def show(self, uuid: str, query_string: bytes = b"") -> bytes:
        """Return one resource, encoded.

        Raises:
            NotFound: it is not there.
        """
        fields = query.parse(query_string, self.filterable).fields
        return _encoded({self.member: query.only(fields, self.find(uuid))})


class PartlyWritable(ReadOnlyResource):
    """A read-only resource with some writable attributes."""

    @abstractmethod
    async def update(self, uuid: str, body: Any) -> bytes:
        """Change a resource, and return it as it then is, encoded.

        Raises:
            NeutronError: the request is refused.
        """

    @abstractmethod
    async def delete(self, uuid: str) -> None:
        """Remove what a resource was derived from.

        Raises:
            NeutronError: it cannot be deleted.
        """


def _encoded(body: Any) -> bytes:
    """Return a body in JSON, with integers of any size: IPv6 networks have more than 2**64 addresses."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
