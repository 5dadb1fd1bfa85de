"""The walk through RBAC policies and address scopes: sharing, what may then be used, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import MEMBER, NOWHERE

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

RED, BLUE, GREEN = (letter * 32 for letter in "abc")

WRONG: list[dict[str, Any]] = [
    {"object_id": None},
    {"object_id": "x"},
    {"object_id": NOWHERE},
    {"object_type": "nonsense"},
    {"object_type": "subnetpool"},
    {"object_type": "security_group", "object_id": NOWHERE},
    {"object_type": " Network "},
    {"target_tenant": "blue"},
    {"target_tenant": None},
    {"target_tenant": 5},
    {"target_tenant": "*"},
    {"action": "nonsense"},
    {"action": 5},
    {"description": "d"},
    {"id": NOWHERE},
    {"tenant_id": BLUE},
    {},
]

SCOPES: list[dict[str, Any]] = [
    {},
    {"name": "s"},
    {"ip_version": 4},
    {"ip_version": "6"},
    {"ip_version": 5},
    {"ip_version": "x"},
    {"ip_version": None},
    {"ip_version": 4, "name": None},
    {"ip_version": 4, "name": "x" * 256},
    {"ip_version": 4, "shared": True},
    {"ip_version": 4, "description": "d"},
    {"ip_version": 4, "tags": ["t"]},
]


async def sharing(pair: Pair) -> None:
    """Walk through RBAC policies and address scopes."""
    await _requests(pair)
    await _networks(pair)
    await _external(pair)
    await _groups(pair)
    await _scopes(pair)


async def _ask(pair: Pair, who: str, method: str, path: str, body: Any = None, *, admin: bool = False) -> Any:
    return (await pair.ask(method, path, body, project=who, **({} if admin else MEMBER)))[1]


async def _made(pair: Pair, who: str, path: str, member: str, *, admin: bool = False, **values: Any) -> Any:
    answer = await _ask(pair, who, "POST", path, {member: values}, admin=admin)
    assert member in answer, (path, values, answer)
    return answer[member]["id"]


async def _share(pair: Pair, kind: str, uuid: str, target: str, action: str = "access_as_shared") -> Any:
    values = {"object_type": kind, "object_id": uuid, "target_tenant": target, "action": action}
    return await _made(pair, RED, "rbac-policies", "rbac_policy", admin=True, **values)


async def _requests(pair: Pair) -> None:
    network = await _made(pair, RED, "networks", "network")
    right = {"object_type": "network", "object_id": network, "target_tenant": BLUE, "action": "access_as_shared"}
    for body in WRONG:
        for admin in (False, True):
            made = await _ask(pair, RED, "POST", "rbac-policies", {"rbac_policy": right | body}, admin=admin)
            if "rbac_policy" in made:
                await _ask(pair, RED, "DELETE", f"rbac-policies/{made['rbac_policy']['id']}", admin=True)
    for name in right:
        body = {"rbac_policy": {key: value for key, value in right.items() if key != name}}
        if name != "object_type":
            await _ask(pair, RED, "POST", "rbac-policies", body)
    await _ask(pair, GREEN, "POST", "rbac-policies", {"rbac_policy": right})
    policy = await _share(pair, "network", network, BLUE)
    await _ask(pair, RED, "POST", "rbac-policies", {"rbac_policy": right})
    queries = ["", "?object_type=network", f"?object_id={network}", f"?target_tenant={BLUE}", "?target_tenant=x"]
    queries += ["?action=access_as_shared", "?fields=id&fields=action", "?nonsense=1", "?object_type=subnetpool"]
    for query in queries:
        for who in (RED, BLUE):
            await _ask(pair, who, "GET", f"rbac-policies{query}")
    for change in ({"target_tenant": "x"}, {"target_tenant": "*"}, {"action": "x"}, {"object_id": network},
                   {"nonsense": 1}, {"target_tenant": GREEN}, {"target_tenant": BLUE}):  # fmt: skip
        for who in (RED, BLUE):
            await _ask(pair, who, "PUT", f"rbac-policies/{policy}", {"rbac_policy": change})
    for who in (BLUE, RED, RED):
        await _ask(pair, who, "DELETE", f"rbac-policies/{policy}")
    await _ask(pair, RED, "DELETE", f"networks/{network}")


async def _seen(pair: Pair, *paths: str) -> None:
    for path in paths:
        for who in (RED, BLUE, GREEN):
            for query in ("", "&shared=True", "&shared=False"):
                await _ask(pair, who, "GET", f"{path}{query}")
    await _ask(pair, BLUE, "GET", paths[0], admin=True)


async def _networks(pair: Pair) -> None:
    network = await _made(pair, RED, "networks", "network", name="shared")
    subnet = await _made(pair, RED, "subnets", "subnet", network_id=network, ip_version=4, cidr="10.0.0.0/24")
    policy = await _share(pair, "network", network, BLUE)
    await _seen(pair, "networks?name=shared&fields=id&fields=shared", f"subnets?network_id={network}&fields=id")
    ports = [await _made(pair, who, "ports", "port", network_id=network) for who in (BLUE, RED)]
    await _ask(pair, GREEN, "POST", "ports", {"port": {"network_id": network}})
    for body in ({"name": "x"}, {"shared": True}):
        await _ask(pair, BLUE, "PUT", f"networks/{network}", {"network": body})
    await _ask(
        pair, BLUE, "POST", "subnets", {"subnet": {"network_id": network, "cidr": "10.1.0.0/24", "ip_version": 4}}
    )
    await _ask(pair, BLUE, "POST", "ports", {"port": {"network_id": network, "fixed_ips": [{"subnet_id": subnet}]}})
    path = f"rbac-policies/{policy}"
    await _ask(pair, RED, "DELETE", path)
    await _ask(pair, RED, "PUT", path, {"rbac_policy": {"target_tenant": GREEN}})
    await _ask(pair, RED, "PUT", f"networks/{network}", {"network": {"shared": True}}, admin=True)
    await _ask(pair, RED, "GET", f"rbac-policies?object_id={network}&fields=target_tenant&fields=action", admin=True)
    await _ask(pair, RED, "DELETE", path)
    await _ask(pair, RED, "PUT", f"networks/{network}", {"network": {"shared": False}}, admin=True)
    for port in [*ports, *(one["id"] for one in (await _ask(pair, BLUE, "GET", "ports"))["ports"])]:
        await _ask(pair, RED, "DELETE", f"ports/{port}", admin=True)
    await _ask(pair, RED, "PUT", f"networks/{network}", {"network": {"shared": False}}, admin=True)
    await _ask(pair, RED, "DELETE", f"networks/{network}")
    await _ask(pair, RED, "GET", "rbac-policies", admin=True)


async def _external(pair: Pair) -> None:
    network = await _made(pair, RED, "networks", "network", admin=True, **{"name": "out", "router:external": True})
    await _made(pair, RED, "subnets", "subnet", network_id=network, ip_version=4, cidr="10.2.0.0/24")
    everyone = (await _ask(pair, RED, "GET", f"rbac-policies?object_id={network}"))["rbac_policies"][0]["id"]
    gateway = {"external_gateway_info": {"network_id": network}}
    router = await _made(pair, BLUE, "routers", "router", **gateway)
    await _ask(pair, RED, "DELETE", f"rbac-policies/{everyone}")
    blue = await _share(pair, "network", network, BLUE, "access_as_external")
    await _ask(pair, RED, "DELETE", f"rbac-policies/{everyone}")
    seen = "fields=id&fields=shared&fields=router:external"
    for who in (BLUE, GREEN):
        await _ask(pair, who, "GET", f"networks?name=out&{seen}")
        await _ask(pair, who, "GET", f"subnets?network_id={network}&fields=id&fields=router:external")
        await _ask(pair, who, "POST", "floatingips", {"floatingip": {"floating_network_id": NOWHERE}})
    await _ask(pair, GREEN, "POST", "routers", {"router": gateway})
    await _ask(pair, RED, "DELETE", f"rbac-policies/{blue}", admin=True)
    await _ask(pair, RED, "PUT", f"rbac-policies/{blue}", {"rbac_policy": {"target_tenant": GREEN}}, admin=True)
    await _ask(pair, BLUE, "DELETE", f"routers/{router}")
    await _ask(pair, RED, "DELETE", f"rbac-policies/{blue}", admin=True)
    await _ask(pair, RED, "GET", f"networks/{network}?{seen}")
    await _ask(pair, RED, "DELETE", f"networks/{network}")


async def _groups(pair: Pair) -> None:
    group = await _made(pair, RED, "security-groups", "security_group", name="theirs")
    addresses = await _made(pair, RED, "address-groups", "address_group", addresses=["10.0.0.0/8"])
    policies = [
        await _share(pair, "security_group", group, BLUE),
        await _share(pair, "address_group", addresses, BLUE),
    ]
    await _seen(pair, "security-groups?name=theirs&fields=id&fields=shared")
    for who in (BLUE, GREEN):
        await _ask(pair, who, "GET", f"address-groups?id={addresses}")
        await _ask(pair, who, "PUT", f"security-groups/{group}", {"security_group": {"name": "x"}})
        await _ask(pair, who, "DELETE", f"security-groups/{group}")
        rule = {"security_group_id": group, "direction": "ingress"}
        await _ask(pair, who, "POST", "security-group-rules", {"security_group_rule": rule})
    network = await _made(pair, BLUE, "networks", "network")
    port = await _made(pair, BLUE, "ports", "port", network_id=network, security_groups=[group])
    own = await _made(pair, BLUE, "security-groups", "security_group", name="own")
    rule = {"security_group_id": own, "direction": "ingress"}
    rules = [
        await _made(pair, BLUE, "security-group-rules", "security_group_rule", **rule, **remote)
        for remote in ({"remote_address_group_id": addresses}, {"remote_group_id": group})
    ]
    for policy in policies:
        await _ask(pair, RED, "DELETE", f"rbac-policies/{policy}")
        await _ask(pair, RED, "PUT", f"rbac-policies/{policy}", {"rbac_policy": {"target_tenant": GREEN}})
    await _ask(pair, BLUE, "PUT", f"ports/{port}", {"port": {"security_groups": [own]}})
    await _ask(pair, BLUE, "DELETE", f"security-group-rules/{rules[0]}")
    for policy in policies:
        await _ask(pair, RED, "DELETE", f"rbac-policies/{policy}")
    await _ask(pair, BLUE, "PUT", f"ports/{port}", {"port": {"security_groups": [group]}})
    for path in (f"ports/{port}", f"networks/{network}", f"security-groups/{own}"):
        await _ask(pair, BLUE, "DELETE", path)
    for path in (f"security-groups/{group}", f"address-groups/{addresses}"):
        await _ask(pair, RED, "DELETE", path)


async def _scopes(pair: Pair) -> None:
    for body in SCOPES:
        for admin in (False, True):
            made = await _ask(pair, RED, "POST", "address-scopes", {"address_scope": body}, admin=admin)
            if "address_scope" in made:
                await _ask(pair, RED, "DELETE", f"address-scopes/{made['address_scope']['id']}", admin=True)
    scope = await _made(pair, RED, "address-scopes", "address_scope", name="s", ip_version=4)
    public = await _made(pair, RED, "address-scopes", "address_scope", ip_version=4, shared=True, admin=True)
    await _seen(pair, "address-scopes?fields=id&fields=shared")
    for body in ({"shared": False}, {"name": "t"}, {"ip_version": 6}):
        for who in (RED, BLUE):
            await _ask(pair, who, "PUT", f"address-scopes/{public}", {"address_scope": body}, admin=who == RED)
    pool = {"name": "p", "prefixes": ["10.0.0.0/16"], "address_scope_id": scope, "default_prefixlen": 24}
    first = await _made(pair, RED, "subnetpools", "subnetpool", **pool)
    for body in ({}, {"prefixes": ["fd00::/48"], "default_prefixlen": 64}, {"address_scope_id": NOWHERE},
                 {"address_scope_id": "x"}, {"prefixes": ["10.8.0.0/16"], "shared": True}):  # fmt: skip
        for who in (RED, BLUE):
            await _ask(pair, who, "POST", "subnetpools", {"subnetpool": pool | body}, admin=who == RED)
    second = await _made(pair, RED, "subnetpools", "subnetpool", **pool | {"prefixes": ["10.1.0.0/16"]})
    third = await _made(
        pair, RED, "subnetpools", "subnetpool", **pool | {"prefixes": ["10.2.0.0/16"], "address_scope_id": None}
    )
    theirs = await _made(
        pair, BLUE, "subnetpools", "subnetpool", **pool | {"prefixes": ["10.3.0.0/16"], "address_scope_id": public}
    )
    await _ask(pair, BLUE, "PUT", f"subnetpools/{theirs}", {"subnetpool": {"name": "x"}})
    await _ask(pair, RED, "PUT", f"subnetpools/{second}/add_prefixes", {"prefixes": ["10.0.1.0/24"]})
    network = await _made(pair, RED, "networks", "network")
    for one in (first, second, third):
        body = {"network_id": network, "ip_version": 4, "subnetpool_id": one}
        await _ask(pair, RED, "POST", "subnets", {"subnet": body})
    await _ask(pair, RED, "GET", f"networks/{network}?fields=ipv4_address_scope&fields=ipv6_address_scope")
    await _ask(pair, RED, "DELETE", f"address-scopes/{scope}")
    shared = {"object_type": "subnetpool", "object_id": first, "target_tenant": BLUE, "action": "access_as_shared"}
    await _ask(pair, RED, "POST", "rbac-policies", {"rbac_policy": shared})
    policies = [await _share(pair, "address_scope", scope, BLUE), await _share(pair, "subnetpool", first, BLUE)]
    await _seen(pair, f"subnetpools?id={first}&fields=id&fields=shared")
    blue = await _made(pair, BLUE, "networks", "network")
    subnet = await _made(pair, BLUE, "subnets", "subnet", network_id=blue, ip_version=4, subnetpool_id=first)
    for _ in range(2):
        for policy in reversed(policies):
            await _ask(pair, RED, "DELETE", f"rbac-policies/{policy}")
        await _ask(pair, BLUE, "DELETE", f"subnets/{subnet}")
    await _ask(pair, RED, "GET", "rbac-policies?fields=object_type&fields=target_tenant", admin=True)
