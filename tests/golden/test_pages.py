"""The pages of this folder are manuals that run: Northbound commands, what they compile to, how packets fare.

A page is named after its feature. In it, blocks in this order, as often as wanted:

- ``nbctl``: one ovn-nbctl command a line, all compiled at the end of the block; lines that begin with `newer` are for
  columns that Debian's ovn-nbctl does not know (``support.northd.newer_rows``);
- ``learned``: neighbours that chassis have learned: a router port, IP and MAC address a line;
- ``routes``: routes that chassis have learned: a router port, network and next hop a line;
- ``joined``: multicast groups that a chassis has learned by snooping: an address and ports of one switch a line;
- ``flows``: the feature's logical flows, by stage and priority, with the datapaths that each is for; words after
  ``flows`` pick stages;
- ``rows TABLE COLUMN...``: rows of a Southbound table;
- ``packet DATAPATH [OPTION...]``: a microflow and, after a blank line, what becomes of it, as ovn-trace ``--minimal``
  says.

With OVENBIRD_UPDATE_GOLDEN=1 the pages are rewritten instead of compared: read the difference before you commit it.
"""

import os
import re
from pathlib import Path

import pytest

from ovenbird.engine.rows import Store
from ovenbird.lang.actions import parse_actions
from ovenbird.lang.passes import annotated
from ovenbird.model import nb, sb
from ovenbird.northd.features import EXPLANATIONS, FEATURES
from ovenbird.verify.provenance import Provenance

PAGES = sorted(Path(__file__).parent.glob("*.md"))
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BLOCK = re.compile(r"^```(nbctl|learned|routes|joined|flows|rows|packet)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HINTED = {feature.name: {table.row_class for table in feature.hints} for feature in FEATURES}
UPDATE = bool(os.environ.get("OVENBIRD_UPDATE_GOLDEN"))


def test_every_feature_has_its_page():
    assert {page.stem for page in PAGES} == {feature.name for feature in FEATURES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(servers, page):
    text = page.read_text()
    reader = Reader(servers, page.stem)
    remade = BLOCK.sub(reader.block, text)
    assert reader.blocks, "a page without a block shows nothing"
    if UPDATE:
        page.write_text(remade)
    assert remade.splitlines() == text.splitlines()


class Reader:
    """Runs a page's blocks one after the other and gives each as it should be."""

    def __init__(self, servers, feature):
        self.servers = servers
        self.feature = feature
        self.blocks = 0

    def block(self, match):
        kind, words, body = match.group(1), match.group(2).split(), match.group(3)
        self.blocks += 1
        made = getattr(self, kind)(words, body)
        return f"```{kind}{match.group(2)}\n{made}```"

    def nbctl(self, _words, body):
        self.servers.edit(body)
        self.servers.settle()
        assert not self.servers.contradictions()
        self.understood()
        self.explained()
        return body

    def understood(self):
        """Check that no flow is one that controllers leave out since its match or its actions mean nothing."""
        rows = self.store().table(sb.LogicalFlow).rows.values()
        texts = {(row.match, row.actions) for row in rows if "^" not in row.match + row.actions}
        for match, actions in texts:
            annotated(" && ".join(f"({part})" for part in (match, *parse_actions(actions).prerequisites)))

    def explained(self):
        """Check that every flow that names a row leads to one, which its own feature says in words."""
        northbound = Store("OVN_Northbound", nb.ROWS)
        self.servers.nb.load(northbound)
        provenance = Provenance(EXPLANATIONS, northbound=northbound, southbound=self.store())
        flows = self.store().table(sb.LogicalFlow).rows.values()
        named = [(flow, provenance.of(flow)) for flow in flows if "stage-hint" in flow.external_ids]
        assert not [
            (flow.external_ids, flow.match)
            for flow, origin in named
            if not str(origin) or type(origin.northbound) not in HINTED[flow.external_ids["source"]]
        ]

    def learned(self, _words, body):
        where = {port.logical_port: port.datapath.uuid for port in self.store().table(sb.PortBinding).rows.values()}
        for line in body.splitlines():
            port, ip, mac = line.split()
            row = {"logical_port": port, "ip": ip, "mac": mac, "datapath": ["uuid", where[port]]}
            self.servers.ours.transact({"op": "insert", "table": "MAC_Binding", "row": row})
        self.servers.settle()
        return body

    def routes(self, _words, body):
        ports = {port.logical_port: port for port in self.store().table(sb.PortBinding).rows.values()}
        for line in body.splitlines():
            name, prefix, nexthop = line.split()
            row = {"logical_port": ["uuid", ports[name].uuid], "datapath": ["uuid", ports[name].datapath.uuid]}
            row |= {"ip_prefix": prefix, "nexthop": nexthop}
            self.servers.ours.transact({"op": "insert", "table": "Learned_Route", "row": row})
        self.servers.settle()
        self.explained()
        return body

    def joined(self, _words, body):
        ports = {port.logical_port: port for port in self.store().table(sb.PortBinding).rows.values()}
        transact = self.servers.ours.transact
        encap = {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "hv1"}
        chassis = {"name": "hv1", "encaps": ["named-uuid", "encap"]}
        made = transact(
            {"op": "insert", "table": "Encap", "uuid-name": "encap", "row": encap},
            {"op": "insert", "table": "Chassis", "row": chassis},
        )
        for line in body.splitlines():
            address, *names = line.split()
            row = {"address": address, "datapath": ["uuid", ports[names[0]].datapath.uuid], "chassis": made[1]["uuid"]}
            row["ports"] = ["set", [["uuid", ports[name].uuid] for name in names]]
            transact({"op": "insert", "table": "IGMP_Group", "row": row})
        self.servers.settle()
        return body

    def flows(self, words, _body):
        store = self.store()
        lines = []
        for row in store.table(sb.LogicalFlow).rows.values():
            stage = row.external_ids["stage-name"]
            if row.external_ids["source"] != self.feature or (words and stage not in words):
                continue
            where = row.logical_datapath
            datapaths = [where] if where is not None else row.logical_dp_group.datapaths
            names = " ".join(sorted(d.external_ids["name"] for d in datapaths))
            actions = UUID.sub("…", row.actions)
            key = (row.pipeline == "egress", row.table_id, -row.priority, row.match)
            lines.append((key, f"{names or '(none)'}: {stage} {row.priority}: {row.match}\n    {actions}\n"))
        return "".join(line for _, line in sorted(lines))

    def rows(self, words, _body):
        table = self.store().tables[words[0]]
        lines = [", ".join(f"{name}={self.shown(row, name)}" for name in words[1:]) for row in table.rows.values()]
        return "".join(f"{line}\n" for line in sorted(lines))

    def shown(self, row, name):
        column = type(row).BY_NAME[name]
        value = column.__get__(row)
        if column.target is not None:
            value = sorted(self.name(each) for each in (value if isinstance(value, list) else [value]) if each)
        elif isinstance(value, frozenset):
            value = sorted(value)
        elif isinstance(value, dict):
            hidden = ("logical-switch", "logical-router", "dns_id", "svc_monitor_mac", "mac_prefix")
            value = {k: "…" if k in hidden else v for k, v in sorted(value.items())}
        return value

    def name(self, row):
        for column in ("logical_port", "name", "chassis_name", "rate"):
            if column in type(row).BY_NAME:
                return str(row[column])
        return row.external_ids.get("name", "")

    def packet(self, words, body):
        microflow, _, _ = body.partition("\n\n")
        found = self.servers.trace("ours", words[0], " ".join(microflow.split()), *words[1:])
        flooded = all(line.startswith("output(") for line in found)  # in the order of UUIDs
        lines = sorted(found) if flooded else found
        return f"{microflow.rstrip()}\n\n" + "".join(f"{line}\n" for line in lines or ["(dropped)"])

    def store(self):
        made = Store("OVN_Southbound", sb.ROWS)
        self.servers.ours.load(made)
        return made
