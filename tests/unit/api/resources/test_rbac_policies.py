"""RBAC policies: what a project shares with another is seen and used there, and taken back when nothing needs it."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from ovenbird.api.access.auth import Caller
from ovenbird.api.access.policy import Policy
from ovenbird.api.http.app import create_app
from ovenbird.api.http.catalogue import RULES
from ovenbird.model.cloud import Network, RBACPolicy, SubnetPool
from ovenbird.ovsdb.errors import ReferentialIntegrityViolation
from support.api.neutron import Neutron

RED, BLUE, GREEN = (letter * 32 for letter in "abc")
MEMBER = frozenset(("member", "reader"))


class Projects:
    """Believes headers: X-Project-Id, and X-Admin for an administrator."""

    restricted = True

    def known(self, headers):
        given = dict(headers)
        caller = Caller(project=given[b"x-project-id"].decode(), user="somebody", roles=MEMBER)
        return replace(caller, roles=MEMBER | {"admin"}) if b"x-admin" in given else caller

    async def identify(self, headers):
        raise AssertionError

    async def close(self):
        pass


class Cloud(Neutron):
    """Speaks to the API as a project's member, or with `admin` as its administrator."""

    def __init__(self):
        super().__init__()
        stores = {"northbound": self.northbound, "southbound": self.southbound}
        self.app = create_app(self.cloud, authenticator=Projects(), policy=Policy(RULES), **stores)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://neutron")
        self.project, self.admin = RED, False

    def by(self, project, *, admin=False):
        self.project, self.admin = project, admin
        return self

    async def ask(self, method, path, body=None, **headers):
        sent = headers | {"X_Project_Id": self.project} | ({"X_Admin": "yes"} if self.admin else {})
        return await super().ask(method, path, body, **sent)

    async def policy(self, kind, resource, target, action="access_as_shared"):
        values = {"object_type": kind, "object_id": resource["id"], "target_tenant": target, "action": action}
        status, body = await self.ask("POST", "rbac-policies", {"rbac_policy": values})
        assert status == 201, body
        return body["rbac_policy"]

    async def made(self, path, member, **values):
        status, body = await self.ask("POST", path, {member: values})
        assert status == 201, body
        return body[member]

    async def shown(self, path):
        """Return, by id, whether each resource of a list is shown as shared."""
        return {one["id"]: one["shared"] for one in await self.list(path)}


@pytest.fixture
async def cloud():
    made = Cloud()
    async with made.http:
        yield made


async def test_a_network_is_shared_with_one_project(cloud):
    network = await cloud.network()
    subnet = await cloud.subnet(network)
    other = await cloud.network()
    policy = await cloud.policy("network", network, BLUE)
    assert policy | {"id": ""} == {
        "id": "", "project_id": RED, "tenant_id": RED, "object_type": "network", "object_id": network["id"],
        "target_tenant": BLUE, "action": "access_as_shared",
    }  # fmt: skip
    assert await cloud.shown("networks") == {network["id"]: False, other["id"]: False}
    assert await cloud.by(BLUE).shown("networks") == {network["id"]: True}
    assert await cloud.shown("networks?shared=True") == {network["id"]: True}
    assert await cloud.shown("networks?shared=False") == {}
    assert [one["id"] for one in await cloud.list("subnets?shared=True")] == [subnet["id"]]
    assert await cloud.list("rbac-policies") == []
    assert await cloud.by(BLUE, admin=True).shown("networks") == {network["id"]: True, other["id"]: False}
    for project in (RED, GREEN):
        assert await cloud.by(project, admin=True).shown(f"networks?id={network['id']}") == {network["id"]: False}
    assert await cloud.by(GREEN).list("networks") == await cloud.list("subnets") == []
    await cloud.refused(404, "NetworkNotFound", "POST", "ports", {"port": {"network_id": network["id"]}})
    await cloud.refused(404, "NetworkNotFound", "GET", f"networks/{network['id']}")

    port = await cloud.by(BLUE).port(network)
    assert port["fixed_ips"][0]["subnet_id"] == subnet["id"]
    path, path_of_network = f"rbac-policies/{policy['id']}", f"networks/{network['id']}"
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", path_of_network, {"network": {"name": "mine"}})
    await cloud.refused(404, "RbacPolicyNotFound", "DELETE", path)
    await cloud.by(RED).refused(409, "RbacPolicyInUse", "DELETE", path)
    change = {"rbac_policy": {"target_tenant": GREEN}}
    await cloud.refused(409, "RbacPolicyInUse", "PUT", path, change)
    await cloud.by(BLUE).ask("DELETE", f"ports/{port['id']}")
    status, body = await cloud.by(RED).ask("PUT", path, change)
    assert (status, body["rbac_policy"]["target_tenant"]) == (200, GREEN)
    assert await cloud.by(BLUE).list("networks") == []
    await cloud.by(GREEN).port(network)
    await cloud.by(RED).refused(409, "RbacPolicyInUse", "DELETE", path)


async def test_any_policy_that_covers_a_project_will_do(cloud):
    network = await cloud.by(RED, admin=True).network(shared=True)
    everyone = (await cloud.list(f"rbac-policies?object_id={network['id']}"))[0]
    assert (everyone["target_tenant"], everyone["project_id"]) == ("*", RED)
    assert await cloud.by(BLUE).shown("networks") == {network["id"]: True}
    port = await cloud.port(network)
    private = {"network": {"shared": False}}
    await cloud.by(RED, admin=True).refused(409, "InvalidSharedSetting", "PUT", f"networks/{network['id']}", private)
    await cloud.refused(409, "RbacPolicyInUse", "DELETE", f"rbac-policies/{everyone['id']}")
    blue = await cloud.policy("network", network, BLUE)
    status, body = await cloud.ask("PUT", f"networks/{network['id']}", private)
    assert (status, body["network"]["shared"]) == (200, False)
    assert [one["id"] for one in await cloud.list("rbac-policies")] == [blue["id"]]
    rows = cloud.cloud.store.table(RBACPolicy).rows
    transaction = cloud.cloud.transaction()
    transaction.delete(rows[blue["id"]])
    with pytest.raises(ReferentialIntegrityViolation):  # whoever does it
        transaction.commit()
    await cloud.by(BLUE).ask("DELETE", f"ports/{port['id']}")
    status, _ = await cloud.by(RED, admin=True).ask("DELETE", f"networks/{network['id']}")
    assert (status, len(rows)) == (204, 0)


async def test_of_two_processes_one_unshares_and_the_other_finds_no_network(cloud):
    network = await cloud.network()
    policy = await cloud.policy("network", network, BLUE)

    def faster():
        transaction = cloud.cloud.transaction()
        transaction.delete(cloud.cloud.store.table(RBACPolicy).rows[policy["id"]])
        transaction.commit()

    cloud.cloud.interfere.append(faster)
    body = {"port": {"network_id": network["id"]}}
    await cloud.by(BLUE).refused(404, "NetworkNotFound", "POST", "ports", body)


async def test_a_network_is_external_for_one_project(cloud):
    network, _ = await cloud.by(RED, admin=True).outside()
    everyone = (await cloud.list("rbac-policies"))[0]
    assert everyone["action"] == "access_as_external"
    assert await cloud.by(BLUE).shown("networks") == {network["id"]: False}
    gateway = {"external_gateway_info": {"network_id": network["id"]}}
    router = await cloud.made("routers", "router", **gateway)
    await cloud.by(RED, admin=True).refused(409, "RbacPolicyInUse", "DELETE", f"rbac-policies/{everyone['id']}")
    blue = await cloud.policy("network", network, BLUE, "access_as_external")
    assert (await cloud.ask("DELETE", f"rbac-policies/{everyone['id']}"))[0] == 204
    assert len(await cloud.by(BLUE).list("networks")) == len(await cloud.list("subnets")) == 1
    assert await cloud.by(GREEN).list("networks") == await cloud.list("subnets") == []
    await cloud.refused(404, "NetworkNotFound", "POST", "routers", {"router": gateway})
    await cloud.by(RED, admin=True).refused(409, "RbacPolicyInUse", "DELETE", f"rbac-policies/{blue['id']}")
    await cloud.by(BLUE).ask("DELETE", f"routers/{router['id']}")
    assert (await cloud.by(RED, admin=True).ask("DELETE", f"rbac-policies/{blue['id']}"))[0] == 204
    status, body = await cloud.ask("GET", f"networks/{network['id']}")
    assert (status, body["network"]["router:external"]) == (200, False)
    mine = await cloud.by(RED).network()
    await cloud.policy("network", mine, BLUE, "access_as_external")
    assert (await cloud.ask("GET", f"networks/{mine['id']}"))[1]["network"]["router:external"] is True


async def test_groups_pools_and_scopes_are_shared(cloud):
    group = await cloud.made("security-groups", "security_group", name="g")
    addresses = await cloud.made("address-groups", "address_group", addresses=["10.0.0.0/8"])
    scope = await cloud.made("address-scopes", "address_scope", ip_version=4)
    pool = await cloud.made(
        "subnetpools", "subnetpool", name="p", prefixes=["10.0.0.0/16"], address_scope_id=scope["id"]
    )
    first = {"object_type": "subnetpool", "object_id": pool["id"], "target_tenant": BLUE, "action": "access_as_shared"}
    await cloud.refused(400, "InvalidInput", "POST", "rbac-policies", {"rbac_policy": first})  # not without its scope
    policies = [
        await cloud.policy(kind, resource, BLUE)
        for kind, resource in (
            ("security_group", group), ("address_group", addresses), ("address_scope", scope), ("subnetpool", pool)
        )
    ]  # fmt: skip
    cloud.by(BLUE)
    for path, resource in (
        ("security-groups", group), ("address-groups", addresses), ("address-scopes", scope), ("subnetpools", pool)
    ):  # fmt: skip
        assert await cloud.shown(f"{path}?shared=True") == {resource["id"]: True}
        assert (await cloud.ask("DELETE", f"{path}/{resource['id']}"))[0] == 403
    network = await cloud.network()
    subnet = await cloud.subnet(network, cidr=None, subnetpool_id=pool["id"], prefixlen=24)
    assert (await cloud.ask("GET", f"networks/{network['id']}"))[1]["network"]["ipv4_address_scope"] == scope["id"]
    mine = await cloud.made(
        "subnetpools", "subnetpool", name="q", prefixes=["10.9.0.0/16"], address_scope_id=scope["id"]
    )
    port = await cloud.port(network, security_groups=[group["id"]])
    own = (await cloud.list("security-groups?name=default"))[0]
    rule = {"security_group_id": own["id"], "direction": "ingress", "remote_address_group_id": addresses["id"]}
    rule = await cloud.made("security-group-rules", "security_group_rule", **rule)
    change = {"subnetpool": {"name": "r"}}
    await cloud.refused(400, "IllegalSubnetPoolUpdate", "PUT", f"subnetpools/{mine['id']}", change)
    for policy in policies:
        await cloud.by(RED).refused(409, "RbacPolicyInUse", "DELETE", f"rbac-policies/{policy['id']}")
    used = [("ports", port), ("subnets", subnet), ("subnetpools", mine), ("security-group-rules", rule)]
    for path, resource in used:
        assert (await cloud.by(BLUE).ask("DELETE", f"{path}/{resource['id']}"))[0] == 204
    for policy in policies:
        assert (await cloud.by(RED).ask("DELETE", f"rbac-policies/{policy['id']}"))[0] == 204
    assert await cloud.by(BLUE).list("subnetpools") == await cloud.list("address-scopes") == []


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"target_tenant": "*"}, 403, "PolicyNotAuthorized"),
        ({"target_tenant": "blue"}, 400, "InvalidInput"),
        ({"target_tenant": None}, 400, "InvalidInput"),
        ({"object_type": "router"}, 400, "InvalidInput"),
        ({"object_type": ["network"]}, 400, "InvalidInput"),
        ({"object_type": "security_group"}, 400, "InvalidInput"),
        ({"object_id": "x"}, 400, "HTTPBadRequest"),
        ({"object_id": "0" * 8 + "-0000-4000-8000-" + "0" * 12}, 400, "InvalidInput"),
        ({"action": "anything"}, 400, "InvalidActionForType"),
        ({"description": "d"}, 400, "HTTPBadRequest"),
        ({"project_id": BLUE}, 400, "HTTPBadRequest"),
        ({}, 409, "DuplicateRbacPolicy"),
    ],
)
async def test_a_policy_is_refused(cloud, values, status, kind):
    network = await cloud.network()
    await cloud.policy(" Network ", network, BLUE)
    given = {"object_type": "network", "object_id": network["id"], "target_tenant": BLUE, "action": "access_as_shared"}
    await cloud.refused(status, kind, "POST", "rbac-policies", {"rbac_policy": given | values})
    if not values:
        await cloud.by(GREEN).refused(400, "InvalidInput", "POST", "rbac-policies", {"rbac_policy": given})


async def test_address_scopes_hold_pools_that_do_not_overlap(cloud):
    scope = await cloud.made("address-scopes", "address_scope", name="s", ip_version=4)
    assert sorted(scope) == ["id", "ip_version", "name", "project_id", "shared", "tenant_id"]
    pool = {"name": "p", "prefixes": ["10.0.0.0/16"], "address_scope_id": scope["id"], "default_prefixlen": 24}
    first = await cloud.made("subnetpools", "subnetpool", **pool)
    for values, status, kind in (
        ({"prefixes": ["10.0.9.0/24"]}, 409, "AddressScopePrefixConflict"),
        ({"prefixes": ["fd00::/48"], "default_prefixlen": 64}, 400,
         "IllegalSubnetPoolIpVersionAssociationToAddressScope"),
        ({"address_scope_id": first["id"]}, 404, "AddressScopeNotFound"),
    ):  # fmt: skip
        await cloud.refused(status, kind, "POST", "subnetpools", {"subnetpool": pool | values})
    second = await cloud.made("subnetpools", "subnetpool", **pool | {"prefixes": ["10.1.0.0/16"]})
    more = {"prefixes": ["10.0.1.0/24"]}
    await cloud.refused(409, "AddressScopePrefixConflict", "PUT", f"subnetpools/{second['id']}/add_prefixes", more)
    outside = await cloud.made(
        "subnetpools", "subnetpool", **pool | {"address_scope_id": None, "prefixes": ["10.2.0.0/16"]}
    )
    network = await cloud.network()
    for one in (first, second):
        await cloud.subnet(network, cidr=None, subnetpool_id=one["id"])
    body = {"network_id": network["id"], "ip_version": 4}
    await cloud.refused(
        400, "NetworkSubnetPoolAffinityError", "POST", "subnets", {"subnet": body | {"cidr": "9.0.0.0/24"}}
    )
    elsewhere = {"subnet": body | {"subnetpool_id": outside["id"]}}
    await cloud.refused(400, "NetworkAddressScopeAffinityError", "POST", "subnets", elsewhere)
    leaving = {"subnetpool": {"address_scope_id": None}}
    await cloud.refused(400, "NetworkAddressScopeAffinityError", "PUT", f"subnetpools/{first['id']}", leaving)
    await cloud.refused(409, "AddressScopeInUse", "DELETE", f"address-scopes/{scope['id']}")
    shared = await cloud.by(RED, admin=True).made("address-scopes", "address_scope", ip_version=6, shared=True)
    private = {"address_scope": {"shared": False}}
    await cloud.refused(400, "AddressScopeUpdateError", "PUT", f"address-scopes/{shared['id']}", private)
    assert await cloud.by(BLUE).shown("address-scopes") == {shared["id"]: True}
    assert (await cloud.by(RED).ask("DELETE", f"address-scopes/{shared['id']}"))[0] == 204


async def test_what_an_older_release_shared_stays_shared():
    older = Neutron()
    transaction = older.cloud.transaction()
    network = transaction.insert(Network, {"project_id": RED, "shared": True, "external": True, "mtu": 1442})
    pool = transaction.insert(
        SubnetPool, {"project_id": RED, "shared": True, "ip_version": 4, "prefixes": frozenset(["10.0.0.0/8"])}
    )
    transaction.commit()
    async with older.http:
        policies = await older.list("rbac-policies")
        assert sorted((one["object_id"], one["action"], one["target_tenant"]) for one in policies) == sorted(
            [(network, "access_as_external", "*"), (network, "access_as_shared", "*"), (pool, "access_as_shared", "*")]
        )
        assert [one["shared"] for path in ("networks", "subnetpools") for one in await older.list(path)] == [True, True]
        status, _ = await older.ask("PUT", f"networks/{network}", {"network": {"shared": False}})
        assert (status, older.cloud.store.table(Network).rows[network].shared) == (200, False)
