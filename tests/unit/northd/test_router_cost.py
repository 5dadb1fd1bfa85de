"""An edit of a routed network costs what it changes, whatever the number of switches behind the router."""

import pytest

from ovenbird.model import nb, sb

SWITCHES = 12


@pytest.fixture
def cloud(networks):
    """One router with a dozen switches of three ports each."""
    networks.router = networks.insert(nb.LogicalRouter, name="r0")
    for s in range(SWITCHES):
        attach(networks, s)
    networks.insert(
        nb.LogicalRouterStaticRoute, (networks.router, "static_routes"), ip_prefix="0.0.0.0/0", nexthop="10.0.0.9"
    )
    networks.settle()
    return networks


def attach(made, s):
    switch = made.switch(f"s{s}")
    for p in range(1, 4):
        made.port(switch, f"p{s}-{p}", f"00:00:00:00:{s:02x}:{p:02x} 10.{s}.0.{p}")
    made.insert(
        nb.LogicalRouterPort, (made.router, "ports"), name=f"lrp{s}", mac=f"00:00:00:00:ff:{s:02x}",
        networks=frozenset([f"10.{s}.0.254/24"]),
    )  # fmt: skip
    made.port(switch, f"to{s}", "router", type="router", options={"router-port": f"lrp{s}"})
    return switch


def resolved(made):
    return [flow for flow in made.flows("lr_in_arp_resolve") if "reg0 == 10." in flow[2]]


def test_a_port_runs_its_own_rule_and_is_known_to_its_router(cloud):
    before = len(resolved(cloud))
    switch = cloud.nb.store.find(nb.LogicalSwitch.name, "s3")
    cloud.port(switch, "new", "00:00:00:00:03:09 10.3.0.9")
    assert cloud.wave() == {"switch_port": 1, "port_up": 1, "only_routers": 1}
    assert len(resolved(cloud)) == before + 1


def test_a_route_runs_its_own_rules(cloud):
    cloud.insert(
        nb.LogicalRouterStaticRoute, (cloud.router, "static_routes"), ip_prefix="1.0.0.0/8", nexthop="10.5.0.9"
    )
    ran = cloud.wave()
    assert sum(ran.values()) <= 7, ran
    assert any("ip4.dst == 1.0.0.0/8" in match for _, _, match, _ in cloud.flows("lr_in_ip_routing"))


def test_a_policy_runs_its_own_rule(cloud):
    cloud.insert(
        nb.LogicalRouterPolicy, (cloud.router, "policies"), priority=3, match="ip4", action="reroute",
        nexthops=frozenset(["10.5.0.9"]),
    )  # fmt: skip
    ran = cloud.wave()
    assert sum(ran.values()) <= 4, ran


def test_a_switch_attached_costs_the_same_as_the_first(cloud):
    attach(cloud, SWITCHES)
    ran = cloud.wave()
    assert ran["switch_port"] == 4
    assert "static" not in ran
    assert sum(ran.values()) < 66, ran
    cloud.settle()
    # A second one, with the network one larger, runs exactly as much.
    attach(cloud, SWITCHES + 1)
    assert cloud.wave() == ran


def test_equal_routes_share_and_one_alone_does_not(cloud):
    for hop in ("10.5.0.9", "10.6.0.9"):
        cloud.insert(nb.LogicalRouterStaticRoute, (cloud.router, "static_routes"), ip_prefix="2.0.0.0/8", nexthop=hop)
    cloud.settle()
    (shared,) = [f for f in cloud.flows("lr_in_ip_routing") if "2.0.0.0/8" in f[2]]
    assert "select(1, 2)" in shared[3]
    rows = [r for r in cloud.router.static_routes if r.nexthop == "10.6.0.9"]
    cloud.delete(rows[0], (cloud.router, "static_routes"))
    cloud.settle()
    (alone,) = [f for f in cloud.flows("lr_in_ip_routing") if "2.0.0.0/8" in f[2]]
    assert "reg0 = 10.5.0.9" in alone[3]


def test_a_gateway_port_comes_and_goes(cloud):
    lrp = cloud.nb.store.find(nb.LogicalRouterPort.name, "lrp2")
    before = cloud.image()
    cloud.insert(nb.GatewayChassis, (lrp, "gateway_chassis"), name="g", chassis_name="hv1", priority=1)
    cloud.settle()
    assert "cr-lrp2" in {row.logical_port for row in cloud.rows(sb.PortBinding)}
    assert not [f for f in cloud.flows("lr_in_ip_input", datapath="r0") if "tcp_reset" in f[3]]
    cloud.update(lrp, gateway_chassis=frozenset())
    cloud.settle()
    assert cloud.image() == before


def test_a_disabled_router_has_no_rows_in_southbound(cloud):
    cloud.update(cloud.router, enabled=False)
    cloud.settle()
    assert "r0" not in {row.external_ids["name"] for row in cloud.rows(sb.DatapathBinding)}
    cloud.update(cloud.router, enabled=True)
    cloud.settle()
    assert resolved(cloud)
