"""The remotes at which a server of databases listens: those given to it, and those that its databases name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.daemon.database_remotes import DatabaseRemotes, replaces
from ovenbird.daemon.errors import UsageError

if TYPE_CHECKING:
    from ovenbird.ovsdb.server import Server

log = logging.getLogger(__name__)


class Remotes:
    """The remotes of one server.

    Arguments:
        server: the server.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.given: dict[str, DatabaseRemotes | None] = {}
        """The remotes as given; those that a database names stand for each `db:DB,TABLE,COLUMN`."""

    async def listen(self, remote: str) -> None:
        """Serve at a remote, or at those in a database; do nothing if it was given already.

        Raises:
            UsageError: its address cannot be bound.
        """
        if remote in self.given:
            return
        if remote.startswith("db:"):
            remotes = self.given[remote] = DatabaseRemotes(self.server, remote)
            await remotes.apply()
            return
        try:
            await self.server.listen(remote)
        except (OSError, ValueError) as e:
            raise UsageError(f"{remote}: {getattr(e, 'strerror', None) or e}") from e
        self.given[remote] = None

    async def follow(self, spec: str, *, otherwise: str | None) -> None:
        """Serve at the remotes in a database, and at another one while none of them replaces it.

        Arguments:
            spec: `db:DB,TABLE,COLUMN`.
            otherwise: that other remote, a passive one; a remote that was given already replaces it, too.

        Raises:
            UsageError: the database has no such column, or the other remote's address cannot be bound.
        """
        if otherwise is not None and any(replaces(remote, remote=otherwise) for remote in self.given):
            otherwise = None
        remotes = self.given[spec] = DatabaseRemotes(self.server, spec, otherwise=otherwise)
        await remotes.apply()
        if otherwise is not None and otherwise in remotes.failed:
            raise UsageError(f"{otherwise}: {remotes.failed[otherwise]}")

    async def remove(self, remote: str) -> None:
        """Stop serving at a given remote.

        Raises:
            KeyError: it was not given.
        """
        remotes = self.given.pop(remote)
        if remotes is None:
            await self.server.unlisten(remote)
        else:
            await remotes.close()

    async def close(self) -> None:
        """Stop serving at all of them."""
        for remote in tuple(self.given):
            await self.remove(remote)
