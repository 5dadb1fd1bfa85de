"""ICMP errors made inside a trace: they are related to the connection of the packet that they quote."""

import pytest

from ovenbird.lang.actions import Translation
from ovenbird.lang.actions.lookup import CheckPacketLarger
from ovenbird.lang.microflow import Microflow
from ovenbird.model import nb
from ovenbird.net.addresses import ipv4_text
from ovenbird.verify import render
from ovenbird.verify.conntrack import (
    DESTINATION_TRANSLATED,
    INVALID,
    RELATED,
    REPLY,
    SOURCE_TRANSLATED,
    TRACKED,
    Tracker,
)
from ovenbird.verify.packets import describe
from support.verify.traced import distribute
from support.verify.tracked import packet, state

INSIDE, OUTSIDE, PUBLIC, MIDDLE = 1, 2, 9, 7


def error(source, destination, quoted):
    made = packet(source, destination, proto=1, icmp_type=3)
    made.quoted = quoted
    return made


def test_an_error_is_related_to_the_connection_that_it_quotes():
    tracker = Tracker()
    there, back = packet(1, 2, tcp_src=5, tcp_dst=22), packet(2, 1, tcp_src=22, tcp_dst=5)
    assert state(tracker, error(MIDDLE, 1, there)) == TRACKED | INVALID
    assert tracker.commit("z", error(MIDDLE, 1, there)) is None
    tracker.commit("z", there)
    assert state(tracker, error(MIDDLE, 1, there)) == TRACKED | RELATED | REPLY
    assert state(tracker, error(MIDDLE, 2, back)) == TRACKED | RELATED
    assert state(tracker, error(MIDDLE, 3, there)) == TRACKED | INVALID  # of no use to its receiver
    assert state(tracker, error(MIDDLE, 1, there), "y") == TRACKED | INVALID


def test_errors_about_translated_connections_are_translated_with_what_they_quote():
    """By source: from halfway to the inside, and from the inside; the end that is halfway keeps its address."""
    tracker = Tracker()
    made = tracker.commit(
        "z", packet(INSIDE, OUTSIDE, 17, udp_src=5, udp_dst=53), Translation(source=True, address=PUBLIC)
    )
    about = error(MIDDLE, PUBLIC, packet(PUBLIC, OUTSIDE, 17, udp_src=5, udp_dst=53))
    assert tracker.track("z", about, translate=True) is made
    assert about["ct_state"] == TRACKED | RELATED | REPLY | DESTINATION_TRANSLATED
    assert (about["ip_src"], about["ip_dst"]) == (MIDDLE, INSIDE)
    assert about.quoted == packet(INSIDE, OUTSIDE, 17, udp_src=5, udp_dst=53)
    refused = error(INSIDE, OUTSIDE, packet(OUTSIDE, INSIDE, 17, udp_src=53, udp_dst=5))
    tracker.track("z", refused, translate=True)
    assert refused["ct_state"] == TRACKED | RELATED | SOURCE_TRANSLATED
    assert (refused["ip_src"], refused["ip_dst"]) == (PUBLIC, OUTSIDE)
    assert refused.quoted == packet(OUTSIDE, PUBLIC, 17, udp_src=53, udp_dst=5)


def test_errors_about_connections_to_a_translated_destination():
    tracker = Tracker()
    tracker.commit("z", packet(OUTSIDE, PUBLIC, tcp_src=5, tcp_dst=80), Translation(address=INSIDE))
    about = error(MIDDLE, OUTSIDE, packet(OUTSIDE, INSIDE, tcp_src=5, tcp_dst=80))
    tracker.track("z", about, translate=True)
    assert (about["ip_src"], about["ip_dst"]) == (PUBLIC, OUTSIDE)
    assert about.quoted == packet(OUTSIDE, PUBLIC, tcp_src=5, tcp_dst=80)


def test_a_copy_of_an_icmp_error_has_its_own_quoted_packet():
    made = error(1, 2, Microflow({"ip_src": 1}))
    made.copy().quoted["ip_src"] = 5
    assert made.quoted["ip_src"] == 1


def udp(port, ttl=64, destination="172.16.0.9", router="0a:00:00:00:ff:01"):
    return (
        f'inport == "p2" && eth.src == 0a:00:00:00:00:02 && eth.dst == {router} && ip.ttl == {ttl} && '
        f"ip4.src == 10.0.0.2 && ip4.dst == {destination} && udp.src == 5000 && udp.dst == {port}"
    )


def test_time_exceeded_arrives_through_a_switch_that_tracks(routed):
    """p2's group lets in nothing but TCP 22 and what is related to what it sends."""
    found = routed.tracer().trace("sw0", udp(53, ttl=1))
    assert found.outputs == ["p2"]
    assert "ct_next(ct_state=rel|rpl|trk" in render.text(found)
    (delivery,) = found.deliveries
    assert (delivery.packet["icmp_type"], delivery.packet["icmp_code"]) == (11, 0)


def test_a_refusal_by_a_switch_arrives_through_one_that_tracks(routed):
    outer = routed.nb.store.find(nb.LogicalSwitch.name, "out")
    routed.acl(outer, "to-lport", "udp.dst == 53", "reject", 1000)
    tracer = routed.tracer()
    assert tracer.trace("sw0", udp(54)).outputs == ["far"]
    found = tracer.trace("sw0", udp(53))
    assert found.outputs == ["p2"], render.text(found)
    (delivery,) = found.deliveries
    assert 'inport == "p2"' in describe(delivery.packet, "p2")
    quoted = delivery.packet.quoted
    assert quoted["udp_dst"] == 53
    assert quoted["ip_src"] == int.from_bytes(bytes((10, 0, 0, 2)))
    assert "in the packet that it quotes: ip4.src = 10.0.0.2;" in render.text(found)


def test_a_refusal_between_two_ports_of_a_switch_that_tracks(two):
    """IPv6 and IPv4: the refusal belongs to the connection that the sender's own rule let out."""
    switch = two.nb.store.find(nb.LogicalSwitch.name, "sw0")
    two.acl(switch, "to-lport", 'outport == "p1" && udp', "reject", 2000)
    found = two.tracer().trace("sw0", udp(53, destination="10.0.0.1", router="0a:00:00:00:00:01"))
    assert found.outputs == ["p2"], render.text(found)
    assert "rel|rpl|trk" in render.text(found)


def too_large(action, machine):
    machine.packet.set(action.dst, 1)
    return True


@pytest.mark.parametrize("kind", ["snat", "dnat_and_snat"])
@pytest.mark.parametrize("distributed", [False, True])
def test_need_frag_quotes_what_the_outside_knows(routed, kind, distributed, monkeypatch):
    """From outside, too large for the inside: the outside knows the translated address alone."""
    txn = routed.nb.transaction()
    inner = routed.nb.store.find(nb.LogicalRouterPort.name, "r-in")
    txn.update(inner, {"options": {"gateway_mtu": "1000"}})
    if distributed:
        distribute(routed, txn)
    if kind == "dnat_and_snat":
        nat = next(iter(routed.nb.store.table(nb.NAT).rows.values()))
        txn.update(nat, {"type": kind, "external_ip": "172.16.0.100", "logical_ip": "10.0.0.2"})
    txn.commit()
    routed.acl(routed.nb.store.find(nb.LogicalSwitch.name, "sw0"), "to-lport", "udp", "allow-related", 3000)
    tracer = routed.tracer()
    there = tracer.trace("sw0", udp(53))
    assert there.outputs == ["far"]
    monkeypatch.setattr(CheckPacketLarger, "evaluate", too_large)
    found = tracer.reply(there)
    assert found.outputs == ["far"], render.text(found)
    (delivery,) = found.deliveries
    outer = "172.16.0.1" if kind == "snat" else "172.16.0.100"
    assert (delivery.packet["icmp_type"], delivery.packet["icmp_code"]) == (3, 4)
    assert ipv4_text(delivery.packet.quoted["ip_dst"]) == outer, render.text(found)


def test_too_large_multicast_packets_get_no_icmp_error(routed, monkeypatch):
    """RFC 1812, section 4.3.2.7."""
    txn = routed.nb.transaction()
    txn.update(routed.nb.store.find(nb.LogicalRouterPort.name, "r-in"), {"options": {"gateway_mtu": "1000"}})
    txn.commit()
    monkeypatch.setattr(CheckPacketLarger, "evaluate", too_large)
    found = routed.tracer().trace("sw0", udp(53, destination="224.0.0.5", router="01:00:5e:00:00:05"))
    assert found.outputs == ["p1"]
    assert any(drop.stage == "lr_in_ip_input" for drop in found.drops())
