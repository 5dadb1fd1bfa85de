"""Authentication: callers, and how they are identified.

An authenticator turns a request's headers into a ``Caller``. ``Open`` accepts every request and therefore only serves
loopback; `basic` checks passwords in a file, `keystone` asks the identity service. What a caller may do is decided by
`policy`; with ``Open`` every caller may do everything, as with Neutron's ``auth_strategy = noauth``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ovenbird.api.errors.base import NeutronError
from ovenbird.dataclass import dataclass
from ovenbird.net.ip import ip_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Headers = Iterable[tuple[bytes, bytes]]
    """A request's headers, names in lower case, as ASGI has them."""

DEFAULT_PROJECT = "0" * 32
"""The project of callers that name none, where there is no authentication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The sender of a request.

    Arguments:
        project: id of the project that new resources belong to; empty if the caller acts for none.
        user: id of the user; empty without authentication.
        roles: the user's roles in that project, in lower case.
        service_roles: the roles of the service that passed the user's request on.
        system: whether the caller acts for the whole system instead of a project.
        admin: whether the caller may access all projects; if there is a policy, it decides.
    """

    project: str = DEFAULT_PROJECT
    user: str = ""
    roles: frozenset[str] = frozenset()
    service_roles: frozenset[str] = frozenset()
    system: bool = False
    admin: bool = False


class Unauthorized(NeutronError):  # noqa: N818 (named as the others that are answers)
    """The caller is not authenticated. The body is that of Keystone's middleware.

    Arguments:
        challenge: the value of WWW-Authenticate.
        refused: which credentials were refused, for the log; empty without credentials.
    """

    status = 401
    message: ClassVar[str] = "The request you have made requires authentication."

    def __init__(self, challenge: str, *, refused: str = "") -> None:
        super().__init__()
        self.challenge = challenge
        self.refused = refused

    def body(self) -> dict[str, Any]:
        """Return the response's JSON."""
        return {"error": {"code": self.status, "title": "Unauthorized", "message": self.message}}

    def headers(self) -> Mapping[str, str]:
        """Return the header with the challenge."""
        return {"WWW-Authenticate": self.challenge}


class IdentityUnavailable(NeutronError):  # noqa: N818
    """The caller cannot be authenticated now."""

    status = 503
    message = "The identity service is not available."


class Authenticator(Protocol):
    """A method of authentication."""

    restricted: bool
    """Whether the policy decides what callers may do."""

    def known(self, headers: Headers) -> Caller | None:
        """Return the caller with these headers if that is known without waiting, else None."""

    async def identify(self, headers: Headers) -> Caller:
        """Authenticate the caller with these headers.

        Raises:
            Unauthorized: the credentials are missing or wrong.
            IdentityUnavailable: the caller cannot be authenticated now.
        """

    async def close(self) -> None:
        """Close connections."""


NOBODY_IN_PARTICULAR = Caller(admin=True)


class Open:
    """Accepts every caller, without authentication.

    Resources are created in the project that ``X-Project-Id`` (or the older ``X-Tenant-Id``) names, or in
    ``DEFAULT_PROJECT``.
    """

    restricted = False

    def known(self, headers: Headers) -> Caller:
        """Return the caller with these headers."""
        for name, value in headers:
            if name in (b"x-project-id", b"x-tenant-id") and value:
                return Caller(project=value.decode("latin-1"), admin=True)
        return NOBODY_IN_PARTICULAR

    async def identify(self, headers: Headers) -> Caller:
        """Return the caller with these headers."""
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
    """The API would be reachable from the network without authentication."""


def require_loopback(host: str) -> None:
    """Check that an address to listen on cannot be reached from another machine.

    Raises:
        NotLoopbackError: it can, or it is a name, which may resolve to any address.
    """
    if host == "localhost":
        return
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise NotLoopbackError(f"without authentication the API listens on a loopback address only, not on {host}")
