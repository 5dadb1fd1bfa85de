# ruff: noqa: N818 (the classes have the names that Neutron sends as "type")
"""The base classes of the API's errors, and their form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


LONGEST_MESSAGE = 2000
"""Maximum characters of a message, which may quote an unlimited part of a request."""


class NeutronError(Exception):
    """An error response. Keyword arguments fill the message's placeholders."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = ""
    """The body's `type`, where that is not the class's name."""
    message: ClassVar[str] = "An unknown exception occurred."

    def __init__(self, **values: Any) -> None:
        text = self.message.format(**values)
        super().__init__(text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…")

    def body(self) -> dict[str, Any]:
        """Return the response's JSON."""
        return error_body(self.kind or type(self).__name__, message=str(self))

    def headers(self) -> Mapping[str, str]:
        """Return the response's additional headers."""
        return {}


class BadRequest(NeutronError):
    """The request is invalid."""

    status = 400


class NotFound(NeutronError):
    """There is no such resource."""

    status = 404
    message = "An unknown exception occurred."


class Conflict(NeutronError):
    """The request conflicts with existing resources."""

    status = 409


def error_body(kind: str, *, message: str) -> dict[str, Any]:
    """Return the JSON of an error."""
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}
