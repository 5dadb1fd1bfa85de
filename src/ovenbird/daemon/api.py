"""`ovenbird api`: the Neutron v2.0 API over a remote Cloud database, and the compiler from Cloud to Northbound.

Any number of these processes may serve one Cloud; the one that holds the lock compiles.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ovenbird.api.access.auth import NotLoopbackError
from ovenbird.api.http.service import ApiService
from ovenbird.cloud import compiler
from ovenbird.daemon import auth_options, https, nova, tls
from ovenbird.daemon.database_options import database
from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.finding_rows import FindingWriter
from ovenbird.daemon.findings import list_findings
from ovenbird.daemon.help import Usage
from ovenbird.daemon.options import flag, value
from ovenbird.daemon.process import Daemon, until_stopped
from ovenbird.daemon.renumbering import Renumbering
from ovenbird.driver.engine_driver import ActiveStandbyDriver
from ovenbird.model import cloud, nb, sb
from ovenbird.net.numbers import integer
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovenbird.engine.engine import Engine
    from ovenbird.ovsdb.schema import DatabaseSchema
    from ovenbird.ovsdb.transaction import Client

CHASSIS = (sb.SBGlobal, sb.Chassis, sb.ChassisPrivate, sb.Encap, sb.PortBinding, sb.ServiceMonitor)
"""The tables of Southbound that the API and the compiler read."""

GATEWAYS: dict[str, list[object]] = {"Port_Binding": [["type", "==", "chassisredirect"], ["type", "==", "l3gateway"]]}
"""The port bindings that the API reads: those of gateways."""

CLOUD_LOCK = "ovenbird_cloud"
"""The lock, in Northbound, of the compiler that is active."""

OPTIONS = {
    "cloud-db": value("REMOTE", text="where Cloud is served: $OVENBIRD_CLOUD_DB, or unix:RUNDIR/cloud.sock"),
    "ovnnb-db": value("REMOTE", text="where Northbound is served: $OVN_NB_DB, or unix:RUNDIR/ovnnb_db.sock"),
    "ovnsb-db": value("REMOTE", text="where Southbound is served: $OVN_SB_DB, or unix:RUNDIR/ovnsb_db.sock"),
    "host": value("ADDRESS", text="the address to listen on (127.0.0.1)"),
    "port": value("PORT", text="the TCP port to listen on (9696)"),
    "no-compile": flag("serve the API only; another process compiles and notifies Nova"),
    **auth_options.OPTIONS,
    **https.OPTIONS,
    **nova.OPTIONS,
}

USAGE = Usage(
    summary="serve the Neutron v2.0 API, and compile Cloud to Northbound",
    synopsis="[OPTION]...",
    notes="The options of TLS are for the connections to the databases.",
)


def driver(
    cloud_client: Client, *, northbound: Client, southbound: Client, findings: CompilerFindings
) -> ActiveStandbyDriver:
    """Return the driver of the compiler from Cloud to Northbound, which runs while it holds the lock.

    Arguments:
        cloud_client: follows Cloud.
        northbound: follows Northbound.
        southbound: follows Southbound.
        findings: collects the compiler's findings.
    """
    clients = (northbound, cloud_client, southbound)

    def build() -> Engine:
        engine = compiler(cloud_client.store, northbound=northbound.store, southbound=southbound.store)
        findings.observe(engine)
        return engine

    return ActiveStandbyDriver("cloud", build, clients, CLOUD_LOCK, northbound)


def service(daemon: Daemon, cloud_client: Client, *, northbound: Client, southbound: Client, port: int) -> ApiService:
    """Return the API service, not yet started.

    Arguments:
        daemon: the daemon with the options.
        cloud_client: follows Cloud.
        northbound: follows Northbound.
        southbound: follows Southbound.
        port: the TCP port to listen on.

    Raises:
        UsageError: the authentication is invalid, or missing on an address other machines can reach; or keys of TLS
            are
            no good.
    """
    try:
        host = daemon.options.last("host") or "127.0.0.1"
        who = auth_options.authenticator(daemon.options)
        rules = auth_options.policy(daemon.options, who)
        keys = https.keys(daemon.options)
        return ApiService(
            cloud_client,
            northbound=northbound,
            southbound=southbound,
            host=host,
            port=port,
            authenticator=who,
            policy=rules,
            context=None if keys is None else keys.server,
        )
    except NotLoopbackError as e:
        raise UsageError(str(e)) from e


def tcp_port(daemon: Daemon, option: str, default: int) -> int:
    """Return the port that an option gives.

    Arguments:
        daemon: the daemon with the options.
        option: its name.
        default: the port without it.

    Raises:
        UsageError: it is not a port.
    """
    text = daemon.options.last(option) or str(default)
    port = integer(text, high=65535)
    if port is None:
        raise UsageError(f"--{option}={text}: not a TCP port")
    return port


def lacks(schema: DatabaseSchema) -> str:
    """Return why Cloud of another process cannot be used; empty if it has all columns that this release writes.

    One of an older release is waited for: an operator, who knows its other users, has to convert it.
    """
    tables = {name: table.position for name, table in schema.tables.items()}
    lacking = [
        f"{name}.{column}"
        for name, table in cloud.schema().tables.items()
        for column in table.position
        if column not in tables.get(name, {})
    ]
    if not lacking:
        return ""
    return f"Cloud is of schema {schema.version}, which lacks {', '.join(lacking)}: see ovsdb-client(1), convert"


async def serve(daemon: Daemon) -> None:
    """Run until told to stop.

    Raises:
        UsageError: an option is invalid.
    """
    options, keys = daemon.options, tls.keys(daemon.options)
    place = database(options, "cloud-db", variable="OVENBIRD_CLOUD_DB", socket="cloud.sock")
    cloud_client = Replica(place, database="Cloud", row_classes=cloud.ROWS, leader_only=True, keys=keys, lacks=lacks)
    place = database(options, "ovnnb-db", variable="OVN_NB_DB", socket="ovnnb_db.sock")
    northbound = Replica(place, database="OVN_Northbound", row_classes=nb.ROWS, leader_only=True, keys=keys)
    place = database(options, "ovnsb-db", variable="OVN_SB_DB", socket="ovnsb_db.sock")
    southbound = Replica(
        place, database="OVN_Southbound", row_classes=CHASSIS, conditions=GATEWAYS, leader_only=True, keys=keys
    )
    clients = (cloud_client, northbound, southbound)
    telling = nova.telling(daemon, cloud_client, northbound=northbound)
    serving = service(
        daemon, cloud_client, northbound=northbound, southbound=southbound, port=tcp_port(daemon, "port", 9696)
    )
    findings = CompilerFindings()
    list_findings(daemon.unixctl, findings)

    async def work() -> None:
        await asyncio.gather(*[client.start() for client in clients])
        if daemon.options.has("no-compile"):
            await daemon.stopping.wait()
            return
        compiling = driver(cloud_client, northbound=northbound, southbound=southbound, findings=findings)
        Renumbering(cloud_client, compiling).register(daemon.unixctl)
        written = FindingWriter("cloud", findings, cloud_client)
        await until_stopped(daemon, compiling.run(), written.run(), *[one.run() for one in telling])

    try:
        try:
            await serving.start()
        except OSError as e:
            raise UsageError(str(e)) from e
        daemon.ready()
        await until_stopped(daemon, work())  # also while databases are waited for
    finally:
        await serving.stop()
        for client in clients:
            await client.close()


def daemon() -> Daemon:
    """Return the daemon."""
    return Daemon("api", program="ovenbird-api", kind="ovn", own=OPTIONS, usage=USAGE, main=serve)


def main(argv: Sequence[str]) -> int:
    """Run `ovenbird api` with these arguments and return its exit status."""
    return daemon().run(list(argv))
