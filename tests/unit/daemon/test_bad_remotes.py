"""What Open_vSwitch says of Southbound's place, and cannot be one: the daemons of a host say so, wait, and go on."""

import shutil
import signal
import subprocess
import sys

import pytest

from support.waiting import until

MISSING = [name for name in ("ovsdb-server", "ovsdb-tool", "ovs-vsctl") if shutil.which(name) is None]
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing {', '.join(MISSING)}")


@pytest.mark.parametrize("daemon", ["controller", "metadata"])
def test_a_controller_waits_until_an_invalid_remote_is_corrected(tmp_path, daemon):
    database = tmp_path / "db.sock"
    subprocess.run(["ovsdb-tool", "create", tmp_path / "conf.db", SCHEMA], check=True)
    places = (f"--remote=punix:{database}", f"--unixctl={tmp_path / 'server.ctl'}")
    server = subprocess.Popen(["ovsdb-server", *places, "--no-chdir", tmp_path / "conf.db"], stderr=subprocess.DEVNULL)
    log = tmp_path / "log"
    ours = None

    def told(text):
        until(lambda: text in (log.read_text() if log.exists() else ""), what=f"{text} in the log")

    def say(*words):
        command = ["ovs-vsctl", f"--db=unix:{database}", "--no-wait", "--retry", "--timeout=60", *words]
        subprocess.run(command, check=True)

    try:
        say(
            "init",
            "--",
            "set",
            "Open_vSwitch",
            ".",
            "external_ids:system-id=hv1",
            "external_ids:ovn-remote=127.0.0.1:1",
        )
        files = (f"--log-file={log}", f"--pidfile={tmp_path / 'pid'}", f"--unixctl={tmp_path / 'ctl'}")
        source = (f"--boots={tmp_path}",) if daemon == "metadata" else ()
        command = [sys.executable, "-m", "ovenbird.cli", daemon, *files, *source, f"unix:{database}"]
        ours = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        told("127.0.0.1:1")
        say("set", "Open_vSwitch", ".", f"external_ids:ovn-remote=unix:{tmp_path / 'nobody'}")
        told("nobody")
        say("set", "Open_vSwitch", ".", "external_ids:ovn-remote=nonsense")
        told("nonsense")
        assert ours.poll() is None
        ours.send_signal(signal.SIGTERM)
        assert ours.wait(60) == 0
    finally:
        for process in (ours, server):
            if process is not None:
                process.kill()
                process.wait()
