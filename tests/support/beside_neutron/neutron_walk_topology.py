"""The walk through topologies that are made for a project, and default external networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.beside_neutron.neutron_walk import MEMBER

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

PATH = "auto-allocated-topology"
PHYSICAL = {"provider:network_type": "flat", "provider:physical_network": "topology"}


async def topologies(pair: Pair) -> None:
    """Ask for topologies before and after there is what they are made of."""
    for path in (PATH, f"{PATH}/red", f"{PATH}/red?fields=dry-run", f"{PATH}/red?fields=x", f"{PATH}/None"):
        await pair.ask("GET", path)
    await pair.ask("DELETE", f"{PATH}/red")
    await pair.ask("POST", PATH, {"auto_allocated_topology": {}})
    outside = await pair.make("network", name="outside", **{"router:external": True, "is_default": True}, **PHYSICAL)
    await pair.make("subnet", network_id=outside["id"], ip_version=4, cidr="203.0.113.0/24")
    for values in (
        {"is_default": True},
        {"router:external": True, "is_default": True},
        {"router:external": True, "is_default": "x"},
        {"router:external": True, "is_default": None},
    ):
        await pair.ask("POST", "networks", {"network": values})
        await pair.ask("POST", "networks", {"network": values}, **MEMBER)
    for query in ("?fields=dry-run", ""):
        await pair.ask("GET", f"{PATH}/red{query}")
    pool = await pair.make("subnetpool", name="p", prefixes=["10.90.0.0/16"], default_prefixlen=26, is_default=True)
    for query in ("?fields=dry-run", "", "", "?fields=id"):
        await pair.ask("GET", f"{PATH}/red{query}")
    for path in ("networks", "subnets", "routers", "ports"):
        await pair.ask("GET", f"{path}?project_id=red")
    for project in ("red", "blue"):
        await pair.ask("GET", f"{PATH}/{project}", **MEMBER | {"project": "blue"})
        await pair.ask("DELETE", f"{PATH}/{project}", roles="reader", project="blue")
    for path in ("networks?is_default=True", "networks?is_default=false&router:external=true"):
        await pair.ask("GET", path)
    for values in ({"is_default": False}, {"is_default": True}, {"is_default": True}, {"is_default": None}):
        await pair.ask("PUT", f"networks/{outside['id']}", {"network": values})
        await pair.ask("GET", f"networks/{outside['id']}")
    _, found = await pair.ask("GET", f"rbac-policies?object_id={outside['id']}")
    for policy in found["rbac_policies"]:
        await pair.ask("DELETE", f"rbac-policies/{policy['id']}")
    for project in ("red", "blue", "red"):
        await pair.ask("DELETE", f"{PATH}/{project}")
    await pair.ask("GET", "routers?name=auto_allocated_router")
    await pair.ask("DELETE", f"networks/{outside['id']}")
    await pair.ask("DELETE", f"subnetpools/{pool['id']}")
