"""The walk goes on: flavors of routers, and the agents that host routers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api.resources.flavor import OVN_DRIVER
from support.beside_neutron.neutron_walk import NOWHERE

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

FLAVORS: list[dict[str, Any]] = [
    {},
    {"service_type": "L3_ROUTER_NAT"},
    {"service_type": "COFFEE"},
    {"service_type": "L3_ROUTER_NAT", "name": "n", "description": "d", "enabled": False},
    {"service_type": "L3_ROUTER_NAT", "name": "x" * 256},
    {"service_type": "L3_ROUTER_NAT", "description": None},
    {"service_type": "L3_ROUTER_NAT", "enabled": "x"},
    {"service_type": "L3_ROUTER_NAT", "nonsense": 1},
    {"service_type": "L3_ROUTER_NAT", "id": NOWHERE},
]
PROFILES: list[dict[str, Any]] = [
    {},
    {"driver": OVN_DRIVER},
    {"driver": "nothing"},
    {"metainfo": "m"},
    {"metainfo": "m", "description": "d", "enabled": False},
    {"driver": 5},
    {"metainfo": "m", "enabled": "x"},
    {"metainfo": "m", "nonsense": 1},
]


async def flavors(pair: Pair) -> None:
    """Make flavors and service profiles in every way, and give routers one."""
    made: dict[str, list[str]] = {"flavor": [], "service_profile": []}
    for member, bodies in (("flavor", FLAVORS), ("service_profile", PROFILES)):
        for values in bodies:
            status, body = await pair.ask("POST", f"{member}s", {member: values})
            if status == 201:
                made[member].append(body[member]["id"])
        await pair.ask("GET", f"{member}s")
        await pair.ask("GET", f"{member}s/{NOWHERE}")
        await pair.ask("DELETE", f"{member}s/{NOWHERE}")
        for values in bodies[3:]:
            await pair.ask("PUT", f"{member}s/{made[member][-1]}", {member: values})
    flavor, profile = made["flavor"][0], made["service_profile"][0]
    bind = f"flavors/{flavor}/service_profiles"
    await pair.ask("POST", "routers", {"router": {"flavor_id": flavor}})
    for uuid in (NOWHERE, "x", profile, profile):
        await pair.ask("POST", bind, {"service_profile": {"id": uuid}})
    await pair.ask("POST", bind, {})
    await pair.ask("GET", f"{bind}/{profile}")
    await pair.ask("GET", f"flavors/{flavor}")
    await pair.ask("PUT", f"service_profiles/{profile}", {"service_profile": {"description": "z"}})
    await pair.ask("DELETE", f"service_profiles/{profile}")
    for uuid in (flavor, NOWHERE, "x", None, made["flavor"][1]):
        status, body = await pair.ask("POST", "routers", {"router": {"flavor_id": uuid}})
        if status == 201:
            await pair.ask("PUT", f"routers/{body['router']['id']}", {"router": {"flavor_id": None}})
            await pair.ask("DELETE", f"flavors/{flavor}")
            await pair.ask("DELETE", f"routers/{body['router']['id']}")
    await pair.ask("DELETE", f"{bind}/{NOWHERE}")
    await pair.ask("DELETE", f"{bind}/{profile}")
    for member, uuids in made.items():
        for uuid in uuids:
            await pair.ask("DELETE", f"{member}s/{uuid}")
    router = await pair.make("router", name="hosted")
    await pair.ask("GET", f"routers/{router['id']}/l3-agents")
    await pair.ask("GET", f"agents/{NOWHERE}/l3-routers")
    await pair.ask("POST", f"agents/{NOWHERE}/l3-routers", {"router_id": router["id"]})
    await pair.ask("DELETE", f"agents/{NOWHERE}/l3-routers/{router['id']}")
    await pair.ask("DELETE", f"routers/{router['id']}")
