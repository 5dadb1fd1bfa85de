"""IGMP and MLD: what hosts say is read, queries are as other programs write them, noise is one clear error."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.net import igmp, mld
from ovenbird.net.addresses import ipv4_bytes, ipv6_bytes
from ovenbird.net.checksum import internet_checksum, pseudo_checksum
from ovenbird.net.errors import PacketError
from ovenbird.net.ipv4 import IGMP, IPv4
from ovenbird.net.ipv6 import ICMPV6, IPv6
from ovenbird.net.membership import Membership, MembershipKind, code

HOST, GROUP, OTHER = ipv4_bytes("10.0.0.1"), ipv4_bytes("239.0.0.1"), ipv4_bytes("239.0.0.2")
HOST6, GROUP6, REPORTS6 = ipv6_bytes("fe80::1"), ipv6_bytes("ff0e::1"), ipv6_bytes("ff02::16")


def four(message, **values):
    message = message[:2] + internet_checksum(message[:2] + bytes(2) + message[4:]).to_bytes(2, "big") + message[4:]
    return IPv4(**{"src": HOST, "dst": GROUP, "proto": IGMP, "payload": message, "ttl": 1} | values)


def six(message, **values):
    body = message[:2] + bytes(2) + message[4:]
    checksum = pseudo_checksum(src=HOST6, dst=REPORTS6, proto=ICMPV6, segment=body)
    body = body[:2] + checksum.to_bytes(2, "big") + body[4:]
    alert = bytes([ICMPV6, 0, 5, 2, 0, 0, 1, 0])
    return IPv6(**{"src": HOST6, "dst": REPORTS6, "next_header": 0, "payload": alert + body, "hop_limit": 1} | values)


def record(kind, group, *sources, auxiliary=b""):
    return struct.pack(">BBH", kind, len(auxiliary) // 4, len(sources)) + group + b"".join(sources) + auxiliary


def joins(protocol, *groups):
    return Membership(kind=MembershipKind.REPORT, joined=groups, protocol=protocol)


def leaves(protocol, *groups):
    return Membership(kind=MembershipKind.REPORT, left=groups, protocol=protocol)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (bytes([0x12, 0, 0, 0]) + GROUP, joins("IGMPv1", GROUP)),
        (bytes([0x16, 0, 0, 0]) + GROUP, joins("IGMPv2", GROUP)),
        (bytes([0x17, 0, 0, 0]) + GROUP, leaves("IGMPv2", GROUP)),
        (bytes([0x11, 0, 0, 0]) + bytes(4), Membership(kind=MembershipKind.QUERY)),
        (bytes([0x30, 0, 0, 0]) + bytes(4), Membership(kind=MembershipKind.OTHER)),
        (bytes([0x22, 0, 0, 0, 0, 0, 0, 2]) + record(4, GROUP) + record(3, OTHER),
         Membership(kind=MembershipKind.REPORT, joined=(GROUP,), left=(OTHER,), protocol="IGMPv3")),
        (bytes([0x22, 0, 0, 0, 0, 0, 0, 1]) + record(5, GROUP, HOST, auxiliary=bytes(8)), joins("IGMPv3", GROUP)),
        (bytes([0x22, 0, 0, 0, 0, 0, 0, 1]) + record(6, GROUP, HOST), joins("IGMPv3")),
        (bytes([0x22, 0, 0, 0, 0, 0, 0, 2]) + record(9, GROUP) + record(2, HOST), joins("IGMPv3")),
    ],
)  # fmt: skip
def test_igmp_messages_are_decoded(message, said):
    assert igmp.decode(four(message)) == said


@pytest.mark.parametrize(
    "packet",
    [
        four(bytes([0x16, 0, 0, 0]) + GROUP, ttl=2),
        four(bytes([0x16, 0, 0, 0]) + GROUP, fragment=1),
        four(bytes([0x16, 0, 0, 0]) + HOST),
        four(bytes([0x16, 0, 0, 0])),
        IPv4(src=HOST, dst=GROUP, proto=IGMP, payload=bytes([0x16, 0, 0, 0]) + GROUP, ttl=1),
        four(bytes([0x22, 0, 0, 0, 0, 0, 255, 255]) + record(4, GROUP)),
        four(bytes([0x22, 0, 0, 0, 0, 0, 0, 1]) + record(4, GROUP, HOST)[:-1]),
    ],
    ids=["from afar", "a fragment", "no group", "short", "checksum", "fewer records", "a short record"],
)
def test_packets_that_are_not_valid_igmp_are_refused(packet):
    with pytest.raises(PacketError):
        igmp.decode(packet)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (bytes([131, 0, 0, 0]) + bytes(4) + GROUP6, joins("MLDv1", GROUP6)),
        (bytes([132, 0, 0, 0]) + bytes(4) + GROUP6, leaves("MLDv1", GROUP6)),
        (bytes([130, 0, 0, 0]) + bytes(20), Membership(kind=MembershipKind.QUERY)),
        (bytes([143, 0, 0, 0, 0, 0, 0, 1]) + record(4, GROUP6), joins("MLDv2", GROUP6)),
        (bytes([143, 0, 0, 0, 0, 0, 0, 1]) + record(3, GROUP6), leaves("MLDv2", GROUP6)),
    ],
)
def test_mld_messages_are_decoded(message, said):
    assert mld.decode(six(message)) == said


@pytest.mark.parametrize(
    "packet",
    [
        six(bytes([131, 0, 0, 0]) + bytes(4) + GROUP6, hop_limit=64),
        six(bytes([131, 0, 0, 0]) + bytes(4) + HOST6),
        six(bytes([131, 0, 0, 0]) + bytes(4)),
        six(bytes([131, 0, 0, 0]) + bytes(4) + GROUP6, src=ipv6_bytes("fe80::2")),
        six(bytes([128, 0, 0, 0]) + bytes(20)),
    ],
    ids=["from afar", "no group", "short", "checksum", "an echo"],
)
def test_packets_that_are_not_valid_mld_are_refused(packet):
    with pytest.raises(PacketError):
        mld.decode(packet)


@given(st.binary(max_size=200), st.booleans())
def test_noise_is_one_clear_error(noise, checked):
    for decode, packet in (
        (igmp.decode, four(noise) if checked else four(noise, payload=noise)),
        (mld.decode, six(noise) if checked else six(noise, payload=noise)),
    ):
        try:
            said = decode(packet)
        except PacketError:
            continue
        assert all(len(group) in (4, 16) for group in (*said.joined, *said.left))


def test_queries_are_as_the_rfcs_have_them():
    query = igmp.general_query(HOST, max_response=10, interval=125)
    assert igmp.decode(query) == Membership(kind=MembershipKind.QUERY)
    assert (query.ttl, query.dst, query.options.hex()) == (1, ipv4_bytes("224.0.0.1"), "94040000")
    assert (query.payload[1], query.payload[8], query.payload[9]) == (100, 2, 125)
    query6 = mld.general_query(HOST6, max_response=10, interval=3600)
    assert mld.decode(query6) == Membership(kind=MembershipKind.QUERY)
    assert (query6.hop_limit, query6.dst) == (1, ipv6_bytes("ff02::1"))
    assert query6.payload[8 + 4 : 8 + 6] == (10_000).to_bytes(2, "big")


@given(st.integers(0, 31_744))
def test_encoded_times_are_rounded_down(seconds):
    said = code(seconds, bits=8)
    assert 0 <= said <= 255
    meant = said if said < 128 else (said & 15 | 16) << ((said >> 4 & 7) + 3)
    assert seconds - meant in range(max(seconds // 16, 1))
