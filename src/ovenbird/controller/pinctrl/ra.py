"""Router advertisements that answer solicitations: `put_nd_ra_opts` (RFC 4861, section 6.2.6).

The flow has the complete advertisement except its checksum; later flows set its addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.net import ethernet, nd
from ovenbird.net.addresses import ALL_NODES
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv6 import ICMPV6, IPv6

if TYPE_CHECKING:
    from ovenbird.lang.actions.userdata import Userdata


def answer(packet: bytes, userdata: Userdata) -> bytes:
    """Return the advertisement that answers a solicitation: to all nodes, if the sender has no address yet.

    The flow that resumes it exchanges source and destination; RFC 4861, section 6.2.6.

    Raises:
        PacketError: the packet is no router solicitation.
    """
    frame = Ethernet.decode(packet)
    if frame.ethertype != ethernet.IPV6:
        raise PacketError("a router solicitation that is not IPv6")
    ip = IPv6.decode(frame.payload)
    protocol, body = ip.upper()
    if protocol != ICMPV6 or Icmp.decode(body).type != nd.ROUTER_SOLICIT:
        raise PacketError("not a router solicitation")
    asker = ip.src if any(ip.src) else ALL_NODES
    advert = Icmp.decode(userdata.payload).encode_v6(src=asker, dst=ip.dst)
    out = IPv6(src=asker, dst=ip.dst, next_header=ICMPV6, payload=advert, hop_limit=255)
    return Ethernet(
        dst=frame.dst, src=frame.src, ethertype=frame.ethertype, payload=out.encode(), vlan=frame.vlan
    ).encode()
