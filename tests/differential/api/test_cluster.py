"""The API over a Raft cluster whose leaders die: no call fails, and none is done twice."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from pathlib import Path

import httpx
import pytest

from ovenbird.api.access.quotas import NONE
from ovenbird.api.http.app import create_app
from ovenbird.model import cloud
from ovenbird.ovsdb.replica import Replica
from support.ovsdb.cluster import Cluster
from support.waiting import until_async

WORKERS = 8
CALLS = 25
"""Rounds of each worker; each round is five calls."""


@pytest.fixture
async def cluster():
    directory = Path(tempfile.mkdtemp(prefix="ob"))
    made = Cluster(directory, cloud.schema())
    try:
        for n in range(3):
            made.start(n)
        await made.leader()
        yield made
    finally:
        made.close()
        shutil.rmtree(directory)


async def work(client, name, done):
    """Make, change and delete; return how many calls were answered with what."""
    answers = []

    async def ask(wanted, method, path, body=None):
        answer = await client.request(method, path, json=body)
        answers.append((answer.status_code, wanted, method, answer.text[:200]))
        done.append(1)
        return answer.json() if answer.content else {}

    for n in range(CALLS):
        made = await ask(201, "POST", "/networks", {"network": {"name": f"{name}-{n}"}})
        uuid = made["network"]["id"]
        shown = await ask(200, "PUT", f"/networks/{uuid}", {"network": {"description": "x"}})
        assert shown["network"]["description"] == "x"
        subnet = await ask(201, "POST", "/subnets", {"subnet": {"network_id": uuid, "cidr": "10.0.0.0/24"}})
        await ask(204, "DELETE", f"/subnets/{subnet['subnet']['id']}")
        if n % 2:
            await ask(204, "DELETE", f"/networks/{uuid}")
    return answers


async def test_no_call_fails_and_none_is_done_twice_when_leaders_go(cluster, caplog):
    caplog.set_level(logging.INFO)
    replica = Replica(cluster.remote, database="Cloud", row_classes=cloud.ROWS, leader_only=True)
    await replica.start()
    transport = httpx.ASGITransport(create_app(replica, quotas=NONE))
    done = []

    async def progress(calls):
        await until_async(lambda: len(done) >= calls, 200)

    async def disturb():
        """Kill a leader, bring it back, and end the next one in order."""
        total = WORKERS * CALLS * 4
        await progress(total // 4)
        first = await cluster.leader()
        cluster.stop(first, kill=True)
        await progress(total // 2)
        cluster.start(first)
        second = await cluster.leader()
        cluster.stop(second)
        await progress(3 * total // 4)
        cluster.start(second)
        await cluster.leader()
        return first, second

    async with httpx.AsyncClient(transport=transport, base_url="http://neutron/v2.0", timeout=60) as client:
        workers = [work(client, f"w{n}", done) for n in range(WORKERS)]
        (first, second), *answers = await asyncio.gather(disturb(), *workers)
        assert first != second
        told = [one for some in answers for one in some]
        assert [one for one in told if one[0] != one[1]] == []
        names = sorted(n["name"] for n in (await client.get("/networks")).json()["networks"])
    await replica.close()
    assert names == sorted(f"w{w}-{n}" for w in range(WORKERS) for n in range(0, CALLS, 2))
    again = [r for r in caplog.records if "tried again" in r.getMessage()]
    assert again  # or nobody was disturbed
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
