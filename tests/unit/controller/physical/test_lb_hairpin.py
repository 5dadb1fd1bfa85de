"""Load balancing back to the sender: which flows there are, for whom, and what a change costs."""

from __future__ import annotations

import pytest

from ovenbird.controller.facts import BALANCED
from ovenbird.model import sb
from ovenbird.openflow.actions import Ct, Learn, SetField


@pytest.fixture
def balanced(world):
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.add(sb.SBGlobal, options={})
    vips = {"30.0.0.1:80": "10.0.0.1:8080,10.0.0.2:8080", "[fd00::30]:80": "[fd00::1]:80"}
    balancer = world.add(sb.LoadBalancer, name="lb", vips=vips, protocol="tcp", datapaths=frozenset([switch.uuid]))
    world.run()
    return world, switch, balancer


def test_a_backend_that_comes_back_to_itself_is_known(balanced):
    world, _, balancer = balanced
    flows = world.flows(68)
    key = (
        "reg1=0x1e000001,reg2=0x50/0xffff,ct_mark=0x2/0x2,eth_type=0x800,ip_src=0xa000002,ip_dst=0xa000002,"
        "nw_proto=0x6,tcp_dst=0x1f90"
    )  # fmt: skip
    assert len(flows) == 3
    (found,) = [actions for match, actions in flows.items() if set(match.split(",")) == set(key.split(","))]
    mark, learn = found
    assert isinstance(mark, SetField)
    assert isinstance(learn, Learn)
    assert (learn.table, learn.cookie, learn.delete_learned) == (69, int(balancer.uuid[:8], 16), True)
    assert all(isinstance(actions[0], Ct) for actions in world.flows(70, 100).values())


def test_flows_use_ct_mark_or_ct_label_as_southbound_says(balanced):
    world, _, _ = balanced
    (row,) = world.sb.table(sb.SBGlobal).rows.values()
    world.set(row, options={"lb_hairpin_use_ct_mark": "false"})
    world.run()
    assert all("ct_label=0x2/0x2" in match and "ct_mark" not in match for match in world.flows(68))


def test_flows_of_newer_releases_keep_the_address_in_another_register(balanced):
    """OVN 25.03 says so in SB_Global, and names switches and routers of a balancer by groups of their own."""
    world, switch, balancer = balanced
    (row,) = world.sb.table(sb.SBGlobal).rows.values()
    world.set(row, options={"register_consolidation": "true"})
    ran = world.run()
    assert ran["hairpin"] == 1
    four = [match for table in (68, 70) for match in world.flows(table) if "eth_type=0x800" in match]
    assert all("reg4=0x1e000001" in match and "reg1=" not in match for match in four)
    assert len(four) == 3
    group = world.add(sb.LogicalDPGroup, datapaths=frozenset([switch.uuid]))
    for column in ("ls_datapath_group", "lr_datapath_group"):
        world.set(balancer, datapaths=frozenset())
        world.run()
        assert not world.flows(68)
        world.set(balancer, **{column: group.uuid})
        world.run()
        assert len(world.flows(68)) == 3
        world.set(balancer, **{column: None})


def test_hairpin_snat_ip_replaces_the_virtual_address_in_its_datapath(balanced):
    world, _, balancer = balanced
    world.set(balancer, options={"hairpin_snat_ip": "30.0.0.9"})
    world.run()
    (match,) = world.flows(70, 200)
    assert "metadata=0x7" in match
    (action,) = world.flows(70, 200)[match]
    assert action.actions[0].addr_min == bytes([30, 0, 0, 9])
    assert len(world.flows(70, 100)) == 1, "the other family's"


def test_a_backend_of_another_ip_version_is_left_out_alone(balanced):
    """The variables of a template may make it one."""
    world, _, balancer = balanced
    world.add(sb.ChassisTemplateVar, chassis="hv1", variables={"vip": "30.0.0.2", "behind": "[fd00::1]"})
    vips = balancer.vips | {"^vip:80": "^behind:80,10.0.0.3:80", "[fd00::31]:80": "10.0.0.3:80"}
    world.set(balancer, vips=vips, options={"template": "true", "ct_flush": "true"})
    world.facts[BALANCED] = set()
    world.run()
    assert len(world.flows(68)) == len(world.facts[BALANCED]) == 4


def test_a_balancer_of_no_local_datapath_has_no_flows(balanced):
    world, switch, balancer = balanced
    other = world.switch(8)
    far = world.add(sb.LoadBalancer, vips={"30.0.0.2:80": "10.0.0.9:80"}, datapaths=frozenset([other.uuid]))
    world.run()
    assert not any("reg1=0x1e000002" in match for match in world.flows(70))
    group = world.add(sb.LogicalDPGroup, datapaths=frozenset([switch.uuid]))
    world.set(far, datapaths=frozenset(), datapath_group=group.uuid)
    ran = world.run()
    assert any("reg1=0x1e000002" in match for match in world.flows(70))
    assert ran["hairpin"] == 1
    world.set(balancer, vips={})
    assert world.run()["hairpin"] == 1
    world.delete(far)
    world.run()
    assert world.flows(68) == world.flows(70) == {}


def test_invalid_addresses_of_a_balancer_are_left_out(balanced):
    world, _, balancer = balanced
    world.set(balancer, vips={"nonsense": "10.0.0.1:80", "30.0.0.3": "10.0.0.1,gone,", "30.0.0.4:80": ""})
    world.run()
    assert len(world.flows(68)) == 1
    assert len(world.flows(70, 90)) == 1
    assert len(world.flows(70, 100)) == 1


def test_connections_to_what_is_a_backend_no_more_are_to_be_forgotten(world):
    world.facts[BALANCED] = set()
    switch = world.switch(1)
    world.lport(switch, "p1", 1)
    tap = world.port_on_bridge("tap1", 5, iface_id="p1")
    vips = {"30.0.0.1:80": "10.0.0.1:8080", "[fd30::1]:80": "[fd00::1]:8080", "30.0.0.2": "10.0.0.1"}
    row = world.add(sb.LoadBalancer, vips=vips, protocol="udp", datapaths=frozenset([switch.uuid]))
    world.run()
    assert not world.facts[BALANCED]
    world.set(row, options={"ct_flush": "true"})
    world.run()
    assert {fact[1:] for fact in world.facts[BALANCED]} == {
        (17, b"\x1e\0\0\1", 80, b"\n\0\0\1", 8080), (0, b"\x1e\0\0\2", 0, b"\n\0\0\1", 0),
        (17, b"\xfd\x30" + bytes(13) + b"\1", 80, b"\xfd" + bytes(14) + b"\1", 8080),
    }  # fmt: skip
    world.set(row, vips={"30.0.0.2": "10.0.0.1,10.0.0.2"})
    world.run()
    assert {fact.backend for fact in world.facts[BALANCED]} == {b"\n\0\0\1", b"\n\0\0\2"}
    world.unplug(tap)
    world.run()
    assert not world.facts[BALANCED]
