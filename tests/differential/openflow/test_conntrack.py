"""What the tracer's connection tracking says of a packet, and what Open vSwitch's own does with the same one."""

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ovenbird.lang.actions import Translation
from ovenbird.lang.actions.conntrack import nat
from ovenbird.lang.microflow import Microflow
from ovenbird.net.ethernet import IPV4, IPV6, Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import ICMP, IGMP, TCP, UDP, IPv4
from ovenbird.net.ipv6 import ICMPV6, IPv6
from ovenbird.net.tcp import ACK, FIN, PSH, RST, SYN, Tcp
from ovenbird.net.udp import Udp
from ovenbird.openflow.actions import Controller, Ct, SetField, encode_actions
from ovenbird.openflow.instructions import encode_apply
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import CtFlushZone, FlowMod, PacketIn, PacketOut, SetConfig, SetPacketInFormat
from ovenbird.openflow.transport import OpenFlowSession
from ovenbird.verify.conntrack import Tracker, format_state

ADDRESSES = {IPV4: (0x0A000001, 0x0A000002), IPV6: tuple(0xFD << 120 | n for n in (1, 2))}
PUBLIC = {IPV4: (0xAC100001,), IPV6: (0xFD << 120 | 0x101,)}
"""Addresses of instances, and one that they are given outside: few, so that connections meet."""
NAMES = {IPV4: ("ip_src", "ip_dst"), IPV6: ("ipv6_src", "ipv6_dst")}
SHOWN = ("udp_src", "udp_dst", "tcp_src", "tcp_dst")
ZONES = (5, 6)


@dataclass(frozen=True)
class Step:
    """One `ct` action on one packet."""

    packet: Microflow
    zone: int
    commit: bool
    translation: Translation | None
    mark: int


def payload(packet, source, destination):
    """Return what is in an IP packet."""
    ends = {"src": source, "dst": destination}
    match packet["nw_proto"]:
        case 17:
            return Udp(sport=packet["udp_src"], dport=packet["udp_dst"], payload=b"x" * 8).encode(**ends)
        case 6:
            ports, flags = {"sport": packet["tcp_src"], "dport": packet["tcp_dst"]}, packet["tcp_flags"]
            return Tcp(**ports, seq=1000, ack=1000, flags=flags, window=1000).encode(**ends)
        case 1:
            return Icmp(type=packet["icmp_type"], code=0, body=quoting(packet)).encode()
        case 58:
            return Icmp(type=packet["icmpv6_type"], code=0, body=quoting(packet)).encode_v6(**ends)
    return bytes(8)


def quoting(packet):
    return bytes(4) + (bytes(40) if packet.quoted is None else ip(packet.quoted))


def ip(packet):
    family = packet["eth_type"]
    width = 4 if family == IPV4 else 16
    source, destination = (packet[name].to_bytes(width, "big") for name in NAMES[family])
    ends, inside = {"src": source, "dst": destination}, payload(packet, source, destination)
    if family == IPV4:
        return IPv4(**ends, proto=packet["nw_proto"], payload=inside).encode()
    return IPv6(**ends, next_header=packet["nw_proto"], payload=inside).encode()


def frame(packet):
    macs = {"dst": bytes(5) + b"\2", "src": bytes(5) + b"\1"}
    return Ethernet(**macs, ethertype=packet["eth_type"], payload=ip(packet)).encode()


def flow(family, source, destination, protocol, **more):
    names = NAMES[family]
    return Microflow({"eth_type": family, names[0]: source, names[1]: destination, "nw_proto": protocol, **more})


def some_packet(rng, family):
    everyone = ADDRESSES[family] + PUBLIC[family]
    source, destination = rng.sample(everyone, 2)
    protocol = rng.choice((UDP, UDP, UDP, ICMP if family == IPV4 else ICMPV6, IGMP if family == IPV4 else UDP))
    if protocol == UDP:
        return flow(family, source, destination, UDP, udp_src=rng.choice((5, 6)), udp_dst=rng.choice((5, 6)))
    if protocol == IGMP:
        return flow(family, source, destination, IGMP)
    name = "icmp_type" if protocol == ICMP else "icmpv6_type"
    kinds = (8, 8, 0, 3, 13, 14, 9) if protocol == ICMP else (128, 128, 129, 1, 135, 133)
    made = flow(family, source, destination, protocol, **{name: rng.choice(kinds)})
    if made[name] in (3, 1) and rng.random() < 0.8:
        ends = (destination, rng.choice([a for a in everyone if a != destination]))
        made.quoted = flow(
            family,
            *(ends if rng.random() < 0.9 else ends[::-1]),
            UDP,
            udp_src=rng.choice((5, 6)),
            udp_dst=rng.choice((5, 6)),
        )
    return made


def some_step(rng, family):
    packet = some_packet(rng, family)
    translation = rng.choice((None, Translation()))
    if commit := rng.random() < 0.5:
        port = rng.choice((0, 0, 7))
        to = rng.choice(PUBLIC[family] + ADDRESSES[family])
        translation = rng.choice((None, Translation(rng.random() < 0.5, to, family == IPV6, port=port)))
        if packet["nw_proto"] in (ICMP, ICMPV6):
            translation = None  # Open vSwitch tells identifiers apart, which microflows do not have
    return Step(packet, rng.choice(ZONES), commit, translation, rng.choice((0, 0, 1, 2)))


def told(step, tracker):
    """Return what our tracker makes of a step: state, mark and the packet's addresses and ports."""
    packet = step.packet.copy()
    if step.commit:
        connection = tracker.commit(step.zone, packet, step.translation)
        if connection is not None and step.mark:
            packet["ct_mark"] = connection.mark = step.mark
    else:
        tracker.track(step.zone, packet, translate=step.translation is not None)
    return packet


def decoded(data, like):
    """Return the headers of a packet that the switch has.

    Arguments:
        data: the frame.
        like: the packet that it was.
    """
    family, protocol = like["eth_type"], like["nw_proto"]
    packet = (IPv4 if family == IPV4 else IPv6).decode(Ethernet.decode(data).payload)
    found = flow(family, *(int.from_bytes(address, "big") for address in (packet.src, packet.dst)), protocol)
    if protocol in (UDP, TCP):
        name, ports = ("udp", Udp.decode(packet.payload)) if protocol == UDP else ("tcp", Tcp.decode(packet.payload))
        found[f"{name}_src"], found[f"{name}_dst"] = ports.sport, ports.dport
    return found


def shown(packet, state, mark):
    """Return what is compared: connection state, mark and headers."""
    found = {name: packet[name] for name in (*NAMES[packet["eth_type"]], *SHOWN) if packet[name]}
    return format_state(state), mark, found


class Switch:
    """The tracker of a real Open vSwitch."""

    def __init__(self, session, packets):
        self._session, self._packets = session, packets

    async def forget(self):
        for zone in ZONES:
            self._session.send(CtFlushZone(zone))
        await self._session.barrier()

    async def told(self, step):
        """Return what it makes of a step."""
        inside = () if step.translation is None else (nat(step.translation),)
        if step.commit and step.mark:
            inside += (SetField.of("ct_mark", step.mark, mask=0xFFFFFFFF),)
        tracked = Ct(step.zone, commit=step.commit, table=9, actions=inside)
        self._session.send(PacketOut(packet=frame(step.packet), actions=(tracked,)))
        packet_in = await asyncio.wait_for(self._packets.get(), 30)
        assert isinstance(packet_in, PacketIn), packet_in
        fields = packet_in.metadata
        packet = decoded(packet_in.packet, step.packet)
        return shown(packet, fields["ct_state"][0], fields.get("ct_mark", (0, 0))[0])


@asynccontextmanager
async def tracking(target):
    """Connect to a switch that hands back what its tracker has looked at."""
    packets = asyncio.Queue()
    async with await OpenFlowSession.connect(target, lambda _xid, message: packets.put_nowait(message)) as session:
        session.send(SetConfig())
        session.send(SetPacketInFormat())
        told = encode_apply(encode_actions((Controller(b"\1"),)))
        await session.bundle([FlowMod(table=9, priority=1, match=Match(), instructions=told)])
        yield Switch(session, packets)


async def test_connections_of_every_kind_in_any_order(switch):
    rng = random.Random(16)
    async with tracking(switch[0]) as real:
        for _ in range(80):
            tracker, before = Tracker(), []
            await real.forget()
            family = rng.choice((IPV4, IPV6))
            for _ in range(14):
                step = some_step(rng, family)
                packet = told(step, tracker)
                before.append(step)
                assert shown(packet, packet["ct_state"], packet["ct_mark"]) == await real.told(step), before


async def test_which_segments_begin_a_connection(switch):
    async with tracking(switch[0]) as real:
        for number, flags in enumerate(
            (SYN, SYN | ACK, ACK, PSH | ACK, RST, FIN, FIN | ACK, SYN | FIN, SYN | RST, PSH)
        ):
            segment = flow(IPV4, *ADDRESSES[IPV4], TCP, tcp_src=5 + number, tcp_dst=80, tcp_flags=flags)
            step = Step(segment, ZONES[0], True, None, 0)
            packet = told(step, Tracker())
            assert shown(packet, packet["ct_state"], 0) == await real.told(step), flags
