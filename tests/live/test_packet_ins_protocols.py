"""What the controller says of its own accord, on real switches: advertisements, BFD with the original, prefixes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ovenbird.lab import external_network, programs
from ovenbird.lab.external_network import ExternalNetwork
from ovenbird.lab.process import ProcessSpec
from support.waiting import until

if TYPE_CHECKING:
    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

Ctl = Callable[..., str]

MAC, GATEWAY, OUTER = "02:00:00:00:0a:01", "02:00:00:00:0a:fe", "02:00:00:00:0a:fd"

_SERVER = """
import socket, struct, sys
server = bytes.fromhex("00030001") + b"\\x02\\0\\0\\0\\0\\x01"
index = socket.if_nametoindex(sys.argv[1])

def options(data):
    found = {}
    while data:
        code, size = struct.unpack_from("!HH", data)
        found[code] = data[4 : 4 + size]
        data = data[4 + size :]
    return found

def option(code, value):
    return struct.pack("!HH", code, len(value)) + value

with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as heard:
    heard.bind(("::", 547))
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:2") + struct.pack("@I", index)
    heard.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    while True:
        data, peer = heard.recvfrom(2048)
        asked = options(data[4:])
        print(data[0], peer, flush=True)
        prefix = struct.pack("!IIB16s", 1800, 3600, 56, socket.inet_pton(socket.AF_INET6, "2001:db8:77::"))
        association = asked[25][:4] + struct.pack("!II", 900, 1440) + option(26, prefix)
        kind = 2 if data[0] == 1 else 7
        answer = bytes([kind]) + data[1:4] + option(1, asked[1]) + option(2, server) + option(25, association)
        heard.sendto(answer, peer)
"""

_HEAR = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd)) as listener:
    listener.bind(("eth0", 0))
    listener.settimeout(20)
    heard = 0
    while heard < int(sys.argv[1]):
        frame = listener.recv(2048)
        if frame[20] == 58 and frame[54] == 134:
            heard += 1
            print(frame.hex(), flush=True)
"""


_ANNOUNCED = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as listener:
    listener.bind((sys.argv[1], 0))
    listener.settimeout(20)
    print("ready", flush=True)
    while True:
        frame = listener.recv(2048)
        arp = frame[12:14] in (b"\\x08\\x06", b"\\x80\\x35")
        advert = frame[12:14] == b"\\x86\\xdd" and frame[20] == 58 and frame[54] == 136
        if (arp or advert) and frame[6:12].hex() == sys.argv[2]:
            print(frame.hex(), flush=True)
"""


ARRANGEMENTS: dict[str, dict[str, Any]] = {
    "ours with the original's": {"central": programs.originals, "controllers": {"hv2": programs.ORIGINAL_CONTROLLER}},
    "ours alone": {"central": programs.split(api=False)},
}


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def lab(request: pytest.FixtureRequest, originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    """Our controller on hv1, the original's or another of ours on hv2."""
    hosts = ("hv1", "hv2")
    return make_module_lab(hosts=hosts, gateways=hosts, **ARRANGEMENTS[request.param])


@pytest.fixture
def other(lab: Lab, request: pytest.FixtureRequest) -> ProcessSpec:
    """The controller of hv2."""
    program = ARRANGEMENTS[request.node.callspec.params["lab"]].get("controllers", {}).get("hv2")
    return programs.controller(lab.hypervisor("hv2"), program)


@pytest.fixture(scope="module")
def instance(lab: Lab, nb: Ctl) -> Instance:
    """Instance a on hv1, behind a router whose gateway is hv1 too."""
    nb("ls-add", "net", "--", "ls-add", "out", "--", "lr-add", "r")
    for switch, mac, addresses in (("net", GATEWAY, ("fd0a::1/64",)), ("out", OUTER, ("172.24.4.2/24", "fd0b::1/64"))):
        nb("lrp-add", "r", f"r-{switch}", mac, *addresses, "--", "lsp-add", switch, f"{switch}-r")
        nb("lsp-set-type", f"{switch}-r", "router", "--", "lsp-set-addresses", f"{switch}-r", "router")
        nb("lsp-set-options", f"{switch}-r", f"router-port=r-{switch}")
    nb("lsp-add", "out", "ln", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln", "unknown")
    nb("lsp-set-options", "ln", f"network_name={external_network.PHYSICAL_NETWORK}")
    nb("lrp-set-gateway-chassis", "r-out", "hv1", "20")
    nb("lsp-add", "net", "a", "--", "lsp-set-addresses", "a", f"{MAC} fd0a::5")
    nb("--wait=hv", "sync")
    return lab.attach("a", host="hv1", port_id="a", mac=MAC, dhcp=False)


def test_an_instance_hears_advertisements_that_it_did_not_ask_for(instance: Instance, nb: Ctl) -> None:
    said = ("address_mode=slaac", "send_periodic=true", "max_interval=4", "min_interval=3", "mtu=1400")
    nb("set", "Logical_Router_Port", "r-net", *(f"ipv6_ra_configs:{text}" for text in said))
    frames = [bytes.fromhex(line) for line in instance.run(sys.executable, "-c", _HEAR, "2").split()]
    for frame in frames:
        assert frame[6:12].hex(":") == GATEWAY
        assert bytes.fromhex("fd0a" + "00" * 14) in frame
        assert bytes.fromhex("050100000000") + (1400).to_bytes(2, "big") in frame


def outside_bridge(lab: Lab) -> str:
    """Return the name of the interface that the outside world has."""
    links = ExternalNetwork(lab.layout).namespace.run("ip", "-o", "link", "show", "type", "bridge")
    return links.split()[1].rstrip(":")


def test_a_delegated_prefix_reaches_northbound(lab: Lab, instance: Instance, nb: Ctl) -> None:
    assert instance.host == "hv1"
    world, bridge = ExternalNetwork(lab.layout).namespace, outside_bridge(lab)
    world.run("sysctl", "-q", "-w", f"net.ipv6.conf.{bridge}.disable_ipv6=0", f"net.ipv6.conf.{bridge}.accept_dad=0")
    log = str(lab.layout.rundir / "delegating.log")
    server = ProcessSpec("delegating", (sys.executable, "-c", _SERVER, bridge), log, namespace=world.name)
    lab.keep(server)
    try:
        nb("set", "Logical_Router_Port", "r-out", "options:prefix_delegation=true")
        nb("set", "Logical_Router_Port", "r-net", "options:prefix=true")
        port = ("list", "Logical_Router_Port", "r-net")
        until(lambda: "2001:db8:77::/56" in nb("--bare", "--columns=ipv6_prefix", *port), what="the prefix")
    finally:
        lab.drop("delegating")


def announcements(lab: Lab, mac: str, change: Callable[[], object], count: int) -> set[str]:
    """Make a change, and return the first different frames that the outside hears of a hardware address."""
    world = ExternalNetwork(lab.layout).namespace
    argv = world.enter(sys.executable, "-c", _ANNOUNCED, outside_bridge(lab), mac.replace(":", ""))
    heard: set[str] = set()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as listener:
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "ready\n"
            change()
            until(lambda: heard.add(listener.stdout.readline().strip()) or len(heard) >= count, what="announcements")
        finally:
            listener.kill()
    return heard


def test_a_gateway_that_comes_is_announced_as_the_originals_is(lab: Lab, instance: Instance, nb: Ctl) -> None:
    assert instance.host == "hv1"
    nb("lsp-set-options", "out-r", "router-port=r-out", "nat-addresses=router")
    nb("lr-nat-add", "r", "dnat_and_snat", "172.24.4.20", "10.77.9.9")
    nb("lr-nat-add", "r", "snat", "172.24.4.21", "10.77.9.0/24")
    nb("--wait=hv", "sync")
    found = {}
    for host, priority in (("hv2", "30"), ("hv1", "40")):
        choose = partial(nb, "lrp-set-gateway-chassis", "r-out", host, priority)
        found[host] = announcements(lab, OUTER, choose, 3)
    assert found["hv1"] == found["hv2"]


def test_an_instance_on_a_physical_network_is_announced_as_by_the_original(
    lab: Lab, instance: Instance, nb: Ctl
) -> None:
    assert instance.host == "hv1"
    mac = "02:00:00:00:0a:77"
    nb("lsp-add", "out", "direct", "--", "lsp-set-addresses", "direct", f"{mac} 172.24.4.77 fd0b::77")
    found = {}
    for host, count in (("hv2", 1), ("hv1", 2)):
        plug = partial(lab.attach, "direct", host=host, port_id="direct", mac=mac, dhcp=False)
        found[host] = announcements(lab, mac, plug, count)
        lab.delete("direct")
    assert found["hv2"] <= found["hv1"]  # of which the original's leaves IPv6 addresses out


@pytest.fixture(scope="module")
def routers(nb: Ctl) -> tuple[str, str]:
    """Two gateway routers on a switch, one on each hypervisor, that watch each other."""
    nb("ls-add", "join")
    for number, host in ((1, "hv1"), (2, "hv2")):
        router, port = f"g{number}", f"g{number}-j"
        nb("lr-add", router, "--", "set", "Logical_Router", router, f"options:chassis={host}")
        nb("lrp-add", router, port, f"02:00:00:00:0b:0{number}", f"10.77.0.{number}/24", f"fd77::{number}/64")
        nb("lsp-add", "join", f"j-{port}", "--", "lsp-set-type", f"j-{port}", "router")
        nb("lsp-set-addresses", f"j-{port}", "router", "--", "lsp-set-options", f"j-{port}", f"router-port={port}")
    for number, other in ((1, 2), (2, 1)):
        for family, prefix, address in (("4", "0.0.0.0/0", f"10.77.0.{other}"), ("6", "::/0", f"fd77::{other}")):
            row = nb(
                "create", "BFD", f"logical_port=g{number}-j", f'dst_ip="{address}"', "min_tx=250", "min_rx=250",
                "detect_mult=3", f"external_ids:family={family}",
            ).strip()  # fmt: skip
            nb(f"--bfd={row}", "lr-route-add", f"g{number}", prefix, address, f"g{number}-j")
    nb("--wait=hv", "sync")
    return "g1-j", "g2-j"


def states(sb: Ctl, port: str) -> list[str]:
    return sb("--bare", "--columns=status", "find", "BFD", f"logical_port={port}").split()


def test_two_routers_watch_each_other(lab: Lab, other: ProcessSpec, routers: tuple[str, str], nb: Ctl, sb: Ctl) -> None:
    ours, theirs = routers
    until(lambda: states(sb, ours) == ["up", "up"] == states(sb, theirs), what="both ends to be up")
    until(lambda: nb("--bare", "--columns=status", "list", "BFD").split() == ["up"] * 4, what="Northbound to say so")
    if other.argv[0] != programs.ORIGINAL_CONTROLLER[0]:  # the original's switches take such packets for their own
        tunnels = partial(lab.hypervisor("hv1").vsctl, "--bare", "--columns=bfd_status", "find", "Interface")
        until(lambda: "remote_state=up state=up" in tunnels("type=geneve"), what="the tunnel's own BFD to be up")

    def stays_up() -> bool:
        """Whether they are up for more than the detection time: a starved machine may miss it now and then."""
        return all(states(sb, ours) == ["up", "up"] for _ in range(30) if not time.sleep(0.04))

    until(stays_up, what="both ends to stay up")
    lab.drop(other.name)
    try:
        until(lambda: states(sb, ours) == ["down", "down"], what="our end to notice silence")
    finally:
        lab.keep(other)
    until(lambda: states(sb, ours) == ["up", "up"] == states(sb, theirs), what="both ends to be up again")
