"""Port security: the addresses that a port may use, in tables 73, 74 (in) and 75 (out); ovn-nb(5), port_security.

Logical flows call `check_in_port_sec()` and `check_out_port_sec()`; a table sets bit 12 of `flags` for a packet that
must be dropped. Each entry is a MAC address with the IP addresses that it may use (none: any). An address with a prefix
and host bits is that host's, without host bits the whole network's.

One difference from the original: that accepts neighbour solicitations whose source link-layer address is not the port's
(its flows match a hop limit of 225, and a later flow accepts the rest); here they are dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.controller.facts import cookie_of, flow
from ovenbird.controller.local.local_data import VIF, hosted_row, is_relevant, is_resident
from ovenbird.engine.rules import rule
from ovenbird.model.sb import PortBinding
from ovenbird.net.addresses import link_local, mac_number
from ovenbird.net.ip import ipv4_interface, ipv6_interface
from ovenbird.openflow.actions import Resubmit, SetField
from ovenbird.pipeline.flag_bits import FlagBit
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Interface, IPv6Interface

    from ovenbird.engine.facts import Fact
    from ovenbird.openflow.actions import Action

    Fields = dict[str, tuple[int, int]]

IN, IN_NEIGHBOURS, OUT = OFTable.CHK_IN_PORT_SEC, OFTable.CHK_IN_PORT_SEC_ND, OFTable.CHK_OUT_PORT_SEC

_PASS: tuple[Action, ...] = (SetField.bits(FlagBit.PORT_SEC_FAILED.bits, 0),)
_FAIL: tuple[Action, ...] = (SetField.bits(FlagBit.PORT_SEC_FAILED.bits, 1),)
_ASK: tuple[Action, ...] = (Resubmit(IN_NEIGHBOURS),)
_M8, _M16, _M32, _M48, _M128 = ((1 << n) - 1 for n in (8, 16, 32, 48, 128))

_IP: Fields = {"eth_type": (0x0800, _M16)}
_IPV6: Fields = {"eth_type": (0x86DD, _M16)}
_ARP: Fields = {"eth_type": (0x0806, _M16)}
_ICMPV6: Fields = {**_IPV6, "nw_proto": (58, _M8)}
_UNSPECIFIED: Fields = {"ipv6_src": (0, _M128), "ipv6_dst": (0xFF02 << 112, 0xFFFF << 112)}
_DISCOVER: Fields = {
    **_IP, "nw_proto": (17, _M8), "ip_src": (0, _M32), "ip_dst": (_M32, _M32), "udp_src": (68, _M16),
    "udp_dst": (67, _M16),
}  # fmt: skip


class Entry(NamedTuple):
    """One entry of port_security: a MAC address and the permitted IP addresses, each as value and mask."""

    mac: int
    ipv4: tuple[IPv4Interface, ...]
    ipv6: tuple[IPv6Interface, ...]

    @property
    def link_local(self) -> int:
        """The IPv6 link-local address that the MAC gives."""
        return int.from_bytes(link_local(self.mac.to_bytes(6)))

    def sources6(self) -> list[tuple[int, int]]:
        """Return the IPv6 addresses that the port may use."""
        return [*(_masked(ip) for ip in self.ipv6), (self.link_local, _M128)]


def parse_entry(text: str) -> Entry | None:
    """Return an entry of Port_Binding.port_security, or None for one that does not parse."""
    mac, *words = text.replace(",", " ").split() or [""]
    try:
        ipv4 = tuple([ipv4_interface(word) for word in words if ":" not in word])
        ipv6 = tuple([ipv6_interface(word) for word in words if ":" in word])
        return Entry(mac_number(mac), ipv4, ipv6)
    except ValueError:
        return None


def _masked(ip: IPv4Interface | IPv6Interface) -> tuple[int, int]:
    """Return the addresses of an entry's IP as value and mask: one host, or a whole network."""
    ones = (1 << ip.max_prefixlen) - 1
    value, mask = int(ip.ip), int(ip.network.netmask)
    return (value, ones) if value & ~mask & ones else (value, mask)


@rule(PortBinding, when=is_relevant)
def port_security(port: PortBinding) -> Iterator[Fact]:
    """Yield the checks of a resident port."""
    texts = port.port_security
    if not texts or port.type != VIF or not is_resident(port):
        return
    datapath = hosted_row(PortBinding.datapath.raw(port))
    entries = [entry for text in sorted(texts) if (entry := parse_entry(text)) is not None]
    if datapath is None or not entries:
        return
    metadata = {"metadata": (datapath.tunnel_key, (1 << 64) - 1)}
    inward: Fields = {**metadata, "reg14": (port.tunnel_key, _M32)}
    outward: Fields = {**metadata, "reg15": (port.tunnel_key, _M32)}
    cookie = cookie_of(port)
    yield flow(IN, 95, {**inward, **_ARP}, _ASK, cookie)
    yield flow(IN, 80, inward, _FAIL, cookie)
    yield flow(IN_NEIGHBOURS, 80, {**inward, **_ARP}, _FAIL, cookie)
    for kind in (135, 136):
        yield flow(IN_NEIGHBOURS, 80, {**inward, **_ICMPV6, "icmpv6_type": (kind, _M8)}, _FAIL, cookie)
    yield flow(OUT, 80, outward, _FAIL, cookie)
    for entry in entries:
        yield from _senders(entry, inward, cookie)
        yield from _neighbours(entry, inward, cookie)
        yield from _receivers(entry, outward, cookie)


def _senders(entry: Entry, base: Fields, cookie: int) -> Iterator[Fact]:
    """Yield the flows of packets that an entry permits to send."""
    base = {**base, "eth_src": (entry.mac, _M48)}
    if not entry.ipv4 and not entry.ipv6:
        yield flow(IN, 90, base, _ASK, cookie)
    for ip in entry.ipv4:
        yield flow(IN, 90, {**base, **_IP, "ip_src": _masked(ip)}, _PASS, cookie)
    if entry.ipv4:
        yield flow(IN, 90, {**base, **_DISCOVER}, _PASS, cookie)
    if entry.ipv6:
        for source in entry.sources6():
            yield flow(IN, 90, {**base, **_IPV6, "ipv6_src": source}, _ASK, cookie)
        for kind, actions in ((131, _PASS), (143, _PASS), (135, _ASK)):
            report = {**base, **_ICMPV6, **_UNSPECIFIED, "icmpv6_type": (kind, _M8), "icmpv6_code": (0, _M8)}
            yield flow(IN, 90, report, actions, cookie)


def _neighbours(entry: Entry, base: Fields, cookie: int) -> Iterator[Fact]:
    """Yield the flows of ARP and neighbour discovery messages that an entry permits to send."""
    mac = (entry.mac, _M48)
    arp = {**base, **_ARP, "eth_src": mac, "arp_sha": mac}
    for ip in entry.ipv4:
        yield flow(IN_NEIGHBOURS, 90, {**arp, "arp_spa": _masked(ip)}, _PASS, cookie)
    if not entry.ipv4 and not entry.ipv6:
        yield flow(IN_NEIGHBOURS, 90, arp, _PASS, cookie)
    message: Fields = {**base, **_ICMPV6, "eth_src": mac, "nw_ttl": (255, _M8), "icmpv6_code": (0, _M8)}
    targets: list[Fields] = [{"nd_target": masked} for masked in entry.sources6()] if entry.ipv6 else [{}]
    for address in (0, entry.mac):  # 0: the message has no such option
        solicitation = {**message, "icmpv6_type": (135, _M8), "nd_sll": (address, _M48)}
        yield flow(IN_NEIGHBOURS, 90, solicitation, _PASS, cookie)
        for target in targets:
            advertisement = {**message, "icmpv6_type": (136, _M8), "nd_tll": (address, _M48), **target}
            yield flow(IN_NEIGHBOURS, 90, advertisement, _PASS, cookie)


def _receivers(entry: Entry, base: Fields, cookie: int) -> Iterator[Fact]:
    """Yield the flows of packets that an entry permits to receive; multicast frames are not checked."""
    base = {**base, "eth_dst": (entry.mac, _M48)}
    yield flow(OUT, 85, base, _PASS, cookie)
    if not entry.ipv4 and not entry.ipv6:
        return
    yield flow(OUT, 90, {**base, **_IP}, _FAIL, cookie)
    yield flow(OUT, 90, {**base, **_IPV6}, _FAIL, cookie)
    if entry.ipv4:
        destinations = [(_M32, _M32), (0xE0000000, 0xF0000000)]
        for ip in entry.ipv4:
            destinations.append(_masked(ip))
            if ip.network.prefixlen < 31:
                destinations.append((int(ip.network.broadcast_address), _M32))
        for masked in dict.fromkeys(destinations):
            yield flow(OUT, 95, {**base, **_IP, "ip_dst": masked}, _PASS, cookie)
    if entry.ipv6:
        for masked in (*entry.sources6(), (0xFF << 120, 0xFF << 120)):
            yield flow(OUT, 95, {**base, **_IPV6, "ipv6_dst": masked}, _PASS, cookie)
