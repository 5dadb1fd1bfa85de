"""Edits: columns of rows that should have other values, from facts to transactions (the `Pending` of a controller).

An edit is a difference that a rule has found; it is pending until the rule no longer finds it. Writing it makes the
rule run again. An edit that was written therefore disappears, and one that was refused, or reverted by another client
before the rule saw it, is still there and is tried again. One that the database refuses by itself is reported once, and
tried again with growing pauses.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from ovenbird.controller.edits import WantedColumns
from ovenbird.driver.row_writer import SOON
from ovenbird.ovsdb.transact_request import encode_transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from ovenbird.controller.edits import Edit
    from ovenbird.engine.rows import Store
    from ovenbird.ovsdb.errors import OvsdbError
    from ovenbird.ovsdb.transaction import Transaction

log = logging.getLogger(__name__)

CLAIM_PAUSE = 0.5
"""Seconds between two claims of a port that another chassis claims too, as in ovn-controller."""
REFUSAL_PAUSE = (1.0, 64.0)
"""Shortest and longest pause, in seconds, before an edit that the database refused is tried again."""


class RowEdits:
    """The outstanding edits of one database.

    Arguments:
        store: the database's rows.
        seen: returns when a wave has processed what was written.
        stage_more: puts into a transaction what is written besides edits.
        clock: seconds that only grow.
    """

    idle = False
    """Whether there may be something to write besides edits: always."""

    def __init__(
        self,
        store: Store,
        seen: Callable[[], Awaitable[None]],
        stage_more: Callable[[Transaction], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.clock = clock
        self.outstanding: dict[Edit, None] = {}
        self.confirmed: dict[Edit, None] = {}
        self._seen = seen
        self._stage_more = stage_more
        self._claims: dict[str, float] = {}
        self._staged: list[Edit] = []
        self._refused: dict[Edit, tuple[float, float]] = {}  # when each may be tried again, and the pause before that
        self._again: list[float] = []  # when edits have to be looked at again that waited in this round

    def absorb(self, *, added: Iterable[Edit], removed: Iterable[Edit]) -> None:
        """Take in a wave's facts, those that concern this database."""
        for fact in removed:
            self.outstanding.pop(fact, None)
            self.confirmed.pop(fact, None)
            self._refused.pop(fact, None)
        for fact in added:
            if self.concerns(fact):
                self.outstanding[fact] = None

    def concerns(self, fact: Edit) -> bool:
        """Return whether a fact is about a row of this database."""
        return self.store.has(fact.row_class)

    def waiting(self) -> list[Edit]:
        """Return the edits that wait for the switch's confirmation of what has been yielded so far."""
        return [fact for fact in self.outstanding if fact.relation.after_flows and fact not in self.confirmed]

    def confirm(self, facts: Iterable[Edit]) -> bool:
        """Release edits that waited for the switch; return whether any edit is still outstanding."""
        found = [fact for fact in facts if fact in self.outstanding]
        self.confirmed.update(dict.fromkeys(found))
        return bool(found)

    # -- what a writer does -------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a round of writing."""
        self._again.clear()

    def stage(self, transaction: Transaction, only: Collection[Edit] | None = None) -> None:
        """Put every edit that may be written into a transaction, and what is written besides edits.

        Arguments:
            transaction: the transaction.
            only: some edits in their order, and nothing else, if not all of them.
        """
        now = self.clock() if self._refused else 0.0
        chosen = self.outstanding if only is None else [f for f in only if f in self.outstanding]
        self._staged = [f for f in chosen if not f.relation.after_flows or f in self.confirmed]
        self._again += [self._refused[f][0] for f in self._staged if f in self._refused and self._refused[f][0] > now]
        self._staged = [f for f in self._staged if f not in self._refused or self._refused[f][0] <= now]
        self._staged = [f for f in self._staged if not _in_vain(transaction, f)]
        for fact in self._staged:
            if pause := self._contended(fact):
                self._again.append(self.clock() + pause)
            else:
                fact.stage(self.store, transaction)
        if only is None:
            self._stage_more(transaction)

    def has_effect(self, transaction: Transaction) -> bool:
        """Return whether a transaction has anything that this server has, and that is not so already."""
        return bool(encode_transaction(transaction))

    async def committed(self) -> None:
        """Schedule a wave that sees the written rows; an edit that is outstanding then was undone by another client."""
        await self._seen()
        if any(fact in self.outstanding for fact in self._staged):
            self._again.append(self.clock() + SOON)

    def undo(self) -> None:
        """Do nothing: edits are outstanding until rules no longer find them."""

    def blame(self, refusal: OvsdbError) -> bool:  # noqa: ARG002 - as Pending has it
        """Return that no edit is known to be at fault: several may be about one row."""
        return False

    def units(self) -> Sequence[Edit]:
        """Return the edits that were staged last."""
        return self._staged

    def reject(self, refused: Mapping[Edit, OvsdbError]) -> None:
        """Leave edits out for a while."""
        for fact, refusal in refused.items():
            self.refuse(fact, refusal)
        self._again.append(self.clock() + SOON)

    def refuse(self, fact: Edit, refusal: OvsdbError) -> None:
        """Leave out, for a while that doubles each time, an edit that the database refuses by itself."""
        _, pause = self._refused.get(fact, (0.0, REFUSAL_PAUSE[0] / 2))
        pause = min(2 * pause, REFUSAL_PAUSE[1])
        if fact not in self._refused:
            log.error("%s refuses %s, which is left out: %s", self.store.name, fact.subject, refusal)
        self._refused[fact] = (self.clock() + pause, pause)

    def finish(self, *, complete: bool) -> float | None:  # noqa: ARG002 - as Pending has it
        """Return the seconds after which to write again: the edit that waits least may be written then."""
        return max(min(self._again) - self.clock(), 0) if self._again else None

    def reconnected(self) -> None:
        """Do nothing: rules find anew what is not as it should be."""

    # -- one kind of fact each ------------------------------------------------------------------------------------

    def _contended(self, fact: Edit) -> float:
        """Return how long to leave a row to another client that takes it for itself too; 0 if it may be taken now."""
        if not isinstance(fact, WantedColumns) or not dict(fact.changes).get(fact.holder):
            return 0
        row = self.store.table(fact.row_class).rows.get(fact.uuid)
        if row is None or row[fact.holder] is None:
            return 0
        now = self.clock()
        since = now - self._claims.get(fact.uuid, -CLAIM_PAUSE)
        if since < CLAIM_PAUSE:
            return CLAIM_PAUSE - since
        self._claims[fact.uuid] = now
        log.info("%s: claiming it from another %s", fact.subject, fact.holder)
        return 0


def _in_vain(transaction: Transaction, fact: Edit) -> bool:
    """Return whether the server lacks all columns that an edit is about."""
    return isinstance(fact, WantedColumns) and transaction.lacks(fact.row_class, [name for name, _ in fact.changes])
