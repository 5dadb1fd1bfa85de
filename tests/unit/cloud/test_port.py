"""A port becomes a logical switch port."""

from __future__ import annotations

from ovenbird.model import cloud, nb

MAC = "fa:16:3e:00:00:01"


def test_a_port_with_an_address(world):
    network = world.network()
    subnet = world.subnet(network)
    group = world.group()
    port = world.port(network, [(subnet, "10.0.0.5")], [group], name="p", host="hv1", device_owner="compute:nova")
    world.settle()
    [row] = world.one(nb.LogicalSwitch).ports
    assert (row.name, row.type, row.enabled) == (port.uuid, "", True)
    assert row.addresses == {f"{MAC} 10.0.0.5"}
    assert row.port_security == {f"{MAC} 10.0.0.5"}
    assert row.options == {"requested-chassis": "hv1"}
    assert row.dhcpv4_options is world.one(nb.DHCPOptions)
    assert row.dhcpv6_options is None
    assert row.external_ids == {
        "neutron:port_name": "p",
        "neutron:device_id": "",
        "neutron:device_owner": "compute:nova",
        "neutron:project_id": "",
        "neutron:network_name": f"neutron-{network.uuid}",
        "neutron:security_group_ids": group.uuid,
        "neutron:cidrs": "10.0.0.5/24",
        "neutron:vnic_type": "normal",
        "neutron:port_capabilities": "",
        "neutron:mtu": "1442",
        "neutron:revision_number": "0",
        "neutron:host_id": "hv1",
    }


def test_without_port_security_a_port_may_be_anybody(world):
    world.port(world.network(), port_security_enabled=False)
    world.settle()
    row = world.one(nb.LogicalSwitchPort)
    assert row.addresses == {MAC, "unknown"}
    assert row.port_security == frozenset()
    assert world.one(nb.PortGroup, name="neutron_pg_drop").ports == []


def test_address_pairs_extend_port_security(world):
    network = world.network()
    subnet = world.subnet(network)
    pairs = frozenset([f"{MAC} 10.0.0.100", "fa:16:3e:00:00:99 10.0.0.101"])
    world.port(network, [(subnet, "10.0.0.5")], allowed_address_pairs=pairs)
    world.settle()
    row = world.one(nb.LogicalSwitchPort)
    assert row.port_security == {f"{MAC} 10.0.0.5 10.0.0.100", "fa:16:3e:00:00:99 10.0.0.101"}
    assert row.addresses == {f"{MAC} 10.0.0.5", "fa:16:3e:00:00:99"}


def test_the_networks_own_port_is_a_trusted_localport(world):
    network = world.network()
    subnet = world.subnet(network)
    world.port(network, [(subnet, "10.0.0.2")], device_owner="network:distributed")
    world.settle()
    row = world.one(nb.LogicalSwitchPort)
    assert (row.type, row.port_security, row.dhcpv4_options) == ("localport", frozenset(), None)
    assert row.addresses == {f"{MAC} 10.0.0.2"}


def test_a_port_is_in_the_groups_of_its_security_groups_and_in_the_drop_group(world):
    group, other = world.group(), world.group(name="other")
    port = world.port(world.network(), groups=[group])
    world.settle()
    members = {g.name: [p.name for p in g.ports] for g in world.all(nb.PortGroup)}
    name, other_name = ("pg_" + g.uuid.replace("-", "_") for g in (group, other))
    assert members == {name: [port.uuid], other_name: [], "neutron_pg_drop": [port.uuid]}
    world.change(port, security_groups=frozenset([other.uuid]))
    world.settle()
    members = {g.name: [p.name for p in g.ports] for g in world.all(nb.PortGroup)}
    assert members == {name: [], other_name: [port.uuid], "neutron_pg_drop": [port.uuid]}


def test_extra_dhcp_options_make_a_row_of_the_ports_own(world):
    network = world.network()
    subnet = world.subnet(network)
    extra = {"mtu": "1200", "interface-mtu": "1300", "bootfile-name": "pxelinux.0", "no-such-option": "x"}
    port = world.port(network, [(subnet, "10.0.0.5")], dhcpv4_options=extra)
    world.settle()
    own = world.one(nb.LogicalSwitchPort).dhcpv4_options
    assert own.external_ids["port_id"] == port.uuid
    assert (own.options["mtu"], own.options["bootfile_name"]) == ("1300", '"pxelinux.0"')
    assert own.options["router"] == "10.0.0.1"
    world.change(port, dhcpv4_options={"dhcp_disabled": "true"})
    world.settle()
    assert world.one(nb.LogicalSwitchPort).dhcpv4_options is None
    assert len(world.all(nb.DHCPOptions)) == 1


def test_turning_dhcp_off_and_on_reaches_the_ports(world):
    network = world.network()
    subnet = world.subnet(network)
    world.port(network, [(subnet, "10.0.0.5")])
    world.settle()
    world.change(subnet, enable_dhcp=False)
    world.settle()
    assert world.one(nb.LogicalSwitchPort).dhcpv4_options is None
    world.change(subnet, enable_dhcp=True)
    world.settle()
    assert world.one(nb.LogicalSwitchPort).dhcpv4_options is world.one(nb.DHCPOptions)


def test_one_more_port_does_not_run_the_rules_of_other_ports(world):
    network = world.network()
    subnet = world.subnet(network)
    for i in range(2, 20):
        world.port(network, [(subnet, f"10.0.0.{i}")], mac_address=f"fa:16:3e:00:01:{i:02x}")
    world.settle()
    world.port(network, [(subnet, "10.0.0.99")])
    world.engine.run()
    assert world.engine.ran["switch_port"] == world.engine.ran["port_groups"] == 1
    assert world.engine.ran["network_switch"] == world.engine.ran["subnet_dhcp"] == 0


def test_a_port_going_up_in_northbound_causes_no_write(world):
    world.port(world.network())
    world.settle()
    transaction = world.nb.transaction()
    transaction.update(world.one(nb.LogicalSwitchPort), {"up": True})
    transaction.commit()
    assert world.settle() == 0
    assert world.one(nb.LogicalSwitchPort).up is True


def options_of(world, **values):
    world.port(world.network(), host="hv1", **values)
    world.settle()
    return world.one(nb.LogicalSwitchPort).options


def test_while_an_instance_moves_both_chassis_have_its_port(world):
    assert options_of(world, binding_profile='{"migrating_to": "hv2"}') == {
        "requested-chassis": "hv1,hv2",
        "activation-strategy": "rarp",
    }


def test_a_migration_without_an_activation_strategy(world):
    world.configure(live_migration_activation_strategy="")
    assert options_of(world, binding_profile='{"migrating_to": "hv2"}') == {"requested-chassis": "hv1,hv2"}


def test_after_a_migration_a_port_is_on_its_new_host_only(world):
    assert options_of(world, binding_profile='{"migrating_to": "hv1"}') == {"requested-chassis": "hv1"}


def test_an_invalid_binding_profile_has_no_effect(world):
    for i, profile in enumerate(["{", "[]", '{"migrating_to": 7}', '{"parent_name": "p"}', '{"tag": 4096}']):
        world.port(world.network(), host="hv1", binding_profile=profile, name=str(i))
    world.settle()
    rows = world.all(nb.LogicalSwitchPort)
    assert len(rows) == 5
    assert {tuple(row.options.items()) for row in rows} == {(("requested-chassis", "hv1"),)}
    assert {(row.parent_name, row.tag_request) for row in rows} == {(None, None)}


def test_a_container_is_reached_through_its_parent(world):
    network = world.network()
    parent = world.port(network, mac_address="fa:16:3e:00:00:02")
    child = world.port(network, binding_profile=f'{{"parent_name": "{parent.uuid}", "tag": 42}}')
    world.settle()
    row = world.one(nb.LogicalSwitchPort, name=child.uuid)
    assert (row.parent_name, row.tag_request, row.type) == (parent.uuid, 42, "")


def test_a_sub_port_is_reached_through_its_trunk(world):
    network = world.network()
    parent = world.port(network, mac_address="fa:16:3e:00:00:02")
    children = [world.port(network, mac_address=f"fa:16:3e:00:01:{i:02x}") for i in range(5)]
    trunk = world.add(cloud.Trunk, port=parent.uuid, admin_state_up=True)
    for number, child in enumerate(children[1:], 43):
        world.add(cloud.SubPort, trunk=trunk.uuid, port=child.uuid, segmentation_id=number)
    world.settle()
    world.add(cloud.SubPort, trunk=trunk.uuid, port=children[0].uuid, segmentation_id=42)
    world.engine.run()
    assert world.engine.ran["switch_port"] == 1
    world.settle()
    row = world.one(nb.LogicalSwitchPort, name=children[0].uuid)
    assert (row.parent_name, row.tag_request, row.type) == (parent.uuid, 42, "")
    world.change(parent, name="another", revision_number=2)
    world.engine.run()
    assert world.engine.ran["switch_port"] == 1
    world.change(parent, vnic_type="direct")
    world.settle()
    assert (row.parent_name, row.tag_request) == (None, None)


def test_a_port_that_stands_for_a_physical_switch(world):
    profile = '{"vtep-physical-switch": "tor", "vtep-logical-switch": "ls0"}'
    world.port(world.network(), binding_profile=profile)
    world.settle()
    row = world.one(nb.LogicalSwitchPort)
    assert (row.type, row.addresses, row.port_security) == ("vtep", {"unknown"}, frozenset())
    assert row.options == {"vtep-physical-switch": "tor", "vtep-logical-switch": "ls0"}


def test_capabilities_of_hardware_are_in_external_ids(world):
    world.port(world.network(), vnic_type="direct", binding_profile='{"capabilities": ["switchdev", "x"]}')
    world.settle()
    assert world.one(nb.LogicalSwitchPort).external_ids["neutron:port_capabilities"] == "switchdev;x"


def test_a_load_balancers_address_is_not_answered_for_by_its_port(world):
    network = world.network()
    port = world.port(network, [(world.subnet(network), "10.0.0.5")], name="ovn-lb-vip-1")
    world.settle()
    assert world.one(nb.LogicalSwitchPort).addresses == frozenset()
    world.change(port, host="hv1")
    world.settle()
    assert world.one(nb.LogicalSwitchPort).addresses == {f"{MAC} 10.0.0.5"}


def test_the_port_of_a_health_monitor_is_a_localport(world):
    world.port(world.network(), device_owner="ovn-lb-hm:distributed", port_security_enabled=False)
    world.settle()
    row = world.one(nb.LogicalSwitchPort)
    assert (row.type, row.addresses) == ("localport", {MAC})


def test_trusted_ports_have_unknown_addresses_too(world):
    network = world.network()
    world.port(network, [(world.subnet(network), "10.0.0.2")], device_owner="network:dhcp")
    world.settle()
    assert world.one(nb.LogicalSwitchPort).addresses == {f"{MAC} 10.0.0.2", "unknown"}
