"""Load balancers that everybody shares: a cold compile and single changes, ours beside ovn-northd.

    bench/load_balancers.py [NODES [BALANCERS [PODS [REPEATS]]]]

Each node has a switch of `PODS` ports and a gateway router; a distributed router joins the switches, and a join switch
the routers. One group of `BALANCERS` load balancers, of ten backends each, is used by all node switches and gateway
routers, as Kubernetes' services are. Measured as in `northd.py`: arrangements in turn, medians, one JSON line each.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import northd
import topology
from northd import ARRANGEMENTS, Bench, select
from programs import place

from ovenbird.model import nb
from ovenbird.ovsdb.journal import create, open_database

if TYPE_CHECKING:
    from pathlib import Path

    from programs import Place

BACKENDS = 10


def vips(number: int, first: int = 0) -> dict[str, str]:
    """Return the virtual address of a balancer, and its backends."""
    backends = [f"{10 + (b >> 8)}.{b & 255}.0.{2 + number % 40}:8080" for b in range(first, first + BACKENDS)]
    return {f"172.{16 + (number >> 16)}.{number >> 8 & 255}.{number & 255}:80": ",".join(backends)}


def write(path: Path, nodes: int, balancers: int, pods: int) -> None:
    """Write the journal of the network."""
    create(path, nb.schema())
    database = open_database(path, nb.ROWS)
    change = database.transaction()
    change.insert(nb.NBGlobal, {})
    rows = [{"name": f"lb{n}", "protocol": "tcp", "vips": vips(n)} for n in range(balancers)]
    members = frozenset(change.insert(nb.LoadBalancer, row) for row in rows)
    group = frozenset([change.insert(nb.LoadBalancerGroup, {"name": "all", "load_balancer": members})])
    joins, ports, all_pods = [], [], []

    def joined(name: str) -> Any:
        row = {"name": f"to-{name}", "type": "router", "addresses": frozenset(("router",))}
        return change.insert(nb.LogicalSwitchPort, {**row, "options": {"router-port": name}})

    def router_port(name: str, mac: str, network: str) -> Any:
        return change.insert(nb.LogicalRouterPort, {"name": name, "mac": mac, "networks": frozenset((network,))})

    for n in range(nodes):
        mine = [change.insert(nb.LogicalSwitchPort, topology.port(n, p)) for p in range(2, pods + 2)]
        all_pods += mine
        end = f"{n >> 8:02x}:{n & 255:02x}"
        ports.append(router_port(f"lrp{n}", f"0a:ff:{end}:00:01", f"{10 + (n >> 8)}.{n & 255}.0.1/16"))
        mine.append(joined(f"lrp{n}"))
        switch = {"name": f"ls{n}", "ports": frozenset(mine), "load_balancer_group": group}
        change.insert(nb.LogicalSwitch, switch)
        own = router_port(f"gw{n}", f"0a:fe:{end}:00:01", f"100.64.{n >> 8}.{(n & 255) or 254}/16")
        joins.append(joined(f"gw{n}"))
        router = {"name": f"gr{n}", "ports": frozenset([own]), "options": {"chassis": f"hv{n}"}}
        change.insert(nb.LogicalRouter, {**router, "load_balancer_group": group})
    ports.append(router_port("join", "0a:fd:00:00:00:01", "100.64.255.1/16"))
    joins.append(joined("join"))
    change.insert(nb.LogicalSwitch, {"name": "join", "ports": frozenset(joins)})
    change.insert(nb.LogicalRouter, {"name": "cluster", "ports": frozenset(ports)})
    change.insert(nb.PortGroup, {"name": "pods", "ports": frozenset(all_pods)})
    change.commit()
    database.journal.close()


class Balanced(Bench):
    """The same measurements, of other changes."""

    balancers = 0

    def edits(self, repeats: int) -> None:
        """Time single changes of load balancers."""
        (group,) = self.nb.transact(select("Load_Balancer_Group", "_uuid"))[0]["rows"]
        rows = self.nb.transact(select("Load_Balancer", "_uuid", "name"))[0]["rows"]
        uuids = {row["name"]: row["_uuid"] for row in rows}  # clients keep a copy of the table, and name rows by UUID
        added: list[Any] = []

        def update(number: int, values: dict[str, str]) -> float:
            where = [["_uuid", "==", uuids[f"lb{number}"]]]
            row = {"vips": ["map", [list(pair) for pair in values.items()]]}
            return self.change({"op": "update", "table": "Load_Balancer", "where": where, "row": row})[0]

        def backend(i: int) -> float:
            return update(i, vips(i, 1))

        def vip(i: int) -> float:
            return update(i, {**vips(i, 1), f"172.30.0.{i}:80": "10.0.0.2:80"})

        def balancer_add(i: int) -> float:
            row = {"name": f"new{i}", "protocol": "tcp", "vips": ["map", [["172.31.0." + f"{i}:80", "10.0.0.2:80"]]]}
            where = [["_uuid", "==", group["_uuid"]]]
            took, results = self.change(
                {"op": "insert", "table": "Load_Balancer", "uuid-name": "n", "row": row},
                northd.mutate("Load_Balancer_Group", where, "load_balancer", "insert", ["named-uuid", "n"]),
            )
            added.append(results[0]["uuid"])
            return took

        def balancer_delete(i: int) -> float:
            return self.change({"op": "delete", "table": "Load_Balancer", "where": [["_uuid", "==", added[i]]]})[0]

        self.timed(
            {
                "backend changed": backend,
                "address added": vip,
                "balancer added": balancer_add,
                "balancer deleted": balancer_delete,
                "nothing": lambda _: self.change()[0],
            },
            repeats,
        )


def main() -> None:
    """Measure the arrangements in turn, and print how many times faster than the original ours are."""
    nodes, balancers, pods, repeats = ([int(a) for a in sys.argv[1:]] + [250, 2000, 40, 7][len(sys.argv) - 1 :])[:4]
    results: dict[str, dict[str, Any]] = {}
    for name, arrange in ARRANGEMENTS.items():
        with place() as here:
            results[name] = measured(here, arrange, nodes, balancers, pods, repeats)
            print(json.dumps({"arrangement": name, "balancers": balancers, **results[name]}), flush=True)
    northd.ratios(results)


def measured(here: Place, arrange: Any, nodes: int, balancers: int, pods: int, repeats: int) -> dict[str, Any]:
    """Return what one arrangement costs."""
    write(here / "nb.db", nodes, balancers, pods)
    bench = Balanced(here, nodes, pods)
    arrange(bench)
    bench.edits(repeats)
    return bench.out


if __name__ == "__main__":
    main()
