"""Load balancing in a switch: connections to a virtual address go to one of its backends.

ovn-northd(8), "Ingress Table 5", "6", "11" to "16", "Egress Table 1" and "2". The connection tracker stores the backend
of a connection, so all IP packets of such a switch pass the tracker. If a backend connects to its own virtual address
and is chosen itself, the packet returns through the port that it came from, with the virtual address as its source
(*hairpin*). This is done by flows that each chassis makes from Southbound's Load_Balancer rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.branches import Branches, branching
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.rules import rule, singleton
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.copp import meters
from ovenbird.northd.ir.datapath_groups import BALANCING, IN_DP_GROUP, DatapathGroup
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.load_balancer import (
    EVENT,
    LB,
    REJECT,
    WITH_STATELESS,
    Balancer,
    Users,
    Vip,
    balancer,
    balances,
    balances_stateless,
    direct_switches,
    in_words,
    separate,
    served,
    sharing,
    switch_groups,
    switch_meters,
    switch_users,
    trouble,
    used_by,
)
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.shared.load_balancing import event_action, learn_action, order
from ovenbird.northd.switch.conntrack import COMMITTING, HINT, NEIGHBORS, PRE_LB, PRE_STATEFUL
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import (
    AFFINE,
    AFFINE_BACKEND,
    AFFINE_BACKEND6,
    AFFINE_PORT,
    COMMIT,
    HAIRPIN,
    HAIRPIN_REPLY,
    HINT_DROP,
    NAT,
    STATELESS,
    VIP,
    VIP6,
    VIP_PORT,
)
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.socket_address import SocketAddress

AFFINITY_CHECK = stage("ls_in_lb_aff_check")
BALANCE = stage("ls_in_lb")
AFFINITY_LEARN = stage("ls_in_lb_aff_learn")
PRE_HAIRPIN = stage("ls_in_pre_hairpin")
NAT_HAIRPIN = stage("ls_in_nat_hairpin")
HAIRPINNING = stage("ls_in_hairpin")
LOOK_FOR_HAIRPIN = f"{HAIRPIN} = chk_lb_hairpin(); {HAIRPIN_REPLY} = chk_lb_hairpin_reply(); next;"
AFTER_REJECT = stage("ls_out_qos_mark")

OF_SWITCHES = "switches"

STATELESS_TOO = DatapathGroup("balancing with stateless ACLs")
"""Switches that balance what stateless ACLs let pass."""


class LoadBalancerRow(NamedTuple):
    """A load balancer that switches use."""

    relation: Relation
    balancer: str
    name: str
    vips: Pairs
    protocol: str | None
    datapath_group: UUID | None
    options: Pairs
    external_ids: Pairs


_SB = sb.LoadBalancer
LOAD_BALANCER = NamedRows(
    _SB,
    LoadBalancerRow,
    key_of=lambda row: row.external_ids.get("lb_id", ""),
    within=(IN_DP_GROUP, _SB.datapath_group, None),
)
"""Key: UUID of the Northbound row, which is in `external_ids:lb_id`."""
OF_LOAD_BALANCER = Members(LOAD_BALANCER, _SB.datapaths)
"""Its datapaths one by one, for a server without datapath groups."""

flow = flow_builder("load_balancer")


@singleton
def every_balancing_switch() -> Iterator[Fact]:
    """Send IP to connection tracking for balancing, and handle hairpinned packets."""
    yield BALANCING.row
    for pre_lb in PRE_LB:
        yield flow(pre_lb, BALANCING, 110, "eth.mcast", "next;")
        yield flow(pre_lb, BALANCING, 110, NEIGHBORS, "next;")
        yield flow(pre_lb, BALANCING, 110, f"{STATELESS} == 1", "next;")
        yield flow(pre_lb, BALANCING, 100, "ip", f"{NAT} = 1; next;")
    for pre_stateful in PRE_STATEFUL:
        yield flow(pre_stateful, BALANCING, 110, f"{NAT} == 1", "ct_lb_mark;")
    yield flow(PRE_HAIRPIN, BALANCING, 100, "ip && ct.trk", LOOK_FOR_HAIRPIN)
    yield flow(NAT_HAIRPIN, BALANCING, 100, f"ip && ct.new && ct.trk && {HAIRPIN} == 1", "ct_snat_to_vip; next;")
    yield flow(NAT_HAIRPIN, BALANCING, 100, f"ip && ct.est && ct.trk && {HAIRPIN} == 1", "ct_snat;")
    yield flow(NAT_HAIRPIN, BALANCING, 90, f"ip && {HAIRPIN_REPLY} == 1", "ct_snat;")
    back = "eth.dst <-> eth.src; outport = inport; flags.loopback = 1; output;"
    yield flow(HAIRPINNING, BALANCING, 1, f"({HAIRPIN} == 1 || {HAIRPIN_REPLY} == 1)", back)


@singleton
def every_switch_with_stateless() -> Iterator[Fact]:
    """On switches that balance what stateless ACLs let pass, track it without dropping or committing it."""
    yield STATELESS_TOO.row
    yield flow(PRE_LB[1], STATELESS_TOO, 115, f"{STATELESS} == 1", f"{NAT} = 1; next;")
    yield flow(COMMITTING[1], STATELESS_TOO, 110, f"{STATELESS} == 1 && ct.new", "next;")
    for hint in HINT:  # the other direction of a connection was not tracked, so that its packets look invalid
        yield flow(hint, STATELESS_TOO, 8, "ct.inv", f"ct_clear; {HINT_DROP} = 1; next;")
    yield flow(PRE_HAIRPIN, STATELESS_TOO, 100, f"ip && {STATELESS} == 1", LOOK_FOR_HAIRPIN)  # replies are among these


@rule(nb.LogicalSwitch)
def switch_membership(switch: nb.LogicalSwitch) -> Iterator[Fact]:
    """Put a switch into the group of balancing switches, and into those of its load balancer groups."""
    if not balances(switch):
        return
    where, limits = datapath(switch), meters(switch)
    yield BALANCING.includes(where)
    stateless = balances_stateless(switch)
    if stateless:
        yield STATELESS_TOO.includes(where)
    for group in switch_groups(switch):
        for users in sharing.values((OF_SWITCHES, group)):
            yield used_by(OF_SWITCHES, users).includes(where)
            if stateless:
                yield used_by(WITH_STATELESS, users).includes(where)
            for kind in (REJECT, EVENT):
                yield used_by(kind, users, limits.get(kind, "")).includes(where)


@rule(LB)
def direct_membership(row: LB) -> Iterator[Fact]:
    """Put the switches that refer to a load balancer into its own datapath group."""
    switches = direct_switches(row)
    if not switches:
        return
    users, made = switch_users(row), balancer(row)
    kinds = [REJECT] if made.reject else [EVENT] if made.event else []
    for switch in switches:
        where = datapath(switch)
        yield used_by(OF_SWITCHES, users).includes(where)
        if balances_stateless(switch):
            yield used_by(WITH_STATELESS, users).includes(where)
        for kind in kinds:
            yield used_by(kind, users, meters(switch).get(kind, "")).includes(where)


@grouped_values(nb.LogicalSwitch)
def group_switches(switch: nb.LogicalSwitch) -> Iterator[tuple[UUID, UUID]]:
    """Yield, for each group, the switches that use it."""
    for group in switch_groups(switch):
        yield group, datapath(switch)


@rule(LB)
def every_datapath(row: LB) -> Iterator[Fact]:
    """Write each datapath of a load balancer to Southbound."""
    direct = {datapath(switch) for switch in direct_switches(row)}
    for where in direct.union(*[group_switches.values(user) for user in switch_users(row)]):
        yield OF_LOAD_BALANCER(row.uuid, where)


def limits(row: LB, users: Users, kind: str) -> list[str]:
    """Return the meters that switches with a load balancer have for a kind of packets; "" for none.

    Arguments:
        row: the load balancer.
        users: the groups through which switches use it.
        kind: of the packets.
    """
    found = {meters(switch).get(kind, "") for switch in direct_switches(row)}
    return sorted(found.union(*[switch_meters.values((user, kind)) for user in users]))


def _part(row: LB, vip: Vip | None) -> Iterator[Fact]:
    """Yield what belongs to one virtual address of a load balancer; with None, what belongs to all together."""
    users, made = switch_users(row), balancer(row)
    if vip is not None and users:
        yield from _vip(row, made, served(vip), users)
    elif vip is None:
        yield from _row(row, made, users)


@branching(LB, _part)
def load_balancer(row: LB) -> Iterator[Fact | Branches]:
    """Write a load balancer to Southbound, and make the switch flows that send its connections to backends.

    If the health of its backends is checked, each virtual address is computed for itself.
    """
    made = balancer(row)
    if made.checks_health:
        yield Branches((None, *made.vips))
        return
    yield from _row(row, made, users := switch_users(row))
    for vip in made.vips if users else ():
        yield from _vip(row, made, vip, users)


def _row(row: LB, made: Balancer, users: Users) -> Iterator[Fact]:
    """Write a load balancer to Southbound, and report what of it is left out."""
    yield from trouble(row)
    if not users or not made.vips:
        return
    where = used_by(OF_SWITCHES, users)
    yield where.row
    vips = tuple([(str(vip.at), ",".join(map(str, vip.configured))) for vip in made.vips])
    options = tuple(sorted({**row.options, "hairpin_orig_tuple": "true"}.items()))
    yield LOAD_BALANCER(
        row.uuid,
        name=row.name,
        vips=vips,
        protocol=row.protocol,
        datapath_group=where.uuid,
        options=options,
        external_ids=(("lb_id", row.uuid),),
    )


def _vip(row: LB, made: Balancer, vip: Vip, users: Users) -> Iterator[Fact]:
    where, at, hint = used_by(OF_SWITCHES, users), vip.at, made.uuid
    match = _goes_to(at, made.protocol)
    yield flow(PRE_STATEFUL[0], where, 120, f"{NAT} == 1 && {match}", f"{_note(at)} ct_lb_mark;", hint=hint)
    if _with_stateless(row, users):
        yield from _stateless_too(row, made, at, used_by(WITH_STATELESS, users))
    priority, match = order(at), f"ct.new && {match}"
    backends = vip.backends
    if backends:
        act = f"{COMMIT} = 0; {made.balance(backends)}"
        yield flow(BALANCE, where, priority, match, act, hint=hint)
        if made.affinity:
            yield from _affinity(made, vip, where)
        return
    if not made.reject:
        yield flow(BALANCE, where, priority, match, "drop;", hint=hint)
    for limit in limits(row, users, REJECT) if made.reject else ():
        metered = used_by(REJECT, users, limit)
        yield metered.row
        act = f"reg0 = 0; reject {{ outport <-> inport; {AFTER_REJECT.jump}; }};"
        yield flow(BALANCE, metered, priority, match, act, hint=hint, meter=limit or None)
    for limit in limits(row, users, EVENT) if made.event and not vip.configured else ():
        metered = used_by(EVENT, users, limit)
        yield metered.row
        yield flow(PRE_LB[0], metered, 130, *event_action(made, at), hint=hint, meter=limit or None)


def _with_stateless(row: LB, users: Users) -> bool:
    """Return whether a switch that uses a load balancer balances what stateless ACLs let pass."""
    if any(map(balances_stateless, direct_switches(row))):
        return True
    return any(switch_meters.values((user, WITH_STATELESS)) for user in users)


def _stateless_too(row: LB, made: Balancer, at: SocketAddress, where: DatapathGroup) -> Iterator[Fact]:
    """Track what goes to a virtual address, and what comes back to it from a hairpin, whatever ACLs say of it."""
    yield where.row
    yield flow(PRE_STATEFUL[0], where, 150, _goes_to(at, made.protocol), f"{_note(at)} ct_lb_mark;", hint=made.uuid)
    own = [ip for ip in row.options.get("hairpin_snat_ip", "").split() if (":" in ip) is at.six]
    if own or at.port:
        back = f"{made.protocol} && {at.family}.dst == {own[0] if own else at.ip}"
        yield flow(PRE_STATEFUL[0], where, 105, back, "ct_lb_mark;", hint=made.uuid)


def _goes_to(at: SocketAddress, protocol: str) -> str:
    """Return the match of packets to a virtual address."""
    match = f"{at.family}.dst == {at.ip}"
    return f"{match} && {protocol}.dst == {at.port}" if at.port else match


def _note(at: SocketAddress) -> str:
    """Return the actions that store a virtual address in registers."""
    act = f"{VIP6 if at.six else VIP} = {at.ip};"
    return f"{act} {VIP_PORT} = {at.port};" if at.port else act


def _noted(at: SocketAddress) -> str:
    """Return the match of packets whose virtual address is in registers."""
    match = f"ct.new && {at.family} && {VIP6 if at.six else VIP} == {at.ip}"
    return f"{match} && {VIP_PORT} == {at.port}" if at.port else match


def _affinity(made: Balancer, vip: Vip, where: DatapathGroup) -> Iterator[Fact]:
    """Yield the flows of affinity: look up the last backend of a client, use it, and store that of a new client."""
    at, hint = vip.at, made.uuid
    yield flow(AFFINITY_CHECK, where, 100, _noted(at), f"{AFFINE} = chk_lb_aff(); next;", hint=hint)
    for backend in separate(vip):
        known = f"{AFFINE} == 1 && {_noted(at)} && {AFFINE_BACKEND6 if at.six else AFFINE_BACKEND} == {backend.ip}"
        known += f" && {AFFINE_PORT} == {backend.port}" if backend.port else ""
        act = f"{COMMIT} = 0; {_note(at)} {made.balance((backend,))}"
        yield flow(BALANCE, where, 150, known, act, hint=hint)
        match = f"{AFFINE} == 0 && {_noted(at)} && {_goes_to(backend, made.protocol)}"
        yield flow(AFFINITY_LEARN, where, 100, match, learn_action(made, at, backend=backend), hint=hint)


FEATURE = Feature(
    "load_balancer",
    rules=(
        sharing,
        switch_meters,
        every_balancing_switch,
        every_switch_with_stateless,
        switch_membership,
        direct_membership,
        load_balancer,
    ),
    substitutes={sb.LoadBalancer.datapath_group: (group_switches, every_datapath)},
    outputs=(LOAD_BALANCER, OF_LOAD_BALANCER),
    hints=(HintedTable(LB, in_words),),
)
