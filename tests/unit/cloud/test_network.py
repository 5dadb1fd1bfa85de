"""A network becomes a logical switch; a segment on a wire becomes its localnet port."""

from __future__ import annotations

import pytest

from ovenbird.model import cloud, nb


def test_a_network_is_a_switch_with_neutrons_name_and_ids(world):
    network = world.network(name="private", revision_number=3)
    world.settle()
    switch = world.one(nb.LogicalSwitch)
    assert switch.name == f"neutron-{network.uuid}"
    assert switch.external_ids == {
        "neutron:network_name": "private",
        "neutron:mtu": "1442",
        "neutron:availability_zone_hints": "",
        "neutron:provnet-network-type": "local",
        "neutron:revision_number": "3",
    }


def test_renaming_updates_the_same_row_and_deleting_removes_it(world):
    network = world.network()
    world.settle()
    before = world.one(nb.LogicalSwitch).uuid
    world.change(network, name="other")
    world.settle()
    after = world.one(nb.LogicalSwitch)
    assert (after.uuid, after.external_ids["neutron:network_name"]) == (before, "other")
    world.drop(network)
    world.settle()
    assert world.all(nb.LogicalSwitch) == []


@pytest.mark.parametrize(("kind", "vlan", "tag"), [("vlan", 101, 101), ("flat", None, None)])
def test_a_segment_on_a_wire_is_a_localnet_port(world, kind, vlan, tag):
    network = world.network()
    segment = world.add(
        cloud.NetworkSegment,
        network=network.uuid,
        network_type=kind,
        physical_network="physnet1",
        segmentation_id=vlan,
    )
    world.settle()
    switch = world.one(nb.LogicalSwitch)
    assert switch.external_ids["neutron:provnet-network-type"] == kind
    assert switch.external_ids["neutron:provnet-physical-network"] == "physnet1"
    [port] = switch.ports
    assert (port.name, port.type, port.tag_request) == (f"provnet-{segment.uuid}", "localnet", tag)
    assert port.addresses == {"unknown"}
    assert port.options["network_name"] == "physnet1"


@pytest.mark.parametrize(("columns", "ethtype"), [({"vlan_transparent": True}, None), ({"qinq": True}, "802.11ad")])
def test_a_switch_carries_vlan_tags_of_instances(world, columns, ethtype):
    network = world.network(**columns)
    segment = {"network_type": "vlan", "physical_network": "physnet1", "segmentation_id": 7}
    world.add(cloud.NetworkSegment, network=network.uuid, **segment)
    world.settle()
    switch = world.one(nb.LogicalSwitch)
    assert switch.other_config["vlan-passthru"] == "true"
    assert switch.ports[0].options.get("ethtype") == ethtype


def test_a_tunnelled_segment_has_no_port(world):
    network = world.network()
    world.add(cloud.NetworkSegment, network=network.uuid, network_type="geneve", segmentation_id=7)
    world.settle()
    assert world.one(nb.LogicalSwitch).ports == []


def test_rows_of_other_clients_are_left_and_our_own_are_repaired(world):
    world.network()
    transaction = world.nb.transaction()
    transaction.insert(nb.LogicalSwitch, {"name": "by-hand"})
    transaction.commit()
    world.settle()
    transaction = world.nb.transaction()
    for switch in world.all(nb.LogicalSwitch):
        transaction.update(switch, {"external_ids": {"edited": "by hand"}})
    transaction.commit()
    world.settle()
    by_name = {s.name: s.external_ids for s in world.all(nb.LogicalSwitch)}
    assert by_name.pop("by-hand") == {"edited": "by hand"}
    assert [ids["neutron:network_name"] for ids in by_name.values()] == ["net"]
