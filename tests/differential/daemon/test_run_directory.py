"""A relative path of a unix remote begins in Open vSwitch's run directory, whoever reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial

import pytest

from support.waiting import until

PROGRAMS = ("ovsdb-client", "ovsdb-server", "ovsdb-tool", "ovn-nbctl")
MISSING = [p for p in PROGRAMS if shutil.which(p) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
OVENBIRD = (sys.executable, "-m", "ovenbird.cli", "db")


def test_relative_paths_between_our_server_and_the_originals(tmp_path):
    places = {name: tmp_path / name for name in ("ovs", "ovn", "work")}
    for place in places.values():
        place.mkdir()
    environment = {**os.environ, "OVS_RUNDIR": str(places["ovs"]), "OVN_RUNDIR": str(places["ovn"])}
    how = {"env": environment, "cwd": places["work"]}
    for name in ("a.db", "b.db"):
        subprocess.run(["ovsdb-tool", "create", name, "/usr/share/ovn/ovn-nb.ovsschema"], check=True, **how)
    started = [
        subprocess.Popen(
            [*server, f"--remote=punix:{name}.sock", f"--unixctl={name}.ctl", "-vconsole:off", *options, f"{name}.db"],
            **how,
        )
        for name, server, options in (("a", ("ovsdb-server",), ()), ("b", OVENBIRD, ("--sync-from=unix:a.sock",)))
    ]
    try:
        for command in (
            ("ovn-nbctl", "--db=unix:a.sock", "--", "init", "--", "--may-exist", "ls-add", "sw0"),
            ("ovn-nbctl", "--db=unix:b.sock", "get", "Logical_Switch", "sw0", "name"),
        ):
            retried = partial(subprocess.run, ["timeout", "60", *command], check=True, capture_output=True, **how)
            until(retried, despite=(subprocess.CalledProcessError,))
        assert {path.name for path in places["ovs"].iterdir()} >= {"a.sock", "a.ctl", "b.sock", "b.ctl"}
    finally:
        for process in started:
            process.terminate()
            process.wait(20)
