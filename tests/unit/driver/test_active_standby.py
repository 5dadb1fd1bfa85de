"""Of several drivers one is active; one that is paused leaves the lock to another (ovn-northd(8), `pause`)."""

from __future__ import annotations

import asyncio
import contextlib

from ovenbird.driver.engine_driver import ActiveStandbyDriver
from ovenbird.engine.engine import Engine
from ovenbird.model import sb
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server
from support.waiting import until_async


@contextlib.asynccontextmanager
async def two_drivers():
    server = Server()
    clients = [server.add(Database(sb.schema(), sb.ROWS))]
    clients.append(type(clients[0])(server.service, clients[0].database))
    drivers = [
        ActiveStandbyDriver("test", lambda: Engine((clients[0].store,), ()), (client,), "a_lock", client)
        for client in clients
    ]
    running = [asyncio.ensure_future(driver.run()) for driver in drivers]
    try:
        await until_async(lambda: any(driver.active for driver in drivers))
        yield drivers
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await server.close()


def states(drivers):
    return [driver.status for driver in drivers]


async def test_one_that_is_paused_leaves_the_lock_to_another():
    async with two_drivers() as drivers:
        assert states(drivers) == ["active", "standby"]
        drivers[0].step_back()
        await until_async(lambda: states(drivers) == ["paused", "active"])
        drivers[0].step_forth()
        await until_async(lambda: states(drivers) == ["standby", "active"])
        drivers[0].step_back()
        drivers[0].step_forth()
        drivers[1].step_back()
        await until_async(lambda: states(drivers) == ["active", "paused"])


async def test_a_pause_that_ends_at_once_costs_nothing():
    async with two_drivers() as drivers:
        for _ in range(3):
            drivers[0].step_back()
            drivers[0].step_forth()
        await until_async(lambda: sorted(states(drivers)) == ["active", "standby"])


async def test_a_standby_that_is_paused_does_not_take_over():
    async with two_drivers() as drivers:
        drivers[1].step_back()
        drivers[0].step_back()
        await until_async(lambda: not drivers[0].active)
        await asyncio.sleep(0)
        assert states(drivers) == ["paused", "paused"]
        drivers[1].step_forth()
        await until_async(lambda: states(drivers) == ["paused", "active"])


async def test_a_pause_by_the_program_itself_keeps_the_lock():
    async with two_drivers() as drivers:
        drivers[0].pause()
        await asyncio.sleep(0)
        assert states(drivers) == ["paused", "standby"]
        drivers[0].resume()
        assert states(drivers) == ["active", "standby"]
