"""The options for notifying Nova of ports that become active, of `ovenbird api` and `ovenbird central`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.options import value

if TYPE_CHECKING:
    from ovenbird.api.nova import Notifier
    from ovenbird.daemon.process import Daemon
    from ovenbird.ovsdb.transaction import Client

OPTIONS = {
    "nova-url": value(
        "URL",
        text="notify Nova's Compute API at this address (http://controller:8774/v2.1) of ports that have become ACTIVE",
    ),
    "nova-account": value(
        "FILE",
        text="a file with the account for Nova: a section [nova] as in neutron.conf, with auth_url, username, password "
        "and project_name; without it the requests have no token",
    ),
}


def telling(daemon: Daemon, cloud: Client, *, northbound: Client) -> list[Notifier]:
    """Return the notifier of Nova, if the command line configures it.

    Arguments:
        daemon: the daemon with the options.
        cloud: follows Cloud.
        northbound: follows Northbound.

    Raises:
        UsageError: the options are invalid.
    """
    url, file = daemon.options.last("nova-url"), daemon.options.last("nova-account")
    if url is None:
        if file is not None:
            raise UsageError("--nova-account needs --nova-url")
        return []
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--nova-url={url}: not an address of HTTP")
    from ovenbird.api.access.keystone import Keystone, KeystoneError, account  # noqa: PLC0415 - few clouds of one's own need it
    from ovenbird.api.nova import Notifier  # noqa: PLC0415 - likewise

    try:
        tokens = Keystone(account(Path(file), "nova")) if file is not None else None
    except KeystoneError as e:
        raise UsageError(str(e)) from e
    return [Notifier(cloud, northbound=northbound, url=url, tokens=tokens)]
