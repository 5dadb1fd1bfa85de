"""Routes that are advertised and learned: which ones, what they track, and what an edit costs."""

import random

import pytest

from ovenbird.model import nb, sb
from support.northd.gateways import attach, candidates, chassis
from support.northd.networks import Networks

DYNAMIC = {"dynamic-routing": "true"}


def redistributing(words, **more):
    return DYNAMIC | {"dynamic-routing-redistribute": words} | more


def two_routers():
    """Router `r0` and its neighbour `r1` on the switch `out`; `r0` has the network `in`, with an instance."""
    made = Networks()
    made.insert(nb.NBGlobal)
    for name in ("hv1", "hv2"):
        chassis(made, name)
    inside, made.out = made.switch("in"), made.switch("out")
    made.port(inside, "vm", "00:00:00:00:01:01 10.1.0.9 fd00::9")
    made.routers = [made.insert(nb.LogicalRouter, name=f"r{n}") for n in range(2)]
    made.inner = attach(made, made.routers[0], inside, 1)
    made.outer = attach(made, made.routers[0], made.out, 2)
    made.other = attach(made, made.routers[1], made.out, 3)
    made.update(made.other, networks=frozenset(["10.2.0.253/24"]))
    candidates(made, made.outer, "hv1", "hv2")
    return made


def advertised(made, router=None):
    made.settle()
    return {
        (r.logical_port.logical_port, r.ip_prefix, r.tracked_port.logical_port if r.tracked_port else "")
        for r in made.rows(sb.AdvertisedRoute)
        if router is None or r.datapath.external_ids["name"] == router
    }


def learn(made, prefix, nexthop, port="r0-out"):
    (binding,) = [row for row in made.rows(sb.PortBinding) if row.logical_port == port]
    where = {"datapath": binding.datapath.uuid, "logical_port": binding.uuid}
    return made.insert(sb.LearnedRoute, database=made.sb, ip_prefix=prefix, nexthop=nexthop, **where)


def routes(made, text):
    return [(match, actions) for _, _, match, actions in made.flows("lr_in_ip_routing") if text in match]


def test_a_router_without_dynamic_routing_advertises_nothing():
    made = two_routers()
    made.update(made.routers[0], options={"dynamic-routing-redistribute": "connected,nat"})
    assert not advertised(made)
    assert not [row for row in made.rows(sb.PortBinding) if "dynamic-routing" in row.options]


def test_connected_networks_are_advertised_at_their_ports_unless_a_port_says_otherwise():
    made = two_routers()
    made.update(made.routers[0], options=redistributing("connected, lb"))
    assert advertised(made) == {("r0-in", "10.1.0.0/24", ""), ("r0-out", "10.2.0.0/24", "")}
    made.update(made.outer, options={"dynamic-routing-redistribute": "static"})
    assert advertised(made) == {("r0-in", "10.1.0.0/24", "")}
    made.update(made.inner, networks=frozenset(["10.1.0.254/24", "10.1.9.1/32", "fd00::1/64"]))
    assert advertised(made) == {("r0-in", ip, "") for ip in ("10.1.0.0/24", "10.1.9.1", "fd00::/64")}
    made.update(made.routers[0], enabled=False)
    assert not advertised(made)


def test_hosts_of_a_network_are_advertised_with_the_ports_that_have_them():
    made = two_routers()
    made.update(made.routers[0], options=DYNAMIC)
    made.update(made.inner, options={"dynamic-routing-redistribute": "connected,connected-as-host"})
    assert advertised(made) == {
        ("r0-in", "10.1.0.254", "r0-in"),
        ("r0-in", "10.1.0.9", "vm"),
        ("r0-in", "fd00::9", "vm"),
    }
    made.update(made.inner, options={})
    made.update(made.outer, options={"dynamic-routing-redistribute": "connected-as-host"})
    made.insert(nb.NAT, (made.routers[0], "nat"), type="dnat_and_snat", external_ip="10.2.0.80", logical_ip="10.1.0.9")
    assert advertised(made) == {
        ("r0-out", "10.2.0.254", "r0-out"), ("r0-out", "10.2.0.253", "r1-out"), ("r0-out", "10.2.0.80", "r0-out"),
    }  # fmt: skip


def test_static_routes_are_advertised_while_they_are_used():
    made = two_routers()
    made.update(made.routers[0], options=redistributing("static"))
    row = made.insert(
        nb.LogicalRouterStaticRoute, (made.routers[0], "static_routes"), ip_prefix="20.0.0.7/8", nexthop="10.2.0.9"
    )
    assert advertised(made) == {("r0-out", "20.0.0.0/8", "")}
    for values in ({"nexthop": "9.9.9.9"}, {"nexthop": "discard"}, {"policy": "src-ip", "nexthop": "10.2.0.9"}):
        made.update(row, **values)
        assert not advertised(made), values
    made.update(row, policy=None, options={"origin": "connected"})
    assert not advertised(made)
    made.update(made.routers[0], options=redistributing("connected"))
    assert ("r0-out", "20.0.0.0/8", "") in advertised(made)


def test_translations_are_advertised_by_their_router_and_by_its_neighbours_and_track_where_they_are():
    made = two_routers()
    for router in made.routers:
        made.update(router, options=redistributing("nat"))
    nat = made.insert(
        nb.NAT, (made.routers[0], "nat"), type="dnat_and_snat", external_ip="30.0.0.1", logical_ip="10.1.0.9"
    )
    ports = ("r0-in", "r0-out", "r1-out")
    assert advertised(made) == {(port, "30.0.0.1", "r0-out") for port in ports}
    made.update(nat, logical_port="vm", external_mac="00:00:00:00:0a:01")
    assert advertised(made) == {(port, "30.0.0.1", "vm") for port in ports}
    made.update(made.routers[0], options={"dynamic-routing": "false"})
    assert advertised(made) == {("r1-out", "30.0.0.1", "vm")}
    made.delete(nat, (made.routers[0], "nat"))
    assert not advertised(made)


def test_virtual_addresses_are_advertised_where_they_are_balanced():
    made = two_routers()
    made.update(made.routers[0], options=redistributing("lb"))
    made.update(made.routers[1], options=redistributing("lb", chassis="hv2"))
    balancer = made.insert(nb.LoadBalancer, name="lb", vips={"40.0.0.1:80": "10.1.0.9:80", "[fd40::1]:80": ""})
    group = made.insert(nb.LoadBalancerGroup, name="g", load_balancer=frozenset([balancer.uuid]))
    made.update(made.routers[0], load_balancer_group=frozenset([group.uuid]))
    expected = {("r0-in", "r0-out"), ("r0-out", "r0-out"), ("r1-out", "r0-out")}
    assert advertised(made) == {(port, ip, on) for port, on in expected for ip in ("40.0.0.1", "fd40::1")}
    made.update(made.routers[0], load_balancer_group=frozenset())
    made.update(made.routers[1], load_balancer=frozenset([balancer.uuid]))
    assert advertised(made) == {
        (port, ip, on) for port, on in (("r1-out", ""), ("r0-out", "r1-out")) for ip in ("40.0.0.1", "fd40::1")
    }


def test_directly_connected_routers_advertise_each_others_addresses():
    made = Networks()
    made.insert(nb.NBGlobal)
    ports = []
    for n in range(2):
        router = made.insert(nb.LogicalRouter, name=f"r{n}", options={"chassis": "hv1"})
        ports.append(
            made.insert(
                nb.LogicalRouterPort, (router, "ports"), name=f"p{n}", mac=f"00:00:00:00:00:0{n}", peer=f"p{1 - n}",
                networks=frozenset([f"10.0.0.{n + 1}/30"]),
            )
        )  # fmt: skip
        made.insert(nb.NAT, (router, "nat"), type="snat", external_ip=f"30.0.0.{n}", logical_ip="10.1.0.0/24")
    first = made.nb.store.find(nb.LogicalRouter.name, "r0")
    made.update(first, options=redistributing("connected-as-host", chassis="hv1"))
    assert advertised(made) == {("p0", "10.0.0.2", "p1"), ("p0", "30.0.0.1", "p1")}
    made.update(first, options=redistributing("nat", chassis="hv1"))
    assert advertised(made) == {("p0", "30.0.0.0", ""), ("p0", "30.0.0.1", "")}


def test_bindings_and_datapaths_say_how_routes_are_exchanged():
    made = two_routers()
    keys = {"dynamic-routing-vrf-id": "4000", "dynamic-routing-v4-prefix-nexthop": "192.0.2.1"}
    made.update(made.routers[0], options=DYNAMIC | keys | {"dynamic-routing-vrf-name": "vrf0"})
    own = {"dynamic-routing-maintain-vrf": "true", "dynamic-routing-port-name": "uplink"}
    made.update(made.outer, options=own | {"dynamic-routing-redistribute-local-only": "true"})
    made.settle()
    said = {
        row.logical_port: {key: value for key, value in row.options.items() if key.startswith("dynamic")}
        for row in made.rows(sb.PortBinding)
    }
    local = {"dynamic-routing-redistribute-local-only": "true"}
    assert said["cr-r0-out"] == DYNAMIC | own | local | {"dynamic-routing-vrf-name": "vrf0"}
    assert (said["r0-out"], said["r0-in"]) == (local, {})
    (ids,) = [d.external_ids for d in made.rows(sb.DatapathBinding) if d.external_ids["name"] == "r0"]
    assert keys.items() <= ids.items()


# -- learned -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def learner():
    made = two_routers()
    made.update(made.routers[0], options=DYNAMIC)
    made.settle()
    return made


def test_a_learned_route_is_used_unless_there_is_a_static_one(learner):
    learn(learner, "50.0.0.0/8", "10.2.0.9")
    learner.settle()
    ((match, actions),) = routes(learner, "50.0.0.0/8")
    assert match == "reg7 == 0 && ip4.dst == 50.0.0.0/8"
    assert 'reg0 = 10.2.0.9; reg1 = 10.2.0.254; eth.src = 00:00:00:00:ff:02; outport = "r0-out";' in actions
    owner = (learner.routers[0], "static_routes")
    for nexthop, expected in (("10.2.0.7", "reg0 = 10.2.0.7;"), ("discard", "drop;")):
        row = learner.insert(nb.LogicalRouterStaticRoute, owner, ip_prefix="50.0.0.0/8", nexthop=nexthop)
        learner.settle()
        ((_, actions),) = routes(learner, "50.0.0.0/8")
        assert expected in actions
        learner.delete(row, owner)
    row = learner.insert(nb.LogicalRouterStaticRoute, owner, ip_prefix="50.0.0.0/8", nexthop="9.9.9.9")  # of no use
    learner.settle()
    assert "reg0 = 10.2.0.9;" in routes(learner, "50.0.0.0/8")[0][1]
    assert not learner.contradictions()


def test_equal_learned_routes_share_the_traffic_up_to_a_number(learner):
    for n in range(70):
        learn(learner, "fd50::/16" if n == 69 else "50.0.0.0/8", f"10.2.0.{n + 1}")
    learner.settle()
    assert routes(learner, "50.0.0.0/8")[0][1].count(",") == 63
    assert len(learner.rows(sb.LearnedRoute)) == 70
    assert any("of different IP versions" in text for text in learner.findings())
    assert not learner.contradictions()


def test_a_learned_route_is_kept_while_its_router_learns_there(learner):
    kept = learn(learner, "50.0.0.0/8", "10.2.0.9")
    odd = learn(learner, "nonsense", "10.2.0.9")
    far = learn(learner, "51.0.0.0/8", "9.9.9.9")
    learner.settle()
    assert {row.uuid for row in learner.rows(sb.LearnedRoute)} == {kept.uuid, odd.uuid, far.uuid}
    assert sum("is left out" in text for text in learner.findings()) == 2
    learner.update(learner.outer, options={"dynamic-routing-no-learning": "true"})
    learner.settle()
    assert not learner.rows(sb.LearnedRoute)
    assert not routes(learner, "50.0.0.0/8")
    learner.update(learner.outer, options={})
    learner.settle()
    learn(learner, "50.0.0.0/8", "10.2.0.9")
    learner.settle()
    learner.delete(learner.outer, (learner.routers[0], "ports"))
    learner.settle()
    assert not learner.rows(sb.LearnedRoute)


# -- cost and increments -----------------------------------------------------------------------------------------------


def sized(number):
    """Return routers, each with a network behind it and a translation; the first of them takes part."""
    made = Networks()
    made.insert(nb.NBGlobal)
    chassis(made, "hv1")
    out = made.switch("out")
    for n in range(number):
        router = made.insert(nb.LogicalRouter, name=f"r{n}", options=redistributing("connected,nat") if not n else {})
        candidates(made, attach(made, router, out, n + 1), "hv1")
        made.insert(nb.NAT, (router, "nat"), type="dnat_and_snat", external_ip=f"30.0.0.{n}", logical_ip=f"10.9.{n}.9")
        attach(made, router, made.switch(f"net{n}"), n + 100)
    made.settle()
    for n in range(number):
        learn(made, f"5{n % 10}.{n}.0.0/16", "10.1.0.9", "r0-out")
    made.settle()
    return made


def costs(number):
    made = sized(number)
    found = []
    last = made.nb.store.find(nb.LogicalRouter.name, f"r{number - 1}")
    nat = made.insert(nb.NAT, (last, "nat"), type="dnat_and_snat", external_ip="30.1.0.1", logical_ip="10.9.0.8")
    found.append(made.settle())
    assert ("r0-out", "30.1.0.1", f"r{number - 1}-out") in advertised(made)
    made.update(nat, external_ip="30.1.0.2")
    found.append(made.settle())
    made.delete(nat, (last, "nat"))
    found.append(made.settle())
    row = learn(made, "60.0.0.0/8", "10.1.0.9", "r0-out")
    found.append(made.settle())
    made.delete(row)
    found.append(made.settle())
    return found


def test_the_cost_of_a_route_does_not_depend_on_the_size_of_the_network():
    small, large = costs(3), costs(12)
    assert large == small
    assert all(sum(ran.values()) < 40 for ran in large)


def test_after_random_edits_everything_is_as_from_scratch():
    dice, made = random.Random(11), two_routers()
    prefixes, hops = ("50.0.0.0/8", "10.1.0.0/24", "0.0.0.0/0", "x"), ("10.2.0.9", "10.2.0.8", "10.1.0.3", "9.9.9.9")

    def options(row):
        drawn = ",".join(dice.sample(["connected", "connected-as-host", "static", "nat", "lb"], dice.randrange(5)))
        made.update(
            row, options=dice.choice([{}, DYNAMIC, redistributing(drawn), redistributing(drawn, chassis="hv1")])
        )

    def static():
        owner = (made.routers[0], "static_routes")
        if rows := owner[0].static_routes:
            made.delete(dice.choice(rows), owner)
        if dice.random() < 0.7:
            made.insert(nb.LogicalRouterStaticRoute, owner, ip_prefix=dice.choice(prefixes), nexthop=dice.choice(hops))

    def learned():
        rows = made.rows(sb.LearnedRoute)
        prefix, hop, port = dice.choice(prefixes), dice.choice(hops), dice.choice(["r0-out", "r0-in", "r1-out"])
        if rows and dice.random() < 0.3:
            made.delete(dice.choice(rows))
        elif not any((r.ip_prefix, r.nexthop, r.logical_port.logical_port) == (prefix, hop, port) for r in rows):
            learn(made, prefix, hop, port)

    made.settle()
    for step in range(60):
        dice.choice(
            [
                lambda: options(dice.choice(made.routers)),
                lambda: options(dice.choice([made.inner, made.outer, made.other])),
                static, learned, learned,
                lambda: made.update(made.outer, networks=frozenset(dice.sample(["10.2.0.254/24", "fd02::1/64"], 1))),
            ]
        )()  # fmt: skip
        made.settle()
        assert made.image() == made.from_scratch(), step
