"""A transaction whose reply is lost: what the rows tell of it, and that sending it again does it once."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest

from ovenbird.model import cloud
from ovenbird.model.cloud import AddressGroup
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.errors import ClusterError, Disconnected, TimedOut
from ovenbird.ovsdb.outcome import Outcome, outcome
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.server import Server


@pytest.fixture
async def replica():
    directory = Path(tempfile.mkdtemp(prefix="ob"))
    server = Server()
    server.add(Database(cloud.schema(), cloud.ROWS))
    await server.listen(f"punix:{directory}/db.sock")
    made = Replica(f"unix:{directory}/db.sock", database="Cloud", row_classes=cloud.ROWS)
    await made.start()
    yield made
    await made.close()
    await server.close()
    shutil.rmtree(directory)


async def group(replica, **values):
    transaction = replica.transaction()
    uuid = transaction.insert(AddressGroup, {"name": "g"} | values)
    await replica.commit(transaction)
    return replica.store.table(AddressGroup).get(uuid)


def renamed(replica, row, name):
    """Return a transaction that renames a group, which nobody else may have changed."""
    transaction = replica.transaction()
    transaction.wait(row, {"revision_number": row.revision_number})
    transaction.update(row, {"name": name, "revision_number": row.revision_number + 1})
    return transaction


def losing(replica, monkeypatch, error, *, before):
    """Lose the first transaction, or the reply to it."""
    send, lost = replica._transact, []

    async def transact(transaction, operations):
        if lost:
            return await send(transaction, operations)
        lost.append(1)
        if not before:
            await send(transaction, operations)
        raise error

    monkeypatch.setattr(replica, "_transact", transact)


def soon():
    return asyncio.get_running_loop().time() + 20


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("error", [Disconnected("gone"), ClusterError("lost leadership")])
async def test_a_transaction_whose_reply_was_lost_is_committed_once(replica, monkeypatch, before, error):
    old, gone = await group(replica), await group(replica, name="gone")
    adding, deleting = replica.transaction(), replica.transaction()
    uuid = adding.insert(AddressGroup, {"name": "new"})
    deleting.delete(gone)
    for transaction in (adding, deleting, renamed(replica, old, "renamed")):
        losing(replica, monkeypatch, error, before=before)
        await replica.commit(transaction, until=soon())
        monkeypatch.undo()
    rows = replica.store.table(AddressGroup)
    assert {row.name: row.revision_number for row in rows} == {"new": 0, "renamed": 1}
    assert rows.get(uuid).name == "new"


async def test_a_repeated_transaction_whose_first_copy_arrives_late_is_committed_once(replica, monkeypatch):
    transaction = replica.transaction()
    uuid = transaction.insert(AddressGroup, {"name": "new"})
    send, sent = replica._transact, []

    async def transact(transaction, operations):
        sent.append(1)
        if len(sent) == 1:
            raise Disconnected("nobody saw it")
        if len(sent) == 2:
            await send(transaction, operations)  # the first, which the new leader has found now
        await send(transaction, operations)

    monkeypatch.setattr(replica, "_transact", transact)
    await replica.commit(transaction, until=soon())
    assert [row.uuid for row in replica.store.table(AddressGroup)] == [uuid]
    assert len(sent) == 2


async def test_the_outcome_is_unknown_if_others_have_changed_the_rows(replica, monkeypatch):
    row = await group(replica)
    transaction, others = renamed(replica, row, "mine"), renamed(replica, row, "theirs")
    assert outcome(transaction) is Outcome.ABSENT
    await replica.commit(others)
    assert outcome(transaction) is Outcome.UNKNOWN
    losing(replica, monkeypatch, Disconnected("gone"), before=True)
    with pytest.raises(Disconnected, match="whether a change was made is unknown"):
        await replica.commit(transaction, until=soon())
    with pytest.raises(TimedOut):  # nothing was lost: a refusal is a refusal
        await replica.commit(transaction, until=soon())


async def test_repeated_attempts_end_after_the_time_limit(replica, monkeypatch):
    transaction = replica.transaction()
    transaction.insert(AddressGroup, {"name": "new"})

    async def transact(*_):
        raise Disconnected("gone")

    monkeypatch.setattr(replica, "_transact", transact)
    with pytest.raises(Disconnected, match="could not be reached in time"):
        await replica.commit(transaction, until=asyncio.get_running_loop().time() + 0.05)
