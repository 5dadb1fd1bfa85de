"""`ovenbird northd`: compile Northbound to Southbound, with the command line and commands of ovn-northd(8)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ovenbird.daemon import tls
from ovenbird.daemon.counter_commands import database_memory
from ovenbird.daemon.database_options import checked, database
from ovenbird.daemon.engine_commands import doing, register_connection, register_driver, register_standby
from ovenbird.daemon.findings import list_findings
from ovenbird.daemon.help import Usage
from ovenbird.daemon.options import Option, Takes, flag, value
from ovenbird.daemon.process import Daemon, until_stopped
from ovenbird.daemon.unixctl import UnixctlError
from ovenbird.driver.engine_driver import ActiveStandbyDriver, WatchNames
from ovenbird.model import nb, sb
from ovenbird.model.options import flag as flag_option
from ovenbird.model.options import number
from ovenbird.net.numbers import integer
from ovenbird.northd.build import build
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ovenbird.daemon.finding_rows import FindingWriter
    from ovenbird.engine.engine import Engine
    from ovenbird.engine.rows import Column, Row
    from ovenbird.ovsdb.transaction import Client

log = logging.getLogger(__name__)

NORTHD_LOCK = "ovn_northd"
"""The lock of the active compiler, which is ovn-northd's, so that either can stand by for the other."""


def one_thread(count: str | None) -> str:
    """Return why a number of threads has no effect; empty for 1."""
    if count == "1":
        return ""
    return "changes are compiled in one thread, each at the cost of what it changes"


WATCHES = WatchNames(loop="ovn-northd-loop", compute="build_lflows", write="lflows_to_sb")
"""The stopwatches: of their names in ovn-northd, those that stand for the same."""

PROBE_INTERVAL, LEAST_PROBE_INTERVAL = 5000, 1000
"""Milliseconds of silence before a database is probed: the default and the minimum, as in ovn-northd."""

OPTIONS = {
    "ovnnb-db": value("REMOTE", text="where Northbound is served: $OVN_NB_DB, or unix:RUNDIR/ovnnb_db.sock"),
    "ovnsb-db": value("REMOTE", text="where Southbound is served: $OVN_SB_DB, or unix:RUNDIR/ovnsb_db.sock"),
    "cloud-db": value(
        "REMOTE",
        text="where Cloud is served; findings are written to its table Finding (by default they are not written)",
    ),
    "dry-run": flag("start paused"),
    "n-threads": Option(
        Takes.VALUE,
        "N",
        text="accepted: northd has one thread, and warns if N is not 1",
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
        absent = lacking(northbound, nb.ROWS) | lacking(southbound, sb.ROWS)
        return build(northbound.store, sb_store=southbound.store, findings=findings, lacking=absent)

    return ActiveStandbyDriver("northd", make, clients, NORTHD_LOCK, southbound, WATCHES)


def lacking(client: Client, row_classes: Iterable[type[Row]]) -> set[Column[Any]]:
    """Return the columns that an older server lacks, or whose referenced table it lacks."""
    tables = client.schema.tables
    return {
        column
        for row_class in row_classes
        for column in row_class.COLUMNS
        if row_class.TABLE not in tables
        or column.name not in tables[row_class.TABLE].position
        or (column.target is not None and column.target not in tables)
    }


FEATURES = {
    "ct_no_masked_label": "ct-no-masked-label",
    "ct_lb_related": "ovn-ct-lb-related",
    "mac_binding_timestamp": "mac-binding-timestamp",
}
"""Features of controllers that flows may ask for, by their name in `debug/chassis-features-list`, with what announces
them in `other_config` of Chassis; here flows always ask for them."""
MOST_THREADS = 256


def register(
    daemon: Daemon, running: ActiveStandbyDriver, *findings: CompilerFindings, northbound: Client, southbound: Client
) -> None:
    """Register the commands of ovn-northd(8), and `findings/list`: rows of Northbound without effect, and why.

    Arguments:
        daemon: whose commands.
        running: the compiler.
        findings: what is left out.
        northbound: the database that is read.
        southbound: the database that is written.
    """
    unixctl = daemon.unixctl
    register_standby(unixctl, running)
    register_driver(daemon, running)
    list_findings(unixctl, *findings)
    for prefix in ("", "parallel-build/"):
        unixctl.register(f"{prefix}get-n-threads", lambda _: "1\n")
        unixctl.register(f"{prefix}set-n-threads", _set_threads, "N_THREADS", 1)
    for name, client in (("nb", northbound), ("sb", southbound)):
        register_connection(unixctl, f"{name}-connection-status", client)
        if isinstance(client, Replica):
            unixctl.register(f"{name}-cluster-state-reset", doing(client.start_over))
        else:
            unixctl.refuse((f"{name}-cluster-state-reset",), "the database is served by this process itself")
    unixctl.register("debug/chassis-features-list", lambda _: features(southbound))
    unixctl.refuse(
        ("enable-cpu-profiling", "disable-cpu-profiling", "profile"),
        "they belong to ovn-northd-ddlog; see inc-engine/show-stats and stopwatch/show",
    )
    daemon.memory.append(lambda: database_memory(northbound, southbound))


def _set_threads(arguments: list[str]) -> str:
    threads = integer(arguments[0], high=MOST_THREADS)
    if not threads:
        raise UnixctlError("invalid n_threads: 0" if threads is None else f"invalid n_threads: {arguments[0]}")
    if why := one_thread(arguments[0]):
        raise UnixctlError(f"not here, because {why}")
    return ""


def features(southbound: Client) -> str:
    """Return which features all chassis announce, as `debug/chassis-features-list` prints them.

    Raises:
        UnixctlError: Southbound is not connected.
    """
    if not southbound.connected:
        raise UnixctlError("Southbound is not connected")
    chassis = [
        row
        for row in southbound.store.table(sb.Chassis).rows.values()
        if not flag_option(row.other_config, "is-remote")
    ]
    lines = []
    for name, key in FEATURES.items():
        everywhere = all(row.other_config.get(key) == "true" for row in chassis)
        lines.append(f"{name + ':':<22} {'true' if everywhere else 'false'}\n")
    return "".join(lines)


def probe_interval(northbound: Client) -> float:
    """Return the seconds of silence after which northd probes its databases, 0 for never (ovn-nb(5), NB_Global)."""
    for row in northbound.store.table(nb.NBGlobal):
        milliseconds = number(row.options, "northd_probe_interval", PROBE_INTERVAL)
        return max(milliseconds, LEAST_PROBE_INTERVAL) / 1000 if milliseconds else 0
    return PROBE_INTERVAL / 1000


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
    register(daemon, running, findings, northbound=northbound, southbound=southbound)
    if daemon.options.has("dry-run"):
        running.step_back()
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
        from ovenbird.daemon.finding_rows import FindingWriter  # noqa: PLC0415 - without Cloud its schema is not needed
        from ovenbird.model.cloud import Finding  # noqa: PLC0415 - likewise

        cloud_client = Replica(
            checked(remote, said="--cloud-db=", options=daemon.options),
            database="Cloud",
            row_classes=(Finding,),
            leader_only=True,
            keys=keys,
        )
        tasks.append(_write_findings(FindingWriter("northd", findings, cloud_client), cloud_client))
        clients.append(cloud_client)
    try:
        await until_stopped(daemon, *tasks)
    finally:
        for client in clients:
            await client.close()


async def _write_findings(writer: FindingWriter, cloud_client: Replica) -> None:
    """Write findings to Cloud, once it can be reached."""
    await cloud_client.start()
    await writer.run()


def daemon() -> Daemon:
    """Return the daemon."""
    return Daemon("northd", program="ovn-northd", kind="ovn", own=OPTIONS, usage=USAGE, main=serve, short=SHORT_OPTIONS)


def main(argv: Sequence[str]) -> int:
    """Run `ovenbird northd` with these arguments and return its exit status."""
    return daemon().run(list(argv))
