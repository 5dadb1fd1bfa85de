"""The interface between the HTTP server and the providers of metadata: requests, responses, `Provider`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ovenbird.dataclass import dataclass

if TYPE_CHECKING:
    from ovenbird.metadata.instance_lookup import InstancePort


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request of an instance.

    Arguments:
        method: as sent.
        target: path and query, beginning with a slash.
        headers: names in lower case, and values.
        body: the body; empty if there is none.
    """

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Response:
    """A response.

    Arguments:
        status: the HTTP status.
        body: its content.
        content_type: its media type.
    """

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class Provider(Protocol):
    """Answers the requests of instances."""

    async def answer(self, instance: InstancePort, request: Request) -> Response:
        """Return the response to an instance's request.

        Raises:
            UpstreamError: the service that has the metadata gives no valid answer.
        """

    async def close(self) -> None:
        """Release the provider's resources, such as connections."""
