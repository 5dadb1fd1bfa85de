import pytest

from ovenbird.lang.errors import LangError
from ovenbird.model import nb, sb
from ovenbird.verify import render, trace
from ovenbird.verify.errors import NoReplyError, UnknownDatapathError, UnknownPortError, VerifyError
from ovenbird.verify.packets import headers
from ovenbird.verify.steps import StepKind
from support.verify.traced import distribute

P1_TO_P2 = 'inport == "p1" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02 && ip.ttl == 64 && '
P2_TO_P1 = 'inport == "p2" && eth.src == 0a:00:00:00:00:02 && eth.dst == 0a:00:00:00:00:01 && ip.ttl == 64 && '
TO_P2 = P1_TO_P2 + "ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.2 && "
TO_P1 = P2_TO_P1 + "ip4.src == 10.0.0.2 && ip4.dst == 10.0.0.1 && "
SSH = TO_P2 + "tcp.src == 1000 && tcp.dst == 22"
WEB = TO_P2 + "tcp.src == 1000 && tcp.dst == 80"


def test_a_packet_that_an_acl_allows_is_delivered(two):
    found = two.tracer().trace("sw0", SSH)
    assert found.outputs == ["p2"]
    assert found.drops() == []
    assert found.verdicts() == ['delivered to "p2" (web)']
    assert [origin.northbound.priority for origin in found.origins() if "acl" in str(origin)] == [1002]


def test_a_packet_that_no_acl_allows_is_dropped_and_the_dropping_acl_named(two):
    found = two.tracer().trace("sw0", WEB)
    assert found.outputs == []
    (drop,) = found.drops()
    assert drop.stage == "ls_out_acl"
    reason = "acl to-lport 1001 drop of port group pg0: outport == @pg0 && ip"
    assert found.verdicts() == [f'dropped in ls_out_acl of sw0, on the way to "p2" (web): {reason}']


def test_an_answer_belongs_to_the_connection_that_it_answers(two):
    tracer = two.tracer()
    answer = TO_P1 + "tcp.src == 22 && tcp.dst == 1000"
    there = tracer.trace("sw0", SSH)
    back = tracer.trace("sw0", answer)
    assert back.outputs == ["p1"]
    assert "ct_next(ct_state=est|rpl|trk)" in render.text(back)
    assert headers(tracer.reply(there).deliveries[0].packet) == headers(back.deliveries[0].packet)


def test_a_rule_for_one_direction_lets_answers_through_and_no_questions(two):
    tracer = two.tracer()
    outward = TO_P1 + "tcp.src == 1000 && tcp.dst == 80"
    assert tracer.trace("sw0", outward).outputs == ["p1"]
    assert tracer.trace("sw0", TO_P2 + "tcp.src == 80 && tcp.dst == 1000").outputs == ["p2"]
    assert tracer.trace("sw0", TO_P2 + "tcp.src == 80 && tcp.dst == 1001").outputs == []
    assert two.tracer().trace("sw0", TO_P2 + "tcp.src == 80 && tcp.dst == 1000").outputs == []


def test_connection_states_may_be_given(two):
    tracer = two.tracer()
    assert tracer.trace("sw0", WEB, ["new", "est,rpl"]).outputs == ["p2"]
    assert tracer.trace("sw0", WEB, ["new", "inv"]).outputs == []
    assert tracer.trace("sw0", SSH, ["est"]).outputs == ["p2"]
    with pytest.raises(VerifyError, match="nonsense is not a connection tracking flag"):
        tracer.trace("sw0", WEB, ["nonsense"])


def test_a_packet_against_port_security_is_dropped_with_the_reason(two):
    found = two.tracer().trace("sw0", SSH.replace("ip4.src == 10.0.0.1", "ip4.src == 10.0.0.9"))
    (verdict,) = found.verdicts()
    assert verdict.startswith("dropped in ls_in_apply_port_sec of sw0: the port security of ")
    assert verdict.endswith("which is 0a:00:00:00:00:01 10.0.0.1")


def test_a_path_through_many_stages_is_a_flat_list(two):
    found = two.tracer().trace("sw0", SSH)
    flows = [(depth, step) for depth, step in found.root.walk() if step.kind is StepKind.FLOW]
    assert len(flows) > 30
    assert {depth for depth, _ in flows} == {0}
    tables = [(step.flow.pipeline, step.flow.table_id) for _, step in flows]
    assert tables == sorted(tables, key=lambda place: (place[0] == "egress", place[1]))


def test_copies_are_indented(two):
    found = two.tracer().trace("sw0", 'inport == "p2" && eth.src == 0a:00:00:00:00:02 && eth.dst == ff:ff:ff:ff:ff:ff')
    assert found.outputs == ["p1"]
    depths = {step.text.partition("(")[0]: depth for depth, step in found.root.walk() if step.kind is StepKind.BLOCK}
    assert depths["multicast"] == 0
    assert depths["egress"] == 1
    assert any("not back to" in step.text for step in found.steps())


def test_the_datapath_may_be_left_out_and_people_s_names_are_known(two):
    tracer = two.tracer()
    assert tracer.trace(None, SSH).outputs == ["p2"]
    assert tracer.trace("sw0", (TO_P1 + "icmp4.type == 8").replace('"p2"', '"web"')).outputs == ["p1"]


@pytest.mark.parametrize(
    ("datapath", "microflow", "error"),
    [
        ("sw9", SSH, UnknownDatapathError),
        (None, 'inport == "p9"', UnknownPortError),
        (None, "eth.type == 0x800", UnknownPortError),
        ("sw0", "eth.src == 0a:00:00:00:00:01", UnknownPortError),
        ("sw0", 'inport == "p1" && tcp.dst == ', LangError),
        ("sw0", 'inport == "p1" && ip4 && ip6', LangError),
        ("sw0", 'inport == "p1" && ip4 && tcp.dst > 5', LangError),
    ],
)
def test_unknown_datapaths_and_ports_are_errors(two, datapath, microflow, error):
    with pytest.raises(error):
        two.tracer().trace(datapath, microflow)


def test_a_trace_works_after_an_invalid_one(two):
    tracer = two.tracer()
    with pytest.raises(LangError):
        tracer.trace("sw0", 'inport == "p1" &&')
    assert tracer.trace("sw0", SSH).outputs == ["p2"]


def test_arp_is_answered_by_the_switch(two):
    frame = 'inport == "p1" && eth.src == 0a:00:00:00:00:01 && eth.dst == ff:ff:ff:ff:ff:ff'
    asks = "arp.op == 1 && arp.sha == 0a:00:00:00:00:01 && arp.spa == 10.0.0.1 && arp.tpa == 10.0.0.2"
    tracer = two.tracer()
    found = tracer.trace("sw0", f"{frame} && {asks}")
    assert found.verdicts() == ['sent back to "p1"']
    packet = found.deliveries[0].packet
    assert (packet["arp_op"], packet["arp_sha"], packet["eth_dst"]) == (2, 0x0A0000000002, 0x0A0000000001)
    assert "arp.sha = 0a:00:00:00:00:02;" in render.text(found, "minimal")
    with pytest.raises(NoReplyError, match="answered on the way"):
        tracer.reply(found)


def test_an_echo_is_replied_to_and_a_dropped_packet_is_not(two):
    tracer = two.tracer()
    found = tracer.trace("sw0", TO_P1 + "icmp4.type == 8")
    reply = tracer.reply(found)
    assert reply.outputs == ["p2"]
    assert reply.deliveries[0].packet["icmp_type"] == 0
    with pytest.raises(NoReplyError, match="an echo request"):
        tracer.reply(reply)
    with pytest.raises(NoReplyError, match="not delivered"):
        tracer.reply(tracer.trace("sw0", WEB))


def test_a_rejection_says_who_rejects_and_is_not_rejected_itself(traced):
    switch = traced.switch("sw0")
    for n in (1, 2):
        traced.port(switch, f"p{n}", f"0a:00:00:00:00:0{n} 10.0.0.{n}")
    traced.acl(switch, "to-lport", "ip4 && tcp", "reject", 5)
    found = traced.tracer().trace("sw0", SSH)
    assert found.outputs == []
    first, *others = found.verdicts()
    assert first.startswith('rejected in ls_out_acl of sw0, on the way to "p2": acl to-lport 5')
    assert any("itself a refusal" in verdict for verdict in others)


def test_addresses_learned_from_a_packet_are_used_for_the_next(traced):
    switch = traced.switch("sw0")
    for n in (1, 2, 3):
        traced.port(switch, f"p{n}", "unknown")
    tracer = traced.tracer()
    there = 'inport == "p1" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02'
    back = 'inport == "p2" && eth.src == 0a:00:00:00:00:02 && eth.dst == 0a:00:00:00:00:01'
    assert tracer.trace("sw0", there).outputs == ["p2", "p3"]
    assert tracer.trace("sw0", back).outputs == ["p1"]
    assert tracer.trace("sw0", there).outputs == ["p2"]


def test_a_stage_that_leads_to_itself_ends(traced):
    datapath = traced.datapath("d", 1, a=(1, "", {}))
    traced.flow(datapath, "ingress", 0, "1", "next(pipeline=ingress,table=0);")
    found = traced.by_hand().trace("d", 'inport == "a"')
    (verdict,) = found.verdicts()
    assert verdict == f"dropped in d: the packet is in a loop: the trace ends after {trace.STAGES} stages"


@pytest.mark.parametrize("actions", ["next(pipeline=ingress,table=0); next;", "clone { next(0); }; next(0);"])
def test_a_stage_that_calls_itself_ends(traced, actions):
    datapath = traced.datapath("d", 1, a=(1, "", {}))
    traced.flow(datapath, "ingress", 0, "1", actions)
    verdicts = traced.by_hand().trace("d", 'inport == "a"').verdicts()
    assert any("is in a loop" in verdict for verdict in verdicts)


def test_datapaths_in_a_ring_end(traced):
    for n in range(3):
        name, to = "abc"[n], "abc"[(n + 1) % 3]
        ports = {
            f"{name}-in": (1, "patch", {"peer": f"{'abc'[n - 1]}-out"}),
            f"{name}-out": (2, "patch", {"peer": f"{to}-in"}),
        }
        datapath = traced.datapath(name, n + 1, **ports)
        traced.flow(datapath, "ingress", 0, "1", f'outport = "{name}-out"; output;')
        traced.flow(datapath, "egress", 0, "1", "output;")
    found = traced.by_hand().trace("a", 'inport == "a-in"')
    assert found.outputs == []
    assert len([s for s in found.steps() if s.text.startswith("ingress")]) == trace.NESTING // 2 + 1
    assert any("is in a loop" in verdict for verdict in found.verdicts())


def test_a_flow_that_does_not_parse_matches_nothing_and_no_flow_drops(traced):
    datapath = traced.datapath("d", 1, a=(1, "", {}))
    traced.flow(datapath, "ingress", 0, "1", "frobnicate;", priority=9)
    traced.flow(datapath, "ingress", 0, "ip4.src == $nowhere", "next;", priority=8)
    found = traced.by_hand().trace("d", 'inport == "a" && ip4.src == 10.0.0.1')
    assert found.verdicts() == ["dropped in d: no match in table 0 (implicit drop)"]
    assert "cannot be evaluated: There is no address set nowhere." in render.text(found)


def test_a_clone_changes_no_original(traced):
    datapath = traced.datapath("d", 1, a=(1, "", {}), b=(2, "", {}))
    out = 'outport = "b"; output;'
    traced.flow(datapath, "ingress", 0, "1", f"clone {{ eth.dst = 0a:00:00:00:00:09; {out} }}; {out}")
    traced.flow(datapath, "egress", 0, "1", "output;")
    found = traced.by_hand().trace("d", 'inport == "a" && eth.dst == 0a:00:00:00:00:01')
    assert [d.packet["eth_dst"] for d in found.deliveries] == [0x0A0000000009, 0x0A0000000001]
    assert found.verdicts() == ['delivered to "b"']


def test_time_to_live_ends(traced):
    datapath = traced.datapath("d", 1, a=(1, "", {}), b=(2, "", {}))
    traced.flow(datapath, "ingress", 0, "ip4", 'ip.ttl--; outport = "b"; output;')
    traced.flow(datapath, "egress", 0, "1", "output;")
    tracer = traced.by_hand()
    assert tracer.trace("d", 'inport == "a" && ip4 && ip.ttl == 2').outputs == ["b"]
    found = tracer.trace("d", 'inport == "a" && ip4 && ip.ttl == 1')
    assert found.outputs == []
    assert "time to live" in found.verdicts()[0]


@pytest.mark.parametrize("place", ["nowhere", "home", "gateway"])
def test_a_gateway_that_is_on_no_chassis_lets_nothing_out_and_is_named(routed, place):
    txn = routed.nb.transaction()
    txn.update(
        routed.nb.store.find(nb.LogicalRouterPort.name, "r-out"), {"external_ids": {"neutron:is_ext_gw": "True"}}
    )
    if place == "gateway":
        distribute(routed, txn)
    elif place == "nowhere":
        txn.update(next(iter(routed.nb.store.table(nb.LogicalRouter).rows.values())), {"options": {}})
    txn.commit()
    routed.compile()
    out = P1_TO_P2.replace("0a:00:00:00:00:02", "0a:00:00:00:ff:01")
    found = routed.tracer().trace("sw0", f"{out}ip4.src == 10.0.0.1 && ip4.dst == 172.16.0.9 && icmp4.type == 8")
    (drop,) = found.drops()
    assert found.outputs == []
    said = {
        "nowhere": 'no chassis can host the gateway "r-out": one needs the network in ovn-bridge-mappings and ',
        "home": 'no chassis has claimed the gateway "r-out"',
        "gateway": 'no chassis has claimed the gateway "cr-r-out"',
    }
    assert said[place] in drop.verdict
    bound = {"nowhere": "", "home": "r-out", "gateway": "cr-r-out"}[place]
    if bound:
        txn = routed.sb.transaction()
        encap = txn.insert("Encap", {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "hv1"})
        chassis = txn.insert("Chassis", {"name": "hv1", "encaps": {encap}})
        txn.update(routed.sb.store.find(sb.PortBinding.logical_port, bound), {"chassis": chassis})
        txn.commit()
        again = routed.tracer().trace("sw0", f"{out}ip4.src == 10.0.0.1 && ip4.dst == 172.16.0.9 && icmp4.type == 8")
        assert again.outputs == ["far"]


def balancer(world, name, vips, **values):
    """Make a load balancer of the switch of `two`."""
    row = world.insert(nb.LoadBalancer, name=name, vips=vips, protocol="tcp", **values)
    txn = world.nb.transaction()
    txn.mutate(world.nb.store.find(nb.LogicalSwitch.name, "sw0"), "load_balancer", insert=[row.uuid])
    txn.commit()
    return row


def update(database, row, **values):
    txn = database.transaction()
    txn.update(row, values)
    txn.commit()


TO_VIP = P1_TO_P2 + "ip4.src == 10.0.0.1 && tcp.src == 1000 && tcp.dst == 80 && ip4.dst == "


def test_events_and_probes_for_the_chassis_are_shown(two):
    two.insert(nb.NBGlobal, options={"svc_monitor_mac": "0a:00:00:00:00:fe"})
    balancer(two, "telling", {"30.0.0.5:80": ""}, options={"event": "true"})
    web = balancer(two, "web", {"30.0.0.6:80": "10.0.0.1:80"}, ip_port_mappings={"10.0.0.1": "p1:10.0.0.9"})
    two.insert(nb.LoadBalancerHealthCheck, (web, "health_check"), vip="30.0.0.6:80")
    found = two.tracer().trace("sw0", TO_VIP + "30.0.0.5")
    assert found.verdicts() == ["dropped; the chassis reports an event to the cloud"]
    answer = TO_VIP.replace("eth.dst == 0a:00:00:00:00:02", "eth.dst == 0a:00:00:00:00:fe") + "10.0.0.9"
    (verdict,) = two.tracer().trace("sw0", answer).verdicts()
    assert verdict == "taken by the chassis as the answer to a probe of a load balancer's backend"
    (monitor,) = two.sb.store.table(sb.ServiceMonitor).rows.values()
    update(two.sb, monitor, status="offline")
    (verdict,) = two.tracer().trace("sw0", TO_VIP + "30.0.0.6").verdicts()
    assert (
        verdict == "dropped in ls_in_lb of sw0: load balancer web: 30.0.0.6:80 -> 10.0.0.1:80 (those that are online)"
    )


def test_template_variables_are_those_of_the_chassis_that_the_packet_comes_from(two):
    balancer(two, "node", {"^vip:80": "10.0.0.2:22"}, options={"template": "true"})
    for number in (1, 2):
        two.insert(nb.ChassisTemplateVar, chassis=f"hv{number}", variables={"vip": f"30.0.1.{number}"})
    two.compile()
    txn = two.sb.transaction()
    for number in (1, 2):
        encap = txn.insert(sb.Encap, {"type": "geneve", "ip": f"192.0.2.{number}", "chassis_name": f"hv{number}"})
        txn.insert(sb.Chassis, {"name": f"hv{number}", "encaps": frozenset([encap])})
    txn.commit()
    port = two.sb.store.find(sb.PortBinding.logical_port, "p1")
    tracer = two.tracer()
    for number in (1, 2, 1):
        update(two.sb, port, chassis=two.sb.store.find(sb.Chassis.name, f"hv{number}").uuid)
        balanced = ["10.0.0.2" in render.text(tracer.trace("sw0", f"{TO_VIP}30.0.1.{each}")) for each in (1, 2)]
        assert balanced == [number == 1, number == 2]


def test_a_load_balancer_leads_its_own_backend_back_to_itself(traced):
    switch = traced.switch("sw0")
    for number in (1, 2):
        traced.port(switch, f"p{number}", f"0a:00:00:00:00:0{number} 10.0.0.{number}")
    vips = {"30.0.0.1:80": "10.0.0.1:8080"}
    traced.insert(nb.LoadBalancer, (switch, "load_balancer"), name="lb", vips=vips)
    tracer = traced.tracer()
    for sender, expected in ((P1_TO_P2 + "ip4.src == 10.0.0.1", ["p1"]), (P2_TO_P1 + "ip4.src == 10.0.0.2", ["p1"])):
        found = tracer.trace("sw0", f"{sender} && ip4.dst == 30.0.0.1 && tcp.src == 5000 && tcp.dst == 80")
        assert found.outputs == expected
        back = [step for step in found.steps() if step.flow is not None and "eth.dst <-> eth.src" in step.flow.actions]
        assert bool(back) == ('"p1"' in sender)
