"""DHCP answers: `put_dhcp_opts` (RFC 2131).

The flow pauses the packet and has the options to offer; the pipeline resumes with the answer and the result bit set, or
with the unchanged packet and the bit clear. Later flows set the answer's addresses and ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.lang.actions.services import BOOTFILE, BOOTFILE_ALT, NEXT_SERVER, decode_dhcp4
from ovenbird.net import dhcp4, ethernet
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv4 import IPv4
from ovenbird.net.udp import Udp

if TYPE_CHECKING:
    from ovenbird.lang.actions.userdata import Userdata

_BROADCAST = b"\xff" * 4
_ETHERBOOT = 175
"""The DHCP option that identifies iPXE."""

_LEASE = (dhcp4.LEASE_TIME, dhcp4.RENEWAL_TIME, dhcp4.REBINDING_TIME)
"""Options that a reply to DHCPINFORM must not contain (RFC 2131, section 4.3.5)."""

_ANSWERS = {dhcp4.DISCOVER: dhcp4.OFFER, dhcp4.REQUEST: dhcp4.ACK, dhcp4.INFORM: dhcp4.ACK}


def answer(packet: bytes, userdata: Userdata) -> bytes | None:
    """Return the reply to a DHCP client's message, or None for no reply.

    Raises:
        PacketError: the packet is no DHCP message.
    """
    number, given = decode_dhcp4(userdata.payload)
    offer = number.to_bytes(4, "big")
    frame = Ethernet.decode(packet)
    if frame.ethertype != ethernet.IPV4:
        raise PacketError("a DHCP message that is not IPv4")
    ip = IPv4.decode(frame.payload)
    udp = Udp.decode(ip.payload)
    request = dhcp4.Dhcp4.decode(udp.payload)
    kind = _ANSWERS.get(request.message_type)
    if request.op != 1 or kind is None:
        return None
    options = dict(given)
    if request.message_type == dhcp4.REQUEST and _asked_for(request) != offer:
        kind = dhcp4.NAK
        options = {code: value for code, value in given if code == dhcp4.SERVER_ID}
    reply = _reply(request, kind, offer, options)
    broadcast = request.flags & dhcp4.BROADCAST_FLAG or kind == dhcp4.NAK
    destination = _BROADCAST if broadcast else request.ciaddr if any(request.ciaddr) else offer
    segment = Udp(sport=udp.sport, dport=udp.dport, payload=reply.encode()).encode(src=ip.src, dst=destination)
    out = IPv4(src=ip.src, dst=destination, proto=ip.proto, payload=segment, ttl=128, tos=16)
    return Ethernet(
        dst=frame.dst, src=frame.src, ethertype=frame.ethertype, payload=out.encode(), vlan=frame.vlan
    ).encode()


def _asked_for(request: dhcp4.Dhcp4) -> bytes | None:
    """Return the address that a client requests: option 50, or `ciaddr`; None without either."""
    wanted = request.options.get(dhcp4.REQUESTED_IP)
    if wanted is not None:
        return wanted
    return request.ciaddr if any(request.ciaddr) else None


def _reply(request: dhcp4.Dhcp4, kind: int, offer: bytes, options: dict[int, bytes]) -> dhcp4.Dhcp4:
    """Return the reply; a DHCPNAK and the reply to a DHCPINFORM contain no address."""
    inform = request.message_type == dhcp4.INFORM
    if inform:
        for code in _LEASE:
            options.pop(code, None)
    next_server = options.pop(NEXT_SERVER, options.get(dhcp4.SERVER_ID, bytes(4)))
    other = options.pop(BOOTFILE_ALT, None)
    if other is not None and _ETHERBOOT not in request.options:
        options[BOOTFILE] = other
    bootfile = options.get(BOOTFILE, b"")
    if dhcp4.CLIENT_ID in request.options:
        options[dhcp4.CLIENT_ID] = request.options[dhcp4.CLIENT_ID]  # RFC 6842
    return dhcp4.Dhcp4(
        op=2,
        xid=request.xid,
        chaddr=request.chaddr,
        options={dhcp4.MESSAGE_TYPE: bytes([kind]), **options},
        ciaddr=request.ciaddr,
        yiaddr=bytes(4) if inform or kind == dhcp4.NAK else offer,
        siaddr=next_server,
        giaddr=request.giaddr,
        flags=request.flags,
        htype=request.htype,
        file=bootfile[:128],
    )
