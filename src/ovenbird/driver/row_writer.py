"""The writer of rows: it writes the pending changes of one database, in one transaction after another.

If the database refuses a transaction, the rows at fault are withheld: those that the error names, or otherwise those
that bisection finds (`ovsdb.bisection`). `Pending` decides when these are tried again. If the database refuses
everything (it is read-only, or its disk is full), the pauses between attempts grow. After a lost connection everything
is compared again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ovenbird.ovsdb.bisection import ATTEMPTS, Bisection, is_about_rows
from ovenbird.ovsdb.errors import Disconnected, OvsdbError, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ovenbird.ovsdb.transaction import Client, Transaction

log = logging.getLogger(__name__)

U = TypeVar("U")

NAMED = 8
"""How often a transaction is tried again without the rows named in the error, before bisection begins."""
PAUSE = (1.0, 64.0)
"""Shortest and longest pause, in seconds, after a refusal that no row has caused."""
SOON = 0.1
"""Seconds before a transaction is tried again that conflicted with another client's."""


class Pending(Protocol[U]):
    """The changes that are still to be written to a database, in units that are written or withheld as a whole."""

    @property
    def idle(self) -> bool:
        """Whether there is certainly nothing to stage."""

    def begin(self) -> None:
        """Begin a round of writing: withheld units may be due again."""

    def stage(self, transaction: Transaction, only: Collection[U] | None = None) -> None:
        """Write the units that are not withheld into a transaction.

        Arguments:
            transaction: the transaction.
            only: some of the `units`; everything by default.

        Raises:
            OvsdbError: a value cannot be written.
        """

    def has_effect(self, transaction: Transaction) -> bool:
        """Return whether a transaction changes anything in this database."""

    async def committed(self) -> None:
        """Record that the database has accepted the units staged last."""

    def undo(self) -> None:
        """Record that the database has refused the units staged last: all of them are pending as before."""

    def blame(self, refusal: OvsdbError) -> bool:
        """Withhold the units that a refusal names, and make the others that were staged last pending again.

        Returns:
            Whether it names any. If not, all units are still staged, and the caller continues with `units` or `undo`.
        """

    def units(self) -> Sequence[U]:
        """Make the units that were staged last pending again, and return them."""

    def reject(self, refused: Mapping[U, OvsdbError]) -> None:
        """Withhold and report units that the database refuses individually."""

    def finish(self, *, complete: bool) -> float | None:
        """End a round of writing.

        Arguments:
            complete: whether everything was written except for the withheld units.

        Returns:
            Seconds until the next round; None if no unit waits for one.
        """

    def reconnected(self) -> None:
        """Compare everything again, since the connection was lost."""


class RowWriter(Generic[U]):
    """Writes to one database.

    Arguments:
        name: the writing program's name in the log.
        client: the database.
        pending: the changes to write.
        wanted: called when it is time to write again.
        amend: adds operations to each transaction before its commit.
    """

    def __init__(
        self,
        name: str,
        *,
        client: Client,
        pending: Pending[U],
        wanted: Callable[[], None],
        amend: Callable[[Transaction], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.client = client
        self.pending = pending
        self.wait_until = 0.0
        """When the next attempt to write is allowed, by the loop's clock."""
        self._wanted = wanted
        self._amend = amend
        self._reached = True
        self._pause = PAUSE[0]
        self._failure = ""

    async def write(self) -> bool:
        """Write the pending changes, as far as the database accepts them.

        Returns:
            Whether the database is connected. If not, the caller writes again when it is.
        """
        if not self.client.connected:
            self._reached = False
            return False
        if not self._reached:
            self._reached = True
            self.pending.reconnected()
        if self.wait_until > asyncio.get_running_loop().time():
            return True
        self.pending.begin()
        try:
            refusal = await self._deliver()
        except Disconnected as error:
            log.warning("%s: %s: %s", self.name, self.client.store.name, error)
            self._reached = False
            return False
        if isinstance(refusal, TimedOut):  # the transaction was computed from outdated rows; the update follows
            self._again(SOON)
        elif refusal is not None:
            self._failed(refusal)
        else:
            self._accepted()
        pause = self.pending.finish(complete=refusal is None)
        if pause is not None:
            self._again(pause)
        return True

    async def _deliver(self) -> OvsdbError | None:
        """Write all pending units that are not withheld; return a refusal that no row has caused."""
        for _ in range(NAMED):
            refusal = await self._attempt()
            if refusal is None or not is_about_rows(refusal):
                return refusal
            if not self.pending.blame(refusal):
                return await self._bisect(refusal)
        return await self._bisect(None)

    async def _attempt(self, only: Collection[U] | None = None) -> OvsdbError | None:
        """Commit the pending units, or some of them; return the refusal, if there is one."""
        if self.pending.idle:
            return None
        transaction = self.client.transaction()
        try:
            self.pending.stage(transaction, only)
            if not self.pending.has_effect(transaction):
                return None
            self._amend(transaction)
            await self.client.commit(transaction)
        except OvsdbError as refusal:
            if only is not None or not is_about_rows(refusal):
                self.pending.undo()
            return refusal
        await self.pending.committed()
        return None

    async def _bisect(self, refusal: OvsdbError | None) -> OvsdbError | None:
        """Write the units that the database accepts, and withhold those that it refuses individually.

        Arguments:
            refusal: the refusal of all units together, if they were tried.

        Returns:
            A refusal that no unit has caused.
        """
        units = self.pending.units()
        if not units:
            return refusal
        bisection: Bisection[U] = Bisection(self._attempt)
        await bisection.run(units)
        self.pending.reject(bisection.refused)
        if bisection.failure is None and not bisection.complete:
            return OvsdbError(f"the changes at fault were not found with {ATTEMPTS} transactions")
        return bisection.failure

    def _failed(self, refusal: OvsdbError) -> None:
        """Log that the database refuses everything, unless the reason is the same as before; start a pause."""
        if str(refusal) != self._failure:
            self._failure = str(refusal)
            log.error("%s: %s refuses a transaction: %s", self.name, self.client.store.name, refusal)
        pause, self._pause = self._pause, min(2 * self._pause, PAUSE[1])
        self.wait_until = asyncio.get_running_loop().time() + pause
        self._again(pause)

    def _accepted(self) -> None:
        """Record that the database has accepted everything except for the withheld units."""
        if self._failure:
            log.info("%s: %s accepts transactions again", self.name, self.client.store.name)
        self._pause, self.wait_until, self._failure = PAUSE[0], 0.0, ""

    def _again(self, seconds: float) -> None:
        if seconds > 0:
            asyncio.get_running_loop().call_later(seconds, self._wanted)
        else:
            self._wanted()
