"""`ovenbird northd`: compile Northbound to Southbound, with the command line and commands of ovn-northd(8)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ovenbird.daemon import tls
from ovenbird.daemon.database_options import checked, database
from ovenbird.daemon.findings import FindingWriter, list_findings
from ovenbird.daemon.help import Usage
from ovenbird.daemon.options import Option, Takes, flag, value
from ovenbird.daemon.process import Daemon, until_stopped
from ovenbird.driver.engine_driver import ActiveStandbyDriver
from ovenbird.model import nb, sb
from ovenbird.model.cloud import Finding
from ovenbird.model.options import number
from ovenbird.northd.build import build
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovenbird.daemon.unixctl import Unixctl
    from ovenbird.engine.engine import Engine
    from ovenbird.engine.rows import Column
    from ovenbird.ovsdb.transaction import Client

log = logging.getLogger(__name__)

NORTHD_LOCK = "ovn_northd"
"""The lock of the active compiler, which is ovn-northd's, so that either can stand by for the other."""


def one_thread(count: str | None) -> str:
    """Return why a number of threads has no effect; empty for 1."""
    if count == "1":
        return ""
    return "changes are compiled in one thread, each at the cost of what it changes"


PROBE_INTERVAL, LEAST_PROBE_INTERVAL = 5000, 1000
"""Milliseconds of silence before a database is probed: the default and the minimum, as in ovn-northd."""

OPTIONS = {
    "ovnnb-db": value("REMOTE", text="where Northbound is served: $OVN_NB_DB, or unix:RUNDIR/ovnnb_db.sock"),
    "ovnsb-db": value("REMOTE", text="where Southbound is served: $OVN_SB_DB, or unix:RUNDIR/ovnsb_db.sock"),
    "cloud-db": value("REMOTE", text="where Cloud is served, whose table Finding gets the findings (nowhere)"),
    "dry-run": flag("start paused"),
    "n-threads": Option(
        Takes.VALUE,
        "N",
        text="accepted: there is one thread, and a warning if N is another number",
        no_effect=one_thread,
    ),
}

SHORT_OPTIONS = {"-D": "ovnnb-db", "-d": "ovnsb-db", "-n": "dry-run"}

USAGE = Usage(summary="compile OVN's Northbound database to Southbound, as ovn-northd(8) does", synopsis="[OPTION]...")


def driver(northbound: Client, *, southbound: Client, findings: CompilerFindings) -> ActiveStandbyDriver:
    """Return the driver of the compiler between two databases, which runs while it holds the lock.

    Arguments:
        northbound: the database that is read.
        southbound: the database that is written.
        findings: collects the compiler's findings.
    """
    clients = (southbound, northbound)

    def make() -> Engine:
        return build(northbound.store, sb_store=southbound.store, findings=findings, lacking=lacking(southbound))

    return ActiveStandbyDriver("northd", make, clients, NORTHD_LOCK, southbound)


def lacking(southbound: Client) -> set[Column[Any]]:
    """Return the columns that an older Southbound server lacks, or whose referenced table it lacks."""
    tables = southbound.schema.tables
    return {
        column
        for row_class in sb.ROWS
        for column in row_class.COLUMNS
        if row_class.TABLE not in tables
        or column.name not in tables[row_class.TABLE].position
        or (column.target is not None and column.target not in tables)
    }


def register(unixctl: Unixctl, running: ActiveStandbyDriver, *findings: CompilerFindings) -> None:
    """Register the commands of ovn-northd(8), and `findings/list`: rows of Northbound without effect, and why."""

    def doing(action: Callable[[], None]) -> Callable[[list[str]], str]:
        def command(_: list[str]) -> str:
            action()
            return ""

        return command

    unixctl.register("pause", doing(running.pause))
    unixctl.register("resume", doing(running.resume))
    unixctl.register("is-paused", lambda _: "true\n" if running.paused else "false\n")
    unixctl.register("status", lambda _: f"Status: {running.status}\n")
    unixctl.register("inc-engine/recompute", doing(running.recompute))
    list_findings(unixctl, *findings)


def probe_interval(northbound: Client) -> float:
    """Return the seconds of silence after which northd probes its databases, 0 for never (ovn-nb(5), NB_Global)."""
    for row in northbound.store.table(nb.NBGlobal):
        milliseconds = number(row.options, "northd_probe_interval", PROBE_INTERVAL)
        return max(milliseconds, LEAST_PROBE_INTERVAL) / 1000 if milliseconds else 0
    return PROBE_INTERVAL / 1000


def connection_status(client: Client) -> str:
    """Return the answer of a `connection-status` command."""
    return "connected\n" if client.connected else "not connected\n"


async def serve(daemon: Daemon) -> None:
    """Run until told to stop."""
    keys = tls.keys(daemon.options)
    northbound = Replica(
        database(daemon.options, "ovnnb-db", variable="OVN_NB_DB", socket="ovnnb_db.sock"),
        database="OVN_Northbound",
        row_classes=nb.ROWS,
        keys=keys,
    )
    southbound = Replica(
        database(daemon.options, "ovnsb-db", variable="OVN_SB_DB", socket="ovnsb_db.sock"),
        database="OVN_Southbound",
        row_classes=sb.ROWS,
        leader_only=True,
        keys=keys,
    )
    findings = CompilerFindings()
    running = driver(northbound, southbound=southbound, findings=findings)
    register(daemon.unixctl, running, findings)
    daemon.unixctl.register("nb-connection-status", lambda _: connection_status(northbound))
    daemon.unixctl.register("sb-connection-status", lambda _: connection_status(southbound))
    if daemon.options.has("dry-run"):
        running.pause()
    daemon.ready()

    def probe(_: object = None) -> None:
        for client in (northbound, southbound):
            client.set_probe(probe_interval(northbound))

    async def work() -> None:
        await northbound.start()
        probe()
        northbound.on_change(probe)
        await southbound.start()
        await running.run()

    tasks, clients = [work()], [northbound, southbound]
    if (remote := daemon.options.last("cloud-db")) is not None:
        cloud_client = Replica(
            checked(remote, said="--cloud-db=", options=daemon.options),
            database="Cloud",
            row_classes=(Finding,),
            leader_only=True,
            keys=keys,
        )
        tasks.append(_write_findings(findings, cloud_client))
        clients.append(cloud_client)
    try:
        await until_stopped(daemon, *tasks)
    finally:
        for client in clients:
            await client.close()


async def _write_findings(findings: CompilerFindings, cloud_client: Replica) -> None:
    """Write findings to Cloud, once it can be reached."""
    await cloud_client.start()
    await FindingWriter("northd", findings, cloud_client).run()


def daemon() -> Daemon:
    """Return the daemon."""
    return Daemon("northd", program="ovn-northd", kind="ovn", own=OPTIONS, usage=USAGE, main=serve, short=SHORT_OPTIONS)


def main(argv: Sequence[str]) -> int:
    """Run `ovenbird northd` with these arguments and return its exit status."""
    return daemon().run(list(argv))
