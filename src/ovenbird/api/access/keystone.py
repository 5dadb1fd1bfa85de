"""Authentication by Keystone: the identity service validates a request's token.

Identity API v3: ``POST /v3/auth/tokens`` authenticates the service itself. ``GET /v3/auth/tokens``, with the service's
token in ``X-Auth-Token`` and the caller's in ``X-Subject-Token``, returns the caller's project and roles, or 404.
Results are cached by a hash of the token until the token expires, but no longer than ``TOKEN_HOLDS``: for this long a
revoked token may still be accepted. All requests are asynchronous; callers with cached tokens are answered while
Keystone is slow or unreachable.

The service's name and password are in a file, in the section ``keystone_authtoken`` as in neutron.conf.
"""

from __future__ import annotations

import asyncio
import configparser
import logging
import ssl
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx

from ovenbird.api.access.auth import Caller, IdentityUnavailable, Unauthorized, header
from ovenbird.api.access.token_cache import CallerCache
from ovenbird.dataclass import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from ovenbird.api.access.auth import Headers

log = logging.getLogger(__name__)

TOKEN_HOLDS = 300.0
"""Maximum seconds for which an answer is cached; keystonemiddleware's default."""
KEYSTONE_TIMEOUT = 10.0
"""Seconds that Keystone has to answer."""
LONGEST_TOKEN = 8192
"""Maximum bytes of a token that is validated."""
SECTION = "keystone_authtoken"


class KeystoneError(Exception):
    """The configuration of Keystone cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Keystone's address and this service's account; names are those of neutron.conf.

    Arguments:
        auth_url: of the identity service, with or without ``/v3``.
        username: this service's user, who may validate tokens.
        password: the user's.
        project_name: project that the user acts for.
        user_domain_name: domain of the user.
        project_domain_name: domain of the project.
        www_authenticate_uri: the address that callers are told for logging in; ``auth_url`` if empty.
        cafile: the CA certificates for Keystone's certificate; the system's if empty.
    """

    auth_url: str
    username: str
    password: str
    project_name: str = "service"
    user_domain_name: str = "Default"
    project_domain_name: str = "Default"
    www_authenticate_uri: str = ""
    cafile: str = ""

    @property
    def tokens(self) -> str:
        """The URL of tokens."""
        return f"{self.auth_url.rstrip('/').removesuffix('/v3')}/v3/auth/tokens"

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate of callers without a token."""
        return f'Keystone uri="{self.www_authenticate_uri or self.auth_url}"'

    def login(self) -> dict[str, Any]:
        """Return the body of the request for this service's token."""
        user = {"name": self.username, "password": self.password, "domain": {"name": self.user_domain_name}}
        project = {"name": self.project_name, "domain": {"name": self.project_domain_name}}
        identity = {"methods": ["password"], "password": {"user": user}}
        return {"auth": {"identity": identity, "scope": {"project": project}}}


def account(file: Path, section_name: str = SECTION) -> Account:
    """Read an account from a section of a file in the form of neutron.conf.

    Raises:
        KeystoneError: it cannot be read, or a value is missing.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(file.read_text("utf-8"), str(file))
        section = parser[section_name]
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise KeystoneError(f"{file}: {error}") from error
    except KeyError as error:
        raise KeystoneError(f"{file}: section [{section_name}] is missing") from error
    missing = [name for name in ("auth_url", "username", "password") if not section.get(name)]
    if missing:
        raise KeystoneError(f"{file}: [{section_name}] lacks {', '.join(missing)}")
    if (kind := section.get("auth_type", "password")) not in ("password", "v3password"):
        raise KeystoneError(f"{file}: auth_type is {kind}; password is needed")
    return Account(**{name: section[name] for name in Account.__slots__ if section.get(name)})


class Keystone:
    """Authenticates callers by Keystone's tokens.

    Arguments:
        account: Keystone's address and this service's account.

    Raises:
        KeystoneError: the authorities' certificates cannot be read.
    """

    restricted = True

    def __init__(self, account: Account) -> None:
        self.account = account
        self._remembered = CallerCache()
        try:
            verify = ssl.create_default_context(cafile=account.cafile or None)
        except OSError as error:
            raise KeystoneError(f"{account.cafile}: {error}") from error
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=8)
        self._http = httpx.AsyncClient(verify=verify, timeout=KEYSTONE_TIMEOUT, limits=limits, trust_env=False)
        self._own = ""
        self._logging_in = asyncio.Lock()

    # -- callers ------------------------------------------------------------------------------------------------------

    def known(self, headers: Headers) -> Caller | None:
        """Return the caller with these headers if Keystone validated the token recently."""
        token, service = header(headers, b"x-auth-token"), header(headers, b"x-service-token")
        return self._remembered.get(self._remembered.hash(token, service)) if token else None

    async def identify(self, headers: Headers) -> Caller:
        """Have Keystone validate the token in these headers.

        Raises:
            Unauthorized: the token, or that of the service that passed the request on, is missing or invalid.
            IdentityUnavailable: Keystone does not answer, or answers with an error.
        """
        token, service = header(headers, b"x-auth-token"), header(headers, b"x-service-token")
        if not token or len(token) > LONGEST_TOKEN or len(service) > LONGEST_TOKEN:
            raise Unauthorized(self.account.challenge, refused="token of an impossible length" if token else "")

        async def question() -> tuple[Caller, float]:
            caller, until = caller_of(await self._validate(token))
            if service:
                passing, ends = caller_of(await self._validate(service))
                caller = Caller(
                    project=caller.project,
                    user=caller.user,
                    roles=caller.roles,
                    service_roles=passing.roles,
                    system=caller.system,
                )
                until = min(until, ends)
            now = time.time()
            if until <= now:
                raise Unauthorized(self.account.challenge, refused=f"expired token of user {caller.user}")
            return caller, min(until, now + TOKEN_HOLDS)

        return await self._remembered.ask(self._remembered.hash(token, service), question)

    async def close(self) -> None:
        """Close the connections to Keystone."""
        await self._http.aclose()

    # -- Keystone -----------------------------------------------------------------------------------------------------

    async def _validate(self, token: bytes) -> dict[str, Any]:
        """Return Keystone's description of a token."""
        own = self._own or await self.login("")
        answer = await self._show(own, token)
        if answer.status_code in (401, 403):  # this service's own token ran out, or was revoked
            answer = await self._show(await self.login(own), token)
        if answer.status_code == 404:
            raise Unauthorized(self.account.challenge, refused="token that Keystone does not know")
        return _document(answer, 200)

    async def _show(self, own: str, token: bytes) -> httpx.Response:
        headers = {"X-Auth-Token": own.encode(), "X-Subject-Token": token}
        return await self._ask("GET", f"{self.account.tokens}?nocatalog", headers=headers)

    async def login(self, failed: str) -> str:
        """Return this service's token; a new one, unless another task has got one meanwhile.

        Arguments:
            failed: the token that was refused.
        """
        async with self._logging_in:
            if self._own == failed:
                answer = await self._ask("POST", self.account.tokens, json=self.account.login())
                _document(answer, 201)
                self._own = answer.headers.get("x-subject-token", "")
                if not self._own:
                    log.error("Keystone's answer has no X-Subject-Token")
                    raise IdentityUnavailable
            return self._own

    async def _ask(self, method: str, url: str, **what: Any) -> httpx.Response:
        try:
            return await self._http.request(method, url, **what)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.error("%s: %s", url, error or type(error).__name__)  # noqa: TRY400 (no trace: the network's fault)
            raise IdentityUnavailable from error


def _document(answer: httpx.Response, expected: int) -> dict[str, Any]:
    """Return the token in Keystone's answer."""
    if answer.status_code != expected:
        log.error("Keystone answers %s to %s %s", answer.status_code, answer.request.method, answer.request.url.path)
        raise IdentityUnavailable
    try:
        token: dict[str, Any] = answer.json()["token"]
    except (ValueError, KeyError, TypeError) as error:
        log.error("Keystone's answer has no token")  # noqa: TRY400 (the text says it all)
        raise IdentityUnavailable from error
    return token


def caller_of(token: dict[str, Any]) -> tuple[Caller, float]:
    """Return a token's caller, and its expiry (seconds since 1970).

    Raises:
        IdentityUnavailable: it does not have the form of the Identity API.
    """
    try:
        until = datetime.fromisoformat(token["expires_at"]).timestamp()
        roles = frozenset(str(role["name"]).lower() for role in token.get("roles", ()))
        project = str(token["project"]["id"]) if token.get("project") else ""
        user = str(token["user"]["id"])
    except (KeyError, TypeError, ValueError) as error:
        log.error("Keystone's token lacks something: %r", error)  # noqa: TRY400 (the text says it all)
        raise IdentityUnavailable from error
    return Caller(project=project, user=user, roles=roles, system="system" in token), until
