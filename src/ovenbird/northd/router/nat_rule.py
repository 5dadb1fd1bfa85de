"""A NAT rule in its router: where it translates, which addresses, and at which port (ovn-nb(5), NAT)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import canonical, parse_ip, parse_mac, parse_network, quote
from ovenbird.northd.ir.router_port import (
    RouterPort,
    distributed_gateway_ports,
    enabled,
    forced_sources,
    gateway_chassis,
    port_of,
    resolve_next_hop,
    router_port_of,
)
from ovenbird.northd.ir.southbound_rows import datapath

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID


MATCHING_BASE = 300
"""Added to the priority of a rule with a match, so that it precedes all rules without."""


class NatRule(NamedTuple):
    """A NAT rule that has an effect.

    Arguments:
        datapath, router: UUIDs of the router's datapath and of the router.
        hint: the Northbound row's UUID.
        outer, inner: the external address, and the logical one or a network, in canonical form.
        ip: `ip4` or `ip6`; `register` and `source` hold the next hop and the router's address to it.
        length: of the logical network's prefix.
        sources, destinations: whether it translates sources of leaving, and destinations of arriving packets.
        stateless: whether it is without connection tracking.
        ports: `,` and the range of ports to choose from, or nothing.
        port: the distributed gateway port; None in a gateway router.
        outside: the port towards the external address: the same, or a gateway router's in the address's network.
        forced: whether DNATed packets get the router's own source, `options:dnat_force_snat_ip`.
        mac: the external MAC of a distributed translation, or the empty string.
        resident: the logical port on whose chassis it takes place; empty in a gateway router.
        allowed, exempted: names of the address sets of peers to translate, and not to.
        match: what packets to translate have to match besides, or the empty string.
        priority: among the rules with a match, which all precede those without.
    """

    datapath: UUID
    router: UUID
    hint: str
    outer: str
    inner: str
    ip: str
    length: int
    sources: bool
    destinations: bool
    stateless: bool
    ports: str
    port: RouterPort | None
    outside: RouterPort | None
    forced: bool
    mac: str
    resident: str
    allowed: str
    exempted: str
    match: str
    priority: int

    @property
    def selects(self) -> tuple[str, str, int]:
        """Return what tells apart the packets that rules with addresses in common are for."""
        return self.allowed, self.match, self.priority

    @property
    def condition(self) -> str:
        """Return what packets to translate have to match besides, to append to a match; empty if it is nothing."""
        return f" && ({self.match})" if self.match else ""

    def order(self, plain: int) -> int:
        """Return the priority of the flows that translate.

        Arguments:
            plain: that of a rule without a match.
        """
        return MATCHING_BASE + self.priority if self.match else plain

    @property
    def rank(self) -> tuple[bool, bool, bool, str]:
        """Return the rank of a translation among those with an address in common; the lowest takes precedence."""
        return not (self.sources and self.destinations), not self.destinations, not self.mac, self.hint

    @property
    def at(self) -> str:
        """Return the UUID of the distributed gateway port; empty in a gateway router."""
        return self.port.uuid if self.port is not None else ""

    @property
    def here(self) -> str:
        """Return the condition that this chassis answers for the external address."""
        return f"is_chassis_resident({quote(self.resident)})"

    @property
    def where_active(self) -> str:
        """Return the condition, to append to a match, that the NAT rule is active here, empty if it is everywhere."""
        return "" if self.mac or not self.resident else f" && {self.here}"

    @property
    def register(self) -> str:
        """Return the register of the next hop."""
        return "reg0" if self.ip == "ip4" else "xxreg0"


@view
def nat_rule(nat: nb.NAT) -> NatRule | None:
    """Parse a NAT rule; None if it has no effect or its addresses do not parse."""
    router = nat.referrer(nb.LogicalRouter.nat)
    if router is None or not enabled(router):
        return None
    outer, inner = parse_ip(nat.external_ip), parse_network(nat.logical_ip)
    if not outer or inner is None:
        return None
    kind, whole = nat.type, inner.prefixlen == inner.max_prefixlen
    if (":" in outer) != (inner.version == 6) or (kind != "snat" and not whole):
        return None
    if nat.allowed_ext_ips is not None and nat.exempted_ext_ips is not None:
        return None
    port = None
    if gateway_chassis(router):
        way = resolve_next_hop(router, outer)
        outside = way.port if way is not None else None
    else:
        outside = port = _gateway_port(router, nat, outer)
        if port is None:
            return None
    mac, resident = "", port.redirect if port is not None else ""
    given, instance = nat.external_mac, nat.logical_port
    if port is not None and kind == "dnat_and_snat" and given is not None and instance is not None:
        mac, resident = parse_mac(given), instance
        if not mac:
            return None
    ports, allowed, exempted = nat.external_port_range, nat.allowed_ext_ips, nat.exempted_ext_ips
    return NatRule(
        datapath=datapath(router),
        router=router.uuid,
        hint=nat.uuid,
        outer=outer,
        inner=canonical(nat.logical_ip),
        ip=f"ip{inner.version}",
        length=inner.prefixlen,
        sources=kind != "dnat",
        destinations=kind != "snat",
        stateless=kind == "dnat_and_snat" and flag(nat.options, "stateless"),
        ports=f",{ports}" if ports else "",
        port=port,
        outside=outside,
        forced=port is None and bool(forced_sources(router)),
        mac=mac,
        resident=resident,
        allowed=allowed.name if allowed is not None else "",
        exempted=exempted.name if exempted is not None else "",
        match=nat.match,
        priority=nat.priority if nat.match else 0,
    )


def _gateway_port(router: nb.LogicalRouter, nat: nb.NAT, outer: str) -> RouterPort | None:
    """Return the port that a translation belongs to: the one it names, the only one, or the one around its address."""
    named = nat.gateway_port
    if named is not None:
        port = router_port_of(named)
        return port if port is not None and port.is_distributed_gateway and port.router == router.uuid else None
    names = distributed_gateway_ports(router)
    if len(names) == 1:
        return port_of(router, names[0])
    way = resolve_next_hop(router, outer) if names else None
    return way.port if way is not None and way.port.is_distributed_gateway else None


def told(nat: nb.NAT) -> str:
    """Describe a NAT rule."""
    router = nat.referrer(nb.LogicalRouter.nat)
    where = f"router {router.name}: " if router is not None else ""
    return f"{where}{nat.type} {nat.external_ip} of {nat.logical_ip}"
