"""Servers of other releases: what their schemas lack is left out, nothing is refused, and nothing is tried again."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import subprocess
import tempfile
from pathlib import Path

import oracle as programs
import pytest

from ovenbird.daemon import northd
from ovenbird.model import nb, sb
from ovenbird.northd.findings import Findings
from ovenbird.ovsdb.replica import Replica

pytestmark = pytest.mark.skipif(bool(programs.missing()), reason="needs Debian's OVN")

YOUNGER = {
    "sb": {
        "FDB": None, "Static_MAC_Binding": None, "Chassis_Template_Var": None, "Mirror": None, "BFD": None,
        "RBAC_Role": None, "RBAC_Permission": None,
        "Port_Binding": ("additional_chassis", "additional_encap", "requested_chassis", "port_security", "up",
                         "requested_additional_chassis", "mirror_rules"),
        "Logical_Flow": ("controller_meter",),
        "MAC_Binding": ("timestamp",),
        "Load_Balancer": ("datapath_group", "options"),
        "SB_Global": ("options", "ipsec"),
    },
    "nb": {
        "Static_MAC_Binding": None, "Chassis_Template_Var": None, "Mirror": None, "BFD": None,
        "Logical_Switch_Port": ("mirror_rules",),
        "Logical_Router_Static_Route": ("bfd", "route_table"),
        "NB_Global": ("nb_cfg_timestamp", "sb_cfg_timestamp", "hv_cfg_timestamp"),
        "NAT": ("gateway_port", "priority"),
        "ACL": ("label", "options", "tier"),
    },
}  # fmt: skip
"""Tables (None) and columns that releases have not always had."""


def reduced(name):
    """Return a schema without these, nor references to these tables."""
    schema = json.loads((programs.SCHEMAS / f"ovn-{name}.ovsschema").read_text())
    schema.pop("cksum")
    tables = schema["tables"]
    gone = {table for table, columns in YOUNGER[name].items() if columns is None}
    for table in gone:
        del tables[table]
    for table, columns in YOUNGER[name].items():
        for column in columns or ():
            tables[table]["columns"].pop(column, None)
    for table in tables.values():
        for column, told in tuple(table["columns"].items()):
            kinds = [told["type"].get(part) for part in ("key", "value")] if isinstance(told["type"], dict) else []
            if any(isinstance(kind, dict) and kind.get("refTable") in gone for kind in kinds):
                del table["columns"][column]
    return schema


def newer(name):
    """Return a schema with a column and a table that we do not know."""
    schema = json.loads((programs.SCHEMAS / f"ovn-{name}.ovsschema").read_text())
    schema.pop("cksum")
    for table in schema["tables"].values():
        table["columns"]["from_the_future"] = {"type": {"key": "string", "min": 0, "max": "unlimited"}}
    schema["tables"]["Future"] = {"columns": {"name": {"type": "string"}}, "isRoot": True}
    return schema


TOPOLOGY = (
    "ls-add s", "lsp-add s p", "lsp-set-addresses p dynamic", "lr-add r",
    "lrp-add r r-s 00:00:00:00:00:01 10.0.0.1/24", "lsp-add s s-r", "lsp-set-type s-r router",
    "lsp-set-addresses s-r router", "lsp-set-options s-r router-port=r-s", "lr-route-add r 0.0.0.0/0 10.0.0.254",
    "lr-nat-add r snat 10.0.0.1 10.0.0.0/24", "set Logical_Router r options:chassis=x",
)  # fmt: skip


@pytest.mark.parametrize("change", [reduced, newer])
def test_northd_beside_a_server_of_another_release(change, caplog):
    caplog.set_level(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="ovb-"))
    made = programs.Oracle(folder)
    made.wait = "none"

    async def run():
        northbound = Replica(made.remote("nb"), "OVN_Northbound", nb.ROWS, probe=0)
        southbound = Replica(made.remote("sb"), "OVN_Southbound", sb.ROWS, probe=0)
        await northbound.start()
        await southbound.start()
        pump = northd.pump(northbound, southbound, Findings())
        commits = []
        for replica in (northbound, southbound):
            replica.commit = counted(replica.commit, commits)
        running = asyncio.create_task(pump.run())
        flows = southbound.store.table(sb.LogicalFlow)
        async with asyncio.timeout(60):
            while len(flows.rows) < 100 or not southbound.store.table(sb.PortBinding).rows:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            while True:
                before = len(commits)
                await asyncio.sleep(1.5)  # longer than any pause before something is tried again
                if len(commits) == before:
                    break
        assert len(commits) < 10
        running.cancel()
        await asyncio.wait([running])
        await northbound.close()
        await southbound.close()

    try:
        for name in ("nb", "sb"):
            (folder / f"{name}.ovsschema").write_text(json.dumps(change(name)))
            made._server(name, folder / f"{name}.ovsschema")
        made.nb = made._client("nb", "OVN_Northbound")
        made._client("sb", "OVN_Southbound")
        made.nb.transact({"op": "insert", "table": "NB_Global", "row": {}})
        transact(made, change)
        asyncio.run(run())
        assert not [r for r in caplog.records if "refus" in r.message or r.levelno >= logging.ERROR]
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def transact(made, change):
    """Make the topology; ovn-nbctl leaves out what the schema lacks."""
    for line in TOPOLOGY:
        command = ["ovn-nbctl", f"--db={made.remote('nb')}", "--timeout=20", *line.split()]
        done = subprocess.run(command, env=made.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, change.__name__, done.stderr)


def counted(commit, commits):
    async def counting(transaction, **options):
        commits.append(transaction)
        return await commit(transaction, **options)

    return counting
