"""The controller: keeps the switch of one chassis as Southbound and the local database require.

It waits until the local database names the chassis and the remote of Southbound, and follows that Southbound and the
integration bridge until the database names others. If the connection to Southbound is lost, the switch keeps its flows,
and rows keep their last values until it is back.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.controller import inject, inspection
from ovenbird.controller.chassis_driver import ChassisDriver
from ovenbird.controller.errors import NotHereError
from ovenbird.controller.host import Host
from ovenbird.controller.local import binding_log, chassis
from ovenbird.controller.local.local_store import Attachment
from ovenbird.controller.physical import encaps
from ovenbird.controller.rules import OMITTED, SOUTHBOUND
from ovenbird.controller.southbound.monitor_conditions import everything, first
from ovenbird.model import sb, vswitch
from ovenbird.ovsdb.errors import Disconnected
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.tls_keys import KeyFiles, TlsKeys, of_switch
from ovenbird.ovsdb.transport import lacks_remote
from ovenbird.sockets.run_directory import run_directory as find_run_directory
from ovenbird.sockets.run_directory import socket_path

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ovenbird.controller.local.notices import Notices
    from ovenbird.controller.local.settings import Settings
    from ovenbird.engine.engine import Engine
    from ovenbird.engine.rows import Store

log = logging.getLogger(__name__)

_LEAVING = 5.0
"""Seconds that a database may take to answer a controller that ends."""


def _connections(mine: Settings) -> tuple[object, ...]:
    """Return the settings that take effect when a connection is made."""
    return mine.remote, mine.bridge, mine.bridge_remote


def _lacks(mine: Settings) -> str:
    """Return which setting is missing for connecting to Southbound; empty if none is."""
    return lacks_remote(mine.remote) if mine.chassis else "no system-id"


async def _in_time(work: Coroutine[Any, Any, None]) -> None:
    """Await the last writes of a controller that ends, for a limited time."""
    try:
        async with asyncio.timeout(_LEAVING):
            await work
    except (Disconnected, TimeoutError) as error:
        log.warning(
            "this chassis could not be removed from its databases: %s", str(error) or "the database does not answer"
        )


class Controller:
    """The controller of one chassis.

    Arguments:
        local_remote: the local Open_vSwitch database, as `unix:/run/openvswitch/db.sock`.
        system_id: the chassis's name, which overrides the database's.
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
        self.host = Host(local_remote, system_id=system_id, run_directory=run_directory)
        self.southbound: Replica | None = None
        self.driver: ChassisDriver | None = None
        """The driver of the present, or last, Southbound."""
        self.paused = False
        self._keys = TlsKeys(lambda: of_switch(keys or KeyFiles(), self._vswitch.store.table(vswitch.SSL).all()))
        self._vswitch = self.host.vswitch
        self._followed: Settings | None = None
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._restarting = False

    # -- status -------------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether Southbound is connected."""
        return self.southbound is not None and self.southbound.connected

    @property
    def settled(self) -> bool:
        """Whether every monitored row that concerns this chassis has been received."""
        return bool(self.host.progress.row.settled)

    @property
    def engine(self) -> Engine | None:
        """The engine, while there is a Southbound."""
        return self.driver.engine if self.driver is not None else None

    @property
    def waves(self) -> int:
        """How many waves have run for the present Southbound."""
        return self.driver.waves if self.driver is not None else 0

    @property
    def notices(self) -> Notices:
        """The parts of this chassis's configuration that have no effect."""
        return self.host.notices

    def recompute(self) -> None:
        """Read the switch's tables again, and correct what differs."""
        self.host.switch.compare()

    def pause(self) -> None:
        """Stop running waves until `resume`; the switch keeps its flows."""
        self.paused = True

    def resume(self) -> None:
        """Run waves again."""
        self.paused = False
        self.host.wake()

    def show_bindings(self) -> str:
        """Return the interfaces of this chassis, and the logical ports behind each."""
        return inspection.local_bindings(self.host.own, southbound=self._rows, switch=self._vswitch.store)

    def show_related_ports(self) -> str:
        """Return the logical ports that concern this chassis."""
        return inspection.related_ports(self.host.own, southbound=self._rows)

    def show_peer_ports(self) -> str:
        """Return the patch ports between this chassis's datapaths."""
        return inspection.peer_ports(self.host.own, southbound=self._rows)

    def show_mac_bindings(self) -> str:
        """Return the learned neighbours."""
        return inspection.mac_bindings(self._rows)

    def show_conjunctions(self) -> str:
        """Return the ids of conjunctive matches."""
        return inspection.conjunction_ids(self.engine, self._rows)

    def show_groups(self) -> str:
        """Return the switch's groups with their ids."""
        return inspection.groups(self.engine)

    def show_meters(self) -> str:
        """Return the switch's meters with their ids."""
        return inspection.meters(self.engine)

    @property
    def memory(self) -> dict[str, int]:
        """What is kept: rows of both databases, flows that are wanted, and flows that the switch has."""
        table = self.host.switch.table
        return {"ofctrl_desired_flows": len(table), "ofctrl_installed_flows": len(table.installed)}

    @property
    def databases(self) -> list[Replica]:
        """The local database, and Southbound when there is one."""
        return [self._vswitch] if self.southbound is None else [self._vswitch, self.southbound]

    @property
    def _rows(self) -> Store | None:
        """The rows of Southbound, while there are any."""
        return self.southbound.store if self.southbound is not None and self.driver is not None else None

    def start_over(self) -> None:
        """Read Southbound anew, since it may have been rebuilt."""
        if self.southbound is not None:
            self.southbound.start_over()

    def zone_list(self) -> list[tuple[str, int]]:
        """Return the conntrack zones in use, by name."""
        return sorted(self.driver.zones.used.items()) if self.driver is not None else []

    def template_variables(self) -> list[tuple[str, str]]:
        """Return the template variables of this chassis, by name."""
        store = self.southbound.store if self.southbound is not None else None
        row = store.find(sb.ChassisTemplateVar.chassis, self.host.settings.chassis) if store is not None else None
        return sorted(row.variables.items()) if row is not None else []

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
        found = self.host.own.select(Attachment.name, port.parent_port or name)
        interfaces = [self._vswitch.store.table(vswitch.Interface).rows.get(row.interface) for row in reversed(found)]
        ofport = next((each.ofport for each in interfaces if each is not None and (each.ofport or 0) > 0), None)
        if ofport is None:
            raise NotHereError(f'"{name}" has no interface on this chassis')
        if self.host.switch.session is None:
            raise NotHereError("the switch is not connected")
        self.host.switch.send(inject.packet_out(packet, ofport=ofport, tag=port.tag if port.parent_port else None))

    # -- running ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until `close`; if cancelled, leave chassis, tunnels and flows in place."""
        try:
            await self._until_stopped(self._vswitch.start())
            self._vswitch.on_change(lambda _: self._changed.set())
            self._vswitch.on_change(binding_log.report_interfaces)
            while not self._stopping.is_set():
                await self._configured()
                if not self._stopping.is_set():
                    await self._run_once()
            if not self._stays():
                await self._leave()
        finally:
            self.host.close()
            if self.southbound is not None:
                await self.southbound.close()
            await self._vswitch.close()
            self._ended.set()

    def _stays(self) -> bool:
        """Return whether everything stays in place at the end."""
        try:
            return self._restarting or not self.host.settings.cleans_up
        except Disconnected:  # before anything was put in place
            return False

    async def close(self, *, restart: bool = False) -> None:
        """Stop, and return when `run` has ended.

        Arguments:
            restart: whether another controller takes over, so that everything stays in place, as always with
                `ovn-cleanup-on-exit=false`.
        """
        self._restarting = restart
        self._stopping.set()
        self._changed.set()
        await self._ended.wait()

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Await something until `close` is called."""
        tasks = {asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        for task in done:
            task.result()

    async def _configured(self) -> None:
        """Return when the local database has the chassis's name and Southbound's remote."""
        said = ""
        while (lack := _lacks(self.host.settings)) and not self._stopping.is_set():
            if lack != said:
                log.warning("waiting for external_ids:system-id and external_ids:ovn-remote in Open_vSwitch: %s", lack)
                said = lack
            self._changed.clear()
            await self._changed.wait()

    async def _run_once(self) -> None:
        """Run with one Southbound and one bridge until the configuration names others."""
        mine = self._follow()
        self.southbound = southbound = Replica(
            mine.remote,
            database="OVN_Southbound",
            row_classes=SOUTHBOUND,
            conditions=everything() if mine.monitor_all else first(mine.chassis),
            omitted=OMITTED,
            keys=self._keys,
            probe=mine.remote_probe_ms / 1000,
        )
        if not await self._reach(southbound):
            await southbound.close()
            return
        southbound.on_change(lambda commit: binding_log.report_bindings(southbound.store, mine.chassis, commit))
        self.driver = ChassisDriver(self.host, southbound, self._may_run)
        bridge = mine.bridge_remote or f"unix:{self.host.run_directory}/{mine.bridge}.mgmt"
        await self.driver.follow(bridge, self._reconfigured())
        if not self._stopping.is_set():
            now = self.host.settings
            log.info(
                "configuration changed: from %s on bridge %s to %s on bridge %s",
                mine.remote,
                mine.bridge,
                now.remote,
                now.bridge,
            )
            self.driver.retract()
            await southbound.close()

    def _follow(self) -> Settings:
        """Return the configuration that applies from now on."""
        mine = self.host.settings
        if self._followed is not None and self._followed.bridge != mine.bridge:
            self.host.progress.tell(former_bridge=self._followed.bridge)
        self.host.progress.tell(bridge=mine.bridge)
        self._followed = mine
        return mine

    async def _reach(self, southbound: Replica) -> bool:
        """Connect to Southbound; return whether it was reached before the configuration named another one."""
        starting = asyncio.create_task(southbound.start())
        waiting = asyncio.create_task(self._reconfigured())
        await asyncio.wait((starting, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not starting.done():
            starting.cancel()
            return False
        starting.result()
        return True

    async def _reconfigured(self) -> None:
        """Return when the local database names another Southbound or bridge."""
        while self._follows() and not self._stopping.is_set():
            self._changed.clear()
            await self._changed.wait()

    def _follows(self) -> bool:
        """Return whether the settings that the connections were made with are unchanged."""
        return self._followed is not None and _connections(self._followed) == _connections(self.host.settings)

    def _may_run(self) -> bool:
        """Return whether waves may run now."""
        return not self.paused and not self._stopping.is_set() and self._follows()

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _leave(self) -> None:
        """Withdraw routes, and remove the chassis from Southbound and its tunnels from the switch.

        This is what ovn-controller does at `exit`.

        If a database is not connected, or does not answer, its rows stay.
        """
        await _in_time(self.host.routes.withdraw())
        if self.southbound is not None and self.southbound.connected:
            await _in_time(chassis.unregister(self.southbound, self.host.settings.chassis))
        if self._vswitch.connected:
            await _in_time(encaps.remove_all(self._vswitch, self.host.settings.bridge))
