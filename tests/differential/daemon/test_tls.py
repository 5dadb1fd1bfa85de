"""TLS between our programs and the originals, both ways, with keys made on the spot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

from support.places import free_port
from support.waiting import LIMIT, until

PROGRAMS = ("openssl", "ovsdb-client", "ovsdb-server", "ovsdb-tool", "ovn-nbctl")
MISSING = [p for p in PROGRAMS if shutil.which(p) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
OVENBIRD = (sys.executable, "-m", "ovenbird.cli")


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """An authority, a key and a certificate that it signed; and options that name them."""
    place = tmp_path_factory.mktemp("keys")
    ca, ca_key, key, request, cert = (str(place / n) for n in ("ca.pem", "ca.key", "key.pem", "req.pem", "cert.pem"))
    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=authority",
        "-days",
        "2",
        "-keyout",
        ca_key,
        "-out",
        ca,
    )
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=peer", "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-out", cert)
    return [f"--private-key={key}", f"--certificate={cert}", f"--ca-cert={ca}"]


MADE = ("--may-exist", "ls-add", "sw0")
"""Once it was done it may be tried again: that its answer did not come in time changes nothing."""


class Programs:
    def __init__(self, place):
        self.place = place
        self.env = {**os.environ, "OVS_RUNDIR": str(place), "OVN_RUNDIR": str(place)}
        self.running = []

    def start(self, *argv):
        self.running.append(subprocess.Popen(argv, env=self.env))

    def run(self, *argv):
        return subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=LIMIT, check=False)

    def until(self, *argv):
        """Run a command until it succeeds, and return what it prints."""

        def done():
            made = self.run(*argv)
            assert made.returncode == 0, made.stderr
            return made

        return until(done).stdout

    def stop(self):
        for process in reversed(self.running):
            process.send_signal(signal.SIGTERM)
            process.wait(20)


@pytest.fixture
def programs(tmp_path):
    made = Programs(tmp_path)
    yield made
    made.stop()


def test_the_originals_clients_at_our_server(programs, keys):
    port = free_port()
    remotes = (f"--remote=pssl:{port}:127.0.0.1", f"--unixctl={programs.place / 'a.ctl'}")
    programs.start(*OVENBIRD, "db", "--create=nb", *remotes, *keys, str(programs.place / "nb.db"))
    remote = f"ssl:127.0.0.1:{port}"
    assert "OVN_Northbound" in programs.until("ovsdb-client", *keys, "list-dbs", remote)
    programs.until("ovn-nbctl", f"--db={remote}", *keys, *MADE)
    assert "sw0" in programs.until("ovn-nbctl", f"--db={remote}", *keys, "show")
    without = programs.run("ovsdb-client", "--timeout=3", "list-dbs", f"tcp:127.0.0.1:{port}")
    assert without.returncode


def test_our_northd_between_an_original_server_and_ours(programs, keys):
    place = programs.place
    subprocess.run(["ovsdb-tool", "create", str(place / "nb.db"), "/usr/share/ovn/ovn-nb.ovsschema"], check=True)
    nb, sb = free_port(), free_port()
    server = ("ovsdb-server", f"--unixctl={place / 'a.ctl'}", f"--log-file={place / 'a.log'}")
    programs.start(*server, f"--remote=pssl:{nb}:127.0.0.1", *keys, str(place / "nb.db"))
    ours = (*OVENBIRD, "db", "--create=sb", f"--unixctl={place / 'b.ctl'}")
    programs.start(*ours, f"--remote=pssl:{sb}:127.0.0.1", *keys, str(place / "sb.db"))
    remotes = (f"--ovnnb-db=ssl:127.0.0.1:{nb}", f"--ovnsb-db=ssl:127.0.0.1:{sb}")
    programs.start(*OVENBIRD, "northd", *remotes, *keys, f"--unixctl={place / 'c.ctl'}")
    programs.until("ovn-nbctl", f"--db=ssl:127.0.0.1:{nb}", *keys, "init")
    programs.until("ovn-nbctl", f"--db=ssl:127.0.0.1:{nb}", *keys, "--wait=sb", "--timeout=60", *MADE)
    flows = programs.until("ovsdb-client", *keys, "dump", f"ssl:127.0.0.1:{sb}", "OVN_Southbound", "Datapath_Binding")
    assert "sw0" in flows


def test_half_a_set_of_keys_is_refused(programs, keys):
    done = programs.run(*OVENBIRD, "db", keys[0], "x.db")
    assert done.returncode == 1
    assert "TLS needs all of --private-key, --certificate and --ca-cert" in done.stderr
