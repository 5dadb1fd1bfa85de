"""Hosts that no virtual switch connects: which chassis stand in for them."""

from __future__ import annotations

import pytest

from ovenbird.model import cloud, nb
from support.cloud.world import World

HOST = "enable-chassis-as-extport-host"


class Metal(World):
    """A VLAN with a port of a host without a switch."""

    def __init__(self):
        super().__init__()
        self.wire = self.network(availability_zone_hints=frozenset())
        kind = {"network_type": "vlan", "physical_network": "public", "segmentation_id": 7}
        self.add(cloud.NetworkSegment, network=self.wire.uuid, **kind)
        self.inner = self.subnet(self.wire)
        self.metal = self.port(self.wire, [(self.inner, "10.0.0.5")], vnic_type="baremetal", host="node1")

    def group(self, port=None):
        """The name of a port's group, and its chassis in order."""
        self.settle()
        row = self.one(nb.LogicalSwitchPort, name=(port or self.metal).uuid)
        assert row.type == "external"
        group = row.ha_chassis_group
        if group is None:
            return None
        return group.name, [h.chassis_name for h in sorted(group.ha_chassis, key=lambda h: -h.priority)]


@pytest.fixture
def metal():
    return Metal()


def test_the_switch_port_of_bare_metal_is_external(metal):
    metal.settle()
    row = metal.one(nb.LogicalSwitchPort, name=metal.metal.uuid)
    assert (row.type, row.options, row.addresses) == ("external", {}, {"fa:16:3e:00:00:01 10.0.0.5"})
    assert row.dhcpv4_options is not None


@pytest.mark.parametrize("change", [{"vnic_type": "normal"}, {"binding_profile": '{"capabilities": ["switchdev"]}'}])
def test_a_switch_or_hardware_in_its_place_connects_it(metal, change):
    metal.chassis("gw1")
    assert metal.group()
    metal.change(metal.metal, **change)
    metal.settle()
    row = metal.one(nb.LogicalSwitchPort, name=metal.metal.uuid)
    assert (row.type, row.ha_chassis_group, row.options) == ("", None, {"requested-chassis": "node1"})
    assert metal.all(nb.HAChassisGroup) == metal.all(nb.HAChassis) == []


def test_gateways_to_its_physical_network_answer_for_an_external_port(metal):
    assert metal.group() is None
    metal.chassis("other", mappings="private:br-x")
    assert metal.group() is None
    for i in range(7):
        metal.chassis(f"gw{i}")
    name, chassis = metal.group()
    assert (name, len(chassis)) == (f"neutron-{metal.wire.uuid}", 5)
    second = metal.port(metal.wire, mac_address="fa:16:3e:00:00:09", vnic_type="direct")
    assert metal.group(second) == (name, chassis)
    assert len(metal.all(nb.HAChassisGroup)) == 1
    metal.restart()
    assert metal.group() == (name, chassis)


def test_zones_of_the_network_count(metal):
    metal.chassis("gw1", options="enable-chassis-as-gw,availability-zones=az1")
    metal.chassis("gw2", options="enable-chassis-as-gw,availability-zones=az2")
    metal.change(metal.wire, availability_zone_hints=frozenset(["az2"]))
    assert metal.group()[1] == ["gw2"]


def test_chassis_enabled_for_external_ports_answer_for_it(metal):
    metal.chassis("gw1")
    metal.chassis("ext1", options=HOST)
    metal.chassis("ext2", options=HOST)
    metal.chassis("ext3", options=HOST, mappings="private:br-x")
    name, chassis = metal.group()
    assert (name, sorted(chassis)) == (f"neutron-extport-{metal.metal.uuid}", ["ext1", "ext2"])
    metal.change(metal.metal, host="ext1")
    assert metal.group()[1] == ["ext2"]


def test_the_gateways_of_its_router_answer_for_an_external_port(metal):
    metal.chassis("ext1", options=HOST)
    for i in range(3):
        metal.chassis(f"gw{i}")
    router = metal.router()
    interface = metal.interface(router, [(metal.inner, "10.0.0.1")], mac_address="fa:16:3e:00:00:77")
    assert metal.group()[0].startswith("neutron-extport-")
    _, outer = metal.outside()
    outside = metal.gateway(router, [(outer, "203.0.113.9")], mac_address="fa:16:3e:00:00:22")
    name, chassis = metal.group()
    assert name == f"neutron-{metal.wire.uuid}"
    port = metal.one(nb.LogicalRouterPort, name=f"lrp-{outside.port.uuid}")
    assert chassis == [g.chassis_name for g in sorted(port.gateway_chassis, key=lambda g: -g.priority)]
    metal.drop(interface)
    assert metal.group()[0].startswith("neutron-extport-")
