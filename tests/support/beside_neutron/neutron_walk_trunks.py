"""The walk through trunks: what may be a parent port or a sub-port, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import MEMBER, NOWHERE

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

TRUNKS: list[dict[str, Any]] = [
    {"name": "n", "description": "d"},
    {"name": None},
    {"name": "x" * 256},
    {"admin_state_up": False},
    {"admin_state_up": "x"},
    {"port_id": None},
    {"port_id": "x"},
    {"port_id": NOWHERE},
    {"status": "DOWN"},
    {"tags": ["t"]},
    {"nonsense": 1},
    {"sub_ports": None},
    {"sub_ports": "x"},
    {"sub_ports": []},
    {"project_id": "blue"},
]

SEGMENTATIONS: list[dict[str, Any]] = [
    {},
    {"segmentation_type": "vlan"},
    {"segmentation_id": 5},
    {"segmentation_type": "vlan", "segmentation_id": 0},
    {"segmentation_type": "vlan", "segmentation_id": 1},
    {"segmentation_type": "vlan", "segmentation_id": 4094},
    {"segmentation_type": "vlan", "segmentation_id": 4095},
    {"segmentation_type": "vlan", "segmentation_id": "7"},
    {"segmentation_type": "vlan", "segmentation_id": "x"},
    {"segmentation_type": "vlan", "segmentation_id": None},
    {"segmentation_type": None, "segmentation_id": 7},
    {"segmentation_type": "nonsense", "segmentation_id": 7},
    {"segmentation_type": "vxlan", "segmentation_id": 7},
    {"segmentation_type": "inherit"},
    {"segmentation_type": "inherit", "segmentation_id": 7},
    {"segmentation_type": "vlan", "segmentation_id": 9, "mac_address": "x"},
]


def sub_port(port: Any, number: int) -> dict[str, Any]:
    """Return a sub-port, as requests give it."""
    return {"port_id": port["id"], "segmentation_type": "vlan", "segmentation_id": number}


async def trunks(pair: Pair) -> None:
    """Walk through trunks and their sub-ports."""
    network = await pair.make("network", name="parents")
    await pair.make("subnet", network_id=network["id"], cidr="10.0.0.0/24", ip_version=4)
    tagged = await pair.make(
        "network",
        **{
            "provider:network_type": "vlan",
            "provider:physical_network": "public",
            "provider:segmentation_id": 77,
            "mtu": 1400,
        },
    )
    await pair.make("subnet", network_id=tagged["id"], cidr="10.0.1.0/24", ip_version=4)
    await _requests(pair, network)
    await _sub_ports(pair, network, tagged)
    await _uses(pair, network, tagged)
    await _bound(pair, network, tagged)


async def _port(pair: Pair, network: Any, **values: Any) -> Any:
    return await pair.make("port", network_id=network["id"], **values)


async def _requests(pair: Pair, network: Any) -> None:
    parent = await _port(pair, network)
    for values in TRUNKS:
        body = {"trunk": {"port_id": parent["id"]} | values}
        for roles in ({}, MEMBER):
            _, made = await pair.ask("POST", "trunks", body, **roles)
            if "trunk" in made:
                await pair.ask("PUT", f"trunks/{made['trunk']['id']}", {"trunk": {"admin_state_up": True}})
                await pair.ask("DELETE", f"trunks/{made['trunk']['id']}")
    for body in (None, {}, {"trunk": {}}, {"trunk": None}, {"trunks": [{"port_id": parent["id"]}]}):
        _, made = await pair.ask("POST", "trunks", body)
        for one in made.get("trunks", ()):
            await pair.ask("DELETE", f"trunks/{one['id']}")
    trunk = await pair.make("trunk", port_id=parent["id"], name="changing")
    path = f"trunks/{trunk['id']}"
    for values in TRUNKS:
        await pair.ask("PUT", path, {"trunk": values})
    await pair.ask("PUT", path, {"trunk": {"admin_state_up": False}})
    await pair.ask("DELETE", path)
    await pair.ask("PUT", f"{path}/add_subports", {"sub_ports": []})
    await pair.ask("PUT", f"{path}/remove_subports", {"sub_ports": []})
    await pair.ask("PUT", path, {"trunk": {"admin_state_up": True, "name": "changed"}})
    queries = [
        "",
        "?name=changed",
        f"?port_id={parent['id']}",
        "?fields=id&fields=name",
        "?status=ACTIVE",
        "?nonsense=1",
    ]
    queries += ["?sub_ports=x", "?admin_state_up=False", "?sort_key=name&sort_dir=asc", "?tags=t"]
    for query in queries:
        await pair.ask("GET", f"trunks{query}", **MEMBER)
    await pair.ask("GET", path, project="blue", **MEMBER)
    await pair.ask("PUT", path, {"trunk": {"name": "x"}}, project="blue", **MEMBER)
    await pair.ask("PUT", f"{path}/tags", {"tags": ["a", "b"]})
    await pair.ask("GET", f"{path}/tags")
    await pair.ask("GET", f"ports/{parent['id']}")
    for method in ("GET", "DELETE"):
        await pair.ask(method, f"trunks/{NOWHERE}")
        await pair.ask(method, path)
    await pair.ask("GET", f"ports/{parent['id']}")


async def _sub_ports(pair: Pair, network: Any, tagged: Any) -> None:
    parent, inner, other = await _port(pair, network), await _port(pair, network), await _port(pair, tagged)
    trunk = await pair.make("trunk", port_id=parent["id"])
    path = f"trunks/{trunk['id']}"
    for body in ({}, {"sub_ports": None}, {"sub_ports": "x"}, {"sub_ports": ["x"]}, {"sub_ports": [{}]},
                 {"sub_ports": [{"port_id": "x"}]}, {"sub_ports": [{"port_id": NOWHERE}]}):  # fmt: skip
        await pair.ask("PUT", f"{path}/add_subports", body)
        await pair.ask("PUT", f"{path}/remove_subports", body)
        second = await _port(pair, network)
        await pair.ask("POST", "trunks", {"trunk": {"port_id": second["id"], **body}})
        await pair.ask("DELETE", f"ports/{second['id']}")
    for port in (inner, other):
        for values in SEGMENTATIONS:
            given = {"sub_ports": [{"port_id": port["id"]} | values]}
            status, _ = await pair.ask("PUT", f"{path}/add_subports", given)
            await pair.ask("GET", f"{path}/get_subports")
            if status == 200:
                await pair.ask("GET", f"ports/{port['id']}")
                await pair.ask("PUT", f"{path}/remove_subports", given)
                await pair.ask("GET", f"ports/{port['id']}")
    await pair.ask("PUT", f"{path}/add_subports", {"sub_ports": [sub_port(inner, 5), sub_port(other, 5)]})
    await pair.ask("PUT", f"{path}/add_subports", {"sub_ports": [sub_port(inner, 5), sub_port(inner, 6)]})
    await pair.ask("PUT", f"{path}/add_subports", {"sub_ports": [sub_port(parent, 5)]})
    await pair.ask("PUT", f"{path}/add_subports", {"sub_ports": [sub_port(inner, 5)]})
    await pair.ask("PUT", f"{path}/add_subports", {"sub_ports": [sub_port(inner, 6)]})
    await pair.ask("PUT", f"{path}/add_subports", {"sub_ports": [sub_port(other, 5)]})
    await pair.ask("PUT", f"{path}/add_subports", {"sub_ports": [sub_port(other, 6)]})
    await pair.ask("GET", f"ports/{parent['id']}")
    await pair.ask("GET", f"ports?device_owner=trunk:subport&network_id={network['id']}")
    await pair.ask("GET", f"{path}/get_subports", project="blue", **MEMBER)
    await pair.ask("PUT", f"{path}/get_subports", {})
    await pair.ask("GET", f"{path}/add_subports")
    await pair.ask("GET", f"trunks/{NOWHERE}/get_subports")
    await pair.ask("PUT", f"trunks/{NOWHERE}/add_subports", {"sub_ports": []})
    await pair.ask("PUT", f"{path}/remove_subports", {"sub_ports": [{"port_id": parent["id"]}]})
    for port in (parent, inner):
        await pair.ask("DELETE", f"ports/{port['id']}")
    await pair.ask("PUT", f"{path}/remove_subports", {"sub_ports": [{"port_id": inner["id"]}]})
    for port in (inner, other):
        await pair.ask("GET", f"ports/{port['id']}")
        pair.compare_switch_port(port)
    await pair.ask("DELETE", path)
    await pair.ask("GET", f"ports/{other['id']}")
    pair.compare_switch_port(other)
    for port in (parent, inner, other):
        await pair.ask("DELETE", f"ports/{port['id']}")


async def _uses(pair: Pair, network: Any, tagged: Any) -> None:
    ports = [await _port(pair, network) for _ in range(4)]
    small = await pair.make("network", mtu=1300)
    await pair.make("subnet", network_id=small["id"], cidr="10.0.2.0/24", ip_version=4)
    narrow = await _port(pair, small)
    used = await _port(pair, network, device_id="d", device_owner="compute:nova")
    first = await pair.make("trunk", port_id=ports[0]["id"], sub_ports=[sub_port(ports[1], 5)])
    for parent in ports[:2]:
        await pair.ask("POST", "trunks", {"trunk": {"port_id": parent["id"]}})
        await pair.ask("POST", "trunks", {"trunk": {"port_id": ports[2]["id"], "sub_ports": [sub_port(parent, 5)]}})
    await pair.ask("POST", "trunks", {"trunk": {"port_id": ports[2]["id"], "sub_ports": [sub_port(used, 5)]}})
    await pair.ask("POST", "trunks", {"trunk": {"port_id": narrow["id"], "sub_ports": [sub_port(ports[3], 5)]}})
    second = await pair.make("trunk", port_id=used["id"], sub_ports=[sub_port(narrow, 5), sub_port(ports[2], 6)])
    for trunk in (first, second):
        await pair.ask("GET", f"trunks/{trunk['id']}")
    for change in ({"device_owner": "x"}, {"device_id": "y"}, {"name": "z"}, {"mac_address": "fa:16:3e:00:00:77"},
                   {"binding:vnic_type": "direct"}, {"binding:profile": {"a": "b"}}):  # fmt: skip
        await pair.ask("PUT", f"ports/{ports[2]['id']}", {"port": change})
    await pair.ask("DELETE", f"ports/{narrow['id']}")
    await pair.ask("DELETE", f"networks/{small['id']}")
    own = await _port(pair, network)
    await pair.ask("POST", "trunks", {"trunk": {"port_id": own["id"]}}, project="blue", **MEMBER)
    for trunk in (first, second):
        await pair.ask("DELETE", f"trunks/{trunk['id']}")
    for port in [*ports, narrow, used, own]:
        await pair.ask("GET", f"ports/{port['id']}")
        await pair.ask("DELETE", f"ports/{port['id']}")
    direct = await _port(pair, network, **{"binding:vnic_type": "direct"})
    inner = await _port(pair, tagged)
    trunk = await pair.make("trunk", port_id=direct["id"], sub_ports=[sub_port(inner, 8)])
    await pair.ask("GET", f"ports/{inner['id']}")
    await pair.ask("DELETE", f"trunks/{trunk['id']}")
    for port in (direct, inner):
        await pair.ask("DELETE", f"ports/{port['id']}")


async def _bound(pair: Pair, network: Any, tagged: Any) -> None:
    """Walk through what Nova does: it binds the parent port, and lets go of it."""
    parent, inner = await _port(pair, network), await _port(pair, tagged)
    trunk = await pair.make("trunk", port_id=parent["id"], sub_ports=[sub_port(inner, 5)])
    path, ports = f"trunks/{trunk['id']}", [f"ports/{port['id']}" for port in (parent, inner)]
    device = {"device_id": "i", "device_owner": "compute:nova"}
    for host in ("host1", "nowhere"):
        await pair.ask("PUT", ports[0], {"port": {**device, "binding:host_id": host}})
        for seen in (path, *ports):
            await pair.ask("GET", seen)
        other = await _port(pair, network)
        await pair.ask("PUT", f"{path}/add_subports", {"sub_ports": [sub_port(other, 6)]})
        pair.compare_switch_port(other)
        await pair.ask("PUT", f"{path}/remove_subports", {"sub_ports": [sub_port(other, 6)]})
        pair.compare_switch_port(other)
        await pair.ask("DELETE", f"ports/{other['id']}")
    await pair.ask("DELETE", path)
    await pair.ask("PUT", ports[0], {"port": {"binding:host_id": "", "device_id": "", "device_owner": ""}})
    for seen in (path, *ports):
        await pair.ask("GET", seen)
    await pair.ask("PUT", ports[0], {"port": {**device, "binding:host_id": "host1"}})
    await pair.ask("GET", path)
    await pair.ask("DELETE", path)
    for port in ports:
        await pair.ask("GET", port)
        await pair.ask("DELETE", port)
