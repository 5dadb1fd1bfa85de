"""Flavors of routers, and their service profiles."""

from __future__ import annotations

from ovenbird.api.resources.flavor import OVN_DRIVER


async def test_a_router_has_a_flavor_with_a_service_profile(neutron):
    flavor = await neutron.create("flavor", name="gold", service_type="L3_ROUTER_NAT")
    assert flavor == {
        "id": flavor["id"], "name": "gold", "description": "", "service_type": "L3_ROUTER_NAT", "service_profiles": [],
        "enabled": True,
    }  # fmt: skip
    chosen = {"router": {"flavor_id": flavor["id"]}}
    await neutron.refused(404, "FlavorServiceProfileBindingNotFound", "POST", "routers", chosen)
    profile = await neutron.create("service_profile", driver=OVN_DRIVER, description="d")
    path = f"flavors/{flavor['id']}/service_profiles"
    binding = {"service_profile": {"id": profile["id"]}}
    status, answer = await neutron.ask("POST", path, binding)
    assert status == 201
    _, answer = await neutron.ask("GET", f"flavors/{flavor['id']}")
    assert answer["flavor"]["service_profiles"] == [profile["id"]]
    await neutron.refused(409, "FlavorServiceProfileBindingExists", "POST", path, binding)
    _, answer = await neutron.ask("GET", f"flavors/{flavor['id']}/next_providers")
    assert answer == {"next_providers": [{"provider": "ovn", "driver": OVN_DRIVER}]}
    router = await neutron.create("router", flavor_id=flavor["id"])
    assert router["flavor_id"] == flavor["id"]
    await neutron.refused(409, "FlavorInUse", "DELETE", f"flavors/{flavor['id']}")
    await neutron.refused(409, "ServiceProfileInUse", "DELETE", f"service_profiles/{profile['id']}")
    _, answer = await neutron.ask("PUT", f"flavors/{flavor['id']}", {"flavor": {"enabled": False, "name": "old"}})
    assert (answer["flavor"]["enabled"], answer["flavor"]["name"]) == (False, "old")
    await neutron.refused(503, "FlavorDisabled", "POST", "routers", chosen)
    assert (await neutron.ask("DELETE", f"routers/{router['id']}"))[0] == 204
    assert (await neutron.ask("DELETE", f"{path}/{profile['id']}"))[0] == 204
    gone = "FlavorServiceProfileBindingNotFound"
    await neutron.refused(404, gone, "DELETE", f"{path}/{profile['id']}")
    assert (await neutron.ask("DELETE", f"service_profiles/{profile['id']}"))[0] == 204
    assert (await neutron.ask("DELETE", f"flavors/{flavor['id']}"))[0] == 204


async def test_invalid_flavors_are_refused(neutron):
    await neutron.refused(400, "InvalidServiceType", "POST", "flavors", {"flavor": {"service_type": "COFFEE"}})
    await neutron.refused(400, "HTTPBadRequest", "POST", "flavors", {"flavor": {"name": "x"}})
    path, missing = "service_profiles", "00000000-0000-4000-8000-000000000000"
    await neutron.refused(400, "ServiceProfileEmpty", "POST", path, {"service_profile": {}})
    driver = {"service_profile": {"driver": "nothing"}}
    await neutron.refused(404, "ServiceProfileDriverNotFound", "POST", path, driver)
    await neutron.refused(404, "FlavorNotFound", "POST", "routers", {"router": {"flavor_id": missing}})
    binding = {"service_profile": {"id": missing}}
    await neutron.refused(404, "FlavorNotFound", "POST", f"flavors/{missing}/service_profiles", binding)
    flavor = await neutron.create("flavor", service_type="L3_ROUTER_NAT")
    await neutron.refused(404, "ServiceProfileNotFound", "POST", f"flavors/{flavor['id']}/service_profiles", binding)
