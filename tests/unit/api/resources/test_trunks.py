"""Trunks: what is refused, and what becomes of the ports."""

from __future__ import annotations

from ovenbird.model import cloud, nb

NOWHERE = "00000000-0000-4000-8000-000000000000"


async def world(neutron, number=3):
    network = await neutron.network()
    await neutron.subnet(network)
    return network, [await neutron.port(network) for _ in range(number)]


def sub_port(port, number=5):
    return {"port_id": port["id"], "segmentation_type": "vlan", "segmentation_id": number}


async def shown(neutron, port):
    return (await neutron.ask("GET", f"ports/{port['id']}"))[1]["port"]


async def test_sub_ports_have_a_place_in_the_trunk_and_lose_it(neutron):
    _, (parent, one, other) = await world(neutron)
    trunk = await neutron.create("trunk", port_id=parent["id"], name="t", sub_ports=[sub_port(one)])
    assert (trunk["status"], trunk["sub_ports"], trunk["tags"]) == ("ACTIVE", [sub_port(one)], [])
    path = f"trunks/{trunk['id']}"
    got, answer = await neutron.ask("PUT", f"{path}/add_subports", {"sub_ports": [sub_port(other, 6)]})
    assert (got, [each["segmentation_id"] for each in answer["sub_ports"]]) == (200, [5, 6])
    assert answer["revision_number"] == 2
    assert (await neutron.ask("GET", f"{path}/get_subports"))[1] == {"sub_ports": [sub_port(one), sub_port(other, 6)]}
    for port, number in ((one, 5), (other, 6)):
        inside = await shown(neutron, port)
        assert (inside["device_owner"], inside["binding:vif_type"]) == ("trunk:subport", "ovs")
        assert inside["binding:profile"] == {"parent_name": parent["id"], "tag": number}
    details = (await shown(neutron, parent))["trunk_details"]
    assert details["trunk_id"] == trunk["id"]
    assert details["sub_ports"][0] == sub_port(one) | {"mac_address": one["mac_address"]}

    kept = {"port": {"binding:profile": {"parent_name": parent["id"], "tag": 5, "more": "x"}}}
    assert (await neutron.ask("PUT", f"ports/{one['id']}", kept))[0] == 200
    await neutron.ask("PUT", f"{path}/remove_subports", {"sub_ports": [{"port_id": one["id"]}]})
    left = await shown(neutron, one)
    assert (left["device_owner"], left["binding:vif_type"], left["binding:profile"]) == ("", "unbound", {"more": "x"})
    assert (await neutron.ask("DELETE", path))[0] == 204
    assert (await shown(neutron, other))["binding:profile"] == {}
    assert "trunk_details" not in await shown(neutron, parent)
    for port in (parent, one, other):
        assert (await neutron.ask("DELETE", f"ports/{port['id']}"))[0] == 204


async def test_a_port_is_in_one_trunk(neutron):
    network, (parent, inner, other, used) = await world(neutron, 4)
    await neutron.ask("PUT", f"ports/{used['id']}", {"port": {"device_id": "d"}})
    trunk = await neutron.create("trunk", port_id=parent["id"], sub_ports=[sub_port(inner)])
    add = f"trunks/{trunk['id']}/add_subports"
    await neutron.refused(409, "ParentPortInUse", "POST", "trunks", {"trunk": {"port_id": parent["id"]}})
    await neutron.refused(409, "TrunkPortInUse", "POST", "trunks", {"trunk": {"port_id": inner["id"]}})
    await neutron.refused(409, "TrunkPortInUse", "PUT", add, {"sub_ports": [sub_port(inner, 6)]})
    await neutron.refused(409, "ParentPortInUse", "PUT", add, {"sub_ports": [sub_port(parent, 6)]})
    await neutron.refused(409, "DuplicateSubPort", "PUT", add, {"sub_ports": [sub_port(other)]})
    await neutron.refused(409, "PortInUse", "PUT", add, {"sub_ports": [sub_port(used, 6)]})
    await neutron.refused(404, "PortNotFound", "PUT", add, {"sub_ports": [sub_port({"id": NOWHERE}, 6)]})
    await neutron.refused(409, "PortInUseAsTrunkParent", "DELETE", f"ports/{parent['id']}")
    await neutron.refused(409, "PortInUseAsSubPort", "DELETE", f"ports/{inner['id']}")
    narrow = await neutron.port(await neutron.network(mtu=1300))
    message = await neutron.refused(
        409,
        "SubPortMtuGreaterThanTrunkPortMtu",
        "POST",
        "trunks",
        {"trunk": {"port_id": narrow["id"], "sub_ports": [sub_port(other, 6)]}},
    )
    assert "MTU 1442" in message
    remove = f"trunks/{trunk['id']}/remove_subports"
    await neutron.refused(404, "SubPortNotFound", "PUT", remove, {"sub_ports": [{"port_id": other["id"]}]})
    await neutron.ask("PUT", f"trunks/{trunk['id']}", {"trunk": {"admin_state_up": False}})
    for method, path, body in (
        ("PUT", add, {"sub_ports": [sub_port(other, 6)]}),
        ("PUT", remove, {"sub_ports": [{"port_id": inner["id"]}]}),
        ("DELETE", f"trunks/{trunk['id']}", None),
    ):
        await neutron.refused(409, "TrunkDisabled", method, path, body)
    assert len(await neutron.list(f"ports?network_id={network['id']}")) == 4


async def test_a_segmentation_is_a_vlan_tag_or_the_networks_own(neutron):
    _, (parent, inner) = await world(neutron, 2)
    trunk = await neutron.create("trunk", port_id=parent["id"])
    add = f"trunks/{trunk['id']}/add_subports"
    for wrong in (
        {},
        {"segmentation_type": "vlan"},
        {"segmentation_id": 5},
        {"segmentation_type": "vlan", "segmentation_id": 0},
        {"segmentation_type": "vlan", "segmentation_id": 4095},
        {"segmentation_type": "vlan", "segmentation_id": "x"},
        {"segmentation_type": "vxlan", "segmentation_id": 5},
        {"segmentation_type": "inherit"},
    ):
        body = {"sub_ports": [{"port_id": inner["id"]} | wrong]}
        await neutron.refused(400, "InvalidInput", "PUT", add, body)
    for body in ([sub_port(inner), sub_port(inner, 6)], "x", ["x"], [{}], [{"port_id": "x"}]):
        await neutron.refused(400, "InvalidInput", "PUT", add, {"sub_ports": body})
        await neutron.refused(
            400, "HTTPBadRequest", "POST", "trunks", {"trunk": {"port_id": inner["id"], "sub_ports": body}}
        )
    await neutron.refused(400, "HTTPBadRequest", "PUT", add, {})
    wire = {"provider:network_type": "vlan", "provider:physical_network": "public", "provider:segmentation_id": 77}
    neutron.chassis("hv1", config={"ovn-bridge-mappings": "public:br-ex"})
    tagged = await neutron.port(await neutron.network(mtu=1400, **wire))
    inherit = {"sub_ports": [{"port_id": tagged["id"], "segmentation_type": "inherit"}]}
    _, answer = await neutron.ask("PUT", add, inherit)
    assert answer["sub_ports"] == [sub_port(tagged, 77)]


def up(neutron, port, value=True):
    transaction = neutron.northbound.transaction()
    row = neutron.northbound.store.find(nb.LogicalSwitchPort.name, port["id"])
    if row is None:
        made = transaction.insert(nb.LogicalSwitchPort, {"name": port["id"], "up": value})
        transaction.insert(nb.LogicalSwitch, {"name": "s", "ports": frozenset((made,))})
    else:
        transaction.update(row, {"up": value})
    transaction.commit()


async def test_a_trunk_is_down_until_its_parent_port_is_up_on_its_next_host(neutron):
    neutron.chassis("hv1")
    neutron.chassis("hv2")
    _, (parent,) = await world(neutron, 1)
    trunk = await neutron.create("trunk", port_id=parent["id"])

    async def status_on(host):
        await neutron.ask("PUT", f"ports/{parent['id']}", {"port": {"binding:host_id": host}})
        return (await neutron.ask("GET", f"trunks/{trunk['id']}"))[1]["trunk"]["status"]

    assert [await status_on(host) for host in ("hv1", "hv2", "", "hv1")] == ["ACTIVE", "DOWN", "DOWN", "DOWN"]
    up(neutron, parent)
    assert await status_on("hv1") == "ACTIVE"
    up(neutron, parent, value=False)
    await neutron.ask("PUT", f"trunks/{trunk['id']}/add_subports", {"sub_ports": []})
    assert await status_on("hv1") == "ACTIVE"
    assert await status_on("nowhere") == "DOWN"
    await neutron.refused(409, "TrunkInUse", "DELETE", f"trunks/{trunk['id']}")


async def test_a_trunk_of_a_port_without_a_virtual_switch_is_one_in_name(neutron):
    network, (inner,) = await world(neutron, 1)
    parent = await neutron.port(network, **{"binding:vnic_type": "direct"})
    trunk = await neutron.create("trunk", port_id=parent["id"], sub_ports=[sub_port(inner)])
    assert trunk["status"] == "DOWN"
    seen = await shown(neutron, inner)
    assert (seen["device_owner"], seen["binding:vif_type"], seen["binding:profile"]) == ("", "unbound", {})


async def test_of_two_requests_for_one_port_one_is_too_late(neutron):
    """Another process makes the port a sub-port while this one makes it a parent port."""
    _, (parent, port) = await world(neutron, 2)
    trunk = await neutron.create("trunk", port_id=parent["id"])

    def meanwhile():
        row = neutron.cloud.store.table(cloud.Port).get(port["id"])
        transaction = neutron.cloud.transaction()
        transaction.insert(cloud.SubPort, {"trunk": trunk["id"], "port": row.uuid, "segmentation_id": 5})
        transaction.update(row, {"revision_number": row.revision_number + 1, "device_owner": "trunk:subport"})
        transaction.commit()

    neutron.cloud.interfere.append(meanwhile)
    await neutron.refused(409, "TrunkPortInUse", "POST", "trunks", {"trunk": {"port_id": port["id"]}})
