"""Provenance: why a fact exists, given by the runs that yield it, and the rows that each of them read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovenbird.engine.rows import Row
from ovenbird.engine.views import Instance

if TYPE_CHECKING:
    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.tracking import Reader


@dataclass(frozen=True, slots=True)
class Reason:
    """One way a fact came about: the rule, its subject, and every row read on the way, nearest first."""

    rule: str
    subject: Row | None
    rows: tuple[Row, ...]


def why(engine: Engine, fact: Fact) -> tuple[Reason, ...]:
    """Return the reasons for ``fact``; none if nothing yields it."""
    holders = engine.owners.get(fact)
    if holders is None:
        return ()
    runs = holders if isinstance(holders, dict) else (holders,)
    return tuple(Reason(run.rule.name, run.subject, _rows_read(run)) for run in runs)


def _rows_read(run: Reader) -> tuple[Row, ...]:
    """Return the rows that a computation read, directly or through views."""
    seen: dict[Row, None] = {}
    visited: set[Instance] = set()
    queue: list[Reader] = [run]
    for reader in queue:
        for source in reader.deps:
            if isinstance(source, Row):
                seen[source] = None
            elif isinstance(source, Instance) and source not in visited:
                visited.add(source)
                queue.append(source)
    return tuple(seen)
