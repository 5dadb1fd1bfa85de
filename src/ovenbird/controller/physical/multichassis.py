"""Ports on several chassis at once, as during a live migration (ovn-nb(5), `requested-chassis`).

The first chassis in the option is the port's chassis, the others are additional ones. Packets to the port are sent to
all of them. With `activation-strategy=rarp` an additional chassis blocks the port until the instance has sent a RARP
there. On a switch with a physical network such a port is reached through tunnels, since the network would deliver to
one place only; a packet too large for the tunnel is answered with an ICMP error that has the tunnel's MTU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import cookie_of, flow
from ovenbird.controller.local.additional_chassis import _PB, locations
from ovenbird.controller.local.local_data import (
    interface_of,
    is_relevant,
    is_resident,
    localnet_key,
)
from ovenbird.controller.local.settings import own_chassis, settings
from ovenbird.controller.physical.encaps import tunnel_to
from ovenbird.engine.lookups import get
from ovenbird.engine.rules import rule
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.model.sb import DatapathBinding, PortBinding
from ovenbird.model.vswitch import Interface
from ovenbird.net import ethernet
from ovenbird.openflow.actions import (
    CheckPktLarger,
    Controller,
    Resubmit,
    SetField,
    SetTtl,
    StackPop,
    StackPush,
    encode_actions,
)
from ovenbird.openflow.fields import Subfield
from ovenbird.pipeline.flag_bits import FlagBit
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.openflow.actions import Action


_OVERHEAD = {"geneve": 38, "stt": 18, "vxlan": 30}
"""Bytes that an encapsulation adds to an Ethernet frame, without the outer IP header, as in ovn-controller."""
_ETHERNET = 18
"""Bytes of an Ethernet header with a VLAN tag."""

_TOO_LARGE = Subfield.of("reg9", ofs=1, n_bits=1)
_LOOPBACK = FlagBit.LOOPBACK.mask
_ONES = 0xFFFFFFFF
_METADATA_ONES = (1 << 64) - 1


def elsewhere(port: PortBinding, *, to_many: bool = False) -> list[tuple[str, int]]:
    """Return the encapsulations and OpenFlow ports by which the other chassis that a port is on are reached.

    Arguments:
        port: the port.
        to_many: whether it is for multicast packets, which each chassis gets by one tunnel.
    """
    me = own_chassis()
    others = {chassis: None if to_many else encap for chassis, encap in locations(port) if chassis != me}
    return [way for chassis, encap in others.items() if (way := tunnel_to(chassis, encap=encap))]


def blocking(port: PortBinding, ofport: int, there: dict[str, tuple[int, int]], enter: tuple[Action, ...],
             deliver: OFTable) -> Iterator[Fact]:  # fmt: skip
    """Yield the flows that drop everything from and to a blocked port except its RARP, which is punted.

    Arguments:
        port: a blocked port.
        ofport: its OpenFlow port.
        there: the match of packets to it.
        enter: the actions that put its packets into the ingress pipeline.
        deliver: the table that outputs packets.
    """
    cookie = cookie_of(port)
    match = {"in_port_oxm": (ofport, _ONES)}
    yield flow(deliver, 1000, there, (), cookie)
    if port.parent_port:  # what comes from a container comes by its parent's interface
        return
    told = Controller(Userdata(Opcode.ACTIVATION_STRATEGY_RARP, None, settings().chassis.encode()).encode())
    yield flow(
        OFTable.PHY_TO_LOG, 1010, {**match, "eth_type": (ethernet.RARP, 0xFFFF)}, (*enter[:-1], told, enter[-1]), cookie
    )
    yield flow(OFTable.PHY_TO_LOG, 1000, match, (), cookie)


@rule(PortBinding, when=is_relevant)
def large_packets(port: PortBinding) -> Iterator[Fact]:
    """Answer packets from and to a port on several chassis with ICMP errors, if they are too large for the tunnel."""
    if not _PB.additional_chassis.raw(port) or not is_resident(port) or not localnet_key(_PB.datapath.raw(port)):
        return
    datapath = get(DatapathBinding, _PB.datapath.raw(port))
    limit = _largest(port)
    if datapath is None or limit <= _ETHERNET:
        return
    cookie = cookie_of(port)
    measure = (CheckPktLarger(limit, _TOO_LARGE), Resubmit(OFTable.OUTPUT_LARGE_PKT_PROCESS))
    for register_ in ("reg14", "reg15"):
        match = {"metadata": (datapath.tunnel_key, _METADATA_ONES), register_: (port.tunnel_key, _ONES)}
        for ethertype, answer in ((ethernet.IPV4, _too_large4), (ethernet.IPV6, _too_large6)):
            of_version = {**match, "eth_type": (ethertype, 0xFFFF)}
            yield flow(OFTable.OUTPUT_LARGE_PKT_DETECT, 100, of_version, measure, cookie)
            yield flow(
                OFTable.OUTPUT_LARGE_PKT_PROCESS, 100, {**of_version, "reg9": (2, 2)}, answer(limit - _ETHERNET), cookie
            )


def _largest(port: PortBinding) -> int:
    """Return the largest frame of a port that still fits into a tunnel."""
    uuid = interface_of(port.logical_port)
    interface = get(Interface, uuid) if uuid is not None else None
    mtu = interface.mtu or 0 if interface is not None else 0
    overheads = [_OVERHEAD[encapsulation] for encapsulation, _ in elsewhere(port)]
    outer = 40 if any(":" in ip for ip in settings().encap_ips) else 20
    return mtu - max(overheads) - outer if overheads else 0


def _swapped(one: str, other: str) -> tuple[Action, ...]:
    a, b = Subfield.of(one), Subfield.of(other)
    return StackPush(a), StackPush(b), StackPop(a), StackPop(b)


def _answer(version: tuple[Action, ...], icmp: tuple[Action, ...], told: Userdata) -> tuple[Action, ...]:
    """Return the actions that send an ICMP error back to the sender of a packet, through the whole pipeline.

    It enters by the destination's port; otherwise the switch would learn the destination's addresses at the sender.
    """
    again = (
        SetField.of("reg9", 0, mask=2), SetField.of("reg10", _LOOPBACK, mask=_LOOPBACK),
        *_swapped("reg14", "reg15"), *_swapped("eth_src", "eth_dst"), *version, SetTtl(255), *icmp,
        Controller(told.encode(), pause=True), Resubmit(OFTable.LOG_INGRESS_PIPELINE),
    )  # fmt: skip
    return (Controller(Userdata(Opcode.ICMP, None, encode_actions(again)).encode()),)


def _too_large4(mtu: int) -> tuple[Action, ...]:
    """Return the answer of RFC 1191."""
    icmp = (SetField.of("icmp_type", 3), SetField.of("icmp_code", 4))
    told = Userdata(Opcode.PUT_ICMP4_FRAG_MTU, None, mtu.to_bytes(2, "big"))
    return _answer(_swapped("ip_src", "ip_dst"), icmp, told)


def _too_large6(mtu: int) -> tuple[Action, ...]:
    """Return the answer of RFC 4443, section 3.2."""
    icmp = (SetField.of("icmpv6_type", 2), SetField.of("icmpv6_code", 0))
    told = Userdata(Opcode.PUT_ICMP6_FRAG_MTU, None, mtu.to_bytes(4, "big"))
    return _answer(_swapped("ipv6_src", "ipv6_dst"), icmp, told)
