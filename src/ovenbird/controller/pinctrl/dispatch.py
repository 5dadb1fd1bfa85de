"""Dispatches packet-ins to their handlers, a bounded number at a time.

Packets wait in fair queues and are handled for two milliseconds between other work, so that a flood of them can neither
delay the installation of flows nor fill the memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from ovenbird.controller.pinctrl import (
    acl_log,
    activation,
    controller_events,
    dhcp4,
    dhcp6,
    dhcp_relay,
    dns,
    flood_pieces,
    frag_mtu,
    mac_learning,
    ra,
    replies,
    virtual_ports,
)
from ovenbird.controller.pinctrl.buffered_packets import BufferedPackets
from ovenbird.controller.pinctrl.dns import NameTable
from ovenbird.controller.pinctrl.fair_queue import FairQueue
from ovenbird.controller.pinctrl.mac_learning import MacLearning
from ovenbird.counters.stopwatch import stopwatch
from ovenbird.lang.actions.userdata import WITH_RESULT, Opcode, Userdata
from ovenbird.lang.compile import narrow
from ovenbird.model.options import flag
from ovenbird.model.sb import DNS
from ovenbird.model.southbound_lookup import datapath_by_key
from ovenbird.net.errors import PacketError
from ovenbird.openflow.errors import DecodeError, OpenFlowError
from ovenbird.openflow.fields import FIELDS
from ovenbird.openflow.match import Match
from ovenbird.pipeline.flag_bits import FlagBit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.openflow.fields import Subfield
    from ovenbird.openflow.messages import Message, PacketIn
    from ovenbird.ovsdb.replica import Replica

log = logging.getLogger(__name__)
acl = logging.getLogger("acl_log")

SLICE = 0.002
"""Seconds for which packets are handled before other tasks run."""

_WATCH = stopwatch("pinctrl-run")
_QUESTIONS = frozenset([Opcode.ARP, Opcode.ND_NS])


class PacketIns:
    """The packets of one switch.

    Arguments:
        send: sends a message to the switch.
        others: handlers of packets by opcode, in addition to the opcodes that are handled here.
    """

    def __init__(
        self, send: Callable[[Message], None], others: Mapping[Opcode, Callable[[PacketIn], None]] | None = None
    ) -> None:
        self.queue = FairQueue()
        self.mac_learning = MacLearning()
        self.buffered = BufferedPackets(send)
        self._send = send
        self._others = dict(others or {})
        self._scheduled = False
        self._southbound: Replica | None = None
        self._chassis: Callable[[], str] = str
        self._unknown: set[int] = set()

    def attach(self, southbound: Replica, chassis: Callable[[], str] = str) -> None:
        """Use this Southbound for names and neighbours, and write what is learned to it, from now on.

        Arguments:
            southbound: the database.
            chassis: returns the name of this chassis.
        """
        self._southbound, self._chassis = southbound, chassis
        self.mac_learning.attach(southbound)

    def receive(self, packet_in: PacketIn) -> None:
        """Receive a packet-in."""
        if self.queue.put(packet_in) and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._work)

    def refreshed(self) -> None:
        """React to a change of Southbound."""
        if self.buffered and self._southbound is not None:
            self.buffered.look(self._southbound.store)

    def _work(self) -> None:
        began = time.perf_counter()
        try:
            self._take()
        finally:  # the next packet has its turn even if this one failed
            _WATCH.since(began)
            self._scheduled = bool(self.queue)
            if self._scheduled:
                asyncio.get_running_loop().call_soon(self._work)

    def _take(self) -> None:
        until = time.perf_counter() + SLICE
        while (packet_in := self.queue.take()) is not None:
            try:
                self.handle(packet_in)
            except (PacketError, OpenFlowError) as error:
                log.debug("packet from flow %#x dropped: %s", packet_in.cookie, error)
            except Exception:  # one packet, or one row that it asked for; those behind it have their turn
                log.exception("packet from flow %#x dropped", packet_in.cookie)
            if time.perf_counter() > until:
                return

    def handle(self, packet_in: PacketIn) -> None:
        """Execute the action of the packet's flow.

        Raises:
            PacketError, OpenFlowError: the packet or its userdata is not what it should be.
        """
        if not packet_in.userdata:
            return
        userdata = Userdata.decode(packet_in.userdata)
        opcode = userdata.opcode
        if opcode in WITH_RESULT:
            self._resume(packet_in, userdata)
        elif opcode in frag_mtu.FRAG_MTU_OPCODES:
            self._send(packet_in.resume(frag_mtu.written(packet_in.packet, userdata)))
        elif opcode in _QUESTIONS and self._went(packet_in):
            return
        elif opcode in replies.REPLY_OPCODES:
            message = replies.reply(packet_in, userdata)
            if message is not None:
                self._send(message)
        elif opcode in mac_learning.LEARNING_OPCODES:
            what = mac_learning.learned(packet_in, opcode)
            self.mac_learning.note(what)
            if what.ip:
                self.buffered.found((what.datapath, what.port, what.ip), what.mac)
        elif opcode is Opcode.BIND_VPORT:
            self.mac_learning.note(virtual_ports.spoken(packet_in))
        elif opcode is Opcode.ACTIVATION_STRATEGY_RARP:
            self.mac_learning.note(activation.activated(packet_in))
        elif opcode is Opcode.EVENT:
            self.mac_learning.note(controller_events.reported(packet_in, self._chassis()))
        elif opcode is Opcode.FLOOD_PIECES:
            for message in flood_pieces.further(packet_in, userdata.payload):
                self._send(message)
        elif opcode is Opcode.LOG:
            acl.info("%s", acl_log.message(packet_in, userdata.payload))
        elif opcode in self._others:
            self._others[opcode](packet_in)
        elif opcode not in self._unknown:
            self._unknown.add(opcode)
            log.warning("packets for %s are not supported by this controller", opcode.name)

    def _went(self, packet_in: PacketIn) -> bool:
        """Return whether a packet whose next hop is being resolved could be sent; if not, it is buffered."""
        return not self.buffered.hold(packet_in, self._southbound.store if self._southbound is not None else None)

    def _resume(self, packet_in: PacketIn, userdata: Userdata) -> None:
        """Resume a paused packet, replaced by the reply if there is one."""
        made = None
        try:
            made = self._answer(packet_in, userdata)
        except (PacketError, DecodeError) as error:
            log.debug("no answer to a packet of flow %#x: %s", packet_in.cookie, error)
        result = userdata.result
        metadata = with_bit(packet_in.metadata, result, made is not None) if result is not None else None
        if made is not None and metadata is not None and userdata.opcode is Opcode.DNS_LOOKUP:
            metadata = with_bit(metadata, FlagBit.FROM_CONTROLLER.bits, True)  # past the ACLs of newer releases
        self._send(packet_in.resume(made, metadata))

    def _answer(self, packet_in: PacketIn, userdata: Userdata) -> bytes | None:
        """Return the packet that replaces a paused one; None if it resumes unchanged."""
        packet = packet_in.packet
        match userdata.opcode:
            case Opcode.PUT_DHCP_OPTS:
                return dhcp4.answer(packet, userdata)
            case Opcode.PUT_DHCPV6_OPTS:
                return dhcp6.answer(packet, userdata)
            case Opcode.DHCP_RELAY_REQ_CHK:
                return dhcp_relay.to_server(packet, userdata)
            case Opcode.DHCP_RELAY_RESP_CHK:
                return dhcp_relay.to_client(packet, userdata)
            case Opcode.PUT_ND_RA_OPTS:
                return ra.answer(packet, userdata)
            case Opcode.DNS_LOOKUP:
                return dns.answer(packet, self._name_tables(packet_in))
        return None

    def _name_tables(self, packet_in: PacketIn) -> list[NameTable]:
        """Return the DNS records of a packet's datapath."""
        if self._southbound is None:
            return []
        store = self._southbound.store
        key = packet_in.metadata["metadata"][0] if "metadata" in packet_in.metadata else 0
        datapath = datapath_by_key(store, key)
        if datapath is None:
            return []
        rows = store.select(DNS.datapaths, datapath.uuid)
        return [NameTable(row.records, flag(row.options, "ovn-owned")) for row in rows]


def with_bit(metadata: Match, bit: Subfield, value: bool) -> Match:
    """Return a packet's metadata with one bit set or cleared; the bits of wide registers are in their narrow parts.

    Arguments:
        metadata: as it came.
        bit: which bit.
        value: whether it is set.
    """
    fields = dict(metadata)
    for name, (ones, _) in narrow(bit.field.name, (1 << bit.ofs, 1 << bit.ofs)).items():
        old = fields[name][0] if name in fields else 0
        fields[name] = (old | ones if value else old & ~ones, FIELDS[name].mask)
    return Match(fields)
