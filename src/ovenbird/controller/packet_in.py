"""Packets handed up: each to its kind, a bounded number at a time.

Packets wait in a short queue and are taken a few at a time between everything else, so that a flood of them can
neither starve the installation of flows nor fill the memory: what does not fit is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from ovenbird.controller.packet_ins import acl_log, dhcp4, dhcp6, frag_mtu, learning, names, replies, router_advert
from ovenbird.lang.actions.layout import Tables
from ovenbird.lang.actions.userdata import WITH_RESULT, Opcode, Userdata
from ovenbird.lang.compile import narrow
from ovenbird.model.sb import DNS, FDB, DatapathBinding, MACBinding, PortBinding
from ovenbird.net.errors import PacketError
from ovenbird.openflow.errors import DecodeError
from ovenbird.openflow.fields import FIELDS
from ovenbird.openflow.match import Match
from ovenbird.ovsdb.errors import OvsdbError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.controller.packet_ins.learning import Learned
    from ovenbird.openflow.fields import Subfield
    from ovenbird.openflow.messages import Message, PacketIn
    from ovenbird.ovsdb.replica import Replica

log = logging.getLogger(__name__)
acl = logging.getLogger("acl_log")

QUEUE = 500
"""Packets that may wait."""

BATCH = 16
"""Packets taken before everybody else has a turn."""

_LEARN_PAUSE = 0.05
"""Seconds over which what is learned is gathered into one transaction."""

_FIRST_EGRESS = Tables().egress


class PacketIns:
    """The packets of one switch.

    Arguments:
        send: sends a message to the switch.
        wake: wakes the engine's pump.
    """

    def __init__(self, send: Callable[[Message], None], wake: Callable[[], None]) -> None:
        self.received = 0
        self.dropped = 0
        self._send = send
        self._wake = wake
        self._queue: deque[PacketIn] = deque()
        self._scheduled = False
        self._southbound: Replica | None = None
        self._learned: dict[Learned, None] = {}
        self._writing: asyncio.Task[None] | None = None
        self._unknown: set[int] = set()

    def attach(self, southbound: Replica) -> None:
        """Write what is learned to this database from now on."""
        self._southbound = southbound

    def receive(self, packet_in: PacketIn) -> None:
        """Take a packet from the switch."""
        self.received += 1
        if len(self._queue) >= QUEUE:
            self.dropped += 1
            return
        self._queue.append(packet_in)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        for _ in range(min(BATCH, len(self._queue))):
            packet_in = self._queue.popleft()
            try:
                self.handle(packet_in)
            except (PacketError, DecodeError) as error:
                log.debug("packet from flow %#x dropped: %s", packet_in.cookie, error)
        self._scheduled = bool(self._queue)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._work)

    def handle(self, packet_in: PacketIn) -> None:
        """Do what the packet's flow asks for.

        Raises:
            PacketError, DecodeError: the packet or its userdata is not what it should be.
        """
        if not packet_in.userdata:
            return
        userdata = Userdata.decode(packet_in.userdata)
        opcode = userdata.opcode
        if opcode in WITH_RESULT:
            self._resume(packet_in, userdata)
        elif opcode in frag_mtu.OPCODES:
            self._send(packet_in.resume(frag_mtu.written(packet_in.packet, userdata)))
        elif opcode in replies.OPCODES:
            message = replies.reply(packet_in, userdata)
            if message is not None:
                self._send(message)
        elif opcode in learning.OPCODES:
            self._learn(learning.learned(packet_in, opcode))
        elif opcode is Opcode.LOG:
            acl.info("%s", acl_log.message(packet_in, userdata.payload, _FIRST_EGRESS))
        elif opcode not in self._unknown:
            self._unknown.add(opcode)
            log.warning("packets for %s are not supported by this controller", opcode.name)

    def _resume(self, packet_in: PacketIn, userdata: Userdata) -> None:
        """Let a paused packet go on, as the answer if there is one."""
        made = None
        try:
            made = self._answer(packet_in, userdata)
        except (PacketError, DecodeError) as error:
            log.debug("no answer to a packet of flow %#x: %s", packet_in.cookie, error)
        result = userdata.result
        metadata = with_bit(packet_in.metadata, result, made is not None) if result is not None else None
        self._send(packet_in.resume(made, metadata))

    def _answer(self, packet_in: PacketIn, userdata: Userdata) -> bytes | None:
        """Return what a paused packet goes on as; None if it goes on as it came."""
        packet = packet_in.packet
        match userdata.opcode:
            case Opcode.PUT_DHCP_OPTS:
                return dhcp4.answer(packet, userdata)
            case Opcode.PUT_DHCPV6_OPTS:
                return dhcp6.answer(packet, userdata)
            case Opcode.PUT_ND_RA_OPTS:
                return router_advert.answer(packet, userdata)
            case Opcode.DNS_LOOKUP:
                return names.answer(packet, self._name_tables(packet_in))
        return None

    def _name_tables(self, packet_in: PacketIn) -> list[Mapping[str, str]]:
        """Return the tables of names that hold in a packet's datapath."""
        if self._southbound is None:
            return []
        store = self._southbound.store
        key = packet_in.metadata["metadata"][0] if "metadata" in packet_in.metadata else 0
        datapath = store.find(DatapathBinding.tunnel_key, key)
        if datapath is None:
            return []
        return [row.records for row in store.select(DNS.datapaths, datapath.uuid)]

    # -- what packets teach -------------------------------------------------------------------------------------------

    def _learn(self, what: Learned) -> None:
        self._learned[what] = None
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._learned:
            await asyncio.sleep(_LEARN_PAUSE)
            learned, self._learned = self._learned, {}
            southbound = self._southbound
            if southbound is None or not southbound.connected:
                return
            transaction = southbound.transaction()
            for what in learned:
                stage_learned(southbound, transaction, what)
            try:
                if not transaction.empty:
                    await southbound.commit(transaction)
            except OvsdbError as error:  # another chassis learned the same first: its row is as good
                log.debug("what packets taught was not written: %s", error)


def stage_learned(southbound: Any, transaction: Any, what: Learned) -> None:
    """Put what a packet taught into a transaction, unless it is known."""
    store = southbound.store
    if not what.ip:
        rows = store.table(FDB).index(FDB.mac, FDB.dp_key).rows((what.mac, what.datapath))
        if not rows:
            transaction.insert(FDB, {"mac": what.mac, "dp_key": what.datapath, "port_key": what.port})
        elif rows[0].port_key != what.port:
            transaction.update(rows[0], {"port_key": what.port})
        return
    datapath = store.find(DatapathBinding.tunnel_key, what.datapath)
    if datapath is None:
        return
    index = store.table(PortBinding).index(PortBinding.datapath, PortBinding.tunnel_key)
    ports = index.rows((datapath.uuid, what.port))
    if not ports:
        return
    name = ports[0].logical_port
    now = int(time.time() * 1000)
    found = store.table(MACBinding).index(MACBinding.logical_port, MACBinding.ip).rows((name, what.ip))
    if not found:
        values = {"logical_port": name, "ip": what.ip, "mac": what.mac, "datapath": datapath.uuid, "timestamp": now}
        transaction.insert(MACBinding, values)
    elif found[0].mac != what.mac:
        transaction.update(found[0], {"mac": what.mac, "timestamp": now})


def with_bit(metadata: Match, bit: Subfield, value: bool) -> Match:
    """Return a packet's metadata with one bit set or cleared; the bits of wide registers are in their narrow parts."""
    fields = dict(metadata)
    for name, (ones, _) in narrow(bit.field.name, (1 << bit.ofs, 1 << bit.ofs)).items():
        old = fields[name][0] if name in fields else 0
        fields[name] = (old | ones if value else old & ~ones, FIELDS[name].mask)
    return Match(fields)
