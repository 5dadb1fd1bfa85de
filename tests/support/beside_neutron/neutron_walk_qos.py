"""The walk through QoS: policies, rules of each type, what has a policy, and who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import MEMBER, NOWHERE, flat, vlan

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

RED, BLUE, GREEN = (letter * 32 for letter in "abc")
MANAGER = {"roles": "manager,member,reader"}

POLICIES: list[dict[str, Any]] = [
    {},
    {"name": "x" * 255},
    {"name": "x" * 256},
    {"name": None},
    {"name": 5},
    {"description": "x" * 256},
    {"shared": True},
    {"shared": "maybe"},
    {"shared": None},
    {"is_default": True},
    {"is_default": "maybe"},
    {"rules": []},
    {"tags": ["t"]},
    {"nonsense": 1},
    {"id": NOWHERE},
    {"tenant_id": BLUE},
]

RULES: dict[str, list[dict[str, Any]]] = {
    "bandwidth_limit": [
        {},
        {"max_kbps": 1000},
        {"max_kbps": "1000"},
        {"max_kbps": 0},
        {"max_kbps": -1},
        {"max_kbps": 2147483647},
        {"max_kbps": 2147483648},
        {"max_kbps": None},
        {"max_kbps": "x"},
        {"max_kbps": 1000, "max_burst_kbps": 100},
        {"max_kbps": 1000, "max_burst_kbps": -1},
        {"max_kbps": 1000, "max_burst_kbps": None},
        {"max_kbps": 1000, "direction": "ingress"},
        {"max_kbps": 1000, "direction": "any"},
        {"max_kbps": 1000, "direction": None},
        {"max_kbps": 1000, "id": NOWHERE},
        {"max_kbps": 1000, "qos_policy_id": NOWHERE},
        {"max_kbps": 1000, "tenant_id": RED},
        {"max_kbps": 1000, "nonsense": 1},
    ],
    "dscp_marking": [
        {},
        {"dscp_mark": 10},
        {"dscp_mark": "10"},
        {"dscp_mark": 0},
        {"dscp_mark": 11},
        {"dscp_mark": 42},
        {"dscp_mark": 56},
        {"dscp_mark": 64},
        {"dscp_mark": None},
        {"dscp_mark": 10, "direction": "egress"},
    ],
    "minimum_bandwidth": [
        {},
        {"min_kbps": 500},
        {"min_kbps": -1},
        {"min_kbps": 500, "direction": "ingress"},
        {"min_kbps": 500, "direction": "any"},
        {"min_kbps": 500, "max_kbps": 1},
    ],
    "minimum_packet_rate": [
        {},
        {"min_kpps": 5},
        {"min_kpps": 5, "direction": "any"},
        {"min_kpps": 5, "direction": "ingress"},
        {"min_kpps": 5, "direction": "x"},
        {"min_kpps": -1},
    ],
    "packet_rate_limit": [
        {},
        {"max_kpps": 5},
        {"max_kpps": 5, "direction": "any"},
        {"max_kpps": 5, "direction": "ingress", "max_burst_kpps": 9},
        {"max_kpps": 5, "max_burst_kpps": -1},
    ],
}


async def qos(pair: Pair) -> None:
    """Walk through QoS policies."""
    await _policies(pair)
    await _rule_types(pair)
    await _rules(pair)
    await _conflicts(pair)
    await _aliases(pair)
    await _who(pair)
    await _shared(pair)
    await _networks_and_ports(pair)
    await _packet_rates(pair)
    await _instances(pair)
    await _outside(pair)


async def _ask(pair: Pair, who: str, method: str, path: str, body: Any = None, how: Any = None) -> Any:
    return (await pair.ask(method, path, body, project=who, **(how or {})))[1]


async def _made(pair: Pair, who: str, path: str, member: str, how: Any = None, **values: Any) -> Any:
    answer = await _ask(pair, who, "POST", path, {member: values}, how)
    assert member in answer, (path, values, answer)
    return answer[member]["id"]


async def _policy(pair: Pair, who: str = RED, **values: Any) -> Any:
    return await _made(pair, who, "qos/policies", "policy", **values)


async def _rule(pair: Pair, policy: str, kind: str, who: str = RED, **values: Any) -> Any:
    return await _made(pair, who, f"qos/policies/{policy}/{kind}_rules", f"{kind}_rule", **values)


async def _gone(pair: Pair, *paths: str) -> None:
    for path in paths:
        await _ask(pair, RED, "DELETE", path)


async def _policies(pair: Pair) -> None:
    for body in POLICIES:
        for how in (None, MANAGER, MEMBER):
            made = await _ask(pair, RED, "POST", "qos/policies", {"policy": body}, how)
            if "policy" in made:
                await _gone(pair, f"qos/policies/{made['policy']['id']}")
    one = await _policy(pair, name="one", description="d", is_default=True)
    two = await _policy(pair, name="two", shared=True)
    await _ask(pair, RED, "POST", "qos/policies", {"policy": {"is_default": True}})
    queries = [
        "name=one",
        "name=x",
        "shared=True",
        "is_default=True",
        "description=d",
        f"id={one}",
        "fields=id&fields=rules",
    ]
    queries += ["sort_key=name&sort_dir=asc", "sort_key=name&sort_dir=desc&limit=1", "rules=x", "nonsense=1", "tags=t"]
    queries += [f"tenant_id={RED}", f"project_id={BLUE}"]
    for query in queries:
        for who in (RED, BLUE):
            await _ask(pair, who, "GET", f"qos/policies?{query}", None, MEMBER)
    for change in ({"name": "n"}, {"shared": True}, {"shared": False}, {"is_default": False}, {"is_default": True},
                   {"project_id": BLUE}, {"rules": []}, {"description": None}, {}):  # fmt: skip
        for who, how in ((RED, None), (RED, MANAGER), (RED, MEMBER), (BLUE, MANAGER)):
            await _ask(pair, who, "PUT", f"qos/policies/{one}", {"policy": change}, how)
    await _ask(pair, RED, "PUT", f"qos/policies/{two}", {"policy": {"is_default": True}})
    for uuid in (one, two, NOWHERE, "x"):
        for who in (RED, BLUE):
            await _ask(pair, who, "GET", f"qos/policies/{uuid}", None, MEMBER)
            await _ask(pair, who, "DELETE", f"qos/policies/{uuid}", None, MEMBER)
    for path in (f"policies/{one}/tags", f"policies/{two}/tags"):
        await _ask(pair, RED, "PUT", path, {"tags": ["t", "u"]}, MANAGER)
        await _ask(pair, RED, "GET", path, None, MEMBER)
        await _ask(pair, RED, "PUT", f"{path}/v", None, MEMBER)
        await _ask(pair, RED, "DELETE", f"{path}/t", None, MANAGER)
    await _ask(pair, RED, "GET", "qos/policies?tags=u&fields=name&fields=tags")
    for policy in (await _ask(pair, RED, "GET", "qos/policies"))["policies"]:
        await _gone(pair, f"qos/policies/{policy['id']}")


async def _rule_types(pair: Pair) -> None:
    await _ask(pair, RED, "GET", "qos/rule-types", None, {"roles": "nothing"})
    for query in ("", "?all_rules=True", "?all_supported=True", "?type=dscp_marking", "?fields=type", "?nonsense=1",
                  "?all_rules=x"):  # fmt: skip
        for how in (None, MEMBER):
            await _ask(pair, RED, "GET", f"qos/rule-types{query}", None, how)
    for kind in (*RULES, "nonsense"):
        for how in (None, MEMBER):
            await _ask(pair, RED, "GET", f"qos/rule-types/{kind}", None, how)
    await _ask(pair, RED, "POST", "qos/rule-types", {"rule_type": {"type": "x"}})


async def _rules(pair: Pair) -> None:
    policy = await _policy(pair, name="rules")
    for kind, bodies in RULES.items():
        path = f"qos/policies/{policy}/{kind}_rules"
        for body in bodies:
            made = await _ask(pair, RED, "POST", path, {f"{kind}_rule": body})
            if f"{kind}_rule" not in made:
                continue
            uuid = made[f"{kind}_rule"]["id"]
            for query in ("", "?fields=id", "?nonsense=1", f"?id={uuid}"):
                await _ask(pair, RED, "GET", f"{path}{query}")
            await _ask(pair, RED, "GET", f"{path}/{uuid}")
            await _ask(pair, RED, "GET", f"{path}/{uuid}?fields=id")
            await _ask(pair, RED, "GET", f"qos/policies/{policy}")
            for change in (*bodies[1:6], {"direction": "ingress"}, {}):
                await _ask(pair, RED, "PUT", f"{path}/{uuid}", {f"{kind}_rule": change})
            await _ask(pair, RED, "GET", f"qos/policies/{NOWHERE}/{kind}_rules/{uuid}")
            await _gone(pair, f"{path}/{uuid}")
        for method in ("GET", "DELETE"):
            await _ask(pair, RED, method, f"{path}/{NOWHERE}")
        await _ask(pair, RED, "POST", f"qos/policies/{NOWHERE}/{kind}_rules", {f"{kind}_rule": bodies[1]})
        await _ask(pair, RED, "GET", f"qos/policies/{NOWHERE}/{kind}_rules")
        await _ask(pair, RED, "POST", path, {"nonsense": {}})
    await _gone(pair, f"qos/policies/{policy}")


async def _conflicts(pair: Pair) -> None:
    policy = await _policy(pair)
    path = f"qos/policies/{policy}"
    limit = await _rule(pair, policy, "bandwidth_limit", max_kbps=1000)
    other = await _rule(pair, policy, "bandwidth_limit", max_kbps=2000, direction="ingress")
    await _ask(pair, RED, "POST", f"{path}/bandwidth_limit_rules", {"bandwidth_limit_rule": {"max_kbps": 5}})
    for rate in (1001, 1500, 1000):
        for way in ("egress", "ingress"):
            rule = {"min_kbps": rate, "direction": way}
            await _ask(pair, RED, "POST", f"{path}/minimum_bandwidth_rules", {"minimum_bandwidth_rule": rule})
    for uuid in (limit, other):
        for change in ({"max_kbps": 900}, {"max_kbps": 1200}, {"direction": "ingress"}, {"max_kbps": 3000},
                       {"max_kbps": 1000, "direction": "egress"}):  # fmt: skip
            await _ask(pair, RED, "PUT", f"{path}/bandwidth_limit_rules/{uuid}", {"bandwidth_limit_rule": change})
    first = await _rule(pair, policy, "minimum_packet_rate", min_kpps=5)
    for way in ("egress", "any", "ingress"):
        rule = {"min_kpps": 7, "direction": way}
        await _ask(pair, RED, "POST", f"{path}/minimum_packet_rate_rules", {"minimum_packet_rate_rule": rule})
    await _ask(
        pair, RED, "PUT", f"{path}/minimum_packet_rate_rules/{first}",
        {"minimum_packet_rate_rule": {"direction": "any"}},
    )  # fmt: skip
    await _rule(pair, policy, "dscp_marking", dscp_mark=8)
    await _ask(pair, RED, "POST", f"{path}/dscp_marking_rules", {"dscp_marking_rule": {"dscp_mark": 10}})
    await _ask(pair, RED, "GET", path)
    await _gone(pair, path)


async def _aliases(pair: Pair) -> None:
    policy = await _policy(pair)
    for kind in RULES:
        body = next(body for body in RULES[kind][1:])
        uuid = await _rule(pair, policy, kind, **body)
        path, member = f"qos/alias_{kind}_rules/{uuid}", f"alias_{kind}_rule"
        for how in (None, MANAGER, MEMBER):
            await _ask(pair, RED, "GET", path, None, how)
        for change in (*RULES[kind][1:4], {"direction": "ingress"}, {"nonsense": 1}):
            await _ask(pair, RED, "PUT", path, {member: change})
        await _ask(pair, RED, "PUT", path, {f"{kind}_rule": {}})
        for method in ("GET", "DELETE"):
            await _ask(pair, RED, method, f"qos/alias_{kind}_rules/{NOWHERE}")
        await _ask(pair, RED, "DELETE", path)
        await _ask(pair, RED, "GET", path)
    await _gone(pair, f"qos/policies/{policy}")


async def _who(pair: Pair) -> None:
    own, shared = await _policy(pair), await _policy(pair, shared=True)
    for policy in (own, shared):
        path = f"qos/policies/{policy}/bandwidth_limit_rules"
        uuid = await _rule(pair, policy, "bandwidth_limit", max_kbps=1000)
        for who, how in ((RED, MANAGER), (RED, MEMBER), (RED, {"roles": "reader"}), (BLUE, MANAGER), (BLUE, MEMBER)):
            rule = {"max_kbps": 500, "direction": "ingress"}
            made = await _ask(pair, who, "POST", path, {"bandwidth_limit_rule": rule}, how)
            await _ask(pair, who, "GET", path, None, how)
            await _ask(pair, who, "GET", f"{path}/{uuid}", None, how)
            await _ask(pair, who, "PUT", f"{path}/{uuid}", {"bandwidth_limit_rule": {"max_kbps": 900}}, how)
            if "bandwidth_limit_rule" in made:
                await _ask(pair, who, "DELETE", f"{path}/{made['bandwidth_limit_rule']['id']}", None, how)
            if how != MANAGER or who == BLUE:
                await _ask(pair, who, "DELETE", f"{path}/{uuid}", None, how)
    await _gone(pair, f"qos/policies/{own}", f"qos/policies/{shared}")


async def _shared(pair: Pair) -> None:
    policy = await _policy(pair, name="p")
    given = {"object_type": "qos_policy", "object_id": policy, "target_tenant": BLUE, "action": "access_as_shared"}
    await _ask(pair, BLUE, "POST", "rbac-policies", {"rbac_policy": given | {"target_tenant": GREEN}}, MEMBER)
    await _ask(pair, RED, "POST", "rbac-policies", {"rbac_policy": given | {"action": "access_as_external"}})
    blue = await _made(pair, RED, "rbac-policies", "rbac_policy", **given)
    for who in (RED, BLUE, GREEN):
        await _ask(pair, who, "GET", "qos/policies?fields=id&fields=shared", None, MEMBER)
        await _ask(pair, who, "POST", "networks", {"network": {"qos_policy_id": policy, "name": "has"}}, MEMBER)
    for _ in range(2):
        await _ask(pair, RED, "DELETE", f"rbac-policies/{blue}")
        await _ask(pair, RED, "PUT", f"rbac-policies/{blue}", {"rbac_policy": {"target_tenant": GREEN}})
        everyone = await _ask(pair, RED, "PUT", f"qos/policies/{policy}", {"policy": {"shared": True}})
        assert everyone["policy"]["shared"]
    await _ask(pair, RED, "PUT", f"qos/policies/{policy}", {"policy": {"shared": False}})
    await _ask(pair, RED, "GET", f"rbac-policies?object_id={policy}&fields=target_tenant")
    for one in (await _ask(pair, RED, "GET", "networks?name=has"))["networks"]:
        await _gone(pair, f"networks/{one['id']}")
    await _ask(pair, RED, "PUT", f"qos/policies/{policy}", {"policy": {"shared": False}})
    await _gone(pair, f"qos/policies/{policy}")


async def _networks_and_ports(pair: Pair) -> None:
    default = await _policy(pair, is_default=True)
    one, two = await _policy(pair, name="one", shared=True), await _policy(pair, BLUE, name="two")
    await _rule(pair, one, "bandwidth_limit", max_kbps=1000, max_burst_kbps=200)
    await _rule(pair, one, "dscp_marking", dscp_mark=16)
    await _rule(pair, default, "bandwidth_limit", max_kbps=300, direction="ingress")
    guarantee = await _rule(pair, one, "minimum_bandwidth", min_kbps=100)
    network = await _made(pair, RED, "networks", "network", name="n")
    wire = await _made(pair, RED, "networks", "network", qos_policy_id=one, **vlan("public", 3001))
    for policy in (NOWHERE, "x", two, None, 5):
        for how in (None, MEMBER):
            answer = await _ask(pair, RED, "POST", "networks", {"network": {"qos_policy_id": policy}}, how)
            if "network" in answer:
                await _gone(pair, f"networks/{answer['network']['id']}")
            answer = await _ask(
                pair, RED, "POST", "ports", {"port": {"network_id": wire, "qos_policy_id": policy}}, how
            )
            if "port" in answer:
                await _gone(pair, f"ports/{answer['port']['id']}")
            await _ask(pair, RED, "PUT", f"networks/{network}", {"network": {"qos_policy_id": policy}}, how)
    ports = [
        await _made(pair, RED, "ports", "port", network_id=where, **more)
        for where in (network, wire)
        for more in (
            {}, {"qos_policy_id": one}, {"qos_policy_id": default}, {"device_owner": "network:x"},
            {"binding:vnic_type": "direct", "qos_policy_id": None} if where == network else {"name": "other"},
        )
    ]  # fmt: skip
    await pair.same_qos()
    direct = {"network_id": wire, "binding:vnic_type": "direct"}
    await _ask(pair, RED, "POST", "ports", {"port": direct})
    await _ask(pair, RED, "POST", "ports", {"port": direct | {"network_id": network, "qos_policy_id": one}})
    await _ask(pair, RED, "PUT", f"ports/{ports[4]}", {"port": {"qos_policy_id": one}})
    await _ask(pair, RED, "PUT", f"networks/{network}", {"network": {"qos_policy_id": one}})
    await _ask(pair, RED, "GET", "ports?fields=id&fields=qos_policy_id&fields=qos_network_policy_id")
    for port in ports:
        await _ask(pair, RED, "GET", f"ports/{port}?fields=resource_request&fields=qos_policy_id", None, None)
        await _ask(pair, RED, "GET", f"ports/{port}?fields=resource_request", None, MEMBER)
    await _ask(pair, RED, "DELETE", f"ports/{ports[4]}")
    for where in (network, wire):
        for policy in (None, one, default):
            await _ask(pair, RED, "PUT", f"networks/{where}", {"network": {"qos_policy_id": policy}})
            await pair.same_qos()
    for policy in (one, None, default):
        for port in (ports[0], ports[6]):
            await _ask(pair, RED, "PUT", f"ports/{port}", {"port": {"qos_policy_id": policy}})
        await pair.same_qos()
    await _ask(pair, RED, "PUT", f"ports/{ports[0]}", {"port": {"qos_policy_id": two}}, MEMBER)
    await _ask(pair, RED, "PUT", f"ports/{ports[0]}", {"port": {"qos_policy_id": two}})
    await _ask(pair, RED, "PUT", f"ports/{ports[0]}", {"port": {"qos_policy_id": None}}, MEMBER)
    await _ask(pair, RED, "PUT", f"ports/{ports[0]}", {"port": {"name": "y"}}, MEMBER)
    await _ask(pair, RED, "PUT", f"networks/{network}", {"network": {"qos_policy_id": two}})
    await _ask(pair, RED, "PUT", f"networks/{network}", {"network": {"qos_policy_id": None}}, MEMBER)
    for policy in (one, two, default):
        await _ask(pair, RED, "DELETE", f"qos/policies/{policy}")
    limits = (await _ask(pair, RED, "GET", f"qos/policies/{one}/bandwidth_limit_rules"))["bandwidth_limit_rules"]
    for change in ({"max_kbps": 700}, {"direction": "ingress"}, {"max_burst_kbps": 0}):
        path = f"qos/policies/{one}/bandwidth_limit_rules/{limits[0]['id']}"
        await _ask(pair, RED, "PUT", path, {"bandwidth_limit_rule": change})
    await _gone(pair, f"qos/policies/{one}/minimum_bandwidth_rules/{guarantee}")
    await _gone(pair, *(f"ports/{port}" for port in ports), f"networks/{network}", f"networks/{wire}")
    await pair.same_qos()
    await _gone(pair, *(f"qos/policies/{policy}" for policy in (one, two, default)))


async def _packet_rates(pair: Pair) -> None:
    network = await _made(pair, RED, "networks", "network")
    port = await _made(pair, RED, "ports", "port", network_id=network)
    for kind in ("minimum_packet_rate", "packet_rate_limit"):
        policy = await _policy(pair)
        await _rule(pair, policy, kind, **RULES[kind][1])
        for path, member in ((f"networks/{network}", "network"), (f"ports/{port}", "port")):
            await _ask(pair, RED, "PUT", path, {member: {"qos_policy_id": policy}})
        await _ask(pair, RED, "POST", "networks", {"network": {"qos_policy_id": policy}})
        await _ask(pair, RED, "POST", "ports", {"port": {"network_id": network, "qos_policy_id": policy}})
        await _gone(pair, f"qos/policies/{policy}")
        policy = await _policy(pair)
        await _ask(pair, RED, "PUT", f"networks/{network}", {"network": {"qos_policy_id": policy}})
        rule = {f"{kind}_rule": RULES[kind][1]}
        await _ask(pair, RED, "POST", f"qos/policies/{policy}/{kind}_rules", rule)
        await _ask(pair, RED, "PUT", f"networks/{network}", {"network": {"qos_policy_id": None}})
        await _gone(pair, f"qos/policies/{policy}")
    await _gone(pair, f"ports/{port}", f"networks/{network}")


async def _instances(pair: Pair) -> None:
    policy = await _policy(pair)
    network = await _made(pair, RED, "networks", "network", **vlan("public", 3002))
    owner = {"device_owner": "compute:nova", "device_id": "i"}
    limit = await _rule(pair, policy, "bandwidth_limit", max_kbps=1000)
    guarantee = await _rule(pair, policy, "minimum_bandwidth", min_kbps=100, direction="ingress")
    port = await _made(pair, RED, "ports", "port", network_id=network, qos_policy_id=policy, **owner)
    path = f"qos/policies/{policy}"
    await _ask(pair, RED, "POST", f"{path}/minimum_bandwidth_rules", {"minimum_bandwidth_rule": {"min_kbps": 5}})
    rule = f"{path}/minimum_bandwidth_rules/{guarantee}"
    await _ask(pair, RED, "PUT", rule, {"minimum_bandwidth_rule": {"min_kbps": 5}})
    await _ask(pair, RED, "DELETE", rule)
    await _ask(pair, RED, "PUT", f"{path}/bandwidth_limit_rules/{limit}", {"bandwidth_limit_rule": {"max_kbps": 5}})
    await _gone(pair, f"ports/{port}", f"networks/{network}", path)


async def _outside(pair: Pair) -> None:
    policy, other = await _policy(pair, shared=True), await _policy(pair, BLUE)
    await _rule(pair, policy, "bandwidth_limit", max_kbps=1000, max_burst_kbps=100)
    await _rule(pair, policy, "bandwidth_limit", max_kbps=2000, direction="ingress")
    await _rule(pair, policy, "minimum_bandwidth", min_kbps=100)
    outside = await _made(pair, RED, "networks", "network", **flat("flat-qos"), **{"router:external": True})
    await _made(pair, RED, "subnets", "subnet", network_id=outside, ip_version=4, cidr="10.77.0.0/24")
    inside = await _made(pair, RED, "networks", "network")
    subnet = await _made(pair, RED, "subnets", "subnet", network_id=inside, ip_version=4, cidr="10.78.0.0/24")
    gateway = {"network_id": outside}
    for wrong in (NOWHERE, "x", other):
        for how in (None, MEMBER):
            body = {"external_gateway_info": gateway | {"qos_policy_id": wrong}}
            made = await _ask(pair, RED, "POST", "routers", {"router": body}, how)
            if "router" in made:
                await _gone(pair, f"routers/{made['router']['id']}")
            floating = {"floating_network_id": outside, "qos_policy_id": wrong}
            made = await _ask(pair, RED, "POST", "floatingips", {"floatingip": floating}, how)
            if "floatingip" in made:
                await _gone(pair, f"floatingips/{made['floatingip']['id']}")
    given = {"external_gateway_info": gateway | {"qos_policy_id": policy}}
    router = await _made(pair, RED, "routers", "router", MEMBER, **given)
    await _ask(pair, RED, "GET", f"ports?device_id={router}&fields=id&fields=qos_policy_id")  # what is its gateway's id
    await _ask(pair, RED, "PUT", f"routers/{router}/add_router_interface", {"subnet_id": subnet})
    port = await _made(pair, RED, "ports", "port", network_id=inside)
    floating = await _made(
        pair, RED, "floatingips", "floatingip", MEMBER, floating_network_id=outside, qos_policy_id=policy
    )
    await pair.same_qos()
    await _ask(pair, RED, "DELETE", f"qos/policies/{policy}")
    await _ask(pair, RED, "PUT", f"floatingips/{floating}", {"floatingip": {"port_id": port}})
    await pair.same_qos()
    changes: list[dict[str, Any]] = [{"qos_policy_id": None}, {"qos_policy_id": policy}, {"description": "d"}]
    for change in changes:
        await _ask(pair, RED, "PUT", f"floatingips/{floating}", {"floatingip": change}, MEMBER)
        await pair.same_qos()
    for change in ({"qos_policy_id": None}, {}, {"qos_policy_id": policy}, {}):
        body = {"external_gateway_info": gateway | change}
        await _ask(pair, RED, "PUT", f"routers/{router}", {"router": body}, MEMBER)
        await pair.same_qos()
    for change in ({"qos_policy_id": policy}, {"qos_policy_id": None}):
        await _ask(pair, RED, "PUT", f"networks/{outside}", {"network": change})
        await _ask(pair, RED, "GET", f"routers/{router}")
        await _ask(pair, RED, "GET", f"floatingips/{floating}")
        await pair.same_qos()
    await _ask(pair, RED, "PUT", f"floatingips/{floating}", {"floatingip": {"port_id": None}})
    await pair.same_qos()
    await _gone(pair, f"floatingips/{floating}", f"qos/policies/{policy}")
    await _ask(pair, RED, "PUT", f"routers/{router}", {"router": {"external_gateway_info": {}}})
    await _ask(pair, RED, "GET", f"routers/{router}")
    await pair.same_qos()
    await _ask(pair, RED, "PUT", f"routers/{router}/remove_router_interface", {"subnet_id": subnet})
    await _gone(pair, f"routers/{router}", f"ports/{port}", f"networks/{inside}", f"networks/{outside}")
    await _gone(pair, f"qos/policies/{policy}", f"qos/policies/{other}")
