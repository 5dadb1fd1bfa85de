"""The original's client programs and libraries work against our server; our replica works against both servers."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from ovenbird.ovsdb import errors
from ovenbird.ovsdb.journal import create, open_database
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.server import Server
from support.ovsdb import original_server
from support.waiting import until, until_async

pytestmark = pytest.mark.skipif(original_server.MISSING is not None, reason=str(original_server.MISSING))

SCHEMAS = [
    Path("/usr/share/ovn/ovn-nb.ovsschema"),
    Path("/usr/share/ovn/ovn-sb.ovsschema"),
    Path("/usr/share/openvswitch/vswitch.ovsschema"),
]


class Running:
    """Our server in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "s.sock"
        self.remote = f"unix:{self.path}"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.run(self._start(folder))

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def _start(self, folder: Path) -> None:
        self.server = Server()
        schemas = [DatabaseSchema.from_text(path.read_bytes()) for path in SCHEMAS if path.exists()]
        for schema in [*schemas, DatabaseSchema.from_json(original_server.SCHEMA)]:
            path = folder / f"{schema.name}.db"
            create(path, schema)
            self.server.add(open_database(path))
        await self.server.listen(f"punix:{self.path}")

    def close(self) -> None:
        self.run(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def server():
    with tempfile.TemporaryDirectory() as folder:
        running = Running(Path(folder))
        try:
            yield running
        finally:
            running.close()


def tool(*args, **kwargs) -> str:
    if shutil.which(args[0]) is None:
        pytest.skip(f"{args[0]} is not installed")
    return subprocess.run(args, check=True, capture_output=True, text=True, timeout=15, **kwargs).stdout


def transact(server, *operations):
    return json.loads(tool("ovsdb-client", "transact", server.remote, json.dumps(["T", *operations])))


def test_ovsdb_client(server):
    assert {"T", "_Server"} <= set(tool("ovsdb-client", "list-dbs", server.remote).split())
    assert tool("ovsdb-client", "get-schema-version", server.remote, "T").strip() == "1.0.0"
    tool("ovsdb-client", "wait", server.remote, "T", "connected")
    answer = transact(server, {"op": "insert", "table": "R", "row": {"name": "here", "few": 1}}, {"op": "abort"})
    assert [a and a.get("error") for a in answer] == [None, "aborted"]
    transact(server, {"op": "insert", "table": "R", "row": {"name": "here", "few": 1}})
    assert "here" in tool("ovsdb-client", "dump", server.remote, "T", "R", "name")
    backup = subprocess.run(["ovsdb-client", "backup", server.remote, "T"], check=True, capture_output=True, timeout=15)
    assert backup.stdout.startswith(b"OVSDB JSON ")


def test_ovsdb_client_restores_a_backup_with_every_uuid(server, tmp_path):
    run = lambda *args: tool("ovn-nbctl", f"--db={server.remote}", "--timeout=10", *args)  # noqa: E731
    dump = lambda: tool("ovsdb-client", "dump", server.remote, "OVN_Northbound")  # noqa: E731
    run("ls-add", "kept", "--", "lsp-add", "kept", "p1", "--", "lsp-add", "kept", "p2")
    run("lr-add", "gone", "--", "lrp-add", "gone", "r1", "00:00:00:00:00:01", "10.0.0.1/24")
    run("pg-add", "group", "p1", "p2", "--", "set", "Logical_Switch", "kept", "other_config:mcast_snoop=true")
    before = dump()
    backup = tmp_path / "backup"  # the program wants a file that it can seek in
    backup.write_text(tool("ovsdb-client", "backup", server.remote, "OVN_Northbound"))

    def restore() -> None:
        with backup.open() as file:
            tool("ovsdb-client", "restore", server.remote, "OVN_Northbound", stdin=file)

    run("lr-del", "gone", "--", "ls-add", "new", "--", "lsp-del", "p1", "--", "set", "Logical_Switch", "kept", "name=x")
    assert dump() != before
    database = server.server.service.databases["OVN_Northbound"]
    seen = []
    server.loop.call_soon_threadsafe(database.subscribe, seen.append)
    restore()
    assert dump() == before, "UUIDs, references and all"
    changed = {(name, change.uuid) for name, some in seen[-1].changes.items() for change in some}
    assert {name for name, _ in changed} == {
        "Logical_Router",
        "Logical_Router_Port",
        "Logical_Switch",
        "Logical_Switch_Port",
        "Port_Group",
    }, "what is as it was has not changed"
    assert len(changed) == 6  # the router, its port, both switches, p1, and the group that lost it
    known = len(seen)
    restore()
    assert (dump(), len(seen)) == (before, known), "nothing to restore changes nothing"


@pytest.mark.parametrize("method", ["monitor", "monitor-cond", "monitor-cond-since"])
def test_ovsdb_client_monitor(server, method, tmp_path):
    output = tmp_path / "out"
    args = ["monitor", server.remote, "T"]
    if method == "monitor":
        args += ["R"]
    else:
        args = [
            method,
            server.remote,
            "T",
            *(["00000000-0000-0000-0000-000000000000"] * method.endswith("since")),
            "[true]",
            "R",
        ]
    with output.open("w") as file:
        process = subprocess.Popen(["ovsdb-client", *args], stdout=file, stderr=subprocess.STDOUT)
    try:
        for name in ("one", "two"):
            transact(
                server, {"op": "insert", "table": "R", "row": {"name": name, "few": 1, "n": len(name) + (name < "p")}}
            )
        until(lambda: "two" in output.read_text())
        assert "one" in output.read_text(), output.read_text()
    finally:
        process.terminate()
        process.wait(10)


def test_ovn_nbctl(server):
    run = lambda *args: tool("ovn-nbctl", f"--db={server.remote}", "--timeout=10", *args)  # noqa: E731
    run("ls-add", "sw0", "--", "lsp-add", "sw0", "p1", "--", "lsp-set-addresses", "p1", "00:00:00:00:00:01 10.0.0.1")
    run("acl-add", "sw0", "to-lport", "100", "ip4", "allow")
    assert "p1" in run("show")
    assert "ip4" in run("acl-list", "sw0")
    with pytest.raises(subprocess.CalledProcessError):
        run("ls-add", "sw0")
    run("ls-del", "sw0")
    assert run("--columns=name", "list", "Logical_Switch_Port") == ""  # collected with its switch


def test_ovn_sbctl_and_ovs_vsctl(server):
    tool("ovn-sbctl", f"--db={server.remote}", "--timeout=10", "chassis-add", "c1", "geneve", "192.0.2.1")
    assert "192.0.2.1" in tool("ovn-sbctl", f"--db={server.remote}", "--timeout=10", "show")
    vsctl = ("ovs-vsctl", f"--db={server.remote}", "--no-wait", "--timeout=10")
    tool(*vsctl, "init")
    tool(*vsctl, "add-br", "br0", "--", "set", "Open_vSwitch", ".", "external_ids:a=b")
    assert tool(*vsctl, "list-br").split() == ["br0"]


def test_python_idl(server):
    idl_module = pytest.importorskip("ovs.db.idl")
    helper = idl_module.SchemaHelper(schema_json=original_server.SCHEMA)
    helper.register_all()
    idl = idl_module.Idl(server.remote, helper)

    def seen(condition):
        def look():
            idl.run()
            return condition()

        until(look)

    try:
        seen(idl.has_ever_connected)
        txn = idl_module.Transaction(idl)
        row = txn.insert(idl.tables["R"])
        row.name, row.few, row.pairs = "idl", [3], {"k": 1}
        assert txn.commit_block() == txn.SUCCESS
        seen(lambda: len(idl.tables["R"].rows) == 1)
        (row,) = idl.tables["R"].rows.values()
        assert (row.name, row.pairs) == ("idl", {"k": 1})
        transact(
            server, {"op": "mutate", "table": "R", "where": [], "mutations": [["ints", "insert", ["set", [1, 2]]]]}
        )
        seen(lambda: row.ints == [1, 2])
        transact(server, {"op": "delete", "table": "R", "where": []})
        seen(lambda: not idl.tables["R"].rows)
    finally:
        idl.close()


def test_malformed_json_ends_that_connection_only(server):
    good, bad = original_server.Client(server.path), original_server.Client(server.path)
    for garbage in (b'{"id":1,,}', b"[1]", b"hello", b'{"method":1,"params":[],"id":1}', b'{"id":3}'):
        bad.socket.sendall(garbage)
        assert bad.socket.recv(100) == b""
        bad.close()
        bad = original_server.Client(server.path)
    bad.close()
    assert good.call("echo", "still here")["result"] == ["still here"]
    assert good.call("nonsense")["error"] == "unknown method"
    assert good.call("transact", "nope")["error"]["error"] == "unknown database"
    assert good.call("transact", "T", 5)["result"][0]["error"] == "syntax error"
    good.close()


def test_waits_locks_and_cancel(server):
    one, two = original_server.Client(server.path), original_server.Client(server.path)
    wait = {"op": "wait", "table": "R", "where": [], "columns": ["name"], "until": "==", "rows": [{"name": "x"}]}
    one.socket.sendall(json.dumps({"id": 5, "method": "transact", "params": ["T", wait]}).encode())
    one.socket.sendall(json.dumps({"id": 6, "method": "transact", "params": ["T", wait]}).encode())
    one.socket.sendall(json.dumps({"id": None, "method": "cancel", "params": [6]}).encode())
    assert one.receive() == {"id": 6, "result": None, "error": "canceled"}
    two.call("transact", "T", {"op": "insert", "table": "R", "row": {"name": "x", "few": 1}})
    assert one.receive() == {"id": 5, "result": [{}], "error": None}
    timed = one.call("transact", "T", {**wait, "until": "!=", "timeout": 20})
    assert timed["result"][0]["error"] == "timed out"
    assert one.call("lock", "L")["result"] == {"locked": True}
    assert two.call("lock", "L")["result"] == {"locked": False}
    assert two.call("transact", "T", {"op": "assert", "lock": "L"})["result"][0]["error"] == "not owner"
    one.close()
    assert two.receive() == {"id": None, "method": "locked", "params": ["L"]}
    assert two.call("transact", "T", {"op": "assert", "lock": "L"})["result"] == [{}]
    two.close()


@pytest.fixture(params=["ours", "original"])
def remote(request):
    with tempfile.TemporaryDirectory() as folder:
        running = Running(Path(folder)) if request.param == "ours" else original_server.Oracle(Path(folder))
        try:
            yield f"unix:{running.path}"
        finally:
            running.close()


async def test_replica(remote):  # noqa: PLR0915 - one life, told in order
    replica, other = Replica(remote, database="T"), Replica(remote, database="T")
    batches = []
    await asyncio.wait_for(replica.start(), 10)
    await asyncio.wait_for(other.start(), 10)
    replica.on_change(batches.append)
    rows = replica.store.tables["R"].rows
    try:
        txn = replica.transaction()
        kid = txn.insert("K", {"v": 7, "close": frozenset(["00000001-0000-4000-8000-000000000001"])})
        uuid = txn.insert("R", {"name": "r", "few": {1}, "kids": {kid}, "ints": {1, 2}, "pairs": {"a": 1}})
        with pytest.raises(errors.ConstraintViolation):  # a weak reference to nothing leaves fewer than one
            await replica.commit(txn)
        txn = replica.transaction()
        uuid = txn.insert("R", {"name": "r", "few": {1}, "ints": {1, 2}, "pairs": {"a": 1}})
        kid = txn.insert("K", {"v": 7, "close": {uuid}})
        txn.mutate(uuid, "kids", insert={kid})
        await replica.commit(txn, durable=True)
        assert rows[uuid]["kids"] == {kid}
        assert len(batches) == 1
        txn = replica.transaction()
        txn.wait(rows[uuid], {"n": 0})
        txn.mutate(rows[uuid], "ints", insert={9}, delete={1})
        txn.mutate(rows[uuid], "pairs", insert={"a": 5, "b": 2}, delete={"a"})
        txn.update(rows[uuid], {"n": 3, "opt": 4})
        await replica.commit(txn)
        row = rows[uuid]
        assert (row["ints"], row["pairs"], row["n"], row["opt"]) == ({2, 9}, {"a": 5, "b": 2}, 3, 4)
        txn = replica.transaction()
        txn.wait(row, {"n": 0})
        with pytest.raises(errors.TimedOut):
            await replica.commit(txn)
        txn = replica.transaction()
        txn.delete(kid)
        with pytest.raises(errors.ReferentialIntegrityViolation):
            await replica.commit(txn)
        await replica.set_conditions({"R": [["name", "==", "nobody"]]})
        assert not rows
        await replica.set_conditions({"R": [["name", "==", "r"]]})
        assert list(rows) == [uuid]
        nobody, again = {"R": [["name", "==", "nobody"]]}, {"R": [["name", "==", "r"]]}
        await asyncio.gather(replica.set_conditions(nobody), replica.set_conditions({"K": [False], **again}))
        assert list(rows) == [uuid]
        assert not replica.store.tables["K"].rows
        assert replica._acknowledged == replica._conditions, "a new connection can resume"
        await replica.set_conditions({"K": [True]})
        assert replica.store.tables["K"].rows
        await asyncio.wait_for(replica.lock("L"), 5)
        waiting = asyncio.create_task(other.lock("L"))
        await asyncio.sleep(0)  # it asks
        await other.call("echo", [])  # and is answered before this is
        assert not waiting.done()
        await replica.unlock("L")
        await asyncio.wait_for(waiting, 60)
        txn = replica.transaction()
        txn.assert_lock("L")
        txn.update(uuid, {"n": 1})
        with pytest.raises(errors.NotOwner):
            await replica.commit(txn)
        row = rows[uuid]
        replica._calls.give_up()
        txn = other.transaction()
        txn.update(uuid, {"n": 2})
        await other.commit(txn)
        await until_async(lambda: rows[uuid]["n"] == 2)
        assert rows[uuid] is row  # resynchronised, not remade
    finally:
        await replica.close()
        await other.close()


async def test_a_client_that_does_not_read_costs_bounded_memory_and_then_catches_up(server):
    reader, writer = await asyncio.open_unix_connection(str(server.path), limit=2**16)
    monitor = {"K": {"columns": ["v"]}, "R": {"columns": ["name", "short", "pairs"]}}
    writer.write(json.dumps({"id": 1, "method": "monitor_cond", "params": ["T", "m", monitor]}).encode())
    writer.write(json.dumps({"id": 2, "method": "echo", "params": []}).encode())
    seen = b""
    while b'"id":2' not in seen:
        seen += await reader.read(65536)
    big = "x" * 200_000

    async def churn():
        database = server.server.service.databases["T"]
        txn = database.transaction()
        uuid = txn.insert("R", {"name": "start", "few": frozenset({1})})
        txn.commit()
        for i in range(150):
            txn = database.transaction()
            txn.update(uuid, {"name": f"{big}{i}"})
            txn.commit()
            await asyncio.sleep(0)
        (session,) = server.server.service.sessions
        return session.clogged, [len(a.pending or ()) for a in session.monitors.values()]

    try:
        clogged, pending = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(churn(), server.loop))
        assert clogged
        assert pending == [1]  # one row changed, however often
        received = 0
        while b"x149" not in seen[-400_000:]:
            chunk = await asyncio.wait_for(reader.read(1 << 20), 10)
            assert chunk
            seen += chunk
            received += len(chunk)
        assert received < 100 * len(big)  # most of the 150 versions were never sent
    finally:
        writer.close()
        await writer.wait_closed()
