"""Tunnel ports: what is made of other chassis's encaps."""

from __future__ import annotations

import pytest

from ovenbird.controller.edits import EDIT
from ovenbird.controller.facts import FAILED
from ovenbird.controller.local.bridge import ADD_PORT, DROP_PORT
from ovenbird.model import sb, vswitch
from ovenbird.openflow.actions import Output


@pytest.fixture
def net(world):
    world.facts |= {DROP_PORT: set(), FAILED: set()}
    world.tunnel = next(i for i in world.vs.table(vswitch.Interface).rows.values() if i.name == "ovn-hv2-0")
    world.run()
    return world


def encaps(world, chassis, *pairs):
    made = [world.add(sb.Encap, type=kind, ip=ip, chassis_name=chassis["name"]).uuid for kind, ip in pairs]
    world.set(chassis, encaps=frozenset(made))


def test_nothing_is_done_about_a_tunnel_that_is_right(net):
    assert not net.facts[ADD_PORT] | net.facts[DROP_PORT]


def test_of_several_encapsulations_the_best_common_one_is_used(net):
    net.set(net.root, external_ids=net.root["external_ids"] | {"ovn-encap-type": "vxlan,geneve"})
    encaps(
        net, net.other, ("vxlan", "192.0.2.2"), ("geneve", "192.0.2.2"), ("geneve", "192.0.2.3"), ("vxlan", "192.0.2.4")
    )
    net.run()
    assert [(fact[3], dict(fact[4])["remote_ip"]) for fact in net.facts[ADD_PORT]] == [("geneve", "192.0.2.3")]
    assert not net.facts[DROP_PORT]
    assert not [fact for fact in net.facts[EDIT] if fact[1] is vswitch.Interface]
    encaps(net, net.other, ("vxlan", "192.0.2.2"))
    net.run()
    assert [dict(fact[3])["type"] for fact in net.facts[EDIT] if fact[1] is vswitch.Interface] == ["vxlan"]


def test_a_chassis_of_another_name_takes_over_the_tunnel_to_its_address(net):
    net.set(net.other, name="new@name")
    net.run()
    ids = [dict(dict(fact[3])["external_ids"]) for fact in net.facts[EDIT] if fact[1] is vswitch.Port]
    assert ids == [{"ovn-chassis-id": "new@name@192.0.2.2"}]
    assert not net.facts[ADD_PORT] | net.facts[DROP_PORT]


def test_a_tunnel_to_an_address_without_a_chassis_is_removed(net):
    encaps(net, net.other, ("geneve", "192.0.2.9"))
    net.run()
    assert len(net.facts[DROP_PORT]) == 1
    assert [dict(fact[4])["remote_ip"] for fact in net.facts[ADD_PORT]] == ["192.0.2.9"]


def test_foreign_options_of_a_tunnel_are_removed_and_changed_ones_restored(net):
    net.set(net.tunnel, options={"csum": "false", "key": "flow", "remote_ip": "192.0.2.2", "dst_port": "1"})
    net.run()
    changes = [dict(dict(fact[3])["options"]) for fact in net.facts[EDIT] if fact[1] is vswitch.Interface]
    assert changes == [{"csum": "true", "dst_port": None}]


def test_a_name_that_is_taken_is_passed_over(net):
    net.add(vswitch.Port, name="ovn-hv3-0")
    net.chassis("hv3", "192.0.2.3")
    net.run()
    assert [fact[2] for fact in net.facts[ADD_PORT]] == ["ovn-hv3-1"]


def test_a_port_of_ours_that_failed_is_reported(net):
    net.port_on_bridge("tap", -1, iface_id="p")
    net.set(net.tunnel, ofport=-1, error="File exists")
    net.run()
    assert net.facts[FAILED] == {FAILED("ovn-hv2-0", "File exists")}
    net.set(net.tunnel, ofport=7, error=None)
    net.run()
    assert not net.facts[FAILED]


def test_an_interface_that_is_plugged_has_no_tunnel_looked_at(net):
    for number in range(3, 9):
        name, ip = f"hv{number}", f"192.0.2.{number}"
        net.chassis(name, ip)
        net.port_on_bridge(f"ovn-{name}-0", number, kind="geneve", port_ids={"ovn-chassis-id": f"{name}@{ip}"})
    net.run()
    net.port_on_bridge("tap", 20, iface_id="p")
    ran = net.run()
    assert ran["stale_tunnel"] == 1  # the new port's own
    assert not net.facts[DROP_PORT]


def test_tunnels_that_are_to_be_encrypted_say_whose_they_are(net):
    """What `ovs-monitor-ipsec` goes by (ovs-vswitchd.conf.db(5), Interface)."""
    head = net.add(sb.SBGlobal, ipsec=True, options={"ipsec_encapsulation": "true", "ipsec_forceencaps": "no"})
    net.run()
    changed = {"remote_name": "hv2", "local_ip": "192.0.2.1", "ipsec_encapsulation": "yes"}
    assert [dict(dict(f[3])["options"]) for f in net.facts[EDIT] if f[1] is vswitch.Interface] == [changed]
    net.set(head, ipsec=False)
    net.run()
    assert not [fact for fact in net.facts[EDIT] if fact[1] is vswitch.Interface]


def test_a_chassis_is_reached_by_its_default_address_unless_a_port_asks_for_another(net):
    addresses = {"192.0.2.2": 100, "192.0.2.3": 101, "192.0.2.4": 102}
    encaps(net, net.other, *[("geneve", ip) for ip in addresses])
    made = {row.ip: row for row in net.sb.table(sb.Encap).rows.values() if row.chassis_name == "hv2"}
    for ip, number in list(addresses.items())[1:]:
        tunnel = net.port_on_bridge(f"ovn-hv2-{number}", number, kind="geneve",
                                    port_ids={"ovn-chassis-id": f"hv2@{ip}"})  # fmt: skip
        net.set(tunnel, options={"csum": "true", "key": "flow", "remote_ip": ip})
    switch = net.switch(7)
    net.port_on_bridge("tap", 5, iface_id="here")
    net.lport(switch, "here", 1, chassis=net.me.uuid)
    port = net.lport(switch, "there", 2, chassis=net.other.uuid)

    def out():
        net.run()
        return [each.port for each in net.flows(39, 100)["metadata=0x7,reg15=0x2"] if isinstance(each, Output)]

    assert out() == [102]
    net.set(made["192.0.2.3"], options={"csum": "true", "is_default": "true"})
    assert out() == [101]
    net.set(port, encap=made["192.0.2.2"].uuid)
    assert out() == [100]
