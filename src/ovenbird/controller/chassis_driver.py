"""The driver of one chassis, for as long as it follows one Southbound and one bridge.

    a change in Southbound or Open_vSwitch → one wave of the rules → flows to the switch in one bundle, edits to the
    databases in one transaction each → the switch confirms → edits that waited for that

The first computation takes long and is therefore done in small portions. Between these the databases' updates are
received, but not applied, so that their servers can continue, and the switch installs what earlier waves have sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from ovenbird.controller.edits import EDIT, EDIT_AFTER_FLOWS, REMOVAL
from ovenbird.controller.facts import AGED, MONITOR_CLAUSE, ZONE
from ovenbird.controller.local import ct_zones
from ovenbird.controller.local.bridge import ADD_PORT, BRIDGE, DROP_PORT
from ovenbird.controller.local.chassis import CHASSIS
from ovenbird.controller.ofctrl.station_use import StationUse
from ovenbird.controller.physical import encaps
from ovenbird.controller.physical.mirrors import DROP_MIRROR, NEW_MIRROR
from ovenbird.controller.physical.queues import DROP_QOS, DROP_QUEUE, NEW_QOS, NEW_QUEUE
from ovenbird.controller.protocols.multicast_snooping import ADD_GROUP
from ovenbird.controller.routes.exchange_rules import ADD_LEARNED
from ovenbird.controller.rules import make_engine
from ovenbird.controller.southbound.edit_writers import EditWriter, EditWriters
from ovenbird.controller.southbound.monitoring import Monitoring
from ovenbird.driver.engine_driver import EngineDriver, Portions, WatchNames, tell
from ovenbird.model import sb
from ovenbird.model.version import NorthdVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from ovenbird.controller.edits import EditRelation
    from ovenbird.controller.facts import ConntrackZone
    from ovenbird.controller.host import Host
    from ovenbird.driver.engine_driver import Sink
    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Relation
    from ovenbird.ovsdb.replica import Replica
    from ovenbird.ovsdb.transaction import Transaction

log = logging.getLogger(__name__)

WATCHES = WatchNames(loop="controller-loop", compute="flow-generation", write="controller-write")
"""The stopwatches: of their names in ovn-controller, those that stand for the same."""
RUNS = 64
"""During the first computation, how many rules run before control returns to the connections."""
EDITS: tuple[EditRelation[..., Any], ...] = (
    *(EDIT, EDIT_AFTER_FLOWS, REMOVAL, CHASSIS, BRIDGE, ADD_PORT, DROP_PORT, ADD_GROUP),
    *(NEW_QOS, NEW_QUEUE, DROP_QUEUE, DROP_QOS, NEW_MIRROR, DROP_MIRROR, ADD_LEARNED),
)
"""The relations of facts that ask for changes of databases."""


class ChassisDriver(EngineDriver):
    """Runs the engine between one Southbound and one bridge.

    Arguments:
        host: what the chassis has besides.
        southbound: the database, which has been reached.
        may_run: returns whether waves may run now.
    """

    def __init__(self, host: Host, southbound: Replica, may_run: Callable[[], bool]) -> None:
        self.host = host
        self.southbound = southbound
        self.zones = ct_zones.CtZones()
        self.monitoring = Monitoring(southbound, host.progress, lambda: host.settings.monitor_all, self._computed)
        self._local = EditWriter(host.vswitch, self.next_wave, self._stage_zones)
        self.stations = StationUse(southbound, lambda: host.switch.session)
        self.edits = EditWriters((EditWriter(southbound, self.next_wave), self._local), host.switch.wake)
        sinks: list[tuple[Relation, Sink]] = [
            (MONITOR_CLAUSE, self.monitoring.absorb),
            *self.edits.sinks(EDITS),
            (ZONE, self._absorb_zones),
            (AGED, self.stations.absorb),
            *host.sinks(),
        ]
        super().__init__("controller", self._build, (southbound, host.vswitch), sinks, WATCHES)
        self.rule_counters = host.rule_counters
        self.portions = Portions(RUNS, self._hold)
        self._may_run = may_run
        self._northd = NorthdVersion("controller")
        self._left: Engine | None = None

    async def follow(self, target: str, until: Coroutine[Any, Any, None]) -> None:
        """Run until a condition is met.

        Arguments:
            target: the bridge's OpenFlow socket.
            until: returns when something else is to be followed.
        """
        self.host.driver, self.host.edits = self, self.edits
        work = (
            self.run(), until, self.host.switch.run(target), self.monitoring.run(self), *self.edits.running(),
            self.host.retries.run(), self.host.limits.run(), self.stations.run(),
        )  # fmt: skip
        tasks = [asyncio.create_task(each) for each in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.host.driver = self.host.edits = None
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in done:
            task.result()

    def retract(self) -> None:
        """Drop the facts of this Southbound; the switch keeps its flows until their replacements are computed."""
        if self._left is None:
            return
        self.host.switch.hold()
        tell(self.host.installed_sinks(), self._left.close())
        self._left = None
        self.host.retries.failed.clear()
        self.host.notices.forget()

    # -- the engine ---------------------------------------------------------------------------------------------------

    def _build(self) -> Engine:
        """Make the engine over both databases, with the ids that were allocated before."""
        host, store = self.host, self.southbound.store
        host.progress.tell(complete=frozenset(), settled=False, everything=False)
        host.protocols.close()
        self.stations.forget()
        host.routes.close()
        engine = make_engine(southbound=store, switch=host.vswitch.store, own=host.own)
        host.switch.sets.follow(store)
        ids = host.bridge_ids
        ct_zones.seed_zones(engine, ids)
        host.limits.recall(ct_zones.stored_zones(ids).values())
        encaps.seed_numbers(engine, host.vswitch.store)
        host.packet_ins.attach(self.southbound, lambda: host.settings.chassis)
        host.protocols.attach(store)
        host.tell_findings_soon()
        return engine

    @contextlib.contextmanager
    def _hold(self) -> Iterator[None]:
        """Keep the rows of both databases unchanged while the context is entered."""
        with self.southbound.held(), self.host.vswitch.held():
            yield

    def is_ready(self) -> bool:
        """Return whether waves may run; apply settings that rules do not read."""
        matters = self.host.settings.match_northd_version
        if not self._may_run() or self._northd.differs(self.southbound.store, matters=matters):
            return False
        self._follow_settings()
        return True

    def follow_up(self) -> None:
        """Notify the consumers of what waves have changed; the start is complete when `Monitoring` says so."""
        self.monitoring.begin()
        self.edits.look_at_schemas()
        self.host.packet_ins.refreshed()
        self.host.switch.install_soon()

    def end(self, engine: Engine) -> None:
        """Keep the engine, and thereby the flows, unless `retract` says otherwise."""
        self._left = engine

    def _computed(self) -> None:
        """Let the flows be installed, since they are complete now."""
        self.host.switch.computed()
        self.host.limits.settle()

    # -- settings that rules do not look at ---------------------------------------------------------------------------

    def _follow_settings(self) -> None:
        """Apply probe intervals, and a changed chassis name until Southbound has it."""
        host = self.host
        mine, progress = host.settings, host.progress
        name = mine.chassis
        self.southbound.set_probe(mine.remote_probe_ms / 1000)
        host.switch.set_probe(mine.openflow_probe_s)
        if name and host.name not in ("", name):
            progress.tell(previous=host.name)
        elif progress.row.previous and self.southbound.store.find(sb.Chassis.name, name) is not None:
            progress.tell(previous="")
        host.name = name or host.name

    # -- conntrack zones ----------------------------------------------------------------------------------------------

    def _absorb_zones(self, *, added: Sequence[ConntrackZone], removed: Sequence[ConntrackZone]) -> None:
        """Process a wave's zones: flush those with another name now, and record all on the bridge."""
        self.zones.recall(self.host.bridge_ids)
        self.host.switch.flush_zones(self.zones.absorb(added=added, removed=removed))
        self._local.wake()

    def _stage_zones(self, transaction: Transaction) -> None:
        """Record the conntrack zones in use."""
        row = self.host.bridge
        if row is None or not self.host.switch.installing:
            return
        self.zones.recall(row.external_ids)
        changes = self.zones.changes()
        if changes:
            put = {key: value for key, value in changes if value is not None}
            transaction.mutate(row, "external_ids", delete=[key for key, _ in changes], insert=put)
