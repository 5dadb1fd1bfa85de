"""Packets made to order."""

from __future__ import annotations

import pytest

from ovenbird.controller.inject import packet_out, read
from ovenbird.lang.errors import LangError
from ovenbird.net import nd
from ovenbird.net.arp import Arp
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import IPv4
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.tcp import Tcp
from ovenbird.openflow.messages import PacketOut

ETH = 'inport == "p1" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02'


def made(text):
    name, packet = read(f"{ETH} && {text}")
    assert name == "p1"
    frame = Ethernet.decode(packet)
    assert (frame.src.hex(), frame.dst.hex()) == ("0a0000000001", "0a0000000002")
    return frame


def test_tcp_over_ipv4():
    frame = made("ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.2 && ip.ttl == 9 && tcp.dst == 80 && tcp.flags == 2")
    packet = IPv4.decode(frame.payload)
    assert (packet.src, packet.dst, packet.ttl) == (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), 9)
    segment = Tcp.decode(packet.payload)
    assert (segment.dport, segment.flags) == (80, 2)
    assert packet.payload == segment.encode(src=packet.src, dst=packet.dst), "the checksum is right"


def test_icmp_udp_and_other_packets_over_ipv4():
    echo = IPv4.decode(made("icmp4.type == 8 && icmp4.code == 0 && ip4.src == 10.0.0.1").payload)
    assert Icmp.decode(echo.payload).type == 8
    assert len(IPv4.decode(made("ip4 && udp.dst == 53").payload).payload) == 8
    assert IPv4.decode(made("ip4 && sctp.dst == 5").payload).proto == 132
    assert IPv4.decode(made("ip4 && ip.proto == 47").payload).payload == b""
    assert IPv4.decode(made("ip4 && ip.frag == 3 && ip.proto == 6").payload).fragment & 0x1FFF


def test_neighbours():
    packet = IPv6.decode(
        made("nd_ns && ip6.dst == ff02::1 && nd.target == fd00::9 && nd.sll == 0a:00:00:00:00:01").payload
    )
    asked = nd.Neighbor.of(Icmp.decode(packet.payload))
    assert asked.target.hex() == "fd" + 29 * "0" + "9"
    assert asked.options == ((nd.SOURCE_LLA, bytes.fromhex("0a0000000001")),)
    assert IPv6.decode(made("icmp6.type == 128 && icmp6.code == 0").payload).next_header == 58
    query = Arp.decode(made("arp.op == 1 && arp.spa == 10.0.0.1 && arp.tpa == 10.0.0.2").payload)
    assert (query.op, query.tpa) == (1, bytes((10, 0, 0, 2)))


def test_vlan_tags_and_other_ethernet_types():
    frame = made("vlan.present && vlan.vid == 7 && eth.type == 0x1234")
    assert (frame.vlan, frame.ethertype, frame.payload) == (7, 0x1234, b"")


@pytest.mark.parametrize(
    "text", ["ip4 && ip6", "tcp || udp", "ip4.src == 10.0.0.0/24 ||", '(inport == "a" || inport == "b")']
)
def test_expressions_that_describe_no_single_packet_are_refused(text):
    with pytest.raises(LangError):
        read(text)


def test_no_port():
    assert read("ip4")[0] == ""


def test_a_containers_packet_carries_its_tag():
    message = packet_out(b"x" * 60, ofport=5, tag=42)
    again = PacketOut.decode(message.encode()[8:])
    assert again.in_port == 5
    assert len(again.actions) == 3
