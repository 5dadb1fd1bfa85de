"""The errors of OVSDB: one class per error string on the wire (RFC 7047, 3.1, 4.1, 5.2).

An `OvsdbError` is a value of the protocol: a server raises it while it executes an operation and sends `to_json()`; a
client gets the same class from `from_json()`. The last classes are about the connection, not about data.
"""

# ruff: noqa: N818 - errors are named as the RFC names them
from __future__ import annotations

import json
from typing import Any, ClassVar


class OvsdbError(Exception):
    """An error that an OVSDB server answers with.

    Arguments:
        details: the `details` member, a sentence for people.
        syntax: the JSON value at fault; its text becomes the `syntax` member.
    """

    error: ClassVar[str] = "ovsdb error"

    def __init__(self, details: str = "", syntax: Any = None) -> None:
        super().__init__(f"{self.error}: {details}" if details else self.error)
        self.details = details
        self.syntax = syntax
        self.row: str | None = None
        """The UUID of the row at fault, if it is known."""

    def to_json(self) -> dict[str, Any]:
        """Return the `<error>` object of RFC 7047, section 3.1."""
        answer: dict[str, Any] = {"error": self.error}
        if self.details:
            answer["details"] = self.details
        if self.syntax is not None:
            answer["syntax"] = self.syntax if isinstance(self.syntax, str) else _text(self.syntax)
        return answer


def _text(syntax: Any) -> str:
    """Return the JSON text of a peer's value, unless it is nested too deeply to be encoded."""
    try:
        return json.dumps(syntax, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return ""


class BadSyntax(OvsdbError):
    """A request, schema or value is not formed as the RFC says."""

    error = "syntax error"


class ReferentialIntegrityViolation(OvsdbError):
    """A strong reference would point to no row."""

    error = "referential integrity violation"


class ConstraintViolation(OvsdbError):
    """A value breaks its column's type, an index its uniqueness, or a table its `maxRows`."""

    error = "constraint violation"


class ResourcesExhausted(OvsdbError):
    """The server has not enough memory or space."""

    error = "resources exhausted"


class InputOutputError(OvsdbError):
    """The journal could not be written."""

    error = "I/O error"


class DuplicateUuidName(OvsdbError):
    """Two inserts of one transaction have the same `uuid-name`."""

    error = "duplicate uuid-name"


class DuplicateUuid(OvsdbError):
    """An insert asks for a UUID that is taken."""

    error = "duplicate uuid"


class DomainError(OvsdbError):
    """A mutation divides by zero."""

    error = "domain error"


class RangeError(OvsdbError):
    """A mutation's result does not fit its type."""

    error = "range error"


class TimedOut(OvsdbError):
    """A `wait` did not come true in time."""

    error = "timed out"


class NotSupported(OvsdbError):
    """The server cannot do what was asked."""

    error = "not supported"


class Aborted(OvsdbError):
    """The transaction asked to be aborted."""

    error = "aborted"


class NotOwner(OvsdbError):
    """An `assert` names a lock that the client does not hold."""

    error = "not owner"


class UnknownDatabase(OvsdbError):
    """No database has this name."""

    error = "unknown database"


class UnknownTable(OvsdbError):
    """No table has this name."""

    error = "unknown table"


class UnknownColumn(OvsdbError):
    """The table has no such column."""

    error = "unknown column"


class UnknownMonitor(OvsdbError):
    """The session has no monitor with this identifier."""

    error = "unknown monitor"


class NotAllowed(OvsdbError):
    """The database is read-only."""

    error = "not allowed"


class Canceled(OvsdbError):
    """The request was cancelled (RFC 7047, section 4.1.4)."""

    error = "canceled"


class PermissionDenied(OvsdbError):
    """The client's role may not do this (ovsdb-server(7), section 4.1.20)."""

    error = "permission error"


class ClusterError(OvsdbError):
    """A server of a cluster could not have a transaction agreed on; whether it will be is unknown."""

    error = "cluster error"


class UnknownLock(OvsdbError):
    """`unlock` names a lock that the session never asked for."""

    error = "unknown lock"


class LockExists(OvsdbError):
    """The session asked for this lock already."""

    error = "lock exists"


class DatabaseCorrupt(OvsdbError):
    """A journal has contents that no server writes."""

    error = "database corrupt"


class DamagedJournal(DatabaseCorrupt):
    """A journal has a damaged record; what comes before it could be used."""


_CLASSES: dict[str, type[OvsdbError]] = {cls.error: cls for cls in OvsdbError.__subclasses__()}


class RemoteOvsdbError(OvsdbError):
    """An error string without a class of its own."""

    def __init__(self, error: str, *, details: str = "") -> None:
        super().__init__(details)
        self.tag = error
        self.args = (f"{error}: {details}",)

    def to_json(self) -> dict[str, Any]:
        """Return the `<error>` object as it came."""
        return {"error": self.tag, "details": self.details}


def from_json(answer: Any) -> OvsdbError:
    """Return the error that a server's `<error>` object (or bare string) stands for."""
    if not isinstance(answer, dict):
        answer = {"error": str(answer)}
    tag, details = str(answer.get("error", "ovsdb error")), str(answer.get("details", ""))
    cls = _CLASSES.get(tag)
    return RemoteOvsdbError(tag, details=details) if cls is None else cls(details, answer.get("syntax"))


class ProtocolError(Exception):
    """The peer sent bytes that are not a JSON-RPC message; its connection must be closed."""


class Disconnected(Exception):
    """The server is not reachable, or went away before it answered: the outcome of a commit is unknown."""


class NotServingError(Disconnected):
    """The server is not the leader of its cluster, or not connected to it: another server may be."""
