"""The life of a daemon, seen from outside: detaching, monitoring, another user, a clean end."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ovenbird.daemon.descriptors import ENOUGH
from support.places import short_directory
from support.waiting import until

OVENBIRD = (sys.executable, "-m", "ovenbird.cli")


class Daemon:
    def __init__(self, place, *options):
        self.place = place
        self.env = {**os.environ, "OVS_RUNDIR": str(place), "OVN_RUNDIR": str(place)}
        files = ("--create=nb", f"--remote=punix:{place / 'a.sock'}", f"--unixctl={place / 'a.ctl'}", "--pidfile")
        self.argv = (*OVENBIRD, "db", *files, f"--log-file={place / 'a.log'}", *options, str(place / "nb.db"))

    def start(self):
        return subprocess.run(self.argv, env=self.env, capture_output=True, text=True, timeout=30, check=False)

    @property
    def pid(self):
        return int((self.place / "ovsdb-server.pid").read_text())

    @property
    def log(self):
        return (self.place / "a.log").read_text()


def gone(pid):
    return not Path(f"/proc/{pid}").exists()


@pytest.fixture
def daemon(tmp_path):
    made = []

    def make(*options, place=tmp_path):
        made.append(Daemon(place, *options))
        return made[-1]

    yield make
    for one in made:
        if (one.place / "ovsdb-server.pid").exists():
            os.kill(one.pid, signal.SIGTERM)
            until(lambda one=one: not (one.place / "ovsdb-server.pid").exists())


@pytest.fixture
def another_users_directory():
    """A directory that another user reaches: pytest keeps its own to the user that runs it."""
    with short_directory() as place:
        os.chown(place, 65534, 65534)
        yield place


def test_a_detached_start_returns_when_the_daemon_serves(daemon):
    one = daemon("--detach")
    done = one.start()
    assert done.returncode == 0
    assert (one.place / "a.sock").exists()
    pid = one.pid
    os.kill(pid, signal.SIGTERM)
    until(lambda: gone(pid))
    assert not (one.place / "ovsdb-server.pid").exists()
    assert not (one.place / "a.ctl").exists()
    assert "ovsdb-server ends" in one.log


def test_a_detached_start_that_fails_says_so(daemon, tmp_path):
    (tmp_path / "nb.db").write_text("no database")
    done = daemon("--detach").start()
    assert done.returncode == 1
    assert "nb.db" in done.stderr


def test_a_second_daemon_does_not_take_the_pid_file(daemon, tmp_path):
    daemon("--detach").start()
    (tmp_path / "other").mkdir()
    again = Daemon(tmp_path, "--detach")
    again.argv = (*again.argv[:-1], str(tmp_path / "other" / "nb.db"))
    done = again.start()
    assert done.returncode == 1
    assert "a running process holds this pid file" in done.stderr


def test_a_monitored_daemon_that_crashes_is_started_again(daemon):
    one = daemon("--detach", "--monitor")
    assert one.start().returncode == 0
    first = one.pid
    os.kill(first, signal.SIGSEGV)
    until(lambda: (one.place / "ovsdb-server.pid").read_text().strip() not in ("", str(first)))
    assert "killed by SIGSEGV: restarting" in one.log


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_user(another_users_directory, daemon):
    one = daemon("--detach", "--user=nobody", place=another_users_directory)
    assert one.start().returncode == 0
    assert Path(f"/proc/{one.pid}").stat().st_uid == Path("/proc/self").stat().st_uid + 65534


def test_an_unknown_user_is_refused(daemon):
    done = daemon("--user=no-such-user").start()
    assert done.returncode == 1
    assert "--user=no-such-user" in done.stderr


def test_a_daemon_raises_its_limit_of_descriptors(daemon):
    one = daemon("--detach")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        assert one.start().returncode == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(one.pid, resource.RLIMIT_NOFILE) == (min(hard, ENOUGH), hard)
