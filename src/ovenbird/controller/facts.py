"""What the controller's rules yield, besides edits of rows (`edits`): the relations, and the classes of their facts.

Two relations are hot, a large host has hundreds of thousands of their facts: these are plain tuples.

- `FLOW(table, priority, match, actions, cookie)`: a flow of the integration bridge; match and actions are encoded.
- `PART(table, priority, match, cookie, order, actions)`: a piece of a flow that several rules make together, such as
  one port's copy of a flooded packet, or one conjunction: the flow's actions are its parts in the order of `order`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.engine.facts import Fact, NamedRelation, Relation
from ovenbird.openflow.actions import encode_actions
from ovenbird.openflow.fields import FIELDS
from ovenbird.openflow.match import Match, encode_oxm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovenbird.engine.rows import UUID, Row
    from ovenbird.lang.actions.context import GroupSpec
    from ovenbird.net.rtnetlink import KernelRoute
    from ovenbird.openflow.actions import Action
    from ovenbird.pipeline.openflow_tables import OFTable

FLOW = Relation("flow")
PART = Relation("part of a flow")


class AddressSetFlow(NamedTuple):
    """A flow for each member of an address set.

    Arguments:
        relation: `ADDRESS_SET_FLOW`.
        address_set: the set's name.
        field: the match field that members are values of.
        before: the encoded entries of the match in front of the member.
        after: those behind it.
        head: the members' facts up to the match: relation, table, priority.
        tail: the members' facts behind the match.
    """

    relation: Relation
    address_set: str
    field: str
    before: bytes
    after: bytes
    head: Fact
    tail: Fact


class FailedPort(NamedTuple):
    """A port of ours that the switch could not add, with its error."""

    relation: Relation
    name: str
    error: str


class Notice(NamedTuple):
    """A part of the configuration without effect, and why, with its log level."""

    relation: Relation
    level: int
    text: str


class MonitorClause(NamedTuple):
    """A clause of the condition by which a table of Southbound is monitored (RFC 7047, section 5.1)."""

    relation: Relation
    table: str
    column: str
    function: str
    value: Any


class ConntrackZone(NamedTuple):
    """A conntrack zone in use."""

    relation: Relation
    name: str
    number: int


class ZoneLimit(NamedTuple):
    """How many connections a conntrack zone may have."""

    relation: Relation
    zone: int
    connections: int


class SwitchGroup(NamedTuple):
    """A group of the integration bridge, to which flows refer by number."""

    relation: Relation
    number: int
    spec: GroupSpec


class SwitchMeter(NamedTuple):
    """A meter of the integration bridge, in Southbound's unit, its bands as (rate, burst)."""

    relation: Relation
    number: int
    unit: str
    bands: tuple[tuple[int, int], ...]


class Announcement(NamedTuple):
    """An address to announce in a physical network.

    Arguments:
        relation: `ANNOUNCED`.
        datapath: the key of the switch where it is announced.
        port: the key of the port that announces it.
        mac: the MAC address to announce.
        address: the IP address, empty for the MAC address alone.
        rivals: the reachable chassis that may have announced it too.
        pause: the most seconds between two announcements, which then do not end; 0 for no limit.
    """

    relation: Relation
    datapath: int
    port: int
    mac: str
    address: str
    rivals: Any
    pause: int = 0


class Advertisement(NamedTuple):
    """A router advertisement to send at a port, by keys, and the seconds between one and the next."""

    relation: Relation
    datapath: int
    port: int
    shortest: float
    longest: float
    frame: bytes


class BfdSession(NamedTuple):
    """A BFD session to run at a router's port.

    Arguments:
        relation: `SESSION`.
        uuid: of its row.
        datapath: the key of the router's neighbouring switch.
        port: the key of the port there.
        mac: the router's MAC address.
        source: the router's IP address.
        address: that of the other end.
        numbers: the UDP port and the discriminator.
        times: the intervals of sending and receiving in milliseconds, and the multiplier.
        enabled: whether the session is up administratively.
    """

    relation: Relation
    uuid: UUID
    datapath: int
    port: int
    mac: str
    source: str
    address: str
    numbers: tuple[int, int]
    times: tuple[int, int, int]
    enabled: bool


class BalancedConnections(NamedTuple):
    """The connections from a virtual address to one of its backends, which are forgotten when there is none such.

    Arguments:
        relation: `BALANCED`.
        protocol: IP protocol number; 0 for any.
        vip: the virtual address, of 4 or 16 bytes.
        vip_port: its port; 0 for any.
        backend: the backend's address, of as many bytes.
        backend_port: its port; 0 for any.
    """

    relation: Relation
    protocol: int
    vip: bytes
    vip_port: int
    backend: bytes
    backend_port: int


class LabelledConnections(NamedTuple):
    """The connections with a value in their `ct_label`, which are forgotten when nothing stands for them.

    Arguments:
        relation: `LABELLED`.
        zone: the conntrack zone; None for all.
        low: the value's lowest bit.
        width: how many bits it has.
        value: the value.
    """

    relation: Relation
    zone: int | None
    low: int
    width: int
    value: int


class ProbeTimes(NamedTuple):
    """How often a backend is probed, in seconds, and how many outcomes in a row count."""

    interval: int
    timeout: int
    success_count: int
    failure_count: int


class ProbedBackend(NamedTuple):
    """A load balancer's backend that this chassis probes.

    Arguments:
        relation: `PROBED_BACKEND`.
        uuid: of its row.
        datapath: the key of its switch.
        port: the key of its port there.
        protocol: `tcp` or `udp`.
        mac: its MAC address.
        address: its IP address.
        number: its port's number.
        source_mac: the MAC address that probes come from.
        source: the IP address that probes come from.
        times: when and how often.
    """

    relation: Relation
    uuid: UUID
    datapath: int
    port: int
    protocol: str
    mac: str
    address: str
    number: int
    source_mac: str
    source: str
    times: ProbeTimes


class Delegation(NamedTuple):
    """A router port that requests a prefix from a delegating router, through another port with that MAC address.

    Arguments:
        relation: `DELEGATION`.
        port: the name of the port that asks.
        datapath: the key of the switch through which it asks.
        key: that of the port there.
        mac: the MAC address that asks.
    """

    relation: Relation
    port: str
    datapath: int
    key: int
    mac: str


class SnoopedSwitch(NamedTuple):
    """A switch whose multicast this chassis snoops, and how.

    Arguments:
        relation: `SNOOPED`.
        datapath: UUID of the switch's datapath.
        key: its tunnel key.
        table_size: the greatest number of groups.
        idle_timeout: seconds for which a membership lasts without a report.
        sequence: whenever it changes, everything is forgotten.
        query_interval: seconds between queries.
        queries: the frames of membership queries; none if this chassis is no querier.
    """

    relation: Relation
    datapath: UUID
    key: int
    table_size: int
    idle_timeout: int
    sequence: int
    query_interval: int
    queries: tuple[bytes, ...]


class HeardBefore(NamedTuple):
    """A group that this chassis reported before it was started: by the datapath and the ports' bindings."""

    relation: Relation
    datapath: UUID
    address: str
    ports: tuple[UUID, ...]


class AgedDatapath(NamedTuple):
    """A switch whose learned MAC addresses expire, or a router whose learned neighbours do.

    Arguments:
        relation: `AGED`.
        key: the tunnel key of the datapath.
        threshold: after how many milliseconds.
        neighbours: whether it is a router.
    """

    relation: Relation
    key: int
    threshold: int
    neighbours: bool = False


class Withdrawn(NamedTuple):
    """A group that has no members any more, and that Southbound does not have."""

    relation: Relation
    datapath: UUID
    address: str


class BoundPort(NamedTuple):
    """A router port at which routes are learned: its binding's UUID, and the interface they lead to, empty for any."""

    binding: UUID
    interface: str


class ExchangedRouter(NamedTuple):
    """A router whose routes this chassis exchanges with its kernel.

    Arguments:
        relation: `EXCHANGED_ROUTER`.
        datapath: UUID of its datapath.
        table: the number of its routing table.
        vrf: the name of the VRF device to make for it, empty for none.
        ports: the ports at which it learns routes.
    """

    relation: Relation
    datapath: UUID
    table: int
    vrf: str
    ports: tuple[BoundPort, ...]


class AnnouncedRoute(NamedTuple):
    """A route that a table of the kernel has to have.

    Arguments:
        relation: `ANNOUNCED_ROUTE`.
        route: the route.
    """

    relation: Relation
    route: KernelRoute


class ExchangeSettled(NamedTuple):
    """The fact that all routes to announce are known: the kernel's other ones are to be removed."""

    relation: Relation


ADDRESS_SET_FLOW = NamedRelation("flow of each member", AddressSetFlow)
FAILED = NamedRelation("port that the switch could not add", FailedPort)
NOTICE = NamedRelation("notice", Notice)
MONITOR_CLAUSE = NamedRelation("monitor clause", MonitorClause)
ZONE = NamedRelation("conntrack zone", ConntrackZone)
LIMIT = NamedRelation("limit of a conntrack zone", ZoneLimit)
GROUP = NamedRelation("group", SwitchGroup)
METER = NamedRelation("meter", SwitchMeter)
ANNOUNCED = NamedRelation("address to announce", Announcement)
ADVERTISED = NamedRelation("router advertisement", Advertisement)
SESSION = NamedRelation("BFD session", BfdSession)
BALANCED = NamedRelation("connections of a load balancer", BalancedConnections)
LABELLED = NamedRelation("connections with a label", LabelledConnections)
PROBED_BACKEND = NamedRelation("backend to probe", ProbedBackend)
DELEGATION = NamedRelation("prefix to ask for", Delegation)
SNOOPED = NamedRelation("switch to snoop in", SnoopedSwitch)
HEARD_BEFORE = NamedRelation("multicast group of before", HeardBefore)
AGED = NamedRelation("datapath where learned addresses expire", AgedDatapath)
WITHDRAWN = NamedRelation("multicast group that is gone", Withdrawn)
EXCHANGED_ROUTER = NamedRelation("router that exchanges routes", ExchangedRouter)
ANNOUNCED_ROUTE = NamedRelation("route to announce", AnnouncedRoute)
EXCHANGE_SETTLED = NamedRelation("all routes to announce are known", ExchangeSettled)


def encode_match(fields: Mapping[str, tuple[int, int]]) -> bytes:
    """Encode a match in the form in which the switch reports it: vlan_tci, not in OpenFlow 1.5, as two fields."""
    tci = fields.get("vlan_tci")
    if tci is not None:
        value, mask = tci
        fields = {name: masked for name, masked in fields.items() if name != "vlan_tci"}
        if mask & 0x1FFF:
            fields["vlan_vid"] = (value & 0x1FFF, mask & 0x1FFF)
        if mask & 0xE000:
            fields["vlan_pcp"] = (value >> 13, mask >> 13)
    return Match(fields).encode()


def flow(
    table: OFTable, priority: int, match: Mapping[str, tuple[int, int]], actions: Sequence[Action], cookie: int = 0
) -> Fact:
    """Make a flow's fact.

    Arguments:
        table: from 0 to 254.
        priority: from 0 to 65,535.
        match: value and mask of each field, by name.
        actions: in order; none for a flow that drops.
        cookie: 64 bits; the first half of the UUID of the Southbound row that the flow comes from.
    """
    return (FLOW, table, priority, encode_match(match), encode_actions(actions), cookie)


def part(
    table: OFTable,
    priority: int,
    match: Mapping[str, tuple[int, int]],
    cookie: int,
    order: tuple[int, ...],
    actions: Sequence[Action],
) -> Fact:
    """Make the fact of one piece of a flow.

    Arguments:
        table: from 0 to 254.
        priority: from 0 to 65,535.
        match: value and mask of each field, by name.
        cookie: 64 bits, of the whole flow.
        order: where the piece's actions stand among those of the others.
        actions: in order.
    """
    return (PART, table, priority, encode_match(match), cookie, order, encode_actions(actions))


def address_set_flow(
    match: Mapping[str, tuple[int, int]], *, field: str, address_set: str, head: Fact, tail: Fact
) -> Fact:
    """Make the fact of a flow with an address set: a template, instantiated for each member of the set.

    Arguments:
        match: the fields, among them `field`, whose value does not matter.
        field: the field that members are values of.
        address_set: the set's name.
        head: the members' facts up to the match: relation, table, priority.
        tail: the members' facts behind the match.
    """
    rank = FIELDS[field].rank
    before = encode_oxm({name: masked for name, masked in match.items() if FIELDS[name].rank < rank})
    after = encode_oxm({name: masked for name, masked in match.items() if FIELDS[name].rank > rank})
    return ADDRESS_SET_FLOW(address_set=address_set, field=field, before=before, after=after, head=head, tail=tail)


def cookie_of(row: Row) -> int:
    """Return the cookie of flows made for a row: the first 32 bits of its UUID, by which the row can be found."""
    return int(row.uuid[:8], 16)
