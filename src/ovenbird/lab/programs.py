"""Which programs a lab's cloud consists of: ours in one process, ours in several, or the originals in any place.

Every seam is a database and a wire protocol, and our programs take the originals' command lines; so to swap one is to
put another program at the head of its command line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ovenbird.lab.hypervisor import Hypervisor
from ovenbird.lab.plan import Plan
from ovenbird.lab.process import ProcessSpec, python


def ovenbird(command: str) -> tuple[str, ...]:
    """Return how one of our daemons is called, `ovenbird db` for instance, with this very interpreter."""
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
        processes: what runs, in the order it is started.
        databases: which databases there are: "nb", "sb", "cloud".
        api: whether the network API is among them.
        prepare: is called before anything is started.
    """

    processes: tuple[ProcessSpec, ...]
    databases: tuple[str, ...]
    api: bool
    prepare: Callable[[], None] = _nothing


CentralPrograms = Callable[[Plan], Central]
"""Decides the central programs of a lab."""


def _spec(plan: Plan, name: str, *argv: str) -> ProcessSpec:
    directory = str(plan.rundir)
    env = tuple((f"{family}_{kind}", directory) for family in ("OVS", "OVN") for kind in ("RUNDIR", "LOGDIR", "DBDIR"))
    return ProcessSpec(name, argv, str(plan.rundir / f"{name}.log"), env)


def all_in_one(plan: Plan) -> Central:
    """One process with the three databases, both compilers and the API: what `ovenbird up` runs."""
    process = _spec(
        plan,
        "central",
        *ovenbird("central"),
        f"--rundir={plan.rundir}",
        f"--api-port={plan.api_port}",
        f"--nb-port={plan.nb_port}",
        f"--sb-port={plan.sb_port}",
        f"--cloud-port={plan.cloud_port}",
    )
    return Central((process,), ("nb", "sb", "cloud"), api=True)


def _server(plan: Plan, database: str, program: tuple[str, ...]) -> ProcessSpec:
    port = plan.tcp_port(database)
    return _spec(
        plan,
        f"db-{database}",
        *program,
        "--no-chdir",
        "-vsyslog:off",
        f"--unixctl={plan.rundir}/db-{database}.ctl",
        f"--remote=punix:{plan.socket(database)}",
        *([f"--remote=ptcp:{port}:127.0.0.1"] if port else []),
        str(plan.journal(database)),
    )


def _northd(plan: Plan, program: tuple[str, ...] | None, *, cloud: bool) -> ProcessSpec:
    """Return the specification of northd: a program of others, or ours, which tells Cloud what it finds."""
    return _spec(
        plan,
        "northd",
        *(program or ovenbird("northd")),
        "--no-chdir",
        "-vsyslog:off",
        f"--unixctl={plan.rundir}/northd.ctl",
        f"--ovnnb-db={plan.remote('nb')}",
        f"--ovnsb-db={plan.remote('sb')}",
        *([f"--cloud-db={plan.remote('cloud')}"] if cloud and program is None else []),
    )


def _create(plan: Plan, databases: tuple[str, ...]) -> None:
    """Create empty databases for a server that expects to find them, as ovsdb-server does."""
    from ovenbird.model import cloud, nb, sb  # noqa: PLC0415 - commands such as `status` need no schemas
    from ovenbird.ovsdb.journal import create  # noqa: PLC0415 - likewise

    schemas = {"nb": nb.schema, "sb": sb.schema, "cloud": cloud.schema}
    for database in databases:
        create(plan.journal(database), schemas[database]())


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

    def decide(plan: Plan) -> Central:
        processes = [_server(plan, database, server or ovenbird("db")) for database in databases]
        processes.append(_northd(plan, northd, cloud=api))
        if api:
            options = {"cloud": "cloud-db", "nb": "ovnnb-db", "sb": "ovnsb-db"}
            remotes = tuple(f"--{option}={plan.remote(database)}" for database, option in options.items())
            processes.append(_spec(plan, "api", *ovenbird("api"), *remotes, f"--port={plan.api_port}"))
        return Central(tuple(processes), databases, api, partial(_create, plan, databases))

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
    """Return the specification of a hypervisor's metadata service, which tells instances what they were booted with.

    It runs outside of the hypervisor's namespace, so that the namespaces that it makes have names for everybody.
    """
    plan, host = hypervisor.plan, hypervisor.name
    options = ("--no-chdir", "--pidfile", "-vsyslog:off", f"--boots={plan.boots}")
    places = (f"--namespace={plan.host_namespace(host)}", f"--prefix={plan.metadata_prefix(host)}")
    argv = (*ovenbird("metadata"), *options, *places, f"unix:{hypervisor.database}")
    return ProcessSpec(f"{host}-metadata", argv, str(hypervisor.rundir / "metadata.log"), hypervisor.env)
