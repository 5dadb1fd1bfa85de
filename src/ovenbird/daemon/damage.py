"""The options for a damaged journal, of all daemons that serve databases: the operator decides what to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.options import value
from ovenbird.ovsdb.errors import DamagedJournal, OvsdbError
from ovenbird.ovsdb.journal import OnDamage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ovenbird.daemon.options import Option, Options

OPTIONS: Mapping[str, Option] = {
    "damaged": value(
        "HOW",
        text="what to do with a damaged database file: refuse to start (refuse, the default), or keep a copy beside it "
        "and continue with the transactions before the damage (set-aside)",
    )
}


def on_damage(options: Options) -> OnDamage:
    """Return what to do with a damaged journal.

    Raises:
        UsageError: the option is invalid.
    """
    how = options.last("damaged") or OnDamage.REFUSE
    try:
        return OnDamage(how)
    except ValueError as e:
        raise UsageError(f"--damaged={how}: {' or '.join(OnDamage)} is needed") from e


def cannot_open(path: Path, error: OvsdbError | ValueError) -> UsageError:
    """Return the error message about a journal that cannot be opened."""
    text = error.details if isinstance(error, OvsdbError) and error.details else str(error)
    if isinstance(error, DamagedJournal):
        text += "; nothing was changed. Restore a backup, or start with --damaged=set-aside"
    return UsageError(text if str(path) in text else f"{path}: {text}")
