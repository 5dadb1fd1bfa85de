"""An edit runs the same rules and views, as often, in a network of ten times the size."""

import pytest

from ovenbird.model import nb, sb
from ovenbird.northd.ir.switch_port import only_routers
from support.northd.networks import Networks


def cloud(switches, ports):
    """One router with an external network, a gateway, and switches of ports behind it; a chassis."""
    made = Networks()
    made.insert(nb.NBGlobal)
    made.router = made.insert(nb.LogicalRouter, name="r0")
    made.switches = []
    for s in range(switches):
        attach(made, s, ports)
    outside = made.switch("outside")
    made.port(outside, "ln", "unknown", type="localnet", options={"network_name": "phys"})
    made.outside = made.insert(
        nb.LogicalRouterPort, (made.router, "ports"), name="out", mac="00:00:00:ff:ff:ff",
        networks=frozenset(["172.16.0.1/16"]),
    )  # fmt: skip
    options = {"router-port": "out", "nat-addresses": "router"}
    made.port(outside, "to-out", "router", type="router", options=options)
    made.candidate = candidate(made, "hv1", 2)
    made.dhcp = made.insert(nb.DHCPOptions, cidr="10.0.0.0/8", options={})
    made.shaped = made.insert(
        nb.QoS, (made.switches[0], "qos_rules"), direction="from-lport", match="ip4", action={"dscp": 1}
    )
    made.names = made.insert(nb.DNS, records={"a.b": "10.0.0.1"})
    made.update(made.switches[0], dns_records=frozenset([made.names.uuid]))
    made.session = made.insert(nb.BFD, logical_port="out", dst_ip="172.16.0.250")
    made.watched = route(made, "3.0.0.0/8", "172.16.0.250", bfd=made.session.uuid)
    for n in range(switches):  # what grows with the network besides its ports
        route(made, f"20.{n}.0.0/16", f"10.{n}.0.9")
        policy(made, n + 10)
        floating(made, n, 1)
    txn = made.sb.transaction()
    encap = txn.insert(sb.Encap, {"type": "geneve", "ip": "127.0.0.1", "chassis_name": "hv1"})
    chassis = txn.insert(sb.Chassis, {"name": "hv1", "encaps": frozenset([encap])})
    txn.commit()
    made.chassis = chassis
    made.settle()
    made.update(binding(made, "p1-1"), chassis=chassis, up=True)
    made.settle()
    return made


def binding(made, name):
    return made.sb.store.find(sb.PortBinding.logical_port, name)


def attach(made, s, ports):
    switch = made.switch(f"s{s}")
    made.switches.append(switch)
    for p in range(1, ports + 1):
        made.port(switch, f"p{s}-{p}", f"00:00:00:00:{s:02x}:{p:02x} 10.{s}.0.{p}")
    made.insert(
        nb.LogicalRouterPort, (made.router, "ports"), name=f"lrp{s}", mac=f"00:00:00:01:ff:{s:02x}",
        networks=frozenset([f"10.{s}.0.254/24"]),
    )  # fmt: skip
    made.port(switch, f"to{s}", "router", type="router", options={"router-port": f"lrp{s}"})


def route(made, prefix, hop, **values):
    owner = (made.router, "static_routes")
    return made.insert(nb.LogicalRouterStaticRoute, owner, ip_prefix=prefix, nexthop=hop, **values)


def policy(made, priority, **values):
    values = {"match": "ip4", "action": "reroute", "nexthops": frozenset(["10.0.0.9"])} | values
    return made.insert(nb.LogicalRouterPolicy, (made.router, "policies"), priority=priority, **values)


def floating(made, s, p, **values):
    values = {"type": "dnat_and_snat", "external_ip": f"172.16.{s}.{p}", "logical_ip": f"10.{s}.0.{p}"} | values
    return made.insert(nb.NAT, (made.router, "nat"), **values)


def candidate(made, chassis, priority):
    owner = (made.outside, "gateway_chassis")
    return made.insert(nb.GatewayChassis, owner, name=f"out-{chassis}", chassis_name=chassis, priority=priority)


def add_route(made):
    route(made, "1.0.0.0/8", "10.1.0.9")


def remove_route(made):
    made.delete(made.watched, (made.router, "static_routes"))


def add_equal_route(made):
    route(made, "20.1.0.0/16", "10.2.0.9")


def add_policy(made):
    policy(made, 3)


def change_policy(made):
    made.update(made.router.policies[0], action="drop")


def translate_sources(made):
    floating(made, 0, 0, type="snat", logical_ip="10.0.0.0/24")


def give_floating_address(made):
    floating(made, 1, 2)


def give_distributed_address(made):
    floating(made, 1, 2, logical_port="p1-2", external_mac="00:00:00:00:aa:aa")


def take_floating_address(made):
    made.delete(made.router.nat[0], (made.router, "nat"))


def change_record(made):
    made.update(made.names, records={"c.d": "10.0.0.2"})


def name_a_switch(made):
    made.update(made.switches[1], dns_records=frozenset([made.names.uuid]))


def limit_a_rate(made):
    made.insert(nb.QoS, (made.switches[1], "qos_rules"), direction="to-lport", match="ip", bandwidth={"rate": 9})


def stop_marking(made):
    made.delete(made.shaped, (made.switches[0], "qos_rules"))


def group_ports(made):
    values = {"name": "f", "vip": "10.1.0.50", "vmac": "00:00:00:00:ff:0f", "child_port": frozenset(["p1-1", "p1-2"])}
    made.insert(nb.ForwardingGroup, (made.switches[1], "forwarding_groups"), **values)


def mirror_a_port(made):
    mirror = made.insert(nb.Mirror, name="m", filter="from-lport", sink="192.0.2.1", type="gre")
    made.update(made.nb.store.find(nb.LogicalSwitchPort.name, "p1-1"), mirror_rules=frozenset([mirror.uuid]))


def queue_a_port(made):
    made.update(made.nb.store.find(nb.LogicalSwitchPort.name, "p1-1"), options={"qos_max_rate": "1000"})


def add_rival(made):
    """From one candidate to two: who is behind the router begins to matter."""
    candidate(made, "hv2", 1)


def remove_rival(made):
    made.delete(made.rival, (made.outside, "gateway_chassis"))


def add_another_rival(made):
    candidate(made, "hv3", 3)


def prefer_another_gateway(made):
    made.update(made.candidate, chassis_name="hv4")


def add_router_port(made):
    attach(made, 200, 1)


def remove_router_port(made):
    port = made.nb.store.find(nb.LogicalRouterPort.name, "lrp1")
    made.delete(port, (made.router, "ports"))


def link_a_router(made):
    """A router more, by a link; it has a switch of its own."""
    other = made.insert(nb.LogicalRouter, name="r1")
    for owner, name, peer in ((made.router, "a", "b"), (other, "b", "a")):
        made.insert(
            nb.LogicalRouterPort, (owner, "ports"), name=name, mac="00:00:00:02:00:01", peer=peer,
            networks=frozenset(["10.250.0.1/30"]),
        )  # fmt: skip
    join(made, other, made.switch("far"), "10.251.0.254/24")


def join_a_router(made):
    """A router more, on a switch that leads to the first."""
    join(made, made.insert(nb.LogicalRouter, name="r1"), made.switches[2], "10.2.0.253/24")


def join(made, router, switch, network):
    mac = "00:00:00:02:00:02"
    made.insert(nb.LogicalRouterPort, (router, "ports"), name="join", mac=mac, networks=frozenset([network]))
    made.port(switch, "to-join", "router", type="router", options={"router-port": "join"})


def bind(made):
    made.update(binding(made, "p1-2"), chassis=made.chassis, up=True)


def unbind(made):
    made.update(binding(made, "p1-1"), chassis=None)


def session_comes_up(made):
    made.update(made.sb.store.select(sb.BFD.logical_port, "out")[0], status="up")


def fix_a_neighbour(made):
    values = {"logical_port": "lrp1", "ip": "10.1.0.77", "mac": "00:00:00:00:77:77"}
    made.insert(nb.StaticMACBinding, **values, override_dynamic_mac=True)


def add_port(made):
    made.port(made.switches[1], "new", "00:00:00:00:01:99 10.1.0.99")


def remove_port(made):
    made.delete(made.nb.store.find(nb.LogicalSwitchPort.name, "p1-2"), (made.switches[1], "ports"))


EDITS = [
    add_route, remove_route, add_equal_route, add_policy, change_policy, translate_sources, give_floating_address,
    give_distributed_address, take_floating_address, change_record, name_a_switch, add_rival, prefer_another_gateway,
    add_router_port, remove_router_port, bind, unbind, session_comes_up, fix_a_neighbour, add_port, remove_port,
    limit_a_rate, stop_marking, queue_a_port, mirror_a_port, group_ports,
]  # fmt: skip
WITH_RIVALS = [
    remove_rival, add_another_rival, prefer_another_gateway, add_router_port, remove_router_port, link_a_router,
    join_a_router, bind, unbind, add_port, remove_port,
]  # fmt: skip
"""What is tried again where two chassis compete for the gateway, so that it matters who is behind the router."""


def counted(edit, switches, ports, *, rival=False):
    made = cloud(switches, ports)
    if rival:
        made.rival = candidate(made, "hv2", 3)
        made.settle()
    before = made.image(), ups(made)
    edit(made)
    ran = made.wave()
    assert (made.image(), ups(made)) != before, "the edit concerned nobody: nothing is shown"
    return ran


def ups(made):
    return {port.name: port.up for port in made.nb.store.table(nb.LogicalSwitchPort).rows.values()}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_a_network_of_many_switches_costs_what_a_small_one_does(edit):
    assert counted(edit, 30, 2) == counted(edit, 3, 2)


@pytest.mark.parametrize("edit", WITH_RIVALS, ids=lambda edit: edit.__name__)
def test_a_network_of_many_switches_behind_a_watched_gateway_costs_what_a_small_one_does(edit):
    assert counted(edit, 30, 2, rival=True) == counted(edit, 3, 2, rival=True)


@pytest.mark.parametrize("edit", [each for each in EDITS if each is not remove_router_port], ids=lambda e: e.__name__)
def test_a_network_of_large_switches_costs_what_a_small_one_does(edit):
    assert counted(edit, 3, 30) == counted(edit, 3, 3)


@pytest.mark.parametrize("ports", [3, 30])
def test_a_router_taken_from_a_switch_costs_the_neighbours_that_it_knew_there(ports):
    """One flow for each, so one run for each; nothing else grows with the switch."""
    made = cloud(3, ports)
    before = len(made.flows("lr_in_arp_resolve"))
    remove_router_port(made)
    ran = made.wave()
    assert before - len(made.flows("lr_in_arp_resolve")) == ports
    assert ran.pop("switch_port") == ports + 1  # and the one that the router was joined to
    assert sum(ran.values()) < 30, ran


@pytest.mark.parametrize("routers", [3, 30])
def test_a_switch_of_routers_only_is_recognised_without_reading_its_ports(routers):
    made = cloud(3, 2)
    transit = made.switch("transit")
    for n in range(routers):
        router = made.insert(nb.LogicalRouter, name=f"t{n}")
        networks = frozenset([f"10.99.0.{n + 1}/24"])
        mac = f"00:00:00:00:99:{n:02x}"
        made.insert(nb.LogicalRouterPort, (router, "ports"), name=f"lrt{n}", mac=mac, networks=networks)
        made.port(transit, f"st{n}", "router", type="router", options={"router-port": f"lrt{n}"})
    made.settle()
    (answer,) = [each for key, each in made.engine.memo.items() if key == (only_routers, (transit,))]
    assert (answer.value, len(answer.deps)) == (True, 2)
    made.port(transit, "guest", "00:00:00:00:98:01 10.99.0.200")
    assert made.wave()["only_routers"] == 1
    assert (answer.value, len(answer.deps)) == (False, 2)


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_the_first_gateway_of_a_router_runs_the_rules_of_its_ports_only(first):
    """A router without gateways refuses what is for itself: those flows come or go; nothing else grows."""

    def changed(switches):
        made = cloud(switches, 2)
        for nat in made.router.nat:
            made.delete(nat, (made.router, "nat"))
        if first:
            made.delete(made.candidate, (made.outside, "gateway_chassis"))
        made.settle()
        before = len(made.flows("lr_in_ip_input"))
        if first:
            candidate(made, "hv1", 1)
        else:
            made.delete(made.candidate, (made.outside, "gateway_chassis"))
        ran = made.wave()
        assert abs(len(made.flows("lr_in_ip_input")) - before) >= 4 * switches
        return ran | {"router_port": ran["router_port"] - switches}

    assert changed(30) == changed(3)
