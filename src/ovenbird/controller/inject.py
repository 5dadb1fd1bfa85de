"""Packets that the controller sends itself: how they enter the switch, and ovn-controller(8)'s command `inject-pkt`.

A packet that the chassis originates enters a datapath as if it came from a logical port (`inject_actions`). A packet
for `inject-pkt` is described by a microflow in the match language; fields that it does not mention are 0. It enters the
switch through the interface of its `inport`, and is then treated like any other packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.lang.bindings import Bindings
from ovenbird.lang.microflow import Microflow, parse_microflow
from ovenbird.net import ethernet, nd
from ovenbird.net.arp import Arp
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import ICMP, SCTP, TCP, UDP, IPv4
from ovenbird.net.ipv6 import ICMPV6, IPv6
from ovenbird.net.sctp import Sctp
from ovenbird.net.tcp import Tcp
from ovenbird.net.udp import Udp
from ovenbird.openflow.actions import PushVlan, Resubmit, SetField, encode_actions
from ovenbird.openflow.messages import PacketOut
from ovenbird.pipeline.flag_bits import FlagBit
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from ovenbird.openflow.actions import Action

_INGRESS = Resubmit(OFTable.LOG_INGRESS_PIPELINE)
_LOCAL_ONLY = SetField.bits(FlagBit.LOCAL_ONLY.bits, 1)
_PRESENT = 0x1000
_INIT = 1
"""The SCTP chunk of a packet that begins an association (RFC 9260, section 3.2)."""


class _Names(dict[str, int]):
    """Numbers port names from 1, in the order in which they are mentioned."""

    def __missing__(self, name: str) -> int:
        return self.setdefault(name, len(self) + 1)

    def get(self, name: str, default: Any = None) -> int:  # noqa: ARG002 - every name has one
        """Return a name's number."""
        return self[name]


def read(text: str) -> tuple[str, bytes]:
    """Return the ingress port that a microflow names, and its packet.

    Arguments:
        text: the microflow, such as `inport == "p1" && eth.src == 0a:00:00:00:00:01 && icmp4`.

    Raises:
        LangError: the text is no microflow, or names no ingress port.
        PacketError: its headers make no packet.
    """
    names = _Names()
    packet = parse_microflow(text, Bindings(ports=names))
    number = packet["reg14"]
    name = next((name for name, known in names.items() if known == number), "")
    return name, frame(packet)


def packet_out(packet: bytes, *, ofport: int, tag: int | None) -> PacketOut:
    """Return the packet-out that injects a packet as received from an interface.

    Arguments:
        packet: the frame.
        ofport: the interface's OpenFlow port.
        tag: the VLAN of the container behind the interface whose packet it is; None for the interface's own.
    """
    tagged: tuple[Action, ...] = (PushVlan(), SetField.of("vlan_vid", _PRESENT | tag)) if tag is not None else ()
    return PacketOut(packet=packet, actions=(*tagged, Resubmit(0)), in_port=ofport)


def frame(packet: Microflow) -> bytes:
    """Return the frame with a microflow's headers, valid checksums and no payload."""
    kind, tci = packet["eth_type"], packet["vlan_tci"]
    payload = b""
    if kind == ethernet.IPV4:
        payload = _ipv4(packet)
    elif kind == ethernet.IPV6:
        payload = _ipv6(packet)
    elif kind in (ethernet.ARP, ethernet.RARP):
        payload = Arp(
            op=packet["arp_op"],
            sha=_bytes(packet, "arp_sha", 6),
            spa=_bytes(packet, "arp_spa", 4),
            tha=_bytes(packet, "arp_tha", 6),
            tpa=_bytes(packet, "arp_tpa", 4),
        ).encode()
    vlan = tci & ~_PRESENT if tci & _PRESENT else None
    return Ethernet(
        dst=_bytes(packet, "eth_dst", 6), src=_bytes(packet, "eth_src", 6), ethertype=kind, payload=payload, vlan=vlan
    ).encode()


def _bytes(packet: Microflow, name: str, size: int) -> bytes:
    return packet[name].to_bytes(size, "big")


def _traffic_class(packet: Microflow) -> int:
    return packet["ip_dscp"] << 2 | packet["nw_ecn"]


def _ipv4(packet: Microflow) -> bytes:
    source, target = _bytes(packet, "ip_src", 4), _bytes(packet, "ip_dst", 4)
    proto = packet["nw_proto"]
    first, later = packet["ip_frag"] & 1, packet["ip_frag"] >> 1
    more, offset = 0x2000 if first and not later else 0, 1 if later else 0
    payload = b"" if later else _transport(packet, proto, source, target)
    if proto == ICMP and not later:
        payload = Icmp(type=packet["icmp_type"], code=packet["icmp_code"], body=bytes(4)).encode()
    made = IPv4(
        src=source,
        dst=target,
        proto=proto,
        payload=payload,
        ttl=packet["nw_ttl"],
        tos=_traffic_class(packet),
        fragment=more | offset,
    )
    return made.encode()


def _ipv6(packet: Microflow) -> bytes:
    source, target = _bytes(packet, "ipv6_src", 16), _bytes(packet, "ipv6_dst", 16)
    proto = packet["nw_proto"]
    payload = _transport(packet, proto, source, target)
    if proto == ICMPV6:
        payload = _icmpv6(packet).encode_v6(src=source, dst=target)
    made = IPv6(
        src=source,
        dst=target,
        next_header=proto,
        payload=payload,
        hop_limit=packet["nw_ttl"],
        traffic_class=_traffic_class(packet),
        flow_label=packet["ipv6_label"],
    )
    return made.encode()


def _icmpv6(packet: Microflow) -> Icmp:
    kind, code = packet["icmpv6_type"], packet["icmpv6_code"]
    if code or kind not in (nd.NEIGHBOR_SOLICIT, nd.NEIGHBOR_ADVERT):
        return Icmp(type=kind, code=code, body=bytes(4))
    option, name = (nd.SOURCE_LLA, "nd_sll") if kind == nd.NEIGHBOR_SOLICIT else (nd.TARGET_LLA, "nd_tll")
    options = ((option, _bytes(packet, name, 6)),) if packet[name] else ()
    return nd.Neighbor(kind, _bytes(packet, "nd_target", 16), options=options).icmp()


def _transport(packet: Microflow, proto: int, source: bytes, target: bytes) -> bytes:
    """Return the segment of a protocol with ports; nothing for another."""
    if proto == TCP:
        return Tcp(sport=packet["tcp_src"], dport=packet["tcp_dst"], seq=0, ack=0, flags=packet["tcp_flags"]).encode(
            src=source, dst=target
        )
    if proto == UDP:
        return Udp(sport=packet["udp_src"], dport=packet["udp_dst"], payload=b"").encode(src=source, dst=target)
    if proto == SCTP:
        return Sctp(sport=packet["sctp_src"], dport=packet["sctp_dst"], tag=0, chunk=_INIT).encode()
    return b""


def inject_actions(*, datapath: int, port: int, local: bool = False) -> bytes:
    """Return the actions that put a packet into a datapath's ingress pipeline, as from a port.

    Arguments:
        datapath: its tunnel key.
        port: its tunnel key.
        local: whether the packet stays on this chassis.
    """
    where = (SetField.of("metadata", datapath), SetField.of("reg14", port))
    return encode_actions((*where, _LOCAL_ONLY, _INGRESS) if local else (*where, _INGRESS))


def deliver_actions(*, datapath: int, port: int) -> bytes:
    """Return the actions that send a packet through a datapath's egress pipeline to a port of this chassis.

    Arguments:
        datapath: its tunnel key.
        port: its tunnel key.
    """
    where = (SetField.of("metadata", datapath), SetField.of("reg15", port))
    return encode_actions((*where, _LOCAL_ONLY, Resubmit(OFTable.LOCAL_OUTPUT)))
