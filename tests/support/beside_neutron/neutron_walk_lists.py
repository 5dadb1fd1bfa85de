"""The walk goes on: parts of lists, tags, quotas, and what other people than administrators get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.beside_neutron.neutron_walk import MEMBER, NOWHERE, flat
from support.beside_neutron.neutron_walk_ports import named

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

QUERIES = """
name=l1 name=l1&name=l2 name= name=L1 fields=name fields=id&fields=name fields=nonsense fields=tenant_id
fields=tags sort_key=name&sort_dir=asc sort_key=name&sort_dir=desc sort_key=name&sort_dir=up sort_dir=desc
sort_key=name&sort_key=description&sort_dir=asc sort_key=name&sort_key=description&sort_dir=asc&sort_dir=desc
sort_key=nonsense sort_key=subnets sort_key=tags sort_key=name&sort_dir=asc&limit=2&fields=name
sort_key=name&sort_dir=asc&limit=0&fields=name limit=-1 limit=x limit=
sort_key=name&sort_dir=asc&limit=9&fields=x sort_key=name&sort_dir=asc&limit=1&page_reverse=True&fields=name
sort_key=name&limit=2&sort_dir=desc&fields=name marker= tags=a tags=a,b tags=b tags-any=a,c not-tags=a
not-tags=a,b not-tags-any=b,c tags=a&not-tags=b tags=a&tags=b tags= not-tags= tags-any= nonsense=1
nonsense=1&other=2 admin_state_up=True admin_state_up=false shared=False router:external=False mtu=1442
status=ACTIVE status=nonsense id=x revision_number=1&fields=name provider:network_type=geneve&fields=name
provider:network_type=vlan provider:physical_network=public description=1
port_security_enabled=True&fields=name dns_domain= subnets=x availability_zone_hints=az1
created_at=2020-01-01T00:00:00Z changed_since=2020-01-01T00:00:00Z&fields=name changed_since=x
changed_since=2099-01-01T00:00:00 name=l1&name=nothing tenant_id=listed&fields=name fields=all name=~l1
page_reverse=x&limit=1&sort_key=name&sort_dir=asc&fields=name
"""
"""What is asked of a list of four networks."""


async def lists(pair: Pair) -> None:
    """Ask for parts of lists in every way."""
    for name, tags in {"l1": ["a", "b"], "l2": ["b"], "l3": [], "l4": ["c"]}.items():
        network = await pair.make("network", name=name, project_id="listed", description=name[1])
        await pair.ask("PUT", f"networks/{network['id']}/tags", {"tags": tags})
    here = "networks?project_id=listed"
    for query in ("", *QUERIES.split()):
        await pair.ask("GET", f"{here}&{query}")
    _, body = await pair.ask("GET", f"{here}&sort_key=name&sort_dir=asc")
    second = body["networks"][1]["id"]
    for query in (
        f"sort_key=name&sort_dir=asc&limit=1&marker={second}",
        f"sort_key=name&sort_dir=asc&limit=1&marker={second}&page_reverse=True",
        f"sort_key=name&sort_dir=asc&limit=9&marker={second}",
        f"limit=9&marker={second}&sort_key=name&sort_dir=asc&page_reverse=true",
        f"sort_key=name&sort_dir=desc&limit=1&marker={second}",
        f"sort_key=name&sort_dir=asc&limit=9&marker={second}&fields=name",
        f"sort_key=name&sort_dir=asc&limit=2&marker={body['networks'][3]['id']}",
    ):
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
        for name in (
            "name",
            "description",
            "project_id",
            "status",
            "tags",
            "tenant_id",
            "id",
            "admin_state_up",
            "shared",
        ):
            await pair.ask("GET", f"{path}?project_id=nobody&{name}=1")
            await pair.ask("GET", f"{path}?project_id=nobody&sort_key={name}&sort_dir=asc")
    tags = f"networks/{network['id']}/tags"
    for method, path, given in (
        ("GET", tags, None),
        ("PUT", tags, {"tags": ["x", "y"]}),
        ("PUT", tags, {"tags": ["x", "x"]}),
        ("PUT", tags, {"tags": "x"}),
        ("PUT", tags, {}),
        ("PUT", tags, {"tags": [5]}),
        ("PUT", tags, {"tags": ["x" * 256]}),
        ("PUT", tags, {"tags": [f"t{i}" for i in range(51)]}),
        ("POST", tags, {"tags": ["z"]}),
        ("POST", tags, {"tags": ["z"]}),
        ("GET", f"{tags}/x", None),
        ("GET", f"{tags}/nothing", None),
        ("PUT", f"{tags}/new", None),
        ("PUT", f"{tags}/new", None),
        ("PUT", f"{tags}/{'x' * 256}", None),
        ("DELETE", f"{tags}/new", None),
        ("DELETE", f"{tags}/new", None),
        ("GET", tags, None),
        ("DELETE", tags, None),
        ("DELETE", tags, None),
        ("GET", tags, None),
        ("PUT", f"{tags}/a,b", None),
        ("PUT", tags, {"tags": ["a,b"]}),
        ("PUT", f"{tags}/a%20b", None),
        ("GET", f"nonsense/{NOWHERE}/tags", None),
        ("PUT", tags, {"tags": None}),
    ):
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
        {"network": 5},
        {"network": -1},
        {"network": -2},
        {"network": "7"},
        {"network": "x"},
        {"network": None},
        {"nonsense": 5},
        {},
        {"port": 10, "subnet": 3},
        {"network": 2147483648},
    ):
        await pair.ask("PUT", "quotas/yellow", {"quota": quota})
        await pair.ask("GET", "quotas/yellow")
    await pair.ask("PUT", "quotas/yellow", {"quota": {"network": 1}})
    for _ in range(2):
        await pair.ask("POST", "networks", {"network": {"project_id": "yellow"}})
    await pair.ask("POST", "networks", {"networks": [{"project_id": "yellow"}, {"project_id": "yellow"}]})
    await pair.ask("PUT", "quotas/yellow", {"quota": {"network": 0}})
    await pair.ask("PUT", "quotas/yellow", {"quota": {"network": 0, "check_limit": True}})
    await pair.ask("PUT", "quotas/yellow", {"quota": {"network": 0, "force": True}})
    await pair.ask("GET", "quotas/blue/details")
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
    await pair.ask("GET", "agents")


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
            {"shared": True},
            {"router:external": True},
            {"provider:network_type": "local"},
            {"project_id": "other"},
            {"mtu": 1400},
            {"provider:segmentation_id": 5},
            {"shared": False},
            {"router:external": False},
        ):
            await pair.ask("POST", "networks", {"network": values}, **who)
            await pair.ask("PUT", f"networks/{network}", {"network": values}, **who)
        for values in (
            {"binding:host_id": "host1"},
            {"binding:vnic_type": "direct"},
            {"mac_address": "fa:16:3e:44:00:01"},
            {"device_owner": "network:dhcp"},
            {"fixed_ips": [{"ip_address": "10.80.0.99"}]},
            {"port_security_enabled": False},
            {"allowed_address_pairs": [{"ip_address": "1.1.1.1"}]},
        ):
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
        await pair.ask("POST", "floatingips", {"floatingip": {"floating_network_id": out["id"]}}, **who)
        await pair.ask(
            "POST",
            "floatingips",
            {"floatingip": {"floating_network_id": out["id"], "floating_ip_address": "192.0.2.9"}},
            **who,
        )
        await pair.ask("GET", "security-groups", **who)
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
    await pair.ask("GET", f"networks/{network}")
