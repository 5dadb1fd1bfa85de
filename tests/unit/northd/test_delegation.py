"""IPv6 prefix delegation, as far as it is Northbound's and Southbound's: who asks, who is given, who announces."""

import pytest

from ovenbird.model import nb, sb


@pytest.fixture
def routed(networks):
    """A router with a gateway that asks for prefixes, and a port that wants one and advertises."""
    networks.router = networks.insert(nb.LogicalRouter, name="r")
    networks.inner = networks.insert(
        nb.LogicalRouterPort, (networks.router, "ports"), name="in", mac="00:00:00:00:ff:01",
        networks=frozenset(["10.0.0.254/24"]), options={"prefix": "true"},
        ipv6_ra_configs={"address_mode": "slaac", "send_periodic": "true"},
    )  # fmt: skip
    networks.outer = networks.insert(
        nb.LogicalRouterPort, (networks.router, "ports"), name="out", mac="00:00:00:00:ff:02",
        networks=frozenset(["172.16.0.2/24"]), options={"prefix_delegation": "true"},
    )  # fmt: skip
    networks.insert(nb.GatewayChassis, (networks.outer, "gateway_chassis"), name="g", chassis_name="hv1", priority=1)
    networks.settle()
    return networks


def binding(made, name):
    (row,) = [row for row in made.rows(sb.PortBinding) if row.logical_port == name]
    return row


def delegate(made, text):
    row = binding(made, "in")
    made.update(row, options={**row.options, "ipv6_ra_pd_list": text})


def advertised(made):
    return [act for _, _, _, act in made.flows("lr_in_nd_ra_options") if "put_nd_ra_opts" in act]


def test_options_of_prefix_delegation_are_in_port_bindings(routed):
    assert binding(routed, "out").options["ipv6_prefix_delegation"] == "true"
    assert "ipv6_prefix" not in binding(routed, "out").options
    options = binding(routed, "in").options
    assert options["ipv6_prefix"] == "true"
    assert "ipv6_prefix_delegation" not in options
    assert "ipv6_ra_prefixes" not in options
    assert not advertised(routed)  # there is nothing yet


def test_a_delegated_prefix_is_copied_to_northbound_kept_and_advertised(routed):
    delegate(routed, "17:fd55:1::/64")
    routed.settle()
    assert routed.inner.ipv6_prefix == frozenset(["fd55:1::/64"])
    options = binding(routed, "in").options
    assert options["ipv6_ra_pd_list"] == "17:fd55:1::/64"
    assert options["ipv6_ra_prefixes"] == "fd55:1::/64"
    (answer,) = advertised(routed)
    assert answer.endswith("prefix = fd55:1::/64); next;")
    delegate(routed, "17:fd55:2::/64")
    routed.settle()
    assert routed.inner.ipv6_prefix == frozenset(["fd55:2::/64"])
    routed.update(routed.inner, networks=frozenset(["10.0.0.254/24", "fd55:2::1/64"]))
    routed.settle()
    (answer,) = advertised(routed)
    assert answer.count("prefix = fd55:2::/64") == 1


@pytest.mark.parametrize("text", ["fd55:1::/64", "17:", "17:fd55::1/64", "x:fd55:1::/64"])
def test_invalid_delegated_prefixes_are_not_advertised(routed, text):
    delegate(routed, text)
    routed.settle()
    assert not routed.inner.ipv6_prefix
    assert not advertised(routed)


def test_a_port_that_wants_none_any_more_announces_none(routed):
    delegate(routed, "17:fd55:1::/64")
    routed.settle()
    routed.update(routed.inner, options={})
    routed.settle()
    assert "ipv6_ra_pd_list" not in binding(routed, "in").options
    assert not advertised(routed)


def test_without_a_gateway_no_prefix_is_requested(routed):
    routed.update(routed.outer, gateway_chassis=frozenset())
    routed.settle()
    assert "ipv6_prefix_delegation" not in binding(routed, "out").options


def test_a_delegated_prefix_runs_the_rules_of_its_port_only(routed):
    delegate(routed, "17:fd55:1::/64")
    assert routed.wave() == {"router_port": 2, "delegated": 1}
