"""Debian's OVN beside ours: two Southbound databases compiled from one Northbound, and ovn-trace over both."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

from ovenbird.engine.rows import Store
from ovenbird.model import nb, sb
from ovenbird.northd.build import build
from ovenbird.ovsdb.notation import decoder, encode
from support.northd import newer_rows
from support.northd.contradictions import of_store
from support.processes import end
from support.waiting import until

PROGRAMS = ("ovsdb-server", "ovsdb-tool", "ovn-northd", "ovn-trace", "prlimit", "ovn-appctl", "ovn-nbctl")
REGISTERS = re.compile(r"reg\d+=0x[0-9a-f]+,")
SCHEMAS = Path("/usr/share/ovn")

TRACE_SECONDS, TRACE_MEMORY = 10, 500_000_000
"""What one ovn-trace may take: a packet that loops and floods at each turn multiplies until the machine is full."""
QUOTES_INSIDE = "flags[17]"
"""The mark of errors that quote a packet from behind a translation, which OVN knows since 24.03."""


def missing() -> list[str]:
    found = [name for name in PROGRAMS if shutil.which(name) is None]
    return found + [str(p) for n in ("nb", "sb") if not (p := SCHEMAS / f"ovn-{n}.ovsschema").exists()]


class Client:
    """A blocking JSON-RPC client, as small as it gets."""

    def __init__(self, path: Path, database: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        until(lambda: self.socket.connect_ex(str(path)) == 0)
        self.database = database
        self.buffer = ""

    def call(self, method, *params):
        self.socket.sendall(json.dumps({"id": 0, "method": method, "params": list(params)}).encode())
        decode = json.JSONDecoder().raw_decode
        while True:
            self.buffer = self.buffer.lstrip()
            with contextlib.suppress(ValueError):
                message, end = decode(self.buffer)
                self.buffer = self.buffer[end:]
                if message.get("method") == "echo":
                    continue
                assert message["error"] is None, message["error"]
                return message["result"]
            data = self.socket.recv(1 << 20)
            assert data, "the server hung up"
            self.buffer += data.decode()

    def transact(self, *ops):
        results = self.call("transact", self.database, *ops)
        for result in results:
            assert "error" not in (result or {}), (result, ops[min(len(results), len(ops)) - 1])
        return results

    def has(self, table: str) -> bool:
        """Return whether the database has a table of that name."""
        return table in self.call("get_schema", self.database)["tables"]

    def lacking(self, row_classes) -> set:
        """Return the columns that the database does not have."""
        tables = self.call("get_schema", self.database)["tables"]
        known = {(table, column) for table, told in tables.items() for column in told["columns"]}
        return {c for each in row_classes for c in each.COLUMNS if (each.TABLE, c.name) not in known}

    def select(self, table: str, *columns: str) -> list[dict]:
        return self.transact({"op": "select", "table": table, "where": [], "columns": list(columns)})[0]["rows"]

    def load(self, store: Store) -> None:
        """Fill an empty store with what the database holds; columns that its schema lacks have their defaults."""
        there = self.call("get_schema", self.database)["tables"]
        names = [name for name in store.tables if name in there]
        answers = self.transact(*[{"op": "select", "table": name, "where": []} for name in names])
        for name, answer in zip(names, answers, strict=True):
            table, columns = store.tables[name], there[name]["columns"]
            decoders = [(c, decoder(c.type) if c.name in columns else None) for c in table.row_class.COLUMNS]
            for row in answer["rows"]:
                values = [decode(row[c.name]) if decode else c.default for c, decode in decoders]
                table.insert(row["_uuid"][1], values)

    def close(self) -> None:
        self.socket.close()


class Plan:
    """An editor that collects JSON operations."""

    def __init__(self) -> None:
        self.ops = []

    def _row(self, table, values):
        return {name: encode(table.BY_NAME[name].type, value) for name, value in values.items()}

    def insert(self, table, values, uuid=None):
        self.ops.append({"op": "insert", "table": table.TABLE, "uuid": uuid, "row": self._row(table, values)})
        return uuid

    def insert_rows(self, table, rows):
        for uuid, values in rows.items():
            given = {c.name: v for c, v in zip(table.COLUMNS, values, strict=True) if v != c.default}
            self.insert(table, given, uuid)

    def _where(self, row):
        return [["_uuid", "==", ["uuid", row.uuid]]]

    def update(self, row, values):
        made = self._row(type(row), values)
        self.ops.append({"op": "update", "table": row.TABLE, "where": self._where(row), "row": made})

    def mutate(self, row, column, insert=(), delete=()):
        kind = type(row).BY_NAME[column].type
        if isinstance(insert, dict):  # keys of a map
            changes = [("delete", ["set", list(delete)]), ("insert", encode(kind, insert))]
        else:
            changes = [(how, encode(kind, frozenset(which))) for how, which in (("delete", delete), ("insert", insert))]
        made = [[column, how, elements] for how, elements in changes if elements[1]]
        self.ops.append({"op": "mutate", "table": row.TABLE, "where": self._where(row), "mutations": made})

    def delete(self, row):
        self.ops.append({"op": "delete", "table": row.TABLE, "where": self._where(row)})


class Oracle:
    """One Northbound server; a Southbound that Debian's ovn-northd fills; another one for ours."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen] = []
        self.clients: list[Client] = []
        names = ("OVN_RUNDIR", "OVS_RUNDIR", "OVN_LOGDIR", "OVS_LOGDIR", "OVN_DBDIR", "OVS_DBDIR")
        self.environment = os.environ | dict.fromkeys(names, str(directory))

    def start(self, *, beside_theirs: bool = True) -> None:
        """Start every program; without ``beside_theirs`` only the servers that our compiler needs, with our schemas."""
        self.wait = "sb" if beside_theirs else "none"
        for name, schema, model in (("nb", "nb", nb), ("ours", "sb", sb)):
            path = SCHEMAS / f"ovn-{schema}.ovsschema"
            if not beside_theirs:
                path = self.path(f"{name}.ovsschema")
                path.write_text(json.dumps(model.schema().to_json()))
            self._server(name, path)
        self.nb = self._client("nb", "OVN_Northbound")
        self.ours = self._client("ours", "OVN_Southbound")
        if not beside_theirs:
            self.nbctl("init")
            return
        self._server("theirs", SCHEMAS / "ovn-sb.ovsschema")
        self.theirs = self._client("theirs", "OVN_Southbound")
        self.start_northd("theirs")
        self.nbctl("init")

    def start_northd(self, whose: str) -> None:
        """Run Debian's northd on a Southbound, and have ovn-nbctl wait for it."""
        remotes = (f"--ovnnb-db={self.remote('nb')}", f"--ovnsb-db={self.remote(whose)}")
        self.northd = self._spawn("ovn-northd", *remotes, f"--unixctl={self.path('northd.ctl')}", "-vconsole:off")
        self.wait = "sb"

    def stop_northd(self) -> None:
        """End Debian's northd, so that another one may take over."""
        self.northd.terminate()
        self.northd.wait(10)

    def identities(self, client: Client) -> dict[str, object]:
        """Return the UUIDs and tunnel keys of datapaths and ports, which must outlive a change of northd."""
        found = {}
        for row in client.select("Datapath_Binding", "_uuid", "tunnel_key"):
            found[row["_uuid"][1]] = row["tunnel_key"]
        for row in client.select("Port_Binding", "_uuid", "tunnel_key", "logical_port", "datapath"):
            found[row["_uuid"][1]] = (row["logical_port"], row["datapath"][1], row["tunnel_key"])
        return found

    def _client(self, name: str, database: str) -> Client:
        self.clients.append(Client(self.path(f"{name}.sock"), database))
        return self.clients[-1]

    def path(self, name: str) -> Path:
        return self.directory / name

    def remote(self, name: str) -> str:
        return f"unix:{self.path(name)}.sock"

    def _spawn(self, *command: str) -> subprocess.Popen:
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def _server(self, name: str, schema: Path) -> None:
        subprocess.run(["ovsdb-tool", "create", str(self.path(f"{name}.db")), str(schema)], check=True)
        self._spawn("ovsdb-server", f"--remote=punix:{self.path(name)}.sock", f"--unixctl={self.path(name)}.ctl",
                    "-vconsole:off", str(self.path(f"{name}.db")))  # fmt: skip

    def nbctl(self, *arguments: str) -> str:
        """Run ovn-nbctl and wait until Debian's northd, if it is there, has compiled it."""
        command = ["ovn-nbctl", f"--db={self.remote('nb')}", f"--wait={self.wait}", "--timeout=60", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def edit(self, text: str) -> None:
        """Run commands, one a line: of ovn-nbctl in one transaction, and those of `newer_rows` after `newer`."""
        lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
        for newer, block in itertools.groupby(lines, lambda line: line.startswith("newer ")):
            if newer:
                for line in block:
                    newer_rows.run(self.nb, line.removeprefix("newer "))
            else:
                self.nbctl(*[word for line in block for word in ("--", *shlex.split(line))][1:])

    def sync(self) -> None:
        self.nbctl("sync")

    def compile(self, into: Client | None = None) -> tuple[Store, int]:
        """Bring a Southbound, ours by default, up to date by our compiler; return its store and the number of edits."""
        target = into or self.ours
        northbound, southbound = Store("OVN_Northbound", nb.ROWS), Store("OVN_Southbound", sb.ROWS)
        self.nb.load(northbound)
        target.load(southbound)
        engine = build(northbound, sb_store=southbound)
        engine.run()
        assert not engine.failures, engine.failures
        plan = Plan()
        for output in engine.outputs_of(southbound):
            output.plan(plan)
        if plan.ops:
            target.transact(*plan.ops)
        return southbound, len(plan.ops)

    def contradictions(self) -> list[tuple]:
        """Return which of our logical flows say two things of one packet."""
        southbound = Store("OVN_Southbound", sb.ROWS)
        self.ours.load(southbound)
        return of_store(southbound)

    def settle(self) -> None:
        """Compile into ours, write back to Northbound what goes there, and compile that as well."""
        lacking = self.nb.lacking(nb.ROWS)
        for _ in range(2):
            northbound, southbound = Store("OVN_Northbound", nb.ROWS), Store("OVN_Southbound", sb.ROWS)
            self.nb.load(northbound)
            self.ours.load(southbound)
            engine = build(northbound, sb_store=southbound, lacking=lacking)
            engine.run()
            assert not engine.failures, engine.failures
            for client, store in ((self.ours, southbound), (self.nb, northbound)):
                plan = Plan()
                for output in engine.outputs_of(store):
                    output.plan(plan)
                if plan.ops:
                    client.transact(*plan.ops)

    def trace(self, whose: str, datapath: str, microflow: str, *options: str) -> list[str]:
        """Return what ovn-trace says becomes of a packet: outputs, changes and connection tracking."""
        command = ["ovn-trace", f"--db={self.remote(whose)}", "--minimal", "-vconsole:off", *options]
        done = subprocess.run(
            ["prlimit", f"--as={TRACE_MEMORY}", *command, datapath, microflow],
            env=self.environment, capture_output=True, text=True, check=False, timeout=TRACE_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        # A log shows registers, which are the compilers' own business: tunnel keys, hints.
        lines = (REGISTERS.sub("", line) for line in done.stdout.splitlines())
        return [line for line in lines if line and not line.startswith("#")]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        end(reversed(self.processes))  # one by one: a controller leaves a message before it goes


def normal(text):
    """Return a match or actions without comments, accidental spaces and numbers, the actions sorted."""
    text = re.sub(r"/\*.*?\*/", "", text.replace(f"{QUOTES_INSIDE} = 1; ", ""))
    text = re.sub(r"(reg8\[0\.\.15\] ==?|ecmp_reply_port ==?) [1-9]\d*", r"\1 N", text)
    text = re.sub(r"\{([^{},]+)\}", r"\1", text)
    statements = [" ".join(re.sub(r"([=|&<>!]+)", r" \1 ", part).split()) for part in re.split("[;{}]", text)]
    return "; ".join(sorted(filter(None, statements)))
