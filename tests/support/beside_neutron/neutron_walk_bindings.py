"""The walk through bindings of ports, and what of a move becomes of them in Northbound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import MEMBER, NOWHERE

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

NOVA = {"roles": "admin,service,member,reader"}

BINDINGS: list[dict[str, Any]] = [
    {},
    {"host": 5},
    {"host": "nowhere"},
    {"host": "host1"},
    {"host": "host2", "vnic_type": "nonsense"},
    {"host": "host2", "vnic_type": "direct"},
    {"host": "host2", "profile": "x"},
    {"host": "host2", "vif_type": "ovs"},
    {"host": "host2", "status": "ACTIVE"},
    {"host": "host2", "nonsense": 1},
]


async def port_bindings(pair: Pair) -> None:
    """Walk through the bindings of an instance's port as it moves."""
    network = await pair.make("network", name="moving")
    await pair.make("subnet", network_id=network["id"], cidr="10.0.0.0/24", ip_version=4)
    plain = await pair.make("port", network_id=network["id"])
    for path in (f"ports/{plain['id']}/bindings", f"ports/{NOWHERE}/bindings"):
        await pair.ask("GET", path, **NOVA)
        await pair.ask("POST", path, {"binding": {"host": "host1"}}, **NOVA)
    device = {"device_id": "i", "device_owner": "compute:nova"}
    port = await pair.make("port", network_id=network["id"], **device)
    path, own = f"ports/{port['id']}/bindings", f"ports/{port['id']}"
    await pair.ask("POST", path, {"binding": {"host": "host1"}}, **NOVA)
    await pair.ask("GET", own)
    await pair.ask("DELETE", f"{path}/host1", **NOVA)
    await pair.ask("PUT", own, {"port": {"binding:host_id": "host1"}}, **NOVA)
    for body in (None, {}, {"binding": None}, {"bindings": [{"host": "host2"}]}):
        await pair.ask("POST", path, body, **NOVA)
    for values in BINDINGS:
        await pair.ask("POST", path, {"binding": values}, **NOVA)
        await pair.ask("GET", path, **NOVA)
    for host in ("host1", "host2", "nowhere"):
        await pair.ask("PUT", f"{path}/{host}/activate", {}, roles="admin")
        await pair.ask("GET", f"{path}/{host}", **NOVA)
        await pair.ask("GET", f"{path}/{host}", **MEMBER)
    await pair.ask("POST", path, {"binding": {"host": "host2"}}, **MEMBER)
    await pair.ask("POST", path, {"binding": {"host": "host2"}}, roles="admin")
    await pair.ask("POST", path, {"binding": {"host": "host2"}}, **NOVA)
    await pair.ask("POST", path, {"binding": {"host": "host2"}}, **NOVA)
    pair.compare_switch_port(port)
    for query in ("", "?host=host2", "?status=INACTIVE", "?status=ACTIVE", "?fields=host", "?vif_type=ovs"):
        await pair.ask("GET", f"{path}{query}", **NOVA)
    await pair.ask("PUT", own, {"port": {"binding:profile": {"migrating_to": "host2"}}}, **NOVA)
    pair.compare_switch_port(port)
    await pair.ask("PUT", f"{path}/host2", {"binding": {"profile": {"a": "b"}}}, **NOVA)
    await pair.ask("PUT", f"{path}/nowhere", {"binding": {"profile": {"a": "b"}}}, **NOVA)
    await pair.ask("DELETE", f"{path}/host2", **MEMBER)
    for _ in range(2):
        await pair.ask("DELETE", f"{path}/host2", **NOVA)
    await pair.ask("GET", path, **NOVA)
    await pair.ask("POST", path, {"binding": {"host": "host2"}}, **NOVA)
    await pair.ask("PUT", f"{path}/host1/activate", {}, **NOVA)
    await pair.ask("PUT", f"{path}/nowhere/activate", {}, **NOVA)
    await pair.ask("GET", f"{path}/host2/activate", **NOVA)
    await pair.ask("PUT", f"{path}/host2/activate", {}, **NOVA)  # over SQLite Neutron's port does not follow
    await pair.ask("DELETE", own)


ATTRIBUTES: list[dict[str, Any]] = [
    *({"numa_affinity_policy": value} for value in ("required", "preferred", "legacy", "socket", "x", "", None, 5)),
    *({"device_profile": value} for value in ("p", "", "x" * 256, None, 5)),
    *({"hardware_offload_type": value} for value in ("switchdev", "x", None)),
    {"hardware_offload_type": "switchdev", "binding:vnic_type": "direct"},
    {"hardware_offload_type": "switchdev", "binding:profile": {"capabilities": ["x"]}},
    *({"trusted": value} for value in (True, False, "true", "x", None)),
    {"trusted": True, "binding:profile": {"a": "b"}},
    *({"data_plane_status": value} for value in ("ACTIVE", "DOWN", "x", None)),
]


async def port_attributes(pair: Pair) -> None:
    """Walk through the attributes of ports that Nova and drivers read."""
    network = await pair.make("network", name="devices")
    await pair.make("subnet", network_id=network["id"], cidr="10.0.0.0/24", ip_version=4)
    for roles in ({}, MEMBER):
        for values in ATTRIBUTES:
            _, made = await pair.ask("POST", "ports", {"port": {"network_id": network["id"], **values}}, **roles)
            if "port" in made:
                await pair.ask("GET", f"ports/{made['port']['id']}", **MEMBER)
                pair.compare_switch_port(made["port"])
                await pair.ask("DELETE", f"ports/{made['port']['id']}")
    port = await pair.make("port", network_id=network["id"], device_owner="compute:nova", device_id="i")
    for values in ATTRIBUTES:
        for roles in ({}, MEMBER, {"roles": "data_plane_integrator,member,reader"}):
            await pair.ask("PUT", f"ports/{port['id']}", {"port": values}, **roles)
    await pair.ask("PUT", f"ports/{port['id']}", {"port": {"trusted": True, "binding:host_id": "host1"}}, **NOVA)
    await pair.ask("GET", f"ports/{port['id']}/bindings", **NOVA)
    await pair.ask("PUT", f"ports/{port['id']}", {"port": {"numa_affinity_policy": "legacy"}})
    await pair.ask("GET", f"ports/{port['id']}", **MEMBER)
    await pair.ask("DELETE", f"ports/{port['id']}")
