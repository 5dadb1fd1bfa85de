"""An updater fed by a session equals the rows in view, after random commits, changes of conditions and silence."""

from __future__ import annotations

import random

import orjson
import pytest

from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.row_updates import RowUpdater
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.service import Service
from ovenbird.ovsdb.session import Session
from ovenbird.ovsdb.types import NIL

SCHEMA = DatabaseSchema.from_json(
    {
        "name": "M",
        "version": "1.0.0",
        "tables": {
            "T": {
                "columns": {
                    "n": {"type": "integer"},
                    "o": {"type": {"key": "integer", "min": 0}},
                    "s": {"type": {"key": "integer", "min": 0, "max": "unlimited"}},
                    "m": {"type": {"key": "string", "value": "integer", "min": 0, "max": "unlimited"}},
                },
            },
        },
    },
)


class Peer:
    def __init__(self, service):
        self.updater = RowUpdater(SCHEMA, (), None)
        self.last = NIL
        self.replies = []
        self.sent = 0
        self.session = Session(service, self.receive, lambda: None)

    def receive(self, data):
        self.sent += 1
        message = orjson.loads(data)
        match message.get("method"):
            case "update3":
                self.last = message["params"][1]
                self.updater.apply(message["params"][2], self.last)
            case "update2" | "update":
                self.updater.apply(message["params"][1], NIL)
            case _:
                assert message["error"] is None, message
                self.replies.append(message["result"])

    def call(self, method, *params):
        self.session.receive({"id": 1, "method": method, "params": list(params)})
        return self.replies.pop()

    def rows(self):
        return {u: r.values for u, r in self.updater.tables["T"].table.rows.items()}


def edit(db, rng):
    txn = db.transaction()
    for row in list(db.tables["T"].table.rows.values()):
        match rng.randrange(6):
            case 0:
                txn.delete(row)
            case 1:
                txn.update(row, {"n": rng.randrange(4), "o": rng.choice([None, 0, 1])})
            case 2:
                txn.mutate(row, "s", insert={rng.randrange(5)}, delete={rng.randrange(5)})
            case 3:
                key = rng.choice("abc")
                txn.mutate(row, "m", insert={key: rng.randrange(3)}, delete={key})
            case 4:
                txn.update(row, {"m": {rng.choice("ab"): 0}, "s": {rng.randrange(3)}})
    for _ in range(rng.randrange(3)):
        txn.insert("T", {"n": rng.randrange(4), "s": set(range(rng.randrange(4)))})
    txn.commit()


def wanted(db, accept):
    return {u: r.values for u, r in db.tables["T"].table.rows.items() if accept(r)}


COLUMNS = ["m", "n", "o", "s"]


@pytest.mark.parametrize("seed", range(20))
def test_replicas_of_every_method_follow_random_edits(seed):
    rng = random.Random(seed)
    db, service = Database(SCHEMA), Service()
    service.add(db)
    for _ in range(4):
        edit(db, rng)
    one, two, three = Peer(service), Peer(service), Peer(service)
    one.updater.apply(one.call("monitor", "M", "x", {"T": {"columns": COLUMNS}}), NIL)
    where = [["n", "==", 1]]
    two.updater.apply(two.call("monitor_cond", "M", "x", {"T": [{"columns": COLUMNS, "where": where}]}), NIL)
    found, three.last, rows = three.call("monitor_cond_since", "M", ["x", 1], {"T": [{"columns": COLUMNS}]}, NIL)
    assert found is False
    three.updater.apply(rows, three.last)
    accept = lambda row: row["n"] == 1  # noqa: E731
    for _ in range(30):
        match rng.randrange(6):
            case 0:
                where, accept = rng.choice(
                    [
                        ([["n", "==", 1], ["n", "==", 2]], lambda row: row["n"] in (1, 2)),
                        ([["s", "includes", ["set", [1]]], ["o", "==", 0]], lambda row: 1 in row["s"] or row["o"] == 0),
                        ([["n", ">", 2], False], lambda row: row["n"] > 2),
                        ([False], lambda _row: False),
                        ([], lambda _row: True),
                    ],
                )
                assert two.call("monitor_cond_change", "x", "x", {"T": [{"where": where}]}) == {}
            case 1:
                three.session.clogged = True
            case 2:
                three.session.unclogged()
            case _:
                edit(db, rng)
        assert one.rows() == wanted(db, lambda _row: True)
        assert two.rows() == wanted(db, accept)
        if not three.session.clogged:
            assert three.rows() == wanted(db, lambda _row: True)
            assert three.last == db.last_id or three.sent
    three.session.ended()
    known = three.last
    for _ in range(3):
        edit(db, rng)
    four = Peer(service)
    four.updater = three.updater
    found, four.last, rows = four.call("monitor_cond_since", "M", "x", {"T": [{"columns": COLUMNS}]}, known)
    assert found is True
    four.updater.apply(rows, four.last)
    assert four.rows() == wanted(db, lambda _row: True)
    assert four.last == db.last_id


def test_an_update_is_encoded_once_for_all_who_asked_the_same(monkeypatch):
    db, service = Database(SCHEMA), Service()
    service.add(db)
    peers = [Peer(service) for _ in range(3)]
    for number, peer in enumerate(peers):
        peer.call("monitor_cond", "M", number, {"T": [{"columns": ["n"]}]})
    monitors = {id(a.monitor) for peer in peers for a in peer.session.monitors.values()}
    assert len(monitors) == 1
    for peer in peers:
        peer.session.ended()
    assert not service._monitors
    assert not service.sessions or all(not s.monitors for s in service.sessions)


def test_old_values_are_sent_in_version_one_of_monitors():
    db, service = Database(SCHEMA), Service()
    service.add(db)
    got = []
    session = Session(service, lambda data: got.append(orjson.loads(data)), lambda: None)
    session.receive({"id": 1, "method": "monitor", "params": ["M", None, {"T": {"columns": ["n", "o"]}}]})
    txn = db.transaction()
    uuid = txn.insert("T", {"n": 1})
    txn.commit()
    txn = db.transaction()
    txn.update(uuid, {"n": 2, "s": {1}})
    txn.commit()
    txn = db.transaction()
    txn.mutate(uuid, "s", insert={2})
    txn.commit()
    txn = db.transaction()
    txn.delete(uuid)
    txn.commit()
    assert [m["params"] for m in got[1:]] == [
        [None, {"T": {uuid: {"new": {"n": 1, "o": ["set", []]}}}}],
        [None, {"T": {uuid: {"old": {"n": 1}, "new": {"n": 2, "o": ["set", []]}}}}],
        [None, {"T": {uuid: {"old": {"n": 2, "o": ["set", []]}}}}],
    ]
