"""FRR's zebra and bgpd in a network namespace: what announces the kernel's routes, or a router outside of the cloud."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.lab.command import run
from support.processes import end

if TYPE_CHECKING:
    from ovenbird.lab.namespace import Namespace

DAEMONS = ("zebra", "bgpd")
PROGRAMS = Path("/usr/lib/frr")
USER = "frr"
"""The daemons give up root for this user, whom the package makes."""


def missing() -> list[str]:
    """Return the programs that are not installed."""
    found = [name for name in DAEMONS if not (PROGRAMS / name).exists()]
    return found + [name for name in ("vtysh",) if shutil.which(name) is None]


class Frr:
    """One pair of daemons.

    Arguments:
        namespace: where they run.
        zebra, bgpd: their configurations.
    """

    def __init__(self, namespace: Namespace, *, zebra: str, bgpd: str) -> None:
        self.namespace = namespace
        self.directory = Path(tempfile.mkdtemp(prefix="obfrr", dir="/tmp"))
        self.processes: list[subprocess.Popen[bytes]] = []
        for daemon, configuration in (("zebra", zebra), ("bgpd", bgpd)):
            (self.directory / f"{daemon}.conf").write_text(configuration)
        for path in (self.directory, *self.directory.iterdir()):
            shutil.chown(path, USER, USER)

    def start(self) -> None:
        """Start the daemons; bgpd waits for zebra by itself."""
        for daemon in DAEMONS:
            own = self.directory / daemon
            argv = self.namespace.enter(
                str(PROGRAMS / daemon),
                *("-f", f"{own}.conf", "-z", f"{self.directory}/zserv.api", "--vty_socket", str(self.directory)),
                *("-i", f"{own}.pid", "-P", "0", "--log", f"file:{own}.log"),
            )
            quiet = subprocess.DEVNULL
            self.processes.append(subprocess.Popen(argv, stdout=quiet, stderr=quiet, env=os.environ))

    def tell(self, *commands: str) -> str:
        """Run commands of vtysh one after the other."""
        words = [word for command in commands for word in ("-c", command)]
        return run(["vtysh", "--vty_socket", str(self.directory), *words])

    def stop(self) -> None:
        """End the daemons, and remove their files."""
        end(reversed(self.processes))
        shutil.rmtree(self.directory, ignore_errors=True)
