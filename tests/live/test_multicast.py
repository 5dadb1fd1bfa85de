"""Multicast with real sockets: a stream reaches those who joined, in their switch and behind a router, and nobody else.

What must not arrive is proved without waiting: something that reaches everybody is sent after it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import programs
from ovenbird.lab.command import run
from support.live.capture import Capture
from support.live.traffic import Program
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

HOSTS = ("hv1", "hv2")
ARRANGEMENTS = {
    "ours": (programs.split(api=False), {}),
    "the original's northd": (programs.split(northd=programs.ORIGINAL_NORTHD, api=False), {}),
    "the original's controllers": (programs.split(api=False), dict.fromkeys(HOSTS, programs.ORIGINAL_CONTROLLER)),
}
PLACES = {  # switch, host, and the last octet of the addresses
    "source": ("s0", "hv1", 1), "near": ("s0", "hv1", 2), "far": ("s0", "hv2", 3), "deaf": ("s0", "hv2", 4),
    "beyond": ("s1", "hv2", 5), "aside": ("s1", "hv2", 6),
}  # fmt: skip
FOUR, SIX, OTHER, AGEING, EVERYBODY = "239.1.1.1", "ff0e::1:1", "239.7.7.7", "239.9.9.9", "224.0.0.251"

JOIN = """
import socket, struct, sys, threading
index = socket.if_nametoindex("eth0")
kept = []
for group in sys.argv[1:]:
    six = ":" in group
    family = socket.AF_INET6 if six else socket.AF_INET
    kept.append(socket.socket(family, socket.SOCK_DGRAM))
    address = socket.inet_pton(family, group)
    if six:
        kept[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, address + struct.pack("I", index))
    else:
        kept[-1].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, address + bytes(4) + struct.pack("i", index))
print("ready", flush=True)
threading.Event().wait()
"""
SEND = """
import socket, struct, sys
group, size = sys.argv[1], int(sys.argv[2])
index = socket.if_nametoindex("eth0")
if ":" in group:
    wire = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 8)
else:
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4si", bytes(4), bytes(4), index))
    wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
wire.sendto(bytes(size), (group, 5000))
"""
REPORT = """
import socket, struct, sys
wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
way = struct.pack("4s4si", bytes(4), bytes(4), socket.if_nametoindex("eth0"))
wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, way)
group = socket.inet_aton(sys.argv[1])
total = sum(struct.unpack(">4H", bytes([0x16, 0, 0, 0]) + group))
total = (total & 0xFFFF) + (total >> 16)
wire.sendto(struct.pack(">BBH4s", 0x16, 0, ~total & 0xFFFF, group), (sys.argv[1], 0))
"""


def nbctl(lab: Lab, *arguments: str) -> str:
    return run(["ovn-nbctl", f"--db={lab.layout.remote('nb')}", *arguments])


def joined(lab: Lab, address: str) -> int:
    """Return on how many chassis somebody has joined a group in s0, as Southbound has it."""
    ask = ("--bare", "--columns=_uuid", "find", "IGMP_Group", f'address="{address}"')
    return len(run(["ovn-sbctl", f"--db={lab.layout.remote('sb')}", *ask]).split())


def network(lab: Lab) -> dict[str, Instance]:
    nbctl(lab, "lr-add", "r", "--", "set", "Logical_Router", "r", "options:mcast_relay=true")
    for number, name in enumerate(("s0", "s1")):
        nbctl(lab, "ls-add", name)
        port, mac = f"r-{name}", f"02:00:00:00:ff:0{number}"
        nbctl(lab, "lrp-add", "r", port, mac, f"10.{number}.0.254/24", f"fd00:{number}::fe/64")
        nbctl(lab, "lsp-add", name, f"to-{name}", "--", "lsp-set-type", f"to-{name}", "router", "--",
              "lsp-set-addresses", f"to-{name}", "router", "--",
              "lsp-set-options", f"to-{name}", f"router-port={port}")  # fmt: skip
        nbctl(lab, "set", "Logical_Switch", name, "other_config:mcast_snoop=true", "other_config:mcast_querier=true",
              f'other_config:mcast_eth_src="02:00:00:00:fe:0{number}"', f"other_config:mcast_ip4_src=10.{number}.0.253",
              f'other_config:mcast_ip6_src="fe80::fe:{number}"', "other_config:mcast_idle_timeout=15",
              "other_config:mcast_query_interval=2")  # fmt: skip
    made = {}
    for name, (switch, host, octet) in PLACES.items():
        mac, ip = f"02:00:00:00:00:0{octet}", f"10.{switch[1]}.0.{octet}"
        nbctl(lab, "lsp-add", switch, name, "--", "lsp-set-addresses", name, f"{mac} {ip}")
        made[name] = lab.attach(name, host=host, port_id=name, mac=mac, dhcp=False)
        made[name].run("ip", "address", "add", f"{ip}/24", "dev", "eth0")
    nbctl(lab, "--wait=hv", "sync")
    return made


class Stage:
    """Instances, and what each of them sees of the stream."""

    def __init__(self, lab: Lab, instances: dict[str, Instance], stack: ExitStack) -> None:
        self.lab, self.instances, self.stack = lab, instances, stack
        self.wires = {
            name: stack.enter_context(Capture(each.namespace, "eth0", "udp port 5000"))
            for name, each in instances.items()
        }
        self.sizes = iter(range(10, 1000))

    def send(self, group: str, size: int, by: str = "source") -> None:
        self.instances[by].run("python3", "-c", SEND, group, str(size))

    def sees(self, name: str, size: int) -> bool:
        return any(f"UDP, length {size}" in line for line in self.wires[name].lines)

    def until_seen(self, group: str, *names: str) -> None:
        """Send to a group until everybody of some has got it."""
        size = next(self.sizes)

        def arrives() -> bool:
            self.send(group, size)
            return all(self.sees(name, size) for name in names)

        until(arrives, what=f"{names} to see {group}")

    def seen(self, group: str) -> set[str]:
        """Send once to a group; return who has got it when everybody has got what was sent afterwards."""
        nbctl(self.lab, "--wait=hv", "sync")
        size, end, end_beyond = next(self.sizes), next(self.sizes), next(self.sizes)
        self.send(group, size)
        self.send(EVERYBODY, end)
        here = [name for name, place in PLACES.items() if place[0] == "s0" and name != "source"]
        until(lambda: all(self.sees(name, end) for name in here), what="the end in s0")
        self.send(EVERYBODY, end_beyond, by="aside")
        until(lambda: self.sees("beyond", end_beyond), what="the end in s1")
        return {name for name in PLACES if name != "source" and self.sees(name, size)}


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_members_of_a_group_receive_the_stream(originals: None, make_lab: Callable[..., Lab], arrangement: str) -> None:
    central, controllers = ARRANGEMENTS[arrangement]
    lab = make_lab(hosts=HOSTS, gateways=(), central=central, controllers=controllers)
    instances = network(lab)
    with ExitStack() as stack:
        stage = Stage(lab, instances, stack)
        until(lambda: stage.seen(OTHER) == set(), what="nobody to get what nobody joined")
        instances["deaf"].run("python3", "-c", REPORT, AGEING)  # nobody says so again: it ends after 15 seconds
        until(lambda: joined(lab, AGEING) == 1, what="the report to be heard")
        far = stack.enter_context(Program(instances["far"], "python3", "-c", JOIN, FOUR, SIX, ready=True))
        stack.enter_context(Program(instances["beyond"], "python3", "-c", JOIN, FOUR, SIX, ready=True))
        for group in (FOUR, SIX):
            stage.until_seen(group, "far", "beyond")
            assert stage.seen(group) == {"far", "beyond"}
        nbctl(lab, "set", "Logical_Switch_Port", "near", "options:mcast_flood=true")
        stage.until_seen(OTHER, "near")
        assert stage.seen(OTHER) == {"near"}
        assert stage.seen(FOUR) == {"near", "far", "beyond"}
        far.close()
        until(lambda: joined(lab, FOUR) == 1, what="who leaves to be forgotten")
        until(lambda: stage.seen(FOUR) == {"near", "beyond"}, what="the stream to end where nobody listens")
        nbctl(lab, "set", "Logical_Switch", "s0", "other_config:mcast_flood_unregistered=true")
        stage.until_seen(OTHER, "near", "far", "deaf")
        until(lambda: joined(lab, AGEING) == 0, what="what nobody reports to end")
        assert joined(lab, SIX) >= 1  # whoever answers the queries stays
        nbctl(lab, "set", "Logical_Switch", "s1", "other_config:mcast_snoop=false")
        nbctl(lab, "set", "Logical_Switch", "s0", "other_config:mcast_snoop=false")
        until(lambda: joined(lab, FOUR) + joined(lab, SIX) == 0, what="nothing to be snooped any more")
