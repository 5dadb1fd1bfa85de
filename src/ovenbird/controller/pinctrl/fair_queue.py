"""A bounded, fair queue of packets.

Packets wait in one queue for each combination of kind and port. The queues are served in turn, one packet each, so that
a flood from a port delays only packets of that kind from that port. Packets beyond the bound are dropped and counted.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from ovenbird.controller.packet_registers import register
from ovenbird.counters.coverage import counter

if TYPE_CHECKING:
    from ovenbird.openflow.messages import PacketIn

PER_PORT = 64
"""Packets of one kind that may wait from one port."""

PER_KIND = 1024
"""Packets of one kind that may wait from all ports."""
_RECEIVED, _DROPPED = counter("pinctrl_total_pin_pkts"), counter("pinctrl_drop_pin_pkts")

Source = tuple[int, int, int]
"""A kind (the opcode), a datapath's key, and a port's."""


class FairQueue:
    """Packets that wait, served in turn by kind, datapath and port."""

    def __init__(self) -> None:
        self.received: Counter[int] = Counter()
        self.dropped: Counter[int] = Counter()
        self._waiting: dict[Source, deque[PacketIn]] = {}
        self._order: deque[Source] = deque()
        self._of_kind: Counter[int] = Counter()

    def __len__(self) -> int:
        return self._of_kind.total()

    def put(self, packet_in: PacketIn) -> bool:
        """Queue a packet; return False if it is dropped."""
        source = source_of(packet_in)
        kind = source[0]
        self.received[kind] += 1
        _RECEIVED.count += 1
        queue = self._waiting.get(source)
        if self._of_kind[kind] >= PER_KIND or (queue is not None and len(queue) >= PER_PORT):
            self.dropped[kind] += 1
            _DROPPED.count += 1
            return False
        if queue is None:
            queue = self._waiting[source] = deque()
            self._order.append(source)
        queue.append(packet_in)
        self._of_kind[kind] += 1
        return True

    def take(self) -> PacketIn | None:
        """Remove and return the next packet; None if none waits."""
        if not self._order:
            return None
        source = self._order.popleft()
        queue = self._waiting[source]
        packet_in = queue.popleft()
        self._of_kind[source[0]] -= 1
        if queue:
            self._order.append(source)
        else:
            del self._waiting[source]
        return packet_in


def source_of(packet_in: PacketIn) -> Source:
    """Return a packet's kind, and the datapath and port where it came in."""
    kind = int.from_bytes(packet_in.userdata[:4], "big")
    return kind, register(packet_in, "metadata"), register(packet_in, "reg14")
