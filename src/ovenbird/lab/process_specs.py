"""The processes that a lab should run: recorded here, kept running by the supervisor."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ovenbird.lab import supervisor
from ovenbird.lab.errors import ProcessDiedError
from ovenbird.lab.layout import Layout
from ovenbird.lab.process import Process, ProcessSpec, record_path, wait_until
from ovenbird.lab.state import Kind, State

_DEATHS = 5  # of one process during the start, until there is no hope


def _text(path: Path) -> str:
    """Return a file's text, empty when there is no such file."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


class LabProcesses:
    """Keeps the processes of the lab in one run directory.

    Arguments:
        layout: its names, paths, addresses and ports.
    """

    __slots__ = ("layout", "state")

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.state = State(layout.rundir)

    def keep(self, *specs: ProcessSpec) -> None:
        """Keep processes running from now on; one of the same name with another specification is replaced."""
        for spec in specs:
            self.state.add(Kind.PROCESS, spec.name, spec.to_json())
        supervisor.notify(self.layout.rundir)

    def drop(self, *names: str) -> None:
        """Stop keeping processes, and return when they have ended."""
        for name in names:
            self.state.remove(Kind.PROCESS, name)
        supervisor.notify(self.layout.rundir)
        for name in names:
            wait_until(partial(self._ended, name), f"{name} to end")

    def _ended(self, name: str) -> bool:
        return self.process(name) is None

    def process(self, name: str) -> Process | None:
        """Return the running process of a name ("central", "hv1-controller"), None while it does not run."""
        return Process.load(record_path(self.layout.rundir, name))

    def processes(self) -> dict[str, Process | None]:
        """Return all specified processes by name, each with the running one, or None."""
        names = [supervisor.NAME, supervisor.STANDBY, *self.state.things(Kind.PROCESS)]
        return {name: self.process(name) for name in names}

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition that needs the lab's processes; fail at once if one of them keeps ending."""
        names = list(self.state.things(Kind.PROCESS))
        seen: dict[str, set[str]] = {name: set() for name in names}

        def ready() -> bool:
            for name in names:
                seen[name].add(_text(record_path(self.layout.rundir, name)))
                if len(seen[name]) > _DEATHS:
                    raise ProcessDiedError(f"{name} keeps dying; waited for {what}")
            return condition()

        wait_until(ready, what, poll=0.02)

    def story(self) -> str:
        """Return the last lines of the logs, for an error."""
        parts = []
        for name, data in self.state.things(Kind.PROCESS).items():
            log = Path(data["log"])
            lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
            running = "" if self.process(name) else " (not running)"
            if lines:
                parts.append(f"{name}{running}:\n" + "\n".join(f"    {line}" for line in lines))
        return "\n".join(parts)
