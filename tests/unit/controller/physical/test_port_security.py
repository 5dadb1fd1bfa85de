"""Who a port may be: packets against the flows of tables 73 to 75."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ovenbird.controller.physical.port_security import parse_entry
from ovenbird.openflow.actions import Resubmit, SetField
from ovenbird.openflow.match import Match
from support.controller.world import actions_of

MAC, OTHER = 0x0A0000000001, 0x0A0000000002
IP, IP6, ARP = {"eth_type": 0x800}, {"eth_type": 0x86DD}, {"eth_type": 0x806}


def v4(address):
    return int(ip_address(address))


v6 = v4


@pytest.fixture
def secure(world):
    """Return a function that makes a port of these entries, and one that says whether a packet passes."""
    switch = world.switch(7)

    def make(*entries):
        world.lport(switch, "p1", 1, port_security=frozenset(entries))
        world.port_on_bridge("tap1", 5, iface_id="p1")
        world.run()

        def passes(table, **packet):
            here = {"metadata": 7, "reg14": 1, "reg15": 1, **packet}
            return verdict(world, table, here)

        return passes

    return make


def verdict(world, table, packet):
    """Run a packet through a subroutine table; an answer is the last one given."""
    best = None
    for (number, priority, match), content in world.desired().items():
        fields = Match.decode(match)[0]
        holds = number == table and all(packet.get(n, 0) & m == v for n, (v, m) in fields.items())
        if holds and (best is None or priority > best[0]):
            best = (priority, content)
    if best is None:
        return True
    (action,) = actions_of(best[1][0])
    if isinstance(action, Resubmit):
        return verdict(world, action.table, packet)
    assert isinstance(action, SetField)
    return action.value == 0


def test_one_address(secure):
    passes = secure("0a:00:00:00:00:01 10.0.0.11")
    assert passes(73, eth_src=MAC, **IP, ip_src=v4("10.0.0.11"))
    assert not passes(73, eth_src=MAC, **IP, ip_src=v4("10.0.0.12"))
    assert not passes(73, eth_src=OTHER, **IP, ip_src=v4("10.0.0.11"))
    assert not passes(73, eth_src=MAC, **IP6, ipv6_src=v6("fd00::1"))
    arp = {"eth_src": MAC, **ARP, "arp_sha": MAC, "arp_spa": v4("10.0.0.11")}
    assert passes(73, **arp)
    assert not passes(73, **arp | {"arp_spa": v4("10.0.0.12")})
    assert not passes(73, **arp | {"arp_sha": OTHER})
    discover = {"ip_src": 0, "ip_dst": 0xFFFFFFFF, "nw_proto": 17, "udp_src": 68, "udp_dst": 67}
    assert passes(73, eth_src=MAC, **IP, **discover)


def test_destinations_that_a_port_may_receive(secure):
    passes = secure("0a:00:00:00:00:01 10.0.0.11/24")
    assert passes(75, eth_dst=MAC, **IP, ip_dst=v4("10.0.0.11"))
    assert passes(75, eth_dst=MAC, **IP, ip_dst=v4("10.0.0.255"))
    assert passes(75, eth_dst=MAC, **IP, ip_dst=v4("224.0.0.5"))
    assert not passes(75, eth_dst=MAC, **IP, ip_dst=v4("10.0.0.12"))
    assert not passes(75, eth_dst=OTHER, **IP, ip_dst=v4("10.0.0.11"))
    assert passes(75, eth_dst=MAC, **ARP)


def test_a_network_without_host_bits_is_the_whole_network(secure):
    passes = secure("0a:00:00:00:00:01 10.0.5.0/24")
    assert passes(73, eth_src=MAC, **IP, ip_src=v4("10.0.5.77"))
    assert not passes(73, eth_src=MAC, **IP, ip_src=v4("10.0.6.1"))


def test_ipv6_and_its_neighbours(secure):
    passes = secure("0a:00:00:00:00:01 fd00::11")
    for source in ("fd00::11", "fe80::800:ff:fe00:1"):
        assert passes(73, eth_src=MAC, **IP6, ipv6_src=v6(source))
    assert not passes(73, eth_src=MAC, **IP6, ipv6_src=v6("fd00::12"))
    nd = {"eth_src": MAC, **IP6, "ipv6_src": v6("fd00::11"), "nw_proto": 58, "nw_ttl": 255}
    assert passes(73, **nd, icmpv6_type=135, nd_sll=MAC)
    assert not passes(73, **nd, icmpv6_type=135, nd_sll=OTHER)
    assert passes(73, **nd, icmpv6_type=136, nd_tll=MAC, nd_target=v6("fd00::11"))
    assert not passes(73, **nd, icmpv6_type=136, nd_tll=MAC, nd_target=v6("fd00::12"))
    assert not passes(73, **nd | {"nw_ttl": 64}, icmpv6_type=135, nd_sll=MAC)
    probe = {"eth_src": MAC, **IP6, "ipv6_src": 0, "ipv6_dst": v6("ff02::1:ff00:11"), "nw_proto": 58, "nw_ttl": 255}
    assert passes(73, **probe, icmpv6_type=135)


def test_a_mac_alone_may_use_any_address(secure):
    passes = secure("0a:00:00:00:00:01")
    assert passes(73, eth_src=MAC, **IP, ip_src=v4("10.9.9.9"))
    assert passes(73, eth_src=MAC, **ARP, arp_sha=MAC, arp_spa=1)
    assert not passes(73, eth_src=MAC, **ARP, arp_sha=OTHER, arp_spa=1)
    assert not passes(73, eth_src=OTHER, **IP, ip_src=v4("10.9.9.9"))


@pytest.mark.parametrize("text", ["", "unknown", "0a:00:00:00:00:01 10.0.0.300", "0a:00:00:00:00 10.0.0.1"])
def test_an_invalid_entry_is_parsed_as_none(text):
    assert parse_entry(text) is None
