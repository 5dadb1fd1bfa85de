"""Packet codecs: what is written is read back, known packets come out as known, noise is one clear error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.net import dhcp4, dns, tcp
from ovenbird.net.arp import Arp
from ovenbird.net.checksum import internet_checksum, pseudo_checksum
from ovenbird.net.dhcp4 import Dhcp4
from ovenbird.net.dhcp6 import Dhcp6, IaNa, ia_address
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import IPv4
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.nd import Neighbor, RouterAdvert
from ovenbird.net.tcp import Tcp
from ovenbird.net.udp import Udp

u8, u16, u32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32))
mac, ip4, ip6 = (st.binary(min_size=n, max_size=n) for n in (6, 4, 16))
payload = st.binary(max_size=60)
words = st.binary(max_size=10).map(lambda data: (data * 4)[: len(data) * 4])
ethertype = u16.filter(lambda kind: kind != 0x8100)
nd_options = st.lists(
    st.tuples(u8, st.sampled_from([6, 14, 30]).flatmap(lambda n: st.binary(min_size=n, max_size=n)))
).map(tuple)
dhcp6_options = st.lists(st.tuples(u16, payload), max_size=5).map(tuple)
dhcp4_options = st.dictionaries(
    st.integers(1, 254).filter(lambda code: code != dhcp4.OVERLOAD), st.binary(max_size=600)
)

ROUND_TRIPS = [
    (st.builds(Ethernet, mac, mac, ethertype, payload, st.none() | u16), Ethernet.decode),
    (st.builds(Arp, u16, mac, ip4, mac, ip4), Arp.decode),
    (st.builds(IPv4, ip4, ip4, u8, payload, u8, u8, u16, u16, words), IPv4.decode),
    (st.builds(IPv6, ip6, ip6, u8, payload, u8, u8, st.integers(0, 0xFFFFF)), IPv6.decode),
    (st.builds(Icmp, u8, u8, payload), Icmp.decode),
    (st.builds(Dhcp6, u8.filter(lambda kind: kind not in {12, 13}), st.integers(0, 0xFFFFFF), dhcp6_options),
    Dhcp6.decode), (st.builds(IaNa, u32, u32, u32, dhcp6_options), IaNa.decode),
    (st.builds(Dhcp4, u8, u32, mac, dhcp4_options, ip4, ip4, ip4, ip4, u16, u16, u8, u8), Dhcp4.decode),
]  # fmt: skip
DECODERS = [decode for _, decode in ROUND_TRIPS] + [Udp.decode, Tcp.decode, dns.Query.decode]


@pytest.mark.parametrize(("values", "decode"), ROUND_TRIPS, ids=lambda value: getattr(value, "__qualname__", ""))
def test_what_is_encoded_decodes_to_itself(values, decode):
    @given(values)
    def check(value):
        assert decode(value.encode()) == value

    check()


@given(u16, u16, payload, ip4, ip4)
def test_udp_reads_back_and_its_checksum_holds(sport, dport, data, src, dst):
    segment = Udp(sport, dport, data).encode(src, dst)
    assert Udp.decode(segment) == Udp(sport, dport, data)
    assert pseudo_checksum(src, dst, 17, segment) == 0
    assert segment[6:8] != b"\0\0"


@given(u16, u16, u32, u32, st.integers(0, 63), u16, words, payload, ip6, ip6)
def test_tcp_reads_back_and_its_checksum_holds(sport, dport, seq, ack, flags, window, options, data, src, dst):
    segment = Tcp(sport, dport, seq, ack, flags, window, 0, options, data)
    wire = segment.encode(src, dst)
    assert Tcp.decode(wire) == segment
    assert pseudo_checksum(src, dst, 6, wire) == 0


@given(st.sampled_from([135, 136]), ip6, u32, nd_options, ip6, ip6)
def test_neighbor_messages_read_back(kind, target, flags, options, src, dst):
    message = Neighbor(kind, target, flags, options)
    wire = message.icmp().encode_v6(src, dst)
    assert Neighbor.of(Icmp.decode(wire)) == message
    assert pseudo_checksum(src, dst, 58, wire) == 0


@given(u8, u8, u16, u32, u32, nd_options)
def test_router_adverts_read_back(hop_limit, flags, lifetime, reachable, retrans, options):
    advert = RouterAdvert(hop_limit, flags, lifetime, reachable, retrans, options)
    assert RouterAdvert.of(advert.icmp()) == advert


@given(st.binary(max_size=400), st.sampled_from(DECODERS), st.sampled_from([b"", bytes([0x45]), bytes([0x60])]))
def test_noise_is_a_packet_error_and_nothing_else(noise, decode, start):
    data = start + noise
    try:
        decode(data)
    except PacketError:
        return
    assert len(data) >= 4


@given(st.binary(max_size=300), st.integers(0, 255))
def test_noise_behind_good_headers_is_a_packet_error_and_nothing_else(noise, kind):
    good = Dhcp4(1, 5, bytes(6)).encode()[:-1]
    for decode in (
        lambda: Dhcp4.decode(good + noise),
        lambda: Dhcp4.decode(good + b"\x34\x01\x03" + noise),
        lambda: Dhcp6.decode(bytes([1, 0, 0, 5]) + noise),
        lambda: dns.Query.decode(bytes.fromhex("000501000001000000000000") + noise),
        lambda: IPv6(bytes(16), bytes(16), kind, noise).upper(),
        lambda: Neighbor.of(Icmp(135, 0, bytes(20) + noise)),
        lambda: RouterAdvert.of(Icmp(134, 0, bytes(12) + noise)),
    ):
        try:
            decode()
        except PacketError as error:
            assert str(error)  # noqa: PT017 - the point is that nothing else comes


def test_the_checksum_of_rfc_1071s_example():
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    assert internet_checksum(b"") == 0xFFFF
    assert internet_checksum(b"\xff\xff") == 0


def test_a_wrong_ipv4_checksum_is_refused():
    wire = bytearray(IPv4(bytes(4), bytes(4), 17, b"x").encode())
    wire[10] ^= 1
    with pytest.raises(PacketError, match="checksum"):
        IPv4.decode(bytes(wire))


def test_resets_answer_as_rfc_9293_says():
    syn = Tcp(1000, 22, 41, 0, tcp.SYN)
    assert syn.reset() == Tcp(22, 1000, 0, 42, tcp.RST | tcp.ACK)
    data = Tcp(1000, 22, 41, 77, tcp.ACK, payload=b"abc")
    assert data.reset() == Tcp(22, 1000, 77, 0, tcp.RST)
    assert data.reset().reset() is None


def test_dhcp_long_options_split_and_overloaded_fields_are_read():
    message = Dhcp4(2, 7, b"\2" * 6, {53: b"\5", 121: bytes(300), 12: b""})
    wire = message.encode()
    assert Dhcp4.decode(wire).options == message.options
    assert message.message_type == dhcp4.ACK
    overloaded = Dhcp4(2, 7, b"\2" * 6, {52: b"\3"}, sname=b"\x0c\1h\xff", file=b"\x0f\1d\xff").encode()
    assert Dhcp4.decode(overloaded).options == {52: b"\3", 12: b"h", 15: b"d"}


def test_dhcp_routes_are_compact():
    routes = ((b"\xa9\xfe\xa9\xfe", 32, b"\x0a\0\0\2"), (bytes(4), 0, b"\x0a\0\0\1"))
    assert dhcp4.classless_routes(routes).hex() == "20a9fea9fe0a000002" + "000a000001"


def test_dhcp6_address_within_an_association():
    association = IaNa(9, options=(ia_address(b"\1" * 16, 100, 200),))
    message = Dhcp6(7, 5, ((3, association.encode()),))
    assert IaNa.decode(Dhcp6.decode(message.encode()).option(3)) == association


def test_ipv6_extension_headers_are_skipped():
    hop_by_hop, fragment = bytes([44, 0]) + bytes(6), bytes([58]) + bytes(7)
    assert IPv6(bytes(16), bytes(16), 0, hop_by_hop + fragment + b"icmp").upper() == (58, b"icmp")


def test_a_dns_query_is_read_and_answered():
    question = dns.encode_name("VM1.example.org") + bytes.fromhex("00010001")
    query = dns.Query.decode(bytes.fromhex("abcd01000001000000000000") + question)
    assert (query.name, query.qtype, query.qclass) == ("VM1.example.org", dns.A, dns.IN)
    answer = query.answer(((dns.A, b"\x0a\0\0\5"),), ttl=60)
    assert answer.hex() == "abcd" + "8580" + "0001000100000000" + question.hex() + "c00c000100010000003c00040a000005"
    assert query.answer((), rcode=3)[3] & 15 == 3
    with pytest.raises(PacketError):
        dns.Query.decode(answer)
    with pytest.raises(PacketError):
        dns.encode_name("a..b")
