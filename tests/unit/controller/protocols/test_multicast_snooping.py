"""A chassis hears reports and queries: what it writes to Southbound, what it sends on, and when it asks itself."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.controller.edits import EDIT, REMOVAL
from ovenbird.controller.facts import HEARD_BEFORE, SNOOPED, WITHDRAWN
from ovenbird.controller.local.local_store import Listeners
from ovenbird.controller.protocols import multicast_snooping
from ovenbird.controller.protocols.multicast_snooping import ADD_GROUP, Snoopers
from ovenbird.model import sb
from ovenbird.net import ethernet, igmp, mld
from ovenbird.net.addresses import ip_text, ipv4_bytes
from ovenbird.net.checksum import internet_checksum
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv4 import IGMP, IPv4
from ovenbird.net.ipv6 import IPv6
from ovenbird.openflow.actions import Port, Resubmit, SetField
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import PacketIn
from ovenbird.pipeline.multicast_groups import FLOOD_L2, MROUTER_FLOOD, MROUTERS

JOIN, LEAVE, QUERY = 0x16, 0x17, 0x11
KINDS = (SNOOPED, HEARD_BEFORE, WITHDRAWN, ADD_GROUP, REMOVAL)
QUERIER = {"querier": True, "eth_src": "02:00:00:00:00:fe", "ip4_src": "10.0.0.254", "ip6_src": "fe80::fe"}


def packet(kind, group="239.0.0.1", *, key=1, datapath=7, source="10.0.0.1"):
    message = bytes([kind, 0, 0, 0]) + ipv4_bytes(group if kind != QUERY else "0.0.0.0")
    message = message[:2] + internet_checksum(message).to_bytes(2, "big") + message[4:]
    ip = IPv4(src=ipv4_bytes(source), dst=ipv4_bytes("224.0.0.22"), proto=IGMP, payload=message, ttl=1)
    frame = Ethernet(dst=bytes([1, 0, 94, 0, 0, 22]), src=bytes(6), ethertype=ethernet.IPV4, payload=ip.encode())
    return packet_in(frame.encode(), key=key, datapath=datapath)


def packet_in(frame, *, key=1, datapath=7):
    return PacketIn(frame, Match({"metadata": (datapath, (1 << 64) - 1), "reg14": (key, 0xFFFFFFFF)}))


class Chassis:
    """A chassis in memory whose snoopers do what the rules say, by a clock that the test turns."""

    def __init__(self, world, **settings):
        self.world, self.now, self.sent = world, 1000.0, []
        for kind in KINDS:
            world.facts[kind] = set()
        self.switch = world.switch(7)
        self.ports = {}
        for key in (1, 2, 3):
            self.ports[key] = world.lport(self.switch, f"p{key}", key)
            world.port_on_bridge(f"tap{key}", 10 + key, iface_id=f"p{key}")
        self.settings = world.add(sb.IPMulticast, datapath=self.switch.uuid, enabled=True, **settings)
        self.start()

    def start(self):
        """Begin with nothing in mind, as a program that has just been started."""
        for row in list(self.world.own.table(Listeners).rows.values()):
            row.home.delete(row)
        self.snoopers = Snoopers(self.sent.append, self.world.own, lambda: None, lambda: self.now)
        self.snoopers.attach(self.world.sb)
        self.known = {kind: set() for kind in KINDS}
        self.turn()

    def turn(self):
        """Run the rules and the snoopers until nothing changes, with the edits that they ask for."""
        for _ in range(20):
            self.world.run()
            added = {kind: self.world.facts[kind] - self.known[kind] for kind in KINDS}
            removed = {kind: self.known[kind] - self.world.facts[kind] for kind in KINDS}
            self.known = {kind: set(self.world.facts[kind]) for kind in KINDS}
            self.snoopers.absorb(added=added[SNOOPED], removed=removed[SNOOPED])
            self.snoopers.adopt(added=added[HEARD_BEFORE], removed=removed[HEARD_BEFORE])
            self.snoopers.forget(added=added[WITHDRAWN], removed=removed[WITHDRAWN])
            self.snoopers.look()
            for fact in self.world.facts[ADD_GROUP]:
                columns = ("address", "datapath", "chassis", "protocol", "chassis_name")
                values = {name: getattr(fact, name) for name in columns}
                self.world.add(sb.IGMPGroup, **values, ports=frozenset(fact.ports))
            for fact in self.world.facts[REMOVAL]:
                self.world.delete(self.world.sb.table(sb.IGMPGroup).rows[fact.uuid])
            for fact in [each for each in self.world.facts[EDIT] if each.row_class is sb.IGMPGroup]:
                self.world.set(self.world.sb.table(sb.IGMPGroup).rows[fact.uuid], **dict(fact.changes))
            if self.world.engine.idle:
                return
        raise AssertionError("this does not settle")

    def receive(self, *packets):
        for each in packets:
            self.snoopers.receive(each)
        self.turn()

    def wait(self, seconds):
        self.now += seconds
        self.turn()

    @property
    def rows(self):
        """What Southbound says that this chassis heard: addresses, and the ports' keys."""
        names = {row.uuid: key for key, row in self.ports.items()}
        rows = self.world.sb.table(sb.IGMPGroup).rows.values()
        return {row["address"]: {names.get(uuid, 0) for uuid in row["ports"]} for row in rows}

    def outputs(self):
        """Take what was sent: the groups that it went to."""
        sent, self.sent[:] = list(self.sent), []
        return [
            next(a.value for a in out.actions if getattr(a, "field", None) and a.field.name == "reg15") for out in sent
        ]


@pytest.fixture
def loop():
    """A loop that timers can be set in; nothing runs it."""
    loop = asyncio.new_event_loop()
    asyncio.events._set_running_loop(loop)
    yield loop
    asyncio.events._set_running_loop(None)
    loop.close()


@pytest.fixture
def chassis(world, loop):
    return Chassis(world)


def test_memberships_are_written_to_southbound(chassis):
    chassis.receive(packet(JOIN), packet(JOIN, key=2), packet(JOIN, "239.0.0.2", key=2))
    assert chassis.rows == {"239.0.0.1": {1, 2}, "239.0.0.2": {2}}
    chassis.receive(packet(LEAVE, key=2), packet(LEAVE, "239.0.0.2", key=2))
    assert chassis.rows == {"239.0.0.1": {1}}
    chassis.receive(packet(LEAVE))
    assert chassis.rows == {}
    assert not chassis.world.own.table(Listeners).rows
    chassis.receive(packet(JOIN))
    assert chassis.rows == {"239.0.0.1": {1}}


def test_a_row_names_the_oldest_protocol_that_reported_its_group_and_the_chassis(chassis):
    chassis.receive(packet(0x12), packet(JOIN, key=2), packet(JOIN, "239.0.0.2"))
    rows = chassis.world.sb.table(sb.IGMPGroup).rows.values()
    assert {row["address"]: row["protocol"] for row in rows} == {"239.0.0.1": "IGMPv1", "239.0.0.2": "IGMPv2"}
    assert {row["chassis_name"] for row in rows} == {"hv1"}
    chassis.receive(packet(LEAVE, "239.0.0.2"))
    chassis.receive(packet(0x12, "239.0.0.2"))
    assert [row["protocol"] for row in rows if row["address"] == "239.0.0.2"] == ["IGMPv1"]


def test_reports_are_forwarded_to_routers_and_other_packets_are_flooded(chassis):
    chassis.receive(packet(JOIN), packet(LEAVE), packet(QUERY), packet(0x30))
    sent = list(chassis.sent)
    assert chassis.outputs() == [MROUTER_FLOOD[1], MROUTER_FLOOD[1], FLOOD_L2[1], FLOOD_L2[1]]
    assert sent[0].packet == packet(JOIN).packet
    assert [a.value for a in sent[0].actions[:2]] == [7, 1]
    assert sent[0].actions[-1] == Resubmit(37)


def test_a_report_that_the_controller_forwarded_is_not_forwarded_again(chassis):
    """Between availability zones reports are looked at in the egress pipeline, which they pass once more then."""
    again = packet(JOIN)
    again = PacketIn(again.packet, Match(dict(again.metadata) | {"in_port_oxm": (Port.CONTROLLER, 0xFFFFFFFF)}))
    with pytest.raises(PacketError):
        chassis.snoopers.receive(again)


def test_a_port_with_queries_is_a_router_port_for_a_while(chassis):
    chassis.receive(packet(QUERY, key=3), packet(QUERY, key=2, source="0.0.0.0"))
    assert chassis.rows == {MROUTERS: {3}}
    chassis.wait(256)
    assert chassis.rows == {}


def test_a_group_that_is_not_reported_any_more_ends(chassis):
    chassis.world.set(chassis.settings, idle_timeout=60)
    chassis.turn()
    chassis.receive(packet(JOIN))
    chassis.wait(59)
    assert chassis.rows == {"239.0.0.1": {1}}
    chassis.wait(2)
    assert chassis.rows == {}


def test_groups_are_flushed_when_the_sequence_number_changes(chassis):
    chassis.receive(packet(JOIN), packet(QUERY, key=3))
    chassis.world.set(chassis.settings, seq_no=1)
    chassis.turn()
    assert chassis.rows == {}


def test_the_table_has_a_size(chassis):
    chassis.world.set(chassis.settings, table_size=3)
    chassis.turn()
    chassis.receive(packet(JOIN, "239.1.0.1", key=2), *[packet(JOIN, f"239.0.0.{n}") for n in range(1, 20)])
    assert chassis.rows == {"239.1.0.1": {2}, "239.0.0.18": {1}, "239.0.0.19": {1}}


@pytest.mark.parametrize("how", ["disabled", "deleted", "unplugged"])
def test_groups_of_a_switch_that_stops_snooping_are_removed(chassis, how):
    chassis.receive(packet(JOIN))
    if how == "disabled":
        chassis.world.set(chassis.settings, enabled=False)
    elif how == "deleted":
        chassis.world.delete(chassis.settings)
    else:
        for key in (1, 2, 3):
            chassis.world.unplug(
                next(i for i in chassis.world.vs.tables["Interface"].rows.values() if i["name"] == f"tap{key}")
            )
    chassis.turn()
    assert chassis.rows == {}
    assert not chassis.world.own.table(Listeners).rows
    with pytest.raises(PacketError):
        chassis.snoopers.receive(packet(JOIN))


def test_a_restart_keeps_the_memberships(chassis):
    chassis.receive(packet(JOIN), packet(QUERY, key=3))
    other = chassis.world.other.uuid
    chassis.world.add(sb.IGMPGroup, address="239.0.0.9", datapath=chassis.switch.uuid, chassis=other)
    before = chassis.rows
    chassis.start()
    assert chassis.rows == before
    chassis.wait(299)
    assert chassis.rows == {"239.0.0.1": {1}, "239.0.0.9": set()}
    chassis.wait(2)
    assert chassis.rows == {"239.0.0.9": set()}  # another chassis's


def test_removed_ports_are_no_members(chassis):
    chassis.receive(packet(JOIN), packet(JOIN, key=2))
    (row,) = chassis.world.sb.table(sb.IGMPGroup).rows.values()
    gone = chassis.ports.pop(1)
    chassis.world.set(row, ports=row["ports"] - {gone.uuid})  # a weak reference
    chassis.world.delete(gone)
    chassis.turn()
    assert chassis.rows == {"239.0.0.1": {2}}
    with pytest.raises(PacketError):
        chassis.snoopers.receive(packet(JOIN))
    chassis.ports[1] = chassis.world.lport(chassis.switch, "another", 1)
    chassis.turn()
    assert chassis.rows == {"239.0.0.1": {2}}


def test_hosts_are_asked_at_intervals(world, loop):
    chassis = Chassis(world, query_interval=100, query_max_resp=5, **QUERIER)
    four, six = (out.packet for out in chassis.sent)
    assert IPv4.decode(Ethernet.decode(four).payload).src == ipv4_bytes("10.0.0.254")
    assert igmp.decode(IPv4.decode(Ethernet.decode(four).payload)).kind.value == "query"
    assert mld.decode(IPv6.decode(Ethernet.decode(six).payload)).kind.value == "query"
    (metadata, outport, local, last) = chassis.sent[0].actions
    assert isinstance(local, SetField)
    assert (metadata.value, outport.value, last) == (7, FLOOD_L2[1], Resubmit(40))
    chassis.outputs()
    counts = []
    for _ in range(9):
        chassis.wait(25)
        counts.append(len(chassis.outputs()))
    assert counts == [2, 0, 0, 0, 2, 0, 0, 0, 2]  # once more soon, since the first may be lost
    chassis.world.set(chassis.settings, querier=False)
    chassis.turn()
    chassis.wait(1000)
    assert chassis.outputs() == []


@pytest.mark.parametrize(
    ("values", "frames"), [({"eth_src": ""}, 0), ({"ip6_src": ""}, 1), ({"eth_src": "zz"}, 0), ({"ip4_src": "1.2"}, 0)]
)
def test_a_querier_without_addresses_sends_no_queries(world, loop, values, frames):
    chassis = Chassis(world, **(QUERIER | values))
    assert len(chassis.sent) == frames
    chassis.receive(packet(JOIN))
    assert chassis.rows == {"239.0.0.1": {1}}


def test_a_report_runs_its_own_rules(chassis):
    chassis.receive(*[packet(JOIN, f"239.0.1.{n}", key=2) for n in range(50)])
    chassis.snoopers.receive(packet(JOIN))
    chassis.snoopers.look()
    assert chassis.world.run() == {"listeners": 1}


@given(st.binary(max_size=120), st.sampled_from([ethernet.IPV4, ethernet.IPV6, 0x1234]))
def test_malformed_reports_are_packet_errors(noise, kind):
    frame = Ethernet(dst=bytes(6), src=bytes(6), ethertype=kind, payload=noise).encode()
    with pytest.raises(PacketError):
        multicast_snooping.membership_of(frame)


def test_addresses_are_in_their_usual_form():
    assert ip_text(ipv4_bytes("239.0.0.1")) == "239.0.0.1"
