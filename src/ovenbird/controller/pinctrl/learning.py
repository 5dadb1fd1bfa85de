"""What packets teach: neighbours (`put_arp`, `put_nd`) and MAC addresses behind ports (`put_fdb`).

The flow leaves the port's key and the address in registers; the answer is a row of Southbound's MAC_Binding or FDB.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """A MAC address at a port of a datapath, both by key; with `ip` it is a neighbour's, without any station's.

    `heard_by_many` says that the packet was for many, so that other chassis may have learned the same.
    """

    datapath: int
    port: int
    mac: str
    ip: str = ""
    heard_by_many: bool = field(default=False, compare=False)


def learned(packet_in: PacketIn, opcode: Opcode) -> Learned:
    """Return what a packet teaches.

    Raises:
        PacketError: the packet is no Ethernet frame, or its flow gave no port.
    """
    frame = Ethernet.decode(packet_in.packet)
    datapath, port = register(packet_in, "metadata"), register(packet_in, "reg14")
    if not datapath or not port:
        raise PacketError("a packet without datapath or port")
    address = "" if opcode is Opcode.PUT_FDB else address_asked(packet_in, ipv6=opcode is Opcode.PUT_ND)
    return Learned(datapath, port, mac_text(frame.src), address, bool(frame.dst[0] & 1))


def register(packet_in: PacketIn, name: str) -> int:
    """Return a packet's register; 0 for one that nothing was written to."""
    fields = packet_in.metadata
    return fields[name][0] if name in fields else 0


def address_asked(packet_in: PacketIn, *, ipv6: bool) -> str:
    """Return the neighbour's address that a flow left in reg0, or in xxreg0, for the controller."""
    if not ipv6:
        return ipv4_text(register(packet_in, "reg0"))
    number = 0
    for name in ("reg0", "reg1", "reg2", "reg3"):
        number = number << 32 | register(packet_in, name)
    return ipv6_text(number)
