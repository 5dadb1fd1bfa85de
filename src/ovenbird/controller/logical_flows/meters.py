"""Meters: how many packets of a kind may be sent to the controller, from Southbound's Meter.

A flow names its meter in `controller_meter`, or in the arguments of `log`. Bands are in the meter's unit; each drops
packets that exceed its rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import METER
from ovenbird.engine.ids import Pool
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.sb import Meter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

METER_IDS = Pool("meter id", 1, 0xFFFF)
"""The switch's numbers of meters: of Southbound's by name, of those that `set_meter` makes by flow, rate and burst."""


@view
def meter_number(name: str) -> int:
    """Return the number of a meter; 0 when there is none by that name."""
    return METER_IDS.get(name) if find(Meter.name, name) is not None else 0


@rule(Meter)
def meters(meter: Meter) -> Iterator[Fact]:
    """Yield a meter."""
    bands = tuple(sorted((band.rate, band.burst_size) for band in meter.bands))
    if bands:
        yield METER(number=METER_IDS.get(meter.name), unit=meter.unit, bands=bands)
