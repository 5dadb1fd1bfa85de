"""What is learned from packets and written to Southbound: neighbours (MAC_Binding), stations (FDB), virtual ports.

Events for the CMS (Controller_Event) are written as well.

A neighbour that is known already costs nothing; if its MAC address has changed, the row is updated with a new
timestamp, from which northd's ageing counts. What was learned from a multicast packet, which other chassis receive too,
is delayed by a random time up to 50 ms, as in the original, so that usually one of them writes the row and the others
find it. If two write at once, the index refuses one of them, which is harmless since both rows are equal.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from functools import partial
from typing import TYPE_CHECKING

from ovenbird.controller.packet_registers import address_asked, register
from ovenbird.controller.pinctrl.activation import Activated, stage_activated
from ovenbird.controller.pinctrl.controller_events import ReportedEvent, stage_reported
from ovenbird.controller.pinctrl.virtual_ports import Spoken, stage_spoken
from ovenbird.dataclass import dataclass, field
from ovenbird.lang.actions.userdata import Opcode
from ovenbird.model.options import flag
from ovenbird.model.sb import FDB, DatapathBinding, MACBinding, PortBinding
from ovenbird.model.southbound_lookup import datapath_by_key, mac_binding, port_by_keys, ports_of_types
from ovenbird.net.addresses import mac_text
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ip import ip_address
from ovenbird.ovsdb.bisection import Bisection
from ovenbird.ovsdb.errors import Disconnected, OvsdbError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ovenbird.controller.facts import Announcement
    from ovenbird.engine.rows import Store
    from ovenbird.openflow.messages import PacketIn
    from ovenbird.ovsdb.replica import Replica
    from ovenbird.ovsdb.transaction import Transaction

log = logging.getLogger(__name__)

LEARNING_OPCODES = frozenset([Opcode.PUT_ARP, Opcode.PUT_ND, Opcode.PUT_FDB])
"""What can be learned from a packet: a neighbour (`put_arp`, `put_nd`), or a MAC address (`put_fdb`)."""

MOST_LEARNED = 1000
"""How many entries may wait to be written."""

_OTHERS_TURN = 0.05
"""Seconds within which one of several chassis that received the same packet writes."""

_PATIENCE = 0.2
"""Seconds after which Southbound is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A MAC address at a port of a datapath, both by key: with `ip` a MAC_Binding, without it an FDB entry.

    `heard_by_many` is set for a multicast packet, from which other chassis may have learned the same.
    """

    datapath: int
    port: int
    mac: str
    ip: str = ""
    heard_by_many: bool = field(default=False, compare=False)


def learned(packet_in: PacketIn, opcode: Opcode) -> Learned:
    """Return what can be learned from a packet.

    Raises:
        PacketError: the packet is no Ethernet frame, or its flow gave no port.
    """
    frame = Ethernet.decode(packet_in.packet)
    datapath, port = register(packet_in, "metadata"), register(packet_in, "reg14")
    if not datapath or not port:
        raise PacketError("a packet without datapath or port")
    address = "" if opcode is Opcode.PUT_FDB else address_asked(packet_in, ipv6=opcode is Opcode.PUT_ND)
    return Learned(
        datapath=datapath, port=port, mac=mac_text(frame.src), ip=address, heard_by_many=bool(frame.dst[0] & 1)
    )


Noted = Learned | Spoken | Activated | ReportedEvent


class MacLearning:
    """What one chassis has learned and has still to write."""

    def __init__(self) -> None:
        self.dropped = 0
        self._last_event = 0
        self._southbound: Replica | None = None
        self._learned: dict[Noted, bool] = {}
        self._writing: asyncio.Task[None] | None = None

    def attach(self, southbound: Replica) -> None:
        """Write to this database from now on."""
        self._southbound = southbound

    def note(self, what: Noted) -> None:
        """Schedule the writing of an entry."""
        if what in self._learned:
            return
        if len(self._learned) >= MOST_LEARNED:
            self.dropped += 1
            return
        self._learned[what] = not what.heard_by_many
        if what.heard_by_many:
            asyncio.get_running_loop().call_later(random.uniform(0.001, _OTHERS_TURN), self._due, what)  # noqa: S311
        else:
            self._write_soon()

    def absorb(self, *, added: Iterable[Announcement], removed: Iterable[Announcement]) -> None:  # noqa: ARG002 - a sink
        """Write MAC bindings at the other routers of the same switch for addresses that are now announced from here.

        A switch does not flood an announcement to its routers: they would have to resolve the address, or keep sending
        to its former place.

        Arguments:
            added: announcements that begin.
            removed: those that end, which changes nothing.
        """
        store = self._southbound.store if self._southbound is not None else None
        for each in added:
            if store is not None and each.address:
                address = str(ip_address(each.address))
                for what in outdated(store, key=each.datapath, port=each.port, mac=each.mac, address=address):
                    self.note(what)

    def _due(self, what: Noted) -> None:
        if what in self._learned:
            self._learned[what] = True
            self._write_soon()

    def _write_soon(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while due := [what for what, ready in self._learned.items() if ready]:
            southbound = self._southbound
            if southbound is None or not southbound.connected:
                await self._put_off()
                continue
            try:
                if await self._commit(southbound, due) is not None:  # as when another chassis learned the same first
                    bisection = Bisection[Noted](partial(self._commit, southbound))
                    await bisection.run(due)
                    for what, refusal in bisection.refused.items():
                        log.debug("a learned entry is not written: %s: %s", what, refusal)
                    if bisection.failure is not None:  # of no row's, as when Southbound is ahead of what was waited for
                        await self._put_off()
                        continue
            except Disconnected:
                await self._put_off()
                continue
            for what in due:
                self._learned.pop(what, None)

    async def _commit(self, southbound: Replica, some: Sequence[Noted]) -> OvsdbError | None:
        """Commit some of the entries; return the refusal, if the database refuses."""
        transaction = southbound.transaction()
        try:
            for what in some:
                if isinstance(what, Spoken):
                    stage_spoken(southbound.store, transaction, what)
                elif isinstance(what, Activated):
                    stage_activated(southbound.store, transaction, what)
                elif isinstance(what, ReportedEvent):
                    last = self._last_event
                    self._last_event = stage_reported(southbound.store, transaction, what, number=last)
                else:
                    stage(southbound, transaction, what)
            if not transaction.empty:
                await southbound.commit(transaction)
        except OvsdbError as refusal:
            return refusal
        return None

    async def _put_off(self) -> None:
        """Drop entries that will be learned again once Southbound is connected; keep those received only once."""
        self._learned = {what: ready for what, ready in self._learned.items() if isinstance(what, Activated)}
        if self._learned:
            await asyncio.sleep(_PATIENCE)


def outdated(store: Store, *, key: int, port: int, mac: str, address: str) -> Iterator[Learned]:
    """Yield the MAC bindings of the other routers of a switch for an address that is announced at one of its ports.

    A request for a router's address is forwarded to that router alone. A router without `always_learn_from_arp_request`
    gets a binding only if it has one for the address already.

    Arguments:
        store: Southbound's.
        key: the tunnel key of the switch.
        port: the tunnel key of the port.
        mac: the MAC address that was announced.
        address: the IP address that was announced.
    """
    datapath = datapath_by_key(store, key)
    if datapath is None:
        return
    for patch in ports_of_types(store.table(PortBinding), datapath.uuid, "patch"):
        name = patch.options.get("peer", "")
        peer = store.find(PortBinding.logical_port, name)
        router = store.table(DatapathBinding).rows.get(PortBinding.datapath.raw(peer)) if peer is not None else None
        if peer is None or router is None or patch.tunnel_key == port or "logical-switch" in router.external_ids:
            continue
        known = mac_binding(store, port=name, ip=address)
        learns = flag(router.external_ids, "always_learn_from_arp_request", default=True)
        if known.mac != mac if known is not None else learns:
            yield Learned(datapath=router.tunnel_key, port=peer.tunnel_key, mac=mac, ip=address)


def stage(southbound: Replica, transaction: Transaction, what: Learned) -> None:
    """Put a learned entry into a transaction, unless Southbound has it.

    Arguments:
        southbound: the replica.
        transaction: on it.
        what: what was learned.
    """
    store, now = southbound.store, int(time.time() * 1000)
    if not what.ip:
        rows = store.table(FDB).index(FDB.mac, FDB.dp_key).rows((what.mac, what.datapath))
        station = {"port_key": what.port, "timestamp": now}
        if not rows:
            transaction.insert(FDB, {"mac": what.mac, "dp_key": what.datapath, **station})
        elif rows[0].port_key != what.port:
            transaction.update(rows[0], station)
        return
    port = port_by_keys(store, datapath=what.datapath, port=what.port)
    if port is None:
        return
    found = mac_binding(store, port=port.logical_port, ip=what.ip)
    if found is None:
        place = {"logical_port": port.logical_port, "datapath": PortBinding.datapath.raw(port)}
        transaction.insert(MACBinding, {**place, "ip": what.ip, "mac": what.mac, "timestamp": now})
    elif found.mac != what.mac:
        transaction.update(found, {"mac": what.mac, "timestamp": now})
