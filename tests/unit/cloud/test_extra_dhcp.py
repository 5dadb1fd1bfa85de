"""DHCP options of single ports, in OVN's words; values stay values."""

from __future__ import annotations

import pytest

from ovenbird.cloud.extra_dhcp import named_for_ovn
from ovenbird.model import nb


@pytest.mark.parametrize(
    ("version", "name", "value", "expected"),
    [
        (4, "mtu", "1300", ("mtu", "1300")),
        (4, "interface-mtu", "1300", ("mtu", "1300")),
        (4, "26", "1300", ("mtu", "1300")),
        (4, "router", "10.0.0.9", ("router", "10.0.0.9")),
        (4, "dns-server", "{10.0.0.9, 10.0.0.10}", ("dns_server", "{10.0.0.9, 10.0.0.10}")),
        (4, "domain-name", "example.org", ("domain_name", '"example.org"')),
        (4, "domain-name", '"example.org"', ("domain_name", '"example.org"')),
        (4, "15", "example.org", ("domain_name", '"example.org"')),
        (4, "119", "a.org,b.org", ("domain_search_list", '"a.org,b.org"')),
        (4, "66", "10.0.0.3", ("tftp_server", '"10.0.0.3"')),
        (4, "150", "10.0.0.3", ("tftp_server_address", "10.0.0.3")),
        (4, "dns-server", "10.0.0.9, 10.0.0.10", ("dns_server", "{10.0.0.9, 10.0.0.10}")),
        (4, "server-ip-address", "10.0.0.3", ("next_server", "10.0.0.3")),
        (4, "121", "10.1.0.0/16,10.0.0.9", ("classless_static_route", "{10.1.0.0/16,10.0.0.9}")),
        (4, "classless-static-route", "{0.0.0.0/0,10.0.0.9}", ("classless_static_route", "{0.0.0.0/0,10.0.0.9}")),
        (4, "arp_timeout", "60", ("arp_cache_timeout", "60")),
        (6, "dns-server", "2001:db8::1", ("dns_server", "2001:db8::1")),
        (6, "24", "example.org", ("domain_search", '"example.org"')),
    ],
)
def test_names(version, name, value, expected):
    assert list(named_for_ovn({name: value}, version).items()) == [expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mtu", "1400); drop; /*"),
        ("router", "10.0.0.1); next(0"),
        ("colour", "red"),
        ("mtu", 'x"y'),
        ("253", "1.1.1.1"),
        ("mtu", "x y"),
        ("mtu", "65536"),
        ("mtu", "1400, router = 10.0.0.9"),
        ("mtu", "-1"),
        ("router", "bad"),
        ("router", "fd00::1"),
        ("121", "10.1.0.0/16"),
        ("67", "x" * 256),
        ("tag:ipxe,67", "pxe.0"),
    ],
)
def test_unsupported_and_invalid_options_are_left_out(name, value):
    assert named_for_ovn({name: value}, 4) == {}


def test_tagged_boot_options_are_for_bare_metal_only():
    given = {"tag:!ipxe,67": "undionly", "tag:ipxe,bootfile-name": "http://a/x.ipxe", "tag:other,67": "y"}
    assert named_for_ovn(given, 4, bare_metal=True) == {
        "bootfile_name_alt": '"undionly"',
        "bootfile_name": '"http://a/x.ipxe"',
    }


def test_a_ports_routes_come_after_its_subnets(world):
    network = world.network()
    subnet = world.subnet(network, host_routes=frozenset(["10.8.0.0/16 10.0.0.8"]))
    extra = {"classless-static-route": "10.7.0.0/16,10.0.0.7"}
    port = world.port(network, [(subnet, "10.0.0.5")], dhcpv4_options=extra)
    world.settle()
    routes = world.one(nb.LogicalSwitchPort, name=port.uuid).dhcpv4_options.options["classless_static_route"]
    assert routes == "{10.8.0.0/16,10.0.0.8, 0.0.0.0/0,10.0.0.1, 10.7.0.0/16,10.0.0.7}"


def test_one_invalid_dhcp_option_does_not_affect_the_others(world):
    network = world.network()
    subnet = world.subnet(network)
    port = world.port(network, [(subnet, "10.0.0.5")], dhcpv4_options={"mtu": "large", "ntp-server": "10.0.0.4"})
    world.settle()
    options = world.one(nb.LogicalSwitchPort, name=port.uuid).dhcpv4_options.options
    assert (options["mtu"], options["ntp_server"]) == ("1442", "10.0.0.4")


def test_a_string_ends_where_it_ends():
    assert named_for_ovn({"domain-name": 'a"); drop; ("'}, 4) == {"domain_name": '"a\\"); drop; ("'}


def test_options_of_a_port(world):
    network = world.network()
    subnet = world.subnet(network)
    port = world.port(network, [(subnet, "10.0.0.5")], dhcpv4_options={"mtu": "1300", "67": "pxe.0"})
    world.settle()
    options = world.one(nb.LogicalSwitchPort, name=port.uuid).dhcpv4_options.options
    assert (options["mtu"], options["bootfile_name"], options["router"]) == ("1300", '"pxe.0"', "10.0.0.1")
