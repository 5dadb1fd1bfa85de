"""Logical routers as features see them: a router port's columns, its router, and its peers.

A rule that needs "the ports of this router that ..." reads an index computed from the ports
(``engine.computed_index``), never the router's set of ports: the cost of a port is then the same in a router of five
and of five hundred.

A distributed gateway port is active on one chassis at a time, through its chassisredirect port `cr-…`
(ovn-architecture(7), "Distributed Gateway Ports"). A *gateway router* is on one chassis as a whole (`options:chassis`).
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, Any

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.lookups import find
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.net.addresses import ipv4_text, ipv6_text
from ovenbird.northd.ir.addresses import (
    canonical,
    link_local,
    parse_mac,
    quote,
    scan_ips,
)
from ovenbird.northd.ir.copp import meters
from ovenbird.northd.ir.southbound_rows import datapath

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ovenbird.engine.rows import UUID

LRP = nb.LogicalRouterPort
LSP = nb.LogicalSwitchPort


class Subnet(NamedTuple):
    """An address of a router port and the network it is in.

    Arguments:
        ip: the port's address.
        network: the network in CIDR notation, without host bits.
        broadcast: the network's broadcast address; empty for IPv6 and for networks too small to have one.
        length: of the prefix.
        low, high: the network's first and last address as numbers.
    """

    ip: str
    network: str
    broadcast: str
    length: int
    low: int
    high: int


class RouterPort(NamedTuple):
    """One port of a router that is there.

    Arguments:
        uuid: the Northbound row's.
        name: the port's name; `quoted` is the same as a constant in a match.
        router, datapath: UUIDs of the router and of its datapath binding.
        mac: its Ethernet address.
        ipv4, ipv6: its addresses, sorted as text; the link-local one that its MAC gives is the last of IPv6.
        enabled: whether it is enabled.
        options: the column.
        is_distributed_gateway: whether it is a distributed gateway port.
        chassis: where its router lives, if that is a gateway router.
        meters: the router's, by kind of packet.
    """

    uuid: UUID
    name: str
    quoted: str
    router: UUID
    datapath: UUID
    mac: str
    ipv4: tuple[Subnet, ...]
    ipv6: tuple[Subnet, ...]
    enabled: bool
    options: dict[str, str]
    is_distributed_gateway: bool
    chassis: str
    meters: Mapping[str, str]

    @property
    def redirect(self) -> str:
        """Return the name of the chassisredirect port that goes with a distributed gateway port."""
        return f"cr-{self.name}"

    @property
    def resident(self) -> str:
        """Return the condition, to append to a match, that a distributed gateway port is active here; else ""."""
        return f" && is_chassis_resident({quote(self.redirect)})" if self.is_distributed_gateway else ""


# -- indexes ----------------------------------------------------------------------------------------------------------


def _joined_to(values: list[Any]) -> Iterable[str]:
    if values[LSP.type.index] != "router":
        return ()
    peer = values[LSP.options.index].get("router-port")
    return (peer,) if peer else ()


def _kind(values: list[Any]) -> Iterable[str]:
    kind: str = values[LSP.type.index]
    return (kind,) if kind in ("router", "localnet", "vtep") else ()


def _is_central(values: list[Any]) -> Iterable[bool]:
    return (True,) if values[LRP.gateway_chassis.index] or values[LRP.ha_chassis_group.index] is not None else ()


def _networks(values: list[Any]) -> Iterable[tuple[int, int, int]]:
    texts = values[LRP.networks.index]
    found = {(32, s.low, s.length): None for s in subnets(texts, 4)}
    return found | {(128, s.low, s.length): None for s in subnets(texts, 6)}


JOINED = ComputedIndex(LSP.type, LSP.options, keys=_joined_to)
"""Switch ports of type `router`, by the name of their router port."""

SPECIAL = ComputedIndex(LSP.type, keys=_kind, parent=nb.LogicalSwitch.ports)
"""A switch's ports by type, for the types that are rare."""

CENTRAL = ComputedIndex(LRP.gateway_chassis, LRP.ha_chassis_group, keys=_is_central, parent=nb.LogicalRouter.ports)
"""A router's ports with gateway chassis: candidates for distributed gateway ports."""

ATTACHED = ComputedIndex(LRP.networks, keys=_networks, parent=nb.LogicalRouter.ports)
"""A router's ports by the networks they are in: the width of an address, the first address, the prefix length."""


def _translated(values: list[Any]) -> Iterable[str]:
    return (canonical(values[nb.NAT.external_ip.index]),) if values[nb.NAT.type.index] == "snat" else ()


SHARED = ComputedIndex(nb.NAT.type, nb.NAT.external_ip, keys=_translated, parent=nb.LogicalRouter.nat)
"""A router's source translations by external address, which may also be the address of a port."""


def _distributed(values: list[Any]) -> Iterable[bool]:
    kind = values[nb.NAT.type.index] == "dnat_and_snat"
    distributed = values[nb.NAT.external_mac.index] is not None and values[nb.NAT.logical_port.index] is not None
    return (True,) if kind and distributed else ()


DISTRIBUTED = ComputedIndex(
    nb.NAT.type, nb.NAT.external_mac, nb.NAT.logical_port, keys=_distributed, parent=nb.LogicalRouter.nat
)
"""A router's distributed translations, which take place on the instance's chassis."""


def subnets(texts: Iterable[str], version: int) -> list[Subnet]:
    """Return the addresses of one IP version, sorted as text; what does not parse is left out."""
    wanted = [text for text in texts if (":" in text) == (version == 6)]
    return [found for text in sorted(wanted) if (found := subnet(text)) is not None]


def subnet(text: str) -> Subnet | None:
    """Parse `IP[/LENGTH]`, a host network without a length; None for anything else, and for `0.0.0.0`."""
    found, rest = scan_ips(text)
    if len(found) != 1 or rest:
        return None
    ((ip, length),) = found
    six = ":" in ip
    number, hosts = number_of(ip), (1 << (128 if six else 32) - length) - 1
    if not number and not six:
        return None
    low, high = number & ~hosts, number | hosts
    address_text = ipv6_text if six else ipv4_text
    return Subnet(
        ip=ip,
        network=f"{address_text(low)}/{length}",
        broadcast="" if six or not hosts else address_text(high),
        length=length,
        low=low,
        high=high,
    )


# -- views ------------------------------------------------------------------------------------------------------------


@view
def enabled(router: nb.LogicalRouter) -> bool:
    """Return whether a router is enabled; a disabled one has no datapath."""
    return router.enabled is not False


@view
def gateway_chassis(router: nb.LogicalRouter) -> str:
    """Return the chassis that a gateway router lives on, or the empty string."""
    return router.options.get("chassis", "")


@view
def router_port_of(lrp: nb.LogicalRouterPort) -> RouterPort | None:
    """Return a router port, parsed; None if it has no enabled router or its address does not parse."""
    router = lrp.referrer(nb.LogicalRouter.ports)
    if router is None or not enabled(router) or find(LSP.name, lrp.name) is not None:
        return None
    mac = parse_mac(lrp.mac)
    if not mac:
        return None
    chassis = gateway_chassis(router)
    networks = lrp.networks
    return RouterPort(
        lrp.uuid,
        name=lrp.name,
        quoted=quote(lrp.name),
        router=router.uuid,
        datapath=datapath(router),
        mac=mac,
        ipv4=tuple(subnets(networks, 4)),
        ipv6=(*subnets(networks, 6), *subnets([f"{link_local(mac)}/64"], 6)),
        enabled=lrp.enabled is not False,
        options=lrp.options,
        is_distributed_gateway=not chassis and bool(lrp.gateway_chassis or lrp.ha_chassis_group is not None),
        chassis=chassis,
        meters=meters(router),
    )


@view
def distributed_gateway_ports(router: nb.LogicalRouter) -> tuple[str, ...]:
    """Return the names of a router's distributed gateway ports, sorted."""
    if gateway_chassis(router):
        return ()
    return tuple(sorted(lrp.name for lrp in CENTRAL.rows(router.uuid, True)))


def shared(router: nb.LogicalRouter, ip: str) -> bool:
    """Return whether a router translates sources to an address."""
    return ip in _forced(router) or forces_own_addresses(router) or bool(SHARED.rows(router.uuid, ip))


@view
def _forced(router: nb.LogicalRouter) -> tuple[str, ...]:
    """Return the sources that a router forces on what it translates or balances."""
    return (*one_of_each(router, "dnat"), *one_of_each(router, "lb"))


@view
def forced_sources(router: nb.LogicalRouter) -> tuple[str, ...]:
    """Return the sources of `dnat_force_snat_ip`, at most one of each IP version."""
    return one_of_each(router, "dnat")


@view
def forces_own_addresses(router: nb.LogicalRouter) -> bool:
    """Return whether a gateway router has `lb_force_snat_ip=router_ip`."""
    return router.options.get("lb_force_snat_ip") == "router_ip" and bool(gateway_chassis(router))


def one_of_each(router: nb.LogicalRouter, what: str) -> tuple[str, ...]:
    """Return the addresses of `options:…_force_snat_ip`; none if there are several of a version, or a network."""
    found, _ = scan_ips(router.options.get(f"{what}_force_snat_ip", ""))
    four, six = [ip for ip in found if ":" not in ip[0]], [ip for ip in found if ":" in ip[0]]
    whole = all(length == (128 if ":" in ip else 32) for ip, length in found)
    return tuple([ip for ip, _ in found]) if whole and len(four) <= 1 and len(six) <= 1 else ()


@view
def translates_at_hosts(router: nb.LogicalRouter) -> bool:
    """Return whether any of a router's NAT rules is distributed."""
    return bool(DISTRIBUTED.rows(router.uuid, True))


def router_port_by_name(name: str) -> RouterPort | None:
    """Return the router port of that name, parsed, or None."""
    lrp = find(LRP.name, name)
    return router_port_of(lrp) if lrp is not None else None


class NeighborPort(NamedTuple):
    """The switch port that a router port is connected to, and its switch."""

    lsp: nb.LogicalSwitchPort
    switch: nb.LogicalSwitch


@view
def peer_switch_port(name: str) -> NeighborPort | None:
    """Return the switch port of the router port of that name; None if it is connected to no switch."""
    for lsp in JOINED.rows(name):
        switch = lsp.referrer(nb.LogicalSwitch.ports)
        if switch is not None:
            return NeighborPort(lsp, switch)
    return None


def router_peer(lrp: nb.LogicalRouterPort) -> nb.LogicalRouterPort | None:
    """Return the router port that is the direct peer of a router port (each names the other), or None."""
    name = lrp.peer
    peer = find(LRP.name, name) if name else None
    return peer if peer is not None and peer.peer == lrp.name else None


def physical(switch: nb.LogicalSwitch) -> bool:
    """Return whether a switch has a localnet port."""
    return bool(SPECIAL.rows(switch.uuid, "localnet"))


def is_tracked(options: Mapping[str, str]) -> bool:
    """Return whether the ACLs at a switch port to a distributed gateway port are stateful, by the port's options.

    ovn-nb(5), Logical_Switch_Port, `enable_router_port_acl`.
    """
    if not flag(options, "enable_router_port_acl"):
        return False
    peer = router_port_by_name(options.get("router-port", ""))
    return peer is not None and peer.is_distributed_gateway


def has_gateways(switch: nb.LogicalSwitch) -> bool:
    """Return whether a switch has a port to a VTEP gateway."""
    return bool(SPECIAL.rows(switch.uuid, "vtep"))


@view
def router_peers(switch: nb.LogicalSwitch) -> tuple[tuple[str, RouterPort], ...]:
    """Return the router ports connected to a switch, each with the name of its switch port before it."""
    found = []
    for lsp in SPECIAL.rows(switch.uuid, "router"):
        port = router_port_by_name(lsp.options.get("router-port", ""))
        if port is not None:
            found.append((lsp.name, port))
    return tuple(sorted(found))


def redirect_port(lrp: nb.LogicalRouterPort) -> str:
    """Return the chassisredirect port on whose chassis alone a router port handles its physical network, or "".

    That is a distributed gateway port's own; and the router's only one for a port with `reside-on-redirect-chassis`.
    Without a physical network at the other end there is none.
    """
    port = router_port_of(lrp)
    if port is None or not (port.is_distributed_gateway or flag(port.options, "reside-on-redirect-chassis")):
        return ""
    met = peer_switch_port(port.name)
    if met is None or not physical(met.switch):
        return ""
    if port.is_distributed_gateway:
        return port.redirect
    router = lrp.referrer(nb.LogicalRouter.ports)
    names = distributed_gateway_ports(router) if router is not None else ()
    return f"cr-{names[0]}" if len(names) == 1 else ""


# -- which way -------------------------------------------------------------------------------------------------------


class NextHop(NamedTuple):
    """How a next hop is reached: through which port, and with which of its addresses as source."""

    port: RouterPort
    source: str


@view
def resolve_next_hop(router: nb.LogicalRouter, nexthop: str) -> NextHop | None:
    """Return the way to a next hop in a network that the router is attached to, or None.

    Every port has a link-local network: a link-local next hop is taken to be at the first port by name, unless the
    route names its output port.

    Arguments:
        router: the router that routes.
        nexthop: an address in canonical form.
    """
    for lrp in sorted(router.ports, key=_name) if is_link_local(nexthop) else _ports_around(router, nexthop):
        port = router_port_of(lrp)
        if port is not None and (source := source_for(port, nexthop)) is not None:
            return NextHop(port, source)
    return None


def is_link_local(nexthop: str) -> bool:
    """Return whether an address is an IPv6 link-local one (RFC 4291, section 2.5.6)."""
    return ":" in nexthop and number_of(nexthop) >> 64 == 0xFE80 << 48


def _name(lrp: nb.LogicalRouterPort) -> str:
    return lrp.name


def _ports_around(router: nb.LogicalRouter, nexthop: str) -> Iterable[nb.LogicalRouterPort]:
    """Yield the router's ports that are in a network around an address, the smallest network first."""
    width, number = 128 if ":" in nexthop else 32, number_of(nexthop)
    for host_bits in range(width + 1):
        yield from ATTACHED.rows(router.uuid, (width, number >> host_bits << host_bits, width - host_bits))


@view
def port_of(router: nb.LogicalRouter, name: str) -> RouterPort | None:
    """Return the router's port of that name, or None."""
    port = router_port_by_name(name)
    return port if port is not None and port.router == router.uuid else None


def source_for(port: RouterPort, nexthop: str) -> str | None:
    """Return the address of the port that is in the same network as a next hop, or None."""
    subnets: Sequence[Subnet] = port.ipv6 if ":" in nexthop else port.ipv4
    number = number_of(nexthop)
    for subnet in subnets:
        if subnet.low <= number <= subnet.high:
            return subnet.ip
    return None


def number_of(ip: str) -> int:
    """Return an address as a number.

    Raises:
        ValueError: it is not an address.
    """
    try:
        return int.from_bytes(inet_pton(AF_INET6 if ":" in ip else AF_INET, ip), "big")
    except OSError:
        raise ValueError(f"{ip!r} is not an IP address") from None
