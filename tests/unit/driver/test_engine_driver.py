"""What a database refuses costs the rows at fault, once: everything else is written, and nothing loops."""

from __future__ import annotations

import asyncio
import itertools
import logging
import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ovenbird.driver import row_writer
from ovenbird.ovsdb.errors import Disconnected, NotAllowed
from support.driver.refused_world import World
from support.waiting import until_async

names = st.sampled_from(string.ascii_lowercase[:12])
wishes = st.dictionaries(names, st.tuples(st.sampled_from(["ok", "fine", "too long"]), st.one_of(st.just(""), names)))


def unique(made):
    """Give short texts that nobody else has."""
    short = {"ok": "{}", "fine": "{0}{0}"}
    return {name: (short.get(text, text).format(name), following) for name, (text, following) in made.items()}


def possible(made):
    """Return the wishes that can be granted."""
    good = {name for name, (text, _) in made.items() if len(text) <= 5}
    while True:
        left = {name for name in good if made[name][1] not in made or made[name][1] in good}
        if left == good:
            return good
        good = left


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(first=wishes.map(unique), second=wishes.map(unique))
@example(  # each of two was left out for the other's sake
    first={"a": ("a", ""), "k": ("too long", ""), "b": ("bb", "k")},
    second={"a": ("a", ""), "k": ("k", "b"), "b": ("bb", "k")},
)
def test_only_the_rows_at_fault_are_left_out(first, second):
    async def run():
        world = World()
        world.wish(first)
        await world.start(world.local_target())
        try:
            for made in (first, second):
                world.wish(made)
                await world.settled()
                granted = world.granted()
                right = {n: (text, following if following in made else "") for n, (text, following) in made.items()}
                assert granted.keys() >= possible(made)
                for name, row in granted.items():
                    if name in possible(made) or name not in first:
                        assert row == right[name]  # others may be as they were before
        finally:
            await world.stop()

    asyncio.run(run())


def test_one_bad_row_among_many_is_found_reported_once_and_tried_again_when_it_changes(caplog):
    caplog.set_level(logging.ERROR)

    async def run():
        world = World()
        made = {f"n{i}": (f"{i}", f"n{i // 2}") for i in range(2000)}
        made["n77"] = ("much too long", "")
        world.wish(made)
        target = world.local_target()
        await world.start(target)
        await world.settled()
        refused = {"n77"}  # and who refers to it, directly or not
        for name, (_, following) in sorted(made.items(), key=lambda item: int(item[0][1:])):
            if following in refused:
                refused.add(name)
        assert world.granted().keys() == made.keys() - refused
        lines = len(caplog.records)
        assert 0 < lines <= len(refused) + 1
        commits = target.database.serial
        world.wish({**made, "extra": ("x", "")})
        await world.settled()
        assert "extra" in world.granted()
        assert target.database.serial == commits + 1
        assert len(caplog.records) == lines
        made["n77"] = ("fine", "")
        world.wish(made)
        await world.settled()
        assert world.granted().keys() == made.keys()
        await world.stop()

    asyncio.run(run())


def test_a_database_that_refuses_everything_is_asked_more_and_more_rarely(caplog, monkeypatch):
    monkeypatch.setattr(row_writer, "PAUSE", (0.01, 64.0))
    asked = []

    async def run():
        world = World()
        world.wish({"a": ("a", "")})
        target = world.local_target()

        async def commit(_transaction):
            asked.append(asyncio.get_running_loop().time())
            raise NotAllowed("read-only")

        monkeypatch.setattr(target, "commit", commit)
        await world.start(target)
        await until_async(lambda: len(asked) >= 5 or world.driver.schedule())  # whatever else changes
        await world.stop()

    asyncio.run(run())
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert all(pause > wanted * 0.9 for pause, wanted in zip(pauses, (0.01, 0.02, 0.04, 0.08), strict=False)), pauses
    assert sum("read-only" in record.message for record in caplog.records) == 1


def test_a_refused_row_is_written_when_the_conflicting_row_is_gone(caplog):
    async def run():
        world = World()
        target = world.local_target()
        theirs = target.transaction()
        theirs.insert("Grant", {"name": "a", "text": "mine", "tags": frozenset({"tag of a"})})
        target.commit_now(theirs)
        world.wish({"a": ("mine", ""), "b": ("mine", ""), "c": ("c", "b")})
        await world.start(target)
        await world.settled()
        assert world.granted() == {"a": ("mine", "")}
        world.wish({"b": ("mine", ""), "c": ("c", "b")})
        await world.settled()
        world.driver.rows[target].reconsider_at = 0
        world.driver.schedule()
        await world.settled()
        assert world.granted() == {"b": ("mine", ""), "c": ("c", "b")}
        await world.stop()

    asyncio.run(run())


class Unsteady:
    """A database whose connection is lost in the first commit; `back` is set when it is there again."""

    def __init__(self, client):
        self.client = client
        self.connected = True
        self.back = asyncio.Event()
        self.lost = 0

    def __getattr__(self, name):
        return getattr(self.client, name)

    async def commit(self, transaction):
        if not self.lost:
            self.lost += 1
            self.connected = False
            raise Disconnected("lost")
        return await self.client.commit(transaction)

    async def synchronized(self):
        await self.back.wait()
        self.connected = True


def test_writes_lost_with_a_connection_are_repeated_when_it_is_back():
    async def run():
        world = World()
        world.wish({"a": ("a", "")})
        target = Unsteady(world.local_target())
        await world.start(target)
        await until_async(lambda: target.lost == 1)
        await world.settled()
        assert not world.granted()
        target.back.set()
        await until_async(lambda: world.granted() == {"a": ("a", "")})
        await world.stop()

    asyncio.run(run())


@pytest.mark.parametrize("bad", ["\0", "a\ud800"])
def test_a_text_that_no_database_can_have_is_refused_by_itself(tmp_path, bad):
    from ovenbird.ovsdb.journal import create, open_database  # noqa: PLC0415
    from ovenbird.ovsdb.server import Server  # noqa: PLC0415
    from support.driver.refused_world import TARGET, Grant  # noqa: PLC0415

    async def run():
        create(tmp_path / "t.db", TARGET)
        server = Server()
        world = World()
        world.wish({"a": ("a", ""), "b": (bad, ""), "c": ("c", "")})
        await world.start(server.add(open_database(tmp_path / "t.db", [Grant])))
        await world.settled()
        assert world.granted() == {"a": ("a", ""), "c": ("c", "")}
        await world.stop()
        await server.close()

    asyncio.run(run())
