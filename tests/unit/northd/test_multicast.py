"""What chassis hear of multicast becomes flows: at what cost, within which bounds, and to whom only once."""

import pytest

from ovenbird.model import nb, sb
from ovenbird.northd.ir.multicast_group import IP_GROUP_KEYS
from support.northd.networks import Networks

SNOOP = {"mcast_snoop": "true"}


def cloud(networks, ports, **config):
    """A switch that snoops, of some ports, on one chassis."""
    networks.switch_row = networks.switch("s", other_config=SNOOP | config)
    for number in range(ports):
        networks.port(networks.switch_row, f"p{number}", f"00:00:00:00:00:{number:02x}")
    networks.me = chassis(networks, "hv1")
    networks.settle()
    return networks


def chassis(networks, name):
    txn = networks.sb.transaction()
    encap = txn.insert(sb.Encap, {"type": "geneve", "ip": f"192.0.2.{name[-1]}", "chassis_name": name})
    made = txn.insert(sb.Chassis, {"name": name, "encaps": frozenset([encap])})
    txn.commit()
    return made


def join(networks, address, *names, at=None):
    ports = [networks.sb.store.find(sb.PortBinding.logical_port, name) for name in names]
    (where,) = {port["datapath"] for port in ports}
    return networks.insert(
        sb.IGMPGroup, database=networks.sb, address=address, datapath=where, chassis=at or networks.me,
        ports=frozenset(port.uuid for port in ports),
    )  # fmt: skip


def members(networks, name):
    return {
        frozenset(port.logical_port for port in row.ports)
        for row in networks.rows(sb.MulticastGroup)
        if row.name == name
    }


def groups(networks):
    return sorted(match.split()[-1] for _, priority, match, _ in networks.flows("ls_in_l2_lkup") if priority == 90)


@pytest.mark.parametrize("what", ["join", "another chassis", "leave"])
def test_a_report_costs_the_same_in_a_large_network(what):
    ran = []
    for size in (3, 30):
        made = cloud(Networks(), size)
        for number in range(size):
            join(made, f"239.1.0.{number}", f"p{number}")
        row = join(made, "239.0.0.1", "p0")
        made.settle()
        if what == "join":
            join(made, "239.0.0.2", "p1")
        elif what == "another chassis":
            join(made, "239.0.0.1", "p2", at=chassis(made, "hv2"))
        else:
            made.delete(row)
        ran.append(made.settle())
    assert ran[0] == ran[1]


def test_a_switch_has_no_more_groups_than_its_table_holds(networks):
    cloud(networks, 2, mcast_table_size="2")
    rows = [join(networks, f"239.0.0.{number}", "p0") for number in range(4)]
    join(networks, "ff0e::1", "p1")  # of the other version there may be as many
    networks.settle()
    assert len(groups(networks)) == 3
    full = "no place in the table of multicast groups (mcast_table_size) from 1 to 2 is free"
    assert networks.findings() == [f"switch s: {full}: further groups are forwarded as unregistered ones"]
    first = groups(networks)[0]
    networks.delete(next(row for row in rows if row.address == first))
    networks.settle()
    assert len(groups(networks)) == 3
    assert first not in groups(networks)


def test_groups_for_which_no_key_is_left_are_a_finding_of_their_switch(networks, monkeypatch):
    monkeypatch.setattr(IP_GROUP_KEYS, "high", IP_GROUP_KEYS.low + 1)
    cloud(networks, 2)
    rows = [join(networks, f"239.0.0.{number}", "p0") for number in range(4)]
    networks.settle()
    assert len(groups(networks)) == 2
    (text,) = networks.findings()
    assert text.startswith("switch s: no tunnel key of an IP multicast group from ")
    router = networks.insert(nb.LogicalRouter, name="r", options={"mcast_relay": "true"})
    networks.insert(
        nb.LogicalRouterPort, (router, "ports"), name="rp", mac="00:00:00:00:ff:01", networks={"10.0.0.254/24"}
    )
    networks.port(networks.switch_row, "to-r", "router", type="router", options={"router-port": "rp"})
    networks.settle()
    assert [found.partition(": no tunnel key")[0] for found in networks.findings()] == ["router r", "switch s"]
    for row in [row for row in rows if row.address not in groups(networks)]:
        networks.delete(row)
    networks.settle()
    assert not networks.findings()


def test_a_group_keeps_its_key(networks):
    cloud(networks, 2)
    first = join(networks, "239.0.0.1", "p0")
    join(networks, "239.0.0.2", "p0")
    networks.settle()
    keys = {row.name: row.tunnel_key for row in networks.rows(sb.MulticastGroup)}
    networks.delete(first)
    again = Networks(networks.nb, networks.sb)
    again.settle()
    left = {row.name: row.tunnel_key for row in again.rows(sb.MulticastGroup)}
    assert left.items() < keys.items()
    assert "239.0.0.2" in left


@pytest.mark.parametrize("address", ["10.0.0.1", "nonsense", "", "239.0.0.1/24", "239.0.0.1 239.0.0.2", "fe80::1"])
def test_a_row_that_names_no_group_affects_only_itself(networks, address):
    cloud(networks, 2)
    join(networks, address, "p0")
    join(networks, "239.0.0.9", "p1")
    networks.settle()
    assert groups(networks) == ["239.0.0.9"]


def test_where_a_router_of_ours_relays_other_routers_get_one_copy(networks):
    """As members they would get a second one; where nobody relays, membership is all that they have."""
    cloud(networks, 3)
    join(networks, "mrouters", "p1")
    join(networks, "239.0.0.1", "p0", "p1")
    networks.settle()
    assert members(networks, "239.0.0.1") == {frozenset(["p0", "p1"])}
    router = networks.insert(nb.LogicalRouter, name="r", options={"mcast_relay": "true"})
    networks.insert(
        nb.LogicalRouterPort, (router, "ports"), name="rp", mac="00:00:00:00:ff:01", networks={"10.0.0.254/24"}
    )
    networks.port(networks.switch_row, "to-r", "router", type="router", options={"router-port": "rp"})
    networks.settle()
    assert members(networks, "239.0.0.1") == {frozenset(["p0"]), frozenset(["rp"])}
    assert members(networks, "_MC_mrouter_flood") == {frozenset(["p1", "to-r"])}
