"""The interface between the HTTP server and what answers instances: requests, responses and the `Provider` protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ovenbird.metadata.instance_lookup import InstancePort


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request of an instance.

    Arguments:
        method: as sent.
        target: path and query, beginning with a slash.
        headers: names in lower case, and values.
        body: empty where there was none.
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
    """An answer.

    Arguments:
        status: the HTTP status.
        body: its content.
        content_type: what that is.
    """

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class Provider(Protocol):
    """Answers instances."""

    async def answer(self, instance: InstancePort, request: Request) -> Response:
        """Return what an instance is told.

        Raises:
            UpstreamError: whoever knows cannot be asked.
        """

    async def close(self) -> None:
        """Give up what the source holds."""
