"""A running cloud changes its northd: from the original to ours and back, with rows in every table of Southbound.

The cloud has one of everything that ovn-nb(5) knows, and what chassis write beside it. Whoever takes over must be able
to change it and to delete it all; what nobody calls for any more is gone afterwards.
"""

import shlex
from pathlib import Path

import pytest

from ovenbird.model import sb

FULL_CLOUD = Path(__file__).with_name("full_cloud.nbctl")

TABLES = ("Logical_Router", "Logical_Switch", "Port_Group", "Static_MAC_Binding", "BFD", "Load_Balancer", "Mirror",
          "Load_Balancer_Group", "Chassis_Template_Var", "Copp", "Address_Set", "DHCP_Options", "Meter", "DNS",
          "HA_Chassis_Group")  # fmt: skip
"""Everything that somebody may delete of Northbound, in an order in which references allow it."""

KEPT = {"SB_Global", "Chassis", "Chassis_Private", "Encap", "RBAC_Role", "RBAC_Permission", "DHCP_Options",
        "DHCPv6_Options", "Connection", "SSL", "Controller_Event"}  # fmt: skip
"""Tables whose rows belong to chassis, operators or every cloud; Controller_Event is read and emptied by the cloud."""


@pytest.fixture
def cloud(oracle):
    for line in FULL_CLOUD.read_text().splitlines():
        oracle.nbctl(*shlex.split(line))
    return oracle


def chassis_write(client) -> None:
    """Write what controllers do: chassis, bindings, and whatever they learn, also where nobody looks after it."""
    operations = []
    for name, ip in (("hv1", "127.0.0.1"), ("hv2", "127.0.0.2")):
        encap = {"type": "geneve", "ip": ip, "chassis_name": name}
        operations += [
            {"op": "insert", "table": "Encap", "uuid-name": f"e{name}", "row": encap},
            {"op": "insert", "table": "Chassis", "uuid-name": name,
             "row": {"name": name, "encaps": ["named-uuid", f"e{name}"]}},
            {"op": "insert", "table": "Chassis_Private", "row": {"name": name, "chassis": ["named-uuid", name]}},
        ]  # fmt: skip
    here = ["named-uuid", "hv1"]
    datapaths = client.select("Datapath_Binding", "_uuid", "tunnel_key", "external_ids")
    ports = client.select("Port_Binding", "_uuid", "logical_port", "datapath", "tunnel_key", "type")
    keys = {row["_uuid"][1]: row["tunnel_key"] for row in datapaths}
    for row in ports:
        where, name = row["datapath"], row["logical_port"]
        bound = {"chassis": here, "up": True} | ({"virtual_parent": "a"} if row["type"] == "virtual" else {})
        operations += [
            {"op": "update", "table": "Port_Binding", "where": [["_uuid", "==", row["_uuid"]]], "row": bound},
            {"op": "insert", "table": "MAC_Binding",
             "row": {"logical_port": name, "ip": "10.1.0.66", "mac": "00:00:00:00:66:66", "datapath": where}},
            {"op": "insert", "table": "FDB",
             "row": {"mac": f"00:00:00:00:77:{row['tunnel_key']:02x}", "dp_key": keys[where[1]],
                     "port_key": row["tunnel_key"]}},
        ]  # fmt: skip
    for row in datapaths:  # of one address and chassis, so that they are alike once their datapaths are gone
        group = {"address": "239.0.0.1", "datapath": row["_uuid"], "chassis": here}
        operations.append({"op": "insert", "table": "IGMP_Group", "row": group})
    event = {"event_type": "empty_lb_backends", "chassis": here, "seq_num": 1}
    operations.append({"op": "insert", "table": "Controller_Event", "row": event})
    client.transact(*operations)


def strangers(client) -> None:
    """Write what a northd of another time may have left: a datapath of nobody's, and all that can stand on it."""
    where = ["named-uuid", "dp"]
    rows = (
        ("Datapath_Binding", {"tunnel_key": 999}),
        ("Port_Binding", {"logical_port": "stranger", "datapath": where, "tunnel_key": 1}),
        ("Multicast_Group", {"datapath": where, "name": "_MC_stranger", "tunnel_key": 40_000}),
        ("IP_Multicast", {"datapath": where}),
        ("IGMP_Group", {"address": "239.0.0.9", "datapath": where}),
        ("MAC_Binding", {"logical_port": "stranger", "ip": "10.1.0.67", "datapath": where}),
        ("Static_MAC_Binding", {"logical_port": "stranger", "ip": "10.1.0.68", "datapath": where}),
        ("Load_Balancer", {"name": "stranger", "datapaths": where}),
        ("DNS", {"datapaths": where}),
        ("Logical_Flow", {"logical_datapath": where, "pipeline": "ingress", "match": "1", "actions": "drop;"}),
        ("Service_Monitor", {"logical_port": "stranger", "ip": "10.1.0.1", "port": 80}),
        ("BFD", {"src_port": 50_000, "disc": 1, "logical_port": "stranger", "dst_ip": "10.1.0.1", "status": "up"}),
        ("Chassis_Template_Var", {"chassis": "gone"}),
        ("Address_Set", {"name": "stranger"}),
        ("Port_Group", {"name": "stranger"}),
        ("HA_Chassis_Group", {"name": "stranger"}),
        ("Mirror", {"name": "stranger", "filter": "to-lport", "type": "gre", "index": 9}),
        ("FDB", {"mac": "00:00:00:00:99:99", "dp_key": 999, "port_key": 1}),
    )
    client.transact(
        *[{"op": "insert", "table": table, "row": row} | ({"uuid-name": "dp"} if table == "Datapath_Binding" else {})
          for table, row in rows]
    )  # fmt: skip


def delete_everything(oracle) -> None:
    for table in TABLES:
        oracle.nb.transact({"op": "delete", "table": table, "where": []})


def left_over(client) -> dict[str, int]:
    """Return how many rows there are in each table that should be empty."""
    found = {}
    for table in filter(client.has, {row_class.TABLE for row_class in sb.ROWS} - KEPT):
        rows = client.select(table, "_uuid", *["name"] * (table == "Address_Set"))
        if table == "Address_Set":
            rows = [row for row in rows if row["name"] != "svc_monitor_mac"]
        if rows:
            found[table] = len(rows)
    return found


def test_the_cloud_has_rows_in_every_table(cloud):
    """Of tables that a northd fills: so that what follows is about all of them."""
    cloud.sync()
    chassis_write(cloud.theirs)
    tables = filter(cloud.theirs.has, [row_class.TABLE for row_class in sb.ROWS])
    lacking = {table for table in tables if not cloud.theirs.select(table, "_uuid")}
    assert lacking == {"Connection", "SSL", "Gateway_Chassis"}


@pytest.mark.parametrize("untidy", [False, True])
def test_from_the_original_to_ours(cloud, untidy):
    cloud.sync()
    cloud.stop_northd()
    chassis_write(cloud.theirs)
    if untidy:
        strangers(cloud.theirs)
    before = cloud.identities(cloud.theirs)
    cloud.compile(into=cloud.theirs)
    after = cloud.identities(cloud.theirs)
    assert len(after) > 20
    assert after.items() <= before.items()
    assert cloud.compile(into=cloud.theirs)[1] == 0
    cloud.nb.transact({"op": "delete", "table": "Logical_Switch", "where": [["name", "==", "dmz"]]})
    cloud.compile(into=cloud.theirs)
    delete_everything(cloud)
    cloud.compile(into=cloud.theirs)
    assert left_over(cloud.theirs) == {}


def heard(client) -> set[tuple[str, str]]:
    """Return the rows about multicast in switches: of settings, and of groups that chassis have heard."""
    rows = client.select("Datapath_Binding", "_uuid", "external_ids")
    switches = {row["_uuid"][1] for row in rows if "logical-switch" in dict(row["external_ids"][1])}
    return {
        (table, row["_uuid"][1])
        for table in ("IP_Multicast", "IGMP_Group")
        for row in client.select(table, "_uuid", "datapath")
        if row["datapath"][1] in switches
    }


@pytest.mark.parametrize("whose", ["theirs", "ours"])
def test_multicast_memberships_survive_an_exchange_of_northd(cloud, whose):
    cloud.sync()
    cloud.stop_northd()
    cloud.wait = "none"
    cloud.settle()
    client = cloud.theirs if whose == "theirs" else cloud.ours
    chassis_write(client)
    before = heard(client)
    assert {table for table, _ in before} == {"IP_Multicast", "IGMP_Group"}
    if whose == "theirs":
        cloud.compile(into=client)
    else:
        cloud.start_northd("ours")
        cloud.sync()
    assert heard(client) == before
    if whose == "ours":
        delete_everything(cloud)  # what the original says of one packet may be two things
        cloud.sync()


@pytest.mark.parametrize("untidy", [False, True])
def test_our_northds_rows_are_taken_over_by_the_original(cloud, untidy):
    cloud.stop_northd()
    cloud.wait = "none"
    cloud.settle()
    chassis_write(cloud.ours)
    if untidy:
        strangers(cloud.ours)
    cloud.settle()
    before = cloud.identities(cloud.ours)
    cloud.start_northd("ours")
    cloud.sync()
    after = cloud.identities(cloud.ours)
    assert len(after) > 20
    assert after.items() <= before.items()
    cloud.nbctl("ls-del", "dmz")
    delete_everything(cloud)
    cloud.sync()
    assert left_over(cloud.ours) == {}
