"""One chassis of a network whose load balancers every node shares: a controller's cold start, and one balancer more.

    bench/balanced_chassis.py [NODES [BALANCERS [PODS [PAIRS]]]]

The network is that of `load_balancers.py`, compiled by `ovn-northd`, which goes on running; the chassis is that of the
first node, with its gateway router and one pod. Controllers run in turn: compare within a pair. One JSON line each.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import load_balancers
import northd
from controller import CONTROLLERS, plug, serve, settled, switch_on
from programs import Database, Place, cpu, memory, place

MORE = 5
"""Load balancers added one by one after the cold start."""


def databases(here: Place, source: Path) -> Database:
    """Serve both databases, copies of those in a directory, and run northd; return Northbound when it is compiled."""
    for name in ("nb", "sb"):
        if (source / f"{name}.db").exists():
            shutil.copy(source / f"{name}.db", here / f"{name}.db")
        serve(here, name)
    northbound = Database(here / "nb.sock", "OVN_Northbound")
    northbound.watch("NB_Global", ["sb_cfg", "hv_cfg"])
    Database(here / "sb.sock", "OVN_Southbound")
    here.start("ovn-northd", f"--ovnnb-db=unix:{here / 'nb.sock'}", f"--ovnsb-db=unix:{here / 'sb.sock'}")
    number = 1 + northbound.transact(northd.select("NB_Global", "nb_cfg"))[0]["rows"][0]["nb_cfg"]
    confirmed(northbound, "sb_cfg", number)
    return northbound


def confirmed(northbound: Database, column: str, number: int, *operations: dict[str, Any]) -> None:
    """Make changes and wait until they have the number of theirs in a column of NB_Global."""
    numbered = {"op": "update", "table": "NB_Global", "where": [], "row": {"nb_cfg": number}}
    northbound.transact(*operations, numbered)
    northbound.wait("NB_Global", lambda row: row[column] >= number)


def measure(source: Path, controller: str) -> dict[str, Any]:
    """Start a controller, then add balancers one by one."""
    with place() as here:
        northbound = databases(here, source)
        switch_on(here)
        vsctl = ("ovs-vsctl", f"--db=unix:{here / 'db.sock'}", "--no-wait")
        here.run(*vsctl, "set", "Open_vSwitch", ".", "external_ids:system-id=hv0")
        plug(here, ["lsp0-2"])
        (group,) = northbound.transact(northd.select("Load_Balancer_Group", "_uuid"))[0]["rows"]
        chassis = Database(here / "sb.sock", "OVN_Southbound")
        chassis.watch("Chassis_Private", ["name"])
        begin = time.monotonic()
        process = here.start(*CONTROLLERS[controller], f"unix:{here / 'db.sock'}")
        chassis.wait("Chassis_Private", lambda row: row["name"] == "hv0")  # before that nobody waits for it
        number = 100
        confirmed(northbound, "hv_cfg", number)
        out: dict[str, Any] = {"controller": controller, "installed_s": round(time.monotonic() - begin, 2)}
        out["cpu_s"], out["rss_mb"] = round(settled(process.pid), 2), memory(process.pid)
        out["flows"] = flows(here)
        walls, cpus = [], []
        for i in range(MORE):
            number += 1
            before, begin = cpu(process.pid), time.monotonic()
            vips = ["map", [[f"172.31.0.{i}:80", load_balancers.vips(i).popitem()[1]]]]
            row = {"name": f"new{i}", "protocol": "tcp", "vips": vips}
            insert = {"op": "insert", "table": "Load_Balancer", "uuid-name": "n", "row": row}
            where = [["_uuid", "==", group["_uuid"]]]
            join = northd.mutate("Load_Balancer_Group", where, "load_balancer", "insert", ["named-uuid", "n"])
            confirmed(northbound, "hv_cfg", number, insert, join)
            walls.append(time.monotonic() - begin)
            cpus.append(settled(process.pid) - before)
        out["one_more_ms"] = {"wall": round(1e3 * statistics.median(walls), 1)}
        out["one_more_ms"]["cpu"] = round(1e3 * statistics.median(cpus), 1)
        return out


def flows(here: Place) -> int:
    """Return how many flows the bridge has."""
    said = here.run("ovs-ofctl", "-O", "OpenFlow15", "dump-aggregate", f"unix:{here / 'br-int.mgmt'}")
    return int(said.split("flow_count=")[1].split()[0].strip(","))


def main() -> None:
    """Run the pairs."""
    nodes, balancers, pods, pairs = ([int(a) for a in sys.argv[1:]] + [20, 2000, 40, 1][len(sys.argv) - 1 :])[:4]
    with tempfile.TemporaryDirectory(prefix="ob.") as directory:
        source = Path(directory)
        load_balancers.write(source / "nb.db", nodes, balancers, pods)
        with place() as here:
            databases(here, source)
            for name in ("nb", "sb"):
                database = {"nb": "OVN_Northbound", "sb": "OVN_Southbound"}[name]
                here.run("ovs-appctl", "-t", str(here / f"{name}.ctl"), "ovsdb-server/compact", database)
                shutil.copy(here / f"{name}.db", source / f"{name}.db")
        for _ in range(pairs):
            for controller in CONTROLLERS:
                run = measure(source, controller)
                print(json.dumps({"nodes": nodes, "balancers": balancers, **run}), flush=True)


if __name__ == "__main__":
    main()
