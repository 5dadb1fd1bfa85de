"""Sequence numbers, by which clients of Interconnection Northbound learn that all zones have applied their changes.

`ovn-ic-nbctl --wait=sb` increments IC_NB_Global.nb_ic_cfg. Each zone copies the number to its own row, in the
transaction that applies the changes. The least number of all zones is written to IC_SB_Global.nb_ic_cfg, and once it is
seen there to IC_NB_Global.sb_ic_cfg, which the client waits for (ovn-ic-nb(5), ovn-ic-sb(5), since 24.09). All zones
compute the same least number. Older servers lack these columns; the numbers are 0 then, and nothing is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.least import least_of
from ovenbird.engine.lookups import rows
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.ic.availability_zone import zone
from ovenbird.model import ic_nb, ic_sb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID

_ALL = "zones"


class Reached(NamedTuple):
    """The number that every zone has applied."""

    relation: Relation
    uuid: UUID
    nb_ic_cfg: int


class Told(NamedTuple):
    """The number that clients are told."""

    relation: Relation
    uuid: UUID
    sb_ic_cfg: int


REACHED = NamedRows(ic_sb.ICSBGlobal, Reached, update_only=True)
TOLD = NamedRows(ic_nb.ICNBGlobal, Told, update_only=True)


@view
def reached() -> int:
    """Return the number that Interconnection Southbound has."""
    return next((row.nb_ic_cfg for row in rows(ic_sb.ICSBGlobal)), 0)


@least_of(ic_sb.AvailabilityZone)
def applied(row: ic_sb.AvailabilityZone) -> Iterator[tuple[str, int]]:
    """Yield the number that a zone has applied."""
    yield _ALL, row.nb_ic_cfg


@rule(ic_sb.ICSBGlobal)
def all_applied(row: ic_sb.ICSBGlobal) -> Iterator[Fact]:
    """Write the number that all zones have applied."""
    least = applied.least(_ALL)
    if zone() is not None and least is not None:
        yield REACHED(row.uuid, least)


@rule(ic_nb.ICNBGlobal)
def tell(row: ic_nb.ICNBGlobal) -> Iterator[Fact]:
    """Tell clients the number that all zones have applied."""
    if zone() is not None:
        yield TOLD(row.uuid, reached())
