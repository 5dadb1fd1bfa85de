"""A port becomes a logical switch port."""

from __future__ import annotations

from ovenbird.model import nb

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


def test_one_port_more_runs_nobody_elses_rules(world):
    network = world.network()
    subnet = world.subnet(network)
    for i in range(2, 20):
        world.port(network, [(subnet, f"10.0.0.{i}")], mac_address=f"fa:16:3e:00:01:{i:02x}")
    world.settle()
    world.port(network, [(subnet, "10.0.0.99")])
    world.engine.run()
    assert world.engine.ran["switch_port"] == world.engine.ran["port_groups"] == 1
    assert world.engine.ran["network_switch"] == world.engine.ran["subnet_dhcp"] == 0


def test_status_going_up_in_northbound_is_nobodys_business_here(world):
    world.port(world.network())
    world.settle()
    transaction = world.nb.transaction()
    transaction.update(world.one(nb.LogicalSwitchPort), {"up": True})
    transaction.commit()
    assert world.settle() == 0
    assert world.one(nb.LogicalSwitchPort).up is True
