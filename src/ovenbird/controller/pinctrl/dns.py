"""Answers to DNS queries: `dns_lookup` (RFC 1035), from the rows of Southbound's DNS.

A row's records map names in lower case to addresses, and reverse names to names. A query that they cannot answer
continues to the name server that it was sent to; but if the name is in a row with `ovn-owned`, it is refused, so that
the client does not wait for a server that has no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.net import dns, ethernet
from ovenbird.net.dns import DnsQuery
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ip import ip_address
from ovenbird.net.ipv4 import UDP, IPv4
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.udp import Udp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_VERSIONS = {dns.A: (4,), dns.AAAA: (6,), dns.ANY: (4, 6)}


class NameTable(NamedTuple):
    """The records of a row of Southbound's DNS.

    Arguments:
        records: addresses by name.
        owned: whether queries for its names are answered by nobody else.
    """

    records: Mapping[str, str]
    owned: bool = False


def answer(packet: bytes, tables: Iterable[NameTable]) -> bytes | None:
    """Return the answer to a DNS query, or None when it has to be answered elsewhere.

    Raises:
        PacketError: the packet is no query.
    """
    frame = Ethernet.decode(packet)
    if frame.ethertype == ethernet.IPV4:
        ip: IPv4 | IPv6 = IPv4.decode(frame.payload)
        udp = Udp.decode(ip.payload)
    elif frame.ethertype == ethernet.IPV6:
        ip = IPv6.decode(frame.payload)
        udp = Udp.decode(ip.upper()[1])
    else:
        raise PacketError(f"a query in Ethernet type {frame.ethertype:#06x}")
    query = DnsQuery.decode(udp.payload)
    tables = tuple(tables)
    found = records(query, tables)
    if not found and not _owned(query, tables):
        return None
    payload = query.answer(found, rcode=0 if found else dns.REFUSED)
    segment = Udp(sport=udp.sport, dport=udp.dport, payload=payload).encode(src=ip.src, dst=ip.dst)
    out = (
        IPv4(src=ip.src, dst=ip.dst, proto=UDP, payload=segment)
        if isinstance(ip, IPv4)
        else IPv6(src=ip.src, dst=ip.dst, next_header=UDP, payload=segment)
    )
    return Ethernet(
        dst=frame.dst, src=frame.src, ethertype=frame.ethertype, payload=out.encode(), vlan=frame.vlan
    ).encode()


def _owned(query: DnsQuery, tables: Iterable[NameTable]) -> bool:
    """Return whether the first table with the query's name is one that others do not answer for."""
    name = query.name.lower().rstrip(".")
    return next((table.owned for table in tables if name in table.records), False)


def records(query: DnsQuery, tables: Iterable[NameTable]) -> tuple[tuple[int, bytes], ...]:
    """Return the answer, as (type, data), of the first table with the query's name."""
    if query.qclass != dns.IN:
        return ()
    name = query.name.lower().rstrip(".")
    known = next((text for table in tables if (text := table.records.get(name)) is not None), "")
    if query.qtype == dns.PTR:
        return ((dns.PTR, dns.encode_name(known)),) if known else ()
    found = []
    for word in known.replace(",", " ").split():
        try:
            address = ip_address(word)
        except ValueError:
            continue
        if address.version in _VERSIONS.get(query.qtype, ()):
            found.append((dns.A if address.version == 4 else dns.AAAA, address.packed))
    return tuple(found)
