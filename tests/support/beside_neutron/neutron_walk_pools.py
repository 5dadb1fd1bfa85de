"""The walk through subnet pools: what people ask of them, and of subnets allocated from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import MEMBER, NOWHERE

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

V4: dict[str, Any] = {"name": "p", "prefixes": ["10.0.0.0/8"]}
V6: dict[str, Any] = {"name": "p6", "prefixes": ["fd00::/48"]}

POOLS: list[dict[str, Any]] = [
    {},
    {"name": "p"},
    {"prefixes": ["10.0.0.0/8"]},
    V4,
    V6,
    V4 | {"name": ""},
    V4 | {"name": "  "},
    V4 | {"name": None},
    V4 | {"prefixes": []},
    V4 | {"prefixes": None},
    V4 | {"prefixes": "10.0.0.0/8"},
    V4 | {"prefixes": ["10.0.0.0"]},
    V4 | {"prefixes": ["10.0.0.1/8"]},
    V4 | {"prefixes": ["nonsense"]},
    V4 | {"prefixes": [5]},
    V4 | {"prefixes": ["127.0.0.0/24"]},
    V4 | {"prefixes": ["10.0.0.0/8", "10.0.0.0/8"]},
    V4 | {"prefixes": ["10.0.0.0/8", "10.1.0.0/16"]},
    V4 | {"prefixes": ["10.0.1.0/24", "10.0.0.0/24", "10.0.2.0/24", "192.168.0.0/16"]},
    V4 | {"prefixes": ["10.0.0.0/8", "fd00::/48"]},
    V4 | {"prefixes": ["0.0.0.0/0"]},
    V6 | {"prefixes": ["FD00:0::/48", "fd00:1::/48"]},
    V4 | {"min_prefixlen": 16, "max_prefixlen": 28, "default_prefixlen": 24},
    V4 | {"min_prefixlen": "16"},
    V4 | {"min_prefixlen": "x"},
    V4 | {"min_prefixlen": -1},
    V4 | {"min_prefixlen": None},
    V4 | {"min_prefixlen": 33},
    V4 | {"max_prefixlen": 33},
    V4 | {"max_prefixlen": 7},
    V4 | {"min_prefixlen": 24, "max_prefixlen": 16},
    V4 | {"default_prefixlen": 7},
    V4 | {"default_prefixlen": 30, "max_prefixlen": 28},
    V4 | {"default_prefixlen": 33},
    V6 | {"min_prefixlen": 48, "max_prefixlen": 129},
    V6 | {"min_prefixlen": 48, "default_prefixlen": 64},
    V4 | {"default_quota": 0},
    V4 | {"default_quota": 512},
    V4 | {"default_quota": "512"},
    V4 | {"default_quota": -1},
    V4 | {"default_quota": "x"},
    V4 | {"default_quota": None},
    V4 | {"is_default": True},
    V4 | {"is_default": "yes"},
    V4 | {"is_default": "x"},
    V4 | {"shared": True, "description": "d"},
    V4 | {"shared": None},
    V4 | {"address_scope_id": None},
    V4 | {"tags": ["t"]},
    V4 | {"ip_version": 4},
    V4 | {"id": NOWHERE},
    V4 | {"project_id": "blue"},
    V4 | {"nonsense": 1},
]

CHANGES: list[dict[str, Any]] = [
    {},
    {"name": "q"},
    {"name": ""},
    {"description": "d"},
    {"prefixes": ["10.0.0.0/8", "11.0.0.0/8"]},
    {"prefixes": ["11.0.0.0/8"]},
    {"prefixes": ["10.0.0.0/8"]},
    {"prefixes": []},
    {"prefixes": None},
    {"prefixes": ["fd00::/48"]},
    {"prefixes": ["10.0.0.0/7", "fd00::/48"]},
    {"prefixes": ["10.0.0.0/7", "172.16.0.0/12"]},
    {"default_prefixlen": 26},
    {"default_prefixlen": "25"},
    {"min_prefixlen": 28},
    {"min_prefixlen": 16},
    {"max_prefixlen": 20},
    {"max_prefixlen": 33},
    {"min_prefixlen": 24, "default_prefixlen": 24, "max_prefixlen": 24},
    {"min_prefixlen": 20, "max_prefixlen": 28},
    {"default_quota": 4096},
    {"default_quota": -5},
    {"is_default": True},
    {"is_default": True},
    {"is_default": False},
    {"shared": True},
    {"ip_version": 6},
    {"project_id": "blue"},
    {"nonsense": 1},
]


async def _take(pair: Pair, **values: Any) -> Any:
    """Ask for a subnet, on a network of its own."""
    network = await pair.make("network", name="from-pool")
    return await pair.ask("POST", "subnets", {"subnet": {"network_id": network["id"], "ip_version": 4} | values})


async def subnet_pools(pair: Pair) -> None:
    """Create pools in every way, change one in every way, and allocate from some."""
    for values in POOLS:
        status, body = await pair.ask("POST", "subnetpools", {"subnetpool": values})
        if status == 201:
            await pair.ask("GET", f"subnetpools/{body['subnetpool']['id']}")
            await pair.ask("DELETE", f"subnetpools/{body['subnetpool']['id']}")
    pool = await pair.make("subnetpool", **V4, min_prefixlen=16, default_prefixlen=24)
    for values in CHANGES:
        await pair.ask("PUT", f"subnetpools/{pool['id']}", {"subnetpool": values})
        await pair.ask("GET", f"subnetpools/{pool['id']}")
    await _sizes(pair)
    await _defaults(pair)
    await _prefixes(pair)
    await _onboarded(pair)
    await _lists(pair)
    for method, body in (("GET", None), ("PUT", {"subnetpool": {}}), ("DELETE", None)):
        await pair.ask(method, f"subnetpools/{NOWHERE}", body)
    await _others(pair)


async def _sizes(pair: Pair) -> None:
    """Allocate blocks of every size."""
    values = {"min_prefixlen": 20, "max_prefixlen": 28, "default_prefixlen": 24}
    pool = await pair.make("subnetpool", name="s", prefixes=["10.1.0.0/22", "10.3.0.0/20"], **values)
    at = {"subnetpool_id": pool["id"]}
    asked: list[dict[str, Any]] = [
        {},
        {"ip_version": 6},
        {"gateway_ip": "10.3.9.0", "prefixlen": 25},
        {"ipv6_ra_mode": "slaac"},
        {"prefixlen": 26},
        {"prefixlen": "27"},
        {"prefixlen": 29},
        {"prefixlen": 19},
        {"prefixlen": 33},
        {"prefixlen": -1},
        {"prefixlen": "x"},
        {"prefixlen": None},
        {"prefixlen": 20},
        {"prefixlen": 23},
        {"prefixlen": 28, "gateway_ip": None},
        {"gateway_ip": "10.3.8.1"},
        {"gateway_ip": "10.3.8.9", "prefixlen": 25},
        {"gateway_ip": "fd00::1"},
        {"gateway_ip": "192.168.1.1"},
        {"cidr": "10.3.4.0/24"},
        {"cidr": "10.3.4.0/24"},
        {"cidr": "10.3.4.0/25"},
        {"cidr": "10.3.4.7/26"},
        {"cidr": "10.3.5.0/24", "prefixlen": 24},
        {"cidr": "192.168.0.0/24"},
        {"cidr": "10.3.5.0/30"},
        {"cidr": "10.0.0.0/8"},
        {"cidr": "fd00::/64"},
        {"cidr": "fd00::/64", "ip_version": 6},
        {"cidr": "10.3.6.0/24", "allocation_pools": [{"start": "10.3.6.10", "end": "10.3.6.20"}]},
        {"allocation_pools": [{"start": "10.3.6.10", "end": "10.3.6.20"}]},
        {"allocation_pools": []},
        {"use_default_subnetpool": True},
        {"enable_dhcp": False},
        {"host_routes": [{"destination": "1.0.0.0/8", "nexthop": "10.1.0.9"}]},
    ]
    for one in asked:
        await _take(pair, **at, **one)
    await pair.ask("GET", f"subnets?subnetpool_id={pool['id']}")
    await pair.ask("DELETE", f"subnetpools/{pool['id']}")
    for _ in range(4):
        await _take(pair, **at, prefixlen=22)
    for wanted in (NOWHERE, "x", 5):
        await _take(pair, subnetpool_id=wanted, cidr="10.9.0.0/24")
    await _take(pair, prefixlen=24)
    await _take(pair, prefixlen=24, cidr="10.9.0.0/24")
    _, found = await pair.ask("GET", f"subnets?subnetpool_id={pool['id']}&fields=id")
    for subnet in found["subnets"]:
        await pair.ask("DELETE", f"subnets/{subnet['id']}")
    await pair.ask("DELETE", f"subnetpools/{pool['id']}")
    await _limits(pair)


async def _limits(pair: Pair) -> None:
    """Allocate until the quota of a pool is reached, and from several pools on one network."""
    pool = await pair.make("subnetpool", name="l", prefixes=["10.64.0.0/10"], default_quota=512, default_prefixlen=24)
    for length in (24, 23, 24, 32):
        await _take(pair, subnetpool_id=pool["id"], prefixlen=length)
    six = await pair.make("subnetpool", name="l6", prefixes=["fd00::/48"], default_quota=3)
    for length in (64, 65, 66, 64, 72):
        await _take(pair, subnetpool_id=six["id"], prefixlen=length, ip_version=6)
    await pair.ask("PUT", f"subnetpools/{pool['id']}", {"subnetpool": {"default_quota": 100_000}})
    other = await pair.make("subnetpool", name="o", prefixes=["10.128.0.0/16"], default_prefixlen=24)
    network = await pair.make("network", name="affinity")
    here = {"network_id": network["id"], "ip_version": 4}
    for values in (
        {"subnetpool_id": pool["id"], "prefixlen": 24},
        {"subnetpool_id": pool["id"], "prefixlen": 24},
        {"subnetpool_id": other["id"]},
        {"cidr": "192.168.0.0/24"},
        {"cidr": "fd00:5::/64", "ip_version": 6},
        {"subnetpool_id": six["id"], "ip_version": 6},
    ):
        await pair.ask("POST", "subnets", {"subnet": here | values})
    plain = await pair.make("network", name="plain")
    await pair.make("subnet", network_id=plain["id"], cidr="10.5.0.0/24", ip_version=4)
    await pair.ask(
        "POST", "subnets", {"subnet": {"network_id": plain["id"], "ip_version": 4, "subnetpool_id": other["id"]}}
    )
    several = await pair.make("network", name="several")
    at = {"network_id": several["id"], "ip_version": 4, "subnetpool_id": other["id"]}
    await pair.ask("POST", "subnets", {"subnets": [at, at, at | {"prefixlen": 26}]})
    await pair.ask("GET", f"subnets?network_id={several['id']}")


async def _defaults(pair: Pair) -> None:
    """Allocate from the default pools."""
    for values in (
        {"use_default_subnetpool": True},
        {"use_default_subnetpool": True, "cidr": "10.9.0.0/24"},
    ):
        await _take(pair, **values)
    four = await pair.make("subnetpool", name="d", prefixes=["172.16.0.0/12"], is_default=True, default_prefixlen=24)
    six = await pair.make("subnetpool", **V6, is_default=True)
    await pair.ask("POST", "subnetpools", {"subnetpool": V4 | {"is_default": True}})
    for values in (
        {"use_default_subnetpool": True},
        {"use_default_subnetpool": True, "ip_version": 6},
        {"use_default_subnetpool": True, "cidr": "172.20.0.0/24"},
        {"use_default_subnetpool": True, "cidr": "10.9.0.0/24"},
        {"use_default_subnetpool": "x"},
        {"use_default_subnetpool": True, "prefixlen": 26},
    ):
        await _take(pair, **values)
    network = await pair.make("network", name="a-members", project_id="green")
    wanted = {"network_id": network["id"], "use_default_subnetpool": True, "ip_version": 4}
    await pair.ask("POST", "subnets", {"subnet": wanted}, project="green", **MEMBER)
    for pool in (four, six):
        await pair.ask("GET", f"subnetpools/{pool['id']}", project="green", **MEMBER)
        await pair.ask("PUT", f"subnetpools/{pool['id']}", {"subnetpool": {"is_default": False}})
        await pair.ask("GET", f"subnetpools/{pool['id']}")


async def _prefixes(pair: Pair) -> None:
    """Add prefixes to a pool, and remove some."""
    pool = await pair.make("subnetpool", name="x", prefixes=["10.0.0.0/24"], default_prefixlen=26)
    await _take(pair, subnetpool_id=pool["id"])
    for action, prefixes in (
        ("add_prefixes", ["10.0.1.0/24", "10.2.0.0/16"]),
        ("add_prefixes", ["10.0.1.0/24"]),
        ("add_prefixes", ["fd00::/64"]),
        ("add_prefixes", []),
        ("add_prefixes", "10.7.0.0/16"),
        ("add_prefixes", None),
        ("remove_prefixes", ["10.0.0.0/24"]),
        ("remove_prefixes", ["10.0.0.0/28"]),
        ("remove_prefixes", ["10.0.0.128/25"]),
        ("remove_prefixes", ["10.2.4.0/24"]),
        ("remove_prefixes", ["10.3.0.0/16"]),
        ("remove_prefixes", ["fd00::/64"]),
        ("remove_prefixes", []),
        ("remove_prefixes", None),
        ("add_prefixes", ["10.0.0.0/8"]),
        ("remove_prefixes", ["10.0.0.0/7"]),
        ("nonsense", ["10.0.0.0/8"]),
    ):
        await pair.ask("PUT", f"subnetpools/{pool['id']}/{action}", {"prefixes": prefixes})
        await pair.ask("GET", f"subnetpools/{pool['id']}")
    for body in ({}, {"prefixes": ["10.0.0.0/8"], "more": 1}):
        await pair.ask("PUT", f"subnetpools/{pool['id']}/add_prefixes", body)
    for action in ("add_prefixes", "remove_prefixes"):
        await pair.ask("PUT", f"subnetpools/{NOWHERE}/{action}", {"prefixes": ["10.0.0.0/8"]})


async def _onboarded(pair: Pair) -> None:
    """Take the subnets of networks into a pool."""
    pool = await pair.make("subnetpool", name="o", prefixes=["10.0.0.0/24"], default_prefixlen=26)
    network = await pair.make("network", name="on")
    for cidr, version in (("10.50.0.0/24", 4), ("10.50.1.0/24", 4), ("fd00::/64", 6)):
        await pair.make("subnet", network_id=network["id"], cidr=cidr, ip_version=version)
    onboard = f"subnetpools/{pool['id']}/onboard_network_subnets"
    for body in ({}, {"network_id": None}, {"network_id": NOWHERE}, {"network_id": network["id"]}):
        await pair.ask("PUT", onboard, body)
    await pair.ask("GET", f"subnetpools/{pool['id']}")
    await pair.ask("GET", f"subnets?network_id={network['id']}")
    await pair.ask("PUT", onboard, {"network_id": network["id"]})
    empty = await pair.make("network", name="empty-one")
    await pair.ask("PUT", onboard, {"network_id": empty["id"]})
    overlapping = await pair.make("network", name="overlapping")
    await pair.make("subnet", network_id=overlapping["id"], cidr="10.50.0.0/23", ip_version=4)
    await pair.ask("PUT", onboard, {"network_id": overlapping["id"]})
    await _take(pair, subnetpool_id=pool["id"], prefixlen=24)
    await _take(pair, subnetpool_id=pool["id"], prefixlen=24)
    await pair.ask(
        "POST", "subnets", {"subnet": {"network_id": network["id"], "ip_version": 4, "subnetpool_id": pool["id"]}}
    )


async def _lists(pair: Pair) -> None:
    """Ask for lists of pools."""
    tagged = await pair.make("subnetpool", name="tagged", prefixes=["10.0.0.0/8"], shared=True)
    await pair.ask("PUT", f"subnetpools/{tagged['id']}/tags", {"tags": ["a", "b"]})
    await pair.ask("GET", f"subnetpools/{tagged['id']}/tags")
    for query in (
        "",
        "?name=tagged",
        "?tags=a",
        "?shared=True",
        "?shared=False",
        "?is_default=False",
        "?ip_version=6",
        "?ip_version=x",
        "?ip_version=4",
        "?min_prefixlen=16",
        "?max_prefixlen=32",
        "?default_prefixlen=24",
        "?default_quota=512",
        "?description=",
        "?fields=id&fields=prefixes",
        "?sort_key=name&sort_dir=desc&name=tagged",
        "?limit=1&name=tagged",
        "?nonsense=1",
    ):
        await pair.ask("GET", f"subnetpools{query}")


async def _others(pair: Pair) -> None:
    """See and use the pools of others."""
    own = await pair.make("subnetpool", name="red-own", prefixes=["10.0.0.0/8"], default_prefixlen=24)
    shared = await pair.make(
        "subnetpool", name="red-shared", prefixes=["11.0.0.0/8"], default_prefixlen=24, shared=True
    )
    network = await pair.make("network", name="green", project_id="green")
    green: dict[str, str] = MEMBER | {"project": "green"}
    for pool in (own, shared):
        at = f"subnetpools/{pool['id']}"
        await pair.ask("GET", at, **green)
        await pair.ask("PUT", at, {"subnetpool": {"name": "x"}}, **green)
        await pair.ask("PUT", f"{at}/add_prefixes", {"prefixes": ["12.0.0.0/8"]}, **green)
        await pair.ask("PUT", f"{at}/onboard_network_subnets", {"network_id": network["id"]}, **green)
        await pair.ask("DELETE", at, **green)
        wanted = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": pool["id"]}
        await pair.ask("POST", "subnets", {"subnet": wanted}, **green)
    await pair.ask("GET", "subnetpools?name=red-shared", **green)
    for values in (V4, V4 | {"shared": True}, V4 | {"is_default": True}, V4 | {"project_id": "red"}):
        await pair.ask("POST", "subnetpools", {"subnetpool": values}, **green)
    mine = await pair.make("subnetpool", name="green", prefixes=["10.0.0.0/8"], project_id="green")
    for values in ({"name": "y"}, {"is_default": True}, {"is_default": False}):
        await pair.ask("PUT", f"subnetpools/{mine['id']}", {"subnetpool": values}, **green)
    theirs = await pair.make("network", name="red-shared", shared=True)
    await pair.make("subnet", network_id=theirs["id"], cidr="10.9.0.0/24", ip_version=4)
    for one in (network, theirs):
        await pair.ask("PUT", f"subnetpools/{mine['id']}/onboard_network_subnets", {"network_id": one["id"]}, **green)
    reader = {"roles": "reader", "project": "green"}
    await pair.ask("PUT", f"subnetpools/{mine['id']}", {"subnetpool": {"name": "z"}}, **reader)
    await pair.ask("POST", "subnetpools", {"subnetpool": V4}, **reader)
    await pair.ask("DELETE", f"subnetpools/{mine['id']}", **green)
