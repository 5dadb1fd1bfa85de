"""`ovenbird metadata`: answer the instances of one hypervisor at 169.254.169.254, for Nova or instead of it."""

from __future__ import annotations

import resource
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.daemon import tls
from ovenbird.daemon.database_options import local_database
from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.help import Usage
from ovenbird.daemon.options import value
from ovenbird.daemon.process import Daemon, until_stopped
from ovenbird.metadata.builtin_provider import BuiltinProvider
from ovenbird.metadata.instance_userdata import UserdataStore
from ovenbird.metadata.namespace import Plumbing
from ovenbird.metadata.service import MetadataService

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovenbird.metadata.provider import Provider

OPTIONS = {
    "nova": value("URL", text="forward requests to Nova's metadata service, such as http://controller:8775"),
    "secret-file": value("FILE", text="the secret that Nova's metadata service shares"),
    "nova-ca-cert": value("FILE", text="the authorities to trust for https, instead of the system's"),
    "boots": value("DIRECTORY", text="answer from files DEVICE_ID.json, with the user data and keys of each instance"),
    "namespace": value("NAME", text="the integration bridge is in this network namespace"),
    "prefix": value("TEXT", text="a prefix of the names of the networks' namespaces"),
    "chassis": value("NAME", text="the chassis's name, instead of system-id"),
}

USAGE = Usage(
    summary="serve each network's instances on this hypervisor at 169.254.169.254 and fe80::a9fe:a9fe",
    synopsis="(--nova=URL --secret-file=FILE | --boots=DIRECTORY) [OPTION]... [OVS-DATABASE]",
    about="""\
where OVS-DATABASE is the local ovsdb-server (unix:RUNDIR/db.sock). external_ids of its table Open_vSwitch names the
chassis, the integration bridge and the remotes of Southbound, as for the controller.""",
    notes="""\
The daemon leaves namespaces and interfaces for its successor when it ends; `ovs-appctl -t ovenbird-metadata exit
--cleanup` ends it and removes them.""",
)


def provider(daemon: Daemon) -> Provider:
    """Return the provider of metadata.

    Raises:
        UsageError: the options are incomplete, or a file cannot be used.
    """
    nova, boots = daemon.options.last("nova"), daemon.options.last("boots")
    if (nova is None) == (boots is None):
        raise UsageError("one of --nova and --boots is needed")
    if boots is not None:
        return BuiltinProvider(UserdataStore(_directory(boots)))
    secret, authorities = daemon.options.last("secret-file"), daemon.options.last("nova-ca-cert")
    if secret is None or nova is None:
        raise UsageError("--nova needs --secret-file")
    if not nova.startswith(("http://", "https://")):
        raise UsageError(f"--nova={nova}: not an http or https URL")
    from ovenbird.metadata.nova import Nova  # noqa: PLC0415 - files need no HTTP client, which takes a tenth of a second

    try:
        shared = Path(secret).read_text().strip()
        verify = ssl.create_default_context(cafile=authorities) if authorities is not None else None
    except OSError as error:
        raise UsageError(f"{secret if authorities is None else authorities}: {error.strerror or error}") from error
    if not shared:
        raise UsageError(f"{secret}: the file is empty, and has no secret")
    return Nova(nova, secret=shared, verify=verify)


def _directory(boots: str) -> Path:
    """Return the directory of boot files.

    Raises:
        UsageError: it is missing or not readable.
    """
    path = Path(boots).absolute()
    try:
        next(path.iterdir(), None)
        (path / "x.json").exists()  # files there can be looked for
    except OSError as error:
        raise UsageError(f"--boots={boots}: {error.strerror}") from error
    return path


def allow_sockets() -> None:
    """Raise the limit of descriptors: each network needs two sockets, besides the instances' connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def service(daemon: Daemon) -> MetadataService:
    """Return the metadata service.

    Raises:
        UsageError: an option is invalid.
    """
    options = daemon.options
    return MetadataService(
        local_database(options),
        Plumbing(options.last("namespace") or "", prefix=options.last("prefix") or ""),
        provider(daemon),
        chassis=options.last("chassis") or "",
        keys=tls.given(options),
    )


async def serve(daemon: Daemon) -> None:
    """Run until told to stop."""
    allow_sockets()
    running = service(daemon)
    daemon.unixctl.register("connection-status", lambda _: "connected\n" if running.connected else "not connected\n")
    daemon.unixctl.register("networks", lambda _: "".join(f"{network.id}\n" for network in running.served))
    daemon.ready()
    await until_stopped(daemon, running.run())
    if "--cleanup" in (daemon.exit_arguments or ()):
        await running.clear()


def daemon() -> Daemon:
    """Return the daemon."""
    return Daemon(
        "metadata",
        program="ovenbird-metadata",
        kind="ovn",
        own=OPTIONS,
        usage=USAGE,
        main=serve,
        short={"-n": "chassis"},
        operands=True,
        exit_options=("--cleanup",),
    )


def main(argv: Sequence[str]) -> int:
    """Run `ovenbird metadata` with these arguments and return its exit status."""
    return daemon().run(list(argv))
