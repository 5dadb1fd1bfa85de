"""The MTU in an ICMP error: `icmp4.frag_mtu = N;`, `icmp6.frag_mtu = N;`, which no OpenFlow action can write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.lang.actions.userdata import Opcode
from ovenbird.net import ethernet
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import ICMP, IPv4
from ovenbird.net.ipv6 import ICMPV6, IPv6

if TYPE_CHECKING:
    from ovenbird.lang.actions.userdata import Userdata

FRAG_MTU_OPCODES = frozenset([Opcode.PUT_ICMP4_FRAG_MTU, Opcode.PUT_ICMP6_FRAG_MTU])


def written(packet: bytes, userdata: Userdata) -> bytes:
    """Return an ICMP error with the MTU in it (RFC 1191, section 4: 16 bits; RFC 4443, section 3.2: 32 bits).

    Raises:
        PacketError: the packet is no ICMP message.
    """
    frame = Ethernet.decode(packet)
    mtu = userdata.payload[:4].rjust(4, b"\0")
    if frame.ethertype == ethernet.IPV4:
        ip = IPv4.decode(frame.payload)
        if ip.proto != ICMP:
            raise PacketError(f"an MTU in protocol {ip.proto}")
        old = Icmp.decode(ip.payload)
        body = Icmp(type=old.type, code=old.code, body=mtu + old.body[4:]).encode()
        out = IPv4(src=ip.src, dst=ip.dst, proto=ICMP, payload=body, ttl=ip.ttl, tos=ip.tos).encode()
    else:
        ip6 = IPv6.decode(frame.payload)
        protocol, body = ip6.upper()
        if protocol != ICMPV6:
            raise PacketError(f"an MTU in protocol {protocol}")
        old = Icmp.decode(body)
        body = Icmp(type=old.type, code=old.code, body=mtu + old.body[4:]).encode_v6(src=ip6.src, dst=ip6.dst)
        out = IPv6(src=ip6.src, dst=ip6.dst, next_header=ICMPV6, payload=body, hop_limit=ip6.hop_limit).encode()
    return Ethernet(dst=frame.dst, src=frame.src, ethertype=frame.ethertype, payload=out, vlan=frame.vlan).encode()
