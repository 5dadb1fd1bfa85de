"""Routers over HTTP: gateways, interfaces, routes."""

from __future__ import annotations

import pytest

from ovenbird.model.cloud import CloudGlobal, FixedAddress, Port, Router, RouterGateway, RouterInterface


async def test_a_router_without_interfaces(neutron):
    router = await neutron.create("router", name="r", description="d")
    assert (router["name"], router["status"], router["admin_state_up"]) == ("r", "ACTIVE", True)
    assert (router["external_gateway_info"], router["routes"]) == (None, [])
    assert (router["distributed"], router["ha"]) == (True, True)
    _, body = await neutron.ask("PUT", f"routers/{router['id']}", {"router": {"admin_state_up": False}})
    assert (body["router"]["admin_state_up"], body["router"]["revision_number"]) == (False, 2)
    await neutron.refused(400, "InvalidInput", "POST", "routers", {"router": {"ha": False}})
    assert (await neutron.ask("DELETE", f"routers/{router['id']}"))[0] == 204
    await neutron.refused(404, "RouterNotFound", "GET", f"routers/{router['id']}")


async def test_a_gateway_is_a_port_of_the_external_network(neutron):
    outside, subnet = await neutron.outside()
    router = await neutron.create("router", external_gateway_info={"network_id": outside["id"]})
    fixed = [{"subnet_id": subnet["id"], "ip_address": "203.0.113.2"}]
    wanted = {"network_id": outside["id"], "enable_snat": True, "external_fixed_ips": fixed}
    assert router["external_gateway_info"] == wanted
    [port] = await neutron.list("ports")
    assert (port["device_owner"], port["device_id"], port["project_id"]) == (
        "network:router_gateway", router["id"], "",
    )  # fmt: skip
    assert port["security_groups"] == []
    assert "router" in await neutron.refused(409, "ServicePortInUse", "DELETE", f"ports/{port['id']}")
    await neutron.refused(409, "NetworkInUse", "DELETE", f"networks/{outside['id']}")

    fixed[0]["ip_address"] = "203.0.113.77"
    path = f"routers/{router['id']}"
    change = {"router": {"external_gateway_info": wanted | {"enable_snat": False, "external_fixed_ips": fixed}}}
    _, body = await neutron.ask("PUT", path, change)
    assert body["router"]["external_gateway_info"] == change["router"]["external_gateway_info"]
    assert [p["id"] for p in await neutron.list("ports")] == [port["id"]]

    other, _ = await neutron.outside(**{"provider:physical_network": "other"})
    _, body = await neutron.ask("PUT", path, {"router": {"external_gateway_info": {"network_id": other["id"]}}})
    assert body["router"]["external_gateway_info"]["network_id"] == other["id"]
    [port] = await neutron.list("ports")
    assert port["network_id"] == other["id"]
    _, body = await neutron.ask("PUT", path, {"router": {"external_gateway_info": {}}})
    assert body["router"]["external_gateway_info"] is None
    assert neutron.cloud.store.table(RouterGateway).all() == []
    assert await neutron.list("ports") == []


async def test_a_gateway_needs_an_external_network(neutron):
    network = await neutron.network()
    body = {"router": {"external_gateway_info": {"network_id": network["id"]}}}
    assert "not an external network" in await neutron.refused(400, "BadRequest", "POST", "routers", body)
    body = {"router": {"external_gateway_info": {"enable_snat": True}}}
    await neutron.refused(400, "HTTPBadRequest", "POST", "routers", body)
    assert await neutron.list("routers") == []


async def test_interfaces_by_subnet(neutron):
    network = await neutron.network()
    subnet = await neutron.subnet(network)
    router = await neutron.create("router")
    answer = await neutron.act(router, "add_router_interface", subnet_id=subnet["id"])
    [port] = await neutron.list("ports")
    assert (answer["port_id"], answer["subnet_id"], answer["network_id"]) == (port["id"], subnet["id"], network["id"])
    assert port["device_owner"] == "network:router_interface"
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.1"}]
    path = f"routers/{router['id']}"
    message = await neutron.refused(
        400, "BadRequest", "PUT", f"{path}/add_router_interface", {"subnet_id": subnet["id"]}
    )
    assert "already has a port on subnet" in message
    await neutron.refused(409, "RouterInUse", "DELETE", path)
    await neutron.refused(409, "SubnetInUse", "DELETE", f"subnets/{subnet['id']}")
    change = {"subnet": {"gateway_ip": "10.0.0.254", "allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.9"}]}}
    await neutron.refused(409, "GatewayIpInUse", "PUT", f"subnets/{subnet['id']}", change)
    await neutron.act(router, "remove_router_interface", subnet_id=subnet["id"])
    assert await neutron.list("ports") == []
    await neutron.refused(
        404, "RouterInterfaceNotFoundForSubnet", "PUT", f"{path}/remove_router_interface", {"subnet_id": subnet["id"]}
    )
    assert (await neutron.ask("DELETE", path))[0] == 204


async def test_interfaces_by_port(neutron):
    network = await neutron.network()
    subnet = await neutron.subnet(network)
    port = await neutron.port(network, fixed_ips=[{"ip_address": "10.0.0.9"}])
    router = await neutron.create("router")
    answer = await neutron.act(router, "add_router_interface", port_id=port["id"])
    assert answer["subnet_ids"] == [subnet["id"]]
    [shown] = await neutron.list("ports")
    assert (shown["device_owner"], shown["device_id"]) == ("network:router_interface", router["id"])
    other = await neutron.create("router")
    body = {"port_id": port["id"]}
    await neutron.refused(409, "PortInUse", "PUT", f"routers/{other['id']}/add_router_interface", body)
    await neutron.refused(404, "RouterInterfaceNotFound", "PUT", f"routers/{other['id']}/remove_router_interface", body)
    await neutron.act(router, "remove_router_interface", **body)
    assert neutron.cloud.store.table(RouterInterface).all() == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "BadRequest"),
        ({"subnet_id": 1}, "BadRequest"),
        ({"port_id": "a"}, "BadRequest"),
        ({"subnet_id": "a", "port_id": "b"}, "BadRequest"),
        ([], "HTTPBadRequest"),
        (None, "HTTPBadRequest"),
    ],
)
async def test_interfaces_of_nothing(neutron, body, kind):
    router = await neutron.create("router")
    await neutron.refused(400, kind, "PUT", f"routers/{router['id']}/add_router_interface", body)
    await neutron.refused(404, "HTTPNotFound", "PUT", f"routers/{router['id']}/bogus", body)


async def test_subnets_of_a_router_do_not_overlap(neutron):
    router = await neutron.create("router")
    first = await neutron.subnet(await neutron.network())
    await neutron.act(router, "add_router_interface", subnet_id=first["id"])
    second = await neutron.subnet(await neutron.network(), cidr="10.0.0.128/25")
    message = await neutron.refused(
        400, "BadRequest", "PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": second["id"]}
    )
    assert "overlaps" in message


async def test_a_lost_race_for_overlapping_subnets(neutron):
    router = await neutron.create("router")
    first, second = [await neutron.subnet(await neutron.network()) for _ in range(2)]
    table = neutron.cloud.store.table

    def another_process():
        transaction = neutron.cloud.transaction()
        network = first["network_id"]
        values = {"network": network, "mac_address": "fa:16:3e:ff:ff:ff", "vnic_type": "normal"}
        port = transaction.insert(Port, values)
        transaction.insert(FixedAddress, {"port": port, "subnet": first["id"], "address": "10.0.0.1"})
        transaction.insert(RouterInterface, {"router": router["id"], "network": network, "port": port})
        transaction.update(table(Router).get(router["id"]), {"revision_number": 2})
        transaction.commit()

    neutron.cloud.interfere.append(another_process)
    path = f"routers/{router['id']}/add_router_interface"
    assert "overlaps" in await neutron.refused(400, "BadRequest", "PUT", path, {"subnet_id": second["id"]})


async def test_ipv6_subnets_of_a_network_share_a_port(neutron):
    network = await neutron.network()
    subnets = [await neutron.subnet(network)]
    for i in (1, 2):
        mode = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
        subnets.append(await neutron.subnet(network, ip_version=6, cidr=f"fd00:{i}::/64", **mode))
    router = await neutron.create("router")
    ports = [(await neutron.act(router, "add_router_interface", subnet_id=s["id"]))["port_id"] for s in subnets]
    assert ports[0] != ports[1] == ports[2]
    v6 = next(p for p in await neutron.list("ports") if p["id"] == ports[1])
    assert sorted(f["ip_address"] for f in v6["fixed_ips"]) == ["fd00:1::", "fd00:2::"]
    await neutron.act(router, "remove_router_interface", subnet_id=subnets[1]["id"])
    assert len(await neutron.list("ports")) == 2
    await neutron.act(router, "remove_router_interface", subnet_id=subnets[2]["id"])
    assert [p["id"] for p in await neutron.list("ports")] == [ports[0]]


async def test_routes(neutron):
    *_, subnet, router, _ = await neutron.routed()
    path = f"routers/{router['id']}"
    one = {"destination": "192.0.2.0/24", "nexthop": "10.0.0.9"}
    two = {"destination": "198.51.100.0/24", "nexthop": "10.0.0.9"}
    answer = await neutron.act(router, "add_extraroutes", router={"routes": [one]})
    assert answer["router"]["routes"] == [one]
    answer = await neutron.act(router, "add_extraroutes", router={"routes": [one, two]})
    assert answer["router"]["routes"] == [one, two]
    remove = f"{path}/remove_router_interface"
    await neutron.refused(409, "RouterInterfaceInUseByRoute", "PUT", remove, {"subnet_id": subnet["id"]})
    answer = await neutron.act(router, "remove_extraroutes", router={"routes": [one]})
    assert answer["router"]["routes"] == [two]
    for hop, reason in [("10.9.9.9", "not connected"), ("10.0.0.1", "used by router"), ("fd00::1", "IP version")]:
        body = {"router": {"routes": [one | {"nexthop": hop}]}}
        assert reason in await neutron.refused(400, "InvalidRoutes", "PUT", path, body)
    many = [{"destination": f"10.9.{i}.0/24", "nexthop": "10.0.0.9"} for i in range(31)]
    await neutron.refused(400, "RoutesExhausted", "PUT", path, {"router": {"routes": many}})
    assert (await neutron.ask("PUT", path, {"router": {"routes": []}}))[1]["router"]["routes"] == []


async def with_routes(neutron):
    """A router with a route to each of its sides; return also its path and where its sides are."""
    outside, _, subnet, router, _ = await neutron.routed()
    [outer] = await neutron.list(f"subnets?network_id={outside['id']}")
    hops = [cidr.rpartition(".")[0] + ".77" for cidr in (outer["cidr"], subnet["cidr"])]
    routes = [{"destination": f"10.9{i}.0.0/16", "nexthop": hop} for i, hop in enumerate(hops)]
    path = f"routers/{router['id']}"
    assert (await neutron.ask("PUT", path, {"router": {"routes": routes}}))[0] == 200
    return outside, router, path, routes


async def test_a_gateway_that_routes_need_stays(neutron):
    outside, _, path, routes = await with_routes(neutron)
    other = await neutron.network(**{"router:external": True})
    await neutron.subnet(other, cidr="198.51.100.0/24", enable_dhcp=False)
    for gateway in ({}, None, {"network_id": other["id"]}):
        await neutron.refused(400, "InvalidRoutes", "PUT", path, {"router": {"external_gateway_info": gateway}})
    same = {"network_id": outside["id"], "enable_snat": False}
    assert (await neutron.ask("PUT", path, {"router": {"external_gateway_info": same}}))[0] == 200
    both = {"routes": routes[1:], "external_gateway_info": {}}
    assert (await neutron.ask("PUT", path, {"router": both}))[0] == 200


async def test_a_routers_port_keeps_what_routes_need(neutron):
    _, router, _, _ = await with_routes(neutron)
    for port in await neutron.list(f"ports?device_id={router['id']}"):
        path = f"ports/{port['id']}"
        await neutron.refused(409, "ServicePortInUse", "PUT", path, {"port": {"fixed_ips": []}})
        inside = port["device_owner"] == "network:router_interface"
        values = {"gateway_ip": None, "enable_dhcp": False, "network_id": port["network_id"]}
        subnet = await neutron.create("subnet", cidr="192.0.2.0/24", ip_version=4, **values)
        moved = {"port": {"fixed_ips": [{"subnet_id": subnet["id"]}]}}
        status, kind = (409, "RouterInterfaceInUseByRoute") if inside else (400, "InvalidRoutes")
        await neutron.refused(status, kind, "PUT", path, moved)
        kept = {"port": {"fixed_ips": [*port["fixed_ips"], {"subnet_id": subnet["id"]}]}}
        assert (await neutron.ask("PUT", path, kept))[0] == 200


async def test_routes_and_the_gateway_that_they_lead_through_come_and_go_together(neutron):
    _, _, subnet, router, _ = await neutron.routed()
    other = await neutron.network(**{"router:external": True})
    await neutron.subnet(other, cidr="198.51.100.0/24")
    path = f"routers/{router['id']}"
    through = {"destination": "192.0.2.0/24", "nexthop": "203.0.113.77"}
    within = {"destination": "192.0.2.128/25", "nexthop": subnet["gateway_ip"][:-1] + "9"}
    status, _ = await neutron.ask("PUT", path, {"router": {"routes": [through, within]}})
    assert status == 200
    elsewhere = {"destination": "192.0.2.0/24", "nexthop": "198.51.100.77"}
    both = {"external_gateway_info": {"network_id": other["id"]}, "routes": [elsewhere, within]}
    status, body = await neutron.ask("PUT", path, {"router": both})
    assert (status, body["router"]["routes"]) == (200, [elsewhere, within])
    both = {"external_gateway_info": None, "routes": [within]}
    status, body = await neutron.ask("PUT", path, {"router": both})
    assert (status, body["router"]["routes"]) == (200, [within])


async def test_settings_say_how_many_routes_and_pairs_there_may_be(neutron):
    transaction = neutron.cloud.transaction()
    transaction.insert(CloudGlobal, {"options": {"max_routes": "1", "max_allowed_address_pair": "1"}})
    transaction.commit()
    _, network, _, router, port = await neutron.routed()
    routes = [{"destination": f"192.0.2.{n}/32", "nexthop": "10.0.0.9"} for n in range(2)]
    path = f"routers/{router['id']}"
    await neutron.refused(400, "RoutesExhausted", "PUT", path, {"router": {"routes": routes}})
    await neutron.refused(400, "RoutesExhausted", "PUT", f"{path}/add_extraroutes", {"router": {"routes": routes}})
    pairs = {"allowed_address_pairs": [{"ip_address": "10.0.0.8"}, {"ip_address": "10.0.0.9"}]}
    await neutron.refused(400, "AllowedAddressPairExhausted", "PUT", f"ports/{port['id']}", {"port": pairs})
    body = {"port": pairs | {"network_id": network["id"]}}
    await neutron.refused(400, "AllowedAddressPairExhausted", "POST", "ports", body)


async def test_several_gateways(neutron):
    one, two = [await neutron.network(**{"router:external": True}) for _ in range(2)]
    await neutron.subnet(one, cidr="203.0.113.0/24")
    await neutron.subnet(two, cidr="198.51.100.0/24")
    inner = await neutron.network()
    subnet = await neutron.subnet(inner, cidr="10.0.0.0/24")
    router = await neutron.create("router", external_gateway_info={"network_id": one["id"], "enable_snat": False})
    path = f"routers/{router['id']}"
    await neutron.ask("PUT", f"{path}/add_router_interface", {"subnet_id": subnet["id"]})

    async def change(verb, *networks):
        body = {"router": {"external_gateways": [{"network_id": network["id"]} for network in networks]}}
        status, answer = await neutron.ask("PUT", f"{path}/{verb}_external_gateways", body)
        assert status == 200, answer
        return [gateway["network_id"] for gateway in answer["router"]["external_gateways"]]

    assert await change("add", two) == [one["id"], two["id"]]
    _, answer = await neutron.ask("GET", path)
    shown = answer["router"]
    assert shown["external_gateway_info"]["network_id"] == one["id"]
    assert (shown["enable_snat"], shown["enable_default_route_bfd"]) == (False, False)
    assert await change("update", two, one) == [two["id"], one["id"]]
    far = await neutron.port(inner)
    floating = await neutron.create("floatingip", floating_network_id=one["id"], port_id=far["id"])
    assert floating["router_id"] == router["id"]  # by the gateway that is not the first
    body = {"router": {"external_gateways": [{"network_id": one["id"]}]}}
    used = "RouterExternalGatewayInUseByFloatingIp"
    await neutron.refused(409, used, "PUT", f"{path}/remove_external_gateways", body)
    assert await change("remove", two) == [one["id"]]
    await neutron.ask("DELETE", f"floatingips/{floating['id']}")
    overlapping = await neutron.network(**{"router:external": True})
    await neutron.subnet(overlapping, cidr="203.0.113.128/25")
    body = {"router": {"external_gateways": [{"network_id": overlapping["id"]}]}}
    await neutron.refused(400, "BadRequest", "PUT", f"{path}/add_external_gateways", body)
    await neutron.refused(400, "UnableToMatchGateways", "PUT", f"{path}/remove_external_gateways", body)
    none: dict[str, dict[str, object]] = {"router": {"external_gateways": {}}}  # as openstackclient says none
    assert (await neutron.ask("PUT", f"{path}/remove_external_gateways", none))[0] == 200
    route = {"router": {"routes": [{"destination": "192.0.2.0/24", "nexthop": "203.0.113.9"}]}}
    assert (await neutron.ask("PUT", path, route))[0] == 200
    status, _ = await neutron.ask("PUT", f"{path}/update_external_gateways", {"router": {"external_gateways": []}})
    assert status == 400  # the route needs it
    await neutron.ask("PUT", path, {"router": {"routes": []}})
    assert await change("update") == []
    await neutron.refused(400, "HTTPBadRequest", "PUT", f"{path}/add_external_gateways",
                          {"router": {"external_gateways": [{}]}})  # fmt: skip
    body = {"router": {"enable_default_route_bfd": True, "enable_default_route_ecmp": True}}
    _, answer = await neutron.ask("PUT", path, body)
    assert answer["router"]["enable_default_route_ecmp"] is answer["router"]["enable_default_route_bfd"] is True
