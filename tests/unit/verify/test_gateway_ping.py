"""An answer that a router makes itself: the router's conntrack zones never saw the question, and call it invalid."""

from ovenbird.net.addresses import ipv4_text
from ovenbird.verify import render

PING = (
    'inport == "p2" && eth.src == 0a:00:00:00:00:02 && eth.dst == 0a:00:00:00:ff:01 && ip.ttl == 64 && '
    "ip4.src == 10.0.0.2 && ip4.dst == 10.0.0.254 && icmp4.type == 8"
)


def test_a_gateway_router_s_answer_from_its_inner_address_is_not_translated_and_arrives(routed):
    trace = routed.tracer().trace("sw0", PING)
    text = render.text(trace)
    assert "ct_snat(172.16.0.1, ct_state=inv|trk)" in text  # the flow would translate it; the tracker does not
    assert trace.outputs == ["p2"], text
    assert ipv4_text(trace.deliveries[0].packet["ip_src"]) == "10.0.0.254", text
