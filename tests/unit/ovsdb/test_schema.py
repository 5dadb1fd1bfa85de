"""Schemas come back as they were, and bad ones are refused."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from ovenbird.ovsdb.errors import BadSyntax, ConstraintViolation
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.types import UNLIMITED, Atomic, BaseType, ColumnType

FILES = [
    Path("/usr/share/ovn/ovn-nb.ovsschema"),
    Path("/usr/share/ovn/ovn-sb.ovsschema"),
    Path("/usr/share/openvswitch/vswitch.ovsschema"),
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_originals_schemas_survive_a_round_trip(path):
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    schema = DatabaseSchema.from_text(path.read_bytes())
    again = DatabaseSchema.from_text(orjson.dumps(schema.to_json()))
    assert again == schema
    assert again.to_json() == schema.to_json()
    assert set(schema.tables) == set(orjson.loads(path.read_bytes())["tables"])


@pytest.mark.parametrize(
    "json",
    [
        5,
        {},
        {"name": "9", "tables": {}},
        {"name": "x", "version": "1", "tables": {}},
        {"name": "x", "tables": {"T": {}}},
        {"name": "x", "tables": {"T": {"columns": {}}}},
        {"name": "x", "tables": {"T": {"columns": {"_a": {"type": "string"}}}}},
        {"name": "x", "tables": {"T": {"columns": {"a": {"type": "word"}}}}},
        {"name": "x", "tables": {"T": {"columns": {"a": {"type": {"key": "string", "min": 2}}}}}},
        {"name": "x", "tables": {"T": {"columns": {"a": {"type": {"key": "string", "max": 0}}}}}},
        {"name": "x", "tables": {"T": {"columns": {"a": {"type": {"key": {"type": "uuid", "refTable": "U"}}}}}}},
        {"name": "x", "tables": {"T": {"columns": {"a": {"type": "string"}}, "indexes": [["b"]]}}},
        {"name": "x", "tables": {"T": {"columns": {"a": {"type": "string"}}, "maxRows": 0}}},
    ],
)
def test_bad_schemas(json):
    with pytest.raises(BadSyntax):
        DatabaseSchema.from_json(json)


def test_defaults():
    string, integer = BaseType(Atomic.STRING), BaseType(Atomic.INTEGER)
    assert ColumnType(string).default == ""
    assert ColumnType(integer, low=0).default is None
    assert ColumnType(integer, low=0, high=UNLIMITED).default == frozenset()
    assert ColumnType(integer, low=1, high=3).default == {0}
    assert ColumnType(string, value=integer, low=0, high=5).default == {}


def test_lengths_are_in_characters():
    base = BaseType(Atomic.STRING, low=1, high=2)
    base.check("éé")
    for bad in ("", "ééé"):
        with pytest.raises(ConstraintViolation):
            base.check(bad)
