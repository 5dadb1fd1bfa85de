"""One Northbound, two Southbounds (Debian's northd's and ours), and ovn-trace listening over each."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from ovenbird.model import nb, sb
from ovenbird.northd.northd import SOUTHBOUND as OUTPUTS
from ovenbird.northd.northd import build
from ovenbird.ovsdb.notation import encode
from ovenbird.verify.network import Network
from ovenbird.verify.snapshot import SOUTHBOUND, Snapshot

BOUNDED = ("prlimit", "--as=2000000000")
"""What keeps an ovn-trace that goes round in circles from taking the machine's memory."""
PROGRAMS = ("prlimit", "ovsdb-server", "ovsdb-tool", "ovn-northd", "ovn-trace", "ovn-nbctl")
SCHEMAS = Path("/usr/share/ovn")
WHOSE = ("theirs", "ours")
TABLES = (
    ("Logical_Router", "Logical_Switch", "Port_Group", "Static_MAC_Binding", "BFD"),
    ("Address_Set", "DHCP_Options", "Meter", "DNS", "HA_Chassis_Group"),  # which rows of the others refer to
)


def missing() -> list[str]:
    found = [name for name in PROGRAMS if shutil.which(name) is None]
    return found + [str(p) for n in ("nb", "sb") if not (p := SCHEMAS / f"ovn-{n}.ovsschema").exists()]


class Rpc:
    """A blocking JSON-RPC connection to a unix socket."""

    def __init__(self, path: Path, patience: float = 10) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + patience
        while self.socket.connect_ex(str(path)):
            assert time.monotonic() < deadline, f"nobody listens at {path}"
            time.sleep(0.005)

    def call(self, method: str, *params):
        self.socket.sendall(json.dumps({"id": 0, "method": method, "params": list(params)}).encode())
        data = b""
        while True:
            chunk = self.socket.recv(1 << 20)
            assert chunk, f"{method}: the connection was closed"
            data += chunk
            try:
                message = json.loads(data)
            except ValueError:
                continue
            assert message["error"] is None, (method, params, message["error"])
            return message["result"]


class Edits:
    """What a compiler's outputs write to, as operations of one transaction."""

    def __init__(self) -> None:
        self.operations: list[dict[str, object]] = []

    def _add(self, op: str, table, **rest) -> None:
        self.operations.append({"op": op, "table": table.TABLE, **rest})

    def _json(self, table, values):
        return {name: encode(table.BY_NAME[name].type, value) for name, value in values.items()}

    def insert(self, table, values, uuid=None):
        self._add("insert", table, uuid=uuid, row=self._json(table, values))
        return uuid

    def insert_rows(self, table, rows):
        for uuid, values in rows.items():
            given = {c.name: v for c, v in zip(table.COLUMNS, values, strict=True) if v != c.default}
            self.insert(table, given, uuid)

    def update(self, row, values):
        self._add("update", type(row), where=[["_uuid", "==", ["uuid", row.uuid]]], row=self._json(type(row), values))

    def mutate(self, row, column, insert=(), delete=()):
        kind = type(row).BY_NAME[column].type
        both = ("delete", delete), ("insert", insert)
        changes = [[column, how, encode(kind, frozenset(elements))] for how, elements in both if elements]
        self._add("mutate", type(row), where=[["_uuid", "==", ["uuid", row.uuid]]], mutations=changes)

    def delete(self, row):
        self._add("delete", type(row), where=[["_uuid", "==", ["uuid", row.uuid]]])


class World:
    """The programs, in a directory of their own; one topology at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen] = []
        self.tracers: dict[str, Rpc] = {}
        names = ("OVN_RUNDIR", "OVS_RUNDIR", "OVN_LOGDIR", "OVS_LOGDIR", "OVN_DBDIR", "OVS_DBDIR")
        self.environment = os.environ | dict.fromkeys(names, str(directory))

    def start(self) -> None:
        for name, schema in (("nb", "nb"), ("theirs", "sb"), ("ours", "sb")):
            path = self.directory / f"{name}.db"
            subprocess.run(["ovsdb-tool", "create", str(path), str(SCHEMAS / f"ovn-{schema}.ovsschema")], check=True)
            self._spawn("ovsdb-server", f"--remote=p{self.remote(name)}", f"--unixctl={path}.ctl", str(path))
        for name in ("nb", "theirs", "ours"):
            Rpc(self.directory / f"{name}.sock").socket.close()
        databases = f"--ovnnb-db={self.remote('nb')}", f"--ovnsb-db={self.remote('theirs')}"
        self._spawn("ovn-northd", *databases, f"--unixctl={self.directory}/northd.ctl")
        self.nbctl("init")

    def remote(self, name: str) -> str:
        return f"unix:{self.directory}/{name}.sock"

    def _spawn(self, *command: str) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes.append(subprocess.Popen([*command, "-vconsole:off"], env=self.environment, **quiet))

    def nbctl(self, *arguments: str) -> None:
        """Run ovn-nbctl, and wait until Debian's northd has compiled what it did."""
        command = ["ovn-nbctl", f"--db={self.remote('nb')}", "--wait=sb", "--timeout=30", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr)

    def build(self, commands: list[str]) -> None:
        """Replace the topology, compile it by our compiler too, and let ovn-trace read both results."""
        self._stop_tracers()
        for tables in TABLES:
            self.transact("nb", "OVN_Northbound", *[{"op": "delete", "table": table, "where": []} for table in tables])
        self.nbctl("clear", "NB_Global", ".", "options", "--", *commands)
        self._compile()
        for whose in WHOSE:
            base = self.directory / f"{whose}-trace"
            detach = "--detach", f"--pidfile={base}.pid", f"--unixctl={base}.ctl", "-vconsole:off"
            subprocess.run(
                [*BOUNDED, "ovn-trace", f"--db={self.remote(whose)}", *detach], env=self.environment, check=True
            )
            self.tracers[whose] = Rpc(Path(f"{base}.ctl"))

    def _compile(self) -> None:
        with (
            Snapshot(self.remote("nb"), "OVN_Northbound", nb.ROWS) as northbound,
            Snapshot(self.remote("ours"), "OVN_Southbound", sb.ROWS) as southbound,
        ):
            northbound.read(*nb.ROWS)
            southbound.read(*sb.ROWS)
            engine = build(northbound.store, southbound.store)
            engine.run()
            assert not engine.failures, engine.failures
            edits = Edits()
            for relation, _ in OUTPUTS:
                engine.outputs[relation].plan(edits)
        self.transact("ours", "OVN_Southbound", *edits.operations)

    def transact(self, name: str, database: str, *operations: dict[str, object]) -> None:
        server = Rpc(self.directory / f"{name}.sock")
        for answer in server.call("transact", database, *operations):
            assert not (answer or {}).get("error"), answer
        server.socket.close()

    def network(self, whose: str) -> Network:
        """Read a Southbound for our own trace."""
        with Snapshot(self.remote(whose), "OVN_Southbound", (*SOUTHBOUND, sb.LogicalFlow)) as southbound:
            southbound.read(*SOUTHBOUND, sb.LogicalFlow)
            return Network(southbound.store)

    def ovn_traces(self, datapath: str, microflow: str, states: dict[str, list[str]]) -> dict[str, str]:
        """Return what ovn-trace says of each Southbound, in its minimal form.

        The one that listens takes no --ct, and assumes est: where that is what ct_next says, it answers a hundred times
        faster than a new one starts.
        """
        assumed = all(state in ("est", "est,trk") for given in states.values() for state in given)
        if assumed:
            return {whose: self.tracers[whose].call("trace", "--minimal", datapath, microflow) for whose in states}
        running = {}
        for whose, given in states.items():
            options = ["--minimal", "-vconsole:off", *[f"--ct={state}" for state in given]]
            command = [*BOUNDED, "ovn-trace", f"--db={self.remote(whose)}", *options, datapath, microflow]
            running[whose] = subprocess.Popen(
                command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        answers = {}
        for whose, process in running.items():
            answers[whose], errors = process.communicate(timeout=30)
            assert process.returncode == 0, (microflow, errors)
        return answers

    def _stop_tracers(self) -> None:
        for rpc in self.tracers.values():
            rpc.call("exit")
            rpc.socket.close()
        self.tracers = {}

    def close(self) -> None:
        self._stop_tracers()
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(10)
