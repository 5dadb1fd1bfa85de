"""`ovenbird central`: three databases, both compilers and the API in one process.

The compilers and the API read the databases' own rows, without copies or JSON. All other clients (controllers, OVN's
tools) connect to sockets: the local ones, and those that the tables Connection and SSL of each database name, as with
`ovsdb-server` under `ovn-ctl`. The compilers take the same locks as they do in processes of their own, so that an
original northd can be a standby.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.daemon import api, auth_options, damage, https, northd, nova, tls
from ovenbird.daemon.counter_commands import database_memory
from ovenbird.daemon.database_remotes import database_text
from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.finding_rows import FindingWriter
from ovenbird.daemon.help import Usage
from ovenbird.daemon.options import value
from ovenbird.daemon.process import Daemon, until_stopped
from ovenbird.daemon.remotes import Remotes
from ovenbird.engine.gc_pause import GcPause
from ovenbird.model import cloud, nb, sb
from ovenbird.model.settings import SettingError, assignments
from ovenbird.model.stored_settings import UnreachableError, change
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.conversion import open_converted
from ovenbird.ovsdb.errors import OvsdbError
from ovenbird.ovsdb.journal import OnDamage, create, open_database
from ovenbird.ovsdb.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovenbird.driver.engine_driver import ActiveStandbyDriver
    from ovenbird.ovsdb.server import LocalClient

DATABASES = {"nb": (nb, 6641), "sb": (sb, 6642), "cloud": (cloud, 6643)}
"""Each database's model and its usual TCP port."""

ROOTS = {
    "nb": ("OVN_Northbound", "NB_Global"),
    "sb": ("OVN_Southbound", "SB_Global"),
    "cloud": ("Cloud", "Cloud_Global"),
}
"""Each database's name, and its table with the column `connections`, which has its remotes."""

OPTIONS = {
    "rundir": value(
        "DIR",
        text="directory of the journals (nb.db, sb.db, cloud.db) and sockets (nb.sock, sb.sock, cloud.sock); required",
    ),
    "api-port": value("PORT", text="TCP port of the API (9696)"),
    "host": value("ADDRESS", text="address that the API listens on (127.0.0.1)"),
    "set": value(
        "NAME=VALUE",
        text="change a setting of the cloud, such as metadata=true; `ovenbird settings list` shows all",
        repeats=True,
    ),
    **{
        f"{name}-port": value(
            "PORT",
            text=f"TCP port of {database} on 127.0.0.1 ({port}), 0 for none; a remote with the same port in the table "
            f"Connection or in --{name}-remote replaces it",
        )
        for name, database, port in (("nb", "Northbound", 6641), ("sb", "Southbound", 6642), ("cloud", "Cloud", 6643))
    },
    **{
        f"{name}-remote": value(
            "REMOTE",
            text=f"also serve {database} at pssl:PORT[:HOST], ptcp:PORT[:HOST] or punix:FILE (ovsdb-server(1))",
            repeats=True,
        )
        for name, database in (("nb", "Northbound"), ("sb", "Southbound"), ("cloud", "Cloud"))
    },
    **damage.OPTIONS,
    **auth_options.OPTIONS,
    **https.OPTIONS,
    **nova.OPTIONS,
}

USAGE = Usage(
    summary="serve Cloud, Northbound and Southbound, compile between them, and serve the API",
    synopsis="--rundir=DIR [OPTION]...",
    notes="""\
The databases are also served where their tables Connection say (ovn-nbctl set-connection, ovn-sbctl set-connection).
Keys for pssl: are those of --private-key, --certificate and --ca-cert, or else of each database's table SSL.""",
)


def run_directory(daemon: Daemon) -> Path:
    """Return the directory of journals and sockets, created if needed.

    Raises:
        UsageError: none was given, or it cannot be created.
    """
    given = daemon.options.last("rundir")
    if given is None:
        raise UsageError("--rundir is needed")
    directory = Path(given).absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UsageError(f"--rundir={given}: {e.strerror}") from e
    return directory


def open_all(
    servers: Mapping[str, Server], directory: Path, on_damage: OnDamage = OnDamage.REFUSE
) -> dict[str, LocalClient]:
    """Open the databases of a directory, creating missing ones, and return their clients.

    Each has a server of its own, so that a tool without a database's name uses the one it expects.

    Arguments:
        servers: by the name of the database.
        directory: where the journals are.
        on_damage: what to do with a damaged journal.

    Raises:
        UsageError: a journal cannot be used.
    """
    clients = {}
    for name, (model, _) in DATABASES.items():
        path = directory / f"{name}.db"
        try:
            if not path.exists():
                create(path, model.schema())
            own = model is cloud  # the others' schemas are OVN's, whose release may be another one
            if own:
                opened = open_converted(path, model.schema(), model.ROWS, on_damage=on_damage)
            else:
                opened = open_database(path, model.ROWS, on_damage=on_damage)
            clients[name] = servers[name].add(opened)
        except OvsdbError as e:
            raise damage.cannot_open(path, e) from e
    for name, root in (("nb", nb.NBGlobal), ("cloud", cloud.CloudGlobal)):
        if not clients[name].store.table(root).rows:
            first = clients[name].transaction()
            first.insert(root, {})
            clients[name].commit_now(first)
    return clients


def settings(daemon: Daemon) -> dict[str, str]:
    """Return the settings of the command line in stored form.

    Raises:
        UsageError: a setting is unknown or invalid.
    """
    try:
        return assignments(daemon.options.all("set"))
    except SettingError as e:
        raise UsageError(f"--set: {e}") from e


async def configure(cloud_client: LocalClient, given: Mapping[str, str]) -> None:
    """Store settings.

    Raises:
        UsageError: they cannot be stored.
    """
    try:
        await change(cloud_client, given)
    except UnreachableError as e:
        raise UsageError(f"--set: {e}") from e


async def listen(daemon: Daemon, remotes: Mapping[str, Remotes], directory: Path) -> None:
    """Serve every database at its socket, and at the remotes of the command line and of its table Connection.

    Arguments:
        daemon: the daemon with the options.
        remotes: the remotes of each database, by its name.
        directory: of the sockets.

    Raises:
        UsageError: an address of the command line cannot be bound.
    """
    for name, (_, usual) in DATABASES.items():
        port = api.tcp_port(daemon, f"{name}-port", usual)
        for remote in (f"punix:{directory / name}.sock", *daemon.options.all(f"{name}-remote")):
            await remotes[name].listen(remote)
        database, table = ROOTS[name]
        await remotes[name].follow(
            f"db:{database},{table},connections", otherwise=f"ptcp:{port}:127.0.0.1" if port else None
        )


def make_server(daemon: Daemon, name: str) -> Server:
    """Return the server of a database, with the keys of the command line or of the database's table SSL.

    Raises:
        UsageError: an option of TLS is missing or invalid.
    """

    def value(text: str) -> str:
        return database_text(server, text)

    server = Server(tls.of_database(daemon.options, ROOTS[name][0], value))
    return server


async def serve(daemon: Daemon) -> None:
    """Run until told to stop.

    Raises:
        UsageError: an option is invalid.
    """
    given = settings(daemon)
    directory = run_directory(daemon)
    servers = {name: make_server(daemon, name) for name in DATABASES}
    remotes = {name: Remotes(server) for name, server in servers.items()}
    serving = None
    try:
        with GcPause() as pause:
            clients = open_all(servers, directory, damage.on_damage(daemon.options))
            pause.keep()
        if given:
            await configure(clients["cloud"], given)
        left_out, findings = CompilerFindings(), CompilerFindings()
        compiler = northd.driver(clients["nb"], southbound=clients["sb"], findings=findings)
        drivers: list[ActiveStandbyDriver] = [
            compiler,  # first, since it has more to do after a change of Northbound
            api.driver(clients["cloud"], northbound=clients["nb"], southbound=clients["sb"], findings=left_out),
        ]
        northd.register(daemon, compiler, left_out, findings, northbound=clients["nb"], southbound=clients["sb"])
        daemon.memory.append(lambda: database_memory(clients["cloud"]))
        await listen(daemon, remotes, directory)
        port = api.tcp_port(daemon, "api-port", 9696)
        serving = api.service(daemon, clients["cloud"], northbound=clients["nb"], southbound=clients["sb"], port=port)
        telling = nova.telling(daemon, clients["cloud"], northbound=clients["nb"])
        try:
            await serving.start()
        except OSError as e:
            raise UsageError(str(e)) from e
        daemon.ready()
        writers = [
            FindingWriter("cloud", left_out, clients["cloud"]),
            FindingWriter("northd", findings, clients["cloud"]),
        ]
        compiling = [driver.run() for driver in drivers]
        await until_stopped(daemon, *compiling, *[one.run() for one in writers], *[one.run() for one in telling])
    finally:
        if serving is not None:
            await serving.stop()
        for name, server in servers.items():
            await remotes[name].close()
            await server.close()


def daemon() -> Daemon:
    """Return the daemon."""
    return Daemon("central", program="ovenbird-central", kind="ovn", own=OPTIONS, usage=USAGE, main=serve)


def main(argv: Sequence[str]) -> int:
    """Run `ovenbird central` with these arguments and return its exit status."""
    return daemon().run(list(argv))
