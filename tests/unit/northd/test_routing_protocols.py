"""Routing protocols of a router's port go to a daemon at its switch, and what is configured wrong is said."""

import pytest

from ovenbird.model import nb
from support.northd.gateways import attach

BOTH = {"routing-protocol-redirect": "daemon", "routing-protocols": "BGP,BFD"}


@pytest.fixture
def site(networks):
    networks.router = networks.insert(nb.LogicalRouter, name="r")
    networks.out, networks.other = networks.switch("out"), networks.switch("other")
    networks.lrp = attach(networks, networks.router, networks.out, 1)
    networks.daemon = networks.port(networks.out, "daemon", "unknown")
    networks.settle()
    return networks


def ports(site):
    """Return the transport ports whose packets are sent to the daemon."""
    found = [match.split(" && ") for _, priority, match, _ in site.flows("ls_in_l2_lkup") if priority == 100]
    return {parts[1] for parts in found if parts[0].startswith("ip4") and "nd_na" not in parts}


@pytest.mark.parametrize(
    ("words", "wanted", "findings"),
    [
        ("BGP,BFD", {"tcp.dst == 179", "tcp.src == 179", "udp.dst == 3784", "udp.src == 3784"}, 0),
        (" bfd ,", {"udp.dst == 3784", "udp.src == 3784"}, 0),
        ("OSPF,BGP", {"tcp.dst == 179", "tcp.src == 179"}, 1),
        ("", set(), 0),
    ],
)
def test_what_is_named_is_redirected(site, words, wanted, findings):
    before = site.flows()
    site.update(site.lrp, options={**BOTH, "routing-protocols": words})
    site.settle()
    assert ports(site) == wanted
    assert len(site.findings()) == findings
    if not wanted:
        assert site.flows() == before


@pytest.mark.parametrize("name", ["nowhere", "far"])
def test_a_daemon_elsewhere_gets_nothing(site, name):
    site.port(site.other, "far", "unknown")
    site.settle()
    before = site.flows()
    site.update(site.lrp, options={**BOTH, "routing-protocol-redirect": name})
    site.settle()
    assert site.flows() == before
    assert len(site.findings()) == 1


def test_it_follows_ports_and_costs_one_run(site):
    before = site.flows()
    site.update(site.lrp, options=BOTH)
    assert site.settle()["redirected"] == 1
    site.update(site.lrp, networks=frozenset(["10.7.0.1/24"]))
    site.settle()
    assert [flow for flow in site.flows("ls_in_l2_lkup") if "ip4.dst == 10.7.0.1 && tcp.dst" in flow[2]]
    other = site.port(site.out, "another", "00:00:00:00:00:05 10.7.0.5")
    assert "redirected" not in site.settle()
    site.delete(other, out_of=(site.out, "ports"))
    site.delete(site.daemon, out_of=(site.out, "ports"))
    site.settle()
    assert not ports(site)
    assert len(site.findings()) == 1
    site.port(site.out, "daemon", "unknown")
    site.settle()
    assert len(ports(site)) == 4
    site.update(site.lrp, options={})
    site.settle()
    assert len(site.flows()) == len(before)
