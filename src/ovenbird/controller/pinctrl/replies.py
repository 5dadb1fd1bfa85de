"""Packets that the controller makes from a packet-in: ARP and ND, ICMP errors, TCP resets, SCTP aborts.

The nested actions of the flow's action (`arp { ... }`, `reject { ... }`) are executed on the new packet, with the
registers of the original one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ovenbird.lang.actions.userdata import Opcode
from ovenbird.net import ethernet, ipv4, nd
from ovenbird.net.addresses import ALL_NODES, BROADCAST, ZERO_MAC, link_local, multicast_mac, solicited_node
from ovenbird.net.arp import Arp
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import IPv4
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.nd import Neighbor
from ovenbird.net.sctp import Sctp
from ovenbird.net.tcp import Tcp
from ovenbird.openflow.actions import SetField, encode_actions
from ovenbird.openflow.fields import FIELDS
from ovenbird.openflow.messages import PacketOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.lang.actions.userdata import Userdata
    from ovenbird.openflow.messages import PacketIn

_ARP_REQUEST, _ICMPV6 = 1, 58
_DO_NOT_FRAGMENT = 0x4000
_CARRIED = frozenset(["metadata", *(f"reg{n}" for n in range(16))])


def reply(packet_in: PacketIn, userdata: Userdata) -> PacketOut | None:
    """Return the packet to send in place of a packet-in; None if there is none to send.

    Raises:
        PacketError: the packet is not of the kind that the flow's action is for.
    """
    maker = _MAKERS[userdata.opcode]
    made = maker(Ethernet.decode(packet_in.packet))
    if made is None:
        return None
    return PacketOut(packet=made.encode(), actions=encode_actions((*carried(packet_in), *userdata.actions)))


def carried(packet_in: PacketIn) -> list[SetField]:
    """Return the actions that copy the registers of a packet-in to the packet that replaces it."""
    return [
        SetField(FIELDS[name], value, mask=FIELDS[name].mask)
        for name, (value, _) in packet_in.metadata.items()
        if name in _CARRIED
    ]


def arp_request(frame: Ethernet) -> Ethernet:
    """Return an ARP request for the destination of an IPv4 packet; for another, the flow's actions write addresses."""
    source = target = bytes(4)
    if frame.ethertype == ethernet.IPV4:
        packet = IPv4.decode(frame.payload)
        source, target = packet.src, packet.dst
    query = Arp(op=_ARP_REQUEST, sha=frame.src, spa=source, tha=ZERO_MAC, tpa=target)
    return Ethernet(dst=BROADCAST, src=frame.src, ethertype=ethernet.ARP, payload=query.encode())


def solicitation(frame: Ethernet) -> Ethernet:
    """Return a neighbour solicitation for the destination of an IPv6 packet, from the router's link-local address.

    The source is an address of the soliciting interface (RFC 4861, section 7.2.2), not that of the packet's sender. For
    an IPv4 packet, whose next hop has an IPv6 address, the flow's actions write the destination.
    """
    target = IPv6.decode(frame.payload).dst if frame.ethertype == ethernet.IPV6 else bytes(16)
    source, group = link_local(frame.src), solicited_node(target)
    message = Neighbor(nd.NEIGHBOR_SOLICIT, target, 0, ((nd.SOURCE_LLA, frame.src),)).icmp()
    out = IPv6(
        src=source, dst=group, next_header=_ICMPV6, payload=message.encode_v6(src=source, dst=group), hop_limit=255
    )
    return Ethernet(dst=multicast_mac(group), src=frame.src, ethertype=ethernet.IPV6, payload=out.encode())


def _advertisement(frame: Ethernet, flags: int) -> Ethernet:
    packet = IPv6.decode(frame.payload)
    asked = Neighbor.of(Icmp.decode(packet.payload))
    unspecified = not any(packet.src)
    to = ALL_NODES if unspecified else packet.src
    flags = flags | nd.OVERRIDE | (0 if unspecified else nd.SOLICITED)
    message = Neighbor(nd.NEIGHBOR_ADVERT, asked.target, flags, ((nd.TARGET_LLA, frame.dst),)).icmp()
    out = IPv6(
        src=asked.target,
        dst=to,
        next_header=_ICMPV6,
        payload=message.encode_v6(src=asked.target, dst=to),
        hop_limit=255,
    )
    return Ethernet(
        dst=multicast_mac(to) if unspecified else frame.src,
        src=frame.dst,
        ethertype=ethernet.IPV6,
        payload=out.encode(),
    )


def advertisement(frame: Ethernet) -> Ethernet:
    """Return the advertisement that answers a neighbour solicitation."""
    return _advertisement(frame, 0)


def router_advertisement(frame: Ethernet) -> Ethernet:
    """Return the advertisement that answers a neighbour solicitation for a router's address."""
    return _advertisement(frame, nd.ROUTER)


class _Body(Protocol):
    """Encodes the payload of an IP packet, whose checksum covers the packet's addresses."""

    def __call__(self, *, src: bytes, dst: bytes) -> bytes: ...


def _sent(frame: Ethernet, protocol: int, body: _Body, *, back: bool) -> Ethernet:
    """Return an IP packet in place of another: back to its sender, or with the same source and destination."""
    src, dst = (frame.dst, frame.src) if back else (frame.src, frame.dst)
    payload = _packet(frame, protocol, body, back=back).encode()
    return Ethernet(dst=dst, src=src, ethertype=frame.ethertype, payload=payload)


def _packet(frame: Ethernet, protocol: int, body: _Body, *, back: bool) -> IPv4 | IPv6:
    if frame.ethertype == ethernet.IPV4:
        old = IPv4.decode(frame.payload)
        src, dst = (old.dst, old.src) if back else (old.src, old.dst)
        carried = body(src=src, dst=dst)
        return IPv4(src=src, dst=dst, proto=protocol, payload=carried, ttl=255, fragment=_DO_NOT_FRAGMENT)
    old6 = IPv6.decode(frame.payload)
    src, dst = (old6.dst, old6.src) if back else (old6.src, old6.dst)
    return IPv6(src=src, dst=dst, next_header=protocol, payload=body(src=src, dst=dst), hop_limit=255)


def _upper(frame: Ethernet) -> tuple[int, bytes]:
    """Return an IP packet's protocol and payload."""
    if frame.ethertype == ethernet.IPV4:
        packet = IPv4.decode(frame.payload)
        return packet.proto, packet.payload
    if frame.ethertype == ethernet.IPV6:
        return IPv6.decode(frame.payload).upper()
    raise PacketError(f"Ethernet type {frame.ethertype:#06x} is not IP")


def reset(frame: Ethernet, *, back: bool = False) -> Ethernet | None:
    """Return the TCP reset that answers a segment, with exchanged addresses if `back`; None for a reset."""
    segment = Tcp.decode(_upper(frame)[1]).reset()
    return _sent(frame, ipv4.TCP, segment.encode, back=back) if segment is not None else None


def abort(frame: Ethernet, *, back: bool = False) -> Ethernet | None:
    """Return the SCTP abort that answers a packet, with exchanged addresses if `back`; None for an abort."""
    packet = Sctp.decode(_upper(frame)[1]).abort()
    return _sent(frame, ipv4.SCTP, lambda **_: packet.encode(), back=back) if packet is not None else None


def error(frame: Ethernet, *, back: bool = False) -> Ethernet | None:
    """Return the ICMP unreachable that answers a packet; None for an ICMP error.

    With `back` it is addressed to the sender; without, the flow exchanges its addresses. Its code is "port" for UDP,
    else "host", or "administratively prohibited" in IPv6.
    """
    protocol, body = _upper(frame)
    of_port = back and protocol == ipv4.UDP
    if frame.ethertype == ethernet.IPV4:
        if protocol == ipv4.ICMP and body[:1] not in (b"\x08", b"\x00"):
            return None
        message = Icmp.error(3, code=3 if of_port else 1, packet=frame.payload)
        return _sent(frame, ipv4.ICMP, lambda **_: message.encode(), back=back)
    if protocol == _ICMPV6 and body[:1] < b"\x80":
        return None
    message = Icmp.error_v6(1, code=4 if of_port else 1, packet=frame.payload)
    return _sent(frame, _ICMPV6, message.encode_v6, back=back)


def rejection(frame: Ethernet) -> Ethernet | None:
    """Return the packet that rejects a packet: a TCP reset, an SCTP abort, or an ICMP error, to the sender."""
    return _REFUSALS.get(_upper(frame)[0], error)(frame, back=True)


_REFUSALS = {ipv4.TCP: reset, ipv4.SCTP: abort}


_MAKERS: dict[Opcode, Callable[[Ethernet], Ethernet | None]] = {
    Opcode.ARP: arp_request,
    Opcode.ND_NS: solicitation,
    Opcode.ND_NA: advertisement,
    Opcode.ND_NA_ROUTER: router_advertisement,
    Opcode.TCP_RESET: reset,
    Opcode.SCTP_ABORT: abort,
    Opcode.ICMP: error,
    Opcode.ICMP4_ERROR: error,
    Opcode.ICMP6_ERROR: error,
    Opcode.REJECT: rejection,
}

REPLY_OPCODES = frozenset(_MAKERS)
"""The opcodes that are answered by a new packet."""
