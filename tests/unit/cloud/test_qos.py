"""QoS policies in Northbound: rows of the switch, options of ports, and what a change of a policy costs."""

from __future__ import annotations

import pytest

from ovenbird.model import cloud, nb
from ovenbird.northd.findings import CompilerFindings


@pytest.fixture
def policy(world):
    return world.add(cloud.QosPolicy, name="gold")


def port_of(world, network, addresses=(), **values):
    mac = f"fa:16:3e:00:01:{len(world.cloud.store.table(cloud.Port)):02x}"
    return world.port(network, addresses, **{"mac_address": mac} | values)


def limit(world, policy, direction="egress", **values):
    given = {"policy": policy.uuid, "direction": direction, "max_kbps": 1000}
    return world.add(cloud.BandwidthLimitRule, **given | values)


def guarantee(world, policy, rate=100, direction="egress"):
    return world.add(cloud.MinimumBandwidthRule, policy=policy.uuid, direction=direction, min_kbps=rate)


def rows(world):
    """Return what each switch has, by priority and match."""
    return {
        (switch.name, rule.priority, rule.match): (rule.direction, rule.bandwidth, rule.action, rule.external_ids)
        for switch in world.all(nb.LogicalSwitch)
        for rule in switch.qos_rules
    }


def rates(world, port):
    options = world.one(nb.LogicalSwitchPort, name=port.uuid).options
    return {name: value for name, value in options.items() if name.startswith("qos_")}


def wire(world, network):
    kind = {"network_type": "vlan", "physical_network": "public", "segmentation_id": 5}
    return world.add(cloud.NetworkSegment, network=network.uuid, **kind)


def test_a_port_has_a_row_for_each_direction(world, policy):
    limit(world, policy, max_burst_kbps=200)
    limit(world, policy, "ingress", max_kbps=3000)
    world.add(cloud.DscpMarkingRule, policy=policy.uuid, dscp_mark=10)
    network = world.network()
    port = port_of(world, network, qos_policy=policy.uuid)
    other = port_of(world, network)
    world.settle()
    switch, ids = f"neutron-{network.uuid}", {"neutron:port_id": port.uuid}
    assert rows(world) == {
        (switch, 2002, f'inport == "{port.uuid}"'): ("from-lport", {"rate": 1000, "burst": 200}, {"dscp": 10}, ids),
        (switch, 2002, f'outport == "{port.uuid}"'): ("to-lport", {"rate": 3000}, {}, ids),
    }
    assert rates(world, port) == rates(world, other) == {}
    world.change(port, qos_policy=None)
    world.settle()
    assert rows(world) == {}


def test_the_policy_of_a_network_is_that_of_its_ports_without_one(world, policy):
    limit(world, policy)
    own = world.add(cloud.QosPolicy, name="own")
    limit(world, own, max_kbps=5)
    network = world.network(qos_policy=policy.uuid)
    plain, special = port_of(world, network), port_of(world, network, qos_policy=own.uuid)
    for owner in ("network:dhcp", "neutron:x"):
        port_of(world, network, device_owner=owner, qos_policy=own.uuid)
    port_of(world, network, vnic_type="direct")
    world.settle()
    assert {match: found[1]["rate"] for (_, _, match), found in rows(world).items()} == {
        f'inport == "{plain.uuid}"': 1000,
        f'inport == "{special.uuid}"': 5,
    }


def test_bandwidth_is_guaranteed_by_queues_of_ports_on_physical_networks(world, policy):
    limit(world, policy, max_burst_kbps=50)
    limit(world, policy, "ingress")
    guarantee(world, policy)
    guarantee(world, policy, direction="ingress")
    tunnelled, physical = world.network(qos_policy=policy.uuid), world.network(qos_policy=policy.uuid)
    wire(world, physical)
    inside, outside = port_of(world, tunnelled), port_of(world, physical, host="hv1")
    world.settle()
    assert rates(world, inside) == {}
    assert rates(world, outside) == {"qos_min_rate": "100000", "qos_max_rate": "1000000", "qos_burst": "50000"}
    assert world.one(nb.LogicalSwitchPort, name=outside.uuid).options["requested-chassis"] == "hv1"
    found = {match for _, _, match in rows(world)}
    assert found == {f'{way} == "{inside.uuid}"' for way in ("inport", "outport")} | {f'outport == "{outside.uuid}"'}


@pytest.mark.parametrize("distributed", [False, True])
def test_floating_ips_and_gateways_have_rows_on_the_external_network(world, policy, distributed):
    if distributed:
        world.add(cloud.CloudGlobal, options={"distributed_floating_ip": "true"})
    limit(world, policy)
    limit(world, policy, "ingress", max_kbps=2000)
    outside, outer = world.outside()
    network = world.network()
    inner = world.subnet(network)
    port = port_of(world, network, [(inner, "10.0.0.5")])
    router = world.router()
    interface, gateway = world.interface(router, [(inner, "10.0.0.1")]), world.gateway(router, [(outer, "203.0.113.5")])
    association = world.floating(interface, gateway, port, "203.0.113.9", mac_address="fa:16:3e:00:00:99")
    world.settle()
    assert rows(world) == {}
    world.change(association.floating_ip, qos_policy=policy.uuid)
    world.change(gateway, qos_policy=policy.uuid)
    world.settle()
    lport, switch = gateway.port.uuid, f"neutron-{outside.uuid}"
    where = f'is_chassis_resident("{port.uuid if distributed else f"cr-lrp-{lport}"}")'
    mine, all_of_it = {"neutron:fip_id": association.floating_ip.uuid}, {"neutron:router_id": router.uuid}
    own = {
        (switch, 2003, f'inport == "{lport}" && ip4.src == 203.0.113.9 && {where}'):
            ("from-lport", {"rate": 1000}, {}, mine),
        (switch, 2003, f'outport == "{lport}" && ip4.dst == 203.0.113.9 && {where}'):
            ("to-lport", {"rate": 2000}, {}, mine),
        (switch, 2002, f'inport == "{lport}"'): ("from-lport", {"rate": 1000}, {}, all_of_it),
        (switch, 2002, f'outport == "{lport}"'): ("to-lport", {"rate": 2000}, {}, all_of_it),
    }  # fmt: skip
    assert rows(world) == own
    for row in (association.floating_ip, gateway):
        world.change(row, qos_policy=None)
    world.change(outside, qos_policy=policy.uuid)
    world.settle()
    assert rows(world) == own
    world.drop(association)
    world.settle()
    assert {priority for _, priority, _ in rows(world)} == {2002}


def test_forwarded_ports_are_limited_where_the_gateway_is(world, policy):
    world.add(cloud.CloudGlobal, options={"distributed_floating_ip": "true"})
    limit(world, policy)
    _, outer = world.outside()
    network = world.network()
    inner = world.subnet(network)
    port = port_of(world, network, [(inner, "10.0.0.5")])
    router = world.router()
    interface, gateway = world.interface(router, [(inner, "10.0.0.1")]), world.gateway(router, [(outer, "203.0.113.5")])
    association = world.floating(interface, gateway, port, "203.0.113.9", mac_address="fa:16:3e:00:00:99")
    floating, fixed = association.floating_ip, association.fixed
    world.drop(association)
    ports = {"protocol": "tcp", "external_port": 80, "internal_port": 80}
    world.forwarding(floating, fixed, interface=interface, gateway=gateway, **ports)
    world.change(floating, qos_policy=policy.uuid)
    world.settle()
    ((_, _, match),) = rows(world)
    assert match.endswith(f'ip4.src == 203.0.113.9 && is_chassis_resident("cr-lrp-{gateway.port.uuid}")')


def test_a_change_of_a_policy_costs_what_has_it(world, policy):
    rule = limit(world, policy)
    network, other = world.network(), world.network()
    ports = [port_of(world, network, qos_policy=policy.uuid) for _ in range(3)]
    for _ in range(20):
        port_of(world, network)
        port_of(world, other)
    world.settle()

    def ran(row, **values):
        world.change(row, **values)
        world.engine.run()
        counts = dict(world.engine.ran)
        world.settle()
        return counts

    assert ran(rule, max_kbps=500) == {"treatments": 1, "switch_port": len(ports), "ineffective_limit": 1}
    assert {found[1]["rate"] for found in rows(world).values()} == {500}
    assert ran(policy, name="silver", revision_number=9) == {}
    assert ran(network, qos_policy=policy.uuid) == {"switch_port": 23 - len(ports)}
    assert len(rows(world)) == 23


def test_a_limit_of_nothing_is_a_finding(world, policy):
    findings = CompilerFindings()
    findings.observe(world.engine)
    limit(world, policy, max_kbps=0)
    port_of(world, world.network(), qos_policy=policy.uuid)
    world.settle()
    assert rows(world) == {}
    assert ["a limit of 0 kbit/s limits nothing" in text for text in findings] == [True]


def test_rows_are_kept_over_a_restart_and_those_of_others_stay(world, policy):
    limit(world, policy)
    network = world.network()
    port = port_of(world, network, qos_policy=policy.uuid)
    world.settle()
    (mine,) = world.all(nb.QoS)
    transaction = world.nb.transaction()
    theirs = {"priority": 7, "direction": "to-lport", "match": "ip", "bandwidth": {"rate": 9}}
    added = transaction.insert(nb.QoS, theirs)
    transaction.mutate(world.one(nb.LogicalSwitch, name=f"neutron-{network.uuid}"), "qos_rules", insert=(added,))
    transaction.commit()
    world.restart()
    assert {row.uuid for row in world.all(nb.QoS)} == {mine.uuid, added}
    world.change(port, qos_policy=None)
    world.settle()
    assert {row.uuid for row in world.all(nb.QoS)} == {added}


def test_each_of_several_gateways_has_rows(world, policy):
    limit(world, policy)
    outside, outer = world.outside()
    router = world.router()
    first = world.gateway(router, [(outer, "203.0.113.5")])
    second = world.gateway(router, [(outer, "203.0.113.6")], mac_address="fa:16:3e:00:00:98")
    world.change(second, place=1)
    world.change(outside, qos_policy=policy.uuid)
    world.settle()
    assert {match: found[3] for (_, _, match), found in rows(world).items()} == {
        f'inport == "{first.port.uuid}"': {"neutron:router_id": router.uuid},
        f'inport == "{second.port.uuid}"': {"neutron:port_id": second.port.uuid},
    }
