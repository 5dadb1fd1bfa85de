"""Port security as a predicate on one packet (ovn-nb(5), Logical_Switch_Port, column port_security).

The controller compiles the same column to OpenFlow; the tracer uses this direct reading of the manual, and a test
compares the two. A port that has IP addresses in the column may send ARP, neighbour discovery and IP, nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.net.addresses import link_local, mac_number
from ovenbird.net.ethernet import ARP, IPV4, IPV6
from ovenbird.net.ip import ipv4_interface, ipv6_interface
from ovenbird.net.ipv4 import UDP
from ovenbird.net.ipv6 import ICMPV6

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.lang.microflow import Microflow

_ALL_ONES4 = 0xFFFFFFFF
_MLD_REPORT, _NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT, _MLD2_REPORT = 131, 135, 136, 143


class Allowed(NamedTuple):
    """One entry: a MAC, and networks as (value, mask)."""

    mac: int
    ipv4: tuple[tuple[int, int], ...]
    ipv6: tuple[tuple[int, int], ...]
    broadcasts: tuple[int, ...]

    @property
    def anything(self) -> bool:
        """Whether the entry names no IP address: then any is allowed."""
        return not self.ipv4 and not self.ipv6

    def has4(self, address: int) -> bool:
        """Return whether an IPv4 address is among the entry's."""
        return any(address & mask == value for value, mask in self.ipv4)

    def has6(self, address: int) -> bool:
        """Return whether an IPv6 address is among the entry's, its link-local one included."""
        return any(address & mask == value for value, mask in self.ipv6)


def parse(entry: str) -> Allowed | None:
    """Parse an entry of the column; None if that fails.

    An address with host bits and a prefix length means that address; one without host bits the whole network.
    """
    words = entry.replace(",", " ").split()
    try:
        mac = mac_number(words[0])
        v4 = [ipv4_interface(w) for w in words[1:] if ":" not in w]
        v6 = [ipv6_interface(w) for w in words[1:] if ":" in w]
    except (IndexError, ValueError):
        return None
    ipv4 = tuple(_network(int(i.ip), int(i.netmask), _ALL_ONES4) for i in v4)
    ipv6 = tuple(_network(int(i.ip), int(i.netmask), (1 << 128) - 1) for i in v6)
    if ipv6:
        ipv6 = ((int.from_bytes(link_local(mac.to_bytes(6))), (1 << 128) - 1), *ipv6)
    return Allowed(
        mac,
        ipv4=ipv4,
        ipv6=ipv6,
        broadcasts=tuple(int(i.network.broadcast_address) for i in v4 if i.network.prefixlen < 31),
    )


def may_send(entries: Iterable[str], packet: Microflow) -> bool:
    """Return whether a port with this column may send a packet."""
    allowed = [a for e in entries if (a := parse(e)) is not None]
    return not allowed or any(_may_send(a, packet) for a in allowed if a.mac == packet["eth_src"])


def may_receive(entries: Iterable[str], packet: Microflow) -> bool:
    """Return whether a port with this column may receive a packet."""
    allowed = [a for e in entries if (a := parse(e)) is not None]
    if not allowed or packet["eth_dst"] >> 40 & 1:
        return True
    return any(_may_receive(a, packet) for a in allowed if a.mac == packet["eth_dst"])


def _may_send(allowed: Allowed, packet: Microflow) -> bool:
    kind = packet["eth_type"]
    if kind == ARP:
        if packet["arp_sha"] != allowed.mac:
            return False
        return allowed.anything or allowed.has4(packet["arp_spa"])
    if kind == IPV4:
        return allowed.anything or allowed.has4(packet["ip_src"]) or (bool(allowed.ipv4) and _is_discovery(packet))
    if kind == IPV6:
        if packet["nw_proto"] == ICMPV6 and not _neighbour_is(allowed, packet):
            return False
        return allowed.anything or allowed.has6(packet["ipv6_src"]) or (bool(allowed.ipv6) and _is_probe(packet))
    return allowed.anything


def _may_receive(allowed: Allowed, packet: Microflow) -> bool:
    if allowed.anything:
        return True
    if packet["eth_type"] == IPV4:
        address = packet["ip_dst"]
        everyone = address == _ALL_ONES4 or address >> 28 == 0xE or address in allowed.broadcasts
        return allowed.has4(address) or (bool(allowed.ipv4) and everyone)
    if packet["eth_type"] == IPV6:
        address = packet["ipv6_dst"]
        return allowed.has6(address) or (bool(allowed.ipv6) and address >> 120 == 0xFF)
    return True


def _neighbour_is(allowed: Allowed, packet: Microflow) -> bool:
    """Return whether neighbour discovery is well formed and has the sender's own addresses; true for other packets."""
    kind = packet["icmpv6_type"]
    if kind not in (_NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT):
        return True
    if packet["nw_ttl"] != 255 or packet["icmpv6_code"]:
        return False
    if kind == _NEIGHBOUR_SOLICITATION:
        return packet["nd_sll"] in (0, allowed.mac)
    return packet["nd_tll"] in (0, allowed.mac) and (allowed.anything or allowed.has6(packet["nd_target"]))


def _is_discovery(packet: Microflow) -> bool:
    """Return whether a packet is from a DHCP client that has no address yet."""
    return (
        packet["ip_src"] == 0
        and packet["ip_dst"] == _ALL_ONES4
        and packet["nw_proto"] == UDP
        and (packet["udp_src"], packet["udp_dst"]) == (68, 67)
    )


def _is_probe(packet: Microflow) -> bool:
    """Return whether a packet is from a host that has no IPv6 address yet."""
    return (
        packet["ipv6_src"] == 0
        and packet["ipv6_dst"] >> 112 == 0xFF02
        and packet["nw_proto"] == ICMPV6
        and packet["icmpv6_code"] == 0
        and packet["icmpv6_type"] in (_MLD_REPORT, _NEIGHBOUR_SOLICITATION, _MLD2_REPORT)
    )


def _network(address: int, mask: int, ones: int) -> tuple[int, int]:
    return (address, mask) if address & ~mask == 0 else (address, ones)
