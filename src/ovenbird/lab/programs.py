"""The programs that a lab's cloud consists of: ours in one process, ours in several, or the originals in any place.

All programs meet at databases and wire protocols, and ours take the originals' command lines; so replacing one means
putting another program at the head of its command line.
"""

from collections.abc import Callable
from functools import partial

from ovenbird.dataclass import dataclass
from ovenbird.lab.hypervisor import Hypervisor
from ovenbird.lab.layout import Layout
from ovenbird.lab.process import ProcessSpec, python


def ovenbird(command: str) -> tuple[str, ...]:
    """Return the command line of one of our daemons, such as `ovenbird db`, with the present interpreter."""
    return python("ovenbird.cli", command)


ORIGINAL_SERVER = ("ovsdb-server",)
ORIGINAL_NORTHD = ("ovn-northd",)
ORIGINAL_CONTROLLER = ("ovn-controller",)


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Central:
    """The central programs of a cloud.

    Arguments:
        processes: the processes, in the order in which they are started.
        databases: the databases among "nb", "sb" and "cloud".
        api: whether the network API is among them.
        prepare: called before anything is started.
    """

    processes: tuple[ProcessSpec, ...]
    databases: tuple[str, ...]
    api: bool
    prepare: Callable[[], None] = _nothing


CentralPrograms = Callable[[Layout], Central]
"""Chooses the central programs of a lab."""


def _spec(layout: Layout, name: str, *argv: str) -> ProcessSpec:
    directory = str(layout.rundir)
    env = tuple((f"{family}_{kind}", directory) for family in ("OVS", "OVN") for kind in ("RUNDIR", "LOGDIR", "DBDIR"))
    return ProcessSpec(name, argv, str(layout.rundir / f"{name}.log"), env)


def all_in_one(layout: Layout) -> Central:
    """One process with the three databases, both compilers and the API: what `ovenbird up` runs."""
    process = _spec(
        layout,
        "central",
        *ovenbird("central"),
        f"--rundir={layout.rundir}",
        f"--api-port={layout.api_port}",
        f"--nb-port={layout.nb_port}",
        f"--sb-port={layout.sb_port}",
        f"--cloud-port={layout.cloud_port}",
    )
    return Central((process,), ("nb", "sb", "cloud"), api=True)


def _server(layout: Layout, database: str, program: tuple[str, ...]) -> ProcessSpec:
    port = layout.tcp_port(database)
    return _spec(
        layout,
        f"db-{database}",
        *program,
        "--no-chdir",
        "-vsyslog:off",
        f"--unixctl={layout.rundir}/db-{database}.ctl",
        f"--remote=punix:{layout.socket(database)}",
        *([f"--remote=ptcp:{port}:127.0.0.1"] if port else []),
        str(layout.journal(database)),
    )


def _northd(layout: Layout, program: tuple[str, ...] | None, *, cloud: bool) -> ProcessSpec:
    """Return the specification of northd: the original, or ours, which writes its findings to Cloud."""
    return _spec(
        layout,
        "northd",
        *(program or ovenbird("northd")),
        "--no-chdir",
        "-vsyslog:off",
        f"--unixctl={layout.rundir}/northd.ctl",
        f"--ovnnb-db={layout.remote('nb')}",
        f"--ovnsb-db={layout.remote('sb')}",
        *([f"--cloud-db={layout.remote('cloud')}"] if cloud and program is None else []),
    )


def _create(layout: Layout, databases: tuple[str, ...]) -> None:
    """Create empty databases for a server that expects to find them, as ovsdb-server does."""
    from ovenbird.model import cloud, nb, sb  # noqa: PLC0415 - commands such as `status` need no schemas
    from ovenbird.ovsdb.journal import create  # noqa: PLC0415 - likewise

    schemas = {"nb": nb.schema, "sb": sb.schema, "cloud": cloud.schema}
    for database in databases:
        create(layout.journal(database), schemas[database]())


def split(
    *, server: tuple[str, ...] | None = None, northd: tuple[str, ...] | None = None, api: bool = True
) -> CentralPrograms:
    """Return central programs that are a process each: database servers, northd, and the API with its compiler.

    Arguments:
        server: the program that serves databases in place of `ovenbird db`.
        northd: the program that compiles Northbound in place of `ovenbird northd`.
        api: whether there is a Cloud database and an API; without them, Northbound is the top.
    """
    databases = ("nb", "sb", "cloud") if api else ("nb", "sb")

    def decide(layout: Layout) -> Central:
        processes = [_server(layout, database, server or ovenbird("db")) for database in databases]
        processes.append(_northd(layout, northd, cloud=api))
        if api:
            options = {"cloud": "cloud-db", "nb": "ovnnb-db", "sb": "ovnsb-db"}
            remotes = tuple(f"--{option}={layout.remote(database)}" for database, option in options.items())
            processes.append(_spec(layout, "api", *ovenbird("api"), *remotes, f"--port={layout.api_port}"))
        return Central(tuple(processes), databases, api, partial(_create, layout, databases))

    return decide


originals = split(server=ORIGINAL_SERVER, northd=ORIGINAL_NORTHD, api=False)
"""OVN's own central programs: Northbound, Southbound and ovn-northd, without an API."""


def controller(hypervisor: Hypervisor, program: tuple[str, ...] | None = None) -> ProcessSpec:
    """Return the specification of a hypervisor's controller.

    Arguments:
        hypervisor: where it runs.
        program: what runs in place of `ovenbird controller`.
    """
    options = ("--no-chdir", "--pidfile", "-vsyslog:off")
    argv = (*(program or ovenbird("controller")), *options, f"unix:{hypervisor.database}")
    return hypervisor.process("controller", argv)


def metadata(hypervisor: Hypervisor) -> ProcessSpec:
    """Return the specification of a hypervisor's metadata service, which serves the instances' user data.

    It runs outside of the hypervisor's namespace, so that the names of its own namespaces are visible everywhere.
    """
    layout, host = hypervisor.layout, hypervisor.name
    options = ("--no-chdir", "--pidfile", "-vsyslog:off", f"--boots={layout.boots}")
    places = (f"--namespace={layout.host_namespace(host)}", f"--prefix={layout.metadata_prefix(host)}")
    argv = (*ovenbird("metadata"), *options, *places, f"unix:{hypervisor.database}")
    return ProcessSpec(f"{host}-metadata", argv, str(hypervisor.rundir / "metadata.log"), hypervisor.env)
