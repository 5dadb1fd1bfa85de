"""Bindings of a port: what is refused, and how an instance moves."""

from __future__ import annotations

from ovenbird.model.cloud import InactiveBinding


async def mover(neutron, **values):
    """Make an instance's port on the first of three hosts; return it with the address of its bindings."""
    for name in ("hv1", "hv2", "hv3"):
        neutron.chassis(name)
    network = await neutron.network()
    await neutron.subnet(network)
    owner = {"device_owner": "compute:nova", "binding:host_id": "hv1"}
    port = await neutron.port(network, **owner | values)
    return port, f"ports/{port['id']}/bindings"


async def bind(neutron, path, host, **values):
    return await neutron.ask("POST", path, {"binding": {"host": host} | values})


async def states(neutron, path):
    return {one["host"]: (one["status"], one["profile"]) for one in await neutron.list(path)}


async def test_an_instance_moves_to_a_binding_and_back(neutron):
    port, path = await mover(neutron, **{"binding:profile": {"migrating_to": "hv2"}})
    got, answer = await bind(neutron, path, "hv2", profile={"os": "x"})
    assert got == 201
    assert answer["binding"] == {
        "host": "hv2", "vif_type": "ovs", "vif_details": port["binding:vif_details"], "vnic_type": "normal",
        "profile": {"os": "x"}, "status": "INACTIVE",
    }  # fmt: skip
    before = {"hv1": ("ACTIVE", {"migrating_to": "hv2"}), "hv2": ("INACTIVE", {"os": "x"})}
    assert await states(neutron, path) == before
    assert (await neutron.ask("PUT", f"{path}/hv2/activate"))[0] == 200
    _, shown = await neutron.ask("GET", f"ports/{port['id']}")
    assert (shown["port"]["binding:host_id"], shown["port"]["binding:profile"]) == ("hv2", {"os": "x"})
    assert {host: state for host, (state, _) in (await states(neutron, path)).items()} == {
        "hv1": "INACTIVE",
        "hv2": "ACTIVE",
    }
    assert (await neutron.ask("PUT", f"{path}/hv1/activate"))[0] == 200
    assert await states(neutron, path) == before
    assert (await neutron.ask("DELETE", f"{path}/hv2"))[0] == 204
    assert await states(neutron, path) == {"hv1": before["hv1"]}
    await bind(neutron, path, "hv3")
    assert (await neutron.ask("DELETE", f"ports/{port['id']}"))[0] == 204
    assert len(neutron.cloud.store.table(InactiveBinding)) == 0


async def test_what_is_no_binding_of_a_port_is_refused(neutron):
    port, path = await mover(neutron)
    await bind(neutron, path, "hv2")
    for host in ("hv1", "hv2"):
        await neutron.refused(409, "PortBindingAlreadyExists", "POST", path, {"binding": {"host": host}})
    await neutron.refused(500, "PortBindingError", "POST", path, {"binding": {"host": "nowhere"}})
    await neutron.refused(400, "HTTPBadRequest", "POST", path, {"binding": {}})
    await neutron.refused(409, "PortBindingAlreadyActive", "PUT", f"{path}/hv1/activate")
    for method, host in (("PUT", "hv3/activate"), ("GET", "hv3"), ("DELETE", "hv3")):
        await neutron.refused(404, "PortBindingNotFound", method, f"{path}/{host}")
    await neutron.refused(404, "HTTPNotFound", "PUT", f"ports/{port['id']}/nonsense/hv1/activate")
    changed = {"binding": {"profile": {"a": "b"}}}
    for host in ("hv1", "hv2"):
        assert (await neutron.ask("PUT", f"{path}/{host}", changed))[1]["binding"]["profile"] == {"a": "b"}
    plain = await neutron.port(await neutron.network())
    await neutron.refused(400, "BadRequest", "GET", f"ports/{plain['id']}/bindings")


async def test_a_port_without_a_host_has_an_active_binding_for_none(neutron):
    port, path = await mover(neutron, **{"binding:host_id": ""})
    assert await states(neutron, path) == {"": ("ACTIVE", {})}
    for host in ("hv1", "hv2"):
        assert (await bind(neutron, path, host))[1]["binding"]["status"] == "INACTIVE"
    await neutron.ask("PUT", f"{path}/hv1/activate")
    left = {"": ("INACTIVE", {}), "hv1": ("ACTIVE", {})}
    assert await states(neutron, path) == left | {"hv2": ("INACTIVE", {})}
    await neutron.ask("PUT", f"ports/{port['id']}", {"port": {"binding:host_id": "hv2"}})
    assert await states(neutron, path) == {"": ("INACTIVE", {}), "hv2": ("ACTIVE", {})}
