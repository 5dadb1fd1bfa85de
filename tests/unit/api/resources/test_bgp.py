"""BGP speakers and peers, and the routes that they announce."""

from __future__ import annotations


async def put(neutron, path, **body):
    return await neutron.ask("PUT", path, body)


async def make(neutron, path, member, **values):
    status, answer = await neutron.ask("POST", path, {member: values})
    assert status == 201, answer
    return answer[member]


async def test_a_speaker_announces_floating_ips_and_networks_in_the_address_scope(neutron):
    scope = await make(neutron, "address-scopes", "address_scope", name="s", ip_version=4)
    pools = []
    for prefix in ("203.0.113.0/24", "10.0.0.0/16"):
        values = {"name": prefix, "prefixes": [prefix], "default_prefixlen": 24, "address_scope_id": scope["id"]}
        pools.append(await neutron.create("subnetpool", **values))
    outside, inside, plain = (
        await neutron.network(**{"router:external": True}), await neutron.network(), await neutron.network()
    )  # fmt: skip
    for network, pool in zip((outside, inside), pools, strict=True):
        await neutron.create("subnet", network_id=network["id"], ip_version=4, subnetpool_id=pool["id"])
    other = await neutron.subnet(plain, cidr="192.168.0.0/24")
    router = await neutron.create("router", external_gateway_info={"network_id": outside["id"]})
    hop = router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"]
    port = await neutron.port(inside)
    for subnet in (port["fixed_ips"][0]["subnet_id"], other["id"]):
        await put(neutron, f"routers/{router['id']}/add_router_interface", subnet_id=subnet)
    floating = await neutron.create("floatingip", floating_network_id=outside["id"], port_id=port["id"])

    speaker = await make(neutron, "bgp-speakers", "bgp_speaker", name="b", local_as=4_200_000_000, ip_version=4)
    assert speaker == {
        "id": speaker["id"], "project_id": speaker["project_id"], "tenant_id": speaker["project_id"], "name": "b",
        "local_as": 4_200_000_000, "ip_version": 4, "peers": [], "networks": [],
        "advertise_floating_ip_host_routes": True, "advertise_tenant_networks": True,
    }  # fmt: skip
    path = f"bgp-speakers/{speaker['id']}"

    async def routes():
        _, answer = await neutron.ask("GET", f"{path}/get_advertised_routes")
        return {(route["destination"], route["next_hop"]) for route in answer["advertised_routes"]}

    assert await routes() == set()
    status, answer = await put(neutron, f"{path}/add_gateway_network", network_id=outside["id"])
    assert (status, answer) == (200, {"network_id": outside["id"]})
    host = (f"{floating['floating_ip_address']}/32", hop)
    assert await routes() == {host, ("10.0.0.0/24", hop)}
    await put(neutron, path, bgp_speaker={"advertise_tenant_networks": False})
    assert await routes() == {host}
    await neutron.ask("PUT", f"floatingips/{floating['id']}", {"floatingip": {"port_id": None}})
    assert await routes() == set()
    again = {"network_id": outside["id"]}
    await neutron.refused(409, "BgpSpeakerNetworkBindingError", "PUT", f"{path}/add_gateway_network", again)
    await put(neutron, f"{path}/remove_gateway_network", **again)
    await neutron.refused(404, "BgpSpeakerNetworkNotAssociated", "PUT", f"{path}/remove_gateway_network", again)
    await neutron.refused(400, "BadRequest", "PUT", f"{path}/add_gateway_network", {})
    assert (await neutron.ask("DELETE", path))[0] == 204
    await neutron.refused(404, "BgpSpeakerNotFound", "GET", f"{path}/get_advertised_routes")


async def test_peers_of_a_speaker(neutron):
    peer = {"name": "p", "peer_ip": "192.0.2.1", "remote_as": 65001, "auth_type": "md5"}
    await neutron.refused(400, "InvalidBgpPeerMd5Authentication", "POST", "bgp-peers", {"bgp_peer": peer})
    made = await make(neutron, "bgp-peers", "bgp_peer", **peer, password="secret")
    assert "password" not in made
    open_peer = peer | {"auth_type": "none"}
    double = await make(neutron, "bgp-peers", "bgp_peer", **open_peer)
    change = {"bgp_peer": {"password": "x"}}
    await neutron.refused(404, "BgpPeerNotAuthenticated", "PUT", f"bgp-peers/{double['id']}", change)
    for wrong in ({"remote_as": 0}, {"remote_as": 2**32}, {"auth_type": "x"}, {"peer_ip": "x"}):
        await neutron.refused(400, "HTTPBadRequest", "POST", "bgp-peers", {"bgp_peer": open_peer | wrong})
    speaker = await make(neutron, "bgp-speakers", "bgp_speaker", local_as=65000, ip_version=4)
    path = f"bgp-speakers/{speaker['id']}"
    assert (await put(neutron, f"{path}/add_bgp_peer", bgp_peer_id=made["id"]))[1] == {"bgp_peer_id": made["id"]}
    second = {"bgp_peer_id": double["id"]}
    await neutron.refused(409, "DuplicateBgpPeerIpException", "PUT", f"{path}/add_bgp_peer", second)
    await neutron.refused(404, "BgpSpeakerPeerNotAssociated", "PUT", f"{path}/remove_bgp_peer", second)
    missing = {"bgp_peer_id": "00000000-0000-4000-8000-000000000000"}
    await neutron.refused(404, "BgpPeerNotFound", "PUT", f"{path}/add_bgp_peer", missing)
    assert (await neutron.ask("GET", path))[1]["bgp_speaker"]["peers"] == [made["id"]]
    assert (await neutron.ask("DELETE", f"bgp-peers/{made['id']}"))[0] == 204
    assert (await neutron.ask("GET", path))[1]["bgp_speaker"]["peers"] == []
