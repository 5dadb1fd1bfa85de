"""The options of active and backup servers, and their commands' refusals."""

from __future__ import annotations

import pytest

from ovenbird.daemon.active_backup import OPTIONS, ActiveBackup, excluded_tables
from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.options import parse
from ovenbird.daemon.unixctl import Unixctl
from ovenbird.ovsdb.server import Server


class Daemon:
    def __init__(self, folder, *argv):
        self.options = parse(argv, OPTIONS)
        self.unixctl = Unixctl(folder / "c", "")


@pytest.mark.parametrize("text", ["S", "S:", ":T", "S:T,U", "S:T,:"])
def test_excluded_tables_of_another_form_are_refused(text):
    with pytest.raises(UsageError, match="can't parse excluded table"):
        excluded_tables(text)


def test_excluded_tables():
    assert excluded_tables("") == {}
    assert excluded_tables("S:T,S:U, R:T") == {"S": {"T", "U"}, "R": {"T"}}


@pytest.mark.parametrize("remote", ["ptcp:1", "punix:x", "tcp:", "nothing"])
def test_an_invalid_active_server_is_refused(tmp_path, remote):
    with pytest.raises(UsageError):
        ActiveBackup(Daemon(tmp_path, f"--sync-from={remote}"), Server())
    daemon = Daemon(tmp_path)
    role = ActiveBackup(daemon, Server())
    assert daemon.unixctl.answer("ovsdb-server/set-active-ovsdb-server", [remote])[1]
    assert not role.active_server


def test_roles_at_the_start(tmp_path):
    for argv, backup in (
        ([], False),
        (["--active"], False),
        (["--sync-from=unix:x"], True),
        (["--sync-from=unix:x", "--active"], False),
    ):
        assert ActiveBackup(Daemon(tmp_path, *argv), Server()).starts_as_backup is backup


def test_connecting_without_an_active_server_is_refused(tmp_path):
    daemon = Daemon(tmp_path)
    role = ActiveBackup(daemon, Server())
    assert "active server is not specified" in daemon.unixctl.answer("ovsdb-server/connect-active-ovsdb-server", [])[1]
    assert not role.is_backup
    assert daemon.unixctl.answer("ovsdb-server/sync-status", []) == ("state: active\n", None)
    for text in ("x", "", "-1", "\u0661", "9" * 5000):
        assert daemon.unixctl.answer("ovsdb-server/set-active-ovsdb-server-probe-interval", [text])[1]
    assert daemon.unixctl.answer("ovsdb-server/set-sync-exclude-tables", ["x"])[1]
