"""A router becomes a logical router, with ports on both sides, routes and SNAT."""

from __future__ import annotations

import pytest

from ovenbird.model import cloud, nb


@pytest.fixture
def scene(world):
    """A router between an internal network and an external one."""
    world.outer, world.outer_subnet = world.outside()
    world.inner = world.network()
    world.inner_subnet = world.subnet(world.inner)
    world.r = world.router(revision_number=4)
    world.inside = world.interface(world.r, [(world.inner_subnet, "10.0.0.1")], mac_address="fa:16:3e:00:00:11")
    world.out = world.gateway(world.r, [(world.outer_subnet, "203.0.113.9")], mac_address="fa:16:3e:00:00:22")
    world.settle()
    return world


def test_the_logical_router(scene):
    row = scene.one(nb.LogicalRouter)
    assert (row.name, row.enabled) == (f"neutron-{scene.r.uuid}", True)
    assert row.external_ids == {
        "neutron:router_name": "r",
        "neutron:revision_number": "4",
        "neutron:availability_zone_hints": "",
    }
    assert row.options == {"always_learn_from_arp_request": "false", "dynamic_neigh_routers": "true"}
    assert {p.name for p in row.ports} == {f"lrp-{scene.inside.port.uuid}", f"lrp-{scene.out.port.uuid}"}


def test_a_router_port_is_a_switch_port_and_a_router_port(scene):
    port = scene.inside.port
    inner = scene.one(nb.LogicalSwitchPort, name=port.uuid)
    assert (inner.type, inner.addresses, inner.port_security) == ("router", {"router"}, frozenset())
    assert inner.options == {"router-port": f"lrp-{port.uuid}"}
    assert inner in scene.one(nb.LogicalSwitch, name=f"neutron-{scene.inner.uuid}").ports
    router_port = scene.one(nb.LogicalRouterPort, name=f"lrp-{port.uuid}")
    assert (router_port.mac, router_port.networks) == ("fa:16:3e:00:00:11", {"10.0.0.1/24"})
    assert router_port.external_ids == {
        "neutron:revision_number": "0",
        "neutron:subnet_ids": scene.inner_subnet.uuid,
        "neutron:network_name": f"neutron-{scene.inner.uuid}",
        "neutron:router_name": f"neutron-{scene.r.uuid}",
        "neutron:is_ext_gw": "False",
    }
    outer = scene.one(nb.LogicalSwitchPort, name=scene.out.port.uuid)
    assert outer.options == {
        "router-port": f"lrp-{scene.out.port.uuid}",
        "nat-addresses": "router",
        "exclude-lb-vips-from-garp": "true",
    }
    outer = scene.one(nb.LogicalRouterPort, name=f"lrp-{scene.out.port.uuid}")
    assert (outer.networks, outer.options) == ({"203.0.113.9/24"}, {"gateway_mtu": "1442"})
    assert outer.external_ids["neutron:is_ext_gw"] == "True"


def test_a_gateway_refuses_what_is_too_large_for_an_internal_network(scene):
    def limit():
        return scene.one(nb.LogicalRouterPort, name=f"lrp-{scene.out.port.uuid}").options["gateway_mtu"]

    small = scene.network(mtu=1300)
    other = scene.interface(scene.r, [(scene.subnet(small), "10.0.0.1")], mac_address="fa:16:3e:00:00:33")
    scene.settle()
    assert limit() == "1300"
    scene.change(small, mtu=1400)
    scene.settle()
    assert limit() == "1400"
    scene.drop(other, other.port, *other.port.referrers(cloud.FixedAddress.port))
    scene.settle()
    assert limit() == "1442"
    same = scene.network(mtu=1500)
    scene.engine.ran.clear()
    scene.interface(scene.r, [(scene.subnet(same), "10.0.0.1")], mac_address="fa:16:3e:00:00:44")
    scene.settle()
    assert (limit(), scene.engine.ran["external_port"]) == ("1442", 0)
    scene.drop(scene.inside, scene.inside.port, *scene.inside.port.referrers(cloud.FixedAddress.port))
    scene.settle()
    assert limit() == "1500"


def test_default_route_and_snat(scene):
    [route] = scene.one(nb.LogicalRouter).static_routes
    assert (route.ip_prefix, route.nexthop, route.output_port) == ("0.0.0.0/0", "203.0.113.1", None)
    assert route.external_ids["neutron:is_ext_gw"] == "true"
    assert route.external_ids["neutron:subnet_id"] == scene.outer_subnet.uuid
    [nat] = scene.one(nb.LogicalRouter).nat
    assert (nat.type, nat.external_ip, nat.logical_ip) == ("snat", "203.0.113.9", "10.0.0.0/24")
    scene.change(scene.out, enable_snat=False)
    scene.settle()
    assert scene.all(nb.NAT) == []
    scene.drop(scene.out, scene.out.port, *scene.out.port.referrers(cloud.FixedAddress.port))
    scene.settle()
    assert scene.one(nb.LogicalRouter).static_routes == []
    assert len(scene.all(nb.LogicalRouterPort)) == 1


def test_extra_routes(scene):
    scene.change(scene.r, routes=frozenset(["192.0.2.0/24 10.0.0.9", "0.0.0.0/0 10.0.0.8"]))
    scene.settle()
    routes = scene.one(nb.LogicalRouter).static_routes
    assert {(r.ip_prefix, r.nexthop) for r in routes} == {
        ("192.0.2.0/24", "10.0.0.9"), ("0.0.0.0/0", "10.0.0.8"), ("0.0.0.0/0", "203.0.113.1"),
    }  # fmt: skip
    assert scene.engine.ran["internal_port"] == 0
    scene.change(scene.r, routes=frozenset())
    scene.settle()
    assert len(scene.all(nb.LogicalRouterStaticRoute)) == 1


def test_a_gateway_outside_of_its_subnet_is_reached_through_the_port(world):
    _, subnet = world.outside(gateway_ip="192.0.2.1")
    out = world.gateway(world.router(), [(subnet, "203.0.113.9")])
    world.settle()
    assert world.one(nb.LogicalRouterStaticRoute).output_port == f"lrp-{out.port.uuid}"


def test_router_advertisements(world):
    network = world.network()
    mode = {"ipv6_ra_mode": "dhcpv6-stateless", "ipv6_address_mode": "dhcpv6-stateless"}
    subnet = world.subnet(network, cidr="fd00::/64", gateway_ip="fd00::1", **mode)
    world.interface(world.router(), [(subnet, "fd00::1")])
    world.settle()
    row = world.one(nb.LogicalRouterPort)
    assert row.ipv6_ra_configs == {"address_mode": "dhcpv6_stateless", "send_periodic": "true", "mtu": "1442"}
    assert world.all(nb.NAT) == []
    world.change(network, mtu=1300)
    world.settle()
    assert row.ipv6_ra_configs["mtu"] == "1300"


def wired(world, kind, number):
    """A network that a physical one carries, or tunnels do."""
    network = world.network()
    wire = {"physical_network": f"p{number}"} if kind != "geneve" else {}
    vlan = {} if kind == "flat" else {"segmentation_id": number}
    world.add(cloud.NetworkSegment, network=network.uuid, network_type=kind, **wire, **vlan)
    return network, world.subnet(network, cidr=f"10.{number}.0.0/24")


@pytest.mark.parametrize(
    ("kinds", "by_wire"), [(["vlan"], True), (["flat"], True), (["vlan", "flat"], True), (["vlan", "geneve"], False)]
)
def test_networks_on_wires_are_routed_where_the_gateway_is_unless_tunnels_are_avoided(world, kinds, by_wire):
    router = world.router()
    for number, kind in enumerate(kinds, 1):
        _, subnet = wired(world, kind, number)
        world.interface(router, [(subnet, f"10.{number}.0.1")], mac_address=f"fa:16:3e:00:00:{number:02x}")
    _, outer = world.outside()
    gateway = world.gateway(router, [(outer, "203.0.113.9")], mac_address="fa:16:3e:00:00:99")
    world.settle()

    def inner():
        rows = [r for r in world.all(nb.LogicalRouterPort) if r.name != f"lrp-{gateway.port.uuid}"]
        return {value for row in rows if (value := row.options.get("reside-on-redirect-chassis"))}

    outer_port = world.one(nb.LogicalRouterPort, name=f"lrp-{gateway.port.uuid}")
    assert (inner(), outer_port.options) == ({"true"}, {"gateway_mtu": "1442"})
    world.configure(distributed_floating_ip="true")
    world.settle()
    bridged = {"redirect-type": "bridged"} if by_wire else {}
    assert outer_port.options == {"gateway_mtu": "1442"} | bridged
    assert inner() == {"false" if by_wire else "true"}


def test_a_router_to_a_tunnelled_network_is_on_one_gateway(world):
    _, subnet = wired(world, "geneve", 5)
    router = world.router()
    gateway = world.gateway(router, [(subnet, "10.5.0.9")], mac_address="fa:16:3e:00:00:99")
    inner = world.subnet(world.network())
    interface = world.interface(router, [(inner, "10.0.0.1")])
    port = world.port(inner.network, [(inner, "10.0.0.5")], mac_address="fa:16:3e:00:00:33")
    world.floating(interface, gateway, port, "10.5.0.50", mac_address="fa:16:3e:00:00:44")
    world.configure(distributed_floating_ip="true")
    world.settle()
    [row] = world.all(nb.LogicalRouter)
    assert "chassis" not in row.options
    gw1 = world.chassis("gw1", mappings="")
    world.settle()
    assert row.options["chassis"] == "gw1"
    assert world.all(nb.GatewayChassis) == []
    assert world.one(nb.NAT, type="snat").external_ip == "10.5.0.9"
    floating = world.one(nb.NAT, type="dnat_and_snat")
    transaction = world.nb.transaction()
    transaction.update(world.one(nb.LogicalSwitchPort, name=port.uuid), {"up": True})
    transaction.commit()
    world.settle()
    assert floating.external_mac is None  # the one chassis answers for it
    world.chassis("gw2", mappings="")
    world.chassis("other", options="")
    world.settle()
    assert row.options["chassis"] == "gw1"
    world.restart()
    assert row.options["chassis"] == "gw1"
    world.fell(gw1)
    world.settle()
    assert row.options["chassis"] == "gw2"


def test_neighbours_may_be_forgotten(scene):
    scene.configure(mac_binding_age_threshold="300")
    scene.settle()
    assert scene.one(nb.LogicalRouter).options["mac_binding_age_threshold"] == "300"


def test_floating_ips(scene):
    port = scene.port(scene.inner, [(scene.inner_subnet, "10.0.0.5")], mac_address="fa:16:3e:00:00:33")
    association = scene.floating(scene.inside, scene.out, port, "203.0.113.50", mac_address="fa:16:3e:00:00:44")
    scene.settle()
    floating = association.floating_ip
    row = scene.one(nb.NAT, type="dnat_and_snat")
    assert row in scene.one(nb.LogicalRouter).nat
    assert (row.external_ip, row.logical_ip) == ("203.0.113.50", "10.0.0.5")
    assert (row.external_mac, row.logical_port) == (None, None)
    assert row.external_ids == {
        "neutron:fip_id": floating.uuid,
        "neutron:fip_port_id": port.uuid,
        "neutron:fip_external_mac": "fa:16:3e:00:00:44",
        "neutron:fip_network_id": scene.outer.uuid,
        "neutron:router_name": f"neutron-{scene.r.uuid}",
        "neutron:revision_number": "0",
    }
    lsp = scene.one(nb.LogicalSwitchPort, name=port.uuid)
    assert lsp.external_ids["neutron:port_fip"] == "203.0.113.50"
    assert scene.nb.store.find(nb.LogicalSwitchPort.name, floating.port.uuid) is None
    scene.drop(association)
    scene.settle()
    assert [nat.type for nat in scene.all(nb.NAT)] == ["snat"]
    assert "neutron:port_fip" not in lsp.external_ids


def test_forwarded_ports_are_load_balancers_of_the_router(scene):
    port = scene.port(scene.inner, [(scene.inner_subnet, "10.0.0.5")])
    association = scene.floating(scene.inside, scene.out, port, "203.0.113.50")
    floating, fixed = association.floating_ip, association.fixed
    scene.drop(association)
    scene.settle()
    router = scene.one(nb.LogicalRouter)
    transaction = scene.nb.transaction()
    another = transaction.insert(nb.LoadBalancer, {"name": "lb", "vips": {"203.0.113.51:80": ""}})
    transaction.update(router, {"load_balancer": frozenset({another})})
    transaction.commit()
    foreign = scene.one(nb.LoadBalancer)
    ways = {"interface": scene.inside, "gateway": scene.out}
    first = scene.forwarding(floating, fixed, **ways, protocol="tcp", external_port=2222, internal_port=22)
    scene.forwarding(floating, fixed, **ways, protocol="tcp", external_port=80, internal_port=8080)
    scene.forwarding(floating, fixed, **ways, protocol="udp", external_port=53, internal_port=53)
    scene.settle()
    tcp = scene.one(nb.LoadBalancer, name=f"pf-floatingip-{floating.uuid}-tcp")
    udp = scene.one(nb.LoadBalancer, name=f"pf-floatingip-{floating.uuid}-udp")
    assert (tcp.protocol, udp.protocol) == ("tcp", "udp")
    assert tcp.vips == {"203.0.113.50:2222": "10.0.0.5:22", "203.0.113.50:80": "10.0.0.5:8080"}
    assert udp.vips == {"203.0.113.50:53": "10.0.0.5:53"}
    assert tcp.external_ids == {
        "neutron:device_owner": "port_forwarding_plugin",
        "neutron:fip_id": floating.uuid,
        "neutron:revision_number": "0",
        "neutron:router_name": router.name,
    }
    assert set(router.load_balancer) == {foreign, tcp, udp}
    scene.drop(first)
    scene.settle()
    assert tcp.vips == {"203.0.113.50:80": "10.0.0.5:8080"}
    scene.drop(*floating.referrers(cloud.PortForwarding.floating_ip))
    scene.settle()
    assert set(router.load_balancer) == {foreign}
    assert scene.all(nb.LoadBalancer) == [foreign]


def test_each_port_of_a_range_is_a_load_balancer(scene):
    port = scene.port(scene.inner, [(scene.inner_subnet, "10.0.0.5")])
    association = scene.floating(scene.inside, scene.out, port, "203.0.113.50")
    floating, fixed = association.floating_ip, association.fixed
    scene.drop(association)
    ends = {"interface": scene.inside, "gateway": scene.out, "protocol": "tcp"}
    ports = {"external_port": 1000, "external_last": 1002, "internal_port": 22}
    made = scene.forwarding(floating, fixed, **ends, **ports)
    scene.settle()
    name = f"pf-floatingip-{floating.uuid}-tcp"
    balancers = {row.name: row.vips for row in scene.all(nb.LoadBalancer)}
    assert balancers == {f"{name}-{to}": {f"203.0.113.50:{to}": "10.0.0.5:22"} for to in (1000, 1001, 1002)}
    scene.change(made, internal_last=24)
    scene.settle()
    balancers = {row.name: row.vips for row in scene.all(nb.LoadBalancer)}
    assert balancers[f"{name}-1002"] == {"203.0.113.50:1002": "10.0.0.5:24"}
    inner = scene.one(nb.LogicalSwitch, name=f"neutron-{scene.inner.uuid}")
    outer = scene.one(nb.LogicalSwitch, name=f"neutron-{scene.out.port.network.uuid}")
    assert {row.name for row in inner.load_balancer} == set(balancers)  # so that instances reach it too
    assert not outer.load_balancer
    scene.change(made, external_last=None, internal_last=None)
    scene.settle()
    assert [row.name for row in scene.all(nb.LoadBalancer)] == [name]


def test_distributed_floating_ips_while_the_port_is_up(scene):
    port = scene.port(scene.inner, [(scene.inner_subnet, "10.0.0.5")], mac_address="fa:16:3e:00:00:33")
    scene.floating(scene.inside, scene.out, port, "203.0.113.50", mac_address="fa:16:3e:00:00:44")
    scene.configure(distributed_floating_ip="true")
    scene.settle()
    row = scene.one(nb.NAT, type="dnat_and_snat")
    for up in (True, False, True):
        transaction = scene.nb.transaction()
        transaction.update(scene.one(nb.LogicalSwitchPort, name=port.uuid), {"up": up})
        transaction.commit()
        scene.settle()
        assert (row.external_mac, row.logical_port) == (("fa:16:3e:00:00:44", port.uuid) if up else (None, None))


def test_a_change_of_a_port_runs_the_rules_about_it_only(scene):
    for i in range(10):
        scene.port(scene.inner, [(scene.inner_subnet, f"10.0.0.{i + 20}")], mac_address=f"fa:16:3e:00:01:{i:02x}")
    port = scene.port(scene.inner, [(scene.inner_subnet, "10.0.0.5")], mac_address="fa:16:3e:00:00:33")
    scene.settle()
    scene.floating(scene.inside, scene.out, port, "203.0.113.50", mac_address="fa:16:3e:00:00:44")
    scene.engine.run()
    assert (scene.engine.ran["floating_ip"], scene.engine.ran["switch_port"]) == (1, 2)
    assert scene.engine.ran["internal_port"] == scene.engine.ran["external_port"] == 0


def test_names_are_dns_records(world):
    network = world.network(dns_domain="example.org.")
    subnet = world.subnet(network)
    port = world.port(network, [(subnet, "10.0.0.5")], dns_name="Web")
    world.settle()
    row = world.one(nb.DNS)
    assert world.one(nb.LogicalSwitch).dns_records == [row]
    assert row.external_ids == {"ls_name": f"neutron-{network.uuid}", "port_id": port.uuid}
    assert row.records == {
        "web": "10.0.0.5", "web.example.org": "10.0.0.5", "5.0.0.10.in-addr.arpa": "web.example.org",
    }  # fmt: skip
    world.change(network, dns_domain="")
    world.settle()
    assert "web.openstacklocal" in row.records
    world.change(port, dns_name="")
    world.settle()
    assert world.all(nb.DNS) == []


def test_address_groups(world):
    group = world.add(cloud.AddressGroup, name="g", addresses=frozenset(["192.0.2.0/24", "fd00::/64"]))
    rule = world.rule(world.group(), remote_address_group=group.uuid)
    world.settle()
    sets = {row.name: row.addresses for row in world.all(nb.AddressSet)}
    name = "ag_" + group.uuid.replace("-", "_")
    assert sets == {f"{name}_ip4": {"192.0.2.0/24"}, f"{name}_ip6": {"fd00::/64"}}
    [acl] = [a for a in world.all(nb.ACL) if a.external_ids.get("neutron:security_group_rule_id") == rule.uuid]
    assert f"ip4.src == ${name}_ip4" in acl.match


def test_several_gateways_have_default_routes_watched_by_bfd(scene):
    away = scene.network(external=True, name="away")
    scene.add(cloud.NetworkSegment, network=away.uuid, network_type="flat", physical_network="other")
    subnet = scene.subnet(away, cidr="198.51.100.0/24", gateway_ip="198.51.100.1")
    router = scene.out.router
    second = scene.gateway(router, [(subnet, "198.51.100.9")], place=1)
    scene.settle()

    def defaults():
        routes = scene.one(nb.LogicalRouter).static_routes
        return {(route.nexthop, route.output_port) for route in routes if route.ip_prefix == "0.0.0.0/0"}

    first, far = (f"lrp-{cloud.RouterGateway.port.raw(one)}" for one in (scene.out, second))
    nexthop = next(iter(defaults()))[0]
    assert defaults() == {(nexthop, None)}
    snats = {row.external_ip: row.gateway_port for row in scene.all(nb.NAT)}
    assert snats["198.51.100.9"] is scene.one(nb.LogicalRouterPort, name=far)
    assert len(snats) == 2
    scene.change(router, enable_default_route_ecmp=True)
    scene.settle()
    assert defaults() == {(nexthop, None), ("198.51.100.1", None)}
    assert not scene.all(nb.BFD)
    scene.change(router, enable_default_route_bfd=True)
    scene.settle()
    assert defaults() == {(nexthop, first), ("198.51.100.1", far)}
    assert {(row.logical_port, row.dst_ip) for row in scene.all(nb.BFD)} == {(first, nexthop), (far, "198.51.100.1")}
    assert all(route.bfd in scene.all(nb.BFD) for route in scene.one(nb.LogicalRouter).static_routes)
    transaction = scene.nb.transaction()
    transaction.insert(nb.BFD, {"logical_port": "lrp-x", "dst_ip": "192.0.2.1"})  # somebody else's
    transaction.commit()
    scene.change(router, enable_default_route_bfd=False)
    scene.drop(second)
    scene.settle()
    assert defaults() == {(nexthop, None)}
    assert [row.logical_port for row in scene.all(nb.BFD)] == ["lrp-x"]
    assert [row.gateway_port for row in scene.all(nb.NAT)] == [None]


def test_chassis_that_are_chosen_by_hand(scene):
    for name in ("hv1", "hv2", "hv3"):
        scene.chassis(name)
    router = scene.out.router

    def chosen():
        return {row.chassis_name: row.priority for row in scene.all(nb.GatewayChassis)}

    scene.settle()
    assert {"hv1", "hv2", "hv3"} <= chosen().keys()
    scene.change(router, has_own_schedule=True, gateway_chassis={"hv2": 1, "hv3": 7, "gone": 9})
    scene.settle()
    assert chosen() == {"hv2": 1, "hv3": 7}
    scene.change(router, gateway_chassis={})
    scene.settle()
    assert chosen() == {}
    scene.change(router, has_own_schedule=False)
    scene.settle()
    assert {"hv1", "hv2", "hv3"} <= chosen().keys()


def test_routers_announce_for_bgp_speakers(scene):
    association = scene.floating(scene.inside, scene.out, scene.port(scene.inner, [(scene.inner_subnet, "10.0.0.5")]),
                                 "203.0.113.50")  # fmt: skip
    assert association
    numbers = {"local_as": 65000, "ip_version": 4}
    flags = {"advertise_floating_ip_host_routes": True, "advertise_tenant_networks": True}
    speaker = scene.add(cloud.BGPSpeaker, **numbers, **flags)
    scene.settle()
    gateway = scene.one(nb.LogicalRouterPort, name=f"lrp-{cloud.RouterGateway.port.raw(scene.out)}")
    inside = scene.one(nb.LogicalRouterPort, name=f"lrp-{cloud.RouterInterface.port.raw(scene.inside)}")

    def words():
        where = (scene.one(nb.LogicalRouter).options.get("dynamic-routing"),)
        return (*where, *(one.options.get("dynamic-routing-redistribute") for one in (gateway, inside)))

    assert words() == (None, None, None)
    scene.change(speaker, networks=frozenset((scene.out.port.network.uuid,)))
    scene.settle()
    assert words() == ("true", "nat", None)  # the network is in no address scope
    scope = scene.add(cloud.AddressScope, ip_version=4)
    pool = scene.add(cloud.SubnetPool, ip_version=4, address_scope=scope.uuid)
    for subnet in (scene.inner_subnet, scene.out.port.network.referrers(cloud.Subnet.network)[0]):
        scene.change(subnet, subnet_pool=pool.uuid)
    scene.settle()
    assert words() == ("true", "nat", "connected")
    scene.change(speaker, advertise_floating_ip_host_routes=False)
    scene.settle()
    assert words() == ("true", None, "connected")
    scene.drop(speaker)
    scene.settle()
    assert words() == (None, None, None)
