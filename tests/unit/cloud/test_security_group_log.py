"""Logs of security groups become columns of ACLs, ACLs that drop and log, and meters."""

from __future__ import annotations

import pytest

from ovenbird.model import cloud, nb


def log(world, **values):
    return world.add(cloud.SecurityGroupLog, **{"event": "ALL", "enabled": True, "project_id": "red"} | values)


def logging(world, name):
    """Return the names of the logs of a port group's ACLs, by priority."""
    return {acl.priority: acl.name for acl in world.one(nb.PortGroup, name=name).acls if acl.log}


def port_group(group):
    return "pg_" + group.uuid.replace("-", "_")


@pytest.mark.parametrize(("event", "priorities"), [("ALL", {1001, 1002}), ("ACCEPT", {1002}), ("DROP", {1001})])
def test_a_group_is_logged(world, event, priorities):
    group, other = world.group(), world.group(name="other")
    world.rule(group)
    world.rule(other)
    made = log(world, event=event, security_group=group.uuid)
    world.settle()
    assert logging(world, port_group(group)) == dict.fromkeys(priorities, f"neutron-{made.uuid}")
    assert logging(world, port_group(other)) == {}
    for acl in world.all(nb.ACL):
        if acl.log:
            assert (acl.severity, acl.meter) == ("info", "acl_log_meter")
            assert acl.options == {"log-related": "true"}
            assert acl.label > 0
    world.change(made, enabled=False)
    world.settle()
    assert not any(acl.log or acl.name or acl.label for acl in world.all(nb.ACL))
    world.drop(made)
    world.settle()
    assert world.all(nb.Meter) == []


def test_a_logged_ports_groups_are_logged_while_it_is_in_them(world):
    group = world.group()
    world.rule(group)
    port = world.port(world.network(), groups=(group,))
    made = log(world, port=port.uuid)
    world.settle()
    assert logging(world, port_group(group)) == dict.fromkeys((1001, 1002), f"neutron-{made.uuid}")
    world.change(port, security_groups=frozenset())
    world.settle()
    assert logging(world, port_group(group)) == {}


def test_everything_is_logged(world):
    group = world.group(stateful=False)
    world.rule(group)
    first, second = log(world, created_at=1), log(world, created_at=2, event="DROP")
    world.settle()
    assert logging(world, port_group(group)) == {1002: f"neutron-{first.uuid}"}
    assert logging(world, "neutron_pg_drop") == {1001: f"neutron-{first.uuid}"}
    assert world.one(nb.ACL, priority=1002).meter == "acl_log_meter_stateless"
    world.drop(first)
    world.settle()
    assert logging(world, port_group(group)) == {}
    assert logging(world, "neutron_pg_drop") == {1001: f"neutron-{second.uuid}"}


def test_the_first_log_of_several_names_an_acl(world):
    group = world.group()
    world.rule(group)
    later = log(world, created_at=2, security_group=group.uuid)
    first = log(world, created_at=1)
    world.settle()
    assert logging(world, port_group(group)) == {1002: f"neutron-{first.uuid}", 1001: f"neutron-{later.uuid}"}


def test_meters_are_fair_and_stay_through_a_restart(world):
    log(world)
    world.settle()
    before = {meter.name: meter.uuid for meter in world.all(nb.Meter)}
    rates = {meter.name: [(band.rate, band.burst_size) for band in meter.bands] for meter in world.all(nb.Meter)}
    assert rates == {"acl_log_meter": [(100, 25)], "acl_log_meter_stateless": [(50, 12)]}
    assert all(meter.fair and meter.unit == "pktps" for meter in world.all(nb.Meter))
    world.restart()
    assert {meter.name: meter.uuid for meter in world.all(nb.Meter)} == before
