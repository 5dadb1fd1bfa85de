"""Tags of every resource that has them, and lists asked for by them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird.api.query import Wanted, matches


async def make(neutron, path):
    """Make one resource of a collection and return its id."""
    if path == "networks":
        return (await neutron.network())["id"]
    if path in ("routers", "security-groups", "address-groups"):
        return (await neutron.create(path[:-1].replace("-", "_"), name="x") if path != "address-groups" else
                (await neutron.ask("POST", path, {"address_group": {}}))[1]["address_group"])["id"]  # fmt: skip
    if path == "floatingips":
        outside, _ = await neutron.outside()
        return (await neutron.create("floatingip", floating_network_id=outside["id"]))["id"]
    network = await neutron.network()
    return (await (neutron.subnet(network) if path == "subnets" else neutron.port(network)))["id"]


@pytest.mark.parametrize(
    "path", ["networks", "subnets", "ports", "routers", "floatingips", "security-groups", "address-groups"]
)
async def test_every_resource_has_tags(neutron, path):
    uuid = await make(neutron, path)
    tags = f"{path}/{uuid}/tags"
    assert await neutron.ask("GET", tags) == (200, {"tags": []})
    assert await neutron.ask("PUT", tags, {"tags": ["red", "a/b"]}) == (200, {"tags": ["a/b", "red"]})
    assert (await neutron.ask("PUT", f"{tags}/green"))[0] == 201
    assert await neutron.ask("POST", tags, {"tags": ["blue", "red"]}) == (
        200,
        {"tags": ["blue", "red"]},
    )
    assert await neutron.ask("GET", tags) == (200, {"tags": ["a/b", "blue", "green", "red"]})
    assert (await neutron.ask("GET", f"{tags}/a/b"))[0] == 204
    assert (await neutron.ask("DELETE", f"{tags}/a/b"))[0] == 204
    await neutron.refused(404, "TagNotFound", "DELETE", f"{tags}/a/b")
    shown = (await neutron.ask("GET", f"{path}/{uuid}"))[1]
    assert next(iter(shown.values()))["tags"] == ["blue", "green", "red"]
    assert len(await neutron.list(f"{path}?tags=red,blue")) == 1
    assert [one["id"] for one in await neutron.list(f"{path}?tags-any=red,pink")] == [uuid]
    assert uuid not in [one["id"] for one in await neutron.list(f"{path}?not-tags=red")]
    assert (await neutron.ask("DELETE", tags))[0] == 204
    assert await neutron.ask("GET", tags) == (200, {"tags": []})


async def test_rules_of_security_groups_have_none(neutron):
    group = await neutron.create("security_group", name="x")
    rule = await neutron.create("security_group_rule", security_group_id=group["id"], direction="ingress")
    await neutron.refused(404, "HTTPNotFound", "GET", f"security-group-rules/{rule['id']}/tags")


@pytest.mark.parametrize(
    "body", [None, {}, {"tags": "red"}, {"tags": [1]}, {"tags": ["x" * 256]}, {"tags": [""]}, {"tags": None}, []]
)
async def test_bad_tags_change_nothing(neutron, body):
    network = await neutron.network()
    path = f"networks/{network['id']}/tags"
    await neutron.ask("PUT", path, {"tags": ["kept"]})
    for method in ("PUT", "POST"):
        status, _ = await neutron.ask(method, path, body)
        assert status == 400
    assert await neutron.ask("GET", path) == (200, {"tags": ["kept"]})


async def test_a_resource_has_so_many_tags_and_no_more(neutron):
    network = await neutron.network()
    path = f"networks/{network['id']}/tags"
    assert (await neutron.ask("PUT", path, {"tags": [str(i) for i in range(50)]}))[0] == 200
    await neutron.refused(400, "InvalidInput", "PUT", f"{path}/one-more")
    await neutron.refused(400, "InvalidInput", "POST", path, {"tags": ["one-more"]})
    assert (await neutron.ask("PUT", f"{path}/7"))[0] == 201  # it is there already
    assert (await neutron.ask("DELETE", f"{path}/7"))[0] == 204


async def test_adding_what_is_there_changes_nothing(neutron):
    network = await neutron.network()
    path = f"networks/{network['id']}"
    await neutron.ask("PUT", f"{path}/tags/red")
    before = (await neutron.ask("GET", path))[1]
    await neutron.ask("PUT", f"{path}/tags/red")
    assert (await neutron.ask("GET", path))[1] == before


TAGS = st.frozensets(st.sampled_from("abcd"))


@settings(deadline=None)
@given(TAGS, TAGS.filter(bool))
def test_filters_mean_what_the_api_reference_says(tags, asked):
    def found(name):
        return matches({"tags": sorted(tags)}, {name: Wanted.fromkeys([",".join(sorted(asked))])})

    assert found("tags") is asked.issubset(tags)
    assert found("tags-any") is bool(asked & tags)
    assert found("not-tags") is not asked.issubset(tags)
    assert found("not-tags-any") is not bool(asked & tags)


async def test_ports_can_be_tagged_as_they_are_made(neutron):
    network = await neutron.network()
    ports = [{"network_id": network["id"], "tags": tags} for tags in (["b", "a"], [])]
    status, body = await neutron.ask("POST", "ports", {"ports": ports})
    assert (status, [port["tags"] for port in body["ports"]]) == (201, [["a", "b"], []])
    assert [port["tags"] for port in await neutron.list("ports?tags=a")] == [["a", "b"]]
    for tags in ([""], ["x" * 256], "a", ["a", "a"], [5], [str(n) for n in range(51)]):
        await neutron.refused(400, "HTTPBadRequest", "POST", "ports", {"port": ports[1] | {"tags": tags}})
    path = f"ports/{body['ports'][0]['id']}"
    await neutron.refused(400, "HTTPBadRequest", "PUT", path, {"port": {"tags": []}})


async def test_service_providers_are_an_empty_list(neutron):
    assert await neutron.ask("GET", "service-providers") == (200, {"service_providers": []})
