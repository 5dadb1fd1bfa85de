"""The topology that a project receives when it first asks for a network."""

from __future__ import annotations

from ovenbird.model import cloud

PATH = "auto-allocated-topology"


async def prepare(neutron):
    """Make what topologies are made from; return the external network."""
    await neutron.create("subnetpool", name="v4", prefixes=["10.0.0.0/8"], default_prefixlen=26, is_default=True)
    await neutron.create("subnetpool", name="v6", prefixes=["fd00::/48"], default_prefixlen=64, is_default=True)
    outside, _ = await neutron.outside(is_default=True)
    return outside


async def topology(neutron, project="red"):
    status, body = await neutron.ask("GET", f"{PATH}/{project}")
    assert status == 200, body
    return body["auto_allocated_topology"]


async def test_a_project_gets_a_routed_network_once(neutron):
    outside = await prepare(neutron)
    assert outside["is_default"] is True
    made = await topology(neutron)
    assert made["project_id"] == "red"
    assert await topology(neutron) == made
    [network] = await neutron.list("networks?name=auto_allocated_network")
    assert (network["id"], network["project_id"], network["admin_state_up"]) == (made["id"], "red", True)
    assert "is_default" not in network
    subnets = await neutron.list(f"subnets?network_id={made['id']}")
    assert sorted(subnet["cidr"] for subnet in subnets) == ["10.0.0.0/26", "fd00::/64"]
    [router] = await neutron.list("routers")
    assert router["external_gateway_info"]["network_id"] == outside["id"]
    ports = await neutron.list(f"ports?device_id={router['id']}&device_owner=network:router_interface")
    assert sorted(one["fixed_ips"][0]["ip_address"] for one in ports) == ["10.0.0.1", "fd00::1"]
    assert (await topology(neutron, "blue"))["id"] != made["id"]


async def test_a_topology_is_deleted_as_a_whole_unless_it_is_used(neutron):
    await prepare(neutron)
    made = await topology(neutron)
    port = await neutron.port({"id": made["id"]})
    await neutron.refused(409, "NetworkInUse", "DELETE", f"{PATH}/red")
    assert len(await neutron.list("routers")) == 1
    await neutron.ask("DELETE", f"ports/{port['id']}")
    assert (await neutron.ask("DELETE", f"{PATH}/red"))[0] == 204
    assert await neutron.list("routers") == []
    assert len(await neutron.list("networks")) == 1
    assert neutron.cloud.store.table(cloud.AutoAllocatedTopology).all() == []
    assert (await neutron.ask("DELETE", f"{PATH}/red"))[0] == 204


async def test_its_parts_can_be_deleted_one_by_one(neutron):
    await prepare(neutron)
    made = await topology(neutron)
    [router] = await neutron.list("routers")
    for subnet in await neutron.list(f"subnets?network_id={made['id']}"):
        await neutron.act(router, "remove_router_interface", subnet_id=subnet["id"])
    assert (await neutron.ask("DELETE", f"routers/{router['id']}"))[0] == 204
    assert (await topology(neutron))["id"] == made["id"]
    assert (await neutron.ask("DELETE", f"networks/{made['id']}"))[0] == 204
    assert (await topology(neutron))["id"] != made["id"]


async def test_what_is_missing_is_said_and_nothing_is_made(neutron):
    async def why(query=""):
        return await neutron.refused(409, "AutoAllocationFailure", "GET", f"{PATH}/red{query}")

    assert "No default router:external network" in await why()
    outside, _ = await neutron.outside(is_default=True)
    assert "No default subnetpools" in await why("?fields=dry-run")
    assert "private network" in await why()
    await neutron.create("subnetpool", name="v4", prefixes=["10.0.0.0/30"], default_prefixlen=28, is_default=True)
    assert "private network" in await why()
    status, body = await neutron.ask("GET", f"{PATH}/red?fields=dry-run")
    assert (status, body["auto_allocated_topology"]["id"]) == (200, "dry-run=pass")
    assert [one["id"] for one in await neutron.list("networks")] == [outside["id"]]
    await neutron.refused(400, "BadRequest", "GET", f"{PATH}/red?fields=x")


async def test_one_external_network_is_the_default(neutron):
    outside, _ = await neutron.outside(is_default=True)
    values = {"name": "x", "router:external": True, "is_default": True}
    await neutron.refused(409, "DefaultExternalNetworkExists", "POST", "networks", {"network": values})
    assert "is_default" not in await neutron.network()
    [policy] = await neutron.list("rbac-policies")
    await neutron.refused(409, "RbacPolicyInUse", "DELETE", f"rbac-policies/{policy['id']}")
    path = f"networks/{outside['id']}"
    for change in ({"is_default": False}, {"is_default": True}, {"router:external": False}):
        status, body = await neutron.ask("PUT", path, {"network": change})
        assert status == 200, body
    status, body = await neutron.ask("PUT", path, {"network": {"router:external": True}})
    assert body["network"]["is_default"] is False
    assert (await neutron.ask("DELETE", path))[0] == 204
