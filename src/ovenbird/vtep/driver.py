"""The driver between the hardware_vtep database and Southbound; at `exit` it removes what it has written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ovenbird.driver.engine_driver import EngineDriver
from ovenbird.engine.engine import Engine
from ovenbird.model import sb
from ovenbird.model.options import flag
from ovenbird.model.version import NorthdVersion
from ovenbird.model.vtep import Global, LogicalSwitch, McastMacsRemote, PhysicalSwitch, UcastMacsRemote
from ovenbird.ovsdb.errors import OvsdbError
from ovenbird.vtep.binding import BOUND, binding_rule
from ovenbird.vtep.gateways import Gateways, is_hypervisor
from ovenbird.vtep.logical_switch import REPLICATION, TUNNEL_KEY, tunnel_key
from ovenbird.vtep.macs import (
    LOCATOR,
    LOCATOR_SET,
    MULTICAST,
    UNICAST,
    multicast,
    present_locator,
    present_set,
    unicast,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.engine.facts import Rows
    from ovenbird.engine.rows import Store
    from ovenbird.ovsdb.transaction import Client, Transaction

log = logging.getLogger(__name__)

SOUTHBOUND = (sb.SBGlobal, sb.Chassis, sb.Encap, sb.DatapathBinding, sb.PortBinding)
"""The tables of Southbound that are followed."""


class VtepDriver(EngineDriver):
    """Runs the engine between one hardware_vtep and one Southbound.

    Arguments:
        switches: hardware_vtep.
        southbound: Southbound, of which `SOUTHBOUND` is followed.
        observe: is called with each engine that is made, before it runs.
    """

    def __init__(self, switches: Client, *, southbound: Client, observe: Callable[[Engine], None]) -> None:
        super().__init__("vtep", self._build, (southbound, switches))
        self.switches = switches
        self.southbound = southbound
        self._observe = observe
        self._gateways: Gateways | None = None
        self._northd = NorthdVersion("controller-vtep")

    def _build(self) -> Engine:
        """Make the engine, its outputs bound to both databases."""
        switches, southbound = self.switches.store, self.southbound.store
        gateways = self._gateways = Gateways(switches, southbound=southbound)
        rules = (
            *gateways.rules, binding_rule(gateways), tunnel_key, present_locator, present_set, unicast, multicast,
        )  # fmt: skip
        engine = Engine((switches, southbound), rules)
        self._observe(engine)
        written: tuple[tuple[Store, tuple[Rows[Any], ...]], ...] = (
            (southbound, (gateways.encap, gateways.chassis, BOUND)),
            (switches, (LOCATOR, LOCATOR_SET, TUNNEL_KEY, REPLICATION, UNICAST, MULTICAST)),
        )
        for store, relations in written:
            for relation in relations:
                engine.bind(relation, store)
        gateways.follow(engine)
        return engine

    def end(self, engine: Engine) -> None:
        """Release the engine."""
        if self._gateways is not None:
            self._gateways.leave()
        super().end(engine)

    def is_ready(self) -> bool:
        """Return whether waves may run now."""
        own = next(iter(self.switches.store.table(Global).rows.values()), None)
        matters = own is not None and flag(own.other_config, "ovn-match-northd-version")
        return super().is_ready() and not self._northd.differs(self.southbound.store, matters=matters)

    async def withdraw(self) -> None:
        """Remove what was written, with the chassis: the gateways do not come back. No waves may run meanwhile.

        What a database refuses is logged and stays.
        """
        for client, stage in ((self.southbound, self._withdraw_chassis), (self.switches, self._withdraw_macs)):
            if not client.connected:
                continue
            transaction = client.transaction()
            stage(transaction)
            try:
                if not transaction.empty:
                    await client.commit(transaction)
            except OvsdbError as error:
                log.warning("%s: the rows that this process wrote could not be removed: %s", client.store.name, error)

    def _withdraw_chassis(self, transaction: Transaction) -> None:
        """Release the ports of the gateways, and remove these."""
        store = self.southbound.store
        for switch in self.switches.store.table(PhysicalSwitch).rows.values():
            chassis = store.find(sb.Chassis.name, switch.name)
            if chassis is None or is_hypervisor(chassis.other_config):
                continue
            for port in store.select(sb.PortBinding.chassis, chassis.uuid):
                transaction.update(port, {"chassis": None, "up": False})
            transaction.delete(chassis)

    def _withdraw_macs(self, transaction: Transaction) -> None:
        """Clear the tunnel keys of logical switches, and remove their remote MACs."""
        store = self.switches.store
        for switch in store.table(LogicalSwitch).rows.values():
            if switch.tunnel_key is not None:
                transaction.update(switch, {"tunnel_key": None})
        for table in (UcastMacsRemote, McastMacsRemote):
            for row in store.table(table).rows.values():
                transaction.delete(row)
