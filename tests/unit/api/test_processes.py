"""Several API processes on one Cloud database: the database decides, losers try again, nobody corrupts anybody."""

from __future__ import annotations

import asyncio
import shutil

import httpx
import orjson
import pytest

from ovenbird.api.http.app import create_app
from ovenbird.model import cloud
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.server import Server
from support.places import short_directory
from support.waiting import until_async


@pytest.fixture
def directory():
    with short_directory() as made:
        yield made


async def ours(directory):
    server = Server()
    server.add(Database(cloud.schema(), cloud.ROWS))
    await server.listen(f"punix:{directory}/db.sock")
    return server.close


async def original(directory):
    program = shutil.which("ovsdb-server")
    if program is None:
        pytest.skip("ovsdb-server is not installed")
    schema = directory / "cloud.ovsschema"
    schema.write_bytes(orjson.dumps(cloud.schema().to_json()))
    maker = await asyncio.create_subprocess_exec("ovsdb-tool", "create", directory / "db", schema)
    assert await maker.wait() == 0
    process = await asyncio.create_subprocess_exec(
        program,
        f"--remote=punix:{directory}/db.sock",
        f"--unixctl={directory}/ctl",
        f"--log-file={directory}/log",
        directory / "db",
        stderr=asyncio.subprocess.DEVNULL,
    )
    await until_async((directory / "db.sock").exists)

    async def stop():
        process.terminate()
        await process.wait()

    return stop


@pytest.fixture(params=[ours, original], ids=["ours", "original"])
async def processes(request, directory):
    stop = await request.param(directory)
    replicas = [Replica(f"unix:{directory}/db.sock", database="Cloud", row_classes=cloud.ROWS) for _ in range(2)]
    clients = []
    for replica in replicas:
        await replica.start()
        transport = httpx.ASGITransport(create_app(replica))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://neutron/v2.0"))
    yield clients
    for client, replica in zip(clients, replicas, strict=True):
        await client.aclose()
        await replica.close()
    await stop()


async def post(client, member, **values):
    path = {"security_group_rule": "security-group-rules"}.get(member, f"{member}s")
    return await client.post(f"/{path}", json={member: values})


async def agreed(client, path, wanted):
    """Wait until a client shows a resource that another one made."""

    async def shown():
        answer = await client.get(path)
        assert answer.status_code == wanted, path
        return answer

    await until_async(shown)


async def test_addresses_are_given_once_and_all_of_them(processes):
    network = (await post(processes[0], "network", name="n")).json()["network"]["id"]
    pools = [{"start": "10.0.0.10", "end": "10.0.0.49"}]
    await post(processes[0], "subnet", network_id=network, cidr="10.0.0.0/24", allocation_pools=pools)
    await agreed(processes[1], f"/networks/{network}", 200)
    answers = await asyncio.gather(*[post(processes[i % 2], "port", network_id=network) for i in range(44)])
    given = [a.json()["port"]["fixed_ips"][0]["ip_address"] for a in answers if a.status_code == 201]
    assert sorted(given) == [f"10.0.0.{i}" for i in range(10, 50)]
    refused = [a.json()["NeutronError"]["type"] for a in answers if a.status_code != 201]
    assert refused == ["IpAddressGenerationFailure"] * 4
    groups = (await processes[0].get("/security-groups")).json()["security_groups"]
    assert [g["name"] for g in groups] == ["default"]


async def test_the_last_places_of_a_quota_are_taken_once(processes):
    project = "0" * 32
    assert (await processes[0].put(f"/quotas/{project}", json={"quota": {"router": 7}})).status_code == 200

    async def known():
        return (await processes[1].get(f"/quotas/{project}")).json()["quota"]["router"] == 7

    await until_async(known)
    single = [post(processes[i % 2], "router", name=str(i)) for i in range(12)]
    bulk = [processes[i % 2].post("/routers", json={"routers": [{}, {}]}) for i in range(4)]
    answers = await asyncio.gather(*single, *bulk)
    refused = {a.json()["NeutronError"]["type"] for a in answers if a.status_code != 201}
    assert refused == {"OverQuota"}
    made = [a.json() for a in answers if a.status_code == 201]
    assert sum(len(body.get("routers", [body])) for body in made) == 7
    details = (await processes[0].get(f"/quotas/{project}/details")).json()["quota"]["router"]
    assert details["limit"] == 7


async def test_a_writer_sees_its_own_writes_and_concurrent_ones_all_count(processes):
    group = (await processes[0].get("/security-groups")).json()["security_groups"][0]["id"]
    await agreed(processes[1], f"/security-groups/{group}", 200)
    values = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
    answers = await asyncio.gather(
        *[
            post(processes[i % 2], "security_group_rule", port_range_min=i, port_range_max=i, **values)
            for i in range(1, 13)
        ]
    )
    assert [a.status_code for a in answers] == [201] * 12

    async def all_count():  # what the other process wrote may come a moment after it was answered
        shown = (await processes[0].get(f"/security-groups/{group}")).json()["security_group"]
        assert shown["revision_number"] == 13
        assert len(shown["security_group_rules"]) == 16
        return shown

    await until_async(all_count)
    again = await post(processes[1], "security_group_rule", port_range_min=1, port_range_max=1, **values)
    assert (again.status_code, again.json()["NeutronError"]["type"]) == (409, "SecurityGroupRuleExists")
