"""QoS policies and their rules; who may use them; and what keeps them from going."""

from __future__ import annotations

import asyncio

import pytest

from ovenbird.model import cloud
from ovenbird.ovsdb.errors import ReferentialIntegrityViolation

RULES = {
    "bandwidth_limit": {"max_kbps": 1000, "max_burst_kbps": 100, "direction": "ingress"},
    "dscp_marking": {"dscp_mark": 10},
    "minimum_bandwidth": {"min_kbps": 5, "direction": "egress"},
    "minimum_packet_rate": {"min_kpps": 5, "direction": "any"},
    "packet_rate_limit": {"max_kpps": 5, "max_burst_kpps": 0, "direction": "egress"},
}


async def made(neutron, path, member, **values):
    status, body = await neutron.ask("POST", path, {member: values})
    assert status == 201, body
    return body[member]


async def policy_of(neutron, **values):
    return await made(neutron, "qos/policies", "policy", **values)


async def rule_of(neutron, policy, kind, **values):
    return await made(neutron, f"qos/policies/{policy['id']}/{kind}_rules", f"{kind}_rule", **values)


@pytest.mark.parametrize("kind", RULES)
async def test_a_rule_is_made_shown_changed_and_deleted(neutron, kind):
    policy, values = await policy_of(neutron), RULES[kind]
    path = f"qos/policies/{policy['id']}"
    rule = await rule_of(neutron, policy, kind, **values)
    assert rule == values | {"id": rule["id"]}
    assert await neutron.ask("GET", f"{path}/{kind}_rules") == (200, {f"{kind}_rules": [rule]})
    shown = (await neutron.ask("GET", path))[1]["policy"]
    assert shown["rules"] == [rule | {"qos_policy_id": policy["id"], "type": kind}]
    assert shown["revision_number"] == policy["revision_number"] + 1
    assert await neutron.refused(409, "QoSRulesConflict", "POST", f"{path}/{kind}_rules", {f"{kind}_rule": values})
    name, number = next(iter(values.items()))
    changed = {name: 12 if kind == "dscp_marking" else number + 1}
    answer = await neutron.ask("PUT", f"{path}/{kind}_rules/{rule['id']}", {f"{kind}_rule": changed})
    assert answer == (200, {f"{kind}_rule": rule | changed})
    other = await policy_of(neutron)
    elsewhere = f"qos/policies/{other['id']}/{kind}_rules/{rule['id']}"
    await neutron.refused(404, "QosRuleNotFound", "GET", elsewhere)
    await neutron.refused(
        412, "RevisionNumberConstraintFailed", "DELETE", f"{path}/{kind}_rules/{rule['id']}",
        If_Match="revision_number=1",
    )  # fmt: skip
    assert await neutron.ask("DELETE", f"{path}/{kind}_rules/{rule['id']}") == (204, None)
    assert (await neutron.ask("GET", path))[1]["policy"]["rules"] == []


@pytest.mark.parametrize("kind", [kind for kind in RULES if kind != "packet_rate_limit"])
async def test_a_rule_has_an_address_without_its_policy(neutron, kind):
    policy = await policy_of(neutron)
    rule = await rule_of(neutron, policy, kind, **RULES[kind])
    path, member = f"qos/alias_{kind}_rules/{rule['id']}", f"alias_{kind}_rule"
    assert await neutron.ask("GET", path) == (200, {member: rule})
    assert (await neutron.ask("PUT", path, {member: RULES[kind]}))[1] == {member: rule}
    await neutron.refused(405, "HTTPMethodNotAllowed", "GET", f"qos/alias_{kind}_rules")
    await neutron.refused(405, "HTTPMethodNotAllowed", "POST", f"qos/alias_{kind}_rules", {member: RULES[kind]})
    assert await neutron.ask("DELETE", path) == (204, None)
    await neutron.refused(404, "QosRuleNotFound", "GET", path)


async def test_guarantees_and_limits_agree(neutron):
    policy = await policy_of(neutron)
    path = f"qos/policies/{policy['id']}"
    limit = await rule_of(neutron, policy, "bandwidth_limit", max_kbps=1000)
    rules, member = f"{path}/minimum_bandwidth_rules", "minimum_bandwidth_rule"
    await neutron.refused(409, "QoSRuleParameterConflict", "POST", rules, {member: {"min_kbps": 1001}})
    await rule_of(neutron, policy, "minimum_bandwidth", min_kbps=1001, direction="ingress")
    await rule_of(neutron, policy, "minimum_bandwidth", min_kbps=1000)
    body = {"bandwidth_limit_rule": {"max_kbps": 999, "direction": "egress"}}
    await neutron.refused(
        409, "QoSRuleParameterConflict", "PUT", f"{path}/bandwidth_limit_rules/{limit['id']}", body
    )  # fmt: skip
    rates, member = f"{path}/minimum_packet_rate_rules", "minimum_packet_rate_rule"
    await rule_of(neutron, policy, "minimum_packet_rate", min_kpps=1)
    await neutron.refused(
        409, "QoSRuleParameterConflict", "POST", rates, {member: {"min_kpps": 1, "direction": "any"}}
    )  # fmt: skip
    twice = {"dscp_marking_rules": [{"dscp_mark": 8}, {"dscp_mark": 10}]}
    await neutron.refused(409, "QoSRulesConflict", "POST", f"{path}/dscp_marking_rules", twice)


async def test_of_two_equal_rules_made_at_once_one_is_there(neutron):
    policy = await policy_of(neutron)
    path = f"qos/policies/{policy['id']}/dscp_marking_rules"
    asked = [neutron.ask("POST", path, {"dscp_marking_rule": {"dscp_mark": mark}}) for mark in (8, 10, 12)]
    assert sorted(status for status, _ in await asyncio.gather(*asked)) == [201, 409, 409]


async def test_a_policy_in_use_stays(neutron):
    outside, network, _, router, port = await neutron.routed()
    policy = await policy_of(neutron)
    await rule_of(neutron, policy, "bandwidth_limit", max_kbps=5)
    floating = await neutron.create("floatingip", floating_network_id=outside["id"])
    gateway = {"network_id": outside["id"], "qos_policy_id": policy["id"]}
    given = {"qos_policy_id": policy["id"]}
    users = [
        ("fip", "floatingip", floating, given, {"qos_policy_id": None}),
        ("router", "router", router, {"external_gateway_info": gateway}, {"external_gateway_info": {}}),
        ("network", "network", network, given, {"qos_policy_id": None}),
        ("port", "port", port, given, {"qos_policy_id": None}),
    ]
    for what, member, user, has, has_none in users:
        status, body = await neutron.ask("PUT", f"{member}s/{user['id']}", {member: has})
        assert status == 200, body
        shown = body[member]["external_gateway_info"] if member == "router" else body[member]
        assert shown["qos_policy_id"] == policy["id"]
        message = await neutron.refused(409, "QosPolicyInUse", "DELETE", f"qos/policies/{policy['id']}")
        assert message.endswith(f"is used by {what} {user['id']}.")
        transaction = neutron.cloud.transaction()
        transaction.delete(neutron.cloud.store.table(cloud.QosPolicy).get(policy["id"]))
        with pytest.raises(ReferentialIntegrityViolation):  # whoever deletes it
            await neutron.cloud.commit(transaction)
        assert (await neutron.ask("PUT", f"{member}s/{user['id']}", {member: has_none}))[0] == 200
    assert await neutron.ask("DELETE", f"qos/policies/{policy['id']}") == (204, None)


async def test_a_gateway_keeps_its_policy_until_it_goes(neutron):
    outside, _, _, router, _ = await neutron.routed()
    other, _ = await neutron.outside(**{"provider:physical_network": "other"})
    policy = await policy_of(neutron)
    path = f"routers/{router['id']}"
    for given, wanted in (
        ({"qos_policy_id": policy["id"]}, policy["id"]), ({"enable_snat": False}, policy["id"]),
        ({"network_id": other["id"]}, policy["id"]), (None, None), ({}, None),
    ):  # fmt: skip
        info = {"network_id": outside["id"]} | given if given is not None else {}
        _, body = await neutron.ask("PUT", path, {"router": {"external_gateway_info": info}})
        assert (body["router"]["external_gateway_info"] or {}).get("qos_policy_id") == wanted


async def test_a_project_has_one_default_for_its_networks(neutron):
    policy = await policy_of(neutron, is_default=True)
    await neutron.refused(
        409, "QoSPolicyDefaultAlreadyExists", "POST", "qos/policies", {"policy": {"is_default": True}}
    )
    other = await policy_of(neutron)
    networks = [await neutron.network(), await neutron.network(qos_policy_id=other["id"])]
    assert [one["qos_policy_id"] for one in networks] == [policy["id"], other["id"]]
    await neutron.ask("PUT", f"qos/policies/{policy['id']}", {"policy": {"is_default": False}})
    assert (await neutron.network())["qos_policy_id"] is None
    changed = (await neutron.ask("PUT", f"qos/policies/{other['id']}", {"policy": {"is_default": True}}))[1]
    assert changed["policy"]["is_default"]


async def test_ports_show_their_networks_policy_and_what_placement_allocates(neutron):
    policy, own = await policy_of(neutron), await policy_of(neutron)
    await rule_of(neutron, policy, "minimum_bandwidth", min_kbps=7)
    await rule_of(neutron, policy, "minimum_bandwidth", min_kbps=9, direction="ingress")
    wire = {"provider:network_type": "vlan", "provider:physical_network": "net-0", "provider:segmentation_id": 4}
    network = await neutron.network(qos_policy_id=policy["id"], **wire)
    port, other = await neutron.port(network), await neutron.port(network, qos_policy_id=own["id"])
    assert [one["qos_network_policy_id"] for one in (port, other)] == [policy["id"]] * 2
    assert (port["qos_policy_id"], other["qos_policy_id"], other["resource_request"]) == (None, own["id"], None)
    [group] = port["resource_request"]["request_groups"]
    assert port["resource_request"]["same_subtree"] == [group["id"]]
    assert group["required"] == ["CUSTOM_PHYSNET_NET_0", "CUSTOM_VNIC_TYPE_NORMAL"]
    assert group["resources"] == {"NET_BW_EGR_KILOBIT_PER_SEC": 7, "NET_BW_IGR_KILOBIT_PER_SEC": 9}
    tunnel = await neutron.port(await neutron.network(), qos_policy_id=policy["id"])
    assert tunnel["resource_request"]["request_groups"][0]["required"][0] == "CUSTOM_NETWORK_TUNNEL_PROVIDER"


async def test_what_ports_cannot_have_is_refused(neutron):
    policy, limits = await policy_of(neutron), await policy_of(neutron)
    await rule_of(neutron, limits, "bandwidth_limit", max_kbps=5)
    network = await neutron.network()
    port, direct = await neutron.port(network), await neutron.port(network, **{"binding:vnic_type": "direct"})
    given = {"qos_policy_id": policy["id"]}
    await neutron.ask("PUT", f"ports/{port['id']}", {"port": given})
    rates = f"qos/policies/{policy['id']}/packet_rate_limit_rules"
    await neutron.refused(409, "QosRuleNotSupported", "POST", rates, {"packet_rate_limit_rule": {"max_kpps": 5}})
    await neutron.ask("PUT", f"ports/{port['id']}", {"port": {"qos_policy_id": None}})
    await rule_of(neutron, policy, "packet_rate_limit", max_kpps=5)
    await neutron.refused(409, "QosRuleNotSupported", "PUT", f"ports/{port['id']}", {"port": given})
    await neutron.refused(409, "QosRuleNotSupportedByNetwork", "PUT", f"networks/{network['id']}", {"network": given})
    await neutron.refused(409, "QosRuleNotSupportedByNetwork", "POST", "networks", {"network": given})
    for path, member in ((f"ports/{direct['id']}", "port"), (f"networks/{network['id']}", "network")):
        body = {member: {"qos_policy_id": limits["id"]}}
        await neutron.refused(409, "QosRuleNotSupported", "PUT", path, body)
    for path, member in (("networks", "network"), (f"ports/{port['id']}", "port")):
        body = {member: {"qos_policy_id": "11111111-2222-3333-4444-555555555555"}}
        await neutron.refused(404, "QosPolicyNotFound", "PUT" if "/" in path else "POST", path, body)


async def test_guarantees_of_instances_are_placements(neutron):
    policy = await policy_of(neutron)
    rule = await rule_of(neutron, policy, "minimum_bandwidth", min_kbps=7)
    port = await neutron.port(await neutron.network(qos_policy_id=policy["id"]), device_owner="compute:nova")
    path = f"qos/policies/{policy['id']}/minimum_bandwidth_rules"
    for method, where in (("POST", path), ("PUT", f"{path}/{rule['id']}"), ("DELETE", f"{path}/{rule['id']}")):
        body = {"minimum_bandwidth_rule": {"min_kbps": 8, "direction": "ingress"}} if method != "DELETE" else None
        await neutron.refused(501, "NotImplementedError", method, where, body)
    await rule_of(neutron, policy, "bandwidth_limit", max_kbps=100)
    await neutron.ask("DELETE", f"ports/{port['id']}")
    assert (await neutron.ask("DELETE", f"{path}/{rule['id']}"))[0] == 204


async def test_rule_types_and_their_details(neutron):
    assert [one["type"] for one in await neutron.list("qos/rule-types")] == list(RULES)[:3]
    assert [one["type"] for one in await neutron.list("qos/rule-types?all_rules=True")] == list(RULES)
    shown = (await neutron.ask("GET", "qos/rule-types/dscp_marking"))[1]["rule_type"]
    [parameter] = shown["drivers"][0]["supported_parameters"]
    assert parameter["parameter_values"][:3] == [0, 8, 10]
    assert (await neutron.ask("GET", "qos/rule-types/packet_rate_limit"))[1]["rule_type"]["drivers"] == []
    await neutron.refused(404, "HTTPNotFound", "GET", "qos/rule-types/nonsense")


async def test_tags_are_at_both_addresses(neutron):
    policy = await policy_of(neutron)
    assert (await neutron.ask("PUT", f"policies/{policy['id']}/tags", {"tags": ["a"]}))[0] == 200
    assert (await neutron.ask("PUT", f"qos/policies/{policy['id']}/tags/b"))[0] == 201
    [shown] = await neutron.list("qos/policies?tags=a,b")
    assert shown["tags"] == ["a", "b"]
