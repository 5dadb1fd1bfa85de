"""How many addresses networks have, and how many are taken."""

import pytest


async def network_of_two(neutron):
    """Return a network with a subnet of each version, three ports in the first and one in the other."""
    network = await neutron.create("network", name="n")
    pools = [{"start": "10.0.0.10", "end": "10.0.0.19"}]
    v4 = await neutron.create(
        "subnet", network_id=network["id"], cidr="10.0.0.0/24", ip_version=4, allocation_pools=pools
    )
    v6 = await neutron.create("subnet", network_id=network["id"], cidr="fd00::/64", ip_version=6, name="six")
    for ips in (None, [{"subnet_id": v4["id"]}], [{"subnet_id": v4["id"], "ip_address": "10.0.0.200"}]):
        await neutron.create("port", network_id=network["id"], **({} if ips is None else {"fixed_ips": ips}))
    return network, v4, v6


async def test_pools_and_allocations_are_counted(neutron):
    network, v4, v6 = await network_of_two(neutron)
    _, body = await neutron.ask("GET", f"network-ip-availabilities/{network['id']}")
    found = body["network_ip_availability"]
    subnets = {each.pop("subnet_id"): each for each in found.pop("subnet_ip_availability")}
    wide = 2**64 - 1  # more than a signed integer of 64 bits counts, and with others, any
    assert subnets == {
        v4["id"]: {"subnet_name": "", "ip_version": 4, "cidr": "10.0.0.0/24", "total_ips": 10, "used_ips": 3},
        v6["id"]: {"subnet_name": "six", "ip_version": 6, "cidr": "fd00::/64", "total_ips": wide, "used_ips": 1},
    }
    project = network["project_id"]
    assert found == {
        "network_id": network["id"],
        "network_name": "n",
        "project_id": project,
        "tenant_id": project,
        "total_ips": wide + 10,
        "used_ips": 4,
    }


async def test_filters_choose_networks_and_versions(neutron):
    network, v4, _ = await network_of_two(neutron)
    other = await neutron.create("network", name="empty")
    path = "network-ip-availabilities"

    async def asked(query):
        status, body = await neutron.ask("GET", f"{path}?{query}")
        assert status == 200, body
        return body["network_ip_availabilities"]

    assert {each["network_id"] for each in await asked("")} == {network["id"], other["id"]}
    assert [each["used_ips"] for each in await asked("network_name=empty")] == [0]
    [only] = await asked("ip_version=4")
    assert [each["subnet_id"] for each in only["subnet_ip_availability"]] == [v4["id"]]
    assert (only["total_ips"], only["used_ips"]) == (10, 3)
    first, = await asked("limit=1&sort_key=network_name")  # fmt: skip
    assert first["network_name"] == "empty"
    status, _ = await neutron.ask("GET", f"{path}/no-such")
    assert status == 404


@pytest.mark.parametrize("query", ["limit=1", "limit=1&marker=az1", "sort_key=resource&limit=1"])
async def test_resources_without_an_id_are_paginated_too(neutron, query):
    neutron.chassis("c1", config={"ovn-cms-options": "enable-chassis-as-gw,availability-zones=az1:az2"})
    status, body = await neutron.ask("GET", f"availability_zones?{query}")
    assert status == 200, body
    assert len(body["availability_zones"]) == 1
    assert body["availability_zones_links"]
