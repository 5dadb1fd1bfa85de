"""The walk goes on: routers and floating IPs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import NOWHERE, flat
from support.beside_neutron.neutron_walk_ports import named

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

ROUTERS: list[dict[str, Any]] = [
    {},
    {"name": "r", "description": "d"},
    {"name": None},
    {"name": "x" * 256},
    {"admin_state_up": False},
    {"admin_state_up": "x"},
    {"external_gateway_info": None},
    {"external_gateway_info": {}},
    {"external_gateway_info": "x"},
    {"external_gateway_info": {"network_id": "OUT"}},
    {"external_gateway_info": {"network_id": "OUT", "enable_snat": False}},
    {"external_gateway_info": {"network_id": "OUT", "enable_snat": "x"}},
    {"external_gateway_info": {"network_id": "OUT", "enable_snat": None}},
    {"external_gateway_info": {"network_id": "OUT", "nonsense": 1}},
    {"external_gateway_info": {"enable_snat": True}},
    {"external_gateway_info": {"network_id": "IN"}},
    {"external_gateway_info": {"network_id": NOWHERE}},
    {"external_gateway_info": {"network_id": "x"}},
    {"external_gateway_info": {"network_id": None}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "203.0.113.50"}]}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "203.0.113.50"}]}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "99.0.0.1"}]}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "203.0.113.1"}]}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "203.0.113.0"}]}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "x"}]}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": [{"subnet_id": "OUTSUB"}]}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": [{"subnet_id": "INSUB"}]}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": [{"subnet_id": NOWHERE}]}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": []}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": None}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": "x"}},
    {"external_gateway_info": {"network_id": "EMPTY"}},
    {"routes": [{"destination": "1.0.0.0/8", "nexthop": "10.60.0.9"}]},
    {"routes": []},
    {"ha": True},
    {"ha": False},
    {"ha": None},
    {"availability_zone_hints": ["az1"]},
    {"availability_zone_hints": ["nowhere"]},
    {"availability_zone_hints": "az1"},
    {"status": "ACTIVE"},
    {"id": NOWHERE},
    {"nonsense": 1},
    {"project_id": "blue"},
    {"tags": ["a"]},
]

ROUTES: list[Any] = [
    [{"destination": "1.0.0.0/8", "nexthop": "10.60.0.9"}],
    [{"destination": "1.0.0.0/8", "nexthop": "10.60.0.9"}] * 2,
    [{"destination": "1.0.0.0/8", "nexthop": "10.60.0.9"}, {"destination": "1.0.0.0/8", "nexthop": "10.60.0.10"}],
    [{"destination": "1.0.0.1/8", "nexthop": "10.60.0.9"}],
    [{"destination": "1.0.0.1", "nexthop": "10.60.0.9"}],
    [{"destination": "0.0.0.0/0", "nexthop": "10.60.0.9"}],
    [{"destination": "1.0.0.0/8", "nexthop": "10.60.0.1"}],
    [{"destination": "1.0.0.0/8", "nexthop": "99.0.0.1"}],
    [{"destination": "1.0.0.0/8", "nexthop": "fd00::1"}],
    [{"destination": "1.0.0.0/8", "nexthop": "x"}],
    [{"destination": "x", "nexthop": "10.60.0.9"}],
    [{"destination": "1.0.0.0/8"}],
    [{"nexthop": "10.60.0.9"}],
    [{"destination": "1.0.0.0/8", "nexthop": "10.60.0.9", "more": 1}],
    [{"destination": "fd09::/64", "nexthop": "fd60::9"}],
    [{"destination": f"1.{i}.0.0/16", "nexthop": "10.60.0.9"} for i in range(31)],
    [{"destination": "1.0.0.0/8", "nexthop": "203.0.113.77"}],
    [{"destination": "10.60.0.0/24", "nexthop": "10.60.0.9"}],
    [{}],
    "x",
    None,
    [],
]


async def outside(pair: Pair, names: dict[str, str]) -> None:
    """Make the networks that routers connect."""
    out = await pair.make("network", name="out", **{"router:external": True}, **flat("out"))
    names["OUT"] = out["id"]
    names["OUTSUB"] = (
        await pair.make("subnet", network_id=out["id"], cidr="203.0.113.0/24", ip_version=4, enable_dhcp=False)
    )["id"]
    names["EMPTY"] = (await pair.make("network", name="empty", **{"router:external": True}, **flat("empty")))["id"]
    inside = await pair.make("network", name="in")
    names["IN"] = inside["id"]
    names["INSUB"] = (await pair.make("subnet", network_id=inside["id"], cidr="10.60.0.0/24", ip_version=4))["id"]
    names["INSIX"] = (await pair.make("subnet", network_id=inside["id"], cidr="fd60::/64", ip_version=6))["id"]
    names["INSIX2"] = (await pair.make("subnet", network_id=inside["id"], cidr="fd61::/64", ip_version=6))["id"]
    two = await pair.make("network", name="in2")
    names["IN2"] = two["id"]
    names["SAME"] = (
        await pair.make("subnet", network_id=two["id"], cidr="10.60.0.0/25", ip_version=4, gateway_ip="10.60.0.3")
    )["id"]
    names["BARE"] = (
        await pair.make("subnet", network_id=two["id"], cidr="10.61.0.0/24", ip_version=4, gateway_ip=None)
    )["id"]
    names["THIRD"] = (await pair.make("subnet", network_id=two["id"], cidr="10.62.0.0/24", ip_version=4))["id"]


async def routers(pair: Pair) -> None:  # noqa: PLR0915 (a walk is long)
    """Create routers in every way, give them interfaces and routes, and take them away."""
    names: dict[str, str] = {}
    await outside(pair, names)
    for values in ROUTERS:
        status, body = await pair.ask("POST", "routers", {"router": named(values, names)})
        if status == 201:
            await pair.ask("GET", f"routers/{body['router']['id']}")
            await pair.ask("DELETE", f"routers/{body['router']['id']}")
    router = await pair.make("router", name="router")
    path = f"routers/{router['id']}"
    for values in ROUTERS:
        await pair.ask("PUT", path, {"router": named(values, names)})
    await pair.ask("PUT", path, {"router": {"external_gateway_info": None, "name": "router"}})
    add, remove = f"{path}/add_router_interface", f"{path}/remove_router_interface"
    for body in (
        {},
        {"subnet_id": "x"},
        {"subnet_id": NOWHERE},
        {"port_id": "x"},
        {"port_id": NOWHERE},
        {"subnet_id": 5},
        {"nonsense": 1},
        {"subnet_id": "INSUB"},
        {"subnet_id": "INSUB"},
        {"subnet_id": "SAME"},
        {"subnet_id": "BARE"},
        {"subnet_id": "INSIX"},
        {"subnet_id": "INSIX2"},
        {"subnet_id": "OUTSUB"},
    ):
        await pair.ask("PUT", add, named(body, names))
    await pair.ask("GET", f"ports?device_id={router['id']}")
    second = await pair.make("router", name="second")
    await pair.ask("PUT", f"routers/{second['id']}/add_router_interface", {"subnet_id": names["INSUB"]})
    for given in (
        {"network_id": names["IN2"]},
        {"network_id": names["IN2"], "fixed_ips": [{"ip_address": "10.62.0.9"}]},
        {"network_id": names["IN2"], "fixed_ips": []},
        {"network_id": names["IN2"], "fixed_ips": [{"ip_address": "10.60.0.44"}]},
        {"network_id": names["IN2"], "fixed_ips": [{"ip_address": "10.61.0.44"}, {"ip_address": "10.62.0.44"}]},
        {"network_id": names["IN2"], "fixed_ips": [{"ip_address": "10.62.0.10"}], "device_id": "vm"},
        {"network_id": names["IN2"], "fixed_ips": [{"ip_address": "10.62.0.11"}], "device_id": router["id"]},
        {"network_id": names["IN2"], "fixed_ips": [{"ip_address": "10.62.0.12"}], "device_owner": "compute:nova"},
        {"network_id": names["IN"], "fixed_ips": [{"ip_address": "10.60.0.77"}]},
    ):
        port = await pair.make("port", **given)
        status, _ = await pair.ask("PUT", add, {"port_id": port["id"]})
        await pair.ask("GET", f"ports/{port['id']}")
        if status == 200:
            await pair.ask("PUT", add, {"port_id": port["id"]})
            await pair.ask("DELETE", f"ports/{port['id']}")
            await pair.ask("PUT", f"ports/{port['id']}", {"port": {"name": "x"}})
            await pair.ask("PUT", f"routers/{second['id']}/remove_router_interface", {"port_id": port["id"]})
            await pair.ask("PUT", remove, {"port_id": port["id"], "subnet_id": names["INSUB"]})
            await pair.ask("PUT", remove, {"port_id": port["id"]})
            await pair.ask("GET", f"ports/{port['id']}")
    await pair.ask("PUT", add, {"subnet_id": names["INSUB"], "port_id": NOWHERE})
    gateway = {"network_id": names["OUT"]}
    for routes in ROUTES:
        await pair.ask("PUT", path, {"router": {"routes": routes}})
    await pair.ask("PUT", path, {"router": {"external_gateway_info": gateway}})
    for routes in ROUTES:
        await pair.ask("PUT", path, {"router": {"routes": routes}})
    for action in ("add_extraroutes", "add_extraroutes", "remove_extraroutes", "remove_extraroutes"):
        for routes in (ROUTES[0], ROUTES[17], *ROUTES[6:9]):
            await pair.ask("PUT", f"{path}/{action}", {"router": {"routes": routes}})
    await pair.ask("PUT", path, {"router": {"routes": ROUTES[0]}})
    await pair.ask("PUT", remove, {"subnet_id": names["INSUB"]})
    await pair.ask("PUT", path, {"router": {"routes": [{"destination": "1.0.0.0/8", "nexthop": "203.0.113.77"}]}})
    await pair.ask("PUT", path, {"router": {"external_gateway_info": None}})
    await pair.ask("PUT", path, {"router": {"routes": []}})
    for info in (
        {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "203.0.113.60"}]},
        {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "203.0.113.61"}]},
        {"network_id": "OUT", "enable_snat": False},
        {"network_id": "OUT"},
        {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "99.0.0.1"}]},
        {"network_id": "OUT", "external_fixed_ips": []},
        {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "203.0.113.62"}, {"ip_address": "203.0.113.63"}]},
        {"network_id": "OUT", "external_fixed_ips": [{"ip_address": "203.0.113.64"}]},
        {"network_id": "IN"},
        {"network_id": NOWHERE},
    ):
        await pair.ask("PUT", path, {"router": {"external_gateway_info": named(info, names)}})
        await pair.ask("GET", path)
    _, body = await pair.ask("GET", f"ports?device_id={router['id']}&device_owner=network:router_gateway")
    for port in body["ports"]:
        await pair.ask("DELETE", f"ports/{port['id']}")
        for values in (
            {"name": "x"},
            {"fixed_ips": [{"ip_address": "203.0.113.65"}]},
        ):
            await pair.ask("PUT", f"ports/{port['id']}", {"port": values})
    await pair.ask("GET", path)
    await pair.ask("DELETE", f"networks/{names['OUT']}")
    await pair.ask("PUT", f"networks/{names['OUT']}", {"network": {"router:external": False}})
    await pair.ask("PUT", f"networks/{names['OUT']}", {"network": {"router:external": True}})
    await pair.ask("PUT", f"subnets/{names['INSUB']}", {"subnet": {"gateway_ip": "10.60.0.200"}})
    await pair.ask("DELETE", path)
    for body in (
        {},
        {"subnet_id": NOWHERE},
        {"port_id": NOWHERE},
        {"subnet_id": "THIRD"},
        {"subnet_id": "INSUB"},
        {"subnet_id": "INSUB"},
        {"subnet_id": "INSIX"},
        {"subnet_id": "INSIX2"},
    ):
        await pair.ask("PUT", remove, named(body, names))
    await pair.ask("GET", f"ports?device_id={router['id']}")
    await pair.ask("PUT", f"{path}/nonsense", {})
    await pair.ask("POST", add, {})
    await pair.ask("GET", add)
    await pair.ask("DELETE", path)
    await pair.ask("PUT", add, {"subnet_id": names["INSUB"]})
    for verb in ("GET", "DELETE"):
        await pair.ask(verb, f"routers/{NOWHERE}")
    private = await pair.make("router", name="gateway at birth", external_gateway_info=gateway)
    await pair.ask("GET", "routers?name=gateway at birth&fields=id")
    await pair.ask("PUT", f"routers/{private['id']}", {"router": {"external_gateway_info": {}}})
    await pair.ask("GET", "routers?external_gateway_info=x")
    await pair.ask("GET", "routers?admin_state_up=True&status=ACTIVE&fields=status")


async def floating_ips(pair: Pair) -> None:
    """Create floating IPs in every way, and move them about."""
    names: dict[str, str] = {}
    out = await pair.make("network", name="fout", **{"router:external": True}, **flat("fout"))
    names["OUT"] = out["id"]
    names["OUTSUB"] = (await pair.make("subnet", network_id=out["id"], cidr="198.51.100.0/24", ip_version=4))["id"]
    inside = await pair.make("network", name="fin")
    names["IN"] = inside["id"]
    names["INSUB"] = (await pair.make("subnet", network_id=inside["id"], cidr="10.70.0.0/24", ip_version=4))["id"]
    await pair.make("subnet", network_id=inside["id"], cidr="fd70::/64", ip_version=6)
    apart = await pair.make("network", name="apart")
    await pair.make("subnet", network_id=apart["id"], cidr="10.71.0.0/24", ip_version=4)
    names["APART"] = (await pair.make("port", network_id=apart["id"]))["id"]
    v6 = [{"ip_address": "fd70::5"}]
    for name, addresses in {
        "ONE": [{"ip_address": "10.70.0.11"}],
        "TWO": [{"ip_address": "10.70.0.12"}, *v6],
        "MANY": [{"ip_address": "10.70.0.13"}, {"ip_address": "10.70.0.14"}],
        "SIX": [{"ip_address": "fd70::6"}],
        "NONE": [],
    }.items():
        names[name] = (await pair.make("port", network_id=inside["id"], fixed_ips=addresses))["id"]
    on = {"floating_network_id": "OUT"}
    await pair.ask("POST", "floatingips", {"floatingip": named(on | {"port_id": "ONE"}, names)})
    router = await pair.make("router", external_gateway_info={"network_id": names["OUT"]})
    await pair.ask("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": names["INSUB"]})
    made = []
    for values in (
        {},
        on,
        on | {"description": "d"},
        {"floating_network_id": NOWHERE},
        {"floating_network_id": "x"},
        {"floating_network_id": None},
        {"floating_network_id": "IN"},
        on | {"floating_ip_address": "198.51.100.50"},
        on | {"floating_ip_address": "198.51.100.50"},
        on | {"floating_ip_address": "99.0.0.1"},
        on | {"floating_ip_address": "198.51.100.1"},
        on | {"floating_ip_address": "198.51.100.0"},
        on | {"floating_ip_address": "x"},
        on | {"floating_ip_address": None},
        on | {"subnet_id": "OUTSUB"},
        on | {"subnet_id": "INSUB"},
        on | {"subnet_id": NOWHERE},
        on | {"subnet_id": "OUTSUB", "floating_ip_address": "198.51.100.51"},
        on | {"port_id": "ONE", "floating_ip_address": "198.51.100.52"},
        on | {"port_id": "ONE"},
        on | {"port_id": "ONE", "fixed_ip_address": "10.70.0.99"},
        on | {"port_id": "TWO", "fixed_ip_address": "10.70.0.12", "floating_ip_address": "198.51.100.53"},
        on | {"port_id": "MANY"},
        on | {"port_id": "MANY", "fixed_ip_address": "10.70.0.14"},
        on | {"port_id": "MANY", "fixed_ip_address": "10.70.0.13"},
        on | {"port_id": "SIX"},
        on | {"port_id": "SIX", "fixed_ip_address": "fd70::6"},
        on | {"port_id": "NONE"},
        on | {"port_id": "APART"},
        on | {"port_id": NOWHERE},
        on | {"port_id": "x"},
        on | {"port_id": None},
        on | {"fixed_ip_address": "10.70.0.11"},
        on | {"fixed_ip_address": None},
        on | {"status": "ACTIVE"},
        on | {"tags": ["x"]},
        on | {"project_id": "blue"},
        on | {"nonsense": 1},
    ):
        status, body = await pair.ask("POST", "floatingips", {"floatingip": named(values, names)})
        if status == 201:
            made.append(body["floatingip"])
            await pair.ask("GET", f"floatingips/{made[-1]['id']}")
    free, used = made[0], next(m for m in made if m["port_id"] == names["ONE"])
    for values in (
        {"port_id": "APART"},
        {"port_id": "ONE"},
        {"port_id": "SIX"},
        {"port_id": "TWO", "fixed_ip_address": "10.70.0.12"},
        {"fixed_ip_address": "10.70.0.12"},
        {"port_id": NOWHERE},
        {"port_id": None, "fixed_ip_address": "10.70.0.12"},
        {"port_id": None},
        {"description": "z"},
        {},
        {"floating_ip_address": "198.51.100.99"},
        {"floating_network_id": "OUT"},
        {"dns_name": "z"},
        {"nonsense": 1},
    ):
        await pair.ask("PUT", f"floatingips/{free['id']}", {"floatingip": named(values, names)})
    for values in (
        {"description": "kept"},
        {"port_id": "ONE"},
        {"fixed_ip_address": "10.70.0.11"},
        {"port_id": "ONE", "fixed_ip_address": "10.70.0.11"},
        {},
        {"description": "z"},
        {"port_id": ""},
        {"port_id": None},
        {"port_id": "ONE"},
    ):
        await pair.ask("PUT", f"floatingips/{used['id']}", {"floatingip": named(values, names)})
        await pair.ask("GET", f"floatingips/{used['id']}")
    await pair.ask("PUT", f"routers/{router['id']}/remove_router_interface", {"subnet_id": names["INSUB"]})
    await pair.ask("PUT", f"routers/{router['id']}", {"router": {"external_gateway_info": None}})
    await pair.ask("DELETE", f"routers/{router['id']}")
    await pair.ask("PUT", f"ports/{names['ONE']}", {"port": {"fixed_ips": [{"ip_address": "10.70.0.21"}]}})
    await pair.ask("GET", f"floatingips/{used['id']}")
    await pair.ask("PUT", f"floatingips/{used['id']}", {"floatingip": {"port_id": names["ONE"]}})
    await pair.ask("PUT", f"floatingips/{used['id']}", {"floatingip": {"port_id": None}})
    await pair.ask("DELETE", f"ports/{names['ONE']}")
    await pair.ask("GET", f"floatingips/{used['id']}")
    _, body = await pair.ask("GET", f"ports?network_id={names['OUT']}&device_owner=network:floatingip")
    await pair.ask("DELETE", f"ports/{body['ports'][0]['id']}")
    await pair.ask("GET", f"floatingips?port_id={names['TWO']}")
    await pair.ask("GET", f"floatingips?router_id={router['id']}&fields=id")
    await pair.ask("GET", "floatingips?floating_ip_address=198.51.100.50")
    await pair.ask("GET", "floatingips?status=DOWN&fields=id")
    await pair.ask("GET", "floatingips?fixed_ip_address=10.70.0.12")
    await pair.ask("GET", "floatingips?port_details=x")
    for fip in made:
        await pair.ask("DELETE", f"floatingips/{fip['id']}")
    await pair.ask("DELETE", f"floatingips/{NOWHERE}")
    await pair.ask("GET", f"floatingips/{NOWHERE}")
    await pair.ask("PUT", f"routers/{router['id']}/remove_router_interface", {"subnet_id": names["INSUB"]})
    await pair.ask("PUT", f"routers/{router['id']}", {"router": {"external_gateway_info": None}})
    await pair.ask("DELETE", f"routers/{router['id']}")
