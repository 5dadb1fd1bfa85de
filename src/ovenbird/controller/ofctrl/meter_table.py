"""The meters that the integration bridge should have, and those that it has."""

from __future__ import annotations

from ovenbird.controller.facts import SwitchMeter
from ovenbird.controller.ofctrl.id_table import IdTable
from ovenbird.openflow.messages import MeterConfig, MeterFlag, MeterMod, ModCommand


def config_of(number: int, *, unit: str, bands: tuple[tuple[int, int], ...]) -> MeterConfig:
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


class MeterTable(IdTable[SwitchMeter, MeterConfig]):
    """Desired meters against installed ones."""

    def made_of(self, fact: SwitchMeter) -> MeterConfig:
        """Return the meter of a fact."""
        return config_of(fact.number, unit=fact.unit, bands=fact.bands)

    def change(self, command: ModCommand, number: int, thing: MeterConfig | None) -> MeterMod:
        """Return the message that changes a meter.

        Arguments:
            command: what is done.
            number: the meter's id.
            thing: what it is then; None for a meter that goes.
        """
        return MeterMod(command, number) if thing is None else MeterMod(command, number, thing.flags, thing.bands)
