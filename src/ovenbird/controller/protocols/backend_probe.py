"""The probe of one load balancer's backend: when to send packets, how to judge answers, and the resulting status.

ovn-sb(5), Service_Monitor. Over TCP a SYN is sent: a SYN with ACK is a success, a reset or no answer is a failure. Over
UDP a datagram is sent: no answer is a success, an ICMP error is a failure. After `success_count` successes in a row the
backend is online, after `failure_count` failures offline. The next packet is sent `interval` after an outcome.

The module does no I/O and reads no clock: callers pass the time, in seconds of one clock.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ovenbird.net import ethernet, icmp
from ovenbird.net.addresses import ip_bytes, ip_text, mac_bytes
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import ICMP, TCP, UDP, IPv4
from ovenbird.net.ipv6 import ICMPV6, IPv6
from ovenbird.net.tcp import ACK, RST, SYN, Tcp
from ovenbird.net.udp import Udp

if TYPE_CHECKING:
    from ovenbird.controller.facts import ProbedBackend

_HOPS = 63
_WINDOW = 65_160
_FIRST_PORT, _LAST_PORT = 1024, 65_535
_DATAGRAM = bytes(8)
_PORT_UNREACHABLE, _PORT_UNREACHABLE_V6 = 3, 4
_WORD = 0xFFFF_FFFF


class BackendProbe:
    """The state of a probe.

    Arguments:
        fact: the backend, and the options of the health check.

    Attributes:
        status: `online` or `offline`; None until it is determined.
        deadline: when to call `tick`; it is 0 at first.
    """

    __slots__ = ("_failures", "_port", "_sequence", "_successes", "_waiting", "deadline", "fact", "status")

    def __init__(self, fact: ProbedBackend) -> None:
        self.fact = fact
        self.status: str | None = None
        self.deadline = 0.0
        self._waiting = False
        self._successes = self._failures = 0
        self._port = self._sequence = 0

    @property
    def sends(self) -> bool:
        """Whether the next `tick` sends a packet."""
        return not self._waiting

    def put_off(self, until: float) -> None:
        """Postpone the next packet, and ignore the last one and its answer.

        Arguments:
            until: the new deadline.
        """
        self._waiting = False
        self.deadline = until

    def tick(self, now: float) -> bytes | None:
        """Process the deadline; return a frame to send, if any."""
        if self._waiting:
            self._count(now, success=self.fact.protocol == "udp")
            return None
        if not self._port or self.fact.protocol == "tcp":
            self._port = random.randint(_FIRST_PORT, _LAST_PORT)  # noqa: S311 - distinguishes probes
            self._sequence = random.getrandbits(32)
        self._waiting = True
        self.deadline = now + self.fact.times.timeout
        if self.fact.protocol == "tcp":
            return self._segment(SYN, seq=self._sequence, ack=0)
        return framed(self.fact, UDP, Udp(sport=self._port, dport=self.fact.number, payload=_DATAGRAM))

    def receive(self, answer: Tcp | Udp, now: float) -> bytes | None:
        """Process an answer: a segment, or the datagram that an ICMP error quotes; return a frame to send, if any.

        Arguments:
            answer: the segment, or the quoted datagram.
            now: the time.

        Raises:
            PacketError: it is not an answer to the last packet.
        """
        if not self._waiting:
            raise PacketError("an answer to no probe")
        if isinstance(answer, Udp):
            if answer.sport != self._port:
                raise PacketError("an error about no probe")
            self._count(now, success=False)
            return None
        if answer.dport != self._port or answer.ack != (self._sequence + 1) & _WORD:
            raise PacketError("a segment that answers no probe")
        if answer.flags & RST:
            self._count(now, success=False)
            return None
        if answer.flags & (SYN | ACK) != SYN | ACK:
            raise PacketError("a segment that answers no SYN")
        self._count(now, success=True)
        return self._segment(RST | ACK, seq=answer.ack, ack=(answer.seq + 1) & _WORD)

    def _segment(self, flags: int, *, seq: int, ack: int) -> bytes:
        segment = Tcp(sport=self._port, dport=self.fact.number, seq=seq, ack=ack, flags=flags, window=_WINDOW)
        return framed(self.fact, TCP, segment)

    def _count(self, now: float, *, success: bool) -> None:
        """Count an outcome, and update the status."""
        times = self.fact.times
        self._waiting = False
        self.deadline = now + times.interval
        self._successes = self._successes + 1 if success else 0
        self._failures = 0 if success else self._failures + 1
        if self._successes >= times.success_count:
            self.status = "online"
        elif self._failures >= times.failure_count:
            self.status = "offline"


def framed(fact: ProbedBackend, protocol: int, carried: Tcp | Udp) -> bytes:
    """Return the frame of a packet to a backend.

    Arguments:
        fact: the backend.
        protocol: the IP protocol number of the payload.
        carried: the payload, a segment or datagram.
    """
    src, dst = ip_bytes(fact.source), ip_bytes(fact.address)
    payload = carried.encode(src=src, dst=dst)
    if len(src) == 4:
        kind, packet = ethernet.IPV4, IPv4(src=src, dst=dst, proto=protocol, payload=payload, ttl=_HOPS).encode()
    else:
        kind = ethernet.IPV6
        packet = IPv6(src=src, dst=dst, next_header=protocol, payload=payload, hop_limit=_HOPS).encode()
    frame = Ethernet(dst=mac_bytes(fact.mac), src=mac_bytes(fact.source_mac), ethertype=kind, payload=packet)
    return frame.encode()


def answer_of(frame: bytes) -> tuple[str, Tcp | Udp]:
    """Return the backend's address from an answer to a probe, and the segment or the datagram quoted in an ICMP error.

    Raises:
        PacketError: it is neither.
    """
    outer = Ethernet.decode(frame)
    if outer.ethertype == ethernet.IPV4:
        packet = IPv4.decode(outer.payload)
        source, protocol, body = packet.src, packet.proto, packet.payload
    else:
        packet6 = IPv6.decode(outer.payload)
        source, (protocol, body) = packet6.src, packet6.upper()
    if protocol == TCP:
        return ip_text(source), Tcp.decode(body)
    message = Icmp.decode(body)
    if (protocol, message.type, message.code) == (ICMP, icmp.UNREACHABLE, _PORT_UNREACHABLE):
        quoted = IPv4.decode(message.body[4:])
        destination, protocol, body = quoted.dst, quoted.proto, quoted.payload
    elif (protocol, message.type, message.code) == (ICMPV6, icmp.V6_UNREACHABLE, _PORT_UNREACHABLE_V6):
        quoted6 = IPv6.decode(message.body[4:])
        destination, (protocol, body) = quoted6.dst, quoted6.upper()
    else:
        raise PacketError(f"protocol {protocol}, type {message.type}, code {message.code} in answer to a probe")
    if protocol != UDP:
        raise PacketError(f"an error about protocol {protocol} in answer to a probe")
    return ip_text(destination), Udp.decode(body)
