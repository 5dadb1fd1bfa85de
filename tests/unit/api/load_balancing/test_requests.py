"""What the load balancing API refuses, lists and permits, and what the network API refuses because of it."""

from __future__ import annotations

import httpx
import pytest

from ovenbird.api.access.auth import Caller
from ovenbird.api.access.policy import Policy
from ovenbird.api.http.app import create_app
from ovenbird.api.http.catalogue import RULES
from ovenbird.api.http.load_balancing import BALANCING_RULES
from ovenbird.model import cloud

POOL = {"protocol": "TCP", "lb_algorithm": "SOURCE_IP_PORT"}
MONITOR = {"type": "TCP", "delay": 3, "timeout": 2, "max_retries": 2}


@pytest.fixture
async def balancer(world):
    return await world.make("loadbalancer", vip_subnet_id=world.subnet, name="web")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("listeners", {"listener": {"protocol": "HTTP", "protocol_port": 80}}, 501),
        ("listeners", {"listener": {"protocol": "GOPHER", "protocol_port": 80}}, 400),
        ("listeners", {"listener": {"protocol": "TCP", "protocol_port": 0}}, 400),
        ("listeners", {"listener": {"protocol": "TCP", "protocol_port": 80, "insert_headers": {"a": "b"}}}, 501),
        ("listeners", {"listener": {"protocol": "TCP", "protocol_port": 80, "allowed_cidrs": ["fd00::/64"]}}, 400),
        ("pools", {"pool": {**POOL, "lb_algorithm": "ROUND_ROBIN"}}, 501),
        ("pools", {"pool": {**POOL, "session_persistence": {"type": "HTTP_COOKIE"}}}, 501),
        ("pools", {"pool": {**POOL, "tls_enabled": True}}, 501),
        ("pools", {"pool": {**POOL, "healthmonitor": {**MONITOR, "type": "PING"}}}, 501),
        ("pools", {"pool": {**POOL, "healthmonitor": {**MONITOR, "type": "UDP-CONNECT"}}}, 400),
        ("pools", {"pool": {**POOL, "members": [{"address": "fd00::1", "protocol_port": 80}]}}, 501),
        ("pools", {"pool": {**POOL, "members": [{"address": "10.0.0.1", "protocol_port": 80}] * 2}}, 409),
        ("l7policies", {"l7policy": {}}, 501),
        ("flavors", {"flavor": {}}, 501),
    ],
)
async def test_what_is_refused_changes_nothing(world, balancer, path, body, status):
    ((name, values),) = body.items()
    found, answer = await world.lb("POST", path, {name: {"loadbalancer_id": balancer["id"], **values}})
    assert (found, answer["faultcode"]) == (status, "Server" if status > 500 else "Client"), answer
    assert answer["debuginfo"] is None
    _, listed = await world.lb("GET", "pools")
    assert listed == {"pools": [], "pools_links": []}


async def test_load_balancers_that_cannot_be(world, balancer):
    for values, status in (
        ({}, 400),
        ({"vip_subnet_id": world.network}, 400),
        ({"vip_subnet_id": world.subnet, "vip_address": balancer["vip_address"]}, 409),
        ({"vip_subnet_id": world.subnet, "provider": "amphora"}, 400),
        ({"vip_subnet_id": world.subnet, "vip_sg_ids": [world.network]}, 501),
        ({"vip_subnet_id": world.subnet, "flavor_id": world.network}, 501),
        ({"vip_port_id": balancer["vip_port_id"]}, 400),
        ({"vip_subnet_id": world.subnet, "additional_vips": [{"subnet_id": world.subnet}]}, 400),
        ({"vip_subnet_id": world.subnet, "listeners": [{"protocol": "TCP", "protocol_port": 1,
          "default_pool": {"name": "missing"}}]}, 400),
    ):  # fmt: skip
        found, answer = await world.lb("POST", "loadbalancers", {"loadbalancer": values})
        assert found == status, answer
    assert len(world.cloud.store.table(cloud.Port)) == 2  # the router's and the VIP's
    assert (await world.lb("PUT", f"loadbalancers/{balancer['id']}/failover"))[0] == 501
    assert (await world.lb("GET", f"loadbalancers/{world.network}"))[0] == 404


async def test_what_load_balancers_use_stays(world, balancer):
    pool = await world.make("pool", loadbalancer_id=balancer["id"], **POOL)
    assert (await world.ask("DELETE", f"ports/{balancer['vip_port_id']}"))[0] == 409
    change = {"port": {"fixed_ips": [{"ip_address": "10.0.0.99"}]}}
    assert (await world.ask("PUT", f"ports/{balancer['vip_port_id']}", change))[0] == 400
    other = await world.create("subnet", network_id=world.network, cidr="10.0.1.0/24", ip_version=4)
    member = {"address": "10.0.1.5", "protocol_port": 80, "subnet_id": other["id"]}
    await world.make("member", f"pools/{pool['id']}/", **member)
    assert (await world.ask("DELETE", f"subnets/{other['id']}"))[0] == 409
    await world.make("healthmonitor", pool_id=pool["id"], **MONITOR)
    (probe,) = [p for p in world.cloud.store.table(cloud.Port) if p.device_owner == "ovn-lb-hm:distributed"]
    assert (await world.ask("DELETE", f"ports/{probe.uuid}"))[0] == 409
    assert (await world.lb("DELETE", f"pools/{pool['id']}"))[0] == 204
    assert (await world.ask("DELETE", f"subnets/{other['id']}"))[0] == 204


async def test_a_users_port_stays_and_is_free_again(world):
    port = await world.create("port", network_id=world.network)
    made = await world.make("loadbalancer", vip_port_id=port["id"])
    assert made["vip_address"] == port["fixed_ips"][0]["ip_address"]
    _, shown = await world.ask("GET", f"ports/{port['id']}")
    assert shown["port"]["device_id"] == f"lb-{made['id']}"
    assert (await world.lb("DELETE", f"loadbalancers/{made['id']}"))[0] == 204
    _, shown = await world.ask("GET", f"ports/{port['id']}")
    assert (shown["port"]["device_id"], shown["port"]["device_owner"]) == ("", "")


async def test_all_members_in_one_request(world, balancer):
    pool = await world.make("pool", loadbalancer_id=balancer["id"], healthmonitor=MONITOR, **POOL)
    path = f"pools/{pool['id']}/members"
    one, two, three = ({"address": f"10.0.0.{n}", "protocol_port": 80, "subnet_id": world.subnet} for n in (11, 12, 13))

    async def listed():
        _, body = await world.lb("GET", f"{path}?sort=address:asc")
        return [(member["address"], member["weight"]) for member in body["members"]]

    assert (await world.lb("PUT", path, {"members": [one, two]}))[0] == 202
    assert (await world.lb("PUT", path, {"members": [{**two, "weight": 5}, three]}))[0] == 202
    assert await listed() == [("10.0.0.12", 5), ("10.0.0.13", 1)]
    assert (await world.lb("PUT", f"{path}?additive_only=true", {"members": [one]}))[0] == 202
    assert len(await listed()) == 3
    assert (await world.lb("PUT", path, {"members": [one, one]}))[0] == 400
    assert (await world.lb("PUT", path, {"members": []}))[0] == 202
    assert not await listed()
    assert not [p for p in world.cloud.store.table(cloud.Port) if p.device_owner == "ovn-lb-hm:distributed"]


async def test_lists(world):
    for name in ("a", "b", "c"):
        await world.make("loadbalancer", vip_subnet_id=world.subnet, name=name, tags=[name, "all"])

    async def names(query):
        status, body = await world.lb("GET", f"loadbalancers?{query}")
        assert status == 200, body
        return [one["name"] for one in body["loadbalancers"]]

    assert await names("sort=name:desc") == ["c", "b", "a"]
    assert await names("name=b") == ["b"]
    assert await names("tags=all,b") == ["b"]
    assert await names("not-tags=b&sort=name") == ["a", "c"]
    assert (await world.lb("GET", "loadbalancers?colour=red"))[0] == 400
    _, page = await world.lb("GET", "loadbalancers?sort=name&limit=2&fields=name&fields=id")
    assert [sorted(one) for one in page["loadbalancers"]] == [["id", "name"]] * 2
    (link,) = page["loadbalancers_links"]
    _, last = await world.lb("GET", link["href"].partition("/lbaas/")[2])
    assert [one["name"] for one in last["loadbalancers"]] == ["c"]


async def test_quotas(world):
    project = "0" * 32
    assert (await world.lb("PUT", f"quotas/{project}", {"quota": {"loadbalancer": 1}}))[0] == 202
    await world.make("loadbalancer", vip_subnet_id=world.subnet)
    status, body = await world.lb("POST", "loadbalancers", {"loadbalancer": {"vip_subnet_id": world.subnet}})
    assert (status, body["faultstring"]) == (403, "Quota has been met for resources: load_balancer")
    _, shown = await world.lb("GET", f"quotas/{project}")
    assert (shown["quota"]["load_balancer"], shown["quota"]["pool"]) == (1, -1)
    assert (await world.lb("DELETE", f"quotas/{project}"))[0] == 204
    assert (await world.lb("GET", "quotas/defaults"))[1]["quota"]["load_balancer"] == -1
    assert "load_balancer" not in (await world.ask("GET", f"quotas/{project}"))[1]["quota"]


class Roles:
    """Takes everybody for who the headers say."""

    restricted = True

    def known(self, headers):
        found = {name: value.decode() for name, value in headers}
        return Caller(project=found[b"x-project"], user="u", roles=frozenset(found[b"x-roles"].split(",")))

    async def identify(self, headers):
        return self.known(headers)

    async def close(self):
        pass


async def test_roles(world, balancer):
    """Members change what is their project's, readers read it; other projects' resources are refused."""
    app = create_app(world.cloud, authenticator=Roles(), policy=Policy(RULES | BALANCING_RULES))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:

        async def ask(method, path, body=None, *, project="0" * 32, roles="member"):
            headers = {"x-project": project, "x-roles": roles}
            answer = await http.request(method, f"/v2/lbaas/{path}", json=body, headers=headers)
            return answer.status_code

        path, change = f"loadbalancers/{balancer['id']}", {"loadbalancer": {"name": "x"}}
        assert await ask("PUT", path, change) == 200
        assert await ask("PUT", path, change, roles="load-balancer_member") == 200
        for roles in ("reader", "load-balancer_observer", "load-balancer_global_observer"):
            assert await ask("GET", path, roles=roles) == 200
            assert await ask("PUT", path, change, roles=roles) == 403
        assert await ask("GET", path, project="other") == 403
        assert await ask("GET", path, project="other", roles="load-balancer_admin") == 200
        assert await ask("DELETE", path, project="other") == 403
        assert await ask("GET", f"loadbalancers?project_id={'0' * 32}", project="other") == 403
        stolen = {"loadbalancer": {"vip_subnet_id": world.subnet}}
        assert await ask("POST", "loadbalancers", stolen, project="other") == 400
        listener = {"listener": {"loadbalancer_id": balancer["id"], "protocol": "TCP", "protocol_port": 80}}
        assert await ask("POST", "listeners", listener, project="other") == 403


async def test_versions(world):
    answer = await world.http.get("/load-balancer/")
    versions = answer.json()["versions"]
    assert (versions[0]["id"], versions[-1]["id"], versions[-1]["status"]) == ("v2.0", "v2.30", "CURRENT")
