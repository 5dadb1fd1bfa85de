"""Findings: content of a database that has no effect, or not the intended one, with the reason.

They are facts, so a finding exists as long as its cause. ``northd.findings`` collects them and logs each new one. The
text names rows by the names and addresses that their authors use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import Relation

if TYPE_CHECKING:
    from ovenbird.engine.errors import IdsExhaustedError
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Row

FINDING = Relation("finding")


def finding(row: Row, text: str) -> Fact:
    """Make a finding about a row.

    Arguments:
        row: the row that has to be corrected.
        text: which row, what is wrong, and what was done about it; without a full stop.
    """
    return (FINDING, row.TABLE, row.uuid, text)


def without_id(row: Row, error: IdsExhaustedError) -> Fact:
    """Make the finding that a pool has no id left for what a rule makes of a row.

    Arguments:
        row: the rule's subject.
        error: names the pool.
    """
    names = [row[column] for column in ("name", "logical_port") if column in row.BY_NAME]
    return finding(row, f"{row.TABLE} {next(filter(None, names), row.uuid)}: {error}; what needs one is left out")
