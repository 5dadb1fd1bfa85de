"""The writer of one database: pending edits, in one transaction after the other.

If the database refuses a transaction, the edits at fault are found by bisection (`ovsdb.bisection`), each is reported
once, and tried again with growing pauses. If the database refuses everything, the pauses between attempts grow.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ovenbird.ovsdb.bisection import Bisection, is_about_rows
from ovenbird.ovsdb.errors import Disconnected, OvsdbError, TimedOut
from ovenbird.ovsdb.transact_request import encode_transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from ovenbird.controller.edits import Edit
    from ovenbird.controller.southbound.row_edits import RowEdits
    from ovenbird.ovsdb.replica import Replica
    from ovenbird.ovsdb.transaction import Transaction

log = logging.getLogger(__name__)

PAUSE = (1.0, 64.0)
"""Shortest and longest pause, in seconds, before writing again to a database that refuses everything."""
_AGAIN = 0.1
"""Seconds before an edit is tried again that somebody undid."""


class Writer:
    """Writes the edits of one database.

    Arguments:
        client: the database.
        book: its edits.
        wanted: set when there is something to write.
        written: returns when a wave has seen what was written.
        stage_more: puts into a transaction what is written besides edits.
    """

    def __init__(
        self,
        client: Replica,
        book: RowEdits,
        wanted: asyncio.Event,
        written: Callable[[], Awaitable[None]],
        stage_more: Callable[[Transaction], None] = lambda _: None,
    ) -> None:
        self.client = client
        self.book = book
        self._wanted = wanted
        self._written = written
        self._stage_more = stage_more
        self._pause = PAUSE[0]
        self._failure = ""

    async def run(self) -> None:
        """Write whatever is wanted, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                refusal = await self._commit()
                if refusal is not None and is_about_rows(refusal):
                    refusal = await self._divide()
            except Disconnected as error:
                log.warning("%s: %s", self.client.database, error)
                await self.client.synchronized()
                self._wanted.set()
                continue
            if isinstance(refusal, TimedOut):  # the database is ahead of what was staged, and is about to say by what
                self._again(_AGAIN)
            elif refusal is not None:
                await self._refused(refusal)
            else:
                self._pause, self._failure = PAUSE[0], ""

    async def _commit(self, only: Collection[Edit] | None = None) -> OvsdbError | None:
        """Write all edits, or some of them; return the refusal, if they are refused."""
        transaction = self.client.transaction()
        try:
            pause = self.book.stage(transaction, only)
            if only is None:
                self._stage_more(transaction)
            if pause:
                self._again(pause)
            if not encode_transaction(transaction):  # nothing, or nothing that this server has
                return None
            await self.client.commit(transaction)
        except OvsdbError as refusal:
            return refusal
        await self._written()
        if self.book.undone:
            self._again(_AGAIN)
        return None

    async def _divide(self) -> OvsdbError | None:
        """Write the edits that the database does not refuse, and leave out those that it does.

        Returns:
            A refusal that no edit is to blame for.
        """
        facts = list(self.book.staged)
        bisection: Bisection[Edit] = Bisection(self._commit)
        await bisection.run(facts)
        for fact, refusal in bisection.refused.items():
            self.book.refuse(fact, refusal)
        self._again(_AGAIN)
        if bisection.failure is None and not bisection.refused and not facts:
            return OvsdbError("what is written besides edits is refused")
        return bisection.failure

    async def _refused(self, refusal: OvsdbError) -> None:
        if str(refusal) != self._failure:
            self._failure = str(refusal)
            log.error("%s refuses a transaction: %s", self.client.database, refusal)
        pause, self._pause = self._pause, min(2 * self._pause, PAUSE[1])
        await asyncio.sleep(pause)
        self._wanted.set()

    def _again(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._wanted.set)
