"""What a physical network hears of addresses that come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ovenbird.controller.facts import ANNOUNCED
from ovenbird.controller.protocols import garp, periodic
from ovenbird.controller.protocols.garp import Announcer, announcement
from ovenbird.net.arp import Arp
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.nd import Neighbor
from support.waiting import until_async

if TYPE_CHECKING:
    import pytest

MAC = "00:00:20:20:12:13"


def test_an_ipv4_address_is_announced_by_an_arp_request_for_itself():
    frame = Ethernet.decode(announcement(MAC, address="172.16.0.1"))
    query = Arp.decode(frame.payload)
    assert frame.dst == b"\xff" * 6
    assert (query.op, query.spa, query.tpa) == (1, bytes([172, 16, 0, 1]), bytes([172, 16, 0, 1]))
    assert query.sha == frame.src == bytes.fromhex(MAC.replace(":", ""))


def test_an_ipv6_address_is_announced_by_an_advertisement():
    packet = IPv6.decode(Ethernet.decode(announcement(MAC, address="2001:db8::1")).payload)
    message = Icmp.decode(packet.payload)
    assert message.encode_v6(src=packet.src, dst=packet.dst) == packet.payload
    assert Neighbor.of(message).target == packet.src
    assert packet.hop_limit == 255


def test_a_mac_address_alone_is_announced_by_rarp():
    assert Ethernet.decode(announcement(MAC, address="")).ethertype == 0x8035


def test_addresses_of_a_switch_with_a_physical_network(world):
    world.facts[ANNOUNCED] = set()
    world.set(world.root, external_ids=world.root["external_ids"] | {"ovn-bridge-mappings": "net1:br-ex"})
    switch = world.switch(7)
    world.lport(switch, "p1", 1, mac=frozenset(["0a:00:00:00:00:01 10.0.0.1 fd00::1", "unknown"]))
    world.lport(switch, "ln", 2, type="localnet", options={"network_name": "net1"})
    line = f'{MAC} 172.16.0.1 is_chassis_resident("p1")'
    other = f'{MAC} 172.16.0.2 is_chassis_resident("elsewhere")'
    world.lport(switch, "s-r", 3, type="patch", nat_addresses=frozenset([line, other]))
    interface = world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    assert {fact[1:] for fact in world.facts[ANNOUNCED]} == {
        (7, 1, "0a:00:00:00:00:01", "10.0.0.1", (), 0),
        (7, 1, "0a:00:00:00:00:01", "fd00::1", (), 0),
        (7, 3, MAC, "172.16.0.1", (), 0),
    }
    world.unplug(interface)
    world.run()
    assert not world.facts[ANNOUNCED]


def test_announcements_repeat_and_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(periodic, "FIRST", 0.0)
    monkeypatch.setattr(garp, "PAUSES", (0.0, 0.0))
    sent = []

    async def run() -> None:
        announcer = Announcer(sent.append)
        kept, gone = ANNOUNCED(7, 1, MAC, "10.0.0.1", ()), ANNOUNCED(7, 1, MAC, "10.0.0.2", ())
        announcer.absorb(added=[kept, gone], removed=[])
        announcer.absorb(added=[], removed=[gone])
        await until_async(lambda: len(sent) >= 3)
        assert not announcer._timers

    asyncio.run(run())
    assert [Arp.decode(Ethernet.decode(m.packet).payload).tpa[3] for m in sent] == [1, 1, 1]


def test_pauses_grow_up_to_the_limit_and_do_not_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(garp, "PAUSES", (1.0, 2.0, 4.0))
    announcer = Announcer(lambda _message: None)
    endless, usual = ANNOUNCED(7, 1, MAC, "10.0.0.1", (), 3), ANNOUNCED(7, 1, MAC, "10.0.0.1", ())
    assert [announcer.say(endless, done) for done in (0, 1, 2, 9)] == [1.0, 2.0, 3, 3]
    assert [announcer.say(usual, done) for done in (0, 1, 2, 3)] == [1.0, 2.0, 4.0, None]
