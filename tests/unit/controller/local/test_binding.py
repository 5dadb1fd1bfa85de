"""Who claims a port, when it is up, and when it is let go."""

from __future__ import annotations

from ovenbird.controller.edits import EDIT_AFTER_FLOWS, NOW
from ovenbird.controller.facts import MONITOR_CLAUSE, ZONE
from ovenbird.openflow.actions import Output


def test_a_plugged_port_is_claimed(world):
    switch = world.switch(1)
    port = world.lport(switch, "p1", 1)
    world.run()
    assert world.edits() == {}
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    assert world.edits() == {port.uuid: {"chassis": world.me.uuid}}


def test_up_waits_for_the_claim_and_for_the_datapath(world):
    world.set(world.progress, everything=False)
    switch = world.switch(1)
    port = world.lport(switch, "p1", 1)
    interface = world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    assert world.edits(EDIT_AFTER_FLOWS) == {}
    world.set(port, chassis=world.me.uuid)
    world.run()
    assert world.edits(EDIT_AFTER_FLOWS) == {}  # not everything about the datapath has come
    world.set(world.progress, complete=frozenset([switch.uuid]))
    world.run()
    assert world.edits(EDIT_AFTER_FLOWS) == {
        port.uuid: {"up": True},
        interface.uuid: {"external_ids": (("ovn-installed", "true"), ("ovn-installed-ts", NOW))},
    }
    world.set(port, up=True)
    world.set(interface, external_ids={"iface-id": "p1", "ovn-installed": "true"})
    world.run()
    assert world.edits() == world.edits(EDIT_AFTER_FLOWS) == {}


def test_unplugging_releases(world):
    switch = world.switch(1)
    port = world.lport(switch, "p1", 1, chassis=world.me.uuid, up=True)
    interface = world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    assert world.edits() == {}
    world.unplug(interface)
    world.run()
    assert world.edits() == {port.uuid: {"chassis": None, "encap": None, "up": False}}


def test_requested_chassis_decides(world):
    switch = world.switch(1)
    port = world.lport(switch, "p1", 1, options={"requested-chassis": "hv2"})
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    assert world.edits() == {}
    for name in ("hv1", "host1", "hv1,hv2"):
        world.set(port, options={"requested-chassis": name})
        world.run()
        assert world.edits() == {port.uuid: {"chassis": world.me.uuid}}, name
    world.set(port, options={"requested-chassis": "hv2,hv1"})  # as one of several: lest each takes it from the other
    world.run()
    assert world.edits() == {port.uuid: {"additional_chassis": ((world.me.uuid, True),)}}
    world.set(port, additional_chassis=frozenset([world.me.uuid]))
    world.run()
    assert world.edits() == {}
    world.set(port, options={"requested-chassis": "hv2"})
    world.run()
    assert world.edits() == {port.uuid: {"additional_chassis": ((world.me.uuid, False),)}}


def test_an_interface_of_another_version_is_not_the_port(world):
    port = world.lport(world.switch(1), "p1", 1, options={"iface-id-ver": "2"})
    interface = world.port_on_bridge("tap1", 5, iface_id="p1")
    for version in ("1", "2"):
        world.set(interface, external_ids={"iface-id": "p1", "iface-id-ver": version})
        world.run()
        assert bool(world.edits()) is (version == "2")
    assert world.edits() == {port.uuid: {"chassis": world.me.uuid}}


def test_a_localport_is_not_claimed(world):
    switch = world.switch(1)
    world.lport(switch, "meta", 1, type="localport")
    world.port_on_bridge("tap1", 5, iface_id="meta")
    world.run()
    assert world.edits() == world.edits(EDIT_AFTER_FLOWS) == {}


def test_a_port_failed_by_the_switch_is_not_claimed(world):
    world.lport(world.switch(1), "p1", 1)
    world.port_on_bridge("tap1", -1, iface_id="p1")
    world.run()
    assert world.edits() == {}


def test_a_change_of_a_port_runs_its_own_rules_only(world):
    switch = world.switch(1)
    for n in range(1, 101):
        world.lport(switch, f"p{n}", n)
    for n in range(1, 21):
        world.port_on_bridge(f"tap{n}", n, iface_id=f"p{n}")
    world.run()
    world.port_on_bridge("tap50", 50, iface_id="p50")
    ran = world.run()
    assert ran["claim"] == ran["port_flows"] == ran["port_zone"] == ran["_resident"] == 1
    assert ran["ofport_of"] == 1


def test_zones_are_kept_and_distinct(world):
    switch = world.switch(1)
    for n in (1, 2, 3):
        world.lport(switch, f"p{n}", n)
        world.port_on_bridge(f"tap{n}", n, iface_id=f"p{n}")
    world.run()
    zones = {fact[1]: fact[2] for fact in world.facts[ZONE]}
    assert set(zones) == {"p1", "p2", "p3", f"{switch.uuid}_dnat", f"{switch.uuid}_snat"}
    assert len(set(zones.values())) == 5
    world.lport(switch, "p4", 4)
    world.port_on_bridge("tap4", 4, iface_id="p4")
    world.run()
    after = {fact[1]: fact[2] for fact in world.facts[ZONE]}
    assert zones.items() <= after.items()


def test_a_container_is_bound_with_its_parent_whichever_switch_it_is_on(world):
    parent = world.lport(world.switch(1), "p1", 1)
    other = world.switch(2)
    child = world.lport(other, "c1", 1, parent_port="p1", tag=5)
    interface = world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    assert world.edits() == {row.uuid: {"chassis": world.me.uuid} for row in (parent, child)}
    assert MONITOR_CLAUSE("Port_Binding", "parent_port", "==", "p1") in world.facts[MONITOR_CLAUSE]
    assert MONITOR_CLAUSE("Datapath_Binding", "_uuid", "==", other.uuid) in world.facts[MONITOR_CLAUSE]
    for key in (1, 2):  # what goes from one to the other, by whichever way, leaves by the interface it came in by
        assert f"metadata={key:#x},reg15=0x1" in world.flows(64, 100)
    world.delete(child)
    world.run()
    assert "metadata=0x1,reg10=0x1/0x1,reg15=0x1" in world.flows(64, 100)
    world.unplug(interface)
    world.run()
    assert not [fact for fact in world.facts[MONITOR_CLAUSE] if fact[2] in ("parent_port", "logical_port")]


def test_of_two_interfaces_with_one_iface_id_the_newer_is_bound(world):
    world.lport(world.switch(7), "p1", 1, chassis=world.me.uuid, up=True)
    old = world.port_on_bridge("old", 5, iface_id="p1")
    world.run()
    new = world.port_on_bridge("new", -1, iface_id="p1")
    world.run()
    assert world.flows(65)["metadata=0x7,reg15=0x1"] == (Output(5),)  # the switch has not made the new one
    world.set(new, ofport=6)
    world.run()
    assert world.flows(65)["metadata=0x7,reg15=0x1"] == (Output(6),)
    assert set(world.flows(0, 100)) == {"in_port_oxm=0x6", "in_port_oxm=0x64"}
    world.unplug(new)
    world.run()
    assert world.flows(65)["metadata=0x7,reg15=0x1"] == (Output(5),)
    world.unplug(old)
    world.run()
    assert "metadata=0x7,reg15=0x1" not in world.flows(65)
