"""Ports of the controller that the switch could not add: it is made to try again, and the error is reported.

The switch reports `ofport=-1` and an `error` for an interface that it could not add (ovs-vswitchd.conf.db(5),
Interface): another tunnel with equal settings, an invalid address, a name that is taken. It tries again whenever its
configuration changes; incrementing Open_vSwitch.next_cfg, as ovs-vsctl(8) does with every change, triggers that. It is
incremented after one second, and then at growing intervals, as long as some port of the controller has failed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ovenbird.controller.facts import FAILED
from ovenbird.controller.local.gateway import chassis_id
from ovenbird.controller.local.settings import integration_bridge
from ovenbird.controller.physical.patch import KEYS
from ovenbird.engine.rules import rule
from ovenbird.model.vswitch import Bridge, Interface, Port
from ovenbird.ovsdb.errors import Disconnected, OvsdbError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.controller.facts import FailedPort
    from ovenbird.engine.facts import Fact
    from ovenbird.ovsdb.replica import Replica

log = logging.getLogger(__name__)

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
"""Shortest and longest pause between two attempts, in seconds; each is twice the one before."""

_ASKING = {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]}


@rule(Interface)
def failed_port(interface: Interface) -> Iterator[Fact]:
    """Report a tunnel or patch port of the integration bridge that the switch failed to add."""
    if (interface.ofport or 0) >= 0 and not interface.error:
        return
    bridge = integration_bridge()
    for port in interface.referrers(Port.interfaces):
        ours = chassis_id(port) or any(key in port.external_ids for key in KEYS.values())
        if ours and bridge is not None and bridge in port.referrers(Bridge.ports):
            yield FAILED(name=interface.name, error=interface.error or "no reason is given")


class PortRetries:
    """The ports of ours that have failed, and when they are tried again.

    Arguments:
        vswitch: the switch's database.
    """

    def __init__(self, vswitch: Replica) -> None:
        self.failed: dict[str, str] = {}
        self._vswitch = vswitch
        self._wake = asyncio.Event()

    def absorb(self, *, added: Iterable[FailedPort], removed: Iterable[FailedPort]) -> None:
        """Process a wave's failures, and log new ones."""
        before = dict(self.failed)
        for gone in removed:
            self.failed.pop(gone.name, None)
        for port in added:
            self.failed[port.name] = port.error
            if before.get(port.name) != port.error:
                log.warning("the switch could not add port %s: %s", port.name, port.error)
        for name in before.keys() - self.failed.keys():
            log.info("port %s has no error any more, or was removed", name)
        self._wake.set()

    async def run(self) -> None:
        """Have the switch try failed ports again, until cancelled."""
        while True:
            await self._wake.wait()
            pause = FIRST_RETRY
            while self.failed:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_RETRY)
                if self.failed:
                    await self._ask()
            self._wake.clear()

    async def _ask(self) -> None:
        try:
            results: Any = await self._vswitch.call("transact", [self._vswitch.database, _ASKING])
        except (Disconnected, OvsdbError) as error:
            log.info("the switch could not be asked to add failed ports again: %s", error)
            return
        for result in results:
            if isinstance(result, dict) and "error" in result:
                log.warning("the switch could not be asked to add failed ports again: %s", result)
