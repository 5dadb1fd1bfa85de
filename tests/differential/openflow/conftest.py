"""A recorder that plays the switch for ovs-ofctl, and a real Open vSwitch with the userspace datapath."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from ovenbird.openflow.connection import OpenFlowConnection, Received
from ovenbird.openflow.messages import BarrierReply, BarrierRequest

MISSING = [name for name in ("ovs-ofctl", "ovs-vswitchd", "ovsdb-server", "ovs-vsctl") if not shutil.which(name)]


@pytest.fixture
def short_dir():
    """A directory whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="ob", dir="/tmp") as path:
        yield Path(path)


def _record(listener, frames):
    peer, _ = listener.accept()
    with peer:
        connection, stream = OpenFlowConnection(), b""
        peer.sendall(connection.data_to_send())
        while data := peer.recv(65536):
            stream += data
            for event in connection.receive(data):
                assert isinstance(event, Received), event
                if isinstance(event.message, BarrierRequest):
                    connection.send(BarrierReply(), event.xid)
            peer.sendall(connection.data_to_send())
    while stream:
        length = int.from_bytes(stream[2:4], "big")
        frames.append(stream[:length])
        stream = stream[length:]


@pytest.fixture
def ofctl_sends(short_dir):
    """Run an ovs-ofctl command against a recorder; return the messages that it sent, as bytes."""
    if "ovs-ofctl" in MISSING:
        pytest.skip("ovs-ofctl is not installed")

    def run(command, *arguments, text=None):
        path = short_dir / "s"
        frames = []
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(10)
            thread = threading.Thread(target=_record, args=(listener, frames))
            thread.start()
            try:
                subprocess.run(
                    ["ovs-ofctl", "-O", "OpenFlow15", "--no-names", command, f"unix:{path}", *arguments],
                    input=text, text=True, check=True, timeout=20, capture_output=True,
                )  # fmt: skip
            finally:
                thread.join(timeout=10)
                path.unlink()
        return frames

    return run


@pytest.fixture
def ofp_print():
    """Print a message as ovs-ofctl reads it."""
    if "ovs-ofctl" in MISSING:
        pytest.skip("ovs-ofctl is not installed")

    def run(data):
        command = ["ovs-ofctl", "-O", "OpenFlow15", "ofp-print", data.hex()]
        return subprocess.run(command, text=True, check=True, timeout=20, capture_output=True).stdout.strip()

    return run


def _stop(pid_file):
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        threading.Event().wait(0.05)
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def switch(short_dir):
    """A bridge br0 of a real Open vSwitch on the dummy datapath: its management socket, and a runner of its tools."""
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)}")
    if os.geteuid():
        pytest.skip("ovs-vswitchd needs root")
    environment = {**os.environ, **dict.fromkeys(("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"), str(short_dir))}

    def run(*command):
        return subprocess.run(command, env=environment, text=True, check=True, timeout=30, capture_output=True).stdout

    database = short_dir / "conf.db"
    run("ovsdb-tool", "create", str(database), "/usr/share/openvswitch/vswitch.ovsschema")
    try:
        run(
            "ovsdb-server", "--detach", "--no-chdir", "--pidfile", "--log-file", f"--remote=punix:{short_dir}/db.sock",
            str(database),
        )  # fmt: skip
        run("ovs-vsctl", "--no-wait", "init")
        run(
            "ovs-vswitchd", "--disable-system", "--enable-dummy=override", "--detach", "--no-chdir", "--pidfile",
            "--log-file", f"unix:{short_dir}/db.sock",
        )  # fmt: skip
        run(
            "ovs-vsctl", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure",
            "--", "add-port", "br0", "p1", "--", "set", "interface", "p1", "type=dummy", "ofport_request=1",
        )  # fmt: skip
        yield f"unix:{short_dir}/br0.mgmt", run
    finally:
        _stop(short_dir / "ovs-vswitchd.pid")
        _stop(short_dir / "ovsdb-server.pid")
