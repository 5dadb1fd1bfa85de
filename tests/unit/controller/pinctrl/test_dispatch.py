"""Packets that are handed up: their turns, those that wait for a neighbour, and what they teach."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.controller.facts import ANNOUNCED, METER
from ovenbird.controller.ofctrl.meter_table import MeterTable
from ovenbird.controller.pinctrl import controller_events, dispatch
from ovenbird.controller.pinctrl import mac_learning as notebooks
from ovenbird.controller.pinctrl.activation import Activated
from ovenbird.controller.pinctrl.buffered_packets import BUFFER_TIMEOUT, NEIGHBOURS, PER_NEIGHBOUR, BufferedPackets
from ovenbird.controller.pinctrl.dispatch import PacketIns
from ovenbird.controller.pinctrl.fair_queue import PER_KIND, PER_PORT, FairQueue
from ovenbird.controller.pinctrl.mac_learning import Learned, MacLearning, learned
from ovenbird.lang.actions.report import TriggerEvent
from ovenbird.lang.actions.userdata import WITH_RESULT, Opcode, Userdata
from ovenbird.model import sb
from ovenbird.net import ethernet
from ovenbird.net.arp import Arp
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv4 import UDP, IPv4
from ovenbird.openflow.actions import Controller, Resubmit, SetField, decode_actions
from ovenbird.openflow.errors import OpenFlowError
from ovenbird.openflow.fields import Subfield
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import MeterConfig, MeterFlag, MeterMod, ModCommand, PacketIn, PacketOut, Resume
from ovenbird.ovsdb.errors import OvsdbError, TimedOut
from support.waiting import until_async

ROUTER, HOST = bytes.fromhex("0a00000000fe"), bytes.fromhex("0a0000000001")
NEIGHBOUR = "0a:00:00:00:00:07"
NEXT_HOP = bytes([172, 16, 0, 9])


def packet_in(opcode, *, port=1, datapath=7, packet=b"", **registers):
    fields = {"metadata": datapath, "reg14": port, **registers}
    return PacketIn(packet, Match.exact(**fields), userdata=Userdata(opcode).encode())


def routed(number=0):
    """A packet that a router hands up because it does not know the next hop."""
    ip = IPv4(src=bytes([10, 0, 0, 1]), dst=bytes([8, 8, 8, 8]), proto=UDP, payload=bytes([number]) * 8).encode()
    frame = Ethernet(dst=bytes(6), src=ROUTER, ethertype=ethernet.IPV4, payload=ip)
    return packet_in(Opcode.ARP, packet=frame.encode(), reg15=3, reg0=int.from_bytes(NEXT_HOP, "big"))


# -- turns ------------------------------------------------------------------------------------------------------------


def test_a_ports_flood_delays_others_by_a_packet_at_most():
    turns = FairQueue()
    flood = [packet_in(Opcode.PUT_DHCP_OPTS, port=1) for _ in range(PER_PORT)]
    for one in flood:
        assert turns.put(one)
    others = [packet_in(Opcode.PUT_DHCP_OPTS, port=2), packet_in(Opcode.ARP, port=1)]
    for one in others:
        turns.put(one)
    assert [turns.take() for _ in range(4)] == [flood[0], *others, flood[1]]


def test_packets_beyond_the_bounds_are_dropped_and_counted_by_kind():
    turns = FairQueue()
    for _ in range(PER_PORT + 5):
        turns.put(packet_in(Opcode.ARP))
    assert (len(turns), turns.dropped[Opcode.ARP], turns.received[Opcode.ARP]) == (PER_PORT, 5, PER_PORT + 5)
    for port in range(PER_KIND):
        turns.put(packet_in(Opcode.ARP, port=port + 2))
    assert len(turns) == PER_KIND
    assert turns.put(packet_in(Opcode.PUT_ND))
    taken = 0
    while turns.take() is not None:
        taken += 1
    assert taken == PER_KIND + 1
    assert turns.put(packet_in(Opcode.ARP))


async def test_other_ports_packets_are_handled_during_a_flood(monkeypatch):
    handled, now = [], 0.0
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(perf_counter=lambda: now))
    ins = PacketIns(lambda _message: None, {Opcode.IGMP: handled.append})
    ins_handle = ins.handle

    def slow(one):
        nonlocal now
        ins_handle(one)
        now += 0.001

    ins.handle = slow
    for port in range(10):
        for _ in range(20):
            ins.receive(packet_in(Opcode.IGMP, port=port))
    turns = 0
    while len(handled) < 200:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 50


async def test_a_packet_that_breaks_something_does_not_stop_the_next(caplog):
    handled = []

    def break_first(one):
        handled.append(one)
        if len(handled) == 1:
            raise ZeroDivisionError

    ins = PacketIns(lambda _message: None, {Opcode.IGMP: break_first})
    ins.receive(packet_in(Opcode.IGMP))
    ins.receive(packet_in(Opcode.IGMP))
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(handled) == 2
    (said,) = caplog.records
    assert said.exc_info[0] is ZeroDivisionError
    ins.receive(packet_in(Opcode.ARP, packet=b"short"))
    await asyncio.sleep(0)
    assert not ins.queue
    assert len(caplog.records) == 1


@given(data=st.data(), opcode=st.sampled_from(Opcode))
def test_no_packet_breaks_anything(data, opcode):
    ins = PacketIns(lambda message: message.encode())
    ip = IPv4(
        src=bytes([10, 0, 0, 1]),
        dst=bytes([8, 8, 8, 8]),
        proto=data.draw(st.sampled_from([1, 6, 17, 132])),
        payload=bytes(60),
    ).encode()
    ethertype = data.draw(st.sampled_from([ethernet.IPV4, ethernet.IPV6, ethernet.ARP]))
    frame = bytearray(Ethernet(dst=bytes(6), src=ROUTER, ethertype=ethertype, payload=ip).encode())
    for hosted_datapath, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(frame) - 1), st.integers(0, 255)), max_size=8)
    ):
        frame[hosted_datapath] = value
    cut = bytes(frame[: data.draw(st.integers(0, len(frame)))])
    result = Subfield.of("reg0", ofs=3, n_bits=1) if opcode in WITH_RESULT else None
    userdata = Userdata(opcode, result, data.draw(st.binary(max_size=24))).encode()
    fields = Match.exact(metadata=data.draw(st.integers(0, 1)), reg14=1, reg15=1)
    with contextlib.suppress(PacketError, OpenFlowError, RuntimeError):  # no loop: what would be written is not
        ins.handle(PacketIn(cut, fields, userdata=userdata, continuation=data.draw(st.sampled_from([b"", b"paused"]))))


# -- packets that wait for a neighbour --------------------------------------------------------------------------------


def test_a_held_packet_is_sent_when_its_neighbour_is_known():
    sent = []
    held = BufferedPackets(sent.append)
    assert held.hold(routed(1), None)
    assert held.hold(routed(2), None)
    held.found((7, 3, "172.16.0.8"), NEIGHBOUR)
    assert not sent
    held.found((7, 3, "172.16.0.9"), NEIGHBOUR)
    frames = [Ethernet.decode(message.packet) for message in sent]
    assert [(frame.dst.hex(":"), frame.src, frame.payload[-1]) for frame in frames] == [
        (NEIGHBOUR, ROUTER, 1), (NEIGHBOUR, ROUTER, 2),
    ]  # fmt: skip
    actions = decode_actions(sent[0].actions)
    assert actions[-1] == Resubmit(37)
    assert SetField.of("reg15", 3) in actions
    held.found((7, 3, "172.16.0.9"), NEIGHBOUR)
    assert len(sent) == 2


def test_a_paused_packet_goes_on_where_its_flow_says():
    """As flows of OVN 25.03 have it, where the packet's output follows the question for its next hop."""
    sent = []
    held = BufferedPackets(sent.append)
    assert held.hold(dataclasses.replace(routed(1), continuation=b"where"), None)
    held.found((7, 3, "172.16.0.9"), NEIGHBOUR)
    (message,) = sent
    assert isinstance(message, Resume)
    assert message.packet_in.continuation == b"where"
    assert Ethernet.decode(message.packet_in.packet).dst.hex(":") == NEIGHBOUR


def test_a_packet_without_an_outport_is_not_buffered():
    sent = []
    ins = PacketIns(sent.append)
    one = routed()
    ins.handle(PacketIn(one.packet, one.metadata.with_field("reg15", 0), userdata=one.userdata))
    assert len(sent) == 1
    assert not ins.buffered


def test_the_number_and_time_of_buffered_packets_are_bounded():
    now = [0.0]
    sent = []
    held = BufferedPackets(sent.append, lambda: now[0])
    for number in range(PER_NEIGHBOUR + 2):
        held.hold(routed(number), None)
    assert (len(held), held.dropped) == (PER_NEIGHBOUR, 2)
    now[0] = BUFFER_TIMEOUT
    held.found((7, 3, "172.16.0.9"), NEIGHBOUR)
    assert not sent
    held.hold(routed(), None)
    now[0] += BUFFER_TIMEOUT
    other = routed()
    held.hold(PacketIn(other.packet, other.metadata.with_field("reg0", 5), userdata=other.userdata), None)
    assert (len(held), held.dropped) == (1, 3)


def test_neighbours_are_limited():
    held = BufferedPackets(lambda _message: None)
    for number in range(NEIGHBOURS + 1):
        one = routed()
        assert held.hold(PacketIn(one.packet, one.metadata.with_field("reg0", number), userdata=one.userdata), None)
    assert (len(held), held.dropped) == (NEIGHBOURS, 1)


def test_a_neighbour_that_another_chassis_finds_gets_what_is_held(world):
    router = world.add(sb.DatapathBinding, tunnel_key=7)
    world.lport(router, "r-out", 3, type="patch")
    sent = []
    held = BufferedPackets(sent.append)
    held.hold(routed(1), world.sb)
    held.look(world.sb)
    assert not sent
    world.add(sb.MACBinding, logical_port="r-out", ip="172.16.0.9", mac=NEIGHBOUR, datapath=router.uuid)
    held.look(world.sb)
    assert not held.hold(routed(2), world.sb)
    assert [Ethernet.decode(message.packet).payload[-1] for message in sent] == [1, 2]


def test_a_packet_on_its_way_to_the_gateway_waits_for_what_the_gateway_learns(world):
    router = world.add(sb.DatapathBinding, tunnel_key=7)
    world.lport(router, "cr-r-out", 3, type="chassisredirect", options={"distributed-port": "r-out"})
    world.add(sb.MACBinding, logical_port="r-out", ip="172.16.0.9", mac=NEIGHBOUR, datapath=router.uuid)
    sent = []
    assert not BufferedPackets(sent.append).hold(routed(1), world.sb)
    assert Ethernet.decode(sent[0].packet).dst.hex(":") == NEIGHBOUR


def test_an_answer_sends_what_is_held_at_once():
    sent = []
    ins = PacketIns(sent.append)
    ins.handle(routed(1))
    (question,) = sent
    assert Arp.decode(Ethernet.decode(question.packet).payload).op == 1
    reply = Ethernet(
        dst=ROUTER, src=bytes.fromhex(NEIGHBOUR.replace(":", "")), ethertype=ethernet.ARP, payload=bytes(28)
    )
    address = int.from_bytes(NEXT_HOP, "big")
    with pytest.raises(RuntimeError, match="no running event loop"):  # what is learned is written by a task
        ins.handle(packet_in(Opcode.PUT_ARP, port=3, packet=reply.encode(), reg0=address))
    ins.buffered.found((7, 3, "172.16.0.9"), NEIGHBOUR)
    assert isinstance(sent[1], PacketOut)


# -- what packets teach -----------------------------------------------------------------------------------------------


class FakeSouthbound:
    """Southbound as a notebook sees it: transactions that are refused as often as told."""

    connected = True

    def __init__(self, store, refusals=0, refusal=OvsdbError):
        self.store = store
        self.refusals = refusals
        self.refusal = refusal
        self.commits = []

    def transaction(self):
        made = SimpleNamespace(rows=[], empty=True)

        def insert(_row_class, values):
            made.rows.append(values)
            made.empty = False

        made.insert = insert
        made.update = lambda row, values: insert(type(row), values)
        made.mutate = lambda row, column, **values: insert(type(row), {column: values})
        made.wait = lambda *_: None
        return made

    async def commit(self, transaction):
        self.commits.append(transaction.rows)
        if self.refusals:
            self.refusals -= 1
            raise self.refusal("constraint violation")


@pytest.fixture
def router(world):
    made = world.add(sb.DatapathBinding, tunnel_key=7)
    world.lport(made, "r-out", 3, type="patch")
    return made


async def settled(book):
    def written():
        assert not book._learned
        return True

    await until_async(written)


@pytest.mark.usefixtures("router")
async def test_learned_neighbours_are_written_once_and_one_by_one_after_a_refusal(world):
    book, southbound = MacLearning(), FakeSouthbound(world.sb, refusals=1)
    book.attach(southbound)
    for _ in range(3):
        book.note(Learned(datapath=7, port=3, mac=NEIGHBOUR, ip="172.16.0.9"))
    book.note(Learned(datapath=7, port=3, mac=NEIGHBOUR))
    await settled(book)
    assert [len(rows) for rows in southbound.commits] == [2, 1, 1]
    assert southbound.commits[0][0]["timestamp"] > 0


async def test_an_activation_is_written_again_until_southbound_has_it(world, monkeypatch):
    monkeypatch.setattr(notebooks, "_PATIENCE", 0)
    world.lport(world.switch(7), "p1", 1)
    book, southbound = MacLearning(), FakeSouthbound(world.sb, refusals=6, refusal=TimedOut)
    book.attach(southbound)
    book.note(Activated(datapath=7, port=1, chassis="hv1"))
    await settled(book)
    assert len(southbound.commits) == 7


async def test_a_known_neighbour_is_not_written_and_a_changed_one_gets_a_new_timestamp(world, router):
    row = world.add(sb.MACBinding, logical_port="r-out", ip="172.16.0.9", mac=NEIGHBOUR, datapath=router.uuid)
    book, southbound = MacLearning(), FakeSouthbound(world.sb)
    book.attach(southbound)
    book.note(Learned(datapath=7, port=3, mac=NEIGHBOUR, ip="172.16.0.9"))
    await settled(book)
    assert not southbound.commits
    book.note(Learned(datapath=7, port=3, mac="0a:00:00:00:00:08", ip="172.16.0.9"))
    await settled(book)
    ((values,),) = southbound.commits
    assert values["mac"] == "0a:00:00:00:00:08"
    assert values["timestamp"] > row.timestamp


@pytest.mark.usefixtures("router")
async def test_neighbours_learned_from_multicast_are_written_after_a_delay(world, monkeypatch):
    monkeypatch.setattr(notebooks, "_OTHERS_TURN", 0.001)
    book, southbound = MacLearning(), FakeSouthbound(world.sb)
    book.attach(southbound)
    book.note(Learned(datapath=7, port=3, mac=NEIGHBOUR, ip="172.16.0.9", heard_by_many=True))
    await asyncio.sleep(0)
    assert not southbound.commits
    await settled(book)
    assert len(southbound.commits) == 1


def test_a_multicast_packet_is_heard_by_many():
    for destination, many in ((b"\xff" * 6, True), (ROUTER, False)):
        frame = Ethernet(dst=destination, src=HOST, ethertype=ethernet.ARP, payload=bytes(28)).encode()
        assert learned(packet_in(Opcode.PUT_FDB, packet=frame), Opcode.PUT_FDB).heard_by_many is many


async def test_an_announcement_is_learned_by_the_other_routers_of_the_switch(world):
    switch = world.switch(1)
    for number, name, learns in ((7, "r1", "true"), (8, "r2", "false"), (9, "r3", "false"), (10, "r4", "true")):
        ids = {"always_learn_from_arp_request": learns}
        router = world.add(sb.DatapathBinding, tunnel_key=number, external_ids=ids)
        world.lport(router, f"{name}-out", 3, type="patch", options={"peer": f"out-{name}"})
        world.lport(switch, f"out-{name}", number, type="patch", options={"peer": f"{name}-out"})
        if name in ("r1", "r2"):
            mac = "0a:00:00:00:00:66"
            world.add(sb.MACBinding, logical_port=f"{name}-out", ip="172.16.0.9", mac=mac, datapath=router.uuid)
    book, southbound = MacLearning(), FakeSouthbound(world.sb)
    book.attach(southbound)
    announced = [ANNOUNCED(1, 7, NEIGHBOUR, "172.16.0.9", ()), ANNOUNCED(1, 7, NEIGHBOUR, "", ())]
    book.absorb(added=announced, removed=[])
    assert list(book._learned) == [Learned(datapath=key, port=3, mac=NEIGHBOUR, ip="172.16.0.9") for key in (8, 10)]
    await settled(book)
    assert [values["mac"] for commit in southbound.commits for values in commit] == [NEIGHBOUR] * 2


async def test_a_virtual_port_is_where_its_parent_spoke_and_goes_with_it(world):
    switch = world.switch(7)
    parent = world.lport(switch, "p1", 1, chassis=world.me.uuid)
    port = world.lport(switch, "vip", 9, type="virtual")
    interface = world.port_on_bridge("tap1", 5, iface_id="p1")
    southbound = FakeSouthbound(world.sb)
    ins = PacketIns(lambda _message: None)
    ins.attach(southbound)
    userdata = Userdata(Opcode.BIND_VPORT, None, (9).to_bytes(4, "big")).encode()
    ins.handle(PacketIn(b"", Match.exact(metadata=7, reg14=1), userdata=userdata))
    await settled(ins.mac_learning)
    ((values,),) = southbound.commits
    assert values == {"chassis": world.me.uuid, "virtual_parent": "p1"}
    world.set(port, **values)
    ins.handle(PacketIn(b"", Match.exact(metadata=7, reg14=1), userdata=userdata))
    await settled(ins.mac_learning)
    assert len(southbound.commits) == 1
    world.run()
    assert port.uuid not in world.edits()
    world.unplug(interface)
    world.run()
    assert world.edits()[port.uuid] == {"chassis": None, "virtual_parent": None}
    assert parent.uuid in world.edits()


async def test_the_number_of_events_waiting_to_be_written_is_bounded():
    book = MacLearning()
    for number in range(notebooks.MOST_LEARNED + 3):
        book.note(Learned(datapath=7, port=number, mac=NEIGHBOUR, heard_by_many=True))
    assert book.dropped == 3


# -- events for the cloud ---------------------------------------------------------------------------------------------


def event(balancer, vip="30.0.0.1:80"):
    """Return a packet that a flow reports as an event."""
    options = (("vip", vip), ("protocol", "tcp"), ("load_balancer", balancer))
    userdata = Userdata(Opcode.EVENT, None, TriggerEvent("empty_lb_backends", options).payload).encode()
    return PacketIn(b"", Match.exact(metadata=7, reg14=1), userdata=userdata)


async def test_an_event_has_a_row_until_the_cloud_removes_it(world):
    southbound = FakeSouthbound(world.sb)
    ins = PacketIns(lambda _message: None)
    ins.attach(southbound, lambda: "hv1")
    for balancer in ("a", "a", "b"):
        ins.handle(event(balancer))
    await settled(ins.mac_learning)
    first, second = southbound.commits[0]
    assert first["event_info"] == {"vip": "30.0.0.1:80", "protocol": "tcp", "load_balancer": "a"}
    assert (first["event_type"], first["chassis"]) == ("empty_lb_backends", world.me.uuid)
    assert [first["seq_num"], second["seq_num"]] == [1, 2]
    row = world.add(sb.ControllerEvent, **first)
    world.add(sb.ControllerEvent, **second | {"chassis": world.other.uuid, "seq_num": 90})
    ins.handle(event("a"))
    await settled(ins.mac_learning)
    assert len(southbound.commits) == 1
    world.delete(row)
    ins.handle(event("a"))
    await settled(ins.mac_learning)
    assert [values["seq_num"] for values in southbound.commits[1]] == [3]


async def test_events_are_bounded_and_numbers_outlive_a_restart(world, monkeypatch):
    monkeypatch.setattr(controller_events, "MOST_EVENTS", 2)
    southbound = FakeSouthbound(world.sb)
    ins = PacketIns(lambda _message: None)
    ins.attach(southbound, lambda: "hv1")
    for number in (7, 8):
        ins.handle(event(str(number)))
        await settled(ins.mac_learning)
        world.add(sb.ControllerEvent, **southbound.commits[-1][0] | {"seq_num": number})
    assert [values["seq_num"] for commit in southbound.commits for values in commit] == [1, 8]
    ins.handle(event("9"))
    await settled(ins.mac_learning)
    assert len(southbound.commits) == 2
    short = Userdata(Opcode.EVENT, None, b"\0\0\0\7").encode()
    with pytest.raises(OpenFlowError):
        ins.handle(PacketIn(b"", Match.exact(metadata=7), userdata=short))


# -- meters -----------------------------------------------------------------------------------------------------------


def test_a_flow_hands_packets_up_through_its_meter(world):
    switch = world.switch(1)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.facts[METER] = set()
    world.flow(switch, "ip4", "arp { output; };", controller_meter="arps")
    world.flow(switch, "ip4 && ip.ttl == 5", "arp { output; };", priority=7)
    world.run()

    def meters_of():
        return {a.meter_id for actions in world.flows(8).values() for a in actions if isinstance(a, Controller)}

    assert meters_of() == {0}
    band = world.add(sb.MeterBand, action="drop", rate=25, burst_size=5)
    row = world.add(sb.Meter, name="arps", unit="pktps", bands=frozenset([band.uuid]))
    world.run()
    ((number, unit, bands),) = [fact[1:] for fact in world.facts[METER]]
    assert (unit, bands) == ("pktps", ((25, 5),))
    assert meters_of() == {0, number}
    world.delete(row)
    world.run()
    assert meters_of() == {0}
    assert not world.facts[METER]


def test_a_meter_comes_before_flows_and_goes_after():
    table = MeterTable()
    table.recall({9: MeterConfig(9, MeterFlag.KBPS, ((1, 0),))})
    fact = METER(4, "pktps", ((25, 5),))
    table.absorb(added=[fact], removed=[])
    flags = MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS
    assert table.before() == [MeterMod(ModCommand.ADD, 4, flags, ((25, 5),))]
    assert table.before() == []
    assert table.after() == [MeterMod(ModCommand.DELETE, 9)]
    table.absorb(added=[METER(4, "kbps", ((7, 0),))], removed=[fact])
    assert table.before() == [MeterMod(ModCommand.MODIFY, 4, MeterFlag.KBPS | MeterFlag.STATS, ((7, 7),))]
