"""Connection tracking for the tracer: a connection that a trace commits is established afterwards, in both directions.

A connection belongs to a zone and is identified by its protocol, addresses and ports (ovs-fields(7), "Connection
Tracking Fields"). A packet of a connection that was not committed is new. Timeouts and the TCP state machine are not
modelled: a connection stays as long as the tracker. An ICMP error is related to the connection of the packet that it
quotes, in the opposite direction; translating the error translates the quoted packet as well (RFC 5508, section 4), and
an error never begins a connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovenbird.net.ethernet import IPV6
from ovenbird.net.ipv4 import ICMP, SCTP, TCP, UDP
from ovenbird.net.ipv6 import ICMPV6
from ovenbird.verify.errors import VerifyError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ovenbird.lang.actions import Translation
    from ovenbird.lang.microflow import Microflow

NEW, ESTABLISHED, RELATED, REPLY, INVALID, TRACKED = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
SOURCE_TRANSLATED, DESTINATION_TRANSLATED = 0x40, 0x80
FLAGS = {
    "new": NEW,
    "est": ESTABLISHED,
    "rel": RELATED,
    "rpl": REPLY,
    "inv": INVALID,
    "trk": TRACKED,
    "snat": SOURCE_TRANSLATED,
    "dnat": DESTINATION_TRANSLATED,
}
"""Bits of ct_state by the names that ovn-trace(8) has for them."""

_ADDRESSES = (("ip_src", "ip_dst"), ("ipv6_src", "ipv6_dst"))
_PORTS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_ECHO = {ICMP: (8, 0), ICMPV6: (128, 129)}


@dataclass(frozen=True, slots=True)
class Tuple:
    """One direction of a connection."""

    family: int
    protocol: int
    source: int
    destination: int
    source_port: int
    destination_port: int

    @property
    def reverse(self) -> Tuple:
        """The other direction, before any translation."""
        return Tuple(self.family, self.protocol, self.destination, self.source, self.destination_port, self.source_port)

    @classmethod
    def of(cls, packet: Microflow) -> Tuple:
        """Return the direction that a packet belongs to; an ICMP echo and its reply are one connection."""
        family, protocol = packet["eth_type"], packet["nw_proto"]
        source, destination = _ADDRESSES[family == IPV6]
        ports = (0, 0)
        if protocol in _PORTS:
            name = _PORTS[protocol]
            ports = (packet[f"{name}_src"], packet[f"{name}_dst"])
        return cls(family, protocol, packet[source], packet[destination], *ports)

    def answer(self, translation: Translation, address: int) -> Tuple:
        """Return what replies look like to a connection that is committed with a translation to an address."""
        if translation.source:
            port = translation.port or self.source_port
            return Tuple(self.family, self.protocol, self.destination, address, self.destination_port, port)
        port = translation.port or self.destination_port
        return Tuple(self.family, self.protocol, address, self.source, port, self.source_port)

    def write(self, packet: Microflow) -> None:
        """Give a packet the addresses and ports of this direction."""
        source, destination = _ADDRESSES[self.family == IPV6]
        packet[source], packet[destination] = self.source, self.destination
        if self.protocol in _PORTS:
            name = _PORTS[self.protocol]
            packet[f"{name}_src"], packet[f"{name}_dst"] = self.source_port, self.destination_port


@dataclass(slots=True)
class Connection:
    """A committed connection: its two directions before any translation, and what is kept with it."""

    original: Tuple
    answer: Tuple
    mark: int = 0
    label: int = 0
    translated: int = 0

    def translate(self, packet: Microflow, *, reply: bool) -> None:
        """Give a packet of the connection, or an error about one, the addresses that it has on the other side.

        Arguments:
            packet: as it came.
            reply: whether it goes against the connection's first packet.
        """
        there = (self.original if reply else self.answer).reverse
        if packet.quoted is None:
            there.write(packet)
            return
        there.reverse.write(packet.quoted)
        source, destination = _ADDRESSES[there.family == IPV6]  # of an error from halfway, one end alone is known
        for bit, (name, value) in (
            (SOURCE_TRANSLATED, (destination, there.destination) if reply else (source, there.source)),
            (DESTINATION_TRANSLATED, (source, there.source) if reply else (destination, there.destination)),
        ):
            if self.translated & bit:
                packet[name] = value


class Tracker:
    """The connections of all zones."""

    def __init__(self) -> None:
        self._connections: dict[tuple[Hashable, Tuple], Connection] = {}

    def find(self, zone: Hashable, packet: Microflow) -> tuple[Connection, bool] | None:
        """Return the connection of a packet in a zone, and whether the packet is a reply; None if it is new."""
        direction = Tuple.of(packet) if packet.quoted is None else Tuple.of(packet.quoted).reverse
        found = self._connections.get((zone, direction))
        return None if found is None else (found, direction != found.original)

    def look_up(self, zone: Hashable, packet: Microflow) -> tuple[Connection, bool] | None:
        """Set a packet's ct_state, ct_mark and ct_label; return what `find` returns."""
        found = self.find(zone, packet)
        if found is None:
            packet["ct_state"] = TRACKED | (NEW if _may_begin(packet) else INVALID)
            packet["ct_mark"] = packet["ct_label"] = 0
        else:
            connection, reply = found
            kind = ESTABLISHED if packet.quoted is None else RELATED
            packet["ct_state"] = TRACKED | kind | (REPLY if reply else 0) | connection.translated
            packet["ct_mark"], packet["ct_label"] = connection.mark, connection.label
        return found

    def commit(
        self, zone: Hashable, packet: Microflow, answer: Tuple | None = None, translated: int = 0
    ) -> Connection | None:
        """Remember a packet's connection, if it is new, and return it; None for an error about no connection.

        Arguments:
            zone: where.
            packet: as it is before translation.
            answer: the direction of replies, where a translation makes it other than the reverse.
            translated: the ct_state bits of a translation.
        """
        found = self.find(zone, packet)
        if found is not None:
            return found[0]
        if packet.quoted is not None:
            return None
        original = Tuple.of(packet)
        connection = Connection(original, answer or original.reverse, translated=translated)
        self._connections[zone, original] = connection
        self._connections[zone, connection.answer] = connection
        return connection


def flags(words: str) -> int:
    """Return the ct_state that flags stand for; that the packet was tracked need not be said.

    Arguments:
        words: flags, separated by commas or spaces.

    Raises:
        VerifyError: there is no such flag.
    """
    state = TRACKED
    for word in words.replace(",", " ").split():
        if word not in FLAGS:
            raise VerifyError(f"{word} is no connection tracking flag: there are {', '.join(FLAGS)}")
        state |= FLAGS[word]
    return state


def format_state(state: int) -> str:
    """Write a ct_state as `new|trk`."""
    return "|".join(name for name, bit in FLAGS.items() if state & bit) or "0"


def _may_begin(packet: Microflow) -> bool:
    """Return whether a packet can be a connection's first: not an ICMP echo reply, nor an ICMP error."""
    protocol = packet["nw_proto"]
    if protocol not in _ECHO:
        return True
    kind = packet["icmpv6_type" if protocol == ICMPV6 else "icmp_type"]
    return kind == _ECHO[protocol][0] or (protocol == ICMPV6 and kind >= 133)
