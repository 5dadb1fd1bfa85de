"""Typed transactions in process: staging, constraints, references, and cost that follows the change."""

from __future__ import annotations

import pytest

from ovenbird.ovsdb import errors, notation
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.types import NIL, BaseType

SCHEMA = DatabaseSchema.from_json(
    {
        "name": "D",
        "version": "1.0.0",
        "tables": {
            "Switch": {
                "isRoot": True,
                "indexes": [["name"]],
                "maxRows": 3,
                "columns": {
                    "name": {"type": "string"},
                    "tag": {"type": {"key": {"type": "integer", "minInteger": 1, "maxInteger": 9}, "min": 0}},
                    "ports": {"type": {"key": {"type": "uuid", "refTable": "Port"}, "min": 0, "max": "unlimited"}},
                    "main": {"type": {"key": {"type": "uuid", "refTable": "Port", "refType": "weak"}, "min": 0}},
                    "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
                    "born": {"type": "string", "mutable": False},
                },
            },
            "Port": {
                "columns": {
                    "name": {"type": "string"},
                    "kind": {"type": {"key": {"type": "string", "enum": ["set", ["access", "trunk"]]}}},
                    "peer": {"type": {"key": {"type": "uuid", "refTable": "Port"}, "min": 0}},
                },
            },
        },
    },
)


@pytest.fixture
def db():
    return Database(SCHEMA)


def port(txn, name, **more):
    return txn.insert("Port", {"name": name, "kind": "access", **more})


def test_staged_changes_are_invisible_and_a_commit_is_one_event(db):
    seen = []
    db.subscribe(seen.append)
    txn = db.transaction()
    a = port(txn, "a")
    switch = txn.insert("Switch", {"name": "s", "ports": {a}, "ids": {"k": "v"}})
    assert not db.tables["Switch"].table.rows
    commit = txn.commit()
    assert seen == [commit]
    assert {(n, c.uuid) for n, some in commit.changes.items() for c in some} == {("Port", a), ("Switch", switch)}
    assert db.store.tables["Switch"].get(switch)["ports"] == {a}
    assert db.transaction().commit().changes == {}
    assert len(seen) == 1


def test_rows_without_references_are_removed_and_weak_references_with_them(db):
    txn = db.transaction()
    b = port(txn, "b")
    a = port(txn, "a", peer=b)
    switch = txn.insert("Switch", {"name": "s", "ports": {a}, "main": b})
    txn.commit()
    txn = db.transaction()
    txn.mutate(switch, "ports", delete={a})
    txn.commit()
    assert not db.tables["Port"].table.rows
    assert db.store.tables["Switch"].get(switch)["main"] is None
    assert not any(db.integrity.counts.values())
    assert not any(db.integrity.referrers.values())


def test_a_row_that_names_another_twice_loses_both_weak_references_with_it():
    weak = {"type": {"key": {"type": "uuid", "refTable": "K", "refType": "weak"}, "min": 0}}
    tables = {
        "K": {"isRoot": True, "columns": {"v": {"type": "integer"}}},
        "R": {"isRoot": True, "columns": {"a": weak, "b": weak}},
    }
    db = Database(DatabaseSchema.from_json({"name": "D", "version": "1.0.0", "tables": tables}))
    txn = db.transaction()
    named = txn.insert("K", {})
    row = txn.insert("R", {"a": named, "b": named})
    txn.commit()
    for edit in (lambda txn: txn.update(row, {"a": None}), lambda txn: txn.delete(named)):
        txn = db.transaction()
        edit(txn)
        txn.commit()
    assert db.tables["R"].table.rows[row]["b"] is None
    assert not any(db.integrity.referrers.values())


@pytest.mark.parametrize("at", [0, 1500])
def test_rows_of_too_few_values_are_refused_wherever_they_stand(at):
    tables = {"T": {"isRoot": True, "columns": {"a": {"type": "integer"}, "b": {"type": "string"}}}}
    db = Database(DatabaseSchema.from_json({"name": "D", "version": "1.0.0", "tables": tables}))
    rows = {notation.new_uuid(): [n, ""] if n < at else [n] for n in range(at + 1)}
    txn = db.transaction()
    with pytest.raises(ValueError, match="zip"):
        txn.insert_rows(db.store.tables["T"].row_class, rows)
    assert txn.empty


@pytest.mark.parametrize(
    ("table", "values", "error"),
    [
        ("Nope", {}, errors.UnknownTable),
        ("Switch", {"nope": 1}, errors.UnknownColumn),
        ("Switch", {"name": 5}, errors.BadSyntax),
        ("Switch", {"tag": True}, errors.BadSyntax),
        ("Switch", {"tag": 10}, errors.ConstraintViolation),
        ("Switch", {"ids": {"a": 1}}, errors.BadSyntax),
        ("Switch", {"ports": "x"}, errors.BadSyntax),
        ("Port", {"kind": "other"}, errors.ConstraintViolation),
        ("Port", {"name": "no kind, and its default is not in the enumeration"}, errors.ConstraintViolation),
    ],
)
def test_invalid_rows_are_refused_when_they_are_staged(db, table, values, error):
    with pytest.raises(error):
        db.transaction().insert(table, values)


def test_all_or_nothing(db):
    txn = db.transaction()
    txn.insert("Switch", {"name": "a"})
    txn.commit()
    before = dict(db.tables["Switch"].table.rows), db.last_id
    for spoil, error in [
        (lambda t: t.insert("Switch", {"name": "a"}), errors.ConstraintViolation),
        (lambda t: t.insert("Switch", {"name": "c", "ports": {NIL}}), errors.ReferentialIntegrityViolation),
        (lambda t: [t.insert("Switch", {"name": str(i)}) for i in range(3)], errors.ConstraintViolation),
        (lambda t: t.wait(next(iter(before[0])), {"name": "other"}), errors.TimedOut),
        (lambda t: t.assert_lock("L"), errors.NotOwner),
    ]:
        txn = db.transaction()
        txn.insert("Switch", {"name": "b"})
        spoil(txn)
        with pytest.raises(error):
            txn.commit()
        assert (db.tables["Switch"].table.rows, db.last_id) == before
    txn = db.transaction()
    with pytest.raises(errors.ConstraintViolation):
        txn.update(next(iter(before[0])), {"born": "again"})


def test_names_may_be_exchanged_in_one_transaction(db):
    txn = db.transaction()
    a, b = txn.insert("Switch", {"name": "a"}), txn.insert("Switch", {"name": "b"})
    txn.commit()
    txn = db.transaction()
    txn.update(a, {"name": "b"})
    txn.update(b, {"name": "a"})
    txn.commit()
    txn = db.transaction()
    txn.delete(a)
    txn.insert("Switch", {"name": "b"})
    txn.commit()
    assert sorted(r["name"] for r in db.store.tables["Switch"]) == ["a", "b"]


def test_one_member_more_in_a_large_set_looks_at_one_member(db, monkeypatch):
    txn = db.transaction()
    ports = {port(txn, str(i)) for i in range(2000)}
    switch = txn.insert("Switch", {"name": "s", "ports": ports})
    txn.commit()
    checked = []
    check = BaseType.check_python
    monkeypatch.setattr(BaseType, "check_python", lambda self, atom: checked.append(atom) or check(self, atom))
    txn = db.transaction()
    new = port(txn, "new")
    checked.clear()
    txn.mutate(switch, "ports", insert={new}, delete={min(ports)})
    commit = txn.commit()
    assert checked == [new]
    (change,) = [c for c in commit.changes["Switch"] if c.uuid == switch]
    assert change.delta(change.table.position["ports"]) == ({new}, {min(ports)})
    assert len(db.tables["Port"].table.rows) == 2000
