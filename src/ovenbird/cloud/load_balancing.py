"""Load balancers: a row of Northbound's Load_Balancer for each listener, used by all switches and routers around it.

ovn-octavia-provider has one row for each protocol of a load balancer. Here each listener has its own, since the options
of a row hold for all of its addresses, but session persistence and the algorithm are a pool's. The rows have the names
(the load balancer's id) and those `external_ids` by which people look for them.

A listener's virtual addresses are those of its load balancer, and the floating IPs of these, each with the members of
the default pool as backends. A member of weight 2 is listed twice, and so gets twice as many connections. Without any
member connections are rejected. A pool's health monitor is a health check of each address, floating IPs included.

Members that are probed at another address or port than they serve at, by another protocol, or with backup members among
them, are backends of a load balancer that nothing uses, by whose health checks chassis probe them; the compiler reads
the results and lists those members that pass.

Who may connect (`allowed_cidrs`) is decided by ACLs at the ports of the switches where clients are, before a switch or
router chooses a backend: at the switches that use the load balancer, and at those of external networks.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import names
from ovenbird.cloud.addressing import fixed_addresses
from ovenbird.cloud.floating_ip import BALANCERS_OF_ROUTER, BALANCERS_OF_SWITCH
from ovenbird.cloud.network import SWITCHES
from ovenbird.engine import lookups
from ovenbird.engine.facts import Members
from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import cloud, nb, sb
from ovenbird.model.load_balancing import HealthMonitor, Listener, LoadBalancer, Member, Pool
from ovenbird.model.member_health import PROBED, apart, monitor_of, place, probed_address, probed_port, reported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID

VIP = "octavia:vip"

PRIORITY = 2000
"""Of the ACLs about clients: above those of security groups."""

MOST_BUCKETS = 256
"""The largest number of times that a virtual address lists its members, where their weights are exact."""

PERSISTENCE = 360
"""Seconds for which a client stays with its member where the pool does not say; ovn-octavia-provider's default."""

FIELDS = {
    "SOURCE_IP_PORT": frozenset(("ip_src", "ip_dst", "tp_src", "tp_dst")),
    "SOURCE_IP": frozenset(("ip_src", "ip_dst")),
}
"""The fields that choose a member, by the pool's algorithm."""


class ListenerRow(NamedTuple):
    """The load balancer of a listener; the columns are those of ovn-nb(5), Load_Balancer."""

    relation: Relation
    external_ids: Pairs
    name: str
    protocol: str
    vips: Pairs
    options: Pairs
    selection_fields: frozenset[str]
    ip_port_mappings: Pairs


class HealthCheckRow(NamedTuple):
    """The health check of one virtual address; the columns are those of ovn-nb(5), Load_Balancer_Health_Check."""

    relation: Relation
    external_ids: Pairs
    vip: str
    options: Pairs


class ClientAclRow(NamedTuple):
    """An ACL that drops what clients send who may not connect."""

    relation: Relation
    external_ids: Pairs
    direction: str
    match: str
    priority: int
    action: str


def _of_address(ids: dict[str, str]) -> tuple[str, str] | None:
    """Return the listener and the virtual address of a row."""
    listener, vip = ids.get(names.LISTENER), ids.get(VIP)
    return None if listener is None or vip is None else (listener, vip)


LISTENERS = names.RowsById(nb.LoadBalancer, ListenerRow, lambda ids: ids.get(names.LISTENER))
HEALTH_CHECKS = names.RowsById(nb.LoadBalancerHealthCheck, HealthCheckRow, _of_address)
CLIENT_ACLS = names.RowsById(nb.ACL, ClientAclRow, _of_address)
CHECKS_OF_LISTENER = Members(LISTENERS, nb.LoadBalancer.health_check)
ACLS_OF_SWITCH = Members(SWITCHES, nb.LogicalSwitch.acls, among=lambda row: names.LISTENER in row.external_ids)


class Whereabouts(NamedTuple):
    """Where a load balancer is used.

    Arguments:
        switches: the networks whose switches use it.
        outside: the external networks from which clients may come.
        routers: the routers that use it.
    """

    switches: tuple[UUID, ...]
    outside: tuple[UUID, ...]
    routers: tuple[UUID, ...]


@view
def addresses_of(balancer: LoadBalancer) -> tuple[str, ...]:
    """Return the virtual addresses of a load balancer, with the floating IPs of these."""
    own: list[cloud.FixedAddress] = [balancer.vip, *balancer.additional_vips]
    floating = [
        address
        for fixed in own
        for association in fixed.referrers(cloud.FloatingIPAssociation.fixed)
        for address, _ in fixed_addresses(association.floating_ip.port)
    ]
    return (*sorted(fixed.address for fixed in own), *sorted(floating))


@view
def place_of(balancer: LoadBalancer) -> Whereabouts:
    """Return where a load balancer is used: in its networks, and by the routers of its virtual addresses.

    A router at whose external network the virtual address is uses it only if it leads to a member.
    """
    own = {subnet.uuid: subnet for fixed in (balancer.vip, *balancer.additional_vips) for subnet in (fixed.subnet,)}
    networks = dict.fromkeys(cloud.Subnet.network.raw(subnet) for subnet in own.values())
    ours = list(networks)
    members = dict.fromkeys(
        cloud.Subnet.network.raw(subnet)
        for pool in balancer.referrers(Pool.load_balancer)
        for subnet in subnets_of(pool)
    )
    table = balancer.home.store.table(cloud.Network)
    routers: dict[UUID, cloud.Router] = {}
    for uuid in ours:
        network = table.get(uuid)
        for interface in network.referrers(cloud.RouterInterface.network) if network is not None else ():
            if any(subnet in own for _, subnet in fixed_addresses(interface.port)):
                routers[interface.router.uuid] = interface.router
    for uuid in members:
        network = table.get(uuid)
        for interface in network.referrers(cloud.RouterInterface.network) if network is not None else ():
            if any(cloud.Port.network.raw(one.port) in networks for one in cloud.gateways_of(interface.router)):
                routers[interface.router.uuid] = interface.router
    for fixed in (balancer.vip, *balancer.additional_vips):
        for association in fixed.referrers(cloud.FloatingIPAssociation.fixed):
            routers[association.gateway.router.uuid] = association.gateway.router
    around = dict.fromkeys(
        cloud.RouterInterface.network.raw(interface)
        for router in routers.values()
        for interface in router.referrers(cloud.RouterInterface.router)
    )
    gateways = [one for router in routers.values() for one in cloud.gateways_of(router)]
    outside = dict.fromkeys(cloud.Port.network.raw(one.port) for one in gateways)
    inside = sorted({*ours, *members, *around} - {*outside})
    return Whereabouts(switches=tuple(inside), outside=tuple(sorted(outside)), routers=tuple(sorted(routers)))


@view
def subnets_of(pool: Pool) -> tuple[cloud.Subnet, ...]:
    """Return the subnets of a pool's members."""
    found = {subnet.uuid: subnet for member in pool.referrers(Member.pool) if (subnet := member.subnet) is not None}
    return tuple([found[uuid] for uuid in sorted(found)])


class Backend(NamedTuple):
    """A member as a backend.

    Arguments:
        at: its address and port, as in `vips`.
        six: whether it is of IPv6.
        weight: its share.
        backup: whether it is for when no other is there.
    """

    at: str
    six: bool
    weight: int
    backup: bool


@view
def backends_of(pool: Pool) -> tuple[Backend, ...]:
    """Return the members of a pool that get connections."""
    members = [one for one in pool.referrers(Member.pool) if one.admin_state_up and one.weight]
    monitor = monitor_of(pool)
    if monitor is not None and apart(pool):
        members = [one for one in members if _passes(one, monitor)]
    found = [
        Backend(_endpoint(one.address, one.protocol_port), ":" in one.address, one.weight, one.backup)
        for one in members
    ]
    main = [one for one in found if not one.backup]
    return tuple(sorted(main or found))


def _passes(member: Member, monitor: HealthMonitor) -> bool:
    """Return whether a member that is probed apart gets connections, as far as is known."""
    said = reported(member, monitor, lookups.table(sb.ServiceMonitor))
    return said in (None, "online") and (place(member) is not None or Member.subnet.raw(member) is None)


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def listed(backends: list[Backend]) -> list[str]:
    """Return backends, each as often as its weight says; about so, where that is too often."""
    if not backends:
        return []
    divisor = gcd(*[one.weight for one in backends])
    counts = [one.weight // divisor for one in backends]
    total = sum(counts)
    if total > MOST_BUCKETS:
        counts = [max(1, round(count * MOST_BUCKETS / total)) for count in counts]
    return [one.at for one, count in zip(backends, counts, strict=True) for _ in range(count)]


@rule(Listener)
def listener_balancer(listener: Listener) -> Iterator[Fact]:
    """Yield the load balancer of a listener, its health checks, and who uses it."""
    balancer = listener.load_balancer
    if not (listener.admin_state_up and balancer.admin_state_up):
        return
    pool = listener.default_pool
    backends = backends_of(pool) if pool is not None and pool.admin_state_up else ()
    vips = {}
    for address in addresses_of(balancer):
        fitting = [one for one in backends if one.six is (":" in address)]
        vips[_endpoint(address, listener.protocol_port)] = ",".join(listed(fitting))
    yield LISTENERS(
        external_ids=_ids(listener, balancer),
        name=balancer.uuid,
        protocol=listener.protocol.lower(),
        vips=tuple(sorted(vips.items())),
        options=_options(pool),
        selection_fields=_fields(pool, addresses_of(balancer)),
        ip_port_mappings=mappings(pool) if pool is not None and not apart(pool) else (),
    )
    uuid = LISTENERS.uuid(listener.uuid)
    where = place_of(balancer)
    for network in where.switches:
        yield BALANCERS_OF_SWITCH(names.switch(network), uuid)
    for router in where.routers:
        yield BALANCERS_OF_ROUTER(names.router(router), uuid)
    monitor = monitor_of(pool) if pool is not None and not apart(pool) else None
    if monitor is not None:
        for vip in vips:
            ids = tuple(
                sorted({names.LISTENER: listener.uuid, VIP: vip, "octavia:healthmonitor": monitor.uuid}.items())
            )
            yield HEALTH_CHECKS(external_ids=ids, vip=vip, options=probe_options(monitor))
            yield CHECKS_OF_LISTENER(listener.uuid, HEALTH_CHECKS.uuid((listener.uuid, vip)))


def _ids(listener: Listener, balancer: LoadBalancer) -> Pairs:
    vip = balancer.vip
    ids = {
        names.LISTENER: listener.uuid,
        "neutron:vip": vip.address,
        "neutron:vip_port_id": cloud.FixedAddress.port.raw(vip),
        "enabled": "True",
        names.REVISION: str(listener.revision_number),
    }
    pool = Listener.default_pool.raw(listener)
    ids[f"listener_{listener.uuid}"] = f"{listener.protocol_port}:pool_{pool or ''}"
    return tuple(sorted(ids.items()))


def _options(pool: Pool | None) -> Pairs:
    options = {"reject": "true"}
    if pool is not None and pool.session_persistence is not None:
        seconds = pool.persistence_timeout
        options["affinity_timeout"] = str(PERSISTENCE if seconds is None else min(seconds, 0xFFFF))
    return tuple(sorted(options.items()))


def _fields(pool: Pool | None, addresses: tuple[str, ...]) -> frozenset[str]:
    """Return the fields that choose a member; none for IPv6, whose addresses older schemas cannot name."""
    if pool is None or any(":" in address for address in addresses):
        return frozenset()
    return FIELDS[pool.lb_algorithm]


@view
def mappings(pool: Pool) -> Pairs:
    """Return by which switch port each member is probed, and from which address."""
    if monitor_of(pool) is None:
        return ()
    found = {}
    for member in pool.referrers(Member.pool):
        source, port = member.probed_from, place(member)
        if source is None or port is None:
            continue
        address = next(
            (at for at, _ in fixed_addresses(source.port) if (":" in at) == (":" in probed_address(member))), None
        )
        if address is not None:
            found[_bracketed(probed_address(member))] = f"{port}:{_bracketed(address)}"
    return tuple(sorted(found.items()))


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def probe_options(monitor: HealthMonitor) -> Pairs:
    """Return the options of a health check (ovn-nb(5), Load_Balancer_Health_Check)."""
    return names.pairs(
        interval=str(max(1, monitor.delay)),
        timeout=str(max(1, monitor.timeout)),
        success_count=str(monitor.max_retries),
        failure_count=str(monitor.max_retries_down),
    )


@rule(Pool)
def pool_probes(pool: Pool) -> Iterator[Fact]:
    """Yield the load balancer of a pool whose members are probed apart; nothing uses it."""
    monitor = monitor_of(pool)
    if monitor is None or not apart(pool):
        return
    at = sorted(
        {
            _endpoint(probed_address(one), probed_port(one))
            for one in pool.referrers(Member.pool)
            if one.admin_state_up and Member.probed_from.raw(one) is not None
        }
    )
    key = f"pool-{pool.uuid}"
    yield LISTENERS(
        external_ids=((names.LISTENER, key), (f"pool_{pool.uuid}", "")),
        name=f"hm-{pool.uuid}",
        protocol=PROBED[monitor.type],
        vips=tuple([(one, one) for one in at]),
        options=(),
        selection_fields=frozenset(),
        ip_port_mappings=mappings(pool),
    )
    for one in at:
        ids = tuple(sorted({names.LISTENER: key, VIP: one, "octavia:healthmonitor": monitor.uuid}.items()))
        yield HEALTH_CHECKS(external_ids=ids, vip=one, options=probe_options(monitor))
        yield CHECKS_OF_LISTENER(key, HEALTH_CHECKS.uuid((key, one)))


@rule(Listener)
def client_acls(listener: Listener) -> Iterator[Fact]:
    """Yield the ACLs that drop what clients send to a listener who may not connect to it."""
    cidrs = sorted(listener.allowed_cidrs)
    if not cidrs:
        return
    balancer = listener.load_balancer
    where = place_of(balancer)
    protocol = listener.protocol.lower()
    for address in addresses_of(balancer):
        ip = "ip6" if ":" in address else "ip4"
        allowed = [cidr for cidr in cidrs if (":" in cidr) == (":" in address)]
        terms = [f"{ip}.dst == {address}", f"{protocol}.dst == {listener.protocol_port}"]
        if allowed:
            terms.append(f"{ip}.src != {{{', '.join(allowed)}}}")
        ids = tuple(sorted({names.LISTENER: listener.uuid, VIP: address}.items()))
        match = " && ".join(terms)
        yield CLIENT_ACLS(external_ids=ids, direction="from-lport", match=match, priority=PRIORITY, action="drop")
        for network in (*where.switches, *where.outside):
            yield ACLS_OF_SWITCH(names.switch(network), CLIENT_ACLS.uuid((listener.uuid, address)))


@rule(LoadBalancer)
def unreachable(balancer: LoadBalancer) -> Iterator[Fact]:
    """Yield a finding for a load balancer without a router, which nobody could reach."""
    if balancer.referrers(Listener.load_balancer) and not place_of(balancer).routers:
        yield finding(
            balancer,
            f"load balancer {balancer.uuid} ({balancer.name}): no router answers for its address "
            f"{balancer.vip.address}, so that nobody can connect: its subnet needs a router",
        )
