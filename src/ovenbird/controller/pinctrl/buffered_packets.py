"""Packets buffered until the MAC address of their next hop is known.

A router sends the packet to the controller when it asks for the next hop (`arp { ... }`, `nd_ns { ... }`). The request
is sent and the packet is buffered: it is sent when the answer has been learned, here or by another chassis, so that the
first packet to a neighbour is not lost (RFC 1122, section 2.3.2.2; RFC 4861, section 7.2.2). As in the original, at
most 4 packets are buffered for a neighbour, for 10 seconds, for at most 1,000 neighbours.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ovenbird.controller.packet_registers import address_asked, register
from ovenbird.controller.pinctrl.replies import carried
from ovenbird.dataclass import dataclass, field
from ovenbird.lang.actions.userdata import Opcode
from ovenbird.model.southbound_lookup import mac_binding, port_by_keys
from ovenbird.net.addresses import mac_bytes
from ovenbird.net.ethernet import Ethernet
from ovenbird.openflow.actions import Resubmit, encode_actions
from ovenbird.openflow.messages import PacketOut
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.engine.rows import Store
    from ovenbird.openflow.messages import Message, PacketIn

PER_NEIGHBOUR, NEIGHBOURS = 4, 1000
BUFFER_TIMEOUT = 10.0
"""Seconds that a packet is buffered."""

_OUTPUT = Resubmit(OFTable.OUTPUT_LARGE_PKT_DETECT)

Neighbour = tuple[int, int, str]
"""A datapath's key, a port's, and the neighbour's address behind it."""


@dataclass(slots=True)
class _Waiting:
    since: float
    packets: list[PacketIn] = field(default_factory=list)


class BufferedPackets:
    """The packets that one chassis buffers.

    Arguments:
        send: sends a message to the switch.
        clock: seconds that only grow.
    """

    def __init__(self, send: Callable[[Message], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.dropped = 0
        self._send = send
        self._clock = clock
        self._waiting: dict[Neighbour, _Waiting] = {}

    def __len__(self) -> int:
        return sum(len(waiting.packets) for waiting in self._waiting.values())

    def hold(self, packet_in: PacketIn, store: Store | None) -> bool:
        """Buffer a packet, or send it if its neighbour has become known meanwhile.

        Returns:
            Whether an ARP or ND request for the neighbour is still needed.
        """
        neighbour = neighbour_of(packet_in)
        if not neighbour[1]:
            return True  # without a port to leave by there is nothing to send later
        mac = known(store, neighbour) if store is not None else None
        if mac is not None:
            self._send_to(packet_in, mac)
            return False
        now = self._clock()
        self._expire(now)
        waiting = self._waiting.get(neighbour)
        if waiting is None:
            if len(self._waiting) >= NEIGHBOURS:
                self.dropped += 1
                return True
            waiting = self._waiting[neighbour] = _Waiting(now)
        if len(waiting.packets) >= PER_NEIGHBOUR:
            del waiting.packets[0]
            self.dropped += 1
        waiting.packets.append(packet_in)
        return True

    def found(self, neighbour: Neighbour, mac: str) -> None:
        """Send the packets buffered for a neighbour."""
        waiting = self._waiting.pop(neighbour, None)
        if waiting is not None and self._clock() - waiting.since < BUFFER_TIMEOUT:
            for packet_in in waiting.packets:
                self._send_to(packet_in, mac)

    def look(self, store: Store) -> None:
        """Send the packets buffered for neighbours that other chassis have learned."""
        for neighbour in list(self._waiting):
            mac = known(store, neighbour)
            if mac is not None:
                self.found(neighbour, mac)

    def _send_to(self, packet_in: PacketIn, mac: str) -> None:
        frame = replace(Ethernet.decode(packet_in.packet), dst=mac_bytes(mac))
        if packet_in.continuation:  # the flow says what becomes of it then
            self._send(packet_in.resume(frame.encode()))
            return
        self._send(PacketOut(packet=frame.encode(), actions=encode_actions((*carried(packet_in), _OUTPUT))))

    def _expire(self, now: float) -> None:
        while self._waiting:
            neighbour, waiting = next(iter(self._waiting.items()))
            if now - waiting.since < BUFFER_TIMEOUT:
                return
            self.dropped += len(waiting.packets)
            del self._waiting[neighbour]


def neighbour_of(packet_in: PacketIn) -> Neighbour:
    """Return the next hop of a packet that a router punts."""
    datapath, port = register(packet_in, "metadata"), register(packet_in, "reg15")
    four = int.from_bytes(packet_in.userdata[:4], "big") == Opcode.ARP
    return datapath, port, address_asked(packet_in, ipv6=not four)


def known(store: Store, neighbour: Neighbour) -> str | None:
    """Return a neighbour's MAC address from Southbound; for a gateway port, as learned on any chassis."""
    key, port_key, address = neighbour
    port = port_by_keys(store, datapath=key, port=port_key)
    if port is None:
        return None
    found = mac_binding(store, port=port.options.get("distributed-port", port.logical_port), ip=address)
    return found.mac if found is not None else None
