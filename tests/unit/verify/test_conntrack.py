import pytest

from ovenbird.lang.actions import Translation
from ovenbird.lang.microflow import Microflow
from ovenbird.verify.conntrack import (
    DESTINATION_TRANSLATED,
    ESTABLISHED,
    INVALID,
    NEW,
    REPLY,
    SOURCE_TRANSLATED,
    TRACKED,
    Tracker,
    flags,
    format_state,
)
from ovenbird.verify.errors import VerifyError
from support.verify.tracked import packet, state

TO_9 = Translation(source=True, address=9)


def test_a_connection_is_new_until_answered_and_then_established_both_ways():
    tracker = Tracker()
    there, back = packet(tcp_src=5, tcp_dst=22), packet(2, 1, tcp_src=22, tcp_dst=5)
    assert state(tracker, there) == TRACKED | NEW
    assert state(tracker, there) == TRACKED | NEW
    tracker.commit("z", there)
    assert state(tracker, there) == TRACKED | NEW
    assert state(tracker, back) == TRACKED | ESTABLISHED | REPLY
    assert state(tracker, there) == TRACKED | ESTABLISHED


@pytest.mark.parametrize(
    "other",
    [packet(tcp_src=6, tcp_dst=22), packet(3, 2, tcp_src=5, tcp_dst=22), packet(proto=17, udp_src=5, udp_dst=22)],
)
def test_another_connection_is_another(other):
    tracker = Tracker()
    tracker.commit("z", packet(tcp_src=5, tcp_dst=22))
    assert state(tracker, other) == TRACKED | NEW


def test_connections_are_kept_by_zone():
    tracker = Tracker()
    tracker.commit("z", packet())
    assert state(tracker, packet(), "y") == TRACKED | NEW


def test_an_echo_reply_belongs_to_its_request_and_alone_begins_nothing():
    tracker = Tracker()
    request, reply = packet(proto=1, icmp_type=8), packet(2, 1, proto=1, icmp_type=0)
    assert state(tracker, reply) == TRACKED | INVALID
    tracker.commit("z", request)
    assert state(tracker, reply) == TRACKED | ESTABLISHED | REPLY


def test_packets_that_begin_no_connection_are_translated_if_the_user_gives_their_state():
    tracker, error = Tracker(), packet(proto=1, icmp_type=3)
    assert tracker.commit("z", error, TO_9) is None
    assert (error["ct_state"], error["ip_src"]) == (TRACKED | INVALID, 1)
    assert tracker.commit("z", error, TO_9, valid=True) is not None
    assert (error["ct_state"], error["ip_src"]) == (TRACKED | NEW | SOURCE_TRANSLATED, 9)


@pytest.mark.parametrize("kind", [1, 129, 133, 135, 136])
def test_of_icmpv6_only_an_echo_request_begins_a_connection(kind):
    six = {"eth_type": 0x86DD, "nw_proto": 58, "ipv6_src": 1, "ipv6_dst": 2}
    assert state(Tracker(), Microflow({**six, "icmpv6_type": 128})) == TRACKED | NEW
    tracker, made = Tracker(), Microflow({**six, "icmpv6_type": kind})
    assert tracker.commit("z", made) is None
    assert state(tracker, made) == TRACKED | INVALID


def test_mark_and_label_stay_with_the_connection():
    tracker = Tracker()
    connection = tracker.commit("z", packet())
    connection.mark, connection.label = 1, 2 << 96
    assert tracker.commit("z", packet(2, 1)) is connection
    back = packet(2, 1)
    tracker.track("z", back)
    assert (back["ct_mark"], back["ct_label"]) == (1, 2 << 96)
    tracker.track("y", back)
    assert (back["ct_mark"], back["ct_label"]) == (0, 0)


def test_answers_to_a_translated_connection_come_to_the_translation():
    tracker = Tracker()
    there = packet(tcp_src=5, tcp_dst=22)
    tracker.commit("z", there, TO_9)
    assert (there["ct_state"], there["ip_src"]) == (TRACKED | NEW | SOURCE_TRANSLATED, 9)
    back = packet(2, 9, tcp_src=22, tcp_dst=5)
    tracker.track("z", back, translate=True)
    assert back["ct_state"] == TRACKED | ESTABLISHED | REPLY | DESTINATION_TRANSLATED
    assert back["ip_dst"] == 1
    assert state(tracker, packet(2, 1, tcp_src=22, tcp_dst=5)) == TRACKED | NEW


def test_a_connection_that_is_there_keeps_its_translation():
    tracker = Tracker()
    tracker.commit("z", packet(tcp_src=5, tcp_dst=22))
    back = packet(2, 1, tcp_src=22, tcp_dst=5)
    tracker.commit("z", back, TO_9)
    assert (back["ct_state"], back["ip_src"]) == (TRACKED | ESTABLISHED | REPLY, 2)


def test_connections_that_would_look_the_same_outside_get_other_ports():
    tracker = Tracker()
    first, second = packet(1, tcp_src=5, tcp_dst=22), packet(3, tcp_src=5, tcp_dst=22)
    tracker.commit("z", first, TO_9)
    tracker.commit("z", second, TO_9)
    assert (first["tcp_src"], second["tcp_src"]) == (5, 6)
    back = packet(2, 9, tcp_src=22, tcp_dst=6)
    tracker.track("z", back, translate=True)
    assert (back["ip_dst"], back["tcp_dst"]) == (3, 5)
    taken = packet(4, tcp_src=5, tcp_dst=22)
    assert tracker.commit("z", taken, Translation(source=True, address=9, port=5, port_max=6)) is None
    assert taken["ip_src"] == 4


def test_flags_in_words():
    assert flags("est,rpl") == flags("rpl est trk") == TRACKED | ESTABLISHED | REPLY
    assert format_state(flags("new")) == "new|trk"
    assert format_state(0) == "0"
    with pytest.raises(VerifyError, match="old is not a connection tracking flag"):
        flags("old")
