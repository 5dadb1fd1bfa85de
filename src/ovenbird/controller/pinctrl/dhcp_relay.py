"""The relay agent of DHCPv4: `dhcp_relay_req_chk` and `dhcp_relay_resp_chk` (RFC 1542, section 4; RFC 2131).

The flow pauses the packet and has the addresses of the router port that relays and of the server; later flows set the
packet's addresses and ports towards the server, and the source towards the client. Only what a relay agent may change
is changed: options stay as they came, byte by byte.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ovenbird.net import dhcp4, ethernet
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv4 import UDP, IPv4
from ovenbird.net.udp import Udp

if TYPE_CHECKING:
    from ovenbird.lang.actions.userdata import Userdata

MAX_HOPS = 16
"""How many relay agents a message may pass (RFC 1542, section 4.1.1)."""

_BROADCAST = b"\xff" * 4
_NONE = bytes(4)
_HOPS, _GIADDR = 3, 24
"""Where in a message its count of relay agents and the address of the first one are (RFC 2131, figure 1)."""


def to_server(packet: bytes, userdata: Userdata) -> bytes | None:
    """Return a client's message with the relay's address in it; None if it is not relayed.

    Raises:
        PacketError: the packet is no DHCP message.
    """
    relay, _ = _addresses(userdata)
    frame, ip, udp, message = _decoded(packet)
    if message.op != 1 or message.giaddr != _NONE or not message.message_type or message.hops >= MAX_HOPS:
        return None
    text = bytearray(udp.payload)
    text[_HOPS] += 1
    text[_GIADDR : _GIADDR + 4] = relay
    return _encoded(frame, ip, udp, bytes(text), mac=frame.dst, destination=ip.dst)


def to_client(packet: bytes, userdata: Userdata) -> bytes | None:
    """Return a server's reply addressed to the client; None if it is for none here.

    A client without an address that asks for it gets a broadcast, as does every client whose request is refused: there
    is no address that it may use.

    Raises:
        PacketError: the packet is no DHCP message.
    """
    relay, server = _addresses(userdata)
    frame, ip, udp, message = _decoded(packet)
    if message.op != 2 or message.giaddr != relay or not message.message_type or len(message.chaddr) != 6:
        return None
    if message.options.get(dhcp4.SERVER_ID) != server or not _fits(message):
        return None
    broadcast = message.flags & dhcp4.BROADCAST_FLAG or message.yiaddr == _NONE
    destination = _BROADCAST if broadcast else message.yiaddr
    return _encoded(frame, ip, udp, udp.payload, mac=message.chaddr, destination=destination)


def _fits(message: dhcp4.Dhcp4) -> bool:
    """Return whether an offered or given address is in the relay's network, by the netmask that goes with it."""
    if message.message_type not in (dhcp4.OFFER, dhcp4.ACK) or message.yiaddr == _NONE:
        return True
    mask = int.from_bytes(message.options.get(dhcp4.NETMASK, _NONE), "big")
    return not (int.from_bytes(message.yiaddr, "big") ^ int.from_bytes(message.giaddr, "big")) & mask


def _addresses(userdata: Userdata) -> tuple[bytes, bytes]:
    """Return the addresses of relay and server."""
    if len(userdata.payload) != 8:
        raise PacketError(f"addresses of a relay and a server in {len(userdata.payload)} bytes")
    relay, server = struct.unpack("4s4s", userdata.payload)
    return relay, server


def _decoded(packet: bytes) -> tuple[Ethernet, IPv4, Udp, dhcp4.Dhcp4]:
    frame = Ethernet.decode(packet)
    if frame.ethertype != ethernet.IPV4:
        raise PacketError("a DHCP message that is not IPv4")
    ip = IPv4.decode(frame.payload)
    if ip.proto != UDP:
        raise PacketError(f"a DHCP message in protocol {ip.proto}")
    udp = Udp.decode(ip.payload)
    return frame, ip, udp, dhcp4.Dhcp4.decode(udp.payload)


def _encoded(frame: Ethernet, ip: IPv4, udp: Udp, text: bytes, *, mac: bytes, destination: bytes) -> bytes:
    segment = Udp(sport=udp.sport, dport=udp.dport, payload=text).encode(src=ip.src, dst=destination)
    out = IPv4(src=ip.src, dst=destination, proto=ip.proto, payload=segment, ttl=ip.ttl, tos=ip.tos)
    return Ethernet(dst=mac, src=frame.src, ethertype=frame.ethertype, payload=out.encode(), vlan=frame.vlan).encode()
