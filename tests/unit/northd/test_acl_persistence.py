"""Connections of persistent ACLs have a number as long as the ACL persists, and what lets them pass is the ACL's."""

import pytest

from ovenbird.model import sb
from ovenbird.northd.switch import acl_persistence
from support.northd.networks import Networks

KEPT = {"options": {"persist-established": "true"}}


def numbers(networks):
    return {row.uuid: row.id for row in networks.rows(sb.ACLID)}


def passing(networks):
    return [flow for flow in networks.flows("ls_in_acl", "ls_out_acl") if "[80..95]" in flow[2]]


def test_other_switches_have_no_flow_of_it(networks):
    plain, kept = networks.switch("plain"), networks.switch("kept")
    for switch in (plain, kept):
        networks.acl(switch, "to-lport", "tcp", "allow-related", 9)
    networks.settle()
    before, alone = networks.flows(), networks.flows(datapath="plain")
    networks.acl(kept, "to-lport", "udp", "allow-related", 8, **KEPT)
    networks.settle()
    assert networks.flows(datapath="plain") == alone
    new = [flow for flow in networks.flows() if flow not in before]
    assert [flow[:2] for flow in new] == [
        ("ls_in_stateful", 110), ("ls_in_stateful", 110), ("ls_out_acl", 1008), ("ls_out_acl", 1008),
        ("ls_out_acl", 65_532), ("ls_out_stateful", 110), ("ls_out_stateful", 110),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"options": {}}, {"options": {"persist-established": "no"}}, {"action": "allow"}, {"action": "drop"}, None],
)
def test_an_acl_that_ceases_to_persist_gives_up_its_number_and_its_connections(networks, change):
    """Whatever the switch has of its connections: the flow that knew them is gone."""
    switch = networks.switch("s0")
    networks.acl(switch, "from-lport", "tcp", "allow-related", 9)
    acl = networks.acl(switch, "from-lport", "udp", "allow-related", 9, **KEPT)
    networks.settle()
    assert numbers(networks) == {acl.uuid: 1}, "its row has the ACL's UUID, ovn-sb(5)"
    assert len(passing(networks)) == 1
    if change is None:
        networks.delete(acl, out_of=(switch, "acls"))
    else:
        networks.update(acl, **change)
    networks.settle()
    assert not numbers(networks)
    assert not passing(networks)
    assert not [flow for flow in networks.flows() if "[80..95]" in flow[3]]


def test_a_match_that_changes_keeps_the_number(networks):
    acl = networks.acl(networks.switch("s0"), "to-lport", "udp", "allow-related", 9, **KEPT)
    networks.settle()
    before = passing(networks)
    networks.update(acl, match="tcp")
    ran = networks.settle()
    assert ran["acl_flows"] == 1
    assert sum(ran.values()) == ran["acl_flows"]
    assert passing(networks) == before
    assert numbers(networks) == {acl.uuid: 1}


def test_numbers_outlive_a_restart(networks):
    switch = networks.switch("s0")
    for match in ("udp", "tcp"):
        networks.acl(switch, "to-lport", match, "allow-related", 9, **KEPT)
    networks.settle()
    before = numbers(networks)
    again = Networks(networks.nb, networks.sb)
    again.settle()
    assert numbers(again) == before


def test_a_number_is_not_used_again_at_once(networks):
    switch = networks.switch("s0")
    first, second = (networks.acl(switch, "to-lport", match, "allow-related", 9, **KEPT) for match in ("udp", "tcp"))
    networks.settle()
    before = numbers(networks)
    networks.delete(second, out_of=(switch, "acls"))
    networks.settle()
    third = networks.acl(switch, "to-lport", "icmp", "allow-related", 9, **KEPT)
    networks.settle()
    assert numbers(networks) == {first.uuid: before[first.uuid], third.uuid: 3}


def test_a_port_groups_acl_costs_the_same_for_any_number_of_switches(networks):
    ports = [networks.port(networks.switch(f"s{n}"), f"p{n}") for n in range(9)]
    group = networks.group("pg", *ports)
    networks.acl(group, "to-lport", "tcp", "allow-related", 9)
    acl = networks.acl(group, "to-lport", "udp", "allow-related", 9, **KEPT)
    networks.settle()
    assert len(passing(networks)) == 1
    assert len(networks.flows("ls_out_stateful", datapath="s7")) == len(networks.flows("ls_out_stateful"))
    networks.update(acl, match="sctp")
    assert networks.settle()["acl_flows"] == 1
    networks.acl(group, "to-lport", "icmp", "allow-related", 9, **KEPT)
    ran = networks.settle()
    assert ran["acl_flows"] <= 3, ran
    assert ran.get("acl_groups", 0) == 0, "the switches are in the group already"


def test_acls_without_a_number_still_allow(networks, monkeypatch):
    monkeypatch.setattr(acl_persistence.IDS, "high", 1)
    switch = networks.switch("s0")
    for match in ("udp", "tcp"):
        networks.acl(switch, "to-lport", match, "allow-related", 9, **KEPT)
    networks.settle()
    assert len(passing(networks)) == 1
    assert len([flow for flow in networks.flows("ls_out_acl") if flow[1] == 1009]) == 4
    assert len(networks.findings()) == 1
    with_number = next(acl for acl in switch.acls if acl.uuid in numbers(networks))
    networks.delete(with_number, out_of=(switch, "acls"))
    networks.settle()
    assert not networks.findings()
