"""`ovenbird ic`: connect this deployment with others, with the command line and commands of ovn-ic(8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.daemon import tls
from ovenbird.daemon.counter_commands import database_memory
from ovenbird.daemon.database_options import database
from ovenbird.daemon.engine_commands import register_connection, register_driver, register_standby
from ovenbird.daemon.findings import list_findings
from ovenbird.daemon.help import Usage
from ovenbird.daemon.options import value
from ovenbird.daemon.process import Daemon, until_stopped
from ovenbird.ic.driver import InterconnectionDriver
from ovenbird.model import ic_nb, ic_sb, nb, sb
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS = {
    "ovnnb-db": value("REMOTE", text="where Northbound is served: $OVN_NB_DB, or unix:RUNDIR/ovnnb_db.sock"),
    "ovnsb-db": value("REMOTE", text="where Southbound is served: $OVN_SB_DB, or unix:RUNDIR/ovnsb_db.sock"),
    "ic-nb-db": value(
        "REMOTE",
        text="where Interconnection Northbound is served: $OVN_IC_NB_DB, or unix:RUNDIR/ovn_ic_nb_db.sock",
    ),
    "ic-sb-db": value(
        "REMOTE",
        text="where Interconnection Southbound is served: $OVN_IC_SB_DB, or unix:RUNDIR/ovn_ic_sb_db.sock",
    ),
}

SHORT_OPTIONS = {"-D": "ovnnb-db", "-d": "ovnsb-db", "-I": "ic-nb-db", "-i": "ic-sb-db"}

USAGE = Usage(
    summary="exchange gateways, ports and routes with other OVN deployments, as ovn-ic(8) does",
    synopsis="[OPTION]...",
)


def _replicas(daemon: Daemon) -> dict[str, Replica]:
    """Return the clients of the four databases, by what `connection-status` commands call them.

    Raises:
        UsageError: an option says no way to reach a database.
    """
    keys, given = tls.keys(daemon.options), daemon.options
    return {
        "nb": Replica(
            database(given, "ovnnb-db", variable="OVN_NB_DB", socket="ovnnb_db.sock"),
            database="OVN_Northbound",
            row_classes=nb.ROWS,
            keys=keys,
        ),
        "sb": Replica(
            database(given, "ovnsb-db", variable="OVN_SB_DB", socket="ovnsb_db.sock"),
            database="OVN_Southbound",
            row_classes=(sb.Chassis, sb.Encap, sb.DatapathBinding, sb.PortBinding),
            leader_only=True,
            keys=keys,
        ),
        "ic-nb": Replica(
            database(given, "ic-nb-db", variable="OVN_IC_NB_DB", socket="ovn_ic_nb_db.sock"),
            database="OVN_IC_Northbound",
            row_classes=ic_nb.ROWS,
            keys=keys,
        ),
        "ic-sb": Replica(
            database(given, "ic-sb-db", variable="OVN_IC_SB_DB", socket="ovn_ic_sb_db.sock"),
            database="OVN_IC_Southbound",
            row_classes=ic_sb.ROWS,
            keys=keys,
        ),
    }


async def serve(daemon: Daemon) -> None:
    """Run until told to stop."""
    clients = _replicas(daemon)
    findings = CompilerFindings()
    running = InterconnectionDriver(
        northbound=clients["nb"],
        southbound=clients["sb"],
        ic_northbound=clients["ic-nb"],
        ic_southbound=clients["ic-sb"],
        made=findings.observe,
    )
    register_standby(daemon.unixctl, running)
    register_driver(daemon, running)
    list_findings(daemon.unixctl, findings)
    for name, client in clients.items():
        register_connection(daemon.unixctl, f"{name}-connection-status", client)
    daemon.memory.append(lambda: database_memory(*clients.values()))
    daemon.ready()

    async def work() -> None:
        for client in clients.values():
            await client.start()
        await running.run()

    try:
        await until_stopped(daemon, work())
    finally:
        for client in clients.values():
            await client.close()


def daemon() -> Daemon:
    """Return the daemon, to be run."""
    return Daemon("ic", program="ovn-ic", kind="ovn", own=OPTIONS, usage=USAGE, main=serve, short=SHORT_OPTIONS)


def main(argv: Sequence[str]) -> int:
    """Run `ovenbird ic` with these arguments and return its exit status."""
    return daemon().run(list(argv))
