"""Active and backup servers, ours and the original in either role: the backup's whole content is the active one's."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys

import pytest

from support.waiting import until

PROGRAMS = ("ovs-appctl", "ovsdb-client", "ovsdb-server", "ovsdb-tool", "ovn-nbctl")
MISSING = [p for p in PROGRAMS if shutil.which(p) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
ORIGINAL, OURS = ("ovsdb-server",), (sys.executable, "-m", "ovenbird.cli", "db")
LIMIT = 60.0
"""Seconds to wait for what has to happen, on a busy machine."""
CONTENT = """
init
ls-add s1 -- lsp-add s1 p1 -- lsp-add s1 p2 -- lsp-set-addresses p1 '0a:00:00:00:00:01 10.0.1.2' unknown
set Logical_Switch s1 other_config:subnet=10.0.1.0/24 external_ids:a=b
set Logical_Switch_Port p1 external_ids:a=b external_ids:c=d
lr-add r -- lrp-add r r-s1 0a:00:00:00:01:01 10.0.1.1/24 -- lr-nat-add r snat 172.16.0.1 10.0.1.0/24
pg-add pg1 p1 p2 -- acl-add pg1 to-lport 1001 'outport == @pg1 && ip4' allow-related
create Address_Set name=as1 'addresses="10.0.0.1","10.0.0.2"'
lb-add lb1 192.168.0.1:80 10.0.1.2:80 -- ls-lb-add s1 lb1
meter-add m drop 10 kbps
"""
CHANGES = """
lsp-del p2 -- lsp-add s1 p3
add Address_Set as1 addresses 10.0.0.3 -- remove Address_Set as1 addresses 10.0.0.1
set Logical_Switch_Port p1 external_ids:c=e -- remove Logical_Switch_Port p1 external_ids a
lsp-set-enabled p1 disabled
ls-lb-del s1 lb1 -- lb-del lb1
lr-del r
"""


def run(*argv):
    return subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=30, check=False)


class Served:
    """A server of a Northbound database in a folder; `close` ends it."""

    def __init__(self, command, folder, *options):
        folder.mkdir(exist_ok=True)
        self.command, self.folder, self.options = command, folder, options
        self.remote = f"unix:{folder / 's'}"
        if not (folder / "nb.db").exists():
            assert not run("ovsdb-tool", "create", folder / "nb.db", "/usr/share/ovn/ovn-nb.ovsschema").returncode
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [*self.command, f"--remote=p{self.remote}", f"--unixctl={self.folder / 'c'}", "-vconsole:off",
             *self.options, self.folder / "nb.db"],
        )  # fmt: skip
        until(lambda: "OVN_Northbound" in run("ovsdb-client", "list-dbs", self.remote).stdout)

    def close(self):
        self.process.terminate()
        self.process.wait(20)

    def nbctl(self, commands):
        for line in filter(None, commands.splitlines()):
            done = run("ovn-nbctl", f"--db={self.remote}", "--", *shlex.split(line))
            assert not done.returncode, done.stderr

    def content(self):
        """Return every row of every table, UUIDs included."""
        done = run("ovsdb-client", "-f", "json", "dump", self.remote, "OVN_Northbound")
        assert not done.returncode, done.stderr
        return {table["caption"]: table["data"] for table in map(json.loads, done.stdout.splitlines())}

    def control(self, command, *args):
        return run("ovs-appctl", "-t", self.folder / "c", f"ovsdb-server/{command}", *args).stdout

    def refuses(self):
        change = json.dumps(["OVN_Northbound", {"op": "insert", "table": "Logical_Switch", "row": {"name": "x"}}])
        return "not allowed" in run("ovsdb-client", "transact", self.remote, change).stdout


@pytest.mark.parametrize(("one", "other"), [(OURS, ORIGINAL), (ORIGINAL, OURS), (OURS, OURS)])
def test_a_backup_is_what_the_active_server_is(tmp_path, one, other):
    active = Served(one, tmp_path / "a")
    servers = [active]
    try:
        active.nbctl(CONTENT)
        backup = Served(other, tmp_path / "b")
        servers.append(backup)
        backup.nbctl("init\nls-add mine -- lsp-add mine port")
        backup.close()
        backup.options = (f"--sync-from={active.remote}",)
        backup.start()
        until(lambda: active.content() == backup.content())
        status = f"state: backup\nreplicating: {active.remote}\ndatabase: OVN_Northbound\n"
        assert backup.control("sync-status") == status
        assert active.control("sync-status") == "state: active\n"
        assert backup.refuses()
        before = active.content()
        active.nbctl(CHANGES)
        assert before != active.content()
        until(lambda: active.content() == backup.content())

        active.close()  # what changes in its file meanwhile is found by the comparison afterwards
        if other is OURS:  # the original goes on to say that it replicates
            until(lambda: backup.control("sync-status") == f"state: backup\nconnecting: {active.remote}\n")
        before = backup.content()
        assert backup.refuses()
        table = ("OVN_Northbound", {"op": "delete", "table": "Address_Set", "where": []},
                 {"op": "update", "table": "NB_Global", "where": [], "row": {"name": "again"}})  # fmt: skip
        assert not run("ovsdb-tool", "transact", active.folder / "nb.db", json.dumps(table)).returncode
        active.start()
        assert before != active.content()
        until(lambda: active.content() == backup.content())

        backup.control("disconnect-active-ovsdb-server")
        assert backup.control("sync-status") == "state: active\n"
        backup.nbctl("ls-add own")
        active.nbctl("ls-add theirs")
        assert active.content() != backup.content()
        backup.control("connect-active-ovsdb-server")
        until(lambda: active.content() == backup.content())
        assert backup.refuses()
        backup.close()  # and it is in its file
        backup.options = ()
        backup.start()
        assert active.content() == backup.content()
    finally:
        for server in servers:
            server.close()


@pytest.mark.parametrize("other", [ORIGINAL, OURS])
def test_tables_that_are_left_out_and_commands(tmp_path, other):
    active = Served(OURS, tmp_path / "a")
    servers = [active]
    try:
        active.nbctl(CONTENT)
        excluded = "OVN_Northbound:Address_Set,OVN_Northbound:NB_Global"
        backup = Served(other, tmp_path / "b", f"--sync-from={active.remote}", "--active",
                        f"--sync-exclude-tables={excluded}")  # fmt: skip
        servers.append(backup)
        backup.nbctl("init\ncreate Address_Set name=own")
        own = backup.content()
        backup.control("connect-active-ovsdb-server")
        wanted = active.content() | {n: own[n] for n in ("Address_Set table", "NB_Global table")}
        until(lambda: backup.content() == wanted)
        assert sorted(backup.control("get-sync-exclude-tables").strip().split(",")) == sorted(excluded.split(","))
        assert backup.control("sync-status").splitlines()[-1].startswith("exclude: OVN_Northbound:")
        backup.control("set-sync-exclude-tables", "")
        until(lambda: active.content() == backup.content())
        assert backup.control("get-sync-exclude-tables") in ("", "\n")
        backup.control("set-active-ovsdb-server", f"unix:{tmp_path / 'nobody'}")
        assert backup.control("get-active-ovsdb-server") == f"unix:{tmp_path / 'nobody'}\n"
        active.nbctl("ls-add more")
        until(lambda: active.content() == backup.content())  # until it is told to connect there
        backup.control("connect-active-ovsdb-server")
        assert backup.control("sync-status") == f"state: backup\nconnecting: unix:{tmp_path / 'nobody'}\n"
        assert backup.refuses()
    finally:
        for server in servers:
            server.close()
