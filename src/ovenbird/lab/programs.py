"""Which programs a lab's cloud consists of: ours in one process, ours in several, or the originals in any place.

Every seam is a database and a wire protocol, and our programs take the originals' command lines; so to swap one is to
put another program at the head of its command line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ovenbird.lab.hypervisor import Hypervisor
from ovenbird.lab.plan import Plan
from ovenbird.lab.process import ProcessSpec, python


def ovenbird(command: str) -> tuple[str, ...]:
    """Return how one of our daemons is called, `ovenbird db` for instance, with this very interpreter."""
    return python("ovenbird.cli", command)


ORIGINAL_SERVER = ("ovsdb-server",)
ORIGINAL_NORTHD = ("ovn-northd",)
ORIGINAL_CONTROLLER = ("ovn-controller",)

_ORIGINAL_SCHEMAS = Path("/usr/share/ovn")


@dataclass(frozen=True, slots=True)
class Central:
    """The central programs of a cloud.

    Args:
        processes: what runs, in the order it is started.
        prepare: commands to run to their end before that.
        databases: which databases there are: "nb", "sb", "cloud".
        api: whether the network API is among them.
    """

    processes: tuple[ProcessSpec, ...]
    prepare: tuple[tuple[str, ...], ...]
    databases: tuple[str, ...]
    api: bool


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
    return Central((process,), (), ("nb", "sb", "cloud"), api=True)


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
        str(plan.rundir / f"{database}.db"),
    )


def _northd(plan: Plan, program: tuple[str, ...]) -> ProcessSpec:
    return _spec(
        plan,
        "northd",
        *program,
        "--no-chdir",
        "-vsyslog:off",
        f"--unixctl={plan.rundir}/northd.ctl",
        f"--ovnnb-db={plan.remote('nb')}",
        f"--ovnsb-db={plan.remote('sb')}",
    )


def split(
    *,
    server: tuple[str, ...] | None = None,
    northd: tuple[str, ...] | None = None,
    cloud_schema: Path | None = None,
    schemas: Path = _ORIGINAL_SCHEMAS,
) -> CentralPrograms:
    """Return central programs that are a process each: three database servers, northd, and the API with its compiler.

    Args:
        server: the program that serves databases in place of `ovenbird db`.
        northd: the program that compiles Northbound in place of `ovenbird northd`.
        cloud_schema: the schema file of the Cloud database; None leaves Cloud and the API away.
        schemas: directory of ovn-nb.ovsschema and ovn-sb.ovsschema.
    """

    def decide(plan: Plan) -> Central:
        files = {"nb": schemas / "ovn-nb.ovsschema", "sb": schemas / "ovn-sb.ovsschema"}
        if cloud_schema is not None:
            files["cloud"] = cloud_schema
        processes = [_server(plan, database, server or ovenbird("db")) for database in files]
        processes.append(_northd(plan, northd or ovenbird("northd")))
        if cloud_schema is not None:
            remotes = (f"--cloud-db={plan.remote('cloud')}", f"--ovnnb-db={plan.remote('nb')}")
            processes.append(_spec(plan, "api", *ovenbird("api"), *remotes, f"--port={plan.api_port}"))
        journals = {database: str(plan.rundir / f"{database}.db") for database in files}
        prepare = tuple(("ovsdb-tool", "create", journals[database], str(files[database])) for database in files)
        return Central(tuple(processes), prepare, tuple(files), api=cloud_schema is not None)

    return decide


originals = split(server=ORIGINAL_SERVER, northd=ORIGINAL_NORTHD)
"""OVN's own central programs: Northbound, Southbound and ovn-northd, without an API."""


def controller(hypervisor: Hypervisor, program: tuple[str, ...] | None = None) -> ProcessSpec:
    """Return the specification of a hypervisor's controller.

    Args:
        hypervisor: where it runs.
        program: what runs in place of `ovenbird controller`.
    """
    options = ("--no-chdir", "--pidfile", "-vsyslog:off")
    argv = (*(program or ovenbird("controller")), *options, f"unix:{hypervisor.database}")
    return hypervisor.process("controller", argv)
