"""Journals of an older schema: opened by a newer program, nothing lost; or not opened, and nothing changed."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from ovenbird.model import cloud
from ovenbird.ovsdb.conversion import open_converted
from ovenbird.ovsdb.errors import ConstraintViolation, DatabaseCorrupt, InputOutputError
from ovenbird.ovsdb.journal import create, open_database
from ovenbird.ovsdb.journal_reader import stored_schema
from ovenbird.ovsdb.schema import DatabaseSchema

NEWER = ("Quota_Turn", "Floating_IP_Association")
"""Tables that the older schema lacks."""


def older(**changes):
    """The schema of Cloud as an older release might have had it."""
    text = cloud.schema().to_json()
    for name in NEWER:
        del text["tables"][name]
    del text["tables"]["Port"]["columns"]["dns_domain"]
    text["tables"]["Port"]["columns"]["colour"] = {"type": "string"}
    return DatabaseSchema.from_json({**text, "version": "1.0.0", **changes})


def fill(path, schema):
    """Write a journal with a network and two ports, one of them changed; return their ids."""
    create(path, schema)
    database = open_database(path)
    transaction = database.transaction()
    network = transaction.insert("Network", {"name": "old", "mtu": 1442})
    ports = [
        transaction.insert("Port", {"network": network, "mac_address": f"fa:16:3e:00:00:0{i}", "vnic_type": "normal"})
        for i in range(2)
    ]
    transaction.commit()
    transaction = database.transaction()
    transaction.update(ports[0], {"name": "changed", "colour": "red", "tags": frozenset(("a", "b"))})
    transaction.commit()
    database.journal.close()
    return network, ports


def test_an_older_file_opens_and_is_as_it_was_and_more(tmp_path):
    path = tmp_path / "cloud.db"
    network, ports = fill(path, older())
    for turn in range(2):
        database = open_converted(path, cloud.schema(), cloud.ROWS)
        port = database.store.table(cloud.Port).get(ports[0])
        assert (port.name, port.tags, port.network.uuid) == ("changed", {"a", "b"}, network)
        assert port.dns_domain == ""
        assert len(database.store.table(cloud.Port)) == 2
        assert database.store.table(cloud.FloatingIPAssociation).all() == []
        assert stored_schema(path).to_json() == cloud.schema().to_json()
        database.journal.close()
        if turn == 0:
            converted = path.read_bytes()
    assert path.read_bytes() == converted  # the second time there was nothing to do
    database = open_converted(path, cloud.schema(), cloud.ROWS)
    transaction = database.transaction()
    transaction.update(ports[1], {"dns_domain": "example.org."})
    transaction.commit()
    database.journal.close()
    database = open_database(path, cloud.ROWS)
    assert database.store.table(cloud.Port).get(ports[1]).dns_domain == "example.org."
    with pytest.raises(ConstraintViolation):  # the new schema's constraints hold
        transaction = database.transaction()
        transaction.update(ports[0], {"mac_address": "fa:16:3e:00:00:01"})
        transaction.commit()
    database.journal.close()


@pytest.mark.parametrize("changes", [{"version": "9.0.0"}, {"name": "Other"}])
def test_a_newer_file_or_another_stays_as_it_is(tmp_path, changes):
    path = tmp_path / "cloud.db"
    fill(path, older(**changes))
    before = path.read_bytes()
    with pytest.raises(ConstraintViolation, match="this program of Cloud"):
        open_converted(path, cloud.schema(), cloud.ROWS)
    assert path.read_bytes() == before
    open_database(path).journal.close()  # nobody holds it


def test_contents_that_do_not_fit_stay_as_they_are(tmp_path):
    path = tmp_path / "cloud.db"
    text = older().to_json()
    del text["tables"]["Port"]["indexes"]
    fill(path, DatabaseSchema.from_json(text))
    database = open_database(path)
    transaction = database.transaction()
    one, other = database.tables["Port"].table.rows.values()
    transaction.update(one, {"mac_address": other["mac_address"]})
    transaction.commit()
    database.journal.close()
    before = path.read_bytes()
    with pytest.raises(ConstraintViolation):
        open_converted(path, cloud.schema(), cloud.ROWS)
    assert path.read_bytes() == before
    open_database(path).journal.close()


def test_files_that_are_not_databases_are_refused(tmp_path):
    with pytest.raises(InputOutputError):
        stored_schema(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello\nworld\n")
    with pytest.raises(DatabaseCorrupt):
        stored_schema(tmp_path / "text")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(DatabaseCorrupt):
        stored_schema(tmp_path / "empty")


@pytest.mark.skipif(shutil.which("ovsdb-tool") is None, reason="ovsdb-tool is not installed")
def test_the_original_converts_to_the_same(tmp_path):
    ours, theirs, schema = tmp_path / "ours.db", tmp_path / "theirs.db", tmp_path / "cloud.ovsschema"
    fill(ours, older())
    shutil.copy(ours, theirs)
    schema.write_text(json.dumps(cloud.schema().to_json()))
    subprocess.run(["ovsdb-tool", "convert", theirs, schema], check=True, timeout=20)
    open_converted(ours, cloud.schema(), cloud.ROWS).journal.close()
    found = []
    for path in (ours, theirs):
        database = open_database(path)
        found.append({n: {u: list(r.values) for u, r in t.table.rows.items()} for n, t in database.tables.items()})
        database.journal.close()
    assert found[0] == found[1]
