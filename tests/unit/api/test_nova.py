"""What Nova is told of ports: in the end as they are, whatever happened on the way."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time

import pytest

from ovenbird.api import nova
from ovenbird.api.access.keystone import Account, Keystone
from ovenbird.model import cloud, nb
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.server import LocalClient, Server
from support.api.nova_server import NovaServer
from support.waiting import until_async

SERVER = "aaaaaaaa-0000-4000-8000-00000000000{}".format
FIRST, LAST = SERVER(1), SERVER(9)
PLUGGED, UNPLUGGED, DELETED = nova.PLUGGED, nova.UNPLUGGED, nova.DELETED


class World:
    """Cloud and Northbound in process, with ports of instances."""

    def __init__(self):
        self.servers = Server(), Server()
        self.cloud = self.servers[0].add(Database(cloud.schema(), cloud.ROWS))
        self.northbound = self.servers[1].add(Database(nb.schema(), nb.ROWS))
        self.network = self.change(self.cloud, lambda t: t.insert(cloud.Network, {"name": "net", "mtu": 1442}))
        self.switch = self.change(self.northbound, lambda t: t.insert(nb.LogicalSwitch, {"name": "net"}))
        self.number = 0

    @staticmethod
    def change(client, what):
        transaction = client.transaction()
        result = what(transaction)
        client.commit_now(transaction)
        return result

    def port(self, server=FIRST, owner="compute:nova", up=False, age=0):
        """Add a port and its switch port; return its id."""
        self.number += 1
        values = {"network": self.network, "mac_address": f"fa:16:3e:00:00:{self.number:02x}", "vnic_type": "normal"}
        values |= {"admin_state_up": True, "device_owner": owner, "device_id": server}
        values |= {"updated_at": int(time.time()) - age}
        uuid = self.change(self.cloud, lambda t: t.insert(cloud.Port, values))

        def plug(t):
            row = t.insert(nb.LogicalSwitchPort, {"name": uuid, "up": up})
            t.mutate(self.switch, "ports", insert=[row])

        self.change(self.northbound, plug)
        return uuid

    def set(self, uuid, up):
        row = self.northbound.store.find(nb.LogicalSwitchPort.name, uuid)
        self.change(self.northbound, lambda t: t.update(row, {"up": up}))

    def update(self, uuid, **values):
        self.change(self.cloud, lambda t: t.update(uuid, values))

    def delete(self, uuid):
        self.change(self.cloud, lambda t: t.delete(uuid))
        row = self.northbound.store.find(nb.LogicalSwitchPort.name, uuid)
        self.change(self.northbound, lambda t: t.mutate(self.switch, "ports", delete=[row.uuid]))


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(nova, "FIRST_PAUSE", 0.02)
    return World()


@pytest.fixture
async def compute():
    async with NovaServer() as server:
        yield server


def stock_taken(notifier):
    """Return an event that is set when a notifier has seen what there is, and hears of changes."""
    event, look_around = asyncio.Event(), notifier.look_around

    def look(now):
        look_around(now)
        event.set()

    notifier.look_around = look
    return event


@contextlib.asynccontextmanager
async def telling(world, compute, tokens=None):
    """Run a notifier; leave when it has taken stock."""
    notifier = nova.Notifier(world.cloud, northbound=world.northbound, url=compute.url, tokens=tokens)
    ready = stock_taken(notifier)
    task = asyncio.ensure_future(notifier.run())
    await ready.wait()
    try:
        yield notifier
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def settled(world, compute):
    """Wait until everything so far has been told, by the port of an instance that is told of last; return the rest."""
    port = world.port(LAST)
    world.set(port, up=True)
    await compute.hears_of(port)
    return [event for event in compute.events if event[1] != LAST]


async def test_ports_come_and_go(world, compute):
    async with telling(world, compute):
        port = world.port()
        world.set(port, up=True)
        assert await compute.until(1) == [(PLUGGED, SERVER(1), port, "completed")]
        world.set(port, up=False)
        assert (await compute.until(2))[1:] == [(UNPLUGGED, SERVER(1), port, "completed")]
        world.set(port, up=True)
        await compute.until(3)
        world.delete(port)
        assert (await compute.until(4))[3:] == [(DELETED, SERVER(1), port, "completed")]
    line, headers, body, _ = compute.requests[0]
    assert line == "POST /v2.1/os-server-external-events HTTP/1.1"
    assert "x-auth-token" not in headers
    assert body == {
        "events": [{"name": PLUGGED, "server_uuid": SERVER(1), "status": "completed", "tag": port}],
    }


async def test_a_migration_is_notified_that_the_port_works(world, compute):
    async with telling(world, compute):
        port = world.port()
        world.set(port, up=True)
        await compute.until(1)
        world.update(port, binding_profile='{"migrating_to": "hv2"}')
        assert (await compute.until(2))[1:] == [(PLUGGED, SERVER(1), port, "completed")]
        world.update(port, name="other")
        assert len(await settled(world, compute)) == 2


async def test_a_port_that_is_switched_off_is_unplugged(world, compute):
    async with telling(world, compute):
        port = world.port()
        world.set(port, up=True)
        await compute.until(1)
        world.update(port, admin_state_up=False)
        assert (await compute.until(2))[-1][0] == UNPLUGGED
        world.update(port, admin_state_up=True)
        assert (await compute.until(3))[-1][0] == PLUGGED


@pytest.mark.parametrize(("owner", "device"), [("network:dhcp", SERVER(1)), ("compute:nova", "lab-vm"), ("", "")])
async def test_other_ports_are_not_novas_business(world, compute, owner, device):
    async with telling(world, compute) as notifier:
        port = world.port(device, owner)
        world.set(port, up=True)
        world.set(port, up=False)
        world.delete(port)
        assert await settled(world, compute) == []
        assert notifier.gone == {}


async def test_a_port_that_goes_down_and_up_is_notified_once_each(world, compute):
    async with telling(world, compute):
        port = world.port()
        for up in (True, False, True, False, True):
            world.set(port, up=up)
        assert [e[0] for e in await settled(world, compute)] == [PLUGGED]
        world.set(port, up=False)
        world.set(port, up=True)  # a reboot: somebody waits for it
        assert [e[0] for e in await settled(world, compute)] == [PLUGGED, PLUGGED]


async def test_a_nova_that_was_unreachable_is_notified_of_the_present_state(world, compute):
    compute.answers = [503, 500, 429]
    async with telling(world, compute) as notifier:
        ports = [world.port(SERVER(i)) for i in range(5)]
        for port in ports:
            world.set(port, up=True)
        await compute.until(5)
        assert {e[2] for e in compute.events} == set(ports)
        assert [r[3] for r in compute.requests] == [503, 500, 429, 200]
        compute.hold.clear()
        for _ in range(50):
            for port in ports:
                world.set(port, up=False)
                world.set(port, up=True)
            await asyncio.sleep(0)
        world.set(ports[0], up=False)
        assert len(notifier.changed) <= 5
        compute.hold.set()
        last = {e[2]: e[0] for e in await settled(world, compute)}
    assert last == {ports[0]: UNPLUGGED} | dict.fromkeys(ports[1:], PLUGGED)


async def test_a_nova_that_starts_late_is_notified(world):
    async with NovaServer() as compute:
        pass
    async with telling(world, compute) as notifier:
        tell, unheard = notifier._tell_some, asyncio.Event()

        async def tell_some(http):
            heard = await tell(http)
            if not heard:
                unheard.set()
            return heard

        notifier._tell_some = tell_some
        port = world.port()
        world.set(port, up=True)
        await unheard.wait()
        async with NovaServer(compute.port) as late:
            assert await late.hears_of(port) == [(PLUGGED, FIRST, port, "completed")]


async def test_an_event_that_nova_rejects_is_not_repeated(world, compute):
    compute.answers = [400]
    async with telling(world, compute):
        world.set(world.port(), up=True)
        await until_async(lambda: compute.requests)
        assert await settled(world, compute) == []
    assert [r[3] for r in compute.requests] == [400, 200]


async def test_a_process_that_takes_over_notifies_again_of_recent_ports(world, compute):
    old, recent, down = world.port(up=True, age=3600), world.port(SERVER(2), up=True), world.port(SERVER(3))
    async with telling(world, compute):
        assert [(e[0], e[2]) for e in await settled(world, compute)] == [(PLUGGED, recent)]
        world.set(old, up=False)
        await compute.hears_of(old)
        world.set(down, up=True)
        await compute.hears_of(down)
        assert [(e[0], e[2]) for e in compute.events[-2:]] == [(UNPLUGGED, old), (PLUGGED, down)]


async def test_one_process_notifies_nova_and_another_takes_over(world, compute):
    other = LocalClient(world.servers[1].service, world.northbound.database)
    notifier = nova.Notifier(world.cloud, northbound=world.northbound, url=compute.url)
    ready = stock_taken(notifier)
    first = asyncio.ensure_future(notifier.run())
    await ready.wait()
    second = asyncio.ensure_future(nova.Notifier(world.cloud, northbound=other, url=compute.url).run())
    try:
        assert [e[0] for e in await told_of(world, compute)] == [PLUGGED]
        first.cancel()
        await asyncio.wait([first])
        port = world.port(SERVER(2))
        world.set(port, up=True)
        await compute.hears_of(port)
    finally:
        first.cancel()
        second.cancel()
        await asyncio.wait([first, second])


async def told_of(world, compute):
    """Plug one port and return what Nova hears of it by the time that it hears of the next."""
    world.set(world.port(), up=True)
    return await settled(world, compute)


async def test_an_internal_error_of_the_notifier_is_logged_and_retried(world, compute, monkeypatch, caplog):
    monkeypatch.setattr(nova, "LONGEST_PAUSE", 0.01)
    event, failures = nova.Notifier.event, [KeyError("port")]

    def fails_once(notifier, uuid):
        if failures:
            raise failures.pop()
        return event(notifier, uuid)

    monkeypatch.setattr(nova.Notifier, "event", fails_once)
    async with telling(world, compute):
        world.set(world.port(), up=True)
        assert [e[0] for e in await settled(world, compute)] == [PLUGGED]
    assert "starts again" in caplog.text


class Tokens:
    """Hands out tokens, a new one for one that was refused."""

    def __init__(self):
        self.token = "first"

    async def login(self, failed):
        if failed == self.token:
            self.token = "second"
        return self.token

    async def close(self):
        self.token = "closed"


async def test_a_token_that_ran_out_is_replaced(world, compute):
    compute.answers = [401]
    tokens = Tokens()
    async with telling(world, compute, tokens):
        world.set(world.port(), up=True)
        await compute.until(1)
        world.set(world.port(SERVER(2)), up=True)
        await compute.until(2)
    assert [r[1]["x-auth-token"] for r in compute.requests] == ["first", "second", "second"]
    assert tokens.token == "closed"


async def test_keystone_gives_the_token(world, compute):
    compute.answers = [401]
    account = Account(auth_url=f"http://127.0.0.1:{compute.port}", username="ovenbird", password="secret")
    async with telling(world, compute, Keystone(account)):
        world.set(world.port(), up=True)
        await compute.until(1)
    assert [r[1]["x-auth-token"] for r in compute.requests] == ["token1", "token2"]
    assert [(user["name"], user["password"]) for user in compute.logins] == [("ovenbird", "secret")] * 2


async def test_deletions_waiting_for_nova_are_bounded(world, compute, monkeypatch):
    monkeypatch.setattr(nova, "MOST_GONE", 3)
    compute.hold.clear()
    async with telling(world, compute) as notifier:
        ports = [world.port() for _ in range(6)]
        for port in ports:
            world.delete(port)
        assert list(notifier.gone) == ports[3:]
        compute.hold.set()
        assert [e[2] for e in await settled(world, compute)] == ports[3:]
        await settled(world, compute)  # by now the answer to the first has been seen
        assert notifier.gone == {}


class Remote:
    """A database behind a socket, with one client that writes it at once and another that tells Nova."""

    def __init__(self, directory, name, model):
        self.server = Server()
        self.local = self.server.add(Database(model.schema(), model.ROWS))
        self.remote = f"punix:{directory}/{name}"
        self.replica = Replica(f"unix:{directory}/{name}", database=model.schema().name, row_classes=model.ROWS)

    async def start(self):
        await self.server.listen(self.remote)
        await self.replica.start()

    async def stop(self):
        await self.replica.close()
        await self.server.close()


async def test_the_notifier_works_with_remote_databases(world, compute):
    with tempfile.TemporaryDirectory(prefix="ob") as directory:
        remotes = [Remote(directory, name, model) for name, model in (("c", cloud), ("n", nb))]
        for remote in remotes:
            await remote.start()
        world.cloud, world.northbound = (remote.local for remote in remotes)
        world.network = world.change(world.cloud, lambda t: t.insert(cloud.Network, {"name": "net", "mtu": 1442}))
        world.switch = world.change(world.northbound, lambda t: t.insert(nb.LogicalSwitch, {"name": "net"}))
        ours, northbound = (remote.replica for remote in remotes)
        task = asyncio.ensure_future(nova.Notifier(ours, northbound=northbound, url=compute.url).run())
        try:
            first = world.port()
            world.set(first, up=True)
            await compute.hears_of(first)
            world.set(first, up=False)
            await compute.until(2)
            second = world.port(SERVER(2))
            world.set(second, up=True)
            await compute.until(3)
            world.delete(second)
            await compute.until(4)
        finally:
            task.cancel()
            await asyncio.wait([task])
            for remote in remotes:
                await remote.stop()
    assert [e[:3] for e in compute.events] == [
        (PLUGGED, FIRST, first),
        (UNPLUGGED, FIRST, first),
        (PLUGGED, SERVER(2), second),
        (DELETED, SERVER(2), second),
    ]
