"""Which matches have a template, and where its slots are."""

from __future__ import annotations

import pytest

from ovenbird.lang.bindings import Bindings
from ovenbird.lang.errors import UnknownNameError
from ovenbird.lang.templates.address_set import address_set_template

SETS = {"a": "there", "b": "there"}
BINDINGS = Bindings(port_groups={"pg": ["p", "q"]}, ports={"p": 1, "q": 2})


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("ip4.src == $a", {"ip_src": "a"}),
        ("!(ip4.src != $a)", {"ip_src": "a"}),
        ("ip6.dst == $a && tcp", {"ipv6_dst": "a"}),
        ("eth.src == $a", {"eth_src": "a"}),
        ("ip4.src == $a && ip4.dst == $b", {"ip_src": "a", "ip_dst": "b"}),
        ("tcp.dst == 80 || ip4.src == $a", {"ip_src": "a"}),
    ],
)
def test_a_set_that_is_alone_with_its_field_fills_a_slot(text, slots):
    found = address_set_template(text, BINDINGS, SETS)
    assert found is not None
    assert found.slots == slots


@pytest.mark.parametrize(
    "text",
    [
        "ip4.src != $a",
        "!(ip4.src == $a)",
        "ip4.src == {$a, $b}",
        "ip4.src == {$a, 10.0.0.1}",
        "ip4.src == $a || ip4.src == $b",
        "ip4.src == $a && ip4.src == 10.0.0.0/8",
        "ip4.src[0..7] == $a",
        "xxreg0 == $a",
        "ip4.src == 10.0.0.1",
    ],
)
def test_matches_whose_form_depends_on_members_have_no_template(text):
    assert address_set_template(text, BINDINGS, SETS) is None


def test_each_flow_with_a_hole_is_there_once():
    found = address_set_template("outport == @pg && ip4.src == $a", BINDINGS, SETS)
    assert found is not None
    assert [found.slot(flow.match) for flow in found.compiled.flows if "ip_src" in flow.match] == [("ip_src", "a")]
    assert found.compiled.n_conjunctions == 1
    assert len(found.compiled.flows) == 4  # the conjunction, two ports, one slot


def test_a_set_that_is_not_there_is_an_error_with_its_place():
    with pytest.raises(UnknownNameError) as raised:
        address_set_template("ip4.src == $none", BINDINGS, SETS)
    assert raised.value.start == 11
