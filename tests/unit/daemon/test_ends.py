"""How each daemon ends, wherever it is in its start, and what it refuses rather than ignores."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from support.daemon.forked import ended, start
from support.waiting import until

OVENBIRD = (sys.executable, "-m", "ovenbird.cli")
ABSENT = "unix:/nonexistent/db.sock"
DAEMONS = {
    "db": ("--create=nb",),
    "northd": (f"--ovnnb-db={ABSENT}", f"--ovnsb-db={ABSENT}"),
    "api": (f"--cloud-db={ABSENT}", "--port=0"),
    "controller": (ABSENT,),
    "metadata": ("--boots=/", "--prefix=ends-", ABSENT),
    "central": ("--api-port=0", "--nb-port=0", "--sb-port=0", "--cloud-port=0"),
}
"""Each daemon with databases that are not there, where it needs any of others."""
NEEDED = {"metadata": DAEMONS["metadata"][:2]}
"""What a daemon needs before it looks at anything else."""


class Running:
    def __init__(self, place, name, *options):
        self.ctl = place / "x.ctl"
        self.log = place / "x.log"
        own = DAEMONS[name]
        if name == "db":
            own = (*own, str(place / "nb.db"))
        if name == "central":
            own = (*own, f"--rundir={place}")
        environment = {**os.environ, "OVS_RUNDIR": str(place), "OVN_RUNDIR": str(place), "OVS_LOGDIR": str(place)}
        argv = (*OVENBIRD, name, f"--unixctl={self.ctl}", "--log-file=x.log", *options, *own)
        self.process = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True)

    def call(self, method, *params):
        with socket.socket(socket.AF_UNIX) as caller:
            until(lambda: self.process.poll() is not None or caller.connect_ex(str(self.ctl)) == 0)
            assert self.process.poll() is None, self.process.stderr.read()
            caller.sendall(json.dumps({"id": 0, "method": method, "params": params}).encode())
            answer = json.loads(caller.recv(1 << 16))
        return answer["result"], answer["error"]

    def ended(self):
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.process.stderr.close()


@pytest.fixture(params=DAEMONS)
def name(request):
    if request.param in ("controller", "metadata") and os.geteuid():
        pytest.skip("needs root")
    return request.param


def test_signals(tmp_path, name):
    running = Running(tmp_path, name)
    running.call("version")
    running.process.send_signal(signal.SIGHUP)  # the log is opened anew
    running.call("version")
    running.process.send_signal(signal.SIGINT if name == "db" else signal.SIGTERM)
    assert running.ended() == 0
    assert running.log.read_text().count("opened log file") == 2
    assert not running.ctl.exists()


@pytest.mark.parametrize("name", ["northd", "controller", "metadata"], indirect=True)
def test_exit(tmp_path, name):
    running = Running(tmp_path, name)
    known = {"controller": "--restart", "metadata": "--cleanup"}.get(name)
    for word in {"--restart", "--cleanup", "now"} - {known}:
        assert "does not know this way to exit" in running.call("exit", word)[1]
    assert running.call("exit", *([known] if known else [])) == ("", None)
    assert running.ended() == 0


def test_a_command_that_is_run_ends_with_the_server(tmp_path):
    running = Running(tmp_path, "db", f"--run=echo $$ > {tmp_path}/pid; exec sleep 1000")
    until((tmp_path / "pid").read_text, despite=(FileNotFoundError,))
    running.process.terminate()
    assert running.ended() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("daemon", "option", "words"),
    [
        ("northd", "operand", "only options are understood"),
        ("controller", "--enable-dummy-vif-plug", "unknown option"),
        ("central", "--private-key=x", "needs all of"),
        ("central", "--api-certificate=x", "needs both of"),
        ("central", "--nb-remote=nowhere", "is not a remote"),
        ("northd", "--ovnnb-db=nonsense", "--ovnnb-db=nonsense: 'nonsense' is not a remote"),
        ("northd", "--ovnsb-db=ssl:127.0.0.1:1", "TLS needs --private-key"),
        ("api", "--cloud-db=ptcp:6643", "listens for connections; one to connect to is needed"),
        ("api", "OVN_SB_DB=,", "OVN_SB_DB=,: no remote"),
        ("controller", "nonsense", "OVS-DATABASE nonsense: 'nonsense' is not a remote"),
        ("metadata", "tcp:host:65536", "65536 is not a port"),
        ("central", "--rundir=/dev/null/here", "--rundir=/dev/null/here: Not a directory"),
        ("northd", "--ssl-protocols=SSLv3", "not a version of TLS"),
        ("northd", "--ssl-ciphers=NOSUCH", "selects no cipher"),
        ("northd", "--log-format=xml", "text or json is needed"),
        ("northd", "--syslog-method=carrier-pigeon", "libc, null, unix:FILE or udp:HOST:PORT is needed"),
        ("northd", "-vPATTERN:nosuch:%m", "unknown destination"),
        ("db", "--damaged=ignore", "refuse or set-aside is needed"),
        ("db", "--sync-from=ptcp:1", "not a remote of an active server"),
        ("db", "--sync-exclude-tables=Port", "can't parse excluded table"),
    ],
)
async def test_options_that_are_not_implemented_are_refused(tmp_path, daemon, option, words):
    name, _, value = option.partition("=")
    argv = [f"--unixctl={tmp_path / 'ctl'}", "--log-file=log", "--detach", *NEEDED.get(daemon, ())]
    if daemon == "central" and name != "--rundir":
        argv.append(f"--rundir={tmp_path}")
    process = start(daemon, argv if name.isupper() else [*argv, option], tmp_path, env=[(name, value)])
    assert await ended(process) == 1
    process.close()
    said = (tmp_path / "err").read_text()
    assert words in said
    assert said.count("\n") == 1
    log = tmp_path / "log"
    assert not log.exists() or words in log.read_text()


@pytest.mark.parametrize(("count", "said"), [("1", ""), ("4", "--n-threads=4 has no effect"), ("x", "no effect")])
def test_options_without_effect_are_logged_and_a_daemon_works_without_a_control_socket(tmp_path, count, said):
    environment = {**os.environ, "OVN_RUNDIR": str(tmp_path), "OVS_LOGDIR": str(tmp_path)}
    argv = (*OVENBIRD, "northd", f"--n-threads={count}", "--unixctl=none", "--log-file=x.log", *DAEMONS["northd"])
    process = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "x.log"
    until(lambda: process.poll() is not None or (log.exists() and "northd" in log.read_text()))
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, "no effect" in errors) == (0, bool(said))
    assert said in errors
    assert not list(tmp_path.glob("*none*"))
    assert not list(tmp_path.glob("*.ctl"))


def test_syslog_and_the_port_that_was_chosen(tmp_path, monkeypatch):
    with socket.socket(type=socket.SOCK_DGRAM) as syslog, socket.socket(type=socket.SOCK_DGRAM) as target:
        for one in (syslog, target):
            one.bind(("127.0.0.1", 0))
            one.settimeout(30)
        monkeypatch.setenv("OVS_SYSLOG_METHOD", f"udp:127.0.0.1:{syslog.getsockname()[1]}")
        options = f"--syslog-target=127.0.0.1:{target.getsockname()[1]}", "--remote=ptcp:0:127.0.0.1"
        running = Running(tmp_path, "db", *options)
        received = syslog.recv(4096), target.recv(4096)
    assert all(b"ovsdb-server: " in each for each in received)
    running.call("version")
    until(lambda: "listening on port" in running.log.read_text())
    port = int(running.log.read_text().partition("ptcp:0:127.0.0.1: listening on port ")[2].split()[0])
    socket.create_connection(("127.0.0.1", port)).close()
    assert running.call("ovsdb-server/memory-trim-on-compaction", "of") == (None, "invalid argument\n")
    for command in (("memory-trim-on-compaction", "on"), ("compact",), ("memory-trim-on-compaction", "off")):
        assert running.call(f"ovsdb-server/{command[0]}", *command[1:]) == ("", None)
    running.process.terminate()
    assert running.ended() == 0
