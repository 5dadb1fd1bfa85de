"""Security groups become port groups, and rules become ACLs in Neutron's own words."""

from __future__ import annotations

import pytest

from ovenbird.model import nb

CASES = [
    ({}, "outport == @{pg} && ip4"),
    ({"direction": "egress", "ethertype": "IPv6"}, "inport == @{pg} && ip6"),
    (
        {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
        "outport == @{pg} && ip4 && tcp && tcp.dst == 22",
    ),
    (
        {"protocol": "17", "port_range_min": 5, "port_range_max": 9, "direction": "egress"},
        "inport == @{pg} && ip4 && udp && udp.dst >= 5 && udp.dst <= 9",
    ),
    (
        {"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
        "outport == @{pg} && ip4 && icmp4 && icmp4.type == 8 && icmp4.code == 0",
    ),
    ({"protocol": "icmp", "ethertype": "IPv6"}, "outport == @{pg} && ip6 && icmp6"),
    ({"protocol": "icmpv6", "ethertype": "IPv6"}, "outport == @{pg} && ip6 && icmp6"),
    ({"protocol": "vrrp"}, "outport == @{pg} && ip4 && ip.proto == 112"),
    (
        {"remote_ip_prefix": "192.0.2.9/24", "protocol": "sctp"},
        "outport == @{pg} && ip4 && ip4.src == 192.0.2.0/24 && sctp",
    ),
    (
        {"remote_ip_prefix": "fd00::/8", "ethertype": "IPv6", "direction": "egress"},
        "inport == @{pg} && ip6 && ip6.dst == fd00::/8",
    ),
]


@pytest.mark.parametrize(("values", "match"), CASES)
def test_matches(world, values, match):
    group = world.group()
    security_rule = world.rule(group, **values)
    world.settle()
    pg = "pg_" + group.uuid.replace("-", "_")
    [acl] = world.one(nb.PortGroup, name=pg).acls
    assert acl.match == match.format(pg=pg)
    assert acl.direction == ("from-lport" if values.get("direction") == "egress" else "to-lport")
    assert (acl.priority, acl.action, acl.log) == (1002, "allow-related", False)
    assert acl.external_ids == {"neutron:security_group_rule_id": security_rule.uuid}


def test_a_remote_group_is_the_address_set_that_northd_derives(world):
    group, other = world.group(), world.group(name="other")
    world.rule(group, remote_group=other.uuid)
    world.settle()
    pg, remote = ("pg_" + g.uuid.replace("-", "_") for g in (group, other))
    assert world.one(nb.PortGroup, name=pg).acls[0].match == f"outport == @{pg} && ip4 && ip4.src == ${remote}_ip4"


def test_a_stateless_group(world):
    group = world.group()
    world.rule(group)
    world.settle()
    world.change(group, stateful=False)
    world.settle()
    assert world.one(nb.ACL, priority=1002).action == "allow-stateless"


def test_removing_a_rule_removes_its_acl(world):
    group = world.group()
    security_rule = world.rule(group)
    world.settle()
    world.drop(security_rule)
    world.settle()
    assert 1002 not in {acl.priority for acl in world.all(nb.ACL)}


def test_the_drop_group_drops_both_ways(world):
    acls = world.one(nb.PortGroup, name="neutron_pg_drop").acls
    assert {(a.direction, a.match, a.action, a.priority) for a in acls if a.action == "drop"} == {
        ("from-lport", "inport == @neutron_pg_drop && ip", "drop", 1000),
        ("to-lport", "outport == @neutron_pg_drop && ip", "drop", 1000),
    }


def test_every_port_may_ask_for_its_address(world):
    [acl] = [a for a in world.one(nb.PortGroup, name="neutron_pg_drop").acls if a.action != "drop"]
    assert (acl.direction, acl.action, acl.priority) == ("from-lport", "allow-stateless", 1003)
    assert acl.match == "(ip4 && udp.src == 68 && udp.dst == 67) || (ip6 && udp.src == 546 && udp.dst == 547)"
