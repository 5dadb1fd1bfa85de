"""The table of daemons, which parse their command lines themselves; each is imported when it is started."""

import importlib
from collections.abc import Callable, Sequence
from typing import cast

DAEMONS = {
    "api": "Serve the network API (Neutron v2.0).",
    "central": "Run databases, compilers and API in one process.",
    "controller": "Program a hypervisor's switch, as ovn-controller does.",
    "db": "Serve OVSDB databases, as ovsdb-server does.",
    "ic": "Exchange ports and routes with other deployments, as ovn-ic does.",
    "metadata": "Answer a hypervisor's instances at 169.254.169.254.",
    "northd": "Compile Northbound to Southbound, as ovn-northd does.",
    "vtep": "Connect physical switches to networks, as ovn-controller-vtep does.",
}
"""Daemons, each the `main(argv)` of a module of `ovenbird.daemon`, which parses the options of the originals itself."""


def run_daemon(name: str, argv: Sequence[str]) -> int | None:
    """Run a daemon to its end and return its exit status.

    Arguments:
        name: one of `DAEMONS`.
        argv: its command line, without program and name.
    """
    module = importlib.import_module(f"ovenbird.daemon.{name}")
    return cast("Callable[[list[str]], int | None]", module.main)(list(argv))
