"""Lists: fields, sorting, paging; and the rest of the protocol around resources."""

from __future__ import annotations

import pytest

from ovenbird.api import databases
from ovenbird.api.access.auth import NotLoopbackError, require_loopback


async def test_fields(neutron):
    await neutron.network(name="a")
    assert await neutron.list("networks?fields=name&fields=mtu") == [{"name": "a", "mtu": 1442}]
    [network] = await neutron.list("networks")
    _, body = await neutron.ask("GET", f"networks/{network['id']}?fields=name")
    assert body == {"network": {"name": "a"}}


async def test_sorting(neutron):
    for name, mtu in [("b", 1400), ("a", 1300), ("c", 1400)]:
        await neutron.network(name=name, mtu=mtu)
    found = await neutron.list("networks?sort_key=mtu&sort_dir=desc&sort_key=name&sort_dir=asc")
    assert [n["name"] for n in found] == ["b", "c", "a"]
    await neutron.refused(400, "HTTPBadRequest", "GET", "networks?sort_key=colour&sort_dir=asc")
    await neutron.refused(400, "HTTPBadRequest", "GET", "networks?sort_key=name&sort_dir=up")
    await neutron.refused(400, "HTTPBadRequest", "GET", "networks?sort_key=name&sort_key=mtu&sort_dir=asc")


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_pages_forth_and_back_show_everything_once(neutron, direction):
    for i in range(7):
        await neutron.network(name=f"n{i}", mtu=1400 + i % 2)
    path = f"networks?limit=3&sort_key=mtu&sort_dir={direction}&name=" + "&name=".join(f"n{i}" for i in range(7))
    everything = [n["id"] for n in await neutron.list(path.replace("limit=3&", ""))]
    seen, pages = [], []
    while path:
        _, body = await neutron.ask("GET", path)
        pages.append([n["id"] for n in body["networks"]])
        seen += pages[-1]
        links = {link["rel"]: link["href"] for link in body.get("networks_links", ())}
        path = links.get("next", "").partition("/v2.0/")[2]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert seen == everything
    _, body = await neutron.ask("GET", links["previous"].partition("/v2.0/")[2])
    assert [n["id"] for n in body["networks"]] == pages[1]


async def test_a_bad_page_is_refused(neutron):
    await neutron.refused(400, "BadRequest", "GET", "networks?limit=many")
    await neutron.refused(400, "HTTPBadRequest", "GET", "networks?limit=1&marker=nobody")


async def test_discovery(neutron):
    answer = (await neutron.http.get("/")).json()
    assert answer["versions"][0]["id"] == "v2.0"
    assert answer["versions"][0]["links"][0]["href"] == "http://neutron/v2.0/"
    answer = (await neutron.http.get("/v2.0/")).json()
    assert {r["collection"] for r in answer["resources"]} >= {"networks", "ports", "security_groups"}
    aliases = {e["alias"] for e in await neutron.list("extensions")}
    assert {"provider", "security-group", "port-security"} <= aliases
    status, body = await neutron.ask("GET", "extensions/provider")
    assert (status, body["extension"]["alias"]) == (200, "provider")


async def test_unknown_paths_are_404_and_unknown_methods_405(neutron):
    await neutron.refused(404, "HTTPNotFound", "GET", "unicorns")
    await neutron.refused(404, "HTTPNotFound", "GET", "unicorns/1")
    await neutron.refused(404, "HTTPNotFound", "GET", "extensions/unicorns")
    await neutron.refused(404, "HTTPNotFound", "GET", "networks/1/2/3/4")
    await neutron.refused(405, "HTTPMethodNotAllowed", "DELETE", "networks")
    assert "service-type" in {extension["alias"] for extension in await neutron.list("extensions")}
    assert await neutron.list("service-providers") == []
    await neutron.refused(405, "HTTPMethodNotAllowed", "POST", "service-providers", {"service_provider": {}})
    await neutron.refused(404, "HTTPNotFound", "GET", "service-providers/1")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b'{"network": 3}', b'{"networks": []}', b'{"networks": [3]}'])
async def test_bodies_that_are_none(neutron, body):
    answer = await neutron.http.post("/v2.0/networks", content=body)
    assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (400, "HTTPBadRequest")
    assert await neutron.list("networks") == []


async def test_a_database_that_stays_out_of_reach_is_503(neutron, monkeypatch):
    monkeypatch.setattr(databases, "RECONNECT_TIMEOUT", 0.01)
    neutron.cloud.connected = False
    await neutron.refused(503, "ServiceUnavailable", "POST", "networks", {"network": {}})


def test_only_loopback_addresses_are_safe_without_authentication():
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        require_loopback(host)
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org", ""):
        with pytest.raises(NotLoopbackError):
            require_loopback(host)


async def test_an_empty_page_leads_back(neutron):
    network = await neutron.network()
    _, body = await neutron.ask("GET", f"networks?limit=2&marker={network['id']}")
    links = {"networks": [], "networks_links": [
        {"rel": "previous", "href": "http://neutron/v2.0/networks?limit=2&page_reverse=True"}]}  # fmt: skip
    assert body == links
    _, body = await neutron.ask("GET", f"networks?limit=2&page_reverse=True&marker={network['id']}")
    assert body["networks_links"] == [{"rel": "next", "href": "http://neutron/v2.0/networks?limit=2"}]
    assert await neutron.ask("GET", "agents?limit=1") == (
        200, {"agents": [], "agents_links": [{"rel": "previous", "href": "http://neutron/v2.0/agents?limit=1&page_reverse=True"}]}
    )  # fmt: skip


async def test_subnets_are_shared_as_their_networks_are(neutron):
    own, shared = await neutron.network(), await neutron.network(shared=True)
    subnets = [await neutron.subnet(own), await neutron.subnet(shared)]
    assert await neutron.list("subnets?shared=False") == subnets[:1]
    assert await neutron.list("subnets?shared=true") == subnets[1:]
    assert "shared" not in subnets[0]


async def test_every_answer_has_an_id_and_a_slash_at_the_end_means_nothing(neutron):
    network = await neutron.network()
    plain, slash = [await neutron.http.get(f"/v2.0/networks{end}") for end in ("", "/")]
    assert (plain.status_code, plain.content) == (slash.status_code, slash.content)
    ids = [answer.headers["x-openstack-request-id"] for answer in (plain, slash, await neutron.http.get("/nothing"))]
    assert len(set(ids)) == 3
    assert all(one.startswith("req-") and len(one) == 40 for one in ids)
    await neutron.http.put(f"/v2.0/networks/{network['id']}/tags/a%2F")
    assert (await neutron.list("networks"))[0]["tags"] == ["a/"]


async def test_a_load_balancer_learns_whether_requests_can_be_served(neutron):
    answer = await neutron.http.get("/healthcheck")
    assert (answer.status_code, answer.text) == (200, "OK")
    neutron.cloud.connected = False
    assert (await neutron.http.get("/healthcheck")).status_code == 503
