"""The port that a server chose for `ptcp:0` and `pssl:0` stands in the row of the remote, as the original writes it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from support.ovsdb.certificates import Authority
from support.waiting import until

PROGRAMS = ("openssl", "ovsdb-client", "ovsdb-server", "ovsdb-tool", "ovn-nbctl")
MISSING = [p for p in PROGRAMS if shutil.which(p) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
SERVERS = {"original": ("ovsdb-server",), "ours": (sys.executable, "-m", "ovenbird.cli", "db")}
FAILED = (subprocess.CalledProcessError,)


def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout


def statuses(remote):
    """Return the status of each remote that Northbound names, by target, once all have one."""
    columns = ("target", "status")
    listed = json.loads(output("ovn-nbctl", f"--db={remote}", "-f", "json", f"--columns={','.join(columns)}",
                               "list", "Connection"))  # fmt: skip
    found = {target: dict(status[1]) for target, status in listed["data"]}
    return found if all(found.values()) else None


@pytest.mark.parametrize("server", SERVERS)
def test_the_status_of_a_remote_names_the_port_that_was_chosen(tmp_path, server):
    options = Authority(tmp_path).options("peer")
    database, socket = tmp_path / "nb.db", tmp_path / "s"
    output("ovsdb-tool", "create", database, "/usr/share/ovn/ovn-nb.ovsschema")
    named = "--remote=db:OVN_Northbound,NB_Global,connections"
    process = subprocess.Popen(
        [*SERVERS[server], f"--remote=punix:{socket}", named, f"--unixctl={tmp_path / 'c'}", "-vconsole:off", *options,
         database],
    )  # fmt: skip
    try:
        local = f"unix:{socket}"
        until(lambda: output("ovn-nbctl", f"--db={local}", "init") is not None, despite=FAILED)
        targets = ("ptcp:0:127.0.0.1", "pssl:0:127.0.0.1")
        output("ovn-nbctl", f"--db={local}", "--", "set-connection", *targets)
        told = until(lambda: statuses(local), despite=FAILED)
        assert set(told) == set(targets)
        ports = [int(told[target]["bound_port"]) for target in targets]
        assert ports[0] != ports[1]
        for kind, port in zip(("tcp", "ssl"), ports, strict=True):
            assert "OVN_Northbound" in output("ovsdb-client", *options, "list-dbs", f"{kind}:127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)
