"""Gratuitous ARP and its equivalents, by which physical networks learn the addresses on this chassis.

A physical network behind a localnet port learns the location of a MAC address from packets. A port that is bound to
this chassis, or a router's address for which this chassis now answers, is announced by gratuitous ARP (RFC 5227,
section 3), by an unsolicited neighbour advertisement (RFC 4861, section 7.2.6), or by RARP for a MAC address without an
IP address; at once and, since packets may be lost, after 1, 2, 4, 8 and 16 more seconds, as by the original. A gateway
repeats this when it begins to receive BFD from another candidate: each may have taken the other for dead and announced
the same addresses. With `garp-max-timeout-sec` (ovn-controller(8) of OVN 24.09) the pauses grow up to that, and packets
are sent as long as the address is here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ovenbird.controller.facts import ANNOUNCED, Announcement
from ovenbird.controller.inject import inject_actions
from ovenbird.controller.local.gateway import rivals
from ovenbird.controller.local.local_data import (
    VIF,
    hosted_row,
    is_chassis_resident,
    is_main_chassis,
    is_relevant,
    is_resident,
    localnet_key,
)
from ovenbird.controller.local.settings import settings
from ovenbird.controller.protocols.periodic import Periodic
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule
from ovenbird.model.options import flag
from ovenbird.model.sb import PortBinding
from ovenbird.net import ethernet, nd
from ovenbird.net.addresses import ALL_NODES, BROADCAST, ZERO_MAC, mac_bytes, multicast_mac
from ovenbird.net.arp import REQUEST, Arp
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ip import ip_address, is_address
from ovenbird.net.ipv6 import ICMPV6, IPv6
from ovenbird.net.nd import Neighbor
from ovenbird.openflow.messages import PacketOut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between an announcement and the next."""

_REVERSE_REQUEST = 3  # RFC 903
_RESIDENT = re.compile(r'is_chassis_resident\("([^"]*)"\)')
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")


@rule(PortBinding, when=is_relevant)
def announcements(port: PortBinding) -> Iterator[Fact]:
    """Yield the addresses to announce in physical networks."""
    uuid = PortBinding.datapath.raw(port)
    datapath = hosted_row(uuid)
    if datapath is None or port.type not in (VIF, "patch", "l3gateway"):
        return
    if port.type == VIF:
        silent = not is_main_chassis(port) or flag(port.options, "disable_garp_rarp")
        lines = port.mac if not silent and localnet_key(uuid) else frozenset()
    elif port.type == "patch" or is_resident(port):
        lines = port.nat_addresses if localnet_key(uuid) else frozenset()
    else:
        return
    for line in lines:
        mac, addresses = announced(line)
        for address in addresses or ([""] if mac else []):
            yield ANNOUNCED(
                datapath=datapath.tunnel_key,
                port=port.tunnel_key,
                mac=mac,
                address=address,
                rivals=_rivals(line),
                pause=settings().garp_pause_s,
            )


def announced(line: str) -> tuple[str, list[str]]:
    """Return the MAC and IP addresses of `MAC IP... is_chassis_resident("PORT")`; nothing if that port is not here."""
    where = _RESIDENT.search(line)
    if where is not None and not is_chassis_resident(where[1]):
        return "", []
    words = _RESIDENT.sub("", line).split()
    if not words or not _MAC.fullmatch(words[0]):
        return "", []
    return words[0], [word for word in words[1:] if is_address(word)]


def _rivals(line: str) -> tuple[str, ...]:
    """Return the other live chassis that may host the port of an entry's `is_chassis_resident`."""
    where = _RESIDENT.search(line)
    port = find(PortBinding.logical_port, where[1]) if where is not None else None
    return rivals(port) if port is not None else ()


def announcement(mac: str, *, address: str) -> bytes:
    """Return the frame that announces an address: a gratuitous ARP, or a RARP without an IP address."""
    source = mac_bytes(mac)
    if not address:
        announcement = Arp(op=_REVERSE_REQUEST, sha=source, spa=bytes(4), tha=source, tpa=bytes(4))
        return Ethernet(dst=BROADCAST, src=source, ethertype=ethernet.RARP, payload=announcement.encode()).encode()
    ip = ip_address(address)
    if ip.version == 4:
        query = Arp(op=REQUEST, sha=source, spa=ip.packed, tha=ZERO_MAC, tpa=ip.packed)
        return Ethernet(dst=BROADCAST, src=source, ethertype=ethernet.ARP, payload=query.encode()).encode()
    message = Neighbor(nd.NEIGHBOR_ADVERT, ip.packed, nd.OVERRIDE, ((nd.TARGET_LLA, source),)).icmp()
    segment = message.encode_v6(src=ip.packed, dst=ALL_NODES)
    packet = IPv6(src=ip.packed, dst=ALL_NODES, next_header=ICMPV6, payload=segment, hop_limit=255)
    return Ethernet(dst=multicast_mac(ALL_NODES), src=source, ethertype=ethernet.IPV6, payload=packet.encode()).encode()


class Announcer(Periodic[Announcement]):
    """Sends the announcements of one chassis."""

    def say(self, fact: Announcement, done: int) -> float | None:
        """Announce an address."""
        _, datapath, port, mac, address, _, limit = fact
        self.send(
            PacketOut(packet=announcement(mac, address=address), actions=inject_actions(datapath=datapath, port=port))
        )
        if limit:
            return min(PAUSES[min(done, len(PAUSES) - 1)], limit)
        return PAUSES[done] if done < len(PAUSES) else None
