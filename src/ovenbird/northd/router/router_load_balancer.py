"""Load balancing in a router: connections to a virtual address go to one of its backends, at the router's gateway.

ovn-northd(8), Logical Router Datapaths, "Ingress Table 4" to "8", "Egress Table 1" and "3". A gateway router, and a
router without any gateway, balances wherever it is; a router with distributed gateway ports on the chassis that one of
them is active on, in the zone in which it translates both ways. A gateway router may replace the source of balanced
connections by an address of its own (`lb_force_snat_ip`), so that replies return to it; a balancer may be exempted
(`skip_snat`).

A flow that is the same for all routers that balance in one way is one row for all of them (``BalancingMode``).
``load_balancer_addresses`` decides which routers answer for the virtual addresses.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from ovenbird.engine.branches import Branches, branching
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.copp import meters
from ovenbird.northd.ir.datapath_groups import DatapathGroup
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.load_balancer import (
    EVENT,
    LB,
    REJECT,
    Balancer,
    Users,
    Vip,
    balancer,
    in_words,
    router_groups,
    router_users,
    separate,
    served,
    sharing,
    used_by,
)
from ovenbird.northd.ir.router_port import (
    LRP,
    distributed_gateway_ports,
    enabled,
    forces_own_addresses,
    gateway_chassis,
    is_link_local,
    one_of_each,
    port_of,
    router_port_of,
)
from ovenbird.northd.ir.southbound_rows import IN_NAT_ADDRESSES, datapath
from ovenbird.northd.router import load_balancer_addresses as addresses
from ovenbird.northd.router.nat import DNAT, NAT_GATEWAY_ROUTERS, REDIRECT, SNAT, UNDNAT, UNSNAT
from ovenbird.northd.shared.address_sets import ADDRESS_SET, IN_ADDRESS_SET
from ovenbird.northd.shared.load_balancing import event_action, learn_action, order
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import (
    AFFINE,
    AFFINE_PORT,
    LB_VIP,
    LB_VIP6,
    LB_VIP_PORT,
    ROUTER_AFFINE_BACKEND,
    ROUTER_AFFINE_BACKEND6,
)
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.socket_address import SocketAddress

DEFRAG = stage("lr_in_defrag")
ROUTER_AFFINITY_CHECK = stage("lr_in_lb_aff_check")
ROUTER_AFFINITY_LEARN = stage("lr_in_lb_aff_learn")

OF_ROUTERS = "routers"

BALANCING_ROUTERS = DatapathGroup("balancing routers")
"""Routers with load balancers."""

flow = flow_builder("router_load_balancer")


class BalancingMode(NamedTuple):
    """How a router balances.

    Arguments:
        forced: whether it has `lb_force_snat_ip`.
        reject, event: the meters of rejections and of controller events; "" for none.
        datapath: of a router with distributed gateway ports, its datapath; otherwise None.
        gateways: these ports, each with its name and that of its chassisredirect port, as constants of a match.
    """

    forced: bool
    reject: str
    event: str
    datapath: UUID | None
    gateways: tuple[tuple[str, str], ...]

    @property
    def kind(self) -> str:
        """The name of the datapath group of routers without distributed gateway ports that balance in this mode."""
        return "forcing routers" if self.forced else "plain routers"


@view
def way(router: nb.LogicalRouter) -> BalancingMode:
    """Return the mode in which a router balances."""
    limits = meters(router)
    ports = [port_of(router, name) for name in distributed_gateway_ports(router)]
    gateways = tuple([(port.quoted, f'"{port.redirect}"') for port in ports if port is not None])
    forced = bool(gateway_chassis(router)) and (forces_own_addresses(router) or bool(one_of_each(router, "lb")))
    where = datapath(router) if gateways else None
    return BalancingMode(
        forced, reject=limits.get(REJECT, ""), event=limits.get(EVENT, ""), datapath=where, gateways=gateways
    )


@grouped_values(nb.LogicalRouter)
def ways(router: nb.LogicalRouter) -> Iterator[tuple[UUID, BalancingMode]]:
    """Yield, for each group, the modes in which the routers that use it balance."""
    if enabled(router):
        for group in router_groups(router):
            yield group, way(router)


def ways_of(row: LB, users: Users) -> list[BalancingMode]:
    """Return the modes in which the routers that use a load balancer balance."""
    direct = [way(router) for router in row.referrers(nb.LogicalRouter.load_balancer) if enabled(router)]
    return sorted({*direct, *chain.from_iterable(ways.values(user) for user in users)}, key=repr)


@singleton
def every_balancing_router() -> Iterator[Fact]:
    """Keep established connections at their backends, with the SNAT mode that is stored in their mark."""
    yield BALANCING_ROUTERS.row
    related, established = "ct.rel && !ct.est && !ct.new", "ct.est && !ct.rel && !ct.new && ct_mark.natted"
    for match, act in ((related, "ct_commit_nat;"), (established, "next;")):
        yield flow(DNAT, BALANCING_ROUTERS, 50, match, act)
        for mark in ("skip_snat", "force_snat"):  # of requests alone: replies keep the source that they have
            noted = f"{match} && !ct.rpl && ct_mark.{mark} == 1"
            yield flow(DNAT, BALANCING_ROUTERS, 70, noted, f"flags.{mark}_for_lb = 1; {act}")


@rule(nb.LogicalRouter)
def router_membership(router: nb.LogicalRouter) -> Iterator[Fact]:
    """Put a router into the datapath groups of the balancers of its load balancer groups."""
    if enabled(router):
        for group in router_groups(router):
            for users in sharing.values((OF_ROUTERS, group)):
                yield from _membership(router, users)


@rule(LB)
def router_direct_membership(row: LB) -> Iterator[Fact]:
    """Put the routers that refer to a load balancer into its own datapath group."""
    if row.vips:
        for router in row.referrers(nb.LogicalRouter.load_balancer):
            if enabled(router):
                yield from _membership(router, router_users(row))


def _membership(router: nb.LogicalRouter, users: Users) -> Iterator[Fact]:
    where, how = datapath(router), way(router)
    yield BALANCING_ROUTERS.includes(where)
    yield used_by(OF_ROUTERS, users).includes(where)
    yield used_by(f"{OF_ROUTERS} {EVENT}", users, how.event).includes(where)
    if not how.gateways:
        yield used_by(how.kind, users).includes(where)
        yield used_by(f"{how.kind} {REJECT}", users, how.reject).includes(where)
    if gateway_chassis(router):  # looks up the connection of every packet that leaves
        yield NAT_GATEWAY_ROUTERS.includes(where)


def _part(row: LB, vip: Vip | None) -> Iterator[Fact]:
    """Yield what belongs to one virtual address of a load balancer; with None, what belongs to all together."""
    users, made = router_users(row), balancer(row)
    if vip is None:
        yield from _all_vips(made, users)
    else:
        yield from _vip(row, made, served(vip), users)


@branching(LB, _part)
def router_load_balancer(row: LB) -> Iterator[Fact | Branches]:
    """Make the router flows that send connections to a load balancer's virtual addresses to their backends.

    If the health of its backends is checked, each virtual address is computed for itself.
    """
    users, made = router_users(row), balancer(row)
    if not users or not made.vips:
        return
    if made.checks_health:
        yield Branches((None, *made.vips))
        return
    yield from _all_vips(made, users)
    for vip in made.vips:
        yield from _vip(row, made, vip, users)


def _all_vips(made: Balancer, users: Users) -> Iterator[Fact]:
    """Yield the flows of a load balancer that do not depend on its backends."""
    everywhere = used_by(OF_ROUTERS, users)
    yield everywhere.row
    for ip, family in dict.fromkeys([(vip.at.ip, vip.at.family) for vip in made.vips]):
        yield flow(DEFRAG, everywhere, 100, f"ip && {family}.dst == {ip}", "ct_dnat;", hint=made.uuid)
    if made.skips_snat:
        yield flow(SNAT, everywhere, 120, "flags.skip_snat_for_lb == 1 && ip", "next;")


def _vip(row: LB, made: Balancer, vip: Vip, users: Users) -> Iterator[Fact]:
    everywhere = used_by(OF_ROUTERS, users)
    if vip.at.ip[0] == "^":  # which may turn out to be an address of the router's own
        match = f"{vip.at.family}.dst == {vip.at.ip}"
        yield flow(addresses.INPUT, everywhere, 100, match, "next;", hint=made.uuid)
    if made.affinity:
        yield from _affinity(made, vip, everywhere)
    for router in addresses.translating_to(row, users, vip.at):
        match = f"{vip.at.family} && {_goes_to(vip.at, made.protocol)}"
        match += "" if vip.at.port else f" && {made.protocol}"
        yield flow(UNSNAT, router, 120, match, "next;", hint=made.uuid)
    modes = ways_of(row, users)
    for how in modes:
        yield from _balance(made, vip, how, users)
    if made.event and not vip.configured:
        yield from _event(made, vip, sorted({how.event for how in modes}), users)


def _goes_to(at: SocketAddress, protocol: str) -> str:
    """Return the match of packets to an address, and to its port if it has one."""
    match = f"{at.family}.dst == {at.ip}"
    return f"{match} && {protocol} && {protocol}.dst == {at.port}" if at.port else match


def _begins(at: SocketAddress, protocol: str) -> str:
    """Return the match of the first packets of connections to a virtual address."""
    return f"ct.new && !ct.rel && {at.family} && {_goes_to(at, protocol)}"


def _event(made: Balancer, vip: Vip, limits: Iterable[str], users: Users) -> Iterator[Fact]:
    for limit in limits:
        where = used_by(f"{OF_ROUTERS} {EVENT}", users, limit)
        yield where.row
        yield flow(DNAT, where, 130, *event_action(made, vip.at), hint=made.uuid, meter=limit or None)


def _mark(made: Balancer, how: BalancingMode) -> str:
    """Return the SNAT mode that is stored in the mark of a balanced connection."""
    return "skip_snat" if made.skips_snat else "force_snat" if how.forced else ""


def _balance(made: Balancer, vip: Vip, how: BalancingMode, users: Users) -> Iterator[Fact]:
    """Yield the flows that choose a backend, for routers of one mode."""
    mark, match = _mark(made, how), _begins(vip.at, made.protocol)
    note = f"flags.{mark}_for_lb = 1; " if mark else ""
    kind, limit = how.kind, ""
    if vip.backends:
        act = f"{note}{made.balance(vip.backends, mark)}"
    elif made.reject:
        act = f"{note}reg0 = 0; reject {{ outport <-> inport; {SNAT.jump}; }};"
        kind, limit = f"{kind} {REJECT}", how.reject
    else:
        act = "drop;"  # which stands alone: whether there are marks does not matter
    if how.datapath is None:
        where = used_by(kind, users, limit)
        yield where.row
        yield flow(DNAT, where, order(vip.at), match, act, hint=made.uuid, meter=limit or None)
    else:
        stateless = made.stateless and len(how.gateways) > 1
        if stateless and vip.backends:
            act = f"{vip.at.family}.dst = {vip.backends[0].ip}; {act}"
        for port, redirect in how.gateways:
            here = f" && is_chassis_resident({redirect})" if made.places is None else ""
            resident = "" if made.reject and not vip.configured else here
            new = f"{match}{resident}"
            yield flow(DNAT, how.datapath, order(vip.at), new, act, hint=made.uuid, meter=limit or None)
            if vip.configured and stateless:
                yield from _stateless_replies(made, vip, how.datapath, gateway=(port, redirect))
            elif vip.configured:
                replies = f"{_comes_from(made, vip)} && outport == {port}{here}"
                yield flow(UNDNAT, how.datapath, 120, replies, f"{note}ct_dnat_in_czone;", hint=made.uuid)
            if vip.configured and made.places is not None:  # replies leave where their connection came in
                replies = f"{_comes_from(made, vip)} && outport == {port}"
                yield flow(REDIRECT, how.datapath, 200, replies, f"outport = {port}; next;", hint=made.uuid)
    if made.affinity and vip.backends:
        yield from _affine(made, vip, how, used_by(how.kind, users))


def _stateless_replies(made: Balancer, vip: Vip, where: UUID, *, gateway: tuple[str, str]) -> Iterator[Fact]:
    """Give replies their virtual source without conntrack, at the gateway port of each (`use_stateless_nat`).

    Arguments:
        made: the load balancer.
        vip: the virtual address.
        where: the router's datapath.
        gateway: the port and its chassisredirect port, as constants of a match.
    """
    (port, redirect), at = gateway, vip.at
    passes = f"(inport == {port} || outport == {port}) && is_chassis_resident({redirect}) && {made.protocol}"
    replies = f"{_comes_from(made, vip)} && {passes}"
    source = f"{at.family}.src = {at.ip}; " + (f"{made.protocol}.src = {at.port}; " if at.port else "")
    yield flow(UNDNAT, where, 120, replies, "next;", hint=made.uuid)
    yield flow(SNAT, where, 160, replies, f"{source}next;", hint=made.uuid)


def _comes_from(made: Balancer, vip: Vip) -> str:
    """Return the match of packets from the backends of a virtual address."""
    sources = []
    for backend in dict.fromkeys(vip.configured):
        port = f" && {made.protocol}.src == {backend.port}" if backend.port else ""
        sources.append(f"({backend.family}.src == {backend.ip}{port})")
    return f"{vip.at.family} && ({' || '.join(sources)})"


# -- affinity ----------------------------------------------------------------------------------------------------------


def _affinity(made: Balancer, vip: Vip, where: DatapathGroup) -> Iterator[Fact]:
    """Look up the last backend of a client, and store the one that a new client gets."""
    at, hint, register = vip.at, made.uuid, LB_VIP6 if vip.at.six else LB_VIP
    if not vip.backends:
        return
    note = f"{register} = {at.family}.dst; "
    note += f"{LB_VIP_PORT} = {made.protocol}.dst; " if at.port else ""
    yield flow(
        ROUTER_AFFINITY_CHECK,
        where,
        100,
        _begins(at, made.protocol),
        f"{note}{AFFINE} = chk_lb_aff(); next;",
        hint=hint,
    )
    noted = f"{register} == {at.ip}" + (f" && {LB_VIP_PORT} == {at.port}" if at.port else "")
    for backend in separate(vip):
        goes = f"{backend.family}.dst == {backend.ip}"
        goes += f" && {made.protocol}.dst == {backend.port}" if backend.port else ""
        match = f"{AFFINE} == 0 && ct.new && {at.family} && {noted} && {goes}"
        yield flow(ROUTER_AFFINITY_LEARN, where, 100, match, learn_action(made, at, backend=backend), hint=hint)


def _affine(made: Balancer, vip: Vip, how: BalancingMode, where: DatapathGroup) -> Iterator[Fact]:
    """Send a client to its last backend."""
    at, mark = vip.at, _mark(made, how)
    note = f"flags.{mark}_for_lb = 1; " if mark else ""
    for backend in separate(vip):
        register = ROUTER_AFFINE_BACKEND6 if at.six else ROUTER_AFFINE_BACKEND
        match = f"{AFFINE} == 1 && ct.new && {at.family} && {_goes_to(at, made.protocol)} && {register} == {backend.ip}"
        match += f" && {AFFINE_PORT} == {backend.port}" if backend.port else ""
        act = f"{LB_VIP6 if at.six else LB_VIP} = {at.ip}; {note}{made.balance((backend,), mark)}"
        yield flow(DNAT, how.datapath or where, 150, match, act, hint=made.uuid)


# -- sources of the router's own ---------------------------------------------------------------------------------------


@rule(nb.LogicalRouter)
def forced_source(router: nb.LogicalRouter) -> Iterator[Fact]:
    """Give balanced packets the source address of `lb_force_snat_ip`."""
    if not enabled(router) or not gateway_chassis(router):
        return
    where = datapath(router)
    for ip in one_of_each(router, "lb"):
        family = "ip6" if ":" in ip else "ip4"
        yield flow(UNSNAT, where, 110, f"{family} && {family}.dst == {ip}", "ct_snat;", hint=router.uuid)
        yield flow(SNAT, where, 100, f"flags.force_snat_for_lb == 1 && {family}", f"ct_snat({ip});", hint=router.uuid)


@rule(LRP)
def forced_own_source(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Give balanced packets the address of the port that they leave by (`lb_force_snat_ip=router_ip`)."""
    port, router = router_port_of(lrp), lrp.referrer(nb.LogicalRouter.ports)
    if port is None or router is None or not port.chassis or not forces_own_addresses(router):
        return
    for family, subnets in (("ip4", port.ipv4), ("ip6", port.ipv6)):
        for ip in [subnet.ip for subnet in subnets if not is_link_local(subnet.ip)][:1]:
            back = f"inport == {port.quoted} && {family}.dst == {ip}"
            yield flow(UNSNAT, port.datapath, 110, back, "ct_snat;", hint=port.uuid)
            leaves = f"flags.force_snat_for_lb == 1 && {family} && outport == {port.quoted}"
            yield flow(SNAT, port.datapath, 110, leaves, f"ct_snat({ip});", hint=port.uuid)


FEATURE = Feature(
    "router_load_balancer",
    rules=(
        *(ways, every_balancing_router, router_membership, router_direct_membership, router_load_balancer),
        *(forced_source, forced_own_source, *addresses.RULES),
    ),
    outputs=(ADDRESS_SET, IN_ADDRESS_SET, IN_NAT_ADDRESSES),
    hints=(
        *map(HintedTable, (nb.LogicalRouter, nb.LogicalRouterPort, nb.LogicalSwitchPort)),
        HintedTable(LB, in_words),
    ),
)
