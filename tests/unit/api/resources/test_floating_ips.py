"""Floating IPs over HTTP."""

from __future__ import annotations

from ovenbird.model.cloud import FloatingIPAssociation, RouterGateway


async def test_life_of_a_floating_ip(neutron):
    outside, _, _, router, port = await neutron.routed()
    floating = await neutron.create("floatingip", floating_network_id=outside["id"])
    assert (floating["status"], floating["port_id"], floating["router_id"]) == ("DOWN", None, None)
    assert floating["floating_ip_address"].startswith("203.0.113.")
    [held] = await neutron.list("ports?device_owner=network:floatingip")
    assert (held["device_id"], held["status"]) == (floating["id"], "N/A")
    path = f"floatingips/{floating['id']}"
    _, body = await neutron.ask("PUT", path, {"floatingip": {"port_id": port["id"]}})
    got = body["floatingip"]
    assert (got["status"], got["fixed_ip_address"], got["router_id"]) == ("ACTIVE", "10.0.0.2", router["id"])
    assert got["port_details"]["mac_address"] == port["mac_address"]
    for query in (f"port_id={port['id']}", f"floating_ip_address={got['floating_ip_address']}", "status=ACTIVE"):
        assert await neutron.list(f"floatingips?{query}") == [got]
    assert await neutron.list("floatingips?status=DOWN") == []
    _, body = await neutron.ask("PUT", path, {"floatingip": {"description": "x"}})
    assert (body["floatingip"]["description"], body["floatingip"]["port_id"]) == ("x", port["id"])
    _, body = await neutron.ask("PUT", path, {"floatingip": {"port_id": None}})
    assert (body["floatingip"]["status"], body["floatingip"]["port_details"]) == ("DOWN", None)
    assert (await neutron.ask("DELETE", path))[0] == 204
    assert await neutron.list("ports?device_owner=network:floatingip") == []


async def test_the_port_and_gateway_of_a_floating_ip_cannot_be_removed(neutron):
    outside, _, subnet, router, port = await neutron.routed()
    wanted = {"floating_ip_address": "203.0.113.50", "port_id": port["id"]}
    floating = await neutron.create("floatingip", floating_network_id=outside["id"], **wanted)
    assert floating["floating_ip_address"] == "203.0.113.50"
    path = f"routers/{router['id']}"
    body = {"router": {"external_gateway_info": None}}
    await neutron.refused(409, "RouterExternalGatewayInUseByFloatingIp", "PUT", path, body)
    body = {"subnet_id": subnet["id"]}
    await neutron.refused(409, "RouterInterfaceInUseByFloatingIP", "PUT", f"{path}/remove_router_interface", body)
    again = {"floatingip": {"floating_network_id": outside["id"], "port_id": port["id"]}}
    await neutron.refused(409, "FloatingIPPortAlreadyAssociated", "POST", "floatingips", again)
    moved = {"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}}
    await neutron.refused(400, "BadRequest", "PUT", f"ports/{port['id']}", moved)
    _, body = await neutron.ask("PUT", f"floatingips/{floating['id']}", {"floatingip": {}})
    assert (body["floatingip"]["port_id"], body["floatingip"]["status"]) == (None, "DOWN")
    await neutron.ask("PUT", f"ports/{port['id']}", moved)
    _, body = await neutron.ask("PUT", f"floatingips/{floating['id']}", {"floatingip": {"port_id": port["id"]}})
    assert body["floatingip"]["fixed_ip_address"] == "10.0.0.77"
    assert (await neutron.ask("DELETE", f"ports/{port['id']}"))[0] == 204
    [got] = await neutron.list("floatingips")
    assert (got["port_id"], got["router_id"]) == (None, None)


async def test_refusals(neutron):
    outside, network, _, _, port = await neutron.routed()
    alone = await neutron.network()
    await neutron.subnet(alone, cidr="10.7.0.0/24")
    far = await neutron.port(alone)
    two = await neutron.port(network, fixed_ips=[{"ip_address": "10.0.0.8"}, {"ip_address": "10.0.0.9"}])
    bare = await neutron.port(network, fixed_ips=[])
    base = {"floating_network_id": outside["id"]}
    for body, status, kind in [
        ({"floating_network_id": network["id"]}, 400, "BadRequest"),
        ({"floating_network_id": port["id"]}, 404, "NetworkNotFound"),
        (base | {"port_id": far["id"]}, 404, "ExternalGatewayForFloatingIPNotFound"),
        (base | {"port_id": two["id"]}, 400, "BadRequest"),
        (base | {"port_id": bare["id"]}, 400, "BadRequest"),
        (base | {"port_id": outside["id"]}, 404, "PortNotFound"),
        (base | {"port_id": port["id"], "fixed_ip_address": "10.0.0.99"}, 400, "BadRequest"),
        (base | {"fixed_ip_address": "10.0.0.99"}, 400, "BadRequest"),
    ]:
        await neutron.refused(status, kind, "POST", "floatingips", {"floatingip": body})
    assert await neutron.list("floatingips") == []
    wanted = base | {"port_id": two["id"], "fixed_ip_address": "10.0.0.9"}
    assert (await neutron.create("floatingip", **wanted))["fixed_ip_address"] == "10.0.0.9"


async def test_a_gateway_removed_meanwhile_is_an_error(neutron):
    outside, _, _, router, port = await neutron.routed()

    def another_process():
        transaction = neutron.cloud.transaction()
        transaction.delete(neutron.cloud.store.table(RouterGateway).find(RouterGateway.router, router["id"]))
        transaction.commit()

    neutron.cloud.interfere.append(another_process)
    body = {"floatingip": {"floating_network_id": outside["id"], "port_id": port["id"]}}
    await neutron.refused(404, "ExternalGatewayForFloatingIPNotFound", "POST", "floatingips", body)
    assert neutron.cloud.store.table(FloatingIPAssociation).all() == []


async def test_a_gateway_that_no_chassis_can_host_is_an_error_and_northbound_says_so(neutron):
    outside, _, _, router, port = await neutron.routed()
    wanted = {"floating_network_id": outside["id"], "port_id": port["id"]}
    floating = await neutron.create("floatingip", **wanted)
    [gateway] = await neutron.list("ports?device_owner=network:router_gateway")

    async def statuses():
        shown = (await neutron.ask("GET", f"{kind}s/{it['id']}") for kind, it in paths)
        return [next(iter(body.values()))["status"] async for _, body in shown]

    paths = (("router", router), ("floatingip", floating))
    assert await statuses() == ["ACTIVE", "ACTIVE"], "nothing is known of it yet"
    txn = neutron.northbound.transaction()
    lrp = txn.insert(
        "Logical_Router_Port",
        {"name": f"lrp-{gateway['id']}", "mac": "0a:00:00:00:00:01", "networks": {"203.0.113.2/24"}},
    )
    txn.insert("Logical_Router", {"name": f"neutron-{router['id']}", "ports": {lrp}})
    txn.commit()
    assert await statuses() == ["ERROR", "ERROR"]
    assert [found["id"] for found in await neutron.list("routers?status=ERROR")] == [router["id"]]
    txn = neutron.northbound.transaction()
    chassis = txn.insert("Gateway_Chassis", {"name": "x_hv1", "chassis_name": "hv1", "priority": 1})
    txn.mutate(lrp, "gateway_chassis", insert=[chassis])
    txn.commit()
    assert await statuses() == ["ACTIVE", "ACTIVE"]
