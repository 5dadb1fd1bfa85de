"""The supervisor: it restarts the lab's processes when they die, itself included.

Two supervisors run at a time. The active one holds a lock on a file; the standby waits for that lock, which the kernel
releases when the active one ends in any way. For the active supervisor the standby is a process like any other, so each
restarts the other. They exchange nothing: what should run is in the lab's state file, what does run is in the records
of `processes/`, and a new supervisor takes over the running processes. It watches them by pidfd (pidfd_open(2)), which
works for processes that are not its children too.

Signals: on SIGHUP it reads the state file again (starts what is new, ends what is gone, restarts what has changed); on
SIGTERM it ends all processes, then itself.

A process that dies is restarted at once; one that keeps dying is restarted after increasing delays of at most 5 s.
"""

import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lab.errors import LabError
from ovenbird.lab.process import Process, ProcessSpec, marked, python, reap, record_path, spawn, stop
from ovenbird.lab.state import Kind, State

NAME = "supervisor"
STANDBY = "standby"

_STEADY = 3.0  # seconds a process must have run to be restarted at once
_SHORTEST, _LONGEST = 0.1, 5.0  # seconds between restarts of a process that keeps dying


@dataclass(slots=True)
class _Child:
    """A process under supervision."""

    spec: ProcessSpec
    process: Process | None = None
    _: KW_ONLY
    pidfd: int = -1
    started: float = 0.0
    failures: int = 0  # how often in a row it ended before it was steady
    due: float = 0.0  # when to start it, while it does not run


class Supervisor:
    """The supervisor of the lab in one run directory.

    Arguments:
        rundir: the lab's run directory.
    """

    def __init__(self, rundir: Path) -> None:
        self._rundir = rundir
        self._state = State(rundir)
        self._children: dict[str, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._ending = False
        self._reread = True

    def run(self) -> None:
        """Wait for the lock, then supervise until SIGTERM."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        lock = os.open(self._rundir / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not self._state.exists:
            return  # the lab was taken down while this one waited
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        ours.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno())
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_signal)
        self._selector.register(ours, selectors.EVENT_READ)
        _own_process().save(record_path(self._rundir, NAME))
        self._log("active")
        while not self._ending:
            if self._reread:
                self._reread = False
                self._read_state()
            for key, _ in self._selector.select(self._start_due()):
                if key.data is None:
                    ours.recv(4096)
                else:
                    self._on_exit(key.data)
        self._end()

    def _on_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGTERM:
            self._ending = True
        else:
            self._reread = True

    def _log(self, message: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        print(f"{stamp}Z supervisor[{os.getpid()}]: {message}", file=sys.stderr, flush=True)  # noqa: T201 - its log

    def _wanted(self) -> dict[str, ProcessSpec]:
        argv = python("ovenbird.lab.supervisor", str(self._rundir))
        standby = ProcessSpec(STANDBY, argv, supervisor_log(self._rundir))
        recorded = self._state.things(Kind.PROCESS)
        return {STANDBY: standby, **{name: ProcessSpec.from_json(name, data) for name, data in recorded.items()}}

    def _read_state(self) -> None:
        """Bring the children in line with the state file."""
        wanted = self._wanted()
        gone = [child for name, child in self._children.items() if wanted.get(name) != child.spec]
        for child in gone:
            self._forget(child)
            del self._children[child.spec.name]
        stop(child.process for child in gone if child.process)
        for child in gone:
            if child.spec.name not in wanted:
                record_path(self._rundir, child.spec.name).unlink(missing_ok=True)
        for name, spec in wanted.items():
            if name not in self._children:
                child = self._children[name] = _Child(spec)
                process = self._find(name)
                if process is not None:
                    self._log(f"took over {name}, process {process.pid}")
                    self._watch(child, process)

    def _find(self, name: str) -> Process | None:
        """Find a process that a supervisor before this one started, even if it died before it could record it."""
        path = record_path(self._rundir, name)
        process = Process.load(path)
        if process is None:
            process = next(iter(marked(self._rundir, name)), None)
            if process is not None:
                process.save(path)
        return process if process is not None and process.pid != os.getpid() else None

    def _start_due(self) -> float | None:
        """Start what should run and does not; return the seconds until something else is due, None for never."""
        wait = None
        for child in self._children.values():
            if child.process is not None:
                continue
            now = time.monotonic()
            if child.due <= now:
                self._start(child)
            if child.process is None:
                remaining = max(0.0, child.due - now)
                wait = remaining if wait is None else min(wait, remaining)
        return wait

    def _start(self, child: _Child) -> None:
        spec = child.spec
        try:
            process = spawn(spec, self._rundir)
        except (LabError, OSError) as error:
            self._log(f"cannot start {spec.name}: {error}")
            child.due = time.monotonic() + _LONGEST
            return
        process.save(record_path(self._rundir, spec.name))
        self._log(f"started {spec.name}, process {process.pid}")
        self._watch(child, process)
        if spec.after:
            self._watch(_Child(spec), spawn(spec, self._rundir, spec.after))

    def _watch(self, child: _Child, process: Process) -> None:
        child.process = process
        child.started = time.monotonic()
        try:
            child.pidfd = os.pidfd_open(process.pid)
        except ProcessLookupError:
            self._on_exit(child)
            return
        self._selector.register(child.pidfd, selectors.EVENT_READ, child)

    def _forget(self, child: _Child) -> None:
        if child.pidfd >= 0:
            self._selector.unregister(child.pidfd)
            os.close(child.pidfd)
            child.pidfd = -1

    def _on_exit(self, child: _Child) -> None:
        self._forget(child)
        if child.process is not None:
            reap(child.process)
        if self._children.get(child.spec.name) is not child:
            return  # a command that runs after a process: it is meant to end
        lived = time.monotonic() - child.started
        if lived > _STEADY:
            child.failures = 0
        delay = min(_LONGEST, _SHORTEST * 2 ** (child.failures - 1)) if child.failures else 0.0
        child.failures = min(child.failures + 1, 10)
        child.due = time.monotonic() + delay
        child.process = None
        self._log(f"{child.spec.name} ended; starting it again in {delay:g} s")

    def _end(self) -> None:
        """End everything, the standby first lest it take over."""
        standby = self._children.pop(STANDBY, None)
        if standby and standby.process:
            stop([standby.process])
        stop(child.process for child in self._children.values() if child.process)
        record_path(self._rundir, NAME).unlink(missing_ok=True)
        self._log("ended")


def _own_process() -> Process:
    process = Process.of(os.getpid())
    if process is None:
        raise LabError("/proc does not show this very process: it must be mounted")
    return process


def supervisor_log(rundir: Path) -> str:
    """Return the file that supervisors log to."""
    return str(rundir / "supervisor.log")


def active(rundir: Path) -> Process | None:
    """Return the active supervisor's process, None when none runs."""
    return Process.load(record_path(rundir, NAME))


def launch(rundir: Path) -> None:
    """Start a supervisor in the background; where one is active already, the new one waits to replace it."""
    record_path(rundir, NAME).parent.mkdir(parents=True, exist_ok=True)
    spawn(ProcessSpec(NAME, python("ovenbird.lab.supervisor", str(rundir)), supervisor_log(rundir)), rundir)


def notify(rundir: Path) -> None:
    """Make the active supervisor read the state file; one that becomes active later reads it anyway."""
    process = active(rundir)
    if process is not None:
        process.signal(signal.SIGHUP)


if __name__ == "__main__":
    os.chdir("/")
    Supervisor(Path(sys.argv[1])).run()
