"""When the same networks have other ids, and when they only look like it."""

from __future__ import annotations

import pytest

from ovenbird.daemon.renumbering import Renumbering
from ovenbird.daemon.unixctl import Unixctl
from ovenbird.driver.engine_driver import EngineDriver
from ovenbird.model import cloud
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server


class World:
    def __init__(self, place):
        self.client = Server().add(Database(cloud.schema(), cloud.ROWS))
        self.driver = EngineDriver("cloud", lambda: pytest.fail("it is not run"), [self.client])
        self.unixctl = Unixctl(place / "ctl", "1")
        Renumbering(self.client, self.driver).register(self.unixctl)
        self.ids = self.change(add=("a", "b"))

    def change(self, add=(), remove=(), ids=None):
        txn = self.client.transaction()
        for uuid in remove:
            txn.delete(self.client.store.table(cloud.Network).rows[uuid])
        made = [
            txn.insert(cloud.Network, {"name": name, "created_at": 7, "mtu": 1500}, ids[i] if ids else None)
            for i, name in enumerate(add)
        ]
        txn.commit()
        return made


@pytest.fixture
async def world(tmp_path):
    return World(tmp_path)


async def test_the_same_networks_with_other_ids_stop_the_compiler_until_the_ids_are_back(world, caplog):
    other = world.change(add=("b", "a"), remove=world.ids)
    assert world.driver.paused
    assert "restored by a server that gives rows new UUIDs" in caplog.text
    more = world.change(add=("c",))
    assert world.driver.paused
    world.change(add=("a", "b"), remove=other + more, ids=world.ids)
    assert not world.driver.paused
    assert caplog.messages[-1] == "the ids of Cloud are back: the compiler goes on"
    assert len(caplog.messages) == 2


async def test_new_ids_can_be_accepted(world):
    assert world.unixctl.commands["cloud/accept-ids"].run([]) == "the ids of Cloud are as they were\n"
    other = world.change(add=("a", "b"), remove=world.ids)
    assert world.unixctl.commands["cloud/accept-ids"].run([]) == ""
    assert not world.driver.paused
    world.change(add=("a", "b"), remove=other)
    assert world.driver.paused, "once more"


async def test_networks_that_users_create_and_delete_are_not_a_renumbering(world):
    world.change(add=("a",), remove=world.ids[:1])  # of two missed changes, say: the other network is as it was
    rest = list(world.client.store.table(cloud.Network).rows)
    world.change(add=("c", "d"), remove=rest)
    world.change(remove=list(world.client.store.table(cloud.Network).rows))
    world.change(add=("c",))
    assert not world.driver.paused
