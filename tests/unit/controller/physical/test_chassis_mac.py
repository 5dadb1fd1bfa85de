"""A chassis's own MAC address on a physical network, in place of a router's."""

from __future__ import annotations

import pytest

from ovenbird.controller.physical.chassis_mac import KEY, parse_mac
from ovenbird.model import sb, vswitch
from ovenbird.openflow.actions import Output, PopVlan, PushVlan, Resubmit, SetField

ROUTER, MINE, THEIRS = 0xFF01, 0xAABBCCDDEE11, 0xAABBCCDDEE21


@pytest.fixture
def routed(world):
    world.set(world.root, external_ids=world.root["external_ids"] | {"ovn-bridge-mappings": "net1:br-ex"})
    world.set(world.me, other_config={KEY: "net1:aa:bb:cc:dd:ee:11"})
    world.set(world.other, other_config={KEY: "net2:aa:bb:cc:dd:ee:22,net1:aa:bb:cc:dd:ee:21,nonsense"})
    world.add(vswitch.Bridge, name="br-ex")
    switch, router = world.switch(7), world.switch(8)
    world.set(router, external_ids={"logical-router": "8"})
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.lport(switch, "s-r", 2, type="patch", options={"peer": "r-s"})
    mac = frozenset(["00:00:00:00:ff:01 10.0.0.1/24"])
    world.lport(router, "r-s", 1, type="patch", mac=mac, options={"peer": "s-r"})
    world.lport(switch, "ln", 9, type="localnet", tag=42, options={"network_name": "net1"})
    world.port_on_bridge("patch-br-int-to-ln", 8, port_ids={"ovn-localnet-port": "ln"})
    world.run()
    return world, switch, router


def test_routers_leave_as_their_chassis(routed):
    world, _, _ = routed
    (actions,) = world.flows(65, 150).values()
    assert actions == (
        SetField.of("eth_src", MINE), PushVlan(), SetField.of("vlan_vid", 0x102A), Output(8),
        SetField.of("eth_src", ROUTER), PopVlan(),
    )  # fmt: skip


def test_the_gateway_shows_the_routers_own_address(routed):
    world, _, router = routed
    rows = [
        world.add(sb.GatewayChassis, name=name, chassis=chassis.uuid, priority=priority)
        for name, chassis, priority in (("one", world.me, 20), ("other", world.other, 10))
    ]
    members = frozenset(row.uuid for row in rows)
    world.lport(router, "cr-r-s", 4, type="chassisredirect", gateway_chassis=members,
                options={"distributed-port": "r-s"})  # fmt: skip
    tunnel = next(i for i in world.vs.table(vswitch.Interface).rows.values() if i.name == "ovn-hv2-0")
    world.set(tunnel, bfd_status={"state": "up"})
    world.run()
    assert world.flows(65, 150) == {}
    assert any("conj_id" in match for match in world.flows(0, 180)), "others' packets are recognised all the same"
    world.set(rows[1], priority=30)
    world.run()
    assert len(world.flows(65, 150)) == 1, "on the standby it is replaced"


def test_other_chassis_arrive_as_the_router(routed):
    world, _, _ = routed
    flows = world.flows(0, 180)
    assert {f"eth_src={THEIRS:#x}", "eth_src=0xaabbccddee22", "vlan_vid=0x102a"} < set(flows)
    assert not any(f"{MINE:#x}" in match for match in flows)
    (actions,) = [actions for match, actions in flows.items() if "conj_id" in match]
    assert actions[0] == PopVlan()
    assert actions[-2:] == (SetField.of("eth_src", ROUTER), Resubmit(8))


def test_without_chassis_mac_mappings_no_address_is_replaced(routed):
    world, _, _ = routed
    world.set(world.me, other_config={})
    ran = world.run()
    assert world.flows(65, 150) == {}
    assert not any("conj_id" in match or "vlan" in match for match in world.flows(0, 180))
    assert ran["port_flows"] == 1
    world.set(world.other, other_config={})
    world.run()
    assert world.flows(0, 180) == {}


def test_a_bridged_gateway_is_reached_through_the_physical_network(routed):
    world, switch, router = routed
    cr = world.lport(
        router, "cr-r-s", 4, type="chassisredirect", mac=frozenset(["00:00:00:00:ff:01 10.0.0.1/24"]),
        options={"distributed-port": "r-s", "redirect-type": "bridged"},
    )  # fmt: skip
    world.run()
    assert world.flows(40)["metadata=0x8,reg15=0x4"] == (
        SetField.of("eth_src", ROUTER), SetField.of("metadata", switch["tunnel_key"]), SetField.of("reg15", 9),
        Resubmit(65),
    )  # fmt: skip
    world.delete(cr)
    world.run()
    assert "metadata=0x8,reg15=0x4" not in world.flows(40)


@pytest.mark.parametrize("text", ["", "aa", "aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee:gg", "a:bb:cc:dd:ee:ff:0", "router"])
def test_invalid_mac_addresses_are_left_out(text):
    assert parse_mac(text) is None
