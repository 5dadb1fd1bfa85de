"""The seam between who asks and what is answered: a request, a response, and what makes one from the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ovenbird.metadata.caller import Caller


@dataclass(frozen=True, slots=True)
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


class Source(Protocol):
    """Answers instances."""

    async def answer(self, caller: Caller, request: Request) -> Response:
        """Return what an instance is told.

        Raises:
            UpstreamError: whoever knows cannot be asked.
        """

    async def close(self) -> None:
        """Give up what the source holds."""
