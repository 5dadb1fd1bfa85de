"""What packets teach: neighbours (`put_arp`, `put_nd`) and MAC addresses behind ports (`put_fdb`).

The flow leaves the port's key and the address in registers; the answer is a row of Southbound's MAC_Binding or FDB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovenbird.lang.actions.userdata import Opcode
from ovenbird.net.addresses import ipv4_text, ipv6_text, mac_text
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet

if TYPE_CHECKING:
    from ovenbird.openflow.messages import PacketIn

OPCODES = frozenset([Opcode.PUT_ARP, Opcode.PUT_ND, Opcode.PUT_FDB])


@dataclass(frozen=True, slots=True)
class Learned:
    """A MAC address at a port of a datapath, both by key; with `ip` it is a neighbour's, without any station's."""

    datapath: int
    port: int
    mac: str
    ip: str = ""


def learned(packet_in: PacketIn, opcode: Opcode) -> Learned:
    """Return what a packet teaches.

    Raises:
        PacketError: the packet is no Ethernet frame, or its flow gave no port.
    """
    frame = Ethernet.decode(packet_in.packet)
    fields = packet_in.metadata

    def register(name: str) -> int:
        return fields[name][0] if name in fields else 0

    datapath, mac = register("metadata"), mac_text(frame.src)
    port = register("reg14")
    if not datapath or not port:
        raise PacketError("a packet without datapath or port")
    if opcode is Opcode.PUT_FDB:
        return Learned(datapath, port, mac)
    if opcode is Opcode.PUT_ARP:
        return Learned(datapath, port, mac, ipv4_text(register("reg0")))
    number = 0
    for name in ("reg0", "reg1", "reg2", "reg3"):
        number = number << 32 | register(name)
    return Learned(datapath, port, mac, ipv6_text(number))
