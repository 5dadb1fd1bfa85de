"""What one peer of a database server can cost the others has a bound: in connections, in bytes and in time."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from ovenbird.ovsdb import peer_limits, session, transport
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.server import Server
from ovenbird.sockets.listener import Limits
from support.waiting import until_async

SCHEMA = DatabaseSchema.from_json(
    {"name": "L", "version": "1.0.0", "tables": {"T": {"columns": {"s": {"type": "string"}}}}}
)
SELECT = b'{"id":1,"method":"transact","params":["L",{"op":"select","table":"T","where":[]}]}'


class Peer:
    """A client that reads when it is told to."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def ended(self):
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 20):
                pass
        return True

    async def call(self, method, *params):
        self.writer.write(json.dumps({"id": 7, "method": method, "params": params}).encode())
        return await self.answer()

    async def answer(self):
        text = b""
        while True:
            text += await self.reader.readuntil(b"}")
            with contextlib.suppress(ValueError):  # there is more of it
                return json.loads(text)


@pytest.fixture
async def site(tmp_path):
    server = Server()
    server.add(Database(SCHEMA))
    writers = []

    async def connect():
        reader, writer = await asyncio.open_unix_connection(tmp_path / "l.sock")
        writers.append(writer)
        return Peer(reader, writer)

    await server.listen(f"punix:{tmp_path / 'l.sock'}")
    connect.server = server
    yield connect
    for writer in writers:
        writer.close()
    await server.close()


@pytest.fixture
def hasty(monkeypatch):
    """The same limits, smaller."""
    for name, value in {
        "INTERVAL": 0.02,
        "PATIENCE": 0.3,
        "HASTE": 0.1,
        "UNFINISHED": 1 << 20,
        "UNREAD": 1 << 20,
    }.items():
        monkeypatch.setattr(peer_limits, name, value)
    monkeypatch.setattr(transport, "HIGH_WATER", 1 << 16)


async def test_unfinished_messages_have_a_bound_together_and_the_longest_ends(site, hasty):
    short, long = await site(), await site()
    short.writer.write(b'{"id":"' + b"a" * 1000)
    long.writer.write(b'{"id":"' + b"a" * (2 << 20))
    assert await long.ended()
    short.writer.write(b'","method":"echo","params":[]}')
    assert b"aaa" in await short.reader.readuntil(b"}")


async def test_a_message_that_does_not_end_has_its_time(site, hasty):
    peer = await site()
    peer.writer.write(b'{"id":')
    assert await peer.ended()


async def test_a_client_that_does_not_read_is_disconnected_and_others_are_served(site, hasty):
    other = await site()
    await other.call("transact", "L", {"op": "insert", "table": "T", "row": {"s": "x" * 200_000}})
    deaf = await site()
    deaf.writer.write(SELECT * 1000)  # answers of 200 MB
    assert (await other.call("echo"))["result"] == []
    await until_async(lambda: len(site.server._connections) == 1)
    assert (await other.call("echo"))["result"] == []


async def test_while_too_much_is_unread_others_wait_and_then_go_on(site, hasty, monkeypatch):
    other = await site()
    await other.call("transact", "L", {"op": "insert", "table": "T", "row": {"s": "x" * 400_000}})
    monkeypatch.setattr(peer_limits, "HASTE", 0.5)
    deaf = [await site() for _ in range(20)]
    for peer in deaf:
        peer.writer.write(SELECT * 4)
    limits = site.server._limits
    await until_async(lambda: limits.full)
    answer = asyncio.create_task(other.call("echo"))
    assert (await answer)["result"] == []
    await until_async(lambda: len(site.server._connections) == 1)
    assert limits._unread_bytes == 0


async def test_monitors_waits_and_locks_of_a_client_are_counted(site, monkeypatch):
    for name in ("MONITORS", "WAITING", "LOCKS"):
        monkeypatch.setattr(session, name, 2)
    peer = await site()
    wait = {"op": "wait", "table": "T", "where": [], "columns": ["s"], "until": "==", "rows": [{"s": "never"}]}
    for method, params in (
        ("monitor", lambda n: ["L", n, {"T": [{}]}]),
        ("lock", lambda n: [f"l{n}"]),
        ("transact", lambda _: ["L", wait]),
    ):
        answers = []
        for number in range(3):
            text = json.dumps({"id": f"{method}{number}", "method": method, "params": params(number)})
            peer.writer.write(text.encode())
            if method != "transact" or number == 2:
                answers.append(await peer.answer())
        assert "at most 2" in json.dumps(answers[-1]), answers
    await peer.call("unlock", "l0")
    assert (await peer.call("lock", "other"))["error"] is None


async def test_connections_of_an_address_and_in_all(site, monkeypatch):
    monkeypatch.setattr(transport, "LIMITS", Limits(connections=3, per_source=2))
    await site.server.listen("ptcp:0:127.0.0.1")
    port = site.server.port("ptcp:0:127.0.0.1")

    async def served(source):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        writers.append(writer)
        peer = Peer(reader, writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            return (await peer.call("echo"))["result"] == []
        return False

    writers = []
    assert [await served("127.0.0.1") for _ in range(3)] == [True, True, False]
    assert [await served("127.0.0.2") for _ in range(2)] == [True, False]
    for writer in writers:
        writer.close()
