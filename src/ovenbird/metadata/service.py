"""The metadata service: it keeps the namespaces of this chassis equal to the networks that Southbound requires here.

    a change in Southbound or Open_vSwitch → the networks with instances on this chassis → their namespaces are created,
    plugged into the bridge and listened in; those of other networks are unplugged and removed

When the service starts it compares the namespaces that exist on the machine with the networks to serve; it stores no
state of its own. A network is removed only `LINGER` seconds after its last instance is gone, so that instances keep
their metadata while a controller restarts. While Southbound is unreachable, or has no row of this chassis, nothing
changes.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.metadata.agent import report
from ovenbird.metadata.errors import PlumbingError, UnknownInstanceError
from ovenbird.metadata.instance_lookup import find_instance
from ovenbird.metadata.namespace import Plumbing, departed
from ovenbird.metadata.network import networks
from ovenbird.metadata.rows import ROWS, SSL, Bridge, OpenVSwitch
from ovenbird.metadata.server import MetadataServer
from ovenbird.metadata.switch import ChassisSettings, plan, plugged, userspace
from ovenbird.model.sb import Chassis, ChassisPrivate, PortBinding, SBGlobal
from ovenbird.ovsdb.errors import Disconnected, OvsdbError
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.tls_keys import KeyFiles, TlsKeys, of_switch
from ovenbird.ovsdb.transport import lacks_remote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.engine.rows import UUID
    from ovenbird.metadata.network import Network
    from ovenbird.metadata.provider import Provider, Request, Response

log = logging.getLogger(__name__)

LINGER = 5.0
"""Seconds for which a network is still served after its last instance is gone."""

RETRY = 5.0
"""Seconds before a failed step is tried again."""

RECONFIGURATION = 10.0
"""Seconds to wait for the switch to apply its configuration."""

_AT_ONCE = 4  # networks made concurrently: more would only wait for the kernel's lock on devices
_NOBODY = [False]  # the condition that no row satisfies (ovsdb-server(7), section 4.1.12)


@dataclass(frozen=True, slots=True)
class Served:
    """A network that is served.

    Arguments:
        network: the network, as it was when its namespace was made.
        identity: the identity of its namespace.
        server: the HTTP server in the namespace.
    """

    network: Network
    identity: tuple[int, int] | None
    server: MetadataServer


CLEARING = 5.0
"""Seconds that the local database may take to answer `clear`."""


class MetadataService:
    """The metadata service of one chassis.

    Arguments:
        local_remote: the local Open_vSwitch database.
        plumbing: makes and removes namespaces.
        provider: what answers instances.
        chassis: this chassis's name; empty for the one in the local database.
        keys: for a Southbound at `ssl:`; without them those of the local database are used.
        linger: see `LINGER`.
    """

    def __init__(
        self,
        local_remote: str,
        plumbing: Plumbing,
        provider: Provider,
        *,
        chassis: str = "",
        keys: KeyFiles | None = None,
        linger: float = LINGER,
    ) -> None:
        self._plumbing = plumbing
        self._provider = provider
        self._chassis = chassis
        self._keys = TlsKeys(lambda: of_switch(keys or KeyFiles(), self._switch.store.table(SSL).all()))
        self._linger = linger
        self._switch = Replica(local_remote, database="Open_vSwitch", row_classes=ROWS, probe=0)
        self._southbound: Replica | None = None
        self._me: UUID | None = None
        self._absent = ""
        """The chassis's name while Southbound has no such chassis."""
        self._lacking = ""
        """The integration bridge's name while the switch has no such bridge."""
        self._asked_for: UUID | None = None
        self._served: dict[str, Served] = {}
        self._deserted: dict[str, float] = {}
        self._wake = asyncio.Event()

    # -- status -------------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> ChassisSettings:
        """The current configuration in the local database."""
        return ChassisSettings.read(self._switch.store, self._chassis)

    @property
    def connected(self) -> bool:
        """Whether Southbound is connected."""
        return self._southbound is not None and self._southbound.connected

    @property
    def served(self) -> list[Network]:
        """The networks that are served, ordered by id."""
        return [self._served[network].network for network in sorted(self._served)]

    # -- running ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled; the namespaces stay, for the next run to take over."""
        loop, listening = asyncio.get_running_loop(), self._plumbing.departures()

        def heard() -> None:
            if departed(listening):
                self._wake.set()

        try:
            await self._switch.start()
            self._switch.on_change(self._woken)
            loop.add_reader(listening, heard)
            while True:
                await self._follow(self.settings)
        finally:
            loop.remove_reader(listening)
            listening.close()
            for served in self._served.values():
                await served.server.stop()
            self._served = {}
            if self._southbound is not None:
                await self._southbound.close()
            await self._switch.close()
            await self._provider.close()

    def _woken(self, *_: object) -> None:
        self._wake.set()

    async def _change(self) -> None:
        await self._wake.wait()
        self._wake.clear()

    async def _follow(self, settings: ChassisSettings) -> None:
        """Serve the networks of one Southbound until the configuration changes."""
        if not settings.chassis or (lack := lacks_remote(settings.remote)):
            lack = lack if settings.chassis else "no system-id"
            log.warning("waiting for external_ids:system-id and external_ids:ovn-remote in Open_vSwitch: %s", lack)
            await self._change()
            return
        southbound = Replica(
            settings.remote,
            database="OVN_Southbound",
            row_classes=(SBGlobal, Chassis, ChassisPrivate, PortBinding),
            conditions={
                "Chassis": [["name", "==", settings.chassis]],
                "Chassis_Private": [["name", "==", settings.chassis]],
                "Port_Binding": _NOBODY,
            },
            keys=self._keys,
        )
        self._southbound, self._me, self._asked_for = southbound, None, None
        starting = asyncio.create_task(southbound.start())
        try:
            while not starting.done():
                change = asyncio.create_task(self._change())
                await asyncio.wait((starting, change), return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
                if self.settings != settings:
                    return
            starting.result()
            southbound.on_change(self._woken)
            while self.settings == settings:
                await self._look(southbound, settings)
                await self._change()
        finally:
            starting.cancel()
            await southbound.close()

    async def _look(self, southbound: Replica, settings: ChassisSettings) -> None:
        """Make the networks that are served equal to those that should be, and report the `nb_cfg` reached."""
        if not southbound.connected:
            return
        row = southbound.store.find(Chassis.name, settings.chassis)
        absent = settings.chassis if row is None else ""
        if absent and absent != self._absent:
            log.warning("chassis %s is not in Southbound: nothing is served before its controller registers it", absent)
        self._absent = absent
        if row is None:
            return
        lacking = "" if self._switch.store.find(Bridge.name, settings.bridge) else settings.bridge
        if lacking and lacking != self._lacking:
            log.warning(
                "bridge %s is not in Open_vSwitch: no network is reached before its controller makes it", lacking
            )
        self._lacking = lacking
        self._me = row.uuid
        if self._asked_for != row.uuid:
            me = ["uuid", row.uuid]
            mine = [["chassis", "==", me], ["additional_chassis", "includes", me], ["type", "==", "localport"]]
            try:
                await southbound.set_conditions({"Port_Binding": mine})
            except Disconnected as error:
                log.info("Southbound: %s", error)
                self._retry()
                return
            self._asked_for = row.uuid
        try:
            await self._reconcile(networks(southbound.store, row.uuid), settings)
            if not lacking:  # without the bridge the networks are not served yet
                await report(southbound, settings.chassis)
        except (OvsdbError, Disconnected, PlumbingError) as error:
            self._failed(error)
        except Exception:  # networks that are served already are served further
            log.exception("the networks cannot be made equal to those in Southbound")
            self._retry()

    def _retry(self, after: float = RETRY) -> None:
        asyncio.get_running_loop().call_later(after, self._wake.set)

    # -- reconciliation -----------------------------------------------------------------------------------------------

    async def _reconcile(self, wanted: dict[str, Network], settings: ChassisSettings) -> None:
        there = self._plumbing.present() | plugged(self._switch.store).keys() | self._served.keys()
        unwanted = self._given_up(there - wanted.keys(), wanted)
        cabled = self._plumbing.cabled(wanted.values())
        anew = [network for network in wanted.values() if network.id not in cabled or not self._stands(network)]
        await self._stop([*unwanted, *(network.id for network in anew)])
        await self._unplug([network.id for network in anew if network.id not in cabled], settings.bridge)
        made = await self._make(anew, settings.bridge)
        ready = [network for network in wanted.values() if network in made or network.id in self._served]
        await self._plug(settings.bridge, ready, unwanted)
        for network in made:
            await self._listen(network)
        for name in unwanted:
            await self._remove(name)

    def _given_up(self, deserted: Iterable[str], wanted: dict[str, Network]) -> list[str]:
        """Return the networks that have been without instances for `linger` seconds."""
        now = asyncio.get_running_loop().time()
        for network in wanted:
            self._deserted.pop(network, None)
        given_up = []
        for network in sorted(deserted):
            since = self._deserted.setdefault(network, now)
            left = since + self._linger - now
            if left <= 0:
                given_up.append(network)
            elif since == now:
                self._retry(left + 0.01)
        return given_up

    def _stands(self, network: Network) -> bool:
        """Return whether a network is served with its current properties, in the namespace that has its name."""
        served = self._served.get(network.id)
        if served is None or served.network != network:
            return False
        return served.identity is not None and served.identity == self._plumbing.identity(network.id)

    async def _stop(self, names: Iterable[str]) -> None:
        for name in names:
            served = self._served.pop(name, None)
            if served is not None:
                await served.server.stop()

    async def _make(self, anew: list[Network], bridge: str) -> list[Network]:
        """Make namespaces; return those that could be made."""
        offload = not userspace(self._switch.store, bridge)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def make(network: Network) -> bool:
            async with slots:
                try:
                    await asyncio.to_thread(self._plumbing.make, network, offload=offload)
                except PlumbingError as error:
                    self._failed(error)
                    return False
            return True

        done = await asyncio.gather(*map(make, anew))
        return [network for network, made in zip(anew, done, strict=True) if made]

    async def _listen(self, network: Network) -> None:
        try:
            sockets = self._plumbing.listen(network)
        except PlumbingError as error:
            self._failed(error)
            return
        server = MetadataServer(partial(self._answer, network), f"metadata of network {network.id}")
        await server.start(sockets)
        self._served[network.id] = Served(network, self._plumbing.identity(network.id), server)
        log.info("network %s is served", network.id)

    async def _remove(self, network: str) -> None:
        try:
            await asyncio.to_thread(self._plumbing.remove, network)
        except PlumbingError as error:
            self._failed(error)
            return
        self._deserted.pop(network, None)
        log.info("network %s is no longer served", network)

    def _failed(self, error: Exception) -> None:
        """Log a failure, and schedule a retry."""
        log.error("%s", error)
        self._retry()

    async def _plug(self, bridge: str, wanted: Iterable[Network], unwanted: Iterable[str]) -> None:
        transaction = self._switch.transaction()
        plan(self._switch.store, bridge, wanted, unwanted, transaction)
        if not transaction.empty:
            await self._switch.commit(transaction)

    async def _unplug(self, broken: Iterable[str], bridge: str) -> None:
        """Remove devices that no longer exist from the bridge, and return when the switch has released them.

        Otherwise the switch would never open a new device of the same name.
        """
        switch = self._switch
        transaction = switch.transaction()
        plan(switch.store, bridge, (), broken, transaction)
        if transaction.empty:
            return
        number = 0
        for row in switch.store.table(OpenVSwitch):
            number = row.next_cfg + 1
            transaction.update(row, {"next_cfg": number})
        await switch.commit(transaction)
        try:
            async with asyncio.timeout(RECONFIGURATION):
                while any(row.cur_cfg < number for row in switch.store.table(OpenVSwitch)):
                    await self._change()
        except TimeoutError:
            log.warning("ovs-vswitchd does not apply its configuration: is it running?")
        finally:
            self._wake.set()

    async def clear(self) -> None:
        """Remove everything that the service made on this hypervisor; `run` must have ended.

        If the local database does not answer, the interfaces stay in the switch's configuration.
        """
        switch = self._switch
        names = self._plumbing.present()
        try:
            try:
                await asyncio.wait_for(switch.start(), CLEARING)
            except TimeoutError:
                log.warning("the local database does not answer: interfaces of networks may be left in the switch")
            else:
                names |= plugged(switch.store).keys()
                await self._plug(self.settings.bridge, (), names)
            for name in sorted(names):
                await asyncio.to_thread(self._plumbing.remove, name)
        finally:
            await switch.close()

    # -- answering ----------------------------------------------------------------------------------------------------

    async def _answer(self, network: Network, address: str, request: Request) -> Response:
        southbound, me = self._southbound, self._me
        if southbound is None or me is None:
            raise UnknownInstanceError(f"{address} on network {network.id}: Southbound has not been reached yet")
        instance = find_instance(southbound.store, me, network.id, network.datapath, address)
        return await self._provider.answer(instance, request)
