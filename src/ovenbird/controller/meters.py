"""Meters: how many packets of a kind may come up to the controller, as Southbound's Meter says.

A flow names its meter in `controller_meter`, or in the arguments of `log`. A meter must be there before a flow that
refers to it, and goes after. Bands are in the meter's unit; each drops what exceeds its rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import METER
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
    """Return a meter as the switch knows it."""
    flags = MeterFlag.STATS | (MeterFlag.PKTPS if unit == "pktps" else MeterFlag.KBPS)
    if any(burst for _, burst in bands):
        return MeterConfig(number, flags | MeterFlag.BURST, bands)
    return MeterConfig(number, flags, tuple([(rate, rate) for rate, _ in bands]))  # what the switch makes of none


class MeterTable:
    """Desired meters against installed ones."""

    def __init__(self) -> None:
        self.desired: dict[int, MeterConfig] = {}
        self.installed: dict[int, MeterConfig] = {}

    def absorb(self, added: Iterable[Fact], removed: Iterable[Fact]) -> None:
        """Take in a wave's meters."""
        for _, number, _unit, _bands in removed:
            self.desired.pop(number, None)
        for _, number, unit, bands in added:
            self.desired[number] = config_of(number, unit, bands)

    def recall(self, meters: Iterable[MeterConfig]) -> None:
        """Take what the switch holds for true."""
        self.installed = {meter.meter_id: meter for meter in meters}

    def before(self) -> list[MeterMod]:
        """Return the messages to send before the flows, and hold them for sent."""
        messages = []
        for number, meter in self.desired.items():
            there = self.installed.get(number)
            if there != meter:
                command = ModCommand.ADD if there is None else ModCommand.MODIFY
                messages.append(MeterMod(command, number, meter.flags, meter.bands))
                self.installed[number] = meter
        return messages

    def after(self) -> list[MeterMod]:
        """Return the messages to send when no flow refers any more to what has to go."""
        gone = [number for number in self.installed if number not in self.desired]
        for number in gone:
            del self.installed[number]
        return [MeterMod(ModCommand.DELETE, number) for number in gone]
