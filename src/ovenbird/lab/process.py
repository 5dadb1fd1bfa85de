"""Processes of a lab: start them detached, find them again, and end them.

A process is identified by its id together with its start time, so that an id that the kernel has reused is never
mistaken for ours (proc(5), /proc/[pid]/stat field 22). Everything that a lab starts also carries
`OVENBIRD_LAB=<run directory>` and `OVENBIRD_PROCESS=<name>` in its environment, by which processes are found that no
record names.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lab.errors import RequirementError, WaitTimeoutError
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.requirements import environment, find_program

MARK = "OVENBIRD_LAB"
"""The environment variable that marks a lab's processes; its value is the run directory."""

NAME_MARK = "OVENBIRD_PROCESS"
"""The environment variable with a process's name in the lab."""

_POLL = 0.01  # seconds

_WITHOUT_MEMORY = 0x00200004  # PF_KTHREAD and PF_EXITING among the flags of a process's stat line


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process that the supervisor keeps running.

    Arguments:
        name: unique in the lab; it names the log and the record.
        argv: the command line; the program is searched for on PATH and in the system's directories.
        log: file that receives standard output and standard error.
        env: variables to add to the supervisor's own.
        namespace: network namespace to run in, None for the machine's own.
        after: a command to run, in the same namespace, after each start of the process.
    """

    name: str
    argv: tuple[str, ...]
    log: str
    env: tuple[tuple[str, str], ...] = ()
    namespace: str | None = None
    after: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the specification as the state file keeps it, without the name."""
        return {
            "argv": list(self.argv),
            "log": self.log,
            "env": dict(self.env),
            "namespace": self.namespace,
            "after": list(self.after),
        }

    @classmethod
    def from_json(cls, name: str, value: Mapping[str, Any]) -> "ProcessSpec":
        """Read what `to_json` wrote."""
        env = tuple(value["env"].items())
        return cls(name, tuple(value["argv"]), value["log"], env, value["namespace"], tuple(value["after"]))


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its id and when it started, in clock ticks since the machine did.

    Arguments:
        pid: the process id.
        started: field 22 of its /proc stat line.
    """

    pid: int
    _: KW_ONLY
    started: int

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """Return the present process with this id, None when there is none or it is a zombie."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()  # the name, in parentheses, may hold anything
        return None if fields[0] in "ZX" else cls(pid, started=int(fields[19]))

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return Process.of(self.pid) == self

    @property
    def stopped(self) -> bool:
        """Whether a signal or a debugger has stopped it (proc(5), states `T` and `t`)."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process still runs."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive:  # checked while the descriptor pins the process: no other can have the id
                signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            return  # it ended in between
        finally:
            os.close(fd)

    def save(self, path: Path) -> None:
        """Write the record of this process, in one step."""
        draft = path.with_name(f"{path.name}.new")
        draft.write_text(f"{self.pid} {self.started}\n")
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Process | None":
        """Return the recorded process if it still runs; None also without a complete record."""
        try:
            pid, started = map(int, path.read_text().split())
        except (FileNotFoundError, ValueError):
            return None
        process = cls(pid, started=started)
        return process if process.alive else None


def record_path(rundir: Path, name: str) -> Path:
    """Return the file that records the process of a name."""
    return rundir / "processes" / name


def spawn(spec: ProcessSpec, rundir: Path, argv: tuple[str, ...] | None = None) -> Process:
    """Start a process in a session of its own, so that it outlives its parent.

    Arguments:
        spec: what to run.
        rundir: the lab's run directory, with which the process is marked.
        argv: a command line to run in place of the specification's own.

    Raises:
        RequirementError: there is no such program.
    """
    line = argv or spec.argv
    if spec.namespace is not None:
        line = Namespace(spec.namespace).enter(*line)
    program = find_program(line[0])
    if program is None:
        raise RequirementError(f"{spec.name} cannot start: the program {line[0]} is missing")
    env = {
        **environment(),
        **dict(spec.env),
        MARK: str(rundir),
        NAME_MARK: spec.name if argv is None else "",
    }
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        program,
        line,
        env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, spec.log, append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
    )
    return Process.of(pid) or Process(pid, started=0)  # 0: it has ended already, and no process started at tick 0


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line that runs one of this package's modules with this interpreter."""
    return (sys.executable, "-P", "-m", module, *arguments)


def reap(process: Process) -> None:
    """Collect the exit status of a process if it was a child of ours and has ended."""
    try:
        os.waitpid(process.pid, os.WNOHANG)
    except ChildProcessError:
        return  # another process's child


def stop(processes: Iterable[Process], grace: float = 5.0) -> None:
    """End processes: send SIGTERM to all, and kill those that still run after the grace period.

    Arguments:
        processes: the processes.
        grace: the grace period in seconds.
    """
    _end(processes, (signal.SIGTERM, grace), (signal.SIGKILL, 5.0))


def kill(processes: Iterable[Process]) -> None:
    """Kill processes, and return when they have ended."""
    _end(processes, (signal.SIGKILL, 5.0))


def _end(processes: Iterable[Process], *attempts: tuple[signal.Signals, float]) -> None:
    remaining = list(processes)
    for number, patience in attempts:
        for process in remaining:
            process.signal(number)
        deadline = time.monotonic() + patience
        while remaining and time.monotonic() < deadline:
            for process in remaining:
                reap(process)
            remaining = [process for process in remaining if process.alive]
            if remaining:
                time.sleep(_POLL)


def marked(rundir: Path, name: str | None = None) -> list[Process]:
    """Return every process marked with this run directory, except this process and its ancestors.

    Arguments:
        rundir: the lab's run directory.
        name: only the processes of this name; None for all.
    """
    marks = {f"{MARK}={rundir}".encode()} | ({f"{NAME_MARK}={name}".encode()} if name is not None else set())
    spared = set(_lineage(os.getpid()))
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - /proc changes while it is read; names alone are safe
        if not entry.isdigit() or int(entry) in spared:
            continue
        if marks.issubset(_environ(int(entry)).split(b"\0")):
            process = Process.of(int(entry))
            if process is not None:
                found.append(process)
    return found


def _environ(pid: int) -> bytes:
    """Return the environment that a process was started with; empty if it has ended or is not readable.

    During execve(2), the environment reads as empty until the new program is laid out: the kernel sets `env_end` after
    `env_start`, and `startcode` after both (proc(5), its stat line). It is read again until it is not empty, or the
    program is laid out with an empty one, or the process is ending and has none any more, for at most 1 s.
    """
    deadline = time.monotonic() + 1.0
    while True:
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return b""
        state, flags, code, start, end = fields[0], *(int(fields[number]) for number in (6, 23, 47, 48))
        bare = (code != 0 and start == end != 0) or state in "ZX" or flags & _WITHOUT_MEMORY
        if environ or bare or time.monotonic() > deadline:
            return environ
        time.sleep(_POLL)


def _lineage(pid: int) -> list[int]:
    pids = []
    while pid > 0:
        pids.append(pid)
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
    return pids


def wait_until(condition: Callable[[], bool], what: str, *, timeout: float = 30.0, poll: float = _POLL) -> None:
    """Wait for a condition to become true.

    Arguments:
        condition: called repeatedly.
        what: what is awaited, for the error: "br-int on hv1".
        timeout: seconds.
        poll: seconds between two calls.

    Raises:
        WaitTimeoutError: it did not.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise WaitTimeoutError(f"waited {timeout:g} s without success for {what}")
        time.sleep(poll)
