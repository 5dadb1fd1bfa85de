"""`ovenbird vtep`: the controller of physical switches, with the command line of ovn-controller-vtep(8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.daemon import tls
from ovenbird.daemon.counter_commands import database_memory
from ovenbird.daemon.database_options import checked, database
from ovenbird.daemon.engine_commands import doing, register_connection, register_driver
from ovenbird.daemon.findings import list_findings
from ovenbird.daemon.help import Usage
from ovenbird.daemon.options import value
from ovenbird.daemon.process import Daemon, until_stopped
from ovenbird.model import vtep
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.replica import Replica
from ovenbird.sockets.run_directory import run_directory
from ovenbird.vtep.driver import SOUTHBOUND, VtepDriver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovenbird.daemon.options import Options

OPTIONS = {
    "vtep-db": value("REMOTE", text="where the switches' database hardware_vtep is served: unix:RUNDIR/db.sock"),
    "ovnsb-db": value("REMOTE", text="where Southbound is served: $OVN_SB_DB, or unix:RUNDIR/ovnsb_db.sock"),
}

USAGE = Usage(
    summary="connect physical switches to OVN's networks, as ovn-controller-vtep(8) does",
    synopsis="[OPTION]...",
    notes="""\
At SIGTERM and SIGINT the process leaves all rows for its successor. The command `exit` removes chassis and bindings
from Southbound, and tunnel keys and remote MACs from the switches' database.""",
)


def switches_database(options: Options) -> str:
    """Return the remote of the switches' database: of the option, or its default.

    Raises:
        UsageError: it is invalid.
    """
    if (given := options.last("vtep-db")) is not None:
        return checked(given, said="--vtep-db=", options=options)
    return f"unix:{run_directory('ovs')}/db.sock"


def register(daemon: Daemon, driver: VtepDriver, findings: CompilerFindings) -> None:
    """Register the commands besides `exit`.

    Arguments:
        daemon: whose commands.
        driver: what they are about.
        findings: what is left out, and why.
    """
    register_driver(daemon, driver)
    daemon.unixctl.register("recompute", doing(driver.recompute))
    register_connection(daemon.unixctl, "sb-connection-status", driver.southbound)
    register_connection(daemon.unixctl, "vtep-connection-status", driver.switches)
    daemon.memory.append(lambda: database_memory(driver.southbound, driver.switches))
    list_findings(daemon.unixctl, findings)


async def serve(daemon: Daemon) -> None:
    """Run until told to stop.

    Raises:
        UsageError: an option is invalid.
    """
    keys = tls.keys(daemon.options)
    switches = Replica(switches_database(daemon.options), database="hardware_vtep", row_classes=vtep.ROWS, keys=keys)
    southbound = Replica(
        database(daemon.options, "ovnsb-db", variable="OVN_SB_DB", socket="ovnsb_db.sock"),
        database="OVN_Southbound",
        row_classes=SOUTHBOUND,
        keys=keys,
    )
    findings = CompilerFindings()
    driver = VtepDriver(switches, southbound=southbound, observe=findings.observe)
    register(daemon, driver, findings)
    daemon.ready()

    async def work() -> None:
        await switches.start()
        await southbound.start()
        await driver.run()

    try:
        await until_stopped(daemon, work())
        if daemon.exit_arguments is not None:
            await driver.withdraw()
    finally:
        for client in (switches, southbound):
            await client.close()


def daemon() -> Daemon:
    """Return the daemon."""
    return Daemon(
        "vtep",
        program="ovn-controller-vtep",
        kind="ovn",
        own=OPTIONS,
        usage=USAGE,
        main=serve,
        short={"-D": "vtep-db", "-d": "ovnsb-db"},
    )


def main(argv: Sequence[str]) -> int:
    """Run `ovenbird vtep` with these arguments and return its exit status."""
    return daemon().run(list(argv))
