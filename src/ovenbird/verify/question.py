"""From "can A reach B on TCP 22" to a microflow: ports by name or address, and what their packets look like.

Headers are what a host would send first: to a port of the same switch by its MAC address, to anything else by that of
the switch's router.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ovenbird.net.addresses import is_mac
from ovenbird.net.ip import ip_address, is_address
from ovenbird.verify.errors import UnknownPortError, VerifyError
from ovenbird.verify.steps import label

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from ovenbird.model import sb
    from ovenbird.verify.network import Datapath, Network

    Address = IPv4Address | IPv6Address

CLIENT_PORT = 49152
"""The port that a client's packets come from: the first of the dynamic ones (RFC 6335, section 6)."""
_EVERYBODY = "ff:ff:ff:ff:ff:ff"


class Protocol(StrEnum):
    """What the packet is."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"
    ARP = "arp"
    DHCP = "dhcp"


@dataclass(frozen=True, slots=True)
class Question:
    """A packet between two ports.

    Arguments:
        source: the port that sends: name, MAC or IP address.
        target: the port, or the address, that it is sent to; not for DHCP.
        protocol: what is sent.
        port: destination port of TCP and UDP.
    """

    source: str
    target: str = ""
    protocol: Protocol = Protocol.ICMP
    port: int = 0


def microflow(network: Network, question: Question, datapath: str | None = None) -> tuple[Datapath, str]:
    """Return where a packet begins and the expression that describes it.

    Arguments:
        network: where.
        question: which packet.
        datapath: the switch whose ports are meant; None for all.

    Raises:
        VerifyError: there is no such port, or it has no address to send from, or nothing leads to the target.
    """
    within = None if datapath is None else network.datapath(datapath)
    source = network.port(question.source, within)
    start = network.of(source.datapath)
    mac, addresses = _identity(source)
    terms = [f'inport == "{source.logical_port}"', f"eth.src == {mac}"]
    if question.protocol is Protocol.DHCP:
        headers = "ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && udp.src == 68 && udp.dst == 67"
        return start, " && ".join([*terms, f"eth.dst == {_EVERYBODY}", headers])
    if not question.target:
        raise VerifyError("to whom? Only a DHCP request needs no target")
    hop, theirs = _target(network, start, question.target)
    pair = next(((a, b) for b in theirs for a in addresses if a.version == b.version), None)
    if pair is None:
        raise VerifyError(f"{label(source)} and {question.target} have no addresses of one IP version")
    if question.protocol is Protocol.ARP:
        terms += [f"eth.dst == {_EVERYBODY}", f"arp.op == 1 && arp.sha == {mac}"]
        return start, " && ".join([*terms, f"arp.spa == {pair[0]} && arp.tpa == {pair[1]}"])
    ip = f"ip{pair[0].version}"
    terms += [f"eth.dst == {hop}", f"{ip}.src == {pair[0]} && {ip}.dst == {pair[1]} && ip.ttl == 64"]
    if question.protocol is Protocol.ICMP:
        terms.append(f"icmp{pair[0].version}.type == {8 if pair[0].version == 4 else 128}")
    else:
        name = question.protocol.value
        terms.append(f"{name}.src == {CLIENT_PORT} && {name}.dst == {question.port}")
    return start, " && ".join(terms)


def _target(network: Network, start: Datapath, target: str) -> tuple[str, list[Address]]:
    """Return the MAC address that packets to a target are sent to, and the target's addresses."""
    wanted: list[Address] = []
    with suppress(ValueError):
        wanted = [ip_address(target)]
    try:
        port = network.port(target, start)
    except UnknownPortError:
        if not wanted:
            wanted = _identity(network.port(target))[1]
        return _router(network, start, target), wanted
    mac, addresses = _identity(port)
    return mac, wanted or addresses


def _router(network: Network, start: Datapath, target: str) -> str:
    """Return the MAC address of a switch's router."""
    for port in sorted(start.ports.values(), key=lambda p: p.tunnel_key):
        if port.type == "patch" and (peer := network.peer(port)) is not None:
            return _identity(peer)[0]
    raise UnknownPortError(f"{start.name} has no port with the address {target}, and no router that leads elsewhere")


def _identity(port: sb.PortBinding) -> tuple[str, list[Address]]:
    """Return a port's first MAC address and the IP addresses that go with it."""
    for text in sorted(port.mac):
        mac, *words = text.split() or [""]
        if is_mac(mac):
            found = [ip_address(word.partition("/")[0]) for word in words if is_address(word.partition("/")[0])]
            return mac, sorted(found, key=lambda a: (a.version, a.is_link_local))
    raise VerifyError(f"{label(port)} has no address of its own: describe the packet by a microflow")
