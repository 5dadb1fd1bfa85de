"""Each row that the compiler leaves out, in whole or in part, is a finding that says why, until it is corrected."""

import pytest

from ovenbird.model import nb
from support.northd.one_router import nat, route, world

LEFT_OUT = [
    ({"nexthop": "10.9.9.9"}, "no port of the router has a network that contains 10.9.9.9"),
    ({"nexthop": "nonsense"}, "'nonsense' is not an IP address"),
    ({"nexthop": "fd00::9"}, "its prefix and its next hop are of different IP versions"),
    ({"nexthop": "10.0.0.9", "output_port": "nowhere"}, "the router has no port 'nowhere'"),
    ({"nexthop": "10.0.0.9", "output_port": ""}, "the router has no port ''"),
    ({"nexthop": "10.0.0.9", "ip_prefix": "nonsense"}, "'nonsense' is not an IP network"),
]
NATS = [
    ({"external_ip": "nonsense"}, "'nonsense' is not an IP address"),
    ({"logical_ip": "10.0.0.0/24"}, "'10.0.0.0/24' is not an IP address"),
    ({"logical_ip": "fd00::1"}, "its two addresses are of different IP versions"),
    ({"external_mac": "nonsense", "logical_port": "vm"}, "'nonsense' is not an Ethernet address"),
]


@pytest.fixture
def made():
    return world()


def only(made):
    (text,) = made.findings()
    return text


@pytest.mark.parametrize(("values", "why"), LEFT_OUT)
def test_routes(made, values, why):
    given = {"ip_prefix": "1.0.0.0/8", **values}
    row = made.insert(nb.LogicalRouterStaticRoute, (made.router, "static_routes"), **given)
    made.settle()
    assert only(made) == f"router r: static route {given['ip_prefix']} via {given['nexthop']} is left out: {why}"
    made.update(row, ip_prefix="1.0.0.0/8", nexthop="10.0.0.9", output_port=None)
    made.settle()
    assert not made.findings()


@pytest.mark.parametrize(("values", "why"), NATS)
def test_translations(made, values, why):
    given = {"type": "dnat_and_snat", "external_ip": "172.16.0.50", "logical_ip": "10.0.0.5", **values}
    row = nat(made, **given)
    made.settle()
    told = f"router r: dnat_and_snat {given['external_ip']} of {given['logical_ip']}"
    assert only(made) == f"{told} has no effect: {why}"
    made.delete(row, (made.router, "nat"))
    made.settle()
    assert not made.findings()


def test_a_translation_without_a_gateway():
    made = world("neither")
    nat(made, type="snat", external_ip="172.16.0.50", logical_ip="10.0.0.0/24")
    made.settle()
    assert only(made).endswith("the router has neither a chassis nor a distributed gateway port")


@pytest.mark.parametrize("text", ["0", "10.0.0.300", "fd00::x"])
def test_virtual_addresses(made, text):
    switch = made.switch("a")
    made.port(switch, "parent", "00:00:00:00:00:01 10.0.0.1")
    port = made.port(switch, "vip", type="virtual", options={"virtual-ip": text, "virtual-parents": "parent"})
    made.settle()
    assert only(made) == f"port vip: its virtual-ip {text!r} is not an IP address"
    made.update(port, options={"virtual-ip": "10.0.0.9", "virtual-parents": "parent"})
    made.settle()
    assert not made.findings()


def test_ports(made):
    switch, other = made.switch("a", other_config={"requested-tnl-key": "7"}), made.switch("b")
    port = made.port(switch, "p", "nonsense", "00:00:00:00:00:01 10.0.0.1 junk", "00:00:00:00:00:02 10.0.0.2")
    made.mutate(other, "ports", insert=[port])
    made.switch("c", other_config={"requested-tnl-key": "7"})
    made.settle()
    assert made.findings() == [
        "port p is in several switches, and is left out of b",
        "port p: 'junk' in '00:00:00:00:00:01 10.0.0.1 junk' is left out: it is not an address",
        "port p: 'nonsense' does not begin with an Ethernet address and is left out",
        next(text for text in made.findings() if "instead of 7" in text),
    ]
    assert any("arp.tpa == 10.0.0.1 " in match for _, _, match, _ in made.flows("ls_in_arp_rsp"))


def test_router_ports(made):
    given = {"name": "to-in", "mac": "00:00:00:00:ff:07", "networks": frozenset(["10.7.0.1/24"])}
    made.insert(nb.LogicalRouterPort, (made.router, "ports"), **given)
    given = {"name": "bad", "mac": "nonsense", "networks": frozenset(["10.8.0.1/24", "10.8.0.1/33"])}
    made.insert(nb.LogicalRouterPort, (made.router, "ports"), **given)
    made.settle()
    assert made.findings() == [
        "port bad of router r is left out: 'nonsense' is not an Ethernet address",
        "port bad of router r: '10.8.0.1/33' is left out: it is not an IP address in a network",
        "port to-in of router r is left out: there is a switch port of that name",
    ]


def test_policies(made):
    values = {"priority": 3, "match": "ip4", "action": "reroute", "nexthops": frozenset(["10.0.0.9", "10.9.9.9"])}
    made.insert(nb.LogicalRouterPolicy, (made.router, "policies"), **values)
    made.settle()
    why = "no port of the router has a network that contains 10.9.9.9"
    assert only(made) == f"router r: policy 3 'ip4' is left out: {why}"


def test_a_usable_route_is_no_finding(made):
    route(made, "10.0.0.9")
    made.settle()
    assert not made.findings()
