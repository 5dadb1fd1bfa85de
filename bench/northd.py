"""Northbound → Southbound: a cold compile, and single changes from one database's commit to the other's.

    bench/northd.py [SWITCHES [PORTS [REPEATS]]]

Three arrangements in turn, on the network of `topology.py`: ours in one process (`ovenbird central`), ours in
processes of their own (`ovenbird db` and `ovenbird northd`), and Debian's (`ovsdb-server` and `ovn-northd`).
Processor time of a cold compile is that of compiler and Southbound server together, from their start to the first
`sb_cfg`; ours in one process includes Northbound's server. A change is timed from its transaction's sending until
Northbound shows `sb_cfg`, which is after Southbound's commit. Medians; one JSON line each, then ratios.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import topology
from programs import OVENBIRD, Database, Place, cpu, memory, place

if TYPE_CHECKING:
    from collections.abc import Callable

BUMP = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]}


class Bench:
    """One arrangement's databases, and the processes whose time counts."""

    def __init__(self, here: Place, switches: int, ports: int) -> None:
        self.here = here
        self.switches = switches
        self.ports = ports
        self.counted: list[int] = []
        self.out: dict[str, Any] = {"switches": switches, "ports": switches * ports}
        self.nb: Database
        self.reader: Database

    def connect(self) -> None:
        """Connect to Northbound, ask for an answer, and wait for it: the cold compile."""
        self.nb = Database(self.here / "nb.sock", "OVN_Northbound")
        self.nb.transact(BUMP)
        self.reader = Database(self.here / "nb.sock", "OVN_Northbound")

    def cold(self, since: float) -> None:
        """Wait for the cold compile and note what it cost."""
        self.reader.watch("NB_Global", ["nb_cfg", "sb_cfg"])
        if not any(r["sb_cfg"] for r in self.reader.transact(select("NB_Global", "sb_cfg"))[0]["rows"]):
            self.reader.wait("NB_Global", lambda row: row["sb_cfg"] >= 1)
        self.out["cold_wall_s"] = round(time.monotonic() - since, 2)
        time.sleep(2)  # Northbound is told of ports that are not up: part of the work
        self.out["cold_cpu_s"] = round(sum(map(cpu, self.counted)), 2)
        self.out["memory_mb"] = sum(map(memory, self.counted))
        southbound = Database(self.here / "sb.sock", "OVN_Southbound")
        self.out["logical_flows"] = southbound.count("Logical_Flow")
        self.group = self.nb.transact(select("Port_Group", "_uuid"))[0]["rows"][0]["_uuid"]
        switches = self.nb.transact(select("Logical_Switch", "_uuid", "name"))[0]["rows"]
        self.names = {row["name"]: row["_uuid"] for row in switches}

    def change(self, *operations: dict[str, Any]) -> tuple[float, Any]:
        """Run a transaction; return how long Southbound took to follow, and the results."""
        want = self.nb.transact(select("NB_Global", "nb_cfg"))[0]["rows"][0]["nb_cfg"] + 1
        start = time.monotonic()
        results = self.nb.transact(*operations, BUMP)
        return self.reader.wait("NB_Global", lambda row: row["sb_cfg"] >= want) - start, results

    def edits(self, repeats: int) -> None:
        """Time single changes of each kind."""
        added: list[Any] = []

        def port_add(i: int) -> float:
            row = {k: next(iter(v)) if isinstance(v, frozenset) else v for k, v in topology.port(i, 30_000 + i).items()}
            where = [["_uuid", "==", self.names[f"ls{i % self.switches}"]]]
            took, results = self.change(
                {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "n", "row": row},
                mutate("Logical_Switch", where, "ports", "insert", ["named-uuid", "n"]),
            )
            added.append(results[0]["uuid"])
            return took

        def group(i: int, what: str) -> float:
            return self.change(mutate("Port_Group", [["_uuid", "==", self.group]], "ports", what, added[i]))[0]

        def acl_add(i: int) -> float:
            match = f"outport == @pg0 && ip4 && tcp && tcp.dst == {3000 + i}"
            row = {"priority": 1002, "direction": "to-lport", "match": match, "action": "allow-related"}
            insert = {"op": "insert", "table": "ACL", "uuid-name": "a", "row": row}
            where = [["_uuid", "==", self.group]]
            return self.change(insert, mutate("Port_Group", where, "acls", "insert", ["named-uuid", "a"]))[0]

        def port_delete(i: int) -> float:
            where = [["_uuid", "==", self.names[f"ls{i % self.switches}"]]]
            return self.change(mutate("Logical_Switch", where, "ports", "delete", added[i]))[0]

        def address_add(i: int) -> float:
            where = [["name", "==", "as0"]]
            return self.change(mutate("Address_Set", where, "addresses", "insert", f"172.31.0.{i}"))[0]

        def of_router(table: str, column: str, row: dict[str, Any]) -> float:
            insert = {"op": "insert", "table": table, "uuid-name": "n", "row": row}
            where = [["name", "==", "lr0"]]
            return self.change(insert, mutate("Logical_Router", where, column, "insert", ["named-uuid", "n"]))[0]

        def route_add(i: int) -> float:
            row = {"ip_prefix": f"172.20.{i}.0/24", "nexthop": f"10.{i}.0.9"}
            return of_router("Logical_Router_Static_Route", "static_routes", row)

        def policy_add(i: int) -> float:
            row = {"priority": 100 + i, "match": f"ip4.src == 10.0.{i}.0/24", "action": "reroute"}
            return of_router("Logical_Router_Policy", "policies", {**row, "nexthops": "10.1.0.9"})

        def floating_ip_add(i: int) -> float:
            row = {"type": "dnat_and_snat", "external_ip": f"192.0.2.{10 + i}", "logical_ip": f"10.0.0.{2 + i}"}
            return of_router("NAT", "nat", row)

        def snat_add(i: int) -> float:
            row = {"type": "snat", "external_ip": "192.0.2.1", "logical_ip": f"10.{i}.0.0/16"}
            return of_router("NAT", "nat", row)

        def router_port_add(i: int) -> float:
            network = f"172.21.{i}.1/24"
            row = {"name": f"new{i}", "mac": f"0a:fd:00:00:00:{i:02x}", "networks": network}
            return of_router("Logical_Router_Port", "ports", row)

        def name_add(i: int) -> float:
            record = [["records", "insert", ["map", [[f"vm{i}", f"10.0.0.{3 + i}"]]]]]
            return self.change({"op": "mutate", "table": "DNS", "where": [], "mutations": record})[0]

        kinds = {
            "port added": port_add,
            "group member added": lambda i: group(i, "insert"),
            "ACL added": acl_add,
            "address added": address_add,
            "group member removed": lambda i: group(i, "delete"),
            "port deleted": port_delete,
            "route added": route_add,
            "policy added": policy_add,
            "floating IP added": floating_ip_add,
            "SNAT added": snat_add,
            "router port added": router_port_add,
            "DNS record added": name_add,
            "nothing": lambda _: self.change()[0],
        }
        self.timed(kinds, repeats)

    def timed(self, kinds: dict[str, Callable[[int], float]], repeats: int) -> None:
        """Time changes of each kind, and count the processor time that each takes."""
        for kind, edit in kinds.items():
            times = []
            before = sum(map(cpu, self.counted))
            for i in range(repeats):
                times.append(edit(i))
                time.sleep(0.1)
            spent = (sum(map(cpu, self.counted)) - before) / repeats
            self.out[kind] = {"wall_ms": round(1e3 * statistics.median(times), 2), "cpu_ms": round(1e3 * spent, 2)}


def select(table: str, *columns: str) -> dict[str, Any]:
    return {"op": "select", "table": table, "where": [], "columns": list(columns)}


def mutate(table: str, where: list[Any], column: str, what: str, value: Any) -> dict[str, Any]:
    return {"op": "mutate", "table": table, "where": where, "mutations": [[column, what, ["set", [value]]]]}


def one_process(bench: Bench) -> None:
    """Run `ovenbird central`."""
    start = time.monotonic()
    options = ("--api-port=0", "--nb-port=0", "--sb-port=0", "--cloud-port=0")
    process = bench.here.start(*OVENBIRD, "central", f"--rundir={bench.here.path}", *options)
    bench.counted = [process.pid]
    bench.connect()
    bench.cold(start)


def processes(bench: Bench, server: tuple[str, ...], northd: tuple[str, ...]) -> None:
    """Run two servers and a compiler."""
    here = bench.here
    here.run("ovsdb-tool", "create", str(here / "sb.db"), "/usr/share/ovn/ovn-sb.ovsschema")
    pids = {}
    for name in ("nb", "sb"):
        options = (f"--remote=punix:{here / name}.sock", f"--unixctl={here / name}.ctl")
        pids[name] = here.start(*server, *options, str(here / f"{name}.db")).pid
    bench.connect()
    Database(here / "sb.sock", "OVN_Southbound")
    before = cpu(pids["sb"])
    start = time.monotonic()
    remotes = (f"--ovnnb-db=unix:{here / 'nb.sock'}", f"--ovnsb-db=unix:{here / 'sb.sock'}")
    compiler = here.start(*northd, *remotes, f"--unixctl={here / 'northd.ctl'}")
    bench.counted = [compiler.pid, pids["sb"]]
    bench.cold(start)
    bench.out["cold_cpu_s"] = round(bench.out["cold_cpu_s"] - before, 2)


ARRANGEMENTS = {
    "ours in one process": one_process,
    "ours in processes": lambda b: processes(b, (*OVENBIRD, "db"), (*OVENBIRD, "northd")),
    "Debian's": lambda b: processes(b, ("ovsdb-server",), ("ovn-northd",)),
}


def main() -> None:
    switches, ports, repeats = ([int(a) for a in sys.argv[1:]] + [100, 100, 7][len(sys.argv) - 1 :])[:3]
    results = {}
    for name, arrange in ARRANGEMENTS.items():
        with place() as here:
            topology.write(here / "nb.db", switches, ports)
            bench = Bench(here, switches, ports)
            arrange(bench)
            bench.edits(repeats)
            results[name] = bench.out
            print(json.dumps({"arrangement": name, **bench.out}), flush=True)
    ratios(results)


def ratios(results: dict[str, dict[str, Any]]) -> None:
    """Print how many times faster than the original ours are."""
    theirs = results["Debian's"]
    for name in list(results)[:2]:
        ours = results[name]
        faster = {"cold cpu": theirs["cold_cpu_s"] / ours["cold_cpu_s"]}
        faster |= {k: v["wall_ms"] / ours[k]["wall_ms"] for k, v in theirs.items() if isinstance(v, dict)}
        print(f"{name}: times faster:", ", ".join(f"{kind} {ratio:.1f}" for kind, ratio in faster.items()))


if __name__ == "__main__":
    main()
