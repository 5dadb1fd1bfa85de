"""A router's routes by BGP: FRR beside the gateway announces what its kernel's table has, and learns from a peer.

The peer is the world outside. It reaches a floating IP, and a network of the cloud, only since they are announced to
it; instances reach a network behind it only since it is learned. The router's table has the number 77; no kernel needs
VRF devices for this (zebra's `ip import-table`).
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from ovenbird.lab import external_network, programs
from ovenbird.lab.command import run
from ovenbird.lab.external_network import ExternalNetwork
from ovenbird.lab.hypervisor import EXTERNAL_BRIDGE
from support.live import frr
from support.live.frr import Frr
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

TABLE = 77
FLOATING, NETWORK, LEARNED = "203.0.113.9", "10.10.0.0/24", "198.51.100.0/24"
ROUTER, GATEWAY = "172.24.4.2", "172.24.4.11"
MAC = "02:00:00:00:0a:01"

NEAR = f"""
ip prefix-list cloud permit 203.0.113.0/24 le 32
ip prefix-list cloud permit 172.24.4.0/24 ge 32
ip prefix-list cloud permit {NETWORK}
route-map out permit 10
 match ip address prefix-list cloud
 set ip next-hop {ROUTER}
route-map in permit 10
 set table {TABLE}
router bgp 65001
 bgp router-id {GATEWAY}
 no bgp ebgp-requires-policy
 neighbor {external_network.ADDRESS} remote-as 65002
 neighbor {external_network.ADDRESS} advertisement-interval 0
 neighbor {external_network.ADDRESS} timers connect 1
 address-family ipv4 unicast
  redistribute table {TABLE}
  neighbor {external_network.ADDRESS} route-map out out
  neighbor {external_network.ADDRESS} route-map in in
"""
FAR = f"""
router bgp 65002
 bgp router-id {external_network.ADDRESS}
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor {GATEWAY} remote-as 65001
 neighbor {GATEWAY} advertisement-interval 0
 neighbor {GATEWAY} timers connect 1
 address-family ipv4 unicast
  network {LEARNED}
"""


@pytest.fixture
def lab(originals: None, make_lab: Callable[..., Lab]) -> Lab:
    if missing := frr.missing():
        pytest.skip(f"missing {', '.join(missing)}: apt-get install frr")
    lab = make_lab(hosts=("gw", "hv1"), gateways=("gw",), central=programs.split(api=False))
    nb = partial(nbctl, lab)
    nb("lr-add", "r", "--", "set", "Logical_Router", "r", "options:dynamic-routing=true")
    nb("set", "Logical_Router", "r", f"options:requested-tnl-key={TABLE}")
    for switch, mac, address in (
        ("net", "02:00:00:00:0a:fe", "10.10.0.254/24"),
        ("out", "02:00:00:00:0a:fd", f"{ROUTER}/24"),
    ):
        nb("ls-add", switch, "--", "lrp-add", "r", f"r-{switch}", mac, address, "--", "lsp-add", switch, f"{switch}-r")
        nb("lsp-set-type", f"{switch}-r", "router", "--", "lsp-set-addresses", f"{switch}-r", "router")
        nb("lsp-set-options", f"{switch}-r", f"router-port=r-{switch}")
    nb(
        "lsp-add",
        "out",
        "out-ln",
        "--",
        "lsp-set-type",
        "out-ln",
        "localnet",
        "--",
        "lsp-set-addresses",
        "out-ln",
        "unknown",
    )
    nb("lsp-set-options", "out-ln", f"network_name={external_network.PHYSICAL_NETWORK}")
    nb("lrp-set-gateway-chassis", "r-out", "gw")
    nb("set", "Logical_Router_Port", "r-net", "options:dynamic-routing-redistribute=connected")
    nb("set", "Logical_Router_Port", "r-out", "options:dynamic-routing-redistribute=nat")
    options = nb(
        "create", "DHCP_Options", "cidr=10.10.0.0/24",
        'options={server_id="10.10.0.254",server_mac="02:00:00:00:0a:fe",lease_time="3600",router="10.10.0.254",mtu="1400"}',
    ).strip()  # fmt: skip
    nb("lsp-add", "net", "a", "--", "lsp-set-addresses", "a", f"{MAC} 10.10.0.1")
    nb("lsp-set-dhcpv4-options", "a", options, "--", "lr-nat-add", "r", "dnat_and_snat", FLOATING, "10.10.0.1")
    return lab


@pytest.fixture
def peers(lab: Lab) -> Iterator[tuple[Frr, Frr]]:
    """Give FRR beside the gateway and outside, which talk over the external network."""
    inside, outside = lab.hypervisor("gw").namespace, ExternalNetwork(lab.layout).namespace
    inside.batch([f"address add {GATEWAY}/24 dev {EXTERNAL_BRIDGE}", f"link set {EXTERNAL_BRIDGE} up"])
    inside.run("ethtool", "-K", EXTERNAL_BRIDGE, "tx", "off")
    outside.batch(["address add 198.51.100.1/32 dev lo"])
    with ExitStack() as stack:
        near = Frr(inside, zebra=f"ip import-table {TABLE}\n", bgpd=NEAR)
        far = Frr(outside, zebra="", bgpd=FAR)
        for each in (near, far):
            stack.callback(each.stop)
            each.start()
        yield near, far


def configured(table: int, router: str) -> str:
    """Return bgpd's configuration beside the gateway of another router, with the number of its table."""
    return NEAR.replace(f"table {TABLE}\n", f"table {table}\n").replace(f"next-hop {ROUTER}\n", f"next-hop {router}\n")


def nbctl(lab: Lab, *arguments: str) -> str:
    """Run ovn-nbctl on a lab's Northbound."""
    return run(["ovn-nbctl", f"--db={lab.layout.remote('nb')}", *arguments])


def learned(lab: Lab) -> set[tuple[str, ...]]:
    """Return the rows of Learned_Route: prefix and next hop."""
    select = {"op": "select", "table": "Learned_Route", "where": [], "columns": ["ip_prefix", "nexthop"]}
    query = json.dumps(["OVN_Southbound", select])  # ovn-sbctl of 23.03 does not know the table
    (answer,) = json.loads(run(["ovsdb-client", "transact", lab.layout.remote("sb"), query]))
    return {(row["ip_prefix"], row["nexthop"]) for row in answer["rows"]}


def kernel(lab: Lab) -> str:
    """Return the routes of OVN's in the gateway's table."""
    return lab.hypervisor("gw").namespace.run(
        *("sh", "-c", f"ip route show table {TABLE} proto 84 2>/dev/null || true")
    )


def test_routes_are_announced_and_learned_by_bgp(lab: Lab, peers: tuple[Frr, Frr]) -> None:
    _, far = peers
    world = ExternalNetwork(lab.layout)

    def routes() -> str:
        return world.namespace.run("ip", "route", "show", "proto", "bgp")

    instance = lab.attach("a", host="hv1", port_id="a", mac=MAC)
    until(lambda: f"{FLOATING} " in routes() and f"{NETWORK} " in routes(), what="the announced routes outside")
    until(lambda: world.pings(FLOATING), what="the floating IP to answer")
    until(lambda: learned(lab) == {(LEARNED, external_network.ADDRESS)}, what="the learned route")
    until(lambda: instance.pings("198.51.100.1"), what="an answer from behind the learned route")

    far.tell("configure terminal", "router bgp 65002", "address-family ipv4 unicast", f"no network {LEARNED}")
    until(lambda: not learned(lab), what="the learned route to be withdrawn")
    until(lambda: not instance.pings("198.51.100.1"), what="the switch to have no such route")

    nbctl(lab, "lr-nat-del", "r", "dnat_and_snat", FLOATING)
    until(lambda: FLOATING not in routes(), what="the floating IP to be withdrawn")
    assert f"{NETWORK} " in routes()
    nbctl(lab, "lrp-del-gateway-chassis", "r-out", "gw")
    until(lambda: not kernel(lab), what="the routes of a port that is not here any more to go")
    until(lambda: NETWORK not in routes(), what="the network to be withdrawn")


def test_a_floating_ip_of_a_speaker_is_announced_while_it_is_associated(
    originals: None, make_lab: Callable[..., Lab]
) -> None:
    if missing := frr.missing():
        pytest.skip(f"missing {', '.join(missing)}: apt-get install frr")
    lab = make_lab(hosts=("gw", "hv1"), gateways=("gw",), central=programs.split())
    world = ExternalNetwork(lab.layout)
    flat = {"provider:network_type": "flat", "provider:physical_network": external_network.PHYSICAL_NETWORK}
    with lab.neutron() as neutron, ExitStack() as stack:
        public = neutron.create("network", name="public", **{"router:external": True, **flat})["id"]
        pool = [{"start": "172.24.4.50", "end": "172.24.4.99"}]
        block = {"cidr": external_network.EXTERNAL_SUBNET, "gateway_ip": external_network.ADDRESS}
        neutron.create("subnet", network_id=public, ip_version=4, allocation_pools=pool, enable_dhcp=False, **block)
        network = neutron.create("network", name="net")["id"]
        subnet = neutron.create("subnet", network_id=network, ip_version=4, cidr=NETWORK)["id"]
        router = neutron.create("router", external_gateway_info={"network_id": public})
        url = f"{lab.layout.api}/v2.0"
        add = f"{url}/routers/{router['id']}/add_router_interface"
        httpx.put(add, json={"subnet_id": subnet}).raise_for_status()
        group = neutron.create("security_group", name="open")["id"]
        neutron.create("security_group_rule", security_group_id=group, direction="ingress", ethertype="IPv4")
        port = neutron.create("port", network_id=network, security_groups=[group], **{"binding:host_id": "hv1"})
        lab.attach("a", host="hv1", port_id=port["id"], mac=port["mac_address"])
        floating = neutron.create("floatingip", floating_network_id=public, port_id=port["id"])
        address = floating["floating_ip_address"]
        made = {"bgp_speaker": {"name": "edge", "local_as": 65001, "ip_version": 4}}
        speaker = httpx.post(f"{url}/bgp-speakers", json=made).raise_for_status().json()["bgp_speaker"]["id"]
        path = f"{url}/bgp-speakers/{speaker}"
        httpx.put(f"{path}/add_gateway_network", json={"network_id": public}).raise_for_status()
        gateway = router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"]
        routes = httpx.get(f"{path}/get_advertised_routes").json()["advertised_routes"]
        assert routes == [{"destination": f"{address}/32", "next_hop": gateway}]
        sbctl = ["ovn-sbctl", f"--db={lab.layout.remote('sb')}", "--bare", "--columns=tunnel_key"]
        table = int(run([*sbctl, "find", "Datapath_Binding", f"external_ids:name=neutron-{router['id']}"]))

        inside, outside = lab.hypervisor("gw").namespace, world.namespace
        inside.batch([f"address add {GATEWAY}/24 dev {EXTERNAL_BRIDGE}", f"link set {EXTERNAL_BRIDGE} up"])
        inside.run("ethtool", "-K", EXTERNAL_BRIDGE, "tx", "off")
        for each in (
            Frr(inside, zebra=f"ip import-table {table}\n", bgpd=configured(table, gateway)),
            Frr(outside, zebra="", bgpd=FAR),
        ):
            stack.callback(each.stop)
            each.start()

        def announced() -> bool:
            routes = outside.run("ip", "route", "show", "proto", "bgp").splitlines()
            return any(route.startswith(f"{address} ") and f"via {gateway} " in route for route in routes)

        until(announced, what="the floating IP to be announced")
        until(lambda: world.pings(address), what="the floating IP to answer")
        neutron.update("floatingip", floating["id"], port_id=None)
        until(lambda: not announced(), what="the floating IP to be withdrawn")
        neutron.update("floatingip", floating["id"], port_id=port["id"])
        until(announced, what="the floating IP to be announced again")
        neutron.delete("port", port["id"])
        until(lambda: not announced(), what="the floating IP to be withdrawn with its port")
