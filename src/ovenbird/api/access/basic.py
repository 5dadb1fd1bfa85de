"""HTTP Basic authentication (RFC 7617) with a file written by Apache's ``htpasswd -B``: ``USER:BCRYPT`` in each line.

A user's project has the user's name. Each user is a member of that project; users listed as administrators are also
administrators. The file is read again when it changes. Checking a password is slow by design, so a separate thread does
it, one at a time: a flood of wrong passwords does not delay callers whose passwords have been checked before.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import bcrypt

from ovenbird.api.access.auth import Caller, IdentityUnavailable, Unauthorized, header
from ovenbird.api.access.token_cache import CallerCache

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from ovenbird.api.access.auth import Headers

log = logging.getLogger(__name__)

CHALLENGE = 'Basic realm="ovenbird", charset="UTF-8"'
PASSWORD_HOLDS = 300.0
"""Seconds for which a correct password is not checked again."""
LONGEST_PASSWORD = 72
"""Bytes of a password that bcrypt uses."""
MEMBER_ROLES = frozenset(("member", "reader"))
ADMIN_ROLES = frozenset(("admin", "manager", "member", "reader"))
QUEUE = 64
"""How many passwords may wait to be checked; more are refused, so that attackers cannot fill the memory."""

HASH = re.compile(r"\$2[aby]\$(0[4-9]|1[0-9]|2[0-9]|3[01])\$[./A-Za-z0-9]{53}\Z")

NOBODY = bcrypt.hashpw(b"", bcrypt.gensalt(10))
"""A hash that is checked for unknown users, so that refusing them takes as long as for known ones."""


class BasicError(Exception):
    """The password file cannot be used."""


class Basic:
    """Authenticates callers by user name and password (HTTP Basic).

    Arguments:
        file: the ``htpasswd`` file; only bcrypt hashes are accepted.
        admins: names of the administrators.

    Raises:
        BasicError: the file cannot be read, or has an invalid line.
    """

    restricted = True

    def __init__(self, file: Path, admins: Collection[str] = ("admin",)) -> None:
        self.file = file
        self.admins = frozenset(admins)
        self._remembered = CallerCache()
        self._users: dict[str, bytes] = {}
        self._read_at = (0, 0)
        self._looked = 0.0
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, "password")
        self._read()

    def _read(self) -> None:
        """Read the file if it changed."""
        try:
            status = self.file.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._read_at:
                return
            text = self.file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BasicError(f"{self.file}: {error}") from error
        self._users = users(text, where=str(self.file))
        self._read_at = stamp
        self._remembered.clear()

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < 1:
            return
        self._looked = now
        try:
            self._read()
        except BasicError:
            log.exception("the passwords read last stay in force")

    def known(self, headers: Headers) -> Caller | None:
        """Return the caller with these headers if the password was checked recently."""
        given = header(headers, b"authorization")
        if not given:
            return None
        self._refresh()
        return self._remembered.get(self._remembered.hash(given))

    async def identify(self, headers: Headers) -> Caller:
        """Check the user's password.

        Raises:
            Unauthorized: it is wrong or missing.
            IdentityUnavailable: too many passwords wait to be checked.
        """
        given = header(headers, b"authorization")
        user, password = credentials(given)

        async def question() -> tuple[Caller, float]:
            if self._waiting >= QUEUE:
                raise IdentityUnavailable
            hashed = self._users.get(user)
            self._waiting += 1
            try:
                loop = asyncio.get_running_loop()
                right = await loop.run_in_executor(
                    self._thread, bcrypt.checkpw, password[:LONGEST_PASSWORD], hashed or NOBODY
                )
            finally:
                self._waiting -= 1
            if not right or hashed is None:
                raise Unauthorized(
                    CHALLENGE, refused=f"{'user' if hashed is None else 'password of'} {user[:LONGEST_PASSWORD]}"
                )
            roles = ADMIN_ROLES if user in self.admins else MEMBER_ROLES
            return Caller(project=user, user=user, roles=roles), time.time() + PASSWORD_HOLDS

        return await self._remembered.ask(self._remembered.hash(given), question)

    async def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def credentials(given: bytes) -> tuple[str, bytes]:
    """Return the user and the password in an Authorization header.

    Raises:
        Unauthorized: there are none.
    """
    scheme, _, encoded = given.partition(b" ")
    if scheme.lower() != b"basic":
        raise Unauthorized(CHALLENGE, refused="Authorization that is not Basic" if given else "")
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        user = name.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthorized(CHALLENGE, refused="malformed Authorization") from error
    if not colon or not user or b"\0" in password:
        raise Unauthorized(CHALLENGE, refused="malformed Authorization")
    return user, password


def users(text: str, *, where: str) -> dict[str, bytes]:
    """Return the hash of each user's password in the text of a password file.

    Arguments:
        text: of the file.
        where: its name, for errors.

    Raises:
        BasicError: a line is not ``USER:BCRYPT``.
    """
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, _, hashed = line.strip().partition(":")
        if not user or not HASH.match(hashed):
            raise BasicError(f"{where}, line {number}: USER:HASH with a bcrypt hash is needed (htpasswd -B)")
        found[user] = hashed.encode()
    return found
