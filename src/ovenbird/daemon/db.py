"""`ovenbird db`: serve OVSDB databases, with the command line of ovsdb-server(1)."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.daemon import active_backup, damage, server_commands, tls
from ovenbird.daemon.active_backup import ActiveBackup
from ovenbird.daemon.database_remotes import database_column, database_text
from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.help import Usage
from ovenbird.daemon.options import flag, value
from ovenbird.daemon.process import Daemon
from ovenbird.daemon.remotes import Remotes
from ovenbird.daemon.unixctl import UnixctlError
from ovenbird.model import cloud, ic_nb, ic_sb, nb, sb, vswitch
from ovenbird.ovsdb.compaction import compact
from ovenbird.ovsdb.errors import OvsdbError
from ovenbird.ovsdb.journal import create, open_database
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.server import Server
from ovenbird.ovsdb.transport import Remote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovenbird.ovsdb.database import Database

log = logging.getLogger(__name__)

SCHEMAS = {
    "cloud": cloud.schema,
    "nb": nb.schema,
    "sb": sb.schema,
    "ic-nb": ic_nb.schema,
    "ic-sb": ic_sb.schema,
    "vswitch": vswitch.schema,
}
DEFAULT_DATABASE = "/etc/openvswitch/conf.db"

OPTIONS = {
    "remote": value(
        "REMOTE",
        text="serve at punix:FILE, ptcp:PORT[:HOST], pssl:PORT[:HOST], or keep connecting to unix:FILE, tcp:HOST:PORT, "
        "ssl:HOST:PORT; db:DB,TABLE,COLUMN reads remotes from a database",
        repeats=True,
    ),
    "create": value(
        "SCHEMA", text=f"create each DATABASE that does not exist: {', '.join(SCHEMAS)}, or a file (.ovsschema)"
    ),
    "no-dbs": flag("without DATABASE, serve no database until `ovsdb-server/add-db` adds one"),
    "run": value("COMMAND", text="serve only while COMMAND runs"),
    "disable-file-column-diff": flag("write changed columns to the file in full, for releases before 2.16"),
    **active_backup.OPTIONS,
    **damage.OPTIONS,
}

USAGE = Usage(
    summary="serve OVSDB databases, as ovsdb-server(1) does",
    synopsis="[OPTION]... [DATABASE]...",
    about=f"where DATABASE is a file in ovsdb-server's standalone format ({DEFAULT_DATABASE} by default).",
)


class DatabaseServer:
    """The server of one process, with the commands of ovsdb-server(1).

    Arguments:
        daemon: the daemon, on whose control socket the commands are.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.on_damage = damage.on_damage(daemon.options)
        self.server: Server = Server(tls.keys(daemon.options, lambda text: database_text(self.server, text)))
        self.remotes = Remotes(self.server)
        self.role = ActiveBackup(daemon, self.server)
        self._tasks: set[asyncio.Task[Any]] = set()
        register = daemon.unixctl.register
        register("ovsdb-server/list-dbs", lambda _: "".join(f"{n}\n" for n in sorted(self.server.service.databases)))
        register("ovsdb-server/list-remotes", lambda _: "".join(f"{r}\n" for r in sorted(self.remotes.given)))
        register("ovsdb-server/add-remote", self._add_remote, "REMOTE", 1)
        register("ovsdb-server/remove-remote", self._remove_remote, "REMOTE", 1)
        register("ovsdb-server/add-db", self._add_db, "DB", 1)
        register("ovsdb-server/remove-db", self._remove_db, "DB", 1)
        register("ovsdb-server/compact", self._compact, "[DB]", 0, 1)
        server_commands.register(daemon, self.server)

    def open(self, path: Path, schema: DatabaseSchema | None = None) -> Database:
        """Serve the database of a file, which is created with `schema` if it does not exist.

        Raises:
            UsageError: the file cannot be used.
        """
        try:
            if schema is not None and not path.exists():
                create(path, schema)
            database = open_database(path, on_damage=self.on_damage)
            if database.journal is not None:
                database.journal.diffs = not self.daemon.options.has("disable-file-column-diff")
        except OvsdbError as e:
            raise damage.cannot_open(path, e) from e
        try:
            self.server.add(database)
        except ValueError as e:
            if database.journal is not None:
                database.journal.close()
            raise damage.cannot_open(path, e) from e
        self.role.update()
        return database

    # -- commands -------------------------------------------------------------------------------------------------

    def _soon(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _add_remote(self, args: list[str]) -> str:
        try:
            if args[0].startswith("db:"):
                database_column(self.server, args[0])
            else:
                Remote.parse(args[0])
        except (UsageError, ValueError) as e:
            raise UnixctlError(str(e)) from e
        self._soon(self._listen(args[0]))
        return ""

    async def _listen(self, remote: str) -> None:
        try:
            await self.remotes.listen(remote)
        except UsageError as e:
            log.warning("cannot serve at %s", e)

    def _remove_remote(self, args: list[str]) -> str:
        if args[0] not in self.remotes.given:
            raise UnixctlError("no such remote")
        self._soon(self.remotes.remove(args[0]))
        return ""

    def _add_db(self, args: list[str]) -> str:
        if args[0].startswith("relay:"):
            raise UnixctlError(f"relays are not here, because {server_commands.NO_RELAYS}")
        self.open(Path(args[0]))
        return ""

    def _remove_db(self, args: list[str]) -> str:
        if args[0] not in self.server.service.databases or args[0] == "_Server":
            raise UnixctlError(f"Failed to find the database {args[0]}.")
        database = self.server.service.remove(args[0])
        self.role.update()
        if database.journal is not None:
            database.journal.close()
        return ""

    def _compact(self, args: list[str]) -> str:
        databases = self.server.service.databases
        for name in args or [n for n, d in databases.items() if d.journal is not None]:
            if name not in databases:
                raise UnixctlError(f"no database by the name {name}")
            journal = databases[name].journal
            if journal is None:
                raise UnixctlError(f"{name}: not a database that is kept in a file")
            compact(journal, databases[name])
            self.server.compacted()
        return ""


def schema_named(name: str) -> DatabaseSchema:
    """Return one of our schemas by its short name, or the one in a file.

    Raises:
        UsageError: there is none.
    """
    if name in SCHEMAS:
        return SCHEMAS[name]()
    try:
        return DatabaseSchema.from_json(orjson.loads(Path(name).read_bytes()))
    except (OSError, orjson.JSONDecodeError, OvsdbError) as e:
        raise UsageError(f"{name}: no schema: {e}") from e


async def serve(daemon: Daemon) -> None:
    """Serve until told to stop.

    Raises:
        UsageError: an option is invalid, a journal cannot be used, or the command of `--run` has failed.
    """
    databases = DatabaseServer(daemon)
    create_as = daemon.options.last("create")
    schema = schema_named(create_as) if create_as is not None else None
    try:
        for path in daemon.options.arguments or (() if daemon.options.has("no-dbs") else (DEFAULT_DATABASE,)):
            databases.open(Path(path), schema)
        if databases.role.starts_as_backup:
            databases.role.become_backup()
        for remote in daemon.options.all("remote"):
            await databases.remotes.listen(remote)
        daemon.ready()
        command = daemon.options.last("run")
        if command is not None:
            process = await asyncio.create_subprocess_shell(command)
            if not await ended(process, daemon.stopping):
                return
            if process.returncode:
                raise UsageError(f"{command}: exit status {process.returncode}")
        else:
            await daemon.stopping.wait()
    finally:
        databases.role.close()
        await databases.remotes.close()
        await databases.server.close()


async def ended(process: asyncio.subprocess.Process, stopping: asyncio.Event) -> bool:
    """Wait for the end of a process; return false if this process has to end first, which ends that one too."""
    waits = [asyncio.ensure_future(process.wait()), asyncio.ensure_future(stopping.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    waits[1].cancel()
    if process.returncode is None:
        process.terminate()
        await waits[0]
        return False
    return True


def daemon() -> Daemon:
    """Return the daemon."""
    return Daemon("db", program="ovsdb-server", kind="ovs", own=OPTIONS, usage=USAGE, main=serve, operands=True)


def main(argv: Sequence[str]) -> int:
    """Run `ovenbird db` with these arguments and return its exit status."""
    return daemon().run(list(argv))
