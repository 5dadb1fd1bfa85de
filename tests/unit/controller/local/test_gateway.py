"""Gateways: who hosts a redirect port, how others reach it, and who watches whom."""

from __future__ import annotations

import pytest

from ovenbird.controller.edits import EDIT
from ovenbird.controller.facts import ANNOUNCED
from ovenbird.model import sb, vswitch
from ovenbird.openflow.actions import Bundle, Output, SetField


@pytest.fixture
def net(world):
    """A router with a switch that has a port here, and a redirect port with candidates `hv1` (10) and `hv2` (20)."""
    switch, router = world.switch(7), world.switch(8)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.lport(switch, "s-r", 2, type="patch", options={"peer": "r-s"})
    world.lport(router, "r-s", 1, type="patch", options={"peer": "s-r"})
    world.lport(router, "r-out", 2, type="patch", options={"peer": "out-r", "chassis-redirect-port": "cr"})
    world.cr = world.lport(router, "cr", 3, type="chassisredirect", options={"distributed-port": "r-out"})
    world.tunnel = next(i for i in world.vs.table(vswitch.Interface).rows.values() if i.name == "ovn-hv2-0")
    return world


def group(world, **priorities):
    chassis = {"hv1": world.me, "hv2": world.other}
    members = [
        world.add(sb.HAChassis, chassis=chassis[name].uuid, priority=priority).uuid
        for name, priority in priorities.items()
    ]
    row = world.add(sb.HAChassisGroup, name="g", ha_chassis=frozenset(members))
    world.set(world.cr, ha_chassis_group=row.uuid)
    return row


def claimed(world):
    return world.edits().get(world.cr.uuid, {}).get("chassis")


def heard(world, state):
    world.set(world.tunnel, bfd_status={"state": state})
    world.run()


def bfd(world):
    return [dict(fact[3])["bfd"] for fact in world.facts[EDIT] if fact[2] == world.tunnel.uuid]


def test_the_only_candidate_hosts_the_port_without_any_heartbeat(net):
    group(net, hv1=1)
    net.run()
    assert claimed(net) == net.me.uuid
    (actions,) = [a for m, a in net.flows(40, 100).items() if m == "metadata=0x8,reg15=0x3"]
    assert [a.value for a in actions if isinstance(a, SetField) and a.field.name == "reg15"] == [2]
    assert actions[-1].table == 41
    assert bfd(net) == []


def test_a_port_of_one_other_candidate_is_reached_by_its_tunnel(net):
    group(net, hv2=1)
    net.set(net.cr, chassis=net.other.uuid)
    net.run()
    assert claimed(net) is None
    actions = net.flows(39, 100)["metadata=0x8,reg15=0x3"]
    assert [a.port for a in actions if isinstance(a, Output)] == [100]


def test_the_second_candidate_takes_over_when_the_first_falls_silent_and_gives_back(net):
    group(net, hv1=10, hv2=20)
    heard(net, "up")
    assert claimed(net) is None
    other = net.chassis("hv3", "192.0.2.3")
    third = net.port_on_bridge("ovn-hv3-0", 101, kind="geneve", port_ids={"ovn-chassis-id": "hv3@192.0.2.3"})
    net.set(third, bfd_status={"state": "up"}, options={"csum": "true", "key": "flow", "remote_ip": "192.0.2.3"})
    assert other is not None
    heard(net, "down")
    assert claimed(net) == net.me.uuid
    net.set(net.cr, chassis=net.me.uuid)
    heard(net, "up")
    assert net.edits()[net.cr.uuid] == {"chassis": None, "encap": None, "up": False}


def test_a_candidate_whose_bfd_sessions_are_all_down_hosts_nothing(net):
    group(net, hv1=20, hv2=10)
    heard(net, "down")
    assert claimed(net) is None
    heard(net, "up")
    assert claimed(net) == net.me.uuid


def test_several_candidates_are_tried_in_order_by_the_switch(net):
    group(net, hv1=10, hv2=20)
    heard(net, "up")
    actions = net.flows(39, 100)["metadata=0x8,reg15=0x3"]
    assert [a.members for a in actions if isinstance(a, Bundle)] == [(100,)]


def test_candidates_watch_each_other_with_southbounds_intervals(net):
    net.add(sb.SBGlobal, options={"bfd-min-rx": "500", "bfd-mult": "4"})
    row = group(net, hv1=10, hv2=20)
    net.run()
    assert bfd(net) == [(("enable", "true"), ("check_tnl_key", "true"), ("min_rx", "500"), ("mult", "4"))]
    net.set(net.tunnel, bfd={"enable": "true", "check_tnl_key": "true", "min_rx": "500", "mult": "4"})
    net.run()
    assert bfd(net) == []
    net.set(row, ha_chassis=frozenset(list(row["ha_chassis"])[:1]))
    net.run()
    assert bfd(net) == [(("enable", "false"),)]


def test_a_candidates_network_is_hosted_without_a_port_here(world):
    router = world.switch(8)
    world.cr = world.lport(router, "cr", 3, type="chassisredirect", options={"distributed-port": "r-out"})
    group(world, hv1=10, hv2=20)
    world.run()
    assert "metadata=0x8,reg15=0x3" in world.flows(39, 100)


def test_a_gateway_announces_again_when_it_hears_a_rival_that_may_have_announced_too(net):
    net.facts[ANNOUNCED] = set()
    net.set(net.root, external_ids=net.root["external_ids"] | {"ovn-bridge-mappings": "net1:br-ex"})
    outside = net.switch(9)
    net.lport(outside, "ln", 1, type="localnet", options={"network_name": "net1"})
    line = '0a:00:00:00:00:09 172.16.0.1 is_chassis_resident("cr")'
    net.lport(outside, "out-r", 2, type="patch", options={"peer": "r-out"}, nat_addresses=frozenset([line]))
    net.chassis("hv3", "192.0.2.3")  # no candidate: it is heard all the time
    witness = net.port_on_bridge("ovn-hv3-0", 101, kind="geneve", port_ids={"ovn-chassis-id": "hv3@192.0.2.3"})
    net.set(witness, bfd_status={"state": "up"})
    group(net, hv1=30, hv2=20)
    heard(net, "up")
    before = set(net.facts[ANNOUNCED])
    assert len(before) == 1
    heard(net, "down")  # each hosts the port now
    assert len(net.facts[ANNOUNCED]) == 1
    alone = set(net.facts[ANNOUNCED])
    heard(net, "up")
    assert net.facts[ANNOUNCED] == before != alone  # a fact that comes is announced
