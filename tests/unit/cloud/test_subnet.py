"""A subnet becomes DHCP options."""

from __future__ import annotations

import pytest

from ovenbird.cloud.subnet import server_mac
from ovenbird.model import nb


def test_dhcpv4_options(world):
    network = world.network()
    subnet = world.subnet(network, dns_nameservers={1: "1.1.1.1", 0: "8.8.8.8"})
    world.settle()
    row = world.one(nb.DHCPOptions)
    assert row.cidr == "10.0.0.0/24"
    assert row.external_ids == {
        "subnet_id": subnet.uuid,
        "neutron:network_id": network.uuid,
        "neutron:revision_number": "0",
    }
    assert row.options == {
        "server_id": "10.0.0.1",
        "server_mac": server_mac(subnet.uuid),
        "lease_time": "43200",
        "mtu": "1442",
        "router": "10.0.0.1",
        "dns_server": "{8.8.8.8, 1.1.1.1}",
    }


def test_host_routes_carry_the_default_route_too(world):
    world.subnet(world.network(), host_routes=frozenset(["192.168.0.0/16 10.0.0.9"]))
    world.settle()
    routes = world.one(nb.DHCPOptions).options["classless_static_route"]
    assert routes == "{192.168.0.0/16,10.0.0.9, 0.0.0.0/0,10.0.0.1}"


@pytest.mark.parametrize("values", [{"enable_dhcp": False}, {"gateway_ip": None}])
def test_no_options_without_dhcp_or_an_address_to_serve_from(world, values):
    world.subnet(world.network(), **values)
    world.settle()
    assert world.all(nb.DHCPOptions) == []


def test_the_mtu_follows_the_network(world):
    network = world.network()
    world.subnet(network)
    world.settle()
    uuid = world.one(nb.DHCPOptions).uuid
    world.change(network, mtu=9000)
    world.settle()
    row = world.one(nb.DHCPOptions)
    assert (row.uuid, row.options["mtu"]) == (uuid, "9000")


def test_a_networks_name_affects_no_subnet(world):
    network = world.network()
    world.subnet(network)
    world.settle()
    world.change(network, name="other")
    world.engine.run()
    assert world.engine.ran["network_switch"] == 1
    assert world.engine.ran["subnet_dhcp"] == 0


@pytest.mark.parametrize(
    ("mode", "options"),
    [("dhcpv6-stateful", {}), ("dhcpv6-stateless", {"dhcpv6_stateless": "true"}), ("slaac", None)],
)
def test_dhcpv6_options(world, mode, options):
    subnet = world.subnet(
        world.network(), cidr="fd00::/64", gateway_ip="fd00::1", ipv6_ra_mode=mode, ipv6_address_mode=mode
    )
    world.settle()
    found = [row.options for row in world.all(nb.DHCPOptions)]
    assert found == ([] if options is None else [{"server_id": server_mac(subnet.uuid)} | options])


@pytest.mark.parametrize("gateway", ["10.0.0.1", None])
def test_dhcp_gives_a_route_to_the_metadata_service(world, gateway):
    network = world.network()
    subnet = world.subnet(network, gateway_ip=gateway, host_routes=frozenset(["192.168.0.0/16 10.0.0.9"]))
    port = world.port(
        network, [(subnet, "10.0.0.2")], device_owner="network:distributed", device_id=f"ovnmeta-{network.uuid}"
    )
    world.configure(metadata="true")
    world.settle()
    options = world.one(nb.DHCPOptions).options
    routes = ["169.254.169.254/32,10.0.0.2", "192.168.0.0/16,10.0.0.9"] + (["0.0.0.0/0,10.0.0.1"] if gateway else [])
    assert options["classless_static_route"] == "{" + ", ".join(routes) + "}"
    assert options["server_id"] == (gateway or "10.0.0.2")
    assert ("router" in options) == (gateway is not None)
    row = world.one(nb.LogicalSwitchPort, name=port.uuid)
    assert (row.type, row.addresses) == ("localport", {"fa:16:3e:00:00:01 10.0.0.2"})
    world.configure(metadata="false")
    world.settle()
    assert all("169.254" not in o.options.get("classless_static_route", "") for o in world.all(nb.DHCPOptions))


def test_a_configured_domain_is_sent_to_instances(world):
    network = world.network()
    world.subnet(network)
    world.settle()
    options = world.one(nb.DHCPOptions)
    assert "domain_name" not in options.options
    world.change(network, dns_domain="example.org.")
    world.settle()
    assert options.options["domain_name"] == '"example.org"'
    world.change(network, dns_domain="")
    world.configure(dns_domain="cloud.example.")
    world.settle()
    assert options.options["domain_name"] == '"cloud.example"'
    world.configure(dns_domain="")
    world.settle()
    assert "domain_name" not in options.options


def servers(world):
    world.settle()
    return {row.cidr: row.options.get("dns_server") for row in world.all(nb.DHCPOptions)}


def test_name_servers_are_the_subnets_or_the_settings_or_the_hosts(world, resolvers):
    network = world.network()
    named = world.subnet(network, dns_nameservers={0: "8.8.8.8"})
    world.subnet(network, cidr="10.1.0.0/24", gateway_ip="10.1.0.1")
    world.subnet(network, cidr="fd00::/64", gateway_ip="fd00::1")
    assert servers(world) == {"10.0.0.0/24": "{8.8.8.8}", "10.1.0.0/24": None, "fd00::/64": None}
    world.configure(dns_servers="9.9.9.9, fd00::9,9.9.9.10")
    assert servers(world) == {
        "10.0.0.0/24": "{8.8.8.8}", "10.1.0.0/24": "{9.9.9.9, 9.9.9.10}", "fd00::/64": "{fd00::9}",
    }  # fmt: skip
    world.configure(dns_servers="")
    resolvers.write_text("# nameserver 1.1.1.1\nnameserver 127.0.0.53\nnameserver 10.9.9.9\nnameserver x\nnameserver\n")
    world.restart()
    assert servers(world) == {"10.0.0.0/24": "{8.8.8.8}", "10.1.0.0/24": "{10.9.9.9}", "fd00::/64": None}
    world.change(named, dns_nameservers={0: "0.0.0.0", 1: "8.8.8.8"})
    assert servers(world)["10.0.0.0/24"] is None


@pytest.mark.parametrize(
    ("given", "lease"), [("600", "600"), ("soon", "43200"), ("-1", "43200"), ("9" * 30, "43200"), ("²", "43200")]
)
def test_the_lease_time_is_the_setting(world, given, lease):
    world.configure(dhcp_default_lease_time=given)
    world.subnet(world.network())
    world.settle()
    assert world.one(nb.DHCPOptions).options["lease_time"] == lease


def test_a_port_that_can_have_an_address_by_dhcpv6_gets_it(world):
    network = world.network()
    modes = [("fd00::", "dhcpv6-stateless"), ("fd01::", None), ("fd02::", "slaac")]
    subnets = [world.subnet(network, cidr=f"{p}/64", gateway_ip=f"{p}1", ipv6_address_mode=mode) for p, mode in modes]
    port = world.port(network, [(subnet, f"{p}5") for subnet, (p, _) in zip(subnets, modes, strict=True)])
    world.settle()
    assert world.one(nb.LogicalSwitchPort).dhcpv6_options.cidr == "fd01::/64"
    world.change(port, device_owner="neutron:anything")
    world.settle()
    assert world.one(nb.LogicalSwitchPort).dhcpv6_options is None
