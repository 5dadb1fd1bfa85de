"""Of rows that contradict each other one has the say: no two logical flows say two things of one packet."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovenbird.model import nb
from ovenbird.northd.findings import Contradictions
from support.northd.one_router import nat, route, world

HOPS = ["10.0.0.9", "10.0.0.8", "172.16.0.9", "discard", "nonsense"]
NATS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["snat", "dnat", "dnat_and_snat"]),
        "external_ip": st.sampled_from(["172.16.0.50", "172.16.0.51"]),
        "logical_ip": st.sampled_from(["10.0.0.5", "10.0.0.6", "10.0.0.0/24"]),
        "external_mac": st.sampled_from([None, "00:00:00:00:aa:01", "00:00:00:00:aa:02"]),
        "logical_port": st.sampled_from([None, "vm1", "vm2"]),
        "options": st.sampled_from([{}, {"stateless": "true"}]),
        "external_port_range": st.sampled_from(["", "5000-6000"]),
        "allowed": st.booleans(),
    }
)


def actions(made, stage, words):
    return [flow[3] for flow in made.flows(stage) if words in flow[2]]


@pytest.mark.parametrize("kind", ["gateway port", "gateway router", "neither"])
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(NATS, min_size=2, max_size=4))
def test_translations_with_addresses_in_common(kind, rows):
    made = world(kind)
    for row in rows:
        nat(made, **row)
    made.settle()
    assert not made.contradictions()


@settings(max_examples=10)
@given(hops=st.lists(st.sampled_from(HOPS), min_size=2, max_size=4))
def test_routes_to_one_prefix(hops):
    made = world()
    for hop in hops:
        route(made, hop)
    made.settle()
    assert not made.contradictions()
    dropped = actions(made, "lr_in_ip_routing", "== 1.0.0.0/8") == ["drop;"]
    assert dropped is ("discard" in hops)


def test_a_route_that_discards_decides_for_all_and_says_so():
    made = world()
    route(made, "10.0.0.9")
    route(made, "10.0.0.8")
    discarding = route(made, "discard")
    made.settle()
    assert actions(made, "lr_in_ip_routing", "== 1.0.0.0/8") == ["drop;"]
    assert made.findings() == [
        f"router r: static route 1.0.0.0/8 via {hop} drops all traffic: another route to 1.0.0.0/8 has the next hop "
        "discard"
        for hop in ("10.0.0.8", "10.0.0.9")
    ]
    made.delete(discarding, (made.router, "static_routes"))
    made.settle()
    assert not made.findings()
    assert "select(1, 2)" in actions(made, "lr_in_ip_routing", "== 1.0.0.0/8")[0]


def test_a_packet_that_may_be_a_reply_of_a_symmetric_default_route_is_treated_as_one():
    """Everything that comes in by the way of a default route also has a destination of its."""
    made = world("gateway router")
    made.insert(
        nb.LogicalRouterStaticRoute, (made.router, "static_routes"), ip_prefix="0.0.0.0/0", nexthop="172.16.0.9",
        options={"ecmp_symmetric_reply": "true"},
    )  # fmt: skip
    made.settle()
    checks = {flow[1]: flow[3] for flow in made.flows("lr_in_defrag") if "ecmp_nh" in flow[3]}
    assert checks[max(checks)] == "reg9[5] = chk_ecmp_nh(); ct_next;"
    assert sorted(checks.values()) == ["reg9[5] = chk_ecmp_nh(); ct_next;", "reg9[5] = chk_ecmp_nh_mac(); ct_next;"]


def test_dnat_and_snat_takes_precedence_over_snat():
    made = world()
    nat(made, type="snat", external_ip="172.16.0.50", logical_ip="10.0.0.5")
    nat(made, type="snat", external_ip="172.16.0.51", logical_ip="10.0.0.0/24")
    made.settle()
    assert not made.findings()
    floating = {"external_mac": "00:00:00:00:aa:01", "logical_port": "vm"}
    nat(made, type="dnat_and_snat", external_ip="172.16.0.51", logical_ip="10.0.0.5", **floating)
    made.settle()
    assert not made.contradictions()
    assert actions(made, "lr_out_snat", 'ip4.src == 10.0.0.5 && outport == "out" && is_chassis_resident("vm")')
    assert not actions(made, "lr_out_snat", 'ip4.src == 10.0.0.5 && outport == "out" && is_chassis_resident("cr-out")')
    assert actions(made, "lr_in_arp_resolve", "reg0 == 172.16.0.51") == ["eth.dst = 00:00:00:00:aa:01; next;"]
    assert made.findings() == [
        (
            "router r: snat 172.16.0.50 of 10.0.0.5 does not translate outgoing packets: dnat_and_snat 172.16.0.51 of "
            "10.0.0.5 does"
        ),
        (
            "router r: snat 172.16.0.51 of 10.0.0.0/24 gets no replies: they go to dnat_and_snat 172.16.0.51 of "
            "10.0.0.5, whose address it shares"
        ),
    ]


def test_one_of_two_equal_dnat_and_snat_rules_is_used():
    made = world()
    for inner in ("10.0.0.5", "10.0.0.6"):
        nat(made, type="dnat_and_snat", external_ip="172.16.0.50", logical_ip=inner)
    made.settle()
    assert len(actions(made, "lr_in_dnat", "ip4.dst == 172.16.0.50")) == 1
    assert len(made.findings()) == 1
    assert "does not translate incoming packets" in made.findings()[0]


def test_contradictions_that_remain_are_found(caplog):
    made = world()
    given = {"priority": 7, "match": "ip4"}
    rows = [
        made.insert(nb.LogicalRouterPolicy, (made.router, "policies"), action=action, **given)
        for action in ("drop", "allow", "allow")
    ]
    made.settle()
    told = made.findings()
    assert len(told) == 1
    assert told[0].startswith("lr_in_policy: flows (of the rows ")
    assert all(row.uuid[:8] in told[0] for row in rows)
    assert caplog.messages == told
    made.delete(rows[1], (made.router, "policies"))
    made.settle()
    assert len(made.findings()) == 1
    made.delete(rows[0], (made.router, "policies"))
    made.settle()
    assert not made.findings()


def test_one_of_three_contradicting_flows_is_added_and_removed():
    """It may be the same object each time: views keep the facts that they made."""
    first, second, third = [(None, "d", None, "ingress", 1, 9, "ip4", act, None, None, (("stage-name", "s"),))
                            for act in ("next;", "drop;", "output;")]  # fmt: skip
    known = Contradictions()
    known.absorb(added=[first, second, third], removed=[])
    for _ in range(2):
        known.absorb(added=[], removed=[first])
        (told,) = known.absorb(added=[first], removed=[]).values()
        assert "'drop;' and 'next;' and 'output;'" in told
    assert list(known.absorb(added=[], removed=[second, third]).values()) == [""]
    assert not known.absorb(added=[], removed=[first])
