"""What chassis learned of neighbours goes when Northbound says otherwise."""

import pytest

from ovenbird.model import nb, sb

MAC = "00:00:00:00:ff:0{}"
FLOATING = "172.16.0.9"


@pytest.fixture
def site(networks):
    """Three routers with gateways in one outer network, at .1, .2 and .3; what is asked is what the third learned."""
    networks.insert(nb.NBGlobal)
    outside = networks.switch("outside")
    networks.routers = [None]
    for n in (1, 2, 3):
        router = networks.insert(nb.LogicalRouter, name=f"r{n}")
        gateway(networks, router, n)
        networks.routers.append(router)
        join = {"type": "router", "options": {"router-port": f"gw{n}"}}
        networks.port(outside, f"out-gw{n}", "router", **join)
    networks.settle()
    return networks


def gateway(networks, router, n, mac="", nets=("172.16.0.{}/24", "fd00::{}/64")):
    name = f"gw{n}"
    port = networks.insert(
        nb.LogicalRouterPort, (router, "ports"), name=name, mac=mac or MAC.format(n),
        networks=frozenset(net.format(n) for net in nets),
    )  # fmt: skip
    values = {"name": f"{name}-hv1", "chassis_name": "hv1", "priority": 1}
    networks.insert(nb.GatewayChassis, (port, "gateway_chassis"), **values)


def learn(networks, ip, mac, port="gw3"):
    (where,) = {p.datapath.uuid for p in networks.rows(sb.PortBinding) if p.logical_port == port}
    return networks.insert(
        sb.MACBinding, database=networks.sb, logical_port=port, ip=ip, mac=mac, timestamp=1, datapath=where
    )


def floating(networks, n, inner="10.0.0.1", **values):
    kind = {"type": "dnat_and_snat", "external_ip": FLOATING, "logical_ip": inner} | values
    return networks.insert(nb.NAT, (networks.routers[n], "nat"), **kind)


def known(networks):
    networks.settle()
    return {row.ip: row.mac for row in networks.rows(sb.MACBinding)}


def test_a_floating_address_that_is_deleted_is_forgotten_and_no_other(site):
    nat_rule = floating(site, 1)
    for ip in (FLOATING, "172.16.0.1", "fd00::1", "fe80::200:ff:fe00:ff01"):
        learn(site, ip, MAC.format(1))
    learn(site, "172.16.0.99", "00:00:00:00:99:99")
    before = known(site)
    assert len(before) == 5
    site.delete(nat_rule, (site.routers[1], "nat"))
    assert site.wave()["learned"] == 1, "what has another address does not even run"
    assert known(site) == {ip: mac for ip, mac in before.items() if ip != FLOATING}


def test_a_floating_address_moves_to_a_router_or_to_its_instances_chassis(site):
    nat_rule = floating(site, 1)
    learn(site, FLOATING, MAC.format(1))
    assert FLOATING in known(site)
    site.update(nat_rule, external_mac="00:00:00:00:ee:01", logical_port="vm")
    assert known(site) == {}
    learn(site, FLOATING, "00:00:00:00:ee:01")
    assert FLOATING in known(site)
    site.delete(site.routers[1])
    floating(site, 2)
    assert known(site) == {}


def test_a_gateway_that_is_made_again_has_another_address(site):
    learn(site, "172.16.0.1", MAC.format(1))
    learn(site, "fd00::1", MAC.format(1))
    assert len(known(site)) == 2
    site.delete(site.routers[1])
    assert len(known(site)) == 2, "nobody says otherwise"
    router = site.insert(nb.LogicalRouter, name="again")
    gateway(site, router, 1, mac="00:00:00:00:ff:aa")
    assert known(site) == {}


@pytest.mark.parametrize("kept", ["load balancer", "arp_proxy", "snat", "elsewhere", "nonsense"])
def test_neighbours_that_their_router_may_answer_for_are_kept(site, kept):
    ip, mac, port = "172.16.0.77", MAC.format(1), "gw3"
    if kept == "load balancer":
        row = site.insert(nb.LoadBalancer, name="lb")
        site.update(site.routers[1], load_balancer=frozenset([row.uuid]))
    elif kept == "arp_proxy":
        (lsp,) = [p for p in site.nb.store.table(nb.LogicalSwitchPort).rows.values() if p.name == "out-gw1"]
        site.update(lsp, options={**lsp.options, "arp_proxy": "172.16.0.77"})
    elif kept == "snat":
        floating(site, 1, "10.0.0.0/24", type="snat", external_ip=ip)
    elif kept == "elsewhere":  # a network that the router with that MAC address is not in
        port = "gw4"
        gateway(site, site.routers[3], 4, nets=("172.17.0.{}/24",))
        other = site.switch("other")
        site.port(other, "other-gw4", "router", type="router", options={"router-port": "gw4"})
    else:
        mac = "no MAC"
    site.settle()
    learn(site, ip, mac, port)
    assert ip in known(site)
    if kept != "nonsense":
        learn(site, "172.16.0.78", mac)
        assert ("172.16.0.78" in known(site)) is (kept in {"load balancer", "arp_proxy"})
