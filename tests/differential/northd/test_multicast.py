"""Multicast in our Southbound beside Debian's: what northd makes of options, and of groups that chassis report."""

import re
import shlex

from support.northd.oracle import normal
from support.waiting import until

WORLD = """
ls-add s0
ls-add s1
ls-add s2
ls-add s3
ls-add ts
lr-add r
lr-add plain
set Logical_Router r options:mcast_relay=true
set Logical_Switch s0 other_config:mcast_snoop=true other_config:mcast_idle_timeout=7 other_config:mcast_table_size=9
set Logical_Switch s0 other_config:mcast_eth_src='"00:00:00:00:00:fe"' other_config:mcast_ip4_src=10.0.0.254
set Logical_Switch s0 other_config:mcast_ip6_src='"fe80::fe"' other_config:mcast_query_interval=9000
set Logical_Switch s1 other_config:mcast_snoop=true other_config:mcast_querier=false
set Logical_Switch s2 other_config:mcast_snoop=true other_config:mcast_flood_unregistered=true
set Logical_Switch s3 other_config:mcast_snoop=true other_config:mcast_query_max_response=10
set Logical_Switch ts other_config:mcast_snoop=true other_config:interconn-ts=ts
lsp-add ts far
lsp-set-type far remote
lsp-add s0 a
lsp-add s0 b
lsp-add s0 asking
lsp-add s0 flooded
set Logical_Switch_Port flooded options:mcast_flood=true
lsp-add s0 off
set Logical_Switch_Port off options:mcast_flood=true enabled=false
lsp-add s1 c
lsp-add s1 d
set Logical_Switch_Port d options:mcast_flood_reports=true
lsp-add s1 ln
lsp-set-type ln localnet
lsp-set-options ln network_name=phys mcast_flood=false mcast_flood_reports=true
lsp-add s2 e
lsp-add s3 f
lrp-add r r-s0 00:00:00:00:ff:01 10.0.0.1/24 fd00::1/64
lsp-add s0 to-s0
set Logical_Switch_Port to-s0 type=router options:router-port=r-s0 addresses=router
lrp-add r r-s1 00:00:00:00:ff:02 10.1.0.1/24
lrp-set-gateway-chassis r-s1 hv1
lsp-add s1 to-s1
set Logical_Switch_Port to-s1 type=router options:router-port=r-s1 addresses=router
lrp-add plain plain-s2 00:00:00:00:ff:03 10.2.0.1/24
lsp-add s2 to-s2
set Logical_Switch_Port to-s2 type=router options:router-port=plain-s2 addresses=router
meter-add slow drop 10 pktps 5
--id=@copp create Copp name=copp meters:igmp=slow -- set Logical_Switch s3 copp=@copp
"""
STATIC = "set Logical_Router_Port r-s1 options:mcast_flood=true"

GROUPS = (
    ("s0", "hv1", "239.0.0.1", ("a",)),
    ("s0", "hv2", "239.0.0.1", ("b", "flooded")),
    ("s0", "hv1", "ff0e::1:1", ("a", "b")),
    ("s0", "hv1", "ff02::1:ff00:1", ("a",)),
    ("s0", "hv1", "ff02::2", ("a",)),
    ("s0", "hv1", "225.0.0.9", ("flooded",)),
    ("s0", "hv1", "224.0.0.251", ("a",)),
    ("s0", "hv1", "mrouters", ("asking", "flooded", "to-s0")),
    ("s1", "hv1", "239.0.0.1", ("c",)),
    ("s1", "hv1", "239.0.0.2", ("c", "ln")),
    ("s1", "hv2", "mrouters", ("ln",)),
    ("s2", "hv1", "239.0.0.3", ("e",)),
    ("s2", "hv1", "nonsense", ("e",)),
    ("s3", "hv1", "239.0.0.3", ()),
)
CONCERNED = re.compile(r'mcast|igmp|mldv|_MC_|dst == (2[23]\d\.|ff)|outport = "(2|ff)')
OTHERWISE = re.compile(
    r"lr_in_ip_routing 10500 .*224\.0\.0\.|ls_(in|out)_pre_(acl|lb) 110 |"
    r"l2_lkup (70|71|75|80) (.*(arp|nd_ns)|eth.mcast )|lr_in_arp|check_port_sec|l2_unknown"
)
"""Flows that are said in other ways, whatever the network does with multicast (`test_destinations.py` has those).

And the original's routers know groups of a link, of which switches send them nothing.
"""


def world(oracle):
    for line in WORLD.strip().splitlines():
        oracle.nbctl(*shlex.split(line))


def report(client) -> None:
    """Write what chassis have heard."""
    operations = []
    for name, ip in (("hv1", "127.0.0.1"), ("hv2", "127.0.0.2")):
        encap = {"type": "geneve", "ip": ip, "chassis_name": name}
        operations += [
            {"op": "insert", "table": "Encap", "uuid-name": f"e{name}", "row": encap},
            {"op": "insert", "table": "Chassis", "uuid-name": name,
             "row": {"name": name, "encaps": ["named-uuid", f"e{name}"]}},
        ]  # fmt: skip
    switches = datapaths(client)
    ports = {row["logical_port"]: row["_uuid"] for row in client.select("Port_Binding", "_uuid", "logical_port")}
    for switch, chassis, address, members in GROUPS:
        where = next(uuid for uuid, name in switches.items() if name == switch)
        row = {"address": address, "datapath": ["uuid", where], "chassis": ["named-uuid", chassis]}
        row["ports"] = ["set", [ports[name] for name in members]]
        operations.append({"op": "insert", "table": "IGMP_Group", "row": row})
    client.transact(*operations)


def datapaths(client) -> dict[str, str]:
    rows = client.select("Datapath_Binding", "_uuid", "external_ids")
    return {row["_uuid"][1]: dict(row["external_ids"][1])["name"] for row in rows}


def flows(client) -> set[str]:
    """Return the flows that are about multicast, once for each of their datapaths."""
    names, found = datapaths(client), set()
    groups = {row["_uuid"][1]: row["datapaths"] for row in client.select("Logical_DP_Group", "_uuid", "datapaths")}
    columns = (
        "logical_datapath",
        "logical_dp_group",
        "priority",
        "match",
        "actions",
        "external_ids",
        "controller_meter",
    )
    for row in client.select("Logical_Flow", *columns):
        stage = dict(row["external_ids"][1])["stage-name"]
        text = f"{stage} {row['priority']} {normal(row['match'])} => {normal(row['actions'])}"
        if not CONCERNED.search(text) or OTHERWISE.search(text):
            continue
        if row["controller_meter"] != ["set", []]:
            text += f" ({row['controller_meter']})"
        where = row["logical_datapath"] if row["logical_datapath"][0] == "uuid" else groups[row["logical_dp_group"][1]]
        for _, uuid in [where] if where[0] == "uuid" else where[1]:
            found.add(f"{names[uuid]}: {text}")
    return found


def settings(client) -> dict[str, str]:
    names, columns = datapaths(client), ("enabled", "querier", "table_size", "idle_timeout", "query_interval",
                                         "query_max_resp", "eth_src", "ip4_src", "ip6_src")  # fmt: skip
    rows = client.select("IP_Multicast", "datapath", *columns)
    return {names[row["datapath"][1]]: str([row[column] for column in columns]) for row in rows}


def members(client) -> dict[tuple[str, str], frozenset[str]]:
    """Return the members of each multicast group that a flow refers to, or any flow may."""
    names = datapaths(client)
    ports = {row["_uuid"][1]: row["logical_port"] for row in client.select("Port_Binding", "_uuid", "logical_port")}
    found = {}
    for row in client.select("Multicast_Group", "datapath", "name", "ports"):
        kind, value = row["ports"]
        uuids = [value] if kind == "uuid" else [uuid for _, uuid in value]
        if not re.match(r"224\.0\.0|ff02::2$", row["name"]) and uuids:
            found[names[row["datapath"][1]], row["name"]] = frozenset(ports[uuid] for uuid in uuids)
    return found


def kept(client) -> set[str]:
    names = datapaths(client)
    return {
        f"{names[row['datapath'][1]]} {row['address']}" for row in client.select("IGMP_Group", "datapath", "address")
    }


def same(oracle, *words: str) -> None:
    """Check that both Southbounds say the same, and that Debian's has what `words` are in."""
    oracle.compile()

    def agree() -> bool:
        theirs, ours = flows(oracle.theirs), flows(oracle.ours)
        assert sorted(theirs - ours) == []
        assert sorted(ours - theirs) == []
        assert settings(oracle.ours) == settings(oracle.theirs)
        assert members(oracle.ours) == members(oracle.theirs)
        assert kept(oracle.ours) == kept(oracle.theirs)
        assert all(any(word in flow for flow in theirs) for word in words)
        return True

    until(agree, 20)


def test_options_and_groups(oracle):
    world(oracle)
    same(oracle, "s0: ls_in_l2_lkup 80", "far", "(slow)")
    for client in (oracle.theirs, oracle.ours):
        report(client)
    same(oracle, "ls_in_l2_lkup 90", "lr_in_ip_routing 10500")
    oracle.nbctl(*shlex.split(STATIC))
    same(oracle, "lr_in_ip_routing 10460", "lr_in_ip_routing 10550")
    assert members(oracle.ours)["r", "239.0.0.1"] == {"r-s0"}
    oracle.nbctl("set", "Logical_Switch", "s0", "other_config:mcast_snoop=false")
    oracle.compile()
    assert not any("s0: ls_in_l2_lkup 90" in flow for flow in flows(oracle.ours))


def test_igmp_groups_of_a_deleted_chassis_are_removed(oracle):
    world(oracle)
    same(oracle)
    for client in (oracle.theirs, oracle.ours):
        report(client)
    same(oracle, "ls_in_l2_lkup 90")
    for client in (oracle.theirs, oracle.ours):
        client.transact({"op": "delete", "table": "Chassis", "where": [["name", "==", "hv2"]]})
    same(oracle)
    oracle.nbctl("ls-del", "s0")
    same(oracle)
    left = {f"{switch} {a}" for switch, chassis, a, _ in GROUPS if switch != "s0" and chassis == "hv1"}
    assert kept(oracle.ours) == left
