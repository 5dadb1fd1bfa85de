"""Machines of a lab that are no instances of it: behind physical switches and networks, and containers in instances.

A container's packets carry the VLAN tag of its port between the instance and the switch (ovn-nb(5), `tag`). Many
kernels have no VLAN devices; so a program in the instance stands for them. It puts the tag into what leaves the
container, and hands the container what comes with the tag.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovenbird.lab.instance import INTERFACE
from ovenbird.lab.layout import INSTANCE_MTU
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.process import ProcessSpec
from ovenbird.lab.state import Kind

if TYPE_CHECKING:
    from ovenbird.lab.lab import Lab

TAGGING = """
import select, socket, struct, sys
ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA, OUTGOING = 3, 263, 8, 4  # packet(7)
TAGGED, VALID = 0x8100, 1 << 4  # IEEE 802.1Q; TP_STATUS_VLAN_VALID

def listen(device):
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    made.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    made.bind((device, ETH_P_ALL))
    return made

def frames(source):
    frame, extra, _, address = source.recvmsg(65536, 256)
    if address[2] != OUTGOING:
        for _, _, data in extra:  # the kernel has taken the outer tag off
            status, _, _, _, _, tci, protocol = struct.unpack("IIIHHHH", data[:20])
            if status & VALID:
                frame = frame[:12] + struct.pack("!HH", protocol or TAGGED, tci) + frame[12:]
        yield frame

trunk = listen(sys.argv[1])
inside = {int(tag): listen(device) for tag, device in zip(sys.argv[2::2], sys.argv[3::2])}
while True:
    for ready in select.select([trunk, *inside.values()], [], [])[0]:
        for frame in frames(ready):
            if ready is not trunk:
                tag = next(tag for tag, one in inside.items() if one is ready)
                trunk.send(frame[:12] + struct.pack("!HH", TAGGED, tag) + frame[12:])
            elif frame[12:14] == b"\\x81\\x00":
                one = inside.get(struct.unpack("!H", frame[14:16])[0] & 0xFFF)
                if one is not None:
                    one.send(frame[:12] + frame[16:])
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A network namespace with an interface `eth0`.

    Arguments:
        lab: it goes with this.
        name: unique in the lab.
        mac: of its interface.
        address: of its interface, IPv4; empty for none.
    """

    lab: Lab
    name: str
    mac: str
    address: str = ""

    @property
    def namespace(self) -> Namespace:
        """Its namespace."""
        return Namespace(f"{self.lab.layout.prefix}{self.name}", owner=self.lab.layout.owner)

    def connect(self, to: Namespace, device: str) -> Machine:
        """Make it, with a cable.

        Arguments:
            to: where the other end of the cable is.
            device: the other end.
        """
        self.lab.state.add(Kind.NAMESPACE, self.namespace.name)
        self.namespace.make()
        peer = f"peer name {device} mtu {INSTANCE_MTU} netns {to.name}"
        made = f"link add {INTERFACE} address {self.mac} mtu {INSTANCE_MTU} type veth {peer}"
        address = [f"address add {self.address}/24 dev {INTERFACE}"] if self.address else []
        self.namespace.batch([made, f"link set {INTERFACE} up", *address])
        self.run("ethtool", "-K", INTERFACE, "tx", "off")  # the userspace datapath hands packets on as they are
        to.batch([f"link set {device} up"])
        return self

    def run(self, *argv: str, timeout: float = 30.0) -> str:
        """Run a program to its end and return its output."""
        return self.namespace.run(*argv, timeout=timeout)

    def pings(self, address: str, *, wait: float = 1.0) -> bool:
        """Return whether an echo request is answered."""
        return "bytes from" in self.run("sh", "-c", f"ping -n -c 1 -W {wait:g} {address} || true")


def tag_containers(lab: Lab, inside: Namespace, trunk: str, machines: dict[int, Machine]) -> None:
    """Make machines whose packets are tagged on their way out of a namespace.

    Arguments:
        lab: they go with this.
        inside: where they are connected.
        trunk: the interface there that has their packets with tags.
        machines: by tag.
    """
    cables: list[str] = []
    for tag, machine in machines.items():
        device = f"tag{tag}"
        machine.connect(inside, device)
        cables += [str(tag), device]
    argv = (sys.executable, "-c", TAGGING, trunk, *cables)
    log = str(lab.layout.rundir / f"{inside.name}-{trunk}-tags.log")
    lab.keep(ProcessSpec(f"{inside.name}-{trunk}-tags", argv, log, namespace=inside.name))
