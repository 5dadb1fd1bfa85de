"""A small HTTP client of the network API (Neutron v2.0), with what the lab needs."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from ovenbird.lab.errors import ApiError

Resource = dict[str, Any]


PREFIXES = {"log": "log/"}
"""What precedes a collection's name in its address, if anything does."""


class Neutron:
    """A client of the network API, with a connection for each request; a context manager.

    It uses only the standard library: larger clients take longer to import than a command to run.

    Arguments:
        url: of the service, without the version: "http://127.0.0.1:9696".
        timeout: seconds for each answer.
    """

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        self._url = url
        self._timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: no connection stays open."""

    def _request(self, method: str, path: str, *, params: Any = None, body: Any = None) -> Any:
        place = urlsplit(self._url)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=self._timeout)
        target = f"/v2.0/{quote(path)}" + (f"?{urlencode(params, doseq=True)}" if params else "")
        data = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, target, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            raise ApiError(0, kind=type(error).__name__, message=f"{self._url} does not answer: {error}") from error
        finally:
            connection.close()
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return json.loads(content) if content else None
        try:
            reason = json.loads(content)["NeutronError"]
            kind, message = str(reason["type"]), str(reason["message"])
        except (ValueError, KeyError, TypeError):
            kind, message = answer.reason, content.decode(errors="replace")[:300]
        raise ApiError(answer.status, kind=kind, message=message)

    @staticmethod
    def _collection(resource: str) -> str:
        return f"{PREFIXES.get(resource, '')}{resource.replace('_', '-')}s"

    def create(self, resource: str, **attributes: Any) -> Resource:
        """Create a resource and return it as the API shows it.

        Arguments:
            resource: its kind in the singular: "security_group_rule".
            attributes: its attributes.

        Raises:
            ApiError: the API refuses.
        """
        created: Resource = self._request("POST", self._collection(resource), body={resource: attributes})[resource]
        return created

    def update(self, resource: str, ident: str, **attributes: Any) -> Resource:
        """Change attributes of a resource and return it.

        Raises:
            ApiError: the API refuses.
        """
        path = f"{self._collection(resource)}/{ident}"
        updated: Resource = self._request("PUT", path, body={resource: attributes})[resource]
        return updated

    def act(self, resource: str, ident: str, action: str, **arguments: Any) -> Resource:
        """Perform an action of a resource, such as a router's `add_router_interface`, and return the response.

        Arguments:
            resource: its kind: `router`.
            ident: its id.
            action: the action's name.
            arguments: the request's body.

        Raises:
            ApiError: the API refuses.
        """
        answer: Resource = self._request("PUT", f"{self._collection(resource)}/{ident}/{action}", body=arguments)
        return answer

    def list(self, resource: str, **filters: str | Sequence[str]) -> list[Resource]:
        """List resources.

        Arguments:
            resource: their kind in the singular.
            filters: attributes and the values they must have.

        Raises:
            ApiError: the API refuses.
        """
        found: list[Resource] = self._request("GET", self._collection(resource), params=filters)[f"{resource}s"]
        return found

    def show(self, resource: str, ident: str) -> Resource:
        """Return one resource.

        Raises:
            ApiError: the API refuses, or has none of this id.
        """
        found: Resource = self._request("GET", f"{self._collection(resource)}/{ident}")[resource]
        return found

    def delete(self, resource: str, ident: str) -> None:
        """Delete a resource; one that is gone already is no error.

        Raises:
            ApiError: the API refuses.
        """
        try:
            self._request("DELETE", f"{self._collection(resource)}/{ident}")
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    def find(self, resource: str, name: str) -> Resource:
        """Return the one resource of a name or an id.

        Raises:
            ApiError: there is none, or several have that name.
        """
        kind = resource.replace("_", " ")
        found = self.list(resource, name=name) or self.list(resource, id=name)
        if len(found) != 1:
            raise ApiError(404, kind="NotFound", message=f"{'several' if found else 'no'} {kind}s are named {name}")
        return found[0]

    @property
    def answers(self) -> bool:
        """Whether the service answers."""
        try:
            self._request("GET", "networks", params={"limit": "1"})
        except ApiError:
            return False
        return True
