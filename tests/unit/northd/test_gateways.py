"""Gateways: which chassis watch them, and what a change of them costs."""

import pytest

from ovenbird.model import nb, sb
from support.northd.gateways import attach, bind, candidates, chassis
from support.northd.networks import Networks

SWITCHES = 8


def watchers(made):
    """Return the names of the chassis that depend on each group."""
    return {g.name: sorted(c.name for c in g.ref_chassis) for g in made.rows(sb.HAChassisGroup)}


@pytest.fixture
def cloud(networks):
    """A router with a few switches of two ports each, and a gateway at hv1 or hv2 to a physical network."""
    networks.insert(nb.NBGlobal)
    networks.chassis = {name: chassis(networks, name) for name in ("hv1", "hv2", "hv3")}
    networks.router = networks.insert(nb.LogicalRouter, name="r")
    networks.switches = [networks.switch(f"s{n}") for n in range(SWITCHES)]
    for n, switch in enumerate(networks.switches):
        attach(networks, networks.router, switch, n)
        for p in (1, 2):
            networks.port(switch, f"p{n}-{p}", f"00:00:00:00:{n:02x}:{p:02x} 10.{n}.0.{p}")
    networks.outside = networks.switch("out")
    networks.port(networks.outside, "ln", "unknown", type="localnet", options={"network_name": "phys"})
    networks.gateway = attach(networks, networks.router, networks.outside, 100)
    candidates(networks, networks.gateway, "hv1", "hv2")
    networks.settle()
    return networks


def test_a_chassis_with_a_port_behind_the_router_depends_on_its_gateway_as_long_as_it_has_one(cloud):
    hv3 = cloud.chassis["hv3"]
    assert watchers(cloud) == {"r-out": []}
    for port in ("p0-1", "p5-2"):
        bind(cloud, port, hv3)
        cloud.settle()
        assert watchers(cloud) == {"r-out": ["hv3"]}
    bind(cloud, "p0-1", None)
    cloud.settle()
    assert watchers(cloud) == {"r-out": ["hv3"]}
    bind(cloud, "p5-2", None)
    cloud.settle()
    assert watchers(cloud) == {"r-out": []}


def test_ref_chassis_are_found_through_links_and_transit_switches(cloud):
    """Instance -- r2 == link == r1 -- transit switch -- r -- gateway."""
    transit, far = cloud.switch("transit"), cloud.switch("far")
    r1, r2 = (cloud.insert(nb.LogicalRouter, name=name) for name in ("r1", "r2"))
    attach(cloud, cloud.router, transit, 101)
    attach(cloud, r1, transit, 102)
    for mine, name, other in ((r1, "a", "b"), (r2, "b", "a")):
        cloud.insert(
            nb.LogicalRouterPort, (mine, "ports"), name=name, mac="00:00:00:00:fe:01", peer=other,
            networks=frozenset(["10.200.0.1/30"]),
        )  # fmt: skip
    attach(cloud, r2, far, 103)
    cloud.port(far, "vm", "00:00:00:00:00:09 10.103.0.9")
    cloud.settle()
    bind(cloud, "vm", cloud.chassis["hv3"])
    cloud.settle()
    assert watchers(cloud) == {"r-out": ["hv3"]}
    (link,) = [row for row in cloud.nb.store.table(nb.LogicalRouterPort).rows.values() if row.name == "a"]
    cloud.update(link, peer=None)
    cloud.settle()
    assert watchers(cloud) == {"r-out": []}


def test_ref_chassis_do_not_extend_across_a_physical_network(cloud):
    """Neither another tenant's router in the same external network nor an instance in it reaches by tunnels."""
    other, private = cloud.insert(nb.LogicalRouter, name="other"), cloud.switch("private")
    attach(cloud, other, private, 110)
    candidates(cloud, attach(cloud, other, cloud.outside, 111), "hv1", "hv3")
    cloud.port(private, "theirs", "00:00:00:00:00:0a 10.110.0.1")
    cloud.port(cloud.outside, "direct", "00:00:00:00:00:0b 10.100.0.1")
    cloud.settle()
    bind(cloud, "theirs", cloud.chassis["hv2"])
    bind(cloud, "direct", cloud.chassis["hv3"])
    cloud.settle()
    assert watchers(cloud) == {"r-out": [], "other-out": ["hv2"]}


def test_a_gateway_without_a_second_chassis_is_not_watched(cloud):
    bind(cloud, "p0-1", cloud.chassis["hv3"])
    cloud.settle()
    cloud.delete(cloud.gateway.gateway_chassis[0], (cloud.gateway, "gateway_chassis"))
    cloud.settle()
    assert watchers(cloud) == {"r-out": []}


def test_a_named_group_is_watched_like_one_made_of_candidates(cloud):
    group = cloud.insert(nb.HAChassisGroup, name="ha")
    for priority, name in enumerate(("hv1", "hv2")):
        cloud.insert(nb.HAChassis, (group, "ha_chassis"), chassis_name=name, priority=priority)
    cloud.update(cloud.gateway, ha_chassis_group=group.uuid)
    bind(cloud, "p0-1", cloud.chassis["hv3"])
    cloud.settle()
    assert watchers(cloud) == {"ha": ["hv3"]}


def test_a_deleted_chassis_is_removed_from_ref_chassis(cloud):
    bind(cloud, "p0-1", cloud.chassis["hv3"])
    cloud.settle()
    cloud.delete(cloud.chassis["hv3"])
    cloud.settle()
    assert watchers(cloud) == {"r-out": []}


def test_without_a_physical_network_every_chassis_answers_for_the_gateway(cloud):
    def asks():
        return [match for _, _, match, act in cloud.flows("lr_in_ip_input") if "10.100.0.254" in match and "arp" in act]

    assert all('is_chassis_resident("cr-r-out")' in match for match in asks())
    (localnet,) = [row for row in cloud.outside.ports if row.type == "localnet"]
    cloud.delete(localnet, (cloud.outside, "ports"))
    cloud.settle()
    assert asks()
    assert not any("is_chassis_resident" in match for match in asks())


def test_addresses_given_for_announcement_are_announced_where_the_gateway_is(cloud):
    (port,) = [row for row in cloud.outside.ports if row.type == "router"]
    cloud.update(port, options={**port.options, "nat-addresses": "80:fa:5b:06:72:b7 158.36.44.22"})
    cloud.settle()
    (row,) = [row for row in cloud.rows(sb.PortBinding) if row.logical_port == port.name]
    assert '80:fa:5b:06:72:b7 158.36.44.22 is_chassis_resident("cr-r-out")' in row.nat_addresses


def test_only_addresses_of_the_word_router_are_restricted_to_the_active_chassis(cloud):
    """What the switch port is given in so many words is taken at its word, even if it is the same."""
    (port,) = [row for row in cloud.outside.ports if row.type == "router"]
    plain = f"eth.dst == {cloud.gateway.mac}"
    played = f'{plain} && is_chassis_resident("cr-r-out")'

    def matches():
        return [m for _, priority, m, _ in cloud.flows("ls_in_l2_lkup", datapath="out") if priority == 50]

    assert matches() == [played]
    cloud.update(port, addresses=frozenset([f"{cloud.gateway.mac} 10.100.0.254"]))
    cloud.settle()
    assert matches() == [plain]
    cloud.update(port, addresses=frozenset(["router", cloud.gateway.mac]))
    cloud.settle()
    assert matches() == [plain, played]
    cloud.update(port, addresses=frozenset(["router"]), enabled=False)
    cloud.settle()
    assert matches() == [played]


def test_a_link_local_next_hop_is_at_the_first_port(cloud):
    cloud.insert(
        nb.LogicalRouterStaticRoute, (cloud.router, "static_routes"), ip_prefix="fd99::/64", nexthop="fe80::99"
    )
    cloud.settle()
    (act,) = [act for _, _, match, act in cloud.flows("lr_in_ip_routing") if "fd99::/64" in match]
    assert 'outport = "r-out"' in act


# -- costs ------------------------------------------------------------------------------------------------------------


def test_binding_a_port_concerns_the_gateway_only_if_its_chassis_is_new_there(cloud):
    hv3 = cloud.chassis["hv3"]
    bind(cloud, "p0-1", hv3)
    assert cloud.wave() == {"port_up": 1, "surroundings": 1, "router_port": 1}
    cloud.settle()
    bind(cloud, "p0-2", hv3)
    assert cloud.wave() == {"port_up": 1}
    bind(cloud, "p1-1", hv3)  # another switch: it is seen that the chassis is there already
    assert cloud.wave() == {"port_up": 1, "surroundings": 1}
    bind(cloud, "p0-2", None)
    assert cloud.wave() == {"port_up": 1}
    assert watchers(cloud) == {"r-out": ["hv3"]}


def test_a_gateway_that_changes_concerns_no_port_behind_it(cloud):
    for n in range(SWITCHES):
        bind(cloud, f"p{n}-1", cloud.chassis["hv3"])
    cloud.settle()
    (first, second) = cloud.gateway.gateway_chassis
    cloud.update(first, priority=7)
    assert cloud.wave() == {"router_port": 1}
    cloud.delete(second, (cloud.gateway, "gateway_chassis"))
    ran = cloud.wave()
    assert "port_up" not in ran
    assert sum(ran.values()) <= 15, ran
    assert watchers(cloud) == {"r-out": []}


def test_a_router_port_concerns_its_own_switch(cloud):
    """With a gateway, and ports bound behind it: a switch more costs the same as the one before."""
    for n in range(SWITCHES):
        bind(cloud, f"p{n}-1", cloud.chassis["hv3"])
    cloud.settle()
    counts = []
    for n in (50, 51):
        attach(cloud, cloud.router, cloud.switch(f"s{n}"), n)
        counts.append(cloud.wave())
        cloud.settle()
    assert counts[0] == counts[1]
    assert sum(counts[0].values()) < 60, counts[0]


def test_a_peer_that_only_one_port_names_is_no_link(cloud):
    ends = []
    for number, (name, other) in enumerate((("a", "b"), ("b", None)), 1):
        router = cloud.insert(nb.LogicalRouter, name=f"r-{name}")
        ends.append(
            cloud.insert(
                nb.LogicalRouterPort, (router, "ports"), name=name, mac=f"00:00:00:00:fe:0{number}", peer=other,
                networks=frozenset([f"10.200.0.{number}/30"]),
            )
        )  # fmt: skip
    cloud.settle()
    known = [flow.match for flow in cloud.rows(sb.LogicalFlow) if "10.200.0.2" in flow.match and '"a"' in flow.match]
    assert known == []
    cloud.update(ends[1], peer="a")
    cloud.settle()
    assert any('outport == "a" && reg0 == 10.200.0.2' in flow.match for flow in cloud.rows(sb.LogicalFlow))


def test_northbound_says_where_a_gateway_is_and_nothing_else_of_the_status_is_touched(cloud):
    port, redirect = cloud.gateway, "cr-r-out"
    cloud.update(port, status={"note": "the cloud's own"})
    cloud.settle()
    for name in ("hv1", "hv2"):
        bind(cloud, redirect, cloud.chassis[name])
        cloud.settle()
        assert port.status == {"note": "the cloud's own", "hosting-chassis": name}
    cloud.update(port, status={"hosting-chassis": "elsewhere"})
    cloud.settle()
    assert port.status == {"hosting-chassis": "hv2"}
    bind(cloud, redirect, None)
    cloud.settle()
    assert port.status == {}


def test_a_status_that_another_northd_left_at_a_port_that_is_no_gateway_is_removed(cloud):
    (inner,) = (row for row in cloud.nb.store.table(nb.LogicalRouterPort).rows.values() if row.name == "r-s0")
    bind(cloud, "cr-r-out", cloud.chassis["hv1"])
    cloud.update(inner, status={"hosting-chassis": "hv3", "note": "stays"})
    for table in (*cloud.nb.store.tables.values(), *cloud.sb.store.tables.values()):
        table.watchers = [w for w in table.watchers if getattr(w, "engine", None) is not cloud.engine]
    again = Networks(cloud.nb, cloud.sb)
    again.settle()
    assert inner.status == {"note": "stays"}
    assert cloud.gateway.status == {"hosting-chassis": "hv1"}
    for candidate in cloud.gateway.gateway_chassis:
        cloud.delete(candidate, (cloud.gateway, "gateway_chassis"))
    again.settle()
    assert cloud.gateway.status == {}


def test_a_gateway_that_moves_runs_the_rules_about_its_place_alone(cloud):
    bind(cloud, "cr-r-out", cloud.chassis["hv1"])
    cloud.settle()
    bind(cloud, "cr-r-out", cloud.chassis["hv2"])
    assert cloud.wave() == {"host": 1, "router_port": 1}
    assert cloud.wave() == {}  # the echo of what it wrote


def test_a_port_whose_acls_become_stateful_runs_its_own_rule(cloud):
    cloud.acl(cloud.outside, "to-lport", "tcp", "allow-related")
    cloud.settle()
    (port,) = (row for row in cloud.nb.store.table(nb.LogicalSwitchPort).rows.values() if row.name == "to-r-out")
    assert len([m for _, _, m, _ in cloud.flows("ls_in_pre_acl", "ls_out_pre_acl") if "to-r-out" in m]) == 2
    cloud.update(port, options={"router-port": "r-out", "enable_router_port_acl": "true"})
    assert cloud.wave() == {"switch_port": 1, "router_peers": 1}  # a view that reads the options
    assert not [m for _, _, m, _ in cloud.flows("ls_in_pre_acl", "ls_out_pre_acl") if "to-r-out" in m]
