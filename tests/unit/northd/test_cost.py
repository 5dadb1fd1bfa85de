"""An edit costs what it changes: which rules run, whatever the size of the network."""

import pytest

from ovenbird.model import nb, sb


@pytest.fixture
def cloud(networks):
    """Four switches of ten ports, all in one group with two ACLs, and one address set."""
    ports = []
    networks.switches = [networks.switch(f"s{s}") for s in range(4)]
    for s, switch in enumerate(networks.switches):
        ports += [networks.port(switch, f"p{s}-{p}", f"00:00:00:00:{s:02x}:{p:02x} 10.{s}.0.{p}") for p in range(10)]
    networks.group_row = networks.group("pg0", *ports)
    networks.acl(networks.group_row, "to-lport", "outport == @pg0 && tcp.dst == 22", "allow-related")
    networks.acl(networks.group_row, "to-lport", "outport == @pg0 && ip", "drop")
    networks.set_row = networks.insert(nb.AddressSet, name="as0", addresses=frozenset(["1.1.1.1"]))
    networks.settle()
    return networks


def test_a_port_added_or_removed_runs_its_own_rules(cloud):
    switch = cloud.switches[0]
    port = cloud.port(switch, "new", "00:00:00:00:09:09 10.0.0.99")
    ran = cloud.settle()
    assert ran == {"switch_port": 1, "port_up": 1}
    cloud.delete(port, (switch, "ports"))
    ran = cloud.wave()
    assert sum(ran.values()) <= 1, ran


def test_a_member_of_a_port_group_runs_the_rule_of_one_port(cloud):
    port = cloud.port(cloud.switches[0], "new", "00:00:00:00:09:09 10.0.0.99")
    cloud.settle()
    cloud.mutate(cloud.group_row, "ports", insert=[port])
    assert cloud.wave() == {"switch_port": 1}
    cloud.mutate(cloud.group_row, "ports", delete=[port])
    assert cloud.wave() == {"switch_port": 1}


def test_an_acl_of_a_group_is_two_flows_and_one_rule_whatever_the_number_of_switches(cloud):
    before = len(cloud.rows(sb.LogicalFlow))
    cloud.acl(cloud.group_row, "to-lport", "outport == @pg0 && tcp.dst == 80", "allow-related")
    assert cloud.wave() == {"acl_kinds": 1, "owner_tiers": 1, "acl_flows": 1}
    assert len(cloud.rows(sb.LogicalFlow)) - before == 2


def test_an_acl_of_a_tier_costs_what_another_does_once_the_switches_have_the_tier(cloud):
    match = "outport == @pg0 && tcp.dst == 80"
    cloud.acl(cloud.group_row, "to-lport", match, "allow-related", 7, tier=2)
    ran = cloud.settle()
    assert (ran["acl_flows"], ran["acl_groups"], ran.get("switch_port", 0)) == (1, len(cloud.switches), 0)
    before = len(cloud.rows(sb.LogicalFlow))
    cloud.acl(cloud.group_row, "to-lport", match, "drop", 8, tier=2)
    assert cloud.wave() == {"acl_kinds": 1, "owner_tiers": 1, "acl_flows": 1}
    assert len(cloud.rows(sb.LogicalFlow)) - before == 2


def test_a_member_of_an_address_set_costs_the_set(cloud):
    cloud.update(cloud.set_row, addresses=frozenset(["1.1.1.1", "2.2.2.2"]))
    assert cloud.wave() == {"address_set": 1}


def test_a_switch_added_is_a_handful_of_rows(cloud):
    before = len(cloud.rows(sb.LogicalFlow))
    cloud.switch("new")
    ran = cloud.settle()
    assert sum(ran.values()) <= 20, ran
    assert set(ran.values()) == {1}
    assert len(cloud.rows(sb.LogicalFlow)) == before


def test_a_chassis_taking_a_port_runs_one_rule(cloud):
    encap = cloud.sb.transaction()
    uuid = encap.insert(sb.Encap, {"type": "geneve", "ip": "127.0.0.1", "chassis_name": "hv1"})
    other = {"port-up-notif": "true"}
    chassis = encap.insert(sb.Chassis, {"name": "hv1", "encaps": frozenset([uuid]), "other_config": other})
    encap.commit()
    cloud.settle()
    binding = next(b for b in cloud.rows(sb.PortBinding) if b.logical_port == "p1-3")
    cloud.update(binding, chassis=chassis)
    assert cloud.wave() == {"port_up": 1}
    port = cloud.nb.store.find(nb.LogicalSwitchPort.name, "p1-3")
    assert port.up is False
    cloud.update(binding, up=True)
    assert cloud.wave() == {"port_up": 1}
    assert port.up is True
