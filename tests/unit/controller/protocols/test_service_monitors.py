"""Probes of load balancers' backends: who is probed from where, what answers mean, and what bounds there are."""

from __future__ import annotations

import asyncio

import pytest

from ovenbird.controller.edits import EDIT, to
from ovenbird.controller.facts import MONITOR_CLAUSE, PROBED_BACKEND, ProbeTimes
from ovenbird.controller.local.local_store import make_local_store, record, recorded
from ovenbird.controller.protocols import service_monitors
from ovenbird.controller.protocols.backend_probe import BackendProbe, answer_of
from ovenbird.controller.protocols.service_monitors import ServiceMonitors, mac_for
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.model import sb
from ovenbird.net import ethernet
from ovenbird.net.addresses import ip_bytes
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import ICMP, TCP, IPv4
from ovenbird.net.ipv6 import ICMPV6, IPv6
from ovenbird.net.tcp import ACK, RST, SYN, Tcp
from ovenbird.net.udp import Udp
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import PacketIn
from support.waiting import until_async

MAC, SOURCE_MAC = "02:00:00:00:00:01", "02:00:00:00:00:fe"
TIMES = ProbeTimes(interval=5, timeout=3, success_count=2, failure_count=2)


def backend(protocol="tcp", *, six=False, uuid="u", times=TIMES, number=80):
    address, source = ("fd00::1", "fd00::9") if six else ("10.0.0.1", "10.0.0.9")
    return PROBED_BACKEND(
        uuid=uuid, datapath=1, port=2, protocol=protocol, mac=MAC, address=address, number=number,
        source_mac=SOURCE_MAC, source=source, times=times,
    )  # fmt: skip


def sent(frame):
    """Return the addresses and the segment or datagram of a probe."""
    outer = Ethernet.decode(frame)
    assert (outer.dst.hex(":"), outer.src.hex(":")) == (MAC, SOURCE_MAC)
    packet = IPv4.decode(outer.payload) if outer.ethertype == ethernet.IPV4 else IPv6.decode(outer.payload)
    protocol = packet.proto if isinstance(packet, IPv4) else packet.next_header
    return packet.src, packet.dst, (Tcp if protocol == TCP else Udp).decode(packet.payload)


def answer(probe, frame, flags):
    """Return what a server answers to a SYN."""
    _, _, syn = sent(frame)
    return Tcp(sport=syn.dport, dport=syn.sport, seq=1000, ack=syn.seq + 1 & 0xFFFFFFFF, flags=flags)


# -- the probe ---------------------------------------------------------------------------------------------------------


def test_a_server_is_online_when_it_has_answered_so_often_and_offline_when_it_has_not():
    probe, now = BackendProbe(backend()), 100.0
    for status in (None, "online"):
        frame = probe.tick(now)
        assert sent(frame)[2].flags == SYN
        assert probe.deadline == now + 3
        end = sent(probe.receive(answer(probe, frame, SYN | ACK), now + 1))[2]
        assert (end.flags, end.seq, end.ack) == (RST | ACK, sent(frame)[2].seq + 1 & 0xFFFFFFFF, 1001)
        assert (probe.status, probe.deadline) == (status, now + 6)
        now = probe.deadline
    probe.receive(answer(probe, probe.tick(now), RST | ACK), now)
    probe.receive(answer(probe, probe.tick(now + 5), SYN | ACK), now + 5)  # not in a row
    probe.tick(now + 10)
    assert probe.tick(probe.deadline) is None  # silence
    assert probe.status == "online"
    probe.receive(answer(probe, probe.tick(now + 20), RST), now + 20)
    assert probe.status == "offline"


def test_a_udp_backend_without_an_icmp_error_is_online():
    probe = BackendProbe(backend("udp", times=TIMES._replace(success_count=1, failure_count=1)))
    frame = probe.tick(0.0)
    assert probe.tick(probe.deadline) is None
    assert probe.status == "online"
    frame = probe.tick(probe.deadline)
    assert probe.receive(sent(frame)[2], 10.0) is None
    assert probe.status == "offline"


def test_packets_that_do_not_answer_a_probe_are_ignored():
    probe = BackendProbe(backend())
    frame = probe.tick(0.0)
    right = answer(probe, frame, SYN | ACK)
    wrong = [
        Tcp(sport=80, dport=right.dport ^ 1, seq=0, ack=right.ack, flags=right.flags),
        Tcp(sport=80, dport=right.dport, seq=0, ack=right.ack ^ 1, flags=right.flags),
        Tcp(sport=80, dport=right.dport, seq=0, ack=right.ack, flags=ACK),
        Udp(sport=right.dport ^ 1, dport=80, payload=b""),
    ]
    for each in wrong:
        with pytest.raises(PacketError):
            probe.receive(each, 1.0)
    assert probe.deadline == 3
    probe.receive(right, 1.0)
    with pytest.raises(PacketError):
        probe.receive(right, 1.0)  # again


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_probes_and_answers_over_both_versions(protocol, six):
    fact = backend(protocol, six=six)
    frame = BackendProbe(fact).tick(0.0)
    source, target, carried = sent(frame)
    assert (source, target) == (ip_bytes(fact.source), ip_bytes(fact.address))
    assert carried.dport == 80
    back = reply(frame)
    assert answer_of(back) == (fact.address, answer(None, frame, SYN | ACK) if protocol == "tcp" else carried)
    for cut in range(len(back)):
        with pytest.raises(PacketError):
            answer_of(back[:cut])


def reply(frame):
    """Return the frame with which a host answers a probe: a segment, or an error about a datagram."""
    outer = Ethernet.decode(frame)
    six = outer.ethertype == ethernet.IPV6
    packet = IPv6.decode(outer.payload) if six else IPv4.decode(outer.payload)
    ends = {"src": packet.dst, "dst": packet.src}
    if (packet.next_header if six else packet.proto) == TCP:
        segment = answer(None, frame, SYN | ACK)
        kind, body = TCP, segment.encode(src=packet.dst, dst=packet.src)
    elif six:
        kind, body = ICMPV6, Icmp.error_v6(1, code=4, packet=outer.payload).encode_v6(**ends)
    else:
        kind, body = ICMP, Icmp.error(3, code=3, packet=outer.payload).encode()
    made = IPv6(**ends, next_header=kind, payload=body) if six else IPv4(**ends, proto=kind, payload=body)
    return Ethernet(dst=outer.src, src=outer.dst, ethertype=outer.ethertype, payload=made.encode()).encode()


# -- which backends ----------------------------------------------------------------------------------------------------


def test_the_chassis_that_has_the_port_up_probes_and_tells(world):
    world.facts[PROBED_BACKEND] = set()
    switch = world.switch(1)
    port = world.lport(switch, "p1", 2, mac=frozenset([f"{MAC} 10.0.0.1 fd00::1"]), chassis=world.me.uuid)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    options = {"interval": "7", "timeout": "0", "failure_count": "x"}
    row = world.add(
        sb.ServiceMonitor, logical_port="p1", ip="10.0.0.1", port=80, protocol="tcp", src_ip="10.0.0.9",
        src_mac=SOURCE_MAC, options=options,
    )  # fmt: skip
    world.add(sb.ServiceMonitor, logical_port="p1", ip="nonsense", port=80, src_ip="10.0.0.9", src_mac=SOURCE_MAC)
    world.add(sb.ServiceMonitor, logical_port="p1", ip="fd00::1", port=80, src_ip="10.0.0.9", src_mac=SOURCE_MAC)
    world.add(sb.ServiceMonitor, logical_port="p1", ip="10.0.0.7", port=80, src_ip="10.0.0.9", src_mac=SOURCE_MAC)
    world.run()
    assert not world.facts[PROBED_BACKEND]
    world.set(port, up=True)
    world.run()
    times = ProbeTimes(interval=7, timeout=3, success_count=1, failure_count=1)
    assert world.facts[PROBED_BACKEND] == {backend(uuid=row.uuid, times=times)}
    record(world.own, row.uuid, value="offline")
    world.run()
    assert EDIT(row, to(sb.ServiceMonitor.status, "offline")) in world.facts[EDIT]
    world.set(row, status="offline")
    world.set(port, up=False)
    world.run()
    assert not world.facts[PROBED_BACKEND]


def test_monitors_of_ports_here_are_asked_for(world):
    world.set(world.progress, everything=False)
    world.lport(world.switch(1), "c1", 3, parent_port="p1", tag=5)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    asked = {fact.value for fact in world.facts[MONITOR_CLAUSE] if fact.table == "Service_Monitor"}
    assert asked == {"p1", "c1"}


@pytest.mark.parametrize(
    ("entries", "mac"),
    [([f"{MAC} 10.0.0.1"], MAC), ([MAC], MAC), ([f"{MAC} 10.0.0.2"], ""), (["unknown"], ""), ([""], ""),
     ([SOURCE_MAC, f"{MAC} 10.0.0.1"], MAC)],
)  # fmt: skip
def test_the_mac_address_behind_a_port(world, entries, mac):
    assert mac_for(world.lport(world.switch(1), "p1", 2, mac=frozenset(entries)), "10.0.0.1") == mac


# -- running -----------------------------------------------------------------------------------------------------------


def packet_in(frame):
    metadata = Match({"metadata": (1, (1 << 64) - 1), "reg14": (2, 0xFFFFFFFF)})
    return PacketIn(packet=frame, metadata=metadata, userdata=Userdata(Opcode.HANDLE_SVC_CHECK).encode())


async def test_outcomes_are_recorded_and_a_probe_that_ends_is_forgotten(monkeypatch):
    monkeypatch.setattr(service_monitors, "_FIRST", 0.0)
    out, own = [], make_local_store()
    one = ServiceMonitors(out.append, own, lambda: None, lambda: True)
    fact = backend(times=TIMES._replace(success_count=1))
    one.absorb(added=[fact], removed=[])
    await until_async(lambda: out)
    one.receive(packet_in(reply(out[0].packet)))
    assert recorded(own, fact.uuid) == "online"
    assert sent(out[1].packet)[2].flags == RST | ACK
    with pytest.raises(PacketError):
        one.receive(packet_in(reply(out[0].packet)))
    one.absorb(added=[], removed=[fact])
    assert recorded(own, fact.uuid) is None
    assert not one._runs
    assert not one._by_end


async def test_probes_are_bounded_in_number_and_rate(monkeypatch):
    monkeypatch.setattr(service_monitors, "_FIRST", 0.0)
    monkeypatch.setattr(service_monitors, "MOST_PROBED", 3)
    monkeypatch.setattr(service_monitors, "PROBES_PER_SECOND", 50)
    out, loop = [], asyncio.get_running_loop()
    one = ServiceMonitors(
        lambda message: out.append((loop.time(), message)), make_local_store(), lambda: None, lambda: True
    )
    facts = [backend(uuid=f"u{n}", number=80 + n) for n in range(5)]
    one.absorb(added=facts, removed=[])
    await until_async(lambda: len(out) == 3)
    assert out[-1][0] - out[0][0] >= 0.039  # 20 ms between any two
    one.absorb(added=[], removed=facts[:1])
    await until_async(lambda: 83 in [sent(message.packet)[2].dport for _, message in out])
    one.close()
    assert not one._runs


async def test_probes_that_begin_anew_all_the_time_delay_no_others(monkeypatch):
    """Turns are for who waits: what has ended before its turn takes none."""
    monkeypatch.setattr(service_monitors, "_FIRST", 0.0)
    monkeypatch.setattr(service_monitors, "PROBES_PER_SECOND", 0.001)
    out = []
    one = ServiceMonitors(out.append, make_local_store(), lambda: None, lambda: True)
    one.absorb(added=[backend(uuid="first", number=1)], removed=[])
    await until_async(lambda: out)
    for _ in range(5):
        changed = [backend(uuid=f"u{n}", number=80 + n) for n in range(3)]
        one.absorb(added=changed, removed=[])
        await until_async(lambda: len(one._due) == 3)
        one.absorb(added=[], removed=changed)
        assert not one._due
    one.absorb(added=[backend(uuid="other")], removed=[])
    await until_async(lambda: one._due)
    one._turn.cancel()
    one._take_turns()  # as when the turn comes
    assert sent(out[-1].packet)[2].dport == 80
    one.close()
    assert one._turn is None


async def test_without_a_switch_no_probes_are_sent_and_none_fail(monkeypatch):
    monkeypatch.setattr(service_monitors, "_FIRST", 0.0)
    monkeypatch.setattr(service_monitors, "_PAUSE", 0.001)
    out, own, asked, there = [], make_local_store(), [], [True]

    def reaches():
        asked.append(there[0])
        return there[0]

    one = ServiceMonitors(out.append, own, lambda: None, reaches)
    fact = backend(times=ProbeTimes(interval=1, timeout=1, success_count=1, failure_count=1))
    one.absorb(added=[fact], removed=[])
    await until_async(lambda: out)
    there[0] = False
    run = one._runs[fact.uuid]
    run.timer.cancel()
    one._tick(run)  # as at the end of the time that the backend had
    await until_async(lambda: asked.count(False) > 3)
    assert len(out) == 1
    assert recorded(own, fact.uuid) is None
    there[0] = True
    await until_async(lambda: len(out) == 2)
    one.close()
