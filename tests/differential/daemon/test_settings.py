"""`ovenbird settings` wherever Cloud is served: by `central`, `ovenbird db` and the original server, over TLS too."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from ovenbird.cli.commands import ovenbird
from ovenbird.model import cloud
from ovenbird.ovsdb.journal import create
from support.places import free_port
from support.waiting import until

MISSING = [p for p in ("ovsdb-client", "ovsdb-server", "openssl") if shutil.which(p) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
OVENBIRD = (sys.executable, "-m", "ovenbird.cli")
SERVERS = {
    "original": ("ovsdb-server",),
    "db": (*OVENBIRD, "db"),
    "central": (*OVENBIRD, "central", "--set=metadata=true", "--api-port=0", "--nb-port=0", "--sb-port=0"),
}


@pytest.mark.parametrize("kind", SERVERS)
def test_settings_of_each_server_of_cloud(kind, keys, tmp_path):
    port = free_port()
    names = ("private-key", "certificate", "ca-cert")
    options = [f"--{name}={path}" for name, path in zip(names, keys["ours"], strict=True)]
    if kind == "central":
        where = [f"--rundir={tmp_path}", f"--cloud-port={port}", f"--cloud-remote=pssl:{port}:127.0.0.1"]
    else:
        create(tmp_path / "cloud.db", cloud.schema())
        where = [f"--remote=punix:{tmp_path}/cloud.sock", f"--remote=pssl:{port}:127.0.0.1", f"{tmp_path}/cloud.db"]
    common = ["-vconsole:off", f"--unixctl={tmp_path}/x.ctl", "--log-file", *options]
    environment = {"OVS_LOGDIR": str(tmp_path), "OVN_LOGDIR": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    server = subprocess.Popen([*SERVERS[kind], *common, *where], env=environment)
    far = [f"--db=ssl:127.0.0.1:{port}", *options]

    def run(*words):
        return CliRunner().invoke(ovenbird, ["settings", *words], env={"OVN_RUNDIR": str(tmp_path)})

    try:
        until(lambda: run("get", *far, "max_routes").stdout == "30\n")
        if kind == "central":
            assert run("get", *far, "metadata").stdout == "true\n"
        assert run("set", *far, "metadata=yes", "max_routes=0").exit_code == 0
        assert run("set", "max_allowed_address_pair=5").exit_code == 0  # found in OVN's run directory
        stored = {"metadata": "true", "max_routes": "0", "max_allowed_address_pair": "5"}
        select = '["Cloud", {"op": "select", "table": "Cloud_Global", "where": [], "columns": ["options"]}]'
        found = subprocess.run(
            ["ovsdb-client", "transact", f"unix:{tmp_path}/cloud.sock", select],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        (row,) = json.loads(found.stdout)[0]["rows"]
        assert dict(row["options"][1]) == stored
        assert run("set", *far, "max_routes=1", "metdta=true").exit_code == 1
        assert run("unset", *far, "metadata").exit_code == 0
        assert [run("get", name).stdout for name in ("metadata", "max_routes")] == ["false\n", "0\n"]
        strangers = [f"--{name}={path}" for name, path in zip(names, keys["stranger"], strict=True)]
        refused = run("list", far[0], *strangers)
        assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
        assert f"ssl:127.0.0.1:{port}: certificate verify failed: " in refused.stderr
    finally:
        server.terminate()
        server.wait(20)
