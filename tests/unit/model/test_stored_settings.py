"""Settings read and changed at a server, beside others who do so too."""

import asyncio
import socket

import pytest

from ovenbird.model import cloud, nb, stored_settings
from ovenbird.model.stored_settings import UnreachableError, change, opened, options
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server


@pytest.fixture
async def served(tmp_path):
    """Serve an empty Cloud, and return where."""
    server = Server()
    server.add(Database(cloud.schema(), cloud.ROWS))
    remote = f"unix:{tmp_path}/cloud.sock"
    await server.listen(f"p{remote}")
    yield remote
    await server.close()


async def test_changes_of_several_at_once_are_all_made(served):
    names = [f"max_{number}" for number in range(6)]

    async def one(name):
        async with opened(served) as client:
            await change(client, {name: "x" * 1000, "all": name})

    await asyncio.gather(*map(one, names))
    async with opened(served) as client:
        found = options(client.store)
        assert sorted(found) == ["all", *names]
        await change(client, {"metadata": "true"}, [*names, "all", "none such"])
        assert options(client.store) == {"metadata": "true"}
        await change(client, {}, ["metadata"])
        assert options(client.store) == {}


async def test_settings_are_changed_in_the_process_of_the_database():
    client = Server().add(Database(cloud.schema(), cloud.ROWS))
    await change(client, {"metadata": "true", "max_routes": "5"})
    await change(client, {"metadata": "false"})
    assert options(client.store) == {"metadata": "false", "max_routes": "5"}


async def test_nothing_to_do_makes_no_row(served):
    async with opened(served) as client:
        await change(client, {}, ["metadata"])
        assert len(client.store.table(cloud.CloudGlobal)) == 0


async def test_an_unreachable_cloud_is_reported_with_the_reason(tmp_path, monkeypatch):
    gone = f"unix:{tmp_path}/none"
    for remote, why in (
        (gone, f"Cloud cannot be reached: {gone}: No such file or directory"),
        ("banana", "Cloud cannot be reached: 'banana' is not a remote"),
        ("", "Cloud cannot be reached: no remote"),
        ("ssl:127.0.0.1:1", "Cloud cannot be reached: ssl:127.0.0.1:1: "),
    ):
        with pytest.raises(UnreachableError) as error:
            async with opened(remote):
                pass
        assert str(error.value).startswith(why)
        assert "\n" not in str(error.value)

    async def unknown(*_args, **_named):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(UnreachableError, match="tcp:nobody:1: Name or service not known"):
        async with opened("tcp:nobody:1"):
            pass
    monkeypatch.setattr(stored_settings, "PATIENCE", 0.1)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(f"{tmp_path}/mute")
        mute.listen()
        with pytest.raises(UnreachableError, match=r"no server answers within 0\.1 seconds"):
            async with opened(f"unix:{tmp_path}/mute"):
                pass


async def test_another_database(tmp_path):

    server = Server()
    server.add(Database(nb.schema(), nb.ROWS))
    await server.listen(f"punix:{tmp_path}/nb.sock")
    with pytest.raises(UnreachableError, match="unknown database"):
        async with opened(f"unix:{tmp_path}/nb.sock"):
            pass
    await server.close()
