"""How networks are carried: types, physical networks, numbers, and how large packets may be."""

from __future__ import annotations

import pytest

from ovenbird.model import cloud


def provider(kind=None, physical=None, number=None):
    given = {"network_type": kind, "physical_network": physical, "segmentation_id": number}
    return {f"provider:{name}": value for name, value in given.items() if value is not None}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (provider("local"), ("local", None, None)),
        (provider("flat", "p1"), ("flat", "p1", None)),
        (provider("vlan", "p1", 7), ("vlan", "p1", 7)),
        (provider("geneve", None, 16_777_215), ("geneve", None, 16_777_215)),
        (provider("vxlan", None, 9), ("vxlan", None, 9)),
        (provider("gre", None, 9), ("gre", None, 9)),
    ],
)
async def test_types(neutron, given, expected):
    network = await neutron.network(**given)
    shown = tuple(network[f"provider:{n}"] for n in ("network_type", "physical_network", "segmentation_id"))
    assert shown == expected
    assert await neutron.list(f"networks?provider:network_type={expected[0]}") == [network]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (provider("flat"), "physical_network required for flat provider network"),
        (provider("flat", "p", 3), "segmentation_id prohibited for flat provider network"),
        (provider("local", "p"), "physical_network prohibited for local provider network"),
        (provider("local", None, 3), "segmentation_id prohibited for local provider network"),
        (provider("vlan"), "physical_network required for VLAN provider network"),
        (provider("vlan", None, 3), "segmentation_id requires physical_network for VLAN provider network"),
        (provider("vlan", "p", 0), "segmentation_id out of range (1 through 4094)"),
        (provider("vlan", "p", 4095), "segmentation_id out of range (1 through 4094)"),
        (provider("geneve", "p"), "provider:physical_network specified for geneve network"),
        (provider("geneve", None, 0), "segmentation_id out of range (1 through 16777215)"),
        (provider(None, "p"), "network_type required"),
    ],
)
async def test_contradicting_provider_attributes_are_refused(neutron, given, reason):
    message = await neutron.refused(400, "InvalidInput", "POST", "networks", {"network": given})
    assert message == f"Invalid input for operation: {reason}."


async def test_several_segments_are_refused_with_the_reason(neutron):
    segments = [provider("vlan", "p1", 1), provider("vlan", "p2", 2)]
    message = await neutron.refused(400, "InvalidInput", "POST", "networks", {"network": {"segments": segments}})
    assert "one segment" in message
    network = await neutron.network(segments=None)
    assert "segments" not in network


async def test_segments_are_unique(neutron):
    await neutron.network(**provider("flat", "p1"))
    await neutron.network(**provider("flat", "p2"))
    await neutron.refused(409, "FlatNetworkInUse", "POST", "networks", {"network": provider("flat", "p1")})
    await neutron.network(**provider("vlan", "p1", 5))
    await neutron.network(**provider("vlan", "p2", 5))
    await neutron.refused(409, "VlanIdInUse", "POST", "networks", {"network": provider("vlan", "p1", 5)})
    await neutron.network(**provider("geneve", None, 5))
    await neutron.network(**provider("vxlan", None, 5))
    await neutron.refused(409, "TunnelIdInUse", "POST", "networks", {"network": provider("geneve", None, 5)})
    both = [{"network": provider("vlan", "p3", 5)}["network"]] * 2
    await neutron.refused(409, "VlanIdInUse", "POST", "networks", {"networks": both})


async def test_free_vlans_are_allocated_until_none_is_left(neutron):
    number = [await neutron.network(**provider("vlan", "p1")) for _ in range(3)]
    assert len({n["provider:segmentation_id"] for n in number}) == 3
    transaction = neutron.cloud.transaction()
    taken = {n["provider:segmentation_id"] for n in number}
    for tag in set(range(1, 4095)) - taken:
        values = {"network": number[0]["id"], "network_type": "vlan", "physical_network": "p1", "segmentation_id": tag}
        transaction.insert(cloud.NetworkSegment, values)
    transaction.commit()
    await neutron.refused(409, "NoNetworkAvailable", "POST", "networks", {"network": provider("vlan", "p1")})
    await neutron.network(**provider("vlan", "p2"))


async def test_provider_attributes_cannot_be_changed(neutron):
    network = await neutron.network(**provider("vlan", "p1", 5))
    for change in (provider("flat"), provider(None, "p2"), provider(None, None, 6)):
        await neutron.refused(400, "InvalidInput", "PUT", f"networks/{network['id']}", {"network": change})
    same = {"network": provider("vlan", "p1", 5)}
    assert (await neutron.ask("PUT", f"networks/{network['id']}", same))[0] == 200


async def test_packets_are_as_large_as_what_carries_them(neutron):
    for given, mtu in [(provider("flat", "p"), 1500), (provider("vlan", "p", 2), 1500), ({}, 1442)]:
        network = await neutron.network(**given)
        assert network["mtu"] == mtu
        body = {"network": {"mtu": mtu + 1}}
        message = await neutron.refused(400, "InvalidInput", "PUT", f"networks/{network['id']}", body)
        assert message == f"Invalid input for operation: Requested MTU is too big, maximum is {mtu}."
        assert (await neutron.ask("PUT", f"networks/{network['id']}", {"network": {"mtu": 1300}}))[0] == 200
    await neutron.refused(400, "InvalidInput", "POST", "networks", {"network": {"mtu": 1443}})
    transaction = neutron.cloud.transaction()
    transaction.insert(cloud.CloudGlobal, {"options": {"global_physnet_mtu": "9000"}})
    transaction.commit()
    assert (await neutron.network())["mtu"] == 8942


async def test_networks_carry_vlan_tags_of_instances(neutron):
    vlan = {"provider:network_type": "vlan", "provider:physical_network": "public"}
    plain = await neutron.network()
    assert (plain["vlan_transparent"], plain["qinq"]) == (False, False)
    assert (await neutron.network(vlan_transparent=True))["vlan_transparent"] is True
    stacked = await neutron.network(qinq=True, **vlan)
    assert [one["id"] for one in await neutron.list("networks?qinq=True")] == [stacked["id"]]
    for kind, values in (
        ("BadRequest", {"qinq": True, "vlan_transparent": True} | vlan),
        ("VlanQinqDriverError", {"qinq": True}),
        ("VlanTransparencyDriverError", {"vlan_transparent": True} | vlan | {"provider:network_type": "flat"}),
    ):
        await neutron.refused(400, kind, "POST", "networks", {"network": values})
    path = f"networks/{plain['id']}"
    await neutron.refused(400, "HTTPBadRequest", "PUT", path, {"network": {"vlan_transparent": True}})


async def test_ports_may_hide_the_status_of_their_uplink(neutron):
    network = await neutron.network()
    port = await neutron.port(network)
    assert port["propagate_uplink_status"] is True
    _, body = await neutron.ask("PUT", f"ports/{port['id']}", {"port": {"propagate_uplink_status": False}})
    assert body["port"]["propagate_uplink_status"] is False
    assert (await neutron.port(network, propagate_uplink_status=False))["propagate_uplink_status"] is False
