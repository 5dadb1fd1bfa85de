"""Next hops with symmetric replies are in Southbound while next hops are monitored and a route leads to them."""

import pytest

from ovenbird.model import nb, sb

MONITORED = {"ecmp_nexthop_monitor_enable": "true"}


@pytest.fixture
def edge(networks):
    """A gateway router with two routes to each of two networks, whose next hops are the same."""
    networks.settings = networks.insert(nb.NBGlobal, options=MONITORED)
    networks.edge = networks.insert(nb.LogicalRouter, name="edge", options={"chassis": "hv1"})
    values = {"mac": "00:00:00:00:ee:01", "networks": frozenset(["172.16.0.1/24", "fd00::1/64"])}
    networks.insert(nb.LogicalRouterPort, (networks.edge, "ports"), name="out", **values)
    networks.routes = [route(networks, f"10.{n}.0.0/16", f"172.16.0.{hop}") for n in (1, 2) for hop in (10, 11)]
    networks.settle()
    return networks


def route(networks, prefix, hop, **options):
    options = {"ecmp_symmetric_reply": "true"} | options
    values = {"ip_prefix": prefix, "nexthop": hop, "options": options}
    return networks.insert(nb.LogicalRouterStaticRoute, (networks.edge, "static_routes"), **values)


def learn(networks, hop, mac):
    (there,) = [row for row in networks.rows(sb.DatapathBinding) if row.external_ids["name"] == "edge"]
    values = {"logical_port": "out", "ip": hop, "mac": mac, "datapath": there.uuid}
    return networks.insert(sb.MACBinding, database=networks.sb, **values)


def hops(networks):
    return {row.nexthop: row.mac for row in networks.rows(sb.ECMPNexthop)}


def test_a_next_hop_is_there_until_its_last_route_is_gone(edge):
    assert hops(edge) == {"172.16.0.10": "", "172.16.0.11": ""}
    edge.delete(edge.routes[0], out_of=(edge.edge, "static_routes"))
    edge.settle()
    assert hops(edge) == {"172.16.0.10": "", "172.16.0.11": ""}
    edge.delete(edge.routes[2], out_of=(edge.edge, "static_routes"))
    edge.settle()
    assert hops(edge) == {"172.16.0.11": ""}
    route(edge, "fd10::/16", "FD00::0:7")
    route(edge, "10.9.0.0/16", "172.16.0.12", ecmp_symmetric_reply="false")
    edge.settle()
    assert hops(edge) == {"172.16.0.11": "", "fd00::7": ""}
    edge.update(edge.edge, options={})
    edge.settle()
    assert not hops(edge), "connections are remembered on gateway routers alone"
    edge.update(edge.edge, options={"chassis": "hv1"})
    edge.update(edge.settings, options={})
    edge.settle()
    assert not hops(edge)


def test_an_address_that_is_forgotten_stays_until_there_is_another(edge):
    """A neighbour that expires is learned anew: the connections by it go on."""
    learned = learn(edge, "172.16.0.10", "00:00:00:00:00:0A")
    ran = edge.settle()
    assert ran["static"] == 2, "the routes by this next hop"
    assert hops(edge)["172.16.0.10"] == "00:00:00:00:00:0a"
    edge.delete(learned)
    edge.settle()
    assert hops(edge)["172.16.0.10"] == "00:00:00:00:00:0a"
    learn(edge, "172.16.0.10", "00:00:00:00:00:0b")
    edge.settle()
    assert hops(edge)["172.16.0.10"] == "00:00:00:00:00:0b"
    values = {"logical_port": "out", "ip": "172.16.0.10", "mac": "00:00:00:00:00:0c", "override_dynamic_mac": True}
    edge.insert(nb.StaticMACBinding, **values)
    edge.settle()
    assert hops(edge) == {"172.16.0.10": "00:00:00:00:00:0c", "172.16.0.11": ""}


def test_a_neighbour_costs_no_route_where_next_hops_are_not_monitored(edge):
    edge.update(edge.settings, options={})
    edge.settle()
    learn(edge, "172.16.0.10", "00:00:00:00:00:0a")
    assert "static" not in edge.settle()
