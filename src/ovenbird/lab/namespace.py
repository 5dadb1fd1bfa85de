"""A network namespace: made, entered and removed with iproute2 (ip-netns(8)).

To make one that exists or to remove one that does not is no error, so that a crash at any point can be cleaned up.
"""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ovenbird.lab.command import run
from ovenbird.lab.errors import CommandError

_DIRECTORY = Path("/run/netns")


def existing(start: str) -> list[str]:
    """Return the names of the namespaces whose names begin thus, even of those only half of which was made."""
    try:
        return sorted(name for name in os.listdir(_DIRECTORY) if name.startswith(start))  # noqa: PTH208 - names alone
    except FileNotFoundError:
        return []


_SET_UP = """
ip link set lo up
for knob in ipv6/conf/all/accept_dad=0 ipv6/conf/default/accept_dad=0 bridge/bridge-nf-call-iptables=0 %s; do
    [ ! -e "/proc/sys/net/${knob%%=*}" ] || echo "${knob#*=}" > "/proc/sys/net/${knob%%=*}"
done
"""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A named network namespace.

    Arguments:
        name: as `ip netns` shows it.
    """

    name: str

    @property
    def exists(self) -> bool:
        """Whether there is something of that name, even if only half of it was made."""
        return (_DIRECTORY / self.name).exists()

    @property
    def whole(self) -> bool:
        """Whether it can be entered: its name is a mount of the kernel's namespace, and no plain file."""
        try:
            return (_DIRECTORY / self.name).stat().st_dev != _DIRECTORY.stat().st_dev
        except FileNotFoundError:
            return False

    def make(self, *knobs: str) -> None:
        """Create the namespace with its loopback up and without duplicate address detection, which only costs time.

        Arguments:
            knobs: kernel settings below `net/`, as `ipv6/conf/all/disable_ipv6=1`; unknown ones are skipped.
        """
        if not self.whole:
            self.remove()
            run(["ip", "netns", "add", self.name])
        run(self.enter("sh", "-ec", _SET_UP % " ".join(knobs)))

    def enter(self, *argv: str) -> tuple[str, ...]:
        """Return the command line that runs a program inside; the program replaces `ip` and keeps its process id."""
        return ("ip", "netns", "exec", self.name, *argv)

    def run(self, *argv: str, timeout: float = 30.0) -> str:
        """Run a program inside to its end and return its output.

        Raises:
            CommandError: it failed.
        """
        return run(self.enter(*argv), timeout=timeout)

    def batch(self, lines: Iterable[str]) -> None:
        """Run several `ip` commands inside, in one process.

        Arguments:
            lines: commands without the leading `ip`.

        Raises:
            CommandError: one of them failed; those before it stay done.
        """
        run(["ip", "-netns", self.name, "-batch", "-"], stdin="\n".join(lines) + "\n")

    def processes(self) -> list[int]:
        """Return the ids of the processes inside."""
        if not self.whole:
            return []
        return [int(pid) for pid in run(["ip", "netns", "pids", self.name]).split()]

    def remove(self) -> None:
        """End the processes inside and remove the namespace with all its devices."""
        if not self.exists:
            return
        ignored = {os.getpid(), os.getppid()}
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes():
                if pid not in ignored:
                    _signal(pid, number)
            deadline = time.monotonic() + 1
            while set(self.processes()) - ignored and time.monotonic() < deadline:
                time.sleep(0.02)
        try:
            run(["ip", "netns", "delete", self.name])
        except CommandError:
            if self.exists:
                raise


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself, which is what was wanted
