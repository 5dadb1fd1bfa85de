# ruff: noqa: N818 (the classes have the names that Neutron sends as "type")
"""The base classes of the API's errors, and their form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


LONGEST_MESSAGE = 2000
"""Characters of a message: it may quote what a request gives, which has no limit of its own."""


class NeutronError(Exception):
    """An answer other than success. Keyword arguments fill the message's places."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = ""
    """The body's `type`, where that is not the class's name."""
    message: ClassVar[str] = "An unknown exception occurred."

    def __init__(self, **values: Any) -> None:
        text = self.message.format(**values)
        super().__init__(text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…")

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        return error_body(self.kind or type(self).__name__, message=str(self))

    def headers(self) -> Mapping[str, str]:
        """Return the answer's own headers."""
        return {}


class BadRequest(NeutronError):
    """The request makes no sense."""

    status = 400


class NotFound(NeutronError):
    """There is no such thing."""

    status = 404
    message = "An unknown exception occurred."


class Conflict(NeutronError):
    """The request makes sense, but not with what is there."""

    status = 409


def error_body(kind: str, *, message: str) -> dict[str, Any]:
    """Return the JSON of an error."""
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}
