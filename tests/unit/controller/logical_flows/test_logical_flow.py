"""Logical flows in OpenFlow: where, for whom, and what is left out."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from ovenbird.controller.facts import FLOW
from ovenbird.controller.logical_flows import logical_flow
from ovenbird.controller.logical_flows.logical_flow import Translator
from ovenbird.engine.engine import Subjects
from ovenbird.model import sb, vswitch
from ovenbird.openflow.actions import Conjunction, Nat, Resubmit, SetField, encode_actions
from support.controller.world import World


@pytest.fixture
def network(world):
    """One switch with p1 here and p2 on the other chassis."""
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.lport(switch, "p2", 2, chassis=world.other.uuid)
    return world, switch


def test_tables_datapath_and_cookie(network):
    world, switch = network
    flow = world.flow(switch, "ip4", "next;", table_id=3)
    world.flow(switch, "ip4", "output;", pipeline="egress", table_id=9)
    world.run()
    assert world.flows(11) == {"metadata=0x7,eth_type=0x800": (Resubmit(12),)}
    assert world.flows(51) == {"metadata=0x7,eth_type=0x800": (Resubmit(64),)}
    (key,) = [k for k in world.desired() if k[0] == 11]
    assert world.desired()[key][1] == int(flow.uuid[:8], 16)


def test_a_group_means_each_of_its_hosted_datapaths(network):
    world, switch = network
    second, unhosted = world.switch(8), world.switch(9)
    world.lport(second, "q1", 1)
    world.port_on_bridge("tap2", 6, iface_id="q1")
    world.flow([switch, second, unhosted], "1", "next;")
    world.run()
    assert set(world.flows(8)) == {"metadata=0x7", "metadata=0x8"}


def test_the_actions_of_a_balancer_are_encoded_once_for_all_datapaths(network, monkeypatch):
    world, switch = network
    second = world.switch(8)
    world.lport(second, "q1", 1)
    world.port_on_bridge("tap2", 6, iface_id="q1")
    encodings = []
    monkeypatch.setattr(logical_flow, "encode_actions", lambda made: encodings.append(made) or encode_actions(made))
    balance = "ct_lb_mark(backends=10.0.0.2:80,10.0.0.3:80);"
    flow = world.flow([switch, second], "ct.new && ip4.dst == 10.9.9.9", balance, table_id=12)
    world.run()
    assert len(encodings) == 1
    made = world.flows(20)
    assert {match.split(",")[0] for match in made} == {"metadata=0x7", "metadata=0x8"}
    ((first,), (other,)) = made.values()
    assert first == other
    world.set(flow, match="ct.new && ip4.dst == 10.9.9.8", actions="ct_lb_mark(backends=10.0.0.2:80,[::3]:80);")
    world.run()
    assert len(encodings) == 2
    assert all(after != (first,) for after in world.flows(20).values())


def test_a_flow_with_names_is_translated_by_itself_in_each_of_its_datapaths_in_one_wave(network):
    world, switch = network
    second = world.switch(8)
    world.lport(second, "q1", 1)
    world.port_on_bridge("tap2", 6, iface_id="q1")
    world.add(sb.PortGroup, name="7_pg", ports=frozenset(["p1"]))
    group = world.add(sb.PortGroup, name="8_pg", ports=frozenset(["q1"]))
    world.run()
    flow = world.flow([switch, second], "inport == @pg", "next;")
    deltas = world.engine.run()
    assert len(deltas[FLOW].added) == 2
    assert (world.engine.ran["logical_flow"], world.engine.ran["translation"]) == (1, 2)
    assert world.engine.idle, "there is nothing for another wave to do"
    world.set(group, ports=frozenset())
    assert len(world.engine.run()[FLOW].removed) == 1
    assert (world.engine.ran["logical_flow"], world.engine.ran["translation"]) == (0, 1), "the other keeps its flow"
    assert world.engine.idle
    world.delete(flow)
    assert len(world.engine.run()[FLOW].removed) == 1
    assert world.engine.ran["translation"] == 0
    assert world.engine.idle


def test_flows_of_ports_elsewhere_are_left_out(network):
    world, switch = network
    for name in ("p1", "p2"):
        world.flow(switch, f'inport == "{name}" && ip4', "next;", table_id=1)
        world.flow(switch, f'outport == "{name}" && ip4', "next;", table_id=2)
        world.flow(switch, f'outport == "{name}" && ip4', "next;", table_id=3, pipeline="egress")
        world.flow(switch, f"tcp.dst == {len(name)}", "next;", table_id=4, tags={"in_out_port": name})
    world.run()
    assert set(world.flows(9)) == {"metadata=0x7,reg14=0x1,eth_type=0x800"}
    assert set(world.flows(10)) == {f"metadata=0x7,reg15=0x{n},eth_type=0x800" for n in (1, 2)}
    assert set(world.flows(45)) == {"metadata=0x7,reg15=0x1,eth_type=0x800"}
    assert len(world.flows(12)) == 2  # p1's, for IPv4 and for IPv6


def test_port_groups_are_cut_down_to_what_is_here(network):
    world, switch = network
    group = world.add(sb.PortGroup, name="7_pg", ports=frozenset(["p1", "p2"]))
    world.flow(switch, "outport == @pg && ip4", "next;", table_id=4, pipeline="egress")
    world.flow(switch, "outport == @pg && ip4", "next;", table_id=4)
    world.run()
    assert set(world.flows(46)) == {"metadata=0x7,reg15=0x1,eth_type=0x800"}
    assert len(world.flows(12)) == 2
    world.set(group, ports=frozenset())
    world.run()
    assert world.flows(46) == {}


def test_group_members_of_types_without_an_interface_are_local(network):
    world, switch = network
    kinds = ("patch", "localnet", "chassisredirect", "virtual", "external", "vtep", "new")
    for key, kind in enumerate(kinds, 11):
        world.lport(switch, kind, key, type=kind)
    world.lport(switch, "meta", 30, type="localport")
    world.lport(switch, "box", 31, parent_port="p1", tag=5)
    world.lport(switch, "boxthere", 32, parent_port="p2", tag=5)
    world.add(sb.PortGroup, name="7_pg", ports=frozenset(["p1", "p2", "meta", "box", "boxthere", *kinds]))
    world.flow(switch, "inport == @pg && ip4", "next;")
    world.flow(switch, "outport == @pg && ip4", "next;", pipeline="egress")
    world.run()
    here = {1, 31, *range(11, 11 + len(kinds))}
    assert set(world.flows(8)) == {f"metadata=0x7,reg14={key:#x},eth_type=0x800" for key in here}
    assert set(world.flows(42)) == {f"metadata=0x7,reg15={key:#x},eth_type=0x800" for key in here}


@pytest.mark.parametrize("kind", ["l3gateway", "l2gateway"])
def test_gateways_are_local_on_their_chassis_alone(network, kind):
    world, switch = network
    mine = world.lport(switch, "mine", 11, type=kind, options={f"{kind}-chassis": "hv1"})
    world.lport(switch, "theirs", 12, type=kind, options={f"{kind}-chassis": "hv2"})
    world.lport(switch, "nobodys", 13, type=kind)
    names = ("mine", "theirs", "nobodys")
    world.add(sb.PortGroup, name="7_pg", ports=frozenset(names))
    world.flow(switch, "inport == @pg && ip4", "next;")
    for name in names:
        world.flow(switch, f'outport == "{name}" && ip4', "next;", pipeline="egress")
        world.flow(switch, f'inport == "{name}" && ip6', "next;", table_id=3, tags={"in_out_port": name})
    world.run()
    assert set(world.flows(8)) == {"metadata=0x7,reg14=0xb,eth_type=0x800"}
    assert set(world.flows(42)) == {"metadata=0x7,reg15=0xb,eth_type=0x800"}
    assert set(world.flows(11)) == {"metadata=0x7,reg14=0xb,eth_type=0x86dd"}
    world.set(mine, options={f"{kind}-chassis": "hv2"})
    world.run()
    assert world.flows(8) == world.flows(42) == world.flows(11) == {}


@pytest.mark.parametrize("match", ["inport==@pg", "inport == {@pg}", "@pg == inport", "!(inport != @pg)"])
def test_in_egress_the_sender_may_be_elsewhere(network, match):
    world, switch = network
    world.add(sb.PortGroup, name="7_pg", ports=frozenset(["p1", "p2"]))
    world.flow(switch, f"{match} && ip4", "next;", pipeline="egress")
    world.flow(switch, f"{match} && ip4", "next;")
    world.run()
    assert set(world.flows(42)) == {f"metadata=0x7,reg14={key:#x},eth_type=0x800" for key in (1, 2)}
    assert set(world.flows(8)) == {"metadata=0x7,reg14=0x1,eth_type=0x800"}


def test_a_new_member_elsewhere_recompiles_nothing(network):
    world, switch = network
    group = world.add(sb.PortGroup, name="7_pg", ports=frozenset(["p1"]))
    world.flow(switch, "inport == @pg && ip4", "next;")
    world.run()
    world.set(group, ports=frozenset(["p1", "p2"]))
    assert "logical_flow" not in world.run()


def test_address_sets_follow_their_members(network):
    world, switch = network
    addresses = world.add(sb.AddressSet, name="as", addresses=frozenset(["10.0.0.1"]))
    world.flow(switch, "ip4.src == $as", "next;")
    world.run()
    assert len(world.flows(8)) == 1
    world.set(addresses, addresses=frozenset(["10.0.0.1", "10.0.0.9"]))
    world.run()
    assert len(world.flows(8)) == 2


def test_flows_of_one_priority_share_clauses(network):
    world, switch = network
    wide = "ip4.src == {10.0.0.1, 10.0.0.4, 10.0.0.7} && tcp.dst == {1, 4, 7}"
    world.flow(switch, wide, "next;")
    other = world.flow(switch, wide.replace("{1, 4, 7}", "{11, 14, 17}"), "drop;")
    world.run()
    shared = world.flows(8)["metadata=0x7,eth_type=0x800,ip_src=0xa000001,nw_proto=0x6"]
    assert len({action.conj_id for action in shared if isinstance(action, Conjunction)}) == 2
    world.delete(other)
    world.run()
    shared = world.flows(8)["metadata=0x7,eth_type=0x800,ip_src=0xa000001,nw_proto=0x6"]
    assert len(shared) == 1


def test_a_port_that_comes_later_is_found(network):
    world, switch = network
    world.flow(switch, "eth.dst == 0a:00:00:00:00:03", 'outport = "p3"; output;')
    world.run()
    world.lport(switch, "p3", 3)
    world.run()
    (actions,) = world.flows(8).values()
    assert SetField.of("reg15", 3) in actions


@pytest.mark.parametrize(
    ("match", "actions"),
    [("ip4.src == $nowhere", "next;"), ("ip4 &&", "next;"), ("1", "frobnicate;"), ("1", "next(99);")],
)
def test_a_flow_that_cannot_be_translated_is_reported_once_and_left_out_alone(network, caplog, match, actions):
    world, switch = network
    world.flow(switch, match, actions, priority=7)
    world.flow(switch, "ip6", "next;")
    with caplog.at_level(logging.WARNING):
        world.run()
    assert set(world.flows(8)) == {"metadata=0x7,eth_type=0x86dd"}
    (record,) = [r for r in caplog.records if f"match ({match}) actions ({actions})" in r.message]
    assert "flow left out: ingress table 0 priority 7" in record.message


def test_vlan_tags_are_matched_as_the_switch_says_them(network):
    world, switch = network
    world.flow(switch, "vlan.present", "drop;")
    world.run()
    assert set(world.flows(8)) == {"metadata=0x7,vlan_vid=0x1000/0x1000"}


def test_the_userspace_datapath_chooses_no_source_before_open_vswitch_3_3(world):
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.flow(switch, "ip4", "ct_commit { ct_mark.blocked = 0; };")

    def chooses():
        world.run()
        ((commit,),) = world.flows(8).values()
        return any(isinstance(action, Nat) for action in commit.actions)

    assert chooses()
    world.set(world.bridge, datapath_type="netdev")
    assert not chooses()
    for version, safe in (("3.1.0", False), ("3.3.0", True), ("3.10.2", True), ("", False), ("4.0.90", True)):
        world.set(world.root, ovs_version=version or None)
        assert chooses() is safe, version


def translator_of(world):
    """Return what translates the logical flows of a world's engine."""
    subjects = [each for each in world.sb.table(sb.LogicalFlow).watchers if isinstance(each, Subjects)]
    (translator,) = [rule.body.__self__ for each in subjects for rule in each.rules if hasattr(rule.body, "__self__")]
    assert isinstance(translator, Translator)
    return translator


def test_engines_share_no_templates_and_those_of_one_that_is_closed_are_freed():
    worlds = [World(), World()]
    for world in worlds:
        switch = world.switch(7)
        world.lport(switch, "p1", 1)
        world.port_on_bridge("tap1", 5, iface_id="p1")
        world.flow(switch, "ip4.dst == 10.0.0.1", "next;")
        world.flow(switch, "ip4.dst == {10.0.0.1, 10.0.0.2}", "ct_snat;")
    mine, other = map(translator_of, worlds)
    worlds[0].run()
    assert mine._matches._templates
    assert mine._actions._templates
    assert not other._matches._templates
    assert not other._actions._templates
    assert not other._encodings
    worlds[1].run()
    left, engine = weakref.ref(mine), weakref.ref(worlds[0].engine)
    del mine, world
    gc.disable()  # a controller's first computation is exempt from it for good
    try:
        worlds.pop(0).engine.close()
        assert left() is None
        assert engine() is None
        assert other._matches._templates
    finally:
        gc.enable()


def test_samples_are_sent_where_there_are_collectors(world):
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    row = world.flow(switch, "ip4", "sample(probability=65535,collector_set=3,obs_domain=5,obs_point=$cookie);")
    world.run()
    assert list(world.flows(8, 100).values()) == [()]
    collectors = world.add(vswitch.FlowSampleCollectorSet, id=3, bridge=world.bridge.uuid)
    world.run()
    ((sample,),) = world.flows(8, 100).values()
    assert (sample.collector_set_id, sample.obs_domain_id) == (3, 5 << 24 | 7)
    assert sample.obs_point_id == int(row.uuid[:8], 16)
    world.set(collectors, id=4)
    world.run()
    assert list(world.flows(8, 100).values()) == [()]
