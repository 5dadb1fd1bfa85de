"""Databases of older releases converted while northd and a monitor are connected: nothing is lost and work goes on.

What the older Northbound schemas lack is from the history of OVN's `ovn-nb.ovsschema`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ovenbird.ovsdb.conversion import open_converted
from ovenbird.ovsdb.journal import open_database
from ovenbird.ovsdb.notation import encode
from ovenbird.ovsdb.schema import DatabaseSchema
from support.waiting import until

PROGRAMS = ("ovsdb-client", "ovsdb-server", "ovsdb-tool", "ovn-nbctl", "ovn-sbctl", "ovn-northd")
MISSING = [p for p in PROGRAMS if shutil.which(p) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
OVENBIRD = (sys.executable, "-m", "ovenbird.cli")
INSTALLED = Path("/usr/share/ovn/ovn-nb.ovsschema")

SINCE_22_03 = {"Chassis_Template_Var": None, "Mirror": None, "Static_MAC_Binding": None, "NAT": ["gateway_port"]}
SINCE_21_03 = SINCE_22_03 | {
    "Copp": None,
    "Load_Balancer_Group": None,
    "ACL": ["label", "options"],
    "Logical_Router": ["copp", "load_balancer_group"],
    "Logical_Switch": ["copp", "load_balancer_group"],
    "Logical_Router_Static_Route": ["route_table"],
}
SINCE_20_06 = SINCE_21_03 | {
    "BFD": None,
    "Load_Balancer": ["options"],
    "Logical_Router_Policy": ["nexthops", "options"],
    "Logical_Router_Static_Route": ["bfd", "options", "route_table"],
    "Meter": ["fair"],
    "NAT": ["allowed_ext_ips", "exempted_ext_ips", "gateway_port"],
    "NB_Global": ["hv_cfg_timestamp", "nb_cfg_timestamp", "sb_cfg_timestamp"],
}
OLDER = {"20.06": ("5.23.0", SINCE_20_06), "21.03": ("5.31.0", SINCE_21_03), "22.03": ("6.1.0", SINCE_22_03)}
"""By release: the version of its schema, and tables or columns that came later."""


def older(release):
    """Northbound's schema about as a release had it: what came later is left out."""
    schema = json.loads(INSTALLED.read_text())
    schema["version"], later = OLDER[release]
    for table, columns in later.items():
        if columns is None:
            del schema["tables"][table]
        for column in columns or ():
            del schema["tables"][table]["columns"][column]
    del schema["tables"]["Logical_Switch_Port"]["columns"]["mirror_rules"]
    return schema


def newer():
    """Northbound's schema with what later releases brought: tables, columns, wider types."""
    schema = json.loads(INSTALLED.read_text())
    schema["version"] = "7.11.0"
    tables = schema["tables"]
    tables["Sample"] = {"columns": {"metadata": {"type": {"key": "integer"}}}, "isRoot": True}
    tables["ACL"]["columns"]["tier"] = {"type": {"key": {"type": "integer", "minInteger": 0, "maxInteger": 3}}}
    tables["ACL"]["columns"]["action"]["type"]["key"]["enum"][1].append("pass")
    sample = {"key": {"type": "uuid", "refTable": "Sample"}, "min": 0, "max": 1}
    tables["ACL"]["columns"]["sample_new"] = {"type": sample}
    tables["Logical_Router_Port"]["columns"]["networks"]["type"]["min"] = 0
    tables["Logical_Switch_Port"]["columns"]["peer"] = {"type": {"key": "string", "min": 0, "max": 1}}
    tables["NAT"]["columns"]["match"] = {"type": "string"}
    return schema


COMMANDS = r"""
set NB_Global . options:mac_prefix=0a:00:00 options:northd_probe_interval=5000
ls-add s1 -- set Logical_Switch s1 other_config:subnet=10.0.1.0/24 'external_ids:neutron\:network_name=one'
lsp-add s1 p1 -- lsp-set-addresses p1 '0a:00:00:00:00:01 10.0.1.2'
lsp-set-port-security p1 '0a:00:00:00:00:01 10.0.1.2'
set Logical_Switch_Port p1 external_ids:a=b options:mcast_flood=true
lsp-add s1 s1-r -- lsp-set-type s1-r router -- lsp-set-addresses s1-r router -- lsp-set-options s1-r router-port=r-s1
lr-add r -- lrp-add r r-s1 0a:00:00:00:01:01 10.0.1.1/24 -- set Logical_Router r options:chassis=c1
lr-nat-add r snat 172.16.0.1 10.0.1.0/24 -- lr-route-add r 0.0.0.0/0 10.0.1.254
pg-add pg1 p1 -- acl-add pg1 to-lport 1001 'outport == @pg1 && ip4' allow-related
create Address_Set name=as1 'addresses="10.0.0.1","10.0.0.2"'
create DHCP_Options cidr=10.0.1.0/24 'options="lease_time"="3600" "router"="10.0.1.1" "server_id"="10.0.1.1"'
lb-add lb1 192.168.0.1:80 10.0.1.2:80 -- ls-lb-add s1 lb1
create DNS 'records:www.example.org="10.0.1.2"'
"""


MONITOR = """
import asyncio, sys
from ovenbird.ovsdb.replica import Replica

async def follow():
    replica = Replica(sys.argv[1], database="OVN_Northbound")
    def told(commit):
        for change in commit.changes.get("Logical_Switch", ()):
            print(replica.store.tables["Logical_Switch"].rows[change.uuid]["name"], flush=True)
    replica.on_change(told)
    await replica.start()
    await asyncio.Event().wait()

asyncio.run(follow())
"""


class Site:
    def __init__(self, place):
        self.place = place
        self.env = {**os.environ, "OVS_RUNDIR": str(place), "OVN_RUNDIR": str(place), "OVN_LOGDIR": str(place)}
        self.nb, self.sb = f"unix:{place}/nb.sock", f"unix:{place}/sb.sock"
        self.running = []

    def start(self, *argv, **more):
        self.running.append(subprocess.Popen(argv, env=self.env, **more))
        return self.running[-1]

    def run(self, *argv):
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (argv, done.stderr)
        return done.stdout

    def until(self, found, *argv):

        def answer():
            said = self.run(*argv)
            assert found(said), (argv, said)
            return said

        return until(answer)

    def nbctl(self, *words):
        return self.run("ovn-nbctl", "--no-leader-only", f"--db={self.nb}", *words)

    def dump(self):
        """Every row of Northbound, by table and UUID, without what northd writes."""
        rows = {}
        tables = json.loads(self.run("ovsdb-client", "get-schema", self.nb, "OVN_Northbound"))["tables"]
        for table in tables:
            (answer,) = json.loads(
                self.run(
                    "ovsdb-client",
                    "transact",
                    self.nb,
                    json.dumps(["OVN_Northbound", {"op": "select", "table": table, "where": []}]),
                )
            )
            for row in answer["rows"]:
                kept = {
                    c: ordered(v)
                    for c, v in row.items()
                    if not c.startswith(("_version", "nb_cfg", "sb_cfg", "hv_cfg"))
                }
                kept.pop("up", None)
                if table == "NB_Global":
                    kept.pop("options")
                rows[table, row["_uuid"][1]] = kept
        return rows

    def stop(self):
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            process.wait(30)


def ordered(value):
    return (
        [value[0], sorted(value[1], key=json.dumps)]
        if isinstance(value, list) and isinstance(value[1], list)
        else value
    )


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.stop()


def northd(site, whose):
    own = ["--unixctl=n.ctl", f"--ovnnb-db={site.nb}", f"--ovnsb-db={site.sb}"]
    return site.start(*((*OVENBIRD, "northd") if whose == "ours" else ("ovn-northd",)), *own)


def convert_under_way(site, start, targets, whose):
    """Serve a database of one schema, connect to it, and convert it in steps while the connections stay."""
    (site.place / "old.ovsschema").write_text(json.dumps(start))
    site.run("ovsdb-tool", "create", str(site.place / "nb.db"), str(site.place / "old.ovsschema"))
    site.run("ovsdb-tool", "create", str(site.place / "sb.db"), str(INSTALLED.with_name("ovn-sb.ovsschema")))
    for name in ("nb", "sb"):
        site.start(
            *OVENBIRD,
            "db",
            f"--unixctl={name}.ctl",
            f"--remote=punix:{site.place}/{name}.sock",
            str(site.place / f"{name}.db"),
        )
    site.until(bool, "ovsdb-client", "list-dbs", site.nb)
    site.until(bool, "ovsdb-client", "list-dbs", site.sb)
    for line in COMMANDS.strip().splitlines():
        site.nbctl(*shlex.split(line))
    following = site.place / "told"
    with following.open("w") as told:
        watcher = site.start(sys.executable, "-c", MONITOR, site.nb, stdout=told)
    compiler = northd(site, whose)
    flows = ("ovn-sbctl", "--no-leader-only", f"--db={site.sb}", "lflow-list", "s1")
    site.until(lambda text: "ls_in_acl" in text, *flows)
    for step, schema in enumerate(targets):
        before = site.dump()
        (site.place / "new.ovsschema").write_text(json.dumps(schema))
        site.run("ovsdb-client", "convert", site.nb, str(site.place / "new.ovsschema"))
        after = site.dump()
        for key, row in before.items():
            assert after[key] == {**after[key], **row}, key
        assert after.keys() == before.keys()
        site.nbctl("ls-add", f"later{step}")
        find = (
            "ovn-sbctl",
            "--no-leader-only",
            f"--db={site.sb}",
            "--bare",
            "--columns=_uuid",
            "find",
            "Datapath_Binding",
        )
        site.until(str.strip, *find, f"external_ids:name=later{step}")
        site.until(lambda text, step=step: f"later{step}\n" in text, "cat", str(following))
        assert (compiler.poll(), watcher.poll()) == (None, None)
    site.stop()
    site.running.clear()


@pytest.mark.parametrize("whose", ["ours", "theirs"])
@pytest.mark.parametrize("release", OLDER)
def test_older_files_become_newer_ones_under_northd(site, release, whose):
    convert_under_way(site, older(release), [json.loads(INSTALLED.read_text()), newer()], whose)
    # The file is as the original would read it.
    assert site.run("ovsdb-tool", "db-version", str(site.place / "nb.db")).strip() == "7.11.0"
    select = {"op": "select", "table": "Logical_Switch", "where": []}
    assert "later1" in site.run(
        "ovsdb-tool", "query", str(site.place / "nb.db"), json.dumps(["OVN_Northbound", select])
    )


def read_by_tool(site, file, schema):
    """Return every row of a file as ovsdb-tool reads it, by table and UUID."""
    selects = [{"op": "select", "table": table, "where": []} for table in schema["tables"]]
    answers = json.loads(site.run("ovsdb-tool", "query", str(file), json.dumps(["OVN_Northbound", *selects])))
    return {
        (table, row["_uuid"][1]): {column: ordered(value) for column, value in row.items() if column != "_version"}
        for table, answer in zip(schema["tables"], answers, strict=True)
        for row in answer["rows"]
    }


def read_by_ours(file):
    """Return the same as our server reads it."""
    database = open_database(file)
    database.journal.close()
    rows = {}
    for name, table in database.tables.items():
        for uuid, row in table.table.rows.items():
            values = zip(table.layout, row.values, strict=True)
            told = {column.name: json.loads(json.dumps(encode(column.type, value))) for column, value in values}
            rows[name, uuid] = {"_uuid": ["uuid", uuid], **{column: ordered(value) for column, value in told.items()}}
    return rows


@pytest.mark.parametrize("release", OLDER)
def test_files_are_converted_alike_by_ovsdb_tool_a_server_of_ours_and_at_the_opening(site, release):
    before, path = older(release), site.place / "nb.db"
    targets = [json.loads(INSTALLED.read_text()), newer()]
    schemas = [site.place / f"{number}.ovsschema" for number in range(3)]
    for file, schema in zip(schemas, (before, *targets), strict=True):
        file.write_text(json.dumps(schema))
    site.run("ovsdb-tool", "create", str(path), str(schemas[0]))
    site.start("ovsdb-server", "--unixctl=o.ctl", f"--remote=punix:{site.place}/nb.sock", str(path))
    site.until(bool, "ovsdb-client", "list-dbs", site.nb)
    for line in COMMANDS.strip().splitlines():
        site.nbctl(*shlex.split(line))
    site.stop()
    site.running.clear()
    rows = read_by_tool(site, path, before)
    files = {who: site.place / f"{who}.db" for who in ("tool", "server", "opening")}
    for file in files.values():
        shutil.copy(path, file)
    for schema in schemas[1:]:
        site.run("ovsdb-tool", "convert", str(files["tool"]), str(schema))
    site.start(*OVENBIRD, "db", "--unixctl=u.ctl", f"--remote=punix:{site.place}/nb2.sock", str(files["server"]))
    site.until(bool, "ovsdb-client", "list-dbs", f"unix:{site.place}/nb2.sock")
    for schema in schemas[1:]:
        site.run("ovsdb-client", "convert", f"unix:{site.place}/nb2.sock", str(schema))
    site.stop()
    site.running.clear()
    for schema in targets:
        open_converted(files["opening"], DatabaseSchema.from_json(schema)).journal.close()
    expected = read_by_tool(site, files["tool"], targets[-1])
    assert expected.keys() == rows.keys()
    for key, row in rows.items():
        assert expected[key] == {**expected[key], **row}, key
    for who, file in files.items():
        assert read_by_tool(site, file, targets[-1]) == expected, who
        assert read_by_ours(file) == expected, who
