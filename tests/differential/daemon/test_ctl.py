"""Debian's `ovn-ctl` and `ovs-ctl` start, find and stop our daemons with all the options that they always pass."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.ovsdb.certificates import Authority

OVN_CTL, OVS_CTL = Path("/usr/share/ovn/scripts/ovn-ctl"), Path("/usr/share/openvswitch/scripts/ovs-ctl")
PROGRAMS = ("ovsdb-tool", "ovs-vsctl", "ovn-nbctl", "ovn-sbctl", "ovs-appctl", "openssl")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
MISSING += [str(script) for script in (OVN_CTL, OVS_CTL) if not script.exists()]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which the scripts give their directories to"),
]
OURS = {"ovsdb-server": "db", "ovn-northd": "northd", "ovn-controller": "controller", "ovn-ic": "ic"}
"""Our daemons by the names under which the scripts start them."""


class Host:
    """A host whose directories are all in one, and whose daemons are ours under the originals' names."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        programs = directory / "bin"
        programs.mkdir()
        for name, command in OURS.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {Path(sys.executable).parent / "ovenbird"} {command} "$@"\n')
            program.chmod(0o755)
        for place in ("/usr/bin", "/usr/sbin"):
            for tool in (*Path(place).glob("ovs*"), *Path(place).glob("ovn*")):
                if not (programs / tool.name).exists():
                    (programs / tool.name).symlink_to(tool)
        places = ("RUNDIR", "LOGDIR", "DBDIR", "SYSCONFDIR")
        places_of = {f"{family}_{place}": str(directory) for family in ("OVN", "OVS") for place in places}
        path = f"{programs}:{os.environ['PATH']}"
        both = ("BINDIR", "SBINDIR")
        self.env = os.environ | places_of | {f"{f}_{b}": str(programs) for f in ("OVN", "OVS") for b in both}
        self.env |= {"PATH": path}

    def run(self, *argv: object) -> str:
        done = subprocess.run(
            list(map(str, argv)), env=self.env, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert not done.returncode, (argv, done.stdout)
        return done.stdout

    def pids(self) -> dict[str, int]:
        return {path.stem: int(path.read_text()) for path in self.directory.rglob("*.pid")}

    def alive(self) -> dict[str, str]:
        """Return the command lines of daemons by the names of their pidfiles."""
        found = {}
        for name, pid in self.pids().items():
            line = Path(f"/proc/{pid}/cmdline")
            if line.exists():
                found[name] = line.read_bytes().replace(b"\0", b" ").decode()
        return found


@pytest.fixture
def host():
    directory = Path(tempfile.mkdtemp(prefix="obctl"))
    made = Host(directory)
    try:
        yield made
    finally:
        stops = [(OVN_CTL, f"stop_{what}") for what in ("controller", "ic", "ic_ovsdb", "northd")]
        for command in (*stops, (OVS_CTL, "stop")):
            subprocess.run(command, env=made.env, check=False, capture_output=True, timeout=60)
        assert not made.alive()
        shutil.rmtree(directory)


def test_the_scripts_start_find_and_stop_our_daemons(host: Host, tmp_path: Path) -> None:
    host.run(OVN_CTL, "start_northd")
    host.run(OVS_CTL, "start", "--system-id=hv1", "--no-ovs-vswitchd")
    started = host.alive()
    assert started.keys() == {"ovn-northd", "ovnnb_db", "ovnsb_db", "ovsdb-server"}
    assert "ovenbird northd" in started["ovn-northd"]
    assert "running" in host.run(OVN_CTL, "status_northd")
    for database, schema in (("nb", "OVN_Northbound"), ("sb", "OVN_Southbound")):
        assert f"--ssl-ciphers=db:{schema},SSL,ssl_ciphers" in started[f"ovn{database}_db"], "as it always passes"
    nb = ("ovn-nbctl", f"--db=unix:{host.directory}/ovnnb_db.sock", "--timeout=30")
    sb = ("ovn-sbctl", f"--db=unix:{host.directory}/ovnsb_db.sock", "--timeout=30")
    host.run(*nb, "--wait=sb", "ls-add", "sw0")

    authority = Authority(tmp_path)
    key, certificate = authority.issue("server")
    host.run(*nb, "set-ssl", key, certificate, authority.certificate, "--", "set-connection", "pssl:0:127.0.0.1")
    host.run(*nb, "wait-until", "Connection", ".", "status:bound_port!=0")
    port = host.run(*nb, "get", "Connection", ".", "status:bound_port").strip().strip('"')
    through_tls = ("ovn-nbctl", f"--db=ssl:127.0.0.1:{port}", "--timeout=30", *authority.options("client"))
    assert "sw0" in host.run(*through_tls, "ls-list")

    remote = f"external_ids:ovn-remote=unix:{host.directory}/ovnsb_db.sock"
    encap = ("external_ids:ovn-encap-type=geneve", "external_ids:ovn-encap-ip=127.0.0.1")
    host.run(
        "ovs-vsctl", "--no-wait", f"--db=unix:{host.directory}/db.sock", "set", "Open_vSwitch", ".", remote, *encap
    )
    host.run(OVN_CTL, "start_controller")
    host.run(*sb, "wait-until", "Chassis", "hv1")
    assert "running" in host.run(OVN_CTL, "status_controller")
    before = host.pids()["ovn-controller"]
    row = host.run(*sb, "--bare", "--columns=_uuid", "list", "Chassis")
    host.run(OVN_CTL, "restart_controller")
    assert host.pids()["ovn-controller"] != before
    assert row == host.run(*sb, "--bare", "--columns=_uuid", "list", "Chassis"), "it was told that another takes over"
    host.run(*nb, "--wait=sb", "ls-del", "sw0")
    host.run(OVN_CTL, "stop_controller")
    assert not host.run(*sb, "--bare", "--columns=name", "list", "Chassis").strip()
    host.run(OVN_CTL, "stop_northd")
    host.run(OVS_CTL, "stop", "--no-ovs-vswitchd")
    assert not host.alive()


def test_the_scripts_run_interconnection_over_tls(host: Host, tmp_path: Path) -> None:
    host.run(OVN_CTL, "start_northd")
    host.run(OVN_CTL, "start_ic_ovsdb")
    authority = Authority(tmp_path)
    key, certificate = authority.issue("server")
    remotes = {}
    for name in ("nb", "sb"):
        tool = (f"ovn-ic-{name}ctl", f"--db=unix:{host.directory}/ovn_ic_{name}_db.sock", "--timeout=30")
        host.run(*tool, "set-ssl", key, certificate, authority.certificate, "--", "set-connection", "pssl:0:127.0.0.1")
        host.run(*tool, "wait-until", "Connection", ".", "status:bound_port!=0")
        port = host.run(*tool, "get", "Connection", ".", "status:bound_port").strip().strip('"')
        remotes[name] = f"ssl:127.0.0.1:{port}"
    nb = ("ovn-nbctl", f"--db=unix:{host.directory}/ovnnb_db.sock", "--timeout=30")
    host.run(*nb, "set", "NB_Global", ".", "name=east")
    key, certificate = authority.issue("client")
    keys = {"key": key, "cert": certificate, "ca-cert": authority.certificate}
    databases = (f"--ovn-ic-{name}-db={remote}" for name, remote in remotes.items())
    host.run(OVN_CTL, *databases, *(f"--ovn-ic-ssl-{name}={path}" for name, path in keys.items()), "start_ic")
    assert "ovenbird ic" in host.alive()["ovn-ic"]
    assert "running" in host.run(OVN_CTL, "status_ic")
    client = authority.options("operator")
    host.run("ovn-ic-nbctl", f"--db={remotes['nb']}", "--timeout=30", *client, "ts-add", "ts1")
    host.run(*nb, "wait-until", "Logical_Switch", "ts1", "other_config:interconn-ts=ts1")
    zones = host.run("ovn-ic-sbctl", f"--db={remotes['sb']}", "--timeout=30", *client, "show")
    assert "availability-zone east" in zones
    host.run(OVN_CTL, "stop_ic")
    host.run(OVN_CTL, "stop_ic_ovsdb")
    assert host.alive().keys() == {"ovn-northd", "ovnnb_db", "ovnsb_db"}
