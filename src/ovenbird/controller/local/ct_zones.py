"""Conntrack zones: one for each local port, and two for each local datapath (DNAT, SNAT).

As by the original, numbers are stored in Bridge.external_ids as `ct-zone-<port>` and `ct-zone-<datapath>_dnat`/`_snat`,
so that each port keeps the zone of its established connections when the controller is restarted. A zone that is
assigned to a name for the first time is flushed before it is used, except the host's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import ZONE
from ovenbird.controller.local.local_data import is_hosted, is_relevant, is_resident
from ovenbird.controller.local.settings import CT_ZONES, settings
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.lookups import get
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model import options
from ovenbird.model.sb import DatapathBinding, PortBinding
from ovenbird.net.numbers import integer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovenbird.controller.facts import ConntrackZone
    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

ZONES = Pool("conntrack zone", *CT_ZONES)
PREFIX = "ct-zone-"
TRACKED = "enable_router_port_acl"
"""The option by which our northd says that packets are tracked at a port to a distributed gateway port."""


def zone_of(name: str) -> int:
    """Return the zone of a port, or of a datapath's `_dnat` or `_snat`."""
    return ZONES.get(name)


@view
def wanted_snat_zone(datapath: UUID) -> int | None:
    """Return the SNAT zone that a router requests (`options:snat-ct-zone`), as Southbound has it."""
    row = get(DatapathBinding, datapath)
    return options.number(row.external_ids, "snat-ct-zone", high=ZONES.high) if row is not None else None


def datapath_zones(datapath: UUID) -> tuple[int, int]:
    """Return the zones of a datapath for DNAT and SNAT; the latter is 0, the host's own, only if requested."""
    wanted = wanted_snat_zone(datapath)
    return ZONES.get(f"{datapath}_dnat"), 0 if wanted == 0 else ZONES.get(f"{datapath}_snat", want=wanted)


def stored_zones(ids: Mapping[str, str]) -> dict[str, int]:
    """Return the zones that a bridge's external_ids record, by name."""
    return {
        key.removeprefix(PREFIX): zone
        for key, value in ids.items()
        if key.startswith(PREFIX) and (zone := integer(value)) is not None
    }


def seed_zones(engine: Engine, ids: Mapping[str, str]) -> None:
    """Reserve for each name the zone that it had before this process started."""
    for name, number in stored_zones(ids).items():
        seed(engine, ZONES, name, number)


def has_zone(port: PortBinding) -> bool:
    """Return whether packets of the port are tracked in a zone of its own here."""
    tracked = port.type == "localnet" or (port.type == "patch" and options.flag(port.options, TRACKED))
    return is_resident(port) or (tracked and is_hosted(PortBinding.datapath.raw(port)))


def port_zone_of(port: PortBinding) -> int:
    """Return the zone of a port; 0 for a port without a zone here, such as a distributed router's."""
    return zone_of(port.logical_port) if has_zone(port) else 0


@view
def _zone_range() -> tuple[int, int]:
    return settings().ct_zone_range


@singleton
def zone_range() -> Iterable[Fact]:
    """Keep the zones that this process chooses within `ct-zone-range`; the others move, and are flushed."""
    low, high = _zone_range()
    ZONES.narrow(low, high=high)
    return ()


@rule(PortBinding, when=is_relevant)
def port_zone(port: PortBinding) -> Iterator[Fact]:
    """Report the zone of a resident port."""
    zone = port_zone_of(port)
    if zone:
        yield ZONE(name=port.logical_port, number=zone)


@rule(DatapathBinding)
def datapath_zone(datapath: DatapathBinding) -> Iterator[Fact]:
    """Report the zones of a hosted datapath."""
    if is_hosted(datapath.uuid):
        dnat, snat = datapath_zones(datapath.uuid)
        yield ZONE(name=f"{datapath.uuid}_dnat", number=dnat)
        yield ZONE(name=f"{datapath.uuid}_snat", number=snat)


class CtZones:
    """The zones in use, compared with those recorded on the bridge."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}
        self.recorded: dict[str, int] = {}

    def recall(self, ids: Mapping[str, str]) -> None:
        """Take over the zones that a bridge's external_ids record."""
        self.recorded = stored_zones(ids)

    def absorb(self, *, added: Iterable[ConntrackZone], removed: Iterable[ConntrackZone]) -> list[int]:
        """Process a wave's facts; return the zones to flush: those assigned to a name that had another before.

        Never zone 0, which a router may be configured to use: it has the host's own connections.
        """
        for gone in removed:
            self.used.pop(gone.name, None)
        fresh = []
        for zone in added:
            self.used[zone.name] = zone.number
            if zone.number and self.recorded.get(zone.name) != zone.number:
                fresh.append(zone.number)
        return fresh

    def changes(self) -> tuple[tuple[str, str | None], ...]:
        """Return the changes to the bridge's external_ids that record the zones in use."""
        put = [(PREFIX + n, str(z)) for n, z in self.used.items() if self.recorded.get(n) != z]
        gone = [(PREFIX + n, None) for n in self.recorded if n not in self.used]
        self.recorded = dict(self.used)
        return (*put, *gone)
