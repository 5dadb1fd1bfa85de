"""The edits of Southbound and of the local database, and the writers of both.

Each database has a writer of its own, which runs concurrently with the waves: a slow Southbound does not delay flows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ovenbird.controller.southbound.row_edits import RowEdits
from ovenbird.driver.row_writer import RowWriter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence

    from ovenbird.controller.edits import Edit, EditRelation
    from ovenbird.driver.engine_driver import Sink
    from ovenbird.engine.facts import Relation
    from ovenbird.ovsdb.replica import Replica
    from ovenbird.ovsdb.schema import DatabaseSchema
    from ovenbird.ovsdb.transaction import Transaction


class EditWriter:
    """The edits of one database, and who writes them.

    Arguments:
        client: the database.
        seen: returns when a wave has processed what was written.
        stage_more: puts into a transaction what is written besides edits.
    """

    def __init__(
        self,
        client: Replica,
        seen: Callable[[], Awaitable[None]],
        stage_more: Callable[[Transaction], None] = lambda _: None,
    ) -> None:
        self.client = client
        self.edits = RowEdits(client.store, seen, stage_more)
        self._wanted = asyncio.Event()
        self._writer = RowWriter("controller", client=client, pending=self.edits, wanted=self.wake)
        self._schema: DatabaseSchema = client.schema

    def wake(self) -> None:
        """Write what may be written, soon."""
        self._wanted.set()

    def look_at_schema(self) -> None:
        """Write what the database lacked the place for, if it has been converted."""
        if self._schema is not self.client.schema:
            self._schema = self.client.schema
            self.wake()

    async def run(self) -> None:
        """Write outstanding edits, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if not await self._writer.write():
                await self.client.synchronized()
                self.wake()


class EditWriters:
    """The writers of all databases.

    Arguments:
        writers: one for each database.
        wake_switch: has the switch confirm the flows that it was sent, for edits that wait for it.
    """

    def __init__(self, writers: Collection[EditWriter], wake_switch: Callable[[], None]) -> None:
        self.writers = writers
        self._wake_switch = wake_switch

    def sinks(self, relations: Iterable[EditRelation[..., Any]]) -> list[tuple[Relation, Sink]]:
        """Return what takes in edits, by relation."""
        return [(each, self.absorb_after_flows if each.after_flows else self.absorb) for each in relations]

    def absorb(self, *, added: Sequence[Edit], removed: Sequence[Edit]) -> None:
        """Take in a wave's edits, which may be written at once."""
        for writer in self.writers:
            writer.edits.absorb(added=added, removed=removed)
            if added:
                writer.wake()

    def absorb_after_flows(self, *, added: Sequence[Edit], removed: Sequence[Edit]) -> None:
        """Take in a wave's edits that wait for its flows."""
        for writer in self.writers:
            writer.edits.absorb(added=added, removed=removed)
        if added:
            self._wake_switch()

    def running(self) -> list[Coroutine[Any, Any, None]]:
        """Return what writes, until cancelled."""
        return [writer.run() for writer in self.writers]

    def look_at_schemas(self) -> None:
        """Write what a database lacked the place for, if it has been converted."""
        for writer in self.writers:
            writer.look_at_schema()

    def waiting(self) -> list[Edit]:
        """Return the edits that wait for the switch's confirmation of what has been yielded so far."""
        return [fact for writer in self.writers for fact in writer.edits.waiting()]

    def confirm(self, facts: Sequence[Edit]) -> None:
        """Write edits that waited for the switch."""
        for writer in self.writers:
            if writer.edits.confirm(facts):
                writer.wake()
