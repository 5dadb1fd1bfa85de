"""What a compiler finds is listed, and written to Cloud while the compiler is active."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ovenbird.daemon.finding_rows import LONGEST_FINDING, MOST, FindingWriter, shortened
from ovenbird.daemon.findings import list_findings
from ovenbird.daemon.unixctl import Unixctl
from ovenbird.engine.engine import Engine
from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.model import cloud, nb
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.errors import ConstraintViolation
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.server import Server
from support.waiting import until_async


@rule(nb.LogicalSwitch)
def wrong(switch):
    if switch.name:
        yield finding(switch, switch.name)


class Compiler:
    """A compiler that finds the names of switches."""

    def __init__(self, client):
        self.northbound = Database(nb.schema(), nb.ROWS)
        self.findings = CompilerFindings()
        self.writer = FindingWriter("northd", self.findings, client)

    def begin(self):
        self.engine = Engine([self.northbound.store], [wrong])
        self.findings.observe(self.engine)

    def switches(self, *names):
        """Let these be the names of switches, and run a wave."""
        table, transaction = self.northbound.store.table(nb.LogicalSwitch), self.northbound.transaction()
        rows = {row.name: row for row in table.rows.values()}
        for name, row in rows.items():
            if name not in names:
                transaction.delete(row)
        for name in names:
            if name not in rows:
                transaction.insert(nb.LogicalSwitch, {"name": name})
        transaction.commit()
        self.engine.run()


@pytest.fixture
def client():
    return Server().add(Database(cloud.schema(), cloud.ROWS))


def written(client):
    return sorted((row.reporter, row.text) for row in client.store.table(cloud.Finding).rows.values())


@contextlib.asynccontextmanager
async def running(compiler):
    task = asyncio.ensure_future(compiler.writer.run(0))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def insert(client, reporter, text):
    transaction = client.transaction()
    transaction.insert(cloud.Finding, {"reporter": reporter, "text": text})
    client.commit_now(transaction)


async def test_rows_follow_findings_and_foreign_edits_are_reverted(client):
    insert(client, "northd", "of a run before")
    insert(client, "cloud", "of another compiler")
    compiler = Compiler(client)
    async with running(compiler):
        compiler.begin()
        compiler.switches("a", "b")
        await until_async(
            lambda: written(client) == [("cloud", "of another compiler"), ("northd", "a"), ("northd", "b")]
        )
        row = next(row for row in client.store.table(cloud.Finding).rows.values() if row.text == "a")
        uuid = next(iter(compiler.northbound.store.table(nb.LogicalSwitch).rows))
        assert row.row_table == "Logical_Switch"
        assert row.row_uuid in compiler.northbound.store.table(nb.LogicalSwitch).rows
        transaction = client.transaction()
        transaction.delete(row)
        transaction.insert(cloud.Finding, {"reporter": "northd", "text": "forged", "row_uuid": uuid})
        client.commit_now(transaction)
        await until_async(lambda: written(client)[1:] == [("northd", "a"), ("northd", "b")])
        compiler.switches("b")
        await until_async(lambda: written(client)[1:] == [("northd", "b")])
        compiler.switches()
        await until_async(lambda: written(client)[1:] == [])


async def test_a_compiler_that_stands_by_leaves_the_rows_to_the_active_one(client):
    active, other = Compiler(client), Compiler(client)
    async with running(active), running(other):
        active.begin()
        active.switches("a")
        await until_async(lambda: written(client) == [("northd", "a")])
        other.begin()
        other.switches("b")
        await until_async(lambda: ("northd", "b") in written(client))
        active.engine.close()
        assert list(active.findings) == [], "what it found was of then"
        await until_async(lambda: written(client) == [("northd", "b")])
        insert(client, "cloud", "wakes both")
        await until_async(lambda: not (active.writer._wake.is_set() or other.writer._wake.is_set()))
        assert written(client) == [("cloud", "wakes both"), ("northd", "b")]


async def test_number_and_length_are_bounded(client):
    compiler = Compiler(client)
    names = [f"{number:05}" for number in range(MOST + 5)]
    async with running(compiler):
        compiler.begin()
        compiler.switches(*names)
        await until_async(lambda: len(written(client)) == MOST + 1)
        assert [text for _, text in written(client) if not text.isdigit()] == [
            "5 more findings are in the log of northd, and its findings/list has all"
        ]
        compiler.switches("€" * LONGEST_FINDING)
        await until_async(lambda: len(written(client)) == 1)
    ((_, text),) = written(client)
    assert text == shortened("€" * LONGEST_FINDING)
    assert len(text.encode()) <= LONGEST_FINDING
    assert text == "€" * (LONGEST_FINDING // 3 - 1) + "…"


async def test_a_refusal_is_logged_and_tried_again(client, monkeypatch, caplog):
    monkeypatch.setattr("ovenbird.daemon.finding_rows.AFTER_REFUSAL", 0.001)
    refused = [ConstraintViolation("no")]
    commit = client.commit

    async def refuse(transaction, **rest):
        if refused:
            raise refused.pop()
        return await commit(transaction, **rest)

    monkeypatch.setattr(client, "commit", refuse)
    compiler = Compiler(client)
    async with running(compiler):
        compiler.begin()
        compiler.switches("a")
        await until_async(lambda: written(client) == [("northd", "a")])
    assert [text for text in caplog.messages if "cannot be written" in text] == [
        "findings of northd cannot be written to Cloud: constraint violation: no"
    ]


async def test_one_command_lists_what_several_compilers_leave_out(client, tmp_path):
    unixctl, one, two = Unixctl(tmp_path / "ctl", "1"), Compiler(client), Compiler(client)
    list_findings(unixctl, one.findings, two.findings)
    for compiler, text in ((two, "of Northbound"), (one, "of Cloud")):
        compiler.begin()
        compiler.switches(text)
    assert unixctl.commands["findings/list"].run([]) == "of Cloud\nof Northbound\n"


async def test_northd_writes_over_connections_that_come_and_go(tmp_path):
    remote, database = f"unix:{tmp_path}/cloud.sock", Database(cloud.schema(), cloud.ROWS)
    replica = Replica(remote, database="Cloud", row_classes=(cloud.Finding,), probe=0)
    compiler = Compiler(replica)
    starting = asyncio.ensure_future(replica.start())
    compiler.begin()
    compiler.switches("a")
    server = Server()
    local = server.add(database)
    await server.listen(f"p{remote}")
    await starting
    async with running(compiler):
        await until_async(lambda: written(local) == [("northd", "a")])
        await server.close()
        await until_async(lambda: not replica.connected)
        compiler.switches("b")
        server = Server()
        local = server.add(database)
        await server.listen(f"p{remote}")
        await until_async(lambda: written(local) == [("northd", "b")])
    await replica.close()
    await server.close()


async def test_findings_are_not_written_to_a_cloud_without_the_table(tmp_path):
    schema = cloud.schema().to_json()
    del schema["tables"]["Finding"]
    rows = tuple(row for row in cloud.ROWS if row is not cloud.Finding)
    server, remote = Server(), f"unix:{tmp_path}/cloud.sock"
    server.add(Database(DatabaseSchema.from_json(schema), rows))
    await server.listen(f"p{remote}")
    replica = Replica(remote, database="Cloud", row_classes=(cloud.Finding,), probe=0)
    compiler = Compiler(replica)
    await replica.start()
    async with running(compiler):
        compiler.begin()
        compiler.switches("a")
        await until_async(lambda: not compiler.writer._wake.is_set())
    await replica.close()
    await server.close()
