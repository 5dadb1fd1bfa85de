"""Load balancers: what cannot be read, who uses them, and what an edit costs, whatever number shares them."""

import pytest

from ovenbird.model import nb, sb
from ovenbird.northd.ir.socket_address import parse_endpoint
from support.northd.networks import Networks


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("10.0.0.1", "10.0.0.1"), ("10.0.0.1:80", "10.0.0.1:80"), ("10.0.0.1:0", "10.0.0.1"),
        ("fd00::0001", "fd00::1"), ("[fd00::1]:80", "[fd00::1]:80"), ("[fd00::1]", "fd00::1"),
        ("10.0.0.1:65536", None), ("10.0.0.256", None), ("10.0.0.1/24", None), ("[10.0.0.1]:80", None), ("", None),
        ("x", None), ("10.0.0.1:", None), ("fd00::g", None), ("^vip", None), ("10.0.0.1:^port", None), (":80", None),
    ],
)  # fmt: skip
def test_addresses_and_ports(text, told):
    found = parse_endpoint(text)
    assert (str(found) if found is not None else None) == told


@pytest.mark.parametrize(
    ("text", "six", "told"),
    [
        ("^vip", False, "^vip"), ("^vip:^port", False, "^vip:^port"), ("^vip:80", True, "[^vip]:80"),
        ("[^vip]:80", True, "[^vip]:80"), ("10.0.0.1:^port", False, "10.0.0.1:^port"), ("^9", False, None),
        ("^a^b", False, None), ("^", False, None),
    ],
)  # fmt: skip
def test_addresses_of_templates(text, six, told):
    found = parse_endpoint(text, six)
    assert (str(found) if found is not None else None) == told


def balancer(networks, name, vips, *groups, **values):
    row = networks.insert(nb.LoadBalancer, name=name, vips=vips, **values)
    for group in groups:
        networks.mutate(group, "load_balancer", insert=[row])
    return row


def chosen(networks, datapath):
    """Return the match and backends of the flows that choose a backend in a datapath."""
    stages = ("ls_in_lb", "lr_in_dnat")
    return [(m, a) for _, p, m, a in networks.flows(*stages, datapath=datapath) if p >= 110]


def test_invalid_entries_of_vips_are_left_out_one_by_one(networks):
    switch = networks.switch("s0")
    vips = {
        "nonsense": "10.0.0.1", "30.0.0.1:80": "10.0.0.1:80,x,fd00::1,10.0.0.2,10.0.0.3:80,", "30.0.0.2": "10.0.0.9:1",
        "[fd30::1]:80": "10.0.0.1:80,[fd00::1]:80",
    }  # fmt: skip
    row = balancer(networks, "lb", vips)
    networks.mutate(switch, "load_balancer", insert=[row])
    networks.settle()
    assert chosen(networks, "s0") == [
        ("ct.new && ip4.dst == 30.0.0.2", "drop;"),
        ("ct.new && ip4.dst == 30.0.0.1 && tcp.dst == 80",
         "reg0[1] = 0; ct_lb_mark(backends=10.0.0.1:80,10.0.0.3:80);"),
        ("ct.new && ip6.dst == fd30::1 && tcp.dst == 80", "reg0[1] = 0; ct_lb_mark(backends=[fd00::1]:80);"),
    ]  # fmt: skip
    found = networks.findings()
    assert len(found) == 6
    assert all(text.startswith("load balancer lb: ") for text in found)
    (written,) = networks.rows(sb.LoadBalancer)
    assert written.vips == {
        "30.0.0.1:80": "10.0.0.1:80,10.0.0.3:80", "30.0.0.2": "", "[fd30::1]:80": "[fd00::1]:80",
    }  # fmt: skip


def test_a_southbound_row_is_there_while_a_switch_uses_it(networks):
    switch, router = networks.switch("s0"), networks.insert(nb.LogicalRouter, name="r0")
    group = networks.insert(nb.LoadBalancerGroup, name="g")
    row = balancer(networks, "lb", {"30.0.0.1:80": "10.0.0.1:80"}, group)
    networks.update(router, load_balancer=frozenset([row.uuid]), load_balancer_group=frozenset([group.uuid]))
    networks.settle()
    assert not networks.rows(sb.LoadBalancer)
    networks.update(switch, load_balancer_group=frozenset([group.uuid]))
    networks.settle()
    (written,) = networks.rows(sb.LoadBalancer)
    assert [d.external_ids["name"] for d in written.datapath_group.datapaths] == ["s0"]
    assert written.options == {"hairpin_orig_tuple": "true"}
    networks.mutate(group, "load_balancer", delete=[row])
    networks.settle()
    assert not networks.rows(sb.LoadBalancer)
    assert not chosen(networks, "s0")
    networks.mutate(switch, "load_balancer", insert=[row])
    networks.settle()
    assert len(networks.rows(sb.LoadBalancer)) == len(chosen(networks, "s0")) == 1


# -- what an edit costs ------------------------------------------------------------------------------------------------


def shared(nodes, balancers):
    """Make nodes: a switch and a gateway router each that use one group; some balancers of two backends in it."""
    made = Networks()
    made.insert(nb.NBGlobal)
    made.group_row = made.insert(nb.LoadBalancerGroup, name="all")
    join = made.switch("join")
    outside = made.switch("outside")
    made.port(outside, "ln", "unknown", type="localnet", options={"network_name": "phys"})
    for n in range(nodes):
        users = frozenset([made.group_row.uuid])
        switch = made.switch(f"s{n}", load_balancer_group=users)
        made.port(switch, f"p{n}", f"00:00:00:00:{n:02x}:01 10.{n}.0.1")
        router = made.insert(nb.LogicalRouter, name=f"r{n}", options={"chassis": f"hv{n}"}, load_balancer_group=users)
        for where, kind, net in ((join, "j", f"100.64.0.{n + 1}/16"), (outside, "o", f"172.16.0.{n + 1}/16")):
            lrp = made.insert(
                nb.LogicalRouterPort, (router, "ports"), name=f"{kind}{n}", mac=f"00:00:00:0{len(kind)}:ff:{n:02x}",
                networks=frozenset([net]),
            )  # fmt: skip
            options = {"router-port": lrp.name, "nat-addresses": "router"}
            made.port(where, f"to-{kind}{n}", "router", type="router", options=options)
        made.insert(nb.NAT, (router, "nat"), type="snat", external_ip=f"172.16.0.{n + 1}", logical_ip=f"10.{n}.0.0/24")
    made.balancers = [
        balancer(made, f"lb{b}", {f"30.0.{b}.1:80": f"10.0.0.1:{b + 1},10.1.0.1:{b + 1}"}, made.group_row)
        for b in range(balancers)
    ]
    made.settle()
    return made


def change_backend(made):
    made.update(made.balancers[0], vips={"30.0.0.1:80": "10.0.0.1:1,10.1.0.1:2"})


def add_vip(made):
    made.update(made.balancers[0], vips={**made.balancers[0].vips, "30.0.0.2:443": "10.0.0.1:443"})


def lose_backends(made):
    made.update(made.balancers[0], vips={"30.0.0.1:80": ""})


def add_balancer(made):
    txn = made.nb.transaction()
    uuid = txn.insert(nb.LoadBalancer, {"name": "new", "vips": {"30.9.9.9:80": "10.0.0.1:80"}})
    txn.mutate(made.group_row, "load_balancer", insert=[uuid])
    txn.commit()


def take_balancer(made):
    made.delete(made.balancers[1])


def change_options(made):
    made.update(made.balancers[0], options={"affinity_timeout": "10", "reject": "true"})


EDITS = [change_backend, add_vip, lose_backends, add_balancer, take_balancer, change_options]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_costs_the_same_however_many_share_it(edit):
    counts = []
    for nodes, balancers in ((2, 2), (6, 2), (6, 9)):
        made = shared(nodes, balancers)
        edit(made)
        ran = made.settle()
        counts.append(ran)
        assert made.image() == made.from_scratch()
    assert counts[0] == counts[1] == counts[2]
    assert sum(counts[0].values()) <= 25, counts[0]


def test_a_group_has_as_many_readers_however_many_use_it():
    counts = []
    for nodes in (2, 6):
        made = shared(nodes, 2)
        counts.append(len(made.group_row.readers))  # each costs something whenever a balancer comes or goes
        assert made.image() == made.from_scratch()
    assert counts[0] == counts[1]


def test_a_backend_that_changes_touches_the_flows_that_lead_to_it():
    made = shared(6, 9)
    before = {row.uuid: list(row.values) for row in made.rows(sb.LogicalFlow)}
    change_backend(made)
    made.settle()
    after = {row.uuid: list(row.values) for row in made.rows(sb.LogicalFlow)}
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    assert len(gone) == len(new) == 2  # one of the switches, one of the routers
    rows = made.sb.store.table(sb.LogicalFlow).rows
    assert {rows[uuid].external_ids["stage-name"] for uuid in new} == {"ls_in_lb", "lr_in_dnat"}
    assert all(before[uuid] == after[uuid] for uuid in before.keys() & after.keys())


def test_flows_are_shared_by_all_users():
    made = shared(4, 3)
    before = len(made.rows(sb.LogicalFlow))
    add_balancer(made)
    made.settle()
    assert len(made.rows(sb.LogicalFlow)) - before == 4  # two for switches, two for routers
    assert len(made.rows(sb.LoadBalancer)) == 4


def test_one_more_user_of_a_balancer_runs_its_own_rules():
    counts = []
    for balancers in (2, 9):
        made = shared(3, balancers)
        before = len(made.rows(sb.LogicalFlow))
        made.switch("new", load_balancer_group=frozenset([made.group_row.uuid]))
        ran = made.settle()
        assert len(made.rows(sb.LogicalFlow)) == before
        counts.append(ran)
    assert counts[0] == counts[1]


def test_a_router_answers_for_what_is_in_its_networks():
    made = shared(3, 1)
    sets = {row.name: row.addresses for row in made.rows(sb.AddressSet) if row.name.startswith("_rtr_lb")}
    assert not sets
    made.update(made.balancers[0], vips={"172.16.7.7:80": "10.0.0.1:80", "30.0.0.1:80": "10.0.0.1:80"})
    made.settle()
    sets = {row.name: row.addresses for row in made.rows(sb.AddressSet) if row.name.startswith("_rtr_lb")}
    assert len(sets) == 3
    assert set(sets.values()) == {frozenset(["172.16.7.7"])}
    led = [f for f in made.flows("ls_in_l2_lkup", datapath="outside") if "172.16.7.7" in f[2]]
    assert len(led) == 1  # all three have it: requests go to one of them
    made.update(made.balancers[0], options={"neighbor_responder": "none"})
    made.settle()
    assert not [row for row in made.rows(sb.AddressSet) if row.name.startswith("_rtr_lb")]
    made.update(made.balancers[0], options={"neighbor_responder": "all"})
    made.settle()
    sets = [row.addresses for row in made.rows(sb.AddressSet) if row.name.startswith("_rtr_lb")]
    assert sets == [frozenset(["172.16.7.7", "30.0.0.1"])] * 3
    assert not made.contradictions()
    assert made.image() == made.from_scratch()


# -- health checks -----------------------------------------------------------------------------------------------------


def checked(networks, backends, mappings, protocol="tcp", vip="30.0.0.1:80", **values):
    """Make a switch with two ports, and a load balancer that checks the health of one virtual address."""
    networks.insert(nb.NBGlobal)
    switch = networks.switch("s0")
    for n in (1, 2):
        networks.port(switch, f"p{n}", f"00:00:00:00:00:0{n} 10.0.0.{n}")
    row = balancer(networks, "lb", {vip: backends}, protocol=protocol, ip_port_mappings=mappings, **values)
    networks.insert(nb.LoadBalancerHealthCheck, (row, "health_check"), vip=vip, options={"interval": "1"})
    networks.mutate(switch, "load_balancer", insert=[row])
    networks.settle()
    return row


def test_a_backend_that_cannot_be_probed_affects_no_other(networks):
    mappings = {"10.0.0.1": "p1:10.0.0.9", "10.0.0.2": "gone:10.0.0.9", "10.0.0.3": "p1", "x": "p1:10.0.0.9"}
    checked(networks, "10.0.0.1:8,10.0.0.2:8,10.0.0.3:8,10.0.0.4:8", mappings)
    assert [(m.logical_port, m.ip, m.port) for m in networks.rows(sb.ServiceMonitor)] == [("p1", "10.0.0.1", 8)]
    assert "ct_lb_mark(backends=10.0.0.1:8)" in str(chosen(networks, "s0"))
    (written,) = networks.rows(sb.LoadBalancer)
    assert written.vips == {"30.0.0.1:80": "10.0.0.1:8,10.0.0.2:8,10.0.0.3:8,10.0.0.4:8"}  # as hairpins need them
    assert len(networks.findings()) == 3
    assert networks.image() == networks.from_scratch()


@pytest.mark.parametrize(
    ("protocol", "vip", "backend", "options"),
    [("sctp", "30.0.0.1:80", "10.0.0.1:8", {}), ("tcp", "30.0.0.1", "10.0.0.1", {}),
     ("tcp", "^v:80", "10.0.0.1:8", {"template": "true"})],
)  # fmt: skip
def test_backends_that_cannot_be_probed_get_connections(networks, protocol, vip, backend, options):
    checked(networks, backend, {"10.0.0.1": "p1:10.0.0.9"}, protocol, vip, options=options)
    assert not networks.rows(sb.ServiceMonitor)
    assert f"ct_lb_mark(backends={backend})" in str(chosen(networks, "s0"))
    assert len(networks.findings()) == 1


def test_the_result_of_a_probe_runs_the_rules_of_its_load_balancers_only(networks):
    mappings = {f"10.0.0.{n}": f"p{n}:10.0.0.9" for n in (1, 2)}
    checked(networks, "10.0.0.1:8,10.0.0.2:8", mappings)
    for n in range(5):
        balancer(networks, f"other{n}", {"30.0.0.2:80": "10.0.0.1:8"})
    networks.settle()
    monitor = next(m for m in networks.rows(sb.ServiceMonitor) if m.ip == "10.0.0.1")
    networks.update(monitor, status="offline")
    ran = networks.settle()
    assert "ct_lb_mark(backends=10.0.0.2:8)" in str(chosen(networks, "s0"))
    assert sum(ran.values()) <= 8, ran
    networks.update(monitor, status="online")  # whose port nobody has bound
    networks.settle()
    assert monitor.status == "offline"


@pytest.mark.parametrize("vips", [2, 9])
def test_a_result_costs_the_virtual_addresses_that_it_concerns(networks, vips):
    row = checked(networks, "10.0.0.1:8", {"10.0.0.1": "p1:10.0.0.9"})
    networks.insert(nb.LogicalRouter, name="r0", load_balancer=frozenset([row.uuid]))
    networks.update(row, vips={f"30.0.0.{n}:80": f"10.0.0.1:{n}" for n in range(1, vips + 1)})
    for n in range(2, vips + 1):
        networks.insert(nb.LoadBalancerHealthCheck, (row, "health_check"), vip=f"30.0.0.{n}:80")
    networks.settle()
    monitor = next(m for m in networks.rows(sb.ServiceMonitor) if m.port == 2)
    networks.update(monitor, status="offline")
    ran = networks.settle()
    assert [match for _, match, act in found(networks, "ls_in_lb") if act == "drop;"] == [
        "ct.new && ip4.dst == 30.0.0.2 && tcp.dst == 80"
    ]
    assert sum(ran.values()) <= 4, ran  # the switches' flows of that address, the routers', and what is online
    assert networks.image() == networks.from_scratch()
    networks.update(monitor, status=None)
    networks.settle()
    assert not [act for *_, act in found(networks, "ls_in_lb") if act == "drop;"]


def found(made, stage):
    """Return the flows of a stage: priority, match and actions."""
    rows = [row for row in made.rows(sb.LogicalFlow) if row.external_ids["stage-name"] == stage]
    return sorted((row.priority, row.match, row.actions) for row in rows)


def test_a_template_keeps_clients_at_backends_that_are_one_each(networks):
    networks.insert(nb.NBGlobal)
    switch = networks.switch("s0")
    options = {"template": "true", "affinity_timeout": "60"}
    row = balancer(networks, "lb", {"^vip:^port": "^one:81,^several"}, options=options)
    networks.mutate(switch, "load_balancer", insert=[row])
    networks.settle()
    noted = "reg9[6] == 0 && ct.new && ip4 && reg1 == ^vip && reg2[0..15] == ^port"
    learned = 'commit_lb_aff(vip = "^vip:^port", backend = "^one:81", proto = tcp, timeout = 60); next;'
    assert [(match, act) for _, match, act in found(networks, "ls_in_lb_aff_learn") if "commit" in act] == [
        (f"{noted} && ip4.dst == ^one && tcp.dst == 81", learned)
    ]
    assert len([act for *_, act in found(networks, "ls_in_lb") if "ct_lb_mark" in act]) == 2
    assert len(networks.findings()) == 1


# -- with stateless ACLs ---------------------------------------------------------------------------------------------


STATELESS_STAGES = ("ls_in_pre_stateful", "ls_in_acl_hint", "ls_out_pre_lb", "ls_out_stateful")
STATELESS_FLOWS = [
    (105, "tcp && ip4.dst == 30.0.0.1", "ct_lb_mark;"),
    (150, "ip4.dst == 30.0.0.1 && tcp.dst == 80", "reg1 = 30.0.0.1; reg2[0..15] = 80; ct_lb_mark;"),
    (150, "ip4.dst == 30.0.0.2", "reg1 = 30.0.0.2; ct_lb_mark;"),
    (8, "ct.inv", "ct_clear; reg0[9] = 1; next;"),
    (115, "reg0[16] == 1", "reg0[2] = 1; next;"),
    (110, "reg0[16] == 1 && ct.new", "next;"),
]


@pytest.mark.parametrize("grouped", [False, True])
def test_enable_stateless_acl_with_lb_balances_what_stateless_acls_allow(networks, grouped):
    networks.insert(nb.NBGlobal)
    row = balancer(networks, "lb", {"30.0.0.1:80": "10.0.0.1:8", "30.0.0.2": "10.0.0.1"})
    group = networks.insert(nb.LoadBalancerGroup, name="all", load_balancer=frozenset([row.uuid]))
    for name in ("s0", "s1"):
        used = {"load_balancer_group": frozenset([group.uuid])} if grouped else {"load_balancer": frozenset([row.uuid])}
        switch = networks.switch(name, **used)
    networks.settle()
    before = {stage: networks.flows(stage, datapath="s1") for stage in STATELESS_STAGES}
    networks.update(switch, other_config={"enable-stateless-acl-with-lb": "true"})
    networks.settle()
    new = {stage: [f for f in networks.flows(stage, datapath="s1") if f not in before[stage]] for stage in before}
    assert [flow[-3:] for stage in STATELESS_STAGES for flow in sorted(new[stage])] == STATELESS_FLOWS
    assert networks.flows("ls_in_pre_stateful", datapath="s0") == before["ls_in_pre_stateful"]
    assert networks.image() == networks.from_scratch()
    networks.update(switch, other_config={})
    networks.settle()
    assert {stage: networks.flows(stage, datapath="s1") for stage in STATELESS_STAGES} == before


# -- distributed ones ----------------------------------------------------------------------------------------------


def test_a_distributed_balancer_leads_to_the_backends_of_each_chassis(networks):
    networks.insert(nb.NBGlobal)
    switch, outside = networks.switch("s0"), networks.switch("outside")
    networks.port(outside, "ln", "unknown", type="localnet", options={"network_name": "phys"})
    router = networks.insert(nb.LogicalRouter, name="r0")
    for where, name, net in ((switch, "in", "10.0.0.254/24"), (outside, "out", "172.16.0.1/24")):
        mac = f"00:00:00:00:ff:0{len(name)}"
        lrp = networks.insert(nb.LogicalRouterPort, (router, "ports"), name=name, mac=mac, networks=frozenset([net]))
        networks.port(where, f"to-{name}", "router", type="router", options={"router-port": name})
    networks.insert(nb.GatewayChassis, (lrp, "gateway_chassis"), name="out-hv1", chassis_name="hv1", priority=1)
    row = balancer(
        networks, "lb", {"30.0.0.1:80": "10.0.0.1:8,10.0.0.2:8,10.0.0.3:8"},
        ip_port_mappings={"10.0.0.1": "p1", "10.0.0.2": "p 2:10.0.0.9"}, options={"distributed": "true"},
    )  # fmt: skip
    for user in (switch, router):
        networks.mutate(user, "load_balancer", insert=[row])
    networks.settle()
    to_those_here = 'ct_lb_mark_local(backends="p1":10.0.0.1:8,"p 2":10.0.0.2:8);'
    assert (120, "ct.new && ip4.dst == 30.0.0.1 && tcp.dst == 80", f"reg0[1] = 0; {to_those_here}") in found(
        networks, "ls_in_lb"
    )
    begins = "ct.new && !ct.rel && ip4 && ip4.dst == 30.0.0.1 && tcp && tcp.dst == 80"
    assert (120, begins, to_those_here) in found(networks, "lr_in_dnat")
    sources = " || ".join(f"(ip4.src == 10.0.0.{n} && tcp.src == 8)" for n in (1, 2, 3))
    replies = f'ip4 && ({sources}) && outport == "out"'
    assert (200, replies, 'outport = "out"; next;') in found(networks, "lr_in_gw_redirect")
    assert (120, replies, "ct_dnat_in_czone;") in found(networks, "lr_out_undnat")
    assert len(networks.findings()) == 1  # of the backend of which it is not known where it is

    def redirects():
        (port,) = (port for port in networks.rows(sb.PortBinding) if port.logical_port == "cr-out")
        return port.options.get("always-redirect")

    assert redirects() is None
    assert networks.image() == networks.from_scratch()
    networks.update(row, options={})
    networks.settle()
    assert redirects() == "true"
    assert not [act for *_, act in found(networks, "ls_in_lb") if "local" in act]
    assert f'{begins} && is_chassis_resident("cr-out")' in [match for _, match, _ in found(networks, "lr_in_dnat")]
    networks.update(row, options={"distributed": "true", "template": "true"})
    networks.settle()
    assert not [act for *_, act in found(networks, "ls_in_lb") if "local" in act]
    assert networks.image() == networks.from_scratch()


def test_switches_use_what_the_routers_around_them_use_if_the_cloud_says_so():
    made = shared(2, 2)
    direct = balancer(made, "direct", {"40.0.0.1:80": "10.0.0.1:80"})
    router = made.insert(nb.LogicalRouter, name="extra", load_balancer=frozenset([direct.uuid]))
    made.insert(nb.LogicalRouterPort, (router, "ports"), name="e", mac="00:00:00:00:ee:01",
                networks=frozenset(["100.64.1.1/16"]))  # fmt: skip
    join = made.nb.store.find(nb.LogicalSwitch.name, "join")
    made.port(join, "to-e", "router", type="router", options={"router-port": "e"})
    made.settle()
    assert not chosen(made, "join")
    (settings,) = made.nb.store.table(nb.NBGlobal).rows.values()
    for lends in ("true", "false", "true"):
        made.update(settings, options={"install_ls_lb_from_router": lends})
        made.settle()
        assert len(chosen(made, "join")) == (3 if lends == "true" else 0)  # two of the group, one of the router alone
        assert made.image() == made.from_scratch()
    made.update(router, enabled=False)
    made.settle()
    assert len(chosen(made, "join")) == 2
    assert made.image() == made.from_scratch()
