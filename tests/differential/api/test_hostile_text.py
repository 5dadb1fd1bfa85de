"""Whatever text or number a request holds: the API refuses it, or the original's server keeps it, and serves it on."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovenbird.api.access.quotas import NONE
from ovenbird.api.http.app import create_app
from ovenbird.model import cloud
from ovenbird.ovsdb.replica import Replica
from support.waiting import until

ODD = ["\0", "\x01", "\x1b[2J", "\n", "\r\n", "\t", "\x7f", "\x85", "\u2028", "\ufeff", "\uffff", "\U0010ffff",
       "\U0001f600", "e\u0301", "\u202e", '"', "\\", "\\u0000", "%00", "'; DROP TABLE", "${x}", "x" * 255,
       "x" * 256]  # fmt: skip


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    if shutil.which("ovsdb-server") is None or shutil.which("ovsdb-tool") is None:
        pytest.skip("ovsdb-server is not installed")
    place = tmp_path_factory.mktemp("ovsdb")
    (place / "schema").write_bytes(orjson.dumps(cloud.schema().to_json()))
    subprocess.run(["ovsdb-tool", "create", place / "db", place / "schema"], check=True)
    quiet = ["-vconsole:off", "-vsyslog:off", f"--unixctl={place / 'ctl'}"]
    server = subprocess.Popen(["ovsdb-server", str(place / "db"), f"--remote=punix:{place / 'sock'}", *quiet])
    until((place / "sock").exists)
    yield f"unix:{place / 'sock'}"
    assert server.poll() is None
    server.terminate()
    server.wait()
    shown = subprocess.run(["ovsdb-tool", "compact", place / "db"], check=False, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr


async def keep(remote, texts, numbers):
    replica = Replica(remote, database="Cloud", row_classes=cloud.ROWS)
    await replica.start()
    transport = httpx.ASGITransport(create_app(replica, quotas=NONE))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://x/v2.0") as http:
            for text in texts:
                body = {"name": text, "description": text, "availability_zone_hints": []}
                made = await http.post("/networks", json={"network": body})
                assert made.status_code == (400 if "\0" in text or len(text) > 255 else 201), made.text
                if made.status_code != 201:
                    continue
                network = made.json()["network"]
                assert (network["name"], network["description"]) == (text, text)
                tags = await http.put(f"/networks/{network['id']}/tags", json={"tags": [text]})
                assert tags.status_code == (200 if text else 400)
                port = {"network_id": network["id"], "binding:profile": {text: [text]}, "device_id": text}
                given = await http.post("/ports", json={"port": port})
                assert given.status_code in (201, 400), given.text
                if given.status_code == 201:
                    assert given.json()["port"]["binding:profile"] == {text: [text]}
                assert (await http.get("/networks", params={"name": text})).status_code == 200
            for number in numbers:
                for path, member, name in (
                    ("networks", "network", "mtu"),
                    ("networks", "network", "provider:segmentation_id"),
                ):
                    made = await http.post(f"/{path}", json={member: {name: number}})
                    assert made.status_code in (201, 400), made.text
            assert replica.connected
            assert (await http.get("/networks")).status_code == 200
    finally:
        await replica.close()


def test_odd_texts(remote):
    asyncio.run(keep(remote, ODD, [-1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 1.5, 1e300]))


@given(st.lists(st.text(max_size=30), max_size=5))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text(remote, texts):
    asyncio.run(keep(remote, texts, []))
