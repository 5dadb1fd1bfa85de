"""Port forwardings of floating IPs: what is refused, and what is done with those that are there."""

from __future__ import annotations


async def world(neutron):
    outside, network, _, _, port = await neutron.routed()
    floating = await neutron.create("floatingip", floating_network_id=outside["id"])
    return outside, network, port, floating, f"floatingips/{floating['id']}/port_forwardings"


def body(port, **values):
    there = {"internal_port_id": port["id"], "internal_port": 22, "external_port": 2222, "protocol": "tcp"}
    return {"port_forwarding": there | values}


async def forward(neutron, path, port, **values):
    status, answer = await neutron.ask("POST", path, body(port, **values))
    assert status == 201, answer
    return answer["port_forwarding"]["id"]


async def test_invalid_port_forwardings_are_refused(neutron):
    outside, network, port, _, path = await world(neutron)
    assert (await neutron.ask("GET", "extensions/floating-ip-port-forwarding"))[0] == 200
    for wrong in ({"external_port": 0}, {"internal_port": 65536}, {"protocol": "icmp"}, {"internal_ip_address": "x"}):
        await neutron.refused(400, "HTTPBadRequest", "POST", path, body(port, **wrong))
    await neutron.refused(400, "BadRequest", "POST", path, body(port, internal_ip_address="10.0.0.99"))
    alone = await neutron.network()
    await neutron.subnet(alone, cidr="10.7.0.0/24")
    far = await neutron.port(alone)
    assert "not reachable" in await neutron.refused(400, "BadRequest", "POST", path, body(far))
    missing = {"internal_port_id": "00000000-0000-4000-8000-000000000000"}
    await neutron.refused(404, "PortNotFound", "POST", path, body(port, **missing))
    nowhere = "floatingips/00000000-0000-4000-8000-000000000000/port_forwardings"
    await neutron.refused(404, "FloatingIPNotFound", "POST", nowhere, body(port))
    await neutron.refused(404, "FloatingIPNotFound", "GET", nowhere)
    await forward(neutron, path, port)
    await neutron.refused(400, "BadRequest", "POST", path, body(port))
    other = await neutron.port(network)
    await neutron.create("floatingip", floating_network_id=outside["id"], port_id=other["id"])
    await neutron.refused(409, "PortHasBindingFloatingIP", "POST", path, body(other, external_port=80))
    taken = await neutron.create(
        "floatingip", floating_network_id=outside["id"], port_id=(await neutron.port(network))["id"]
    )
    third = await neutron.port(network)
    await neutron.refused(
        409, "FloatingIPPortAlreadyAssociated", "POST", f"floatingips/{taken['id']}/port_forwardings", body(third)
    )


async def test_requests_about_existing_port_forwardings(neutron):
    outside, network, port, floating, path = await world(neutron)
    uuid = await forward(neutron, path, port)
    await forward(neutron, path, port, external_port=80, internal_port=8080, description="web")
    _, answer = await neutron.ask("GET", f"{path}/{uuid}")
    assert answer["port_forwarding"] == {
        "id": uuid, "internal_port_id": port["id"], "internal_ip_address": "10.0.0.2", "internal_port": 22,
        "external_port": 2222, "protocol": "tcp", "description": "", "internal_port_range": "22:22",
        "external_port_range": "2222:2222",
    }  # fmt: skip
    assert len(await neutron.list(path)) == 2
    _, answer = await neutron.ask("GET", f"floatingips/{floating['id']}")
    shown = answer["floatingip"]
    assert (shown["status"], shown["port_id"], shown["fixed_ip_address"]) == ("ACTIVE", None, None)
    assert [one["external_port"] for one in shown["port_forwardings"]] == [80, 2222]
    assert shown["port_forwardings"][1] == {
        "id": uuid, "protocol": "tcp", "external_port": 2222, "internal_ip_address": "10.0.0.2", "internal_port": 22,
        "internal_port_id": port["id"],
    }  # fmt: skip
    router = {"router": {"external_gateway_info": None}}
    await neutron.refused(409, "RouterExternalGatewayInUseByFloatingIp", "PUT", f"routers/{shown['router_id']}", router)
    leaving = {"subnet_id": port["fixed_ips"][0]["subnet_id"]}
    await neutron.refused(
        409, "RouterInterfaceInUseByFloatingIP", "PUT", f"routers/{shown['router_id']}/remove_router_interface", leaving
    )
    assert [one["id"] for one in await neutron.list(f"{path}?external_port=2222")] == [uuid]
    _, page = await neutron.ask("GET", f"{path}?limit=1&sort_key=external_port")
    assert page["port_forwardings"][0]["external_port"] == 80
    assert f"/v2.0/{path}?" in page["port_forwardings_links"][0]["href"]

    change = {"port_forwarding": {"external_port": 80}}
    await neutron.refused(400, "BadRequest", "PUT", f"{path}/{uuid}", change)
    other = await neutron.port(network)
    change = {"port_forwarding": {"external_port": 23, "internal_port_id": other["id"], "description": "x"}}
    _, answer = await neutron.ask("PUT", f"{path}/{uuid}", change)
    got = answer["port_forwarding"]
    assert (got["internal_port_id"], got["external_port"], got["description"]) == (other["id"], 23, "x")

    second = await neutron.create("floatingip", floating_network_id=outside["id"])
    elsewhere = f"floatingips/{second['id']}/port_forwardings"
    assert await neutron.list(elsewhere) == []
    for method in ("GET", "DELETE"):
        await neutron.refused(404, "PortForwardingNotFound", method, f"{elsewhere}/{uuid}")

    whole = f"floatingips/{floating['id']}"
    await neutron.refused(409, "FipInUseByPortForwarding", "DELETE", whole)
    await neutron.refused(409, "FipInUseByPortForwarding", "PUT", whole, {"floatingip": {"port_id": port["id"]}})
    taken = {"floatingip": {"port_id": port["id"]}}
    await neutron.refused(400, "PortHasPortForwarding", "PUT", f"floatingips/{second['id']}", taken)
    assert (await neutron.ask("DELETE", f"{path}/{uuid}"))[0] == 204
    assert (await neutron.ask("DELETE", f"ports/{port['id']}"))[0] == 204  # and what leads to it
    assert await neutron.list(path) == []
    assert (await neutron.ask("DELETE", whole))[0] == 204


async def test_ranges_of_ports_do_not_overlap(neutron):
    _, _, port, _, path = await world(neutron)

    def several(internal, external, **values):
        ports = {"internal_port_id": port["id"], "internal_port_range": internal, "external_port_range": external}
        return {"port_forwarding": ports | {"protocol": "tcp"} | values}

    status, answer = await neutron.ask("POST", path, several("100:109", "1100:1109"))
    made = answer["port_forwarding"]
    assert (status, made["internal_port_range"], made["external_port_range"]) == (201, "100:109", "1100:1109")
    assert "internal_port" not in made
    for internal, external in (("109", "2000"), ("2000", "1109:1110"), ("99:100", "5:6"), ("5:6", "1050:1150"),
                               ("200:202", "1200:1201"), ("1:70000", "1:70000"), ("9:8", "9:8"), ("1:2:3", "1"),
                               ("300:301", "1300"), ("", "1"), ("400", None)):  # fmt: skip
        status, answer = await neutron.ask("POST", path, several(internal, external))
        assert status == 400, (internal, external, answer)
    assert (await neutron.ask("POST", path, several("100:109", "1100:1109", protocol="udp")))[0] == 201
    status, answer = await neutron.ask("POST", path, several("80", "1200:1209"))
    many = answer["port_forwarding"]
    assert (status, many["internal_port"], many["internal_port_range"]) == (201, 80, "80:80")
    await neutron.refused(400, "BadRequest", "POST", path, several("10000:20000", "10000:20000"))
    await neutron.refused(400, "BadRequest", "PUT", f"{path}/{many['id']}", several("80", "1105:1110"))
    change = {"port_forwarding": {"external_port_range": "1205:1215"}}
    status, answer = await neutron.ask("PUT", f"{path}/{many['id']}", change)  # its own ports are not in the way
    assert (status, answer["port_forwarding"]["external_port_range"]) == (200, "1205:1215")
    change = {"port_forwarding": {"external_port": 1206}}
    _, answer = await neutron.ask("PUT", f"{path}/{many['id']}", change)
    got = answer["port_forwarding"]
    assert (got["external_port"], got["external_port_range"]) == (1206, "1206:1206")
    assert [one["id"] for one in await neutron.list(f"{path}?external_port_range=1206:1206")] == [many["id"]]
