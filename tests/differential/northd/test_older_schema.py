"""Servers of other releases: what their schemas lack is left out, nothing is refused, and nothing is tried again."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from ovenbird.daemon import northd
from ovenbird.engine.rows import Store
from ovenbird.model import nb, sb
from ovenbird.northd.build import build
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.replica import Replica
from support.northd import oracle as programs
from support.ovsdb.other_schemas import newer, reduced, ungrouped
from support.waiting import until_async

pytestmark = pytest.mark.skipif(bool(programs.missing()), reason="needs Debian's OVN")

TOPOLOGY = (
    "ls-add s", "lsp-add s p", "lsp-set-addresses p dynamic", "lr-add r",
    "lrp-add r r-s 00:00:00:00:00:01 10.0.0.1/24", "lsp-add s s-r", "lsp-set-type s-r router",
    "lsp-set-addresses s-r router", "lsp-set-options s-r router-port=r-s", "lr-route-add r 0.0.0.0/0 10.0.0.254",
    "lr-nat-add r snat 10.0.0.1 10.0.0.0/24", "set Logical_Router r options:chassis=x",
)  # fmt: skip

GATEWAY = ("lr-add g", "lrp-add g g-s 00:00:00:00:00:09 10.0.0.9/24", "lrp-set-gateway-chassis g-s hv1")


@pytest.mark.parametrize("change", [reduced, newer])
def test_northd_beside_a_server_of_another_release(change, caplog):
    caplog.set_level(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="ovb-"))
    made = programs.Oracle(folder)
    try:
        southbound = serve(made, folder, change)
        transact(made, (*TOPOLOGY, "lb-add l 10.0.9.9:80 10.0.0.7:80", "ls-lb-add s l", *GATEWAY))
        asyncio.run(compiled(made))
        bind(southbound, "cr-g-s")  # what Northbound has no column for is left out
        asyncio.run(compiled(made))
        (balancer,) = southbound.select("Load_Balancer", "datapaths")
        assert balancer["datapaths"][0] == ("uuid" if change is reduced else "set")  # or else in a group
        assert len(southbound.select("Logical_Flow", "_uuid")) > 100
        assert southbound.select("Port_Binding", "_uuid")
        assert not [r for r in caplog.records if "refus" in r.message or r.levelno >= logging.ERROR]
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_southbound_without_groups_has_each_flow_for_each_datapath(caplog):
    """As the original, which asks whether the server has the column; beside what ours writes where there are groups."""
    caplog.set_level(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="ovb-"))
    made = programs.Oracle(folder)
    made.wait = "none"
    try:
        southbound = serve(made, folder, ungrouped)
        transact(made, TOPOLOGY)
        for lines in ((), MORE, ("ls-del t", "acl-del s"), ("ls-del s", "lr-del r")):
            transact(made, lines)
            asyncio.run(compiled(made))
            assert southbound_flows(southbound) == grouped_flows(made), lines
            assert asyncio.run(compiled(made)) == 0, "another one finds everything in place"
        assert not [r for r in caplog.records if "refus" in r.message or r.levelno >= logging.ERROR]
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


MORE = (
    "ls-add t", "lsp-add t q", "lsp-set-addresses q unknown", "pg-add g p q", "meter-add m drop 10 pktps",
    "acl-add g from-lport 1001 inport==@g&&tcp allow-related", "acl-add s to-lport 1 ip4 drop",
    "--meter=m --log acl-add s to-lport 2 ip6 reject", "lr-add idle", "lrp-add r r-t 00:00:00:00:00:02 10.0.1.1/24",
    "lsp-add t t-r", "lsp-set-type t-r router", "lsp-set-addresses t-r router", "lsp-set-options t-r router-port=r-t",
    "lb-add l 10.0.9.9:80 10.0.0.7:80", "ls-lb-add s l", "ls-lb-add t l", "lr-lb-add r l",
)  # fmt: skip


def southbound_flows(client):
    """Return the flows that a Southbound has, each with the name of its datapath."""
    names = {row["_uuid"][1]: dict(row["external_ids"][1])["name"]
             for row in client.select("Datapath_Binding", "_uuid", "external_ids")}  # fmt: skip
    columns = ("logical_datapath", "pipeline", "table_id", "priority", "match", "actions")
    rows = [tuple(row[column] for column in columns) for row in client.select("Logical_Flow", *columns)]
    assert rows
    return sorted((names[datapath[1]], *rest) for datapath, *rest in rows)


def grouped_flows(made):
    """Return the flows of the same network where there are groups, each for every datapath of its group."""
    database = Database(sb.schema(), sb.ROWS)
    northbound = Store("OVN_Northbound", nb.ROWS)
    made.nb.load(northbound)
    engine = build(northbound, sb_store=database.store)
    engine.run()
    transaction = database.transaction()
    for output in engine.outputs_of(database.store):
        output.plan(transaction)
    transaction.commit()
    return sorted(
        {
            (datapath.external_ids["name"], f.pipeline, f.table_id, f.priority, f.match, f.actions)
            for f in database.store.table(sb.LogicalFlow).rows.values()
            for datapath in ([f.logical_datapath] if f.logical_datapath is not None else f.logical_dp_group.datapaths)
        }
    )


def bind(southbound, port):
    """Make a chassis that has a port."""
    encap = {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "hv1"}
    southbound.transact(
        {"op": "insert", "table": "Encap", "row": encap, "uuid-name": "encap"},
        {"op": "insert", "table": "Chassis", "row": {"name": "hv1", "encaps": ["named-uuid", "encap"]},
         "uuid-name": "chassis"},
        {"op": "update", "table": "Port_Binding", "where": [["logical_port", "==", port]],
         "row": {"chassis": ["named-uuid", "chassis"]}},
    )  # fmt: skip


def serve(made, folder, change):
    """Start both databases with changed schemas; return a client of Southbound."""
    for name in ("nb", "sb"):
        (folder / f"{name}.ovsschema").write_text(json.dumps(change(name)))
        made._server(name, folder / f"{name}.ovsschema")
    made.nb = made._client("nb", "OVN_Northbound")
    made.nb.transact({"op": "insert", "table": "NB_Global", "row": {}})
    return made._client("sb", "OVN_Southbound")


async def compiled(made):
    """Run northd until it has nothing more to do; return how many transactions that took."""
    northbound = Replica(made.remote("nb"), database="OVN_Northbound", row_classes=nb.ROWS, probe=0)
    southbound = Replica(made.remote("sb"), database="OVN_Southbound", row_classes=sb.ROWS, probe=0)
    await northbound.start()
    await southbound.start()
    driver = northd.driver(northbound, southbound=southbound, findings=CompilerFindings())
    commits = []
    for replica in (northbound, southbound):
        replica.commit = counted(replica.commit, commits)
    running = asyncio.create_task(driver.run())

    async def done():
        for replica in (northbound, southbound):
            await replica.call("echo", [])  # what came of the last transaction has come before
        later = any(rows.reconsider_at < math.inf for rows in driver.rows.values())
        later = later or any(writer.wait_until > loop.time() for writer in driver.writers.values())
        return driver.waves and not driver.busy and not later

    loop = asyncio.get_running_loop()
    await until_async(done)
    assert len(commits) < 10
    assert not driver.engine.failures
    running.cancel()
    await asyncio.wait([running])
    await northbound.close()
    await southbound.close()
    return len(commits)


def transact(made, lines):
    """Make a topology; ovn-nbctl leaves out what the schema lacks."""
    for line in lines:
        command = ["ovn-nbctl", f"--db={made.remote('nb')}", "--timeout=20", *line.split()]
        done = subprocess.run(command, env=made.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)


def counted(commit, commits):
    async def counting(transaction, **options):
        commits.append(transaction)
        return await commit(transaction, **options)

    return counting
