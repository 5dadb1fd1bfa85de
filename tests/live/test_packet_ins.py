"""What the controller does with packets that are handed to it, on real switches."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import external_network, programs
from ovenbird.lab.process import ProcessSpec
from support.waiting import until

if TYPE_CHECKING:
    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

Nbctl = Callable[..., str]

ROUTER = "172.24.4.2"
MACS = {"a": "02:00:00:00:09:01", "c": "02:00:00:00:09:03"}
GATEWAY = "02:00:00:00:09:fe"

_FLOOD = """
import socket, struct, sys
mac = bytes.fromhex(sys.argv[1].replace(":", ""))
gateway = bytes.fromhex(sys.argv[2].replace(":", ""))

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF

def ip(src, dst, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, 17, 0, src, dst)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload

def discover(number):
    bootp = struct.pack("!BBBBIHH16x16s192x4s", 1, 1, 6, 0, number, 0, 0x8000, mac, bytes.fromhex("63825363"))
    bootp += bytes([53, 1, 1, 255])
    udp = struct.pack("!HHHH", 68, 67, 8 + len(bootp), 0) + bootp
    return bytes([255] * 6) + mac + b"\\x08\\x00" + ip(bytes(4), bytes([255] * 4), udp)

def unresolved(number):  # each to another neighbour that nobody is
    there = bytes([172, 24, 4, 210 + number % 40])
    udp = struct.pack("!HHHH", 9, 9, 8, 0)
    return gateway + mac + b"\\x08\\x00" + ip(bytes([10, 9, 0, 1]), there, udp)

with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
    out.bind(("eth0", 0))
    for number in range(int(sys.argv[3])):
        out.send(discover(number) if number % 2 else unresolved(number))
print("flooded")
"""


@pytest.fixture(scope="module")
def lab(originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    return make_module_lab(hosts=("hv1", "hv2"), gateways=("hv2",), central=programs.originals)


@pytest.fixture(scope="module")
def instance(lab: Lab, nb: Nbctl) -> Instance:
    """Instance a on hv1, behind a router whose gateway is hv2; another port c that nobody uses yet."""
    nb("ls-add", "net", "--", "ls-add", "out", "--", "lr-add", "r")
    for switch, mac, address in (("net", GATEWAY, "10.9.0.254/24"), ("out", "02:00:00:00:09:fd", f"{ROUTER}/24")):
        nb("lrp-add", "r", f"r-{switch}", mac, address, "--", "lsp-add", switch, f"{switch}-r")
        nb("lsp-set-type", f"{switch}-r", "router", "--", "lsp-set-addresses", f"{switch}-r", "router")
        nb("lsp-set-options", f"{switch}-r", f"router-port=r-{switch}")
    nb("lsp-add", "out", "ln", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln", "unknown")
    nb("lsp-set-options", "ln", f"network_name={external_network.PHYSICAL_NETWORK}")
    nb("lrp-set-gateway-chassis", "r-out", "hv2", "20")
    nb("lr-nat-add", "r", "snat", ROUTER, "10.9.0.0/24")
    options = nb(
        "create", "DHCP_Options", "cidr=10.9.0.0/24",
        f'options={{server_id="10.9.0.254",server_mac="{GATEWAY}",lease_time="3600",router="10.9.0.254",mtu="1400"}}',
    ).strip()  # fmt: skip
    for number, (name, mac) in enumerate(MACS.items(), 1):
        nb("lsp-add", "net", name, "--", "lsp-set-addresses", name, f"{mac} 10.9.0.{number}")
        nb("lsp-set-dhcpv4-options", name, options)
    nb("--wait=hv", "sync")
    found = lab.attach("a", host="hv1", port_id="a", mac=MACS["a"])
    until(lambda: found.address == "10.9.0.1", what="an address")
    until(lambda: found.pings(external_network.ADDRESS), what="the outside to answer")
    return found


def test_the_first_packet_to_a_neighbour_is_not_lost(instance: Instance, nb: Nbctl, sb: Nbctl) -> None:
    for _ in range(3):
        sb("--all", "destroy", "MAC_Binding")
        nb("--wait=hv", "sync")
        assert instance.pings(external_network.ADDRESS, wait=3)
        until(
            lambda: external_network.ADDRESS in sb("--bare", "--columns=ip", "list", "MAC_Binding"),
            what="the address",
        )


def test_a_virtual_port_is_where_its_address_is_announced(instance: Instance, nb: Nbctl, sb: Nbctl) -> None:
    options = ("virtual-ip=10.9.0.50", "virtual-parents=a")
    nb("lsp-add", "net", "vip", "--", "lsp-set-type", "vip", "virtual", "--", "lsp-set-options", "vip", *options)
    nb("--wait=hv", "sync")
    address = "0a090032"
    arp = "0001080006040001" + MACS["a"].replace(":", "") + address + "00" * 6 + address
    frame = "ff" * 6 + MACS["a"].replace(":", "") + "0806" + arp
    send = f"import socket; s = socket.socket(17, 3); s.bind(('eth0', 0)); s.send(bytes.fromhex('{frame}'))"
    instance.run(sys.executable, "-c", send)
    columns = ("--bare", "--columns=virtual_parent", "find", "Port_Binding", "logical_port=vip")
    until(lambda: sb(*columns).strip() == "a", what="the virtual port to be bound")
    nb("--wait=hv", "lsp-del", "vip")


def flood(lab: Lab, instance: Instance, packets: int) -> str:
    """Start a flood, and return the file in which it says that it is over."""
    log = str(instance.rundir / "flood.log")
    argv = (sys.executable, "-c", _FLOOD, MACS["a"], GATEWAY, str(packets))
    lab.keep(ProcessSpec("flood", argv, log, namespace=instance.namespace.name))
    return log


def binding_time(lab: Lab, nb: Nbctl, sb: Nbctl) -> float:
    """Plug port c in on hv1, and return the seconds until its flows are there and Southbound says that it is up."""

    def up() -> str:
        return sb("--bare", "--columns=up", "find", "Port_Binding", "logical_port=c").strip()

    start = time.monotonic()
    lab.attach("c", host="hv1", port_id="c", mac=MACS["c"], dhcp=False)
    try:
        until(lambda: up() == "true", what="c to be up")
        took = time.monotonic() - start
        assert 'iface-id="c"' not in lab.hypervisor("hv1").ofctl("dump-flows", "br-int")
        nb("--wait=hv", "sync")
    finally:
        lab.delete("c")
    until(lambda: up() == "false", what="c to be down")
    return took


def test_a_flood_does_not_keep_a_port_from_being_bound(lab: Lab, instance: Instance, nb: Nbctl, sb: Nbctl) -> None:
    quiet = binding_time(lab, nb, sb)
    flood(lab, instance, 10_000_000)  # for as long as it takes
    try:
        until(lambda: _punted(lab) > 500, what="the flood to arrive")
        before = _punted(lab)
        flooded = binding_time(lab, nb, sb)
        assert _punted(lab) > before, "the flood was over too soon to tell anything"
    finally:
        lab.drop("flood")
    assert flooded < quiet + 25
    until(lambda: instance.pings(external_network.ADDRESS), what="the outside to answer after the flood")


def _punted(lab: Lab) -> int:
    """Return how many packets hv1's switch has handed up or wanted to."""
    text = lab.hypervisor("hv1").ofctl("dump-flows", "br-int")
    lines = [line for line in text.splitlines() if "controller(" in line]
    return sum(int(re.search(r"n_packets=(\d+)", line)[1]) for line in lines)  # type: ignore[index]


def test_a_meter_limits_what_is_handed_up(lab: Lab, instance: Instance, nb: Nbctl) -> None:
    """Of packets that do not pause: those that do the switch (3.1) takes past meters."""
    nb("meter-add", "few", "drop", "5", "pktps", "2")
    nb("copp-add", "limits", "arp-resolve", "few", "--", "lr-copp-add", "limits", "r")
    nb("--wait=hv", "sync")
    hypervisor = lab.hypervisor("hv1")

    def dropped() -> int:
        text = hypervisor.ofctl("-O", "OpenFlow13", "meter-stats", "br-int")
        return sum(int(count) for count in re.findall(r"^\s*\d+: packet_count:(\d+)", text, re.MULTILINE))

    assert "pktps" in hypervisor.ofctl("-O", "OpenFlow13", "dump-meters", "br-int")
    flood(lab, instance, 2000)
    try:
        until(lambda: dropped() > 100, what="the meter to drop")
    finally:
        lab.drop("flood")
    nb("clear", "Logical_Router", "r", "copp", "--", "meter-del", "few")
    nb("--wait=hv", "sync")
    until(lambda: "pktps" not in hypervisor.ofctl("-O", "OpenFlow13", "dump-meters", "br-int"), what="the meter to go")
