"""Tap mirrors over HTTP: what they are made of, what is refused, and that they go with their port."""

from __future__ import annotations

from ovenbird.model.cloud import TapMirrorTunnel

PATH = "taas/tap_mirrors"


def body(port, **values):
    there = {"port_id": port["id"], "directions": {"IN": 101}, "remote_ip": "192.0.2.9", "mirror_type": "gre"}
    return {"tap_mirror": there | values}


async def make(neutron, port, **values):
    status, answer = await neutron.ask("POST", PATH, body(port, **values))
    assert status == 201, answer
    return answer["tap_mirror"]


async def a_port(neutron, **values):
    network = await neutron.network(**values)
    await neutron.subnet(network, cidr="10.0.0.0/24")
    return await neutron.port(network)


async def test_a_mirror_is_made_renamed_and_removed(neutron):
    port = await a_port(neutron)
    made = await make(neutron, port, directions={"IN": "101", "OUT": 102, "BOTH": None}, name="m")
    assert made == {
        "id": made["id"], "project_id": port["project_id"], "tenant_id": port["project_id"], "name": "m",
        "description": "", "port_id": port["id"], "directions": {"IN": 101, "OUT": 102}, "remote_ip": "192.0.2.9",
        "mirror_type": "gre",
    }  # fmt: skip
    path = f"{PATH}/{made['id']}"
    status, changed = await neutron.ask("PUT", path, {"tap_mirror": {"name": "n", "description": "d"}})
    assert (status, changed["tap_mirror"]) == (200, made | {"name": "n", "description": "d"})
    for fixed in ({"port_id": port["id"]}, {"directions": {"IN": 5}}, {"remote_ip": "192.0.2.1"}):
        await neutron.refused(400, "HTTPBadRequest", "PUT", path, {"tap_mirror": fixed})
    _, listed = await neutron.ask("GET", f"{PATH}?port_id={port['id']}&fields=id")
    assert listed == {"tap_mirrors": [{"id": made["id"]}]}
    assert (await neutron.ask("DELETE", path))[0] == 204
    await neutron.refused(404, "TapMirrorNotFound", "GET", path)
    assert neutron.cloud.store.table(TapMirrorTunnel).all() == []


async def test_invalid_mirrors_are_refused(neutron):
    port = await a_port(neutron)
    for wrong in (
        {"directions": {}},
        {"directions": None},
        {"directions": {"IN": None}},
        {"directions": {"UP": 1}},
        {"directions": {"IN": -1}},
        {"directions": {"IN": 2**32}},
        {"directions": {"IN": 2**20}, "mirror_type": "erspanv1"},
        {"remote_ip": "10.0.0.0/8"},
        {"mirror_type": "vxlan"},
    ):
        await neutron.refused(400, "HTTPBadRequest", "POST", PATH, body(port, **wrong))
    await neutron.refused(400, "InvalidInput", "POST", PATH, body(port, directions={"IN": "x"}))
    nowhere = "00000000-0000-4000-8000-000000000000"
    await neutron.refused(404, "PortNotFound", "POST", PATH, body(port, port_id=nowhere))
    await neutron.refused(403, "PortDoesNotBelongToTenant", "POST", PATH, body(port, project_id="blue"))
    _, _, _, _, inside = await neutron.routed()
    [interface] = await neutron.list(f"ports?network_id={inside['network_id']}&device_owner=network:router_interface")
    await neutron.refused(400, "BadRequest", "POST", PATH, body(interface))


async def test_a_tunnel_id_is_used_once(neutron):
    port = await a_port(neutron)
    await make(neutron, port)
    for again in ({"IN": 101}, {"OUT": 101}, {"IN": 7, "OUT": 7}):
        message = await neutron.refused(409, "TapMirrorTunnelConflict", "POST", PATH, body(port, directions=again))
        assert "already exists" in message
    twice = {"tap_mirrors": [body(port, directions={"IN": 9})["tap_mirror"] for _ in range(2)]}
    await neutron.refused(409, "TapMirrorTunnelConflict", "POST", PATH, twice)
    assert len(await neutron.list(PATH)) == 1


async def test_mirrors_go_with_their_port(neutron):
    port = await a_port(neutron)
    await make(neutron, port, directions={"IN": 1, "OUT": 2})
    assert (await neutron.ask("DELETE", f"ports/{port['id']}"))[0] == 204
    assert await neutron.list(PATH) == []
    other = await a_port(neutron)
    await make(neutron, other, directions={"IN": 1, "OUT": 2})
