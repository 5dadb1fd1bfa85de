"""One Northbound, two Southbounds (Debian's northd's and ours), and ovn-trace listening over each."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.model import nb, sb
from ovenbird.northd.build import build
from ovenbird.ovsdb.notation import encode
from ovenbird.verify.database_dump import SOUTHBOUND, DatabaseDump
from ovenbird.verify.network import LogicalNetwork
from support.northd.newer_oracle import DIRECTORY
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterable

BOUNDED = ("prlimit", "--as=500000000")
"""What keeps an ovn-trace that goes round in circles from taking the machine's memory."""
FEATURES = (
    "ct-no-masked-label", "mac-binding-timestamp", "ovn-ct-lb-related", "port-up-notif", "fdb-timestamp",
    "ls-dpg-column", "ct-commit-nat-v2", "ct-commit-to-zone", "ct-next-zone",
)  # fmt: skip
"""What a chassis has to know, or the original's northd makes flows for older ones."""
PATIENCE = 20
"""Seconds that an ovn-trace may take for one packet, and a program to start."""
ENOUGH = 64
"""More connection states than one packet meets ct_next, in all its copies."""
PROGRAMS = ("prlimit", "ovsdb-server", "ovsdb-tool", "ovn-northd", "ovn-trace", "ovn-nbctl")
SCHEMAS = Path("/usr/share/ovn")
WHOSE = ("theirs", "ours")
Joined = tuple[str, list[str]]
"""A multicast group's address, and ports of one switch that have joined it."""
TABLES = (
    ("Logical_Router", "Logical_Switch", "Port_Group", "Static_MAC_Binding", "BFD", "Load_Balancer"),
    ("Address_Set", "DHCP_Options", "Meter", "DNS", "HA_Chassis_Group"),  # which rows of the others refer to
)


def missing() -> list[str]:
    found = [name for name in PROGRAMS if shutil.which(name) is None]
    return found + [str(p) for n in ("nb", "sb") if not (p := SCHEMAS / f"ovn-{n}.ovsschema").exists()]


class Rpc:
    """A blocking JSON-RPC connection to a unix socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        until(lambda: self.socket.connect_ex(str(path)) == 0)
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
BATCH = 1000
"""Questions for one ovn-trace: what it is told of connections are arguments, of which there must not be too many."""
MANY = 20000
"""More than one ovn-trace finds in all the copies of all packets of a batch."""
_TRANSLATED = re.compile(r"\bct_([ds]nat|lb)")
_STATE = re.compile(r"\bct_next\(ct_state=([a-z|]+)")


class Question(NamedTuple):
    """What ovn-trace is asked.

    Arguments:
        datapath: where the packet begins.
        microflow: the packet.
        states: what ct_next finds, the first time, the second ...
        later: what it finds after those; empty for what ovn-trace likes.
        doubtful: whether ovn-trace may well look more often or less.
        translated: whether addresses are translated, for which it takes a state, too, if the packet is not tracked.
    """

    datapath: str
    microflow: str
    states: tuple[str, ...]
    later: str
    doubtful: bool
    translated: bool

    @property
    def listener(self) -> str | None:
        """Say who is asked: one that finds that state all the way; with "", what is planned; None for a new one."""
        alike = {_words(state) - {"trk"} for state in (*self.states, self.later) if state}
        if (self.doubtful or self.translated) and len(alike) < 2:
            return ",".join(sorted(alike.pop())) if alike else "est"
        return None if self.translated else ""


def told(states: Iterable[str]) -> list[str]:
    return [f"--ct={state}" for state in states]


class Listener:
    """An ovn-trace that answers for one Southbound.

    It takes one of the states that it was started with at each ct_next, of whatever packet, and finds all established
    when they are used up.
    """

    def __init__(self, world: World, name: str, whose: str, states: Iterable[str]) -> None:
        base = world.directory / name
        command = [*BOUNDED, "ovn-trace", f"--db={world.remote(whose)}", *TERSE, *told(states)]
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


def _words(state: str) -> frozenset[str]:
    """Return the flags of a connection state, in whatever order and way they are written."""
    return frozenset(re.split("[|,]", state))


class GoneError(Exception):
    """The other side hung up."""


def numbered(commands: list[str]) -> list[str]:
    """Return commands that give every port a key of its own: our trace makes copies in their order on either side.

    One copy can be the first of a connection that another one, refused, is answered by an error about.
    """
    ports = [commands[at + 2] for at, word in enumerate(commands) if word == "lsp-add"]
    return [
        word
        for number, port in enumerate(ports, 1)
        for word in ("--", "set", "Logical_Switch_Port", port, f"options:requested-tnl-key={number}")
    ]


class World:
    """The programs, in a directory of their own; one topology at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen] = []
        self.alone = 0  # questions that an ovn-trace was started for
        self.numbers = itertools.count()
        names = ("OVN_RUNDIR", "OVS_RUNDIR", "OVN_LOGDIR", "OVS_LOGDIR", "OVN_DBDIR", "OVS_DBDIR")
        self.environment = os.environ | dict.fromkeys(names, str(directory))
        if DIRECTORY:
            self.environment["PATH"] = f"{DIRECTORY}:{self.environment['PATH']}"

    def start(self) -> None:
        for name, model in (("nb", nb), ("theirs", sb), ("ours", sb)):
            path = self.directory / f"{name}.db"
            schema = SCHEMAS / f"ovn-{model.__name__.rpartition('.')[2]}.ovsschema"
            if DIRECTORY:
                schema = path.with_suffix(".ovsschema")
                schema.write_text(json.dumps(model.schema().to_json()))
            subprocess.run(["ovsdb-tool", "create", str(path), str(schema)], check=True)
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

    def build(self, commands: list[str], joined: Iterable[Joined] = ()) -> None:
        """Replace the topology, compile it by our compiler too, and let ovn-trace read both results.

        Arguments:
            commands: what ovn-nbctl is told.
            joined: the multicast groups that a chassis has heard ports join.
        """
        for tables in TABLES:
            self.transact("nb", "OVN_Northbound", *[{"op": "delete", "table": table, "where": []} for table in tables])
        self.nbctl("clear", "NB_Global", ".", "options", "--", *commands, *numbered(commands))
        self._compile()
        if joined:
            for whose in WHOSE:
                self._report(whose, joined)
            self.nbctl("sync")  # the first one may have been read before what chassis heard, the second one is not
            self.nbctl("sync")
            self._compile()

    def _report(self, whose: str, joined: Iterable[Joined]) -> None:
        """Write to a Southbound what a chassis has heard."""
        encap = {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "hv9"}
        features = ["map", [[name, "true"] for name in FEATURES]]
        chassis = {"name": "hv9", "encaps": ["named-uuid", "encap"], "other_config": features}
        operations = [
            {"op": "delete", "table": "IGMP_Group", "where": []},
            {"op": "delete", "table": "Chassis", "where": [["name", "==", "hv9"]]},
            {"op": "insert", "table": "Encap", "uuid-name": "encap", "row": encap},
            {"op": "insert", "table": "Chassis", "uuid-name": "chassis", "row": chassis},
        ]
        with DatabaseDump(self.remote(whose), database="OVN_Southbound", row_classes=sb.ROWS) as southbound:
            southbound.read(*sb.ROWS)
            for address, ports in joined:
                rows = [southbound.store.find(sb.PortBinding.logical_port, name) for name in ports]
                group = {
                    "address": address,
                    "datapath": ["uuid", rows[0]["datapath"]],
                    "chassis": ["named-uuid", "chassis"],
                }
                group["ports"] = ["set", [["uuid", row.uuid] for row in rows]]
                operations.append({"op": "insert", "table": "IGMP_Group", "row": group})
        self.transact(whose, "OVN_Southbound", *operations)

    def _compile(self) -> None:
        with (
            DatabaseDump(self.remote("nb"), database="OVN_Northbound", row_classes=nb.ROWS) as northbound,
            DatabaseDump(self.remote("ours"), database="OVN_Southbound", row_classes=sb.ROWS) as southbound,
        ):
            northbound.read(*nb.ROWS)
            southbound.read(*sb.ROWS)
            engine = build(northbound.store, sb_store=southbound.store)
            engine.run()
            assert not engine.failures, engine.failures
            edits = Edits()
            for output in engine.outputs_of(southbound.store):
                output.plan(edits)
        self.transact("ours", "OVN_Southbound", *edits.operations)

    def transact(self, name: str, database: str, *operations: dict[str, object]) -> None:
        server = Rpc(self.directory / f"{name}.sock")
        for answer in server.call("transact", database, *operations):
            assert not (answer or {}).get("error"), answer
        server.socket.close()

    def network(self, whose: str) -> LogicalNetwork:
        """Read a Southbound for our own trace."""
        with DatabaseDump(
            self.remote(whose), database="OVN_Southbound", row_classes=(*SOUTHBOUND, sb.LogicalFlow)
        ) as southbound:
            southbound.read(*SOUTHBOUND, sb.LogicalFlow)
            return LogicalNetwork(southbound.store)

    def networks(self) -> dict[str, LogicalNetwork]:
        """Read both Southbounds for our own trace."""
        return {whose: self.network(whose) for whose in WHOSE}

    def ovn_traces(self, whose: str, questions: list[Question]) -> list[str | None]:
        """Return what ovn-trace says of a Southbound, in its minimal form; None where it gave up.

        One that listens answers a hundred times faster than a new one starts. What it is to find of connections is
        given when it starts, for all that it will be asked. Where it met ct_next more or less often than was expected,
        what it says counts for nothing, and one is asked that finds the same all the way, or a new one.
        """
        answers: list[str | None] = []
        listeners: dict[str, Listener] = {}
        try:
            for number, question in enumerate(questions):
                if number % BATCH == 0:
                    self._end(listeners, *listeners)
                key = question.listener
                if key is None:
                    answers.append(self._alone(whose, question))
                    continue
                if key not in listeners:
                    rest = questions[number : number - number % BATCH + BATCH]
                    states = [key] * MANY if key else [s for q in rest if q.listener == "" for s in q.states]
                    listeners[key] = Listener(self, f"{whose}-{next(self.numbers)}", whose, states)
                answer = listeners[key].ask(question.datapath, question.microflow)
                met = [_words(state) for state in _STATE.findall(answer or "")]
                if answer is None:
                    self._end(listeners, key)
                elif key:
                    assert all(state == _words(key) | {"trk"} for state in met), (question, answer)
                elif met != [_words(state) for state in question.states] or _TRANSLATED.search(answer):
                    self._end(listeners, key)
                    answer = self._alone(whose, question)
                answers.append(answer)
        finally:
            self._end(listeners, *listeners)
        return answers

    def _end(self, listeners: dict[str, Listener], *keys: str) -> None:
        for key in keys:
            listeners.pop(key).end()

    def _alone(self, whose: str, question: Question) -> str | None:
        """Ask an ovn-trace started for one question."""
        self.alone += 1
        given = told([*question.states, *[question.later] * (ENOUGH if question.later else 0)])
        command = [*BOUNDED, "ovn-trace", f"--db={self.remote(whose)}", *TERSE, *given]
        try:
            done = subprocess.run(
                [*command, question.datapath, question.microflow],
                env=self.environment, capture_output=True, text=True, check=False, timeout=PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        assert done.returncode <= 0 or not done.stderr, (question, done.stderr)
        return done.stdout if done.returncode == 0 else None

    def close(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(10)
