"""Rows that another program or an older release wrote: what is wrong with one costs nothing but itself, and is told."""

from __future__ import annotations

import pytest

from ovenbird.logical.findings import FINDING
from ovenbird.model import cloud, nb


@pytest.fixture
def told(world):
    """What the compiler has left out and says so."""
    texts = set()

    def absorb(deltas):
        if (found := deltas.get(FINDING)) is not None:
            texts.difference_update(fact[3] for fact in found.removed)
            texts.update(fact[3] for fact in found.added)

    world.engine.observers.append(absorb)
    return texts


ZONED = "fd00::5%a b"


def test_a_route(world, told):
    router = world.router(routes=frozenset(["10.8.0.0/16 10.0.0.9", "10.9.0.0/16", f"fd01::/64 {ZONED}", ""]))
    world.settle()
    assert [row.ip_prefix for row in world.one(nb.LogicalRouter).static_routes] == ["10.8.0.0/16"]
    assert len(told) == 3
    world.change(router, routes=frozenset())
    world.settle()
    assert told == set()


def test_an_address_pair(world, told):
    mac = "fa:16:3e:00:00:01"
    pairs = frozenset([f"{mac} 10.0.0.7", f"{mac} {ZONED}", "nonsense", "x 10.0.0.8", f"{mac} 10.0.0.0/24"])
    world.port(world.network(), allowed_address_pairs=pairs)
    world.settle()
    [row] = world.all(nb.LogicalSwitchPort)
    assert row.port_security == {f"{mac} 10.0.0.0/24 10.0.0.7"}
    assert len(told) == 3


def test_what_dhcp_tells(world, told):
    routes = frozenset(["10.8.0.0/16 10.0.0.9", f"10.7.0.0/16 {ZONED}"])
    world.subnet(world.network(), host_routes=routes, dns_nameservers={0: "8.8.8.8", 1: ZONED})
    world.settle()
    options = world.one(nb.DHCPOptions).options
    assert options["classless_static_route"] == "{10.8.0.0/16,10.0.0.9, 0.0.0.0/0,10.0.0.1}"
    assert options["dns_server"] == "{8.8.8.8}"
    assert len(told) == 2


def test_the_gateway_of_an_external_network(world, told):
    network, subnet = world.outside()
    second = world.subnet(network, cidr="fd00::/64", gateway_ip=ZONED)
    world.gateway(world.router(), [(subnet, "203.0.113.9"), (second, "fd00::9")])
    world.settle()
    assert world.one(nb.LogicalRouterPort).networks == {"203.0.113.9/24", "fd00::9/64"}
    assert [row.ip_prefix for row in world.one(nb.LogicalRouter).static_routes] == ["0.0.0.0/0"]
    assert {text.partition(":")[0] for text in told} == {f"subnet {second.uuid}"}


def test_an_address_of_a_group(world, told):
    world.add(cloud.AddressGroup, name="a", addresses=frozenset(["10.0.0.0/8", ZONED, "10.0.0.5/8"]))
    world.settle()
    assert {address for row in world.all(nb.AddressSet) for address in row.addresses} == {"10.0.0.0/8"}
    assert len(told) == 2


def test_a_vlan_that_there_is_not(world, told):
    for name, number in (("a", 7), ("b", 70_000)):
        network = world.network(name=name)
        kind = {"network_type": "vlan", "physical_network": "p", "segmentation_id": number}
        world.add(cloud.NetworkSegment, network=network.uuid, **kind)
    world.settle()
    assert [row.tag_request for row in world.all(nb.LogicalSwitchPort)] == [7]
    assert len(told) == 1


def test_a_dhcp_option(world, told):
    network = world.network()
    extra = {"mtu": "large", "colour": "red", "67": "pxe.0"}
    world.port(network, [(world.subnet(network), "10.0.0.5")], dhcpv4_options=extra)
    world.settle()
    assert world.one(nb.LogicalSwitchPort).dhcpv4_options.options["bootfile_name"] == '"pxe.0"'
    assert sorted(text.rpartition(" ")[2] for text in told) == ["colour='red'", "mtu='large'"]


def test_a_name_of_a_port_with_an_address_that_is_none(world):
    network = world.network()
    subnet = world.subnet(network)
    world.port(network, [(subnet, "10.0.0.5"), (subnet, ZONED)], dns_name="web")
    world.settle()
    assert world.one(nb.DNS).records["web"] == "10.0.0.5"
