"""The metadata service's port on each network, where it is wanted."""

from __future__ import annotations

import pytest

from ovenbird.model.cloud import CloudGlobal


@pytest.fixture
def metadata(neutron):
    transaction = neutron.cloud.transaction()
    transaction.insert(CloudGlobal, {"options": {"metadata": "true"}})
    transaction.commit()
    return neutron


async def port_of(neutron):
    [port] = await neutron.list("ports?device_owner=network:distributed")
    return port


async def test_there_is_no_metadata_port_without_the_setting(neutron):
    await neutron.subnet(await neutron.network())
    assert await neutron.list("ports") == []


async def test_life_of_a_metadata_port(metadata):
    network = await metadata.network()
    port = await port_of(metadata)
    assert (port["device_id"], port["fixed_ips"]) == (f"ovnmeta-{network['id']}", [])
    assert port["security_groups"] == []
    subnet = await metadata.subnet(network)
    await metadata.subnet(network, cidr="10.1.0.0/24", enable_dhcp=False)
    v6 = await metadata.subnet(network, ip_version=6, cidr="fd00::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    fixed = (await port_of(metadata))["fixed_ips"]
    assert {f["subnet_id"] for f in fixed} == {subnet["id"], v6["id"]}
    assert {"subnet_id": subnet["id"], "ip_address": "10.0.0.2"} in fixed
    await metadata.refused(409, "ServicePortInUse", "DELETE", f"ports/{port['id']}")
    path = f"subnets/{subnet['id']}"
    for enabled, count in ((False, 1), (True, 2)):
        await metadata.ask("PUT", path, {"subnet": {"enable_dhcp": enabled}})
        assert len((await port_of(metadata))["fixed_ips"]) == count
    user = await metadata.port(network, fixed_ips=[{"subnet_id": subnet["id"]}])
    await metadata.refused(409, "SubnetInUse", "DELETE", path)
    await metadata.refused(409, "NetworkInUse", "DELETE", f"networks/{network['id']}")
    await metadata.ask("DELETE", f"ports/{user['id']}")
    assert (await metadata.ask("DELETE", path))[0] == 204
    assert (await metadata.ask("DELETE", f"networks/{network['id']}"))[0] == 204
    assert await metadata.list("ports") == []


async def test_a_network_from_before_gets_its_port_with_a_subnet(neutron):
    network = await neutron.network()
    transaction = neutron.cloud.transaction()
    transaction.insert(CloudGlobal, {"options": {"metadata": "true"}})
    transaction.commit()
    body = {"subnets": [{"network_id": network["id"], "cidr": f"10.{i}.0.0/24"} for i in range(2)]}
    assert (await neutron.ask("POST", "subnets", body))[0] == 201
    assert len((await port_of(neutron))["fixed_ips"]) == 2


async def test_no_instance_may_answer_for_the_metadata_service(metadata):
    network = await metadata.network()
    await metadata.subnet(network)
    [fixed] = (await port_of(metadata))["fixed_ips"]
    member = await metadata.port(network)
    for pair in (fixed["ip_address"], f"{fixed['ip_address']}/32"):
        values = {"allowed_address_pairs": [{"ip_address": pair}]}
        await metadata.refused(400, "InvalidInput", "PUT", f"ports/{member['id']}", {"port": values})
        await metadata.refused(400, "InvalidInput", "POST", "ports", {"port": {"network_id": network["id"]} | values})
    await metadata.port(network, allowed_address_pairs=[{"ip_address": "10.0.0.0/24"}])
