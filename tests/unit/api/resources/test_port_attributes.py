"""Attributes of ports that Nova and drivers read."""

from __future__ import annotations

from ovenbird.model import cloud


async def test_what_nova_reads_of_a_port_is_kept(neutron):
    neutron.chassis("hv1")
    network = await neutron.network()
    given = {
        "numa_affinity_policy": "socket", "device_profile": "gpu", "hardware_offload_type": "switchdev",
        "trusted": True, "binding:profile": {"capabilities": ["x"]}, "binding:vnic_type": "direct",
    }  # fmt: skip
    port = await neutron.port(network, **given)
    assert {name: port[name] for name in given} == given | {
        "binding:profile": {"capabilities": ["x", "switchdev"], "trusted": True}
    }
    path = f"ports/{port['id']}"
    for change in ({"device_profile": "x"}, {"hardware_offload_type": "switchdev"}, {"numa_affinity_policy": "x"},
                   {"data_plane_status": "x"}):  # fmt: skip
        await neutron.refused(400, "HTTPBadRequest", "PUT", path, {"port": change})
    _, answer = await neutron.ask("PUT", path, {"port": {"trusted": False, "data_plane_status": "DOWN"}})
    assert (answer["port"]["binding:profile"]["trusted"], answer["port"]["data_plane_status"]) == (False, "DOWN")
    stored = neutron.cloud.store.table(cloud.Port).get(port["id"]).binding_profile
    assert "trusted" not in stored
    await neutron.ask("PUT", path, {"port": {"binding:host_id": "hv1"}})
    await neutron.refused(409, "PortBoundNUMAAffinityPolicy", "PUT", path, {"port": {"numa_affinity_policy": "legacy"}})
    await neutron.refused(400, "HTTPBadRequest", "POST", "ports", {"port": {"network_id": network["id"]} | {
        "hardware_offload_type": "x"}})  # fmt: skip


async def test_nobody_has_decided_what_a_port_does_not_say(neutron):
    port = await neutron.port(await neutron.network(), device_profile="")
    names = ("numa_affinity_policy", "device_profile", "hardware_offload_type", "trusted", "data_plane_status")
    assert {name: port[name] for name in names} == dict.fromkeys(names)
    assert port["binding:profile"] == {}
