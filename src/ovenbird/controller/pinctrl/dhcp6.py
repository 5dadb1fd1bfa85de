"""DHCPv6 answers: `put_dhcpv6_opts` (RFC 8415).

The flow has the options for the client, including its address (IA_NA). Lifetimes are infinite, since the address
belongs to the port. Later flows set the answer's addresses and ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.lang.actions.services import decode_dhcp6
from ovenbird.net import dhcp6, ethernet
from ovenbird.net.dhcp6 import Dhcp6, IaNa
from ovenbird.net.dns import encode_name
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv4 import UDP
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.udp import Udp

if TYPE_CHECKING:
    from ovenbird.lang.actions.userdata import Userdata

_LINK_LAYER_DUID = bytes.fromhex("00030001")  # DUID-LL of Ethernet (RFC 8415, section 11.4)
_SUCCESS = bytes(2)
_FQDN_S, _FQDN_O, _FQDN_N = 1, 2, 4
_ANSWERS = {
    dhcp6.SOLICIT: dhcp6.ADVERTISE,
    **dict.fromkeys(
        (dhcp6.REQUEST, dhcp6.CONFIRM, dhcp6.RENEW, dhcp6.REBIND, dhcp6.DECLINE, dhcp6.RELEASE,
         dhcp6.INFORMATION_REQUEST),
        dhcp6.REPLY,
    ),
}  # fmt: skip
_GIVING = (dhcp6.SOLICIT, dhcp6.REQUEST, dhcp6.RENEW, dhcp6.REBIND)


def answer(packet: bytes, userdata: Userdata) -> bytes | None:
    """Return the reply to a DHCPv6 client's message, or None for no reply.

    Raises:
        PacketError, DecodeError: the packet is no DHCPv6 message of a client.
    """
    given = decode_dhcp6(userdata.payload)
    frame = Ethernet.decode(packet)
    if frame.ethertype != ethernet.IPV6:
        raise PacketError("a DHCPv6 message that is not IPv6")
    ip = IPv6.decode(frame.payload)
    udp = Udp.decode(ip.upper()[1])
    request = Dhcp6.decode(udp.payload)
    kind = _ANSWERS.get(request.type)
    if kind is None:
        return None
    options = _options(request, given)
    if options is None:
        return None
    segment = Udp(
        sport=udp.sport, dport=udp.dport, payload=Dhcp6(type=kind, xid=request.xid, options=options).encode()
    ).encode(src=ip.src, dst=ip.dst)
    out = IPv6(src=ip.src, dst=ip.dst, next_header=UDP, payload=segment, hop_limit=64)
    return Ethernet(
        dst=frame.dst, src=frame.src, ethertype=frame.ethertype, payload=out.encode(), vlan=frame.vlan
    ).encode()


def _options(request: Dhcp6, given: dhcp6.Options) -> dhcp6.Options | None:
    """Return an answer's options; None when the message is for another server (section 16)."""
    client = request.option(dhcp6.CLIENT_ID)
    wanted = request.option(dhcp6.SERVER_ID)
    options = [] if client is None else [(dhcp6.CLIENT_ID, client)]
    for code, value in given:
        if code == dhcp6.SERVER_ID:
            mine = _LINK_LAYER_DUID + value
            if wanted is not None and wanted != mine:
                return None
            options.append((code, mine))
        elif code == dhcp6.IA_ADDR:
            options += _association(request, value)
        elif code == dhcp6.DOMAIN_LIST:
            names = value.decode("latin-1").split(",")
            options.append((code, b"".join([encode_name(name.strip()) for name in names])))
        elif code == dhcp6.CLIENT_FQDN:
            options += _own_name(request, value)
        else:
            options.append((code, value))
    if request.type in (dhcp6.CONFIRM, dhcp6.DECLINE, dhcp6.RELEASE):
        options.append((dhcp6.STATUS_CODE, _SUCCESS))
    return tuple(options)


def _own_name(request: Dhcp6, name: bytes) -> dhcp6.Options:
    """Return the client's name, if it says its own and asks for it (RFC 4704, sections 4.1 and 6).

    Nobody updates the DNS for it: flag N is set, S is not, and O says that this is not what the client wanted.
    """
    told, asked = request.option(dhcp6.CLIENT_FQDN), request.option(dhcp6.ORO) or b""
    if not told or dhcp6.CLIENT_FQDN.to_bytes(2, "big") not in [asked[at : at + 2] for at in range(0, len(asked), 2)]:
        return ()
    overridden = told[0] & _FQDN_S
    return ((dhcp6.CLIENT_FQDN, bytes([_FQDN_N | (_FQDN_O if overridden else 0)]) + name),)


def _association(request: Dhcp6, address: bytes) -> dhcp6.Options:
    """Return the client's identity association with its address, if it requests one."""
    asked = request.option(dhcp6.IA_NA)
    if asked is None or request.type not in _GIVING:
        return ()
    lease = (dhcp6.ia_address(address, preferred=dhcp6.FOREVER, valid=dhcp6.FOREVER),)
    return (
        (dhcp6.IA_NA, IaNa(iaid=IaNa.decode(asked).iaid, t1=dhcp6.FOREVER, t2=dhcp6.FOREVER, options=lease).encode()),
    )
