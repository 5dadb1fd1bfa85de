"""A compiler whose target database refuses some of its rows: long texts, names taken, references to what is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ovenbird.driver.engine_driver import EngineDriver
from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Members, Rows
from ovenbird.engine.lookups import find
from ovenbird.engine.rows import Column, OptionalReference, Row
from ovenbird.engine.rules import rule
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.server import Server
from support.waiting import until_async

if TYPE_CHECKING:
    from ovenbird.ovsdb.transaction import Client


class Wish(Row, table="Wish"):
    name: Column[str] = Column("")
    text: Column[str] = Column("")
    next: Column[str] = Column("")


class Grant(Row, table="Grant"):
    name: Column[str] = Column("")
    text: Column[str] = Column("")
    next: OptionalReference[Grant] = OptionalReference(None, target="Grant")
    tags: Column[frozenset[str]] = Column(frozenset(), many=True)


STRING = {"type": "string"}
SOURCE = DatabaseSchema.from_json(
    {"name": "S", "tables": {"Wish": {"columns": {"name": STRING, "text": STRING, "next": STRING}}}}
)
TARGET_JSON = {
    "name": "T",
    "version": "1.0.0",
    "tables": {
        "Grant": {
            "isRoot": True,
            "indexes": [["text"]],
            "columns": {
                "name": STRING,
                "text": {"type": {"key": {"type": "string", "maxLength": 5}}},
                "next": {"type": {"key": {"type": "uuid", "refTable": "Grant"}, "min": 0}},
                "tags": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
            },
        }
    },
}
TARGET = DatabaseSchema.from_json(TARGET_JSON)
GRANT = Rows(Grant, [Grant.name], values=[Grant.text, Grant.next])
TAGS = Members(GRANT, Grant.tags)


@rule(Wish)
def grant(wish: Wish):
    wanted = find(Wish.name, wish.next) if wish.next else None
    yield GRANT(wish.name, wish.text, GRANT.uuid(wanted.name) if wanted is not None else None)
    yield TAGS(wish.name, f"tag of {wish.name}")


class World:
    """Wishes of a database in process, granted by a driver to a target."""

    def __init__(self) -> None:
        self.wishes = Server().add(Database(SOURCE, [Wish]))
        self.driver: EngineDriver | None = None
        self.running: asyncio.Task[None] | None = None

    def local_target(self) -> Client:
        return Server().add(Database(TARGET, [Grant]))

    async def start(self, target: Client) -> None:
        def build() -> Engine:
            engine = Engine([self.wishes.store], [grant])
            engine.bind(GRANT, target.store, TAGS)
            return engine

        self.target = target
        self.driver = EngineDriver("test", build, [target, self.wishes])
        self.running = asyncio.create_task(self.driver.run())

    async def stop(self) -> None:
        assert self.running is not None
        self.running.cancel()
        await asyncio.wait([self.running])

    def wish(self, wishes: dict[str, tuple[str, str]]) -> None:
        """Make the wishes these: texts and next names, by name."""
        change = self.wishes.transaction()
        rows = {row.name: row for row in self.wishes.store.table(Wish).rows.values()}
        for name, row in rows.items():
            if name not in wishes:
                change.delete(row)
            elif (row.text, row.next) != wishes[name]:
                change.update(row, {"text": wishes[name][0], "next": wishes[name][1]})
        for name, (text, following) in wishes.items():
            if name not in rows:
                change.insert(Wish, {"name": name, "text": text, "next": following})
        self.wishes.commit_now(change)

    def granted(self) -> dict[str, tuple[str, str]]:
        rows = self.target.store.table(Grant).rows
        return {r.name: (r.text, rows[n].name if (n := Grant.next.raw(r)) else "") for r in rows.values()}

    async def settled(self) -> None:
        """Return when the driver has nothing to do."""
        assert self.driver is not None

        async def calm() -> bool:
            for _ in range(20):
                await asyncio.sleep(0)
                if self.driver.engine is None or not self.driver.engine.idle or self.driver.busy:
                    return False
            return True

        await until_async(calm)
