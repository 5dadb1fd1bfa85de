"""The walk goes on: routers and floating IPs, quotas, tags and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neutron_walk import MEMBER, NOWHERE, flat
from neutron_walk_ports import named

if TYPE_CHECKING:
    from side_by_side import Pair

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
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": [{}]}},
    {"external_gateway_info": {"network_id": "OUT", "external_fixed_ips": "x"}},
    {"external_gateway_info": {"network_id": "OUT", "qos_policy_id": None}},
    {"external_gateway_info": {"network_id": "EMPTY"}},
    {"routes": [{"destination": "1.0.0.0/8", "nexthop": "10.60.0.9"}]},
    {"routes": []},
    {"distributed": True},
    {"distributed": False},
    {"distributed": None},
    {"ha": True},
    {"ha": False},
    {"ha": None},
    {"availability_zone_hints": ["az1"]},
    {"availability_zone_hints": ["nowhere"]},
    {"availability_zone_hints": "az1"},
    {"flavor_id": NOWHERE},
    {"flavor_id": None},
    {"enable_ndp_proxy": False},
    {"enable_default_route_bfd": False},
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


async def routers(pair: Pair) -> None:
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
        None,
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
            await pair.ask("PUT", f"ports/{port['id']}", {"port": {"device_id": ""}})
            await pair.ask("PUT", f"ports/{port['id']}", {"port": {"device_owner": ""}})
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
        for routes in ROUTES:
            await pair.ask("PUT", f"{path}/{action}", {"router": {"routes": routes}})
    for body in ({}, {"router": {}}, {"router": None}, {"routes": []}):
        await pair.ask("PUT", f"{path}/add_extraroutes", body)
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
        {"network_id": "EMPTY"},
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
            {"device_id": ""},
            {"fixed_ips": [{"ip_address": "203.0.113.65"}]},
            {"device_owner": ""},
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
    await pair.ask("GET", f"routers?name=gateway at birth&fields=id")
    await pair.ask("PUT", f"routers/{private['id']}", {"router": {"external_gateway_info": {}}})
    await pair.ask("GET", "routers?distributed=True&fields=id")
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
        on | {"dns_name": "a", "dns_domain": "b.org."},
        on | {"dns_name": "a"},
        on | {"dns_name": "a.b"},
        on | {"router_id": NOWHERE},
        on | {"status": "ACTIVE"},
        on | {"qos_policy_id": None},
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
        {"router_id": NOWHERE},
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


async def lists(pair: Pair) -> None:
    """Ask for parts of lists in every way."""
    for name, tags in {"l1": ["a", "b"], "l2": ["b"], "l3": [], "l4": ["c"]}.items():
        network = await pair.make("network", name=name, project_id="listed", description=name[1])
        await pair.ask("PUT", f"networks/{network['id']}/tags", {"tags": tags})
    here = "networks?project_id=listed"
    for query in (
        "", "name=l1", "name=l1&name=l2", "name=", "name=L1", "fields=name", "fields=id&fields=name", "fields=nonsense",
        "fields=tenant_id", "fields=tags", "sort_key=name&sort_dir=asc", "sort_key=name&sort_dir=desc", "sort_key=name&sort_dir=up",
        "sort_dir=desc", "sort_key=name&sort_key=description&sort_dir=asc", "sort_key=name&sort_key=description&sort_dir=asc&sort_dir=desc",
        "sort_key=nonsense", "sort_key=subnets", "sort_key=tags", "sort_key=", "sort_key=created_at&fields=name",
        "sort_key=name&sort_dir=asc&limit=2&fields=name", "sort_key=name&sort_dir=asc&limit=0&fields=name", "limit=-1", "limit=x", "limit=", "limit=2&fields=x",
        "sort_key=name&sort_dir=asc&limit=1&page_reverse=True&fields=name", "sort_key=name&limit=2&sort_dir=desc&fields=name", "marker=x", f"marker={NOWHERE}", "marker=",
        "tags=a", "tags=a,b", "tags=b", "tags-any=a,c", "not-tags=a", "not-tags=a,b", "not-tags-any=b,c", "tags=a&not-tags=b",
        "tags=a&tags=b", "tags=", "not-tags=", "tags-any=", "nonsense=1", "nonsense=1&other=2", "admin_state_up=True", "admin_state_up=false", "admin_state_up=x",
        "shared=False", "router:external=False", "mtu=1442", "mtu=x", "status=ACTIVE", "status=nonsense", "id=x", "revision_number=1&fields=name",
        "provider:network_type=geneve&fields=name", "provider:network_type=vlan", "provider:physical_network=public", "description=1",
        "port_security_enabled=True&fields=name", "dns_domain=", "is_default=x", "vlan_transparent=True", "subnets=x", "availability_zone_hints=az1",
        "created_at=2020-01-01T00:00:00Z", "changed_since=2020-01-01T00:00:00Z&fields=name", "changed_since=x", "changed_since=2099-01-01T00:00:00",
        "name=l1&name=nothing", "tenant_id=listed&fields=name", "fields=all", "name=~l1", "page_reverse=x&limit=1&sort_key=name&sort_dir=asc&fields=name",
    ):  # fmt: skip
        await pair.ask("GET", f"{here}&{query}")
    _, body = await pair.ask("GET", f"{here}&sort_key=name&sort_dir=asc")
    second = body["networks"][1]["id"]
    for query in (
        f"sort_key=name&sort_dir=asc&limit=1&marker={second}", f"sort_key=name&sort_dir=asc&limit=1&marker={second}&page_reverse=True",
        f"sort_key=name&sort_dir=asc&marker={second}", f"sort_key=name&sort_dir=asc&limit=9&marker={second}", f"limit=9&marker={second}&sort_key=name&sort_dir=asc&page_reverse=true",
        f"sort_key=name&sort_dir=desc&limit=1&marker={second}", f"sort_key=name&sort_dir=asc&limit=9&marker={second}&fields=name",
        f"sort_key=name&sort_dir=asc&limit=2&marker={body['networks'][3]['id']}",
    ):  # fmt: skip
        await pair.ask("GET", f"{here}&{query}")
    for query in ("fields=name", "fields=nonsense", "nonsense=1", "fields=id&fields=mtu"):
        await pair.ask("GET", f"networks/{network['id']}?{query}")
    for path in (
        "networks",
        "ports",
        "subnets",
        "routers",
        "floatingips",
        "security-groups",
        "security-group-rules",
        "address-groups",
    ):
        await pair.ask("GET", f"{path}?nonsense=1")
        await pair.ask("GET", f"{path}?sort_key=nonsense&sort_dir=asc")
        await pair.ask("GET", f"{path}?id={NOWHERE}")
        for name in ("name", "description", "project_id", "status", "created_at", "revision_number", "tags", "tenant_id", "id",
                     "admin_state_up", "shared"):  # fmt: skip
            await pair.ask("GET", f"{path}?project_id=nobody&{name}=1")
            await pair.ask("GET", f"{path}?project_id=nobody&sort_key={name}&sort_dir=asc")
    tags = f"networks/{network['id']}/tags"
    for method, path, given in (
        ("GET", tags, None), ("PUT", tags, {"tags": ["x", "y"]}), ("PUT", tags, {"tags": ["x", "x"]}), ("PUT", tags, {"tags": "x"}),
        ("PUT", tags, {}), ("PUT", tags, {"tags": [5]}), ("PUT", tags, {"tags": ["x" * 256]}), ("PUT", tags, {"tags": [""]}),
        ("PUT", tags, {"tags": [f"t{i}" for i in range(51)]}), ("PUT", tags, None), ("POST", tags, {"tags": ["z"]}), ("POST", tags, {"tags": ["z"]}),
        ("GET", f"{tags}/x", None), ("GET", f"{tags}/nothing", None), ("PUT", f"{tags}/new", None), ("PUT", f"{tags}/new", None),
        ("PUT", f"{tags}/{'x' * 256}", None), ("DELETE", f"{tags}/new", None), ("DELETE", f"{tags}/new", None), ("GET", tags, None),
        ("DELETE", tags, None), ("DELETE", tags, None), ("GET", tags, None), ("GET", f"networks/{NOWHERE}/tags", None),
        ("PUT", f"networks/{NOWHERE}/tags/x", None), ("PUT", f"{tags}/a,b", None), ("PUT", f"{tags}/a%2Fb", None),
        ("PUT", tags, {"tags": ["a,b"]}), ("PUT", f"{tags}/a%20b", None), ("GET", f"nonsense/{NOWHERE}/tags", None), ("PUT", tags, {"tags": None}),
    ):  # fmt: skip
        await pair.ask(method, path, given)
    for path in (
        "quotas",
        "quotas/tenant",
        "quotas/project",
        "quotas/blue",
        "quotas/blue/default",
        "quotas/blue/details",
        "quotas/blue/nonsense",
    ):
        await pair.ask("GET", path)
    for quota in (
        {"network": 5}, {"network": -1}, {"network": -2}, {"network": "7"}, {"network": "x"}, {"network": None}, {"nonsense": 5}, {},
        {"port": 10, "subnet": 3}, {"network": 2147483648}, {"network": 1.5},
    ):  # fmt: skip
        await pair.ask("PUT", "quotas/yellow", {"quota": quota})
        await pair.ask("GET", "quotas/yellow")
    await pair.ask("PUT", "quotas/yellow", {})
    await pair.ask("PUT", "quotas/yellow", {"quota": {"network": 1}})
    for _ in range(2):
        await pair.ask("POST", "networks", {"network": {"project_id": "yellow"}})
    await pair.ask("POST", "networks", {"networks": [{"project_id": "yellow"}, {"project_id": "yellow"}]})
    await pair.ask("PUT", "quotas/yellow", {"quota": {"network": 0}})
    await pair.ask("PUT", "quotas/yellow", {"quota": {"network": 0, "check_limit": True}})
    await pair.ask("PUT", "quotas/yellow", {"quota": {"network": 0, "force": True}})
    await pair.ask("GET", "quotas/yellow/details")
    await pair.ask("GET", "quotas")
    for _ in range(2):
        await pair.ask("DELETE", "quotas/yellow")
    await pair.ask("POST", "quotas", {"quota": {}})
    for path in (
        "quotas",
        "quotas/blue",
        "quotas/red",
        "agents",
        "availability_zones",
        "availability_zones?resource=router",
    ):
        await pair.ask("GET", path, **MEMBER)
    await pair.ask("GET", "availability_zones")
    await pair.ask("GET", "availability_zones?state=available")
    await pair.ask("GET", "agents?nonsense=1")
    await pair.ask("GET", f"agents/{NOWHERE}")
    await pair.ask("GET", "agents?fields=host&fields=agent_type&fields=binary&fields=topic&fields=availability_zone")


async def members(pair: Pair) -> None:
    """Ask as somebody who is no administrator."""
    names: dict[str, str] = {}
    blue = {"roles": "member,reader", "project": "member-blue"}
    other = {"roles": "member,reader", "project": "member-green"}
    out = await pair.make("network", name="mout", **{"router:external": True}, **flat("mout"))
    await pair.make("subnet", network_id=out["id"], cidr="192.0.2.0/24", ip_version=4)
    shared = await pair.make("network", name="mshared", shared=True)
    sub = await pair.make("subnet", network_id=shared["id"], cidr="10.80.0.0/24", ip_version=4)
    _, mine = await pair.ask("POST", "networks", {"network": {"name": "mine"}}, **blue)
    network = mine["network"]["id"]
    _, made = await pair.ask(
        "POST", "subnets", {"subnet": {"network_id": network, "cidr": "10.81.0.0/24", "ip_version": 4}}, **blue
    )
    subnet = made["subnet"]["id"]
    names |= {"OUT": out["id"], "SHARED": shared["id"], "NET": network, "SUB": subnet, "SHAREDSUB": sub["id"]}
    for who in (blue, other):
        for path in (
            f"networks/{network}",
            f"networks/{out['id']}",
            f"networks/{shared['id']}",
            f"subnets/{subnet}",
            f"subnets/{sub['id']}",
        ):
            await pair.ask("GET", path, **who)
            await pair.ask("PUT", path, {path.split("s/")[0]: {"description": "x"}}, **who)
        for values in ({"network_id": "NET"}, {"network_id": "SHARED"}, {"network_id": "OUT"}):
            await pair.ask("POST", "ports", {"port": named(values, names)}, **who)
            body = named(values, names) | {"cidr": "10.82.0.0/24", "ip_version": 4}
            await pair.ask("POST", "subnets", {"subnet": body}, **who)
        for values in (
            {"shared": True}, {"router:external": True}, {"provider:network_type": "local"}, {"project_id": "other"}, {"mtu": 1400},
            {"provider:segmentation_id": 5}, {"shared": False}, {"router:external": False},
        ):  # fmt: skip
            await pair.ask("POST", "networks", {"network": values}, **who)
            await pair.ask("PUT", f"networks/{network}", {"network": values}, **who)
        for values in (
            {"binding:host_id": "host1"}, {"binding:vnic_type": "direct"}, {"mac_address": "fa:16:3e:44:00:01"}, {"device_owner": "network:dhcp"},
            {"fixed_ips": [{"ip_address": "10.80.0.99"}]}, {"port_security_enabled": False}, {"allowed_address_pairs": [{"ip_address": "1.1.1.1"}]},
        ):  # fmt: skip
            await pair.ask("POST", "ports", {"port": {"network_id": shared["id"]} | values}, **who)
        _, router = await pair.ask(
            "POST", "routers", {"router": {"external_gateway_info": {"network_id": out["id"]}}}, **who
        )
        path = f"routers/{router['router']['id']}"
        for key in ("SUB", "SHAREDSUB"):
            await pair.ask("PUT", f"{path}/add_router_interface", {"subnet_id": names[key]}, **who)
        await pair.ask(
            "PUT", path, {"router": {"external_gateway_info": {"network_id": out["id"], "enable_snat": False}}}, **who
        )
        await pair.ask("POST", "routers", {"router": {"distributed": True}}, **who)
        await pair.ask("POST", "floatingips", {"floatingip": {"floating_network_id": out["id"]}}, **who)
        await pair.ask(
            "POST",
            "floatingips",
            {"floatingip": {"floating_network_id": out["id"], "floating_ip_address": "192.0.2.9"}},
            **who,
        )
        for path in (
            "networks",
            "subnets",
            "ports",
            "routers",
            "floatingips",
            "security-groups",
            "security-group-rules",
            "address-groups",
        ):
            await pair.ask("GET", f"{path}?fields=id&fields=project_id", **who)
            await pair.ask("GET", f"{path}?binding:host_id=x", **who)
        await pair.ask("GET", "networks?provider:network_type=geneve", **who)
        await pair.ask("GET", "networks?shared=True&fields=name", **who)
        await pair.ask("GET", "networks?router:external=True&fields=name", **who)
        await pair.ask("GET", "security-groups", **who)
    await pair.ask("GET", f"networks/{network}")
