"""A backup's refusals: servers that it cannot follow, content that it cannot have, rows that it does not keep."""

from __future__ import annotations

import copy

import pytest

from ovenbird.ovsdb import backup
from ovenbird.ovsdb.backup import Backup
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.server import Server
from support.waiting import until_async

MANY = {"min": 0, "max": "unlimited"}
SCHEMA = {
    "name": "S",
    "version": "1.0.0",
    "tables": {
        "Switch": {
            "isRoot": True,
            "indexes": [["name"]],
            "columns": {
                "name": {"type": "string"},
                "ports": {"type": {"key": {"type": "uuid", "refTable": "Port"}, **MANY}},
                "seen": {"type": {"key": {"type": "uuid", "refTable": "Own", "refType": "weak"}, **MANY}},
                "tags": {"type": {"key": "string", **MANY}},
            },
        },
        "Port": {"columns": {"name": {"type": "string"}}},
        "Own": {"isRoot": True, "columns": {"name": {"type": "string"}}},
    },
}


def database(change=lambda _tables: None):
    schema = copy.deepcopy(SCHEMA)
    change(schema["tables"])
    return Database(DatabaseSchema.from_json(schema))


def rows(database, *excluded):
    return {
        (name, uuid): dict(zip([c.name for c in table.layout], row.values, strict=True))
        for name, table in database.tables.items()
        if name not in excluded
        for uuid, row in table.table.rows.items()
    }


class Pair:
    """An active server's database and one here, and what makes this one follow."""

    def __init__(self, folder):
        self.remote = f"unix:{folder / 's'}"
        self.server = Server()
        self.active = database()
        self.server.add(self.active)
        self.backups = []

    def follow(self, target, *excluded, own_id=""):
        made = Backup(target, self.remote, excluded, own_id=own_id)
        self.backups.append(made)
        made.follow()
        return made

    def insert(self, database, table, **values):
        transaction = database.transaction()
        uuid = transaction.insert(table, values)
        transaction.commit()
        return uuid


@pytest.fixture
async def pair(tmp_path):
    made = Pair(tmp_path)
    await made.server.listen(f"p{made.remote}")
    yield made
    for one in made.backups:
        one.stop()
    await made.server.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda tables: tables.pop("Own") and tables["Switch"]["columns"].pop("seen"),
        lambda tables: (
            tables["Port"]["columns"].pop("name") and tables["Port"]["columns"].update(n={"type": "integer"})
        ),
        lambda tables: tables["Switch"]["columns"].update(name={"type": "integer"}),
    ],
)
async def test_a_schema_that_lacks_something_keeps_what_it_has(pair, change, caplog):
    here = database(change)
    kept = pair.insert(here, "Switch")
    failing = pair.follow(here)
    await until_async(lambda: failing.failure)
    assert not failing.connected
    assert ("Switch", kept) in rows(here)
    assert "cannot be replicated" in caplog.text


async def test_a_schema_that_has_more_gets_what_there_is(pair):
    here = database(lambda tables: tables["Switch"]["columns"].update(more={"type": "string"}))
    uuid = pair.insert(pair.active, "Switch", name="a")
    pair.follow(here)
    await until_async(lambda: ("Switch", uuid) in rows(here))
    assert rows(here)["Switch", uuid]["more"] == ""


async def test_a_backup_does_not_follow_itself(pair):
    kept = pair.insert(pair.active, "Switch", name="a")
    failing = pair.follow(pair.active, own_id=pair.server.service.id)
    await until_async(lambda: failing.failure)
    assert ("Switch", kept) in rows(pair.active)


async def test_content_that_is_refused_is_tried_again(pair, monkeypatch):
    monkeypatch.setattr(backup, "REFUSED", 0.05)
    here = database()
    failing = pair.follow(here, "Port")  # to whose rows others refer
    transaction = pair.active.transaction()
    port = transaction.insert("Port", {})
    switch = transaction.insert("Switch", {"name": "a", "ports": frozenset((port,))})
    transaction.commit()
    await until_async(lambda: failing.failure)
    assert not rows(here)
    transaction = pair.active.transaction()
    transaction.update(switch, {"ports": frozenset()})
    transaction.commit()
    await until_async(lambda: ("Switch", switch) in rows(here) and not failing.failure)
    assert rows(here) == rows(pair.active)


async def test_rows_that_only_excluded_ones_refer_to_are_not_kept(pair):
    here = database()
    transaction = pair.active.transaction()
    port = transaction.insert("Port", {})
    transaction.insert("Switch", {"name": "a", "ports": frozenset((port,))})
    transaction.commit()
    own = pair.insert(here, "Switch", name="own")
    following = pair.follow(here, "Switch")
    await until_async(lambda: following.connected)
    transaction = pair.active.transaction()
    transaction.update(port, {"name": "changed"})
    transaction.commit()
    marked = pair.insert(pair.active, "Own", name="later")
    await until_async(lambda: ("Own", marked) in rows(here))
    assert set(rows(here)) == {("Switch", own), ("Own", marked)}
    assert not following.failure


async def test_references_to_excluded_rows_go_and_the_rest_of_a_set_follows(pair):
    here = database()
    following = pair.follow(here, "Own")
    own = pair.insert(pair.active, "Own")
    switch = pair.insert(pair.active, "Switch", name="a", seen=frozenset((own,)), tags=frozenset("ab"))
    await until_async(lambda: ("Switch", switch) in rows(here))
    assert rows(here)["Switch", switch]["seen"] == frozenset()
    transaction = pair.active.transaction()
    transaction.delete(own)
    transaction.mutate(switch, "tags", insert=("c",), delete=("a",))
    transaction.commit()
    await until_async(lambda: rows(here)["Switch", switch]["tags"] == frozenset("bc"))
    assert rows(here, "Own") == rows(pair.active, "Own")
    assert not following.failure


async def test_after_it_is_stopped_nothing_changes(pair):
    here = database()
    following = pair.follow(here)
    await until_async(lambda: following.connected)
    following.stop()
    pair.insert(pair.active, "Switch", name="a")
    other = database()
    pair.follow(other)
    await until_async(lambda: rows(other))
    assert not rows(here)


async def test_clients_of_a_backup_connect_again_and_change_nothing(pair):
    here = database()
    following = pair.follow(here)
    await until_async(lambda: following.connected)
    connections = set(pair.server._connections)
    pair.server.set_read_only(True)
    await until_async(lambda: following.connected and not connections & pair.server._connections)
    insert = {"op": "insert", "table": "Own", "row": {}}
    assert (await following.call("transact", ["S", insert]))[0]["error"] == "not allowed"
    pair.server.set_read_only(False)
    await until_async(lambda: following._calls.connection is None)
    await until_async(lambda: following.connected)
    assert "uuid" in (await following.call("transact", ["S", insert]))[0]
