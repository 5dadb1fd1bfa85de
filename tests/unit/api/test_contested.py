"""Changes that lose to others are built again, and so is what completes them."""

from __future__ import annotations

import asyncio

from ovenbird.api.access.auth import Caller
from ovenbird.api.databases import Databases
from ovenbird.model import cloud
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.errors import ConstraintViolation
from ovenbird.ovsdb.server import Server


async def test_a_follow_up_write_is_repeated_after_a_conflict():
    databases = Databases(Server().add(Database(cloud.schema(), cloud.ROWS)))
    done = []

    def losing_once(name, after=()):
        def build(draft):
            done.append(name)
            if done.count(name) == 1:
                raise ConstraintViolation
            draft.after += after
            return name

        return build

    async with asyncio.timeout(60):
        change = losing_once("change", [losing_once("completion")])
        assert await databases.change(Caller(), change) == "change"
        assert await databases.change(Caller(), losing_once("another")) == "another"
    assert done == ["change"] * 2 + ["completion"] * 2 + ["another"] * 2
