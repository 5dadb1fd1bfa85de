"""Linux's routing messages, bytes in and values out: netlink(7), rtnetlink(7), and the kernel's linux/rtnetlink.h.

What is here is what the exchange of routes needs: routes, VRF devices, and whether an interface is up. Numbers are in
the byte order of the machine, addresses in network order. Attributes that are not known are skipped.
"""

from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING

from ovenbird.namedtuple import NamedTuple
from ovenbird.net.errors import PacketError

if TYPE_CHECKING:
    from collections.abc import Iterator

ERROR, DONE, OVERRUN = 2, 3, 4
NEW_LINK, DEL_LINK, DEL_ADDR, NEW_ROUTE, DEL_ROUTE, GET_ROUTE = 16, 17, 21, 24, 25, 26
"""Types of messages."""

REQUEST, ACK, DUMP, REPLACE, EXCLUSIVE, CREATE, APPEND = 0x1, 0x4, 0x300, 0x100, 0x200, 0x400, 0x800
"""Flags of messages; those of requests for new objects share bits with those of dumps."""

UNICAST, BLACKHOLE = 1, 6
"""Types of routes."""

OVN = 84
"""The protocol of routes that OVN makes (RTPROT_OVN of linux/rtnetlink.h)."""

NO_TABLES = frozenset((0, 252, 253, 254, 255, 0xFFFF_FFFF))
"""Tables that cannot be a router's: those that the kernel uses itself, and the largest number."""

UP, RUNNING = 0x1, 0x40
"""Flags of interfaces."""

_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=8BI")
_LINK = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")
_HOP = struct.Struct("=HBBi")
_U32 = struct.Struct("=I")

_DST, _OIF, _GATEWAY, _PRIORITY, _MULTIPATH, _TABLE, _VIA = 1, 4, 5, 6, 9, 15, 18
_IFNAME, _LINKINFO, _INFO_KIND, _INFO_DATA, _VRF_TABLE = 3, 18, 1, 2, 1
_KIND_MASK = 0x3FFF
_DEAD = 1
_WIDTHS = {AF_INET: 4, AF_INET6: 16}


class NetlinkMessage(NamedTuple):
    """One message; `sender` is the port of whoever asked for what it tells, 0 for the kernel."""

    kind: int
    flags: int
    sender: int
    body: bytes


class Hop(NamedTuple):
    """A next hop: its address, empty for none, and the number of the interface to it, 0 for none."""

    address: bytes
    interface: int


class KernelRoute(NamedTuple):
    """A route of a kernel's table.

    Arguments:
        table: the table's number.
        address: the network, of 4 or 16 bytes.
        length: of its prefix, in bits.
        priority: the metric: the least one is used.
        protocol: who made it.
        kind: `UNICAST`, `BLACKHOLE` or another.
        hops: the next hops that are not dead.
        tos: the type of service that it is for; 0 for any.
    """

    table: int
    address: bytes
    length: int
    priority: int
    protocol: int = OVN
    kind: int = BLACKHOLE
    hops: tuple[Hop, ...] = ()
    tos: int = 0


# -- requests ----------------------------------------------------------------------------------------------------------


def encode_message(kind: int, body: bytes, *, flags: int) -> bytes:
    """Return a request.

    Arguments:
        kind: the type of the message.
        body: what follows its header.
        flags: besides `REQUEST`.
    """
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | REQUEST, 1, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def encode_route(kind: int, route: KernelRoute) -> bytes:
    """Return the request for a route that must not be there yet, or for its removal, with an acknowledgement.

    Arguments:
        kind: `NEW_ROUTE` or `DEL_ROUTE`.
        route: the route, with at most one next hop.
    """
    family = AF_INET if len(route.address) == 4 else AF_INET6
    body = _ROUTE.pack(family, route.length, 0, route.tos, 0, route.protocol, 0, route.kind, 0)
    body += _attribute(_TABLE, _U32.pack(route.table)) + _attribute(_PRIORITY, _U32.pack(route.priority))
    body += _attribute(_DST, route.address)
    for hop in route.hops:
        if len(hop.address) == len(route.address):
            body += _attribute(_GATEWAY, hop.address)
        elif hop.address:
            body += _attribute(_VIA, struct.pack("=H", AF_INET6) + hop.address)
    return encode_message(kind, body, flags=ACK | (CREATE | EXCLUSIVE if kind == NEW_ROUTE else 0))


def encode_dump(family: int, *, table: int) -> bytes:
    """Return the request for all routes of an address family in a table."""
    body = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0) + _attribute(_TABLE, _U32.pack(table))
    return encode_message(GET_ROUTE, body, flags=DUMP)


def encode_new_vrf(name: str, table: int) -> bytes:
    """Return the request for a VRF device that must not be there yet, and is up."""
    body = _LINK.pack(0, 0, 0, UP, UP) + _attribute(_IFNAME, name.encode() + b"\0")
    data = _attribute(_INFO_KIND, b"vrf") + _attribute(_INFO_DATA, _attribute(_VRF_TABLE, _U32.pack(table)))
    return encode_message(NEW_LINK, body + _attribute(_LINKINFO, data), flags=ACK | CREATE | EXCLUSIVE)


def encode_del_link(name: str) -> bytes:
    """Return the request for the removal of a device."""
    body = _LINK.pack(0, 0, 0, 0, 0) + _attribute(_IFNAME, name.encode() + b"\0")
    return encode_message(DEL_LINK, body, flags=ACK)


# -- answers -----------------------------------------------------------------------------------------------------------


def decode_messages(data: bytes) -> Iterator[NetlinkMessage]:
    """Yield the messages of a datagram.

    Raises:
        PacketError: one is cut off.
    """
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, _, sender = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            raise PacketError(f"a netlink message of {length} bytes, of which there are {len(data) - at}")
        yield NetlinkMessage(kind=kind, flags=flags, sender=sender, body=data[at + _HEADER.size : at + length])
        at += length + -length % 4


def decode_error(body: bytes) -> int:
    """Return the error number of an acknowledgement, 0 for success.

    Raises:
        PacketError: it is cut off.
    """
    if len(body) < 4:
        raise PacketError("a netlink acknowledgement without a number")
    return -int(struct.unpack_from("=i", body)[0])


def decode_link_flags(body: bytes) -> int:
    """Return the flags of the interface that a message is about.

    Raises:
        PacketError: it is cut off.
    """
    if len(body) < _LINK.size:
        raise PacketError("a message about an interface is cut off")
    return int(_LINK.unpack_from(body)[3])


def decode_route(body: bytes) -> KernelRoute | None:
    """Return the route that a message is about; None for one of other families than IP.

    Raises:
        PacketError: it is cut off, or has an address of neither IPv4's length nor IPv6's.
    """
    if len(body) < _ROUTE.size:
        raise PacketError("a message about a route is cut off")
    family, length, _, tos, table, protocol, _, kind, _ = _ROUTE.unpack_from(body)
    width = _WIDTHS.get(family)
    if width is None or length > 8 * width:
        return None
    found = _attributes(body[_ROUTE.size :])
    address = found.get(_DST, bytes(width))
    if len(address) != width:
        raise PacketError(f"a route's address of {len(address)} bytes")
    hops = _hops(found.get(_MULTIPATH, b""))
    if (gateway := _gateway(found)) or _OIF in found:
        hops = (Hop(gateway, _number(found.get(_OIF, bytes(4)))), *hops)
    return KernelRoute(
        table=_number(found[_TABLE]) if _TABLE in found else table,
        address=address,
        length=length,
        priority=_number(found.get(_PRIORITY, bytes(4))),
        protocol=protocol,
        kind=kind,
        hops=hops,
        tos=tos,
    )


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            raise PacketError(f"a netlink attribute of {length} bytes, of which there are {len(data) - at}")
        found[kind & _KIND_MASK] = data[at + _ATTRIBUTE.size : at + length]
        at += length + -length % 4
    return found


def _number(value: bytes) -> int:
    if len(value) != 4:
        raise PacketError(f"a number of {len(value)} bytes")
    return int(_U32.unpack(value)[0])


def _gateway(found: dict[int, bytes]) -> bytes:
    """Return the address of a next hop, which may be of the other family than the route; empty for none."""
    via = found.get(_VIA, b"")
    gateway = found.get(_GATEWAY, b"") or via[2:]
    if gateway and len(gateway) not in _WIDTHS.values():
        raise PacketError(f"a next hop's address of {len(gateway)} bytes")
    return gateway


def _hops(data: bytes) -> tuple[Hop, ...]:
    """Return the next hops of a route that has several."""
    hops = []
    at = 0
    while at + _HOP.size <= len(data):
        length, flags, _, interface = _HOP.unpack_from(data, at)
        if not _HOP.size <= length <= len(data) - at:
            raise PacketError(f"a next hop of {length} bytes, of which there are {len(data) - at}")
        if not flags & _DEAD:
            hops.append(Hop(_gateway(_attributes(data[at + _HOP.size : at + length])), interface))
        at += length + -length % 4
    return tuple(hops)
