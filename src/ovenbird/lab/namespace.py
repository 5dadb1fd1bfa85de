"""A network namespace: made, entered and removed with iproute2 (ip-netns(8)).

Invariant: a namespace is removed by its owner alone. The owner is written in the namespace itself, as the alias of its
loopback interface (ip-link(8)), before the namespace has a name. Making a namespace that we own already, or removing
one that does not exist, is no error, so that a crash at any point can be cleaned up.
"""

import json
import os
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lab.command import run
from ovenbird.lab.errors import ClashError, CommandError

_DIRECTORY = Path("/run/netns")


def existing(start: str) -> list[str]:
    """Return the names of the namespaces with this prefix, including incomplete ones."""
    try:
        return sorted(name for name in os.listdir(_DIRECTORY) if name.startswith(start))  # noqa: PTH208 - names alone
    except FileNotFoundError:
        return []


_OWNED = "ovenbird:"
"""The prefix of the loopback's alias in an owned namespace; the owner follows."""

_SET_UP = """
ip link set lo up alias "$1"
for knob in ipv6/conf/all/accept_dad=0 ipv6/conf/default/accept_dad=0 bridge/bridge-nf-call-iptables=0 %s; do
    [ ! -e "/proc/sys/net/${knob%%=*}" ] || echo "${knob#*=}" > "/proc/sys/net/${knob%%=*}"
done
ip netns attach "$0" $$
"""
"""Run in a new namespace: it is given its name, which must not exist, after everything else."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A named network namespace.

    Arguments:
        name: as `ip netns` shows it.
        owner: the run directory of the lab that creates it; empty for none.
    """

    name: str
    _: KW_ONLY
    owner: str = ""

    @property
    def exists(self) -> bool:
        """Whether it exists, even if incomplete."""
        return (_DIRECTORY / self.name).exists()

    @property
    def whole(self) -> bool:
        """Whether it can be entered: its name is a mount of the kernel's namespace, not a plain file."""
        try:
            return (_DIRECTORY / self.name).stat().st_dev != _DIRECTORY.stat().st_dev
        except FileNotFoundError:
            return False

    @property
    def is_foreign(self) -> bool:
        """Whether it exists and has another owner."""
        return self.whole and self.maker() != self.owner

    def maker(self) -> str:
        """Return its owner; empty if none is recorded."""
        try:
            links = self.links()
        except CommandError:
            if self.whole:
                raise
            return self.owner  # it is gone now
        return maker_of(links)

    def links(self) -> dict[str, dict[str, Any]]:
        """Return the links inside by name, each as `ip -json link` shows it.

        Raises:
            CommandError: it cannot be entered.
        """
        return {link["ifname"]: link for link in json.loads(run(["ip", "-json", "-netns", self.name, "link", "show"]))}

    def check(self) -> None:
        """Check that it may be created.

        Raises:
            ClashError: it exists and has another owner.
        """
        if not self.is_foreign:
            return
        advice = "choose another --prefix or name, or remove it"
        raise ClashError(f"the namespace {self.name} exists already, and {self.whose()}: {advice}")

    def whose(self) -> str:
        """Describe its owner: "belongs to the cloud in /run/ovenbird"."""
        maker = self.maker()
        return f"belongs to the cloud in {maker}" if maker else "was made by another program"

    def make(self, *knobs: str) -> None:
        """Create the namespace with its loopback up and without duplicate address detection, which only costs time.

        Arguments:
            knobs: kernel settings below `net/`, as `ipv6/conf/all/disable_ipv6=1`; unknown ones are skipped.

        Raises:
            ClashError: it exists and has another owner; it is not changed.
        """
        if self.whole:
            self.check()
            return
        (_DIRECTORY / self.name).unlink(missing_ok=True)  # half of one: a name without a namespace
        alias = f"{_OWNED}{self.owner}" if self.owner else ""
        try:
            run(["unshare", "--net", "sh", "-ec", _SET_UP % " ".join(knobs), self.name, alias])
        except CommandError:
            self.check()  # another program was faster
            raise

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
        """End the processes inside and remove the namespace with all its devices, unless it has another owner."""
        if not self.exists or self.is_foreign:
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


def maker_of(links: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the owner of the namespace with these links; empty if none is recorded."""
    alias = str(links.get("lo", {}).get("ifalias", ""))
    return alias.removeprefix(_OWNED) if alias.startswith(_OWNED) else ""


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself, which is what was wanted
