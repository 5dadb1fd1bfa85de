"""Translations: what one costs, and which do not take place."""

import pytest

from ovenbird.model import nb, sb
from support.northd.networks import Networks


@pytest.fixture
def world():
    """Make a router of twenty switches, with a gateway port outside and ten floating addresses."""
    made = Networks()
    made.router = made.insert(nb.LogicalRouter, name="r")
    made.public = made.switch("public")
    port(made, made.public, "out", "00:00:00:00:ff:00", "172.16.0.1/24")
    out = made.nb.store.find(nb.LogicalRouterPort.name, "out")
    made.insert(nb.GatewayChassis, (out, "gateway_chassis"), name="out-gw", chassis_name="gw", priority=1)
    for n in range(20):
        port(made, made.switch(f"s{n}"), f"in{n}", f"00:00:00:00:fe:{n:02x}", f"10.{n}.0.1/24")
    for n in range(10):
        floating(made, n)
    made.settle()
    return made


def port(world, switch, name, mac, network):
    world.insert(nb.LogicalRouterPort, (world.router, "ports"), name=name, mac=mac, networks=frozenset([network]))
    options = {"router-port": name, "nat-addresses": "router"}
    world.port(switch, f"to-{name}", "router", type="router", options=options)


def floating(world, n, **values):
    given = {"type": "dnat_and_snat", "external_ip": f"172.16.0.{50 + n}", "logical_ip": f"10.{n}.0.9", **values}
    return world.insert(nb.NAT, (world.router, "nat"), **given)


def nat_flows(world):
    return [f for f in world.rows(sb.LogicalFlow) if ("source", "nat") in dict(f.external_ids).items()]


@pytest.mark.parametrize("values", [{}, {"type": "snat", "logical_ip": "10.9.0.0/24"}])
def test_a_translation_added_or_removed_runs_rules_about_it_alone(world, values):
    before = len(nat_flows(world))
    added = floating(world, 15, **values)
    ran = world.wave()
    assert ran["nat"] == ran["nat_rule"] == 1
    assert sum(ran.values()) <= 4, ran
    assert len(nat_flows(world)) > before
    world.delete(added, (world.router, "nat"))
    assert sum(world.wave().values()) <= 4
    assert len(nat_flows(world)) == before


@pytest.mark.parametrize(
    "values",
    [
        {"external_ip": "nonsense"},
        {"logical_ip": "nonsense"},
        {"logical_ip": "fd00::1"},
        {"logical_ip": "10.0.0.0/24"},
        {"external_mac": "nonsense", "logical_port": "vm"},
    ],
)
def test_invalid_nat_rules_are_left_out(world, values):
    before = len(nat_flows(world))
    floating(world, 15, **values)
    world.settle()
    answers = 0 if values.get("external_ip") == "nonsense" else 2  # the router is asked, and answers
    assert len(nat_flows(world)) == before + answers


def test_a_router_without_a_gateway_answers_for_addresses_and_does_not_translate(world):
    world.update(world.nb.store.find(nb.LogicalRouterPort.name, "out"), gateway_chassis=frozenset())
    world.settle()
    own = [flow for flow in nat_flows(world) if flow.logical_datapath is not None]
    assert own
    assert all("arp.op == 1 && arp.tpa ==" in flow.match for flow in own)


def test_floating_addresses_are_announced_outside(world):
    binding = next(b for b in world.rows(sb.PortBinding) if b.logical_port == "to-out")
    assert '00:00:00:00:ff:00 172.16.0.50 is_chassis_resident("cr-out")' in binding.nat_addresses
    assert len(binding.nat_addresses) == 11


def led(world, address):
    """Return what the switch outside does with requests for an address."""
    match = f"flags[1] == 0 && eth.mcast && arp.op == 1 && arp.tpa == {address}"
    return [flow.actions for flow in world.rows(sb.LogicalFlow) if flow.match == match]


def test_other_routers_of_the_switch_outside_find_addresses_of_source_translations(world):
    """What a router asks goes to no other router, unless the address is known to be one's there."""
    floating(world, 15, type="snat", logical_ip="10.3.0.0/24")
    floating(world, 16, type="snat", logical_ip="10.4.0.0/24", external_ip="172.16.0.1")
    world.settle()
    out = 'clone {outport = "to-out"; output; }; outport = "_MC_flood_l2"; output;'
    only = 'outport = "to-out"; output;'
    assert led(world, "172.16.0.65") in ([out], [only])
    assert len(led(world, "172.16.0.1")) == 1
