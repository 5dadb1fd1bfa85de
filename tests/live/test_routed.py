"""A routed network on real switches: out through a gateway, in by a floating IP, and over to the next gateway."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import outside, programs
from ovenbird.lab.command import run
from ovenbird.lab.outside import Outside
from ovenbird.lab.process import wait_until

if TYPE_CHECKING:
    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

Nbctl = Callable[..., str]

ROUTER, FLOATING = "172.24.4.2", "172.24.4.11"
MAC = "02:00:00:00:08:01"
ARRANGEMENTS = {
    "ours": {},
    "ours with the original's gateways": dict.fromkeys(("hv2", "hv3"), programs.ORIGINAL_CONTROLLER),
}
LIMIT = 5.0
"""Seconds in which the other gateway has to answer."""


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def lab(request: pytest.FixtureRequest, originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    hosts = ("hv1", "hv2", "hv3")
    controllers = ARRANGEMENTS[request.param]
    return make_module_lab(hosts=hosts, gateways=hosts[1:], central=programs.originals, controllers=controllers)


@pytest.fixture(scope="module")
def nb(lab: Lab) -> Nbctl:
    return lambda *arguments: run(["ovn-nbctl", f"--db={lab.plan.remote('nb')}", *arguments])


@pytest.fixture(scope="module")
def instance(lab: Lab, nb: Nbctl) -> Instance:
    """An instance on hv1 behind a router, with a floating IP at gateways hv2 (first) and hv3."""
    nb("ls-add", "net", "--", "ls-add", "out", "--", "lr-add", "r")
    for switch, mac, address in (
        ("net", "02:00:00:00:08:fe", "10.8.0.254/24"), ("out", "02:00:00:00:08:fd", f"{ROUTER}/24"),
    ):  # fmt: skip
        port = f"{switch}-r"
        nb("lrp-add", "r", f"r-{switch}", mac, address, "--", "lsp-add", switch, port)
        nb("lsp-set-type", port, "router", "--", "lsp-set-addresses", port, "router")
        nb("lsp-set-options", port, f"router-port=r-{switch}", "nat-addresses=router")
    nb("lsp-add", "out", "ln", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln", "unknown")
    nb("lsp-set-options", "ln", f"network_name={outside.PHYSICAL_NETWORK}")
    for host, priority in (("hv2", 20), ("hv3", 10)):
        nb("lrp-set-gateway-chassis", "r-out", host, str(priority))
    nb("lr-nat-add", "r", "dnat_and_snat", FLOATING, "10.8.0.1")
    options = nb(
        "create", "DHCP_Options", "cidr=10.8.0.0/24",
        'options={server_id="10.8.0.254",server_mac="02:00:00:00:08:fe",lease_time="3600",router="10.8.0.254",mtu="1400"}',
    ).strip()  # fmt: skip
    nb("lsp-add", "net", "a", "--", "lsp-set-addresses", "a", f"{MAC} 10.8.0.1")
    nb("lsp-set-dhcpv4-options", "a", options)
    nb("--wait=hv", "sync")
    return lab.attach("a", "hv1", "a", MAC)


def answered(lab: Lab, address: str) -> bool:
    """Return whether the outside world's echo request is answered."""
    command = f"ping -n -c 1 -W 0.3 {address} || true"
    return "bytes from" in Outside(lab.plan).namespace.run("sh", "-c", command)


def test_the_instance_reaches_the_outside_and_the_outside_the_instance(lab: Lab, instance: Instance) -> None:
    wait_until(lambda: instance.pings(outside.ADDRESS), "the outside to answer")
    wait_until(lambda: answered(lab, FLOATING), "the floating IP to answer")


def host_of(lab: Lab, port: str) -> str:
    """Return the chassis that hosts a port."""
    sbctl = ("ovn-sbctl", f"--db={lab.plan.remote('sb')}", "--bare")
    chassis = run([*sbctl, "--columns=chassis", "find", "Port_Binding", f"logical_port={port}"]).strip()
    return run([*sbctl, "--columns=name", "list", "Chassis", chassis]).strip() if chassis else ""


@pytest.mark.usefixtures("instance")
def test_the_second_gateway_takes_over_and_the_first_comes_back(lab: Lab, request: pytest.FixtureRequest) -> None:
    wait_until(lambda: answered(lab, FLOATING), "the floating IP to answer")
    lab.kill_host("hv2")
    start = time.monotonic()
    wait_until(lambda: answered(lab, FLOATING), "the other gateway")
    assert time.monotonic() - start < LIMIT
    assert host_of(lab, "cr-r-out") == "hv3"
    lab.start_host("hv2", program=ARRANGEMENTS[request.node.callspec.params["lab"]].get("hv2", ()))
    wait_until(lambda: host_of(lab, "cr-r-out") == "hv2", "the first gateway to come back")
    wait_until(lambda: answered(lab, FLOATING), "the first gateway's answer")
