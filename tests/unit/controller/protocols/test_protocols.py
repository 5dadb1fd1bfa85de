"""What a chassis says of its own accord: router advertisements, BFD, and questions for prefixes."""

from __future__ import annotations

import asyncio
import struct
from itertools import pairwise

import pytest

from ovenbird.controller.edits import EDIT, to
from ovenbird.controller.facts import ADVERTISED, DELEGATION, SESSION
from ovenbird.controller.local.local_store import make_local_store, record, recorded
from ovenbird.controller.protocols import periodic
from ovenbird.controller.protocols.bfd_session import BfdEndpoint
from ovenbird.controller.protocols.bfd_sessions import Sessions, source_for
from ovenbird.controller.protocols.periodic_ra import Advertiser, advertisement
from ovenbird.controller.protocols.prefix_client import Phase, PrefixClient
from ovenbird.controller.protocols.prefix_delegation import Delegations, number_of, parse_list
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.model import sb
from ovenbird.net import dhcp6, ethernet
from ovenbird.net.addresses import ipv6_bytes, link_local
from ovenbird.net.bfd import BFD_PORT, BfdState, Control, Diagnostic
from ovenbird.net.dhcp6 import FOREVER, Dhcp6, IaNa, IaPrefix
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import UDP, IPv4
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.nd import MTU, PREFIX_INFORMATION, RDNSS, SOURCE_LLA, RouterAdvert
from ovenbird.net.udp import Udp
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import PacketIn
from support.waiting import until_async

MAC = "02:00:00:00:00:fe"
RA = {
    "ipv6_ra_send_periodic": "true", "ipv6_ra_address_mode": "slaac", "ipv6_ra_max_interval": "9",
    "ipv6_ra_min_interval": "4", "ipv6_ra_src_eth": MAC, "ipv6_ra_src_addr": "fe80::1", "ipv6_ra_prf": "HIGH",
    "ipv6_ra_mtu": "1442", "ipv6_ra_prefixes": "fd00::/64 fd01::/64", "ipv6_ra_rdnss": "fd00::53",
    "ipv6_ra_dnssl": "example.org", "ipv6_ra_route_info": "LOW-fd02::/48",
}  # fmt: skip


# -- router advertisements --------------------------------------------------------------------------------------------


def test_an_advertisement_says_what_the_options_say():
    frame = Ethernet.decode(advertisement(RA))
    packet = IPv6.decode(frame.payload)
    message = Icmp.decode(packet.payload)
    advert = RouterAdvert.of(message)
    assert (frame.dst.hex(":"), frame.src.hex(":")) == ("33:33:00:00:00:01", MAC)
    assert (packet.src, packet.dst, packet.hop_limit) == (ipv6_bytes("fe80::1"), ipv6_bytes("ff02::1"), 255)
    assert message.encode_v6(src=packet.src, dst=packet.dst) == packet.payload
    assert (advert.lifetime, advert.flags) == (0xFFFF, 0x08)
    kinds = [kind for kind, _ in advert.options]
    assert sorted(kinds) == sorted([SOURCE_LLA, MTU, RDNSS, 31, 24, PREFIX_INFORMATION, PREFIX_INFORMATION])


@pytest.fixture
def routed(world):
    """A router r with port r-net on the switch of the port that is here, and gateway port r-out hosted here."""
    net, out, router = world.switch(1), world.switch(2), world.add(sb.DatapathBinding, tunnel_key=3)
    world.lport(net, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    for number, (switch, name) in enumerate(((net, "net"), (out, "out")), 2):
        world.lport(switch, f"{name}-r", number, type="patch", options={"peer": f"r-{name}"})
    inner = world.lport(
        router, "r-net", 2, type="patch", options={"peer": "net-r"}, mac=frozenset([f"{MAC} fd00::1/64"])
    )
    outer = {"peer": "out-r", "chassis-redirect-port": "cr-r-out"}
    networks = frozenset(["02:00:00:00:00:fd 172.16.0.1/24 fd09::1/64"])
    gateway = world.lport(router, "r-out", 3, type="patch", options=outer, mac=networks)
    member = world.add(sb.GatewayChassis, name="g", chassis=world.me.uuid, priority=1)
    world.lport(router, "cr-r-out", 4, type="chassisredirect", gateway_chassis=frozenset([member.uuid]),
                options={"distributed-port": "r-out"})  # fmt: skip
    for kind in (ADVERTISED, SESSION, DELEGATION):
        world.facts[kind] = set()
    return inner, gateway


def test_a_router_port_advertises_into_its_switch(world, routed):
    inner, _ = routed
    world.run()
    assert not world.facts[ADVERTISED]
    world.set(inner, options=inner.options | RA)
    world.run()
    assert {fact[1:5] for fact in world.facts[ADVERTISED]} == {(1, 2, 4, 9)}
    world.set(inner, options=inner.options | {"ipv6_ra_mtu": "nonsense"})
    world.run()
    assert not world.facts[ADVERTISED]


async def test_advertisements_go_on_at_random_intervals(monkeypatch):
    monkeypatch.setattr(periodic, "FIRST", 0.0)
    sent = []
    one = Advertiser(sent.append)
    fact = ADVERTISED(1, 2, 0.001, 0.002, b"frame")
    one.absorb(added=[fact], removed=[])
    await until_async(lambda: len(sent) > 5)
    one.absorb(added=[], removed=[fact])
    assert not one._timers


# -- BFD --------------------------------------------------------------------------------------------------------------


def pair(tx=300_000, rx=200_000, mult=3):
    return BfdEndpoint(discriminator=1, min_tx=tx, min_rx=rx, detect_mult=mult, now=0.0), BfdEndpoint(
        discriminator=2, min_tx=100_000, min_rx=100_000, detect_mult=5, now=0.0
    )


def test_intervals_of_zero_do_not_keep_a_session_busy():
    session = BfdEndpoint(discriminator=1, min_tx=0, min_rx=0, detect_mult=1, now=0.0)
    session.receive(
        Control(
            state=BfdState.DOWN,
            my_discriminator=9,
            your_discriminator=0,
            detect_mult=1,
            desired_min_tx=0,
            required_min_rx=0,
        ),
        0.0,
    )
    session.receive(
        Control(
            state=BfdState.UP,
            my_discriminator=9,
            your_discriminator=1,
            detect_mult=1,
            desired_min_tx=0,
            required_min_rx=0,
            final=True,
        ),
        0.0,
    )
    for _ in range(3):
        now = session.deadline
        session.tick(now)
        assert session.deadline > now


def converse(ends, start, until, lost=lambda _now: False):
    """Let two ends talk, each deadline in turn; return how many packets went over."""
    now, count = start, 0
    while now < until:
        now = max(now, min(end.deadline for end in ends))
        for turn in (0, 1):
            packet, to = ends[turn].tick(now), 1 - turn
            while packet is not None and not lost(now):
                count += 1
                packet, to = ends[to].receive(Control.decode(packet.encode()), now), 1 - to
    return count


def test_a_session_comes_up_and_keeps_the_agreed_pace():
    ends = pair()
    converse(ends, 0.0, 5.0)
    assert [end.state for end in ends] == [BfdState.UP, BfdState.UP]
    packets = converse(ends, 5.0, 15.0)
    assert 10 / 0.3 + 10 / 0.2 <= packets <= (10 / 0.3 + 10 / 0.2) / 0.75 + 2
    assert ends[0].detection_time == pytest.approx(5 * 0.2)
    assert ends[1].detection_time == pytest.approx(3 * 0.3)


def test_a_bfd_session_goes_down_without_packets_and_up_with_them():
    ends = pair()
    converse(ends, 0.0, 5.0)
    converse(ends, 5.0, 7.0, lambda _now: True)
    assert [(end.state, end.diagnostic) for end in ends] == [(BfdState.DOWN, Diagnostic.TIME_EXPIRED)] * 2
    assert ends[0].remote_discriminator == 0
    converse(ends, 7.0, 12.0)
    assert [end.state for end in ends] == [BfdState.UP, BfdState.UP]


def test_disabling_one_end_of_a_bfd_session_takes_the_other_down():
    ends = pair()
    converse(ends, 0.0, 5.0)
    ends[0].disable(5.0)
    converse(ends, 5.0, 7.0)
    assert (ends[0].state, ends[1].state) == (BfdState.ADMIN_DOWN, BfdState.DOWN)
    ends[0].enable(7.0)
    converse(ends, 7.0, 12.0)
    assert [end.state for end in ends] == [BfdState.UP, BfdState.UP]


def test_other_intervals_are_agreed_on_before_they_hold():
    ends = pair()
    converse(ends, 0.0, 5.0)
    ends[0].configure(min_tx=600_000, min_rx=900_000, detect_mult=3)
    packet = None
    while packet is None:
        packet = ends[0].tick(ends[0].deadline)
    assert packet.poll
    assert packet.desired_min_tx == 600_000
    final = ends[1].receive(packet, 5.5)
    assert final is not None
    assert final.final
    ends[0].receive(final, 5.5)
    assert ends[1].detection_time == pytest.approx(3 * 0.6)
    assert ends[0].detection_time == pytest.approx(5 * 0.9)


@pytest.mark.parametrize(("offset", "value"), [(0, 0x40), (1, 0xC4), (2, 0), (3, 25), (3, 23), (7, 0)], ids=str)
def test_invalid_control_packets_are_refused(offset, value):
    data = bytearray(
        Control(
            state=BfdState.UP,
            my_discriminator=1,
            your_discriminator=2,
            detect_mult=3,
            desired_min_tx=4,
            required_min_rx=5,
        ).encode()
    )
    assert Control.decode(bytes(data)) == Control(
        state=BfdState.UP, my_discriminator=1, your_discriminator=2, detect_mult=3, desired_min_tx=4, required_min_rx=5
    )
    data[offset] = value
    with pytest.raises(PacketError):
        Control.decode(bytes(data))
    with pytest.raises(PacketError):
        Control.decode(
            Control(
                state=BfdState.UP,
                my_discriminator=1,
                your_discriminator=0,
                detect_mult=3,
                desired_min_tx=4,
                required_min_rx=5,
            ).encode()
        )


def test_the_source_address_is_in_the_peers_network():
    networks = ("172.16.0.1/24", "10.0.0.1/8", "fe80::1/64", "fd09::1/64")
    assert source_for(networks, "10.2.3.4") == "10.0.0.1"
    assert source_for(networks, "9.9.9.9") == "172.16.0.1"
    assert source_for(networks, "fd77::1") == "fd09::1"
    assert source_for(networks[:2], "fd77::1") == ""


SESSION_ROW = {
    "logical_port": "r-out", "dst_ip": "172.16.0.9", "src_port": 50000, "disc": 77, "min_tx": 10, "min_rx": 10,
    "detect_mult": 3, "status": "down",
}  # fmt: skip


def test_a_session_runs_where_the_gateway_is_and_its_state_is_told(world, routed):
    _, gateway = routed
    row = world.add(sb.BFD, **SESSION_ROW)
    world.run()
    (fact,) = world.facts[SESSION]
    assert fact[2:] == (3, 3, "02:00:00:00:00:fd", "172.16.0.1", "172.16.0.9", (50000, 77), (10, 10, 3), True)
    record(world.own, row.uuid, value="up")
    ran = world.run()
    assert EDIT(row, to(sb.BFD.status, "up")) in world.facts[EDIT]
    assert "sessions" not in ran
    world.set(row, status="up")
    ran = world.run()
    assert "sessions" not in ran
    assert not [fact for fact in world.facts[EDIT] if fact[1] is sb.BFD]
    world.set(row, status="admin_down")
    world.run()
    assert [fact[9] for fact in world.facts[SESSION]] == [False]
    assert not [fact for fact in world.facts[EDIT] if fact[1] is sb.BFD]
    world.set(gateway, options={"peer": "out-r"})
    world.run()
    assert not world.facts[SESSION]


def bfd_in(source, destination, packet):
    segment = Udp(sport=50000, dport=BFD_PORT, payload=packet.encode()).encode(src=source, dst=destination)
    frame = Ethernet(
        dst=bytes(6),
        src=bytes(6),
        ethertype=ethernet.IPV4,
        payload=IPv4(src=source, dst=destination, proto=UDP, payload=segment).encode(),
    )
    return PacketIn(frame.encode(), Match.exact(metadata=3), userdata=Userdata(Opcode.BFD_MSG).encode())


async def test_two_chassis_find_each_other_and_lose_each_other():
    """Two ends whose packets are carried over by hand, as the network would."""
    stores, ends, lost = [make_local_store(), make_local_store()], [], []

    def deliver(to):
        def send(message):
            frame = Ethernet.decode(message.packet)
            if not lost:
                packet_in = PacketIn(
                    message.packet, Match.exact(metadata=3), userdata=Userdata(Opcode.BFD_MSG).encode()
                )
                assert IPv4.decode(frame.payload).ttl == 255
                asyncio.get_running_loop().call_soon(ends[to].receive, packet_in)

        return send

    ends += [Sessions(deliver(1 - me), stores[me], lambda: None) for me in (0, 1)]
    for me, (mine, other) in enumerate((("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1"))):
        ends[me].absorb(added=[SESSION("s", 3, 3, MAC, mine, other, (50000, 7 + me), (20, 20, 3), True)], removed=[])

    async def becomes(state):
        def are():
            assert [recorded(store, "s") for store in stores] == [state, state]
            return True

        await until_async(are)

    await becomes("up")
    lost.append(True)
    await becomes("down")
    with pytest.raises(PacketError):
        ends[0].receive(
            bfd_in(
                bytes([9, 9, 9, 9]),
                bytes([10, 0, 0, 1]),
                Control(
                    state=BfdState.DOWN,
                    my_discriminator=5,
                    your_discriminator=0,
                    detect_mult=3,
                    desired_min_tx=9,
                    required_min_rx=9,
                ),
            )
        )
    for end in ends:
        end.close()
    assert [recorded(store, "s") for store in stores] == [None, None]


# -- prefix delegation ------------------------------------------------------------------------------------------------


def serve(message, prefix="fd77::", kind=None, valid=4000, status=b"", server=b"\0\3\0\1server"):
    """Answer a client's message as a delegating router does."""
    association = IaNa.decode(message.option(dhcp6.IA_PD))
    given = IaPrefix(
        prefix=ipv6_bytes(prefix), length=56, preferred=valid if valid == FOREVER else valid // 2, valid=valid
    )
    inner = [(dhcp6.IA_PREFIX, given.encode())] if valid else []
    inner += [(dhcp6.STATUS_CODE, status)] if status else []
    t1, t2 = (0, 0) if valid == FOREVER else (1000, 1600)
    options = (
        (dhcp6.CLIENT_ID, message.option(dhcp6.CLIENT_ID)), (dhcp6.SERVER_ID, server),
        (dhcp6.IA_PD, IaNa(iaid=association.iaid, t1=t1, t2=t2, options=tuple(inner)).encode()),
    )  # fmt: skip
    kind = kind or (dhcp6.ADVERTISE if message.type == dhcp6.SOLICIT else dhcp6.REPLY)
    return Dhcp6(type=kind, xid=message.xid, options=options)


def bound(**answer):
    client = PrefixClient(bytes(6), iaid=5, now=0.0)
    solicit = client.tick(0.0)
    assert client.receive(serve(solicit, **answer), 0.1)
    request = client.tick(0.1)
    assert (solicit.type, request.type) == (dhcp6.SOLICIT, dhcp6.REQUEST)
    assert request.option(dhcp6.SERVER_ID) == b"\0\3\0\1server"
    assert client.receive(serve(request, **answer), 0.2)
    return client


def test_a_prefix_is_asked_for_given_and_renewed():
    client = bound()
    assert (client.prefix.prefix, client.prefix.length) == (ipv6_bytes("fd77::"), 56)
    assert client.due == pytest.approx(1000.2)
    renew = client.tick(client.due)
    assert renew.type == dhcp6.RENEW
    assert client.receive(serve(renew), 1000.5)
    assert client.due == pytest.approx(2000.5)


def test_a_prefix_is_rebound_at_another_server_or_expires():
    client = bound()
    types = []
    while client.prefix is not None:
        message = client.tick(client.due)
        if message is not None:
            types.append(message.type)
    assert types[0] == dhcp6.RENEW
    assert dhcp6.REBIND in types
    assert client.due == pytest.approx(4000.2, abs=5)
    assert client.stage is Phase.SOLICIT


def test_a_prefix_with_infinite_lifetime_is_not_renewed():
    assert bound(valid=FOREVER).due == float("inf")


def test_solicits_are_repeated_at_growing_intervals():
    client = PrefixClient(bytes(6), iaid=5, now=0.0)
    times = []
    for _ in range(6):
        times.append(client.due)
        assert client.tick(client.due).type == dhcp6.SOLICIT
    gaps = [b - a for a, b in pairwise(times)]
    assert all(later > 1.5 * earlier for earlier, later in pairwise(gaps))


def test_messages_that_do_not_answer_the_clients_request_are_ignored():
    client = PrefixClient(bytes(6), iaid=5, now=0.0)
    solicit = client.tick(0.0)
    for wrong in (
        Dhcp6(type=dhcp6.ADVERTISE, xid=solicit.xid ^ 1, options=serve(solicit).options),
        serve(solicit, kind=dhcp6.REPLY),
        serve(solicit, valid=0),
        serve(solicit, status=struct.pack(">H", 6)),
        serve(PrefixClient(bytes(6), iaid=6, now=0.0).tick(0.0)),
    ):
        assert not client.receive(wrong, 0.1)
    client.receive(serve(solicit), 0.1)
    request = client.tick(0.1)
    assert client.receive(serve(request, valid=0), 0.2)
    assert (client.stage, client.prefix) == (Phase.SOLICIT, None)


def test_a_router_asks_through_its_gateway_and_tells_what_it_is_given(world, routed):
    inner, gateway = routed
    world.set(inner, options=inner.options | {"ipv6_prefix": "true"})
    world.run()
    assert not world.facts[DELEGATION]
    world.set(gateway, options=gateway.options | {"ipv6_prefix_delegation": "true"})
    world.run()
    assert world.facts[DELEGATION] == {DELEGATION("r-net", 2, 3, "02:00:00:00:00:fd")}
    record(world.own, "prefix of r-net", value="5:fd77::/56")
    world.run()
    assert world.edits()[inner.uuid] == {"options": (("ipv6_ra_pd_list", "5:fd77::/56"),)}
    world.set(inner, options=inner.options | {"ipv6_ra_pd_list": "5:fd77::/56"})
    world.run()
    assert inner.uuid not in world.edits()
    record(world.own, "prefix of r-net", value=None)  # another chassis asks now
    world.run()
    assert inner.uuid not in world.edits()
    record(world.own, "prefix of r-net", value="")
    world.run()
    assert world.edits()[inner.uuid] == {"options": (("ipv6_ra_pd_list", None),)}


async def test_a_prefix_is_recorded_when_the_server_answers():
    sent, store = [], make_local_store()
    asking = Delegations(sent.append, store, lambda: None)
    asking.absorb(added=[DELEGATION("r-net", 2, 3, MAC)], removed=[])
    messages = []

    async def answered(count):
        await until_async(lambda: len(sent) >= count)
        packet = IPv6.decode(Ethernet.decode(sent[count - 1].packet).payload)
        messages.append(Dhcp6.decode(Udp.decode(packet.payload).payload))

    router = link_local(bytes.fromhex(MAC.replace(":", "")))
    for count in (1, 2):
        await answered(count)
        segment = Udp(sport=547, dport=546, payload=serve(messages[-1]).encode()).encode(
            src=ipv6_bytes("fe80::1"), dst=router
        )
        packet = IPv6(src=ipv6_bytes("fe80::1"), dst=router, next_header=UDP, payload=segment).encode()
        frame = Ethernet(dst=bytes(6), src=bytes(6), ethertype=ethernet.IPV6, payload=packet).encode()
        asking.receive(PacketIn(frame, Match.exact(metadata=3), userdata=Userdata(Opcode.HANDLE_DHCPV6_REPLY).encode()))
    assert recorded(store, "prefix of r-net") == f"{number_of('r-net')}:fd77::/56"
    assert parse_list(f"{number_of('r-net')}:fd77::/56") == IaPrefix(prefix=ipv6_bytes("fd77::"), length=56)
    assert parse_list("nonsense") is None
    asking.close()
    assert recorded(store, "prefix of r-net") is None
