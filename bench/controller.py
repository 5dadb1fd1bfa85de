"""One chassis of a large network: a controller's cold start until every flow is installed, and one more port.

    bench/controller.py [SWITCHES [PORTS_PER_SWITCH [BOUND [PAIRS]]]]

`ovn-controller` and ours follow the same Southbound, written by `ovn-northd`, each with a switch of its own on
dummy datapaths (root is not needed). They run in turn, because other work on the machine slows whoever runs: compare
within a pair. Prints a JSON line for each run; processor seconds are the controller's own.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import topology
from programs import OVENBIRD, Database, Place, cpu, memory, place

if TYPE_CHECKING:
    import subprocess

SCHEMAS = {"nb": "/usr/share/ovn/ovn-nb.ovsschema", "sb": "/usr/share/ovn/ovn-sb.ovsschema",
           "db": "/usr/share/openvswitch/vswitch.ovsschema"}  # fmt: skip
CONTROLLERS = {"ovn-controller": ("ovn-controller",), "ovenbird": (*OVENBIRD, "controller")}
MORE = 5
"""Ports bound one by one after the cold start."""


def serve(here: Place, name: str) -> subprocess.Popen[bytes]:
    """Serve a database of the place, made empty if it is not there."""
    if not (here / f"{name}.db").exists():
        here.run("ovsdb-tool", "create", str(here / f"{name}.db"), SCHEMAS[name])
    socket = f"--remote=punix:{here / f'{name}.sock'}"
    return here.start("ovsdb-server", socket, f"--unixctl={here / f'{name}.ctl'}", str(here / f"{name}.db"))


def compile_southbound(target: Path, switches: int, ports: int) -> None:
    """Write the Southbound of the network."""
    with place() as here:
        topology.write(here / "nb.db", switches, ports)
        serve(here, "nb")
        serve(here, "sb")
        northbound = Database(here / "nb.sock", "OVN_Northbound")
        northbound.watch("NB_Global", ["sb_cfg"])
        Database(here / "sb.sock", "OVN_Southbound")
        here.start("ovn-northd", f"--ovnnb-db=unix:{here / 'nb.sock'}", f"--ovnsb-db=unix:{here / 'sb.sock'}")
        northbound.transact({"op": "update", "table": "NB_Global", "where": [], "row": {"nb_cfg": 1}})
        northbound.wait("NB_Global", lambda row: row["sb_cfg"] >= 1)
        here.run("ovs-appctl", "-t", str(here / "sb.ctl"), "ovsdb-server/compact", "OVN_Southbound")
        shutil.copy(here / "sb.db", target)


def plug(here: Place, names: list[str]) -> None:
    """Give ports an interface each."""
    words = []
    for name in names:
        words += ["--", "add-port", "br-int", name, "--", "set", "Interface", name, "type=dummy"]
        words.append(f"external_ids:iface-id={name}")
    here.run("ovs-vsctl", f"--db=unix:{here / 'db.sock'}", "--no-wait", *words[1:])


def switch_on(here: Place) -> None:
    """Start a switch with an integration bridge and the chassis's configuration."""
    serve(here, "db")
    Database(here / "db.sock", "Open_vSwitch")
    vsctl = ("ovs-vsctl", f"--db=unix:{here / 'db.sock'}", "--timeout=60")
    here.run(*vsctl, "--no-wait", "init", "--", "set", "Open_vSwitch", ".", "external_ids:system-id=hv1")
    here.start("ovs-vswitchd", "--enable-dummy=system", "--disable-system", f"unix:{here / 'db.sock'}")
    here.run(
        *vsctl, *("add-br", "br-int", "--", "set", "Bridge", "br-int", "fail_mode=secure"),
        *("--", "set", "Open_vSwitch", ".", f"external_ids:ovn-remote=unix:{here / 'sb.sock'}"),
        *("external_ids:ovn-encap-type=geneve", "external_ids:ovn-encap-ip=127.0.0.1"),
    )  # fmt: skip


def measure(southbound: Path, controller: str, names: list[str], bound: int) -> dict[str, Any]:
    """Start a controller with the first ports plugged, then plug the others one by one."""
    with place() as here:
        shutil.copy(southbound, here / "sb.db")
        serve(here, "sb")
        switch_on(here)
        for first in range(0, bound, 50):
            plug(here, names[first : min(first + 50, bound)])
        client = Database(here / "sb.sock", "OVN_Southbound")
        client.watch("Port_Binding", ["logical_port", "up"])
        client.watch("Chassis_Private", ["nb_cfg"])
        begin = time.monotonic()
        process = here.start(*CONTROLLERS[controller], f"unix:{here / 'db.sock'}")
        up: set[str] = set()

        def all_up(row: dict[str, Any]) -> bool:
            if row.get("up") is True:
                up.add(row["logical_port"])
            return len(up) >= bound

        out: dict[str, Any] = {"controller": controller}
        out["all_up_s"] = round(client.wait("Port_Binding", all_up) - begin, 2)
        client.transact({"op": "update", "table": "SB_Global", "where": [], "row": {"nb_cfg": 9}})
        out["installed_s"] = round(client.wait("Chassis_Private", lambda row: row["nb_cfg"] == 9) - begin, 2)
        out["cpu_s"], out["rss_mb"] = round(settled(process.pid), 2), memory(process.pid)
        said = here.run("ovs-ofctl", "-O", "OpenFlow15", "dump-aggregate", f"unix:{here / 'br-int.mgmt'}")
        out["flows"] = int(said.split("flow_count=")[1].split()[0].strip(","))
        walls, cpus = [], []
        for name in names[bound:]:
            before, begin = cpu(process.pid), time.monotonic()
            plug(here, [name])
            wanted = lambda row, name=name: row.get("logical_port") == name and row.get("up") is True  # noqa: E731
            walls.append(client.wait("Port_Binding", wanted) - begin)
            cpus.append(settled(process.pid) - before)
        out["one_more_ms"] = {"wall": round(1e3 * statistics.median(walls), 1)}
        out["one_more_ms"]["cpu"] = round(1e3 * statistics.median(cpus), 1)
        return out


def settled(pid: int) -> float:
    """Return a process's processor seconds when it uses no more."""
    last = -1.0
    while (used := cpu(pid)) - last > 0.01:
        last = used
        time.sleep(0.5)
    return used


def main() -> None:
    """Run the pairs."""
    switches, ports, bound, pairs = ([int(a) for a in sys.argv[1:]] + [100, 100, 200, 1][len(sys.argv) - 1 :])[:4]
    names = [f"lsp{n % switches}-{2 + n // switches}" for n in range(bound + MORE)]
    with tempfile.TemporaryDirectory(prefix="ob.") as directory:
        southbound = Path(directory) / "sb.db"
        compile_southbound(southbound, switches, ports)
        for _ in range(pairs):
            for controller in CONTROLLERS:
                run = measure(southbound, controller, names, bound)
                print(json.dumps({"ports": switches * ports, "bound": bound, **run}), flush=True)


if __name__ == "__main__":
    main()
