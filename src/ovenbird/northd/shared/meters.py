"""Meters, and the log action of ACLs that may refer to one.

ovn-nb(5), Meter. A fair meter gives each ACL its own rate: a Southbound meter for each pair of meter and ACL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import quote
from ovenbird.northd.ir.datapath_groups import named_uuid
from ovenbird.northd.ir.feature import Feature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID


class MeterRow(NamedTuple):
    """A meter."""

    relation: Relation
    name: str
    unit: str
    bands: frozenset[UUID]


class MeterBandRow(NamedTuple):
    """A band of a meter."""

    relation: Relation
    uuid: UUID
    action: str
    rate: int
    burst_size: int


METER = NamedRows(sb.Meter, MeterRow, key=sb.Meter.name)
METER_BAND = NamedRows(sb.MeterBand, MeterBandRow)


def meter_facts(meter: nb.Meter, name: str) -> Iterator[Fact]:
    """Yield the Southbound meter of that name with the bands of ``meter``."""
    bands = []
    for band in meter.bands:
        uuid = named_uuid("meter band", name, band.uuid)
        yield METER_BAND(uuid, action=band.action, rate=band.rate, burst_size=band.burst_size)
        bands.append(uuid)
    yield METER(name, unit=meter.unit, bands=frozenset(bands))


@rule(nb.Meter)
def meters(meter: nb.Meter) -> Iterator[Fact]:
    """Copy each meter."""
    yield from meter_facts(meter, meter.name)


def log_action(acl: nb.ACL, verdict: str) -> tuple[str, tuple[Fact, ...]]:
    """Return the `log` action of an ACL, with a space behind it, and the facts that it depends on.

    Arguments:
        acl: the ACL; without `log`, there is no action.
        verdict: `allow`, `drop` or `reject`.
    """
    if not acl.log:
        return "", ()
    words = [f"name={quote(acl.name)}"] if acl.name is not None else []
    words += [f"severity={acl.severity or 'info'}", f"verdict={verdict}"]
    facts: tuple[Fact, ...] = ()
    name = acl.meter
    if name is not None:
        meter = find(nb.Meter.name, name)
        if meter is not None and meter.fair:
            name = f"{name}__{acl.uuid}"
            facts = tuple(meter_facts(meter, name))
        words.append(f"meter={quote(name)}")
    return f"log({', '.join(words)}); ", facts


FEATURE = Feature("meters", rules=(meters,), outputs=(METER_BAND, METER))
