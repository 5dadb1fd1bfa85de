"""A full disk: changes are refused in words, nothing that was acknowledged is lost, and space is all it takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from support.places import free_port
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with little room."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


class Central:
    """`ovenbird central`, asked over HTTP."""

    def __init__(self, disk: Path, errors: Path) -> None:
        self.disk = disk
        self.errors = errors
        self.port = free_port()

    @contextmanager
    def running(self) -> Iterator[None]:
        ports = [f"--{name}-port=0" for name in ("nb", "sb", "cloud")]
        command = [sys.executable, "-m", "ovenbird.cli", "central", f"--rundir={self.disk}", *ports]
        command += [f"--api-port={self.port}", f"--unixctl={self.disk}/ctl", f"--log-file={self.disk}/central.log"]
        with self.errors.open("a") as errors, subprocess.Popen(command, stderr=errors) as process:
            try:
                until(lambda: self.ask("GET", "/healthcheck")[0] == 200)
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError:
            return 0, None

    def create(self, name: str) -> tuple[int, Any]:
        return self.ask("POST", "/v2.0/networks", {"network": {"name": name, "description": "x" * 200}})

    @property
    def names(self) -> set[str]:
        return {network["name"] for network in json.loads(self.ask("GET", "/v2.0/networks")[1])["networks"]}

    @property
    def switches(self) -> int:
        listed = ["ovn-nbctl", f"--db=unix:{self.disk}/nb.sock", "ls-list"]
        return len(subprocess.run(listed, check=True, capture_output=True, timeout=30).stdout.splitlines())


def test_a_full_disk_loses_no_acknowledged_change_and_is_logged(disk: Path, tmp_path: Path) -> None:
    central, filler = Central(disk, tmp_path / "errors"), disk / "filler"
    with central.running():
        acknowledged = {f"before{i}" for i in range(5)}
        assert [central.create(name)[0] for name in acknowledged] == [201] * 5
        until(lambda: central.switches == 5)
        with filler.open("wb", 0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x")
        full = [central.create(f"during{i}") for i in range(20)]  # the first may still find room in their last pages
        acknowledged |= {f"during{i}" for i, (status, _) in enumerate(full) if status == 201}
        assert {status for status, _ in full} <= {201, 503}
        assert full[-1] == (
            503,
            {
                "NeutronError": {
                    "type": "ServiceUnavailable",
                    "message": "The database cannot be written now.",
                    "detail": "",
                }
            },
        )
        assert central.names == acknowledged, "reads go on"
        filler.unlink()
        assert central.create("after")[0] == 201
        until(lambda: central.switches == len(central.names))  # the compilers try again by themselves
        assert central.names == acknowledged | {"after"}
    told = (tmp_path / "errors").read_text()
    assert told.count(f"{disk}/cloud.db: write failed (No space left on device)") == 1
    assert "Traceback" not in told
    log = (disk / "central.log").read_text()
    assert "lines are missing here: the file could not be written" in log
    assert f"{disk}/cloud.db: can be written again" in log
    assert '"POST /v2.0/networks HTTP/1.1" status: 201 len: ' in log
    for name in ("nb", "sb", "cloud"):
        subprocess.run(["ovsdb-tool", "show-log", disk / f"{name}.db"], check=True, capture_output=True, timeout=30)
    with central.running():
        assert central.names == acknowledged | {"after"}
        assert central.switches == len(acknowledged) + 1
