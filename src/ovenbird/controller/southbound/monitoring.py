"""What is monitored in Southbound: it follows the local datapaths, and nothing is complete before it has all come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ovenbird.controller.southbound.monitor_conditions import MonitorConditions
from ovenbird.ovsdb.errors import Disconnected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovenbird.controller.facts import MonitorClause
    from ovenbird.controller.local.local_store import ProgressRow
    from ovenbird.driver.engine_driver import EngineDriver
    from ovenbird.ovsdb.replica import Replica


class Monitoring:
    """Keeps what is monitored as the rules want it, and says when it has all come.

    Arguments:
        southbound: what is monitored.
        progress: where rules read what has come.
        everywhere: returns whether everything is monitored, regardless of the rules.
        on_complete: is called when the first full computation is complete.
    """

    def __init__(
        self,
        southbound: Replica,
        progress: ProgressRow,
        everywhere: Callable[[], bool],
        on_complete: Callable[[], None],
    ) -> None:
        self._southbound = southbound
        self._progress = progress
        self._everywhere = everywhere
        self._on_complete = on_complete
        self._conditions = MonitorConditions()
        self._wanted = asyncio.Event()
        self._begun = False

    def begin(self) -> None:
        """Ask for what the rules want after the first wave, even if that is nothing."""
        if not self._begun:
            self.want()

    def absorb(self, *, added: Sequence[MonitorClause], removed: Sequence[MonitorClause]) -> None:
        """Take in a wave's clauses."""
        self._conditions.absorb(added=added, removed=removed)
        self.want()

    def want(self) -> None:
        """Ask for what the rules want now; nothing is complete until it has come."""
        self._begun = True
        self._progress.tell(settled=False)
        self._wanted.set()

    async def run(self, driver: EngineDriver) -> None:
        """Change conditions whenever they are to be others, until cancelled.

        Arguments:
            driver: runs the waves; its first full computation is complete when everything has come that it asks for.
        """
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            datapaths, everywhere = self._conditions.datapaths(), self._everywhere()
            try:
                await self._southbound.synchronized()
                steps = self._conditions.steps(everywhere=everywhere)
                await asyncio.gather(*map(self._southbound.set_conditions, steps))
            except Disconnected:
                driver.gc_pause.end()  # it may be away for hours
                await self._southbound.synchronized()
            self._progress.tell(complete=datapaths, everything=everywhere)
            await driver.next_wave()
            if not self._wanted.is_set():
                self._progress.tell(settled=True)
                if driver.starting:
                    await driver.next_wave()
                    driver.complete_start()
                    self._on_complete()
