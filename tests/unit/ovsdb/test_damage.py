"""Nothing behind a damaged record goes without an operator's word, and what is damaged is said in one line."""

from __future__ import annotations

import hashlib
import json
import os
import stat

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird.daemon.damage import cannot_open
from ovenbird.ovsdb.conversion import open_converted
from ovenbird.ovsdb.errors import DatabaseCorrupt, InputOutputError, OvsdbError
from ovenbird.ovsdb.journal import OnDamage, create, open_database, record
from ovenbird.ovsdb.journal_reader import read_records, stored_schema
from ovenbird.ovsdb.schema import DatabaseSchema

SCHEMA = DatabaseSchema.from_json(
    {
        "name": "J",
        "version": "1.0.0",
        "tables": {
            "T": {
                "columns": {
                    "a": {"type": "integer"},
                    "m": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
                    "r": {"type": {"key": {"type": "uuid", "refTable": "T"}, "min": 0, "max": "unlimited"}},
                },
            },
        },
    },
)


def numbers(database):
    return {row["a"] for row in database.tables["T"].table.rows.values()}


@pytest.fixture
def path(tmp_path):
    """A journal of four commits."""
    path = tmp_path / "j.db"
    create(path, SCHEMA)
    database = open_database(path)
    for number in range(4):
        transaction = database.transaction()
        transaction.insert("T", {"a": number, "m": {"OVSDB JSON 3 ": "\1"}})
        transaction.commit()
    database.journal.close()
    return path


def offsets(data):
    return [each.offset for each in read_records(data)[0]]


def test_a_damaged_record_anywhere_keeps_the_file_as_it_is(path):
    data = path.read_bytes()
    begins = [*offsets(data), len(data)]
    torn = 0
    for at in range(begins[1], len(data)):
        spoiled = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
        path.write_bytes(spoiled)
        try:
            open_database(path).journal.close()
        except DatabaseCorrupt:
            assert path.read_bytes() == spoiled
        else:  # only the very last record may look as if it had not been finished
            assert at >= begins[-2]
            torn += 1
    assert torn <= 1


def test_set_aside_keeps_the_whole_file_and_goes_on_with_what_is_before(path, caplog):
    data = path.read_bytes()
    third = offsets(data)[3]
    spoiled = data[: third + 70] + b"X" + data[third + 71 :]
    path.write_bytes(spoiled)
    database = open_database(path, on_damage=OnDamage.SET_ASIDE)
    assert numbers(database) == {0, 1}
    assert database.journal.damage.offset == third
    (copy,) = path.parent.glob("j.db.damaged-*")
    assert copy.read_bytes() == spoiled
    assert f"kept as {copy}" in caplog.text
    transaction = database.transaction()
    transaction.insert("T", {"a": 9})
    transaction.commit()
    database.journal.close()
    database = open_database(path)
    assert numbers(database) == {0, 1, 9}
    assert database.journal.damage is None
    database.journal.close()


def test_a_whole_record_that_makes_no_sense_is_damage_too(path):
    data = path.read_bytes()
    for bad in ({"T": {"x": {}}}, {"T": []}, {"U": {}}, [], {"T": {"x" * 36: 5}}, 7):
        path.write_bytes(data + record(bad) + record({}))
        with pytest.raises(DatabaseCorrupt, match="is damaged: "):
            open_database(path)
        database = open_database(path, on_damage=OnDamage.SET_ASIDE)
        assert numbers(database) == {0, 1, 2, 3}
        database.journal.close()
        assert path.read_bytes() == data


def test_zeros_at_the_end_of_a_file_are_a_torn_record(path):
    data = path.read_bytes()
    last = offsets(data)[-1]
    for spoiled in (data + bytes(4096), data[: last + 60] + bytes(len(data) - last - 60), data[:-1] + b"\0"):
        path.write_bytes(spoiled)
        database = open_database(path)
        assert database.journal.damage.torn
        assert numbers(database) >= {0, 1, 2}
        database.journal.close()


def test_without_room_for_the_copy_a_damaged_file_is_not_changed(path, monkeypatch):
    data = path.read_bytes()
    spoiled = data[:-40] + b"X" + data[-39:] + record({})
    path.write_bytes(spoiled)

    def full(_descriptor, _parts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.writev", full)
    with pytest.raises(InputOutputError, match="No space left"):
        open_database(path, on_damage=OnDamage.SET_ASIDE)
    assert path.read_bytes() == spoiled


def test_a_partial_record_that_could_not_be_removed_is_removed_before_the_next(path, monkeypatch):
    database = open_database(path)
    cut, write = os.ftruncate, os.write

    def half(descriptor, parts):
        write(descriptor, b"".join(parts)[:20])
        raise OSError(28, "No space left on device")

    def stuck(_descriptor, _size):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.writev", half)
        patch.setattr("os.ftruncate", stuck)
        transaction = database.transaction()
        transaction.insert("T", {"a": 7})
        with pytest.raises(InputOutputError):
            transaction.commit()
    assert os.ftruncate is cut
    transaction = database.transaction()
    transaction.insert("T", {"a": 8})
    transaction.commit()
    database.journal.close()
    database = open_database(path)
    assert numbers(database) == {0, 1, 2, 3, 8}
    assert database.journal.damage is None
    database.journal.close()


def test_leftovers_of_killed_compactions_go_and_nothing_else(path):
    for name in ("j.db.tmp", "j.db.tmp1", "j.db.tmp31", "j.db.tmpx", "j.db.damaged-x", "k.db.tmp1", "j.dbx.tmp1"):
        path.with_name(name).write_text("")
    open_database(path).journal.close()
    left = {other.name for other in path.parent.iterdir()} - {".j.db.~lock~"}
    assert left == {"j.db", "j.db.tmpx", "j.db.damaged-x", "k.db.tmp1", "j.dbx.tmp1"}


def test_a_file_is_open_once_in_a_process_whatever_it_is_called(path):
    link = path.with_name("link.db")
    link.symlink_to(path)
    database = open_database(link)
    with pytest.raises(InputOutputError, match="this process has this database open already"):
        open_database(path)
    assert database.journal.path == path
    database.journal.close()
    open_database(path).journal.close()


def test_a_new_file_is_there_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InputOutputError):
        create(tmp_path / "x.db", SCHEMA)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    create(tmp_path / "x.db", SCHEMA)
    assert stat.S_IMODE((tmp_path / "x.db").stat().st_mode) == 0o640


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def changed(draw, json_value):
    """A JSON value with one of its parts replaced by junk."""
    if isinstance(json_value, (dict, list)) and json_value and draw(st.integers(0, 5)):
        keys = list(json_value) if isinstance(json_value, dict) else range(len(json_value))
        key = draw(st.sampled_from(keys))
        copy = dict(json_value) if isinstance(json_value, dict) else list(json_value)
        copy[key] = draw(changed(copy[key]))
        return copy
    return draw(JUNK)


RICH = {
    "name": "J",
    "version": "1.0.0",
    "cksum": "1 2",
    "tables": {
        "T": {
            "columns": {
                "a": {"type": {"key": {"type": "integer", "minInteger": 0, "maxInteger": 9}}, "mutable": False},
                "b": {"type": {"key": {"type": "string", "enum": ["set", ["x", "y"]]}, "min": 0, "max": 1}},
                "m": {"type": {"key": {"type": "string", "minLength": 1}, "value": "real", "min": 0, "max": 3}},
                "r": {"type": {"key": {"type": "uuid", "refTable": "T", "refType": "weak"}, "min": 0, "max": 2}},
            },
            "indexes": [["a", "b"]],
            "isRoot": True,
            "maxRows": 5,
        },
    },
}
ROWS = {
    "_date": 5,
    "_is_diff": True,
    "T": {
        "00000000-0000-4000-8000-000000000001": {
            "a": 3,
            "b": "x",
            "m": ["map", [["k", 1.5]]],
            "r": ["uuid", "00000000-0000-4000-8000-000000000001"],
        },
        "00000000-0000-4000-8000-000000000002": {"r": ["set", []], "b": ["set", ["x"]]},
    },
}


def said(how, path):
    """What an operator is told when a file cannot be used."""
    try:
        opened = how(path)
    except OvsdbError as error:
        return str(cannot_open(path, error))
    if hasattr(opened, "journal"):
        opened.journal.close()
    return ""


@settings(max_examples=200)
@given(data=st.data())
def test_files_with_any_json_open_or_are_refused_in_one_line(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.db"
    schema = data.draw(changed(RICH)) if data.draw(st.booleans()) else RICH
    rows = [data.draw(changed(ROWS)), data.draw(changed(ROWS))]
    path.write_bytes(b"".join(_record(each) for each in [schema, *rows]))
    for how in (open_database, stored_schema, lambda p: open_converted(p, SCHEMA)):
        line = said(how, path)
        assert "\n" not in line
        assert not line or str(path) in line


def _record(value):
    try:
        return record(value)
    except orjson.JSONEncodeError:  # integers that only other writers' JSON has
        text = json.dumps(value).encode() + b"\n"
        return b"OVSDB JSON %d %s\n%s" % (
            len(text),
            hashlib.sha1(text, usedforsecurity=False).hexdigest().encode(),
            text,
        )


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 3))
def test_files_with_any_bytes_open_or_are_refused_in_one_line(tmp_path_factory, junk, whole):
    path = tmp_path_factory.getbasetemp() / "bytes.db"
    path.write_bytes(b"".join([record(SCHEMA.to_json()), record({}), record({})][:whole]) + junk)
    assert "\n" not in said(open_database, path)
