"""Networks for texts: each has a switch, a router and their ports of its own, and stands in one column of theirs."""

from __future__ import annotations

import re

from ovenbird.northd.ir.addresses import canonical, parse_mac

WORDS = re.compile(
    r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![0-9a-f:])"  # MACs
    r"|[0-9a-f]*:[0-9a-f.]*:[0-9a-f:.]*(?:/\d+)?"
    r"|\d+\.\d+\.\d+\.\d+(?:/\d+)?"
    r"|(?:check_pkt_larger|set_queue)\(\d+\)|pkt\.mark = \d+|frag_mtu = \d+|offerip = \S+"
)
"""What a text becomes in flows."""

OWN_STAGES = frozenset(["ls_in_acl", "ls_out_acl"])
"""Where ours and the original's flows differ in form."""


def map_of(values):
    return ["map", [[key, value] for key, value in values.items()]]


def set_of(values):
    return ["set", list(values)]


class Texts:
    """Collects a Northbound transaction."""

    def __init__(self):
        self.ops = []
        self.names = {}

    def add(self, kind, text, **given):
        """Add a network in which ``given`` replaces what it says of itself; see the keywords below."""
        n = len(self.names)
        self.names[n] = (kind, text)
        lsp = {"name": f"p{n}", "addresses": given.get("addresses", ["00:00:00:00:00:01 10.0.0.1 fd00::1"])}
        self._switch(n, lsp, given)
        self._router(n, given)

    def _insert(self, table, name, row):
        made = {key: self._value(value) for key, value in row.items()}
        self.ops.append({"op": "insert", "table": table, "uuid-name": name, "row": made})
        return ["named-uuid", name]

    def _value(self, value):
        if isinstance(value, dict):
            return map_of(value)
        if isinstance(value, list) and (not value or value[0] != "named-uuid"):
            return set_of(value)
        return value

    def _switch(self, n, lsp, given):
        for column in ("port_security", "type", "tag_request", "parent_name"):
            if column in given:
                lsp[column] = given[column]
        lsp["options"] = given.get("options", {})
        if "dhcp" in given:
            lsp["dhcpv4_options"] = self._insert("DHCP_Options", f"dhcp{n}", given["dhcp"])
        if "dhcp6" in given:
            lsp["dhcpv6_options"] = self._insert("DHCP_Options", f"dhcp{n}", given["dhcp6"])
        ports = [self._insert("Logical_Switch_Port", f"lsp{n}", lsp)]
        joint = {"router-port": f"lrp{n}", **given.get("joint_options", {})}
        values = {"name": f"to{n}", "type": "router", "options": joint, "addresses": ["router"]}
        ports.append(self._insert("Logical_Switch_Port", f"joint{n}", values))
        for m, extra in enumerate(given.get("more_ports", [])):
            ports.append(self._insert("Logical_Switch_Port", f"more{n}_{m}", {"name": f"more{n}_{m}", **extra}))
        row = {"name": f"s{n}", "ports": ports, "other_config": given.get("switch", {})}
        self._insert("Logical_Switch", f"ls{n}", row)

    def _router(self, n, given):
        lrp = {
            "name": f"lrp{n}",
            "mac": given.get("mac", "00:00:00:00:00:fe"),
            "networks": given.get("networks", ["10.0.0.254/24", "fd00::254/64"]),
            "options": given.get("port", {}),
            "ipv6_ra_configs": given.get("advertise", {}),
        }
        if given.get("gateway"):
            values = {"name": f"gw{n}", "chassis_name": "gw", "priority": 1}
            lrp["gateway_chassis"] = [self._insert("Gateway_Chassis", f"gc{n}", values)]
        row = {
            "name": f"r{n}",
            "ports": [self._insert("Logical_Router_Port", f"rp{n}", lrp)],
            "options": given.get("router", {}),
        }
        for column, table in (("static_routes", "Logical_Router_Static_Route"), ("nat", "NAT"),
                              ("policies", "Logical_Router_Policy")):  # fmt: skip
            if column in given:
                row[column] = [self._insert(table, f"{column}{n}_{m}", each) for m, each in enumerate(given[column])]
        self._insert("Logical_Router", f"lr{n}", row)

    def outcome(self, client):
        """Return what became of each text in a Southbound: by number, a set of things said."""
        found = {n: set() for n in self.names}
        where = {}
        for row in client.select("Datapath_Binding", "_uuid", "external_ids", "tunnel_key"):
            ids = dict(row["external_ids"][1])
            where[row["_uuid"][1]] = n = int(re.sub(r"\D", "", ids["name"]))
            wanted = self.names[n][0] == "datapath key"
            kept = [ids.get("snat-ct-zone"), ids.get("always_learn_from_arp_request")]
            found[n].add(("datapath", ids["name"][0], row["tunnel_key"] if wanted else "", *kept))
        groups = {
            row["_uuid"][1]: [where[uuid] for _, uuid in elements(row["datapaths"])]
            for row in client.select("Logical_DP_Group", "_uuid", "datapaths")
        }
        columns = ("logical_datapath", "logical_dp_group", "external_ids", "match", "actions", "priority")
        for row in client.select("Logical_Flow", *columns):
            stage = dict(row["external_ids"][1])["stage-name"]
            text = f"{row['match']} {row['actions']}".lower()
            seen = WORDS.findall(text) if stage not in OWN_STAGES else ()
            words = {("flow", stage, parse_mac(word) or canonical(word) or word) for word in seen}
            for _, uuid in elements(row["logical_datapath"]):
                found[where[uuid]] |= words
            for _, uuid in elements(row["logical_dp_group"]):
                for n in groups[uuid]:
                    found[n] |= words
        names = ("logical_port", "datapath", "type", "mac", "port_security", "options", "nat_addresses", "tunnel_key",
                 "tag", "parent_port")  # fmt: skip
        for row in client.select("Port_Binding", *names):
            n = where[row["datapath"][1]]
            name = re.sub(r"\d+$", "", row["logical_port"])
            for column in names[2:]:
                value = row[column]
                if column == "tunnel_key" and self.names[n][0] != "port key":
                    continue
                if isinstance(value, list):
                    value = str(sorted(map(str, value[1])))
                found[n].add((column, name, value))
        return found


def elements(value):
    """Return the elements of a set of UUIDs, which may be written as a single one."""
    return value[1] if value[0] == "set" else [value]
