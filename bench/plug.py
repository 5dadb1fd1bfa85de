"""From a port plugged on a hypervisor until its flows are installed and the API says ACTIVE.

    bench/plug.py [PORTS_IN_THE_DATABASES [SAMPLES]]

Starts a lab of its own (root; Open vSwitch's userspace datapath), fills the network with ports that are bound nowhere,
then times single ports: created through the API, plugged with `ovs-vsctl`, polled until ACTIVE.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from ovenbird.lab.lab import Lab


def main() -> None:
    ports, samples = ([int(a) for a in sys.argv[1:]] + [1000, 20][len(sys.argv) - 1 :])[:2]
    rundir = Path(tempfile.mkdtemp(prefix="ob."))
    lab = Lab.up(rundir)
    try:
        api = httpx.Client(base_url=f"{lab.layout.api}/v2.0", timeout=120)

        def post(kind: str, body: object) -> dict:
            answer = api.post(f"/{kind}s", json=body)
            assert answer.status_code == 201, answer.text
            return answer.json()

        api.put(f"/quotas/{'0' * 32}", json={"quota": {"port": -1}}).raise_for_status()
        network = post("network", {"network": {"name": "bench"}})["network"]["id"]
        post("subnet", {"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.64.0.0/16"}})
        start = time.monotonic()
        for first in range(0, ports, 500):
            many = [{"network_id": network} for _ in range(min(500, ports - first))]
            post("port", {"ports": many})
        filled = time.monotonic() - start
        central = lab.process("central").pid
        host = lab.layout.hosts[0]
        controller = lab.process(f"{host}-controller").pid
        time.sleep(3)
        took, created = [], []
        used = []
        for i in range(samples):
            begin = time.monotonic()
            want = {"network_id": network, "binding:host_id": host, "device_owner": "compute:lab", "device_id": f"b{i}"}
            port = post("port", {"port": want})["port"]["id"]
            made = time.monotonic()
            created.append(made - begin)
            before = cpu(central), cpu(controller)
            device = f"b{i}"
            lab.hypervisor(host).vsctl(
                "--no-wait", "add-port", "br-int", device, "--",
                "set", "Interface", device, "type=internal", f"external_ids:iface-id={port}",
            )  # fmt: skip
            while api.get(f"/ports/{port}?fields=status").json()["port"]["status"] != "ACTIVE":
                time.sleep(0.002)
            took.append(time.monotonic() - made)
            used.append((cpu(central) - before[0], cpu(controller) - before[1]))
            time.sleep(0.1)
        out = {
            "ports": ports,
            "fill_s": round(filled, 2),
            "create_ms": summary(created),
            "plug_to_active_ms": summary(took),
            "central_cpu_ms": round(1e3 * statistics.median(u[0] for u in used), 1),
            "controller_cpu_ms": round(1e3 * statistics.median(u[1] for u in used), 1),
        }
        print(json.dumps(out))
    finally:
        lab.down()


def summary(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return {"median": round(1e3 * statistics.median(times), 1), "p95": round(1e3 * p95, 1)}


def cpu(pid: int) -> float:
    return sum(int(t.read_text().split()[0]) for t in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


if __name__ == "__main__":
    assert subprocess.run(["id", "-u"], capture_output=True, check=True).stdout == b"0\n", "needs root"
    main()
