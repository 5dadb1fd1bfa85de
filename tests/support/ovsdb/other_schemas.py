"""Schemas of Northbound and Southbound as other releases have them."""

from __future__ import annotations

import json
from pathlib import Path

SCHEMAS = Path("/usr/share/ovn")

YOUNGER = {
    "sb": {
        "FDB": None, "Static_MAC_Binding": None, "Chassis_Template_Var": None, "Mirror": None, "BFD": None,
        "RBAC_Role": None, "RBAC_Permission": None,
        "Port_Binding": ("additional_chassis", "additional_encap", "requested_chassis", "port_security", "up",
                         "requested_additional_chassis", "mirror_rules"),
        "Logical_Flow": ("controller_meter",),
        "MAC_Binding": ("timestamp",),
        "Load_Balancer": ("datapath_group", "options"),
        "SB_Global": ("options", "ipsec"),
    },
    "nb": {
        "Static_MAC_Binding": None, "Chassis_Template_Var": None, "Mirror": None, "BFD": None,
        "Logical_Switch_Port": ("mirror_rules",),
        "Logical_Router_Static_Route": ("bfd", "route_table"),
        "NB_Global": ("nb_cfg_timestamp", "sb_cfg_timestamp", "hv_cfg_timestamp"),
        "NAT": ("gateway_port", "priority"),
        "ACL": ("label", "options", "tier"),
    },
}  # fmt: skip
"""Tables (None) and columns that releases have not always had."""


def reduced(name):
    """Return a schema without these, nor references to these tables."""
    schema = json.loads((SCHEMAS / f"ovn-{name}.ovsschema").read_text())
    schema.pop("cksum")
    tables = schema["tables"]
    gone = {table for table, columns in YOUNGER[name].items() if columns is None}
    for table in gone:
        del tables[table]
    for table, columns in YOUNGER[name].items():
        for column in columns or ():
            tables[table]["columns"].pop(column, None)
    for table in tables.values():
        for column, told in tuple(table["columns"].items()):
            kinds = [told["type"].get(part) for part in ("key", "value")] if isinstance(told["type"], dict) else []
            if any(isinstance(kind, dict) and kind.get("refTable") in gone for kind in kinds):
                del table["columns"][column]
    return schema


def newer(name):
    """Return a schema with a column and a table that we do not know."""
    schema = json.loads((SCHEMAS / f"ovn-{name}.ovsschema").read_text())
    schema.pop("cksum")
    for table in schema["tables"].values():
        table["columns"]["from_the_future"] = {"type": {"key": "string", "min": 0, "max": "unlimited"}}
    schema["tables"]["Future"] = {"columns": {"name": {"type": "string"}}, "isRoot": True}
    return schema


def ungrouped(name):
    """Return a Southbound schema as of 20.06: without groups of datapaths, and what else it has got since."""
    if name == "nb":
        return json.loads((SCHEMAS / "ovn-nb.ovsschema").read_text())
    schema = reduced(name)
    for table in ("Logical_DP_Group", "Chassis_Private", "Load_Balancer"):
        del schema["tables"][table]
    del schema["tables"]["Chassis"]["columns"]["other_config"]
    columns = schema["tables"]["Logical_Flow"]["columns"]
    del columns["logical_dp_group"], columns["tags"]
    columns["logical_datapath"] = {"type": {"key": {"type": "uuid", "refTable": "Datapath_Binding"}}}
    return schema
