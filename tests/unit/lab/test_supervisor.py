import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovenbird.lab import supervisor
from ovenbird.lab.process import Process, ProcessSpec, marked, record_path, stop
from ovenbird.lab.state import Kind, State
from support.waiting import until


class Cloud:
    """A supervised run directory without anything else of a lab."""

    def __init__(self, rundir: Path) -> None:
        self.rundir = rundir
        self.state = State(rundir)
        self.state.add(Kind.LAYOUT, "lab")

    def keep(self, name: str, script: str, after: tuple[str, ...] = ()) -> None:
        log = str(self.rundir / f"{name}.log")
        self.state.add(Kind.PROCESS, name, ProcessSpec(name, ("sh", "-c", script), log, after=after).to_json())
        supervisor.notify(self.rundir)

    def find(self, name: str) -> Process | None:
        return Process.load(record_path(self.rundir, name))

    def wait(self, name: str, but: Process | None = None) -> Process:
        until(lambda: self.find(name) not in {None, but}, what=f"another {name}")
        found = self.find(name)
        assert found is not None
        return found

    def lines(self, name: str) -> int:
        path = self.rundir / f"{name}.log"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path)
    supervisor.launch(tmp_path)
    cloud.wait(supervisor.NAME)
    cloud.wait(supervisor.STANDBY)
    yield cloud
    active = supervisor.active(tmp_path)
    if active:
        stop([active], grace=10)
    for _ in range(10):
        stop(marked(tmp_path))
    assert marked(tmp_path) == []


def test_a_process_that_dies_is_started_again_with_what_comes_after(cloud: Cloud) -> None:
    cloud.keep("a", "echo up; exec sleep 60", after=("sh", "-c", "echo after"))
    first = cloud.wait("a")
    until(lambda: cloud.lines("a") == 2, what="both lines")
    first.signal(signal.SIGKILL)
    cloud.wait("a", but=first)
    until(lambda: cloud.lines("a") == 4, what="both lines again")


def test_a_process_that_cannot_live_is_tried_ever_more_slowly(cloud: Cloud) -> None:
    cloud.keep("a", "echo tried; exit 1")
    until(lambda: cloud.lines("a") >= 3, what="three tries")
    log = Path(supervisor.supervisor_log(cloud.rundir))
    until(lambda: "a ended; starting it again in 0.4 s" in log.read_text(), what="the fourth delay")
    assert "a ended; starting it again in 0.2 s" in log.read_text()
    assert cloud.lines("a") <= 5


def test_a_killed_supervisor_is_replaced_and_the_children_stay(cloud: Cloud) -> None:
    cloud.keep("a", "exec sleep 60")
    child, active, standby = cloud.wait("a"), cloud.wait(supervisor.NAME), cloud.wait(supervisor.STANDBY)
    active.signal(signal.SIGKILL)
    assert cloud.wait(supervisor.NAME, but=active) == standby
    cloud.wait(supervisor.STANDBY, but=standby)
    assert cloud.find("a") == child
    child.signal(signal.SIGKILL)
    cloud.wait("a", but=child)


def test_a_new_supervisor_finds_a_child_that_was_never_recorded(cloud: Cloud) -> None:
    cloud.keep("a", "exec sleep 60")
    child, active = cloud.wait("a"), cloud.wait(supervisor.NAME)
    record_path(cloud.rundir, "a").unlink()
    active.signal(signal.SIGKILL)
    assert cloud.wait("a") == child
    assert marked(cloud.rundir, "a") == [child]


def test_a_killed_standby_is_replaced(cloud: Cloud) -> None:
    active, standby = cloud.wait(supervisor.NAME), cloud.wait(supervisor.STANDBY)
    standby.signal(signal.SIGKILL)
    cloud.wait(supervisor.STANDBY, but=standby)
    assert cloud.find(supervisor.NAME) == active


def test_changed_and_removed_specifications_take_effect(cloud: Cloud) -> None:
    cloud.keep("a", "exec sleep 60")
    cloud.keep("b", "exec sleep 60")
    a, b = cloud.wait("a"), cloud.wait("b")
    cloud.keep("a", "exec sleep 61")
    cloud.wait("a", but=a)
    assert cloud.find("b") == b
    cloud.state.remove(Kind.PROCESS, "b")
    supervisor.notify(cloud.rundir)
    until(lambda: not b.alive, what="the end of b")


def test_a_missing_program_does_not_stop_other_processes(cloud: Cloud) -> None:
    spec = ProcessSpec("ghost", ("no-such-program",), str(cloud.rundir / "ghost.log"))
    cloud.state.add(Kind.PROCESS, "ghost", spec.to_json())
    cloud.keep("a", "exec sleep 60")
    cloud.wait("a")
    assert "cannot start ghost" in Path(supervisor.supervisor_log(cloud.rundir)).read_text()


def test_sigterm_ends_everything(cloud: Cloud) -> None:
    cloud.keep("a", "exec sleep 60")
    cloud.wait("a")
    active = cloud.wait(supervisor.NAME)
    active.signal(signal.SIGTERM)
    until(lambda: marked(cloud.rundir) == [], what="the end of all")
