"""An instance that moves while it runs: its port is on two chassis at once (ovn-nb(5), `requested-chassis`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import programs
from ovenbird.lab.command import run
from ovenbird.lab.external_network import PHYSICAL_NETWORK
from support.live.capture import Capture
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

HOSTS = ("hv1", "hv2", "hv3")
MAC, OTHER_MAC = "02:00:00:00:01:01", "02:00:00:00:01:03"
ADDRESS, OTHER_ADDRESS = "10.9.0.1", "10.9.0.3"
ORIGINAL = programs.ORIGINAL_CONTROLLER
CONTROLLERS = {
    "ours": {},
    "the originals": dict.fromkeys(HOSTS, ORIGINAL),
    "the original where it comes from": {"hv1": ORIGINAL},
    "the original where it goes": {"hv2": ORIGINAL},
}
# A RARP request (RFC 903) as a hypervisor sends for an instance that has arrived.
ANNOUNCE = f"""
import socket
mac = bytes.fromhex({MAC.replace(":", "")!r})
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
wire.send(b"\\xff" * 6 + mac + bytes.fromhex("8035 0001 0800 0604 0003") + mac + bytes(4) + mac + bytes(4))
"""


@pytest.fixture(params=CONTROLLERS)
def lab(request: pytest.FixtureRequest, originals: None, make_lab: Callable[..., Lab]) -> Lab:
    central = programs.split(api=False)
    lab = make_lab(hosts=HOSTS, gateways=HOSTS, central=central, controllers=CONTROLLERS[request.param])
    nb = partial(nbctl, lab)
    nb("ls-add", "s")
    for port, mac, address in (("p1", MAC, ADDRESS), ("p3", OTHER_MAC, OTHER_ADDRESS)):
        nb("lsp-add", "s", port, "--", "lsp-set-addresses", port, f"{mac} {address}")
    return lab


def nbctl(lab: Lab, *arguments: str) -> str:
    """Run ovn-nbctl on a lab's Northbound."""
    return run(["ovn-nbctl", f"--db={lab.layout.remote('nb')}", *arguments])


def binding(lab: Lab, column: str) -> str:
    """Return a column of p1's port binding."""
    sb = f"--db={lab.layout.remote('sb')}"
    return run(["ovn-sbctl", sb, "--bare", f"--columns={column}", "find", "Port_Binding", "logical_port=p1"]).strip()


def chassis(lab: Lab, name: str) -> str:
    """Return a chassis's UUID."""
    sb = f"--db={lab.layout.remote('sb')}"
    return run(["ovn-sbctl", sb, "--bare", "--columns=_uuid", "find", "Chassis", f"name={name}"]).strip()


def attach(lab: Lab, name: str, host: str, port: str, mac: str, address: str) -> Instance:
    """Plug an instance in that has its address already."""
    instance = lab.attach(name, host=host, port_id=port, mac=mac, dhcp=False)
    instance.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
    return instance


def test_an_instance_is_reached_where_it_is_and_where_it_comes_to(lab: Lab) -> None:
    nbctl(lab, "lsp-set-options", "p1", "requested-chassis=hv1,hv2", "activation-strategy=rarp")
    attach(lab, "here", "hv1", "p1", MAC, ADDRESS)
    there = attach(lab, "there", "hv2", "p1", MAC, ADDRESS)
    other = attach(lab, "other", "hv3", "p3", OTHER_MAC, OTHER_ADDRESS)
    until(lambda: binding(lab, "additional_chassis") == chassis(lab, "hv2"), what="hv2 to claim the port too")
    assert binding(lab, "chassis") == chassis(lab, "hv1")
    nbctl(lab, "--wait=hv", "sync")
    with Capture(there.namespace, "eth0", "icmp") as wire:
        until(lambda: other.pings(ADDRESS, wait=0.3), what="the instance to answer where it is")
        assert not there.pings(OTHER_ADDRESS, wait=0.3)
        assert not any("> 10.9.0.1: ICMP echo request" in line for line in wire.lines)
        there.run("python3", "-c", ANNOUNCE)
        until(
            lambda: "additional-chassis-activated=hv2" in binding(lab, "options"), what="the announcement to be heard"
        )
        arrived = "> 10.9.0.1: ICMP echo request"
        until(lambda: other.pings(ADDRESS) and any(arrived in line for line in wire.lines), what="a copy to arrive")
    nbctl(lab, "lsp-set-options", "p1", "requested-chassis=hv2")
    until(lambda: binding(lab, "chassis") == chassis(lab, "hv2"), what="hv2 to have the port")
    until(lambda: binding(lab, "additional_chassis") == "", what="no other to have it")
    lab.delete("here")
    until(lambda: other.pings(ADDRESS, wait=0.3), what="the instance to answer where it has come to")


def test_packets_too_large_for_the_tunnel_are_answered_on_a_physical_network(lab: Lab) -> None:
    add = ("lsp-add", "s", "ln", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln", "unknown")
    nbctl(lab, *add, "--", "lsp-set-options", "ln", f"network_name={PHYSICAL_NETWORK}")
    nbctl(lab, "lsp-set-options", "p1", "requested-chassis=hv1,hv2")
    here = attach(lab, "here", "hv1", "p1", MAC, ADDRESS)
    lab.attach("there", host="hv2", port_id="p1", mac=MAC, dhcp=False)
    attach(lab, "other", "hv3", "p3", OTHER_MAC, OTHER_ADDRESS)
    until(lambda: binding(lab, "additional_chassis") == chassis(lab, "hv2"), what="hv2 to claim the port too")
    until(lambda: here.pings(OTHER_ADDRESS, wait=0.3), what="the other to answer")

    def told() -> bool:
        probe = f"ping -n -c 1 -W 0.5 -M do -s 1400 {OTHER_ADDRESS} || true"
        return "mtu = 1366" in here.run("sh", "-c", probe) or "mtu=1366" in here.run("sh", "-c", probe)

    until(told, what="the way's MTU")
