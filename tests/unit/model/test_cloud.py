"""The Cloud schema says what the design promises that the database refuses."""

from __future__ import annotations

import shutil
import subprocess

import orjson
import pytest

from ovenbird.model import cloud
from ovenbird.ovsdb.schema import DatabaseSchema


def test_it_is_a_schema_that_ovsdb_tool_takes(tmp_path):
    if shutil.which("ovsdb-tool") is None:
        pytest.skip("ovsdb-tool is not installed")
    text = tmp_path / "cloud.ovsschema"
    text.write_bytes(orjson.dumps(cloud.schema().to_json()))
    subprocess.run(["ovsdb-tool", "create", tmp_path / "db", text], check=True)
    assert subprocess.check_output(["ovsdb-tool", "db-name", tmp_path / "db"], text=True) == "Cloud\n"


def test_it_parses_back_to_itself():
    written = cloud.schema().to_json()
    assert DatabaseSchema.from_json(written).to_json() == written


@pytest.mark.parametrize(
    ("table", "index"),
    [
        ("Fixed_Address", ("subnet", "address")),
        ("Port", ("network", "mac_address")),
        ("Network_Segment", ("network_type", "physical_network", "segmentation_id")),
        ("Default_Security_Group", ("project_id",)),
    ],
)
def test_unique_columns_are_indexes(table, index):
    assert index in cloud.schema().tables[table].indexes


@pytest.mark.parametrize(
    ("table", "column", "target"),
    [
        ("Port", "network", "Network"),
        ("Subnet", "network", "Network"),
        ("Fixed_Address", "subnet", "Subnet"),
        ("Fixed_Address", "port", "Port"),
        ("Port", "security_groups", "Security_Group"),
        ("Default_Security_Group", "security_group", "Security_Group"),
    ],
)
def test_references_to_required_rows_are_strong(table, column, target):
    key = cloud.schema().tables[table].column(column).type.key
    assert (key.ref_table, key.weak) == (target, False)
