"""Findings: what of a database has no effect, or not the one that was meant, and why.

They are facts, so a finding is there for as long as its cause is, and goes with it. ``northd.findings`` keeps them and
logs each that comes. The text names rows as people know them, and speaks in addresses and names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import Relation

if TYPE_CHECKING:
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Row

FINDING = Relation("finding")


def finding(row: Row, text: str) -> Fact:
    """Make the finding about a row.

    Arguments:
        row: the row that somebody has to mend.
        text: which row, what is wrong, and what has become of it; without a full stop.
    """
    return (FINDING, row.TABLE, row.uuid, text)
