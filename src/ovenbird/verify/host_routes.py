"""The routing table of a port's host: the prefixes that it has on its link, and its routes to other destinations.

IPv4 routes are those of the DHCP reply that the port's logical flows make: its classless static routes, which override
the router option (RFC 3442), else its netmask and router. Without DHCP, and for IPv6, they follow from the addresses of
the port and of the routers on its switch.
"""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.lang.actions.services import PutDhcpOpts
from ovenbird.lang.errors import LangError
from ovenbird.lang.evaluate import evaluate
from ovenbird.lang.microflow import parse_microflow
from ovenbird.net.addresses import ip_bytes, ip_text, is_mac, link_local, mac_bytes
from ovenbird.net.errors import PacketError
from ovenbird.net.ip import ip_address, ip_interface, ip_network, is_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

    from ovenbird.model import sb
    from ovenbird.verify.network import Datapath, LogicalNetwork

    Address = IPv4Address | IPv6Address
    Interface = IPv4Interface | IPv6Interface
    Prefix = IPv4Network | IPv6Network

CIDRS = "neutron:cidrs"
"""The key of a port's external_ids with its addresses and their prefix lengths, separated by blanks."""


class Route(NamedTuple):
    """A route of a host: to a prefix through a next hop, or on the link."""

    prefix: Prefix
    hop: Address | None


def identities(port: sb.PortBinding) -> list[tuple[str, list[Address]]]:
    """Return a port's MAC addresses, each with the IP addresses that go with it, global ones first."""
    found: list[tuple[str, list[Address]]] = []
    for text in sorted(port.mac):
        mac, *words = text.split() or [""]
        if is_mac(mac):
            plain = [word.partition("/")[0] for word in words]
            addresses = [ip_address(word) for word in plain if is_address(word)]
            found.append((mac, sorted(addresses, key=lambda a: (a.version, a.is_link_local))))
    return found


def dhcp_request(port: str, *, mac: str) -> str:
    """Return the expression of a DHCP request of a host without an address (RFC 2131, section 4.1)."""
    headers = "ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && udp.src == 68 && udp.dst == 67"
    return f'inport == "{port}" && eth.src == {mac} && eth.dst == ff:ff:ff:ff:ff:ff && {headers}'


def router_interfaces(network: LogicalNetwork, switch: Datapath) -> Iterator[tuple[str, Interface]]:
    """Yield MAC and address of each router on a switch, oldest port first."""
    for port in sorted(switch.ports.values(), key=lambda p: p.tunnel_key):
        peer = network.peer(port)
        for text in () if peer is None else sorted(peer.mac):
            mac, *words = text.split() or [""]
            for word in words:
                with suppress(ValueError):
                    yield mac, ip_interface(word)


def routes(network: LogicalNetwork, switch: Datapath, port: sb.PortBinding, mac: str, source: Address) -> list[Route]:
    """Return the routes of a port's host for one IP version, longest prefix first.

    Arguments:
        network: the logical network.
        switch: the port's.
        port: the port.
        mac: its MAC address.
        source: its source address.
    """
    found = _offered(switch, port, mac, source) if isinstance(source, IPv4Address) else []
    if not found:
        own = [i.network for i in _own(port) if source in i.network]
        around = [i for _, i in router_interfaces(network, switch) if i.version == source.version]
        near = [i for i in around if source in i.network]
        found = [Route(prefix, None) for prefix in dict.fromkeys([*own, *(i.network for i in near)])]
        hop = next(iter(near or around), None)
        if hop is not None:
            found.append(Route(ip_network("0.0.0.0/0" if source.version == 4 else "::/0"), hop.ip))
    if source.version == 6:
        found.append(Route(ip_network("fe80::/10"), None))
    return sorted(found, key=lambda route: -route.prefix.prefixlen)


def _own(port: sb.PortBinding) -> Iterator[Interface]:
    for word in port.external_ids.get(CIDRS, "").split():
        with suppress(ValueError):
            yield ip_interface(word)


def _offered(switch: Datapath, port: sb.PortBinding, mac: str, source: Address) -> list[Route]:
    """Return the routes that a port gets by DHCP; none without DHCP."""
    offer = _offer(switch, port, mac)
    if not offer:
        return []
    found = []
    if "netmask" in offer:
        with suppress(PacketError):  # any address may be given for a mask
            found.append(Route(ip_network(f"{source}/{offer['netmask'][0]}", strict=False), None))
    classless = [word for value in offer.get("classless_static_route", ()) for word in value.split(",")]
    if classless:
        for prefix, hop in zip(classless[::2], classless[1::2], strict=False):
            found.append(Route(ip_network(prefix), ip_address(hop)))
    elif "router" in offer:
        found.append(Route(ip_network("0.0.0.0/0"), ip_address(offer["router"][0])))
    return found


def _offer(switch: Datapath, port: sb.PortBinding, mac: str) -> dict[str, list[str]]:
    """Return the options of a port's DHCP reply, as text; none without a reply."""
    packet = parse_microflow(dhcp_request(port.logical_port, mac=mac), switch.bindings)
    for flow in switch.flows_with("put_dhcp_opts", match=mac):
        if flow.match is None or flow.actions is None:
            continue
        with suppress(LangError):
            if evaluate(flow.match, packet, switch.bindings):
                for action in flow.actions.actions:
                    if isinstance(action, PutDhcpOpts):
                        return {option.name: [str(value) for value in option.values] for option in action.options}
    return {}


def next_hop(found: list[Route], target: Address) -> Address | None:
    """Return the next hop: the target itself on the link; None without a route.

    Arguments:
        found: routes, longest prefix first.
        target: the destination.
    """
    for prefix, hop in found:
        if target in prefix:
            return target if hop is None or hop.is_unspecified else hop
    return None


def own_link_local(mac: str) -> Address:
    """Return the link-local IPv6 address that goes with a MAC address."""
    return ip_address(ip_text(link_local(mac_bytes(mac))))


def packed(address: Address) -> bytes:
    """Return an address's bytes."""
    return ip_bytes(str(address))
