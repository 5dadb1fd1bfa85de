"""Our schemas against the originals', judged by the original's own ovsdb-tool and as parsed JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ovenbird.model import ic_nb, ic_sb, nb, sb, vswitch, vtep
from ovenbird.ovsdb.schema import DatabaseSchema

FILES = {
    nb: Path("/usr/share/ovn/ovn-nb.ovsschema"),
    sb: Path("/usr/share/ovn/ovn-sb.ovsschema"),
    ic_nb: Path("/usr/share/ovn/ovn-ic-nb.ovsschema"),
    ic_sb: Path("/usr/share/ovn/ovn-ic-sb.ovsschema"),
    vswitch: Path("/usr/share/openvswitch/vswitch.ovsschema"),
    vtep: Path("/usr/share/openvswitch/vtep.ovsschema"),
}


@pytest.fixture(params=list(FILES), ids=lambda module: module.__name__.rsplit(".", 1)[-1])
def pair(request):
    path = FILES[request.param]
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    return request.param.schema().to_json(), path


def shortest(column):
    """One spelling for what RFC 7047 lets a schema spell in several ways."""
    kind = column["type"] if isinstance(column["type"], dict) else {"key": column["type"]}
    kind = {"min": 1, "max": 1, **kind}
    for part in ("key", "value"):
        if part not in kind:
            continue
        atom = kind[part] if isinstance(kind[part], dict) else {"type": kind[part]}
        if "refTable" in atom:
            atom = {"refType": "strong", **atom}
        if "enum" in atom:
            values = atom["enum"][1] if isinstance(atom["enum"], list) else [atom["enum"]]
            atom = atom | {"enum": sorted(values)}
        kind[part] = atom
    return {"mutable": True, "ephemeral": False, **column, "type": kind}


def test_every_table_and_column_is_the_originals(pair):
    ours, path = pair
    theirs = json.loads(path.read_text())
    assert {k: ours[k] for k in ("name", "version", "cksum")} == {k: theirs[k] for k in ("name", "version", "cksum")}
    assert list(ours["tables"]) == list(theirs["tables"])
    for name, table in theirs["tables"].items():
        mine = ours["tables"][name]
        assert {k: v for k, v in mine.items() if k != "columns"} == {
            k: v for k, v in table.items() if k != "columns" and v is not False
        }
        assert list(mine["columns"]) == list(table["columns"])
        for column, its in table["columns"].items():
            assert shortest(mine["columns"][column]) == shortest(its), (name, column)


def test_ovsdb_tool_sees_no_difference(pair, tmp_path):
    tool = shutil.which("ovsdb-tool")
    if tool is None:
        pytest.skip("ovsdb-tool is not installed")
    ours, path = pair
    written = tmp_path / "ours.ovsschema"
    written.write_text(json.dumps(ours))
    subprocess.run([tool, "create", tmp_path / "db", written], check=True)
    answer = subprocess.check_output([tool, "needs-conversion", tmp_path / "db", path], text=True)
    assert answer == "no\n"
    changed = json.loads(path.read_text())
    table, column = ("SSL", "ca_cert") if "SSL" in changed["tables"] else ("Manager", "target")
    changed["tables"][table]["columns"][column]["type"] = "integer"
    other = tmp_path / "other.ovsschema"
    other.write_text(json.dumps(changed))
    answer = subprocess.check_output([tool, "needs-conversion", tmp_path / "db", other], text=True)
    assert answer == "yes\n"


def test_our_schema_parses_back(pair):
    ours, path = pair
    assert DatabaseSchema.from_json(ours).to_json() == DatabaseSchema.from_text(path.read_text()).to_json()
