"""Packet codecs: what is written is read back, known packets come out as known, noise is one clear error."""

import struct

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
    (
        st.builds(Ethernet, dst=mac, src=mac, ethertype=ethertype, payload=payload, vlan=st.none() | u16),
        Ethernet.decode,
    ),
    (st.builds(Arp, op=u16, sha=mac, spa=ip4, tha=mac, tpa=ip4), Arp.decode),
    (
        st.builds(
            IPv4, src=ip4, dst=ip4, proto=u8, payload=payload, ttl=u8, tos=u8, ident=u16, fragment=u16, options=words
        ),
        IPv4.decode,
    ),
    (
        st.builds(
            IPv6,
            src=ip6,
            dst=ip6,
            next_header=u8,
            payload=payload,
            hop_limit=u8,
            traffic_class=u8,
            flow_label=st.integers(0, 0xFFFFF),
        ),
        IPv6.decode,
    ),
    (st.builds(Icmp, type=u8, code=u8, body=payload), Icmp.decode),
    (
        st.builds(
            Dhcp6,
            type=u8.filter(lambda kind: kind not in {12, 13}),
            xid=st.integers(0, 0xFFFFFF),
            options=dhcp6_options,
        ),
        Dhcp6.decode,
    ),
    (st.builds(IaNa, iaid=u32, t1=u32, t2=u32, options=dhcp6_options), IaNa.decode),
    (
        st.builds(
            Dhcp4,
            op=u8,
            xid=u32,
            chaddr=mac,
            options=dhcp4_options,
            ciaddr=ip4,
            yiaddr=ip4,
            siaddr=ip4,
            giaddr=ip4,
            flags=u16,
            secs=u16,
            hops=u8,
            htype=u8,
        ),
        Dhcp4.decode,
    ),
]
DECODERS = [decode for _, decode in ROUND_TRIPS] + [Udp.decode, Tcp.decode, dns.DnsQuery.decode]


@pytest.mark.parametrize(("values", "decode"), ROUND_TRIPS, ids=lambda value: getattr(value, "__qualname__", ""))
def test_encoding_and_decoding_return_the_same_value(values, decode):
    @given(values)
    def check(value):
        assert decode(value.encode()) == value

    check()


@given(u16, u16, payload, ip4, ip4)
def test_udp_reads_back_and_its_checksum_holds(sport, dport, data, src, dst):
    segment = Udp(sport=sport, dport=dport, payload=data).encode(src=src, dst=dst)
    assert Udp.decode(segment) == Udp(sport=sport, dport=dport, payload=data)
    assert pseudo_checksum(src=src, dst=dst, proto=17, segment=segment) == 0
    assert segment[6:8] != b"\0\0"


@given(u16, u16, u32, u32, st.integers(0, 63), u16, words, payload, ip6, ip6)
def test_tcp_reads_back_and_its_checksum_holds(sport, dport, seq, ack, flags, window, options, data, src, dst):
    segment = Tcp(
        sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, window=window, urgent=0, options=options, payload=data
    )
    wire = segment.encode(src=src, dst=dst)
    assert Tcp.decode(wire) == segment
    assert pseudo_checksum(src=src, dst=dst, proto=6, segment=wire) == 0


@given(st.sampled_from([135, 136]), ip6, u32, nd_options, ip6, ip6)
def test_neighbor_messages_read_back(kind, target, flags, options, src, dst):
    message = Neighbor(kind, target, flags, options)
    wire = message.icmp().encode_v6(src=src, dst=dst)
    assert Neighbor.of(Icmp.decode(wire)) == message
    assert pseudo_checksum(src=src, dst=dst, proto=58, segment=wire) == 0


@given(u8, u8, u16, u32, u32, nd_options)
def test_router_adverts_read_back(hop_limit, flags, lifetime, reachable, retrans, options):
    advert = RouterAdvert(
        hop_limit=hop_limit,
        flags=flags,
        lifetime=lifetime,
        reachable_time=reachable,
        retrans_timer=retrans,
        options=options,
    )
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
    good = Dhcp4(op=1, xid=5, chaddr=bytes(6)).encode()[:-1]
    for decode in (
        lambda: Dhcp4.decode(good + noise),
        lambda: Dhcp4.decode(good + b"\x34\x01\x03" + noise),
        lambda: Dhcp6.decode(bytes([1, 0, 0, 5]) + noise),
        lambda: dns.DnsQuery.decode(bytes.fromhex("000501000001000000000000") + noise),
        lambda: IPv6(src=bytes(16), dst=bytes(16), next_header=kind, payload=noise).upper(),
        lambda: Neighbor.of(Icmp(type=135, code=0, body=bytes(20) + noise)),
        lambda: RouterAdvert.of(Icmp(type=134, code=0, body=bytes(12) + noise)),
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
    wire = bytearray(IPv4(src=bytes(4), dst=bytes(4), proto=17, payload=b"x").encode())
    wire[10] ^= 1
    with pytest.raises(PacketError, match="checksum"):
        IPv4.decode(bytes(wire))


def test_resets_answer_as_rfc_9293_says():
    syn = Tcp(sport=1000, dport=22, seq=41, ack=0, flags=tcp.SYN)
    assert syn.reset() == Tcp(sport=22, dport=1000, seq=0, ack=42, flags=tcp.RST | tcp.ACK)
    data = Tcp(sport=1000, dport=22, seq=41, ack=77, flags=tcp.ACK, payload=b"abc")
    assert data.reset() == Tcp(sport=22, dport=1000, seq=77, ack=0, flags=tcp.RST)
    assert data.reset().reset() is None


def test_dhcp_long_options_split_and_overloaded_fields_are_read():
    message = Dhcp4(op=2, xid=7, chaddr=b"\2" * 6, options={53: b"\5", 121: bytes(300), 12: b""})
    wire = message.encode()
    assert Dhcp4.decode(wire).options == message.options
    assert message.message_type == dhcp4.ACK
    overloaded = Dhcp4(
        op=2, xid=7, chaddr=b"\2" * 6, options={52: b"\3"}, sname=b"\x0c\1h\xff", file=b"\x0f\1d\xff"
    ).encode()
    assert Dhcp4.decode(overloaded).options == {52: b"\3", 12: b"h", 15: b"d"}


def test_classless_routes_are_encoded_as_in_rfc_3442():
    routes = ((b"\xa9\xfe\xa9\xfe", 32, b"\x0a\0\0\2"), (bytes(4), 0, b"\x0a\0\0\1"))
    assert dhcp4.classless_routes(routes).hex() == "20a9fea9fe0a000002" + "000a000001"


def test_dhcp6_address_within_an_association():
    association = IaNa(iaid=9, options=(ia_address(b"\1" * 16, preferred=100, valid=200),))
    message = Dhcp6(type=7, xid=5, options=((3, association.encode()),))
    assert IaNa.decode(Dhcp6.decode(message.encode()).option(3)) == association


def test_ipv6_extension_headers_are_skipped():
    hop_by_hop, fragment = bytes([44, 0]) + bytes(6), bytes([58]) + bytes(7)
    assert IPv6(src=bytes(16), dst=bytes(16), next_header=0, payload=hop_by_hop + fragment + b"icmp").upper() == (
        58,
        b"icmp",
    )


def test_a_dns_query_is_read_and_answered():
    question = dns.encode_name("VM1.example.org") + bytes.fromhex("00010001")
    query = dns.DnsQuery.decode(bytes.fromhex("abcd01000001000000000000") + question)
    assert (query.name, query.qtype, query.qclass) == ("VM1.example.org", dns.A, dns.IN)
    answer = query.answer(((dns.A, b"\x0a\0\0\5"),), ttl=60)
    assert answer.hex() == "abcd" + "8580" + "0001000100000000" + question.hex() + "c00c000100010000003c00040a000005"
    assert query.answer((), rcode=3)[3] & 15 == 3
    with pytest.raises(PacketError):
        dns.DnsQuery.decode(answer)
    with pytest.raises(PacketError):
        dns.encode_name("a..b")


def dns_query(*, edns="", records=1):
    question = dns.encode_name("vm1.example.org") + bytes.fromhex("00010001")
    return dns.DnsQuery.decode(struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, records) + question + bytes.fromhex(edns))


@pytest.mark.parametrize(
    ("edns", "records", "found"),
    [
        ("", 0, None),
        ("0000291000000000000000", 1, (4096, 0)),
        ("0000290200000100000004deadbeef", 1, (512, 1)),
        ("c00c000100010000000000040a000001" + "0000290100000000000000", 2, (256, 0)),
        ("03616263000029100000000000" + "0000", 1, None),  # OPT is the root's
        ("0000291000", 1, None),
        ("0000291000000000000000", 0, None),
        ("", 65_535, None),
    ],
)
def test_the_opt_record_of_a_dns_query_is_found(edns, records, found):
    assert dns_query(edns=edns, records=records).edns == found


def test_a_dns_answer_has_no_more_records_than_the_client_takes():
    records = tuple((dns.A, bytes((10, 0, 0, n))) for n in range(200))
    for edns, most in (("", 512), ("0000291000000000000000", 1232), ("0000290064000000000000", 512)):
        answer = dns_query(edns=edns).answer(records)
        assert most - 16 < len(answer) <= most
        number, opt = struct.unpack_from(">H2xH", answer, 6)
        assert 12 + 21 + 16 * number + 11 * opt == len(answer)
        assert opt == (1 if edns else 0)
        assert not answer[2] & 0x02  # truncated: nobody answers by TCP
    unknown = dns_query(edns="0000291000000100000000").answer(records)
    assert (struct.unpack_from(">H", unknown, 6)[0], unknown[3] & 15, unknown[-11:].hex()) == (
        0,
        0,
        "00002904d0010000000000",
    )
