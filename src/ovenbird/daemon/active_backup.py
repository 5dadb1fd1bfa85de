"""The roles of ovsdb-server's active-backup model: its options and commands (ovsdb-server(1), ovsdb(7)).

A backup keeps every database that it serves equal to the active server's, and refuses changes by its clients. Unlike
the original, a backup that is connected to itself, or to content that it cannot store, stays a backup and reports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.options import flag, value
from ovenbird.daemon.unixctl import UnixctlError
from ovenbird.model.options import INT
from ovenbird.net.numbers import integer
from ovenbird.ovsdb.backup import Backup
from ovenbird.ovsdb.transport import lacks_remote

if TYPE_CHECKING:
    from ovenbird.daemon.process import Daemon
    from ovenbird.ovsdb.server import Server

OPTIONS = {
    "sync-from": value(
        "SERVER",
        text="start as a backup that makes its databases equal to those of SERVER, as unix:FILE, tcp:HOST:PORT or "
        "ssl:HOST:PORT",
    ),
    "sync-exclude-tables": value("DB:TABLE,...", text="as a backup, do not replicate these tables"),
    "active": flag("with --sync-from: start as the active server; a command can make it a backup later"),
}

PROBE = 60.0
"""Seconds of silence before the active server is probed, as in ovsdb-server."""


def excluded_tables(text: str) -> dict[str, set[str]]:
    """Return the tables by database that `DB:TABLE,...` names.

    Raises:
        UsageError: it is not of that form.
    """
    tables: dict[str, set[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        database, _, table = part.partition(":")
        if not (database and table):
            raise UsageError(f"can't parse excluded table: {part}")
        tables.setdefault(database, set()).add(table)
    return tables


def _checked(active: str) -> str:
    """Return the remote of an active server.

    Raises:
        UsageError: it is invalid.
    """
    if active and (why := lacks_remote(active)):
        raise UsageError(f"{active}: not a remote of an active server: {why}")
    return active


class ActiveBackup:
    """The role of a server.

    Arguments:
        daemon: the daemon, whose options and commands determine the role.
        server: the server.

    Raises:
        UsageError: an option is invalid.
    """

    def __init__(self, daemon: Daemon, server: Server) -> None:
        self.server = server
        self.active_server = _checked(daemon.options.last("sync-from") or "")
        self.excluded = excluded_tables(daemon.options.last("sync-exclude-tables") or "")
        self.starts_as_backup = bool(self.active_server) and not daemon.options.has("active")
        self.is_backup = False
        self.probe = PROBE
        self._followed = ""
        self._backups: dict[str, Backup] = {}
        register = daemon.unixctl.register
        register("ovsdb-server/set-active-ovsdb-server", self._set_active, "SERVER", 1)
        register("ovsdb-server/get-active-ovsdb-server", lambda _: self.active_server)
        register("ovsdb-server/connect-active-ovsdb-server", self._connect)
        register("ovsdb-server/disconnect-active-ovsdb-server", self._disconnect)
        register("ovsdb-server/set-active-ovsdb-server-probe-interval", self._set_probe, "MILLISECONDS", 1)
        register("ovsdb-server/set-sync-exclude-tables", self._set_excluded, "DB:TABLE[,DB:TABLE]...", 1)
        register("ovsdb-server/get-sync-exclude-tables", lambda _: self._excluded_text())
        register("ovsdb-server/sync-status", self._status)

    def become_backup(self) -> None:
        """Replicate the active server, from the start if it was replicated before; clients become read-only."""
        self.close()
        self.is_backup = True
        self._followed = self.active_server
        self.server.set_read_only(True)
        self.update()

    def become_active(self) -> None:
        """Stop replicating, and let clients write."""
        self.close()
        self.is_backup = False
        self.server.set_read_only(False)

    def update(self) -> None:
        """Replicate exactly the databases that are served now, if this is a backup."""
        service = self.server.service
        served = {n for n, d in service.databases.items() if d is not service.directory} if self.is_backup else set()
        for name in self._backups.keys() - served:
            self._backups.pop(name).stop()
        for name in served - self._backups.keys():
            backup = self._backups[name] = Backup(
                service.databases[name],
                self._followed,
                self.excluded.get(name, ()),
                own_id=service.id,
                keys=self.server.keys,
                probe=self.probe,
            )
            backup.follow()

    def close(self) -> None:
        """Stop replicating for now."""
        for backup in self._backups.values():
            backup.stop()
        self._backups.clear()

    # -- commands -------------------------------------------------------------------------------------------------

    def _set_active(self, args: list[str]) -> str:
        self.active_server = _checked(args[0])
        return ""

    def _connect(self, _: list[str]) -> str:
        if not self.active_server:
            raise UnixctlError("Unable to connect: active server is not specified.\n")
        self.become_backup()
        return ""

    def _disconnect(self, _: list[str]) -> str:
        self.become_active()
        return ""

    def _set_probe(self, args: list[str]) -> str:
        probe = integer(args[0], high=INT)
        if probe is None:
            raise UnixctlError("Invalid probe interval, integer value expected")
        self.probe = probe / 1000
        for backup in self._backups.values():
            backup.set_probe(self.probe)
        return ""

    def _set_excluded(self, args: list[str]) -> str:
        self.excluded = excluded_tables(args[0])
        if self.is_backup:
            self.close()
            self.update()
        return ""

    def _excluded_text(self) -> str:
        return ",".join(
            f"{database}:{table}" for database in sorted(self.excluded) for table in sorted(self.excluded[database])
        )

    def _status(self, _: list[str]) -> str:
        if not self.is_backup:
            return "state: active\n"
        lines = ["state: backup"]
        following = sorted(name for name, backup in self._backups.items() if backup.connected)
        if following:
            lines += [f"replicating: {self._followed}", f"database: {', '.join(following)}"]
            if self.excluded:
                lines.append(f"exclude: {self._excluded_text()}")
        elif not any(backup.failure for backup in self._backups.values()):
            lines.append(f"connecting: {self._followed}")
        failed = sorted((name, backup.failure) for name, backup in self._backups.items() if backup.failure)
        if failed:
            lines.append(f"Replication to ({self._followed}) failed")
            lines += [f"{name}: {failure}" for name, failure in failed]
        return "".join(f"{line}\n" for line in lines)
