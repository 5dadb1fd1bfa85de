"""What smaller features of switches add to our Southbound and to Debian's, flow by flow and row by row."""

import re

import pytest

from support.northd.logical_flows import flows, lines, references, run

WORLD = """
ls-add sw0
ls-add sw1
lsp-add sw0 vm1
lsp-set-addresses vm1 "00:00:00:00:00:11 10.0.0.11 fd10::11"
lsp-add sw0 vm2
lsp-set-addresses vm2 "00:00:00:00:00:12 10.0.0.12 fd10::12"
lsp-add sw0 off
lsp-set-enabled off disabled
lsp-add sw1 vm3
lsp-set-addresses vm3 "00:00:00:00:00:13 10.1.0.13 fd11::13"
lsp-add sw1 wire
set Logical_Switch_Port wire type=localnet options:network_name=phys addresses=unknown
lsp-add sw1 local
set Logical_Switch_Port local type=localport
lr-add r
lrp-add r r-sw0 00:00:00:00:01:02 10.0.0.1/24 fd10::1/64
mirror-add probe gre 7 from-lport 192.0.2.99
mirror-add audit erspan 8 to-lport fd00::99
mirror-add unused gre 9 to-lport 192.0.2.98
lsp-add sw0 to-r
set Logical_Switch_Port to-r type=router options:router-port=r-sw0 addresses=router
"""
CASES = {
    "QoS": """
qos-add sw0 from-lport 100 "inport == \\"vm1\\" && ip4" dscp=10
qos-add sw0 from-lport 32767 "inport == \\"vm1\\" && ip4" rate=4294967295
qos-add sw0 to-lport 102 "outport == \\"vm1\\" && ip4" rate=10 burst=11
qos-add sw0 to-lport 103 "outport == \\"vm1\\" && ip6" rate=10 burst=11 dscp=0
qos-add sw1 to-lport 103 "ip6" rate=10 burst=11 dscp=63
--id=@burst create QoS priority=5 match=ip direction=to-lport bandwidth:burst=5
--id=@none create QoS priority=6 match=ip direction=to-lport
--id=@both create QoS priority=7 match=udp direction=from-lport action:dscp=5
add Logical_Switch sw0 qos_rules @burst @none @both
add Logical_Switch sw1 qos_rules @both
""",
    "mirrors": """
lsp-attach-mirror vm1 probe
lsp-attach-mirror vm1 audit
lsp-attach-mirror wire probe
lsp-attach-mirror to-r probe
""",
    "a forwarding group": """
fwd-group-add group sw0 10.0.0.100 00:11:22:33:44:55 vm1 vm2
""",
    "a forwarding group of what is alive": """
--liveness fwd-group-add group sw0 10.0.0.100 00:11:22:33:44:55 vm1 vm2
""",
    "VTEP gateways": """
lsp-add sw0 ramp
set Logical_Switch_Port ramp type=vtep addresses=unknown options:vtep-physical-switch=p options:vtep-logical-switch=l
lsp-add sw0 ramp-off
set Logical_Switch_Port ramp-off type=vtep enabled=false options:qdisc_queue_id=9
lsp-add sw1 ramp-known
set Logical_Switch_Port ramp-known type=vtep options:qdisc_queue_id=9
lsp-set-addresses ramp-known "00:00:00:00:00:17 10.1.0.17"
lsp-set-port-security ramp-known "00:00:00:00:00:17"
lr-add central
lrp-add central c-sw0 00:00:00:00:02:02 10.0.0.2/24
lrp-set-gateway-chassis c-sw0 hv1 1
lsp-add sw0 to-c
set Logical_Switch_Port to-c type=router options:router-port=c-sw0 addresses=router
lrp-add central c-sw1 00:00:00:00:02:03 10.1.0.2/24
lsp-add sw1 to-c1
set Logical_Switch_Port to-c1 type=router options:router-port=c-sw1 addresses=router
""",
    "queues": """
set Logical_Switch_Port wire options:qos_max_rate=1000 options:qos_burst=20 options:qos_min_rate=5
set Logical_Switch_Port vm1 options:qos_max_rate=1000
set Logical_Switch_Port vm2 options:qdisc_queue_id=77
set Logical_Switch_Port vm3 options:qos_burst=7
set Logical_Switch_Port local options:qos_min_rate=5 options:qdisc_queue_id=3
set Logical_Switch_Port off options:qos_min_rate=5 options:qdisc_queue_id=4
set Logical_Switch_Port to-r options:qos_max_rate=1000 options:qdisc_queue_id=7
""",
}

SIZES = {"mirrors": 0, "a forwarding group": 2, "a forwarding group of what is alive": 2}


def queues(found):
    """Return flows without the numbers of queues, which each northd chooses for itself."""
    return {(*flow[:3], re.sub(r"set_queue\(\d+\)", "set_queue(N)", flow[3]), *flow[4:]) for flow in found}


def ports(client):
    """Return each port's options, with the queue that was asked for and whether there is one."""
    found = {}
    for row in client.select("Port_Binding", "logical_port", "options"):
        options = dict(row["options"][1])
        if "qdisc_queue_id" in options and "qos_max_rate" in options:
            options["qdisc_queue_id"] = "some"
        found[row["logical_port"]] = options
    return found


def mirrors(client):
    """Return the mirrors, and the ports that have each."""
    columns = ("_uuid", "name", "filter", "type", "sink", "index", "external_ids")
    rows = {row.pop("_uuid")[1]: row for row in client.select("Mirror", *columns)}
    attached = [
        (row["logical_port"], rows[uuid]["name"])
        for row in client.select("Port_Binding", "logical_port", "mirror_rules")
        for uuid in references(row["mirror_rules"])
    ]
    return sorted(map(str, rows.values())), sorted(attached)


@pytest.fixture
def world(oracle):
    run(oracle, lines(WORLD))
    return oracle


@pytest.mark.parametrize("case", CASES)
def test_flows_of_each_feature_are_the_originals(world, case):
    before = [flows(client) for client in (world.theirs, world.ours)]
    run(world, lines(CASES[case]))
    after = [flows(client) for client in (world.theirs, world.ours)]
    theirs, ours = (queues(new - old) for new, old in zip(after, before, strict=True))
    assert ours == theirs
    assert len(theirs) >= SIZES.get(case, 4)
    assert mirrors(world.ours) == mirrors(world.theirs)
    assert len(mirrors(world.ours)[0]) == 3
    assert ports(world.ours) == ports(world.theirs)
    assert world.compile()[1] == 0


def test_a_port_has_a_queue_of_its_own_where_it_is(world):
    run(world, lines(CASES["queues"]))
    encap = {"type": "vxlan", "ip": "192.0.2.1", "chassis_name": "hv"}
    for client in (world.theirs, world.ours):
        made = client.transact(
            {"op": "insert", "table": "Encap", "uuid-name": "e", "row": encap},
            {"op": "insert", "table": "Chassis", "row": {"name": "hv", "encaps": ["named-uuid", "e"]}},
        )
        row = {"chassis": made[1]["uuid"]}
        client.transact({"op": "update", "table": "Port_Binding", "where": [["type", "==", ""]], "row": row})
    world.sync()
    world.compile()
    theirs, ours = (
        {name: each.get("qdisc_queue_id") for name, each in ports(c).items()} for c in (world.theirs, world.ours)
    )
    assert {name for name in ours if ours[name]} == {name for name in theirs if theirs[name]}
    numbers = [dict(row["options"][1]).get("qdisc_queue_id") for row in world.ours.select("Port_Binding", "options")]
    given = [number for number in numbers if number]
    assert len(given) == len(set(given)) == 6


def test_requests_for_translated_addresses_are_forwarded_on_every_switch_with_vtep_gateways(world):
    run(world, lines(CASES["VTEP gateways"]))
    run(world, [
        "lr-nat-add central dnat_and_snat 10.0.0.50 10.1.0.13",
        "lr-nat-add central dnat_and_snat 192.0.2.50 10.1.0.17",
        "lr-nat-add central dnat 10.1.0.51 10.0.0.12",
        "lr-nat-add central snat 10.0.0.2 10.1.0.0/24",
    ])  # fmt: skip
    theirs, ours = (
        {flow for flow in flows(client) if flow[0] == "ls_in_l2_lkup 80"} for client in (world.theirs, world.ours)
    )
    assert ours == theirs
    assert sum("192.0.2.50" in match for _, _, match, *_ in ours) == 2


def sampling(client):
    """Return what flows do that sample, and how many flows drop packets otherwise."""
    actions = [row["actions"] for row in client.select("Logical_Flow", "actions")]
    return {text for text in actions if "sample" in text}, sum(text.endswith("drop;") for text in actions)


def test_drops_are_sampled_where_both_options_are_numbers(world):
    options = "set NB_Global . options:debug_drop_collector_set=7 options:debug_drop_domain_id={}"
    run(world, [options.format(5)])
    assert sampling(world.ours) == sampling(world.theirs)
    assert sampling(world.ours) == (
        {"sample(probability=65535,collector_set=7,obs_domain=5,obs_point=$cookie); /* drop */"}, 0,
    )  # fmt: skip
    run(world, [options.format(255)])
    assert not sampling(world.ours)[0] | sampling(world.theirs)[0]


TWO_GATEWAYS = """
lr-add central
lrp-add central c-sw0 00:00:00:00:02:02 10.0.0.2/24
lrp-set-gateway-chassis c-sw0 hv1 1
lsp-add sw0 to-c
set Logical_Switch_Port to-c type=router options:router-port=c-sw0 addresses=router
lrp-add central c-sw1 00:00:00:00:02:03 10.1.0.2/24
lrp-set-gateway-chassis c-sw1 hv1 1
lsp-add sw1 to-c1
set Logical_Switch_Port to-c1 type=router options:router-port=c-sw1 addresses=router
lb-add balancer 10.0.0.99:80 10.1.0.13:80
lr-lb-add central balancer
"""


@pytest.mark.parametrize("behind", [["sw0"], ["sw1"], ["sw0", "sw1"]])
def test_a_vtep_gateway_behind_two_gateway_ports_changes_what_it_changes_in_the_original(world, behind):
    """But requests for translated addresses: the original forwards them on every switch with or without gateways."""
    run(world, lines(TWO_GATEWAYS))
    for port, outer, inner in (("c-sw0", "10.0.0.50", "10.1.0.13"), ("c-sw1", "10.1.0.50", "10.0.0.13")):
        columns = f"type=dnat_and_snat external_ip={outer} logical_ip={inner} gateway_port=@g"
        run(world, [
            f"--id=@g get Logical_Router_Port {port}", f"--id=@n create NAT {columns}",
            "add Logical_Router central nat @n",
        ])  # fmt: skip
    run(world, [f"lsp-add {switch} ramp-{switch}" for switch in behind])
    before = [flows(client) for client in (world.theirs, world.ours)]
    for switch in behind:
        run(world, [f"set Logical_Switch_Port ramp-{switch} type=vtep options:vtep-physical-switch=p"])
    after = [flows(client) for client in (world.theirs, world.ours)]
    changes = [
        {flow for flow in now ^ then if flow[0] != "ls_in_l2_lkup 80"} for then, now in zip(before, after, strict=True)
    ]
    assert changes[0] == changes[1]
    assert any("lr_in_gw_redirect" in flow[0] for flow in changes[0])
