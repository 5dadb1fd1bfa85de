"""The outcome of a transaction whose reply was lost, as far as the rows show it after the next connection.

New rows carry UUIDs that no other client chooses, and the UUID of a deleted row is never used again: where a
transaction inserts or deletes rows, these show whether it was committed. A transaction that only modifies rows is
recognised by the values that it set, and by the values that it waited for.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovenbird.ovsdb.transaction import Staged, Transaction


class Outcome(Enum):
    """The outcome of a transaction."""

    COMMITTED = auto()
    ABSENT = auto()
    """It is not committed; if its reply was lost just now, it still may be."""
    UNKNOWN = auto()
    """Other clients have changed the same rows since."""


def outcome(transaction: Transaction) -> Outcome:
    """Determine from the rows whether a transaction has been committed."""
    staged = [change for rows in transaction.staged.values() for change in rows.values()]
    added = [change for change in staged if change.row is None]
    if added:
        return Outcome.COMMITTED if any(_is_there(change) for change in added) else Outcome.ABSENT
    deleted = [change for change in staged if change.deleted]
    if deleted:
        return Outcome.ABSENT if any(_is_there(change) for change in deleted) else Outcome.COMMITTED
    if all(_is_made(change) for change in staged):
        return Outcome.COMMITTED
    return Outcome.ABSENT if _waits_hold(transaction) else Outcome.UNKNOWN


def _is_there(change: Staged) -> bool:
    return change.uuid in change.table.table.rows


def _is_made(change: Staged) -> bool:
    """Return whether a row has the values of a change."""
    row = change.table.table.rows.get(change.uuid)
    wanted = change.freeze()
    return row is not None and all(row.values[at] == wanted[at] for at in change.changed)


def _waits_hold(transaction: Transaction) -> bool:
    """Return whether a transaction's `wait`s are still true, which they would not be after its commit."""
    rows = [(table.table.rows.get(uuid), expected) for table, uuid, expected in transaction.waits]
    return bool(rows) and all(
        row is not None and all(row.values[at] == value for at, value in expected.items()) for row, expected in rows
    )
