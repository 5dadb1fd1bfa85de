"""Who may do what: settled rules, files of rules, and what callers see over HTTP."""

from __future__ import annotations

import json
from typing import ClassVar

import httpx
import pytest

from ovenbird.api.access.auth import Caller
from ovenbird.api.access.policy import Access, Policy, PolicyError, Residual, parse
from ovenbird.api.access.visibility import Visibility
from ovenbird.api.http.app import create_app
from ovenbird.api.http.catalogue import RULES
from ovenbird.api.read_only_resource import PartlyWritable
from ovenbird.api.resources import READ_ONLY, RESOURCES
from support.api.neutron import Neutron

ADMIN = Caller(project="ops", user="root", roles=frozenset(("admin", "manager", "member", "reader")))
ALICE = Caller(project="red", user="alice", roles=frozenset(("member", "reader")))
RITA = Caller(project="red", user="rita", roles=frozenset(("reader",)))
MAX = Caller(project="red", user="max", roles=frozenset(("manager", "member", "reader")))
BOB = Caller(project="blue", user="bob", roles=frozenset(("member", "reader")))
NOVA = Caller(project="service", user="nova", roles=frozenset(("service",)))
NOBODY = Caller(project="", user="nobody", roles=frozenset())
WATCHER = Caller(project="", user="watcher", roles=frozenset(("reader",)), system=True)


class People:
    """An authenticator that believes the X-User header."""

    restricted = True
    everybody: ClassVar = {c.user.encode(): c for c in (ADMIN, ALICE, RITA, MAX, BOB, NOVA, NOBODY, WATCHER)}

    def known(self, headers):
        return self.everybody[dict(headers)[b"x-user"]]

    async def identify(self, headers):
        raise AssertionError

    async def close(self):
        pass


class Restricted(Neutron):
    """Speaks to the API as somebody: ``await cloud("alice", "POST", ...)``."""

    def __init__(self, policy):
        super().__init__()
        self.app = create_app(
            self.cloud, northbound=self.northbound, southbound=self.southbound, authenticator=People(), policy=policy
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://neutron")
        self.user = "root"

    async def ask(self, method, path, body=None, **headers):
        return await super().ask(method, path, body, X_User=self.user, **headers)

    def by(self, user):
        self.user = user
        return self


@pytest.fixture
async def clouded():
    made = Restricted(Policy(RULES))
    async with made.http:
        yield made


def access(caller, **rules):
    return Access(parse(RULES, {name.replace("__", ":"): rule for name, rule in rules.items()}), caller)


def facts(**given):
    return given.__getitem__


# -- settling ---------------------------------------------------------------------------------------------------------


def test_parts_of_a_rule_about_the_caller_are_evaluated_once():
    assert access(ADMIN).rule("create_network") is True
    assert access(RITA).rule("create_network") is False
    assert access(ALICE).rule("create_network:shared") is False
    left = access(ALICE).rule("create_network")
    assert isinstance(left, Residual)
    assert left.fields == {"project_id"}


def test_a_residual_reads_only_the_fields_that_are_undecided():
    assert access(NOVA).rule("get_port") is True
    assert access(ALICE).rule("get_port").fields == {"network:project_id", "project_id"}
    assert access(ALICE, x="role:admin or (role:member and project_id:%(a)s and not user_id:%(b)s)").rule(
        "x"
    ).fields == {
        "a",
        "b",
    }
    assert access(ALICE, x="role:nobody and project_id:%(a)s").rule("x") is False
    assert access(ALICE, x="role:member or project_id:%(a)s").rule("x") is True


@pytest.mark.parametrize(
    ("rule", "target", "expected"),
    [
        ("@", {}, True),
        ("!", {}, False),
        ("", {}, True),
        ("not project_id:%(project_id)s", {"project_id": "red"}, False),
        ("not project_id:%(project_id)s", {"project_id": "blue"}, True),
        ("project_id:%(project_id)s", {}, False),
        ("tenant_id:%(tenant_id)s", {"tenant_id": "red"}, True),
        ("user_id:%(owner)s and project_id:%(project_id)s", {"owner": "alice", "project_id": "red"}, True),
        ("user_id:%(owner)s and project_id:%(project_id)s", {"owner": "bob", "project_id": "red"}, False),
        ("'x':%(kind)s or True:%(shared)s", {"kind": "y", "shared": True}, True),
        ("field:networks:shared=True", {"shared": True}, True),
        ("field:networks:shared=True", {"shared": False}, False),
        ("field:networks:shared=False", {"shared": False}, True),
        ("field:networks:shared=True", {}, False),
        ("field:networks:router:external=True", {"router:external": True}, True),
        ("field:port:device_owner=~^network:", {"device_owner": "network:dhcp"}, True),
        ("field:port:device_owner=~^network:", {"device_owner": "compute:nova"}, False),
        ("field:port:device_owner=compute:nova", {"device_owner": "compute:nova"}, True),
        ("role:%(wanted)s", {"wanted": "MEMBER"}, True),
        ("roles:member", {}, True),
        ("service_roles:service", {}, False),
        ("system_scope:all", {}, False),
    ],
)
def test_rules_mean_what_they_mean_to_oslo_policy(rule, target, expected):
    assert access(ALICE, x=rule).allows("x", facts(**target)) is expected


def test_a_rule_that_is_not_there_is_the_default_one():
    assert access(ALICE).allows("paint", facts(project_id="red")) is True
    assert access(ALICE).allows("paint", facts(project_id="blue")) is False
    assert access(ADMIN).allows("paint", facts(project_id="blue")) is True


def test_a_caller_without_a_project_owns_nothing():
    assert access(NOBODY).allows("admin_or_owner", facts(project_id="")) is False


def test_outcomes_are_remembered_and_bounded(monkeypatch):
    monkeypatch.setattr("ovenbird.api.access.policy.MOST_OUTCOMES", 2)
    asked = access(ALICE)
    for project in ("a", "b", "red", "c", "red"):
        assert asked.allows("create_network", facts(project_id=project)) is (project == "red")
    assert len(asked._outcomes) <= 2
    assert access(ALICE, x="'[1]':%(list)s").allows("x", facts(list=[1])) is True


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.member)
def test_every_request_has_its_rule(resource):
    verbs = ("create", "get", "update", "delete")[1 if resource.alias else 0 :]
    rules = {f"{verb}_{resource.policy_name}" for verb in verbs}
    if resource.taggable:
        rules |= {f"{rule}:tags" for rule in rules}
    assert rules | set(resource.actions) <= set(RULES)
    assert set(resource.references.values()) <= {other.collection for other in RESOURCES}
    assert (
        resource.parent is None or resource.parent.attribute in resource.attributes or resource.within or resource.alias
    )


@pytest.mark.parametrize("derived", READ_ONLY, ids=lambda derived: derived.member)
def test_every_request_about_what_is_derived_has_its_rule(derived):
    assert f"get_{derived.member}" in RULES
    assert not issubclass(derived, PartlyWritable) or {f"update_{derived.member}", f"delete_{derived.member}"} <= set(
        RULES
    )


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "while parsing"),
        ("- a", "mapping of names"),
        ("a: 3", "a: 3 is not a rule"),
        ("a: role:admin or", "is not a rule"),
        ("a: rule:none", "there is no rule none"),
        ("a: rule:b\nb: not rule:a", "refers to itself"),
        ("a: http://127.0.0.1/", "not supported"),
        ("a: field:shared", "is needed"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path, text, message):
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(PolicyError, match=message):
        Policy(RULES, file)


def test_a_file_is_read_again_when_it_changes(tmp_path, monkeypatch):
    file = tmp_path / "policy.yaml"
    file.write_text('"create_network": "role:reader"\n')
    now = 0.0
    monkeypatch.setattr("ovenbird.api.access.policy.time.monotonic", lambda: now)
    policy = Policy(RULES, file)
    assert policy.access(RITA).rule("create_network") is True
    file.write_text('{"create_network": "role:member"}')
    now = 0.5
    assert policy.access(RITA).rule("create_network") is True
    now = 2.0
    assert policy.access(RITA).rule("create_network") is False
    file.write_text("nonsense: [")
    now = 4.0
    assert policy.access(ALICE).rule("create_network") is True
    file.unlink()
    now = 6.0
    assert policy.access(ALICE).rule("create_network") is True


def test_callers_are_remembered_up_to_a_number(monkeypatch):
    monkeypatch.setattr("ovenbird.api.access.policy.MOST_CALLERS", 2)
    policy = Policy(RULES)
    kept = policy.access(ALICE)
    assert policy.access(ALICE) is kept
    policy.access(BOB)
    policy.access(RITA)
    assert len(policy._access) == 2
    assert policy.access(ALICE) is not kept


# -- over HTTP --------------------------------------------------------------------------------------------------------


async def test_projects_do_not_see_each_other(clouded):
    network = await clouded.by("alice").network()
    assert network["project_id"] == "red"
    path = f"networks/{network['id']}"
    assert await clouded.by("rita").list("networks") == [network]
    assert await clouded.by("bob").list("networks") == []
    assert await clouded.list(f"networks?id={network['id']}&fields=id") == []
    for method in ("GET", "PUT", "DELETE"):
        message = await clouded.refused(404, "NetworkNotFound", method, path, {"network": {"name": "x"}})
        assert message == f"Network {network['id']} could not be found."
    await clouded.refused(404, "NetworkNotFound", "PUT", f"{path}/tags/x")
    await clouded.refused(404, "NetworkNotFound", "GET", f"{path}/tags")


async def test_the_role_reader_may_change_nothing(clouded):
    message = await clouded.by("rita").refused(403, "PolicyNotAuthorized", "POST", "networks", {"network": {}})
    assert message == "rule:create_network is disallowed by policy"
    network = await clouded.by("alice").network()
    path = f"networks/{network['id']}"
    await clouded.by("rita").refused(403, "PolicyNotAuthorized", "PUT", path, {"network": {"name": "x"}})
    await clouded.refused(403, "PolicyNotAuthorized", "DELETE", path)
    message = await clouded.refused(403, "PolicyNotAuthorized", "PUT", f"{path}/tags", {"tags": ["x"]})
    assert message == "rule:update_network:tags is disallowed by policy"
    assert await clouded.by("alice").list("networks") == [network]


async def test_the_role_reader_may_use_no_action(clouded):
    network = await clouded.by("alice").network()
    subnet = await clouded.subnet(network)
    router = await clouded.create("router")
    group = (await clouded.ask("POST", "address-groups", {"address_group": {}}))[1]["address_group"]
    rule = (await clouded.create("security_group", name="g"))["security_group_rules"][0]["id"]
    clouded.by("rita")
    route = {"router": {"routes": [{"destination": "10.9.0.0/24", "nexthop": "10.0.0.9"}]}}
    for path, body in (
        (f"routers/{router['id']}/add_extraroutes", route),
        (f"routers/{router['id']}/remove_extraroutes", route),
        (f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]}),
        (f"address-groups/{group['id']}/add_addresses", {"addresses": ["10.0.0.0/8"]}),
        (f"address-groups/{group['id']}/tags", {"tags": ["x"]}),
        (f"security-group-rules/{rule}", {"security_group_rule": {"description": "x"}}),
    ):
        await clouded.refused(403, "PolicyNotAuthorized", "PUT", path, body)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"shared": True}, "create_network:shared"),
        ({"router:external": True}, "create_network:router:external"),
        ({"provider:network_type": "geneve"}, "create_network:provider:network_type"),
    ],
)
async def test_some_attributes_may_be_set_by_administrators_only(clouded, values, rule):
    message = await clouded.by("alice").refused(403, "PolicyNotAuthorized", "POST", "networks", {"network": values})
    assert message == f"(rule:create_network and rule:{rule}) is disallowed by policy"
    assert await clouded.by("root").list("networks") == []
    await clouded.by("alice").network(shared=False, **{"router:external": False})  # what it is anyway


async def test_attributes_that_a_caller_may_not_see_are_not_there(clouded):
    network = await clouded.by("alice").network()
    assert not [name for name in network if name.startswith("provider:")]
    assert await clouded.list("networks?provider:network_type=geneve") == [network]
    assert await clouded.list("networks?provider:network_type=vlan") == []
    assert await clouded.list("networks?fields=id&fields=provider:network_type") == [{"id": network["id"]}]
    everything = await clouded.by("root").list("networks")
    assert everything[0]["provider:network_type"] == "geneve"
    port = await clouded.by("alice").port(network)
    assert "binding:host_id" not in port
    assert "binding:vnic_type" in port
    assert (await clouded.by("nova").list("ports"))[0]["binding:host_id"] == ""


async def test_shared_and_external_networks_are_visible_to_all(clouded):
    shared = await clouded.by("root").network(shared=True, name="shared")
    outside, _ = await clouded.outside()
    subnet = await clouded.subnet(shared)
    assert {n["id"] for n in await clouded.by("bob").list("networks")} == {shared["id"], outside["id"]}
    assert len(await clouded.list("subnets")) == 2
    port = await clouded.port(shared)
    assert port["project_id"] == "blue"
    body = {"port": {"network_id": outside["id"]}}
    await clouded.refused(403, "PolicyNotAuthorized", "POST", "ports", body)
    address = {"fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "10.0.0.77"}]}
    body = {"port": {"network_id": shared["id"], **address}}
    message = await clouded.refused(403, "PolicyNotAuthorized", "POST", "ports", body)
    assert message.endswith("rule:create_port:fixed_ips:ip_address) is disallowed by policy")
    await clouded.by("alice").refused(404, "PortNotFound", "GET", f"ports/{port['id']}")
    assert len(await clouded.by("root").list("ports")) >= 1


async def test_a_networks_owner_sees_what_is_on_it(clouded):
    network = await clouded.by("alice").network()
    await clouded.by("root").port(network, project_id="blue", name="theirs")
    assert [p["name"] for p in await clouded.by("alice").list("ports")] == ["theirs"]
    assert [p["name"] for p in await clouded.by("bob").list("ports")] == ["theirs"]
    assert await clouded.by("max").list("ports") != []


async def test_resources_of_other_projects_cannot_be_referred_to(clouded):
    network = await clouded.by("alice").network()
    subnet = await clouded.subnet(network)
    group = await clouded.create("security_group", name="web")
    port = await clouded.port(network)
    mine = await clouded.by("bob").network()
    other = await clouded.subnet(mine)
    router = await clouded.create("router")
    own = await clouded.create("security_group", name="web")
    for kind, method, path, body in (
        ("NetworkNotFound", "POST", "ports", {"port": {"network_id": network["id"]}}),
        ("NetworkNotFound", "POST", "subnets", {"subnet": {"network_id": network["id"], "cidr": "10.9.0.0/24",
                                                           "ip_version": 4}}),
        ("SecurityGroupNotFound", "POST", "ports", {"port": {"network_id": mine["id"],
                                                             "security_groups": [group["id"]]}}),
        ("SubnetNotFound", "PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]}),
        ("PortNotFound", "PUT", f"routers/{router['id']}/add_router_interface", {"port_id": port["id"]}),
        ("SecurityGroupNotFound", "POST", "security-group-rules",
         {"security_group_rule": {"security_group_id": own["id"], "direction": "ingress",
                                  "remote_group_id": group["id"]}}),
        ("SecurityGroupNotFound", "POST", "security-group-rules",
         {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress"}}),
        ("NetworkNotFound", "POST", "routers",
         {"router": {"external_gateway_info": {"network_id": network["id"]}}}),
    ):  # fmt: skip
        refused = await clouded.refused(404, kind, method, path, body)
        nowhere = "12345678-0000-4000-8000-000000000000"
        text = json.dumps(body)
        for uuid in (network["id"], subnet["id"], group["id"], port["id"]):
            text, refused = text.replace(uuid, nowhere), refused.replace(uuid, nowhere)
        assert await clouded.refused(404, kind, method, path, json.loads(text)) == refused  # as if it were not there
    await clouded.act(router, "add_router_interface", subnet_id=other["id"])
    await clouded.by("alice").refused(404, "RouterNotFound", "PUT", f"routers/{router['id']}/remove_router_interface",
                                      {"subnet_id": other["id"]})  # fmt: skip


@pytest.mark.parametrize("claim", ["project_id", "tenant_id", "network:project_id"])
async def test_a_request_cannot_make_a_resource_look_like_the_callers(clouded, claim):
    router = await clouded.by("alice").create("router")
    network = await clouded.network()
    port = await clouded.port(network)
    group = (await clouded.ask("POST", "address-groups", {"address_group": {}}))[1]["address_group"]
    mine = await clouded.by("bob").subnet(await clouded.network())
    claimed = {claim: "blue"}
    body = claimed | {"subnet_id": mine["id"]}
    await clouded.refused(404, "RouterNotFound", "PUT", f"routers/{router['id']}/add_router_interface", body)
    body = claimed | {"addresses": ["10.0.0.0/8"]}
    await clouded.refused(404, "AddressGroupNotFound", "PUT", f"address-groups/{group['id']}/add_addresses", body)
    for path, member in ((f"networks/{network['id']}", "network"), (f"ports/{port['id']}", "port")):
        status, _ = await clouded.ask("PUT", path, {member: claimed | {"name": "x"}})
        assert status in (400, 404)
    assert (await clouded.by("alice").list("networks"))[0]["name"] == "net"


async def test_a_shared_network_cannot_be_connected_to_by_everyone_who_sees_it(clouded):
    shared = await clouded.by("root").network(shared=True)
    subnet = await clouded.subnet(shared)
    outside, _ = await clouded.outside()
    router = await clouded.by("bob").create("router", external_gateway_info={"network_id": outside["id"]})
    path = f"routers/{router['id']}/add_router_interface"
    message = await clouded.refused(400, "BadRequest", "PUT", path, {"subnet_id": subnet["id"]})
    assert message.endswith("is not owned by project making the request.")
    mine = await clouded.network()
    await clouded.act(router, "add_router_interface", subnet_id=(await clouded.subnet(mine, cidr="10.1.0.0/24"))["id"])
    theirs = await clouded.by("root").port(mine, project_id="red")
    body = {"floatingip": {"floating_network_id": outside["id"], "port_id": theirs["id"]}}
    message = await clouded.by("bob").refused(400, "BadRequest", "POST", "floatingips", body)
    assert "owned by a different project" in message
    assert await clouded.list("floatingips") == []
    assert (await clouded.by("root").ask("POST", "floatingips", body))[0] == 201


async def test_only_administrators_act_for_other_projects(clouded):
    body = {"network": {"project_id": "blue"}}
    message = await clouded.by("alice").refused(400, "HTTPBadRequest", "POST", "networks", body)
    assert message.startswith("Specifying 'project_id' or 'tenant_id' other than")
    assert (await clouded.by("root").network(project_id="blue"))["project_id"] == "blue"
    many = {"networks": [{"name": "a"}, {"name": "b", "project_id": "blue"}]}
    await clouded.by("alice").refused(400, "HTTPBadRequest", "POST", "networks", many)
    assert await clouded.list("networks") == []


async def test_callers_without_a_project(clouded):
    assert await clouded.by("nobody").list("networks") == []
    assert await clouded.list("security-groups") == []
    await clouded.refused(403, "PolicyNotAuthorized", "POST", "networks", {"network": {}})
    assert await clouded.by("watcher").list("networks") == []


async def test_only_a_service_may_delete_an_instances_port(clouded):
    network = await clouded.by("alice").network()
    port = await clouded.port(network, device_owner="compute:nova", device_id="vm")
    await clouded.refused(403, "PolicyNotAuthorized", "DELETE", f"ports/{port['id']}")
    assert await clouded.by("nova").ask("DELETE", f"ports/{port['id']}") == (204, None)
    port = await clouded.by("alice").port(network)
    assert await clouded.ask("DELETE", f"ports/{port['id']}") == (204, None)


async def test_agents_are_visible_to_administrators_only(clouded):
    assert await clouded.by("alice").list("agents") == []
    assert (await clouded.ask("GET", "agents/x"))[0] == 404
    assert (await clouded.ask("DELETE", "agents/x"))[0] == 404
    assert await clouded.list("availability_zones") == []


async def test_a_file_can_forbid_even_administrators(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text('create_network: "!"\nget_network:mtu: "role:wizard"\nupdate_network: "@"\n')
    clouded = Restricted(Policy(RULES, file))
    async with clouded.http:
        await clouded.refused(403, "PolicyNotAuthorized", "POST", "networks", {"network": {}})
        assert await clouded.list("networks") == []


async def test_an_attribute_hides_under_all_its_names_and_the_id_never(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text('get_network:project_id: "!"\nget_network:id: "!"\nget_network:subnets: "!"\n')
    clouded = Restricted(Policy(RULES, file))
    async with clouded.http:
        made = await clouded.network()
        assert not {"project_id", "tenant_id", "subnets"} & set(made)
        await clouded.network()
        listed = await clouded.list("networks?limit=1&sort_key=project_id&sort_dir=asc")
        assert len(listed) == 1
        assert len(await clouded.list("networks?tenant_id=ops")) == 2
        assert await clouded.list("networks?tenant_id=others") == []


async def test_a_caller_who_may_write_but_not_read_gets_the_id(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text('get_network: "!"\n')
    clouded = Restricted(Policy(RULES, file))
    async with clouded.http:
        network = await clouded.network(name="blind")
        assert list(network) == ["id"]
        path = f"networks/{network['id']}"
        assert await clouded.ask("PUT", path, {"network": {"name": "b"}}) == (200, {"network": network})
        await clouded.refused(404, "NetworkNotFound", "GET", path)


async def test_a_list_asks_each_rule_once_for_each_project(clouded, monkeypatch):
    await clouded.by("root").ask("PUT", "quotas/red", {"quota": {"port": -1}})
    network = await clouded.by("alice").network()
    body = {"ports": [{"network_id": network["id"]} for _ in range(300)]}
    assert (await clouded.ask("POST", "ports", body))[0] == 201
    decide, decided = Visibility._decide, []
    monkeypatch.setattr(Visibility, "_decide", lambda self, key: decided.append(key) or decide(self, key))
    assert len(await clouded.by("max").list("ports")) == 300
    assert decided == [("red", "red")]
    assert len(await clouded.by("max").list("ports")) == 300
    assert len(await clouded.by("root").list("ports")) == 300
    assert len(decided) == 1


@pytest.mark.parametrize(
    ("collection", "values", "rule"),
    [
        ("routers", {"ha": True}, "create_router:ha"),
        ("routers", {"distributed": None}, "create_router:distributed"),
        ("ports", {"binding:profile": {}}, "create_port:binding:profile"),
        ("ports", {"binding:host_id": ""}, "create_port:binding:host_id"),
    ],
)
async def test_an_attribute_that_the_caller_may_not_set_is_refused_with_any_value(clouded, collection, values, rule):
    alice = clouded.by("alice")
    member = collection[:-1]
    given = {"network_id": (await alice.network())["id"]} if member == "port" else {}
    await alice.create(member, **given)
    message = await alice.refused(403, "PolicyNotAuthorized", "POST", collection, {member: given | values})
    assert message == f"(rule:create_{member} and rule:{rule}) is disallowed by policy"


async def test_members_may_set_service_types_of_a_subnet(clouded):
    alice = clouded.by("alice")
    subnet = await alice.subnet(await alice.network(), service_types=["compute:nova", "octavia:lb"])
    assert subnet["service_types"] == ["compute:nova", "octavia:lb"]


async def test_an_invalid_id_is_refused_before_the_row_is_looked_up(clouded):
    alice = clouded.by("alice")
    router = await alice.create("router")
    for action in ("add_router_interface", "remove_router_interface"):
        for body in ({"port_id": "x"}, {"subnet_id": "x"}, {}):
            await alice.refused(400, "BadRequest", "PUT", f"routers/{router['id']}/{action}", body)
    nowhere = "11111111-2222-3333-4444-555555555555"
    await alice.refused(
        404, "PortNotFound", "PUT", f"routers/{router['id']}/add_router_interface", {"port_id": nowhere}
    )


async def test_a_nested_resource_belongs_to_the_owner_of_its_parent(clouded):
    clouded.by("root")
    outside, _, _, _, port = await clouded.routed()
    floating = await clouded.create("floatingip", floating_network_id=outside["id"], project_id="red")
    path = f"floatingips/{floating['id']}/port_forwardings"
    wanted = {"internal_port_id": port["id"], "internal_port": 22, "external_port": 2222, "protocol": "tcp"}
    await clouded.by("alice").refused(404, "PortNotFound", "POST", path, {"port_forwarding": wanted})  # another's port
    _, answer = await clouded.by("root").ask("POST", path, {"port_forwarding": wanted})
    uuid = answer["port_forwarding"]["id"]
    for user, number in (("root", 1), ("alice", 1), ("rita", 1)):
        assert len(await clouded.by(user).list(path)) == number
    await clouded.by("bob").refused(404, "FloatingIPNotFound", "GET", path)
    await clouded.refused(404, "FloatingIPNotFound", "DELETE", f"{path}/{uuid}")
    await clouded.by("rita").refused(403, "PolicyNotAuthorized", "DELETE", f"{path}/{uuid}")
    change = {"port_forwarding": {"description": "x"}}
    await clouded.refused(403, "PolicyNotAuthorized", "PUT", f"{path}/{uuid}", change)
    assert (await clouded.by("alice").ask("PUT", f"{path}/{uuid}", change))[0] == 200
    assert (await clouded.ask("DELETE", f"{path}/{uuid}"))[0] == 204


async def test_invalid_input_is_reported_before_missing_permission(clouded):
    """It tells nothing of what there is."""
    network = await clouded.network()
    nowhere = "11111111-2222-3333-4444-555555555555"
    for uuid in (network["id"], nowhere):
        for wrong in ({"mtu": "x"}, {"id": nowhere}, {"nonsense": 1}):
            got, _ = await clouded.by("bob").ask("PUT", f"networks/{uuid}", {"network": wrong})
            assert got == 400
        await clouded.refused(404, "NetworkNotFound", "PUT", f"networks/{uuid}", {"network": {"name": "x"}})
