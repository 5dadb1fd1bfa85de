"""Authentication: callers, and how they are identified.

An authenticator turns a request's headers into a ``Caller``. ``Open`` accepts everybody and therefore only serves
loopback; `basic` checks passwords in a file, `keystone` asks the identity service. What a caller may do is decided by
`policy`; with ``Open`` every caller may do everything, as with Neutron's ``auth_strategy = noauth``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ovenbird.api.errors.base import NeutronError
from ovenbird.net.ip import ip_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Headers = Iterable[tuple[bytes, bytes]]
    """A request's headers, names in lower case, as ASGI has them."""

DEFAULT_PROJECT = "0" * 32
"""The project of callers that name none where nobody has to log in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever sent a request.

    Arguments:
        project: id of the project that new resources belong to; empty for a caller who acts for none.
        user: id of the user; empty where users are not known.
        roles: what the user is in that project, in lower case.
        service_roles: what the service is that passed the user's request on.
        system: whether the caller acts for the whole system instead of a project.
        admin: whether other projects are the caller's business too; `policy` says so of those whom it knows.
    """

    project: str = DEFAULT_PROJECT
    user: str = ""
    roles: frozenset[str] = frozenset()
    service_roles: frozenset[str] = frozenset()
    system: bool = False
    admin: bool = False


class Unauthorized(NeutronError):  # noqa: N818 (named as the others that are answers)
    """Nobody, or nobody known, is asking. The body is that of Keystone's middleware.

    Arguments:
        challenge: how to log in.
        refused: what was refused, for the log; empty where nobody tried to log in.
    """

    status = 401
    message: ClassVar[str] = "The request you have made requires authentication."

    def __init__(self, challenge: str, *, refused: str = "") -> None:
        super().__init__()
        self.challenge = challenge
        self.refused = refused

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        return {"error": {"code": self.status, "title": "Unauthorized", "message": self.message}}

    def headers(self) -> Mapping[str, str]:
        """Say how to log in."""
        return {"WWW-Authenticate": self.challenge}


class IdentityUnavailable(NeutronError):  # noqa: N818
    """Who is asking cannot be found out now."""

    status = 503
    message = "The identity service is not available."


class Authenticator(Protocol):
    """A way to know callers."""

    restricted: bool
    """Whether `policy` decides what callers may do."""

    def known(self, headers: Headers) -> Caller | None:
        """Return who sent these headers if that can be told at once, else None."""

    async def identify(self, headers: Headers) -> Caller:
        """Find out who sent these headers.

        Raises:
            Unauthorized: nobody known.
            IdentityUnavailable: it cannot be found out now.
        """

    async def close(self) -> None:
        """Give up connections."""


NOBODY_IN_PARTICULAR = Caller(admin=True)


class Open:
    """Believes everybody.

    Resources are created in the project that ``X-Project-Id`` (or the older ``X-Tenant-Id``) names, or in
    ``DEFAULT_PROJECT``.
    """

    restricted = False

    def known(self, headers: Headers) -> Caller:
        """Return who sent a request with these headers."""
        for name, value in headers:
            if name in (b"x-project-id", b"x-tenant-id") and value:
                return Caller(project=value.decode("latin-1"), admin=True)
        return NOBODY_IN_PARTICULAR

    async def identify(self, headers: Headers) -> Caller:
        """Return who sent a request with these headers."""
        return self.known(headers)

    async def close(self) -> None:
        """Do nothing: there are no connections."""


def header(headers: Headers, wanted: bytes) -> bytes:
    """Return a header's value, empty if it is not there."""
    for name, value in headers:
        if name == wanted:
            return value
    return b""


class NotLoopbackError(Exception):
    """The API would be open to the network without asking anybody who they are."""


def require_loopback(host: str) -> None:
    """Check that an address to listen on cannot be reached from another machine.

    Raises:
        NotLoopbackError: it can, or it is a name, which may mean anything.
    """
    if host == "localhost":
        return
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise NotLoopbackError(f"without authentication the API listens on a loopback address only, not on {host}")
