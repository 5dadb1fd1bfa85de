"""A journal gives back exactly the commits whose records are whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird.ovsdb import journal
from ovenbird.ovsdb.compaction import Compaction, compact
from ovenbird.ovsdb.errors import DatabaseCorrupt, InputOutputError
from ovenbird.ovsdb.journal import create, open_database, record
from ovenbird.ovsdb.journal_reader import read_records
from ovenbird.ovsdb.schema import DatabaseSchema

SCHEMA = DatabaseSchema.from_json(
    {
        "name": "J",
        "version": "1.0.0",
        "tables": {
            "T": {
                "columns": {
                    "a": {"type": "integer"},
                    "s": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
                    "m": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
                    "e": {"type": "integer", "ephemeral": True},
                },
            },
        },
    },
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "j.db"
    create(path, SCHEMA)
    return path


def contents(database):
    return {u: (r["a"], r["s"], r["m"], r["e"]) for u, r in database.tables["T"].table.rows.items()}


def test_everything_but_ephemeral_columns_comes_back(path):
    database = open_database(path)
    txn = database.transaction()
    one = txn.insert("T", {"a": 1, "s": {"x", "y"}, "m": {"k": "v", "l": "w"}, "e": 5})
    two = txn.insert("T", {})
    txn.comment("first")
    txn.commit()
    txn = database.transaction()
    txn.mutate(one, "s", insert={"z"}, delete={"x"})
    txn.mutate(one, "m", insert={"k": "new", "n": "n"}, delete={"k", "l"})
    txn.update(one, {"a": 2})
    txn.delete(two)
    txn.commit()
    size = database.journal.size
    txn = database.transaction()
    txn.update(one, {"e": 6})
    txn.commit()
    assert database.journal.size == size
    database.journal.close()
    database = open_database(path)
    assert contents(database) == {one: (2, {"y", "z"}, {"k": "new", "n": "n"}, 0)}
    compact(database.journal, database)
    database.journal.close()
    again = open_database(path)
    assert contents(again) == contents(database)
    assert again.journal.damage is None
    again.journal.close()


def test_a_tail_torn_at_any_byte_costs_the_last_commit_only(path):
    database = open_database(path)
    uuids = []
    sizes = []
    for number in range(2):
        txn = database.transaction()
        uuids.append(txn.insert("T", {"a": number, "s": {"é}{"}}))
        txn.commit()
        sizes.append(database.journal.size)
    database.journal.close()
    data = path.read_bytes()
    assert len(data) == sizes[1]
    for end in range(sizes[0], sizes[1]):
        path.write_bytes(data[:end])
        database = open_database(path)
        assert set(contents(database)) == {uuids[0]}
        torn = database.journal.damage
        assert (torn is None) == (end == sizes[0])
        assert torn is None or (torn.offset, torn.lost) == (sizes[0], end - sizes[0])
        txn = database.transaction()
        fresh = txn.insert("T", {"a": 9})
        txn.commit()
        database.journal.close()
        database = open_database(path)
        assert set(contents(database)) == {uuids[0], fresh}
        assert database.journal.damage is None
        database.journal.close()


def test_a_flipped_byte_is_found(path):
    data = bytearray(path.read_bytes() + record({"T": {}}))
    data[-5] ^= 1
    records, damage = read_records(bytes(data))
    assert len(records) == 1
    assert damage is not None
    assert not damage.torn
    assert "checksum" in damage.reason


def test_a_second_process_cannot_open_the_file(path):
    database = open_database(path)
    # The kernel's record locks belong to a process, so another one has to try.
    program = (
        "import sys,pathlib; from ovenbird.ovsdb.journal import open_database; open_database(pathlib.Path(sys.argv[1]))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=20, check=False
    )
    assert "another process has this database open" in other.stderr
    database.journal.close()


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x"
    path.write_text("hello")
    with pytest.raises(DatabaseCorrupt):
        open_database(path)
    with pytest.raises(InputOutputError):
        open_database(tmp_path / "missing")
    with pytest.raises(InputOutputError):
        create(path, SCHEMA)


def test_a_commit_that_cannot_be_written_did_not_happen(path, monkeypatch):
    database = open_database(path)
    txn = database.transaction()
    txn.insert("T", {"a": 1})

    def full(_fd, _data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.writev", full)
        with pytest.raises(InputOutputError):
            txn.commit()
    assert contents(database) == {}
    txn = database.transaction()
    uuid = txn.insert("T", {"a": 2})
    txn.commit()
    database.journal.close()
    database = open_database(path)
    assert list(contents(database)) == [uuid]
    database.journal.close()


@given(st.lists(st.binary(max_size=9), max_size=12), st.data())
def test_partial_writes_are_completed(tmp_path_factory, parts, data):
    path = tmp_path_factory.mktemp("parts") / "file"
    writev, write = os.writev, os.write

    def some(_descriptor, given):
        return write(_descriptor, b"".join(given)[: data.draw(st.integers(0, len(b"".join(given))))])

    def less(descriptor, given):
        return write(descriptor, bytes(given)[: data.draw(st.integers(1, len(given)))])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_PARTS_AT_ONCE", 5)
        patch.setattr("os.writev", some if data.draw(st.booleans()) else writev)
        patch.setattr("os.write", less)
        with path.open("wb") as file:
            assert journal.write_all(file.fileno(), parts) == len(b"".join(parts))
    assert path.read_bytes() == b"".join(parts)


@given(st.data())
@settings(max_examples=60)
def test_commits_during_a_compaction_are_in_the_new_file(tmp_path, data):
    path = tmp_path / f"{time.monotonic_ns()}.db"
    create(path, SCHEMA)
    database = open_database(path)
    uuids: list[str] = []

    def commit():
        txn = database.transaction()
        for number in range(data.draw(st.integers(1, 3))):
            kind = data.draw(st.sampled_from(("insert", "update", "mutate", "delete")))
            if kind == "insert" or not uuids:
                uuids.append(txn.insert("T", {"a": number, "s": {"x"}}))
            elif kind == "update":
                txn.update(data.draw(st.sampled_from(uuids)), {"a": data.draw(st.integers(0, 9))})
            elif kind == "mutate":
                members = st.sets(st.sampled_from("xyz"))
                row = data.draw(st.sampled_from(uuids))
                txn.mutate(row, "s", insert=data.draw(members), delete=data.draw(members))
            else:
                row = data.draw(st.sampled_from(uuids))
                uuids.remove(row)
                txn.delete(row)
        txn.commit()

    for _ in range(4):
        commit()
    compaction = Compaction(database.journal, database)
    while compaction.step(1):
        commit()
    compaction.write()
    if data.draw(st.booleans()):
        commit()
    compaction.take_over()
    compaction.end()
    commit()
    assert database.journal.size == path.stat().st_size
    database.journal.close()
    again = open_database(path)
    assert contents(again) == {u: (*v[:3], 0) for u, v in contents(database).items()}
    assert again.journal.damage is None
    again.journal.close()
    assert not list(path.parent.glob(f"{path.name}.tmp*"))  # examples that Hypothesis gives up leave theirs


def test_a_compaction_that_another_overtakes_leaves_nothing(path):
    database = open_database(path)
    txn = database.transaction()
    txn.insert("T", {"a": 1})
    txn.commit()
    slow = Compaction(database.journal, database)
    compact(database.journal, database)
    assert not slow.current
    slow.end()
    assert sorted(file.name for file in path.parent.iterdir()) == [f".{path.name}.~lock~", path.name]
    database.journal.close()


def test_a_compaction_that_was_overtaken_writes_beside_the_other(path):
    database = open_database(path)
    txn = database.transaction()
    uuid = txn.insert("T", {"a": 1})
    txn.commit()
    both = [Compaction(database.journal, database)]
    txn = database.transaction()
    txn.update(uuid, {"a": 2})
    txn.commit()
    both.append(Compaction(database.journal, database))
    for compaction in both:
        while compaction.step(1):
            pass
    for compaction in reversed(both):
        compaction.write()
    both[1].take_over()
    for compaction in both:
        compaction.end()
    assert database.journal.size == path.stat().st_size
    database.journal.close()
    again = open_database(path)
    assert contents(again)[uuid][0] == 2
    again.journal.close()
    assert not list(path.parent.glob("*.tmp*"))
