"""The controller: two databases and a switch around one engine.

    a change in Southbound or Open_vSwitch → one wave of the rules → flows to the switch in one bundle, edits to the
    databases in one transaction each → the switch confirms → edits that waited for that

The monitor conditions on Southbound follow from the local datapaths. While a change of conditions is in progress
nothing is acknowledged. If the connection to Southbound is lost, the switch keeps its flows, and rows keep their last
values until it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.controller import inject
from ovenbird.controller.edits import EditRelation
from ovenbird.controller.errors import NotHereError
from ovenbird.controller.facts import (
    ADDRESS_SET_FLOW,
    ANNOUNCED,
    FAILED,
    FLOW,
    GROUP,
    LIMIT,
    METER,
    MONITOR_CLAUSE,
    NOTICE,
    PART,
    ZONE,
)
from ovenbird.controller.local import binding_log, chassis, ct_zones
from ovenbird.controller.local.local_store import Attachment, Progress, make_local_store
from ovenbird.controller.local.notices import Notices
from ovenbird.controller.local.settings import Settings, read_settings
from ovenbird.controller.ofctrl import zone_limits
from ovenbird.controller.ofctrl.bridge_session import BridgeSession
from ovenbird.controller.physical import (
    encaps,
    port_retries,
)
from ovenbird.controller.pinctrl.dispatch import PacketIns
from ovenbird.controller.protocols.protocols import Protocols
from ovenbird.controller.rules import OMITTED, SOUTHBOUND, SWITCH, make_engine
from ovenbird.controller.southbound.monitor_conditions import MonitorConditions, everything, first
from ovenbird.controller.southbound.row_edits import RowEdits
from ovenbird.controller.southbound.writer import Writer
from ovenbird.engine.gc_pause import GcPause
from ovenbird.engine.ids import used
from ovenbird.model import sb, version, vswitch
from ovenbird.ovsdb.errors import Disconnected
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.tls_keys import KeyFiles, TlsKeys, of_switch
from ovenbird.ovsdb.transport import lacks_remote
from ovenbird.sockets.run_directory import run_directory as find_run_directory
from ovenbird.sockets.run_directory import socket_path

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from ovenbird.controller.edits import Edit
    from ovenbird.engine.engine import Deltas, Engine
    from ovenbird.engine.ids import Pool
    from ovenbird.ovsdb.schema import DatabaseSchema

log = logging.getLogger(__name__)

_LEAVING = 5.0
"""Seconds that a database may take to answer a controller that ends."""
_TELLING = 1.0
"""Seconds from one change of what Southbound says is to be mended here to the next."""
_RUNS = 64
"""How many rules run between two looks at what databases and switch send and take, before there are flows."""


def _connections(mine: Settings) -> tuple[object, ...]:
    """Return the settings that hold for a connection from its beginning."""
    return mine.remote, mine.bridge


def _lacks(mine: Settings) -> str:
    """Return why Southbound cannot be followed by what the local database says; empty if it can."""
    return lacks_remote(mine.remote) if mine.chassis else "no system-id"


async def _in_time(work: Coroutine[Any, Any, None]) -> None:
    """Await what a controller that ends has still to write, if its database answers."""
    try:
        async with asyncio.timeout(_LEAVING):
            await work
    except (Disconnected, TimeoutError) as error:
        log.warning("what this chassis leaves behind stays: %s", str(error) or "the database does not answer")


def _probe(mine: Settings) -> float:
    """Return the seconds of silence after which Southbound's server is probed."""
    return mine.remote_probe_ms / 1000


class Controller:
    """The controller of one chassis.

    Arguments:
        local_remote: the local Open_vSwitch database, as `unix:/run/openvswitch/db.sock`.
        system_id: the chassis's name, if it is not to be the database's.
        run_directory: where the bridge's OpenFlow socket is; by default that of a `unix:` local_remote.
        keys: for a Southbound at `ssl:`; without them those of Open_vSwitch's SSL table are used.
    """

    def __init__(
        self,
        local_remote: str,
        *,
        system_id: str = "",
        run_directory: Path | None = None,
        keys: KeyFiles | None = None,
    ) -> None:
        if run_directory is None:
            unix = local_remote.partition(":")[2] if local_remote.startswith("unix:") else ""
            run_directory = Path(socket_path(unix)).parent if unix else Path(find_run_directory("ovs"))
        self.run_directory = run_directory
        self.system_id = system_id
        self.waves = 0
        self.engine: Engine | None = None
        self.southbound: Replica | None = None
        self.paused = False
        self._mismatched = False
        self._keys = TlsKeys(lambda: of_switch(keys or KeyFiles(), self._vswitch.store.table(vswitch.SSL).all()))
        self._vswitch = Replica(local_remote, database="Open_vSwitch", row_classes=SWITCH, probe=0)
        self._own = make_local_store(system_id)
        self._monitor_conditions = MonitorConditions()
        self._retries = port_retries.PortRetries(self._vswitch)
        self.notices = Notices()
        """What of this chassis's configuration has no effect."""
        self._telling: asyncio.TimerHandle | None = None
        self._zones = ct_zones.CtZones()
        self._books: dict[Replica, RowEdits] = {}
        self._wake = asyncio.Event()
        self._write: dict[Replica, asyncio.Event] = {}
        self._schemas: dict[Replica, DatabaseSchema] = {}
        self._interested = asyncio.Event()
        self._followed: Settings | None = None
        self._name = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._waved = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._restarting = False
        self.switch = BridgeSession(self._waiting, self._confirmed, self._packet)
        self._limits = zone_limits.ZoneLimits(self.run_directory, self._datapath)
        self.switch.on_met = self._limits.compare
        self.protocols = Protocols(self.switch.send, self._own, self._wake.set)
        self.packet_ins = PacketIns(self.switch.send, self.protocols.listeners)

    # -- status -------------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The configuration, as the local database has it now."""
        rows = list(self._vswitch.store.table(vswitch.OpenVSwitch).rows.values())
        return read_settings(rows[0].external_ids if rows else {}, self.system_id)

    @property
    def connected(self) -> bool:
        """Whether Southbound is there."""
        return self.southbound is not None and self.southbound.connected

    @property
    def settled(self) -> bool:
        """Whether everything that concerns this chassis has been received."""
        return bool(self._state().settled)

    def _state(self) -> Progress:
        return next(iter(self._own.table(Progress).rows.values()))

    def _tell(self, **values: Any) -> None:
        """Change the controller's own row, if it differs."""
        row = self._state()
        changes = {}
        for name, value in values.items():
            index = Progress.BY_NAME[name].index
            if row.values[index] != value:
                changes[index] = value
        if changes:
            self._own.table(Progress).modify(row, changes)
            self._wake.set()

    def _tell_findings_soon(self) -> None:
        """Have what is to be mended here written to Southbound, once for whatever changes within a moment."""
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELLING, self._tell_findings)

    def _tell_findings(self) -> None:
        """Let the rules know what is to be mended here."""
        self._telling = None
        self._tell(findings=self.notices.findings)

    def recompute(self) -> None:
        """Compare everything installed with what should be, by asking the switch again."""
        self.switch.compare()

    def pause(self) -> None:
        """Run no more waves until `resume`; the switch keeps what it has."""
        self.paused = True

    def resume(self) -> None:
        """Run waves again."""
        self.paused = False
        self._wake.set()

    def zone_list(self) -> list[tuple[str, int]]:
        """Return the conntrack zones in use, by name."""
        return sorted(self._zones.used.items())

    def numbers(self, pool: Pool) -> list[tuple[str, int]]:
        """Return the numbers of a pool that are in use, by name."""
        return sorted((str(key), value) for key, value in used(self.engine, pool).items()) if self.engine else []

    def inject(self, microflow: str) -> None:
        """Send a packet into the switch as from a port of this chassis.

        Arguments:
            microflow: the packet and its port, such as `inport == "p1" && eth.src == 0a:00:00:00:00:01 && icmp4`.

        Raises:
            LangError: the text is no microflow.
            NotHereError: the port has no interface here, or there is no switch.
        """
        name, packet = inject.read(microflow)
        if not name:
            raise NotHereError("no ingress port: inport is missing")
        port = self.southbound.store.find(sb.PortBinding.logical_port, name) if self.southbound is not None else None
        if port is None:
            raise NotHereError(f'no logical port "{name}" is known here')
        found = self._own.select(Attachment.name, port.parent_port or name)
        interfaces = [self._vswitch.store.table(vswitch.Interface).rows.get(row.interface) for row in reversed(found)]
        ofport = next((each.ofport for each in interfaces if each is not None and (each.ofport or 0) > 0), None)
        if ofport is None:
            raise NotHereError(f'"{name}" has no interface on this chassis')
        if self.switch.session is None:
            raise NotHereError("the switch is not connected")
        self.switch.send(inject.packet_out(packet, ofport=ofport, tag=port.tag if port.parent_port else None))

    # -- running ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until `close`; cancelled, leave everything as it is."""
        try:
            await self._until_stopped(self._vswitch.start())
            self._vswitch.on_change(lambda _: self._wake.set())
            self._vswitch.on_change(binding_log.report_interfaces)
            while not self._stopping.is_set():
                await self._configured()
                if not self._stopping.is_set():
                    await self._run_once()
            if not self._restarting:
                await self._leave()
        finally:
            if self._telling is not None:
                self._telling.cancel()
            self.protocols.close()
            await self._stop_tasks()
            if self.southbound is not None:
                await self.southbound.close()
            await self._vswitch.close()
            self._ended.set()

    async def close(self, *, restart: bool = False) -> None:
        """Stop, and return when `run` has ended.

        Arguments:
            restart: whether another controller takes over, so that everything stays as it is.
        """
        self._restarting = restart
        self._stopping.set()
        self._wake.set()
        await self._ended.wait()

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Await something, but not beyond `close`."""
        tasks = {asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        for task in done:
            task.result()

    async def _configured(self) -> None:
        """Return when the local database says who this chassis is and where Southbound is."""
        said = ""
        while (lack := _lacks(self.settings)) and not self._stopping.is_set():
            if lack != said:
                log.warning("waiting for external_ids:system-id and external_ids:ovn-remote in Open_vSwitch: %s", lack)
                said = lack
            self._wake.clear()
            await self._wake.wait()

    async def _run_once(self) -> None:
        """Follow one Southbound and one bridge until the configuration names others."""
        mine = self.settings
        if self._followed is not None and self._followed.bridge != mine.bridge:
            self._tell(former_bridge=self._followed.bridge)
        self._tell(bridge=mine.bridge)
        self._followed = mine
        conditions = everything() if mine.monitor_all else first(mine.chassis)
        southbound = Replica(
            mine.remote,
            database="OVN_Southbound",
            row_classes=SOUTHBOUND,
            conditions=conditions,
            omitted=OMITTED,
            keys=self._keys,
            probe=_probe(mine),
        )
        self.southbound = southbound
        starting = asyncio.create_task(southbound.start())
        waiting = asyncio.create_task(self._reconfigured())
        await asyncio.wait((starting, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not starting.done():
            starting.cancel()
            await southbound.close()
            return
        starting.result()
        southbound.on_change(lambda _: self._wake.set())
        southbound.on_change(lambda commit: binding_log.report_bindings(southbound.store, mine.chassis, commit))
        with GcPause() as pause:
            self._assemble(southbound)
            bridge_target = f"unix:{self.run_directory}/{mine.bridge}.mgmt"
            self._tasks = [
                asyncio.create_task(self.switch.run(bridge_target)),
                asyncio.create_task(self._monitor(southbound, pause)),
                *(asyncio.create_task(self._writer(client).run()) for client in self._books),
                asyncio.create_task(self._retries.run()),
                asyncio.create_task(self._limits.run()),
                asyncio.create_task(self._pump(pause)),
            ]
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            await self._stop_tasks()
        for task in done:
            task.result()
        if not self._stopping.is_set():
            now = self.settings
            log.info("from %s and %s to %s and %s", mine.remote, mine.bridge, now.remote, now.bridge)
            self._disassemble()
            await southbound.close()

    async def _reconfigured(self) -> None:
        """Return when the local database names another Southbound or bridge."""
        while self._follows() and not self._stopping.is_set():
            self._wake.clear()
            await self._wake.wait()

    def _follows(self) -> bool:
        """Return whether what connections were made with is still what the local database says."""
        return self._followed is not None and _connections(self._followed) == _connections(self.settings)

    def _assemble(self, southbound: Replica) -> None:
        """Make the engine over both databases, with the numbers that were given out before."""
        self._books = {southbound: RowEdits(southbound.store), self._vswitch: RowEdits(self._vswitch.store)}
        self._write = {client: asyncio.Event() for client in self._books}
        self._schemas = {client: client.schema for client in self._books}
        self._tell(complete=frozenset(), settled=False, everything=False)
        self.protocols.close()
        self.engine = make_engine(southbound=southbound.store, switch=self._vswitch.store, own=self._own)
        self.switch.sets.follow(southbound.store)
        ids = self._bridge_ids()
        ct_zones.seed_zones(self.engine, ids)
        self._limits.recall(ct_zones.stored_zones(ids).values())
        encaps.seed_numbers(self.engine, self._vswitch.store)
        self.packet_ins.attach(southbound)
        self.protocols.attach(southbound.store)
        self._tell_findings_soon()
        self._wake.set()

    def _disassemble(self) -> None:
        """Forget what was made of a Southbound; the switch keeps its flows until there is what replaces them."""
        if self.engine is None:
            return
        self.switch.hold()
        deltas = self.engine.close()
        self.engine = None
        self._absorb_flows(deltas)
        self._absorb_limits(deltas)
        self._retries.failed.clear()
        self.notices.forget()
        self._monitor_conditions, self._zones = MonitorConditions(), ct_zones.CtZones()

    def _bridge_ids(self) -> dict[str, str]:
        found = self._vswitch.store.find(vswitch.Bridge.name, self.settings.bridge)
        return found.external_ids if found is not None else {}

    def _datapath(self) -> str:
        """Return the name of the integration bridge's datapath, for commands to the switch."""
        row = self._vswitch.store.find(vswitch.Bridge.name, self.settings.bridge)
        return "netdev@ovs-netdev" if row is not None and row.datapath_type == "netdev" else "system@ovs-system"

    async def _pump(self, pause: GcPause) -> None:
        """Run waves for whatever has changed.

        Arguments:
            pause: ends where the first full computation has to wait.
        """
        while self._follows() and not self._stopping.is_set():
            await self._wake.wait()
            self._wake.clear()
            if not self.paused and self.engine is not None and not self._of_another_version():
                self._follow_settings()
                await self._settle(self.engine)
                self._waved.set()
                await asyncio.sleep(0)
            else:
                pause.end()

    def _of_another_version(self) -> bool:
        """Return whether changes have to wait, as the settings demand, for a northd of this controller's version."""
        store = self.southbound.store if self.southbound is not None else None
        head = next(iter(store.table(sb.SBGlobal).rows.values()), None) if store is not None else None
        theirs = head.options.get("northd_internal_version", "") if head is not None else ""
        differs = self.settings.match_northd_version and theirs != version.INTERNAL
        if differs and not self._mismatched:
            log.warning("controller version - %s mismatch with northd version - %s", version.INTERNAL, theirs)
        elif self._mismatched and not differs:
            log.info("northd is of version %s: changes are taken in again", theirs)
        self._mismatched = differs
        return differs

    def _follow_settings(self) -> None:
        """Take up what rules do not look at: intervals of probes; a name that was changed, until Southbound has it."""
        mine, state = self.settings, self._state()
        name = mine.chassis
        if self.southbound is not None:
            self.southbound.set_probe(_probe(mine))
        self.switch.set_probe(float(mine.openflow_probe_s))
        if name and self._name not in ("", name):
            self._tell(previous=self._name)
        elif state.previous and self.southbound and self.southbound.store.find(sb.Chassis.name, name) is not None:
            self._tell(previous="")
        self._name = name or self._name

    async def _settle(self, engine: Engine) -> None:
        """Run waves until no rule has anything to say any more, and have the switch follow.

        The first ones, which are long, give way again and again: the databases' rows stay as they are meanwhile, but
        what comes next is received, so that their servers work too; and the switch takes what earlier waves have sent.
        A controller that is to end does no more of them.
        """
        with contextlib.ExitStack() as held:
            if not self.switch.installing:
                for client in self._books:
                    held.enter_context(client.held())
            while not engine.idle:
                while not self.switch.installing and engine.advance(_RUNS):
                    await asyncio.sleep(0)
                    if self._stopping.is_set():
                        return
                self._wave(engine)
        self.packet_ins.refreshed()
        if self.switch.table.dirty:  # by the rules, or by address sets alone
            self.switch.wake()

    def _wave(self, engine: Engine) -> None:
        deltas = engine.run()
        self.waves += 1
        clauses = deltas.of(MONITOR_CLAUSE)
        if clauses is not None:
            self._monitor_conditions.absorb(added=clauses.added, removed=clauses.removed)
        if clauses is not None or self.waves == 1:
            self._tell(settled=False)
            self._interested.set()
        self._absorb_edits(deltas)
        self._absorb_schemas()
        self._absorb_zones(deltas)
        self._absorb_flows(deltas)
        self._absorb_limits(deltas)
        if (failed := deltas.of(FAILED)) is not None:
            self._retries.absorb(added=failed.added, removed=failed.removed)
        if (notices := deltas.of(NOTICE)) is not None:
            self.notices.absorb(added=notices.added, removed=notices.removed)
            self._tell_findings_soon()
        self.protocols.absorb(deltas)
        if (announced := deltas.of(ANNOUNCED)) is not None:
            self.packet_ins.mac_learning.correct(announced.added)

    def _absorb_schemas(self) -> None:
        """Write what a database lacked the place for, once it has been converted."""
        for client in self._books:
            if self._schemas.get(client) is not client.schema:
                self._schemas[client] = client.schema
                self._write[client].set()

    def _absorb_edits(self, deltas: Deltas) -> None:
        for relation, delta in deltas.items():
            if not isinstance(relation, EditRelation):
                continue
            for client, book in self._books.items():
                book.absorb(added=delta.added, removed=delta.removed)
                if delta.added and not relation.after_flows:
                    self._write[client].set()
            if delta.added and relation.after_flows:
                self.switch.wake()

    def _absorb_zones(self, deltas: Deltas) -> None:
        delta = deltas.of(ZONE)
        if delta is None:
            return
        self._zones.recall(self._bridge_ids())
        self.switch.flush_zones(self._zones.absorb(added=delta.added, removed=delta.removed))
        self._write[self._vswitch].set()

    def _absorb_limits(self, deltas: Deltas) -> None:
        delta = deltas.of(LIMIT)
        if delta is not None:
            self._limits.absorb(added=delta.added, removed=delta.removed)

    def _absorb_flows(self, deltas: Deltas) -> None:
        whole, parts = deltas.get(FLOW), deltas.get(PART)
        for relation, chosen in ((GROUP, self.switch.groups), (METER, self.switch.meters)):
            delta = deltas.get(relation)
            if delta is not None:
                chosen.absorb(added=delta.added, removed=delta.removed)
                self.switch.wake()
        if whole is not None:
            self.switch.table.absorb(added=whole.added, removed=whole.removed)
        if parts is not None:
            self.switch.table.absorb_parts(added=parts.added, removed=parts.removed)
        patterns = deltas.of(ADDRESS_SET_FLOW)
        if patterns is not None:
            self.switch.sets.absorb(added=patterns.added, removed=patterns.removed)

    # -- what is monitored --------------------------------------------------------------------------------------------

    async def _monitor(self, southbound: Replica, pause: GcPause) -> None:
        """Keep what is monitored as the rules want it, and say when it has all come.

        Arguments:
            southbound: what is monitored.
            pause: ends with the first full computation, whose results live on.
        """
        while True:
            await self._interested.wait()
            self._interested.clear()
            datapaths, everywhere = self._monitor_conditions.datapaths(), self.settings.monitor_all
            try:
                await southbound.synchronized()
                steps = self._monitor_conditions.steps(everywhere=everywhere)
                await asyncio.gather(*map(southbound.set_conditions, steps))
            except Disconnected:
                pause.end()  # it may be away for hours
                await southbound.synchronized()
            self._tell(complete=datapaths, everything=everywhere)
            await self._next_wave()
            if not self._interested.is_set():
                self._tell(settled=True)
                if not self.switch.installing:
                    await self._next_wave()
                    if self.engine is not None:
                        self.engine.release_unclaimed()
                    pause.keep()
                    self.switch.computed()
                    self._limits.settle()

    async def _next_wave(self) -> None:
        """Return when a wave has run that saw everything there is now."""
        self._wake.set()
        self._waved.clear()
        await self._waved.wait()

    # -- what is written ----------------------------------------------------------------------------------------------

    def _waiting(self) -> Sequence[Edit]:
        return [fact for book in self._books.values() for fact in book.waiting()]

    def _confirmed(self, facts: Sequence[Edit]) -> None:
        for client, book in self._books.items():
            if book.confirm(facts):
                self._write[client].set()

    def _writer(self, client: Replica) -> Writer:
        more = self._stage_zones if client is self._vswitch else lambda _: None
        return Writer(client, self._books[client], self._write[client], self._next_wave, more)

    def _stage_zones(self, transaction: Any) -> None:
        """Record the conntrack zones in use."""
        row = self._vswitch.store.find(vswitch.Bridge.name, self.settings.bridge)
        if row is None or not self.switch.installing:
            return
        self._zones.recall(row.external_ids)
        changes = self._zones.changes()
        if changes:
            put = {key: value for key, value in changes if value is not None}
            transaction.mutate(row, "external_ids", delete=[key for key, _ in changes], insert=put)

    def _packet(self, packet: Any) -> None:
        self.packet_ins.receive(packet)

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _leave(self) -> None:
        """Take the chassis out of Southbound, and its tunnels out of the switch, as the original does at `exit`.

        A database that is away, or does not answer, keeps what it has.
        """
        if self.southbound is not None and self.southbound.connected:
            await _in_time(chassis.unregister(self.southbound, self.settings.chassis))
        if self._vswitch.connected:
            await _in_time(encaps.remove_all(self._vswitch, self.settings.bridge))

    async def _stop_tasks(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
