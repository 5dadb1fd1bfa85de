"""What `ovsdb-client restore` sends: every table emptied, the rows of the backup inserted, named after their UUIDs."""

from __future__ import annotations

import pytest

from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.operation import Execution
from ovenbird.ovsdb.schema import DatabaseSchema

SCHEMA = DatabaseSchema.from_json(
    {
        "name": "D",
        "version": "1.0.0",
        "tables": {
            "Switch": {
                "isRoot": True,
                "indexes": [["name"]],
                "columns": {
                    "name": {"type": "string"},
                    "origin": {"type": "string", "mutable": False},
                    "ports": {"type": {"key": {"type": "uuid", "refTable": "Port"}, "min": 0, "max": "unlimited"}},
                },
            },
            "Port": {
                "isRoot": True,
                "columns": {
                    "name": {"type": "string"},
                    "peer": {"type": {"key": {"type": "uuid", "refTable": "Port", "refType": "weak"}, "min": 0}},
                },
            },
        },
    },
)
ONE, TWO, THREE = (f"{digit * 8}-aaaa-4aaa-8aaa-{digit * 12}" for digit in "123")
EMPTIED = [{"op": "delete", "table": "Switch", "where": []}, {"op": "delete", "table": "Port", "where": []}]


def name(uuid: str) -> str:
    return "row" + uuid.replace("-", "_")


def insert(table: str, uuid: str, **row: object) -> dict[str, object]:
    return {"op": "insert", "table": table, "uuid-name": name(uuid), "row": row}


@pytest.fixture
def db() -> Database:
    made = Database(SCHEMA)
    txn = made.transaction()
    txn.insert("Port", {"name": "p"}, ONE)
    txn.insert("Switch", {"name": "s", "origin": "then", "ports": {ONE}}, TWO)
    txn.commit()
    return made


def run(db: Database, *operations: dict[str, object]) -> list[dict[str, object]]:
    return Execution(db, lambda _lock: False, 0).run(list(operations))


def contents(db: Database) -> dict[str, dict[str, list[object]]]:
    return {table: {uuid: row.values for uuid, row in bound.table.rows.items()} for table, bound in db.tables.items()}


def test_rows_keep_their_uuids_and_only_what_differs_changes(db):
    seen = []
    db.subscribe(seen.append)
    switch = insert("Switch", TWO, name="s", origin="then", ports=["named-uuid", name(ONE)])
    port, peer = insert("Port", ONE, name="q"), insert("Port", THREE, name="new", peer=["named-uuid", name(ONE)])
    assert run(db, EMPTIED[0], switch, EMPTIED[1], port, peer)[1] == {"uuid": ["uuid", TWO]}
    assert {(kind, change.uuid) for kind, some in seen[0].changes.items() for change in some} == {
        ("Port", ONE),
        ("Port", THREE),
    }
    assert db.tables["Switch"].table.rows[TWO].values == ["s", "then", frozenset({ONE})]
    assert db.tables["Port"].table.rows[THREE].values == ["new", ONE]
    before = contents(db)
    run(db, EMPTIED[0], switch, EMPTIED[1], port, peer)
    assert (len(seen), contents(db)) == (1, before)


def test_a_row_may_get_another_value_of_a_column_that_cannot_change(db):
    run(db, *EMPTIED, insert("Switch", TWO, name="s", origin="now"))
    assert contents(db) == {"Switch": {TWO: ["s", "now", frozenset()]}, "Port": {}}


def test_columns_that_the_backup_omits_are_reset_to_their_defaults(db):
    run(db, *EMPTIED, insert("Switch", TWO), insert("Port", ONE))
    assert contents(db) == {"Switch": {TWO: ["", "", frozenset()]}, "Port": {ONE: ["", None]}}


def test_rows_of_two_tables_may_have_one_uuid(db):
    answers = run(db, *EMPTIED, insert("Switch", ONE, ports=["named-uuid", name(ONE)]), insert("Port", ONE))
    assert all("error" not in answer for answer in answers)
    assert contents(db) == {"Switch": {ONE: ["", "", frozenset({ONE})]}, "Port": {ONE: ["", None]}}


def test_one_row_given_twice_is_refused_and_nothing_changes(db):
    before = contents(db)
    answers = run(db, *EMPTIED, insert("Port", ONE), insert("Port", ONE))
    assert answers[-1]["error"] == "duplicate uuid-name"
    assert contents(db) == before


def test_references_to_rows_that_the_backup_lacks_are_refused(db):
    before = contents(db)
    answers = run(db, *EMPTIED, insert("Switch", TWO, ports=["named-uuid", name(ONE)]))
    assert answers[-1]["error"] == "referential integrity violation"
    assert contents(db) == before


@pytest.mark.parametrize("emptied", [EMPTIED[:1], []])
def test_names_of_other_requests_are_names_alone(db, emptied):
    answer = run(db, *emptied, insert("Port", THREE, name="p3"))[-1]
    assert "error" not in answer
    assert THREE not in db.tables["Port"].table.rows


def test_other_names_get_uuids_of_their_own(db):
    odd = {"op": "insert", "table": "Port", "uuid-name": "row1", "row": {"peer": ["named-uuid", "row1"]}}
    uuid = run(db, *EMPTIED, odd)[-1]["uuid"][1]
    assert contents(db) == {"Switch": {}, "Port": {uuid: ["", uuid]}}


def test_a_uuid_is_the_same_in_capital_letters(db):
    one, capital = insert("Port", ONE, name="p"), insert("Port", ONE.upper(), name="p")
    assert run(db, *EMPTIED, one, capital)[3]["error"] == "duplicate uuid"
    assert "error" not in run(db, *EMPTIED, capital)[2]
    assert set(db.tables["Port"].table.rows) == {ONE}
