"""Limits of conntrack zones, so that one instance cannot fill the connection table of the host.

The limit of a port's zone is its option `ct-zone-limit`, else that of its switch, else the chassis's default. A
router's two zones have the router's limit, or none. 0 means no limit (ovn-nb(5) of newer OVN: Logical_Switch
`other_config:ct-zone-limit`, Logical_Router and Logical_Switch_Port `options:ct-zone-limit`; northd copies them to
Datapath_Binding.external_ids and Port_Binding.options). Connections beyond the limit are not tracked: their packets are
invalid to the pipeline; other zones are not affected.

The switch keeps limits in memory only and accepts them by command (ovs-dpctl(8), `ct-set-limits`), so it is asked for
its limits at each connection and given the difference. Zones recorded in the bridge lose limits of a previous
controller that are no longer wanted; zones of other programs, and the host's own, keep theirs.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

from ovenbird.controller.facts import LIMIT
from ovenbird.controller.local.ct_zones import datapath_zones, zone_of
from ovenbird.controller.local.local_data import PLUGGED, is_hosted, is_relevant, is_resident
from ovenbird.controller.local.settings import settings
from ovenbird.controller.ofctrl.switch_commands import SwitchCommandError, command
from ovenbird.engine.lookups import get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.sb import DatapathBinding, PortBinding
from ovenbird.net.numbers import integer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from ovenbird.controller.facts import ZoneLimit
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

log = logging.getLogger(__name__)

LIMIT_OPTION = "ct-zone-limit"
_MOST = 0xFFFFFFFF
_AT_ONCE = 64
"""How many zones one command names."""
_PAUSE = (1.0, 60.0)
"""Shortest and longest pause, in seconds, before a command that failed is sent again."""
_LIMIT = re.compile(r"^zone=(\d+),limit=(\d+)", re.MULTILINE)


def limit_of(options: Mapping[str, str]) -> int | None:
    """Return the limit in a map of options, 0 for none; None if it is missing or invalid."""
    given = integer(options.get(LIMIT_OPTION, ""))
    return None if given is None else min(given, _MOST)


@view
def datapath_limit(datapath: UUID) -> int | None:
    """Return the limit that a datapath's switch or router states."""
    row = get(DatapathBinding, datapath)
    return limit_of(row.external_ids) if row is not None else None


@view
def default_limit() -> int:
    """Return the default limit of a port's zone."""
    return min(settings().ct_zone_limit, _MOST)


@rule(PortBinding, when=is_relevant)
def port_limit(port: PortBinding) -> Iterator[Fact]:
    """Limit the zone of a port with an interface here."""
    if port.type not in PLUGGED or not is_resident(port):
        return
    stated = (limit_of(port.options), datapath_limit(PortBinding.datapath.raw(port)), default_limit())
    limit = next(each for each in stated if each is not None)
    if limit:
        yield LIMIT(zone=zone_of(port.logical_port), connections=limit)


@rule(DatapathBinding)
def router_limits(datapath: DatapathBinding) -> Iterator[Fact]:
    """Limit the zones of a router with `ct-zone-limit`."""
    if is_hosted(datapath.uuid) and "logical-router" in datapath.external_ids:
        limit = datapath_limit(datapath.uuid) or 0
        for zone in datapath_zones(datapath.uuid) if limit else ():
            if zone:  # 0 is the host's own (`snat-ct-zone`): its connections are not the router's to limit
                yield LIMIT(zone=zone, connections=limit)


class ZoneLimits:
    """The desired limits, compared with those of the switch.

    Arguments:
        directory: the switch's run directory.
        datapath: returns the name of the bridge's datapath.
    """

    def __init__(self, directory: Path, datapath: Callable[[], str]) -> None:
        self.wanted: dict[int, int] = {}
        self.dropped: set[int] = set()
        self._recorded: set[int] = set()
        self._directory = directory
        self._datapath = datapath
        self._wake = asyncio.Event()
        self._failure = ""

    def absorb(self, *, added: Iterable[ZoneLimit], removed: Iterable[ZoneLimit]) -> None:
        """Process a wave's limits."""
        for gone in removed:
            if self.wanted.get(gone.zone) == gone.connections:
                del self.wanted[gone.zone]
                self.dropped.add(gone.zone)
        for limit in added:
            self.wanted[limit.zone] = limit.connections
            self.dropped.discard(limit.zone)
        self._wake.set()

    def recall(self, zones: Iterable[int]) -> None:
        """Record which zones a previous controller may have limited."""
        self._recorded = {zone for zone in zones if zone}

    def settle(self) -> None:
        """Declare the desired limits complete: other limits of a previous controller are removed."""
        self.dropped |= self._recorded - self.wanted.keys()
        self._recorded = set()
        self._wake.set()

    def compare(self) -> None:
        """Read the switch's limits again, after a new connection."""
        self._wake.set()

    async def run(self) -> None:
        """Keep the switch's limits up to date, until cancelled."""
        pause = _PAUSE[0]
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._apply()
            except SwitchCommandError as error:
                if str(error) != self._failure:
                    log.warning("the connections of zones are not limited: %s", error)
                self._failure = str(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PAUSE[1])
                self._wake.set()
            else:
                pause, self._failure = _PAUSE[0], ""

    async def _apply(self) -> None:
        """Send the difference between the desired limits and the switch's."""
        if not self.wanted and not self.dropped:
            return
        datapath, dropped = self._datapath(), set(self.dropped)
        text = await command(self._directory, "dpctl/ct-get-limits", datapath)
        there = {int(zone): int(limit) for zone, limit in _LIMIT.findall(text)}
        changes = [f"zone={zone},limit={limit}" for zone, limit in self.wanted.items() if there.get(zone) != limit]
        gone = sorted(dropped & there.keys())
        for start in range(0, len(gone), _AT_ONCE):
            zones = ",".join(map(str, gone[start : start + _AT_ONCE]))
            await command(self._directory, "dpctl/ct-del-limits", datapath, f"zone={zones}")
        self.dropped -= dropped
        for start in range(0, len(changes), _AT_ONCE):
            await command(self._directory, "dpctl/ct-set-limits", datapath, *changes[start : start + _AT_ONCE])
