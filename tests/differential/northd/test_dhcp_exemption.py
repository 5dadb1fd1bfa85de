"""The flows that let servers' DHCP messages past ACLs, row by row beside the original's, for every type of port."""

from __future__ import annotations

import re

from ovenbird.northd.ir.addresses import parse_mac
from support.northd.texts import elements, map_of, set_of

FOUR = {"server_id": "10.0.0.254", "server_mac": "00:00:00:00:00:fd", "lease_time": "60"}
SIX = {"server_id": "00:00:00:00:00:fd"}
NETWORK4, NETWORK6 = "10.0.0.0/24", "fd00::/64"
TYPES = ("", "router", "localport", "virtual", "external", "localnet", "l2gateway", "vtep", "remote", "unheard-of")
OTHERS = (
    {"enabled": False}, {"addresses": set_of([])}, {"addresses": "unknown"}, {"parent_name": "parent"},
    {"addresses": "00:00:00:00:00:01 192.0.2.1"},
)  # fmt: skip
OPTIONS4 = (
    *[(text, FOUR) for text in ("junk", "", "10.0.0.0", NETWORK6)],
    *[(NETWORK4, {**FOUR, name: text}) for name in FOUR for text in ("", "x", "00:00:00:00:00:FD")],
    *[(NETWORK4, {key: value for key, value in FOUR.items() if key != name}) for name in FOUR],
    (NETWORK4, {}),
)
OPTIONS6 = (
    *[(text, SIX) for text in ("junk", "", "fd00::", NETWORK4)],
    *[(NETWORK6, {"server_id": text}) for text in ("", "x", "00:00:00:00:00:FD", "00:00:00:00:00:fd x", "0:1:2:3:4:5")],
    (NETWORK6, {**SIX, "dhcpv6_stateless": "true"}),
    (NETWORK6, {}),
)


class Switches:
    """Collects a Northbound transaction: switches of one port that has DHCP options."""

    def __init__(self):
        self.ops = []
        self.meant = {}

    def add(self, acl=None, four=None, six=None, **port):
        n = str(len(self.meant))
        self.meant[f"s{n}"] = (acl, four, six, port)
        lsp = {"name": f"p{n}", "addresses": "00:00:00:00:00:01 10.0.0.1 fd00::1", **port}
        for column, options in (("dhcpv4_options", four), ("dhcpv6_options", six)):
            if options is not None:
                row = {"cidr": options[0], "options": map_of(options[1])}
                lsp[column] = self._insert("DHCP_Options", f"{column}{n}", row)
        row = {"name": f"s{n}", "ports": self._insert("Logical_Switch_Port", f"lsp{n}", lsp)}
        if acl is not None:
            rule = {"direction": "to-lport", "match": "ip4", "action": acl, "priority": 1}
            row["acls"] = self._insert("ACL", f"acl{n}", rule)
        self._insert("Logical_Switch", f"ls{n}", row)

    def _insert(self, table, name, row):
        self.ops.append({"op": "insert", "table": table, "uuid-name": name, "row": row})
        return ["named-uuid", name]


def exemptions(client):
    """Return what a Southbound lets pass: (switch, match)."""
    columns = ("_uuid", "external_ids")
    switches = {
        row["_uuid"][1]: dict(row["external_ids"][1])["name"] for row in client.select("Datapath_Binding", *columns)
    }
    groups = {
        row["_uuid"][1]: elements(row["datapaths"]) for row in client.select("Logical_DP_Group", "_uuid", "datapaths")
    }
    found = set()
    for row in client.select(
        "Logical_Flow", "logical_datapath", "logical_dp_group", "match", "priority", "external_ids"
    ):
        if dict(row["external_ids"][1])["stage-name"] != "ls_out_acl" or row["priority"] != 34_000:
            continue
        of_group = [uuid for _, group in elements(row["logical_dp_group"]) for uuid in groups[group]]
        match = re.sub(r"(?<=eth\.src == )\S+", lambda mac: parse_mac(mac[0]) or mac[0], row["match"])
        found.update((switches[uuid], match) for _, uuid in (*elements(row["logical_datapath"]), *of_group))
    return {(switch, match) for switch, match in found if "$svc_monitor_mac" not in match}


def test_each_server_is_exempt_where_the_original_exempts_it(oracle):
    made = Switches()
    both = {"four": (NETWORK4, FOUR), "six": (NETWORK6, SIX)}
    for kind in TYPES:
        for acl in (None, "drop", "allow", "allow-related", "allow-stateless"):
            made.add(acl, type=kind, **both)
        for other in OTHERS:
            made.add("drop", type=kind, **both, **other)
    for options in OPTIONS4:
        made.add("allow-related", four=options)
    for options in OPTIONS6:
        made.add("allow-related", six=options)
    oracle.nb.transact(*made.ops)
    oracle.sync()
    oracle.compile()
    theirs, ours = exemptions(oracle.theirs), exemptions(oracle.ours)
    assert len(theirs) > len(TYPES)
    assert [(match, made.meant[switch]) for switch, match in sorted(theirs ^ ours)] == []
