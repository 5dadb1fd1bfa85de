"""The walk goes on: routers with several gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import NOWHERE, flat
from support.beside_neutron.neutron_walk_ports import named

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair


def to(network: str, *addresses: str, **more: Any) -> dict[str, Any]:
    """Return a gateway as requests have it."""
    fixed = {"external_fixed_ips": [{"ip_address": one} for one in addresses]} if addresses else {}
    return {"network_id": network, **fixed, **more}


CHANGES: list[tuple[str, Any]] = [
    ("remove", [to("ONE")]),
    ("add", []),
    ("add", [to("IN")]),
    ("add", [to(NOWHERE)]),
    ("add", [to("ONE", "203.0.113.50")]),
    ("add", [to("TWO", "198.51.100.50")]),
    ("add", [to("SAME")]),
    ("add", [to("ONE", "203.0.113.50")]),
    ("add", [to("ONE", "99.0.0.1")]),
    ("add", "x"),
    ("add", [{"nonsense": 1}]),
    ("update", [to("ONE", "203.0.113.50"), to("TWO", "198.51.100.50")]),
    ("update", [to("ONE", "203.0.113.50", enable_snat=False), to("TWO")]),
    ("add", [to("TWO", "198.51.100.51")]),
    ("update", [to("ONE", "203.0.113.50"), to("TWO", "198.51.100.50")]),
    ("remove", [to("TWO")]),
    ("add", [to("TWO", "198.51.100.52")]),
    ("remove", [to("ONE", "203.0.113.50")]),
    ("remove", [to("TWO")]),
    ("add", [to("ONE", "203.0.113.51"), to("TWO", "198.51.100.53")]),
    ("update", []),
]

SWITCHES: list[dict[str, Any]] = [
    {"enable_default_route_bfd": True},
    {"enable_default_route_ecmp": "true"},
    {"enable_default_route_bfd": None},
    {"enable_default_route_ecmp": "x"},
    {"external_gateways": []},
    {"enable_snat": False},
]


async def gateways(pair: Pair) -> None:
    """Give a router gateways in every way, and take them back."""
    names: dict[str, str] = {}
    for name, cidr in {"ONE": "203.0.113.0/24", "TWO": "198.51.100.0/24", "SAME": "203.0.113.0/25"}.items():
        made = await pair.make("network", name=name, **{"router:external": True}, **flat(f"mh{name}"))
        names[name] = made["id"]
        await pair.make("subnet", network_id=made["id"], cidr=cidr, ip_version=4)
    names["IN"] = (await pair.make("network"))["id"]
    inside = await pair.make("subnet", network_id=names["IN"], cidr="10.90.0.0/24", ip_version=4)
    router = await pair.make("router", name="mh")
    path = f"routers/{router['id']}"
    await pair.ask("PUT", f"{path}/add_router_interface", {"subnet_id": inside["id"]})
    for verb, what in CHANGES:
        given = [named(one, names) for one in what] if isinstance(what, list) else what
        await pair.ask("PUT", f"{path}/{verb}_external_gateways", {"router": {"external_gateways": given}})
        await pair.ask("GET", path)
    for body in ({}, {"router": "x"}):
        await pair.ask("PUT", f"{path}/add_external_gateways", body)
    for values in SWITCHES:
        await pair.ask("PUT", path, {"router": values})
        await pair.ask("POST", "routers", {"router": values})
    two = [named(to(name), names) for name in ("ONE", "TWO")]
    await pair.ask("PUT", f"{path}/add_external_gateways", {"router": {"external_gateways": two}})
    await pair.ask("PUT", path, {"router": {"external_gateway_info": {}}})
    await pair.ask("GET", path)
    await pair.ask("GET", "routers?enable_snat=True&fields=id&name=mh")
    await pair.ask("PUT", f"{path}/remove_router_interface", {"subnet_id": inside["id"]})
    await pair.ask("DELETE", path)
    await pair.ask("PUT", f"routers/{NOWHERE}/add_external_gateways", {"router": {"external_gateways": two}})
