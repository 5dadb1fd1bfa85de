"""The service on a socket."""

from __future__ import annotations

import socket

import httpx
import pytest

from ovenbird.api.access.auth import NotLoopbackError
from ovenbird.api.http.service import ApiService
from ovenbird.model import cloud
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server


@pytest.fixture
def client():
    return Server().add(Database(cloud.schema(), cloud.ROWS))


async def test_it_serves_on_a_free_port_and_stops(client):
    service = ApiService(client, port=0)
    await service.start()
    url = service.url
    async with httpx.AsyncClient() as http:
        made = await http.post(f"{url}/v2.0/networks", json={"network": {"name": "n"}})
        assert made.status_code == 201
        head = await http.head(f"{url}/v2.0/networks")
        assert (head.status_code, head.content) == (200, b"")
        page = (await http.get(f"{url}/v2.0/networks?limit=1")).json()
        assert page["networks_links"][0]["href"].startswith(f"{url}/v2.0/networks?limit=1&marker=")
    await service.stop()
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(url)


async def test_a_port_that_is_taken_is_an_error_for_the_caller(client):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        service = ApiService(client, port=port)
        with pytest.raises(OSError, match=str(port)):
            await service.start()
        await service.stop()


async def test_a_service_without_authentication_refuses_other_addresses_than_loopback(client):
    with pytest.raises(NotLoopbackError):
        ApiService(client, host="0.0.0.0")
