"""Connections from outside to a translated network's own addresses: their replies keep the source that is known there.

As releases of OVN since 24.03 have it; see docs/upstream-fixes.md.
"""

import pytest

from ovenbird.model import nb
from ovenbird.net.addresses import ipv4_text
from ovenbird.verify import render
from support.verify.traced import distribute

IN = (
    'inport == "far" && eth.src == 0a:00:00:00:00:09 && eth.dst == 0a:00:00:00:ff:02 && ip.ttl == 64 && '
    "ip4.src == 172.16.0.9 && ip4.dst == {} && tcp.src == 5000 && tcp.dst == 22"
)
OUT = (
    'inport == "p2" && eth.src == 0a:00:00:00:00:02 && eth.dst == 0a:00:00:00:ff:01 && ip.ttl == 64 && '
    "ip4.src == 10.0.0.2 && ip4.dst == 172.16.0.9 && tcp.src == 6000 && tcp.dst == 80"
)


@pytest.fixture(params=["snat", "dnat_and_snat", "snat of some", "gateway router"])
def translating(routed, request):
    """Return the world of each kind of translation of p2, and its outer address."""
    txn = routed.nb.transaction()
    if request.param != "gateway router":
        distribute(routed, txn)
    nat = next(iter(routed.nb.store.table(nb.NAT).rows.values()))
    outer = "172.16.0.1"
    if request.param == "dnat_and_snat":
        outer = "172.16.0.100"
        txn.update(nat, {"type": "dnat_and_snat", "external_ip": outer, "logical_ip": "10.0.0.2"})
    if request.param == "snat of some":
        peers = txn.insert(nb.AddressSet, {"name": "peers", "addresses": frozenset(["172.16.0.9"])})
        txn.update(nat, {"allowed_ext_ips": peers})
    txn.commit()
    return routed, outer


@pytest.fixture(params=[{}])
def floating(routed, request):
    """Return the world where the network is translated, and p2 has an address of its own besides, of these options."""
    txn = routed.nb.transaction()
    distribute(routed, txn)
    addresses = {"external_ip": "172.16.0.100", "logical_ip": "10.0.0.2"}
    values = {"type": "dnat_and_snat", "options": request.param, **addresses}
    router = next(iter(routed.nb.store.table(nb.LogicalRouter).rows.values()))
    txn.mutate(router, "nat", insert=[txn.insert(nb.NAT, values)])
    txn.commit()
    return routed


def source(trace):
    assert trace.outputs == ["far"], render.text(trace)
    return ipv4_text(trace.deliveries[0].packet["ip_src"])


def test_replies_to_what_was_not_translated_are_not_translated(translating):
    world, outer = translating
    tracer = world.tracer()
    there = tracer.trace("out", IN.format("10.0.0.2"))
    assert there.outputs == ["p2"], render.text(there)
    back = tracer.reply(there)
    assert source(back) == "10.0.0.2", render.text(back)
    again = tracer.reply(back)  # a later packet of the connection, and its reply
    assert again.outputs == ["p2"]
    assert source(tracer.reply(again)) == "10.0.0.2"
    assert source(tracer.trace("sw0", OUT)) == outer  # what the instance begins is translated as ever


def test_translated_connections_are_still_translated(translating):
    world, outer = translating
    tracer = world.tracer()
    there = tracer.trace("sw0", OUT)
    assert source(there) == outer
    back = tracer.reply(there)
    assert back.outputs == ["p2"], render.text(back)
    assert source(tracer.reply(back)) == outer
    if outer.endswith("100"):
        led_in = tracer.trace("out", IN.format(outer))
        assert led_in.outputs == ["p2"], render.text(led_in)
        assert source(tracer.reply(led_in)) == outer
        assert source(tracer.reply(tracer.reply(tracer.reply(led_in)))) == outer


def test_connections_to_a_floating_ip_are_not_marked_as_untranslated(floating):
    tracer = floating.tracer()
    led_in = tracer.trace("out", IN.format("172.16.0.100"))
    assert led_in.outputs == ["p2"], render.text(led_in)
    assert "lr_out_post_undnat" not in {step.stage for step in led_in.steps() if step.flow and step.flow.priority}
    for packet in (tracer.reply(led_in), tracer.reply(tracer.reply(tracer.reply(led_in)))):
        assert source(packet) == "172.16.0.100"


@pytest.mark.parametrize("floating", [{"stateless": "true"}], indirect=True)
def test_stateless_translations_are_not_tracked(floating):
    tracer = floating.tracer()
    led_in = tracer.trace("out", IN.format("172.16.0.100"))
    assert led_in.outputs == ["p2"], render.text(led_in)
    back = tracer.reply(led_in)
    assert source(back) == "172.16.0.100"
    met = [step for trace in (led_in, back) for step in trace.steps() if step.flow and step.stage.startswith("lr_")]
    assert not [step.flow for step in met if "ct_" in step.flow.actions]


def test_an_instance_reaches_itself_at_its_own_floating_ip(floating):
    tracer = floating.tracer()
    there = tracer.trace("sw0", OUT.replace("172.16.0.9", "172.16.0.100").replace("tcp.dst == 80", "tcp.dst == 22"))
    back = tracer.reply(there)
    for trace, ports in ((there, (6000, 22)), (back, (22, 6000))):
        assert trace.outputs == ["p2"], render.text(trace)
        packet = trace.deliveries[0].packet
        assert ipv4_text(packet["ip_src"]) == "172.16.0.100"
        assert (packet["tcp_src"], packet["tcp_dst"]) == ports, render.text(trace)
