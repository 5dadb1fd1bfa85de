"""Connection tracking for the tracer: a connection that a trace commits is established afterwards, in both directions.

A connection belongs to a zone and is identified by its protocol, addresses and ports (ovs-fields(7), "Connection
Tracking Fields"). A packet of a connection that was not committed is new, and so is one of a connection that has had no
reply yet. Timeouts and the TCP state machine are not modelled: a connection stays as long as the tracker. An ICMP error
is related to the connection of the packet that it quotes, in the opposite direction; translating the error translates
the quoted packet as well (RFC 5508, section 4), and an error never begins a connection. A packet that belongs to no
connection and begins none is invalid: it is neither translated nor committed.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.net.ethernet import IPV6
from ovenbird.net.ipv4 import ICMP, SCTP, TCP, UDP
from ovenbird.net.ipv6 import ICMPV6
from ovenbird.net.tcp import ACK, FIN, RST, SYN
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
"""Bits of ct_state by their names in ovn-trace(8)."""

_OTHER_END = {0: 0, SOURCE_TRANSLATED: DESTINATION_TRANSLATED, DESTINATION_TRANSLATED: SOURCE_TRANSLATED}
"""The translation of replies, for each kind of translation."""
_ADDRESSES = (("ip_src", "ip_dst"), ("ipv6_src", "ipv6_dst"))
_PORTS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_QUESTIONS = {ICMP: {8: 0, 13: 14, 15: 16}, ICMPV6: {128: 129}}
"""ICMP request types, and the types of their replies."""
_PARTNERS = {proto: {**kinds, **{a: q for q, a in kinds.items()}} for proto, kinds in _QUESTIONS.items()}
_ICMP_TYPE = {ICMP: "icmp_type", ICMPV6: "icmpv6_type"}
_ORIGINAL = ("ct_nw_dst", "ct_ipv6_dst", "ct_tp_dst")
_PORT_RANGES = ((0, 511), (512, 1023), (1024, 65535))


@dataclass(frozen=True, slots=True, kw_only=True)
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
        return Tuple(
            family=self.family,
            protocol=self.protocol,
            source=self.destination,
            destination=self.source,
            source_port=self.destination_port,
            destination_port=self.source_port,
        )

    @classmethod
    def of(cls, packet: Microflow) -> Tuple:
        """Return the direction that a packet belongs to; an ICMP echo and its reply are one connection."""
        family, protocol = packet["eth_type"], packet["nw_proto"]
        source, destination = _ADDRESSES[family == IPV6]
        ports = (0, 0)
        if protocol in _PORTS:
            name = _PORTS[protocol]
            ports = (packet[f"{name}_src"], packet[f"{name}_dst"])
        elif protocol in _QUESTIONS:  # a question in the other direction is another connection's
            kind = packet[_ICMP_TYPE[protocol]]
            ports = (kind, _PARTNERS[protocol].get(kind, 0))
        return cls(
            family=family,
            protocol=protocol,
            source=packet[source],
            destination=packet[destination],
            source_port=ports[0],
            destination_port=ports[1],
        )

    def answer(self, translation: Translation, address: int) -> Tuple:
        """Return the tuple of replies to a connection that is committed with a translation to an address."""
        port = translation.port if self.protocol in _PORTS else 0
        if translation.source:
            port = port or self.source_port
            return Tuple(
                family=self.family,
                protocol=self.protocol,
                source=self.destination,
                destination=address,
                source_port=self.destination_port,
                destination_port=port,
            )
        port = port or self.destination_port
        return Tuple(
            family=self.family,
            protocol=self.protocol,
            source=address,
            destination=self.source,
            source_port=port,
            destination_port=self.source_port,
        )

    def write(self, packet: Microflow) -> None:
        """Set a packet's addresses and ports to those of this direction."""
        source, destination = _ADDRESSES[self.family == IPV6]
        packet[source], packet[destination] = self.source, self.destination
        if self.protocol in _PORTS:
            name = _PORTS[self.protocol]
            packet[f"{name}_src"], packet[f"{name}_dst"] = self.source_port, self.destination_port


@dataclass(slots=True, kw_only=True)
class TrackedConnection:
    """A committed connection: its two directions before any translation, its mark and its label."""

    original: Tuple
    answer: Tuple
    mark: int = 0
    label: int = 0
    translated: int = 0
    answered: bool = False

    def translate(self, packet: Microflow, *, reply: bool) -> None:
        """Translate a packet of the connection, or an ICMP error about one.

        Arguments:
            packet: before the translation.
            reply: whether it has the opposite direction of the connection's first packet.
        """
        there = (self.original if reply else self.answer).reverse
        packet["ct_state"] |= _OTHER_END[self.translated] if reply else self.translated
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
        self._connections: dict[tuple[Hashable, Tuple], TrackedConnection] = {}

    def track(
        self, zone: Hashable, packet: Microflow, *, translate: bool = False, valid: bool = False
    ) -> TrackedConnection | None:
        """Set a packet's ct_state, ct_mark and ct_label.

        Arguments:
            zone: the conntrack zone.
            packet: before the translation.
            translate: whether to apply the translation of its connection.
            valid: whether it may begin a connection even if such packets usually do not.

        Returns:
            its connection; None for a packet of an uncommitted connection, and for an invalid one.
        """
        found, reply = self._find(zone, packet, valid=valid)
        for name in _ORIGINAL:
            packet[name] = 0
        if found is None:
            packet["ct_state"] = TRACKED | (NEW if valid or _kind(packet) is _Kind.FIRST else INVALID)
            packet["ct_mark"] = packet["ct_label"] = 0
            return None
        if packet.quoted is not None:
            state = RELATED
        else:
            found.answered |= reply
            state = ESTABLISHED if found.answered else NEW
        packet["ct_state"] = TRACKED | state | (REPLY if reply else 0)
        packet["ct_mark"], packet["ct_label"] = found.mark, found.label
        if state == ESTABLISHED:
            packet["ct_ipv6_dst" if found.original.family == IPV6 else "ct_nw_dst"] = found.original.destination
            packet["ct_tp_dst"] = found.original.destination_port
        if translate:
            found.translate(packet, reply=reply)
        return found

    def commit(
        self, zone: Hashable, packet: Microflow, translation: Translation | None = None, *, valid: bool = False
    ) -> TrackedConnection | None:
        """Track a packet as `track` does, and commit its connection if it is new.

        An existing connection keeps its own translation. An invalid packet is neither committed nor
        translated (ovs-actions(7), "ct").

        Arguments:
            zone: the conntrack zone.
            packet: before the translation.
            translation: the translation of a new connection; None applies no translation, also for an existing one.
            valid: as for `track`.

        Returns:
            the connection; None for an invalid packet, and if a translation has no free port.
        """
        found = self.track(zone, packet, translate=translation is not None, valid=valid)
        if found is not None or packet["ct_state"] & INVALID:
            return found
        original = Tuple.of(packet)
        connection = TrackedConnection(original=original, answer=original.reverse)
        if translation is not None and translation.address is not None:
            answer = self._free(zone, original.answer(translation, translation.address), translation)
            if answer is None:
                return None
            connection.answer = answer
            connection.translated = SOURCE_TRANSLATED if translation.source else DESTINATION_TRANSLATED
            connection.translate(packet, reply=False)
        for direction in (original, connection.answer):
            self._connections[zone, direction] = connection
        return connection

    def _find(self, zone: Hashable, packet: Microflow, *, valid: bool) -> tuple[TrackedConnection | None, bool]:
        """Return the connection of a packet in a zone, and whether the packet is a reply."""
        direction = Tuple.of(packet)
        if packet.quoted is not None:
            quoted = Tuple.of(packet.quoted)
            if quoted.source != direction.destination:  # of no use to its receiver
                return None, False
            direction = quoted.reverse
        elif _kind(packet) is _Kind.UNKNOWN and not valid:
            return None, False
        found = self._connections.get((zone, direction))
        return found, found is not None and direction != found.original

    def _free(self, zone: Hashable, answer: Tuple, translation: Translation) -> Tuple | None:
        """Return a direction of replies that no other connection has, None if there is none.

        If another connection has it, the next free source port is used: from the translation's range, or from the range
        of the original port, as in Open vSwitch. For ICMP the latest connection wins, since a microflow has no
        identifier, by which a switch distinguishes them.
        """
        if answer.protocol in _QUESTIONS or (zone, answer) not in self._connections:
            return answer
        if answer.protocol not in _PORTS:
            return None
        wanted = answer.destination_port
        low, high = next(bounds for bounds in _PORT_RANGES if wanted <= bounds[1])
        if translation.source and translation.port:
            low, high = translation.port, translation.port_max or translation.port
        count = high - low + 1
        candidates = (replace(answer, destination_port=low + (wanted - low + i) % count) for i in range(count))
        return next((free for free in candidates if (zone, free) not in self._connections), None)


def flags(words: str) -> int:
    """Return the ct_state of flags; `trk` may be left out.

    Arguments:
        words: flags, separated by commas or spaces.

    Raises:
        VerifyError: there is no such flag.
    """
    state = TRACKED
    for word in words.replace(",", " ").split():
        if word not in FLAGS:
            raise VerifyError(f"{word} is not a connection tracking flag; the flags are {', '.join(FLAGS)}")
        state |= FLAGS[word]
    return state


def format_state(state: int) -> str:
    """Write a ct_state as `new|trk`."""
    return "|".join(name for name, bit in FLAGS.items() if state & bit) or "0"


class _Kind(Enum):
    """Whether a packet can begin or belong to an uncommitted connection, as in Open vSwitch's userspace tracker."""

    FIRST = 1
    LATER = 2
    UNKNOWN = 3  # belongs to no connection


def _kind(packet: Microflow) -> _Kind:
    """Classify a packet.

    Of ICMP, only requests begin a connection, and only requests and replies belong to one. TCP may be picked up in the
    middle, but not by a SYN-ACK; a microflow without TCP flags is any segment.
    """
    protocol = packet["nw_proto"]
    if protocol in _QUESTIONS:
        kind = packet[_ICMP_TYPE[protocol]]
        if packet.quoted is not None or kind in _QUESTIONS[protocol]:
            return _Kind.FIRST if packet.quoted is None else _Kind.LATER
        return _Kind.LATER if kind in _QUESTIONS[protocol].values() else _Kind.UNKNOWN
    if protocol == TCP and (flags := packet["tcp_flags"] & 0xFFF):
        begins = (flags & SYN and not flags & (ACK | RST | FIN)) or (flags & (ACK | RST) and not flags & SYN)
        return _Kind.FIRST if begins else _Kind.LATER
    return _Kind.FIRST
