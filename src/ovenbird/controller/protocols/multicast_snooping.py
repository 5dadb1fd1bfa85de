"""IGMP and MLD snooping: the memberships that hosts report, and a querier that makes them report.

Flows of a switch that snoops punt its reports and queries to the controller (the action `igmp;`). The memberships of
ports on this chassis are kept in a table (`membership_table`), from which this chassis's rows of IGMP_Group are
written; northd makes flows from the rows of all chassis. Reports are forwarded to the ports with multicast routers, and
other packets to every port except those to routers (RFC 4541, section 2.1.1). If IP_Multicast enables the querier, this
chassis queries its hosts periodically; the first query is repeated soon, since a query may be lost.

Rows that this chassis wrote before a restart stay valid until the idle timeout, so that a restart does not interrupt
the members.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.controller.edits import EDIT, REMOVAL, EditRelation, to
from ovenbird.controller.facts import HEARD_BEFORE, SNOOPED, WITHDRAWN
from ovenbird.controller.local.local_data import hosted_row, is_hosted
from ovenbird.controller.local.local_store import Listeners, progress
from ovenbird.controller.local.notices import warning
from ovenbird.controller.local.settings import own_chassis, settings
from ovenbird.controller.packet_registers import register
from ovenbird.controller.protocols.membership_table import MembershipTable
from ovenbird.engine.lookups import get, select, table
from ovenbird.engine.rules import rule
from ovenbird.engine.serial_uuids import serial_uuids
from ovenbird.engine.views import view
from ovenbird.model.sb import IGMPGroup, IPMulticast, PortBinding
from ovenbird.model.southbound_lookup import port_by_keys
from ovenbird.net import ethernet, igmp, mld
from ovenbird.net.addresses import ip_text, ipv4_bytes, ipv6_bytes, mac_bytes, multicast_mac
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv4 import IPv4
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.membership import ROBUSTNESS, MembershipKind
from ovenbird.openflow.actions import Port, Resubmit, SetField
from ovenbird.openflow.messages import PacketOut
from ovenbird.pipeline.flag_bits import FlagBit
from ovenbird.pipeline.multicast_groups import FLOOD_L2, MROUTER_FLOOD, MROUTERS
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovenbird.controller.facts import HeardBefore, SnoopedSwitch, Withdrawn
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Row, Store
    from ovenbird.net.membership import Membership
    from ovenbird.openflow.actions import Action
    from ovenbird.openflow.messages import Message, PacketIn
    from ovenbird.ovsdb.transaction import Transaction

TABLE_SIZE, LARGEST_TABLE = 2048, 32_766
IDLE_TIMEOUT, LONGEST_TIME = 300, 86_400
MOST_RESPONSE = 25
"""The largest maximum response time in seconds that a query can encode in tenths of a second."""

_SOON = 0.02
"""Seconds for which changes of memberships are collected before they are written."""
_STARTUP = 4
"""The divisor of the query interval after which the first query is repeated (RFC 3376, section 8.6)."""

_LOCAL_ONLY = SetField.bits(FlagBit.LOCAL_ONLY.bits, 1)


class NewGroup(NamedTuple):
    """A row of IGMP_Group to insert; servers of before 24.09 have no column for the protocol and the chassis' name."""

    relation: EditRelation[..., Any]
    address: str
    datapath: UUID
    chassis: UUID
    ports: tuple[UUID, ...]
    protocol: str
    chassis_name: str

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return IGMPGroup

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the new multicast group {self.address}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Insert the row, with the ports that exist.

        Arguments:
            store: Southbound's rows.
            transaction: on that database.
        """
        there = store.table(PortBinding).rows
        ports = frozenset([uuid for uuid in self.ports if uuid in there])
        values = {"address": self.address, "datapath": self.datapath, "chassis": self.chassis, "ports": ports}
        newer = {"protocol": self.protocol, "chassis_name": self.chassis_name}
        transaction.insert(IGMPGroup, values | newer)


ADD_GROUP = EditRelation("multicast group to add", NewGroup)


# -- rules ------------------------------------------------------------------------------------------------------------


@view
def snoops(datapath: UUID) -> bool:
    """Return whether this chassis snoops in a switch."""
    return is_hosted(datapath) and any(row.enabled for row in select(IPMulticast.datapath, datapath))


@rule(IPMulticast)
def snooped(row: IPMulticast) -> Iterator[Fact]:
    """Yield a switch in which this chassis snoops."""
    uuid = IPMulticast.datapath.raw(row)
    datapath = hosted_row(uuid) if uuid is not None and snoops(uuid) else None
    if datapath is None:
        return
    idle = _within(row.idle_timeout, 1, LONGEST_TIME, IDLE_TIMEOUT)
    interval = _within(row.query_interval, 1, LONGEST_TIME, max(idle // 2, 1))
    try:
        queries = tuple(queries_of(row, interval))
    except PacketError as error:
        queries = ()
        yield warning(f"the switch of datapath {uuid}: no multicast queries: {error}")
    yield SNOOPED(
        datapath=uuid,
        key=datapath.tunnel_key,
        table_size=_within(row.table_size, 1, LARGEST_TABLE, TABLE_SIZE),
        idle_timeout=idle,
        sequence=row.seq_no,
        query_interval=interval,
        queries=queries,
    )


def _within(value: int | None, low: int, high: int, default: int) -> int:
    return default if value is None else min(max(value, low), high)


def queries_of(row: IPMulticast, interval: int) -> Iterator[bytes]:
    """Yield the queries of a switch, one for each IP version with a source address; none without a MAC address.

    Arguments:
        row: the switch's snooping settings.
        interval: seconds between queries.

    Raises:
        PacketError: an address in the settings is invalid.
    """
    if not row.querier or not row.eth_src:
        return
    mac, response = mac_bytes(row.eth_src), _within(row.query_max_resp, 1, MOST_RESPONSE, 1)
    if row.ip4_src:
        four = igmp.general_query(ipv4_bytes(row.ip4_src), max_response=response, interval=interval)
        yield Ethernet(dst=multicast_mac(four.dst), src=mac, ethertype=ethernet.IPV4, payload=four.encode()).encode()
    if row.ip6_src:
        six = mld.general_query(ipv6_bytes(row.ip6_src), max_response=response, interval=interval)
        yield Ethernet(dst=multicast_mac(six.dst), src=mac, ethertype=ethernet.IPV6, payload=six.encode()).encode()


def _own_row(datapath: UUID, address: str) -> IGMPGroup | None:
    """Return this chassis's row of a group."""
    index = table(IGMPGroup).index(IGMPGroup.address, IGMPGroup.datapath, IGMPGroup.chassis)
    found = index.rows((address, datapath, own_chassis()))
    return found[0] if found else None


@rule(Listeners)
def listeners(heard: Listeners) -> Iterator[Fact]:
    """Yield the changes that make Southbound's row of a group equal to its members here."""
    me, row = own_chassis(), _own_row(heard.datapath, heard.address)
    ports = frozenset([uuid for uuid in heard.ports if get(PortBinding, uuid) is not None])
    if not ports and row is not None:
        yield REMOVAL(IGMPGroup, row.uuid)
    elif not heard.ports:
        yield WITHDRAWN(heard.datapath, heard.address)
    elif not ports or me is None or not is_hosted(heard.datapath):
        return
    elif row is None:
        yield ADD_GROUP(
            heard.address,
            datapath=heard.datapath,
            chassis=me,
            ports=tuple(sorted(ports)),
            protocol=heard.protocol,
            chassis_name=settings().chassis,
        )
    elif IGMPGroup.ports.raw(row) != ports:
        yield EDIT(row, to(IGMPGroup.ports, ports))


@rule(IGMPGroup)
def reported(row: IGMPGroup) -> Iterator[Fact]:
    """Resume the memberships in a row that this chassis wrote before a restart; delete the row if it does not snoop."""
    me, datapath = own_chassis(), IGMPGroup.datapath.raw(row)
    if me is None or IGMPGroup.chassis.raw(row) != me:
        return
    if datapath is None or not snoops(datapath):
        if progress().settled and not progress().stopping:
            yield REMOVAL(IGMPGroup, row.uuid)
    elif not table(Listeners).index(Listeners.datapath, Listeners.address).rows((datapath, row.address)):
        yield HEARD_BEFORE(datapath, row.address, tuple(sorted(IGMPGroup.ports.raw(row))))


# -- packets ----------------------------------------------------------------------------------------------------------


class Snooper:
    """The snooping state of one switch."""

    __slots__ = ("fact", "members", "next_query", "queries_sent")

    def __init__(self, fact: SnoopedSwitch, now: float) -> None:
        self.fact = fact
        self.members = MembershipTable(size=fact.table_size, timeout=fact.idle_timeout)
        self.next_query = now
        self.queries_sent = 0

    def configure(self, fact: SnoopedSwitch, now: float) -> None:
        """Apply new settings; keep the memberships, unless `seq_no` requests a flush.

        Arguments:
            fact: the settings.
            now: the time in seconds.
        """
        before, self.fact = self.fact, fact
        self.members.resize(size=fact.table_size, timeout=fact.idle_timeout)
        if fact.sequence != before.sequence:
            self.members.clear()
        if (fact.queries, fact.query_interval) != (before.queries, before.query_interval):
            self.next_query, self.queries_sent = now, 0

    @property
    def due(self) -> float | None:
        """When the next timer of the switch is due; None for never."""
        ends = self.members.next_end
        if not self.fact.queries:
            return ends
        return self.next_query if ends is None else min(ends, self.next_query)

    def queries(self, now: float) -> tuple[bytes, ...]:
        """Return the queries that are due."""
        if not self.fact.queries or self.next_query > now:
            return ()
        self.queries_sent = min(self.queries_sent + 1, ROBUSTNESS)
        pause = self.fact.query_interval / (_STARTUP if self.queries_sent < ROBUSTNESS else 1)
        self.next_query = now + pause
        return self.fact.queries


class Snoopers:
    """Snoops in the switches of one chassis.

    Arguments:
        send: sends a message to the switch.
        own: the controller's local rows, in which the memberships are recorded.
        wake: called when these have changed.
        clock: returns the time in seconds; monotonic.
    """

    def __init__(
        self,
        send: Callable[[Message], None],
        own: Store,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._own = own
        self._wake = wake
        self._clock = clock
        self._southbound: Store | None = None
        self._snoopers: dict[UUID, Snooper] = {}
        self._by_key: dict[int, Snooper] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0

    def attach(self, southbound: Store) -> None:
        """Set the rows of Southbound in which ports are looked up."""
        self._southbound = southbound

    def absorb(self, *, added: Iterable[SnoopedSwitch], removed: Iterable[SnoopedSwitch]) -> None:
        """Process a wave's facts; a switch whose settings change keeps its memberships."""
        now, coming = self._clock(), {fact.datapath: fact for fact in added}
        for fact in removed:
            snooper = self._snoopers.get(fact.datapath)
            if snooper is not None:
                self._by_key.pop(fact.key, None)
                if fact.datapath not in coming:
                    snooper.members.clear()
                    self._publish(snooper)
                    del self._snoopers[fact.datapath]
        for uuid, fact in coming.items():
            snooper = self._snoopers.get(uuid)
            if snooper is None:
                snooper = self._snoopers[uuid] = Snooper(fact, now)
            else:
                snooper.configure(fact, now)
            self._by_key[fact.key] = snooper
        self._schedule(_SOON)

    def adopt(self, *, added: Iterable[HeardBefore], removed: Iterable[HeardBefore]) -> None:  # noqa: ARG002 (a sink's)
        """Resume memberships that were written before a restart; those beyond the table's size are withdrawn."""
        now = self._clock()
        for fact in added:
            snooper = self._snoopers.get(fact.datapath)
            if snooper is None:
                self._record(fact.datapath, fact.address, frozenset())
                continue
            snooper.members.resume(fact.address, fact.ports, now=now)
            self._publish(snooper)
        self._schedule(_SOON)

    def forget(self, *, added: Iterable[Withdrawn], removed: Iterable[Withdrawn]) -> None:  # noqa: ARG002 (a sink's)
        """Remove the records of groups that are deleted from Southbound, unless they have members again."""
        for fact in added:
            row = self._recorded(fact.datapath, fact.address)
            if row is not None and not row.ports:
                row.home.delete(row)
                self._wake()

    def close(self) -> None:
        """Stop snooping; the rows stay in Southbound, and the next start resumes them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._snoopers.clear()
        self._by_key.clear()
        for row in list(self._own.table(Listeners).rows.values()):
            row.home.delete(row)

    def receive(self, packet_in: PacketIn) -> None:
        """Process a report or a query.

        Raises:
            PacketError: it is malformed, or does not come from a port of a switch that snoops.
        """
        datapath, key = register(packet_in, "metadata"), register(packet_in, "reg14")
        if register(packet_in, "in_port_oxm") == Port.CONTROLLER:  # between zones such packets come back
            raise PacketError("a packet that was sent on before")
        snooper = self._by_key.get(datapath)
        if snooper is None or self._southbound is None:
            raise PacketError(f"multicast membership in datapath {datapath}, which does not snoop")
        port = port_by_keys(self._southbound, datapath=datapath, port=key)
        if port is None:
            raise PacketError(f"multicast membership from port {key} of datapath {datapath}")
        membership, source = membership_of(packet_in.packet)
        self._take(snooper, port.uuid, membership, asked_by=source)
        group = MROUTER_FLOOD if membership.kind is MembershipKind.REPORT else FLOOD_L2
        there = (SetField.of("metadata", datapath), SetField.of("reg14", key), SetField.of("reg15", group[1]))
        self._send(PacketOut(packet=packet_in.packet, actions=(*there, Resubmit(OFTable.OUTPUT_LARGE_PKT_DETECT))))

    def _take(self, snooper: Snooper, port: UUID, membership: Membership, *, asked_by: bytes) -> None:
        now, members = self._clock(), snooper.members
        if membership.kind is MembershipKind.QUERY and any(asked_by):  # 0.0.0.0 is that of a switch (RFC 4541, 2.1.1)
            members.hear_router(port, now=now)
        for address in membership.left:
            members.leave(ip_text(address), port)
        for address in membership.joined:
            members.join(ip_text(address), port, now=now, protocol=membership.protocol)
        self._schedule(_SOON)

    # -- time ---------------------------------------------------------------------------------------------------------

    def _schedule(self, pause: float) -> None:
        """Run `look` after some seconds, unless it is already scheduled earlier."""
        due = self._clock() + pause
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = asyncio.get_running_loop().call_later(pause, self._tick)

    def _tick(self) -> None:
        self._timer = None
        due = self.look()
        if due is not None:
            self._schedule(max(due - self._clock(), _SOON))

    def look(self) -> float | None:
        """Send due queries, expire memberships and record changes; return when the next timer is due."""
        now = self._clock()
        for snooper in self._snoopers.values():
            for frame in snooper.queries(now):
                self._send(PacketOut(packet=frame, actions=_to_hosts(snooper.fact.key)))
            snooper.members.expire(now)
            self._publish(snooper)
        return min([due for each in self._snoopers.values() if (due := each.due) is not None], default=None)

    # -- memberships --------------------------------------------------------------------------------------------------

    def _publish(self, snooper: Snooper) -> None:
        """Record the changed memberships of a switch."""
        members, datapath = snooper.members, snooper.fact.datapath
        for address in members.changed:
            ports = frozenset(members.groups.get(address, ()))
            self._record(datapath, address, ports, members.protocols.get(address, ""))
        members.changed.clear()
        if members.routers_changed:
            members.routers_changed = False
            self._record(datapath, MROUTERS, frozenset(members.routers))

    def _recorded(self, datapath: UUID, address: str) -> Listeners | None:
        index = self._own.table(Listeners).index(Listeners.datapath, Listeners.address)
        found = index.rows((datapath, address))
        return found[0] if found else None

    def _record(self, datapath: UUID, address: str, ports: frozenset[UUID], protocol: str = "") -> None:
        row = self._recorded(datapath, address)
        if row is None:
            self._own.table(Listeners).insert(serial_uuids(1)[0], [datapath, address, ports, protocol])
        elif row.ports != ports:
            row.home.modify(row, {Listeners.ports.index: ports, Listeners.protocol.index: protocol})
        else:
            return
        self._wake()


def _to_hosts(datapath: int) -> tuple[Action, ...]:
    """Return the actions that send a packet to all hosts of a switch on this chassis."""
    where = (SetField.of("metadata", datapath), SetField.of("reg15", FLOOD_L2[1]))
    return (*where, _LOCAL_ONLY, Resubmit(OFTable.LOCAL_OUTPUT))


def membership_of(packet: bytes) -> tuple[Membership, bytes]:
    """Return the membership message in a frame, and the IP address of its sender.

    Raises:
        PacketError: the frame is not a valid IGMP or MLD message.
    """
    frame = Ethernet.decode(packet)
    if frame.ethertype == ethernet.IPV4:
        four = IPv4.decode(frame.payload)
        return igmp.decode(four), four.src
    if frame.ethertype == ethernet.IPV6:
        six = IPv6.decode(frame.payload)
        return mld.decode(six), six.src
    raise PacketError(f"multicast membership in Ethernet type {frame.ethertype:#06x}")
