"""Meters: how many packets of a kind may come up to the controller, as Southbound's Meter says.

A flow names its meter in `controller_meter`, or in the arguments of `log`. Bands are in the meter's unit; each drops
what exceeds its rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import METER
from ovenbird.controller.ofctrl.id_table import Numbered
from ovenbird.engine.ids import Pool
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.sb import Meter
from ovenbird.openflow.messages import MeterConfig, MeterFlag, MeterMod, ModCommand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.facts import Fact

NUMBERS = Pool("meter id", 1, 0xFFFF)
"""The switch's numbers of meters, by name."""


@view
def meter_number(name: str) -> int:
    """Return the number of a meter; 0 when there is none by that name."""
    return NUMBERS.get(name) if find(Meter.name, name) is not None else 0


@rule(Meter)
def meters(meter: Meter) -> Iterator[Fact]:
    """Yield a meter."""
    bands = tuple(sorted((band.rate, band.burst_size) for band in meter.bands))
    if bands:
        yield METER(NUMBERS.get(meter.name), meter.unit, bands)


def config_of(number: int, unit: str, bands: tuple[tuple[int, int], ...]) -> MeterConfig:
    """Return a meter as the switch knows it.

    Arguments:
        number: the meter's id.
        unit: `kbps` or `pktps`.
        bands: rate and burst of each, in that unit.
    """
    flags = MeterFlag.STATS | (MeterFlag.PKTPS if unit == "pktps" else MeterFlag.KBPS)
    if any(burst for _, burst in bands):
        return MeterConfig(number, flags | MeterFlag.BURST, bands)
    return MeterConfig(number, flags, tuple([(rate, rate) for rate, _ in bands]))  # what the switch makes of none


class MeterTable(Numbered[MeterConfig]):
    """Desired meters against installed ones."""

    def made_of(self, fact: Fact) -> MeterConfig:
        """Return the meter that a fact wants."""
        return config_of(*fact[1:])

    def change(self, command: ModCommand, number: int, thing: MeterConfig | None) -> MeterMod:
        """Return the message that changes a meter.

        Arguments:
            command: what is done.
            number: the meter's id.
            thing: what it is then; None for a meter that goes.
        """
        return MeterMod(command, number) if thing is None else MeterMod(command, number, thing.flags, thing.bands)

    def recall(self, meters: Iterable[MeterConfig]) -> None:
        """Take what the switch holds for true."""
        self.installed = {meter.meter_id: meter for meter in meters}
