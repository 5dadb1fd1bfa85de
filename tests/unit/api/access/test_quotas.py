"""Quotas over HTTP: limits, requests about them, and races for the last place."""

from __future__ import annotations

import asyncio

import pytest

from ovenbird.api.access.auth import NOBODY_IN_PARTICULAR
from ovenbird.api.access.quotas import Quotas
from ovenbird.api.databases import Databases, Draft
from ovenbird.model.cloud import CloudGlobal, Network, QuotaTurn

DEFAULTS = {"network": 100, "subnet": 100, "port": 500, "router": 10, "floatingip": 50, "security_group": 10,
            "security_group_rule": 100, "rbac_policy": 10, "subnetpool": -1, "trunk": -1}  # fmt: skip
OWN = "0" * 32


async def test_quotas_are_neutrons_by_default(neutron):
    assert await neutron.ask("GET", "quotas/red") == (200, {"quota": DEFAULTS})
    assert await neutron.ask("GET", "quotas/red/default") == (200, {"quota": DEFAULTS})
    assert await neutron.ask("GET", "quotas/red/default.json") == (200, {"quota": DEFAULTS})
    assert await neutron.list("quotas") == []
    assert await neutron.ask("GET", "quotas/project", X_Project_Id="red") == (200, {"project": {"project_id": "red"}})


async def test_a_project_has_quotas_of_its_own(neutron):
    status, body = await neutron.ask("PUT", "quotas/red", {"quota": {"network": 5, "port": "7"}})
    mine = DEFAULTS | {"network": 5, "port": 7}
    assert (status, body) == (200, {"quota": mine})
    assert await neutron.ask("GET", "quotas/red") == (200, {"quota": mine})
    assert await neutron.ask("GET", "quotas/blue") == (200, {"quota": DEFAULTS})
    assert await neutron.list("quotas") == [mine | {"project_id": "red", "tenant_id": "red"}]
    assert await neutron.ask("DELETE", "quotas/red") == (204, None)
    assert await neutron.ask("GET", "quotas/red") == (200, {"quota": DEFAULTS})
    await neutron.refused(404, "TenantQuotaNotFound", "DELETE", "quotas/red")


@pytest.mark.parametrize(
    "quota",
    [{"network": -2}, {"network": "many"}, {"network": 1 << 31}, {"networks": 3}, {"network": None}, {"network": 1.5}],
)
async def test_limits_that_make_no_sense_are_refused(neutron, quota):
    status, _ = await neutron.ask("PUT", "quotas/red", {"quota": quota})
    assert status == 400
    assert await neutron.list("quotas") == []


@pytest.mark.parametrize(("method", "path"), [("POST", "quotas"), ("PUT", "quotas"), ("DELETE", "quotas/x/default")])
async def test_unknown_methods_and_paths_of_quotas_are_refused(neutron, method, path):
    await neutron.refused(405, "HTTPMethodNotAllowed", method, path, {"quota": {}})
    await neutron.refused(404, "HTTPNotFound", "GET", "quotas/x/y")


async def test_details_count_what_there_is(neutron):
    network = await neutron.network()
    await neutron.port(network)
    _, body = await neutron.ask("GET", f"quotas/{OWN}/details")
    assert body["quota"]["network"] == {"limit": 100, "used": 1, "reserved": 0}
    assert body["quota"]["port"] == {"limit": 500, "used": 1, "reserved": 0}
    assert body["quota"]["router"]["used"] == 0


async def limit(neutron, **quota):
    assert (await neutron.ask("PUT", f"quotas/{OWN}", {"quota": quota}))[0] == 200


async def test_no_more_than_the_quota(neutron):
    await limit(neutron, network=2)
    first = await neutron.network()
    await neutron.network()
    message = await neutron.refused(409, "OverQuota", "POST", "networks", {"network": {}})
    assert message == "Quota exceeded for resources: ['network']."
    assert (await neutron.ask("POST", "networks", {"network": {}}, X_Project_Id="blue"))[0] == 201
    await neutron.ask("DELETE", f"networks/{first['id']}")
    await neutron.network()


async def test_many_at_once_are_counted_together(neutron):
    await limit(neutron, network=3)
    await neutron.network()
    bulk = {"networks": [{"name": "x"}] * 3}
    await neutron.refused(409, "OverQuota", "POST", "networks", bulk)
    assert len(await neutron.list("networks")) == 1
    assert (await neutron.ask("POST", "networks", {"networks": [{"name": "x"}] * 2}))[0] == 201
    mixed = {"networks": [{"project_id": "blue"}, {"name": "x"}]}
    await neutron.refused(409, "OverQuota", "POST", "networks", mixed)


@pytest.mark.parametrize(
    ("resource", "path", "body"),
    [
        ("subnet", "subnets", {"subnet": {"cidr": "10.1.0.0/24", "ip_version": 4}}),
        ("port", "ports", {"port": {}}),
        ("router", "routers", {"router": {}}),
        ("security_group", "security-groups", {"security_group": {}}),
        ("security_group_rule", "security-group-rules", {"security_group_rule": {"direction": "ingress"}}),
        ("floatingip", "floatingips", {"floatingip": {}}),
    ],
)
async def test_each_resource_has_its_quota(neutron, resource, path, body):
    outside, _ = await neutron.outside(project_id="blue")
    group = await neutron.create("security_group", project_id="blue")
    given = body[resource]
    if resource in ("subnet", "port"):
        given["network_id"] = outside["id"]
    if resource == "floatingip":
        given["floating_network_id"] = outside["id"]
    if resource == "security_group_rule":
        given["security_group_id"] = group["id"]
    await limit(neutron, force=True, **{resource: 0})
    await neutron.refused(409, "OverQuota", "POST", path, body)
    await limit(neutron, **{resource: -1})
    assert (await neutron.ask("POST", path, body))[0] == 201


async def test_a_quota_below_the_present_use_needs_force(neutron):
    await neutron.network()
    await neutron.network()
    message = await neutron.refused(400, "HTTPBadRequest", "PUT", f"quotas/{OWN}", {"quota": {"network": 1}})
    assert message == "Quota limit 1 for network must be greater than or equal to already used 2"
    await limit(neutron, network=1, force=True)
    await neutron.refused(409, "OverQuota", "POST", "networks", {"network": {}})
    await limit(neutron, network=-1, check_limit=True)
    await neutron.network()


async def test_defaults_are_settings(neutron):
    change = neutron.cloud.transaction()
    given = {"quota_router": "1", "quota_port": "nonsense", "quota_network": "-1", "quota_subnet": "-7"}
    change.insert(CloudGlobal, {"options": given})
    await neutron.cloud.commit(change)
    _, body = await neutron.ask("GET", "quotas/red")
    assert [body["quota"][name] for name in ("router", "port", "network", "subnet")] == [1, 500, -1, 100]
    await neutron.create("router")
    await neutron.refused(409, "OverQuota", "POST", "routers", {"router": {}})


async def test_the_last_place_is_taken_once_by_whichever_process(neutron):
    """Another process takes the last place between our look and our commit."""
    await limit(neutron, network=2)
    await neutron.network()

    def rival():
        quotas = Quotas(Databases(neutron.cloud))
        draft = Draft(neutron.cloud.transaction(), NOBODY_IN_PARTICULAR, 1)
        quotas.claim(draft, "network", [OWN])
        draft.insert(Network, {"project_id": OWN, "mtu": 1500})
        neutron.cloud.database.commit(draft.transaction)

    neutron.cloud.interfere.append(rival)
    await neutron.refused(409, "OverQuota", "POST", "networks", {"network": {}})
    assert len(await neutron.list("networks")) == 2


async def test_concurrent_requests_do_not_exceed_a_quota(neutron):
    await limit(neutron, network=5)
    answers = await asyncio.gather(*[neutron.ask("POST", "networks", {"network": {}}) for _ in range(30)])
    assert sorted(status for status, _ in answers) == [201] * 5 + [409] * 25
    assert len(await neutron.list("networks")) == 5


async def test_far_from_the_limit_of_a_quota_requests_do_not_wait(neutron):
    await limit(neutron, network=10_000)
    turns = neutron.cloud.store.table(QuotaTurn)
    before = {row.uuid: row.number for row in turns.all()}
    for _ in range(3):
        await neutron.network()
    assert {row.uuid: row.number for row in turns.all()} == before
    await limit(neutron, network=-1)
    before = {row.uuid: row.number for row in turns.all()}
    await neutron.network()
    assert {row.uuid: row.number for row in turns.all()} == before


async def test_the_rules_of_a_new_group_count_and_those_of_the_default_group(neutron):
    await neutron.ask("PUT", f"quotas/{OWN}", {"quota": {"security_group_rule": 3}})
    assert await neutron.list("security-groups") == []  # four rules of the default group are too many
    network = await neutron.network()
    message = await neutron.refused(409, "OverQuota", "POST", "ports", {"port": {"network_id": network["id"]}})
    assert message == "Quota exceeded for resources: ['security_group_rule']."
    await neutron.ask("PUT", f"quotas/{OWN}", {"quota": {"security_group_rule": 7}})
    await neutron.create("security_group", name="a")
    await neutron.refused(409, "OverQuota", "POST", "security-groups", {"security_group": {"name": "b"}})
    await neutron.ask("PUT", f"quotas/{OWN}", {"quota": {"security_group_rule": 9}})
    many = {"security_groups": [{"name": "b"}, {"name": "c"}]}
    await neutron.refused(409, "OverQuota", "POST", "security-groups", many)
    await neutron.ask("PUT", f"quotas/{OWN}", {"quota": {"security_group_rule": 10}})
    assert (await neutron.ask("POST", "security-groups", many))[0] == 201
