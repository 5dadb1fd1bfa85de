"""The writer of rows: what is pending for one database, in one transaction after the other.

If the database refuses a transaction, what is at fault is left out: what the error names, and otherwise what bisection
finds (`ovsdb.bisection`). `Pending` decides when that is tried again. If the database refuses everything (it is
read-only, or its disk is full), the pauses between attempts grow. After a lost connection everything is compared again.
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
"""How many times a transaction is tried again without the rows that its refusal names, before it is halved."""
PAUSE = (1.0, 64.0)
"""Shortest and longest pause, in seconds, before trying again what a database refused for no row's sake."""
SOON = 0.1
"""Seconds before something is tried again that another client was faster with."""


class Pending(Protocol[U]):
    """The changes that a database has still to be given, in units that are written or left out as a whole."""

    @property
    def idle(self) -> bool:
        """Whether there is certainly nothing to stage."""

    def begin(self) -> None:
        """Begin a round of writing: what was left out may be due again."""

    def stage(self, transaction: Transaction, only: Collection[U] | None = None) -> None:
        """Put what may be written into a transaction.

        Arguments:
            transaction: the transaction.
            only: some of the `units`, if not everything.

        Raises:
            OvsdbError: a value cannot be written.
        """

    def has_effect(self, transaction: Transaction) -> bool:
        """Return whether a transaction has anything for this database to do."""

    async def committed(self) -> None:
        """Take note that the database has accepted what was staged last."""

    def undo(self) -> None:
        """Take note that the database has refused what was staged last: all of it is pending as before."""

    def blame(self, refusal: OvsdbError) -> bool:
        """Leave out what a refusal names, and take back the rest of what was staged last.

        Returns:
            Whether it names anything. If not, all of it is still staged, and `units` or `undo` comes next.
        """

    def units(self) -> Sequence[U]:
        """Take back what was staged last; return its units."""

    def reject(self, refused: Mapping[U, OvsdbError]) -> None:
        """Leave out, and report, units that the database refuses by themselves."""

    def finish(self, *, complete: bool) -> float | None:
        """End a round of writing.

        Arguments:
            complete: whether everything was written but for what is left out.

        Returns:
            Seconds after which to write again what has to wait until then; None if nothing has.
        """

    def reconnected(self) -> None:
        """Compare everything again: the connection was lost meanwhile."""


class RowWriter(Generic[U]):
    """Writes to one database.

    Arguments:
        name: what logs call whoever writes.
        client: the database.
        pending: what is to be written.
        wanted: is called when there is something to write again.
        amend: adds to each transaction that is about to be committed.
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
        """When the database may be written to again, by the loop's clock."""
        self._wanted = wanted
        self._amend = amend
        self._reached = True
        self._pause = PAUSE[0]
        self._failure = ""

    async def write(self) -> bool:
        """Write what is pending, as far as the database accepts it.

        Returns:
            Whether there is a connection. If not, write again when there is one.
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
        if isinstance(refusal, TimedOut):  # the database is ahead of what was staged, and is about to say by what
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
        """Write all that is pending but for what is left out; return a refusal that is not about rows."""
        for _ in range(NAMED):
            refusal = await self._attempt()
            if refusal is None or not is_about_rows(refusal):
                return refusal
            if not self.pending.blame(refusal):
                return await self._bisect(refusal)
        return await self._bisect(None)

    async def _attempt(self, only: Collection[U] | None = None) -> OvsdbError | None:
        """Commit what is pending, or some of it; return the refusal, if it is refused."""
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
        """Write the units that the database accepts, and leave out those that it refuses by themselves.

        Arguments:
            refusal: of all of them together, if they were tried.

        Returns:
            A refusal that no unit is to blame for.
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
        """Report that the database refuses everything, unless it did so before for the same reason; wait a while."""
        if str(refusal) != self._failure:
            self._failure = str(refusal)
            log.error("%s: %s refuses a transaction: %s", self.name, self.client.store.name, refusal)
        pause, self._pause = self._pause, min(2 * self._pause, PAUSE[1])
        self.wait_until = asyncio.get_running_loop().time() + pause
        self._again(pause)

    def _accepted(self) -> None:
        """Take note that the database accepted everything but what is left out."""
        if self._failure:
            log.info("%s: %s accepts transactions again", self.name, self.client.store.name)
        self._pause, self.wait_until, self._failure = PAUSE[0], 0.0, ""

    def _again(self, seconds: float) -> None:
        if seconds > 0:
            asyncio.get_running_loop().call_later(seconds, self._wanted)
        else:
            self._wanted()
