"""Address groups over HTTP, and rules that name them."""

from __future__ import annotations


async def test_life_of_an_address_group(neutron):
    _, body = await neutron.ask(
        "POST", "address-groups", {"address_group": {"name": "g", "addresses": ["192.0.2.1/32", "fd00::1/64"]}}
    )
    group = body["address_group"]
    assert group["addresses"] == ["192.0.2.1/32", "fd00::/64"]
    for wrong in (["192.0.2.1"], ["fd00::1"], ["192.0.2.0/33"], [5]):
        body = {"address_group": {"name": "g", "addresses": wrong}}
        await neutron.refused(400, "HTTPBadRequest", "POST", "address-groups", body)
    path = f"address-groups/{group['id']}"
    _, body = await neutron.ask("PUT", f"{path}/add_addresses", {"addresses": ["10.0.0.0/8"]})
    assert body["address_group"]["addresses"] == ["10.0.0.0/8", "192.0.2.1/32", "fd00::/64"]
    await neutron.refused(400, "AddressesAlreadyExist", "PUT", f"{path}/add_addresses", {"addresses": ["10.0.0.0/8"]})
    await neutron.ask("PUT", f"{path}/remove_addresses", {"addresses": ["10.0.0.0/8"]})
    await neutron.refused(404, "AddressesNotFound", "PUT", f"{path}/remove_addresses", {"addresses": ["10.0.0.0/8"]})
    await neutron.refused(400, "HTTPBadRequest", "PUT", f"{path}/add_addresses", {"addresses": ["ten"]})
    [default] = await neutron.list("security-groups")
    given = {"security_group_id": default["id"], "direction": "ingress", "remote_address_group_id": group["id"]}
    rule = await neutron.create("security_group_rule", **given)
    assert rule["remote_address_group_id"] == group["id"]
    again = {"security_group_rule": given | {"remote_ip_prefix": "10.0.0.0/8"}}
    await neutron.refused(400, "SecurityGroupMultipleRemoteEntites", "POST", "security-group-rules", again)
    await neutron.refused(409, "AddressGroupInUse", "DELETE", path)
    await neutron.ask("DELETE", f"security-group-rules/{rule['id']}")
    assert (await neutron.ask("DELETE", path))[0] == 204
