"""The original ovn-controller as an oracle: logical flows in, the OpenFlow flows of its integration bridge out."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.waiting import until

SB_SCHEMA = Path("/usr/share/ovn/ovn-sb.ovsschema")
VSWITCH_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
PROGRAMS = ("ovsdb-server", "ovsdb-tool", "ovsdb-client", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovn-controller")

# name -> (code, type); DHCPv4 and DHCPv6 options as ovn-northd writes them into the Southbound.
DHCP4 = {
    "offerip": (0, "ipv4"), "netmask": (1, "ipv4"), "router": (3, "ipv4"), "dns_server": (6, "ipv4"),
    "lease_time": (51, "uint32"), "server_id": (54, "ipv4"), "mtu": (26, "uint16"), "domain_name": (15, "str"),
    "classless_static_route": (121, "static_routes"), "ip_forward_enable": (19, "bool"), "ethernet_encap": (36, "bool"),
    "T1": (58, "uint32"), "wpad": (252, "str"), "tftp_server": (66, "host_id"), "bootfile_name": (67, "str"),
    "domain_search_list": (119, "domains"), "tftp_server_address": (150, "ipv4"), "bootfile_name_alt": (254, "str"),
    "default_ttl": (23, "uint8"), "next_server": (253, "ipv4"), "path_prefix": (210, "str"),
}  # fmt: skip
DHCP6 = {
    "server_id": (2, "mac"), "ia_addr": (5, "ipv6"), "dns_server": (23, "ipv6"), "domain_search": (24, "str"),
    "bootfile_name": (59, "str"), "fqdn": (39, "str"),
}  # fmt: skip

TABLE = 3
DATAPATHS = {"switch": 5, "router": 6}
PORTS = {"p1": 1, "p2": 2, "p3": 3}  # of the switch; those of the router are r1, r2, r3 with the same keys
GROUPS = {"_MC_flood": 32768}


class Oracle:
    """A database server, a switch with the dummy datapath and an ovn-controller, in a directory of their own."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="ovb-act-", dir="/tmp"))
        self.env = os.environ | {
            f"{p}_{d}DIR": str(self.root) for p in ("OVS", "OVN") for d in ("RUN", "LOG", "DB", "SYSCONF")
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, *command: str, **kwargs: object) -> str:
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=30, check=False, **kwargs)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def spawn(self, *command: str) -> None:
        log = (self.root / f"{command[0]}.{len(self.processes)}.out").open("wb")
        self.processes.append(subprocess.Popen(command, env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        log.close()

    def start(self) -> None:
        root = self.root
        self.run("ovsdb-tool", "create", f"{root}/sb.db", str(SB_SCHEMA))
        self.run("ovsdb-tool", "create", f"{root}/conf.db", str(VSWITCH_SCHEMA))
        self.spawn(
            "ovsdb-server",
            f"--remote=punix:{root}/db.sock",
            f"--unixctl={root}/db.ctl",
            f"{root}/sb.db",
            f"{root}/conf.db",
        )
        until((root / "db.sock").exists)
        self.run("ovs-vsctl", "--no-wait", "init")
        self.spawn("ovs-vswitchd", "--enable-dummy", "--disable-system", f"--unixctl={root}/vs.ctl")
        self.run(
            "ovs-vsctl", "--timeout=20", "--", "add-br", "br-int",
            "--", "set", "Bridge", "br-int", "datapath_type=dummy", "fail_mode=secure",
            "--", "add-port", "br-int", "p1", "--", "set", "Interface", "p1", "type=dummy", "external_ids:iface-id=p1",
            "--", "add-port", "br-int", "r1", "--", "set", "Interface", "r1", "type=dummy", "external_ids:iface-id=r1",
            "--", "set", "Open_vSwitch", ".", "external_ids:system-id=hv1",
            f"external_ids:ovn-remote=unix:{root}/db.sock",
            "external_ids:ovn-encap-type=geneve", "external_ids:ovn-encap-ip=127.0.0.1",
            "external_ids:ovn-bridge-datapath-type=dummy",
        )  # fmt: skip
        self.transact(*self.topology())
        self.spawn("ovn-controller", f"unix:{root}/db.sock")
        until(self.bound)

    def bound(self) -> bool:
        select = {"op": "select", "table": "Port_Binding", "where": [["up", "==", True]], "columns": ["logical_port"]}
        return len(self.transact(select)[0]["rows"]) == len(DATAPATHS)

    def topology(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = [
            *(row for kind, key in DATAPATHS.items() for row in datapath(kind, key)),
            *(
                insert("DHCP_Options", f"d4{i}", name=name, code=code, type=kind)
                for i, (name, (code, kind)) in enumerate(DHCP4.items())
            ),
            *(
                insert("DHCPv6_Options", f"d6{i}", name=name, code=code, type=kind)
                for i, (name, (code, kind)) in enumerate(DHCP6.items())
            ),
            insert("Meter", "m1", name="acl-meter", unit="pktps", bands=["named-uuid", "b1"]),
            insert("Meter", "m2", name="", unit="pktps", bands=["named-uuid", "b1"]),
            insert("Meter_Band", "b1", action="drop", rate=10),
            insert("SB_Global", "g", nb_cfg=1, options=["map", []]),
        ]
        return rows

    def transact(self, *operations: dict[str, object]) -> list[dict[str, object]]:
        out = self.run(
            "ovsdb-client", "transact", f"unix:{self.root}/db.sock", json.dumps(["OVN_Southbound", *operations])
        )
        result: list[dict[str, object]] = json.loads(out)
        assert not [r for r in result if r and "error" in r], result
        return result

    def logical_flows(self, flows: list[tuple[str, int, str, str]], *, is_switch: bool = True) -> list[int]:
        """Replace all logical flows by (pipeline, table, match, actions), later ones first; return their cookies."""
        key = DATAPATHS["switch" if is_switch else "router"]
        where = {"table": "Datapath_Binding", "where": [["tunnel_key", "==", key]], "columns": ["_uuid"]}
        datapath = self.transact({"op": "select", **where})[0]["rows"][0]["_uuid"]
        names = ("pipeline", "table_id", "match", "actions")
        inserts = [
            {"op": "insert", "table": "Logical_Flow", "row": {
                "logical_datapath": datapath, "priority": 100 + i, **dict(zip(names, flow, strict=True)),
                "external_ids": ["map", [["stage-name", f"stage_{flow[1]}"]]],
            }}
            for i, flow in enumerate(flows)
        ]  # fmt: skip
        _, *inserted = self.transact({"op": "delete", "table": "Logical_Flow", "where": []}, *inserts)
        return [int(str(row["uuid"][1])[:8], 16) for row in inserted]

    def flows(
        self, flows: list[tuple[str, str]], pipeline: str = "ingress", *, is_switch: bool = True
    ) -> list[list[tuple[str, str]]]:
        """Compile a flow per (match, actions); return what each became as (match, actions), as ovs-ofctl prints it."""
        cookies = self.logical_flows([(pipeline, TABLE, *flow) for flow in flows], is_switch=is_switch)
        self.transact({"op": "mutate", "table": "SB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]})
        last = self.nb_cfg("SB_Global")
        until(lambda: self.nb_cfg("Chassis_Private") == last)
        found: dict[int, list[tuple[str, str]]] = {}
        dump = self.run(
            "ovs-ofctl", "-O", "OpenFlow15", "--no-stats", "--no-names", "dump-flows", f"unix:{self.root}/br-int.mgmt"
        )
        for line in dump.splitlines():
            if m := re.match(r"\s*(?:cookie=0x([0-9a-f]+), )?(table=\d+, .*?) actions=(.*)$", line):
                found.setdefault(int(m[1] or "0", 16), []).append((m[2], m[3]))
        return [found.get(cookie, []) for cookie in cookies]

    def nb_cfg(self, table: str) -> int:
        rows = self.transact({"op": "select", "table": table, "where": [], "columns": ["nb_cfg"]})[0]["rows"]
        return rows[0]["nb_cfg"] if rows else -1

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.root)


def insert(table: str, label: str, /, **row: object) -> dict[str, object]:
    return {"op": "insert", "table": table, "uuid-name": label, "row": row}


def datapath(kind: str, key: int) -> list[dict[str, object]]:
    """A datapath with three ports and a multicast group."""
    name, letter = f"l{kind}", {"switch": "p", "router": "r"}[kind]
    here = ["named-uuid", name]
    ids = [["name", kind], [f"logical-{kind}", f"11111111-2222-3333-4444-{key:012d}"]]
    ports = [f"{letter}{number}" for number in PORTS.values()]
    return [
        insert("Datapath_Binding", name, tunnel_key=key, external_ids=["map", ids]),
        *(
            insert("Port_Binding", port, logical_port=port, tunnel_key=int(port[1]), datapath=here, up=False)
            for port in ports
        ),
        *(
            insert(
                "Multicast_Group", f"mc{name}", name=group, tunnel_key=group_key, datapath=here,
                ports=["set", [["named-uuid", port] for port in ports]],
            )
            for group, group_key in GROUPS.items()
        ),
    ]  # fmt: skip


@pytest.fixture(scope="session")
def oracle() -> object:
    if missing := [p for p in PROGRAMS if shutil.which(p) is None]:
        pytest.skip(f"the original is not installed: {', '.join(missing)}")
    it = Oracle()
    try:
        it.start()
        yield it
    finally:
        it.stop()


# Commands that make northd write about every action that it knows; the file itself says how to read it.
NORTHBOUND = Path(__file__).with_name("northbound.md")


@pytest.fixture(scope="session")
def northd_actions() -> dict[tuple[str, bool], set[str]]:
    """The actions that the original ovn-northd writes for a rich Northbound, by pipeline and whether of a switch."""
    if shutil.which("ovn-northd") is None or shutil.which("ovn-nbctl") is None:
        pytest.skip("the original northd is not installed")
    it = Oracle()
    root = it.root
    try:
        for name in ("nb", "sb"):
            it.run("ovsdb-tool", "create", f"{root}/{name}.db", f"/usr/share/ovn/ovn-{name}.ovsschema")
        it.spawn(
            "ovsdb-server",
            f"--remote=punix:{root}/db.sock",
            f"--unixctl={root}/db.ctl",
            f"{root}/nb.db",
            f"{root}/sb.db",
        )
        until((root / "db.sock").exists)
        db = f"--db=unix:{root}/db.sock"
        it.run("ovn-sbctl", db, "init", "--", "chassis-add", "hv1", "geneve", "127.0.0.1")
        it.spawn(
            "ovn-northd",
            f"--ovnnb-db=unix:{root}/db.sock",
            f"--ovnsb-db=unix:{root}/db.sock",
            f"--unixctl={root}/n.ctl",
        )
        made: dict[str, str] = {}
        for line in NORTHBOUND.read_text().split("```")[1].strip().splitlines():
            name, colon, command = line.partition(": create")
            words = shlex.split((f"create {command}" if colon else line).format(**made))
            made[name if colon else ""] = it.run("ovn-nbctl", db, *words).strip()
        found: dict[tuple[str, bool], set[str]] = {}
        columns = ["pipeline", "actions", "external_ids"]
        for row in it.transact({"op": "select", "table": "Logical_Flow", "where": [], "columns": columns})[0]["rows"]:
            stage = dict(row["external_ids"][1])["stage-name"]
            found.setdefault((row["pipeline"], stage.startswith("ls_")), set()).add(row["actions"])
        return found
    finally:
        it.stop()


@pytest.fixture(scope="session")
def topology() -> object:
    """What the oracle's Southbound holds: PORTS, GROUPS, DHCP4, DHCP6."""
    return SimpleNamespace(PORTS=PORTS, GROUPS=GROUPS, DHCP4=DHCP4, DHCP6=DHCP6)
