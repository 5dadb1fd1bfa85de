import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovenbird.lab import process
from ovenbird.lab.errors import RequirementError, WaitTimeoutError
from ovenbird.lab.process import Process, ProcessSpec, marked, reap, spawn, stop, wait_until
from support.waiting import until


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    stop(marked(tmp_path))
    assert marked(tmp_path) == []


def _spec(tmp_path: Path, *argv: str, name: str = "it") -> ProcessSpec:
    return ProcessSpec(name, argv, str(tmp_path / "log"), env=(("COLOUR", "red"),))


def test_a_process_runs_in_its_own_session_with_its_variables_and_log(tmp_path: Path) -> None:
    it = spawn(_spec(tmp_path, "sh", "-c", "echo $COLOUR $OVENBIRD_LAB; echo oops >&2; exec sleep 60"), tmp_path)
    until(lambda: (tmp_path / "log").read_text() == f"red {tmp_path}\noops\n", what="its output")
    assert it.alive
    assert os.getsid(it.pid) == it.pid
    assert marked(tmp_path) == [it] == marked(tmp_path, "it")
    assert marked(tmp_path, "other") == []
    stop([it])
    assert not it.alive
    assert marked(tmp_path) == []


def test_a_process_is_found_while_it_replaces_its_program(tmp_path: Path) -> None:
    program = tmp_path / "again"
    program.write_text('#!/bin/sh\nexec "$0"\n')
    program.chmod(0o755)
    it = spawn(_spec(tmp_path, str(program)), tmp_path)
    assert all(marked(tmp_path) == [it] for _ in range(100))


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    it = spawn(_spec(tmp_path, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"), tmp_path)
    until(lambda: "ready" in (tmp_path / "log").read_text(), what="the trap")
    began = time.monotonic()
    stop([it], grace=0.2)
    assert not it.alive
    assert time.monotonic() - began >= 0.2


def test_another_process_with_the_same_id_is_not_signalled(tmp_path: Path) -> None:
    it = spawn(_spec(tmp_path, "sleep", "60"), tmp_path)
    impostor = Process(it.pid, started=it.started + 1)
    assert not impostor.alive
    impostor.signal(signal.SIGKILL)
    stop([impostor])
    assert it.alive


def test_the_record_of_a_dead_process_is_not_loaded(tmp_path: Path) -> None:
    it = spawn(_spec(tmp_path, "sleep", "60"), tmp_path)
    record = tmp_path / "record"
    assert Process.load(record) is None
    it.save(record)
    assert Process.load(record) == it
    os.kill(it.pid, signal.SIGKILL)
    until(lambda: Process.load(record) is None, what="its end, before it is reaped")
    reap(it)
    record.write_text("12")
    assert Process.load(record) is None


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match="no-such-program"):
        spawn(_spec(tmp_path, "no-such-program"), tmp_path)


def test_the_process_itself_and_its_ancestors_are_not_found_by_their_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path("/proc/self/environ").read_bytes().split(b"\0")[0].decode()
    monkeypatch.setattr(process, "MARK", own.split("=")[0])
    value = Path(own.partition("=")[2])
    assert os.getpid() not in {it.pid for it in marked(value)}


def test_a_specification_survives_the_state_file(tmp_path: Path) -> None:
    spec = ProcessSpec("a", ("b", "c"), "log", (("k", "v"),), "ns", ("after", "it"))
    assert ProcessSpec.from_json("a", spec.to_json()) == spec


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(WaitTimeoutError, match=r"0\.05 s without success for rain"):
        wait_until(lambda: False, "rain", timeout=0.05)
