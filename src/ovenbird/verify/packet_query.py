"""From "can A reach B on TCP 22" to a microflow: ports by name or address, and what their packets look like.

The headers are those of the first packet that a host would send. The host chooses the next hop by its routes
(`host_routes`) and resolves that neighbour's MAC address: from Southbound's ports, else by tracing an ARP request or a
neighbour solicitation. A sender or target outside is a host on a physical network. It is named by an address that no
port has, or by the network's name, which stands for an address beyond that network.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.dataclass import dataclass
from ovenbird.net.addresses import ip_text, ipv4_text, is_mac, mac_text, multicast_mac, solicited_node
from ovenbird.net.ip import ip_address, ip_interface
from ovenbird.verify import host_routes
from ovenbird.verify.errors import UnknownDatapathError, UnknownPortError, VerifyError
from ovenbird.verify.host_routes import CIDRS, identities, own_link_local, packed
from ovenbird.verify.steps import label
from ovenbird.verify.trace import Tracer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    from ovenbird.model import sb
    from ovenbird.verify.network import Datapath, LogicalNetwork

    Address = IPv4Address | IPv6Address

CLIENT_PORT = 49152
"""The source port of packets: the first dynamic port (RFC 6335, section 6)."""
BEYOND = (ip_address("192.0.2.1"), ip_address("2001:db8::1"))
"""Addresses of a host beyond a physical network (RFC 5737, RFC 3849)."""
OUTSIDE_MAC, STRANGER_MAC = "00:00:5e:00:53:01", "00:00:5e:00:53:02"
"""MAC addresses of an external sender and of an external destination (RFC 7042, section 2.1.2)."""
_EVERYBODY = "ff:ff:ff:ff:ff:ff"
_OF_ROUTERS = ("patch", "l3gateway", "chassisredirect")


class Protocol(StrEnum):
    """The kind of a packet."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"
    ARP = "arp"
    DHCP = "dhcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketQuery:
    """A packet between two ports, or between a port and an external host.

    Arguments:
        source: the sender: a port's name, MAC or IP address; an external network, or an external address.
        target: the destination, likewise; not for DHCP.
        protocol: the kind of packet.
        port: destination port of TCP and UDP.
    """

    source: str
    target: str = ""
    protocol: Protocol = Protocol.ICMP
    port: int = 0


class _Sender(NamedTuple):
    """The sender: the port where its packets enter, and its addresses."""

    port: sb.PortBinding
    switch: Datapath
    mac: str
    addresses: list[Address]

    @property
    def is_outside(self) -> bool:
        return self.port.type == "localnet"


def microflow(network: LogicalNetwork, query: PacketQuery, datapath: str | None = None) -> tuple[Datapath, str]:
    """Return the datapath where a packet enters, and the expression that describes it.

    Arguments:
        network: the logical network.
        query: the packet.
        datapath: the switch whose ports are meant; None for all.

    Raises:
        VerifyError: there is no such port, the packet is impossible, or there is no route to the target.
    """
    within = None if datapath is None else network.datapath(datapath)
    protocol = query.protocol
    if protocol is Protocol.DHCP:
        if query.target:
            raise VerifyError("a DHCP request is a broadcast: leave the target out")
    elif not query.target:
        raise VerifyError("a target is needed, except for a DHCP request")
    sender = _sender(network, query, within)
    if protocol is Protocol.DHCP:
        if sender.is_outside:
            raise VerifyError("DHCP requests are sent by instances, not by external hosts: name an instance's port")
        return sender.switch, host_routes.dhcp_request(sender.port.logical_port, mac=sender.mac)
    source, target = _pair(network, sender, query, _addresses(network, sender, query.target))
    terms = [f'inport == "{sender.port.logical_port}"', f"eth.src == {sender.mac}"]
    if protocol is Protocol.ARP:
        if source.version == 6:
            raise VerifyError(f"ARP is for IPv4, and {target} is an IPv6 address, which uses neighbour discovery")
        terms += [f"eth.dst == {_EVERYBODY}", f"arp.op == 1 && arp.sha == {sender.mac}"]
        return sender.switch, " && ".join([*terms, f"arp.spa == {source} && arp.tpa == {target}"])
    ip = f"ip{source.version}"
    hop = _hop(network, sender, source, target)
    terms += [f"eth.dst == {hop}", f"{ip}.src == {source} && {ip}.dst == {target} && ip.ttl == 64"]
    if protocol is Protocol.ICMP:
        terms.append(f"icmp{source.version}.type == {8 if source.version == 4 else 128}")
    else:
        terms.append(f"{protocol.value}.src == {CLIENT_PORT} && {protocol.value}.dst == {query.port}")
    return sender.switch, " && ".join(terms)


# -- who sends --------------------------------------------------------------------------------------------------------


def _sender(network: LogicalNetwork, query: PacketQuery, within: Datapath | None) -> _Sender:
    """Return the sender."""
    text = query.source
    address = _address(text)
    try:
        port = network.port(text, within)
    except UnknownPortError as unknown:
        outside = _way_outside(network, text, within)
        if outside is None and address is not None:
            outside = _side_of(network, address, query.target, within)
        if outside is None:
            raise unknown from None
        port = outside
    switch = network.of(port.datapath)
    if port.type == "localnet":
        return _Sender(port, switch, OUTSIDE_MAC, list(BEYOND) if address is None else [address])
    if not switch.is_switch or port.type in _OF_ROUTERS:
        raise VerifyError(f"{label(port)} leads to another network and sends nothing: name the port of an instance")
    if port.type == "virtual":
        raise VerifyError(f"{label(port)} is virtual: its packets come from one of its parents, so name that")
    known = identities(port)
    for mac, addresses in known:
        if address is not None and address in addresses:
            return _Sender(port, switch, mac, [address])
        if mac == text.lower():
            return _Sender(port, switch, mac, addresses)
    if not known:
        raise VerifyError(f"{label(port)} has no address of its own: describe the packet by a microflow")
    return _Sender(port, switch, *known[0])


def _way_outside(network: LogicalNetwork, name: str, within: Datapath | None = None) -> sb.PortBinding | None:
    """Return the localnet port of a network or physical network with that name, or None.

    Raises:
        VerifyError: it has none, or several.
    """
    try:
        datapath = network.datapath(name)
    except UnknownDatapathError:
        around = network.localnets() if within is None else within.ports.values()
        found = [p for p in around if p.type == "localnet" and p.options.get("network_name") == name]
        if not found:
            return None
    else:
        if not datapath.is_switch:
            known = ", ".join(sorted({str(i.ip) for p in datapath.ports.values() for i in _interfaces(p)}))
            raise VerifyError(f"{name} is a router: name one of its addresses, {known}")
        found = [port for port in datapath.ports.values() if port.type == "localnet"]
        if not found:
            raise VerifyError(f"{name} is a network without a physical network: name one of its ports")
    if len(found) > 1:
        raise VerifyError(f"{len(found)} ports lead to {name}: {', '.join(sorted(map(label, found)))}")
    return found[0]


def _interfaces(port: sb.PortBinding) -> Iterator[host_routes.Interface]:
    for word in " ".join(port.mac).split():
        with suppress(ValueError):
            yield ip_interface(word)


def _side_of(network: LogicalNetwork, address: Address, target: str, within: Datapath | None) -> sb.PortBinding | None:
    """Return the localnet port by which packets from an external address enter; None without external networks.

    Raises:
        VerifyError: the address is of an internal network, where no port has it, or more than one network leads to the
            target.
    """
    if not (
        found := network.localnets() if within is None else [p for p in within.ports.values() if p.type == "localnet"]
    ):
        return None
    near = [port for port in found if any(address in prefix for prefix in _prefixes(network, port))]
    if near or within is not None:
        return (near or found)[0]
    if inside := network.interface_prefix(address):
        raise UnknownPortError(f"no port has {address}, which is in {inside}, an internal network")
    reaching = found if len(found) == 1 else [port for port in found if _reaches(network, port, target)]
    if len(reaching) != 1:
        raise VerifyError(f"{len(found)} networks lead outside: name the one by which {address} comes, as [DATAPATH]")
    return reaching[0]


def _prefixes(network: LogicalNetwork, localnet: sb.PortBinding) -> set[IPv4Network | IPv6Network]:
    """Return the prefixes of a physical network: those of routers and ports on it."""
    switch = network.of(localnet.datapath)
    found = {interface.network for _, interface in host_routes.router_interfaces(network, switch)}
    for port in switch.ports.values():
        for word in port.external_ids.get(CIDRS, "").split():
            with suppress(ValueError):
                found.add(ip_interface(word).network)
    return found


def _reaches(network: LogicalNetwork, localnet: sb.PortBinding, target: str) -> bool:
    sender = _Sender(localnet, network.of(localnet.datapath), OUTSIDE_MAC, list(BEYOND))
    try:
        return any(_neighbour(network, sender, address) for address in _addresses(network, sender, target))
    except VerifyError:
        return False


# -- who is sent to ---------------------------------------------------------------------------------------------------


def _address(text: str) -> Address | None:
    with suppress(ValueError):
        return ip_address(text)
    return None


def _addresses(network: LogicalNetwork, sender: _Sender, target: str) -> list[Address]:
    """Return the addresses of a target, in order of preference.

    Raises:
        VerifyError: there is no such target, or it has no address.
    """
    wanted = _address(target)
    if wanted is not None:
        if wanted.is_unspecified or wanted.is_loopback:
            raise VerifyError(f"a packet to {wanted} never leaves its sender")
        return [wanted]
    try:
        port = network.port(target, sender.switch)
    except UnknownPortError:
        try:
            port = network.port(target)
        except UnknownPortError as unknown:
            outside = _way_outside(network, target)
            if outside is None:
                raise unknown from None
            port = outside
    if port.type == "localnet":
        if port == sender.port:
            raise VerifyError(f"a packet from {label(port)} to itself never enters this network")
        return list(BEYOND)
    if sender.is_outside and port.datapath != sender.port.datapath:
        floating = _address(port.external_ids.get("neutron:port_fip", ""))
        if floating is not None:
            return [floating]
    peer = network.peer(port) if not identities(port) else None
    known = identities(port if peer is None else peer)
    if not known:
        raise VerifyError(f"{label(port)} has no address of its own: describe the packet by a microflow")
    return next((addresses for mac, addresses in known if mac == target.lower()), known[0][1])


def _pair(
    network: LogicalNetwork, sender: _Sender, query: PacketQuery, theirs: list[Address]
) -> tuple[Address, Address]:
    """Return source and destination address.

    Raises:
        VerifyError: they have no addresses of the same IP version, or the target is the sender.
    """
    if _address(query.source) is None and not sender.is_outside:
        ours = [*sender.addresses, own_link_local(sender.mac)]
    else:
        ours = sender.addresses
    for target in theirs:
        if target in ours and not sender.is_outside:
            raise VerifyError(f"{target} is the sender's own address: such a packet never leaves it")
        same = [address for address in ours if address.version == target.version]
        local = [address for address in same if (address.version == 6 and address.is_link_local) == _is_local(target)]
        if sender.is_outside and query.protocol is Protocol.ARP and sender.addresses == list(BEYOND):
            local = [found for found in [_on_link(network, sender, target)] if found is not None]
        if chosen := local or (same if _is_local(target) else []):
            return chosen[0], target
    raise VerifyError(f"{label(sender.port)} and {query.target} have no addresses of one IP version")


def _is_local(address: Address) -> bool:
    """Return whether hosts use their link-local address as source for an address (RFC 6724, rule 2)."""
    return address.version == 6 and (address.is_link_local or str(address).startswith("ff02:"))


def _on_link(network: LogicalNetwork, sender: _Sender, target: Address) -> Address | None:
    """Return a free address of the target's network, as the source of a neighbour's request."""
    taken = {interface.ip for _, interface in host_routes.router_interfaces(network, sender.switch)} | {target}
    for port in sender.switch.ports.values():
        known = " ".join([port.external_ids.get(CIDRS, ""), *port.nat_addresses, *port.mac]).split()
        taken.update(found for word in known if (found := _address(word.partition("/")[0])) is not None)
    for prefix in _prefixes(network, sender.port):
        if target in prefix and prefix.version == 4:
            first, last = int(prefix[0]), int(prefix[-1])
            free = (ip_address(ipv4_text(number)) for number in range(last - 1, first, -1))
            return next((address for address in free if address not in taken), None)
    return None


# -- by whom it goes --------------------------------------------------------------------------------------------------


def _hop(network: LogicalNetwork, sender: _Sender, source: Address, target: Address) -> str:
    """Return the destination MAC address of a packet.

    Raises:
        VerifyError: the sender has no route, or the next hop's address is unknown.
    """
    if target.is_multicast:
        return mac_text(multicast_mac(packed(target)))
    if str(target) == "255.255.255.255":
        return _EVERYBODY
    if sender.is_outside:
        return _hop_from_outside(network, sender, target)
    found = host_routes.routes(network, sender.switch, sender.port, sender.mac, source)
    if any(hop is None and prefix.num_addresses > 2 and target == prefix.broadcast_address
           for prefix, hop in found if prefix.version == 4):  # fmt: skip
        return _EVERYBODY
    hop = host_routes.next_hop(found, target) if found else target
    if hop is None:
        if _neighbour(network, sender, target) is None:
            way = f"{sender.switch.name} has no port with that address, and no router that leads elsewhere"
            raise UnknownPortError(f"{label(sender.port)} has no route to {target}: {way}")
        hop = target
    mac = _neighbour(network, sender, hop) or _stranger(sender)
    if mac is None:
        way = f", by which {target} is reached" if hop != target else ""
        raise UnknownPortError(f"{label(sender.port)} sends to {hop}{way}, which no port on {sender.switch.name} has")
    return mac


def _hop_from_outside(network: LogicalNetwork, sender: _Sender, target: Address) -> str:
    """Return the destination MAC of an external sender: the target's, or that of a router with a route to it."""
    mac = _neighbour(network, sender, target)
    if mac is not None:
        return mac
    near = any(target in prefix for prefix in _prefixes(network, sender.port))
    for found, interface in () if near else host_routes.router_interfaces(network, sender.switch):
        if interface.version == target.version and network.leads_to(sender.switch, found, target):
            return found
    raise UnknownPortError(
        f"no port on {sender.switch.name} has the address {target}, and no router there has a route to it"
    )


def _stranger(sender: _Sender) -> str | None:
    """Return the MAC address of a neighbour that is not in Southbound; None if there can be none."""
    strange = any(port.type == "localnet" or "unknown" in port.mac for port in sender.switch.ports.values())
    return STRANGER_MAC if strange else None


def _neighbour(network: LogicalNetwork, sender: _Sender, address: Address) -> str | None:
    """Return the MAC address of an address on the sender's switch; None if it is unknown."""
    for port in sender.switch.ports.values():
        if port.type == "virtual":
            continue  # its parent answers for it
        for mac, addresses in identities(port):
            if address in addresses or (address.is_link_local and address == own_link_local(mac)):
                return mac
    for mac, interface in host_routes.router_interfaces(network, sender.switch):
        if is_mac(mac) and address in (interface.ip, own_link_local(mac)):
            return mac
    return _asked(network, sender, address)


def _asked(network: LogicalNetwork, sender: _Sender, address: Address) -> str | None:
    """Return the MAC address in the logical network's own reply to an ARP or ND request for an address."""
    terms = [f'inport == "{sender.port.logical_port}"', f"eth.src == {sender.mac}"]
    if address.version == 4:
        known = [a for a in sender.addresses if a.version == 4 and a not in BEYOND]
        source = _on_link(network, sender, address) if sender.is_outside else next(iter(known), None)
        terms += [f"eth.dst == {_EVERYBODY}", f"arp.op == 1 && arp.sha == {sender.mac} && arp.tpa == {address}"]
        if source is not None:
            terms.append(f"arp.spa == {source}")
    else:
        group = solicited_node(packed(address))
        source = own_link_local(sender.mac)
        terms += [f"eth.dst == {mac_text(multicast_mac(group))} && ip6.src == {source}", f"nd.sll == {sender.mac}"]
        terms += [f"ip6.dst == {ip_text(group)} && ip.ttl == 255", f"nd_ns && nd.target == {address}"]
    trace = Tracer(network).trace(sender.switch.uuid, " && ".join(terms))
    return next((mac_text(answer.packet["eth_src"]) for answer in trace.deliveries if answer.is_answer), None)
