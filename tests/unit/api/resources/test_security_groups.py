"""Security groups and rules over HTTP."""

from __future__ import annotations

import pytest

NOBODY = "0b2b8b6e-2a7f-4c88-9b63-7a1d4c9b0b6f"


async def test_a_group_lets_everything_out(neutron):
    group = await neutron.create("security_group", name="web")
    rules = {(r["direction"], r["ethertype"], r["protocol"]) for r in group["security_group_rules"]}
    assert rules == {("egress", "IPv4", None), ("egress", "IPv6", None)}
    assert group["stateful"] is True


async def test_the_default_group_lets_in_its_own_members(neutron):
    [group] = await neutron.list("security-groups")
    assert group["name"] == "default"
    ingress = [r for r in group["security_group_rules"] if r["direction"] == "ingress"]
    assert {r["ethertype"] for r in ingress} == {"IPv4", "IPv6"}
    assert {r["remote_group_id"] for r in ingress} == {group["id"]}
    assert [g["id"] for g in await neutron.list("security-groups")] == [group["id"]]
    path = f"security-groups/{group['id']}"
    await neutron.refused(409, "SecurityGroupCannotUpdateDefault", "PUT", path, {"security_group": {"name": "x"}})
    body = {"security_group": {"name": "default"}}
    await neutron.refused(409, "SecurityGroupDefaultAlreadyExists", "POST", "security-groups", body)
    assert all(rule["belongs_to_default_sg"] for rule in group["security_group_rules"])
    assert (await neutron.ask("DELETE", path))[0] == 204  # whoever may do everything may do that; there is soon another
    assert [g["name"] for g in await neutron.list("security-groups")] == ["default"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"protocol": "tcp"}, {"protocol": "6"}),
        ({"protocol": "tcp"}, {"protocol": 6, "port_range_min": 1, "port_range_max": 65535}),
        ({}, {"remote_ip_prefix": "0.0.0.0/0"}),
        (
            {"ethertype": "IPv6", "protocol": "icmp"},
            {"ethertype": "IPv6", "protocol": "58", "remote_ip_prefix": "::/0"},
        ),
        ({"remote_ip_prefix": "10.0.0.0/8"}, {"remote_ip_prefix": "10.0.0.0/255.0.0.0"}),
    ],
)
async def test_rules_with_equal_meaning_are_duplicates(neutron, one, other):
    group = await neutron.create("security_group", name="g")
    on = {"security_group_id": group["id"], "direction": "ingress"}
    path = "security-group-rules"
    twice = {"security_group_rules": [on | one, on | other]}
    await neutron.refused(409, "DuplicateSecurityGroupRuleInPost", "POST", path, twice)
    await neutron.create("security_group_rule", **on | one)
    await neutron.refused(409, "SecurityGroupRuleExists", "POST", path, {"security_group_rule": on | other})


async def test_a_port_cannot_have_stateful_and_stateless_groups(neutron):
    network = await neutron.network()
    groups = [(await neutron.create("security_group", name="g", stateful=s))["id"] for s in (True, False)]
    body = {"port": {"network_id": network["id"], "security_groups": groups}}
    await neutron.refused(409, "SecurityGroupConflict", "POST", "ports", body)
    await neutron.port(network, security_groups=groups[:1])
    path = f"security-groups/{groups[0]}"
    await neutron.refused(409, "SecurityGroupInUse", "PUT", path, {"security_group": {"stateful": False}})


async def test_each_project_has_its_own_default_group(neutron):
    for project in ("a", "b"):
        _, body = await neutron.ask("GET", f"security-groups?project_id={project}", X_Project_Id=project)
        assert [g["name"] for g in body["security_groups"]] == ["default"]


async def test_a_group_with_members_stays(neutron):
    group = await neutron.create("security_group", name="web")
    other = await neutron.create("security_group", name="db")
    rule = await neutron.create(
        "security_group_rule", security_group_id=other["id"], direction="ingress", remote_group_id=group["id"]
    )
    port = await neutron.port(await neutron.network(), security_groups=[group["id"]])
    path = f"security-groups/{group['id']}"
    await neutron.refused(409, "SecurityGroupInUse", "DELETE", path)
    await neutron.ask("PUT", f"ports/{port['id']}", {"port": {"security_groups": []}})
    assert (await neutron.ask("DELETE", path))[0] == 204
    await neutron.refused(404, "SecurityGroupRuleNotFound", "GET", f"security-group-rules/{rule['id']}")


async def test_rules_show_in_their_group_and_raise_its_revision(neutron):
    group = await neutron.create("security_group", name="web")
    rule = await neutron.create(
        "security_group_rule",
        security_group_id=group["id"], direction="ingress", protocol="TCP",
        port_range_min="22", port_range_max=22, remote_ip_prefix="192.0.2.9/24",
    )  # fmt: skip
    assert (rule["protocol"], rule["port_range_min"], rule["ethertype"]) == ("tcp", 22, "IPv4")
    assert (rule["remote_ip_prefix"], rule["normalized_cidr"]) == ("192.0.2.9/24", "192.0.2.0/24")
    _, body = await neutron.ask("GET", f"security-groups/{group['id']}")
    assert rule in body["security_group"]["security_group_rules"]
    assert body["security_group"]["revision_number"] == 2
    assert (await neutron.ask("DELETE", f"security-group-rules/{rule['id']}"))[0] == 204
    _, body = await neutron.ask("GET", f"security-groups/{group['id']}")
    assert len(body["security_group"]["security_group_rules"]) == 2


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"direction": "sideways"}, 400, "HTTPBadRequest"),
        ({"ethertype": "IPX"}, 400, "SecurityGroupRuleInvalidEtherType"),
        ({"protocol": "carrier-pigeon"}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": 256}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "ipv6-icmp"}, 400, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"port_range_min": 1, "port_range_max": 2}, 400, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "tcp", "port_range_min": 1}, 400, "SecurityGroupInvalidPortRange"),
        ({"protocol": "tcp", "port_range_min": 2, "port_range_max": 1}, 400, "SecurityGroupInvalidPortRange"),
        ({"protocol": "tcp", "port_range_min": 1, "port_range_max": 65536}, 400, "SecurityGroupInvalidPortValue"),
        ({"protocol": "esp", "port_range_min": 1, "port_range_max": 1}, 400, "SecurityGroupInvalidProtocolForPort"),
        ({"protocol": "icmp", "port_range_min": 256}, 400, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_max": 1}, 400, "SecurityGroupMissingIcmpType"),
        ({"remote_ip_prefix": "fd00::/8"}, 400, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": NOBODY}, 404, "SecurityGroupNotFound"),
        ({"remote_group_id": NOBODY}, 404, "SecurityGroupNotFound"),
        ({"security_group_id": NOBODY}, 404, "SecurityGroupNotFound"),
        ({"security_group_id": "web"}, 404, "SecurityGroupNotFound"),
        ({"security_group_id": 5}, 400, "HTTPBadRequest"),
        ({"security_group_id": None}, 400, "HTTPBadRequest"),
        ({"remote_group_id": "web"}, 404, "SecurityGroupNotFound"),
        ({"remote_address_group_id": "web"}, 404, "AddressGroupNotFound"),
    ],
)
async def test_bad_rules_are_refused(neutron, values, status, kind):
    group = await neutron.create("security_group", name="web")
    given = {"security_group_id": group["id"], "direction": "ingress"} | values
    await neutron.refused(status, kind, "POST", "security-group-rules", {"security_group_rule": given})
    assert len(await neutron.list(f"security-group-rules?security_group_id={group['id']}")) == 2


async def test_the_same_rule_twice_is_refused_by_name(neutron):
    group = await neutron.create("security_group", name="web")
    given = {"security_group_id": group["id"], "direction": "ingress", "protocol": "icmp"}
    rule = await neutron.create("security_group_rule", **given)
    message = await neutron.refused(
        409, "SecurityGroupRuleExists", "POST", "security-group-rules", {"security_group_rule": given}
    )
    assert message == f"Security group rule already exists. Rule id is {rule['id']}."


TEMPLATES = "default-security-group-rules"
USED_IN_ALL = {"used_in_default_sg": True, "used_in_non_default_sg": True}


async def template(neutron, **values):
    status, body = await neutron.ask("POST", TEMPLATES, {"default_security_group_rule": values})
    assert status == 201, body
    return body["default_security_group_rule"]


async def test_new_groups_receive_the_rules_of_templates(neutron):
    there = await neutron.list(TEMPLATES)
    assert [one["description"].split()[-2] for one in there] == ["egress", "egress", "ingress", "ingress"]
    await template(neutron, direction="ingress", protocol="tcp", remote_group_id="PARENT", **USED_IN_ALL)
    await template(neutron, direction="ingress", protocol="udp", used_in_default_sg=False, used_in_non_default_sg=True)
    for one in there:
        assert (await neutron.ask("DELETE", f"{TEMPLATES}/{one['id']}"))[0] == 204
    group = await neutron.create("security_group", name="web")
    rules = [(r["direction"], r["protocol"], r["remote_group_id"]) for r in group["security_group_rules"]]
    assert rules == [("ingress", "tcp", group["id"]), ("ingress", "udp", None)]
    [default] = [one for one in await neutron.list("security-groups") if one["name"] == "default"]
    assert [r["protocol"] for r in default["security_group_rules"]] == ["tcp"]
    for one in await neutron.list(TEMPLATES):
        await neutron.ask("DELETE", f"{TEMPLATES}/{one['id']}")
    assert await neutron.list(TEMPLATES) == []  # they are not written again
    assert (await neutron.create("security_group", name="closed"))["security_group_rules"] == []


async def test_equal_templates_for_the_same_groups_are_refused(neutron):
    values = {"direction": "ingress", "protocol": "tcp"}
    await template(neutron, **values, **USED_IN_ALL)
    for uses in ({"used_in_default_sg": False}, {"used_in_non_default_sg": False}):
        body = {"default_security_group_rule": values | {"protocol": "6"} | USED_IN_ALL | uses}
        await neutron.refused(409, "DefaultSecurityGroupRuleExists", "POST", TEMPLATES, body)
    other = {"direction": "ingress", "protocol": "udp"}
    twice = {"default_security_group_rules": [other | USED_IN_ALL, other | USED_IN_ALL]}
    await neutron.refused(409, "DuplicateDefaultSgRuleInPost", "POST", TEMPLATES, twice)
    for one, use in (("used_in_default_sg", True), ("used_in_default_sg", False)):
        await template(neutron, **other, **{one: use, "used_in_non_default_sg": not use})


async def test_a_template_goes_along_with_the_group_that_it_names_and_keeps_an_address_group(neutron):
    group = await neutron.create("security_group", name="web")
    one = await template(neutron, direction="ingress", remote_group_id=group["id"], **USED_IN_ALL)
    assert one["remote_group_id"] == group["id"]
    status, body = await neutron.ask("POST", "address-groups", {"address_group": {"name": "a"}})
    assert status == 201, body
    kept = body["address_group"]["id"]
    await template(neutron, direction="egress", remote_address_group_id=kept, **USED_IN_ALL)
    await neutron.refused(409, "AddressGroupInUse", "DELETE", f"address-groups/{kept}")
    assert (await neutron.ask("DELETE", f"security-groups/{group['id']}"))[0] == 204
    await neutron.refused(404, "DefaultSecurityGroupRuleNotFound", "GET", f"{TEMPLATES}/{one['id']}")


async def test_whether_new_groups_are_stateful_follows_the_project_then_the_cloud(neutron):
    path = "security-groups-default-statefulness"

    async def put(**values):
        status, body = await neutron.ask("POST", path, {path.replace("-", "_"): values})
        assert status == 201, body
        return body[path.replace("-", "_")]

    await put(stateful=False)
    await put(project_id="red", stateful=True)
    again = {path.replace("-", "_"): {"project_id": "red"}}
    await neutron.refused(409, "SecurityGroupDefaultStatefulnessAlreadyExists", "POST", path, again)
    made = [
        (await neutron.create("security_group", name="g", project_id=project, **given))["stateful"]
        for project, given in (("red", {}), ("blue", {}), ("blue", {"stateful": True}))
    ]
    assert made == [True, False, True]
