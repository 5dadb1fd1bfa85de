"""Each column alone, changed and changed back: nothing that a rule reads escapes it."""

import pytest

from ovenbird.model import nb
from support.northd.networks import Networks


def world():
    made = Networks()
    made.insert(nb.NBGlobal)
    switch = made.switch("s0")
    made.switch("s1")
    four = {"server_id": "10.0.0.99", "server_mac": "00:00:00:00:ff:01", "lease_time": "60"}
    dhcp = made.insert(nb.DHCPOptions, cidr="10.0.0.0/24", options=four)
    six = {"server_id": "00:00:00:00:ff:01"}
    made.dhcp6 = made.insert(nb.DHCPOptions, cidr="fd00::/64", options=six)
    made.ha = made.insert(nb.HAChassisGroup, name="ha")
    made.insert(nb.HAChassis, (made.ha, "ha_chassis"), chassis_name="hv1", priority=1)
    port = made.port(switch, "p0", "00:00:00:00:00:01 10.0.0.1 fd00::1", dhcpv4_options=dhcp.uuid)
    made.port(switch, "ln0", "unknown", type="localnet", options={"network_name": "phys"})
    made.port(switch, "r0", "router", type="router", options={"router-port": "lrp0"})
    made.port(switch, "e0", "00:00:00:00:00:05 10.0.0.5", type="external", ha_chassis_group=made.ha.uuid)
    router = made.insert(nb.LogicalRouter, name="lr0")
    made.insert(
        nb.LogicalRouterPort, (router, "ports"), name="lrp0", mac="00:00:00:00:ff:02",
        networks=frozenset(["10.0.0.9/24"]),
    )  # fmt: skip
    group = made.group("pg0", port)
    made.acl(group, "to-lport", "ip4", "allow-related", 3, log=True, meter="m0", label=2)
    band = made.nb.transaction()
    uuid = band.insert(nb.MeterBand, {"action": "drop", "rate": 5})
    band.insert(nb.Meter, {"name": "m0", "unit": "pktps", "bands": frozenset([uuid])})
    band.commit()
    made.insert(nb.AddressSet, name="as0", addresses=frozenset(["1.1.1.1"]))
    made.insert(
        nb.QoS, (switch, "qos_rules"), priority=3, direction="from-lport", match="ip4", action={"dscp": 5},
        bandwidth={"rate": 7},
    )  # fmt: skip
    made.insert(
        nb.ForwardingGroup, (switch, "forwarding_groups"), name="f", vip="10.0.0.50", vmac="00:00:00:00:ff:0f",
        child_port=frozenset(["p0"]),
    )  # fmt: skip
    mirror = made.insert(nb.Mirror, name="m", filter="from-lport", sink="192.0.2.1", type="gre", index=3)
    made.update(port, mirror_rules=frozenset([mirror.uuid]))
    made.dns = made.insert(nb.DNS, records={"A.b": "10.0.0.1"})
    return made


CHANGES = [
    (nb.LogicalSwitchPort, "name", "px"),
    (nb.LogicalSwitchPort, "type", "localport"),
    (nb.LogicalSwitchPort, "options", {"hostname": "h", "qdisc_queue_id": "3", "requested-tnl-key": "77"}),
    (nb.LogicalSwitchPort, "addresses", frozenset(["00:00:00:00:00:01 10.0.0.7", "unknown"])),
    (nb.LogicalSwitchPort, "port_security", frozenset(["00:00:00:00:00:01"])),
    (nb.LogicalSwitchPort, "enabled", False),
    (nb.LogicalSwitchPort, "parent_name", "r0"),
    (nb.LogicalSwitchPort, "tag", 7),
    (nb.LogicalSwitchPort, "tag_request", 8),
    (nb.LogicalSwitchPort, "external_ids", {"neutron:port_name": "n"}),
    (nb.LogicalSwitchPort, "dhcpv4_options", None),
    (nb.LogicalSwitchPort, "dhcpv6_options", lambda made: made.dhcp6.uuid),
    (nb.LogicalSwitch, "name", "sx"),
    (nb.LogicalSwitch, "other_config", {"vlan-passthru": "true"}),
    (nb.LogicalSwitch, "external_ids", {"neutron:network_name": "n"}),
    (nb.LogicalSwitch, "ports", frozenset()),
    (nb.LogicalSwitch, "dns_records", lambda made: frozenset([made.dns.uuid])),
    (nb.PortGroup, "name", "pgx"),
    (nb.PortGroup, "ports", frozenset()),
    (nb.PortGroup, "acls", frozenset()),
    (nb.ACL, "priority", 9),
    (nb.ACL, "direction", "from-lport"),
    (nb.ACL, "match", "ip6"),
    (nb.ACL, "action", "reject"),
    (nb.ACL, "log", False),
    (nb.ACL, "severity", "alert"),
    (nb.ACL, "meter", None),
    (nb.ACL, "name", "why"),
    (nb.ACL, "label", 5),
    (nb.ACL, "options", {"log-related": "true"}),
    (nb.LogicalSwitchPort, "mirror_rules", frozenset()),
    (nb.Mirror, "name", "mx"),
    (nb.Mirror, "filter", "to-lport"),
    (nb.Mirror, "sink", "192.0.2.2"),
    (nb.Mirror, "type", "erspan"),
    (nb.Mirror, "index", 4),
    (nb.Mirror, "external_ids", {"a": "b"}),
    (nb.ForwardingGroup, "vip", "fd00::50"),
    (nb.ForwardingGroup, "vip", "nonsense"),
    (nb.ForwardingGroup, "vmac", "00:00:00:00:ff:0e"),
    (nb.ForwardingGroup, "liveness", True),
    (nb.ForwardingGroup, "child_port", frozenset(["p0", "r0"])),
    (nb.LogicalSwitch, "forwarding_groups", frozenset()),
    (nb.LogicalSwitch, "qos_rules", frozenset()),
    (nb.QoS, "priority", 9),
    (nb.QoS, "direction", "to-lport"),
    (nb.QoS, "match", "ip6"),
    (nb.QoS, "action", {"dscp": 6}),
    (nb.QoS, "bandwidth", {"rate": 7, "burst": 1}),
    (nb.Meter, "fair", True),
    (nb.Meter, "unit", "kbps"),
    (nb.Meter, "name", "mx"),
    (nb.MeterBand, "rate", 9),
    (nb.AddressSet, "name", "asx"),
    (nb.AddressSet, "addresses", frozenset()),
    (nb.DHCPOptions, "cidr", "10.1.0.0/24"),
    (nb.DHCPOptions, "options", {}),
    (nb.LogicalRouter, "name", "lrx"),
    (nb.LogicalRouter, "ports", frozenset()),
    (nb.LogicalRouter, "enabled", False),
    (nb.LogicalRouter, "options", {"chassis": "hv1"}),
    (nb.LogicalRouter, "options", {"always_learn_from_arp_request": "false"}),
    (nb.LogicalRouterPort, "enabled", False),
    (nb.LogicalRouterPort, "ha_chassis_group", lambda made: made.ha.uuid),
    (nb.LogicalRouterPort, "options", {"gateway_mtu": "1300", "route_table": "other"}),
    (nb.LogicalRouterPort, "external_ids", {"neutron:x": "y"}),
    (nb.LogicalRouterPort, "mac", "00:00:00:00:ff:03"),
    (nb.LogicalRouterPort, "networks", frozenset(["10.0.0.8/24", "fd00::8/64"])),
    (nb.LogicalRouterPort, "name", "lrpx"),
    (nb.NBGlobal, "options", {"default_acl_drop": "true"}),
    (nb.NBGlobal, "options", {"ignore_lsp_down": "false"}),
    (nb.NBGlobal, "options", {"debug_drop_domain_id": "5", "debug_drop_collector_set": "7"}),
    (nb.NBGlobal, "nb_cfg", 4),
]


@pytest.mark.parametrize(("row_class", "column", "value"), CHANGES, ids=lambda v: getattr(v, "__name__", None))
def test_a_change_of_one_column_and_back_is_as_from_scratch(row_class, column, value):
    made = world()
    made.settle()
    before = made.image()
    row = next(iter(made.nb.store.table(row_class).rows.values()))
    old = column_value(row, column)
    made.update(row, **{column: value(made) if callable(value) else value})
    made.settle()
    changed = made.image()
    assert changed != before or (row_class, column) == (nb.LogicalSwitch, "external_ids"), "the change shows nowhere"
    assert changed == scratch(made)
    # Rows that nothing refers to any more are gone for good, and a tag that was replaced by one asked for.
    if row.exists() and column not in ("ports", "acls", "qos_rules", "forwarding_groups", "tag_request"):
        made.update(row, **{column: old})
        made.settle()
        assert made.image() == before


def column_value(row, name):
    return row.values[type(row).BY_NAME[name].index]


def scratch(made):
    fresh = Networks(made.nb)
    fresh.wave()
    return fresh.image()
