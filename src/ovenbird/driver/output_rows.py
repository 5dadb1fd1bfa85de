"""The pending rows of an engine's outputs for one database (the `Pending` of a compiler).

A row that the database refuses is reported once and withheld until rules yield other values for it; it is also tried
again after a minute, and then at growing intervals, since another client's row may have been the cause.
"""

from __future__ import annotations

import logging
import math
import re
import time
from typing import TYPE_CHECKING

from ovenbird.driver.dependencies import Dependencies, Unit

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

    from ovenbird.engine.outputs import Output
    from ovenbird.ovsdb.errors import OvsdbError
    from ovenbird.ovsdb.transaction import Transaction

log = logging.getLogger(__name__)

RECONSIDER = (60.0, 3600.0)
"""Shortest and longest time, in seconds, after which withheld rows are tried again."""
LINES = 10
"""The number of refused rows of one transaction that are logged individually."""
_REMEMBERED = 1000  # reports that are not repeated
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class OutputRows:
    """The pending edits of the outputs of one database.

    Arguments:
        name: the compiler's name in the log.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.outputs: Sequence[Output] = ()
        self.reconsider_at = math.inf
        """When the withheld rows are tried again, by the monotonic clock."""
        self._staged: Collection[Output] = ()
        self._dependencies: Dependencies | None = None
        self._reconsidered = False  # whether withheld rows are being tried again
        self._longer = RECONSIDER[0]
        self._reported: set[str] = set()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to write."""
        return all(output.idle for output in self.outputs)

    def begin(self) -> None:
        """Include the withheld rows again, if it is time."""
        if self.reconsider_at <= time.monotonic():
            self.reconsider_at = math.inf
            self._reconsidered = self._reconsider()

    def stage(self, transaction: Transaction, only: Collection[Unit] | None = None) -> None:
        """Write rows into a transaction.

        Arguments:
            transaction: the transaction.
            only: some of the `units`, which are staged with all units that they depend on; every row by default.

        Raises:
            OvsdbError: a value cannot be written.
        """
        if only is None or self._dependencies is None:
            self._staged = [output for output in self.outputs if not output.idle]
            for output in self._staged:
                output.plan(transaction)
            return
        chosen: dict[Output, set[Hashable]] = {}
        for output, key in self._dependencies.closure(only):
            chosen.setdefault(output, set()).add(key)
        self._staged = chosen
        for output in self.outputs:
            if output in chosen:
                output.plan(transaction, chosen[output])

    def has_effect(self, transaction: Transaction) -> bool:
        """Return whether anything was staged."""
        return not transaction.empty

    async def committed(self) -> None:
        """Do nothing: the outputs see the committed rows in the replica."""

    def undo(self) -> None:
        """Make the rows that were staged last pending again."""
        for output in self._staged:
            output.undo(())

    def blame(self, refusal: OvsdbError) -> bool:
        """Withhold the rows that a refusal names; return whether it names any."""
        known = {output: set(output.rejected) for output in self._staged}
        culprits = {*_UUID.findall(str(refusal)), *([refusal.row] if refusal.row else [])}
        if not max([output.undo(culprits) for output in self._staged], default=False):
            return False
        for output in self._staged:
            for key in output.rejected.keys() - known[output]:
                self._report(output, key, refusal)
        return True

    def units(self) -> Sequence[Unit]:
        """Return the keys and surplus rows that differ from the database."""
        self.undo()
        self._dependencies = Dependencies(self.outputs)
        return self._dependencies.units

    def reject(self, refused: Mapping[Unit, OvsdbError]) -> None:
        """Withhold rows, and report the first of them."""
        for number, ((output, key), refusal) in enumerate(refused.items()):
            output.reject(key)
            if number < LINES:
                self._report(output, key, refusal)
        if len(refused) > LINES:
            log.error("%s: %d more rows are left out", self.name, len(refused) - LINES)

    def finish(self, *, complete: bool) -> float | None:
        """Return the seconds until the next round; 0 if a row can be written now for which another was missing."""
        self._dependencies = None
        withheld = [output for output in self.outputs if output.rejected or output.barred or output.lifted]
        if not withheld:
            return None
        if complete and max([output.has_changed() for output in withheld]):
            self._reconsider()
            return 0
        if self.reconsider_at == math.inf and any(output.rejected or output.barred for output in withheld):
            self._longer = min(2 * self._longer, RECONSIDER[1]) if self._reconsidered else RECONSIDER[0]
            self._reconsidered = False
            self.reconsider_at = time.monotonic() + self._longer
            return self._longer
        return None

    def reconnected(self) -> None:
        """Compare every key again."""
        for output in self.outputs:
            output.suspect_all()

    def _reconsider(self) -> bool:
        """Include all withheld rows again; return whether there were any."""
        return max([output.reconsider() for output in self.outputs])

    def _report(self, output: Output, key: Hashable, refusal: OvsdbError) -> None:
        """Log that a row is withheld, unless this has been logged before.

        Arguments:
            output: the output of the row.
            key: the row's key.
            refusal: the database's error.
        """
        row = f"row {key!r} of {output.relation.name}"
        reported = f"{row} {refusal.error}"
        if reported not in self._reported:
            log.error("%s: %s refuses %s, which is left out: %s", self.name, output.table.store.name, row, refusal)
            if len(self._reported) >= _REMEMBERED:
                self._reported.clear()
            self._reported.add(reported)
