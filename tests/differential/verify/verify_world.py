"""One Northbound, two Southbounds (Debian's northd's and ours), and ovn-trace listening over each."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
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

BOUNDED = ("prlimit", "--as=500000000")
"""What keeps an ovn-trace that goes round in circles from taking the machine's memory."""
PATIENCE = 20
"""Seconds that an ovn-trace may take for one packet, and a program to start."""
ENOUGH = 64
"""More connection states than one packet meets ct_next, in all its copies."""
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
        self.socket.settimeout(PATIENCE)

    def call(self, method: str, *params):
        self.socket.sendall(json.dumps({"id": 0, "method": method, "params": list(params)}).encode())
        data = b""
        while True:
            chunk = self.socket.recv(1 << 20)
            if not chunk:
                raise GoneError(method)
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


TERSE = ("--minimal", "--select-id=1", "-vconsole:off")


class Listener:
    """An ovn-trace that answers for one Southbound, with one state for every ct_next."""

    def __init__(self, world: World, name: str, whose: str, state: str) -> None:
        base = world.directory / name
        command = [*BOUNDED, "ovn-trace", f"--db={world.remote(whose)}", *TERSE, *[f"--ct={state}"] * ENOUGH]
        self.process = subprocess.Popen(
            [*command, "--detach", "--no-chdir", f"--pidfile={base}.pid", f"--unixctl={base}.ctl"],
            env=world.environment,
        )
        assert self.process.wait(PATIENCE) == 0
        self.pid = int(Path(f"{base}.pid").read_text())
        self.rpc = Rpc(Path(f"{base}.ctl"))

    def ask(self, datapath: str, microflow: str) -> str | None:
        try:
            return self.rpc.call("trace", "--minimal", datapath, microflow)
        except (OSError, GoneError):
            return None

    def end(self) -> None:
        self.rpc.socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class GoneError(Exception):
    """The other side hung up."""


class World:
    """The programs, in a directory of their own; one topology at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen] = []
        self.tracers: dict[tuple[str, str], Listener] = {}
        self.numbers = itertools.count()
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

    def ovn_traces(self, datapath: str, microflow: str, states: dict[str, list[str]]) -> dict[str, str | None]:
        """Return what ovn-trace says of each Southbound, in its minimal form; None where it gave up.

        One that listens answers a hundred times faster than a new one starts. What it takes for the answer of ct_next
        is given when it starts, so that there is one for each state that a packet keeps all the way.
        """
        return {whose: self._ovn_trace(whose, datapath, microflow, given) for whose, given in states.items()}

    def _ovn_trace(self, whose: str, datapath: str, microflow: str, states: list[str]) -> str | None:
        if len(set(states)) > 1:
            given = [f"--ct={state}" for state in states]
            command = [*BOUNDED, "ovn-trace", f"--db={self.remote(whose)}", *TERSE, *given, datapath, microflow]
            try:
                done = subprocess.run(
                    command, env=self.environment, capture_output=True, text=True, check=False, timeout=PATIENCE
                )
            except subprocess.TimeoutExpired:
                return None
            assert done.returncode <= 0 or not done.stderr, (microflow, done.stderr)
            return done.stdout if done.returncode == 0 else None
        key = whose, states[0] if states else "est"
        if key not in self.tracers:
            self.tracers[key] = Listener(self, f"{whose}-{next(self.numbers)}", whose, key[1])
        answer = self.tracers[key].ask(datapath, microflow)
        if answer is None:
            self.tracers.pop(key).end()
        return answer

    def _stop_tracers(self) -> None:
        for tracer in self.tracers.values():
            tracer.end()
        self.tracers = {}

    def close(self) -> None:
        self._stop_tracers()
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(10)
