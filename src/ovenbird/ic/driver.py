"""The driver of the compiler between zones: one of several is active, and follows the name of its zone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.driver.engine_driver import ActiveStandbyDriver
from ovenbird.ic.availability_zone import ZoneRows
from ovenbird.ic.build import Stores, build

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.engine.engine import Engine
    from ovenbird.ovsdb.transaction import Client

log = logging.getLogger(__name__)

IC_LOCK = "ovn_ic"
"""The lock in Southbound that the active one holds; the original's, so that they stand by for one another."""


class InterconnectionDriver(ActiveStandbyDriver):
    """Runs the compiler between zones while it holds the lock and the zone has a name.

    Arguments:
        northbound: this zone's Northbound.
        southbound: this zone's Southbound.
        ic_northbound: Interconnection Northbound.
        ic_southbound: Interconnection Southbound.
        made: is called with each new engine before its first wave.
    """

    def __init__(
        self,
        *,
        northbound: Client,
        southbound: Client,
        ic_northbound: Client,
        ic_southbound: Client,
        made: Callable[[Engine], None] = lambda _: None,
    ) -> None:
        clients = (ic_southbound, northbound, southbound, ic_northbound)
        super().__init__("ic", self._build, clients, IC_LOCK, southbound)
        self._made = made
        self._stores: Stores | None = None
        self._mine: ZoneRows | None = None
        self._told = False

    def is_ready(self) -> bool:
        """Return whether waves may run: a zone that never had a name takes no part, and nothing is touched."""
        self._follow_name()
        return super().is_ready() and self._mine is not None and self._mine.named

    def _build(self) -> Engine:
        ic_southbound, northbound, southbound, ic_northbound = [client.store for client in self.clients]
        self._stores = Stores(
            northbound=northbound, southbound=southbound, ic_northbound=ic_northbound, ic_southbound=ic_southbound
        )
        self._mine = ZoneRows(ic_southbound)
        self._follow_name()  # before the outputs look at what is there
        engine = build(self._stores, self._mine)
        self._made(engine)
        return engine

    def _follow_name(self) -> None:
        """Take over the rows of the zone's present name; those of a former one are still this zone's to remove."""
        if self._stores is None or self._mine is None:
            return
        name = self._stores.zone_name()
        if not name and not self._told:
            log.warning("NB_Global has no name: this availability zone takes no part in interconnection")
        self._told = not name
        if name and self._mine.add(name):
            log.info("this is availability zone %s", name)
            for output in self.engine.outputs.values() if self.engine is not None else ():
                if output.mine is not None:
                    output.review()
