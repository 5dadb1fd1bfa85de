"""Who is asking. So far nobody is asked to prove it, so the API serves this machine alone.

Without authentication every caller is an administrator, as with Neutron's ``auth_strategy = noauth``: lists show every
project's resources. Resources are created in the project that ``X-Project-Id`` (or the older ``X-Tenant-Id``) names,
or in ``DEFAULT_PROJECT``.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_PROJECT = "0" * 32
"""The project of callers that name none."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request.

    Arguments:
        project: id of the project that new resources belong to.
        admin: whether other projects' resources are the caller's business too.
    """

    project: str = DEFAULT_PROJECT
    admin: bool = True


NOBODY_IN_PARTICULAR = Caller()


def caller_of(headers: Iterable[tuple[bytes, bytes]]) -> Caller:
    """Return who sent a request with these headers (names in lower case, as ASGI has them)."""
    for name, value in headers:
        if name in (b"x-project-id", b"x-tenant-id") and value:
            return Caller(value.decode("latin-1"))
    return NOBODY_IN_PARTICULAR


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
