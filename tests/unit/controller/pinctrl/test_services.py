"""Packets answered in a server's place: DHCPv6, router solicitations, names; and the MTU of ICMP errors."""

from __future__ import annotations

import struct

import pytest

from ovenbird.controller.pinctrl import dhcp6 as dhcp6_answers
from ovenbird.controller.pinctrl import dns as dns_answers
from ovenbird.controller.pinctrl import frag_mtu, ra, replies
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.net import dhcp6, dns, ethernet, nd
from ovenbird.net.addresses import ALL_NODES, link_local
from ovenbird.net.dhcp6 import Dhcp6, IaNa
from ovenbird.net.dns import DnsQuery
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import ICMP, SCTP, UDP, IPv4
from ovenbird.net.ipv6 import ICMPV6, IPv6
from ovenbird.net.sctp import Sctp, crc32c
from ovenbird.net.udp import Udp

CLIENT, SERVER = bytes.fromhex("0a0000000001"), bytes.fromhex("0a00000000ff")
SRC6, DST6 = bytes.fromhex("fe80" + "00" * 13 + "01"), bytes.fromhex("ff02" + "00" * 13 + "02")
SRC4, DST4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 53])
DUID = bytes.fromhex("000300010a0000000001")


def frame6(payload, protocol, src=SRC6):
    return Ethernet(
        dst=SERVER,
        src=CLIENT,
        ethertype=ethernet.IPV6,
        payload=IPv6(src=src, dst=DST6, next_header=protocol, payload=payload).encode(),
    ).encode()


def upper6(packet):
    return IPv6.decode(Ethernet.decode(packet).payload)


def option(code, value):
    return struct.pack(">HH", code, len(value)) + value


GIVEN = Userdata(
    Opcode.PUT_DHCPV6_OPTS, None,
    option(dhcp6.SERVER_ID, SERVER) + option(dhcp6.IA_ADDR, bytes(15) + b"\5") + option(dhcp6.DNS_SERVERS, bytes(16))
    + option(dhcp6.DOMAIN_LIST, b"example.org, a.b") + option(dhcp6.CLIENT_FQDN, b"\1a\1b\0"),
)  # fmt: skip


def ask6(kind, *options):
    message = Dhcp6(type=kind, xid=0x123456, options=((dhcp6.CLIENT_ID, DUID), *options))
    udp = Udp(sport=dhcp6.CLIENT_PORT, dport=dhcp6.SERVER_PORT, payload=message.encode()).encode(src=SRC6, dst=DST6)
    made = dhcp6_answers.answer(frame6(udp, 17), GIVEN)
    if made is None:
        return None
    packet = upper6(made)
    segment = Udp.decode(packet.payload)
    assert segment.encode(src=packet.src, dst=packet.dst) == packet.payload
    return Dhcp6.decode(segment.payload)


IA = (dhcp6.IA_NA, IaNa(iaid=7).encode())


@pytest.mark.parametrize(
    ("kind", "reply"),
    [(dhcp6.SOLICIT, dhcp6.ADVERTISE), (dhcp6.REQUEST, dhcp6.REPLY), (dhcp6.RENEW, dhcp6.REPLY)],
)
def test_a_client_gets_its_address(kind, reply):
    answer = ask6(kind, IA)
    assert (answer.type, answer.xid, answer.option(dhcp6.CLIENT_ID)) == (reply, 0x123456, DUID)
    association = IaNa.decode(answer.option(dhcp6.IA_NA))
    assert association.iaid == 7
    assert association.options[0][1][:16] == bytes(15) + b"\5"
    assert answer.option(dhcp6.DNS_SERVERS) == bytes(16)


def test_a_request_for_settings_gets_no_address():
    answer = ask6(dhcp6.INFORMATION_REQUEST)
    assert answer.option(dhcp6.IA_NA) is None
    assert answer.option(dhcp6.DNS_SERVERS) == bytes(16)


def test_domains_are_told_as_names():
    assert ask6(dhcp6.INFORMATION_REQUEST).option(dhcp6.DOMAIN_LIST) == b"\7example\3org\0\1a\1b\0"


@pytest.mark.parametrize(("flags", "answered"), [(0, b"\4"), (1, b"\6"), (4, b"\4")])
def test_a_client_that_says_its_name_and_asks_for_it_is_told_the_ports(flags, answered):
    """RFC 4704, section 6: it is told, too, that nobody tells the DNS."""
    said, asked = (dhcp6.CLIENT_FQDN, bytes([flags]) + b"\1x"), (dhcp6.ORO, b"\0\x17\0\x27")
    assert ask6(dhcp6.REQUEST, IA, said, asked).option(dhcp6.CLIENT_FQDN) == answered + b"\1a\1b\0"
    for others in ((), (said,), (asked,), (said, (dhcp6.ORO, b"\x17\0\x27\0")), ((dhcp6.CLIENT_FQDN, b""), asked)):
        assert ask6(dhcp6.REQUEST, IA, *others).option(dhcp6.CLIENT_FQDN) is None


def test_a_release_is_a_success():
    assert ask6(dhcp6.RELEASE, IA).option(dhcp6.STATUS_CODE) == bytes(2)


def test_a_message_for_another_server_gets_no_answer():
    assert ask6(dhcp6.REQUEST, IA, (dhcp6.SERVER_ID, bytes(10))) is None


def test_a_servers_message_gets_no_answer():
    assert ask6(dhcp6.REPLY) is None


def test_a_solicitation_becomes_the_advertisement():
    advert = struct.pack(">BBHBBHII", 134, 0, 0, 255, 0, 0xFFFF, 0, 0)
    asked = frame6(Icmp(type=nd.ROUTER_SOLICIT, code=0, body=bytes(4)).encode_v6(src=SRC6, dst=DST6), ICMPV6)
    packet = upper6(ra.answer(asked, Userdata(Opcode.PUT_ND_RA_OPTS, None, advert)))
    message = Icmp.decode(packet.payload)
    assert packet.hop_limit == 255
    assert (message.type, message.body) == (nd.ROUTER_ADVERT, advert[4:])
    assert message.encode_v6(src=packet.src, dst=packet.dst) == packet.payload


def test_a_solicitation_without_a_source_address_is_answered_to_all_nodes():
    """The flow that the answer goes back to makes its source the destination; and `::` is no destination."""
    asked = frame6(
        Icmp(type=nd.ROUTER_SOLICIT, code=0, body=bytes(4)).encode_v6(src=bytes(16), dst=DST6), ICMPV6, src=bytes(16)
    )
    packet = upper6(ra.answer(asked, Userdata(Opcode.PUT_ND_RA_OPTS, None, bytes([134, *bytes(15)]))))
    assert packet.src == ALL_NODES
    assert Icmp.decode(packet.payload).encode_v6(src=packet.src, dst=packet.dst) == packet.payload


def test_a_router_asks_from_its_own_link_local_address():
    made = replies.solicitation(
        Ethernet.decode(frame6(Icmp(type=128, code=0, body=bytes(4)).encode_v6(src=SRC6, dst=DST6), ICMPV6))
    )
    packet = IPv6.decode(made.payload)
    assert packet.src == link_local(made.src) != SRC6
    assert Icmp.decode(packet.payload).encode_v6(src=packet.src, dst=packet.dst) == packet.payload


def test_packets_other_than_solicitations_are_refused():
    other = frame6(Icmp(type=128, code=0, body=bytes(4)).encode_v6(src=SRC6, dst=DST6), ICMPV6)
    with pytest.raises(PacketError):
        ra.answer(other, Userdata(Opcode.PUT_ND_RA_OPTS))


RECORDS = {"vm1.example.org": "10.0.0.11 fd00::11", "11.0.0.10.in-addr.arpa": "vm1.example.org"}


def resolve(name, qtype, *, owned=False):
    query = DnsQuery(
        ident=7,
        flags=0x0100,
        name=name,
        qtype=qtype,
        qclass=dns.IN,
        wire=dns.encode_name(name) + struct.pack(">HH", qtype, dns.IN),
    )
    udp = Udp(sport=40000, dport=dns.DNS_PORT, payload=query.encode()).encode(src=SRC4, dst=DST4)
    packet = Ethernet(
        dst=SERVER,
        src=CLIENT,
        ethertype=ethernet.IPV4,
        payload=IPv4(src=SRC4, dst=DST4, proto=UDP, payload=udp).encode(),
    ).encode()
    made = dns_answers.answer(packet, [dns_answers.NameTable({}), dns_answers.NameTable(RECORDS, owned)])
    return None if made is None else Udp.decode(IPv4.decode(Ethernet.decode(made).payload).payload).payload


def test_names_are_answered_by_type_whatever_their_case():
    assert resolve("VM1.example.org", dns.A).endswith(bytes([0, 4, 10, 0, 0, 11]))
    assert resolve("vm1.example.org", dns.AAAA).endswith(bytes.fromhex("0010fd00" + "00" * 13 + "11"))
    assert struct.unpack_from(">H", resolve("vm1.example.org", dns.ANY), 6) == (2,)


def test_a_reverse_name_is_answered():
    assert resolve("11.0.0.10.in-addr.arpa", dns.PTR).endswith(dns.encode_name("vm1.example.org"))


def test_an_unknown_name_goes_on():
    assert resolve("www.example.org", dns.A) is None
    assert resolve("vm1.example.org", 16) is None


def test_queries_for_missing_records_of_an_owned_name_are_refused():
    refused = resolve("vm1.example.org", 16, owned=True)
    assert struct.unpack_from(">HHHH", refused, 2) == (0x8585, 1, 0, 0)
    assert resolve("vm1.example.org", dns.A, owned=True) == resolve("vm1.example.org", dns.A)
    assert resolve("www.example.org", dns.A, owned=True) is None


def test_the_mtu_is_written_into_an_error_and_its_checksum_is_right():
    packet = IPv4(src=DST4, dst=SRC4, proto=ICMP, payload=Icmp.error(3, code=4, packet=bytes(28)).encode()).encode()
    frame = Ethernet(dst=CLIENT, src=SERVER, ethertype=ethernet.IPV4, payload=packet).encode()
    userdata = Userdata(Opcode.PUT_ICMP4_FRAG_MTU, None, (1400).to_bytes(2, "big"))
    body = IPv4.decode(Ethernet.decode(frag_mtu.written(frame, userdata)).payload).payload
    message = Icmp.decode(body)
    assert message.body[:4] == (1400).to_bytes(4, "big")
    assert message.encode() == body
    six = frame6(Icmp.error_v6(2, code=0, packet=bytes(48)).encode_v6(src=SRC6, dst=DST6), ICMPV6)
    userdata6 = Userdata(Opcode.PUT_ICMP6_FRAG_MTU, None, (1400).to_bytes(4, "big"))
    made = upper6(frag_mtu.written(six, userdata6))
    assert Icmp.decode(made.payload).body[:4] == (1400).to_bytes(4, "big")
    assert Icmp.decode(made.payload).encode_v6(src=SRC6, dst=DST6) == made.payload


def refused(protocol, body, *, six=False):
    """What the sender of a refused packet hears: protocol and payload."""
    packet = (
        IPv6(src=SRC6, dst=DST6, next_header=protocol, payload=body)
        if six
        else IPv4(src=SRC4, dst=DST4, proto=protocol, payload=body)
    )
    made = replies.rejection(
        Ethernet(dst=SERVER, src=CLIENT, ethertype=ethernet.IPV6 if six else ethernet.IPV4, payload=packet.encode())
    )
    if made is None:
        return None
    assert (made.src, made.dst) == (SERVER, CLIENT)
    answer = IPv6.decode(made.payload) if six else IPv4.decode(made.payload)
    assert (answer.src, answer.dst) == (packet.dst, packet.src)
    return answer.upper() if isinstance(answer, IPv6) else (answer.proto, answer.payload)


@pytest.mark.parametrize("six", [False, True])
def test_an_association_is_refused_by_an_abort(six):
    begun = Sctp(sport=4000, dport=81, tag=0, chunk=1, flags=0, value=bytes.fromhex("0000abcd") + bytes(12)).encode()
    protocol, body = refused(SCTP, begun, six=six)
    assert (protocol, Sctp.decode(body)) == (SCTP, Sctp(sport=81, dport=4000, tag=0xABCD, chunk=6))
    _, body = refused(SCTP, Sctp(sport=4000, dport=81, tag=55, chunk=0, flags=3, value=bytes(8)).encode(), six=six)
    assert Sctp.decode(body) == Sctp(sport=81, dport=4000, tag=55, chunk=6, flags=1)
    assert refused(SCTP, Sctp(sport=4000, dport=81, tag=55, chunk=6).encode(), six=six) is None
    with pytest.raises(PacketError):
        refused(SCTP, begun[:14], six=six)


def test_a_checksum_of_sctp_is_that_of_the_rfc():
    assert crc32c(b"123456789") == 0xE3069283
    data = Sctp(sport=81, dport=4000, tag=55, chunk=6).encode()
    assert int.from_bytes(data[8:12], "little") == crc32c(data[:8] + bytes(4) + data[12:])


def test_a_rejected_datagram_is_port_unreachable_and_others_host_unreachable():
    datagram = Udp(sport=1, dport=2, payload=b"").encode(src=SRC4, dst=DST4)
    assert refused(UDP, datagram)[1][:2] == bytes([3, 3])
    assert refused(200, b"data")[1][:2] == bytes([3, 1])
    assert refused(UDP, datagram, six=True)[1][:2] == bytes([1, 4])
    assert refused(200, b"data", six=True)[1][:2] == bytes([1, 1])
