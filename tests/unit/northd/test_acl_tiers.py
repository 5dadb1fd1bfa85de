"""Tiers of ACLs decide as ovn-nb(5) says, and switches without tiers have no flows for them."""

import random

import pytest

from ovenbird.model import nb
from support.northd import tiered_acls
from support.verify.traced import Traced

TIERS = ("ls_in_acl_tiers", "ls_out_acl_tiers")


@pytest.mark.parametrize("seed", range(40))
def test_the_first_tier_that_decides_has_the_last_word(seed):
    dice = random.Random(seed)
    acls, drops = tiered_acls.make(dice, stateful=dice.random() < 0.6), dice.random() < 0.4
    made = Traced()
    made.insert(nb.NBGlobal, options={"default_acl_drop": "true"} if drops else {})
    tiered_acls.fill(made, dice, acls)
    tracer = made.tracer()
    for port in tiered_acls.PORTS:
        expected = ["p2"] if tiered_acls.permitted(acls, port, drops=drops) else []
        for states in ([], ["est"] * 2):  # a new connection, and one that was allowed until now
            found = tracer.trace("s0", tiered_acls.microflow(port), states).outputs
            assert [name for name in found if name == "p2"] == expected, (acls, port, states)


def test_a_switch_without_tiers_has_no_flows_for_them_and_a_first_tier_is_as_without(networks):
    plain, tiered = networks.switch("plain"), networks.switch("tiered")
    ports = [networks.port(switch, f"in-{switch.name}") for switch in (plain, tiered)]
    group = networks.group("pg", *ports)
    networks.acl(group, "to-lport", "tcp", "allow-related", 9)
    networks.settle()
    before = networks.flows()
    networks.acl(tiered, "from-lport", "udp", "drop", 9, tier=2)
    networks.settle()
    assert networks.flows(datapath="plain") == [flow for flow in before if flow in networks.flows(datapath="plain")]
    assert not networks.flows(*TIERS, datapath="plain")
    assert [flow for flow in networks.flows() if flow not in before] == [
        ("ls_in_acl", 3, "1", "reg8[28..31] = 2; next(pipeline=ingress,table=27);"),
        *networks.flows(*TIERS, datapath="tiered"),
    ]


def test_pass_skips_acls_of_lower_priority_in_its_tier(networks):
    """Also where there is no other tier: the default comes next."""
    switch = networks.switch("s0")
    networks.acl(switch, "from-lport", "tcp", "pass", 9)
    networks.acl(switch, "from-lport", "ip", "drop", 8)
    networks.settle()
    assert ("ls_in_acl", 1009, "tcp", "reg8[28..31] = 1; next(pipeline=ingress,table=27);") in networks.flows()
    assert networks.flows("ls_in_acl_tiers") == [
        ("ls_in_acl_tiers", 0, "reg8[28..31] == {1, 2, 3, 4}", "next(pipeline=ingress,table=9);")
    ]
