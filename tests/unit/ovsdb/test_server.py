"""The server on real sockets, its in-process client, and replicas with typed rows."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from ovenbird.engine.rows import Column, References, Row
from ovenbird.ovsdb import errors
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.journal import create, open_database
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.server import Server
from ovenbird.ovsdb.transport import Connection, Remote, parse_remotes
from support.waiting import until_async

SCHEMA = DatabaseSchema.from_json(
    {
        "name": "S",
        "version": "1.0.0",
        "tables": {
            "Switch": {
                "isRoot": True,
                "columns": {
                    "name": {"type": "string"},
                    "ports": {"type": {"key": {"type": "uuid", "refTable": "Port"}, "min": 0, "max": "unlimited"}},
                    "extra": {"type": "string"},
                },
            },
            "Port": {"columns": {"name": {"type": "string"}}},
        },
    },
)


class Port(Row):
    name = Column[str]("")


class Switch(Row):
    ports = References[Port](frozenset(), many=True, target="Port")
    newer = Column[str]("as yet unknown to the server")
    name = Column[str]("")


@pytest.fixture
async def served():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.db"
        create(path, SCHEMA)
        server = Server()
        client = server.add(open_database(path))
        await server.listen("ptcp:0:127.0.0.1")
        await server.listen(f"punix:{folder}/s.sock")
        try:
            yield server, client, f"tcp:127.0.0.1:1,tcp:127.0.0.1:{server.port('ptcp:0:127.0.0.1')}", folder
        finally:
            await server.close()


async def test_a_typed_replica_follows_commits_in_process(served):
    _, client, remote, _ = served
    replica = Replica(remote, database="S", row_classes=[Switch, Port])
    await asyncio.wait_for(replica.start(), 10)
    try:
        changed = asyncio.Event()
        replica.on_change(lambda _commit: changed.set())
        txn = client.transaction()
        port = txn.insert("Port", {"name": "p"})
        switch = txn.insert("Switch", {"name": "s", "ports": {port}, "extra": "unseen"})
        await client.commit(txn, durable=True)
        await asyncio.wait_for(changed.wait(), 10)
        row = replica.store.table(Switch).find(Switch.name, "s")
        assert row.uuid == switch
        assert [p.name for p in row.ports] == ["p"]
        assert row.newer == "as yet unknown to the server"
        txn = replica.transaction()
        txn.update(row, {"name": "renamed", "newer": "left out"})
        second = txn.insert(Switch, {"name": "second", "newer": "left out"})
        await replica.commit(txn)
        assert client.store.tables["Switch"].get(second)["name"] == "second"
        with pytest.raises(errors.UnknownColumn):
            replica.transaction().update(row, {"nobody's": "x"})
        assert client.store.tables["Switch"].get(switch)["name"] == "renamed"
        assert client.store.tables["Switch"].get(switch)["extra"] == "unseen"
    finally:
        await replica.close()


async def test_a_lock_goes_from_process_to_process(served):
    _, client, remote, _ = served
    replica = Replica(remote, database="S")
    await asyncio.wait_for(replica.start(), 10)
    lost = asyncio.Event()
    try:
        await client.lock("L")
        waiting = asyncio.create_task(replica.lock("L", lost.set))
        await asyncio.sleep(0)  # it asks
        await replica.call("echo", [])  # and is answered before this is
        assert not waiting.done()
        await client.unlock("L")
        await asyncio.wait_for(waiting, 60)
        assert replica.holds("L")
    finally:
        await replica.close()
    assert lost.is_set()
    await asyncio.wait_for(client.lock("L"), 10)


async def test_a_lock_that_was_lost_is_awaited_again(served):
    _, _, remote, _ = served
    one, two = Replica(remote, database="S"), Replica(remote, database="S")
    for replica in (one, two):
        await asyncio.wait_for(replica.start(), 10)
    lost = asyncio.Event()
    try:
        await one.lock("L", lost.set)
        await two.steal("L")
        await asyncio.wait_for(lost.wait(), 10)
        again = asyncio.create_task(one.lock("L", lost.set))
        await two.unlock("L")
        await asyncio.wait_for(again, 60)
        lost.clear()
        one._calls.give_up()
        await asyncio.wait_for(lost.wait(), 10)
        await asyncio.wait_for(one.lock("L"), 10)
        assert one.holds("L")
    finally:
        await one.close()
        await two.close()


async def test_a_replica_comes_back_after_the_server_does(served, caplog):
    server, client, _, folder = served
    replica = Replica(f"unix:{folder}/again.sock", database="S")
    starting = asyncio.create_task(replica.start())
    await until_async(lambda: "connection attempt failed" in caplog.text)
    assert not starting.done()
    try:
        await server.listen(f"punix:{folder}/again.sock")
        await asyncio.wait_for(starting, 60)
        with pytest.raises(errors.OvsdbError):
            await replica.call("transact", ["nope"])
    finally:
        await replica.close()
    assert client.connected


async def test_cancelling_the_wait_for_a_server_leaves_no_task(tmp_path):
    replica = Replica(f"unix:{tmp_path}/nobody.sock", database="D", row_classes=())
    starting = asyncio.create_task(replica.start())
    await asyncio.sleep(0)
    before = asyncio.all_tasks()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await replica.synchronized()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks() - before) <= 1  # what the replica itself may have begun
    starting.cancel()
    await replica.close()


async def test_the_server_dials_an_active_remote(served):
    server, _, _, folder = served
    asked = asyncio.get_running_loop().create_future()

    async def manager(reader, writer):
        writer.write(b'{"id":1,"method":"list_dbs","params":[]}')
        asked.set_result(await reader.read(1000))
        writer.close()

    listening = await asyncio.start_unix_server(manager, f"{folder}/m.sock")
    await server.listen(f"unix:{folder}/m.sock")
    assert b'["_Server","S"]' in await asyncio.wait_for(asked, 60)
    await server.unlisten(f"unix:{folder}/m.sock")
    listening.close()


async def test_a_database_can_be_converted(served):
    server, client, remote, _ = served
    txn = client.transaction()
    txn.insert("Switch", {"name": "kept", "extra": "dropped"})
    await client.commit(txn)
    replica = Replica(remote, database="S")
    await asyncio.wait_for(replica.start(), 10)
    try:
        schema = SCHEMA.to_json()
        del schema["tables"]["Switch"]["columns"]["extra"]
        schema["version"] = "2.0.0"
        assert await replica.call("convert", ["S", schema]) == {}
        (row,) = server.service.databases["S"].tables["Switch"].table.rows.values()
        assert row["name"] == "kept"
        assert "extra" not in type(row).BY_NAME
    finally:
        await replica.close()


async def test_a_silent_peer_is_probed_and_dropped():
    server = Server(probe=0.05)
    server.add(Database(SCHEMA))
    await server.listen("ptcp:0:127.0.0.1")
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port("ptcp:0:127.0.0.1"))
        received = await asyncio.wait_for(reader.read(), 10)
        assert received == b'{"id":"echo","method":"echo","params":[]}'
        writer.close()
    finally:
        await server.close()


def test_remotes():
    assert parse_remotes("tcp:a:1,tcp:[::1]:2, unix:/x") == [
        Remote("tcp", address="a", port=1),
        Remote("tcp", address="::1", port=2),
        Remote("unix", address="/x"),
    ]
    assert Remote.parse("ptcp:6641") == Remote("tcp", address="0.0.0.0", port=6641, passive=True)
    assert str(Remote.parse("pssl:6641:[::]")) == "pssl:6641:[::]"
    for bad in ("", "tcp", "udp:1:2", "unix:", "tcp:a:b"):
        with pytest.raises(ValueError, match="remote"):
            Remote.parse(bad)
    for bad in ("ptcp:65536", "tcp:a:72177", "pssl:6641:" + "a" * 64, "tcp:a..b:1"):
        with pytest.raises(ValueError, match=r"not a port|not a host name"):
            Remote.parse(bad)


async def kept(replica, messages):
    await until_async(lambda: len(replica._calls.connection._backlog) >= messages)


async def test_updates_received_while_rows_are_held_are_applied_afterwards_one_by_one(served):
    _, client, remotes, _ = served
    replica = Replica(remotes, database="S", row_classes=[Port, Switch])
    await replica.start()
    seen = []
    replica.on_change(lambda _: seen.append(sorted(row.name for row in replica.store.table(Switch).rows.values())))
    with replica.held():
        for name in ("a", "b", "c"):
            txn = client.transaction()
            txn.insert("Switch", {"name": name})
            await client.commit(txn)
        answer = asyncio.create_task(replica.call("echo", ["d"]))  # comes behind the changes
        await kept(replica, 4)
        assert not replica.store.table(Switch).rows
        assert not answer.done()
    assert seen == [["a"]]
    await answer
    assert seen == [["a"], ["a", "b"], ["a", "b", "c"]]
    await replica.close()


async def test_an_echo_is_answered_while_rows_are_held():
    connection, seen = Connection(), []
    connection.on_message = seen.append
    connection.hold()
    connection.data_received(b'{"id":1,"result":[],"error":null}{"id":"e","method":"echo","params":[]}')
    assert [message["id"] for message in seen] == ["e"]


async def test_a_message_that_cannot_be_handled_ends_the_connection(served, caplog):
    _, _, remotes, _ = served
    replica = Replica(remotes, database="S", row_classes=[Port, Switch])
    await replica.start()
    connection = replica._calls.connection
    lost = asyncio.Event()
    connection.on_lost = lambda _error: lost.set()
    connection.on_message = lambda message: message["nothing of the kind"]
    with replica.held():
        calling = asyncio.create_task(replica.call("echo", []))
        await kept(replica, 1)
    async with asyncio.timeout(60):
        await lost.wait()
    assert "cannot be handled" in caplog.text
    calling.cancel()
    await replica.close()


async def test_held_again_a_replica_keeps_what_it_has_not_applied_yet(served):
    _, client, remotes, _ = served
    replica = Replica(remotes, database="S", row_classes=[Port, Switch])
    await replica.start()
    table = replica.store.table(Switch)
    with replica.held():
        for name in ("a", "b"):
            txn = client.transaction()
            txn.insert("Switch", {"name": name})
            await client.commit(txn)
        await kept(replica, 2)
    with replica.held():
        for _ in range(10):  # turns of the event loop
            await asyncio.sleep(0)
        assert [row.name for row in table.rows.values()] == ["a"]
    await replica.call("echo", [])
    assert [row.name for row in table.rows.values()] == ["a", "b"]
    await replica.close()


async def test_held_messages_wait_while_the_peer_does_not_read(monkeypatch):
    connection = Connection()
    connection.hold()
    connection.data_received(b'{"id":1,"result":[],"error":null}')
    connection.pause_writing()
    seen, woken = [], []
    connection.on_message = seen.append
    monkeypatch.setattr(connection, "_resume", lambda: woken.append(True))
    connection.release()
    await asyncio.sleep(0)
    assert (seen, woken) == ([], [])  # it is not looked at again and again


async def test_each_change_of_a_connection_is_logged_once(tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO", "ovenbird.ovsdb.replica")
    monkeypatch.setattr("ovenbird.ovsdb.replica.BACKOFF", (0.01, 0.01))
    create(tmp_path / "s.db", SCHEMA)
    remote = f"unix:{tmp_path}/s.sock"
    replica = Replica(remote, database="S", row_classes=(Port, Switch))
    starting = asyncio.create_task(replica.start())

    def said():
        return [(record.levelname, record.getMessage()) for record in caplog.records]

    why = "connection attempt failed (No such file or directory); trying again in the background"
    failed = ("WARNING", f"{remote}: {why}")
    try:
        await until_async(lambda: said() == [failed])
        for _ in range(2):
            server = Server()
            server.add(open_database(tmp_path / "s.db"))
            await server.listen(f"punix:{tmp_path}/s.sock")
            await until_async(lambda: replica.connected)
            await server.close()
            await until_async(lambda: said()[-1] == failed)
        await starting
        once = [("INFO", f"{remote}: connected"), ("WARNING", f"{remote}: connection closed"), failed]
        lacks = ("WARNING", f"{remote}: S lacks Switch.newer (database needs upgrade?)")
        assert said() == [failed, lacks, *once, *once]
    finally:
        starting.cancel()
        await replica.close()
