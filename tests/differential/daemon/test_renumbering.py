"""`ovsdb-client restore` into a Cloud of `ovsdb-server`: ids change, and the compiler takes no part in that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from contextlib import ExitStack

import pytest

from ovenbird.model import cloud
from ovenbird.ovsdb.journal import create
from support.places import free_port
from support.waiting import until

MISSING = [p for p in ("ovsdb-client", "ovsdb-server", "ovn-nbctl") if shutil.which(p) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
OVENBIRD = (sys.executable, "-m", "ovenbird.cli")


class Site:
    def __init__(self, place, stack):
        self.place, self.stack = place, stack
        self.port = free_port()

    def start(self, *argv):
        process = self.stack.enter_context(subprocess.Popen(argv, env=self.env))
        self.stack.callback(process.kill)
        return process

    @property
    def env(self):
        return {**os.environ, "OVS_RUNDIR": str(self.place), "OVN_RUNDIR": str(self.place)}

    def serve_cloud(self):
        place = self.place
        return self.start(
            "ovsdb-server", f"{place}/cloud.db", f"--remote=punix:{place}/cloud.sock", f"--unixctl={place}/cloud.ctl",
            "-voff", "--no-chdir",
        )  # fmt: skip

    def run(self, line):
        return subprocess.run(line, shell=True, cwd=self.place, check=True, capture_output=True, text=True).stdout

    def until(self, condition):
        until(condition, despite=(OSError, subprocess.CalledProcessError))

    def networks(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2.0/networks", timeout=60) as answer:
            return {network["id"]: network["name"] for network in json.load(answer)["networks"]}

    def create(self, name):
        data = json.dumps({"network": {"name": name}}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2.0/networks", data, timeout=60).close()

    def switches(self):
        listed = self.run("ovn-nbctl --db=unix:$PWD/nb.sock --bare --columns=name list Logical_Switch")
        return {name.removeprefix("neutron-") for name in listed.split()}


@pytest.fixture
def site(tmp_path):
    with ExitStack() as stack:
        made = Site(tmp_path, stack)
        create(tmp_path / "cloud.db", cloud.schema())
        for name in ("nb", "sb"):
            path = str(tmp_path / name)
            made.start(*OVENBIRD, "db", f"--create={name}", f"--remote=punix:{path}.sock", f"--unixctl={path}.ctl",
                       f"{path}.db")  # fmt: skip
        yield made


def test_the_compiler_leaves_northbound_as_it_is_until_the_ids_are_back(site):
    server = site.serve_cloud()
    site.start(
        *OVENBIRD, "api", f"--port={site.port}", f"--unixctl={site.place}/api.ctl", f"--log-file={site.place}/api.log",
        *(f"--{name}-db=unix:{site.place}/{file}.sock" for name, file in
          (("cloud", "cloud"), ("ovnnb", "nb"), ("ovnsb", "sb"))),
    )  # fmt: skip
    site.until(lambda: site.networks() == {})
    for name in ("one", "two"):
        site.create(name)
    before = site.networks()
    site.until(lambda: site.switches() == set(before))
    site.run("ovsdb-client backup unix:$PWD/cloud.sock Cloud > backup")
    site.run("ovsdb-client restore unix:$PWD/cloud.sock Cloud < backup")
    log = site.place / "api.log"
    site.until(lambda: "|daemon.renumbering|ERR|the same networks have other ids now" in log.read_text())
    assert sorted(site.networks().values()) == ["one", "two"]
    assert not set(site.networks()) & set(before)
    site.create("three")
    assert site.switches() == set(before)
    server.kill()
    server.wait()
    (site.place / "backup").replace(site.place / "cloud.db")
    (site.place / "cloud.sock").unlink()
    site.serve_cloud()
    site.until(lambda: site.networks() == before)
    site.create("four")
    site.until(lambda: site.switches() == set(site.networks()))
    assert set(before) < site.switches()
