"""A tenant network in a VLAN: what it routes reaches the gateway by physical networks alone, in either of two ways.

With `reside-on-redirect-chassis` all that it routes passes the gateway, by its VLAN; with `redirect-type=bridged` a
host routes by itself, and what is for the outside goes to the gateway by the outside's network (ovn-nb(5)).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import external_network, programs
from ovenbird.lab.command import run
from ovenbird.lab.external_network import ExternalNetwork
from support.live.capture import Capture
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

HOSTS = ("hv1", "hv2")
MAC, ROUTER_MAC, GATEWAY_MAC, TAG = "02:00:00:00:0a:01", "02:00:00:00:0a:fe", "02:00:00:00:0a:fd", 100
HOST_MACS = {"hv1": "02:00:00:00:0b:01", "hv2": "02:00:00:00:0b:02"}
ARRANGEMENTS = {
    "ours": (programs.split(api=False), {}),
    "the original's northd": (programs.split(api=False, northd=programs.ORIGINAL_NORTHD), {}),
    "the original's controllers": (programs.split(api=False), dict.fromkeys(HOSTS, programs.ORIGINAL_CONTROLLER)),
}


@pytest.fixture(params=ARRANGEMENTS)
def lab(request: pytest.FixtureRequest, originals: None, make_lab: Callable[..., Lab]) -> Lab:
    central, controllers = ARRANGEMENTS[request.param]
    lab = make_lab(hosts=HOSTS, gateways=HOSTS, central=central, controllers=controllers)
    network = f"network_name={external_network.PHYSICAL_NETWORK}"

    nb = partial(nbctl, lab)
    nb("lr-add", "r")
    for switch, mac, address, tag in (
        ("net", ROUTER_MAC, "10.10.0.254/24", f"{TAG}"), ("out", GATEWAY_MAC, "172.24.4.2/24", "[]"),
    ):  # fmt: skip
        nb("ls-add", switch, "--", "lsp-add", switch, f"{switch}-ln", "--", "lsp-set-type", f"{switch}-ln", "localnet")
        nb("lsp-set-addresses", f"{switch}-ln", "unknown", "--", "lsp-set-options", f"{switch}-ln", network)
        nb("set", "Logical_Switch_Port", f"{switch}-ln", f"tag_request={tag}")
        nb("lrp-add", "r", f"r-{switch}", mac, address, "--", "lsp-add", switch, f"{switch}-r")
        nb("lsp-set-type", f"{switch}-r", "router", "--", "lsp-set-addresses", f"{switch}-r", "router")
        nb("lsp-set-options", f"{switch}-r", f"router-port=r-{switch}")
    nb("lsp-set-options", "out-r", "router-port=r-out", "nat-addresses=router")  # not net-r: each host would announce
    nb("lrp-set-gateway-chassis", "r-out", "hv2")
    nb("lr-nat-add", "r", "snat", "172.24.4.2", "10.10.0.0/24")
    options = nb(
        "create", "DHCP_Options", "cidr=10.10.0.0/24",
        f'options={{server_id="10.10.0.254",server_mac="{ROUTER_MAC}",lease_time="3600",router="10.10.0.254",mtu="1400"}}',
    ).strip()  # fmt: skip
    nb("lsp-add", "net", "a", "--", "lsp-set-addresses", "a", f"{MAC} 10.10.0.1")
    nb("lsp-set-dhcpv4-options", "a", options)
    return lab


def nbctl(lab: Lab, *arguments: str) -> str:
    """Run ovn-nbctl on a lab's Northbound."""
    return run(["ovn-nbctl", f"--db={lab.layout.remote('nb')}", *arguments])


def see_request(lab: Lab, wanted: str) -> None:
    """Have an instance on hv1 reach the outside, and wait until such a request of it has passed there."""
    instance = lab.attach("a", host="hv1", port_id="a", mac=MAC)
    with Capture(ExternalNetwork(lab.layout).namespace, "br-outside", f"{wanted} and icmp") as wire:
        until(lambda: instance.pings(external_network.ADDRESS), what="the outside to answer")
        until(lambda: any("echo request" in line for line in wire.lines), what=f"an echo request: {wanted}")


def test_packets_to_outside_reach_the_gateway_in_the_networks_vlan(lab: Lab) -> None:
    nbctl(lab, "--wait=hv", "lrp-set-options", "r-net", "reside-on-redirect-chassis=true")
    see_request(lab, f"vlan {TAG} and ether src {MAC} and ether dst {ROUTER_MAC}")


def test_packets_routed_on_a_host_reach_the_gateway_in_the_external_network(lab: Lab) -> None:
    for host, mac in HOST_MACS.items():
        mapping = f'external_ids:ovn-chassis-mac-mappings="{external_network.PHYSICAL_NETWORK}:{mac}"'
        lab.hypervisor(host).vsctl("set", "Open_vSwitch", ".", mapping)
    nbctl(lab, "--wait=hv", "lrp-set-options", "r-out", "redirect-type=bridged")
    see_request(lab, f"ether src {HOST_MACS['hv1']} and ether dst {GATEWAY_MAC} and src host 10.10.0.1")
