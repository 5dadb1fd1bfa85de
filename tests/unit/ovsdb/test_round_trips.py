"""What is encoded and decoded within one process is the same again, for every type that a column can have."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird.ovsdb import notation
from ovenbird.ovsdb.conversion import convert, open_converted
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.errors import OvsdbError
from ovenbird.ovsdb.journal import create, open_database
from ovenbird.ovsdb.operation import Execution
from ovenbird.ovsdb.row_updates import RowUpdater
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.service import Service
from ovenbird.ovsdb.session import Session
from ovenbird.ovsdb.table import diff_type
from ovenbird.ovsdb.transact_request import encode_transaction
from ovenbird.ovsdb.types import NIL, UNLIMITED, Atomic, ColumnType

UUIDS = st.uuids(version=4).map(str)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=5)
ATOMS = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "string": TEXT,
    "uuid": UUIDS,
}


@st.composite
def base_types(draw):
    """A `<base-type>` in JSON."""
    atomic = draw(st.sampled_from(sorted(ATOMS)))
    made = {"type": atomic}
    choice = draw(st.integers(0, 3))
    if choice == 0 and atomic != "boolean":
        atoms = draw(st.lists(ATOMS[atomic], min_size=1, max_size=4, unique=True))
        made["enum"] = ["set", [["uuid", a] for a in atoms] if atomic == "uuid" else atoms]
    elif choice == 1 and atomic in ("integer", "real"):
        low, high = sorted(draw(st.tuples(ATOMS[atomic], ATOMS[atomic])))
        made |= {f"min{atomic.title()}": low, f"max{atomic.title()}": high}
    elif choice == 1 and atomic == "string":
        made |= {"minLength": draw(st.integers(0, 2)), "maxLength": draw(st.integers(2, 6))}
    elif choice <= 2 and atomic == "uuid" and "enum" not in made:
        made |= {"refTable": "Target", "refType": draw(st.sampled_from(("strong", "weak")))}
    return made


@st.composite
def column_types(draw):
    """A `<type>` in JSON: scalars, optionals, sets and maps."""
    made = {"key": draw(base_types())}
    if draw(st.booleans()):
        made["value"] = draw(base_types())
    made["min"], made["max"] = draw(
        st.sampled_from(((1, 1), (0, 1), (0, 3), (1, 4), (0, "unlimited"), (1, "unlimited")))
    )
    return made


def atoms(base, targets):
    if base.enum is not None:
        return st.sampled_from(sorted(base.enum))
    if base.ref_table is not None:
        return st.sampled_from(targets)
    atom = ATOMS[str(base.atomic)]
    if base.atomic is Atomic.STRING and base.constrained:
        return atom.filter(lambda text: base.low <= len(text) <= base.high)
    if base.atomic is Atomic.INTEGER and base.constrained:
        return st.integers(base.low, base.high)
    return st.floats(base.low, base.high) if base.constrained else atom


def values(type_, targets):
    """Canonical values of a column type."""
    key, most = atoms(type_.key, targets), min(type_.high, 6)
    if type_.value is not None:
        return st.dictionaries(key, atoms(type_.value, targets), min_size=type_.low, max_size=most)
    if type_.is_scalar:
        return key
    if type_.is_optional:
        return st.none() | key
    return st.frozensets(key, min_size=type_.low, max_size=most)


TARGETS = [f"00000000-0000-4000-8000-00000000000{i}" for i in range(3)]


@st.composite
def worlds(draw):
    """A schema of one table of random columns beside a table of targets, and two versions of some rows of it."""
    types = draw(st.lists(column_types(), min_size=1, max_size=4))
    schema = schema_with({f"c{i}": {"type": type_} for i, type_ in enumerate(types)})
    columns = schema.tables["Things"].columns
    rows = {uuid: draw(rows_of(columns)) for uuid in draw(st.lists(UUIDS, max_size=3, unique=True))}
    later = {uuid: draw(rows_of(columns)) for uuid in rows}
    return schema, rows, later


def schema_with(columns, version="1.0.0"):
    return DatabaseSchema.from_json(
        {
            "name": "W",
            "version": version,
            "tables": {
                "Things": {"columns": columns, "isRoot": True},
                "Target": {"columns": {"n": {"type": "integer"}}, "isRoot": True},
            },
        }
    )


def rows_of(columns):
    return st.fixed_dictionaries({column.name: values(column.type, TARGETS) for column in columns})


def filled(database, rows):
    transaction = database.transaction()
    for target in TARGETS:
        transaction.insert("Target", {}, target)
    for uuid, row in rows.items():
        transaction.insert("Things", row, uuid)
    transaction.commit()
    return database


def contents(tables):
    table = tables["Things"]
    return {u: {c.name: r[c.name] for c in table.layout} for u, r in table.table.rows.items()}


def update(database, later):
    transaction = database.transaction()
    for uuid, row in later.items():
        transaction.update(database.tables["Things"].table.rows[uuid], row)
    transaction.commit()


@settings(max_examples=300)
@given(column_types().map(ColumnType.from_json), st.data())
def test_notation(type_, data):
    for decode in (notation.decoder(type_), notation.decoder(ColumnType.from_json(type_.to_json()))):
        value = data.draw(values(type_, TARGETS))
        told = notation.encode(type_, value)
        assert decode(told, None) == value
        assert decode(orjson.loads(orjson.dumps(told)), None) == value
    if type_.high > 1:
        wide = diff_type(type_)
        assert wide.high == UNLIMITED
        new = data.draw(values(type_, TARGETS))
        diff = notation.diff_from_delta(type_, notation.delta_of(type_, old=value, new=new))
        again = notation.decoder(wide)(notation.encode(wide, diff), None)
        assert notation.apply_diff(type_, value, diff=again) == new


@settings(max_examples=150)
@given(worlds())
def test_schema(world):
    schema, _, _ = world
    assert DatabaseSchema.from_json(schema.to_json()) == schema
    assert DatabaseSchema.from_json(orjson.loads(orjson.dumps(schema.to_json()))) == schema


@settings(max_examples=150)
@given(worlds())
def test_journal_and_conversion(tmp_path_factory, world):
    schema, rows, later = world
    path = tmp_path_factory.mktemp("w") / "w.db"
    create(path, schema)
    database = filled(open_database(path), rows)
    update(database, later)
    assert contents(database.tables) == later
    columns = schema.to_json()["tables"]["Things"]["columns"]
    wider = schema_with({"b": {"type": "string"}, **columns, "z": {"type": {"key": "integer", "min": 0}}}, "1.1.0")
    database = convert(database, wider)
    assert contents(database.tables) == {u: {"b": "", **row, "z": None} for u, row in later.items()}
    database.journal.close()
    database = open_converted(path, schema_with({**columns, "y": {"type": "real"}}, "1.2.0"))
    assert contents(database.tables) == {u: {**row, "y": 0.0} for u, row in later.items()}
    database.journal.close()


@settings(max_examples=150)
@given(worlds())
def test_replica_to_server_and_back(world):
    schema, rows, later = world
    service = Service()
    here, there = Database(schema), Database(schema)
    service.add(there)
    told = []
    session = Session(service, told.append, lambda: None)
    updater = RowUpdater(schema, (), None)
    session.receive(
        {"id": 1, "method": "monitor_cond_since", "params": ["W", "m", updater.request({}, conditional=True), NIL]}
    )
    updater.apply(orjson.loads(told.pop())["result"][2], NIL)

    def send(transaction):
        """Hand operations over as they are encoded, with no JSON between."""
        answers = Execution(there, lambda _: True, 0).run(encode_transaction(transaction))
        assert [a for a in answers if a and "error" in a] == []

    def everywhere(expected):
        for message in map(orjson.loads, told):
            updater.apply(message["params"][2], NIL)
        told.clear()
        assert contents(there.tables) == contents(updater.tables) == expected

    transaction = here.transaction()
    for target in TARGETS:
        transaction.insert("Target", {}, target)
    for uuid, row in rows.items():
        transaction.insert("Things", row, uuid)
    send(transaction)
    everywhere(rows)
    filled(here, rows)
    transaction = here.transaction()
    for uuid, row in later.items():
        transaction.update(here.tables["Things"].table.rows[uuid], row)
    send(transaction)
    everywhere(later)


@pytest.mark.parametrize(
    ("old", "new", "value", "becomes"),
    [
        ("string", {"key": "string", "min": 0, "max": "unlimited"}, "x", frozenset({"x"})),
        ({"key": "string", "min": 0, "max": "unlimited"}, "string", {"x"}, "x"),
        ("integer", {"key": "real", "min": 0}, 3, 3.0),
        ("real", "integer", 3.0, 3),
        ({"key": "integer", "min": 0}, "integer", 7, 7),
        ({"key": {"type": "integer", "maxInteger": 9}}, {"key": {"type": "integer", "maxInteger": 5}}, 7, None),
        ({"key": "string", "min": 0, "max": 2}, {"key": "string", "min": 0, "max": 1}, {"x", "y"}, None),
        ({"key": "string", "min": 0}, "string", None, None),
        ("string", {"key": "string", "value": "string", "min": 0}, "x", None),
        ("string", "integer", "x", None),
    ],
)
def test_a_column_of_another_type_has_its_value_or_the_conversion_fails_and_says_where(old, new, value, becomes):
    database = Database(schema_with({"c": {"type": old}}))
    transaction = database.transaction()
    uuid = transaction.insert("Things", {"c": value})
    transaction.commit()
    other = schema_with({"c": {"type": new}})
    if becomes is None:
        with pytest.raises(OvsdbError, match=f"table Things, row {uuid}, column c: "):
            convert(database, other)
    else:
        assert convert(database, other).tables["Things"].table.rows[uuid]["c"] == becomes


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_a_journal_without_diffs(tmp_path_factory, world):
    schema, rows, later = world
    path = tmp_path_factory.mktemp("w") / "w.db"
    create(path, schema)
    database = open_database(path)
    database.journal.diffs = False
    update(filled(database, rows), later)
    database.journal.close()
    assert b"_is_diff" not in path.read_bytes()
    database = open_database(path)
    assert contents(database.tables) == later
    database.journal.close()
