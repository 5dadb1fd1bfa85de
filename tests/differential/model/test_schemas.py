"""Our schemas against the originals', judged by the original's own ovsdb-tool and as parsed JSON.

Ours of OVN's databases are those of OVN 25.03: beside its files there is no difference, beside those of 23.03 there is
what `SINCE_23_03` and `WIDENED` list.
"""

from __future__ import annotations

import copy
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

FORMER = {nb: "7.0.0", sb: "20.27.0", ic_nb: "1.0.0", ic_sb: "1.1.1"}
"""The versions of OVN 23.03's schemas."""

_KEYS = {"SSL": ("ssl_ciphersuites",)}
SINCE_23_03 = {
    nb: _KEYS | {
        "Sample_Collector": None, "Sample": None, "Sampling_App": None, "DHCP_Relay": None,
        "ACL": ("tier", "sample_new", "sample_est"),
        "DNS": ("options",),
        "Logical_Router_Policy": ("chain", "jump_chain", "bfd_sessions"),
        "Logical_Router_Port": ("dhcp_relay", "status"),
        "Logical_Router_Static_Route": ("selection_fields",),
        "Logical_Switch_Port": ("peer",),
        "NAT": ("priority", "match"),
    },
    sb: _KEYS | {
        "ECMP_Nexthop": None, "Advertised_Route": None, "Learned_Route": None, "ACL_ID": None,
        "BFD": ("chassis_name",),
        "DNS": ("options",),
        "FDB": ("timestamp",),
        "IGMP_Group": ("protocol", "chassis_name"),
        "Load_Balancer": ("ls_datapath_group", "lr_datapath_group"),
        "Logical_Flow": ("flow_desc",),
        "Service_Monitor": ("chassis_name",),
    },
    ic_nb: _KEYS | {"IC_NB_Global": ("nb_ic_cfg", "sb_ic_cfg")},
    ic_sb: _KEYS | {"IC_SB_Global": ("nb_ic_cfg",), "Availability_Zone": ("nb_ic_cfg",)},
}  # fmt: skip
"""Tables (None) and columns that came after 23.03."""


def _enum(*choices, **limits):
    return {"key": {"type": "string", "enum": ["set", list(choices)]}, **limits}


_MIRROR = {("Mirror", "filter"): _enum("from-lport", "to-lport"), ("Mirror", "type"): _enum("gre", "erspan")}
_HASHED = ("eth_src", "eth_dst", "ip_src", "ip_dst", "tp_src", "tp_dst")
WIDENED = {
    nb: _MIRROR | {
        ("ACL", "action"): _enum("allow", "allow-related", "allow-stateless", "drop", "reject"),
        ("Load_Balancer", "selection_fields"): _enum(*_HASHED, min=0, max="unlimited"),
        ("Logical_Router_Policy", "action"): _enum("allow", "drop", "reroute"),
        ("Logical_Router_Port", "networks"): {"key": "string", "min": 1, "max": "unlimited"},
        ("QoS", "action"): _enum("dscp", min=0, max="unlimited")
        | {"value": {"type": "integer", "minInteger": 0, "maxInteger": 63}},
    },
    sb: _MIRROR | {("DHCPv6_Options", "type"): _enum("ipv6", "str", "mac")},
}  # fmt: skip
"""The types that columns had in 23.03."""


@pytest.fixture(params=list(FILES), ids=lambda module: module.__name__.rsplit(".", 1)[-1])
def pair(request):
    path = FILES[request.param]
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    return request.param, path


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


def without_news(ours, module):
    """Take from a schema what releases after 23.03 brought, and give what they widened its former type."""
    ours = copy.deepcopy(ours)
    for table, columns in SINCE_23_03.get(module, {}).items():
        if columns is None:
            del ours["tables"][table]
        for column in columns or ():
            del ours["tables"][table]["columns"][column]
    for (table, column), former in WIDENED.get(module, {}).items():
        ours["tables"][table]["columns"][column]["type"] = former
    return ours


def test_every_table_and_column_is_the_originals(pair):
    module, path = pair
    ours, theirs = module.schema().to_json(), json.loads(path.read_text())
    if theirs["version"] == FORMER.get(module):
        ours = without_news(ours, module) | {"version": theirs["version"], "cksum": theirs["cksum"]}
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
    module, path = pair
    ours = module.schema().to_json()
    written = tmp_path / "ours.ovsschema"
    written.write_text(json.dumps(ours))
    subprocess.run([tool, "create", tmp_path / "db", written], check=True)
    answer = subprocess.check_output([tool, "needs-conversion", tmp_path / "db", path], text=True)
    former = json.loads(path.read_text())["version"] == FORMER.get(module)
    assert answer == ("yes\n" if former else "no\n")
    changed = json.loads(path.read_text())
    table, column = ("SSL", "ca_cert") if "SSL" in changed["tables"] else ("Manager", "target")
    changed["tables"][table]["columns"][column]["type"] = "integer"
    other = tmp_path / "other.ovsschema"
    other.write_text(json.dumps(changed))
    answer = subprocess.check_output([tool, "needs-conversion", tmp_path / "db", other], text=True)
    assert answer == "yes\n"


def test_our_schema_parses_back(pair):
    module, path = pair
    ours, theirs = module.schema().to_json(), json.loads(path.read_text())
    assert DatabaseSchema.from_json(ours).to_json() == ours
    if theirs["version"] != FORMER.get(module):
        assert DatabaseSchema.from_json(theirs).to_json() == ours
