"""Networks over HTTP."""

from __future__ import annotations

import pytest

from ovenbird.model.cloud import CloudGlobal


async def test_a_network_has_neutrons_defaults(neutron):
    network = await neutron.network(name="n")
    assert network["name"] == "n"
    assert (network["status"], network["admin_state_up"], network["shared"]) == ("ACTIVE", True, False)
    assert (network["mtu"], network["provider:network_type"]) == (1442, "geneve")
    assert 1 <= network["provider:segmentation_id"] <= 65_535
    assert network["tenant_id"] == network["project_id"] == "0" * 32
    assert network["created_at"].endswith("Z")
    assert await neutron.ask("GET", f"networks/{network['id']}") == (200, {"network": network})


async def test_the_project_is_the_callers_or_the_one_named(neutron):
    _, body = await neutron.ask("POST", "networks", {"network": {}}, X_Project_Id="a")
    assert body["network"]["project_id"] == "a"
    _, body = await neutron.ask("POST", "networks", {"network": {"tenant_id": "b"}}, X_Project_Id="a")
    assert body["network"]["project_id"] == "b"
    _, body = await neutron.ask("POST", "networks", {"network": {"project_id": ""}}, X_Project_Id="a")
    assert body["network"]["project_id"] == "", "as Neutron has it: in no project, and not the caller's"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"nme": "x"}, "HTTPBadRequest"),
        ({"name": 3}, "HTTPBadRequest"),
        ({"name": "x" * 256}, "HTTPBadRequest"),
        ({"id": "x"}, "HTTPBadRequest"),
        ({"mtu": -1}, "HTTPBadRequest"),
        ({"admin_state_up": "perhaps"}, "InvalidInput"),
        ({"provider:network_type": "vlan"}, "InvalidInput"),
        ({"provider:network_type": "token-ring"}, "InvalidInput"),
        ({"dns_domain": "example.org"}, "HTTPBadRequest"),
        ({"availability_zone_hints": None}, "HTTPBadRequest"),
        ({"provider:segmentation_id": 3}, "InvalidInput"),
        ({"provider:network_type": "vlan", "provider:physical_network": "p", "provider:segmentation_id": 4095},
         "InvalidInput"),
    ],
)  # fmt: skip
async def test_bad_values_are_refused_and_nothing_is_created(neutron, values, kind):
    await neutron.refused(400, kind, "POST", "networks", {"network": values})
    assert await neutron.list("networks") == []


async def test_messages_are_neutrons(neutron):
    message = await neutron.refused(400, "HTTPBadRequest", "POST", "networks", {"network": {"nme": 1}})
    assert message == "Unrecognized attribute(s) 'nme'"
    message = await neutron.refused(404, "NetworkNotFound", "GET", "networks/none")
    assert message == "Network none could not be found."
    message = await neutron.refused(400, "HTTPBadRequest", "POST", "networks", {"net": {}})
    assert message == "Unable to find 'network' in request body"
    body = {"network": {"admin_state_up": "perhaps"}}
    message = await neutron.refused(400, "InvalidInput", "POST", "networks", body)
    assert message == "Invalid input for operation: admin_state_up: 'perhaps' cannot be converted to boolean."
    message = await neutron.refused(400, "InvalidInput", "POST", "networks", {"network": {"mtu": [1]}})
    assert message == "Invalid input for operation: mtu: '[1]' is not an integer."


async def test_a_vlan_carries_one_network(neutron):
    provider = {
        "provider:network_type": "vlan",
        "provider:physical_network": "phys",
        "provider:segmentation_id": 100,
    }
    await neutron.network(**provider)
    await neutron.refused(409, "VlanIdInUse", "POST", "networks", {"network": provider})
    await neutron.network(**provider | {"provider:segmentation_id": 101})


async def test_updates_raise_the_revision_and_honour_if_match(neutron):
    network = await neutron.network()
    path = f"networks/{network['id']}"
    status, body = await neutron.ask("PUT", path, {"network": {"name": "b"}}, If_Match="revision_number=1")
    assert (status, body["network"]["name"], body["network"]["revision_number"]) == (200, "b", 2)
    await neutron.refused(
        412, "RevisionNumberConstraintFailed", "PUT", path, {"network": {"name": "c"}}, If_Match="revision_number=1"
    )
    await neutron.refused(412, "RevisionNumberConstraintFailed", "DELETE", path, If_Match="revision_number=1")
    message = await neutron.refused(400, "HTTPBadRequest", "PUT", path, {"network": {"status": "DOWN"}})
    assert message == "Cannot update read-only attribute status"


async def test_deleting_takes_subnets_along_but_not_ports(neutron):
    network = await neutron.network()
    await neutron.subnet(network)
    port = await neutron.port(network)
    await neutron.refused(409, "NetworkInUse", "DELETE", f"networks/{network['id']}")
    assert (await neutron.ask("DELETE", f"ports/{port['id']}"))[0] == 204
    assert (await neutron.ask("DELETE", f"networks/{network['id']}"))[0] == 204
    assert await neutron.list("subnets") == []
    await neutron.refused(404, "NetworkNotFound", "DELETE", f"networks/{network['id']}")


async def test_bulk_creation_is_all_or_nothing(neutron):
    status, body = await neutron.ask("POST", "networks", {"networks": [{"name": "a"}, {"name": "b"}]})
    assert (status, [n["name"] for n in body["networks"]]) == (201, ["a", "b"])
    flat = {"provider:network_type": "flat", "provider:physical_network": "p"}
    await neutron.refused(409, "FlatNetworkInUse", "POST", "networks", {"networks": [flat, flat]})
    assert len(await neutron.list("networks")) == 2


async def test_tags(neutron):
    network = await neutron.network()
    path = f"networks/{network['id']}/tags"
    assert await neutron.ask("PUT", path, {"tags": ["red", "blue"]}) == (200, {"tags": ["blue", "red"]})
    assert (await neutron.ask("PUT", f"{path}/green"))[0] == 201
    assert (await neutron.ask("DELETE", f"{path}/red"))[0] == 204
    assert (await neutron.ask("GET", f"{path}/green"))[0] == 204
    await neutron.refused(404, "TagNotFound", "GET", f"{path}/red")
    assert len(await neutron.list("networks?tags=blue,green")) == 1
    assert await neutron.list("networks?tags=blue,red") == []
    assert await neutron.list("networks?not-tags-any=blue") == []


async def test_an_mtu_of_zero_is_the_largest(neutron):
    network = await neutron.network(mtu=0)
    assert network["mtu"] == 1442
    path = f"networks/{network['id']}"
    assert (await neutron.ask("PUT", path, {"network": {"mtu": 1300}}))[1]["network"]["mtu"] == 1300
    assert (await neutron.ask("PUT", path, {"network": {"mtu": 0}}))[1]["network"]["mtu"] == 1442


@pytest.mark.parametrize("owner", ["network:dhcp", "network:distributed", "network:floatingip_agent_gateway"])
async def test_service_ports_do_not_prevent_the_deletion_of_their_network(neutron, owner):
    network = await neutron.network()
    subnet = await neutron.subnet(network)
    port = await neutron.port(network, device_owner=owner)
    assert await neutron.ask("DELETE", f"subnets/{subnet['id']}") == (204, None)
    assert (await neutron.list("ports"))[0]["fixed_ips"] == []
    await neutron.subnet(network)
    assert await neutron.ask("DELETE", f"networks/{network['id']}") == (204, None)
    await neutron.refused(404, "PortNotFound", "GET", f"ports/{port['id']}")


async def test_unused_floating_ips_go_with_their_network(neutron):
    outside, network, _, router, port = await neutron.routed()
    used = await neutron.create("floatingip", floating_network_id=outside["id"], port_id=port["id"])
    unused = await neutron.create("floatingip", floating_network_id=outside["id"])
    await neutron.refused(409, "NetworkInUse", "DELETE", f"networks/{outside['id']}")
    await neutron.ask("PUT", f"floatingips/{used['id']}", {"floatingip": {"port_id": None}})
    await neutron.refused(409, "NetworkInUse", "DELETE", f"networks/{outside['id']}")  # the router's gateway
    await neutron.ask("PUT", f"routers/{router['id']}", {"router": {"external_gateway_info": None}})
    subnet = (await neutron.list(f"subnets?network_id={outside['id']}"))[0]
    await neutron.refused(409, "SubnetInUse", "DELETE", f"subnets/{subnet['id']}")
    assert await neutron.ask("DELETE", f"networks/{outside['id']}") == (204, None)
    assert await neutron.list("floatingips") == []
    await neutron.refused(404, "FloatingIPNotFound", "GET", f"floatingips/{unused['id']}")
    assert [one["network_id"] for one in await neutron.list("ports?device_owner=")] == [network["id"]]


async def test_a_network_with_ports_of_other_projects_stays_shared(neutron):
    network = await neutron.network(shared=True)
    subnet = await neutron.subnet(network)
    path, private = f"networks/{network['id']}", {"network": {"shared": False}}
    theirs = await neutron.port(network, project_id="others")
    await neutron.refused(409, "InvalidSharedSetting", "PUT", path, private)
    await neutron.ask("DELETE", f"ports/{theirs['id']}")
    body = {"subnet": {"network_id": network["id"], "cidr": "10.9.0.0/24", "project_id": "others"}}
    _, made = await neutron.ask("POST", "subnets", body)
    await neutron.refused(409, "InvalidSharedSetting", "PUT", path, private)
    await neutron.ask("DELETE", f"subnets/{made['subnet']['id']}")
    await neutron.port(network)
    router = await neutron.create("router", project_id="others")
    await neutron.act(router, "add_router_interface", subnet_id=subnet["id"])  # the cloud's own port
    status, body = await neutron.ask("PUT", path, private)
    assert (status, body["network"]["shared"]) == (200, False)


async def test_a_setting_that_is_no_number_counts_as_not_given(neutron):
    transaction = neutron.cloud.transaction()
    transaction.insert(CloudGlobal, {"options": {"global_physnet_mtu": "many"}})
    transaction.commit()
    assert (await neutron.network())["mtu"] == 1442
