import pytest

from ovenbird.lang.microflow import Microflow
from ovenbird.verify.conntrack import ESTABLISHED, INVALID, NEW, REPLY, TRACKED, Tracker, Tuple, flags, format_state
from ovenbird.verify.errors import VerifyError
from support.verify.tracked import packet, state


def test_a_connection_is_new_until_committed_and_then_established_both_ways():
    tracker = Tracker()
    there, back = packet(tcp_src=5, tcp_dst=22), packet(2, 1, tcp_src=22, tcp_dst=5)
    assert state(tracker, there) == TRACKED | NEW
    assert state(tracker, there) == TRACKED | NEW
    tracker.commit("z", there)
    assert state(tracker, there) == TRACKED | ESTABLISHED
    assert state(tracker, back) == TRACKED | ESTABLISHED | REPLY


@pytest.mark.parametrize(
    "other",
    [packet(tcp_src=6, tcp_dst=22), packet(3, 2, tcp_src=5, tcp_dst=22), packet(proto=17, udp_src=5, udp_dst=22)],
)
def test_another_connection_is_another(other):
    tracker = Tracker()
    tracker.commit("z", packet(tcp_src=5, tcp_dst=22))
    assert state(tracker, other) == TRACKED | NEW


def test_zones_know_nothing_of_each_other():
    tracker = Tracker()
    tracker.commit("z", packet())
    assert state(tracker, packet(), "y") == TRACKED | NEW


def test_an_echo_reply_belongs_to_its_request_and_alone_begins_nothing():
    tracker = Tracker()
    request, reply = packet(proto=1, icmp_type=8), packet(2, 1, proto=1, icmp_type=0)
    assert state(tracker, reply) == TRACKED | INVALID
    tracker.commit("z", request)
    assert state(tracker, reply) == TRACKED | ESTABLISHED | REPLY


def test_neighbour_discovery_begins_a_connection_and_an_icmpv6_error_does_not():
    six = {"eth_type": 0x86DD, "nw_proto": 58, "ipv6_src": 1, "ipv6_dst": 2}
    assert state(Tracker(), Microflow({**six, "icmpv6_type": 135})) == TRACKED | NEW
    assert state(Tracker(), Microflow({**six, "icmpv6_type": 1})) == TRACKED | INVALID


def test_mark_and_label_stay_with_the_connection():
    tracker = Tracker()
    connection = tracker.commit("z", packet())
    connection.mark, connection.label = 1, 2 << 96
    assert tracker.commit("z", packet(2, 1)) is connection
    back = packet(2, 1)
    tracker.look_up("z", back)
    assert (back["ct_mark"], back["ct_label"]) == (1, 2 << 96)
    tracker.look_up("y", back)
    assert (back["ct_mark"], back["ct_label"]) == (0, 0)


def test_answers_to_a_translated_connection_come_to_the_translation():
    tracker = Tracker()
    there = packet(tcp_src=5, tcp_dst=22)
    tracker.commit("z", there, Tuple(0x800, 6, 2, 9, 22, 5), 0x40)
    assert state(tracker, packet(2, 9, tcp_src=22, tcp_dst=5)) == TRACKED | ESTABLISHED | REPLY | 0x40
    assert state(tracker, packet(2, 1, tcp_src=22, tcp_dst=5)) == TRACKED | NEW


def test_flags_in_words():
    assert flags("est,rpl") == flags("rpl est trk") == TRACKED | ESTABLISHED | REPLY
    assert format_state(flags("new")) == "new|trk"
    assert format_state(0) == "0"
    with pytest.raises(VerifyError, match="old is no connection tracking flag"):
        flags("old")
