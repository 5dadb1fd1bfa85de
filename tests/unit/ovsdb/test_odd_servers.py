"""A replica beside servers whose answers have shapes that no server's have: it leaves each, and tries the next."""

from __future__ import annotations

import asyncio
import contextlib

import orjson
import pytest

from ovenbird.model import nb
from ovenbird.ovsdb import replica
from ovenbird.ovsdb import server as ovsdb
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.errors import Disconnected
from ovenbird.ovsdb.jsonrpc import Framer
from ovenbird.ovsdb.schema import DatabaseSchema
from support.waiting import until_async

SHAPES = [None, 7, "x", True, [], [[]], [None], {}, {"a": None}, {"tables": 3}, [1, 2, 3], [False, "x", {"Q": 1}]]
UUID = "00000000-0000-4000-8000-000000000001"
ID = replica._MONITOR_ID
NO_EVENTS = [{"method": "update3", "params": params} for params in (None, [], [ID], [ID, "x", 5], [ID, "x", {"T": []}])]
GOOD = {
    "get_schema": nb.schema().to_json(),
    "monitor": {},
    "set_db_change_aware": {},
    "lock": {"locked": True},
    "monitor_cond_since": [False, UUID, {"Logical_Switch": {UUID: {"initial": {"name": "sw"}}}}],
}


class Server:
    """Answers one method of each connection oddly, and all of the connections after those properly."""

    def __init__(self, odd):
        self.odd = list(odd)
        self.connections = 0
        self.serving = set()

    async def serve(self, reader, writer):
        self.serving.add(asyncio.current_task())
        with contextlib.suppress(OSError):
            await self.answer(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def answer(self, reader, writer):
        self.connections += 1
        wrong = self.odd.pop(0) if self.odd else {}
        framer = Framer()
        while data := await reader.read(65536):
            for message in framer.feed(data):
                if "method" not in message or message["method"] == "echo":
                    continue
                result = {**GOOD, "transact": [{}] * (len(message["params"]) - 1), **wrong}[message["method"]]
                writer.write(orjson.dumps({"id": message["id"], "result": result, "error": None}))
                if "then" in wrong and message["method"] == "monitor_cond_since":
                    writer.write(orjson.dumps({"id": None, **wrong["then"]}))


@pytest.fixture
async def beside(tmp_path, monkeypatch):
    monkeypatch.setattr(replica, "BACKOFF", (0.001, 0.001))
    made = []

    async def make(odd):
        server = Server(odd)
        listening = await asyncio.start_unix_server(server.serve, tmp_path / "s")
        client = replica.Replica(
            f"unix:{tmp_path / 's'}", database="OVN_Northbound", row_classes=(nb.LogicalSwitch,), probe=0
        )
        made.append((client, listening, server))
        return server, client

    yield make
    for client, listening, server in made:
        await client.close()
        await asyncio.gather(*server.serving)
        listening.close()
        await listening.wait_closed()


def names(client):
    return [row.name for row in client.store.table(nb.LogicalSwitch).rows.values()]


@pytest.mark.parametrize("method", ["get_schema", "monitor", "monitor_cond_since"])
async def test_a_server_that_answers_oddly_is_left(beside, method):
    server, client = await beside([{method: shape} for shape in SHAPES])
    async with asyncio.timeout(30):
        await client.start()

    def over():  # of some shapes one may make nothing, or no rows
        if not server.odd and names(client) == ["sw"]:
            return True
        if client._synced.is_set():
            client._calls.give_up()
        return False

    await until_async(over)
    assert not client._task.done()


async def test_odd_events_end_the_connection(beside):
    server, client = await beside([{"then": event} for event in NO_EVENTS])
    async with asyncio.timeout(30):
        await client.start()
        await until_async(lambda: server.connections > len(NO_EVENTS))
        await client.synchronized()
    assert names(client) == ["sw"]


async def test_odd_answers_to_transactions_and_locks_leave_the_outcome_unknown(beside):
    server, client = await beside([{"transact": 7}, {"transact": None}, {"lock": "x"}])
    async with asyncio.timeout(30):
        await client.start()
        for _ in range(2):
            await client.synchronized()
            transaction = client.transaction()
            transaction.insert(nb.LogicalSwitch, {"name": "new"})
            with pytest.raises(Disconnected):
                await client.commit(transaction)
        await client.lock("l")
    assert server.connections == 4


async def test_missing_tables_and_columns_are_logged_once_with_a_few_names(tmp_path, caplog):
    text = nb.schema().to_json()
    for name in ("Logical_Switch", "Meter"):
        del text["tables"][name]["columns"]["external_ids"]
    older = {**text, "tables": {n: t for n, t in text["tables"].items() if n not in ("BFD", "Copp")}}
    for table in older["tables"].values():
        table["columns"] = {
            n: c for n, c in table["columns"].items() if "'BFD'" not in str(c) and "'Copp'" not in str(c)
        }
    server = ovsdb.Server()
    server.add(Database(DatabaseSchema.from_json(older)))
    await server.listen(f"punix:{tmp_path}/s")
    client = replica.Replica(f"unix:{tmp_path}/s", database="OVN_Northbound", row_classes=nb.ROWS)
    await client.start()
    told = [record.getMessage() for record in caplog.records if "lacks" in record.getMessage()]
    assert len(told) == 1
    assert "OVN_Northbound lacks " in told[0]
    assert "Copp, Logical_Switch.copp, Logical_Switch.external_ids" in told[0]
    await client.close()
    await server.close()
