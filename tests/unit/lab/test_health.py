"""What an examination says of parts that hang, without a cloud; with one, see tests/live/test_status.py."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovenbird.lab.health import examine
from ovenbird.lab.lab import Lab
from ovenbird.lab.layout import Layout
from ovenbird.lab.process import Process, ProcessSpec, record_path
from ovenbird.lab.state import Kind


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Record a lab whose processes are this one, and whose databases take connections and say nothing."""
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as short,
        socket.socket(socket.AF_UNIX) as silent,
        socket.socket() as refusing,  # bound and not listening
    ):
        refusing.bind(("127.0.0.1", 0))
        lab = Lab(Layout.make(Path(short), ("hv1",), api_port=refusing.getsockname()[1]))
        lab.state.add(Kind.LAYOUT, "lab", lab.layout.to_json())
        silent.bind(str(lab.layout.socket("nb")))
        silent.listen()
        lab.layout.socket("sb").symlink_to(lab.layout.socket("nb"))
        for service in ("nb", "sb", "api"):
            lab.state.add(Kind.SERVICE, service)
        lab.layout.host_rundir("hv1").mkdir()
        own = Process.of(os.getpid())
        assert own is not None
        record_path(lab.layout.rundir, "").mkdir()
        for name in ("supervisor", "standby", "central", "hv1-ovs-vswitchd", "hv1-ovsdb-server"):
            if name not in {"supervisor", "standby"}:
                lab.state.add(Kind.PROCESS, name, ProcessSpec(name, ("x",), "").to_json())
            own.save(record_path(lab.layout.rundir, name))
        yield lab


def test_missing_and_hanging_parts_are_reported_once_without_waiting(lab: Lab) -> None:
    said = [str(problem) for problem in examine(lab, patience=0.2).problems]
    prefix = lab.layout.prefix
    assert sorted(line for line in said if not line.startswith("the API: ")) == [
        f"hv1: its namespace {prefix}hv1 is gone",
        "hv1: ovsdb-server does not answer: No such file or directory",
        "the nb database: does not answer within 0.2 s",
        f"the outside world: its namespace {prefix}outside is gone",
        "the sb database: does not answer within 0.2 s",
        f"the underlay: its namespace {prefix}underlay is gone",
    ]
    assert len([line for line in said if "does not answer: [Errno 111] Connection refused" in line]) == 1


def test_a_process_that_does_not_run_explains_what_it_does_not_do(lab: Lab) -> None:
    for name in ("central", "hv1-ovsdb-server", "hv1-ovs-vswitchd"):
        record_path(lab.layout.rundir, name).unlink()
    said = {str(problem) for problem in examine(lab, patience=0.2).problems}
    expected = {"central: does not run", "hv1: ovsdb-server does not run", "hv1: ovs-vswitchd does not run"}
    assert {line for line in said if "namespace" not in line} == expected
